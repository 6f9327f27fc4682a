//! Looking at what is there, without opening or following anything (THREATS row L4).

use std::os::unix::ffi::OsStrExt;

use riverrun_metainfo::path::SafePath;
use riverrun_metainfo::{Extent, FileIndex};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, Stat};

use super::beneath::{self, Beneath};
use super::place::link_text;
use super::way::Way;
use super::{FilePlace, FileStorage, Named, Need, identity};
use crate::{FilePresence, Presence, StorageError};

/// What stands at the path of a file.
pub(super) enum Found {
    Nothing,
    Something(Box<Stat>),
    /// A folder on the way to it is a link or no folder.
    Unreachable,
}

/// The folder of the file looked at last: files of one folder follow each other.
struct LastFolder<'a> {
    folder: Option<&'a str>,
    opened: Result<Option<OwnedFd>, StorageError>,
}

impl FileStorage {
    pub(super) fn look(&self) -> Result<Presence, StorageError> {
        let mut files = vec![FilePresence::Pad; self.place.files.len()];
        self.look_at_each(|file, found| {
            files[file.0 as usize] = match found {
                Found::Nothing => FilePresence::Missing,
                Found::Something(stat) => self.judge(file, &stat),
                Found::Unreachable => FilePresence::NotAFile,
            };
        })?;
        Ok(Presence { files, part_file: self.part_file_presence()? })
    }

    /// Looks at every file but padding.
    pub(super) fn look_at_each(&self, mut each: impl FnMut(FileIndex, Found)) -> Result<(), StorageError> {
        let real = || {
            self.place.files.iter().zip(0u32..).filter_map(|(place, number)| Some((place.path()?, FileIndex(number))))
        };
        let beneath = match self.beneath() {
            // Nothing was downloaded yet.
            Err(StorageError::Missing { .. }) if self.writes() => {
                real().for_each(|(_, file)| each(file, Found::Nothing));
                return Ok(());
            }
            result => result?,
        };
        let mut last = LastFolder { folder: None, opened: Ok(None) };
        let _naming = self.naming.read();
        for (path, file) in real() {
            each(file, self.find(&beneath, &mut last, file, path)?);
        }
        Ok(())
    }

    fn find<'a>(
        &self,
        beneath: &Beneath<'_>,
        last: &mut LastFolder<'a>,
        file: FileIndex,
        path: &'a SafePath,
    ) -> Result<Found, StorageError> {
        if last.folder != path.parent() {
            let opened = beneath.open_parent(path.as_str()).map(|(parent, _)| parent);
            *last = LastFolder { folder: path.parent(), opened };
        }
        let parent = match &last.opened {
            Ok(parent) => parent,
            Err(StorageError::Missing { .. }) => return Ok(Found::Nothing),
            Err(StorageError::Io { source, .. }) => {
                let again =
                    source.raw_os_error().map_or_else(|| source.kind().into(), std::io::Error::from_raw_os_error);
                return Err(StorageError::io("look at", beneath.path(path.as_str()), again));
            }
            Err(_) => return Ok(Found::Unreachable),
        };
        let stat = |name: &str| {
            let found = beneath.stat(parent.as_ref().map(AsFd::as_fd), name);
            found.map_err(|errno| StorageError::io("look at", beneath.path(path.as_str()), errno))
        };
        let found = match self.suffix_of(file) {
            None => stat(path.file_name())?,
            Some(suffix) => self.find_named(file, path.file_name(), suffix, stat)?,
        };
        Ok(found.map_or(Found::Nothing, |stat| Found::Something(Box::new(stat))))
    }

    /// Looks under the name that the file has, or under both if that is not known yet.
    fn find_named(
        &self,
        file: FileIndex,
        own: &str,
        suffix: &str,
        stat: impl Fn(&str) -> Result<Option<Stat>, StorageError>,
    ) -> Result<Option<Stat>, StorageError> {
        let named = self.state().named.get(&file.0).copied();
        for (name, text) in [(Named::Own, own.into()), (Named::Part, format!("{own}{suffix}"))] {
            if named.is_none_or(|named| named == name)
                && let Some(found) = stat(&text)?
            {
                self.remember_name(file, name);
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The part file, or something in its place.
    pub(super) fn judge_plain(&self, file: FileIndex, stat: &Stat) -> FilePresence {
        match beneath::kind(stat) {
            FileType::RegularFile => self.present(file, stat, u64::try_from(stat.st_size).unwrap_or(0)),
            _ => FilePresence::NotAFile,
        }
    }

    fn judge(&self, file: FileIndex, stat: &Stat) -> FilePresence {
        let length = match (&self.place.files[file.0 as usize], beneath::kind(stat)) {
            (FilePlace::File { .. }, FileType::RegularFile) => u64::try_from(stat.st_size).unwrap_or(0),
            (FilePlace::Link { path, target }, FileType::Symlink) => {
                let text = std::fs::read_link(self.place.root.join(path.as_str()));
                if text.is_ok_and(|text| text.as_os_str().as_bytes() == link_text(path, target).as_bytes()) {
                    0
                } else {
                    return FilePresence::NotAFile;
                }
            }
            _ => return FilePresence::NotAFile,
        };
        self.present(file, stat, length)
    }

    fn present(&self, file: FileIndex, stat: &Stat, length: u64) -> FilePresence {
        let identity = identity(stat);
        let same_as_open = self.state().seen.get(file).is_none_or(|seen| seen == identity);
        FilePresence::Present { length, modified_ns: modified_ns(stat), identity, same_as_open }
    }

    /// Whether the file has a hole all over the extent.
    pub(super) fn extent_is_hole(&self, extent: Extent) -> bool {
        if self.rests_in_part(extent.file) {
            return false;
        }
        let Ok(open) = self.file(extent.file, Need::Read) else { return false };
        let end = extent.offset + extent.length;
        match next_data(&open.fd, extent.offset) {
            Some(Some(data)) => data >= end,
            // No data behind; but past its end a file has no bytes, not even zeros.
            Some(None) => {
                rustix::fs::fstat(&open.fd).is_ok_and(|stat| u64::try_from(stat.st_size).is_ok_and(|size| size >= end))
            }
            None => false,
        }
    }

    /// Whether the file has data all over the extent.
    pub(super) fn extent_has_no_hole(&self, way: &mut Way<'_>, extent: Extent) -> bool {
        if self.rests_in_part(extent.file) {
            return false;
        }
        let Ok(open) = way.file(extent.file, Need::Read) else { return false };
        // The end of a file counts as a hole.
        next_hole(&open.fd, extent.offset).is_some_and(|hole| hole >= extent.offset + extent.length)
    }
}

/// Where the next hole at or behind `offset` is; `None` if the file ends before that, or the system does not tell.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_vendor = "apple"))]
fn next_hole(fd: &OwnedFd, offset: u64) -> Option<u64> {
    rustix::fs::seek(fd, rustix::fs::SeekFrom::Hole(offset)).ok()
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_vendor = "apple")))]
fn next_hole(_: &OwnedFd, _: u64) -> Option<u64> {
    None
}

/// Where the next data at or behind `offset` is (`Some(None)`: none is); `None` if the system does not tell.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_vendor = "apple"))]
fn next_data(fd: &OwnedFd, offset: u64) -> Option<Option<u64>> {
    match rustix::fs::seek(fd, rustix::fs::SeekFrom::Data(offset)) {
        Ok(at) => Some(Some(at)),
        Err(rustix::io::Errno::NXIO) => Some(None),
        Err(_) => None,
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd", target_vendor = "apple")))]
fn next_data(_: &OwnedFd, _: u64) -> Option<Option<u64>> {
    None
}

#[allow(clippy::unnecessary_cast, clippy::cast_lossless, reason = "the fields' types depend on the system")]
fn modified_ns(stat: &Stat) -> i128 {
    stat.st_mtime as i128 * 1_000_000_000 + stat.st_mtime_nsec as i128
}
