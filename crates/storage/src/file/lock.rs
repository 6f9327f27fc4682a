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
    open_files: OpenFiles,
}

#[derive(Debug)]
struct Held {
    _file: Arc<OpenFile>,
    /// It counts in `open_files`.
    counted: bool,
}

impl Lock {
    pub(super) fn new(place: &Place, open_files: OpenFiles) -> Self {
        let first = place.files.iter().position(|file| matches!(file, FilePlace::File { .. }));
        let file = first.and_then(|first| u32::try_from(first).ok()).map(FileIndex);
        Self { file, settled: file.is_none().into(), held: Mutex::default(), open_files }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let held = self.held.get_mut().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_some_and(|held| held.counted) {
            self.open_files.release_lock();
        }
    }
}

impl FileStorage {
    /// Takes the lock if its file is there.
    pub(super) fn lock_if_there(&self) -> Result<(), StorageError> {
        match self.take_lock(Need::Read) {
            Err(StorageError::Missing { .. }) => Ok(()),
            result => result,
        }
    }

    /// Takes the lock before the first write, with its file created if need be.
    pub(super) fn lock_to_write(&self) -> Result<(), StorageError> {
        self.take_lock(Need::Write)
    }

    fn take_lock(&self, need: Need) -> Result<(), StorageError> {
        if self.lock.settled.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut held = self.lock.held.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(file) = self.lock.file.filter(|_| held.is_none()) else { return Ok(()) };
        let open = self.file(file, need)?;
        // A process that seeds very many torrents has no descriptor for each; then a reader goes without.
        let counted = self.lock.open_files.reserve_lock();
        if !counted && !self.writes() {
            tracing::debug!("too many open files: no lock");
            self.lock.settled.store(true, Ordering::Release);
            return Ok(());
        }
        let operation = if self.writes() {
            FlockOperation::NonBlockingLockExclusive
        } else {
            FlockOperation::NonBlockingLockShared
        };
        let result = rustix::fs::flock(&open.fd, operation);
        if result.is_err() && counted {
            self.lock.open_files.release_lock();
        }
        match result {
            Ok(()) => *held = Some(Held { _file: open, counted }),
            Err(Errno::WOULDBLOCK) => {
                return Err(StorageError::InUse { path: self.path_of(file).unwrap_or_default() });
            }
            // Some network file systems know no locks.
            Err(errno) => tracing::debug!(%errno, "no lock on the first file"),
        }
        self.lock.settled.store(true, Ordering::Release);
        Ok(())
    }
}
