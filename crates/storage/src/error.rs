//! What can go wrong with bytes at rest.

use std::io;
use std::path::{Path, PathBuf};

use riverrun_metainfo::PieceIndex;
use rustix::io::Errno;

/// Why bytes could not be stored or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The system said no.
    #[error("cannot {action} {path}", path = path.display())]
    Io {
        /// The verb: open, read, write, sync, ...
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file does not exist. Not a fault by itself: its bytes are just not had.
    #[error("{} is not there", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file ends before the bytes that were asked for. Not a fault by itself: they are just not had.
    #[error("{} ends before byte {end}", path.display())]
    Short {
        /// The file.
        path: PathBuf,
        /// The end of the bytes asked for, counted in the file.
        end: u64,
    },
    /// A path leads through a symbolic link, which is never followed beneath the root.
    #[error("{} is a symbolic link", path.display())]
    Symlink {
        /// The link.
        path: PathBuf,
    },
    /// Something else stands where a file or a folder belongs.
    #[error("{} is {found}, not {expected}", path.display())]
    InTheWay {
        /// Where.
        path: PathBuf,
        /// What stands there, with its article.
        found: &'static str,
        /// What belongs there, with its article.
        expected: &'static str,
    },
    /// Something else has the name of a file that is to be made, or to get its own name because it is complete.
    #[error("{} exists and is something else: the torrent's file cannot have its name", path.display())]
    NameTaken {
        /// The name of the file.
        path: PathBuf,
    },
    /// A file that was open before is now another file under the same path: what it holds has to be checked again.
    #[error("{} was replaced by another file", path.display())]
    Replaced {
        /// The file.
        path: PathBuf,
    },
    /// The root that was there is gone: a disk may have been taken out. No reason to check, to overwrite or to download again.
    #[error("{} is gone", path.display())]
    RootGone {
        /// The root.
        path: PathBuf,
    },
    /// Another process (or another torrent of this one) writes the same files, or reads them while we want to write.
    #[error("{} is in use by another download or seeder", path.display())]
    InUse {
        /// The first file of the torrent.
        path: PathBuf,
    },
    /// An earlier sync did not succeed, so none can be trusted until the storage is opened anew and checked.
    #[error("an earlier sync of {} did not succeed", path.display())]
    SyncFailed {
        /// The root.
        path: PathBuf,
    },
    /// The storage was opened for reading only.
    #[error("{} is open for reading only", path.display())]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// This user may not write there.
    #[error("cannot write to {}: permission denied (owner {owner}, mode {mode:o})", path.display())]
    NotWritable {
        /// The folder or file that denies.
        path: PathBuf,
        /// The user id that owns it.
        owner: u32,
        /// Its permission bits.
        mode: u32,
    },
    /// The list of places does not fit the layout: another number of files, or padding that is not padding.
    #[error("the places of {places} files do not fit a layout of {files}")]
    PlacesUnlikeLayout {
        /// How many places.
        places: usize,
        /// How many files.
        files: usize,
    },
    /// A span lies outside the byte stream, or the buffers are not as long as the span.
    #[error("span of {length} bytes at {offset} does not fit the byte stream or its buffers")]
    BadSpan {
        /// Its first byte.
        offset: u64,
        /// Its length in bytes.
        length: u64,
    },
    /// No hash of this piece is known, because its piece layer is missing (BEP 52).
    #[error("no hash of piece {piece} is known")]
    NoHash {
        /// The piece.
        piece: PieceIndex,
    },
}

impl StorageError {
    /// Whether this says that the bytes are simply not had, as opposed to a fault.
    #[must_use]
    pub fn is_not_there(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Short { .. })
    }

    /// Whether the disk or the user's share of it is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let Self::Io { source, .. } = self else { return false };
        matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    pub(crate) fn ran_out_of_descriptors(&self) -> bool {
        let Self::Io { source, .. } = self else { return false };
        [Errno::MFILE, Errno::NFILE].iter().any(|errno| source.raw_os_error() == Some(errno.raw_os_error()))
    }

    /// The path that it is about, if any.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Io { path, .. }
            | Self::Missing { path }
            | Self::Short { path, .. }
            | Self::Symlink { path }
            | Self::InTheWay { path, .. }
            | Self::NameTaken { path }
            | Self::Replaced { path }
            | Self::RootGone { path }
            | Self::InUse { path }
            | Self::SyncFailed { path }
            | Self::ReadOnly { path }
            | Self::NotWritable { path, .. } => Some(path),
            Self::PlacesUnlikeLayout { .. } | Self::BadSpan { .. } | Self::NoHash { .. } => None,
        }
    }

    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>, source: impl Into<io::Error>) -> Self {
        Self::Io { action, path: path.into(), source: source.into() }
    }

    /// What `errno` of an operation on an existing path means.
    pub(crate) fn of_errno(action: &'static str, path: PathBuf, errno: Errno) -> Self {
        match errno {
            Errno::NOENT => Self::Missing { path },
            Errno::LOOP | Errno::MLINK => Self::Symlink { path },
            Errno::ISDIR => Self::InTheWay { path, found: "a folder", expected: "a file" },
            // A FIFO without a reader, a socket or a device without a driver.
            Errno::NXIO => Self::InTheWay { path, found: "a special file", expected: "a file" },
            _ => Self::io(action, path, errno),
        }
    }
}
