//! Reads of what the system has in memory, for threads that must not wait for a device.

use std::io::IoSliceMut;
use std::sync::atomic::{AtomicU8, Ordering};

use riverrun_metainfo::Extent;

use super::OpenFile;
use crate::StorageError;

/// The bytes are not in memory, or it cannot be told whether they are.
pub(super) struct NotCached;

impl From<StorageError> for NotCached {
    fn from(_: StorageError) -> Self {
        Self
    }
}

/// How the file system of an open file lets us read without waiting: one of the constants, learned by the first read.
#[derive(Debug, Default)]
pub(crate) struct Cached(AtomicU8);

impl Cached {
    /// Not tried, or it went well: the system is told not to wait.
    const ASKING: u8 = 0;
    /// There is no device to wait for: any read will do.
    const IN_MEMORY: u8 = 1;
    /// It cannot.
    const NEVER: u8 = 2;
}

impl OpenFile {
    /// Fills the slices with an extent if all of it is in memory.
    #[cfg(target_os = "linux")]
    pub(super) fn read_cached(&self, extent: Extent, mut into: &mut [IoSliceMut<'_>]) -> Result<(), NotCached> {
        use rustix::io::{Errno, ReadWriteFlags};

        let (mut offset, end) = (extent.offset, extent.offset + extent.length);
        while offset < end {
            let flags = match self.cached.0.load(Ordering::Relaxed) {
                Cached::ASKING => ReadWriteFlags::NOWAIT,
                Cached::IN_MEMORY => ReadWriteFlags::empty(),
                _ => return Err(NotCached),
            };
            let count = into.len().min(super::IOV_MAX);
            match rustix::io::preadv2(&self.fd, &mut into[..count], offset, flags) {
                Ok(count) if count > 0 => {
                    offset += count as u64;
                    IoSliceMut::advance_slices(&mut into, count);
                }
                Err(Errno::INTR) => {}
                Err(Errno::OPNOTSUPP | Errno::NOSYS) if flags == ReadWriteFlags::NOWAIT => {
                    let how = if self.rests_in_memory() { Cached::IN_MEMORY } else { Cached::NEVER };
                    self.cached.0.store(how, Ordering::Relaxed);
                }
                // Not in memory (EAGAIN), or something that a read which may wait will tell.
                Ok(_) | Err(_) => return Err(NotCached),
            }
        }
        Ok(())
    }

    /// Nobody can be told not to wait here.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn read_cached(&self, _: Extent, _: &mut [IoSliceMut<'_>]) -> Result<(), NotCached> {
        let _ = (Cached::ASKING, Cached::IN_MEMORY);
        self.cached.0.store(Cached::NEVER, Ordering::Relaxed);
        Err(NotCached)
    }

    /// Whether its file system has no device; but for what was swapped out, and whoever swaps has slower things to wait for.
    #[cfg(target_os = "linux")]
    fn rests_in_memory(&self) -> bool {
        // As in linux/magic.h: tmpfs and ramfs.
        const IN_MEMORY: [u32; 2] = [0x0102_1994, 0x8584_58f6];
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "32 bits, in a field as wide as the system likes"
        )]
        rustix::fs::fstatfs(&self.fd).is_ok_and(|stat| IN_MEMORY.contains(&(stat.f_type as u32)))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::{IoSlice, IoSliceMut};
    use std::path::Path;
    use std::sync::Arc;

    use riverrun_metainfo::path::{NameRules, SafePath};
    use riverrun_metainfo::{Layout, Span};

    use super::*;
    use crate::{Access, FileOptions, FilePlace, FileStorage, Place, Storage};

    const LENGTH: u64 = 300_000;

    /// A torrent of two files with padding between them, in this folder.
    fn open(root: &Path, access: Access) -> FileStorage {
        let layout = Layout::v1(1 << 16, [(LENGTH, false), (5000, true), (LENGTH, false)]).unwrap();
        let file =
            |path| FilePlace::File { path: SafePath::parse(path, NameRules::default()).unwrap(), executable: false };
        let place = Place { root: root.into(), files: vec![file("a"), FilePlace::Pad, file("b")] };
        FileStorage::open(place, Arc::new(layout), FileOptions { access, ..FileOptions::default() }).unwrap()
    }

    fn write(root: &Path) -> Vec<u8> {
        let length = 2 * LENGTH + 5000;
        let mut bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        let writer = open(root, Access::ReadWrite);
        writer.write_at(Span { offset: 0, length }, &[IoSlice::new(&bytes)]).unwrap();
        writer.sync().unwrap();
        bytes[300_000..305_000].fill(0);
        bytes
    }

    fn cached(storage: &FileStorage, span: Span) -> Option<Vec<u8>> {
        let mut bytes = vec![7; usize::try_from(span.length).unwrap()];
        let third = bytes.len() / 3;
        let (front, back) = bytes.split_at_mut(third);
        let read = storage.read_cached(span, &mut [IoSliceMut::new(front), IoSliceMut::new(back)]);
        read.then_some(bytes)
    }

    fn read(storage: &FileStorage, span: Span) -> Vec<u8> {
        let mut bytes = vec![7; usize::try_from(span.length).unwrap()];
        storage.read_at(span, &mut [IoSliceMut::new(&mut bytes)]).unwrap();
        bytes
    }

    fn gives_what_is_in_memory(root: &Path) {
        let bytes = write(root);
        let reader = open(root, Access::ReadOnly);
        let spans = [(0, 100_000), (250_000, 200_000), (299_999, 5002), (604_999, 1), (0, 605_000)];
        for (offset, length) in spans.map(|(offset, length): (usize, usize)| (offset, length)) {
            let span = Span { offset: offset as u64, length: length as u64 };
            let expected = &bytes[offset..offset + length];
            assert_eq!(read(&reader, span), expected);
            assert_eq!(cached(&reader, span).unwrap(), expected, "{span:?}: what was read just now is in memory");
        }
    }

    #[test]
    fn what_is_in_memory_is_read_without_waiting() {
        gives_what_is_in_memory(tempfile::tempdir().unwrap().path());
    }

    #[test]
    fn tmpfs_has_nothing_to_wait_for() {
        // It refuses to be told not to wait.
        gives_what_is_in_memory(tempfile::tempdir_in("/dev/shm").unwrap().path());
    }

    #[test]
    fn files_that_are_not_open_or_end_early_are_left_to_who_may_wait() {
        let root = tempfile::tempdir().unwrap();
        write(root.path());
        let reader = open(root.path(), Access::ReadOnly);
        let span = Span { offset: 400_000, length: 1000 };
        assert_eq!(cached(&reader, span), None, "nobody has opened the file");
        read(&reader, span);
        assert!(cached(&reader, span).is_some());
        assert_eq!(cached(&reader, Span { offset: 604_999, length: 2 }), None, "past the end");
        std::fs::File::options().write(true).open(root.path().join("b")).unwrap().set_len(95_000).unwrap();
        assert_eq!(cached(&reader, span), None, "the file was cut");
        assert!(cached(&reader, Span { offset: 399_000, length: 1000 }).is_some());
    }

    #[test]
    fn what_the_system_has_dropped_is_not_waited_for() {
        // A folder of the build, because temporary files may rest in memory.
        let root = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let bytes = write(root.path());
        let reader = open(root.path(), Access::ReadOnly);
        let span = Span { offset: 200_000, length: 50_000 };
        read(&reader, Span { offset: 0, length: 1 });
        let file = std::fs::File::open(root.path().join("a")).unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        let open = OpenFile::regular(file.into(), false, || root.path().into()).unwrap();
        assert_eq!(cached(&reader, span).is_some(), open.rests_in_memory());
        assert_eq!(read(&reader, span), &bytes[200_000..250_000]);
        assert_eq!(cached(&reader, span).unwrap(), &bytes[200_000..250_000]);
    }
}
