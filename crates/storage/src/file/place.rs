//! Where each file of a torrent belongs.

use std::collections::HashSet;
use std::path::PathBuf;

use riverrun_metainfo::Layout;

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
        path: RelativePath,
        /// Whether the user may run it (BEP 47, attribute `x`).
        executable: bool,
    },
    /// A symbolic link (BEP 47, attribute `l`). It is made only if the target is a file or a folder of the same torrent and neither
    /// a link nor a folder that holds the link; else an empty file stands in for it. Nothing is ever opened through it.
    Link {
        /// Where, beneath the root.
        path: RelativePath,
        /// What it leads to, beneath the root.
        target: RelativePath,
    },
}

/// A path beneath a root: one element or more, none of them empty, `.` or `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RelativePath(Box<str>);

impl Place {
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
    pub fn path(&self) -> Option<&RelativePath> {
        match self {
            Self::Pad => None,
            Self::File { path, .. } | Self::Link { path, .. } => Some(path),
        }
    }
}

impl RelativePath {
    /// Joins elements that were made safe before. This is the last line of defence, not the one that repairs names.
    ///
    /// # Errors
    /// There is no element, or one is empty, `.`, `..`, or holds `/` or NUL.
    pub fn new<E: AsRef<str>>(elements: impl IntoIterator<Item = E>) -> Result<Self, StorageError> {
        let mut path = String::new();
        let mut sound = true;
        for (number, element) in elements.into_iter().enumerate() {
            let element = element.as_ref();
            sound &= !matches!(element, "" | "." | "..") && !element.contains(['/', '\0']);
            if number > 0 {
                path.push('/');
            }
            path.push_str(element);
        }
        if sound && !path.is_empty() {
            return Ok(Self(path.into()));
        }
        Err(StorageError::BadPath { path })
    }

    /// The elements with `/` between them.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What a symbolic link at this path has to say to lead to `target`.
    pub(super) fn link_text(&self, target: &Self) -> String {
        let folders = self.folder().map_or(vec![], |folder| folder.split('/').collect());
        let elements: Vec<_> = target.as_str().split('/').collect();
        let shared = folders.iter().zip(&elements).take_while(|(one, other)| one == other).count();
        let up = folders.len() - shared;
        let text: Vec<_> = std::iter::repeat_n("..", up).chain(elements[shared..].iter().copied()).collect();
        if text.is_empty() { ".".to_owned() } else { text.join("/") }
    }

    /// The folder it is in; `None` for the root.
    pub(super) fn folder(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(folder, _)| folder)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn m1_unsafe_elements_are_no_relative_path() {
        for bad in [&[][..], &[""], &["a", ""], &["."], &["a", ".."], &["a/b"], &["/a"], &["a\0"]] {
            assert!(matches!(RelativePath::new(bad), Err(StorageError::BadPath { .. })), "{bad:?}");
        }
        let path = RelativePath::new(["a", "..b", "c d"]).unwrap();
        assert_eq!((path.as_str(), path.folder()), ("a/..b/c d", Some("a/..b")));
        assert_eq!(RelativePath::new(["a"]).unwrap().folder(), None);
    }

    fn at(path: &str) -> RelativePath {
        RelativePath::new(path.split('/')).unwrap()
    }

    #[test]
    fn m12_only_links_to_content_of_the_torrent_stay_links() {
        let link = |path, target| FilePlace::Link { path: at(path), target: at(target) };
        let file = |path| FilePlace::File { path: at(path), executable: false };
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
    fn link_texts_are_relative() {
        for (link, target, text) in [
            ("l", "a/f", "a/f"),
            ("a/l", "a/f", "f"),
            ("a/b/l", "a/c/f", "../c/f"),
            ("a/b/l", "f", "../../f"),
            ("b/l", "a", "../a"),
        ] {
            assert_eq!(at(link).link_text(&at(target)), text);
        }
    }
}
