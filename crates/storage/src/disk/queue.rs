//! What waits for one disk thread.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Wake;
use std::time::Instant;

use riverrun_metainfo::{PieceIndex, Span};

use super::Torrent;
use super::backlog::Share;
use crate::Buffer;

/// So many emptied lists are kept for the runs to come: about as many as wait when each has one block.
const SPARE_RUNS: usize = 512;
/// A new list has room for the blocks of one long read, so that it need not grow later.
const USUAL_BLOCKS: usize = 16;

/// Something to do for a torrent.
pub(super) struct Job {
    pub(super) torrent: Arc<Torrent>,
    pub(super) work: Work,
}

pub(super) enum Work {
    Write {
        piece: PieceIndex,
        offset: u64,
        length: usize,
        run: Vec<Buffer>,
        /// What it has of the backlog; nothing once it was held.
        share: Option<Share>,
    },
    Verify {
        piece: PieceIndex,
        digests: bool,
    },
    Read {
        token: u64,
        span: Span,
        /// So many bytes behind the span are likely to be read next.
        ahead: u64,
    },
    /// Part of a sync: the last thread to reach its barrier hands the sync on.
    Barrier {
        token: u64,
        left: Arc<AtomicUsize>,
    },
    Sync {
        token: u64,
    },
    /// Do what was held while the torrent was parked.
    Retry,
    DropHeld,
    /// The torrent's owner is gone.
    Forget,
}

impl Work {
    /// The bytes of a write; 0 for everything else.
    pub(super) fn write_length(&self) -> usize {
        if let Self::Write { length, .. } = self { *length } else { 0 }
    }
}

/// Jobs in the order they came, reads apart.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    /// There are reads: to be seen without the lock.
    reads: AtomicBool,
}

#[derive(Default)]
struct State {
    work: Vec<Job>,
    reads: VecDeque<Job>,
    stopped: bool,
    /// Something else than a job is a reason to look: buffers have become free.
    nudged: bool,
    sleeping: bool,
    /// Bytes of the writes in `work`.
    written: usize,
    /// The thread sleeps on until there are so many, or something else than writes and verifies.
    enough: usize,
    urgent: bool,
    /// Emptied runs, kept for their memory.
    spare: Vec<Vec<Buffer>>,
    /// How often the lock was taken, after sleep too.
    holds: u64,
}

/// What a thread has to do, and what it gives back.
#[derive(Default)]
pub(super) struct Tray {
    pub(super) work: Vec<Job>,
    pub(super) reads: VecDeque<Job>,
    /// Emptied runs.
    pub(super) spare: Vec<Vec<Buffer>>,
}

impl State {
    /// Whether there is a reason to wake the thread.
    fn is_ready(&self) -> bool {
        let enough = !self.work.is_empty() && self.written >= self.enough;
        enough || self.urgent || self.nudged || !self.reads.is_empty()
    }
}

/// Why a thread that waited goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Woken {
    Ready,
    TimedOut,
    Stopped,
}

impl Queue {
    pub(super) fn push(&self, job: Job) {
        let mut state = self.lock();
        if state.stopped {
            return;
        }
        if matches!(job.work, Work::Read { .. }) {
            state.reads.push_back(job);
            self.reads.store(true, Ordering::Release);
        } else {
            state.urgent |= !matches!(job.work, Work::Verify { .. });
            state.work.push(job);
        }
        self.wake(state);
    }

    /// The same for a write, whose run is taken out of a list that stays with its owner.
    pub(super) fn push_write(&self, run: &mut Vec<Buffer>, job: impl FnOnce(Vec<Buffer>) -> Job) {
        let mut state = self.lock();
        let own = state.spare.pop().unwrap_or_else(|| Vec::with_capacity(USUAL_BLOCKS));
        let job = job(std::mem::replace(run, own));
        if state.stopped {
            // Its buffers go back, which must not happen under the lock.
            drop(state);
            return drop(job);
        }
        state.written += job.work.write_length();
        state.work.push(job);
        self.wake(state);
    }

    /// Frees what is kept for speed alone.
    pub(super) fn give_memory_back(&self) {
        let spare = std::mem::take(&mut self.lock().spare);
        drop(spare);
    }

    /// Ends the thread at its next look; nothing more is taken.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.stopped = true;
        let left = (std::mem::take(&mut state.work), std::mem::take(&mut state.reads));
        self.wake(state);
        // Buffers go back and torrents may end with the jobs, which must not happen under the lock.
        drop(left);
    }

    /// Moves all that waits into the tray, once there is something; writes and verifies alone are left to gather until they are `enough`
    /// bytes or the deadline has come.
    pub(super) fn take(&self, tray: &mut Tray, enough: usize, deadline: Option<Instant>) -> Woken {
        let mut state = self.lock();
        state.enough = enough;
        let room = SPARE_RUNS.saturating_sub(state.spare.len()).min(tray.spare.len());
        state.spare.extend(tray.spare.drain(..room));
        loop {
            if state.stopped {
                return Woken::Stopped;
            }
            let late = deadline.is_some_and(|deadline| Instant::now() >= deadline);
            if state.is_ready() || (late && !state.work.is_empty()) {
                std::mem::swap(&mut state.work, &mut tray.work);
                self.move_reads(&mut state, &mut tray.reads);
                (state.nudged, state.urgent, state.written) = (false, false, 0);
                return Woken::Ready;
            }
            if late {
                return Woken::TimedOut;
            }
            state.sleeping = true;
            state = match deadline {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
            state.sleeping = false;
            state.holds += 1;
        }
    }

    /// Moves waiting reads, if any, without waiting.
    pub(super) fn take_reads(&self, reads: &mut VecDeque<Job>) {
        if self.reads.load(Ordering::Acquire) {
            self.move_reads(&mut self.lock(), reads);
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// How often its lock was taken, this time counted.
    pub(super) fn lock_holds(&self) -> u64 {
        self.lock().holds
    }

    fn move_reads(&self, state: &mut State, reads: &mut VecDeque<Job>) {
        reads.append(&mut state.reads);
        self.reads.store(false, Ordering::Release);
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let sleeping = (state.stopped || state.is_ready()) && std::mem::take(&mut state.sleeping);
        drop(state);
        // Waking is a system call: only for a thread that sleeps.
        if sleeping {
            self.changed.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock half way through a change.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.holds += 1;
        state
    }
}

/// Wakes a disk thread when buffers have become free.
pub(super) struct Nudge {
    /// Not the owner: the waker may lie in the pool when the threads have long ended.
    pub(super) shared: Weak<super::Shared>,
    pub(super) worker: usize,
}

impl Wake for Nudge {
    fn wake(self: Arc<Self>) {
        if let Some(shared) = self.shared.upgrade() {
            let queue = &shared.workers[self.worker];
            let mut state = queue.lock();
            state.nudged = true;
            queue.wake(state);
        }
    }
}
