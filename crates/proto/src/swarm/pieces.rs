//! What one peer has.

use riverrun_metainfo::{Bitfield, PieceIndex};

/// The pieces that a peer says it has. A peer that has all or none costs no bitfield.
#[derive(Clone, Debug)]
pub(super) struct PeerPieces {
    /// `None` while the peer has all or none.
    bits: Option<Bitfield>,
    count: u32,
    total: u32,
}

impl PeerPieces {
    /// None of `total` pieces.
    pub(super) fn none(total: u32) -> Self {
        Self { bits: None, count: 0, total }
    }

    /// Every one of `total` pieces.
    pub(super) fn all(total: u32) -> Self {
        Self { bits: None, count: total, total }
    }

    /// What a bitfield says.
    pub(super) fn of(bits: Bitfield) -> Self {
        let (count, total) = (bits.count(), bits.pieces());
        Self { bits: (count > 0 && count < total).then_some(bits), count, total }
    }

    pub(super) fn has(&self, piece: PieceIndex) -> bool {
        match &self.bits {
            Some(bits) => bits.has(piece),
            None => self.count > 0 && piece.0 < self.total,
        }
    }

    /// How many pieces.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Out of how many.
    pub(super) fn total(&self) -> u32 {
        self.total
    }

    /// Whether the peer is a seed. Nobody is before the number of pieces is known.
    pub(super) fn is_all(&self) -> bool {
        self.count == self.total && self.total > 0
    }

    /// The pieces as bits, where they are neither all nor none.
    pub(super) fn bits(&self) -> Option<&Bitfield> {
        self.bits.as_ref()
    }

    /// Adds a piece that exists; true if it was not there.
    pub(super) fn insert(&mut self, piece: PieceIndex) -> bool {
        if self.is_all() || !self.bits.get_or_insert_with(|| Bitfield::empty(self.total)).insert(piece) {
            return false;
        }
        self.count += 1;
        if self.is_all() {
            self.bits = None;
        }
        true
    }

    /// Takes a piece out; true if it was there.
    pub(super) fn remove(&mut self, piece: PieceIndex) -> bool {
        if !self.has(piece) {
            return false;
        }
        let bits = self.bits.get_or_insert_with(|| Bitfield::full(self.total));
        bits.remove(piece);
        self.count -= 1;
        if self.count == 0 {
            self.bits = None;
        }
        true
    }

    /// Whether these are all of `fewer` and at least one besides.
    pub(super) fn is_more_than(&self, fewer: &Self) -> bool {
        let common = fewer.bits.as_ref().map_or(fewer.count, |bits| self.count_common(bits));
        self.count > fewer.count && common == fewer.count
    }

    /// How many pieces of a set the peer has.
    pub(super) fn count_common(&self, set: &Bitfield) -> u32 {
        match &self.bits {
            Some(bits) => bits.count_common(set),
            None if self.is_all() => set.count(),
            None => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn more_is_a_true_superset(total in 1u32..70, a in any::<[bool; 70]>(), b in any::<[bool; 70]>(), both in any::<bool>()) {
            let set = |has: &dyn Fn(usize) -> bool| {
                let mut pieces = PeerPieces::none(total);
                let had: BTreeSet<u32> = (0..total).filter(|piece| has(*piece as usize)).collect();
                had.iter().for_each(|piece| assert!(pieces.insert(PieceIndex(*piece))));
                (pieces, had)
            };
            let (fewer, few) = set(&|piece| a[piece]);
            let (more, many) = set(&|piece| b[piece] || (both && a[piece]));
            prop_assert_eq!(more.is_more_than(&fewer), many.is_superset(&few) && many != few);
        }

        #[test]
        fn agrees_with_a_plain_set(total in 1u32..70, steps in proptest::collection::vec((any::<bool>(), 0u32..70), 0..200)) {
            let mut pieces = PeerPieces::none(total);
            let mut model = BTreeSet::new();
            for (insert, piece) in steps {
                let piece = piece % total;
                if insert {
                    prop_assert_eq!(pieces.insert(PieceIndex(piece)), model.insert(piece));
                } else {
                    prop_assert_eq!(pieces.remove(PieceIndex(piece)), model.remove(&piece));
                }
                prop_assert_eq!(pieces.count() as usize, model.len());
                prop_assert_eq!(pieces.is_all(), model.len() == total as usize);
                prop_assert!((0..total + 2).all(|piece| pieces.has(PieceIndex(piece)) == model.contains(&piece)));
            }
        }
    }
}
