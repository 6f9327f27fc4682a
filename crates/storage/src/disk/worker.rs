//! One disk thread.

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use riverrun_metainfo::metainfo::{ExpectedHash, ExpectedV2, Verdict};
use riverrun_metainfo::piece_hash::Digester;
use riverrun_metainfo::{PieceIndex, Span};

use super::batch::{self, Write};
use super::park::Parked;
use super::queue::{Job, Nudge, Queue, Woken, Work};
use super::{Done, Shared, Torrent, VerifyOutcome, reading};
use crate::hashing::{Hasher, LANES, Piece, lanes_of_machine};
use crate::{Buffer, StorageError};

/// How long complete pieces wait for more, so that they are hashed side by side, for each MiB of a piece; only while pieces come in
/// quick succession.
const LINGER_PER_MIB: Duration = Duration::from_millis(10);
const MIN_LINGER: Duration = Duration::from_millis(5);
const MAX_LINGER: Duration = Duration::from_millis(50);
/// Pieces come in quick succession if the last ones were hashed within so many times that.
const BUSY_LINGERS: u32 = 8;
/// After this long without work, memory that only serves speed is given back.
const IDLE: Duration = Duration::from_secs(10);

pub(super) struct Worker {
    shared: Arc<Shared>,
    number: usize,
    /// Wakes this thread when buffers become free.
    waker: Waker,
    work: Vec<Job>,
    reads: VecDeque<Job>,
    writes: VecDeque<Write>,
    verifies: Verifies,
    parked: HashMap<u64, Parked>,
    ends: Ends,
    hasher: Hasher,
}

/// Pieces that wait to be hashed together.
#[derive(Default)]
struct Verifies {
    waiting: Vec<Verify>,
    /// How many inputs they are to be hashed side by side.
    lanes: usize,
    /// How long they wait for company.
    linger: Duration,
    /// When the first of them came.
    since: Option<Instant>,
    /// When pieces were hashed last.
    last: Option<Instant>,
}

struct Verify {
    torrent: Arc<Torrent>,
    piece: PieceIndex,
    digests: bool,
}

/// Ends of jobs, told in batches.
#[derive(Default)]
struct Ends {
    of_torrents: Vec<(Arc<Torrent>, Vec<Done>)>,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, number: usize) -> Self {
        let waker = Arc::new(Nudge { shared: Arc::downgrade(&shared), worker: number }).into();
        Self {
            shared,
            number,
            waker,
            work: Vec::new(),
            reads: VecDeque::new(),
            writes: VecDeque::new(),
            verifies: Verifies::default(),
            parked: HashMap::new(),
            ends: Ends::default(),
            hasher: Hasher::default(),
        }
    }

    pub(super) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let queue = &shared.workers[self.number];
        loop {
            let deadline = self.deadline();
            let woken = queue.take(&mut self.work, &mut self.reads, deadline);
            if woken == Woken::Stopped {
                return;
            }
            if woken == Woken::TimedOut && self.verifies.waiting.is_empty() {
                self.give_memory_back();
                continue;
            }
            self.serve_reads(queue);
            for job in std::mem::take(&mut self.work) {
                self.accept(job, queue);
            }
            self.flush_writes(queue);
            if self.verifies.are_due() {
                self.hash(queue);
            }
            self.ends.tell();
        }
    }

    /// When to look again although nothing came.
    fn deadline(&self) -> Option<Instant> {
        if let Some(deadline) = self.verifies.deadline() {
            return Some(deadline);
        }
        let holds_memory = self.hasher.holds_memory() || (self.number == 0 && self.shared.pool.held_bytes() > 0);
        holds_memory.then(|| Instant::now() + IDLE)
    }

    fn give_memory_back(&mut self) {
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
            Work::Write { piece, offset, length, run } => {
                if self.verifies.have(&torrent, piece) {
                    self.flush_writes(queue);
                    self.hash(queue);
                }
                self.writes.push_back(Write { torrent, piece, offset, length, run });
            }
            Work::Verify { piece, digests } => self.verifies.push(Verify { torrent, piece, digests }),
            Work::Read { .. } => self.reads.push_back(Job { torrent, work }),
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

    /// Writes what waits, adjacent runs together; holds what belongs to parked torrents.
    fn flush_writes(&mut self, queue: &Queue) {
        batch::sort(&mut self.writes);
        while let Some(first) = self.writes.front() {
            let torrent = Arc::clone(&first.torrent);
            let count = batch::front_run(&self.writes);
            let parked = torrent.is_parked() || self.parked.get(&torrent.number).is_some_and(|parked| parked.holding);
            let result = if parked { Ok(()) } else { batch::write_front(&self.writes, count) };
            if let Err(error) = result {
                self.park(&torrent, Arc::new(error));
            } else if !parked {
                let length = self.writes.drain(..count).map(|write| write.length).sum();
                torrent.unqueue(length);
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
        let behind = |verify: &mut Verify| verify.torrent.number == torrent.number && parked.holds(verify.piece);
        let lingering: Vec<_> = self.verifies.waiting.extract_if(.., behind).collect();
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
                self.verifies.push(Verify { torrent: job.torrent, piece, digests });
            }
        }
    }

    fn forget(&mut self, torrent: &Arc<Torrent>) {
        if let Some(mut parked) = self.parked.remove(&torrent.number) {
            parked.take_jobs(&self.shared.held_bytes);
        }
        self.reads.retain(|job| job.torrent.number != torrent.number);
    }

    /// Hashes all pieces that wait.
    fn hash(&mut self, queue: &Queue) {
        let mut hasher = std::mem::take(&mut self.hasher);
        for verifies in self.settle_without_hashing().chunks(LANES) {
            let mut pieces: Vec<_> = verifies.iter().map(Verify::to_piece).collect();
            let finished = hasher.hash(&mut pieces, |_| {
                self.serve_reads(queue);
                if queue.is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            if !finished {
                // The thread ends, and nobody waits for these.
                break;
            }
            for (verify, piece) in verifies.iter().zip(pieces) {
                let verdict = piece.into_result().map(|digest| verify.expected().judge(&digest));
                let outcome = verify.outcome(verdict, &mut hasher);
                self.ends.push(&verify.torrent, Done::Verified { piece: verify.piece, outcome });
            }
            // A piece that is known earlier is offered to others earlier.
            self.ends.tell();
        }
        self.hasher = hasher;
        self.verifies.last = Some(Instant::now());
    }

    /// Takes the pieces that wait; those which lost writes are told at once, those whose writes are held wait on with them.
    fn settle_without_hashing(&mut self) -> Vec<Verify> {
        let mut left = Vec::with_capacity(self.verifies.waiting.len());
        for verify in std::mem::take(&mut self.verifies.waiting) {
            if verify.torrent.is_cancelled() {
                continue;
            }
            let number = verify.torrent.number;
            match self.parked.get_mut(&number) {
                Some(parked) if parked.has_failed(verify.piece) => {
                    let outcome = VerifyOutcome::Failed(parked.tell_failed(verify.piece));
                    if parked.is_over() {
                        self.parked.remove(&number);
                    }
                    self.ends.push(&verify.torrent, Done::Verified { piece: verify.piece, outcome });
                }
                Some(parked) if parked.holds(verify.piece) => {
                    parked.hold_verify(verify.into_job());
                }
                _ => left.push(verify),
            }
        }
        left
    }

    /// Answers reads as long as there are buffers for them.
    fn serve_reads(&mut self, queue: &Queue) {
        queue.take_reads(&mut self.reads);
        if self.reads.is_empty() {
            return;
        }
        while let Some(job) = self.reads.front() {
            let Work::Read { token, span, ahead } = job.work else { break };
            if !job.torrent.is_cancelled() {
                let Poll::Ready(buffers) = self.buffers_for(span) else { break };
                if ahead > 0 {
                    job.torrent.storage.will_read(Span { offset: span.end(), length: ahead });
                }
                let result = buffers.and_then(|buffers| reading::read(&job.torrent, span, buffers)).map_err(Arc::new);
                self.ends.push(&job.torrent, Done::Read { token, result });
            }
            self.reads.pop_front();
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

impl Verifies {
    fn push(&mut self, verify: Verify) {
        if self.waiting.is_empty() {
            self.since = Some(Instant::now());
            self.lanes = 0;
            self.linger = verify.linger();
        }
        self.lanes += verify.lanes();
        self.waiting.push(verify);
    }

    fn deadline(&self) -> Option<Instant> {
        self.since.filter(|_| !self.waiting.is_empty()).map(|since| since + self.linger)
    }

    fn have(&self, torrent: &Torrent, piece: PieceIndex) -> bool {
        self.waiting.iter().any(|verify| verify.piece == piece && verify.torrent.number == torrent.number)
    }

    /// Whether waiting longer for more makes no sense.
    fn are_due(&self) -> bool {
        let Some(deadline) = self.deadline() else { return false };
        if self.lanes >= lanes_of_machine() {
            return true;
        }
        let now = Instant::now();
        let busy = self.last.is_some_and(|last| now - last < self.linger * BUSY_LINGERS);
        !busy || now >= deadline
    }
}

impl Verify {
    fn into_job(self) -> Job {
        Job { torrent: self.torrent, work: Work::Verify { piece: self.piece, digests: self.digests } }
    }

    fn to_piece(&self) -> Piece<'_> {
        let expected = self.expected();
        let digester = Digester::new(expected.v1.is_some(), expected.v2.map(ExpectedV2::tree));
        Piece::new(&*self.torrent.storage, &self.torrent.layout, self.piece, digester)
    }

    /// The leaves of a v2 piece go side by side, the bytes of a v1 piece only one after the other.
    fn lanes(&self) -> usize {
        if self.expected().v1.is_some() { 1 } else { self.torrent.layout.block_count(self.piece) as usize }
    }

    fn linger(&self) -> Duration {
        let mib = self.torrent.layout.piece_length() >> 20;
        (LINGER_PER_MIB * mib).clamp(MIN_LINGER, MAX_LINGER)
    }

    fn expected(&self) -> ExpectedHash {
        self.torrent.hashes.expected(self.piece)
    }

    fn outcome(&self, verdict: Result<Verdict, StorageError>, hasher: &mut Hasher) -> VerifyOutcome {
        let mut digests =
            || hasher.digests(&*self.torrent.storage, &self.torrent.layout, self.piece, &self.torrent.key);
        let outcome = match verdict {
            Ok(Verdict::Good) if !self.digests => Ok(VerifyOutcome::Good { digests: None }),
            Ok(Verdict::Good) => digests().map(|digests| VerifyOutcome::Good { digests: Some(digests) }),
            Ok(Verdict::Corrupt) => digests().map(|digests| VerifyOutcome::Corrupt { digests }),
            Ok(Verdict::Inconsistent) => Ok(VerifyOutcome::Inconsistent),
            Ok(Verdict::Unknown) => Err(StorageError::NoHash { piece: self.piece }),
            Err(error) => Err(error),
        };
        outcome.unwrap_or_else(|error| VerifyOutcome::Failed(Arc::new(error)))
    }
}

impl Ends {
    fn push(&mut self, torrent: &Arc<Torrent>, done: Done) {
        if let Some((_, batch)) = self.of_torrents.iter_mut().find(|(of, _)| of.number == torrent.number) {
            batch.push(done);
        } else {
            self.of_torrents.push((Arc::clone(torrent), vec![done]));
        }
    }

    fn tell(&mut self) {
        for (torrent, batch) in self.of_torrents.drain(..) {
            if !torrent.is_cancelled() {
                torrent.sink.done(batch);
            }
        }
    }
}
