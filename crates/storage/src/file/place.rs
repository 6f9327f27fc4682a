//! Where each file of a torrent belongs.

use std::collections::HashSet;
use std::path::PathBuf;

use riverrun_metainfo::info::{File, Info};
use riverrun_metainfo::path::SafePath;
use riverrun_metainfo::{FileIndex, Layout};

use crate::StorageError;

/// Where the files of a torrent belong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// The folder that everything is beneath: the user's own path, which may lead through symbolic links. What the torrent names
    /// (its own name too) belongs into the paths of the files, where links are refused.
    pub root: PathBuf,
    /// One entry per file of the layout, padding included.
    pub files: Vec<FilePlace>,
}

/// Where one file belongs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FilePlace {
    /// Padding: nowhere (BEP 47).
    Pad,
    /// A plain file.
    File {
        /// Where, beneath the root.
        path: SafePath,
        /// Whether the user may run it (BEP 47, attribute `x`).
        executable: bool,
    },
    /// A symbolic link (BEP 47, attribute `l`). It is made only if the target is a file or a folder of the same torrent and neither
    /// a link nor a folder that holds the link; else an empty file stands in for it. Nothing is ever opened through it.
    Link {
        /// Where, beneath the root.
        path: SafePath,
        /// What it leads to, beneath the root.
        target: SafePath,
    },
}

impl Place {
    /// Where a torrent's files belong beneath `root`.
    ///
    /// With a `name`, that is the folder of a torrent of many files, or the file of a torrent of one; usually
    /// [`Info::name`](riverrun_metainfo::info::Info::name). Without, files lie in the root itself under their own paths: for a
    /// folder that the user named. Attribute `x` (BEP 47) counts only if `executables` says so.
    #[must_use]
    pub fn of_torrent(info: &Info, root: PathBuf, name: Option<&SafePath>, executables: bool) -> Self {
        let placed = |path: &SafePath| match name {
            Some(name) if info.is_single_file() => name.clone(),
            Some(name) => path.within(name),
            None => path.clone(),
        };
        let place = |(file, number): (&File, u32)| match info.link_target(FileIndex(number)) {
            _ if file.attributes.is_pad() => FilePlace::Pad,
            Some(target) => FilePlace::Link { path: placed(&file.path), target: placed(target) },
            None => {
                FilePlace::File { path: placed(&file.path), executable: executables && file.attributes.is_executable() }
            }
        };
        Self { root, files: info.files().iter().zip(0..).map(place).collect() }
    }

    /// Judged against the layout, with an empty file in the place of every link that must not be made (THREATS M12).
    pub(super) fn fitted(mut self, layout: &Layout) -> Result<Self, StorageError> {
        let fits = |(place, file): (&FilePlace, &riverrun_metainfo::LayoutFile)| match place {
            FilePlace::Pad => file.pad,
            FilePlace::File { .. } => !file.pad,
            FilePlace::Link { .. } => !file.pad && file.length == 0,
        };
        let (places, files) = (self.files.len(), layout.files().len());
        if places == files && self.files.iter().zip(layout.files()).all(fits) {
            self.replace_bad_links();
            return Ok(self);
        }
        Err(StorageError::PlacesUnlikeLayout { places, files })
    }

    fn replace_bad_links(&mut self) {
        if !self.files.iter().any(|file| matches!(file, FilePlace::Link { .. })) {
            return;
        }
        let mut targets = HashSet::new();
        for file in &self.files {
            let FilePlace::File { path, .. } = file else { continue };
            targets.insert(path.as_str().to_owned());
            let folders = path.as_str().match_indices('/').map(|(end, _)| path.as_str()[..end].to_owned());
            targets.extend(folders);
        }
        for file in &mut self.files {
            let FilePlace::Link { path, target } = &*file else { continue };
            // A link into a folder that holds it would have no end for whoever walks the folder.
            let holds = path.as_str().strip_prefix(target.as_str()).is_some_and(|rest| rest.starts_with('/'));
            if holds || !targets.contains(target.as_str()) {
                *file = FilePlace::File { path: path.clone(), executable: false };
            }
        }
    }
}

impl FilePlace {
    /// Where it is, unless it is padding.
    #[must_use]
    pub fn path(&self) -> Option<&SafePath> {
        match self {
            Self::Pad => None,
            Self::File { path, .. } | Self::Link { path, .. } => Some(path),
        }
    }
}

/// What a symbolic link at `path` has to say to lead to `target`.
pub(super) fn link_text(path: &SafePath, target: &SafePath) -> String {
    let folders = path.parent().map_or(vec![], |folder| folder.split('/').collect());
    let elements: Vec<_> = target.names().collect();
    let shared = folders.iter().zip(&elements).take_while(|(one, other)| one == other).count();
    let up = folders.len() - shared;
    let text: Vec<_> = std::iter::repeat_n("..", up).chain(elements[shared..].iter().copied()).collect();
    if text.is_empty() { ".".to_owned() } else { text.join("/") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use riverrun_metainfo::path::NameRules;
    use riverrun_metainfo::piece_hash::Format;

    use super::*;
    use crate::sample::Sample;

    fn at(path: &str) -> SafePath {
        SafePath::parse(path, NameRules::default()).unwrap()
    }

    fn file(path: &str) -> FilePlace {
        FilePlace::File { path: at(path), executable: false }
    }

    #[test]
    fn m12_only_links_to_content_of_the_torrent_stay_links() {
        let link = |path, target| FilePlace::Link { path: at(path), target: at(target) };
        let layout =
            Layout::v1(16384, [(5, false), (0, false), (0, false), (0, false), (0, false), (0, false)]).unwrap();
        let files = vec![
            file("a/f"),
            link("to_file", "a/f"),
            link("a/b/to_folder", "a"),
            link("self", "self"),
            link("to_link", "to_file"),
            link("outside", "etc/passwd"),
        ];
        let place = Place { root: "r".into(), files }.fitted(&layout).unwrap();
        assert_eq!(place.files[1], link("to_file", "a/f"));
        for (number, path) in [(2, "a/b/to_folder"), (3, "self"), (4, "to_link"), (5, "outside")] {
            assert_eq!(place.files[number], file(path));
        }
    }

    #[test]
    fn the_places_of_a_torrent_follow_its_name_or_the_users() {
        let info = Sample::new(Format::Hybrid, 16384, &[("a", 5), ("d/b", 7)]).info;
        let files = |name: Option<&str>| Place::of_torrent(&info, "r".into(), name.map(at).as_ref(), false).files;
        assert_eq!(files(None), [file("a"), FilePlace::Pad, file("d/b")]);
        assert_eq!(files(Some("n")), [file("n/a"), FilePlace::Pad, file("n/d/b")]);
    }

    #[test]
    fn link_texts_are_relative() {
        for (link, target, text) in [
            ("l", "a/f", "a/f"),
            ("a/l", "a/f", "f"),
            ("a/b/l", "a/c/f", "../c/f"),
            ("a/b/l", "f", "../../f"),
            ("b/l", "a", "../a"),
        ] {
            assert_eq!(link_text(&at(link), &at(target)), text);
        }
    }
}
