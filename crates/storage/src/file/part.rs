//! Files that have another name as long as they are not complete.
//!
//! Invariants: a file gets its own name only when the owner says that all its pieces are verified and synced, and never in the place of
//! something else. Renaming changes neither the file nor its times, so a resume record written before it stays true after it.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};

use riverrun_metainfo::path::{MAX_NAME_LENGTH, NameRules, SafePath};
use riverrun_metainfo::{Bitfield, FileIndex, Layout, PieceIndex};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::Errno;

use super::beneath::Beneath;
use super::{FilePlace, FileStorage, PART_FILE, Place, identity};
use crate::StorageError;

/// What stands behind the names of files that are not complete, such as `.part`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartSuffix(String);

/// A text that cannot be the end of a file's name.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0:?} cannot be the end of a file's name")]
pub struct BadSuffix(pub String);

impl PartSuffix {
    /// Takes a suffix, dot included.
    ///
    /// # Errors
    /// It is empty, longer than 32 bytes, or has characters that names of files do not have.
    pub fn new(text: impl Into<String>) -> Result<Self, BadSuffix> {
        let text = text.into();
        let whole = format!("x{text}");
        let fits = !text.is_empty() && text.len() <= 32;
        if fits && SafePath::name(whole.as_bytes(), NameRules::NATIVE).as_str() == whole {
            return Ok(Self(text));
        }
        Err(BadSuffix(text))
    }

    /// The suffix itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which name a file has now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Named {
    /// Its own.
    Own,
    /// With the suffix.
    Part,
}

/// The suffix of a storage, and the files that go without.
#[derive(Debug)]
pub(super) struct PartNames {
    suffix: PartSuffix,
    without: BTreeSet<u32>,
}

impl PartNames {
    /// Files without bytes go without a suffix, and those whose name would be too long with it or that of another file.
    pub(super) fn new(suffix: PartSuffix, place: &Place, layout: &Layout) -> Self {
        let mut taken = HashSet::new();
        for path in place.files.iter().filter_map(FilePlace::path) {
            let path = path.as_str().to_lowercase();
            taken.extend(path.match_indices('/').map(|(end, _)| path[..end].to_owned()));
            taken.insert(path);
        }
        let goes_without = |place: &FilePlace, length: u64| {
            let FilePlace::File { path, .. } = place else { return true };
            let with = format!("{}{}", path.as_str(), suffix.0);
            length == 0
                || path.file_name().len() + suffix.0.len() > MAX_NAME_LENGTH
                || taken.contains(&with.to_lowercase())
        };
        let files = place.files.iter().zip(layout.files()).zip(0u32..);
        let without = files.filter(|((place, file), _)| goes_without(place, file.length)).map(|(_, number)| number);
        Self { without: without.collect(), suffix }
    }
}

impl FileStorage {
    /// Whether files have a suffix until they are complete.
    #[must_use]
    pub fn has_part_suffix(&self) -> bool {
        self.parts.is_some()
    }

    /// The suffix that this file may have.
    pub(super) fn suffix_of(&self, file: FileIndex) -> Option<&str> {
        let parts = self.parts.as_deref().filter(|parts| !parts.without.contains(&file.0) && file != PART_FILE)?;
        Some(parts.suffix.as_str())
    }

    /// The path that a file has now, or will have when it is made.
    pub(super) fn path_now<'p>(&self, file: FileIndex, path: &'p SafePath) -> Cow<'p, str> {
        let Some(suffix) = self.suffix_of(file) else { return path.as_str().into() };
        let named = {
            let state = self.state();
            let absent = state.absent.contains(&file.0).then_some(Named::Part);
            state.named.get(&file.0).copied().or(absent)
        };
        match named.unwrap_or_else(|| self.find_name(file, path)) {
            Named::Own => path.as_str().into(),
            Named::Part => format!("{}{suffix}", path.as_str()).into(),
        }
    }

    /// Whatever stands under the file's own name is the file.
    fn find_name(&self, file: FileIndex, path: &SafePath) -> Named {
        let own = self.beneath().is_ok_and(|beneath| {
            let parent = beneath.open_parent(path.as_str());
            parent.is_ok_and(|(parent, name)| {
                beneath.stat(parent.as_ref().map(AsFd::as_fd), name).is_ok_and(|found| found.is_some())
            })
        });
        if own {
            self.remember_name(file, Named::Own);
        }
        if own { Named::Own } else { Named::Part }
    }

    pub(super) fn remember_name(&self, file: FileIndex, named: Named) {
        self.state().named.insert(file.0, named);
    }

    /// Gives files all of whose pieces are in `have` their own names, and makes that last. To be called with pieces whose bytes were
    /// synced. Does nothing in a storage without a [`PartSuffix`].
    ///
    /// # Errors
    /// Something else has the name of a file ([`StorageError::NameTaken`]), or the system said no; the others have got theirs.
    pub fn give_names(&self, have: &Bitfield) -> Result<(), StorageError> {
        let is_complete = |file: &u32| self.layout.pieces_of(FileIndex(*file)).all(|piece| have.has(PieceIndex(piece)));
        let parts: BTreeSet<u32> = {
            let state = self.state();
            state.named.iter().filter(|(_, named)| **named == Named::Part).map(|(file, _)| *file).collect()
        };
        let complete: Vec<u32> = parts.into_iter().filter(is_complete).collect();
        if complete.is_empty() || !self.writes() {
            return Ok(());
        }
        let beneath = self.beneath()?;
        let mut first = Ok(());
        let mut given = BTreeSet::new();
        for number in complete {
            match self.give_name(&beneath, FileIndex(number)) {
                Ok(true) => _ = given.insert(number),
                Ok(false) => {}
                Err(error) => first = first.and(Err(error)),
            }
        }
        self.flush_folders(&given, false).inspect_err(|_| self.state().created.extend(given))?;
        first
    }

    /// False if the file is not there any more: whoever looks at the files next finds that out.
    fn give_name(&self, beneath: &Beneath<'_>, file: FileIndex) -> Result<bool, StorageError> {
        let (Some(path), Some(suffix)) = (self.place.files[file.0 as usize].path(), self.suffix_of(file)) else {
            return Ok(false);
        };
        // Nobody opens a file by its name meanwhile.
        let _naming = self.naming.write();
        let (parent, name) = beneath.open_parent(path.as_str())?;
        let parent = parent.as_ref().map_or(beneath.fd(), AsFd::as_fd);
        let part = format!("{name}{suffix}");
        let full = || beneath.path(path.as_str());
        let found = beneath.stat(Some(parent), &part).map_err(|errno| StorageError::io("look at", full(), errno))?;
        let seen = self.state().seen.get(file);
        if found.is_none_or(|found| seen.is_some_and(|seen| seen != identity(&found))) {
            return Ok(false);
        }
        match rename(parent, &part, name) {
            Ok(()) => {
                self.remember_name(file, Named::Own);
                Ok(true)
            }
            Err(Errno::EXIST) => Err(StorageError::NameTaken { path: full() }),
            Err(errno) => Err(StorageError::io("rename", full(), errno)),
        }
    }
}

/// Renames within a folder, never over something that has the name already.
fn rename(folder: BorrowedFd<'_>, from: &str, to: &str) -> Result<(), Errno> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    match rustix::fs::renameat_with(folder, from, folder, to, rustix::fs::RenameFlags::NOREPLACE) {
        // This file system, or this kernel, cannot say so.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
        result => return result,
    }
    // A link fails where something is, and is not followed by anybody: beside the old name it is the same file.
    match rustix::fs::linkat(folder, from, folder, to, rustix::fs::AtFlags::empty()) {
        Ok(()) => return rustix::fs::unlinkat(folder, from, rustix::fs::AtFlags::empty()),
        Err(Errno::PERM | Errno::NOSYS | Errno::OPNOTSUPP | Errno::INVAL) => {}
        Err(errno) => return Err(errno),
    }
    match rustix::fs::statat(folder, to, rustix::fs::AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => rustix::fs::renameat(folder, from, folder, to),
        Ok(_) => Err(Errno::EXIST),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;
    use std::io::{IoSlice, IoSliceMut};
    use std::os::unix::fs::symlink;
    use std::sync::Arc;

    use riverrun_metainfo::Span;

    use super::*;
    use crate::{Access, FileOptions, FilePresence, Preallocation, Storage};

    const PIECE: u64 = 16384;

    struct Room {
        root: tempfile::TempDir,
        layout: Arc<Layout>,
        files: Vec<FilePlace>,
    }

    impl Room {
        fn new(files: &[(&str, u64)]) -> Self {
            let layout = Layout::v1(PIECE, files.iter().map(|(_, length)| (*length, false))).unwrap();
            let file = |(path, _): &(&str, u64)| FilePlace::File {
                path: SafePath::parse(path, NameRules::default()).unwrap(),
                executable: false,
            };
            let files = files.iter().map(file).collect();
            Self { root: tempfile::tempdir().unwrap(), layout: Arc::new(layout), files }
        }

        fn open(&self) -> FileStorage {
            self.try_open().unwrap()
        }

        fn try_open(&self) -> Result<FileStorage, StorageError> {
            let place = Place { root: self.root.path().into(), files: self.files.clone() };
            let options = FileOptions {
                access: Access::ReadWrite,
                preallocation: Preallocation::Sparse,
                part_suffix: Some(PartSuffix::new(".part").unwrap()),
                ..FileOptions::default()
            };
            FileStorage::open(place, Arc::clone(&self.layout), options)
        }

        fn names(&self) -> Vec<String> {
            fn walk(root: &std::path::Path, at: &std::path::Path, names: &mut Vec<String>) {
                for entry in fs::read_dir(at).unwrap() {
                    let path = entry.unwrap().path();
                    if path.is_dir() {
                        walk(root, &path, names);
                    } else {
                        names.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
                    }
                }
            }
            let mut names = Vec::new();
            walk(self.root.path(), self.root.path(), &mut names);
            names.sort();
            names
        }

        fn have(&self, pieces: &[u32]) -> Bitfield {
            let mut have = Bitfield::empty(self.layout.piece_count());
            pieces.iter().for_each(|piece| _ = have.insert(PieceIndex(*piece)));
            have
        }
    }

    fn write(storage: &FileStorage, offset: u64, bytes: &[u8]) {
        storage.write_at(Span { offset, length: bytes.len() as u64 }, &[IoSlice::new(bytes)]).unwrap();
    }

    fn read(storage: &FileStorage, offset: u64, length: u64) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(length).unwrap()];
        storage.read_at(Span { offset, length }, &mut [IoSliceMut::new(&mut bytes)]).unwrap();
        bytes
    }

    #[test]
    fn each_file_gets_its_name_when_its_pieces_are_had() {
        let room = Room::new(&[("d/a", PIECE), ("d/b", PIECE + 1), ("empty", 0)]);
        let storage = room.open();
        storage.prepare(false, |_| true).unwrap();
        assert_eq!(room.names(), ["d/a.part", "empty"], "the second comes with its bytes");
        write(&storage, 0, &[1; 16385]);
        assert_eq!(room.names(), ["d/a.part", "d/b.part", "empty"]);
        storage.sync().unwrap();
        let before = storage.presence().unwrap();
        storage.give_names(&room.have(&[0])).unwrap();
        assert_eq!(room.names(), ["d/a", "d/b.part", "empty"]);
        assert_eq!(storage.presence().unwrap(), before, "a record of before holds after");
        write(&storage, PIECE, &[2; 16385]);
        assert_eq!(read(&storage, PIECE - 1, 2), [1, 2]);
        storage.give_names(&room.have(&[0, 1])).unwrap();
        assert_eq!(room.names(), ["d/a", "d/b.part", "empty"], "a part of its pieces is not enough");
        storage.give_names(&room.have(&[0, 1, 2])).unwrap();
        assert_eq!(room.names(), ["d/a", "d/b", "empty"]);
        assert_eq!(read(&storage, 2 * PIECE, 1), [2]);
    }

    #[test]
    fn a_second_run_finds_both_kinds_of_names() {
        let room = Room::new(&[("a", PIECE), ("b", PIECE)]);
        {
            let storage = room.open();
            write(&storage, 0, &[1; 32768]);
            storage.sync().unwrap();
            storage.give_names(&room.have(&[0])).unwrap();
        }
        let storage = room.open();
        let found = storage.presence().unwrap();
        assert!(found.files.iter().all(|file| matches!(file, FilePresence::Present { .. })), "{found:?}");
        assert_eq!(read(&storage, PIECE - 1, 2), [1, 1]);
        assert_eq!(storage.path_of(FileIndex(1)).unwrap(), room.root.path().join("b.part"));
        storage.give_names(&room.have(&[0, 1])).unwrap();
        assert_eq!(room.names(), ["a", "b"]);
    }

    #[test]
    fn l6_nothing_is_replaced_by_a_file_that_gets_its_name() {
        let room = Room::new(&[("a", PIECE)]);
        let storage = room.open();
        write(&storage, 0, &[1; 16384]);
        fs::write(room.root.path().join("a"), "of somebody else").unwrap();
        let error = storage.give_names(&room.have(&[0])).unwrap_err();
        assert!(matches!(error, StorageError::NameTaken { .. }), "{error}");
        assert_eq!(fs::read(room.root.path().join("a")).unwrap(), b"of somebody else");
        assert_eq!(read(&storage, 0, 1), [1]);
        fs::remove_file(room.root.path().join("a")).unwrap();
        storage.give_names(&room.have(&[0])).unwrap();
        assert_eq!(room.names(), ["a"]);
    }

    #[test]
    fn l4_a_part_that_was_exchanged_gets_no_name() {
        let room = Room::new(&[("a", PIECE)]);
        let storage = room.open();
        write(&storage, 0, &[1; 16384]);
        fs::write(room.root.path().join("new"), "x").unwrap();
        fs::rename(room.root.path().join("new"), room.root.path().join("a.part")).unwrap();
        storage.give_names(&room.have(&[0])).unwrap();
        assert_eq!(room.names(), ["a.part"]);
        let found = storage.presence().unwrap().files[0];
        assert!(matches!(found, FilePresence::Present { same_as_open: false, .. }), "{found:?}");
    }

    #[test]
    fn l10_two_writers_of_one_part_are_kept_apart() {
        let room = Room::new(&[("a", PIECE)]);
        let first = room.open();
        write(&first, 0, b"x");
        assert!(matches!(room.try_open(), Err(StorageError::InUse { .. })));
        first.give_names(&room.have(&[0])).unwrap();
        assert!(matches!(room.try_open(), Err(StorageError::InUse { .. })), "under its own name too");
    }

    #[test]
    fn l11_links_are_refused_under_both_names() {
        for name in ["a", "a.part"] {
            let outside = tempfile::tempdir().unwrap();
            fs::write(outside.path().join("f"), "secret").unwrap();
            let room = Room::new(&[("a", PIECE)]);
            symlink(outside.path().join("f"), room.root.path().join(name)).unwrap();
            let result = room.try_open().and_then(|storage| storage.prepare(false, |_| true));
            assert!(matches!(result, Err(StorageError::Symlink { .. })), "{name}: {result:?}");
            assert_eq!(fs::read(outside.path().join("f")).unwrap(), b"secret");
        }
    }

    #[test]
    fn names_that_would_collide_or_be_too_long_stay_as_they_are() {
        let long = "n".repeat(253);
        let room = Room::new(&[("a", PIECE), ("A.PART", PIECE), (&long, PIECE)]);
        let storage = room.open();
        storage.prepare(false, |_| true).unwrap();
        write(&storage, 0, &[1; 3 * 16384]);
        assert_eq!(room.names(), ["A.PART.part", "a", &long]);
    }

    #[test]
    fn a_suffix_is_the_end_of_a_name() {
        assert!([".part", ".!rr", "~"].iter().all(|text| PartSuffix::new(*text).is_ok()));
        assert!(["", "/x", "a/b", "\0", "\n"].iter().all(|text| PartSuffix::new(*text).is_err()));
        assert!(PartSuffix::new(".".repeat(33)).is_err());
    }
}
