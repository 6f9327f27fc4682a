//! One writer or many readers: an advisory lock on the first file of a torrent (THREATS row L10).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use riverrun_metainfo::FileIndex;
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::open_files::{OpenFile, OpenFiles};
use super::{FilePlace, FileStorage, Need, Place};
use crate::StorageError;

/// The lock of one storage, held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    /// The first plain file, if there is any.
    file: Option<FileIndex>,
    settled: AtomicBool,
    /// Kept open, because closing it would give the lock up.
    held: Mutex<Option<Held>>,
}

#[derive(Debug)]
struct Held {
    _file: Arc<OpenFile>,
    /// Where it counts, if it does.
    counted: Option<OpenFiles>,
}

impl Lock {
    pub(super) fn new(place: &Place) -> Self {
        let first = place.files.iter().position(|file| matches!(file, FilePlace::File { .. }));
        Self::on(first.and_then(|first| u32::try_from(first).ok()).map(FileIndex))
    }

    /// A lock on this file.
    pub(super) fn on(file: Option<FileIndex>) -> Self {
        Self { file, settled: file.is_none().into(), held: Mutex::default() }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let held = self.held.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(Held { counted: Some(open_files), .. }) = held {
            open_files.release_lock();
        }
    }
}

impl FileStorage {
    /// Takes the locks whose files are there.
    pub(super) fn lock_if_there(&self) -> Result<(), StorageError> {
        for lock in [Some(&self.lock), self.part_lock.as_deref()].into_iter().flatten() {
            match self.take_lock(lock, Need::Read) {
                Err(StorageError::Missing { .. }) => {}
                result => result?,
            }
        }
        Ok(())
    }

    /// Takes the lock before the first write, with its file created if need be. If the first file is not wanted it is not made:
    /// the part file, which whoever comes later finds, stands in for it.
    pub(super) fn lock_to_write(&self) -> Result<(), StorageError> {
        if self.lock.file.is_none_or(|file| !self.overhang.takes(file)) {
            return self.take_lock(&self.lock, Need::Write);
        }
        match self.take_lock(&self.lock, Need::Read) {
            Err(StorageError::Missing { .. }) => {
                self.part_lock.as_deref().map_or(Ok(()), |lock| self.take_lock(lock, Need::Write))
            }
            result => result,
        }
    }

    fn take_lock(&self, lock: &Lock, need: Need) -> Result<(), StorageError> {
        if lock.settled.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut held = lock.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = lock.file.filter(|_| held.is_none()) else { return Ok(()) };
        let open = self.file(file, need)?;
        // A process that seeds very many torrents has no descriptor for each; then a reader goes without.
        let counted = self.open_files.reserve_lock();
        if !counted && !self.writes() {
            tracing::debug!("too many open files: no lock");
            lock.settled.store(true, Ordering::Release);
            return Ok(());
        }
        let operation = if self.writes() {
            FlockOperation::NonBlockingLockExclusive
        } else {
            FlockOperation::NonBlockingLockShared
        };
        let result = rustix::fs::flock(&open.fd, operation);
        if result.is_err() && counted {
            self.open_files.release_lock();
        }
        match result {
            Ok(()) => {
                *held = Some(Held { _file: open, counted: counted.then(|| self.open_files.clone()) });
            }
            Err(Errno::WOULDBLOCK) => {
                return Err(StorageError::InUse { path: self.path_of(file).unwrap_or_default() });
            }
            // Some network file systems know no locks.
            Err(errno) => tracing::debug!(%errno, "no lock on the first file"),
        }
        lock.settled.store(true, Ordering::Release);
        Ok(())
    }
}
