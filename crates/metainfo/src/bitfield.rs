//! A set of pieces in the order of the wire (BEP 3): the high bit of the first byte is piece 0.

use crate::PieceIndex;

/// A set of pieces out of a fixed number, stored as 64-bit words whose big-endian bytes are the wire form.
///
/// Invariant: bits past the last piece are zero, so counting and comparing need no mask.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bitfield {
    words: Vec<u64>,
    pieces: u32,
}

/// Why bytes from a peer are not a bitfield of this torrent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BitfieldError {
    /// The message has another length than the torrent's pieces need.
    #[error("bitfield has {found} bytes, {expected} expected")]
    Length {
        /// Bytes received.
        found: usize,
        /// Bytes that the number of pieces needs.
        expected: usize,
    },
    /// Bits after the last piece are set (BEP 3: they are zero).
    #[error("spare bits of the bitfield are set")]
    SpareBits,
}

impl Bitfield {
    /// No piece of `pieces`.
    #[must_use]
    pub fn empty(pieces: u32) -> Self {
        Self { words: vec![0; pieces.div_ceil(64) as usize], pieces }
    }

    /// Every piece of `pieces`.
    #[must_use]
    pub fn full(pieces: u32) -> Self {
        let mut words = vec![u64::MAX; pieces.div_ceil(64) as usize];
        if let (Some(last), rest @ 1..) = (words.last_mut(), pieces % 64) {
            *last <<= 64 - rest;
        }
        Self { words, pieces }
    }

    /// Reads the wire form (BEP 3, BEP 52).
    ///
    /// # Errors
    /// The length is not exactly ⌈pieces / 8⌉, or a spare bit is set.
    pub fn from_wire(bytes: &[u8], pieces: u32) -> Result<Self, BitfieldError> {
        let expected = pieces.div_ceil(8) as usize;
        if bytes.len() != expected {
            return Err(BitfieldError::Length { found: bytes.len(), expected });
        }
        let words: Vec<u64> = bytes
            .chunks(8)
            .map(|chunk| {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                u64::from_be_bytes(word)
            })
            .collect();
        let field = Self { words, pieces };
        match (field.words.last(), pieces % 64) {
            (Some(last), rest @ 1..) if last << rest != 0 => Err(BitfieldError::SpareBits),
            _ => Ok(field),
        }
    }

    /// The wire form, ⌈pieces / 8⌉ bytes.
    #[must_use]
    pub fn to_wire(&self) -> Vec<u8> {
        let mut bytes: Vec<u8> = self.words.iter().flat_map(|word| word.to_be_bytes()).collect();
        bytes.truncate(self.pieces.div_ceil(8) as usize);
        bytes
    }

    /// The number of pieces the set is over.
    #[must_use]
    pub fn pieces(&self) -> u32 {
        self.pieces
    }

    /// Whether the set has this piece; false past the end.
    #[must_use]
    pub fn has(&self, piece: PieceIndex) -> bool {
        self.words.get(piece.as_usize() / 64).is_some_and(|word| word & bit(piece) != 0)
    }

    /// Adds a piece; true if it was not there. Pieces past the end are not added.
    pub fn insert(&mut self, piece: PieceIndex) -> bool {
        if piece.0 >= self.pieces {
            return false;
        }
        let word = &mut self.words[piece.as_usize() / 64];
        let new = *word & bit(piece) == 0;
        *word |= bit(piece);
        new
    }

    /// Takes a piece out; true if it was there.
    pub fn remove(&mut self, piece: PieceIndex) -> bool {
        let Some(word) = self.words.get_mut(piece.as_usize() / 64) else { return false };
        let there = *word & bit(piece) != 0;
        *word &= !bit(piece);
        there
    }

    /// How many pieces the set has.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.words.iter().map(|word| word.count_ones()).sum()
    }

    /// Whether the set has no piece.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// Whether the set has every piece.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.count() == self.pieces
    }

    /// Whether some piece is in this set and not in `other`.
    #[must_use]
    pub fn any_missing_from(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(mine, theirs)| mine & !theirs != 0)
    }

    /// How many pieces are in both sets.
    #[must_use]
    pub fn count_common(&self, other: &Self) -> u32 {
        self.words.iter().zip(&other.words).map(|(mine, theirs)| (mine & theirs).count_ones()).sum()
    }

    /// The pieces that are in both sets, from `first` on, in order.
    pub fn iter_common<'a>(&'a self, other: &'a Self, first: PieceIndex) -> impl Iterator<Item = PieceIndex> + 'a {
        let skip = first.as_usize() / 64;
        let head = u64::MAX >> (first.0 % 64);
        let common = self.words.iter().zip(&other.words).zip(0u32..).skip(skip);
        common.flat_map(move |((mine, theirs), number)| {
            pieces_in(mine & theirs & if number as usize == skip { head } else { u64::MAX }, number)
        })
    }

    /// The pieces of the set, in order.
    pub fn iter(&self) -> impl Iterator<Item = PieceIndex> + '_ {
        self.words.iter().zip(0..).flat_map(|(&word, number)| pieces_in(word, number))
    }

    /// The pieces that are not in the set, in order.
    pub fn iter_missing(&self) -> impl Iterator<Item = PieceIndex> + '_ {
        let missing = self.words.iter().zip(0..).flat_map(|(&word, number)| pieces_in(!word, number));
        missing.take_while(|piece| piece.0 < self.pieces)
    }
}

/// The set bits of one word, from the high one down.
fn pieces_in(mut word: u64, number: u32) -> impl Iterator<Item = PieceIndex> {
    std::iter::from_fn(move || {
        let lead = word.leading_zeros();
        (lead < 64).then(|| {
            word &= !(1 << (63 - lead));
            PieceIndex(number * 64 + lead)
        })
    })
}

fn bit(piece: PieceIndex) -> u64 {
    1 << (63 - piece.0 % 64)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

    use proptest::prelude::*;

    use super::*;

    fn filled(flags: &[bool]) -> Bitfield {
        let mut field = Bitfield::empty(flags.len() as u32);
        for (piece, _) in (0..).zip(flags).filter(|(_, flag)| **flag) {
            assert!(field.insert(PieceIndex(piece)));
        }
        field
    }

    #[test]
    fn piece_0_is_the_high_bit_of_the_first_byte() {
        let mut field = Bitfield::empty(10);
        field.insert(PieceIndex(0));
        field.insert(PieceIndex(9));
        assert_eq!(field.to_wire(), [0x80, 0x40]);
    }

    #[test]
    fn common_pieces_of_two_sets() {
        let (mut left, mut right) = (Bitfield::empty(200), Bitfield::empty(200));
        for piece in (0..200).step_by(3) {
            left.insert(PieceIndex(piece));
        }
        for piece in (0..200).step_by(5) {
            right.insert(PieceIndex(piece));
        }
        for first in [0, 1, 15, 63, 64, 65, 127, 128, 195, 199, 300] {
            let expected: Vec<_> = (first..200).filter(|piece| piece % 15 == 0).map(PieceIndex).collect();
            assert_eq!(left.iter_common(&right, PieceIndex(first)).collect::<Vec<_>>(), expected);
        }
        assert_eq!(left.count_common(&right), 14);
    }

    #[test]
    fn full_sets_have_no_spare_bit() {
        for pieces in [0, 1, 7, 8, 9, 63, 64, 65, 128, 1000] {
            let full = Bitfield::full(pieces);
            assert_eq!(full.count(), pieces);
            assert!(full.is_full());
            assert_eq!(Bitfield::from_wire(&full.to_wire(), pieces).unwrap(), full);
            assert_eq!(full.iter_missing().count(), 0);
            assert_eq!(Bitfield::empty(pieces).iter_missing().count(), pieces as usize);
        }
    }

    #[test]
    fn p7_bitfield_long_or_short_is_an_error() {
        for (length, pieces) in [(0, 1), (1, 0), (1, 9), (3, 16), (8, 65), (16 << 20, 8)] {
            let expected = pieces as usize / 8 + usize::from(pieces % 8 > 0);
            let error = BitfieldError::Length { found: length, expected };
            assert_eq!(Bitfield::from_wire(&vec![0; length], pieces), Err(error));
        }
    }

    #[test]
    fn p7_bitfield_with_spare_bits_is_an_error() {
        for pieces in (1u32..=130).filter(|pieces| pieces % 8 != 0) {
            for spare in pieces % 8..8 {
                let mut bytes = vec![0; pieces.div_ceil(8) as usize];
                *bytes.last_mut().unwrap() = 0x80 >> spare;
                assert_eq!(
                    Bitfield::from_wire(&bytes, pieces),
                    Err(BitfieldError::SpareBits),
                    "{pieces} pieces, bit {spare}"
                );
            }
        }
    }

    #[test]
    fn pieces_past_the_end_are_never_there() {
        let mut field = Bitfield::full(3);
        for piece in [3, 63, 64, u32::MAX] {
            assert!(!field.has(PieceIndex(piece)));
            assert!(!field.insert(PieceIndex(piece)));
            assert!(!field.remove(PieceIndex(piece)));
        }
        assert_eq!(field, Bitfield::full(3));
    }

    proptest! {
        #[test]
        fn agrees_with_a_list_of_flags(flags in proptest::collection::vec(any::<bool>(), 0..300)) {
            let field = filled(&flags);
            let with = |wanted| (0..).zip(&flags).filter(move |(_, flag)| **flag == wanted).map(|(n, _)| PieceIndex(n));
            prop_assert_eq!(field.iter().collect::<Vec<_>>(), with(true).collect::<Vec<_>>());
            prop_assert_eq!(field.iter_missing().collect::<Vec<_>>(), with(false).collect::<Vec<_>>());
            prop_assert_eq!(field.count() as usize, with(true).count());
            prop_assert_eq!(field.is_empty(), with(true).next().is_none());
            prop_assert_eq!(field.is_full(), with(false).next().is_none());
            let bytes: Vec<u8> =
                flags.chunks(8).map(|byte| byte.iter().zip(0..).map(|(flag, n)| u8::from(*flag) << (7 - n)).sum()).collect();
            prop_assert_eq!(&field.to_wire(), &bytes);
            prop_assert_eq!(Bitfield::from_wire(&bytes, flags.len() as u32).unwrap(), field);
        }

        #[test]
        fn removing_undoes_inserting(flags in proptest::collection::vec(any::<bool>(), 1..300), at: prop::sample::Index) {
            let mut field = filled(&flags);
            let piece = PieceIndex(at.index(flags.len()) as u32);
            prop_assert_eq!(field.remove(piece), flags[piece.as_usize()]);
            prop_assert!(!field.has(piece) && !field.remove(piece));
            prop_assert!(field.insert(piece) && !field.insert(piece) && field.has(piece));
        }

        #[test]
        fn any_missing_from_is_a_difference(pairs in proptest::collection::vec(any::<(bool, bool)>(), 0..200)) {
            let (mine, theirs): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
            let expected = pairs.iter().any(|(mine, theirs)| *mine && !theirs);
            prop_assert_eq!(filled(&mine).any_missing_from(&filled(&theirs)), expected);
        }
    }
}
