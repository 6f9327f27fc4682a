//! How far pieces in progress are hashed: from memory, side by side, while their blocks are on the way to the disk.
//!
//! A piece is a chain that is hashed from its start on, so only what goes on where the hashing stopped is taken here; the rest of a
//! piece is read back when it is complete. Whether a block is hashed here or there is a matter of speed alone: what memory says is
//! believed only if it says that the piece is right, and a piece of which a block is written anew begins anew.

use riverrun_metainfo::PieceIndex;
use riverrun_metainfo::hash::SHA256_LENGTH;
use riverrun_metainfo::piece_hash::Digester;
use smallvec::SmallVec;

use super::Torrent;
use super::batch::Write;
use crate::hashing::{LANES, lanes_of_machine};

/// So many pieces may go on in one batch without a list on the heap.
const USUAL: usize = 2 * LANES;
/// The most memory for pieces in progress on one thread, in bytes; beyond that the ones that wait longest are forgotten.
const MAX_BYTES: usize = 512 << 10;

/// Pieces in progress.
#[derive(Default)]
pub(super) struct Prefixes {
    /// Sorted by torrent and piece, as the writes of a batch are.
    of: Vec<Prefix>,
    bytes: usize,
    /// Counts batches.
    batch: u64,
}

/// The start of a piece that has been hashed.
pub(super) struct Prefix {
    key: Key,
    pub(super) digester: Digester,
    /// Where in the byte stream what is not hashed begins.
    pub(super) until: u64,
    bytes: usize,
    /// The batch in which it last went on.
    batch: u64,
}

type Key = (u64, PieceIndex);

/// Writes of a batch, next to each other, that one piece goes on with.
struct Lane<'w> {
    key: Key,
    writes: &'w [Write],
}

impl Prefixes {
    /// Hashes what goes on where its piece has been hashed to, if there is enough of that to be hashed side by side. The writes are
    /// sorted and do not overlap.
    pub(super) fn hash(&mut self, writes: &[Write]) {
        self.batch += 1;
        let mut lanes: SmallVec<[Lane<'_>; USUAL]> = SmallVec::new();
        let mut width = 0;
        for run in writes.chunk_by(|one, next| one.key() == next.key() && one.end() == next.offset) {
            if self.goes_on(&run[0]) {
                lanes.push(Lane { key: run[0].key(), writes: run });
                width += width_of(run);
            }
        }
        if width < least_width() {
            return;
        }
        for lane in &lanes {
            self.begin(lane);
        }
        let mut lanes = lanes.into_iter().peekable();
        let mut going: SmallVec<[_; USUAL]> = SmallVec::new();
        for prefix in &mut self.of {
            if let Some(lane) = lanes.next_if(|lane| lane.key == prefix.key) {
                prefix.batch = self.batch;
                going.push((prefix, lane.writes.iter().flat_map(Write::blocks)));
            }
        }
        // As many as there are lanes, and about as many in each group.
        let groups = going.len().div_ceil(LANES).max(1);
        let size = going.len().div_ceil(groups).max(1);
        for group in going.chunks_mut(size) {
            loop {
                let next = group.iter_mut().filter_map(|(prefix, blocks)| {
                    let block = blocks.next()?;
                    prefix.until += block.len() as u64;
                    Some((&mut prefix.digester, block))
                });
                let mut inputs: SmallVec<[_; LANES]> = next.collect();
                if inputs.is_empty() {
                    break;
                }
                Digester::update_many(&mut inputs);
            }
        }
    }

    /// Whether a write goes on where its piece has been hashed to. What is written once more makes the piece begin anew.
    fn goes_on(&mut self, write: &Write) -> bool {
        if write.torrent.is_parked() {
            return false;
        }
        let start = write.torrent.layout.piece_span(write.piece).is_some_and(|span| span.offset == write.offset);
        match self.find(write.key()) {
            Ok(at) if self.of[at].until == write.offset => true,
            Ok(at) if self.of[at].until > write.offset => {
                self.remove(at);
                start
            }
            Ok(_) => false,
            Err(_) => start,
        }
    }

    fn begin(&mut self, lane: &Lane<'_>) {
        let Err(at) = self.find(lane.key) else { return };
        let Write { torrent, piece, offset, .. } = &lane.writes[0];
        let digester = torrent.digester(*piece);
        let leaves = if torrent.hashes.expected(*piece).v2.is_some() { torrent.layout.block_count(*piece) } else { 0 };
        let bytes = size_of::<Prefix>() + leaves as usize * SHA256_LENGTH;
        self.bytes += bytes;
        self.of.insert(at, Prefix { key: lane.key, digester, until: *offset, bytes, batch: self.batch });
    }

    /// Forgets pieces, those that wait longest first, until all have room.
    pub(super) fn trim(&mut self) {
        while self.bytes > MAX_BYTES
            && let Some((at, _)) = self.of.iter().enumerate().min_by_key(|(_, prefix)| prefix.batch)
        {
            self.remove(at);
        }
    }

    /// Whether a piece is hashed to its end.
    pub(super) fn is_whole(&self, torrent: &Torrent, piece: PieceIndex) -> bool {
        let end = torrent.layout.piece_span(piece).map(|span| span.end());
        self.find((torrent.number, piece)).is_ok_and(|at| Some(self.of[at].until) == end)
    }

    /// Takes out what has been hashed of a piece.
    pub(super) fn take(&mut self, torrent: &Torrent, piece: PieceIndex) -> Option<Prefix> {
        let at = self.find((torrent.number, piece)).ok()?;
        Some(self.remove(at))
    }

    /// Forgets all pieces of a torrent.
    pub(super) fn forget(&mut self, torrent: &Torrent) {
        self.of.retain(|prefix| prefix.key.0 != torrent.number);
        self.bytes = self.of.iter().map(|prefix| prefix.bytes).sum();
    }

    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes
    }

    #[cfg(test)]
    pub(super) fn is_begun(&self, torrent: &Torrent, piece: PieceIndex) -> bool {
        self.find((torrent.number, piece)).is_ok()
    }

    fn find(&self, key: Key) -> Result<usize, usize> {
        self.of.binary_search_by_key(&key, |prefix| prefix.key)
    }

    fn remove(&mut self, at: usize) -> Prefix {
        let prefix = self.of.remove(at);
        self.bytes -= prefix.bytes;
        prefix
    }
}

/// How many inputs side by side a run of writes of one piece gives: its leaves for v2, one for v1.
fn width_of(run: &[Write]) -> usize {
    let Write { torrent, piece, .. } = &run[0];
    if torrent.hashes.expected(*piece).v1.is_some() { 1 } else { run.iter().map(|write| write.run.len()).sum() }
}

/// How many inputs side by side are worth more than to be read back with others later.
fn least_width() -> usize {
    lanes_of_machine().div_ceil(4)
}
