//! Filling a peer's pipeline: how many requests, of which pieces.

use std::time::{Duration, Instant};

use riverrun_metainfo::{BLOCK_LENGTH, PieceIndex};

use crate::limits;
use crate::swarm::blame::Blame;
use crate::swarm::outbox::Outbox;
use crate::swarm::partial::{Claim, Partial};
use crate::swarm::peer::Peer;
use crate::swarm::picker::{Picker, Rule};
use crate::swarm::progress::Progress;
use crate::swarm::rate::Rate;
use crate::swarm::requests::Requests;
use crate::swarm::{PieceOrder, Pressure};
use crate::wire::Message;

/// A peer that gets a whole piece within this many seconds takes it alone.
const WHOLE_PIECE_SECONDS: u64 = 10;
/// Pieces picked at random before rarest first, so that there soon is something to trade.
const RANDOM_PIECES: usize = 4;

/// Blocks that each peer may be asked for however low the limit is: one that comes and one that waits.
const LEAST_UNDER_LIMIT: usize = 2;

/// What filling came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Filled {
    /// The pipeline is as full as it should be.
    Enough,
    /// There is room, and nothing to ask this peer for.
    Starved,
}

impl Requests {
    /// Sends requests until the peer's window is full. Nothing is done until an eighth of the window is open, so that
    /// requests leave in runs. `all` is what comes from all peers.
    pub(super) fn fill(
        &mut self,
        peer: &mut Peer,
        progress: &Progress,
        blame: &Blame,
        all: &Rate,
        now: Instant,
        out: &mut Outbox,
    ) -> Filled {
        let (mut room, window) = self.room(peer, now);
        if room == 0 || (peer.down.pipeline.live() > 0 && room < (window / 8).max(1)) {
            return Filled::Enough;
        }
        if peer.down.starved {
            return Filled::Starved;
        }
        // What was taken back because the peer was silent does not make it one that was just asked.
        if peer.down.pipeline.live() == 0 && (self.deadlines.is_empty() || peer.down.pipeline.len() == 0) {
            peer.begin_asking(now);
        }
        let (connection, before) = (peer.who.connection, room);
        if !self.deadlines.is_empty() {
            room -= self.fill_urgent(peer, room, now, out);
        }
        self.widen(peer, progress.layout().piece_length(), all, now);
        while room > 0 {
            let Some(piece) = self.choose(peer, progress, blame, now) else { break };
            let Some(partial) = self.partials.get_mut(piece) else { break };
            let whole = partial.claim() == Claim::Whole(connection);
            let end = partial.first_free().map_or(0, |first| peer.down.braid.end_of_turn(first, whole));
            loop {
                let run = partial.ask_run(end, room);
                if run.is_empty() {
                    break;
                }
                room -= run.len();
                for number in run {
                    peer.down.pipeline.push(piece, number, now);
                    out.send(connection, Message::Request(partial.block(number)));
                }
            }
            match partial.first_free() {
                None => peer.down.braid.leave(),
                Some(next) if next >= end => peer.down.braid.turn(),
                Some(_) => {}
            }
        }
        self.outstanding += before - room;
        if room < before {
            peer.spoke = now;
        }
        peer.down.starved = room > 0;
        if room > 0 { Filled::Starved } else { Filled::Enough }
    }

    /// What a peer that was asked for so many blocks may take longer than it else might, because we ourselves read no faster.
    pub(super) fn own_slowness(&self, asked: usize) -> Duration {
        self.down_limit.slowness(self.outstanding, asked)
    }

    /// How many more requests the peer should have now, and its whole window.
    pub(super) fn room(&self, peer: &Peer, now: Instant) -> (usize, usize) {
        let down = &peer.down;
        if !down.interested || (down.choked && down.allowed_fast.is_empty()) {
            return (0, 0);
        }
        let most = peer.extensions.reqq.clamp(1, limits::MAX_REQQ);
        let flaps = self.strategy.choke_flaps && peer.conduct.flaps(now);
        let window = if flaps { 1 } else { down.window.blocks().min(most) } as usize;
        let window = if self.deadlines.is_empty() { window } else { window.min(self.shallow(peer, now)) };
        let window = self.share_of(peer, now).map_or(window, |share| window.min(share));
        let window = match self.pressure {
            Pressure::None => window,
            Pressure::Some => (window / 2).max(1),
            Pressure::Full => 0,
        };
        let window = match self.down_limit.budget() {
            None => window,
            Some(budget) => {
                let left = budget.saturating_sub(self.outstanding);
                window.min((down.pipeline.live() + left).max(LEAST_UNDER_LIMIT))
            }
        };
        let waits = if down.doubted { down.pipeline.len() } else { down.pipeline.live() };
        let room = window.saturating_sub(waits);
        (room.min((most as usize).saturating_sub(down.pipeline.len())), window)
    }

    /// The piece to ask this peer for next; it is begun and has free blocks.
    fn choose(&mut self, peer: &mut Peer, progress: &Progress, blame: &Blame, now: Instant) -> Option<PieceIndex> {
        loop {
            while let Some(current) = peer.down.braid.current() {
                if self.partials.get(current).is_some_and(|part| part.free() > 0 && may_go_on(part, peer)) {
                    return Some(current);
                }
                peer.down.braid.leave();
            }
            if peer.down.braid.has_room() {
                if let Some(piece) = self.another(peer, progress, blame, now) {
                    peer.down.braid.join(piece);
                    return Some(piece);
                }
                peer.down.braid.close();
            }
            if !peer.down.braid.begin_round() {
                break;
            }
        }
        let piece = self.partial_of_another(peer)?;
        peer.down.braid.join(piece);
        Some(piece)
    }

    /// One more piece to ask this peer for, with free blocks that are for it or for anyone.
    fn another(&mut self, peer: &mut Peer, progress: &Progress, blame: &Blame, now: Instant) -> Option<PieceIndex> {
        if peer.who.web_seed.is_some()
            && let Some(piece) = self.next_of_run(peer, progress, now)
        {
            return Some(piece);
        }
        self.open_partial(peer, blame, now).or_else(|| self.new_piece(peer, progress, now))
    }

    /// A begun piece that nobody has for itself.
    fn open_partial(&mut self, peer: &Peer, blame: &Blame, now: Instant) -> Option<PieceIndex> {
        let piece = self.first_open(peer, blame, now)?;
        let partial = self.partials.get_mut(piece)?;
        if partial.claim() == Claim::Parole(None) {
            partial.set_claim(Claim::Parole(Some(peer.who.connection)));
        }
        Some(piece)
    }

    fn first_open(&mut self, peer: &Peer, blame: &Blame, now: Instant) -> Option<PieceIndex> {
        let picker = self.picker.as_deref();
        let mut open = self.partials.open().filter(|partial| {
            let may = match partial.claim() {
                Claim::Shared => true,
                Claim::Parole(None) => may_take_parole(partial, peer, picker, blame, now),
                Claim::Whole(owner) | Claim::Parole(Some(owner)) => owner == peer.who.connection,
                Claim::Urgent(_) => false,
            };
            may && peer.may_ask(partial.piece()) && !peer.down.braid.has(partial.piece())
        });
        let first = if self.sequential { open.min_by_key(|partial| partial.piece()) } else { open.next() };
        first.map(Partial::piece)
    }

    /// Begins the piece that the picker names.
    fn new_piece(&mut self, peer: &mut Peer, progress: &Progress, now: Instant) -> Option<PieceIndex> {
        let picker = self.picker.as_mut()?;
        let down = &mut peer.down;
        let piece = if down.choked {
            let allowed = down.allowed_fast.iter().copied();
            let possible = allowed.filter(|piece| picker.is_pickable(*piece) && peer.pieces.has(*piece));
            possible.min_by_key(|piece| picker.place(*piece))?
        } else if self.sequential {
            picker.pick(&peer.pieces, Rule::First)?
        } else {
            down.suggested.retain(|piece| picker.is_pickable(*piece));
            let suggestions = if self.strategy.suggestions { down.suggested.as_slice() } else { &[] };
            let suggested = suggestions.iter().copied().find(|piece| peer.pieces.has(*piece));
            let first = progress.have_pieces() as usize + self.partials.len() < RANDOM_PIECES;
            let rule = match self.strategy.piece_order {
                PieceOrder::Rarest if !first => Rule::Rarest,
                PieceOrder::Rarest | PieceOrder::Random => Rule::Random,
                PieceOrder::Sequential => Rule::First,
            };
            let picked = picker.pick(&peer.pieces, rule)?;
            suggested.filter(|piece| picker.place(*piece) <= picker.place(picked)).unwrap_or(picked)
        };
        picker.remove(piece);
        let length = progress.layout().length_of(piece);
        let alone = self.strategy.whole_pieces && progress.have_pieces() > 0 && takes_whole(peer, length);
        let claim = if alone { Claim::Whole(peer.who.connection) } else { Claim::Shared };
        self.partials.begin(progress.layout(), piece, claim, now);
        Some(piece)
    }

    /// Begins the next piece of a web seed's run: where the last one ended, or at the start of the largest gap that is near (BEP 19).
    /// Each run is one request over the web, so longer ones are worth more than rare pieces.
    fn next_of_run(&mut self, peer: &mut Peer, progress: &Progress, now: Instant) -> Option<PieceIndex> {
        let picker = self.picker.as_mut()?;
        let goes_on = |piece: &PieceIndex| !self.sequential && picker.goes_on_with(*piece) && peer.pieces.has(*piece);
        let piece = match peer.down.run.filter(goes_on) {
            Some(piece) => piece,
            None if self.sequential => picker.pick(&peer.pieces, Rule::First)?,
            None => {
                let begun = |piece| self.partials.get(piece).is_some();
                picker.start_of_gap(&peer.pieces, peer.down.run, begun)?
            }
        };
        picker.remove(piece);
        peer.down.run = Some(PieceIndex(piece.0 + 1));
        self.partials.begin(progress.layout(), piece, Claim::Whole(peer.who.connection), now);
        Some(piece)
    }

    /// Nothing else is left: help with a piece that another has for itself.
    fn partial_of_another(&mut self, peer: &Peer) -> Option<PieceIndex> {
        let others = self.partials.open().filter(|partial| matches!(partial.claim(), Claim::Whole(_)));
        others.map(Partial::piece).find(|piece| peer.may_ask(*piece))
    }
}

/// Whether this peer may fetch a failed piece alone. A suspect waits a moment whether another does where others have the piece, and
/// one that is slow or has brought nothing yet waits longer: whoever fetches it, blame is certain, but that one holds it up.
fn may_take_parole(partial: &Partial, peer: &Peer, picker: Option<&Picker>, blame: &Blame, now: Instant) -> bool {
    let suspects = blame.suspects(partial.piece());
    let suspect = suspects.contains(&peer.who.connection);
    let others = picker.is_some_and(|picker| picker.peers_with(partial.piece()) as usize > suspects.len());
    let waited = now.saturating_duration_since(partial.since());
    let rate = peer.down.window.rate().max(peer.down.rate.per_second(now));
    let fast = rate.saturating_mul(WHOLE_PIECE_SECONDS) >= partial.length().into();
    let patience = match (suspect && others, fast) {
        (false, true) => Duration::ZERO,
        (true, true) => limits::PAROLE_PATIENCE_WITH_SUSPECTS,
        (false, false) => limits::PAROLE_PATIENCE_WITH_THE_UNKNOWN,
        (true, false) => limits::PAROLE_PATIENCE,
    };
    !peer.down.choked && waited >= patience
}

/// Whether the peer may go on with a piece of its braid.
fn may_go_on(partial: &Partial, peer: &Peer) -> bool {
    let its_own = match partial.claim() {
        Claim::Shared | Claim::Whole(_) => true,
        Claim::Urgent(_) => false,
        Claim::Parole(owner) => owner == Some(peer.who.connection),
    };
    its_own && peer.may_ask(partial.piece())
}

/// Whether a peer is fast enough for a piece of this length to have it for itself.
fn takes_whole(peer: &Peer, length: u32) -> bool {
    match peer.down.window.rate() {
        0 => u64::from(length) <= u64::from(peer.down.window.blocks()) * u64::from(BLOCK_LENGTH),
        rate => rate.saturating_mul(WHOLE_PIECE_SECONDS) >= u64::from(length),
    }
}
