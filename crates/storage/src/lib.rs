//! Where the bytes of a torrent rest: files, the threads that read, write and hash them, and resume data.
//!
//! Blocking calls and plain threads; nothing here knows the network. Invariants: a file is never opened through a symbolic link
//! or outside its root; resume data never claims a piece whose bytes were not synced before it was written.

pub mod check;
pub mod disk;
mod error;
mod extents;
pub mod file;
mod hashing;
pub mod memory;
pub mod pool;
pub mod resume;
#[cfg(test)]
mod sample;
mod shelf;
pub mod source;

pub use check::{CheckError, Checked, FileState, Progress};
pub use disk::{Disk, DiskConfig, DiskTorrent, Done, DoneSink, VerifyOutcome};
pub use error::StorageError;
pub use file::{Access, BadSuffix, FileOptions, FilePlace, FileStorage, OpenFiles, PartSuffix, Place, Preallocation};
pub use memory::MemoryStorage;
pub use pool::{Buffer, Pool};
pub use resume::{Judged, Record, ResumeError, write_atomically};
pub use shelf::Shelf;
pub use source::SourceFiles;

use std::io::{IoSlice, IoSliceMut};

use riverrun_metainfo::{Extent, Span};

/// Bytes of one torrent at rest. Blocking, and called from disk threads only, but for [`read_cached`](Self::read_cached); offsets run
/// over the torrent's whole byte stream.
pub trait Storage: Send + Sync + std::fmt::Debug {
    /// Fills `into` with the bytes of `span`; padding reads as zeros. The buffers together are as long as the span.
    ///
    /// # Errors
    /// The bytes are not there or cannot be read.
    fn read_at(&self, span: Span, into: &mut [IoSliceMut<'_>]) -> Result<(), StorageError>;

    /// The same as [`read_at`](Self::read_at) if all of the span is in memory, so that it may be called where nothing may wait. False if
    /// it is not, if that cannot be told, and whatever else is wrong: then `into` holds anything, and `read_at` tells more.
    fn read_cached(&self, span: Span, into: &mut [IoSliceMut<'_>]) -> bool {
        let _ = (span, into);
        false
    }

    /// Writes the bytes of `span`; padding is not written. The buffers together are as long as the span.
    ///
    /// # Errors
    /// The bytes cannot be written; some may have been.
    fn write_at(&self, span: Span, from: &[IoSlice<'_>]) -> Result<(), StorageError>;

    /// Makes everything written so far survive a loss of power.
    ///
    /// # Errors
    /// The system could not.
    fn sync(&self) -> Result<(), StorageError>;

    /// What is there now, for fast resume and for the last look before a download is called complete.
    ///
    /// # Errors
    /// The place itself cannot be looked at.
    fn presence(&self) -> Result<Presence, StorageError>;

    /// Whether the whole span is known to be zeros without reading it: holes of sparse files, padding. False if unknown.
    fn is_hole(&self, span: Span) -> bool {
        let _ = span;
        false
    }

    /// For each of the spans whether no byte of it is in a hole: one question in place of many. False if unknown.
    fn have_no_holes(&self, spans: &[Span]) -> Vec<bool> {
        vec![false; spans.len()]
    }

    /// Whether these bytes of a file rest somewhere else than in the file, which may not be there: in a part file.
    fn rests_apart(&self, extent: Extent) -> bool {
        let _ = extent;
        false
    }

    /// A hint that the span will be read soon, so that a disk can begin. Does not wait.
    fn will_read(&self, span: Span) {
        let _ = span;
    }
}

/// What exists of a torrent's files.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Presence {
    /// One entry per file of the layout, padding included.
    pub files: Vec<FilePresence>,
    /// The part file; [`FilePresence::Missing`] where there is none.
    pub part_file: FilePresence,
}

/// What exists of one file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FilePresence {
    /// Nothing is on disk, nor needs to be (padding).
    Pad,
    /// The path does not exist.
    #[default]
    Missing,
    /// A regular file.
    Present {
        /// Its length in bytes.
        length: u64,
        /// Last change of its content, nanoseconds since 1970.
        modified_ns: i128,
        /// Device and inode, where the system has them.
        identity: (u64, u64),
        /// The path leads to the same file that is held open (true when none is held).
        same_as_open: bool,
    },
    /// Something that is not a regular file stands there.
    NotAFile,
}
