//! Superseeding (BEP 16): the only seed shows each peer one piece after the other and sends nothing twice.
//!
//! A peer is shown a piece that nobody has and that nobody else was promised, and the next one when the last was seen at another
//! peer: so each byte that leaves the seed goes to somebody who passes it on. That strictness is for a seed with more to send than
//! its link carries: while the link is idle peers are shown more, and who lets a piece lie for long is not waited for.
//! It ends by itself when the others together have a whole copy.

use std::time::{Duration, Instant};

use riverrun_metainfo::{Bitfield, Block, PieceIndex};
use smallvec::SmallVec;

use crate::limits;
use crate::swarm::peer::Peer;
use crate::swarm::pieces::PeerPieces;
use crate::swarm::{CloseReason, ConnectionId, Swarm};
use crate::wire::Message;

/// How often it is looked whether the link is idle.
const TICK: Duration = Duration::from_millis(200);
/// Busy ticks after which peers are shown one piece less.
const BUSY_TICKS: u32 = 4;
/// The most pieces on their way to or from one peer while others wait for them.
const MAX_WINDOW: usize = 64;
/// How long a piece may lie at a peer that has a slot for it, or with a peer that nobody takes it from.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether and how we superseed.
#[derive(Debug, Default)]
pub(super) struct Superseed {
    /// The owner wants it.
    wished: bool,
    active: Option<Box<Active>>,
}

/// What is known while it goes on.
#[derive(Debug)]
struct Active {
    /// How many connected peers have each piece.
    seen: Vec<u32>,
    /// How many connected peers were shown each piece, lack it, and are waited for.
    promised: Vec<u32>,
    /// How often each piece was shown.
    shown: Vec<u32>,
    /// Pieces that no connected peer has.
    missing: u32,
    /// Those of them that are promised to nobody.
    free: u32,
    /// Counts how often a piece became free.
    freed: u64,
    /// Pieces that one peer may have on their way.
    window: usize,
    busy: u32,
}

/// What one peer is shown.
#[derive(Debug)]
pub(super) struct Shown {
    /// All that it ever was shown.
    pieces: Bitfield,
    /// What it is waited for.
    open: SmallVec<[Open; 4]>,
    /// There was nothing for it when so many pieces had become free.
    dry_at: Option<u64>,
}

/// A piece on its way to a peer, and on to another.
#[derive(Clone, Copy, Debug)]
struct Open {
    piece: PieceIndex,
    /// When it was shown, when a block of it last left for the peer, or when the peer had all of it.
    moved: Instant,
    /// Bytes of it that have not left for the peer yet.
    left: u32,
    /// The peer has it.
    has: bool,
}

impl Shown {
    pub(super) fn nothing(total: u32) -> Self {
        Self { pieces: Bitfield::empty(total), open: SmallVec::new(), dry_at: None }
    }

    /// Whether the peer was shown this piece.
    pub(super) fn has(&self, piece: PieceIndex) -> bool {
        self.pieces.has(piece)
    }

    /// Blocks have left for the peer.
    pub(super) fn served(&mut self, now: Instant, blocks: &[Block]) {
        for open in &mut self.open {
            for block in blocks.iter().filter(|block| block.piece == open.piece) {
                open.moved = now;
                open.left = open.left.saturating_sub(block.length);
            }
        }
    }
}

impl Superseed {
    pub(super) fn is_active(&self) -> bool {
        self.active.is_some()
    }

    /// A peer has not any more what it had.
    pub(super) fn lost(&mut self, pieces: &PeerPieces, only: Option<PieceIndex>) {
        let Some(active) = &mut self.active else { return };
        match only {
            Some(piece) => active.change(piece, |seen, _| *seen -= 1),
            None => active.change_all(pieces, |seen| *seen -= 1),
        }
    }
}

impl Active {
    fn new(total: u32) -> Self {
        let none = || vec![0; total as usize];
        Self {
            seen: none(),
            promised: none(),
            shown: none(),
            missing: total,
            free: total,
            freed: 0,
            window: 1,
            busy: 0,
        }
    }

    /// Changes the counts of one piece, and what follows from them.
    fn change(&mut self, piece: PieceIndex, change: impl FnOnce(&mut u32, &mut u32)) {
        let at = piece.as_usize();
        let state = |active: &Self| (active.seen[at] == 0, active.seen[at] + active.promised[at] == 0);
        let (was_missing, was_free) = state(self);
        change(&mut self.seen[at], &mut self.promised[at]);
        let (missing, free) = state(self);
        self.missing = self.missing + u32::from(missing) - u32::from(was_missing);
        self.free = self.free + u32::from(free) - u32::from(was_free);
        self.freed += u64::from(free && !was_free);
    }

    fn change_all(&mut self, pieces: &PeerPieces, mut change: impl FnMut(&mut u32)) {
        for piece in (0..pieces.total()).map(PieceIndex).filter(|piece| pieces.has(*piece)) {
            self.change(piece, |seen, _| change(seen));
        }
    }

    /// Takes what is not waited for any more out of what a peer was shown: what others have, and what lies too long.
    fn forget(&mut self, now: Instant, peer: &mut Peer) {
        let waits = peer.up.interested && peer.up.choking;
        let turned = peer.up.turned;
        let Some(shown) = &mut peer.up.shown else { return };
        shown.open.retain(|open| {
            let elsewhere = self.seen[open.piece.as_usize()] > u32::from(open.has);
            let lies = !waits && now.saturating_duration_since(open.moved.max(turned)) >= PATIENCE;
            let keep = !elsewhere && !lies;
            if !keep && !open.has {
                self.change(open.piece, |_, promised| *promised -= 1);
            }
            keep
        });
    }

    /// The piece to show a peer next: one that nobody has and nobody was promised, and that was shown least often.
    fn pick(&mut self, peer: &mut Peer, rng: &mut fastrand::Rng) -> Option<PieceIndex> {
        let shown = peer.up.shown.as_mut()?;
        if self.free == 0 || shown.dry_at == Some(self.freed) {
            return None;
        }
        let total = peer.pieces.total();
        let start = rng.u32(..total.max(1));
        let mut best: Option<(u32, PieceIndex)> = None;
        for piece in (start..total).chain(0..start).map(PieceIndex) {
            let at = piece.as_usize();
            if self.seen[at] + self.promised[at] > 0 || shown.has(piece) {
                continue;
            }
            if best.is_none_or(|(often, _)| self.shown[at] < often) {
                best = Some((self.shown[at], piece));
            }
            if self.shown[at] == 0 {
                break;
            }
        }
        if best.is_none() {
            shown.dry_at = Some(self.freed);
        }
        best.map(|(_, piece)| piece)
    }

    /// How many more pieces a peer may be shown now.
    fn room(&self, now: Instant, peer: &Peer, alone: bool, length: u32) -> usize {
        let Some(shown) = &peer.up.shown else { return 0 };
        let (waited_for, most) = if alone {
            // Nobody could pass anything on: there is enough to ask for to keep its pipeline full.
            let second = peer.up.rate.per_second(now) / u64::from(length.max(1));
            let second = usize::try_from(second).unwrap_or(usize::MAX);
            (shown.open.iter().filter(|open| !open.has && open.left > 0).count(), second.saturating_add(2))
        } else {
            (shown.open.len(), self.window)
        };
        most.saturating_sub(waited_for)
    }

    /// Somebody may be shown more while the link is idle, and less while it is busy.
    fn adapt(&mut self, idle: bool) {
        self.busy = if idle { 0 } else { self.busy + 1 };
        if idle {
            self.window = (self.window + 1).min(MAX_WINDOW);
        } else if self.busy >= BUSY_TICKS {
            (self.window, self.busy) = ((self.window - 1).max(1), 0);
        }
    }
}

/// Whether it takes what it is shown.
fn takes(peer: &Peer) -> bool {
    !peer.pieces.is_all() && !peer.extensions.upload_only
}

impl Swarm {
    /// The owner wants to superseed, or not.
    pub(super) fn set_superseeding(&mut self, now: Instant, wished: bool) {
        self.superseed.wished = wished;
        if wished {
            self.begin_superseeding();
        } else {
            self.end_superseeding(now);
        }
    }

    /// Begins if that is wished and we have everything. Those who are connected already know so, and are served as usual.
    pub(super) fn begin_superseeding(&mut self) {
        let able = self.beginning.is_none() && self.progress.is_complete() && self.progress.have_pieces() > 0;
        if !self.superseed.wished || self.superseed.is_active() || !able {
            return;
        }
        let mut active = Box::new(Active::new(self.progress.layout().piece_count()));
        // What a web seed has is no copy that it was given.
        let peers = self.peers.values().filter(|peer| peer.who.web_seed.is_none());
        peers.for_each(|peer| active.change_all(&peer.pieces, |seen| *seen += 1));
        if active.missing == 0 {
            self.superseed.wished = false;
            return;
        }
        self.superseed.active = Some(active);
    }

    /// What a peer that has come is shown: nothing yet; `None`: all that we have.
    pub(super) fn superseed_met(&mut self, now: Instant) -> Option<Box<Shown>> {
        self.superseed.active.as_ref()?;
        // Who has nothing need not say so: then it is the next tick that shows it something.
        self.timers.superseed.get_or_insert(now + TICK);
        Some(Box::new(Shown::nothing(self.progress.layout().piece_count())))
    }

    /// Shows everyone everything.
    pub(super) fn end_superseeding(&mut self, now: Instant) {
        if self.superseed.active.take().is_none() {
            return;
        }
        tracing::debug!("superseeding ends");
        self.timers.superseed = None;
        let mut too_many = Vec::new();
        for (connection, peer) in &mut self.peers {
            let Some(shown) = peer.up.shown.take() else { continue };
            let rest = || self.progress.have().iter().filter(|piece| !shown.has(*piece) && !peer.pieces.has(*piece));
            if rest().nth(limits::MAX_HAVES_AT_ONCE as usize).is_some() {
                too_many.push(*connection);
                continue;
            }
            rest().for_each(|piece| self.out.send(*connection, Message::Have(piece)));
            peer.spoke = now;
        }
        too_many.into_iter().for_each(|connection| self.close(now, connection, CloseReason::TooMany));
        if self.progress.is_finished() {
            self.tell_upload_only(now, true);
        }
    }

    /// A peer has one more piece.
    pub(super) fn superseed_gained(&mut self, now: Instant, connection: ConnectionId, piece: PieceIndex) {
        let (Some(active), Some(peer)) = (&mut self.superseed.active, self.peers.get_mut(&connection)) else { return };
        active.change(piece, |seen, _| *seen += 1);
        let shown = peer.up.shown.iter_mut().flat_map(|shown| &mut shown.open);
        for open in shown.filter(|open| open.piece == piece && !open.has) {
            (open.has, open.moved) = (true, now);
            active.change(piece, |_, promised| *promised -= 1);
        }
        let waiting = |peer: &Peer| {
            let shown = peer.up.shown.as_ref();
            shown.is_some_and(|shown| shown.open.iter().any(|open| open.piece == piece))
        };
        let others = self.peers.values().filter(|peer| waiting(peer)).map(|peer| peer.who.connection);
        let others: Vec<_> = others.chain([connection]).collect();
        self.superseed_show(now, &others);
    }

    /// A peer told all that it has.
    pub(super) fn superseed_told(&mut self, now: Instant, connection: ConnectionId) {
        let (Some(active), Some(peer)) = (&mut self.superseed.active, self.peers.get_mut(&connection)) else { return };
        active.change_all(&peer.pieces, |seen| *seen += 1);
        for open in peer.up.shown.iter_mut().flat_map(|shown| &mut shown.open) {
            if peer.pieces.has(open.piece) && !std::mem::replace(&mut open.has, true) {
                active.change(open.piece, |_, promised| *promised -= 1);
            }
        }
        let all: Vec<_> = self.peers.keys().copied().collect();
        self.superseed_show(now, &all);
    }

    /// A connection has ended.
    pub(super) fn superseed_closed(&mut self, peer: &Peer) {
        let Some(active) = &mut self.superseed.active else { return };
        if peer.who.web_seed.is_some() {
            return;
        }
        active.change_all(&peer.pieces, |seen| *seen -= 1);
        for open in peer.up.shown.iter().flat_map(|shown| &shown.open).filter(|open| !open.has) {
            active.change(open.piece, |_, promised| *promised -= 1);
        }
    }

    /// Shows these peers what they may be shown now; ends if there is a second copy.
    fn superseed_show(&mut self, now: Instant, connections: &[ConnectionId]) {
        let Some(active) = &mut self.superseed.active else { return };
        if active.missing == 0 {
            self.superseed.wished = false;
            return self.end_superseeding(now);
        }
        let takers = self.peers.values().filter(|peer| takes(peer)).count();
        for connection in connections {
            let Some(peer) = self.peers.get_mut(connection) else { continue };
            active.forget(now, peer);
            if !takes(peer) {
                continue;
            }
            let alone = takers == 1;
            let length = self.progress.layout().piece_length();
            for _ in 0..active.room(now, peer, alone, length) {
                let Some(piece) = active.pick(peer, &mut self.rng) else { break };
                let Some(shown) = &mut peer.up.shown else { break };
                shown.pieces.insert(piece);
                let left = self.progress.layout().length_of(piece);
                shown.open.push(Open { piece, moved: now, left, has: false });
                active.shown[piece.as_usize()] += 1;
                active.change(piece, |_, promised| *promised += 1);
                peer.spoke = now;
                self.out.send(*connection, Message::Have(piece));
            }
        }
    }

    /// Its time has come: whether the link is idle is looked at, and who was waited for too long.
    pub(super) fn superseed_tick(&mut self, now: Instant) {
        let Some(active) = &mut self.superseed.active else { return };
        if !self.peers.is_empty() {
            let served = self.peers.values().filter(|peer| peer.up.shown.is_some());
            let waits = served.clone().any(|peer| takes(peer) && active.room(now, peer, false, 1) == 0);
            let idle = self.peers.values().all(|peer| peer.up.queue.is_idle());
            active.adapt(idle && waits);
            let all: Vec<_> = served.map(|peer| peer.who.connection).collect();
            self.superseed_show(now, &all);
        }
        let goes_on = self.superseed.is_active() && !self.peers.is_empty();
        self.timers.superseed = goes_on.then_some(now + TICK);
    }
}
