//! The threads that read, write and hash, and the jobs they take.
//!
//! Jobs that write or hash a piece always go to the same thread, in the order they came: so a piece is hashed behind its writes
//! without any tracking. Pieces that lie side by side share a thread, so that their writes can be merged and their hashes run
//! together; and no more threads do this than can fill their lanes. Reads overtake, on any thread: what is read was written and
//! verified long before.
//!
//! Nothing here retries by itself: a torrent whose storage fails is parked until its owner says otherwise, and others go on.

mod backlog;
mod batch;
mod park;
mod prefixes;
mod queue;
mod reading;
mod sync;
#[cfg(test)]
mod tests;
mod verifies;
mod worker;

use std::collections::hash_map::RandomState;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle, ThreadId};

use riverrun_metainfo::metainfo::{ExpectedV2, PieceHashes};
use riverrun_metainfo::piece_hash::Digester;
use riverrun_metainfo::{Layout, PieceIndex, Span};

use crate::hashing::{LANES, lanes_of_machine};
use crate::{Buffer, Pool, Presence, Storage, StorageError};
use backlog::Backlog;
use queue::{Job, Queue, Work};
pub use reading::read_cached;

/// How many threads and how much memory.
#[derive(Clone, Debug, Default)]
pub struct DiskConfig {
    /// Worker threads, all of which read, write and hash. 0 means one per core, at least two and at most four, of which no more write
    /// and hash than it takes.
    pub threads: usize,
    /// Memory for payload in flight, both directions, in bytes.
    pub pool_bytes: usize,
}

/// The disk threads of a session. Cheap to clone; they stop when the last handle is dropped, and leave what is queued undone.
#[derive(Clone)]
pub struct Disk {
    threads: Arc<Threads>,
}

/// What the threads and the torrents share.
struct Shared {
    pool: Pool,
    workers: Vec<Queue>,
    /// So many of them, the first ones, write and hash.
    writers: usize,
    /// Syncs have a thread of their own, because one can take seconds.
    syncs: Queue,
    /// Bytes of writes that wait in parked torrents, and how many may.
    held_bytes: AtomicUsize,
    max_held_bytes: usize,
    backlog: Arc<Backlog>,
}

struct Threads {
    shared: Arc<Shared>,
    running: Mutex<Vec<JoinHandle<()>>>,
}

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
    /// The v1 hash is right and the v2 hash is wrong, or the other way round: no bytes can be right for this torrent (BEP 52).
    Inconsistent,
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
    /// One batch of ends, to be taken out of the list; what is left in it is forgotten, and its memory is used again.
    fn done(&self, done: &mut Vec<Done>);
}

/// What is known of one torrent on the threads.
struct Torrent {
    /// Tells it from others.
    number: u64,
    storage: Arc<dyn Storage>,
    layout: Arc<Layout>,
    hashes: Arc<PieceHashes>,
    sink: Arc<dyn DoneSink>,
    /// Dropped by its owner: nothing more is done for it and nothing more is said.
    cancelled: AtomicBool,
    /// Why the storage failed last.
    park_error: Mutex<Option<Arc<StorageError>>>,
    /// The same, to be seen without the lock.
    parked: AtomicBool,
    queued_bytes: AtomicUsize,
    /// The key of the block digests, so that nobody can make blocks with equal ones.
    key: RandomState,
}

/// Pieces within this many bytes share a thread.
const GROUP_BYTES: u64 = 4 << 20;

/// The longest span that one read job takes, in bytes.
pub const MAX_READ_BYTES: u64 = 1 << 20;

impl Disk {
    /// Starts the threads.
    ///
    /// # Panics
    /// The system gives no more threads.
    #[must_use]
    pub fn start(config: DiskConfig) -> Self {
        let cores = thread::available_parallelism().map_or(2, usize::from);
        let (count, writers) = match config.threads {
            0 => (cores.clamp(2, 4), writers(cores, lanes_of_machine())),
            count => (count, count),
        };
        Self::with(count, writers, config.pool_bytes)
    }

    /// Starts so many threads, of which so many write and hash.
    fn with(count: usize, writers: usize, pool_bytes: usize) -> Self {
        let pool = Pool::new(pool_bytes);
        let shared = Arc::new(Shared {
            backlog: Arc::new(Backlog::new(pool_bytes)),
            max_held_bytes: pool.capacity() * riverrun_metainfo::BLOCK_LENGTH as usize / 4,
            pool,
            workers: (0..count).map(|_| Queue::default()).collect(),
            writers,
            syncs: Queue::default(),
            held_bytes: AtomicUsize::new(0),
        });
        let worker = |number| {
            let shared = Arc::clone(&shared);
            spawn(format!("disk {number}"), move || worker::Worker::new(shared, number).run())
        };
        let mut running: Vec<_> = (0..count).map(worker).collect();
        let of_syncs = Arc::clone(&shared);
        running.push(spawn("disk sync".to_owned(), move || sync::run(&of_syncs.syncs)));
        Self { threads: Arc::new(Threads { shared, running: Mutex::new(running) }) }
    }

    /// The pool whose buffers the jobs use.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        &self.threads.shared.pool
    }

    /// How often the locks of the threads' queues were taken, this time counted: for measuring.
    #[must_use]
    pub fn queue_lock_holds(&self) -> u64 {
        let shared = &self.threads.shared;
        shared.workers.iter().chain([&shared.syncs]).map(Queue::lock_holds).sum()
    }

    /// Whether little enough waits to be written that more should come. Parked writes do not count.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.threads.shared.backlog.has_room()
    }

    /// Ready if [`has_room`](Self::has_room), or a promise to wake the task once it has.
    pub fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        self.threads.shared.backlog.poll_room(cx)
    }

    /// Whether somebody has waited for room for longer than moments: the disk is slower than what comes.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.threads.shared.backlog.is_long()
    }

    /// Opens a torrent's queue. It does not keep the threads alive: that is for `Disk` to do.
    #[must_use]
    pub fn torrent(
        &self,
        storage: Arc<dyn Storage>,
        layout: Arc<Layout>,
        hashes: Arc<PieceHashes>,
        sink: Arc<dyn DoneSink>,
    ) -> DiskTorrent {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let torrent = Arc::new(Torrent {
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            storage,
            layout,
            hashes,
            sink,
            cancelled: AtomicBool::new(false),
            park_error: Mutex::default(),
            parked: AtomicBool::new(false),
            queued_bytes: AtomicUsize::new(0),
            key: RandomState::new(),
        });
        DiskTorrent { handle: Arc::new(Handle { torrent, shared: Arc::clone(&self.threads.shared) }) }
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = &self.threads.shared;
        f.debug_struct("Disk").field("workers", &shared.workers.len()).field("pool", &shared.pool).finish()
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.shared.workers.iter().chain([&self.shared.syncs]).for_each(Queue::stop);
        let running = std::mem::take(self.running.get_mut().unwrap_or_else(PoisonError::into_inner));
        let here: ThreadId = thread::current().id();
        // A sink may hold the last handle: then this runs on one of the threads, which ends by itself.
        for thread in running.into_iter().filter(|thread| thread.thread().id() != here) {
            // A panic there was reported when it happened.
            let _ = thread.join();
        }
    }
}

/// How many threads write and hash, with so many cores and so many lanes on each.
///
/// With all lanes of AVX-512 one thread writes and hashes about as fast as another receives. More of them would only wait for each
/// other's writes to the same file, and each would have too few pieces at a time to fill its lanes: a peer's braid fills those of two.
/// With fewer lanes hashing takes most of the time, and every core helps.
fn writers(cores: usize, lanes: usize) -> usize {
    if lanes < LANES { cores.clamp(2, 4) } else { cores.saturating_sub(1).clamp(1, 2) }
}

fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread::Builder::new().name(name).spawn(body).expect("the system has room for a few threads")
}

/// One torrent's way to the disk. Jobs for one piece are done in the order they came; dropping the last clone cancels what is queued.
#[derive(Clone)]
pub struct DiskTorrent {
    handle: Arc<Handle>,
}

struct Handle {
    torrent: Arc<Torrent>,
    shared: Arc<Shared>,
}

impl DiskTorrent {
    /// Writes adjacent blocks of one piece, as one run from `offset` of the byte stream, and leaves `run` empty. Never blocks; a failure
    /// parks the torrent.
    pub fn write(&self, piece: PieceIndex, offset: u64, run: &mut Vec<Buffer>) {
        let length: usize = run.iter().map(Buffer::len).sum();
        self.handle.torrent.queued_bytes.fetch_add(length, Ordering::Relaxed);
        let share = Some(self.handle.shared.backlog.share(length));
        let torrent = Arc::clone(&self.handle.torrent);
        self.worker_of(piece, self.handle.shared.writers)
            .push_write(run, |run| Job { torrent, work: Work::Write { piece, offset, length, run, share } });
    }

    /// Hashes a piece behind its writes: `Done::Verified`.
    pub fn verify(&self, piece: PieceIndex, digests: bool) {
        self.worker_of(piece, self.handle.shared.writers).push(self.job(Work::Verify { piece, digests }));
    }

    /// Reads a span of one piece, at most [`MAX_READ_BYTES`] long, into pool buffers: `Done::Read`. If it goes on where the last one
    /// ended, `in_order`, the storage is told that the rest of the piece, as much as one read takes, will be read next.
    pub fn read(&self, token: u64, span: Span, in_order: bool) {
        let layout = &self.handle.torrent.layout;
        let piece = layout.piece_at(span.offset).unwrap_or_default();
        let end = layout.piece_span(piece).filter(|_| in_order).map_or(span.end(), |piece| piece.end());
        let ahead = end.saturating_sub(span.end()).min(MAX_READ_BYTES);
        self.worker_of(piece, self.handle.shared.workers.len()).push(self.job(Work::Read { token, span, ahead }));
    }

    /// Syncs behind every write queued so far: `Done::Synced`. If one of them parks the torrent, that is told first; what is parked
    /// is not synced.
    pub fn sync(&self, token: u64) {
        let workers = &self.handle.shared.workers;
        let left = Arc::new(AtomicUsize::new(workers.len()));
        for worker in workers {
            worker.push(self.job(Work::Barrier { token, left: Arc::clone(&left) }));
        }
    }

    /// Tries again after `Done::Parked`: parked writes are done first. If the storage still fails, that is said again.
    pub fn unpark(&self) {
        if self.handle.torrent.unpark() {
            self.send_to_all(|| Work::Retry);
        }
    }

    /// Drops all parked writes; their pieces come back as `Verified` with `Failed` when asked for. The torrent stays parked.
    pub fn drop_parked(&self) {
        self.send_to_all(|| Work::DropHeld);
    }

    /// Whether the storage has failed and `unpark` was not called since.
    #[must_use]
    pub fn is_parked(&self) -> bool {
        self.handle.torrent.is_parked()
    }

    /// Bytes that were given to `write` and are not written yet, parked ones counted. While this is high, ask peers for less.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.handle.torrent.queued_bytes.load(Ordering::Relaxed)
    }

    fn job(&self, work: Work) -> Job {
        Job { torrent: Arc::clone(&self.handle.torrent), work }
    }

    /// The one of the first `count` workers that has the piece.
    fn worker_of(&self, piece: PieceIndex, count: usize) -> &Queue {
        let torrent = &self.handle.torrent;
        let group = u64::from(piece.0) * u64::from(torrent.layout.piece_length()) / GROUP_BYTES;
        let worker = usize::try_from(group.wrapping_add(torrent.number) % count as u64).expect("below a length");
        &self.handle.shared.workers[worker]
    }

    fn send_to_all(&self, work: impl Fn() -> Work) {
        self.handle.shared.workers.iter().for_each(|worker| worker.push(self.job(work())));
    }
}

impl fmt::Debug for DiskTorrent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queued = self.queued_bytes();
        f.debug_struct("DiskTorrent").field("queued_bytes", &queued).field("parked", &self.is_parked()).finish()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.torrent.cancelled.store(true, Ordering::Release);
        for worker in &self.shared.workers {
            worker.push(Job { torrent: Arc::clone(&self.torrent), work: Work::Forget });
        }
    }
}

impl Torrent {
    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    fn is_parked(&self) -> bool {
        self.parked.load(Ordering::Acquire)
    }

    /// Before the first byte of a piece.
    fn digester(&self, piece: PieceIndex) -> Digester {
        let expected = self.hashes.expected(piece);
        Digester::new(expected.v1.is_some(), expected.v2.map(ExpectedV2::tree))
    }

    /// True if it was not parked already.
    fn park(&self, error: &Arc<StorageError>) -> bool {
        let mut reason = self.park_error.lock().unwrap_or_else(PoisonError::into_inner);
        let first = !self.parked.swap(true, Ordering::AcqRel);
        if first {
            *reason = Some(Arc::clone(error));
        }
        first
    }

    /// Why it was parked last.
    fn park_error(&self) -> Arc<StorageError> {
        let reason = self.park_error.lock().unwrap_or_else(PoisonError::into_inner);
        reason.clone().expect("set before anyone can see that it is parked")
    }

    /// True if it was parked. The reason stays known, for pieces that have lost blocks.
    fn unpark(&self) -> bool {
        self.parked.swap(false, Ordering::AcqRel)
    }

    /// Some bytes of a write are no longer queued, however they ended.
    fn unqueue(&self, length: usize) {
        self.queued_bytes.fetch_sub(length, Ordering::Relaxed);
    }
}
