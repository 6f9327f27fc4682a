//! What one thread holds for a torrent whose storage has failed.
//!
//! A torrent is parked once, by the thread that meets the failure first; every other thread holds the torrent's writes as soon
//! as it sees that. `unpark` reaches each thread as a job in its queue, so that jobs for one piece stay in order: what came
//! before it is held, what came behind it runs after what was held.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use riverrun_metainfo::PieceIndex;

use super::batch::Write;
use super::queue::{Job, Work};
use crate::StorageError;

/// The part of a parked torrent that belongs to one thread.
pub(super) struct Parked {
    /// Jobs are held. False once they were tried again, while pieces that lost blocks are still to be told.
    pub(super) holding: bool,
    pub(super) error: Arc<StorageError>,
    jobs: Vec<Job>,
    /// Pieces of which writes were dropped.
    failed: BTreeSet<PieceIndex>,
}

impl Parked {
    pub(super) fn new(error: Arc<StorageError>) -> Self {
        Self { holding: true, error, jobs: Vec::new(), failed: BTreeSet::new() }
    }

    /// Holds a write, or drops it if too much is held on all threads together.
    pub(super) fn hold_write(&mut self, write: Write, held: &AtomicUsize, max: usize) {
        let Write { torrent, piece, offset, length, run, .. } = write;
        if held.fetch_add(length, Ordering::Relaxed) + length <= max {
            self.jobs.push(Job { torrent, work: Work::Write { piece, offset, length, run, share: None } });
        } else {
            held.fetch_sub(length, Ordering::Relaxed);
            torrent.unqueue(length);
            self.failed.insert(piece);
        }
    }

    /// Holds a verify behind the held writes of its piece.
    pub(super) fn hold_verify(&mut self, job: Job) {
        self.jobs.push(job);
    }

    /// Whether writes of the piece are held.
    pub(super) fn holds(&self, piece: PieceIndex) -> bool {
        self.jobs.iter().any(|job| matches!(job.work, Work::Write { piece: held, .. } if held == piece))
    }

    /// Whether writes of the piece were dropped.
    pub(super) fn has_failed(&self, piece: PieceIndex) -> bool {
        self.failed.contains(&piece)
    }

    /// Why; after this the piece may be written anew.
    pub(super) fn tell_failed(&mut self, piece: PieceIndex) -> Arc<StorageError> {
        self.failed.remove(&piece);
        Arc::clone(&self.error)
    }

    /// Everything held, in order.
    pub(super) fn take_jobs(&mut self, held: &AtomicUsize) -> Vec<Job> {
        let jobs = std::mem::take(&mut self.jobs);
        let length = jobs.iter().map(|job| job.work.write_length()).sum();
        held.fetch_sub(length, Ordering::Relaxed);
        jobs
    }

    /// Drops the held writes and remembers their pieces; gives back the verifies that waited behind them.
    pub(super) fn drop_writes(&mut self, held: &AtomicUsize) -> Vec<Job> {
        let mut verifies = self.take_jobs(held);
        verifies.retain(|job| match job.work {
            Work::Write { piece, length, .. } => {
                job.torrent.unqueue(length);
                self.failed.insert(piece);
                false
            }
            _ => true,
        });
        verifies
    }

    /// Nothing is left to remember.
    pub(super) fn is_over(&self) -> bool {
        !self.holding && self.jobs.is_empty() && self.failed.is_empty()
    }
}
