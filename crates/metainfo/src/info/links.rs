//! Symbolic links of a torrent (BEP 47): each must lead to a file or folder of the same torrent.

use std::collections::{HashMap, HashSet};

use crate::bencode::{Limits, ReadError, Reader};
use crate::display;
use crate::info::files::FileList;
use crate::info::{Fields, parse};
use crate::layout::FileIndex;
use crate::metainfo::Warning;
use crate::path::{SafePath, safe_name};

/// The most links that one leads through.
const MOST_HOPS: usize = 40;

/// The links that lead somewhere, with their targets. The others become empty files, with a warning.
///
/// A target must be safe as it is written, and be a file, a folder without links in it, or another link that leads to one. So
/// nothing can be reached through a link that is not in the torrent, and no walk along links goes round.
pub(super) fn resolve(list: &mut FileList<'_>, fields: &mut Fields<'_>) -> Vec<(FileIndex, SafePath)> {
    let written = std::mem::take(&mut list.links);
    if written.is_empty() {
        // Files that claim to be links but say not where to.
        drop_untold(list, &HashSet::new());
        return Vec::new();
    }
    let targets: Vec<(FileIndex, Option<SafePath>)> =
        written.iter().map(|(file, target)| (*file, target_path(target, fields))).collect();
    let good = {
        let places = Places::new(list, &targets);
        targets
            .iter()
            .map(|(_, target)| target.as_ref().is_some_and(|target| places.is_good(target)))
            .collect::<Vec<_>>()
    };
    let mut links = Vec::new();
    for (((file, target), good), (_, as_written)) in targets.into_iter().zip(good).zip(written) {
        match target.filter(|_| good) {
            Some(target) => links.push((file, target)),
            None => fields.warn(Warning::Link { file: file.0 as usize + 1, target: shown(as_written) }),
        }
    }
    drop_untold(list, &links.iter().map(|(file, _)| *file).collect());
    links
}

/// Files that are no links after all are plain empty files.
fn drop_untold(list: &mut FileList<'_>, links: &HashSet<FileIndex>) {
    for (number, file) in list.files.iter_mut().enumerate() {
        if file.attributes.is_link() && !links.contains(&parse::index(number)) {
            file.attributes = file.attributes.without_link();
        }
    }
}

/// A target whose every name is safe as it is.
fn target_path(target: &[u8], fields: &Fields<'_>) -> Option<SafePath> {
    let names = names(target)?;
    let rules = fields.options.names;
    if names.iter().any(|name| safe_name(name, rules).as_bytes() != *name) {
        return None;
    }
    SafePath::new(names, rules).ok()
}

/// The names of a target, if it is a list of strings.
fn names(target: &[u8]) -> Option<Vec<&[u8]>> {
    let mut names = Vec::new();
    let mut reader = Reader::new(target, Limits::METAINFO);
    let read = reader.list(|reader| {
        names.push(reader.bytes()?);
        Ok::<_, ReadError>(())
    });
    read.is_ok().then_some(names)
}

fn shown(target: &[u8]) -> String {
    const SHOWN: usize = 200;
    let whole = names(target).unwrap_or_default().join(&b'/');
    display::escaped_bytes(&whole[..whole.len().min(SHOWN)]).to_string()
}

/// What is where in the torrent.
struct Places<'l> {
    files: HashSet<&'l str>,
    folders: HashSet<&'l str>,
    /// Folders that have a link somewhere in them.
    linking: HashSet<&'l str>,
    links: HashMap<&'l str, Option<&'l SafePath>>,
}

impl<'l> Places<'l> {
    fn new(list: &'l FileList<'_>, targets: &'l [(FileIndex, Option<SafePath>)]) -> Self {
        let mut places =
            Self { files: HashSet::new(), folders: HashSet::new(), linking: HashSet::new(), links: HashMap::new() };
        for file in list.files.iter().filter(|file| !file.attributes.is_pad()) {
            let of_link = file.attributes.is_link();
            if !of_link {
                places.files.insert(file.path.as_str());
            }
            let mut rest = file.path.as_str();
            while let Some((folder, _)) = rest.rsplit_once('/') {
                let new = places.folders.insert(folder) | (of_link && places.linking.insert(folder));
                if !new {
                    break;
                }
                rest = folder;
            }
        }
        for (file, target) in targets {
            places.links.insert(list.files[file.0 as usize].path.as_str(), target.as_ref());
        }
        places
    }

    fn is_good(&self, target: &SafePath) -> bool {
        let mut target = target.as_str();
        for _ in 0..MOST_HOPS {
            match self.links.get(target) {
                Some(Some(next)) => target = next.as_str(),
                Some(None) => return false,
                None => {
                    let folder = self.folders.contains(target) && !self.linking.contains(target);
                    return folder || self.files.contains(target);
                }
            }
        }
        false
    }
}
