//! Upload slots: what the choker decided, done; and a slot at once for whoever comes while one is free.

use std::time::Instant;

use crate::limits;
use crate::swarm::choker::{ROUND, View};
use crate::swarm::line::{Line, wants};
use crate::swarm::outbox::Outbox;
use crate::swarm::peer::Peer;
use crate::swarm::seed_choker::Market;
use crate::swarm::uplink::Load;
use crate::swarm::{SeedChoker, Swarm};
use crate::wire::Message;

impl Swarm {
    /// Gives free slots to peers that want something, who waits longest first. Nobody waits for a round while a slot is free.
    pub(super) fn grant_slots(&mut self, now: Instant) {
        if self.line.first().is_some() {
            let slots = self.choker.open(self.slots(now));
            let holders = self.line.holders().filter_map(|connection| self.peers.get(&connection));
            let mut used = holders.filter(|peer| wants(peer) && !sleeps(peer, now)).count();
            while used < slots
                && let Some(peer) = self.line.first().and_then(|first| self.peers.get_mut(&first))
            {
                unchoke(peer, now, &mut self.line, &mut self.out);
                used += 1;
            }
        }
        self.show_first_copy();
    }

    /// One round of the choker.
    pub(super) fn choker_round(&mut self, now: Instant) {
        let seeds = self.progress.is_finished();
        let market = if seeds { self.market() } else { Market::NONE };
        let piece_length = u64::from(self.progress.layout().piece_length());
        let wanting = self.peers.values_mut().filter(|peer| wants(peer));
        let views: Vec<View> = wanting.map(|peer| view(peer, now, piece_length, &market)).collect();
        let took: Vec<u64> = views.iter().filter(|view| view.unchoked).map(|view| view.took).collect();
        let waiting = views.iter().filter(|view| !view.unchoked && !view.idle).count();
        let waiting = if self.spreads_first_copy() { 0 } else { waiting };
        self.uplink.look(now, Load { total: self.stats.up.total(), took: &took, waiting });
        let slots = self.slots(now);
        let chosen = self.choker.decide(now, views, seeds.then_some((self.seed_choker, &market)), slots);
        for peer in self.peers.values_mut() {
            let chosen = chosen.contains(&peer.who.connection);
            if chosen && peer.up.choking {
                unchoke(peer, now, &mut self.line, &mut self.out);
            } else if !chosen && !peer.up.choking {
                choke(peer, now, &mut self.line, &mut self.out);
                self.first_copy.unserved(peer.who.connection);
            }
        }
        let any = self.peers.values().any(|peer| peer.up.interested || !peer.up.choking);
        self.timers.choke = any.then_some(now + ROUND);
        self.show_first_copy();
    }

    /// Whether all that leaves is the first copy, and most of those who are served wait for more of it: that is an uplink which is full,
    /// and the more share it, the later anyone has a piece to pass on.
    fn spreads_first_copy(&self) -> bool {
        let served = || self.peers.values().filter(|peer| peer.up.interested && !peer.up.choking);
        self.first_copy.is_under() && served().filter(|peer| !peer.up.queue.is_idle()).count() * 2 >= served().count()
    }

    /// What the order of a seed depends on.
    fn market(&mut self) -> Market {
        let layout = self.progress.layout();
        let (size, pieces) = (layout.stream_length(), layout.piece_count());
        match self.seed_choker {
            SeedChoker::RoundRobin | SeedChoker::Fastest => Market::NONE,
            SeedChoker::AntiLeech => Market::of_size(size),
            SeedChoker::RarestNeed => {
                let first = self.rng.u32(..pieces.max(1));
                // Seeds count for nothing: they are where we are.
                Market::new(size, pieces, first, self.peers.values().filter_map(|peer| peer.pieces.bits()))
            }
        }
    }
}

/// Whether a peer has a slot for a while and has asked for nothing: whoever else wants something need not wait for its slot.
fn sleeps(peer: &Peer, now: Instant) -> bool {
    let up = &peer.up;
    let asked = !up.queue.is_idle() || up.rate.total() > up.at_turn;
    !up.choking && !asked && now.saturating_duration_since(up.turned) >= limits::SLOT_SLEEP
}

/// What the choker sees of a peer; what counts by round begins anew.
fn view(peer: &mut Peer, now: Instant, piece_length: u64, market: &Market) -> View {
    let (down, up) = (peer.down.rate.total(), peer.up.rate.total());
    let unchoked = !peer.up.choking;
    // A slot whose owner takes nothing although something waits for it is of no use to anyone (P29).
    let thief =
        unchoked && !peer.up.queue.is_idle() && now.saturating_duration_since(peer.up.took) >= limits::SLOT_TIMEOUT;
    peer.up.thief |= thief;
    let view = View {
        connection: peer.who.connection,
        since: peer.who.since,
        unchoked,
        turned: peer.up.turned,
        gave: down - peer.down.at_last_round,
        took: up - peer.up.at_last_round,
        took_in_turn: up - peer.up.at_turn,
        took_in_all: up,
        holds: u64::from(peer.pieces.count()) * piece_length,
        lacks_rare: market.lacks(|piece| peer.pieces.has(piece)),
        snubs: peer.down.snubbed,
        idle: peer.up.thief || sleeps(peer, now),
    };
    (peer.down.at_last_round, peer.up.at_last_round) = (down, up);
    view
}

fn unchoke(peer: &mut Peer, now: Instant, line: &mut Line, out: &mut Outbox) {
    line.leave(peer);
    peer.up.choking = false;
    (peer.up.turned, peer.up.took) = (now, now);
    line.place(peer);
    peer.up.at_turn = peer.up.rate.total();
    peer.spoke = now;
    out.send(peer.who.connection, Message::Unchoke);
}

/// Chokes, then rejects what waits (BEP 6: in this order); without the fast extension the choke says it all.
fn choke(peer: &mut Peer, now: Instant, line: &mut Line, out: &mut Outbox) {
    line.leave(peer);
    peer.up.choking = true;
    peer.up.turned = now;
    line.place(peer);
    peer.spoke = now;
    let (connection, fast) = (peer.who.connection, peer.who.fast);
    out.send(connection, Message::Choke);
    let allowed = &peer.up.allowed_fast;
    peer.up.queue.take_where(
        |block| !allowed.contains(&block.piece),
        |block| {
            if fast {
                out.send(connection, Message::Reject(block));
            }
        },
    );
}
