//! The v2 hash tree (BEP 52): SHA-256 over 16 KiB blocks, two by two up to the root of a file.
//!
//! A layer is kept only as far as the file's bytes reach. Past that stand missing leaves, 32 zero bytes each, so a layer at
//! some height is padded with the root of a subtree of missing leaves of that height. Height 0 is the leaves.

use std::sync::LazyLock;

use crate::hash::{self, SHA256_LENGTH};
use crate::piece::BLOCK_LENGTH;

#[cfg(test)]
mod tests;

/// A node of a tree: the hash of a block or of the two nodes below it.
pub type Node = [u8; SHA256_LENGTH];

/// The greatest height of a tree: more blocks than any torrent may have.
pub const MAX_HEIGHT: u32 = 63;

static PADS: LazyLock<Vec<Node>> = LazyLock::new(|| {
    let above = |node: &Node| Some(parent(node, node));
    std::iter::successors(Some(Node::default()), above).take(MAX_HEIGHT as usize + 1).collect()
});

/// The root of a subtree that has only missing leaves, this high.
///
/// # Panics
/// `height` is over [`MAX_HEIGHT`].
#[must_use]
pub fn pad_hash(height: u32) -> Node {
    PADS[height as usize]
}

/// The node above two nodes.
#[must_use]
pub fn parent(left: &Node, right: &Node) -> Node {
    let mut both = [0; 2 * SHA256_LENGTH];
    both[..SHA256_LENGTH].copy_from_slice(left);
    both[SHA256_LENGTH..].copy_from_slice(right);
    hash::sha256(&both)
}

/// The leaf of a block; the last block of a file may be short.
#[must_use]
pub fn leaf(block: &[u8]) -> Node {
    hash::sha256(block)
}

/// How far the piece layer is above the leaves, for a piece length in bytes that is a power of two and at least a block.
#[must_use]
pub fn piece_height(piece_length: u32) -> u32 {
    (piece_length / BLOCK_LENGTH).max(1).ilog2()
}

/// The root over a layer at `height`, padded to the next power of two; the pad hash for an empty layer.
///
/// Over the leaves of a file that is no longer than a piece, or over the piece layer of a longer file, this is its `pieces root`.
#[must_use]
pub fn root(layer: &[Node], height: u32) -> Node {
    root_at(layer, height, height + rise(layer.len()))
}

/// The hash of one piece from its leaves, for a file longer than a piece: missing leaves fill up the last piece.
#[must_use]
pub fn piece_hash(leaves: &[Node], piece_height: u32) -> Node {
    root_at(leaves, 0, piece_height)
}

/// The piece layer from all leaves of a file.
#[must_use]
pub fn piece_layer(leaves: &[Node], piece_height: u32) -> Vec<Node> {
    leaves.chunks(1 << piece_height).map(|piece| piece_hash(piece, piece_height)).collect()
}

/// The height of the nodes that stand for the pieces of a file, lengths in bytes: the root if it is no longer than a piece.
#[must_use]
pub fn top_of_piece(file_length: u64, piece_length: u32) -> u32 {
    if file_length > u64::from(piece_length) {
        return piece_height(piece_length);
    }
    file_length.div_ceil(u64::from(BLOCK_LENGTH)).next_power_of_two().ilog2()
}

/// The node at height `top` over a layer at `height`: missing nodes fill it up. The layer is at most 2^(top - height) long.
#[must_use]
pub fn root_at(layer: &[Node], height: u32, top: u32) -> Node {
    let mut at = height;
    let mut nodes = layer.to_vec();
    while at < top && !nodes.is_empty() {
        nodes = above(&nodes, at);
        at += 1;
    }
    debug_assert!(nodes.len() <= 1, "the layer fits under its top");
    nodes.first().copied().unwrap_or_else(|| pad_hash(top))
}

/// From how many pairs on they are hashed side by side.
const SIDE_BY_SIDE: usize = 8;

/// The layer above a layer at `height`.
fn above(layer: &[Node], height: u32) -> Vec<Node> {
    let (pairs, odd) = layer.as_chunks::<2>();
    let mut above = if pairs.len() < SIDE_BY_SIDE {
        pairs.iter().map(|[left, right]| parent(left, right)).collect()
    } else {
        hash::sha256_many(pairs.iter().map(|pair| pair.as_flattened()))
    };
    above.extend(odd.iter().map(|left| parent(left, &pad_hash(height))));
    above
}

/// How many layers up the root of this many nodes is.
fn rise(nodes: usize) -> u32 {
    nodes.next_power_of_two().ilog2()
}

/// Which hashes of a file's tree are meant, as a hash request names them (BEP 52). Plain numbers until a [`Tree`] has judged them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HashRange {
    /// The layer of the hashes: its height above the leaves.
    pub base: u32,
    /// The number of the first hash in that layer: a multiple of `length`.
    pub index: u32,
    /// How many hashes: a power of two, at least 2; or cut at the end of the layer.
    pub length: u32,
    /// How many layers above the base an uncle hash is wanted from; those that follow from the hashes themselves count but are not sent.
    pub proof_layers: u32,
}

impl HashRange {
    /// The most hashes of one layer that a request may ask for: BEP 52 says 512, some ask for more.
    pub const MAX_LENGTH: u32 = 8192;

    /// Whether the numbers can be right for some tree: lengths, alignment, heights.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        (2..=Self::MAX_LENGTH).contains(&self.length)
            && self.index.is_multiple_of(self.length.next_power_of_two())
            && self.base < MAX_HEIGHT
            && self.proof_layers < MAX_HEIGHT
    }

    /// The height of the lowest node that covers all hashes of the range.
    fn covered(&self) -> u32 {
        self.base + self.length.next_power_of_two().ilog2()
    }

    /// How many uncle hashes follow the hashes of the range in an answer, in a tree that is high enough; 0 if it is unsound.
    #[must_use]
    pub fn uncles(&self) -> u32 {
        if self.is_sound() { (self.base + self.proof_layers + 1).saturating_sub(self.covered()) } else { 0 }
    }

    /// The node that hashes of the range and their uncles lead to: compare it with the root or another node known to be right.
    ///
    /// `None` if the range is unsound or the hashes are fewer than its length or more than with all its uncles.
    #[must_use]
    pub fn lead(&self, hashes: &[Node]) -> Option<Lead> {
        let (own, uncles) = hashes.split_at_checked(self.length as usize)?;
        if !self.is_sound() || uncles.len() > self.uncles() as usize {
            return None;
        }
        if uncles.len() > MAX_HEIGHT.checked_sub(self.covered())? as usize {
            return None;
        }
        let mut lead = Lead {
            node: root_at(own, self.base, self.covered()),
            height: self.covered(),
            index: self.index >> (self.covered() - self.base),
        };
        for uncle in uncles {
            lead.node =
                if lead.index.is_multiple_of(2) { parent(&lead.node, uncle) } else { parent(uncle, &lead.node) };
            lead.index /= 2;
            lead.height += 1;
        }
        Some(lead)
    }
}

/// A node that follows from the hashes below it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lead {
    /// The node.
    pub node: Node,
    /// Its height above the leaves.
    pub height: u32,
    /// Its number in the layer at this height.
    pub index: u32,
}

/// A file's hash tree from some layer up, to answer hash requests from. Holds about twice its base layer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tree {
    base: u32,
    /// From the base to the root, without padding.
    layers: Vec<Vec<Node>>,
}

impl Tree {
    /// The tree over a layer at height `base`: the leaves of a file (0), or its piece layer. `None` for an empty layer or one
    /// that is too high.
    #[must_use]
    pub fn new(base: u32, layer: Vec<Node>) -> Option<Self> {
        if layer.is_empty() || base > MAX_HEIGHT || rise(layer.len()) > MAX_HEIGHT - base {
            return None;
        }
        let mut layers = vec![layer];
        let mut height = base;
        while let Some(top) = layers.last().filter(|layer| layer.len() > 1) {
            let next = above(top, height);
            layers.push(next);
            height += 1;
        }
        Some(Self { base, layers })
    }

    /// The root: the file's `pieces root`.
    #[must_use]
    pub fn root(&self) -> Node {
        self.layers[self.layers.len() - 1][0]
    }

    /// The height of the root above the leaves.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.base + rise(self.layers[0].len())
    }

    /// The nodes at this height, without padding; `None` below the base or above the root.
    #[must_use]
    pub fn layer(&self, height: u32) -> Option<&[Node]> {
        self.layers.get(height.checked_sub(self.base)? as usize).map(Vec::as_slice)
    }

    /// The answer to a hash request: the hashes of the range, padded to its length, then the uncles from low to high.
    ///
    /// `None` if the range is unsound, lies past the end of its layer, covers more than the tree, or is in a layer that is not here.
    #[must_use]
    pub fn hashes(&self, range: HashRange) -> Option<Vec<Node>> {
        let layer = self.layer(range.base)?;
        if !range.is_sound() || range.covered() > self.height() {
            return None;
        }
        let first = range.index as usize;
        let rest = layer.get(first..).filter(|rest| !rest.is_empty())?;
        let length = range.length as usize;
        if !range.length.is_power_of_two() && rest.len() != length {
            return None;
        }
        let mut answer: Vec<Node> = rest.iter().take(length).copied().collect();
        answer.resize(length, pad_hash(range.base));
        let top = (range.base + range.proof_layers + 1).min(self.height());
        for height in range.covered()..top {
            let uncle = (range.index >> (height - range.base)) as usize ^ 1;
            let layer = self.layer(height)?;
            answer.push(layer.get(uncle).copied().unwrap_or_else(|| pad_hash(height)));
        }
        Some(answer)
    }
}
