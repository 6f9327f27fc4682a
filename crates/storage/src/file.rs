//! Torrents that rest in files of a folder.
//!
//! Invariants: no file is opened through a symbolic link or outside the root; nothing is created or changed in read-only mode;
//! a file that was open once is never silently exchanged for another one under the same path.

mod beneath;
mod cached;
mod lock;
mod open_files;
mod overhang;
mod part;
mod place;
mod prepare;
mod presence;
mod seen;
mod space;
mod sync;
pub(crate) mod table;
#[cfg(test)]
mod tests;
mod way;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IoSlice, IoSliceMut};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use riverrun_metainfo::path::SafePath;
use riverrun_metainfo::{Extent, FileIndex, Layout, Span};
use rustix::fs::Stat;
use rustix::io::Errno;

use crate::{Presence, Storage, StorageError, extents};
use beneath::Beneath;
use cached::NotCached;
use lock::Lock;
pub use open_files::OpenFiles;
pub(crate) use open_files::{Key, OpenFile};
use overhang::{Overhang, PART_FILE};
pub use part::{BadSuffix, PartSuffix};
use part::{Named, PartNames};
pub use place::{FilePlace, Place};
use seen::Seen;
pub use space::Space;
use way::Way;

/// Whether files may be created and changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Access {
    /// Nothing is ever created or changed.
    #[default]
    ReadOnly,
    /// Files are created when they are first written.
    ReadWrite,
}

/// What is done about a file's size before its bytes come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Preallocation {
    /// Files are made and grow as bytes come.
    None,
    /// Files of a MiB and more have their size from the start, but take room only as bytes come; smaller ones are made and grow as
    /// bytes come.
    #[default]
    Sparse,
    /// Files have their size and their room from the start.
    Full,
}

/// How a storage of files is opened.
#[derive(Clone, Debug)]
pub struct FileOptions {
    /// Whether it may write.
    pub access: Access,
    /// What [`FileStorage::prepare`] does about sizes.
    pub preallocation: Preallocation,
    /// Where files are held open.
    pub open_files: OpenFiles,
    /// What stands behind the names of files that are not complete; [`FileStorage::give_names`] takes it away.
    pub part_suffix: Option<PartSuffix>,
    /// The path of the part file beneath the root, where bytes rest that files which are not wanted have of pieces that are (see
    /// [`FileStorage::prepare`]). `None`: such files are made, and have these bytes alone.
    pub part_file: Option<SafePath>,
}

impl Default for FileOptions {
    fn default() -> Self {
        Self {
            access: Access::default(),
            preallocation: Preallocation::default(),
            open_files: OpenFiles::of_process(),
            part_suffix: None,
            part_file: None,
        }
    }
}

/// A torrent in files beneath one root.
#[derive(Debug)]
pub struct FileStorage {
    /// Tells this storage's files from others in `open_files`.
    number: u64,
    place: Place,
    layout: Arc<Layout>,
    access: Access,
    preallocation: Preallocation,
    open_files: OpenFiles,
    state: Mutex<State>,
    lock: Lock,
    /// Only where there may be a part file.
    part_lock: Option<Box<Lock>>,
    /// Only where files have a suffix.
    parts: Option<Box<PartNames>>,
    overhang: Overhang,
    /// Held to write while a file gets another name, to read while one is opened or looked at by its name.
    naming: RwLock<()>,
}

/// What changes while it is open.
#[derive(Debug, Default)]
struct State {
    /// Device and inode of the root when it was first seen.
    root: Option<(u64, u64)>,
    /// The root was made by us and not synced since.
    made_root: bool,
    /// What every file was when it was first opened.
    seen: Seen,
    /// Files that were not there when they were made ready, and are made when their first bytes come.
    absent: BTreeSet<u32>,
    /// Which of its names a file has, as far as that is known. Only in a storage with a suffix for parts.
    named: BTreeMap<u32, Named>,
    /// Files written since the last sync.
    unsynced: BTreeSet<u32>,
    /// Files created since the last sync.
    created: BTreeSet<u32>,
    /// A sync has failed: what it should have kept may be lost without a further word, so no later one may claim success.
    sync_failed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    Read,
    Write,
}

impl FileStorage {
    /// Opens a torrent's files; none is created before [`prepare`](Self::prepare) or the first write.
    ///
    /// Takes an advisory lock on the first file as soon as it exists: shared for readers, exclusive for writers (THREATS L10).
    ///
    /// # Errors
    /// The places do not fit the layout; in read-only mode the root is not there; a link or something else stands in the way of the
    /// root or the first file; the files are in use.
    pub fn open(place: Place, layout: Arc<Layout>, options: FileOptions) -> Result<Self, StorageError> {
        let place = place.fitted(&layout)?;
        let number = next_number();
        let FileOptions { access, preallocation, open_files, part_suffix, part_file } = options;
        let lock = Lock::new(&place);
        let parts = part_suffix.map(|suffix| Box::new(PartNames::new(suffix, &place, &layout)));
        let part_lock = part_file.as_ref().map(|_| Box::new(Lock::on(Some(PART_FILE))));
        let storage = Self {
            number,
            place,
            layout,
            access,
            preallocation,
            open_files,
            state: Mutex::default(),
            lock,
            part_lock,
            parts,
            overhang: Overhang::new(part_file),
            naming: RwLock::default(),
        };
        match storage.beneath() {
            Ok(_) => {}
            Err(StorageError::Missing { .. }) if storage.writes() => return Ok(storage),
            Err(error) => return Err(error),
        }
        storage.lock_if_there()?;
        storage.load_overhang()?;
        Ok(storage)
    }

    /// The layout that the files follow.
    #[must_use]
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The folder that everything is beneath.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.place.root
    }

    /// Where a file is now; `None` for padding.
    #[must_use]
    pub fn path_of(&self, file: FileIndex) -> Option<PathBuf> {
        let path = self.own_path(file)?;
        Some(self.place.root.join(&*self.path_now(file, path)))
    }

    /// Lets go of the file that was held open under this path: whatever stands there from now on, nothing included, is the
    /// torrent's. Only for an owner who has seen that the file changed and forgets or checks its pieces (THREATS L4).
    pub fn reopen(&self, file: FileIndex) {
        self.open_files.close(Key { storage: self.number, file: file.0 });
        let mut state = self.state();
        state.seen.forget(file);
        state.named.remove(&file.0);
        state.absent.remove(&file.0);
        state.unsynced.remove(&file.0);
        state.created.remove(&file.0);
    }

    fn writes(&self) -> bool {
        self.access == Access::ReadWrite
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock half way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the root and makes sure that it is still the same.
    fn beneath(&self) -> Result<Beneath<'_>, StorageError> {
        let root = self.place.root.as_path();
        let seen = self.state().root;
        let beneath = match Beneath::open(root) {
            Err(StorageError::Missing { path }) if seen.is_some() => return Err(StorageError::RootGone { path }),
            result => result?,
        };
        let stat = rustix::fs::fstat(beneath.fd()).map_err(|errno| StorageError::io("look at", root, errno))?;
        match seen {
            Some(seen) if seen != identity(&stat) => Err(StorageError::RootGone { path: root.into() }),
            Some(_) => Ok(beneath),
            None => {
                self.state().root = Some(identity(&stat));
                Ok(beneath)
            }
        }
    }

    /// The same, but makes the root if it never was there.
    fn beneath_to_write(&self) -> Result<Beneath<'_>, StorageError> {
        match self.beneath() {
            Err(StorageError::Missing { path }) => {
                std::fs::create_dir_all(&path).map_err(|source| StorageError::io("create", path, source))?;
                self.state().made_root = true;
                self.beneath()
            }
            result => result,
        }
    }

    /// The path that a file has in the end.
    fn own_path(&self, file: FileIndex) -> Option<&SafePath> {
        match file {
            PART_FILE => self.overhang.path.as_ref(),
            file => self.place.files.get(file.0 as usize)?.path(),
        }
    }

    fn place_of(&self, file: FileIndex) -> Result<(&SafePath, bool), StorageError> {
        if let Some(path) = self.overhang.path.as_ref().filter(|_| file == PART_FILE) {
            return Ok((path, false));
        }
        match self.place.files.get(file.0 as usize) {
            Some(FilePlace::File { path, executable }) => Ok((path, *executable)),
            // Neither padding nor links have bytes on disk, so no extent leads here.
            _ => Err(StorageError::BadSpan { offset: 0, length: 0 }),
        }
    }

    /// Remembers which file it is; another one than the first time is an error (THREATS L4).
    fn recognise(&self, file: FileIndex, path: &str, open: &OpenFile) -> Result<(), StorageError> {
        if self.state().seen.note(file, open.identity) == open.identity {
            return Ok(());
        }
        Err(StorageError::Replaced { path: self.place.root.join(path) })
    }

    /// Reads an extent from its file.
    fn read_from(&self, way: &mut Way<'_>, extent: Extent, into: &mut [IoSliceMut<'_>]) -> Result<(), StorageError> {
        let open = way.file(extent.file, Need::Read)?;
        read_exactly(&open, extent, into, || self.path_of(extent.file).unwrap_or_default())
    }

    /// Writes an extent to a file.
    fn write_to(&self, way: &mut Way<'_>, extent: Extent, from: &mut [IoSlice<'_>]) -> Result<(), StorageError> {
        let file = extent.file;
        let open = way.file(file, Need::Write)?;
        let (mut from, mut offset) = (from, extent.offset);
        let end = extent.offset + extent.length;
        let mut result = Ok(());
        while offset < end {
            match rustix::io::pwritev(&open.fd, &from[..IOV_MAX.min(from.len())], offset) {
                Ok(0) => {
                    result = Err(std::io::ErrorKind::WriteZero.into());
                    break;
                }
                Ok(count) => {
                    offset += count as u64;
                    IoSlice::advance_slices(&mut from, count);
                }
                Err(Errno::INTR) => {}
                Err(errno) => {
                    result = Err(std::io::Error::from(errno));
                    break;
                }
            }
        }
        // After the bytes, so that a sync at the same time cannot take the mark and miss them.
        self.state().unsynced.insert(file.0);
        result
            .map_err(|source: std::io::Error| StorageError::io("write", self.path_of(file).unwrap_or_default(), source))
    }
}

/// Fills the slices with an extent of an open file.
pub(crate) fn read_exactly(
    open: &OpenFile,
    extent: Extent,
    mut into: &mut [IoSliceMut<'_>],
    path: impl FnOnce() -> PathBuf,
) -> Result<(), StorageError> {
    let mut offset = extent.offset;
    let end = extent.offset + extent.length;
    while offset < end {
        let count = into.len().min(IOV_MAX);
        match rustix::io::preadv(&open.fd, &mut into[..count], offset) {
            Ok(0) => return Err(StorageError::Short { path: path(), end }),
            Ok(count) => {
                offset += count as u64;
                IoSliceMut::advance_slices(&mut into, count);
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(StorageError::io("read", path(), errno)),
        }
    }
    Ok(())
}

/// Asks the system to read an extent into its cache. It is a hint, so it cannot fail.
pub(crate) fn read_ahead(open: &OpenFile, extent: Extent) {
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
    let _ = rustix::fs::fadvise(
        &open.fd,
        extent.offset,
        std::num::NonZeroU64::new(extent.length),
        rustix::fs::Advice::WillNeed,
    );
    #[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
    let _ = (open, extent);
}

/// Numbers that tell the files of one storage from those of others.
pub(crate) fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The most slices that one system call takes.
const IOV_MAX: usize = 1024;

impl Storage for FileStorage {
    fn read_at(&self, span: Span, into: &mut [IoSliceMut<'_>]) -> Result<(), StorageError> {
        let mut way = self.way();
        extents::read(&self.layout, span, into, |extent, slices| self.read_extent(&mut way, extent, slices))
    }

    fn read_cached(&self, span: Span, into: &mut [IoSliceMut<'_>]) -> bool {
        let read = |extent: Extent, slices: &mut [IoSliceMut<'_>]| {
            // Opening a file may take time.
            let open = self.open_files.get(Key { storage: self.number, file: extent.file.0 });
            open.ok_or(NotCached).and_then(|open| open.read_cached(extent, slices))
        };
        extents::read(&self.layout, span, into, read).is_ok()
    }

    fn write_at(&self, span: Span, from: &[IoSlice<'_>]) -> Result<(), StorageError> {
        if !self.writes() {
            return Err(StorageError::ReadOnly { path: self.place.root.clone() });
        }
        self.lock_to_write()?;
        let mut way = self.way();
        extents::write(&self.layout, span, from, |extent, slices| self.write_extent(&mut way, extent, slices))
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.sync_files()
    }

    fn presence(&self) -> Result<Presence, StorageError> {
        self.look()
    }

    fn is_hole(&self, span: Span) -> bool {
        extents::parts(&self.layout, span).all(|(extent, _)| extent.is_none_or(|extent| self.extent_is_hole(extent)))
    }

    fn have_no_holes(&self, spans: &[Span]) -> Vec<bool> {
        let mut way = self.way();
        let mut has_none = |span: &Span| {
            extents::parts(&self.layout, *span)
                .all(|(extent, _)| extent.is_none_or(|extent| self.extent_has_no_hole(&mut way, extent)))
        };
        spans.iter().map(&mut has_none).collect()
    }

    fn rests_apart(&self, extent: Extent) -> bool {
        self.extent_rests_apart(extent)
    }

    fn will_read(&self, span: Span) {
        let mut way = self.way();
        for extent in self.layout.extents(span).filter(|extent| !extent.pad) {
            if let Ok(open) = way.file(extent.file, Need::Read) {
                read_ahead(&open, extent);
            }
        }
    }
}

impl Drop for FileStorage {
    fn drop(&mut self) {
        self.leave_overhang();
        self.open_files.close_storage(self.number);
    }
}

/// Device and inode.
#[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, reason = "the field's type depends on the system")]
fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev as u64, stat.st_ino as u64)
}

fn denies_writing(error: &std::io::Error) -> bool {
    let denies = [Errno::ACCESS, Errno::PERM, Errno::ROFS, Errno::TXTBSY];
    denies.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
