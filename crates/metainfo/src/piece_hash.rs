//! Hashing one piece: SHA-1 for v1, the node of the file's hash tree for v2, both at once for a hybrid.

use smallvec::SmallVec;

use crate::hash::{self, SHA1_LENGTH, Sha1, Sha256};
use crate::merkle::{self, Node};
use crate::{BLOCK_LENGTH, Layout, PieceIndex};

/// So many pieces side by side take no memory for their list.
const USUAL: usize = 16;

/// Which kinds of torrent a piece is hashed for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Format {
    /// SHA-1 over the bytes of the piece, padding included (BEP 3).
    V1,
    /// SHA-256 over its blocks, two by two (BEP 52).
    V2,
    /// Both.
    Hybrid,
}

impl Format {
    /// Whether there are v1 hashes.
    #[must_use]
    pub fn has_v1(self) -> bool {
        self != Self::V2
    }

    /// Whether there are v2 hashes.
    #[must_use]
    pub fn has_v2(self) -> bool {
        self != Self::V1
    }
}

/// The hashes of one piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PieceDigest {
    /// The v1 hash, if asked for.
    pub v1: Option<[u8; SHA1_LENGTH]>,
    /// The v2 hash, if asked for: an entry of the file's piece layer, or its root if the file is no longer than a piece.
    pub v2: Option<Node>,
}

/// Takes the bytes of one piece in order, in parts of any length.
#[derive(Clone, Debug)]
pub struct Digester {
    v1: Option<Sha1>,
    v2: Option<Leaves>,
}

/// What of a piece is hashed for v2.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PieceTree {
    /// The bytes of the piece that are of its file; padding after them is no part of the tree.
    pub length: u32,
    /// The height of the piece's node: missing leaves fill it up.
    pub height: u32,
}

/// The leaves of one piece, as they come.
#[derive(Clone, Debug)]
struct Leaves {
    /// Bytes of the file that are still to come.
    left: usize,
    height: u32,
    done: Vec<Node>,
    open: Sha256,
}

impl PieceTree {
    /// What of a piece of a v2 or hybrid torrent is hashed for v2: there a piece has bytes of one file only. Nothing past the end.
    #[must_use]
    pub fn of(layout: &Layout, piece: PieceIndex) -> Self {
        let span = layout.piece_span(piece);
        let content = span.into_iter().flat_map(|span| layout.extents(span)).find(|extent| !extent.pad);
        let Some(extent) = content else { return Self { length: 0, height: 0 } };
        let length = u32::try_from(extent.length).expect("a part of a piece is no longer than one");
        let file_length = layout.files()[extent.file.0 as usize].length;
        Self { length, height: merkle::top_of_piece(file_length, layout.piece_length()) }
    }
}

impl Digester {
    /// Before the first byte: SHA-1 or not, a hash tree or not.
    #[must_use]
    pub fn new(v1: bool, v2: Option<PieceTree>) -> Self {
        Self { v1: v1.then(Sha1::new), v2: v2.map(Leaves::new) }
    }

    /// Before the first byte of a piece of this layout.
    #[must_use]
    pub fn of(layout: &Layout, piece: PieceIndex, format: Format) -> Self {
        Self::new(format.has_v1(), format.has_v2().then(|| PieceTree::of(layout, piece)))
    }

    /// Takes the next bytes of the piece, those of padding as zeros.
    pub fn update(&mut self, bytes: &[u8]) {
        if let Some(v1) = &mut self.v1 {
            v1.update(bytes);
        }
        if let Some(v2) = &mut self.v2 {
            v2.update(bytes);
        }
    }

    /// Gives several pieces their next bytes, side by side: the same as [`Digester::update`] on one after the other, but faster.
    pub fn update_many(inputs: &mut [(&mut Self, &[u8])]) {
        let v1 = inputs.iter_mut().filter_map(|(digester, bytes)| Some((digester.v1.as_mut()?, *bytes)));
        Sha1::update_many(&mut v1.collect::<SmallVec<[_; USUAL]>>());
        let v2 = inputs.iter_mut().filter_map(|(digester, bytes)| Some((digester.v2.as_mut()?, *bytes)));
        let v2: SmallVec<[_; USUAL]> = v2.collect();
        if !v2.is_empty() {
            Leaves::update_many(v2);
        }
    }

    /// The hashes of the bytes that came to each piece, in order: the same as [`Digester::finish`] on one after the other, but faster.
    pub fn finish_many(digesters: impl IntoIterator<Item = Self>) -> impl ExactSizeIterator<Item = PieceDigest> {
        let mut digesters: SmallVec<[Self; USUAL]> = digesters.into_iter().collect();
        let v1: SmallVec<[Option<Sha1>; USUAL]> = digesters.iter_mut().map(|digester| digester.v1.take()).collect();
        let with_v1: SmallVec<[bool; USUAL]> = v1.iter().map(Option::is_some).collect();
        let mut done = Sha1::finish_many(v1.into_iter().flatten());
        digesters.into_iter().zip(with_v1).map(move |(digester, with_v1)| PieceDigest {
            v1: if with_v1 { done.next() } else { None },
            v2: digester.v2.map(Leaves::finish),
        })
    }

    /// The hashes of the bytes that came.
    #[must_use]
    pub fn finish(self) -> PieceDigest {
        PieceDigest { v1: self.v1.map(Sha1::finish), v2: self.v2.map(Leaves::finish) }
    }
}

impl Leaves {
    fn new(tree: PieceTree) -> Self {
        let done = Vec::with_capacity(tree.length.div_ceil(BLOCK_LENGTH) as usize);
        Self { left: tree.length as usize, height: tree.height, done, open: Sha256::new() }
    }

    fn update(&mut self, bytes: &[u8]) {
        let mut bytes = self.limit(bytes);
        while !bytes.is_empty() {
            let (part, rest) = bytes.split_at(bytes.len().min(self.room()));
            self.open.update(part);
            if self.room() == 0 {
                self.close();
            }
            bytes = rest;
        }
    }

    /// The ends of open leaves, then whole leaves, then the starts of others: each kind side by side.
    fn update_many(inputs: SmallVec<[(&mut Self, &[u8]); USUAL]>) {
        let mut inputs: Vec<_> = inputs.into_iter().map(|(leaves, bytes)| (leaves.limit(bytes), leaves)).collect();
        let mut ends = Vec::new();
        for (bytes, leaves) in inputs.iter_mut().filter(|(_, leaves)| leaves.open.length() > 0) {
            let end = bytes.split_off(..bytes.len().min(leaves.room())).expect("a front of the bytes");
            ends.push((&mut leaves.open, end));
        }
        Sha256::update_many(&mut ends);
        for (_, leaves) in inputs.iter_mut().filter(|(_, leaves)| leaves.room() == 0) {
            leaves.close();
        }
        let whole = inputs.iter().flat_map(|(bytes, _)| bytes.as_chunks::<{ BLOCK_LENGTH as usize }>().0);
        let mut nodes = hash::sha256_many(whole.map(|block| &block[..])).into_iter();
        for (bytes, leaves) in &mut inputs {
            let (blocks, rest) = bytes.as_chunks::<{ BLOCK_LENGTH as usize }>();
            leaves.done.extend(nodes.by_ref().take(blocks.len()));
            *bytes = rest;
        }
        let starts = inputs.into_iter().map(|(bytes, leaves)| (&mut leaves.open, bytes));
        Sha256::update_many(&mut starts.filter(|(_, bytes)| !bytes.is_empty()).collect::<Vec<_>>());
    }

    /// The bytes that are of the file, counted as come.
    fn limit<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let bytes = &bytes[..bytes.len().min(self.left)];
        self.left -= bytes.len();
        bytes
    }

    /// The bytes that the open leaf still takes.
    fn room(&self) -> usize {
        usize::try_from(u64::from(BLOCK_LENGTH) - self.open.length()).expect("a leaf is no longer than a block")
    }

    fn close(&mut self) {
        self.done.push(std::mem::take(&mut self.open).finish());
    }

    fn finish(mut self) -> Node {
        if self.open.length() > 0 {
            self.close();
        }
        merkle::root_at(&self.done, 0, self.height)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

    use proptest::prelude::*;

    use super::*;
    use crate::FileIndex;

    const PIECE: u64 = 4 * BLOCK_LENGTH as u64;

    fn bytes(length: u64, seed: u8) -> Vec<u8> {
        (0..length).map(|at| (at % 251) as u8 ^ seed).collect()
    }

    fn piece_bytes(layout: &Layout, piece: PieceIndex, contents: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for extent in layout.extents(layout.piece_span(piece).unwrap()) {
            let FileIndex(file) = extent.file;
            let range = extent.offset as usize..(extent.offset + extent.length) as usize;
            bytes.extend_from_slice(&contents[file as usize][range]);
        }
        bytes
    }

    /// The digest of each piece, its bytes fed in parts of this length.
    fn digests(layout: &Layout, format: Format, contents: &[Vec<u8>], part: usize) -> Vec<PieceDigest> {
        let of = |piece| {
            let piece_bytes = piece_bytes(layout, piece, contents);
            let mut hasher = Digester::of(layout, piece, format);
            piece_bytes.chunks(part).for_each(|part| hasher.update(part));
            hasher.finish()
        };
        (0..layout.piece_count()).map(PieceIndex).map(of).collect()
    }

    /// The same, all pieces side by side, every other with parts of half the length.
    fn digests_many(layout: &Layout, format: Format, contents: &[Vec<u8>], part: usize) -> Vec<PieceDigest> {
        let pieces = || (0..layout.piece_count()).map(PieceIndex);
        let bytes: Vec<Vec<u8>> = pieces().map(|piece| piece_bytes(layout, piece, contents)).collect();
        let mut rests: Vec<&[u8]> = bytes.iter().map(|bytes| &bytes[..]).collect();
        let mut digesters: Vec<_> = pieces().map(|piece| Digester::of(layout, piece, format)).collect();
        while rests.iter().any(|rest| !rest.is_empty()) {
            let parts = rests.iter_mut().enumerate().map(|(number, rest)| {
                let part = if number % 2 == 0 { part } else { part.div_ceil(2) };
                rest.split_off(..part.min(rest.len())).unwrap()
            });
            Digester::update_many(&mut digesters.iter_mut().zip(parts).collect::<Vec<_>>());
        }
        Digester::finish_many(digesters).collect()
    }

    fn leaves(content: &[u8]) -> Vec<Node> {
        content.chunks(BLOCK_LENGTH as usize).map(merkle::leaf).collect()
    }

    #[test]
    fn the_piece_of_a_small_file_is_its_root() {
        for length in [1, 100, 16 << 10, (16 << 10) + 1, 3 << 14, PIECE - 1, PIECE] {
            let content = bytes(length, 1);
            let layout = Layout::v2(PIECE, [length]).unwrap();
            let found = digests(&layout, Format::V2, std::slice::from_ref(&content), 1000);
            assert_eq!(found, [PieceDigest { v1: None, v2: Some(merkle::root(&leaves(&content), 0)) }], "{length}");
        }
    }

    #[test]
    fn the_pieces_of_a_long_file_are_its_piece_layer() {
        for length in [PIECE + 1, 2 * PIECE, 5 * PIECE - 20_000] {
            let content = bytes(length, 2);
            let layout = Layout::v2(PIECE, [length]).unwrap();
            let found = digests(&layout, Format::V2, std::slice::from_ref(&content), 5000);
            let found: Vec<Node> = found.into_iter().map(|digest| digest.v2.unwrap()).collect();
            assert_eq!(found, merkle::piece_layer(&leaves(&content), 2), "{length}");
        }
    }

    #[test]
    fn padding_counts_for_v1_only() {
        let content = bytes(20_000, 3);
        let pad = PIECE - 20_000;
        let layout = Layout::v1(PIECE, [(20_000, false), (pad, true), (5, false)]).unwrap();
        let contents = [content.clone(), vec![0; pad as usize], bytes(5, 4)];
        let found = digests(&layout, Format::Hybrid, &contents, 7000);
        assert_eq!(found[0].v1, Some(hash::sha1(&contents[..2].concat())));
        assert_eq!(found[0].v2, Some(merkle::root(&leaves(&content), 0)));
        assert_eq!(found[1].v1, Some(hash::sha1(&contents[2])));
        assert_eq!(found[1].v2, Some(merkle::leaf(&contents[2])));
        assert_eq!(digests(&layout, Format::V1, &contents, 7000)[0], PieceDigest { v2: None, ..found[0] });
    }

    #[test]
    fn a_piece_past_the_end_takes_no_bytes() {
        let layout = Layout::v2(PIECE, [1]).unwrap();
        let mut hasher = Digester::of(&layout, PieceIndex(9), Format::V2);
        hasher.update(&[1; 100]);
        assert_eq!(hasher.finish().v2, Some(merkle::pad_hash(0)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn the_parts_do_not_matter(lengths in proptest::collection::vec(0..3 * PIECE, 1..4), part in 1usize..100_000) {
            let contents: Vec<_> = lengths.iter().map(|length| bytes(*length, *length as u8)).collect();
            let v1 = Layout::v1(PIECE, lengths.iter().map(|length| (*length, false))).unwrap();
            let v2 = Layout::v2(PIECE, lengths.iter().copied()).unwrap();
            let hybrid = (v2.clone(), Format::Hybrid);
            for (layout, format) in [(v1, Format::V1), (v2, Format::V2), hybrid] {
                prop_assert_eq!(digests_many(&layout, format, &contents, part), digests(&layout, format, &contents, part));
                prop_assert_eq!(
                    digests(&layout, format, &contents, part),
                    digests(&layout, format, &contents, PIECE as usize)
                );
            }
        }
    }
}
