//! The files that are held open, at most so many in the whole process (THREATS row L12).

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::fd::OwnedFd;
use rustix::fs::FileType;
use rustix::process::{Resource, getrlimit};

use super::cached::Cached;
use super::{beneath, identity};
use crate::StorageError;

/// When all are taken, this share of them is closed at once (one in so many).
const MAKE_ROOM: usize = 16;

/// Keeps files open, the least recently used closed first. Cheap to clone; all clones share one bound.
#[derive(Clone, Debug)]
pub struct OpenFiles {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    max: usize,
    table: Mutex<Table>,
    locks: AtomicUsize,
}

#[derive(Debug, Default)]
struct Table {
    files: HashMap<Key, Slot>,
    clock: u64,
}

#[derive(Debug)]
struct Slot {
    file: Arc<OpenFile>,
    used: u64,
}

/// Which file: the number of its storage and its number there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Key {
    pub(crate) storage: u64,
    pub(crate) file: u32,
}

/// One open file.
#[derive(Debug)]
pub(crate) struct OpenFile {
    pub(crate) fd: OwnedFd,
    pub(crate) writable: bool,
    /// Device and inode.
    pub(crate) identity: (u64, u64),
    /// How it is read where nothing may wait.
    pub(super) cached: Cached,
}

impl OpenFile {
    /// Takes a file that was just opened, if it is a regular one.
    pub(crate) fn regular(fd: OwnedFd, writable: bool, path: impl Fn() -> PathBuf) -> Result<Self, StorageError> {
        let stat = rustix::fs::fstat(&fd).map_err(|errno| StorageError::io("look at", path(), errno))?;
        match beneath::kind(&stat) {
            FileType::RegularFile => Ok(Self { fd, writable, identity: identity(&stat), cached: Cached::default() }),
            kind => Err(StorageError::InTheWay { path: path(), found: beneath::name_of(kind), expected: "a file" }),
        }
    }
}

impl OpenFiles {
    /// At most `max` files, at least four.
    #[must_use]
    pub fn new(max: usize) -> Self {
        let shared = Shared { max: max.max(4), table: Mutex::default(), locks: AtomicUsize::new(0) };
        Self { shared: Arc::new(shared) }
    }

    /// The one that everything in this process shares unless told otherwise: a third of the descriptors that the process may
    /// have, at most 1024, so that sockets find room too.
    #[must_use]
    pub fn of_process() -> Self {
        static OF_PROCESS: OnceLock<OpenFiles> = OnceLock::new();
        OF_PROCESS
            .get_or_init(|| {
                let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
                Self::new(usize::try_from((limit / 3).min(1024)).expect("at most 1024"))
            })
            .clone()
    }

    /// How many files are open now.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().files.len()
    }

    pub(crate) fn get(&self, key: Key) -> Option<Arc<OpenFile>> {
        let mut table = self.lock();
        table.clock += 1;
        let now = table.clock;
        let slot = table.files.get_mut(&key)?;
        slot.used = now;
        Some(Arc::clone(&slot.file))
    }

    /// Keeps a file. If another thread has opened it in the meantime with as many rights, that one is given back.
    pub(crate) fn keep(&self, key: Key, file: OpenFile) -> Arc<OpenFile> {
        let mut table = self.lock();
        if let Some(slot) = table.files.get(&key)
            && (slot.file.writable || !file.writable)
        {
            return Arc::clone(&slot.file);
        }
        table.clock += 1;
        let slot = Slot { file: Arc::new(file), used: table.clock };
        let file = Arc::clone(&slot.file);
        let replaced = table.files.insert(key, slot);
        let over = table.files.len() > self.shared.max;
        let closed = if over { table.remove_oldest(self.shared.max.div_ceil(MAKE_ROOM)) } else { Vec::new() };
        // Closing may take time, so it happens after the lock is gone.
        drop(table);
        drop((replaced, closed));
        file
    }

    /// Closes the older half: descriptors have run out.
    pub(crate) fn close_half(&self) {
        let mut table = self.lock();
        let count = table.files.len().div_ceil(2);
        let closed = table.remove_oldest(count);
        drop(table);
        drop(closed);
    }

    /// Closes one file.
    pub(super) fn close(&self, key: Key) {
        let closed = self.lock().files.remove(&key);
        // Closing may take time, so it happens after the lock is gone.
        drop(closed);
    }

    /// Closes all files of a storage.
    pub(crate) fn close_storage(&self, storage: u64) {
        let mut table = self.lock();
        let closed: Vec<_> = table.files.extract_if(|key, _| key.storage == storage).collect();
        drop(table);
        drop(closed);
    }

    /// Room for one more lock that stays open, if less than half of the bound is taken by such.
    pub(super) fn reserve_lock(&self) -> bool {
        let half = self.shared.max / 2;
        self.shared.locks.try_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < half).then_some(n + 1)).is_ok()
    }

    pub(super) fn release_lock(&self) {
        self.shared.locks.fetch_sub(1, Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // Nothing panics while it holds the lock half way through a change.
        self.shared.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    /// Looks at all once: it is to be asked for several, or a scan goes with each file that is opened.
    fn remove_oldest(&mut self, count: usize) -> Vec<Slot> {
        let mut ages: Vec<_> = self.files.iter().map(|(key, slot)| (slot.used, *key)).collect();
        if count < ages.len() {
            ages.select_nth_unstable_by_key(count, |(used, _)| *used);
            ages.truncate(count);
        }
        ages.iter().filter_map(|(_, key)| self.files.remove(key)).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn l12_the_files_used_longest_ago_are_closed_several_at_once() {
        let open_files = OpenFiles::new(2 * MAKE_ROOM);
        let key = |file| Key { storage: 1, file };
        let open = || OpenFile::regular(tempfile::tempfile().unwrap().into(), true, PathBuf::new).unwrap();
        let max = u32::try_from(2 * MAKE_ROOM).unwrap();
        (0..max).for_each(|file| _ = open_files.keep(key(file), open()));
        assert_eq!(open_files.count(), 2 * MAKE_ROOM);
        assert!(open_files.get(key(0)).is_some(), "used again");
        open_files.keep(key(max), open());
        assert_eq!(open_files.count(), 2 * MAKE_ROOM - 1);
        let left: Vec<u32> = (0..=max).filter(|file| open_files.get(key(*file)).is_some()).collect();
        let expected: Vec<u32> = [0].into_iter().chain(3..=max).collect();
        assert_eq!(left, expected, "the two that were used longest ago have gone");
        open_files.close_half();
        assert_eq!(open_files.count(), MAKE_ROOM - 1);
    }
}
