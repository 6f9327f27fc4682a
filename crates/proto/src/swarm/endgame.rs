//! The end of a download: blocks that a slow peer holds up are asked of a faster one too, and taken back when they came.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use riverrun_metainfo::{Block, PieceIndex};

use crate::swarm::ConnectionId;
use crate::swarm::on_demand::Rested;
use crate::swarm::outbox::Outbox;
use crate::swarm::partial::Claim;
use crate::swarm::peer::Peer;
use crate::swarm::pipeline::Asked;
use crate::swarm::requests::Requests;
use crate::wire::Message;

/// The most peers that one block is asked of at once, when the next is one of which nothing is known yet.
const MOST_ASKED: u8 = 2;
/// What a duplicate must gain at least to be worth its bytes.
const LEAST_GAIN: Duration = Duration::from_millis(20);
/// How long a peer with requests must have been silent, at least, to count as stalled.
const STALLED: Duration = Duration::from_millis(100);
/// What is gained at least where a block is asked of another although taking requests back has not helped so far.
const CERTAIN_GAIN: Duration = Duration::from_secs(2);
/// What is late enough to be asked of another in the middle of a download.
const VERY_LATE: Duration = Duration::from_secs(10);
/// No network takes longer for a request and its block: the rest of what a peer takes is its own doing.
const MOST_WIRE: Duration = Duration::from_secs(1);
/// How late a block must be to be asked of a peer of which nothing is known yet.
const TRUST: Duration = Duration::from_secs(4);

/// What is known of blocks that are asked of a second peer.
#[derive(Debug, Default)]
pub(super) struct Endgame {
    /// Blocks that came while other peers are asked for them too.
    pub(super) doubled: Vec<Block>,
    /// Until when the second peer should have brought its block.
    promised: BTreeMap<(PieceIndex, u32), Instant>,
    /// What one peer could be asked for; kept for its memory.
    held: Vec<Held>,
}

impl Rested for Endgame {
    const RESTED: &'static Self = &Self { doubled: Vec::new(), promised: BTreeMap::new(), held: Vec::new() };
}

/// A block that could be had sooner from another.
#[derive(Debug)]
struct Held {
    by: ConnectionId,
    piece: PieceIndex,
    number: u32,
    /// When it may come from who holds it, from now.
    due: Duration,
}

impl Requests {
    /// Asks a peer with nothing else to do for blocks that others hold up, the latest first.
    pub(super) fn steal(
        &mut self,
        peers: &mut BTreeMap<ConnectionId, Peer>,
        thief: ConnectionId,
        now: Instant,
        out: &mut Outbox,
    ) {
        let Some(peer) = peers.get(&thief) else { return };
        let (room, window) = self.room(peer, now);
        let live = peer.down.pipeline.live();
        // Who has work for a while is asked again when it is nearly done.
        if room == 0 || live > window / 4 || self.is_lost(peer, now) {
            return;
        }
        let each = peer.each_block(now);
        // Who lets requests wait would let these wait too.
        let silent = if live > 0 { now.saturating_duration_since(peer.down.progress) } else { Duration::ZERO };
        let worth = each.map_or(TRUST, |each| (each * clamped(live + 1) + peer.down.delay + silent) * 2 + LEAST_GAIN);
        // Before the end others will have work for it soon: only what is really late is worth a second request.
        let worth = if self.in_endgame() { worth } else { worth.max(VERY_LATE) };
        let mut held = self.endgame.made().map(|endgame| std::mem::take(&mut endgame.held)).unwrap_or_default();
        self.find_held(peers, peer, worth, now, &mut held);
        // A peer's own are found the latest first: among equals they stay so.
        held.sort_by_key(|held| Reverse(held.due));
        for (Held { by, piece, number, due }, nth) in held.drain(..).zip(0u32..) {
            // Each block stolen before makes this one come later.
            let later = each.map_or(Duration::ZERO, |each| each * nth * 2);
            if nth as usize >= room || due <= worth + later {
                break;
            }
            // Who was asked first gives the block back before it wastes bytes on it. Only to a peer that is not known yet a
            // block is not entrusted alone.
            if let Some(holder) = peers.get_mut(&by).filter(|_| each.is_some()) {
                self.give_up(holder, |asked| asked.piece == piece && asked.number == number, Some(out));
            }
            let (Some(peer), Some(partial)) = (peers.get_mut(&thief), self.partials.get_mut(piece)) else { break };
            partial.ask(number);
            // Until then only a faster one is asked for it: a third is waste while the second keeps its promise.
            let promise = each.map_or(Duration::ZERO, |_| worth + later);
            self.endgame.need().promised.insert((piece, number), now + promise);
            out.send(thief, Message::Request(partial.block(number)));
            if peer.down.pipeline.live() == 0 {
                peer.begin_asking(now);
            }
            peer.down.pipeline.push(piece, number, now);
            peer.spoke = now;
            self.outstanding += 1;
        }
        // What found nothing has no memory to keep.
        if held.capacity() > 0 {
            self.endgame.need().held = held;
        }
    }

    /// A piece has come, or begins again.
    pub(super) fn forget_promises(&mut self, piece: PieceIndex) {
        let promised = self.endgame.made().map(|endgame| &mut endgame.promised);
        promised.into_iter().for_each(|promised| promised.retain(|(of, _), _| *of != piece));
    }

    /// The blocks outstanding at others that come later than `worth` and that this peer could be asked for.
    fn find_held(
        &self,
        peers: &BTreeMap<ConnectionId, Peer>,
        thief: &Peer,
        worth: Duration,
        now: Instant,
        held: &mut Vec<Held>,
    ) {
        let known = thief.each_block(now).is_some();
        for holder in peers.values().filter(|holder| holder.who.connection != thief.who.connection) {
            let idle = now.saturating_duration_since(holder.down.progress);
            let each = holder.each_block(now);
            // A peer that was silent for a while is likely to be so for as long again.
            let due = |ahead: usize| each.map_or(idle * 4, |each| each * clamped(ahead + 1) + idle * 2);
            // What is on the wire already comes before a cancel can stop it.
            let wire = holder.down.delay.min(MOST_WIRE);
            let worth = worth.max(wire * 2);
            let live = holder.down.pipeline.live();
            let last_first = holder.down.pipeline.iter().rev().filter(|asked| asked.live).zip((0..live).rev());
            let stalled = idle > (wire * 4).max(each.unwrap_or_default() * 8).max(STALLED);
            let mut most = if stalled { usize::MAX } else { holder.may_be_robbed_of() };
            for (asked, ahead) in last_first.take_while(|(_, ahead)| due(*ahead) > worth) {
                if most == 0 && due(ahead) <= worth + CERTAIN_GAIN {
                    break;
                }
                most = most.saturating_sub(1);
                let Some(partial) = self.partials.get(asked.piece) else { continue };
                let shared = !matches!(partial.claim(), Claim::Parole(_)) && !partial.is_received(asked.number);
                let others = partial.asked(asked.number);
                if !shared || (!known && others >= MOST_ASKED) || !thief.may_ask(asked.piece) {
                    continue;
                }
                let promised = self.endgame.promised.get(&(asked.piece, asked.number));
                if promised.is_some_and(|until| *until > now && *until <= now + worth) {
                    continue;
                }
                if others > 1 && thief.down.pipeline.has(asked.piece, asked.number) {
                    continue;
                }
                let Asked { piece, number, .. } = *asked;
                held.push(Held { by: holder.who.connection, piece, number, due: due(ahead) });
            }
        }
    }

    /// Takes back the requests for blocks that came from another peer.
    pub(super) fn cancel_doubled(&mut self, peers: &mut BTreeMap<ConnectionId, Peer>, out: &mut Outbox) {
        let Some(endgame) = self.endgame.made().filter(|endgame| !endgame.doubled.is_empty()) else { return };
        let mut doubled = std::mem::take(&mut endgame.doubled);
        let is_doubled = |blocks: &[Block], piece, number| {
            blocks.iter().any(|block| block.piece == piece && block.number() == number)
        };
        for peer in peers.values_mut().filter(|peer| peer.down.pipeline.live() > 0) {
            self.give_up(peer, |asked| is_doubled(&doubled, asked.piece, asked.number), Some(&mut *out));
        }
        doubled.clear();
        self.endgame.need().doubled = doubled;
    }

    /// Takes back every request for a piece.
    pub(super) fn cancel_piece(
        &mut self,
        peers: &mut BTreeMap<ConnectionId, Peer>,
        piece: PieceIndex,
        out: &mut Outbox,
    ) {
        for peer in peers.values_mut() {
            self.give_up(peer, |asked| asked.piece == piece, Some(&mut *out));
        }
    }
}

fn clamped(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
