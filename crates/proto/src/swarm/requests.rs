//! Who is asked for which block, and what becomes of the answers.
//!
//! Invariants: a needed piece is either pickable, or begun, or being judged by the disk; the requests outstanding to a peer
//! never pass its `reqq`; a block is stored once.

use std::time::Instant;

use riverrun_metainfo::{BLOCK_LENGTH, Bitfield, Block, PieceIndex};

use crate::swarm::blame::{Blame, Sender};
use crate::swarm::conduct::Breach;
use crate::swarm::deadlines::Deadlines;
use crate::swarm::down_limit::DownLimit;
use crate::swarm::endgame::Endgame;
use crate::swarm::hashes::HashExchange;
use crate::swarm::on_demand::OnDemand;
use crate::swarm::outbox::Outbox;
use crate::swarm::partial::{Claim, Contributor, Partial, Partials, Receipt};
use crate::swarm::peer::Peer;
use crate::swarm::picker::Picker;
use crate::swarm::pieces::PeerPieces;
use crate::swarm::pipeline::Asked;
use crate::swarm::progress::Progress;
use crate::swarm::{ConnectionId, Pressure, Strategy};
use crate::wire::Message;

/// The state of asking for blocks.
#[derive(Debug)]
pub(super) struct Requests {
    pub(super) partials: Partials,
    /// `None` while nothing is needed or nobody is there: a seed needs no picker.
    pub(super) picker: Option<Box<Picker>>,
    pub(super) pressure: Pressure,
    pub(super) sequential: bool,
    pub(super) strategy: Strategy,
    /// How much is read.
    pub(super) down_limit: DownLimit,
    /// When it was last seen that nothing is read because the disk takes nothing.
    pub(super) paused_reading: Option<Instant>,
    /// Pieces that somebody waits for.
    pub(super) deadlines: OnDemand<Deadlines>,
    /// Needed pieces wait for their hashes: they are not pickable.
    pub(super) held_up: bool,
    /// Requests that are wanted, to all peers together.
    pub(super) outstanding: usize,
    /// Blocks became free, or a piece pickable: peers with nothing to do may have something now.
    pub(super) freed: bool,
    /// What is asked of a second peer.
    pub(super) endgame: OnDemand<Endgame>,
}

/// What a block was good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Use {
    /// It is stored; it was asked for at this moment.
    Stored(Instant),
    /// It was had, or never asked for.
    Wasted,
}

impl Requests {
    pub(super) fn new(strategy: Strategy) -> Self {
        Self {
            partials: Partials::default(),
            picker: None,
            pressure: Pressure::None,
            sequential: false,
            down_limit: DownLimit::default(),
            paused_reading: None,
            strategy,
            deadlines: OnDemand::default(),
            held_up: false,
            outstanding: 0,
            freed: false,
            endgame: OnDemand::default(),
        }
    }

    /// Makes the picker if something is needed and there is none. `peers` are the pieces of all who are connected.
    pub(super) fn awake<'a>(
        &mut self,
        progress: &Progress,
        hashes: &HashExchange,
        peers: impl Iterator<Item = &'a PeerPieces>,
        rng: &mut fastrand::Rng,
    ) {
        if self.picker.is_some() || progress.is_finished() {
            return;
        }
        let mut pickable = progress.needed().clone();
        for partial in self.partials.iter() {
            pickable.remove(partial.piece());
        }
        if self.held_up {
            progress
                .needed()
                .iter()
                .filter(|piece| !hashes.is_known(*piece))
                .for_each(|piece| _ = pickable.remove(piece));
        }
        let mut picker = Picker::new(pickable, progress.priorities().ranks().cloned(), rng);
        peers.for_each(|pieces| picker.availability().add_peer(pieces));
        self.picker = Some(Box::new(picker));
        // Pieces that somebody waits for can be begun now.
        self.freed |= self.deadlines.has_readers();
    }

    /// Whether some piece could be begun.
    pub(super) fn has_pickable(&self) -> bool {
        self.picker.as_ref().is_some_and(|picker| !picker.is_empty())
    }

    /// The hash of a needed piece has become known.
    pub(super) fn pickable(&mut self, piece: PieceIndex) {
        if self.partials.get(piece).is_none()
            && let Some(picker) = &mut self.picker
        {
            picker.insert(piece);
            self.freed = true;
        }
    }

    /// Gives the memory back that only a download with peers needs.
    pub(super) fn sleep(&mut self) {
        self.picker = None;
        self.endgame.rest_if(|endgame| endgame.doubled.is_empty());
        if self.partials.is_empty() {
            self.partials = Partials::default();
        }
    }

    /// A block came: the `nth` message of its batch.
    ///
    /// # Errors
    /// It was not asked for, and that is a breach.
    pub(super) fn received(
        &mut self,
        peer: &mut Peer,
        block: Block,
        nth: usize,
        progress: &Progress,
        blame: &Blame,
        out: &mut Outbox,
    ) -> Result<Use, Breach> {
        let number = block.number();
        let layout = progress.layout();
        let aligned = block.begin.is_multiple_of(BLOCK_LENGTH);
        let asked = match (aligned, peer.who.fast) {
            (false, _) => None,
            (true, true) => peer.down.pipeline.take(block.piece, number),
            (true, false) => peer.down.pipeline.take_wanted(block.piece, number),
        };
        let expected = match self.partials.get(block.piece) {
            Some(partial) if asked.is_some() => Some(partial.block(number)),
            _ => layout.block(block.piece, number),
        };
        if expected != Some(block) {
            if let Some(asked) = asked {
                self.answered(&asked);
            }
            return Err("block outside of what may be asked for");
        }
        let Some(asked) = asked else {
            peer.down.cancels.futile += 1;
            let tolerated = if peer.who.fast { 0 } else { 2 * peer.down.window.blocks() as usize };
            return peer.conduct.unasked_block(tolerated).map(|()| Use::Wasted);
        };
        let from = Contributor { connection: peer.who.connection, sender: peer.who.sender() };
        let partial = self.partials.get_mut(block.piece);
        let (receipt, others) = partial.map_or((Receipt::Useless, false), |partial| {
            let receipt = partial.receive(number, from);
            (receipt, partial.asked(number) > u8::from(asked.live))
        });
        self.answered(&asked);
        peer.down.cancels.futile += usize::from(!asked.live);
        if receipt == Receipt::Useless {
            return Ok(Use::Wasted);
        }
        out.store(peer.who.connection, nth, block);
        if others {
            self.endgame.need().doubled.push(block);
        }
        if receipt == Receipt::Complete {
            self.forget_promises(block.piece);
            out.verify(block.piece, blame.is_open(block.piece));
        }
        Ok(Use::Stored(asked.at))
    }

    /// A request will not be answered (BEP 6).
    ///
    /// # Errors
    /// It was not asked, or the peer rejects everything.
    pub(super) fn rejected(&mut self, peer: &mut Peer, block: Block) -> Result<(), Breach> {
        let aligned = block.begin.is_multiple_of(BLOCK_LENGTH);
        let asked = if aligned { peer.down.pipeline.take(block.piece, block.number()) } else { None };
        let Some(asked) = asked else { return peer.conduct.unasked_reject() };
        if !asked.live {
            peer.down.cancels.heeded += 1;
            return Ok(());
        }
        self.answered(&asked);
        if peer.down.choked {
            peer.down.allowed_fast.retain(|allowed| *allowed != block.piece);
        }
        let live = u32::try_from(peer.down.pipeline.live()).unwrap_or(u32::MAX);
        peer.down.window.limit(live.max(1));
        peer.conduct.reject()
    }

    /// A live request has its answer, or never will.
    fn answered(&mut self, asked: &Asked) {
        if asked.live {
            self.outstanding -= 1;
            if self.partials.get_mut(asked.piece).is_some_and(|partial| partial.release(asked.number)) {
                self.partials.reopen(asked.piece);
                self.freed = true;
            }
        }
    }

    /// The peer choked us: what it was asked for may be asked of others. With the fast extension each request is answered yet.
    pub(super) fn choked(&mut self, peer: &mut Peer, progress: &Progress, blame: &mut Blame, now: Instant) {
        let allowed = std::mem::take(&mut peer.down.allowed_fast);
        let fast = peer.who.fast;
        self.give_up(peer, |asked| !(fast && allowed.contains(&asked.piece)), None);
        peer.down.allowed_fast = allowed;
        self.drop_claims(peer, progress, blame, now);
    }

    /// The connection ends: all that it was asked for may be asked of others.
    pub(super) fn closed(&mut self, peer: &mut Peer, progress: &Progress, blame: &mut Blame, now: Instant) {
        self.give_up(peer, |_| true, None);
        self.drop_claims(peer, progress, blame, now);
    }

    /// Takes back the live requests that `which` names; cancels them if there is an outbox.
    pub(super) fn give_up(&mut self, peer: &mut Peer, which: impl Fn(&Asked) -> bool, mut out: Option<&mut Outbox>) {
        let connection = peer.who.connection;
        // Its answer is waited for: a reject (BEP 6), or the block, which may be on its way already.
        peer.down.pipeline.take_back_where(which, |asked| {
            if let (Some(out), Some(partial)) = (out.as_deref_mut(), self.partials.get(asked.piece)) {
                out.send(connection, Message::Cancel(partial.block(asked.number)));
            }
            self.answered(&asked);
        });
    }

    /// Lets others go on with the pieces that this peer had for itself. A piece on parole begins again.
    pub(super) fn drop_claims(&mut self, peer: &mut Peer, progress: &Progress, blame: &mut Blame, now: Instant) {
        peer.down.braid.clear();
        let connection = peer.who.connection;
        let claims = self.partials.iter().filter(|partial| !partial.is_verifying());
        let claims: Vec<_> = claims.map(|partial| (partial.piece(), partial.claim())).collect();
        for (piece, claim) in claims {
            if claim == Claim::Whole(connection) {
                self.freed = true;
                self.partials.get_mut(piece).into_iter().for_each(|partial| partial.set_claim(Claim::Shared));
            } else if claim == Claim::Parole(Some(connection)) {
                self.give_up(peer, |asked| asked.piece == piece, None);
                blame.parole_broken(piece, peer.who.connection);
                self.again(piece, progress, blame, now);
            }
        }
    }

    /// Lets others go on with those pieces that this peer had for itself and that `which` names.
    pub(super) fn unclaim(&mut self, connection: ConnectionId, which: impl Fn(&PieceIndex) -> bool) {
        for piece in self.partials.pieces().into_iter().filter(which) {
            let partial = self.partials.get_mut(piece);
            if let Some(partial) = partial.filter(|partial| partial.claim() == Claim::Whole(connection)) {
                partial.set_claim(Claim::Shared);
                self.freed = true;
            }
        }
    }

    /// The disk is done with a piece, and it is right.
    pub(super) fn verified(&mut self, piece: PieceIndex) {
        self.partials.end(piece);
        self.deadlines.made().into_iter().for_each(|deadlines| deadlines.done(piece));
        if let Some(picker) = &mut self.picker {
            picker.remove(piece);
        }
    }

    /// A piece that was begun is not had, and begins anew. No request for it may be outstanding.
    pub(super) fn again(&mut self, piece: PieceIndex, progress: &Progress, blame: &Blame, now: Instant) {
        self.partials.end(piece);
        self.forget_promises(piece);
        if !progress.needed().has(piece) {
            return;
        }
        if blame.needs_parole(piece) {
            self.partials.begin(progress.layout(), piece, Claim::Parole(None), now);
        } else if let Some(picker) = &mut self.picker {
            picker.insert(piece);
        }
        self.freed = true;
    }

    /// What came from these senders is not to be trusted: its blocks are asked for again.
    pub(super) fn forget_from(&mut self, which: impl Fn(Sender) -> bool) {
        for piece in self.partials.pieces() {
            if self.partials.get_mut(piece).is_some_and(|partial| partial.forget_from(&which)) {
                self.partials.reopen(piece);
                self.freed = true;
            }
        }
    }

    /// What is needed changed as a whole: pieces begun that are not needed end, but for those that the disk judges. No request
    /// for them may be outstanding.
    pub(super) fn needs_changed(&mut self, needed: &Bitfield) {
        for piece in self.unneeded(needed) {
            self.partials.end(piece);
        }
        self.picker = None;
        self.freed = true;
    }

    /// The pieces that are begun, not needed, and not with the disk.
    pub(super) fn unneeded(&self, needed: &Bitfield) -> Vec<PieceIndex> {
        let unneeded = self.partials.iter().filter(|partial| !needed.has(partial.piece()) && !partial.is_verifying());
        unneeded.map(Partial::piece).collect()
    }

    /// A piece that was begun; `None` if it was not.
    pub(super) fn partial(&self, piece: PieceIndex) -> Option<&Partial> {
        self.partials.get(piece)
    }

    /// Bytes received of pieces that are not verified yet.
    pub(super) fn partial_bytes(&self) -> u64 {
        self.partials.iter().map(Partial::received_bytes).sum()
    }

    /// Whether every needed piece is begun. Pieces that nobody has count as not begun: who waits for them has time, and in a young
    /// swarm, where few have anything yet, blocks asked for twice would fill the uplinks that all wait for.
    pub(super) fn in_endgame(&self) -> bool {
        !self.held_up && self.picker.as_deref().is_some_and(Picker::is_empty)
    }
}
