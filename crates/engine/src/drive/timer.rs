//! One queue of due times for all torrents of a session, so that an idle torrent is data and not a task.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Mutex, Weak};
use std::time::Instant;

use tokio::sync::Notify;

use super::Core;
use crate::engine::Engine;

/// When which torrent wants to be looked at. An entry whose torrent is gone, or has moved its time, costs one look.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    queue: Mutex<BinaryHeap<Reverse<Entry>>>,
    earlier: Notify,
}

#[derive(Debug)]
struct Entry {
    due: Instant,
    core: Weak<Core>,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.due.cmp(&other.due)
    }
}

impl Timers {
    /// Has the torrent looked at then.
    pub(crate) fn schedule(&self, due: Instant, core: Weak<Core>) {
        let mut queue = self.queue.lock().expect("no panic while the queue is locked");
        let first = queue.peek().is_none_or(|Reverse(first)| due < first.due);
        queue.push(Reverse(Entry { due, core }));
        drop(queue);
        if first {
            self.earlier.notify_one();
        }
    }

    /// What is due, and when the next is.
    fn due(&self, now: Instant) -> (Vec<Weak<Core>>, Option<Instant>) {
        let mut queue = self.queue.lock().expect("no panic while the queue is locked");
        let mut due = Vec::new();
        while queue.peek().is_some_and(|Reverse(first)| first.due <= now) {
            due.extend(queue.pop().map(|Reverse(entry)| entry.core));
        }
        (due, queue.peek().map(|Reverse(first)| first.due))
    }
}

/// Looks at torrents when they are due, as long as the session lives.
pub(crate) async fn run(engine: Weak<Engine>) {
    loop {
        let Some(strong) = engine.upgrade() else { return };
        let (due, next) = strong.timers.due(Instant::now());
        for core in due {
            if let Some(core) = core.upgrade() {
                core.timeout();
            }
        }
        let timers = strong.timers.clone();
        drop(strong);
        match next {
            Some(next) => tokio::select! {
                () = tokio::time::sleep_until(next.into()) => {}
                () = timers.earlier.notified() => {}
            },
            None => timers.earlier.notified().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_due_comes_out_in_order_and_once() {
        let timers = Timers::default();
        let start = Instant::now();
        for millis in [30, 10, 20] {
            timers.schedule(start + Duration::from_millis(millis), Weak::new());
        }
        let at = |millis| start + Duration::from_millis(millis);
        for (now, count, next) in [(5, 0, Some(10)), (20, 2, Some(30)), (30, 1, None), (99, 0, None)] {
            let (due, after) = timers.due(at(now));
            assert_eq!((due.len(), after), (count, next.map(at)), "at {now} ms");
        }
    }
}
