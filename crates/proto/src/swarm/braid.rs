//! The pieces that a peer's next requests go on with: one after the other, or with a very fast peer round several, a unit of each.
//!
//! A piece is hashed as a chain that cannot be cut, but up to sixteen chains side by side cost little more than one. Many peers, each
//! with a piece of its own, make many chains by themselves; one peer that gets piece after piece makes one. So a peer that brings a
//! whole set of pieces within a moment is asked for a unit of each in turn. All blocks of a piece still come in order.

use std::time::Instant;

use riverrun_metainfo::{BLOCK_LENGTH, PieceIndex};
use smallvec::SmallVec;

use crate::swarm::peer::Peer;
use crate::swarm::rate::Rate;
use crate::swarm::requests::Requests;

/// Blocks of a piece that are asked for in a row: long enough to be read and written as one run at both ends.
pub(super) const UNIT: u32 = 16;
/// Pieces in the braid of one who brings everything: enough for the sixteen lanes of each of two disk threads, which share the
/// pieces. Who brings a part of it has that part of them.
pub(super) const STRANDS: usize = 32;
/// But no fewer than so many: a socket is read until it is empty, so what is hashed at once comes from few peers, however many there are.
pub(super) const STRANDS_AMONG_MANY: usize = 16;
/// Fewer that a peer brings in time are not worth it.
const LEAST_STRANDS: usize = 4;
/// How often in a second a peer should bring all pieces of its braid: a quarter of a second later may one of them be whole.
const SETS_PER_SECOND: u64 = 4;
/// Who brings less in a second, in bytes, has one piece at a time: hashing it costs next to nothing.
const VERY_FAST: u64 = 32 << 20;

/// Pieces in turn. With room for one they come one after the other.
#[derive(Debug)]
pub(super) struct Braid {
    strands: SmallVec<[PieceIndex; 4]>,
    /// How many there should be.
    width: usize,
    /// Whose turn it is; behind the last at the end of a round.
    turn: usize,
}

impl Default for Braid {
    fn default() -> Self {
        Self { strands: SmallVec::new(), width: 1, turn: 0 }
    }
}

impl Braid {
    /// The piece whose turn it is; `None` at the end of a round.
    pub(super) fn current(&self) -> Option<PieceIndex> {
        self.strands.get(self.turn).copied()
    }

    pub(super) fn has(&self, piece: PieceIndex) -> bool {
        self.strands.contains(&piece)
    }

    /// Whether one more piece may join at the end of a round.
    pub(super) fn has_room(&self) -> bool {
        self.strands.len() < self.width
    }

    /// A piece joins at the end of a round, and it is its turn.
    pub(super) fn join(&mut self, piece: PieceIndex) {
        self.turn = self.strands.len();
        self.strands.push(piece);
    }

    /// Nothing more can join for now.
    pub(super) fn close(&mut self) {
        self.width = self.strands.len().max(1);
    }

    /// The next round begins; false if there is nothing to go round.
    pub(super) fn begin_round(&mut self) -> bool {
        self.turn = 0;
        !self.strands.is_empty()
    }

    /// The piece whose turn it is leaves, and it is the next one's turn.
    pub(super) fn leave(&mut self) {
        self.strands.remove(self.turn);
    }

    /// These pieces leave.
    pub(super) fn remove(&mut self, which: impl Fn(&PieceIndex) -> bool) {
        self.strands.retain(|piece| !which(piece));
        self.turn = self.strands.len();
    }

    /// All pieces leave.
    pub(super) fn clear(&mut self) {
        self.remove(|_| true);
    }

    /// The block before which the turn of the current piece ends, if it goes on with block `first`. What is not for this peer alone,
    /// `whole`, comes in one go; and too wide a braid narrows by bringing one piece after the other to its end.
    pub(super) fn end_of_turn(&self, first: u32, whole: bool) -> u32 {
        let turns = whole && self.width > 1 && self.strands.len() <= self.width;
        if turns { (first / UNIT + 1) * UNIT } else { u32::MAX }
    }

    /// The turn of the current piece has come to its end.
    pub(super) fn turn(&mut self) {
        self.turn += 1;
    }
}

impl Requests {
    /// Makes the peer's braid as wide as it should be now. `all` is what comes from all peers; pieces are as long as this, in bytes.
    pub(super) fn widen(&self, peer: &mut Peer, piece_length: u32, all: &Rate, now: Instant) {
        peer.down.braid.width = self.width(peer, piece_length, all, now).max(1);
    }

    fn width(&self, peer: &Peer, piece_length: u32, all: &Rate, now: Instant) -> usize {
        let rate = match peer.down.window.latest() {
            0 => peer.down.rate.per_second(now),
            rate => rate,
        };
        let in_order = self.sequential || !self.deadlines.is_empty() || peer.who.web_seed.is_some();
        let alone = peer.down.choked || !self.strategy.braids;
        if rate < VERY_FAST || in_order || alone || piece_length <= UNIT * BLOCK_LENGTH {
            return 1;
        }
        let fit = usize::try_from(rate / SETS_PER_SECOND / u64::from(piece_length)).unwrap_or(usize::MAX);
        if fit < LEAST_STRANDS {
            return 1;
        }
        let all = all.per_second(now).max(rate);
        let share = (rate.saturating_mul(STRANDS as u64) + all / 2) / all;
        fit.min(usize::try_from(share).unwrap_or(STRANDS).max(STRANDS_AMONG_MANY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks for the blocks of pieces of this many blocks until there are no more pieces: the turns, as piece and first block.
    fn turns(braid: &mut Braid, blocks: u32, pieces: u32) -> Vec<(u32, u32)> {
        let (mut next, mut turns, mut came) = (0, Vec::new(), vec![0; pieces as usize]);
        loop {
            while let Some(piece) = braid.current() {
                let at = &mut came[piece.as_usize()];
                turns.push((piece.0, *at));
                *at = braid.end_of_turn(*at, true).min(blocks);
                if *at < blocks { braid.turn() } else { braid.leave() }
            }
            if braid.has_room() && next < pieces {
                braid.join(PieceIndex(next));
                next += 1;
            } else if !braid.begin_round() {
                return turns;
            }
        }
    }

    #[test]
    fn a_unit_of_each_piece_in_turn_and_another_piece_when_one_is_done() {
        let mut braid = Braid { width: 3, ..Braid::default() };
        let expected = [(0, 0), (1, 0), (2, 0), (0, 16), (1, 16), (2, 16), (0, 32), (1, 32), (2, 32)];
        assert_eq!(
            turns(&mut braid, 40, 5),
            [&expected[..], &[(3, 0), (4, 0), (3, 16), (4, 16), (3, 32), (4, 32)]].concat()
        );
        let mut single = Braid::default();
        assert_eq!(turns(&mut single, 40, 3), [(0, 0), (1, 0), (2, 0)]);
    }

    #[test]
    fn units_lie_at_their_multiples_and_go_on_where_they_were_left() {
        let mut braid = Braid { width: 2, ..Braid::default() };
        braid.join(PieceIndex(7));
        assert_eq!([0, 3, UNIT - 1, UNIT].map(|first| braid.end_of_turn(first, true)), [UNIT, UNIT, UNIT, 2 * UNIT]);
        assert_eq!(braid.end_of_turn(3, false), u32::MAX, "what is not for this peer alone comes in one go");
    }

    #[test]
    fn a_braid_that_is_too_wide_brings_one_piece_after_the_other_to_its_end() {
        let mut braid = Braid { width: 3, ..Braid::default() };
        (0..3).map(PieceIndex).for_each(|piece| braid.join(piece));
        assert!(braid.begin_round());
        braid.width = 1;
        let mut left = Vec::new();
        while let Some(piece) = braid.current() {
            assert!(!braid.has_room() && braid.end_of_turn(5, true) == u32::MAX);
            left.push(piece.0);
            braid.leave();
        }
        assert_eq!(left, [0, 1, 2]);
        assert!(braid.has_room() && !braid.begin_round());
    }
}
