//! How many connected peers have each piece, and the pickable pieces in that order.
//!
//! The order is a list cut into buckets of equal availability. A piece that gains or loses a peer moves to the next bucket by
//! one exchange with the piece at the border, so keeping the order costs O(1) per `have`. Peers that have everything raise
//! every piece alike: they are one number and touch nothing. A whole bitfield only marks the order as stale; it is sorted
//! again, by counting, when somebody asks.

use riverrun_metainfo::PieceIndex;

use crate::swarm::pieces::PeerPieces;

const ABSENT: u32 = u32::MAX;

/// Counts and order of all pieces of one torrent.
#[derive(Debug)]
pub(super) struct Availability {
    /// Peers that have each piece, seeds not counted.
    counts: Vec<u32>,
    seeds: u32,
    /// The pickable pieces, rarest first unless `stale`.
    order: Vec<PieceIndex>,
    /// Where each piece stands in `order`, or `ABSENT`.
    position: Vec<u32>,
    /// Where the bucket of each availability starts in `order`, and at the end the length of `order`.
    starts: Vec<u32>,
    stale: bool,
    rng: fastrand::Rng,
}

impl Availability {
    /// No peers; `pickable` are the pieces to order.
    pub(super) fn new(total: u32, pickable: impl Iterator<Item = PieceIndex>, mut rng: fastrand::Rng) -> Self {
        let mut order: Vec<PieceIndex> = pickable.collect();
        rng.shuffle(&mut order);
        let mut position = vec![ABSENT; total as usize];
        for (piece, at) in order.iter().zip(0..) {
            position[piece.as_usize()] = at;
        }
        Self { counts: vec![0; total as usize], seeds: 0, order, position, starts: Vec::new(), stale: true, rng }
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
        self.stretch(count + 1);
        let border = &mut self.starts[count as usize + 1];
        *border -= 1;
        let border = *border;
        self.exchange(at, border);
        self.mix(piece, count + 1);
    }

    /// One peer less that is no seed has this piece.
    pub(super) fn decrease(&mut self, piece: PieceIndex) {
        let count = self.counts[piece.as_usize()];
        self.counts[piece.as_usize()] = count - 1;
        let at = self.position[piece.as_usize()];
        if self.stale || at == ABSENT {
            return;
        }
        let border = self.starts[count as usize];
        self.starts[count as usize] += 1;
        self.exchange(at, border);
        self.mix(piece, count - 1);
    }

    /// The piece may be picked from now on.
    pub(super) fn insert(&mut self, piece: PieceIndex) {
        if self.position[piece.as_usize()] != ABSENT {
            return;
        }
        let mut at = u32::try_from(self.order.len()).expect("no more pieces than fit the wire");
        self.order.push(piece);
        self.position[piece.as_usize()] = at;
        if self.stale {
            return;
        }
        let count = self.counts[piece.as_usize()];
        self.stretch(count);
        *self.starts.last_mut().expect("stretched") += 1;
        for bucket in (count as usize + 1..self.starts.len() - 1).rev() {
            let first = self.starts[bucket];
            self.starts[bucket] += 1;
            self.exchange(at, first);
            at = first;
        }
        self.mix(piece, count);
    }

    /// The piece may not be picked any more.
    pub(super) fn remove(&mut self, piece: PieceIndex) {
        let mut at = self.position[piece.as_usize()];
        if at == ABSENT {
            return;
        }
        if self.stale {
            let last = u32::try_from(self.order.len() - 1).expect("no more pieces than fit the wire");
            self.exchange(at, last);
        } else {
            // The hole moves through every bucket above by exchange with that bucket's last piece.
            for bucket in self.counts[piece.as_usize()] as usize + 1..self.starts.len() {
                self.starts[bucket] -= 1;
                let last = self.starts[bucket];
                self.exchange(at, last);
                at = last;
            }
        }
        self.order.pop();
        self.position[piece.as_usize()] = ABSENT;
    }

    /// Peers that have this piece.
    pub(super) fn of(&self, piece: PieceIndex) -> u32 {
        self.counts[piece.as_usize()] + self.seeds
    }

    /// The pickable pieces, rarest first, in random order where equal. With `without_seeds_alone` those come first left out
    /// that only seeds have.
    pub(super) fn order(&mut self, without_seeds_alone: bool) -> &[PieceIndex] {
        if self.stale {
            self.sort();
        }
        let first = if without_seeds_alone { self.starts[1] as usize } else { 0 };
        &self.order[first..]
    }

    fn sort(&mut self) {
        let highest = self.order.iter().map(|piece| self.counts[piece.as_usize()]).max().unwrap_or(0);
        self.starts.clear();
        self.starts.resize(highest as usize + 2, 0);
        for piece in &self.order {
            self.starts[self.counts[piece.as_usize()] as usize + 1] += 1;
        }
        for bucket in 1..self.starts.len() {
            self.starts[bucket] += self.starts[bucket - 1];
        }
        let mut next = self.starts.clone();
        for piece in std::mem::take(&mut self.order) {
            let place = &mut next[self.counts[piece.as_usize()] as usize];
            self.position[piece.as_usize()] = *place;
            *place += 1;
        }
        let mut order = vec![PieceIndex(0); self.starts[highest as usize + 1] as usize];
        for (piece, at) in (0..).map(PieceIndex).zip(&self.position) {
            if *at != ABSENT {
                order[*at as usize] = piece;
            }
        }
        self.order = order;
        self.stale = false;
    }

    /// Makes sure that there is a bucket for this availability.
    fn stretch(&mut self, count: u32) {
        let length = u32::try_from(self.order.len()).expect("no more pieces than fit the wire");
        let end = self.starts.last().copied().unwrap_or(length);
        while self.starts.len() < count as usize + 2 {
            self.starts.push(end);
        }
    }

    /// Moves a piece to a random place of its bucket, so that peers who see the same swarm do not pick the same order.
    fn mix(&mut self, piece: PieceIndex, count: u32) {
        let bucket = self.starts[count as usize]..self.starts[count as usize + 1];
        let place = self.rng.u32(bucket);
        self.exchange(self.position[piece.as_usize()], place);
    }

    fn exchange(&mut self, left: u32, right: u32) {
        self.order.swap(left as usize, right as usize);
        self.position[self.order[left as usize].as_usize()] = left;
        self.position[self.order[right as usize].as_usize()] = right;
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

    fn peer(mask: u32) -> PeerPieces {
        let mut bits = Bitfield::empty(TOTAL);
        (0..TOTAL).filter(|bit| mask >> bit & 1 == 1).for_each(|bit| {
            bits.insert(PieceIndex(bit));
        });
        PeerPieces::of(bits)
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_a_sorted_list(seed: u64, steps in proptest::collection::vec(step(), 0..200)) {
            let rng = fastrand::Rng::with_seed(seed);
            let mut availability = Availability::new(TOTAL, (0..TOTAL).step_by(2).map(PieceIndex), rng);
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
                    let order = availability.order(false).to_vec();
                    prop_assert!(order.is_sorted_by_key(|piece| counts[piece.as_usize()]));
                    prop_assert_eq!(order.iter().copied().collect::<BTreeSet<_>>(), members.clone());
                    prop_assert_eq!(order.len(), members.len());
                    let held = availability.order(true).len();
                    prop_assert_eq!(held, members.iter().filter(|piece| counts[piece.as_usize()] > 0).count());
                }
            }
        }
    }
}
