//! Torrents whose files are to be opened, a few at a time.
//!
//! An owner may add thousands at once. Until its turn comes a torrent costs an entry in a line here, no task of its own: a task that
//! opens takes more memory than a torrent at rest, and what so many take at once is never given back.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::{Core, open};
use crate::engine::Engine;

/// The most torrents being opened at once.
const AT_ONCE: usize = 4;

/// The line of those that wait, and how many go through it.
#[derive(Debug, Default)]
pub(crate) struct Openings(Mutex<Line>);

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Weak<Core>>,
    openers: usize,
}

impl Openings {
    fn line(&self) -> MutexGuard<'_, Line> {
        // A line and a number are whole whatever panics.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next whose turn it is; `None`: one that opens is not needed any more.
    fn next(&self) -> Option<Arc<Core>> {
        let mut line = self.line();
        // Those that have left since they were added are passed over.
        let next = std::iter::from_fn(|| line.waiting.pop_front()).find_map(|core| core.upgrade());
        if next.is_none() {
            line.waiting = VecDeque::new();
            line.openers -= 1;
        }
        next
    }
}

/// Has a torrent opened when its turn comes. First in, first out.
pub(crate) fn begin(core: &Arc<Core>) {
    let engine = &core.engine;
    let mut line = engine.openings.line();
    line.waiting.push_back(Arc::downgrade(core));
    if line.openers < AT_ONCE {
        line.openers += 1;
        drop(line);
        engine.spawn(go_through(engine.clone()));
    }
}

/// Opens one after the other until none waits.
async fn go_through(engine: Arc<Engine>) {
    while let Some(core) = engine.openings.next() {
        // In a task of its own, so that a panic ends this one alone.
        engine.finish(open::open(core)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::brain::Exchange;

    fn room<F>(_: impl FnOnce(Arc<Core>) -> F) -> usize {
        size_of::<F>()
    }

    /// If each is opened before the next is added, the room of one opening lies between what stays of two torrents.
    #[test]
    fn what_stays_of_a_torrent_fits_the_room_that_its_opening_leaves() {
        let (core, exchange, room) = (size_of::<Core>(), size_of::<Exchange>(), room(open::open));
        assert!(core.max(exchange) <= room, "{core} and {exchange} bytes, {room}");
    }
}
