//! What waits for one disk thread.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Wake;
use std::time::Instant;

use riverrun_metainfo::{PieceIndex, Span};

use super::Torrent;
use crate::Buffer;

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
            state.work.push(job);
        }
        self.wake(state);
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

    /// Moves everything that waits into empty collections; waits until something does, or until `deadline`.
    pub(super) fn take(&self, work: &mut Vec<Job>, reads: &mut VecDeque<Job>, deadline: Option<Instant>) -> Woken {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return Woken::Stopped;
            }
            if !state.work.is_empty() || !state.reads.is_empty() || state.nudged {
                std::mem::swap(&mut state.work, work);
                self.move_reads(&mut state, reads);
                state.nudged = false;
                return Woken::Ready;
            }
            state.sleeping = true;
            state = match deadline {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let now = Instant::now();
                    if now >= deadline {
                        state.sleeping = false;
                        return Woken::TimedOut;
                    }
                    self.changed.wait_timeout(state, deadline - now).unwrap_or_else(PoisonError::into_inner).0
                }
            };
            state.sleeping = false;
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

    fn move_reads(&self, state: &mut State, reads: &mut VecDeque<Job>) {
        reads.append(&mut state.reads);
        self.reads.store(false, Ordering::Release);
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let sleeping = std::mem::take(&mut state.sleeping);
        drop(state);
        // Waking is a system call: only for a thread that sleeps.
        if sleeping {
            self.changed.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock half way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
