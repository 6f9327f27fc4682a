//! How often locks are taken.

use crate::Torrent;

/// How often the locks on the way of a block were taken, since the session began. Each is counted under itself, which costs nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LockHolds {
    /// The torrent's, by whoever changes something; owners who look at it are not counted.
    pub swarm: u64,
    /// The one of the session's blocks.
    pub pool: u64,
    /// Those of its disk threads' queues; who slept takes it anew.
    pub queues: u64,
}

impl LockHolds {
    /// Counted up to now.
    #[must_use]
    pub fn of(torrent: &Torrent) -> Self {
        let core = torrent.core();
        let disk = &core.engine.disk;
        Self { swarm: core.look(|brain| brain.acts), pool: disk.pool().lock_holds(), queues: disk.queue_lock_holds() }
    }
}
