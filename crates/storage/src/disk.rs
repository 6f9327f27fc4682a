//! The threads that read, write and hash, and the jobs they take.

use std::sync::Arc;

use riverrun_metainfo::metainfo::PieceHashes;
use riverrun_metainfo::{Layout, PieceIndex, Span};

use crate::{Buffer, Pool, Presence, Storage, StorageError};

/// How many threads and how much memory.
#[derive(Clone, Debug)]
pub struct DiskConfig {
    /// Worker threads; 0 means one per core up to four.
    pub threads: usize,
    /// Memory for payload in flight, both directions, in bytes.
    pub pool_bytes: usize,
}

/// The disk threads of a session. Cheap to clone; stops when the last handle is dropped.
#[derive(Clone, Debug)]
pub struct Disk {}

/// What a verify job found.
#[derive(Debug)]
pub enum VerifyOutcome {
    /// The hash is right.
    Good {
        /// A digest of each block, if asked for.
        digests: Option<Vec<u64>>,
    },
    /// The hash is wrong.
    Corrupt {
        /// A digest of each block.
        digests: Vec<u64>,
    },
    /// The bytes could not be stored or read back.
    Failed(Arc<StorageError>),
}

/// The end of a job.
#[derive(Debug)]
pub enum Done {
    /// A piece was hashed (or its writes had failed).
    Verified {
        /// Which.
        piece: PieceIndex,
        /// What came of it.
        outcome: VerifyOutcome,
    },
    /// A read ended.
    Read {
        /// As given with the job.
        token: u64,
        /// One buffer per block of the span.
        result: Result<Vec<Buffer>, Arc<StorageError>>,
    },
    /// A sync ended: what was written before it was asked for survives.
    Synced {
        /// As given with the job.
        token: u64,
        /// What is there after it.
        result: Result<Presence, Arc<StorageError>>,
    },
    /// The storage failed (disk full, permission, ...): the torrent is parked. Writes wait up to a cap; said once until `unpark`.
    Parked(Arc<StorageError>),
}

/// Takes the ends of jobs, on a disk thread; must not block for long.
pub trait DoneSink: Send + Sync {
    /// One batch of ends.
    fn done(&self, done: Vec<Done>);
}

impl Disk {
    /// Starts the threads.
    #[must_use]
    pub fn start(config: DiskConfig) -> Self {
        let _ = config;
        todo!("skeleton")
    }
    /// The pool whose buffers the jobs use.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        todo!("skeleton")
    }
    /// Opens a torrent's queue.
    #[must_use]
    pub fn torrent(
        &self,
        storage: Arc<dyn Storage>,
        layout: Arc<Layout>,
        hashes: Arc<PieceHashes>,
        sink: Arc<dyn DoneSink>,
    ) -> DiskTorrent {
        let _ = (storage, layout, hashes, sink);
        todo!("skeleton")
    }
}

/// One torrent's way to the disk. Jobs for one piece are done in the order they came; dropping it cancels what is queued.
#[derive(Clone, Debug)]
pub struct DiskTorrent {}

impl DiskTorrent {
    /// Writes adjacent blocks of one piece, as one run from `offset` of the byte stream. Never blocks; a failure parks the torrent.
    pub fn write(&self, piece: PieceIndex, offset: u64, run: Vec<Buffer>) {
        let _ = (piece, offset, run);
    }
    /// Hashes a piece behind its writes: `Done::Verified`.
    pub fn verify(&self, piece: PieceIndex, digests: bool) {
        let _ = (piece, digests);
    }
    /// Reads a span of one piece into pool buffers: `Done::Read`.
    pub fn read(&self, token: u64, span: Span) {
        let _ = (token, span);
    }
    /// Syncs behind every write queued so far: `Done::Synced`.
    pub fn sync(&self, token: u64) {
        let _ = token;
    }
    /// Tries again after `Done::Parked`.
    pub fn unpark(&self) {}
    /// Drops all parked writes; their pieces come back as `Verified` with `Failed` when asked for.
    pub fn drop_parked(&self) {}
}
