//! What each piece must hash to, and hashing one to see.

use bytes::Bytes;

use crate::info::Info;
use crate::merkle::{self, Node};
use crate::metainfo::piece_layer::{PieceLayer, RUN_LENGTH};
use crate::piece::{BLOCK_LENGTH, PieceIndex};
use crate::piece_hash::{Digester, PieceDigest, PieceTree};

/// The expected hash of every piece: v1, v2 or both. Cheap to ask and to share; the hashes are slices of the torrent file.
///
/// Piece layers may come later, run by run, while others ask (BEP 52): what they bring was proved, and never changes.
#[derive(Clone)]
pub struct PieceHashes {
    piece_length: u32,
    pieces: u32,
    /// 20 bytes for each piece; empty without v1.
    v1: Bytes,
    /// The files that have bytes, by their first piece; empty without v2.
    v2: Vec<FilePieces>,
    /// The piece layers by root; files with the same bytes share one.
    layers: Vec<PieceLayer>,
    /// The layer and the first piece of each file that has one, sorted.
    places: Vec<(usize, u32)>,
}

/// The pieces of one file.
#[derive(Clone)]
struct FilePieces {
    first: u32,
    length: u64,
    root: Node,
    /// The number of the piece layer; `None` for a file of one piece.
    layer: Option<usize>,
}

/// What a piece must hash to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExpectedHash {
    /// The SHA-1 of the whole piece, padding included as zeros (BEP 3).
    pub v1: Option<[u8; 20]>,
    /// The node of the hash tree that covers the piece; `None` as well while its layer is not known (BEP 52).
    pub v2: Option<ExpectedV2>,
}

/// What the hash tree over a piece must lead to (BEP 52).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExpectedV2 {
    /// The node that covers the piece.
    pub node: Node,
    /// The leaves below that node: a power of two; those past the end of the file are 32 zero bytes.
    pub leaves: u32,
    /// The bytes of the piece that are of its file, and hashed: padding after them is not.
    pub length: u32,
}

/// Names a run of hashes in one piece layer of a torrent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RunId {
    /// The number of the layer.
    pub layer: u32,
    /// The number of the run in it.
    pub run: u32,
}

impl PieceHashes {
    /// What the info dictionary alone says.
    pub(crate) fn new(info: &Info) -> Self {
        let layout = info.layout();
        let piece_length = layout.piece_length();
        let placed = || layout.files().iter().zip(info.roots()).filter_map(|(file, root)| Some((file, (*root)?)));
        let pieces = |length: u64| u32::try_from(length.div_ceil(piece_length.into())).unwrap_or(u32::MAX);
        let long = placed().filter(|(file, _)| file.length > piece_length.into());
        let mut named: Vec<_> = long.map(|(file, root)| (root, pieces(file.length))).collect();
        named.sort_unstable();
        named.dedup();
        let v2 = placed().filter_map(|(file, root)| {
            let first = layout.piece_at(file.offset)?.0;
            let layer = named.binary_search(&(root, pieces(file.length))).ok();
            Some(FilePieces { first, length: file.length, root, layer })
        });
        let v2: Vec<FilePieces> = v2.collect();
        let mut places: Vec<_> = v2.iter().filter_map(|file| Some((file.layer?, file.first))).collect();
        places.sort_unstable();
        let height = merkle::piece_height(piece_length);
        let layers = named.into_iter().map(|(root, pieces)| PieceLayer::unknown(root, height, pieces)).collect();
        Self { piece_length, pieces: layout.piece_count(), v1: info.v1_pieces().clone(), v2, layers, places }
    }

    /// The number of pieces.
    #[must_use]
    pub fn piece_count(&self) -> u32 {
        self.pieces
    }

    /// What a piece must hash to; nothing past the last piece.
    #[must_use]
    pub fn expected(&self, piece: PieceIndex) -> ExpectedHash {
        let v1 = self.v1.as_chunks::<20>().0.get(piece.as_usize()).copied();
        ExpectedHash { v1, v2: self.expected_v2(piece) }
    }

    fn expected_v2(&self, piece: PieceIndex) -> Option<ExpectedV2> {
        if piece.0 >= self.pieces {
            return None;
        }
        let file = &self.v2[self.v2.partition_point(|file| file.first <= piece.0).checked_sub(1)?];
        let piece_length = u64::from(self.piece_length);
        let number = piece.0 - file.first;
        // In a hybrid, padding may follow the last piece of a file as pieces of its own only if the torrent was refused.
        let rest = file.length.checked_sub(u64::from(number) * piece_length).filter(|&rest| rest > 0)?;
        let length = u32::try_from(rest.min(piece_length)).ok()?;
        if file.length <= piece_length {
            let leaves = length.div_ceil(BLOCK_LENGTH).next_power_of_two();
            return Some(ExpectedV2 { node: file.root, leaves, length });
        }
        let node = self.layers.get(file.layer?)?.hash(number)?;
        Some(ExpectedV2 { node, leaves: self.piece_length / BLOCK_LENGTH, length })
    }

    /// Whether a piece can be judged: some hash of it is known.
    #[must_use]
    pub fn is_known(&self, piece: PieceIndex) -> bool {
        piece.0 < self.pieces && (!self.v1.is_empty() || self.expected_v2(piece).is_some())
    }

    /// Whether some v2 hash is not known because its piece layer is missing.
    #[must_use]
    pub fn lacks_layers(&self) -> bool {
        self.layers.iter().any(|layer| !layer.is_whole())
    }

    /// The piece layers, ordered by root; one for each content of files that are longer than a piece.
    #[must_use]
    pub fn layers(&self) -> &[PieceLayer] {
        &self.layers
    }

    /// The layers under this root: one, unless the torrent contradicts itself.
    #[must_use]
    pub fn layers_of(&self, root: &Node) -> &[PieceLayer] {
        let first = self.layers.partition_point(|layer| layer.root() < *root);
        let rest = &self.layers[first..];
        &rest[..rest.partition_point(|layer| layer.root() == *root)]
    }

    /// The runs of hashes that are not known, by the first piece that lacks its hash.
    #[must_use]
    pub fn missing_runs(&self) -> Vec<RunId> {
        let mut missing = Vec::new();
        let mut seen = vec![false; self.layers.len()];
        for (number, layer) in self.v2.iter().filter_map(|file| Some((file.layer?, self.layers.get(file.layer?)?))) {
            if !std::mem::replace(&mut seen[number], true) {
                let id = u32::try_from(number).expect("a layout has at most 2 million files");
                let runs = (0..layer.runs()).filter(|run| !layer.knows(*run));
                missing.extend(runs.map(|run| RunId { layer: id, run }));
            }
        }
        missing
    }

    /// The pieces, as ranges of piece numbers, whose hashes are in a run: one for each file with that content.
    pub fn pieces_of(&self, id: RunId) -> impl Iterator<Item = std::ops::Range<u32>> + '_ {
        let number = id.layer as usize;
        let pieces = self.layers.get(number).map_or(0, PieceLayer::pieces);
        let first = id.run.saturating_mul(RUN_LENGTH).min(pieces);
        let end = first.saturating_add(RUN_LENGTH).min(pieces);
        let files = &self.places[self.places.partition_point(|(layer, _)| *layer < number)..];
        files.iter().take_while(move |(layer, _)| *layer == number).map(move |(_, file)| file + first..file + end)
    }

    /// Takes a whole piece layer; false, and nothing is taken, if it does not lead to the root of a file that is longer than a piece.
    pub fn learn_layer(&self, root: &Node, hashes: &Bytes) -> bool {
        let layers = self.layers_of(root);
        !layers.is_empty() && layers.iter().all(|layer| layer.learn_all(hashes))
    }

    /// A hasher for the bytes of a piece.
    #[must_use]
    pub fn hasher(&self, piece: PieceIndex) -> PieceHasher {
        PieceHasher::new(self.expected(piece))
    }
}

impl std::fmt::Debug for PieceHashes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (v1, v2) = (!self.v1.is_empty(), !self.v2.is_empty());
        let mut debug = f.debug_struct("PieceHashes");
        debug.field("pieces", &self.pieces).field("v1", &v1).field("v2", &v2).finish_non_exhaustive()
    }
}

/// What hashing a piece showed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Every hash that is known is right.
    Good,
    /// The bytes are wrong.
    Corrupt,
    /// One hash is right and the other is not: no bytes can be right for this torrent (BEP 52).
    Inconsistent,
    /// No hash is known yet: the piece layer is missing.
    Unknown,
}

/// Hashes the bytes of one piece, in order, in parts of any size.
#[derive(Clone, Debug)]
pub struct PieceHasher {
    expected: ExpectedHash,
    left: u32,
    digester: Digester,
}

impl PieceHasher {
    /// A hasher for a piece that must come out as `expected`.
    #[must_use]
    pub fn new(expected: ExpectedHash) -> Self {
        let tree = expected.v2.map(ExpectedV2::tree);
        let left = tree.map_or(0, |tree| tree.length);
        Self { expected, left, digester: Digester::new(expected.v1.is_some(), tree) }
    }

    /// Takes the next bytes of the piece, padding included.
    pub fn update(&mut self, bytes: &[u8]) {
        self.count(bytes);
        self.digester.update(bytes);
    }

    fn count(&mut self, bytes: &[u8]) {
        self.left = self.left.saturating_sub(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    }

    /// Gives several pieces their next bytes, side by side: the same as [`PieceHasher::update`] on one after the other, but faster.
    pub fn update_many(inputs: &mut [(&mut Self, &[u8])]) {
        let digesters = inputs.iter_mut().map(|(hasher, bytes)| {
            hasher.count(bytes);
            (&mut hasher.digester, *bytes)
        });
        Digester::update_many(&mut digesters.collect::<Vec<_>>());
    }

    /// The verdict on each piece, in order: the same as [`PieceHasher::finish`] on one after the other, but faster.
    #[must_use]
    pub fn finish_many(hashers: Vec<Self>) -> Vec<Verdict> {
        let (expected, digesters): (Vec<_>, Vec<_>) =
            hashers.into_iter().map(|hasher| ((hasher.expected, hasher.left), hasher.digester)).unzip();
        let digests = Digester::finish_many(digesters);
        expected.iter().zip(digests).map(|((expected, left), digest)| expected.verdict(*left, &digest)).collect()
    }

    /// The verdict on all bytes that came. A piece that was cut short is corrupt.
    #[must_use]
    pub fn finish(self) -> Verdict {
        self.expected.verdict(self.left, &self.digester.finish())
    }
}

impl ExpectedHash {
    fn verdict(&self, left: u32, digest: &PieceDigest) -> Verdict {
        if left > 0 { Verdict::Corrupt } else { self.judge(digest) }
    }

    /// Compares what a piece hashed to, as far as it is expected and was hashed.
    #[must_use]
    pub fn judge(&self, digest: &PieceDigest) -> Verdict {
        let v1 = self.v1.zip(digest.v1).map(|(expected, found)| expected == found);
        let v2 = self.v2.zip(digest.v2).map(|(expected, found)| expected.node == found);
        match (v1, v2) {
            (None, None) => Verdict::Unknown,
            (Some(true), Some(false)) | (Some(false), Some(true)) => Verdict::Inconsistent,
            (Some(false), _) | (_, Some(false)) => Verdict::Corrupt,
            _ => Verdict::Good,
        }
    }
}

impl ExpectedV2 {
    /// What of the piece is hashed.
    #[must_use]
    pub fn tree(self) -> PieceTree {
        PieceTree { length: self.length, height: self.leaves.ilog2() }
    }
}

#[cfg(test)]
mod tests;
