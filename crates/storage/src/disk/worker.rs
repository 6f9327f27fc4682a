//! One disk thread.

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use riverrun_metainfo::Span;
use riverrun_metainfo::metainfo::Verdict;
use smallvec::SmallVec;

use super::batch::{self, Write};
use super::park::Parked;
use super::prefixes::Prefixes;
use super::queue::{Job, Nudge, Queue, Tray, Woken, Work};
use super::verifies::{Verifies, Verify};
use super::{Done, Shared, Torrent, VerifyOutcome, reading};
use crate::hashing::{Hasher, LANES, Piece};
use crate::{Buffer, StorageError};

/// How long the writes of a stream gather at most.
const GATHER: Duration = Duration::from_millis(2);
/// After this long without work, memory that only serves speed is given back.
const IDLE: Duration = Duration::from_secs(10);
/// So many emptied lists of ends are kept for the batches to come.
const SPARE_BATCHES: usize = 4;

pub(super) struct Worker {
    shared: Arc<Shared>,
    number: usize,
    /// Wakes this thread when buffers become free.
    waker: Waker,
    tray: Tray,
    writes: VecDeque<Write>,
    /// Kept for its memory.
    order: Vec<(u64, u64, u64)>,
    prefixes: Prefixes,
    verifies: Verifies,
    parked: HashMap<u64, Parked>,
    ends: Ends,
    hasher: Hasher,
    /// When bytes were written last.
    wrote: Option<Instant>,
}

/// Ends of jobs, told in batches.
#[derive(Default)]
struct Ends {
    of_torrents: Vec<(Arc<Torrent>, Vec<Done>)>,
    /// Emptied lists, kept for their memory.
    spare: Vec<Vec<Done>>,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, number: usize) -> Self {
        let waker = Arc::new(Nudge { shared: Arc::downgrade(&shared), worker: number }).into();
        Self {
            shared,
            number,
            waker,
            tray: Tray::default(),
            writes: VecDeque::new(),
            order: Vec::new(),
            prefixes: Prefixes::default(),
            verifies: Verifies::default(),
            parked: HashMap::new(),
            ends: Ends::default(),
            hasher: Hasher::default(),
            wrote: None,
        }
    }

    pub(super) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let queue = &shared.workers[self.number];
        loop {
            let (enough, deadline) = self.patience();
            let woken = queue.take(&mut self.tray, enough, deadline);
            // More than are ever needed at once.
            self.tray.spare.clear();
            if woken == Woken::Stopped {
                return;
            }
            if woken == Woken::TimedOut && enough > 0 {
                // No more is coming that could be waited for.
                self.wrote = None;
            } else if woken == Woken::TimedOut && self.verifies.is_empty() {
                self.give_memory_back(queue);
                continue;
            }
            self.serve_reads(queue);
            let mut work = std::mem::take(&mut self.tray.work);
            work.drain(..).for_each(|job| self.accept(job, queue));
            self.tray.work = work;
            self.flush_writes(queue);
            let due = self.verifies.take_due(&self.prefixes);
            self.hash(due, queue);
            self.prefixes.trim();
            self.ends.tell();
        }
    }

    /// How many bytes of writes to wait for, and when to look again although less came. While bytes come in a stream they are left to
    /// gather for a moment, so that more pieces are hashed side by side and more is written at once.
    fn patience(&self) -> (usize, Option<Instant>) {
        let deadline = self.deadline();
        if self.wrote.is_none() {
            return (0, deadline);
        }
        let linger = Instant::now() + GATHER;
        let enough = self.shared.backlog.most() / (2 * self.shared.writers);
        (enough, Some(deadline.map_or(linger, |deadline| deadline.min(linger))))
    }

    /// When to look again although nothing came.
    fn deadline(&self) -> Option<Instant> {
        if let Some(deadline) = self.verifies.deadline() {
            return Some(deadline);
        }
        let holds_memory = self.hasher.holds_memory() || (self.number == 0 && self.shared.pool.held_bytes() > 0);
        holds_memory.then(|| Instant::now() + IDLE)
    }

    fn give_memory_back(&mut self, queue: &Queue) {
        queue.give_memory_back();
        self.hasher.give_memory_back();
        if self.number == 0 {
            self.shared.pool.trim();
        }
    }

    fn accept(&mut self, job: Job, queue: &Queue) {
        let Job { torrent, work } = job;
        if torrent.is_cancelled() && !matches!(work, Work::Forget) {
            torrent.unqueue(work.write_length());
            return;
        }
        match work {
            Work::Write { piece, offset, length, run, share } => {
                if self.verifies.have(&torrent, piece) {
                    self.flush_writes(queue);
                    let waiting = self.verifies.take_all();
                    self.hash(waiting, queue);
                }
                self.writes.push_back(Write { torrent, piece, offset, length, run, share });
            }
            Work::Verify { piece, digests } => self.verifies.push(Verify::new(torrent, piece, digests)),
            Work::Read { .. } => self.tray.reads.push_back(Job { torrent, work }),
            Work::Barrier { token, left } => {
                self.flush_writes(queue);
                // What was met before the sync is told before the sync.
                self.ends.tell();
                self.arrive(torrent, token, &left);
            }
            Work::Retry => {
                self.flush_writes(queue);
                self.retry(&torrent, queue);
            }
            Work::DropHeld => {
                self.flush_writes(queue);
                self.drop_held(&torrent);
            }
            Work::Forget => {
                self.flush_writes(queue);
                self.forget(&torrent);
            }
            // Only the thread for syncs gets these.
            Work::Sync { .. } => {}
        }
    }

    fn arrive(&self, torrent: Arc<Torrent>, token: u64, left: &AtomicUsize) {
        if left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.syncs.push(Job { torrent, work: Work::Sync { token } });
        }
    }

    /// Writes what waits, adjacent runs together, and hashes what it can before; holds what belongs to parked torrents.
    fn flush_writes(&mut self, queue: &Queue) {
        if batch::sort(&mut self.writes, &mut self.order) {
            self.prefixes.hash(self.writes.make_contiguous());
        } else {
            self.writes.iter().for_each(|write| _ = self.prefixes.take(&write.torrent, write.piece));
        }
        while let Some(first) = self.writes.front() {
            let torrent = Arc::clone(&first.torrent);
            let count = batch::front_run(&self.writes);
            let parked = torrent.is_parked() || self.parked.get(&torrent.number).is_some_and(|parked| parked.holding);
            let result = if parked { Ok(()) } else { batch::write_front(&self.writes, count) };
            if let Err(error) = result {
                self.park(&torrent, Arc::new(error));
            } else if !parked {
                for mut write in self.writes.drain(..count) {
                    torrent.unqueue(write.length);
                    self.shared.pool.give_back(&mut write.run);
                    drop(write.share.take());
                    self.tray.spare.push(write.run);
                }
                self.wrote = Some(Instant::now());
                self.serve_reads(queue);
                continue;
            }
            self.hold_front(&torrent, count);
        }
    }

    fn park(&mut self, torrent: &Arc<Torrent>, error: Arc<StorageError>) {
        if !torrent.park(&error) {
            return;
        }
        self.ends.push(torrent, Done::Parked(error));
    }

    fn hold_front(&mut self, torrent: &Arc<Torrent>, count: usize) {
        let parked = self.parked.entry(torrent.number).or_insert_with(|| Parked::new(torrent.park_error()));
        // What is not written must not be taken for right.
        self.prefixes.forget(torrent);
        parked.holding = true;
        parked.error = torrent.park_error();
        for write in self.writes.drain(..count) {
            parked.hold_write(write, &self.shared.held_bytes, self.shared.max_held_bytes);
        }
    }

    fn retry(&mut self, torrent: &Arc<Torrent>, queue: &Queue) {
        // Parked anew by another thread since: the next retry is for that.
        if torrent.is_parked() {
            return;
        }
        let Some(parked) = self.parked.get_mut(&torrent.number) else { return };
        // A verify that lingers came behind writes that are held, and must stay behind them.
        let behind = |verify: &Verify| verify.torrent.number == torrent.number && parked.holds(verify.piece);
        let lingering = self.verifies.take_if(behind);
        lingering.into_iter().for_each(|verify| parked.hold_verify(verify.into_job()));
        parked.holding = false;
        let jobs = parked.take_jobs(&self.shared.held_bytes);
        if parked.is_over() {
            self.parked.remove(&torrent.number);
        }
        for job in jobs {
            self.accept(job, queue);
        }
        self.flush_writes(queue);
    }

    fn drop_held(&mut self, torrent: &Arc<Torrent>) {
        let Some(parked) = self.parked.get_mut(&torrent.number) else { return };
        for job in parked.drop_writes(&self.shared.held_bytes) {
            if let Work::Verify { piece, digests } = job.work {
                self.verifies.push(Verify::new(job.torrent, piece, digests));
            }
        }
    }

    fn forget(&mut self, torrent: &Arc<Torrent>) {
        if let Some(mut parked) = self.parked.remove(&torrent.number) {
            parked.take_jobs(&self.shared.held_bytes);
        }
        self.tray.reads.retain(|job| job.torrent.number != torrent.number);
        self.prefixes.forget(torrent);
    }

    /// Hashes pieces, or what is left of them.
    fn hash(&mut self, verifies: Vec<Verify>, queue: &Queue) {
        // Collected where it lies: no list of its own.
        let mut waiting: Vec<_> =
            verifies.into_iter().filter_map(|verify| self.settle_without_hashing(verify)).collect();
        let mut hasher = std::mem::take(&mut self.hasher);
        while !waiting.is_empty() {
            let verifies: SmallVec<[_; LANES]> = waiting.drain(..LANES.min(waiting.len())).collect();
            let mut pieces: SmallVec<[_; LANES]> = verifies.iter().map(Verify::to_piece).collect();
            let finished = hasher.hash(&mut pieces, |_| {
                self.serve_reads(queue);
                if queue.is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            if !finished {
                // The thread ends, and nobody waits for these.
                break;
            }
            let results: SmallVec<[_; LANES]> = pieces.into_iter().map(Piece::into_result).collect();
            for (mut verify, result) in verifies.into_iter().zip(results) {
                let verdict = result.map(|digest| verify.expected().judge(&digest));
                if verify.prefix.take().is_some() && !matches!(verdict, Ok(Verdict::Good)) {
                    // What came and what is stored may differ, in padding for one: what is stored counts.
                    waiting.push(verify);
                    continue;
                }
                let outcome = verify.outcome(verdict, &mut hasher);
                self.ends.push(&verify.torrent, Done::Verified { piece: verify.piece, outcome });
            }
            // A piece that is known earlier is offered to others earlier.
            self.ends.tell();
        }
        self.hasher = hasher;
        waiting.clear();
        self.verifies.keep(waiting);
    }

    /// The piece, if it is to be hashed; one that lost writes is told at once, one whose writes are held waits on with them.
    fn settle_without_hashing(&mut self, mut verify: Verify) -> Option<Verify> {
        verify.prefix = self.prefixes.take(&verify.torrent, verify.piece);
        if verify.torrent.is_cancelled() {
            return None;
        }
        let number = verify.torrent.number;
        match self.parked.get_mut(&number) {
            Some(parked) if parked.has_failed(verify.piece) => {
                let outcome = VerifyOutcome::Failed(parked.tell_failed(verify.piece));
                if parked.is_over() {
                    self.parked.remove(&number);
                }
                self.ends.push(&verify.torrent, Done::Verified { piece: verify.piece, outcome });
                None
            }
            Some(parked) if parked.holds(verify.piece) => {
                parked.hold_verify(verify.into_job());
                None
            }
            _ => Some(verify),
        }
    }

    /// Answers reads as long as there are buffers for them.
    fn serve_reads(&mut self, queue: &Queue) {
        queue.take_reads(&mut self.tray.reads);
        if self.tray.reads.is_empty() {
            return;
        }
        while let Some(job) = self.tray.reads.front() {
            let Work::Read { token, span, ahead } = job.work else { break };
            if !job.torrent.is_cancelled() {
                let Poll::Ready(buffers) = self.buffers_for(span) else { break };
                if ahead > 0 {
                    job.torrent.storage.will_read(Span { offset: span.end(), length: ahead });
                }
                let result = buffers.and_then(|buffers| reading::read(&job.torrent, span, buffers)).map_err(Arc::new);
                self.ends.push(&job.torrent, Done::Read { token, result });
            }
            self.tray.reads.pop_front();
        }
        self.ends.tell();
    }

    fn buffers_for(&self, span: Span) -> Poll<Result<Vec<Buffer>, StorageError>> {
        let pool = &self.shared.pool;
        let Some((count, leave)) = reading::buffers_for(pool, span) else {
            return Poll::Ready(Err(StorageError::BadSpan { offset: span.offset, length: span.length }));
        };
        pool.poll_take_many(count, leave, &mut Context::from_waker(&self.waker)).map(Ok)
    }
}

impl Ends {
    fn push(&mut self, torrent: &Arc<Torrent>, done: Done) {
        if let Some((_, batch)) = self.of_torrents.iter_mut().find(|(of, _)| of.number == torrent.number) {
            batch.push(done);
        } else {
            let mut batch = self.spare.pop().unwrap_or_default();
            batch.push(done);
            self.of_torrents.push((Arc::clone(torrent), batch));
        }
    }

    fn tell(&mut self) {
        for (torrent, mut batch) in self.of_torrents.drain(..) {
            if !torrent.is_cancelled() {
                torrent.sink.done(&mut batch);
            }
            batch.clear();
            if self.spare.len() < SPARE_BATCHES {
                self.spare.push(batch);
            }
        }
    }
}
