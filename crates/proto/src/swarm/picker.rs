//! Which piece to begin next.

use std::sync::Arc;

use riverrun_metainfo::{Bitfield, PieceIndex};

use crate::swarm::Priority;
use crate::swarm::availability::Availability;
use crate::swarm::pieces::PeerPieces;

/// How many pieces of the rarest-first order are tried before the pickable set is searched word by word.
const TRIED_IN_ORDER: usize = 256;

/// How many pieces are looked at for the largest gap.
const SEARCHED_FOR_GAPS: usize = 16_384;

/// How the next piece is chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Rule {
    /// Any: the first pieces, so that there soon is something to trade.
    Random,
    /// The piece that fewest peers have.
    Rarest,
    /// The first in the torrent.
    First,
}

/// The pieces that are needed and not begun, and the choice among them.
#[derive(Debug)]
pub(super) struct Picker {
    availability: Availability,
    pickable: Bitfield,
    rng: fastrand::Rng,
}

impl Picker {
    /// A picker over these pieces, with no peers yet. `ranks` is the priority of each piece of the torrent, unless all are alike.
    pub(super) fn new(pickable: Bitfield, ranks: Option<Arc<[Priority]>>, rng: &mut fastrand::Rng) -> Self {
        let availability = Availability::new(pickable.pieces(), pickable.iter(), ranks, rng.fork());
        Self { availability, pickable, rng: rng.fork() }
    }

    /// The counts, to tell them what peers have.
    pub(super) fn availability(&mut self) -> &mut Availability {
        &mut self.availability
    }

    /// Peers that have this piece.
    pub(super) fn peers_with(&self, piece: PieceIndex) -> u32 {
        self.availability.of(piece)
    }

    /// Whether nothing is pickable.
    pub(super) fn is_empty(&self) -> bool {
        self.pickable.is_empty()
    }

    /// How many pieces are pickable.
    pub(super) fn len(&self) -> usize {
        self.availability.len()
    }

    pub(super) fn is_pickable(&self, piece: PieceIndex) -> bool {
        self.pickable.has(piece)
    }

    /// The piece is needed and not begun.
    pub(super) fn insert(&mut self, piece: PieceIndex) {
        self.pickable.insert(piece);
        self.availability.insert(piece);
    }

    /// The piece is begun, had or not wanted.
    pub(super) fn remove(&mut self, piece: PieceIndex) {
        self.pickable.remove(piece);
        self.availability.remove(piece);
    }

    /// Where a piece comes by the owner's priorities: 0 before 1 before 2.
    pub(super) fn place(&self, piece: PieceIndex) -> usize {
        self.availability.place(piece)
    }

    /// The piece to begin with a peer that has these pieces. The owner's priorities come before the rule.
    pub(super) fn pick(&mut self, peer: &PeerPieces, rule: Rule) -> Option<PieceIndex> {
        if peer.count() == 0 {
            return None;
        }
        if rule == Rule::First {
            let place = |piece: &PieceIndex| self.availability.place(*piece);
            return match peer.bits() {
                Some(bits) => first_by(self.pickable.iter_common(bits, PieceIndex(0)), place),
                None => first_by(self.pickable.iter(), place),
            };
        }
        // A piece that only seeds have is at no other peer.
        for order in self.availability.orders(!peer.is_all()).filter(|order| !order.is_empty()) {
            let first = if rule == Rule::Random { self.rng.usize(..order.len()) } else { 0 };
            let tried = order.iter().cycle().skip(first).take(order.len().min(TRIED_IN_ORDER));
            let found = tried.copied().find(|piece| peer.has(*piece));
            if found.is_some() {
                return found;
            }
            if order.len() > TRIED_IN_ORDER {
                break;
            }
        }
        let key = |piece: &PieceIndex| (self.availability.place(*piece), self.availability.of(*piece));
        let bits = peer.bits().filter(|_| self.availability.is_long(TRIED_IN_ORDER))?;
        self.pickable.iter_common(bits, PieceIndex(0)).min_by_key(key)
    }

    /// Whether a run may go on with this piece: it is pickable, and the owner has nothing before it.
    pub(super) fn goes_on_with(&self, piece: PieceIndex) -> bool {
        self.is_pickable(piece) && self.place(piece) <= self.availability.best_place()
    }

    /// Where a web seed with these pieces should begin its next run: in the largest gap of pickable pieces of the highest priority, of
    /// those that come within some thousand pieces from `from` on, and after the last again from the first. Where the piece before the gap is `begun` somebody
    /// is on his way through it, and the run begins in its middle.
    pub(super) fn start_of_gap(
        &self,
        peer: &PeerPieces,
        from: Option<PieceIndex>,
        begun: impl Fn(PieceIndex) -> bool,
    ) -> Option<PieceIndex> {
        if self.pickable.is_empty() || peer.count() == 0 {
            return None;
        }
        let from = from.unwrap_or(PieceIndex(0));
        let all = peer.bits().unwrap_or(&self.pickable);
        let behind = self.pickable.iter_common(all, PieceIndex(0)).take_while(|piece| *piece < from);
        let pieces = self.pickable.iter_common(all, from).chain(behind).take(SEARCHED_FOR_GAPS);
        let (mut best, mut gap, mut place) = (0..0, 0..0, usize::MAX);
        for PieceIndex(piece) in pieces {
            match self.place(PieceIndex(piece)) {
                here if here > place => continue,
                here if here < place => (best, gap, place) = (0..0, 0..0, here),
                _ => {}
            }
            gap = if piece == gap.end && !gap.is_empty() { gap.start..piece + 1 } else { piece..piece + 1 };
            if gap.len() > best.len() {
                best = gap.clone();
            }
        }
        let taken = best.start > 0 && begun(PieceIndex(best.start - 1));
        let start = if taken { best.start + (best.end - best.start) / 2 } else { best.start };
        (!best.is_empty()).then_some(PieceIndex(start))
    }
}

/// The first of the pieces with the lowest place; no more are looked at than needed.
fn first_by(pieces: impl Iterator<Item = PieceIndex>, place: impl Fn(&PieceIndex) -> usize) -> Option<PieceIndex> {
    let mut best = None;
    for piece in pieces {
        match place(&piece) {
            0 => return Some(piece),
            at if best.is_none_or(|(best, _)| at < best) => best = Some((at, piece)),
            _ => {}
        }
    }
    best.map(|(_, piece)| piece)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(pieces: impl Iterator<Item = u32>, total: u32) -> Bitfield {
        let mut set = Bitfield::empty(total);
        pieces.for_each(|piece| {
            set.insert(PieceIndex(piece));
        });
        set
    }

    proptest! {
        #[test]
        fn picks_agree_with_a_naive_search(
            seed: u64,
            total in 1u32..1500,
            density in 1u32..40,
            peers in 1usize..6,
            seeds in 0usize..3,
            mixed: bool,
        ) {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut any = || [Priority::Low, Priority::Normal, Priority::High][rng.usize(..3)];
            let ranks: Option<Arc<[Priority]>> = mixed.then(|| (0..total).map(|_| any()).collect());
            let pickable = set((0..total).filter(|_| rng.u32(..density) < 20), total);
            let mut picker = Picker::new(pickable, ranks.clone(), &mut fastrand::Rng::with_seed(seed));
            let place = |piece: PieceIndex| std::cmp::Reverse(ranks.as_ref().map(|ranks| ranks[piece.as_usize()]));
            let mut all: Vec<PeerPieces> = (0..peers)
                .map(|_| PeerPieces::of(set((0..total).filter(|_| rng.u32(..density) == 0), total)))
                .collect();
            all.extend((0..seeds).map(|_| PeerPieces::all(total)));
            all.iter().for_each(|peer| picker.availability().add_peer(peer));
            for round in 0..40 {
                let peer = &all[round % all.len()];
                let count = |piece: PieceIndex| all.iter().filter(|peer| peer.has(piece)).count();
                let possible: Vec<_> = picker.pickable.iter().filter(|piece| peer.has(*piece)).collect();
                let most = possible.iter().map(|piece| place(*piece)).min();
                let possible: Vec<_> = possible.into_iter().filter(|piece| Some(place(*piece)) == most).collect();
                let first = picker.pick(peer, Rule::First);
                prop_assert_eq!(first, possible.first().copied());
                let random = picker.pick(peer, Rule::Random);
                prop_assert_eq!(random.is_some(), !possible.is_empty());
                prop_assert!(random.is_none_or(|piece| possible.contains(&piece)));
                let rarest = picker.pick(peer, Rule::Rarest);
                prop_assert_eq!(rarest.map(count), possible.iter().map(|piece| count(*piece)).min());
                if let Some(piece) = rarest {
                    prop_assert!(possible.contains(&piece));
                    picker.remove(piece);
                    if round % 5 == 0 {
                        picker.insert(piece);
                    }
                }
            }
        }
    }

    #[test]
    fn runs_begin_in_the_largest_gap_and_in_the_middle_of_one_that_somebody_is_in() {
        let pieces = (3..6).chain(10..30).chain(40..50).filter(|piece| *piece != 45);
        let picker = Picker::new(set(pieces, 64), None, &mut fastrand::Rng::with_seed(1));
        let seed = PeerPieces::all(64);
        let start = |from, begun: u32| picker.start_of_gap(&seed, from, |piece| piece.0 == begun).map(|piece| piece.0);
        assert_eq!(start(None, 99), Some(10));
        assert_eq!(start(Some(PieceIndex(31)), 99), Some(10), "behind the last comes the first again");
        assert_eq!(start(None, 9), Some(20));
        let half = PeerPieces::of(set(35..64, 64));
        assert_eq!(picker.start_of_gap(&half, None, |_| false), Some(PieceIndex(40)));
        assert_eq!(picker.start_of_gap(&PeerPieces::none(64), None, |_| false), None);
        let high = |piece: u32| if (20..23).contains(&piece) { Priority::High } else { Priority::Normal };
        let ranks = Some((0..64).map(high).collect());
        let picker = Picker::new(set(0..64, 64), ranks, &mut fastrand::Rng::with_seed(1));
        assert_eq!(picker.start_of_gap(&seed, None, |_| false), Some(PieceIndex(20)), "what the owner wants first");
        assert!(picker.goes_on_with(PieceIndex(21)) && !picker.goes_on_with(PieceIndex(23)));
    }

    #[test]
    fn equal_pieces_are_picked_in_another_order_by_another_seed() {
        let picked = |seed| {
            let mut picker = Picker::new(Bitfield::full(64), None, &mut fastrand::Rng::with_seed(seed));
            let peer = PeerPieces::all(64);
            picker.availability().add_peer(&peer);
            let next = |picker: &mut Picker| {
                let piece = picker.pick(&peer, Rule::Rarest).expect("64 pieces are there");
                picker.remove(piece);
                piece
            };
            (0..64).map(|_| next(&mut picker)).collect::<Vec<_>>()
        };
        assert_eq!(picked(1), picked(1));
        assert_ne!(picked(1), picked(2));
    }
}
