//! A young swarm: few pieces are in it yet, and whoever gets one is asked for it by all his neighbours at once.
//!
//! What waits at one peer is not asked of another who gets the same piece a moment later. So where all ask for much, a few uplinks
//! have seconds of work and the others none, until there are so many pieces that each has something to give. Here little is asked
//! of each, so that most is still to be asked for when somebody with an idle uplink has it; and few are served at once, so that a piece is
//! soon whole at the first of them, who passes it on.

use std::time::{Duration, Instant};

use crate::swarm::Swarm;
use crate::swarm::peer::Peer;
use crate::swarm::picker::Picker;
use crate::swarm::requests::Requests;

/// A peer has few of the pieces that we need if it has less than one in so many.
const FEW: usize = 3;
/// Blocks that are asked of others, at least, before little is asked of one.
const ELSEWHERE: usize = 8;
/// What is asked of a peer whose rate is not known, in blocks.
const FIRST: usize = 4;
/// What is asked of a peer beyond its shortest delay.
const HORIZON: Duration = Duration::from_millis(150);
/// Blocks in any case, beyond what comes in that time.
const SPARE: usize = 1;
/// For so long after somebody first wanted something few are served at once.
const YOUTH: Duration = Duration::from_secs(60);
/// The fewest that are: three by merit and one by luck (BEP 3).
const LEAST_SLOTS: usize = 4;

impl Requests {
    /// The most blocks to have outstanding at a peer that has few of the pieces that we need, if others are asked for more.
    pub(super) fn share_of(&self, peer: &Peer, now: Instant) -> Option<usize> {
        let elsewhere = self.outstanding - peer.down.pipeline.live();
        if !self.strategy.short_queues || elsewhere < ELSEWHERE {
            return None;
        }
        let needed = self.partials.len() + self.picker.as_deref().map_or(0, Picker::len);
        (peer.down.useful as usize * FEW < needed).then(|| share(peer, now))
    }
}

/// What a peer brings within the horizon.
fn share(peer: &Peer, now: Instant) -> usize {
    peer.each_block(now).map_or(FIRST, |each| {
        let blocks = (HORIZON + peer.down.delay).as_nanos() / each.as_nanos().max(1);
        usize::try_from(blocks).unwrap_or(usize::MAX).saturating_add(SPARE)
    })
}

impl Swarm {
    /// How many slots there are, at the rate of uploading that is measured now.
    pub(super) fn slots(&self, now: Instant) -> usize {
        let rate = self.stats.up.per_second(now);
        let slots = self.uplink.slots(rate);
        let young = self.wanted_since.is_none_or(|since| now.saturating_duration_since(since) < YOUTH);
        if young && self.requests.strategy.short_queues && !self.uplink.is_fixed() {
            return slots.min(young_slots(rate));
        }
        slots
    }
}

/// As many as are served at once by a young swarm, at this rate in bytes per second.
fn young_slots(rate: u64) -> usize {
    usize::try_from((rate / 15_000).isqrt()).unwrap_or(usize::MAX).max(LEAST_SLOTS)
}
