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

    /// The pieces of the set, in order.
    pub fn iter(&self) -> impl Iterator<Item = PieceIndex> + '_ {
        self.words.iter().zip(0u32..).flat_map(|(&word, number)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let lead = rest.leading_zeros();
                (lead < 64).then(|| {
                    rest &= !(1 << (63 - lead));
                    PieceIndex(number * 64 + lead)
                })
            })
        })
    }

    /// The pieces that are not in the set, in order.
    pub fn iter_missing(&self) -> impl Iterator<Item = PieceIndex> + '_ {
        (0..self.pieces).map(PieceIndex).filter(|piece| !self.has(*piece))
    }
}

fn bit(piece: PieceIndex) -> u64 {
    1 << (63 - piece.0 % 64)
}
