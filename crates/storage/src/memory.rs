//! Torrents that rest in memory: for tests, the simulator and the demo, with faults on demand.

use std::io::{self, IoSlice, IoSliceMut};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use riverrun_metainfo::{Extent, FileIndex, Layout, Span};

use crate::{FilePresence, Presence, Storage, StorageError, extents};

/// A torrent in memory. Files grow as they are written, like files on a disk without preallocation.
#[derive(Debug)]
pub struct MemoryStorage {
    layout: Arc<Layout>,
    state: Mutex<State>,
}

/// What goes wrong on demand.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Faults {
    /// How many more bytes fit; the write that would go past this ends with "no space left".
    pub room_bytes: Option<u64>,
    /// Every read ends with this error of the system.
    pub read: Option<io::ErrorKind>,
    /// Every write ends with this error of the system.
    pub write: Option<io::ErrorKind>,
    /// Every sync ends with this error of the system.
    pub sync: Option<io::ErrorKind>,
}

#[derive(Debug)]
struct State {
    /// One entry per file of the layout; `None`: not there.
    files: Vec<Option<Vec<u8>>>,
    faults: Faults,
    changes: u64,
    counts: Counts,
}

/// How often the storage was asked for what.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Reads, whatever came of them.
    pub reads: u64,
    /// Writes, whatever came of them.
    pub writes: u64,
    /// Syncs, whatever came of them.
    pub syncs: u64,
}

impl MemoryStorage {
    /// A storage in which nothing is there yet.
    #[must_use]
    pub fn new(layout: Arc<Layout>) -> Self {
        let files = vec![None; layout.files().len()];
        let state = State { files, faults: Faults::default(), changes: 0, counts: Counts::default() };
        Self { layout, state: Mutex::new(state) }
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// How often it was asked for what.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// The bytes of a file, as far as they are there.
    #[must_use]
    pub fn file(&self, file: FileIndex) -> Option<Vec<u8>> {
        self.state().files.get(file.0 as usize)?.clone()
    }

    /// Puts a file there as if another program had; `None` deletes it.
    pub fn set_file(&self, file: FileIndex, bytes: Option<Vec<u8>>) {
        let mut state = self.state();
        state.changes += 1;
        if let Some(slot) = state.files.get_mut(file.0 as usize) {
            *slot = bytes;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Storage for MemoryStorage {
    fn read_at(&self, span: Span, into: &mut [IoSliceMut<'_>]) -> Result<(), StorageError> {
        let mut state = self.state();
        state.counts.reads += 1;
        if let Some(kind) = state.faults.read {
            return Err(StorageError::io("read", "memory", kind));
        }
        extents::read(&self.layout, span, into, |extent, slices| {
            let path = || name_of(extent.file);
            let file = state.files[extent.file.0 as usize].as_ref();
            let file = file.ok_or_else(|| StorageError::Missing { path: path() })?;
            let end = extent.offset + extent.length;
            let mut part = file.get(range_of(extent)).ok_or_else(|| StorageError::Short { path: path(), end })?;
            for slice in slices {
                let (front, back) = part.split_at(slice.len());
                slice.copy_from_slice(front);
                part = back;
            }
            Ok(())
        })
    }

    fn read_cached(&self, span: Span, into: &mut [IoSliceMut<'_>]) -> bool {
        self.read_at(span, into).is_ok()
    }

    fn write_at(&self, span: Span, from: &[IoSlice<'_>]) -> Result<(), StorageError> {
        let mut state = self.state();
        state.counts.writes += 1;
        if let Some(kind) = state.faults.write {
            return Err(StorageError::io("write", "memory", kind));
        }
        if let Some(room) = &mut state.faults.room_bytes {
            if *room < span.length {
                return Err(StorageError::io("write", "memory", io::ErrorKind::StorageFull));
            }
            *room -= span.length;
        }
        state.changes += 1;
        let files = &mut state.files;
        extents::write(&self.layout, span, from, |extent, slices| {
            let file = files[extent.file.0 as usize].get_or_insert_default();
            let range = range_of(extent);
            if file.len() < range.end {
                file.resize(range.end, 0);
            }
            let mut at = range.start;
            for slice in slices {
                file[at..at + slice.len()].copy_from_slice(slice);
                at += slice.len();
            }
            Ok(())
        })
    }

    fn sync(&self) -> Result<(), StorageError> {
        let mut state = self.state();
        state.counts.syncs += 1;
        match state.faults.sync {
            Some(kind) => Err(StorageError::io("sync", "memory", kind)),
            None => Ok(()),
        }
    }

    fn presence(&self) -> Result<Presence, StorageError> {
        let state = self.state();
        let entries = self.layout.files().iter().zip(&state.files).zip(0u64..);
        let files = entries.map(|((file, bytes), number)| match bytes {
            _ if file.pad => FilePresence::Pad,
            // Nobody writes an empty file: it is as there as it can be.
            None if file.length > 0 => FilePresence::Missing,
            bytes => FilePresence::Present {
                length: bytes.as_ref().map_or(0, |bytes| bytes.len() as u64),
                modified_ns: state.changes.into(),
                identity: (0, number),
                same_as_open: true,
            },
        });
        Ok(Presence { files: files.collect(), ..Presence::default() })
    }
}

fn range_of(extent: Extent) -> std::ops::Range<usize> {
    let size = |bytes: u64| usize::try_from(bytes).expect("what is in memory has sizes that fit");
    size(extent.offset)..size(extent.offset + extent.length)
}

fn name_of(file: FileIndex) -> PathBuf {
    format!("file {} in memory", file.0).into()
}
