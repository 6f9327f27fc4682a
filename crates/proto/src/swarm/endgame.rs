//! The end of a download: blocks that a slow peer holds up are asked of a faster one too, and taken back when they came.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use riverrun_metainfo::{Block, PieceIndex};

use crate::swarm::ConnectionId;
use crate::swarm::outbox::Outbox;
use crate::swarm::partial::Claim;
use crate::swarm::peer::Peer;
use crate::swarm::requests::Requests;
use crate::wire::Message;

/// The most peers that one block is asked of at once.
const MOST_ASKED: u8 = 4;
/// What a duplicate must gain at least to be worth its bytes.
const LEAST_GAIN: Duration = Duration::from_millis(20);
/// How long a silent peer holds its blocks against one of which nothing is known yet.
const TRUST: Duration = Duration::from_secs(1);

/// A block that could be had sooner from another.
struct Held {
    by: ConnectionId,
    piece: PieceIndex,
    number: u32,
    /// When it may come from who holds it, from now.
    due: Duration,
}

impl Requests {
    /// Asks a peer with nothing to do for blocks that others hold up, the latest first. Gives whether it asked.
    pub(super) fn steal(
        &mut self,
        peers: &mut BTreeMap<ConnectionId, Peer>,
        thief: ConnectionId,
        now: Instant,
        out: &mut Outbox,
    ) -> bool {
        let Some(peer) = peers.get(&thief) else { return false };
        let (mut room, _) = self.room(peer, now);
        if room == 0 || self.outstanding == peer.down.pipeline.live() {
            return false;
        }
        let mut held = self.held(peers, peer, now);
        held.sort_by(|left, right| right.due.cmp(&left.due));
        let mut stolen = 0;
        for Held { by, piece, number, due } in held {
            let Some(peer) = peers.get_mut(&thief).filter(|_| room > 0) else { break };
            let worth = match peer.expected(now, peer.down.pipeline.live()) {
                Some(expected) => due > expected * 2 + LEAST_GAIN,
                None => due >= 4 * TRUST,
            };
            if !worth {
                break;
            }
            let Some(partial) = self.partials.get_mut(piece) else { continue };
            partial.ask_again(number);
            out.send(thief, Message::Request(partial.block(number)));
            if peer.down.pipeline.live() == 0 {
                peer.begin_asking(now);
            }
            peer.down.pipeline.push(piece, number, now);
            peer.spoke = now;
            let known = peer.expected(now, 0).is_some();
            self.outstanding += 1;
            room -= 1;
            stolen += 1;
            // A peer that answers a cancel gives the block back before it wastes bytes on it.
            if let Some(holder) = peers.get_mut(&by).filter(|holder| known && holder.who.fast) {
                self.give_up(holder, |asked| asked.piece == piece && asked.number == number, Some(out));
            }
        }
        stolen > 0
    }

    /// The blocks outstanding at others that this peer could be asked for.
    fn held(&self, peers: &BTreeMap<ConnectionId, Peer>, thief: &Peer, now: Instant) -> Vec<Held> {
        let mut held = Vec::new();
        for holder in peers.values().filter(|holder| holder.who.connection != thief.who.connection) {
            let idle = now.saturating_duration_since(holder.down.progress);
            let live = holder.down.pipeline.iter().filter(|asked| asked.live);
            for (ahead, asked) in live.enumerate() {
                let Some(partial) = self.partials.get(asked.piece) else { continue };
                let shared = !matches!(partial.claim(), Claim::Parole(_)) && !partial.is_received(asked.number);
                let others = partial.asked(asked.number);
                if !shared || others >= MOST_ASKED || !thief.may_ask(asked.piece) {
                    continue;
                }
                if others > 1 && thief.down.pipeline.has(asked.piece, asked.number) {
                    continue;
                }
                // A peer that was silent for a while is likely to be so for as long again.
                let due = holder.expected(now, ahead).map_or(idle * 4, |expected| expected + idle * 2);
                held.push(Held { by: holder.who.connection, piece: asked.piece, number: asked.number, due });
            }
        }
        held
    }

    /// Takes back the requests for blocks that came from another peer.
    pub(super) fn cancel_doubled(&mut self, peers: &mut BTreeMap<ConnectionId, Peer>, out: &mut Outbox) {
        if self.doubled.is_empty() {
            return;
        }
        let mut doubled = std::mem::take(&mut self.doubled);
        let is_doubled = |blocks: &[Block], piece, number| {
            blocks.iter().any(|block| block.piece == piece && block.number() == number)
        };
        for peer in peers.values_mut().filter(|peer| peer.down.pipeline.live() > 0) {
            self.give_up(peer, |asked| is_doubled(&doubled, asked.piece, asked.number), Some(&mut *out));
        }
        doubled.clear();
        self.doubled = doubled;
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
