//! How many connected peers have each piece, and the pickable pieces in that order.
//!
//! The order is a list cut into buckets of equal availability. A piece that gains or loses a peer moves to the next bucket by
//! one exchange with the piece at the border, so keeping the order costs O(1) per `have`. Peers that have everything raise
//! every piece alike: they are one number and touch nothing. A whole bitfield only marks the order as stale; it is sorted
//! again, by counting, when somebody asks.
//!
//! Where the owner wants pieces more and less, there is such a list for each priority; else there is one.

use std::sync::Arc;

use riverrun_metainfo::PieceIndex;

use crate::swarm::pieces::PeerPieces;
use crate::swarm::{Priorities, Priority};

const ABSENT: u32 = u32::MAX;

/// Counts and order of all pieces of one torrent.
#[derive(Debug)]
pub(super) struct Availability {
    /// Peers that have each piece, seeds not counted.
    counts: Vec<u32>,
    seeds: u32,
    /// The priority of each piece; `None`: all are alike.
    ranks: Option<Arc<[Priority]>>,
    /// The pickable pieces of each priority, the highest first; one list if all are alike.
    lists: Vec<List>,
    /// Where each piece stands in its list, or `ABSENT`.
    position: Vec<u32>,
    stale: bool,
    rng: fastrand::Rng,
}

/// The pickable pieces of one priority.
#[derive(Clone, Debug, Default)]
struct List {
    /// Rarest first unless stale.
    order: Vec<PieceIndex>,
    /// Where the bucket of each availability starts in `order`, and at the end the length of `order`.
    starts: Vec<u32>,
}

impl Availability {
    /// No peers; `pickable` are the pieces to order.
    pub(super) fn new(
        total: u32,
        pickable: impl Iterator<Item = PieceIndex>,
        ranks: Option<Arc<[Priority]>>,
        mut rng: fastrand::Rng,
    ) -> Self {
        let mut lists = vec![List::default(); if ranks.is_some() { 3 } else { 1 }];
        pickable.for_each(|piece| lists[Priorities::place(ranks.as_deref(), piece)].order.push(piece));
        let mut position = vec![ABSENT; total as usize];
        for list in &mut lists {
            rng.shuffle(&mut list.order);
            for (piece, at) in list.order.iter().zip(0..) {
                position[piece.as_usize()] = at;
            }
        }
        Self { counts: vec![0; total as usize], seeds: 0, ranks, lists, position, stale: true, rng }
    }

    /// A peer with these pieces has come.
    pub(super) fn add_peer(&mut self, pieces: &PeerPieces) {
        self.change(pieces, |seeds| *seeds += 1, |count| *count += 1);
    }

    /// A peer with these pieces has gone.
    pub(super) fn remove_peer(&mut self, pieces: &PeerPieces) {
        self.change(pieces, |seeds| *seeds -= 1, |count| *count -= 1);
    }

    fn change(&mut self, pieces: &PeerPieces, seeds: impl Fn(&mut u32), count: impl Fn(&mut u32)) {
        if pieces.is_all() {
            seeds(&mut self.seeds);
        } else if let Some(bits) = pieces.bits() {
            bits.iter().for_each(|piece| count(&mut self.counts[piece.as_usize()]));
            self.stale = true;
        }
    }

    /// A peer whose every piece was counted singly counts as a seed from now on.
    pub(super) fn became_seed(&mut self) {
        self.counts.iter_mut().for_each(|count| *count -= 1);
        self.seeds += 1;
        self.stale = true;
    }

    /// A seed has lost this piece: its others are counted singly from now on.
    pub(super) fn seed_lost(&mut self, lost: PieceIndex) {
        self.counts.iter_mut().for_each(|count| *count += 1);
        self.counts[lost.as_usize()] -= 1;
        self.seeds -= 1;
        self.stale = true;
    }

    /// One more peer that is no seed has this piece.
    pub(super) fn increase(&mut self, piece: PieceIndex) {
        let count = self.counts[piece.as_usize()];
        self.counts[piece.as_usize()] = count + 1;
        let at = self.position[piece.as_usize()];
        if self.stale || at == ABSENT {
            return;
        }
        let list = &mut self.lists[Priorities::place(self.ranks.as_deref(), piece)];
        list.stretch(count + 1);
        let border = &mut list.starts[count as usize + 1];
        *border -= 1;
        let border = *border;
        list.exchange(&mut self.position, at, border);
        list.mix(&mut self.position, &mut self.rng, piece, count + 1);
    }

    /// One peer less that is no seed has this piece.
    pub(super) fn decrease(&mut self, piece: PieceIndex) {
        let count = self.counts[piece.as_usize()];
        self.counts[piece.as_usize()] = count - 1;
        let at = self.position[piece.as_usize()];
        if self.stale || at == ABSENT {
            return;
        }
        let list = &mut self.lists[Priorities::place(self.ranks.as_deref(), piece)];
        let border = list.starts[count as usize];
        list.starts[count as usize] += 1;
        list.exchange(&mut self.position, at, border);
        list.mix(&mut self.position, &mut self.rng, piece, count - 1);
    }

    /// The piece may be picked from now on.
    pub(super) fn insert(&mut self, piece: PieceIndex) {
        if self.position[piece.as_usize()] != ABSENT {
            return;
        }
        let list = &mut self.lists[Priorities::place(self.ranks.as_deref(), piece)];
        let mut at = list.length();
        list.order.push(piece);
        self.position[piece.as_usize()] = at;
        if self.stale {
            return;
        }
        let count = self.counts[piece.as_usize()];
        list.stretch(count);
        *list.starts.last_mut().expect("stretched") += 1;
        for bucket in (count as usize + 1..list.starts.len() - 1).rev() {
            let first = list.starts[bucket];
            list.starts[bucket] += 1;
            list.exchange(&mut self.position, at, first);
            at = first;
        }
        list.mix(&mut self.position, &mut self.rng, piece, count);
    }

    /// The piece may not be picked any more.
    pub(super) fn remove(&mut self, piece: PieceIndex) {
        let mut at = self.position[piece.as_usize()];
        if at == ABSENT {
            return;
        }
        let list = &mut self.lists[Priorities::place(self.ranks.as_deref(), piece)];
        if self.stale {
            let last = list.length() - 1;
            list.exchange(&mut self.position, at, last);
        } else {
            // The hole moves through every bucket above by exchange with that bucket's last piece.
            for bucket in self.counts[piece.as_usize()] as usize + 1..list.starts.len() {
                list.starts[bucket] -= 1;
                let last = list.starts[bucket];
                list.exchange(&mut self.position, at, last);
                at = last;
            }
        }
        list.order.pop();
        self.position[piece.as_usize()] = ABSENT;
    }

    /// Peers that have this piece.
    pub(super) fn of(&self, piece: PieceIndex) -> u32 {
        self.counts[piece.as_usize()] + self.seeds
    }

    /// The place of a piece's priority: 0 before 1 before 2.
    pub(super) fn place(&self, piece: PieceIndex) -> usize {
        Priorities::place(self.ranks.as_deref(), piece)
    }

    /// The first place that some pickable piece has.
    pub(super) fn best_place(&self) -> usize {
        self.lists.iter().position(|list| !list.order.is_empty()).unwrap_or_default()
    }

    /// The pickable pieces of each priority, the highest first; in each the rarest first, in random order where equal. With
    /// `without_seeds_alone` those come first left out that only seeds have.
    pub(super) fn orders(&mut self, without_seeds_alone: bool) -> impl Iterator<Item = &[PieceIndex]> {
        if self.stale {
            self.sort();
        }
        self.lists.iter().map(move |list| {
            let first = if without_seeds_alone { list.starts[1] as usize } else { 0 };
            &list.order[first..]
        })
    }

    /// How many pieces are pickable.
    pub(super) fn len(&self) -> usize {
        self.lists.iter().map(|list| list.order.len()).sum()
    }

    /// Whether some list has more pieces than this.
    pub(super) fn is_long(&self, than: usize) -> bool {
        self.lists.iter().any(|list| list.order.len() > than)
    }

    fn sort(&mut self) {
        for list in &mut self.lists {
            let highest = list.order.iter().map(|piece| self.counts[piece.as_usize()]).max().unwrap_or(0);
            list.starts.clear();
            list.starts.resize(highest as usize + 2, 0);
            for piece in &list.order {
                list.starts[self.counts[piece.as_usize()] as usize + 1] += 1;
            }
            for bucket in 1..list.starts.len() {
                list.starts[bucket] += list.starts[bucket - 1];
            }
            let mut next = list.starts.clone();
            for piece in &list.order {
                let place = &mut next[self.counts[piece.as_usize()] as usize];
                self.position[piece.as_usize()] = *place;
                *place += 1;
            }
        }
        for (piece, at) in (0..).map(PieceIndex).zip(&self.position) {
            if *at != ABSENT {
                let list = &mut self.lists[Priorities::place(self.ranks.as_deref(), piece)];
                list.order[*at as usize] = piece;
            }
        }
        self.stale = false;
    }
}

impl List {
    fn length(&self) -> u32 {
        u32::try_from(self.order.len()).expect("no more pieces than fit the wire")
    }

    /// Makes sure that there is a bucket for this availability.
    fn stretch(&mut self, count: u32) {
        let end = self.starts.last().copied().unwrap_or_else(|| self.length());
        while self.starts.len() < count as usize + 2 {
            self.starts.push(end);
        }
    }

    /// Moves a piece to a random place of its bucket, so that peers who see the same swarm do not pick the same order.
    fn mix(&mut self, position: &mut [u32], rng: &mut fastrand::Rng, piece: PieceIndex, count: u32) {
        let bucket = self.starts[count as usize]..self.starts[count as usize + 1];
        let place = rng.u32(bucket);
        self.exchange(position, position[piece.as_usize()], place);
    }

    fn exchange(&mut self, position: &mut [u32], left: u32, right: u32) {
        self.order.swap(left as usize, right as usize);
        position[self.order[left as usize].as_usize()] = left;
        position[self.order[right as usize].as_usize()] = right;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use riverrun_metainfo::Bitfield;

    use super::*;

    const TOTAL: u32 = 24;

    #[derive(Clone, Debug)]
    enum Step {
        Increase(u32),
        Decrease(u32),
        Insert(u32),
        Remove(u32),
        PeerCame(u32),
        PeerWent(u32),
        Look,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..TOTAL).prop_map(Step::Increase),
            (0..TOTAL).prop_map(Step::Decrease),
            (0..TOTAL).prop_map(Step::Insert),
            (0..TOTAL).prop_map(Step::Remove),
            any::<u32>().prop_map(Step::PeerCame),
            any::<u32>().prop_map(Step::PeerWent),
            Just(Step::Look),
        ]
    }

    fn rank() -> impl Strategy<Value = Priority> {
        prop_oneof![Just(Priority::High), Just(Priority::Normal), Just(Priority::Low)]
    }

    fn peer(mask: u32) -> PeerPieces {
        let mut bits = Bitfield::empty(TOTAL);
        (0..TOTAL).filter(|bit| mask >> bit & 1 == 1).for_each(|bit| {
            bits.insert(PieceIndex(bit));
        });
        PeerPieces::of(bits)
    }

    proptest! {
        #[test]
        fn the_orders_are_those_of_sorted_lists(
            seed: u64,
            ranks in proptest::option::of(proptest::collection::vec(rank(), TOTAL as usize)),
            steps in proptest::collection::vec(step(), 0..200),
        ) {
            let rng = fastrand::Rng::with_seed(seed);
            let ranks: Option<Arc<[Priority]>> = ranks.map(Into::into);
            let members = (0..TOTAL).step_by(2).map(PieceIndex);
            let mut availability = Availability::new(TOTAL, members, ranks.clone(), rng);
            let mut counts = vec![0u32; TOTAL as usize];
            let mut members: BTreeSet<PieceIndex> = (0..TOTAL).step_by(2).map(PieceIndex).collect();
            let mut peers = Vec::new();
            for step in steps {
                match step {
                    Step::Increase(piece) => {
                        availability.increase(PieceIndex(piece));
                        counts[piece as usize] += 1;
                    }
                    Step::Decrease(piece) => {
                        let held = peers.iter().filter(|held: &&PeerPieces| held.has(PieceIndex(piece)) && !held.is_all());
                        if counts[piece as usize] as usize > held.count() {
                            availability.decrease(PieceIndex(piece));
                            counts[piece as usize] -= 1;
                        }
                    }
                    Step::Insert(piece) => {
                        availability.insert(PieceIndex(piece));
                        members.insert(PieceIndex(piece));
                    }
                    Step::Remove(piece) => {
                        availability.remove(PieceIndex(piece));
                        members.remove(&PieceIndex(piece));
                    }
                    Step::PeerCame(mask) => {
                        let pieces = peer(mask);
                        availability.add_peer(&pieces);
                        (0..TOTAL).filter(|&bit| pieces.has(PieceIndex(bit)) && !pieces.is_all()).for_each(|bit| counts[bit as usize] += 1);
                        peers.push(pieces);
                    }
                    Step::PeerWent(at) => {
                        if !peers.is_empty() {
                            let pieces = peers.swap_remove(at as usize % peers.len());
                            availability.remove_peer(&pieces);
                            (0..TOTAL).filter(|&bit| pieces.has(PieceIndex(bit)) && !pieces.is_all()).for_each(|bit| counts[bit as usize] -= 1);
                        }
                    }
                    Step::Look => {}
                }
                if matches!(step, Step::Look) || seed % 2 == 0 {
                    let orders: Vec<_> = availability.orders(false).map(<[_]>::to_vec).collect();
                    prop_assert_eq!(orders.len(), if ranks.is_some() { 3 } else { 1 });
                    for (order, place) in orders.iter().zip(0..) {
                        prop_assert!(order.is_sorted_by_key(|piece| counts[piece.as_usize()]));
                        let alike = |piece: &&PieceIndex| Priorities::place(ranks.as_deref(), **piece) == place;
                        let expected: BTreeSet<_> = members.iter().filter(alike).copied().collect();
                        prop_assert_eq!(order.iter().copied().collect::<BTreeSet<_>>(), expected);
                    }
                    prop_assert_eq!(orders.concat().len(), members.len());
                    let held: usize = availability.orders(true).map(<[_]>::len).sum();
                    prop_assert_eq!(held, members.iter().filter(|piece| counts[piece.as_usize()] > 0).count());
                }
            }
        }
    }
}
