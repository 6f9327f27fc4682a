//! The requests of one peer that wait to be served, and the payload on its way to it.
//!
//! Invariant: every request taken in leaves exactly once: served, or handed back to be rejected (BEP 6).

use std::collections::VecDeque;

use riverrun_metainfo::Block;

use crate::limits;
use crate::swarm::ConnectionId;
use crate::swarm::outbox::Outbox;

/// A bounded queue in front of a bounded amount of payload under way.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    queue: VecDeque<Block>,
    /// Bytes handed out and not reported as served.
    under_way: u64,
}

impl Uploads {
    /// How many requests wait.
    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Whether the peer may have no more requests waiting.
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= limits::MAX_QUEUED_REQUESTS
    }

    /// Whether nothing waits and nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.under_way == 0
    }

    /// Takes a request in.
    pub(super) fn push(&mut self, block: Block) {
        self.queue.push_back(block);
    }

    /// Takes a request back; false if it is not waiting (any more).
    pub(super) fn cancel(&mut self, block: Block) -> bool {
        let at = self.queue.iter().position(|waiting| *waiting == block);
        at.is_some_and(|at| self.queue.remove(at).is_some())
    }

    /// Hands out blocks to serve, in runs: nothing until half of the room is free again. `rate` is the peer's, in bytes per second.
    pub(super) fn serve(&mut self, connection: ConnectionId, rate: u64, out: &mut Outbox) {
        let most = (rate / 4).clamp(limits::MIN_SERVING_BYTES, limits::MAX_SERVING_BYTES);
        if self.under_way > most / 2 {
            return;
        }
        while self.under_way < most {
            let Some(block) = self.queue.pop_front() else { return };
            self.under_way += u64::from(block.length);
            out.serve(connection, block);
        }
    }

    /// So many bytes have left, or never will.
    pub(super) fn done(&mut self, bytes: u64) {
        self.under_way = self.under_way.saturating_sub(bytes);
    }

    /// Hands back the waiting requests that `which` names.
    pub(super) fn take_where(&mut self, which: impl Fn(&Block) -> bool, mut each: impl FnMut(Block)) {
        self.queue.retain(|block| {
            let goes = which(block);
            if goes {
                each(*block);
            }
            !goes
        });
    }
}
