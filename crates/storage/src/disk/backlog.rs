//! How much waits to be written, on all threads together; and who reads on when it is less.
//!
//! What waits here has left the processor's cache by the time it is written, and takes memory; in the socket of its sender it takes
//! none of ours. So sockets are not read while there is much of it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use smallvec::SmallVec;

/// The most that should wait, in bytes; and the part of the pool that it may be at most.
const MOST: usize = 8 << 20;
const POOL_PART: usize = 2;
/// Who waits for so long waits for a disk that is slower than its peers.
const LONG: Duration = Duration::from_millis(100);

/// A part of a backlog, as long as it lives.
#[derive(Debug)]
pub(super) struct Share {
    backlog: Arc<Backlog>,
    bytes: usize,
}

#[derive(Debug)]
pub(super) struct Backlog {
    most: usize,
    bytes: AtomicUsize,
    waits: AtomicBool,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    wakers: SmallVec<[Waker; 4]>,
    since: Option<Instant>,
}

impl Backlog {
    pub(super) fn new(pool_bytes: usize) -> Self {
        let most = (pool_bytes / POOL_PART).min(MOST);
        Self { most, bytes: AtomicUsize::new(0), waits: AtomicBool::new(false), waiting: Mutex::default() }
    }

    /// The most that should wait, in bytes.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    pub(super) fn share(self: &Arc<Self>, bytes: usize) -> Share {
        self.bytes.fetch_add(bytes, Ordering::SeqCst);
        Share { backlog: Arc::clone(self), bytes }
    }

    /// So much waits no more; whoever waits for room is woken once half of it is there.
    fn remove(&self, bytes: usize) {
        let left = self.bytes.fetch_sub(bytes, Ordering::SeqCst) - bytes;
        if left * 2 <= self.most && self.waits.load(Ordering::SeqCst) {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            self.waits.store(false, Ordering::SeqCst);
            waiting.since = None;
            let wakers = std::mem::take(&mut waiting.wakers);
            drop(waiting);
            wakers.into_iter().for_each(Waker::wake);
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.bytes.load(Ordering::SeqCst) < self.most
    }

    /// Ready if there is room, or a promise to wake the task once there is.
    pub(super) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        if self.has_room() {
            return Poll::Ready(());
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        self.waits.store(true, Ordering::SeqCst);
        // It may have become less before that could be seen; half of it is not to be waited for then, because nobody may be left to say so.
        if self.bytes.load(Ordering::SeqCst) * 2 <= self.most {
            return Poll::Ready(());
        }
        waiting.since.get_or_insert_with(Instant::now);
        if !waiting.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Whether somebody has waited for room for long.
    pub(super) fn is_long(&self) -> bool {
        if !self.waits.load(Ordering::Relaxed) {
            return false;
        }
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.since.is_some_and(|since| since.elapsed() >= LONG)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.backlog.remove(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Counter(AtomicUsize);
    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn who_waits_for_room_is_woken_once_half_of_it_is_there() {
        let backlog = Arc::new(Backlog::new(2000));
        let counter = Arc::new(Counter::default());
        let waker = counter.clone().into();
        let cx = Context::from_waker(&waker);
        let (one, most, two) = (backlog.share(1), backlog.share(499), backlog.share(499));
        assert!(backlog.has_room() && backlog.poll_room(&cx).is_ready());
        let last = backlog.share(1);
        assert!(!backlog.has_room() && backlog.poll_room(&cx).is_pending() && backlog.poll_room(&cx).is_pending());
        drop(most);
        assert_eq!(counter.0.load(Ordering::SeqCst), 0);
        drop(one);
        drop((two, last));
        assert_eq!(counter.0.load(Ordering::SeqCst), 1, "once, though it asked twice");
        assert!(backlog.poll_room(&cx).is_ready() && !backlog.is_long());
    }

    #[test]
    fn a_disk_that_stands_still_is_found_out() {
        let backlog = Arc::new(Backlog::new(2000));
        let waker = Arc::new(Counter::default()).into();
        let much = backlog.share(5000);
        assert!(backlog.poll_room(&Context::from_waker(&waker)).is_pending() && !backlog.is_long());
        std::thread::sleep(LONG);
        assert!(backlog.is_long());
        drop(much);
        assert!(!backlog.is_long());
    }
}
