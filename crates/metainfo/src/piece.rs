//! The coordinates of a torrent's bytes: pieces, blocks of pieces, spans of the byte stream.

use std::fmt;

/// The length of a block in bytes: the unit of request (BEP 3) and the leaf of the v2 hash tree (BEP 52).
pub const BLOCK_LENGTH: u32 = 16 * 1024;

/// The number of a piece, counted from zero over the whole torrent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PieceIndex(pub u32);

impl PieceIndex {
    /// The index as a position in a slice.
    #[must_use]
    pub fn as_usize(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Debug for PieceIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "piece {}", self.0)
    }
}

impl fmt::Display for PieceIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A range of bytes inside one piece, as requests name them on the wire (BEP 3).
///
/// A block from [`Layout::block`](crate::Layout::block) is at most [`BLOCK_LENGTH`] long and starts at a multiple of it. A
/// block that a stranger named is only plain numbers until [`Layout::contains`](crate::Layout::contains) has judged it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Block {
    /// The piece.
    pub piece: PieceIndex,
    /// Where it starts in the piece, in bytes.
    pub begin: u32,
    /// How long it is, in bytes.
    pub length: u32,
}

impl Block {
    /// The number of this block within its piece, for blocks cut by the layout.
    #[must_use]
    pub fn number(self) -> u32 {
        self.begin / BLOCK_LENGTH
    }
}

/// A range of the torrent's byte stream.
///
/// The byte stream is all files one after the other, pad files included (BEP 47). In a v2 torrent each file starts at a
/// multiple of the piece length (BEP 52); the gap before it belongs to no piece and to no file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Span {
    /// The first byte.
    pub offset: u64,
    /// The number of bytes.
    pub length: u64,
}

impl Span {
    /// The first byte after the span; the last number there is if that is too great.
    #[must_use]
    pub fn end(self) -> u64 {
        self.offset.saturating_add(self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_count_from_the_start_of_their_piece() {
        let block = |begin| Block { piece: PieceIndex(3), begin, length: BLOCK_LENGTH };
        assert_eq!(block(0).number(), 0);
        assert_eq!(block(5 * BLOCK_LENGTH).number(), 5);
    }

    #[test]
    fn an_end_past_the_last_number_is_the_last_number() {
        assert_eq!(Span { offset: 7, length: 3 }.end(), 10);
        assert_eq!(Span { offset: u64::MAX, length: 2 }.end(), u64::MAX);
    }

    #[test]
    fn piece_indexes_print_as_numbers() {
        assert_eq!(format!("{}", PieceIndex(731)), "731");
        assert_eq!(format!("{:?}", PieceIndex(731)), "piece 731");
    }
}
