//! Who is asked for the blocks that somebody waits for: who brings them soonest, and a second peer when the first is late.
//!
//! Nothing here runs while there are no deadlines.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use riverrun_metainfo::PieceIndex;

use crate::limits;
use crate::swarm::deadlines::Deadline;
use crate::swarm::outbox::Outbox;
use crate::swarm::partial::Claim;
use crate::swarm::peer::Peer;
use crate::swarm::requests::Requests;
use crate::swarm::{ConnectionId, Pressure};
use crate::wire::Message;

/// How often it is looked at who is late.
pub(super) const LOOK: Duration = Duration::from_millis(100);
/// How much data a peer is asked for ahead while something is late: what is asked for now comes so much later.
const LEAST_HORIZON: Duration = Duration::from_millis(400);
/// The same while nothing is due for a while.
const MOST_HORIZON: Duration = Duration::from_millis(1500);
/// Blocks asked of a peer beyond that, so that none has nothing to do.
const SPARE: usize = 2;
/// Blocks asked of a peer of which nothing is known yet.
const FIRST: usize = 2;
/// How long such a peer is thought to take for a block.
const UNKNOWN: Duration = Duration::from_millis(400);
/// What a peer may be slower than the fastest and still be asked for what is late already.
const SLACK: Duration = Duration::from_millis(200);
/// What a second request must gain at least.
const LEAST_GAIN: Duration = Duration::from_millis(50);
/// How long a peer must have been silent to be asked for nothing that is late.
const STALLED: Duration = Duration::from_millis(600);
/// The most peers that are asked for one block, but for those that are stalled.
const MOST_ASKED: u8 = 2;
/// Blocks that are asked of second peers with one look.
const MOST_AT_ONCE: usize = 64;
/// Requests to one peer that may go beyond its window, for what is late.
const BEYOND: usize = 8;

/// What is expected of a peer now.
#[derive(Clone, Copy, Debug)]
struct Pace {
    connection: ConnectionId,
    /// For each block; `None` if it has brought nothing yet.
    each: Option<Duration>,
    /// At least this passes before a block can be here.
    delay: Duration,
    /// How long it was silent although it was asked, beyond what a block takes.
    silent: Duration,
    /// Blocks that it is asked for.
    live: usize,
    room: usize,
}

impl Pace {
    fn of(peer: &Peer, room: usize, now: Instant) -> Self {
        let live = peer.down.pipeline.live();
        let each = peer.each_block(now);
        let waits = match (each, peer.down.pipeline.iter().next()) {
            // Who has brought nothing yet is not trusted anew each time that what it was asked for is taken back.
            (None, Some(first)) => now.saturating_duration_since(first.at) * 2,
            (Some(_), Some(_)) => now.saturating_duration_since(peer.down.progress),
            _ => Duration::ZERO,
        };
        let silent = waits.saturating_sub(each.unwrap_or_default().max(peer.down.delay));
        let silent = if peer.down.snubbed { silent + limits::PROGRESS_TIMEOUT } else { silent };
        Self { connection: peer.who.connection, each, delay: peer.down.delay, silent, live, room }
    }

    /// Whether it was silent for so long that it may be gone.
    fn is_stalled(&self) -> bool {
        self.silent > STALLED.max(self.each.unwrap_or_default() * 8)
    }

    /// When a block comes before which it has so many others to send, from now. Who was silent is likely to be so for as long again.
    fn brings(&self, ahead: usize) -> Duration {
        let count = u32::try_from(ahead + 1).unwrap_or(u32::MAX);
        let flow = self.each.unwrap_or(UNKNOWN).saturating_mul(count);
        flow.max(self.delay) + self.silent * 2
    }

    /// Whether it may be asked for one more block that is due then: it is in time, or nearly as soon as anybody could be.
    fn may_have(&self, due: Instant, best: Duration, now: Instant) -> bool {
        let brings = self.brings(self.live);
        (now + brings + brings / 4 <= due && !self.is_stalled()) || brings <= best * 2 + SLACK
    }
}

/// A block that will come too late.
struct Late {
    due: Instant,
    by: ConnectionId,
    piece: PieceIndex,
    number: u32,
    /// When it may come, from now.
    comes: Duration,
    /// Who was asked for it may be gone.
    stalled: bool,
}

impl Requests {
    /// The most blocks to have outstanding at a peer while somebody waits for pieces: what waits behind much waits long.
    pub(super) fn shallow(&self, peer: &Peer, now: Instant) -> usize {
        let pace = Pace::of(peer, 0, now);
        match pace.each {
            // What it answers to is found out with one.
            _ if pace.is_stalled() => 1,
            None => FIRST,
            Some(each) => {
                let first = self
                    .deadlines
                    .order()
                    .first()
                    .map_or(MOST_HORIZON, |first| first.due.saturating_duration_since(now));
                let blocks = first.clamp(LEAST_HORIZON, MOST_HORIZON).as_nanos() / each.as_nanos().max(1);
                usize::try_from(blocks).unwrap_or(usize::MAX).saturating_add(SPARE)
            }
        }
    }

    /// Whether somebody waits for pieces, and this peer was silent for so long that it may be gone.
    pub(super) fn is_lost(&self, peer: &Peer, now: Instant) -> bool {
        !self.deadlines.is_empty() && Pace::of(peer, 0, now).is_stalled()
    }

    /// Asks one peer for what is due and what it can bring in time. Gives how many blocks.
    pub(super) fn fill_urgent(&mut self, peer: &mut Peer, room: usize, now: Instant, out: &mut Outbox) -> usize {
        let mut pace = Pace::of(peer, room, now);
        let (connection, best) = (peer.who.connection, self.deadlines.best.unwrap_or(UNKNOWN));
        for Deadline { due, piece } in self.deadlines.order() {
            if pace.room == 0 {
                break;
            }
            let Some(partial) = self.partials.get_mut(*piece) else { continue };
            if partial.free() == 0 || !matches!(partial.claim(), Claim::Urgent(_)) || !peer.may_ask(*piece) {
                continue;
            }
            while pace.room > 0
                && pace.may_have(*due, best, now)
                && let Some(number) = partial.ask_next()
            {
                peer.down.pipeline.push(*piece, number, now);
                out.send(connection, Message::Request(partial.block(number)));
                (pace.live, pace.room) = (pace.live + 1, pace.room - 1);
            }
        }
        room - pace.room
    }

    /// What peers are expected to do, of those that may be asked now.
    fn paces(&self, peers: &BTreeMap<ConnectionId, Peer>, now: Instant) -> Vec<Pace> {
        let able = peers.values().filter(|peer| peer.down.interested && !peer.down.choked);
        able.map(|peer| Pace::of(peer, self.room(peer, now).0, now)).collect()
    }

    /// Deals out the free blocks that are due, the earliest first, each to the peer that brings it soonest.
    pub(super) fn deal(&mut self, peers: &mut BTreeMap<ConnectionId, Peer>, now: Instant, out: &mut Outbox) {
        let mut paces = self.paces(peers, now);
        self.deadlines.need().best = paces.iter().map(|pace| pace.brings(pace.live)).min();
        let best = self.deadlines.best.unwrap_or(UNKNOWN);
        for Deadline { due, piece } in self.deadlines.order() {
            let Some(partial) = self.partials.get_mut(*piece) else { continue };
            if !matches!(partial.claim(), Claim::Urgent(_)) {
                continue;
            }
            while partial.free() > 0 {
                let has = |pace: &&mut Pace| {
                    pace.room > 0 && peers.get(&pace.connection).is_some_and(|peer| peer.may_ask(*piece))
                };
                let soonest = paces.iter_mut().filter(has).min_by_key(|pace| pace.brings(pace.live));
                let Some(pace) = soonest.filter(|pace| pace.may_have(*due, best, now)) else { break };
                let (Some(peer), Some(number)) = (peers.get_mut(&pace.connection), partial.ask_next()) else { break };
                ask(peer, *piece, number, now);
                out.send(pace.connection, Message::Request(partial.block(number)));
                self.outstanding += 1;
                (pace.live, pace.room) = (pace.live + 1, pace.room - 1);
            }
            if paces.iter().all(|pace| pace.room == 0) {
                return;
            }
        }
    }

    /// Asks a second peer for what the first will bring too late, if the second is sooner.
    pub(super) fn ask_twice(&mut self, peers: &mut BTreeMap<ConnectionId, Peer>, now: Instant, out: &mut Outbox) {
        if self.pressure == Pressure::Full {
            return;
        }
        let mut late = self.late(peers, now);
        late.sort_by_key(|late| (late.due, late.piece, late.number));
        let mut paces = self.paces(peers, now);
        paces.retain(|pace| pace.each.is_some());
        paces.iter_mut().for_each(|pace| pace.room = pace.room.max(BEYOND));
        for Late { by, piece, number, comes, stalled, .. } in late.into_iter().take(MOST_AT_ONCE) {
            // Where somebody else was asked already, who may be gone is only taken out.
            if self.partials.get(piece).is_some_and(|partial| partial.asked(number) < MOST_ASKED) {
                let able = |pace: &&mut Pace| {
                    let peer = peers.get(&pace.connection).filter(|_| pace.room > 0 && pace.connection != by);
                    let most = |peer: &Peer| peer.extensions.reqq.clamp(1, limits::MAX_REQQ) as usize;
                    peer.is_some_and(|peer| peer.may_ask(piece) && most(peer) > peer.down.pipeline.len())
                };
                let soonest = paces.iter_mut().filter(able).min_by_key(|pace| pace.brings(pace.live));
                let sooner = soonest.filter(|pace| pace.brings(pace.live) * 3 / 2 + LEAST_GAIN < comes);
                let Some(pace) = sooner else { continue };
                let Some(partial) = self.partials.get_mut(piece) else { continue };
                let Some(peer) = peers.get_mut(&pace.connection) else { continue };
                partial.ask(number);
                ask(peer, piece, number, now);
                out.send(pace.connection, Message::Request(partial.block(number)));
                self.outstanding += 1;
                (pace.live, pace.room) = (pace.live + 1, pace.room - 1);
            }
            // Who may be gone would hold it up for the next who looks for what is late.
            if stalled && let Some(holder) = peers.get_mut(&by) {
                self.give_up(holder, |asked| asked.piece == piece && asked.number == number, Some(&mut *out));
            }
        }
    }

    /// Blocks that are asked for and will come after they are due.
    fn late(&self, peers: &BTreeMap<ConnectionId, Peer>, now: Instant) -> Vec<Late> {
        let mut late = Vec::new();
        for peer in peers.values().filter(|peer| peer.down.pipeline.live() > 0) {
            let pace = Pace::of(peer, 0, now);
            let live = peer.down.pipeline.iter().filter(|asked| asked.live);
            for (asked, ahead) in live.zip(0..) {
                let Some(partial) = self.partials.get(asked.piece) else { continue };
                let Claim::Urgent(due) = partial.claim() else { continue };
                let comes = pace.brings(ahead);
                let stalled = pace.is_stalled();
                let few = partial.asked(asked.number) < MOST_ASKED || stalled;
                if few && !partial.is_received(asked.number) && now + comes > due {
                    let (by, piece, number) = (peer.who.connection, asked.piece, asked.number);
                    late.push(Late { due, by, piece, number, comes, stalled });
                }
            }
        }
        late
    }

    /// Takes back what is not urgent, so that what is does not wait behind it.
    pub(super) fn make_way(&mut self, peers: &mut BTreeMap<ConnectionId, Peer>, out: &mut Outbox) {
        let urgent: Vec<PieceIndex> = self.deadlines.order().iter().map(|deadline| deadline.piece).collect();
        let mut sorted = urgent;
        sorted.sort_unstable();
        for peer in peers.values_mut().filter(|peer| peer.down.pipeline.live() > 0) {
            self.give_up(peer, |asked| sorted.binary_search(&asked.piece).is_err(), Some(&mut *out));
            if !peer.who.fast {
                // It does not say what it dropped: what is waited for would leave no room for what is urgent.
                self.forget_unanswered(peer, |_| true);
            }
            peer.down.braid.clear();
        }
    }
}

/// Notes a request.
fn ask(peer: &mut Peer, piece: PieceIndex, number: u32, now: Instant) {
    if peer.down.pipeline.len() == 0 {
        peer.begin_asking(now);
    }
    peer.down.pipeline.push(piece, number, now);
    peer.spoke = now;
}
