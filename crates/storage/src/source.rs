//! The user's own files, wherever they are, as the content of a torrent to be: only ever read.

use std::io::{IoSlice, IoSliceMut};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use riverrun_metainfo::{Extent, FileIndex, Layout, Span};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::file::table::{self, Reading, Table};
use crate::file::{Key, OpenFile, OpenFiles, next_number, read_ahead, read_exactly};
use crate::{FilePresence, Presence, Storage, StorageError, extents};

/// Files at paths of the user's choice: symbolic links are followed, names need not be safe for others.
#[derive(Debug)]
pub struct SourceFiles {
    number: u64,
    layout: Arc<Layout>,
    /// One per file of the layout; `None` for padding and for links, which have no bytes.
    paths: Vec<Option<PathBuf>>,
    open_files: OpenFiles,
    /// The part file, and what rests in it.
    part_file: Option<(OpenFile, Table)>,
}

impl SourceFiles {
    /// The files at `paths`, one for each of the layout's; `None` for padding and links. Nothing is opened yet.
    ///
    /// # Errors
    /// There are not as many paths as files.
    pub fn new(layout: Arc<Layout>, paths: Vec<Option<PathBuf>>) -> Result<Self, StorageError> {
        let (places, files) = (paths.len(), layout.files().len());
        if places != files {
            return Err(StorageError::PlacesUnlikeLayout { places, files });
        }
        Ok(Self { number: next_number(), layout, paths, open_files: OpenFiles::of_process(), part_file: None })
    }

    /// Takes what rests in this part file as the files' own; nothing changes if it is not there, or is none of this torrent.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub fn with_part_file(mut self, path: &Path) -> Result<Self, StorageError> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let fd = match rustix::fs::open(path, flags, Mode::empty()) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(self),
            result => result.map_err(|errno| StorageError::of_errno("open", path.into(), errno))?,
        };
        let open = OpenFile::regular(fd, false, || path.into())?;
        let read = Table::read(&open.fd, &self.layout).map_err(|errno| StorageError::io("read", path, errno))?;
        if let Reading::Ours(table) = read {
            self.part_file = Some((open, table));
        }
        Ok(self)
    }

    /// The path of a file; `None` for padding and links.
    #[must_use]
    pub fn path_of(&self, file: FileIndex) -> Option<&PathBuf> {
        self.paths.get(file.0 as usize)?.as_ref()
    }

    fn open(&self, file: FileIndex) -> Result<Arc<OpenFile>, StorageError> {
        let key = Key { storage: self.number, file: file.0 };
        if let Some(open) = self.open_files.get(key) {
            return Ok(open);
        }
        let path = self.path_of(file).ok_or(StorageError::BadSpan { offset: 0, length: 0 })?;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let open = || {
            let fd = rustix::fs::open(path, flags, Mode::empty());
            let fd = fd.map_err(|errno| StorageError::of_errno("open", path.clone(), errno))?;
            OpenFile::regular(fd, false, || path.clone())
        };
        let opened = match open() {
            Err(error) if error.ran_out_of_descriptors() => {
                self.open_files.close_half();
                open()
            }
            result => result,
        };
        Ok(self.open_files.keep(key, opened?))
    }

    fn read_extent(&self, extent: Extent, into: &mut [IoSliceMut<'_>]) -> Result<(), StorageError> {
        let Some((part, table)) = self.part_file.as_ref().filter(|(_, table)| table.has_of(extent.file)) else {
            return self.read_from(extent, into);
        };
        let mut rest: Vec<&mut [u8]> = into.iter_mut().rev().map(|slice| &mut **slice).collect();
        for (piece, cut) in table::by_piece(&self.layout, extent) {
            let mut slices: Vec<_> =
                extents::take_front(&mut rest, cut.length).into_iter().map(IoSliceMut::new).collect();
            match table.place(&self.layout, piece, cut) {
                Some(offset) => {
                    let there = Extent { offset, ..cut };
                    read_exactly(part, there, &mut slices, || self.path_of(extent.file).cloned().unwrap_or_default())?;
                }
                None => self.read_from(cut, &mut slices)?,
            }
        }
        Ok(())
    }

    fn read_from(&self, extent: Extent, into: &mut [IoSliceMut<'_>]) -> Result<(), StorageError> {
        let open = self.open(extent.file)?;
        read_exactly(&open, extent, into, || self.path_of(extent.file).cloned().unwrap_or_default())
    }
}

impl Storage for SourceFiles {
    fn read_at(&self, span: Span, into: &mut [IoSliceMut<'_>]) -> Result<(), StorageError> {
        extents::read(&self.layout, span, into, |extent, slices| self.read_extent(extent, slices))
    }

    fn write_at(&self, _: Span, _: &[IoSlice<'_>]) -> Result<(), StorageError> {
        Err(StorageError::ReadOnly { path: self.paths.iter().flatten().next().cloned().unwrap_or_default() })
    }

    fn sync(&self) -> Result<(), StorageError> {
        Ok(())
    }

    fn presence(&self) -> Result<Presence, StorageError> {
        let look = |path: &Option<PathBuf>| {
            let Some(path) = path else { return Ok(FilePresence::Pad) };
            match std::fs::metadata(path) {
                Ok(found) if found.is_file() => Ok(FilePresence::Present {
                    length: found.len(),
                    modified_ns: i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec()),
                    identity: (found.dev(), found.ino()),
                    same_as_open: true,
                }),
                Ok(_) => Ok(FilePresence::NotAFile),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(FilePresence::Missing),
                Err(error) => Err(StorageError::io("look at", path, error)),
            }
        };
        Ok(Presence { files: self.paths.iter().map(look).collect::<Result<_, _>>()?, ..Presence::default() })
    }

    fn rests_apart(&self, extent: Extent) -> bool {
        self.part_file.as_ref().is_some_and(|(_, table)| {
            table::by_piece(&self.layout, extent).all(|(piece, cut)| table.place(&self.layout, piece, cut).is_some())
        })
    }

    fn will_read(&self, span: Span) {
        for extent in self.layout.extents(span).filter(|extent| !extent.pad) {
            if let Ok(open) = self.open(extent.file) {
                read_ahead(&open, extent);
            }
        }
    }
}

impl Drop for SourceFiles {
    fn drop(&mut self) {
        self.open_files.close_storage(self.number);
    }
}
