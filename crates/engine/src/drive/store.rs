//! Where a torrent's bytes rest.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use riverrun_metainfo::FileIndex;
use riverrun_metainfo::info::Info;
use riverrun_metainfo::path::{NameRules, SafePath};
use riverrun_storage::{FilePlace, FileStorage, Place, Storage};

use crate::{AddError, add};

/// The storage of a torrent: files, or whatever the owner gave.
#[derive(Clone, Debug)]
pub(crate) enum Store {
    Files(Arc<FileStorage>),
    Own(Arc<dyn Storage>),
}

impl Store {
    pub(crate) fn storage(&self) -> Arc<dyn Storage> {
        match self {
            Self::Files(files) => files.clone(),
            Self::Own(storage) => storage.clone(),
        }
    }

    /// The same, for a moment.
    pub(crate) fn as_storage(&self) -> &dyn Storage {
        match self {
            Self::Files(files) => &**files,
            Self::Own(storage) => &**storage,
        }
    }

    pub(crate) fn files(&self) -> Option<&Arc<FileStorage>> {
        match self {
            Self::Files(files) => Some(files),
            Self::Own(_) => None,
        }
    }

    /// Where a file is, for messages.
    pub(crate) fn path_of(&self, file: FileIndex) -> PathBuf {
        self.files().and_then(|files| files.path_of(file)).unwrap_or_default()
    }
}

/// The file or folder that is the content, and where each of its files belongs.
///
/// # Errors
/// The path that the user names for a single file is no name for a file.
pub(crate) fn place(info: &Info, wish: &add::Place) -> Result<(PathBuf, Place), AddError> {
    let here = |path: PathBuf| if path.as_os_str().is_empty() { PathBuf::from(".") } else { path };
    let (path, root, prefix) = match wish {
        add::Place::Into(dir) => (dir.join(info.name().as_str()), dir.clone(), Prefix::Name),
        add::Place::At(path) if info.is_single_file() => {
            let name = user_name(path).ok_or_else(|| AddError::BadPath { path: path.clone() })?;
            (path.clone(), path.parent().unwrap_or(Path::new("")).to_owned(), Prefix::Instead(name))
        }
        add::Place::At(path) => (path.clone(), path.clone(), Prefix::None),
    };
    let files = info.files().iter().zip(0u32..).map(|(file, number)| {
        if file.attributes.is_pad() {
            return FilePlace::Pad;
        }
        let path = prefix.apply(info, &file.path);
        match info.link_target(FileIndex(number)) {
            Some(target) => FilePlace::Link { path, target: prefix.apply(info, target) },
            // The executable bit is a stranger's wish; it is not granted (BEP 47, THREATS M14).
            None => FilePlace::File { path, executable: false },
        }
    });
    let (mut path, root) = (path, here(root));
    // A joined path has room for as much again; thousands of torrents that rest would hold it.
    path.shrink_to_fit();
    Ok((path, Place { root, files: files.collect() }))
}

/// The last name of the user's path, if it can be kept as it is.
fn user_name(path: &Path) -> Option<SafePath> {
    let name = path.file_name()?.to_str()?;
    Some(SafePath::name(name.as_bytes(), NameRules::NATIVE)).filter(|safe| safe.as_str() == name)
}

/// Where bytes of files that are not wanted rest (see [`FileOptions::part_file`](riverrun_storage::FileOptions::part_file)): a
/// hidden file in the torrent's folder, so that it moves and goes with the content. A torrent of one file needs none.
pub(crate) fn part_file(info: &Info, wish: &add::Place) -> Option<SafePath> {
    let name = part_file_name(info)?;
    Some(match wish {
        add::Place::Into(_) => name.within(info.name()),
        add::Place::At(_) => name,
    })
}

/// Its name in the torrent's folder.
pub(crate) fn part_file_name(info: &Info) -> Option<SafePath> {
    if info.is_single_file() {
        return None;
    }
    let taken: HashSet<String> = info.files().iter().map(|file| file.path.as_str().to_lowercase()).collect();
    let hash = info.hashes().wire().to_string();
    let mut name = format!(".{}.parts", &hash[..8]);
    while taken.contains(&name) {
        name.insert(1, '_');
    }
    Some(SafePath::name(name.as_bytes(), NameRules::NATIVE))
}

/// What stands before the path of each file.
enum Prefix {
    /// The torrent's name; nothing for a torrent of one file, whose path is its name.
    Name,
    /// Nothing: the root is the content.
    None,
    /// This name in place of the path of the one file.
    Instead(SafePath),
}

impl Prefix {
    fn apply(&self, info: &Info, path: &SafePath) -> SafePath {
        match self {
            Self::Name if !info.is_single_file() => path.within(info.name()),
            Self::Name | Self::None => path.clone(),
            Self::Instead(name) => name.clone(),
        }
    }
}
