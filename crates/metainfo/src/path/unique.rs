//! Files of one torrent that would be the same path on disk.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::{NameRules, PathError, SafePath};

/// How many files may share one name.
pub(super) const MAX_SAME: u32 = 500;

/// Renames files so that no two have the same path and none has the path of a folder: `a.txt` becomes `a.1.txt`. Returns the
/// positions of those renamed.
///
/// The first file with a path keeps it, and so does every file whose own path is free, so that the outcome does not depend on
/// which numbers happen to be taken. One pass, linear in the bytes of all paths. Whether case counts is in `rules`; Unicode
/// normalisation is not looked at.
///
/// # Errors
/// More than 500 files share one path.
pub fn make_unique(paths: &mut [&mut SafePath], rules: NameRules) -> Result<Vec<usize>, PathError> {
    if !rules.fold_case && are_ordered(paths.iter().map(|path| &**path)) {
        return Ok(Vec::new());
    }
    let renamed = renames(paths, rules)?;
    let positions = renamed.iter().map(|(position, _)| *position).collect();
    for (position, path) in renamed {
        *paths[position] = path;
    }
    Ok(positions)
}

/// Whether the paths ascend name by name and none is a folder of the next: then all are distinct. Holds for most torrents, and is
/// much cheaper than a set of all paths.
pub(crate) fn are_ordered<'p>(paths: impl IntoIterator<Item = &'p SafePath>) -> bool {
    // With the separator below every other byte, order by bytes is order by names: safe names have no byte below a space.
    let order = |byte: u8| if byte == b'/' { 0 } else { byte };
    let mut paths = paths.into_iter().map(|path| path.as_str().as_bytes());
    let Some(mut last) = paths.next() else { return true };
    paths.all(|path| {
        let at = first_difference(last, path);
        let ascends = match (last.get(at), path.get(at)) {
            (Some(&a), Some(&b)) => order(a) < order(b),
            (None, Some(&b)) => b != b'/',
            (_, None) => false,
        };
        last = path;
        ascends
    })
}

/// How many bytes two texts have in common from the front.
fn first_difference(a: &[u8], b: &[u8]) -> usize {
    let words = a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0);
    let mut at = 8 * words.take_while(|(a, b)| a == b).count();
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at
}

fn renames(paths: &[&mut SafePath], rules: NameRules) -> Result<Vec<(usize, SafePath)>, PathError> {
    let folders = folders(paths, rules);
    let mut taken = HashSet::with_capacity(paths.len());
    let mut clashing = Vec::new();
    for (position, path) in paths.iter().enumerate() {
        let key = fold(path.as_str(), rules);
        if folders.contains(&key) || !taken.insert(key) {
            clashing.push(position);
        }
    }
    let mut last_numbers: HashMap<Cow<'_, str>, u32> = HashMap::new();
    let mut given = HashSet::new();
    let mut renamed = Vec::with_capacity(clashing.len());
    for position in clashing {
        let number = last_numbers.entry(fold(paths[position].as_str(), rules)).or_default();
        let free = loop {
            *number += 1;
            if *number > MAX_SAME {
                return Err(PathError::SameName);
            }
            let candidate = paths[position].numbered(*number);
            let key = fold(candidate.as_str(), rules).into_owned();
            if !folders.contains(key.as_str()) && !taken.contains(key.as_str()) && given.insert(key) {
                break candidate;
            }
        };
        renamed.push((position, free));
    }
    Ok(renamed)
}

/// Every folder that some file is in.
fn folders<'p>(paths: &'p [&mut SafePath], rules: NameRules) -> HashSet<Cow<'p, str>> {
    let mut folders = HashSet::new();
    let mut last = None;
    for path in paths {
        let mut parent = path.parent();
        if parent == last {
            continue;
        }
        last = parent;
        // A folder that is known has its own folders known too.
        while let Some(folder) = parent.filter(|folder| folders.insert(fold(folder, rules))) {
            parent = folder.rsplit_once('/').map(|(outer, _)| outer);
        }
    }
    folders
}

fn fold(text: &str, rules: NameRules) -> Cow<'_, str> {
    if rules.fold_case { Cow::Owned(text.to_lowercase()) } else { Cow::Borrowed(text) }
}
