//! Making files ready before their bytes come: folders, sizes, empty files, links.

use riverrun_metainfo::FileIndex;
use riverrun_metainfo::path::SafePath;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::open_files::OpenFile;
use super::place::link_text;
use super::way::Way;
use super::{FilePlace, FileStorage, Need, Preallocation};
use crate::{FilePresence, Presence, StorageError};

/// With [`Preallocation::Sparse`] files shorter than this are made when their first bytes come: to make them before would be to open each
/// twice, and a length that is known early serves nobody in a file that comes at once.
const SMALL: u64 = 1 << 20;

impl FileStorage {
    /// Creates what can be created before any byte comes: empty files and links, and the rest as the preallocation asks. To be called
    /// once after the check of what is there; doing it again changes nothing. What is there then.
    ///
    /// A file that is longer than it should be is cut only if `cut_longer` says so: when the files are known to be this torrent's
    /// (a resume record says so, or pieces matched) or the user asked to overwrite. Otherwise the surplus stays (THREATS L6). `wanted`
    /// says which files are downloaded; the others are left alone: with a [`part_file`](super::FileOptions::part_file), what they
    /// have of pieces that are wanted goes there, and moves into a file when it is wanted in a later call. A file that was
    /// wanted once takes its bytes itself as long as the storage is open.
    ///
    /// Of the files that are to be made with their first bytes none is written over that has come in between
    /// ([`StorageError::NameTaken`]). One wanted file is made in any case, so that a record says whose the folder is.
    ///
    /// # Errors
    /// The storage is read-only or in use, the disk is full, or something stands in the way.
    pub fn prepare(&self, cut_longer: bool, wanted: impl Fn(FileIndex) -> bool) -> Result<Presence, StorageError> {
        if !self.writes() {
            return Err(StorageError::ReadOnly { path: self.place.root.clone() });
        }
        self.beneath_to_write()?;
        self.set_apart(&wanted);
        let plain =
            |(place, number): (&FilePlace, u32)| matches!(place, FilePlace::File { .. }) && wanted(FileIndex(number));
        if self.overhang.path.is_some() || self.place.files.iter().zip(0u32..).any(plain) {
            self.lock_to_write()?;
        }
        self.gather_wanted(&wanted)?;
        let mut found = self.look()?;
        let (mut way, mut some, mut linked) = (self.way(), false, false);
        for (place, number) in self.place.files.iter().zip(0u32..) {
            let file = FileIndex(number);
            match place {
                _ if !wanted(file) => {}
                FilePlace::Pad => {}
                FilePlace::Link { path, target } => {
                    self.make_link(path, target)?;
                    linked = true;
                }
                FilePlace::File { .. } => {
                    let found = &mut found.files[number as usize];
                    if some && *found == FilePresence::Missing && self.may_be_made_later(file) {
                        self.state().absent.insert(number);
                    } else {
                        *found = self.prepare_file(&mut way, file, *found, cut_longer)?;
                        some = true;
                    }
                }
            }
        }
        if linked { self.look() } else { Ok(found) }
    }

    /// Whether it is enough to make the file when its first bytes come. One that was open and is gone is not made anew in silence.
    fn may_be_made_later(&self, file: FileIndex) -> bool {
        let length = self.layout.files()[file.0 as usize].length;
        let later = match self.preallocation {
            Preallocation::None => length > 0,
            Preallocation::Sparse => length > 0 && length < SMALL,
            Preallocation::Full => false,
        };
        later && self.state().seen.get(file).is_none()
    }

    fn prepare_file(
        &self,
        way: &mut Way<'_>,
        file: FileIndex,
        found: FilePresence,
        cut_longer: bool,
    ) -> Result<FilePresence, StorageError> {
        let length = self.layout.files()[file.0 as usize].length;
        let as_it_is = self.preallocation == Preallocation::None && found != FilePresence::Missing;
        let open = way.file(file, if as_it_is { Need::Read } else { Need::Write })?;
        let path = || self.path_of(file).unwrap_or_default();
        let look = || rustix::fs::fstat(&open.fd).map_err(|errno| StorageError::io("look at", path(), errno));
        let stat = look()?;
        let found = u64::try_from(stat.st_size).unwrap_or(0);
        let result = match self.preallocation {
            _ if found > length && cut_longer => rustix::fs::ftruncate(&open.fd, length),
            Preallocation::Full if found <= length && length > 0 => allocate(&open, found, length),
            Preallocation::Sparse if found < length => rustix::fs::ftruncate(&open.fd, length),
            _ => return Ok(self.judge_plain(file, &stat)),
        };
        self.state().unsynced.insert(file.0);
        result.map_err(|errno| StorageError::io("allocate", path(), errno))?;
        Ok(self.judge_plain(file, &look()?))
    }

    fn make_link(&self, path: &SafePath, target: &SafePath) -> Result<(), StorageError> {
        let text = link_text(path, target);
        let beneath = self.beneath_to_write()?;
        let full = || self.place.root.join(path.as_str());
        let (parent, name, _) = beneath.make_parent(path.as_str())?;
        let parent: BorrowedFd<'_> = parent.as_ref().map_or(beneath.fd(), AsFd::as_fd);
        match rustix::fs::symlinkat(text.as_str(), parent, name) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => match rustix::fs::readlinkat(parent, name, Vec::new()) {
                Ok(found) if found.as_bytes() == text.as_bytes() => Ok(()),
                _ => Err(StorageError::InTheWay { path: full(), found: "something else", expected: "a symbolic link" }),
            },
            Err(errno) => Err(StorageError::io("link", full(), errno)),
        }
    }
}

/// Gives the file its size and its room on the disk.
fn allocate(file: &OpenFile, found: u64, length: u64) -> Result<(), Errno> {
    loop {
        match rustix::fs::fallocate(&file.fd, FallocateFlags::empty(), 0, length) {
            Err(Errno::INTR) => {}
            // This file system cannot: bytes that are not there yet are written as zeros.
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => return fill_with_zeros(file, found, length),
            result => return result,
        }
    }
}

fn fill_with_zeros(file: &OpenFile, found: u64, length: u64) -> Result<(), Errno> {
    let zeros = vec![0; 1 << 20];
    let mut at = found;
    while at < length {
        let count = usize::try_from(length - at).unwrap_or(usize::MAX).min(zeros.len());
        match rustix::io::pwrite(&file.fd, &zeros[..count], at) {
            Ok(0) => return Err(Errno::NOSPC),
            Ok(written) => at += written as u64,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::cached::Cached;
    use super::*;

    #[test]
    fn zeros_are_written_only_behind_what_is_there() {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, b"abc").unwrap();
        let open = OpenFile { fd: file.into(), writable: true, identity: (0, 0), cached: Cached::default() };
        fill_with_zeros(&open, 3, (1 << 20) + 7).unwrap();
        let mut bytes = vec![1; (1 << 20) + 8];
        let count = rustix::io::pread(&open.fd, &mut *bytes, 0).unwrap();
        assert_eq!(count, (1 << 20) + 7);
        assert!(bytes.starts_with(b"abc"));
        assert!(bytes[3..count].iter().all(|byte| *byte == 0));
    }
}
