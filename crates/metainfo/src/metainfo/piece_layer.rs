//! The piece layer of one file, known at once or run by run, as peers bring it (BEP 52).
//!
//! Invariant: every hash in it was proved against the root of the file. What is known never changes.

use std::sync::OnceLock;

use bytes::Bytes;

use crate::hash::SHA256_LENGTH;
use crate::merkle::{self, HashRange, Node, Tree};

#[cfg(test)]
mod tests;

/// The most hashes that are asked for and proved at once: more than 512 should not be asked for (BEP 52).
pub const RUN_LENGTH: u32 = 512;

/// The hashes of the pieces of a file that is longer than a piece. Files with the same bytes share one.
#[derive(Clone)]
pub struct PieceLayer {
    root: Node,
    /// Of the layer above the leaves.
    height: u32,
    pieces: u32,
    runs: Box<[OnceLock<Run>]>,
    /// The tree from the roots of the runs upwards, once all of them are known.
    top: OnceLock<Tree>,
}

/// Up to 512 hashes that stand together.
#[derive(Clone)]
struct Run {
    hashes: Bytes,
    root: Node,
    /// The uncles of the root of the run, from low to high; none if the whole layer came at once.
    proof: Box<[Node]>,
}

/// Why hashes from a peer are not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// There are more or fewer than were asked for, with their uncles.
    #[error("{found} hashes instead of {expected}")]
    Count {
        /// How many there should be.
        expected: u32,
        /// How many there are.
        found: usize,
    },
    /// They do not lead to the root of the file.
    #[error("hashes that do not lead to the root of their file")]
    Wrong,
}

impl PieceLayer {
    /// A layer of which nothing is known yet, over at least two pieces.
    pub(super) fn unknown(root: Node, height: u32, pieces: u32) -> Self {
        let runs = (0..pieces.div_ceil(RUN_LENGTH)).map(|_| OnceLock::new()).collect();
        Self { root, height, pieces, runs, top: OnceLock::new() }
    }

    /// The root of the file's tree.
    #[must_use]
    pub fn root(&self) -> Node {
        self.root
    }

    /// How high it is above the leaves.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// How many hashes it has.
    #[must_use]
    pub fn pieces(&self) -> u32 {
        self.pieces
    }

    /// How many runs it has.
    #[must_use]
    pub fn runs(&self) -> u32 {
        self.pieces.div_ceil(RUN_LENGTH)
    }

    /// The hash of a piece, counted in the file, if it is known.
    #[must_use]
    pub fn hash(&self, piece: u32) -> Option<Node> {
        let run = self.runs.get((piece / RUN_LENGTH) as usize)?.get()?;
        run.hashes.as_chunks::<SHA256_LENGTH>().0.get((piece % RUN_LENGTH) as usize).copied()
    }

    /// Whether the hashes of a run are known.
    #[must_use]
    pub fn knows(&self, run: u32) -> bool {
        self.runs.get(run as usize).is_some_and(|run| run.get().is_some())
    }

    /// Whether every hash is known.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.top.get().is_some() || self.runs.iter().all(|run| run.get().is_some())
    }

    /// All hashes, if they are known.
    #[must_use]
    pub fn hashes(&self) -> Option<Bytes> {
        let parts: Option<Vec<&[u8]>> = self.runs.iter().map(|run| run.get().map(|run| &run.hashes[..])).collect();
        Some(parts?.concat().into())
    }

    /// What to ask for to learn a run (BEP 52): no more hashes than are left, as a power of two, and every uncle up to the root.
    #[must_use]
    pub fn range(&self, run: u32) -> HashRange {
        let index = run.saturating_mul(RUN_LENGTH);
        let left = self.pieces.saturating_sub(index).clamp(2, RUN_LENGTH);
        HashRange { base: self.height, index, length: left.next_power_of_two(), proof_layers: self.rise() - 1 }
    }

    /// Takes the whole layer; false, and nothing is taken, if it has not one hash for each piece or does not lead to the root.
    pub(super) fn learn_all(&self, hashes: &Bytes) -> bool {
        let (nodes, rest) = hashes.as_chunks::<SHA256_LENGTH>();
        if !rest.is_empty() || nodes.len() != self.pieces as usize {
            return false;
        }
        let roots: Vec<Node> = nodes.chunks(RUN_LENGTH as usize).map(|nodes| self.root_of_run(nodes)).collect();
        let Some(top) = Tree::new(self.run_height(), roots).filter(|top| top.root() == self.root) else { return false };
        let slices = nodes.chunks(RUN_LENGTH as usize).map(|nodes| hashes.slice_ref(nodes.as_flattened()));
        let roots = top.layer(self.run_height()).into_iter().flatten();
        for ((place, hashes), root) in self.runs.iter().zip(slices).zip(roots) {
            // What was known before is the same.
            let _ = place.set(Run { hashes, root: *root, proof: Box::default() });
        }
        let _ = self.top.set(top);
        true
    }

    /// Takes the answer to a request for the [`range`](Self::range) of a run: the hashes, then their uncles from low to high.
    ///
    /// # Errors
    /// They are not as many as that, or do not lead to the root; nothing is taken then.
    pub fn learn(&self, run: u32, answer: &[u8]) -> Result<(), ProofError> {
        let range = self.range(run);
        let expected = range.length + range.uncles();
        let (nodes, rest) = answer.as_chunks::<SHA256_LENGTH>();
        let place = self.runs.get(run as usize).ok_or(ProofError::Wrong)?;
        if !rest.is_empty() || nodes.len() != expected as usize {
            return Err(ProofError::Count { expected, found: nodes.len() });
        }
        let real = (self.pieces - range.index).min(RUN_LENGTH) as usize;
        let root = self.root_of_run(&nodes[..real]);
        // The uncles inside the last run stand for missing pieces and were counted as such.
        let inside = (self.run_height() - self.height) - range.length.ilog2();
        let proof = &nodes[(range.length + inside) as usize..];
        let lead = |(node, index): (Node, u32), uncle: &Node| {
            let above =
                if index.is_multiple_of(2) { merkle::parent(&node, uncle) } else { merkle::parent(uncle, &node) };
            (above, index / 2)
        };
        if proof.iter().fold((root, run), lead).0 != self.root {
            return Err(ProofError::Wrong);
        }
        // A copy, so that no more of the peer's message is kept than this.
        let hashes = Bytes::copy_from_slice(nodes[..real].as_flattened());
        let _ = place.set(Run { hashes, root, proof: proof.into() });
        Ok(())
    }

    /// The answer to a hash request: the hashes of the range padded to its length, then the uncles from low to high.
    ///
    /// `None` if the range is none of this layer's, lies past its end, or is not known.
    #[must_use]
    pub fn answer(&self, range: HashRange) -> Option<Vec<Node>> {
        if range.base != self.height || !self.covers(range) || range.index >= self.pieces {
            return None;
        }
        let end = range.index.saturating_add(range.length).min(self.pieces);
        let hashes: Option<Vec<Node>> = (range.index..end).map(|piece| self.hash(piece)).collect();
        let mut answer = hashes?;
        if !range.length.is_power_of_two() && range.index + range.length != self.pieces {
            return None;
        }
        answer.resize(range.length as usize, merkle::pad_hash(range.base));
        let covered = self.height + range.length.next_power_of_two().ilog2();
        let highest = (range.base + range.proof_layers + 1).min(self.height + self.rise());
        for height in covered..highest {
            answer.push(self.uncle(height, range.index)?);
        }
        Some(answer)
    }

    /// Whether a sound range lies in the tree over this layer, padding included.
    #[must_use]
    pub fn covers(&self, range: HashRange) -> bool {
        if !range.is_sound() {
            return false;
        }
        let places = u64::from(self.pieces).next_power_of_two();
        u64::from(range.index) + u64::from(range.length.next_power_of_two()) <= places
    }

    /// How many hashes must be looked up or made to answer this request, at most: what it costs.
    #[must_use]
    pub fn cost(&self, range: HashRange) -> u32 {
        let run = self.pieces.min(RUN_LENGTH);
        let inside = if range.length < run { run } else { 0 };
        range.length.saturating_add(inside).saturating_add(self.rise())
    }

    /// The sibling of the node at this height above the hash of a piece.
    fn uncle(&self, height: u32, piece: u32) -> Option<Node> {
        let number = (piece >> (height - self.height)) ^ 1;
        if height >= self.run_height() {
            let proof = &self.runs[(piece / RUN_LENGTH) as usize].get()?.proof;
            let known = proof.get((height - self.run_height()) as usize).copied();
            return known.or_else(|| {
                let layer = self.top()?.layer(height)?;
                Some(layer.get(number as usize).copied().unwrap_or_else(|| merkle::pad_hash(height)))
            });
        }
        let first = u64::from(number) << (height - self.height);
        let end = (first + (1 << (height - self.height))).min(self.pieces.into());
        let below: Option<Vec<Node>> = (first..end).map(|piece| self.hash(u32::try_from(piece).ok()?)).collect();
        Some(merkle::root_at(&below?, self.height, height))
    }

    /// The tree over the roots of all runs; `None` while one is not known.
    fn top(&self) -> Option<&Tree> {
        if self.top.get().is_none() {
            let roots: Option<Vec<Node>> = self.runs.iter().map(|run| run.get().map(|run| run.root)).collect();
            let _ = self.top.set(Tree::new(self.run_height(), roots?)?);
        }
        self.top.get()
    }

    /// How far the root is above the layer: at least 1.
    fn rise(&self) -> u32 {
        self.pieces.next_power_of_two().ilog2().max(1)
    }

    /// The height of the root of a run.
    fn run_height(&self) -> u32 {
        self.height + self.rise().min(RUN_LENGTH.ilog2())
    }

    fn root_of_run(&self, nodes: &[Node]) -> Node {
        merkle::root_at(nodes, self.height, self.run_height())
    }
}
