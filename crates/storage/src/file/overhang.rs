//! Bytes of files that are not wanted, in pieces that wanted files share: they rest in a part file, so that the pieces are whole and
//! no file appears that nobody wants.
//!
//! Invariants: a file that is not wanted is neither made nor changed; a fragment in the part file counts before the file's own bytes;
//! it goes only after its bytes were synced in the file. Which files are wanted can only grow while the storage is open: a file that
//! was wanted once keeps getting its bytes itself.

use std::collections::BTreeSet;
use std::io::{IoSlice, IoSliceMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use riverrun_metainfo::path::SafePath;
use riverrun_metainfo::{Extent, FileIndex, PieceIndex};
use rustix::fd::AsFd;
use rustix::fs::AtFlags;
use rustix::io::Errno;

use super::table::{self, Reading, Table};
use super::way::Way;
use super::{FileStorage, Need, read_exactly, sync};
use crate::extents::{front_of, take_front};
use crate::{FilePresence, StorageError};

/// The number of the part file among the files of a storage.
pub(super) const PART_FILE: FileIndex = FileIndex(u32::MAX);

/// The part file of a storage, and what goes into it.
#[derive(Debug, Default)]
pub(super) struct Overhang {
    /// Where it is beneath the root; `None`: every file takes its own bytes.
    pub(super) path: Option<SafePath>,
    /// Something may rest there, or go there.
    used: AtomicBool,
    /// It was said which files are wanted.
    decided: AtomicBool,
    /// Made when something of it is needed: few of thousands of torrents have a part file.
    rests: OnceLock<Box<Rests>>,
}

/// What rests in a part file, and what will.
#[derive(Debug, Default)]
struct Rests {
    /// The files whose bytes go there. Held to write while bytes move from there to files.
    apart: RwLock<BTreeSet<u32>>,
    table: Mutex<Table>,
}

impl Overhang {
    pub(super) fn new(path: Option<SafePath>) -> Self {
        Self { path, ..Self::default() }
    }

    fn rests(&self) -> &Rests {
        self.rests.get_or_init(Box::default)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Nothing panics while it holds the lock half way through a change.
        self.rests().table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To change whose bytes go there.
    fn apart_to_change(&self) -> RwLockWriteGuard<'_, BTreeSet<u32>> {
        self.rests().apart.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn apart(&self) -> Option<RwLockReadGuard<'_, BTreeSet<u32>>> {
        self.used.load(Ordering::Acquire).then(|| self.rests().apart.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a file's bytes go to the part file.
    pub(super) fn takes(&self, file: FileIndex) -> bool {
        self.apart().is_some_and(|apart| apart.contains(&file.0))
    }
}

impl FileStorage {
    /// Reads what an earlier run left, if there is something.
    pub(super) fn load_overhang(&self) -> Result<(), StorageError> {
        if self.overhang.path.is_none() {
            return Ok(());
        }
        let open = match self.file(PART_FILE, Need::Read) {
            Err(StorageError::Missing { .. }) => return Ok(()),
            result => result?,
        };
        let path = || self.path_of(PART_FILE).unwrap_or_default();
        let read = Table::read(&open.fd, &self.layout).map_err(|errno| StorageError::io("read", path(), errno))?;
        let (found, expected) = ("something else", "the part file of this torrent");
        *self.overhang.table() = match read {
            Reading::Fresh => Table::default(),
            Reading::Ours(table) => table,
            Reading::Foreign => return Err(StorageError::InTheWay { path: path(), found, expected }),
        };
        self.overhang.used.store(true, Ordering::Release);
        Ok(())
    }

    /// The first time, the bytes of all files but these go to the part file from now on.
    pub(super) fn set_apart(&self, wanted: &impl Fn(FileIndex) -> bool) {
        if self.overhang.path.is_none() || self.overhang.decided.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut apart = self.overhang.apart_to_change();
        apart.extend(self.real_files().filter(|file| !wanted(*file)).map(|file| file.0));
        if !apart.is_empty() {
            self.overhang.used.store(true, Ordering::Release);
        }
    }

    /// Moves the bytes of wanted files out of the part file; from now on they take them themselves. The lock must be held.
    pub(super) fn gather_wanted(&self, wanted: &impl Fn(FileIndex) -> bool) -> Result<(), StorageError> {
        if !self.overhang.used.load(Ordering::Acquire) {
            return Ok(());
        }
        let mut apart = self.overhang.apart_to_change();
        for file in self.real_files().filter(|file| wanted(*file)) {
            self.move_out(file)?;
            apart.remove(&file.0);
        }
        if apart.is_empty() { self.remove_part_file_if_empty() } else { Ok(()) }
    }

    fn real_files(&self) -> impl Iterator<Item = FileIndex> {
        let files = (0u32..).map(FileIndex).zip(&self.place.files);
        files.filter(|(_, place)| place.path().is_some()).map(|(file, _)| file)
    }

    /// Copies the fragments of a file into the file, syncs it, and then lets go of them.
    fn move_out(&self, file: FileIndex) -> Result<(), StorageError> {
        let pieces: Vec<PieceIndex> = self.overhang.table().fragments_of(file).collect();
        let (mut way, mut moved) = (self.way(), Vec::new());
        for piece in pieces {
            let Some(whole) = table::fragment(&self.layout, file, piece) else { continue };
            let mut bytes = vec![0; usize::try_from(whole.length).expect("no longer than a piece")];
            let place = self.overhang.table().place(&self.layout, piece, whole);
            match self.read_part(&mut way, place, whole, &mut [IoSliceMut::new(&mut bytes)]) {
                // It was cut short by a loss of power, so nothing is there to keep.
                Err(StorageError::Short { .. }) => {}
                result => {
                    result?;
                    self.write_to(&mut way, whole, &mut [IoSlice::new(&bytes)])?;
                }
            }
            moved.push(piece);
        }
        if moved.is_empty() {
            return Ok(());
        }
        let open = way.file(file, Need::Write)?;
        sync::sync_data(&open.fd).map_err(|errno| self.sync_error(file.0, errno))?;
        let part = way.file(PART_FILE, Need::Write)?;
        let failed = |errno| StorageError::io("write", self.path_of(PART_FILE).unwrap_or_default(), errno);
        let mut table = self.overhang.table();
        moved.into_iter().try_for_each(|piece| table.remove(&part.fd, file, piece)).map_err(failed)?;
        self.state().unsynced.insert(PART_FILE.0);
        Ok(())
    }

    fn remove_part_file_if_empty(&self) -> Result<(), StorageError> {
        let (Some(path), true) = (&self.overhang.path, self.overhang.table().is_empty()) else { return Ok(()) };
        let beneath = match self.beneath() {
            Err(StorageError::Missing { .. }) => return Ok(()),
            result => result?,
        };
        let Ok((parent, name)) = beneath.open_parent(path.as_str()) else { return Ok(()) };
        let parent = parent.as_ref().map_or(beneath.fd(), AsFd::as_fd);
        let Ok(Some(found)) = beneath.stat(Some(parent), name) else { return Ok(()) };
        // Nothing but what we have read or made is ours to remove.
        if self.state().seen.get(PART_FILE) != Some(super::identity(&found)) {
            return Ok(());
        }
        match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {
                self.reopen(PART_FILE);
                // So that the next sync makes it last.
                self.state().created.insert(PART_FILE.0);
                *self.overhang.table() = Table::default();
                Ok(())
            }
            Err(errno) => Err(StorageError::io("remove", beneath.path(path.as_str()), errno)),
        }
    }

    /// What goes when the storage does: a part file in which nothing is left.
    pub(super) fn leave_overhang(&self) {
        if self.writes()
            && self.overhang.used.load(Ordering::Acquire)
            && let Err(error) = self.remove_part_file_if_empty()
        {
            tracing::debug!(%error, "an empty part file stays");
        }
    }

    /// Whether something rests in the part file.
    #[must_use]
    pub fn uses_part_file(&self) -> bool {
        self.overhang.used.load(Ordering::Acquire) && !self.overhang.table().is_empty()
    }

    /// Lets go of a part file that is not the one that was open any more: what is there now counts.
    ///
    /// # Errors
    /// It cannot be read, or is none.
    pub fn reopen_part_file(&self) -> Result<(), StorageError> {
        self.reopen(PART_FILE);
        *self.overhang.table() = Table::default();
        self.load_overhang()
    }

    /// The part file as it is now.
    pub(super) fn part_file_presence(&self) -> Result<FilePresence, StorageError> {
        let Some(path) = self.overhang.path.as_ref().filter(|_| self.overhang.used.load(Ordering::Acquire)) else {
            return Ok(FilePresence::Missing);
        };
        let beneath = match self.beneath() {
            Err(StorageError::Missing { .. }) => return Ok(FilePresence::Missing),
            result => result?,
        };
        let found = match beneath.open_parent(path.as_str()) {
            Err(StorageError::Missing { .. }) => return Ok(FilePresence::Missing),
            Err(_) => return Ok(FilePresence::NotAFile),
            Ok((parent, name)) => beneath.stat(parent.as_ref().map(AsFd::as_fd), name),
        };
        let found = found.map_err(|errno| StorageError::io("look at", beneath.path(path.as_str()), errno))?;
        Ok(found.map_or(FilePresence::Missing, |stat| self.judge_plain(PART_FILE, &stat)))
    }

    /// Whether something of this file rests in the part file.
    pub(super) fn rests_in_part(&self, file: FileIndex) -> bool {
        self.overhang.used.load(Ordering::Acquire) && self.overhang.table().has_of(file)
    }

    /// Whether something that rests in the part file for this file is in the file as well: then the file is this torrent's, whoever
    /// made it.
    ///
    /// # Errors
    /// The disk failed.
    pub fn has_what_rests_apart(&self, file: FileIndex) -> Result<bool, StorageError> {
        let Some(_apart) = self.overhang.apart() else { return Ok(false) };
        let pieces: Vec<PieceIndex> = self.overhang.table().fragments_of(file).collect();
        for piece in pieces {
            let Some(whole) = table::fragment(&self.layout, file, piece) else { continue };
            let place = self.overhang.table().place(&self.layout, piece, whole);
            let length = usize::try_from(whole.length).expect("no longer than a piece");
            let (mut here, mut apart) = (vec![0; length], vec![0; length]);
            let mut way = self.way();
            let read = self
                .read_part(&mut way, place, whole, &mut [IoSliceMut::new(&mut apart)])
                .and_then(|()| self.read_from(&mut way, whole, &mut [IoSliceMut::new(&mut here)]));
            match read {
                Ok(()) if here == apart => return Ok(true),
                Ok(()) | Err(StorageError::Short { .. } | StorageError::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    pub(super) fn extent_rests_apart(&self, extent: Extent) -> bool {
        let Some(_apart) = self.overhang.apart() else { return false };
        let table = self.overhang.table();
        table::by_piece(&self.layout, extent).all(|(piece, part)| table.place(&self.layout, piece, part).is_some())
    }

    /// Reads an extent from the file, and from the part file what rests there.
    pub(super) fn read_extent(
        &self,
        way: &mut Way<'_>,
        extent: Extent,
        into: &mut [IoSliceMut<'_>],
    ) -> Result<(), StorageError> {
        let apart = self.overhang.apart();
        if apart.is_none() || !self.overhang.table().has_of(extent.file) {
            return self.read_from(way, extent, into);
        }
        let mut rest: Vec<&mut [u8]> = into.iter_mut().rev().map(|slice| &mut **slice).collect();
        for (piece, part) in table::by_piece(&self.layout, extent) {
            let mut slices: Vec<_> = take_front(&mut rest, part.length).into_iter().map(IoSliceMut::new).collect();
            let place = self.overhang.table().place(&self.layout, piece, part);
            self.read_part(way, place, part, &mut slices)?;
        }
        Ok(())
    }

    /// Reads an extent that lies within one piece: at this place of the part file, or from the file if there is none.
    fn read_part(
        &self,
        way: &mut Way<'_>,
        place: Option<u64>,
        extent: Extent,
        into: &mut [IoSliceMut<'_>],
    ) -> Result<(), StorageError> {
        let Some(offset) = place else { return self.read_from(way, extent, into) };
        let open = way.file(PART_FILE, Need::Read)?;
        let there = Extent { file: PART_FILE, offset, ..extent };
        read_exactly(&open, there, into, || self.path_of(PART_FILE).unwrap_or_default())
    }

    /// Writes an extent to its file, or to the part file if the file is not wanted.
    pub(super) fn write_extent(
        &self,
        way: &mut Way<'_>,
        extent: Extent,
        from: &mut [IoSlice<'_>],
    ) -> Result<(), StorageError> {
        // Held until the bytes are written, so that they do not miss a move.
        let apart = self.overhang.apart();
        if apart.as_ref().is_none_or(|apart| !apart.contains(&extent.file.0)) {
            return self.write_to(way, extent, from);
        }
        let mut rest = from;
        for (piece, part) in table::by_piece(&self.layout, extent) {
            let place = self.make_room(way, part.file, piece, part)?;
            let there = Extent { file: PART_FILE, offset: place, ..part };
            self.write_to(way, there, &mut front_of(rest, part.length))?;
            let length = usize::try_from(part.length).expect("no longer than the buffers");
            IoSlice::advance_slices(&mut rest, length);
        }
        Ok(())
    }

    /// The place of an extent in the part file, which is made if need be.
    fn make_room(
        &self,
        way: &mut Way<'_>,
        file: FileIndex,
        piece: PieceIndex,
        extent: Extent,
    ) -> Result<u64, StorageError> {
        let open = way.file(PART_FILE, Need::Write)?;
        let mut table = self.overhang.table();
        if table.place(&self.layout, piece, extent).is_none() {
            self.state().unsynced.insert(PART_FILE.0);
            let added = table.add(&open.fd, &self.layout, file, piece);
            added.map_err(|errno| StorageError::io("write", self.path_of(PART_FILE).unwrap_or_default(), errno))?;
        }
        table
            .place(&self.layout, piece, extent)
            .ok_or(StorageError::BadSpan { offset: extent.offset, length: extent.length })
    }
}

#[cfg(test)]
mod tests;
