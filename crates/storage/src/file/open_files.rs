//! The files that are held open, at most so many in the whole process (THREATS row L12).

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::fd::OwnedFd;
use rustix::fs::FileType;
use rustix::process::{Resource, getrlimit};

use super::cached::Cached;
use super::{beneath, identity};
use crate::StorageError;

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
    pub(crate) fn regular(fd: OwnedFd, writable: bool, path: &Path) -> Result<Self, StorageError> {
        let stat = rustix::fs::fstat(&fd).map_err(|errno| StorageError::io("look at", path, errno))?;
        match beneath::kind(&stat) {
            FileType::RegularFile => Ok(Self { fd, writable, identity: identity(&stat), cached: Cached::default() }),
            kind => {
                Err(StorageError::InTheWay { path: path.into(), found: beneath::name_of(kind), expected: "a file" })
            }
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
        let mut closed = vec![table.files.insert(key, slot)];
        while table.files.len() > self.shared.max {
            closed.push(table.remove_oldest());
        }
        // Closing may take time, so it happens after the lock is gone.
        drop(table);
        drop(closed);
        file
    }

    /// Closes the older half: descriptors have run out.
    pub(crate) fn close_half(&self) {
        let mut table = self.lock();
        let count = table.files.len().div_ceil(2);
        let closed: Vec<_> = (0..count).map(|_| table.remove_oldest()).collect();
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
    /// A scan: it is short beside the system call that made it necessary.
    fn remove_oldest(&mut self) -> Option<Slot> {
        let oldest = self.files.iter().min_by_key(|(_, slot)| slot.used).map(|(key, _)| *key)?;
        self.files.remove(&oldest)
    }
}
