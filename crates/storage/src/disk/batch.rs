//! Writes that wait together: put in order, adjacent ones joined.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

use riverrun_metainfo::{PieceIndex, Span};

use smallvec::SmallVec;

use super::Torrent;
use super::backlog::Share;
use crate::{Buffer, StorageError};

/// The most bytes that are written at once.
const MAX_RUN_BYTES: usize = 1 << 20;

/// So many blocks are written at once without taking memory for their list.
const USUAL_BLOCKS: usize = MAX_RUN_BYTES / riverrun_metainfo::BLOCK_LENGTH as usize;

/// A run of blocks to be written.
pub(super) struct Write {
    pub(super) torrent: Arc<Torrent>,
    pub(super) piece: PieceIndex,
    pub(super) offset: u64,
    pub(super) length: usize,
    pub(super) run: Vec<Buffer>,
    pub(super) share: Option<Share>,
}

impl Write {
    pub(super) fn end(&self) -> u64 {
        self.offset + self.length as u64
    }

    /// Whose piece it is of.
    pub(super) fn key(&self) -> (u64, PieceIndex) {
        (self.torrent.number, self.piece)
    }

    /// The bytes of its blocks.
    pub(super) fn blocks(&self) -> impl Iterator<Item = &[u8]> {
        self.run.iter().map(Buffer::filled)
    }

    fn place(&self) -> (u64, u64) {
        (self.torrent.number, self.offset)
    }
}

/// Sorts writes by torrent and place, unless some overlap: then the order in which they came decides what stays, and this is false.
pub(super) fn sort(writes: &mut VecDeque<Write>, order: &mut Vec<(u64, u64, u64)>) -> bool {
    let writes = writes.make_contiguous();
    order.clear();
    order.extend(writes.iter().map(|write| (write.torrent.number, write.offset, write.end())));
    order.sort_unstable();
    let overlap = |pair: &[(u64, u64, u64)]| pair[0].0 == pair[1].0 && pair[0].2 > pair[1].1;
    if order.windows(2).any(overlap) {
        return false;
    }
    writes.sort_unstable_by_key(Write::place);
    true
}

/// How many writes at the front make one run.
pub(super) fn front_run(writes: &VecDeque<Write>) -> usize {
    let Some(first) = writes.front() else { return 0 };
    let (mut count, mut length, mut end) = (1, first.length, first.end());
    for write in writes.iter().skip(1) {
        let adjacent = write.torrent.number == first.torrent.number && write.offset == end;
        if !adjacent || length + write.length > MAX_RUN_BYTES {
            break;
        }
        (count, length, end) = (count + 1, length + write.length, write.end());
    }
    count
}

/// Writes a run that [`front_run`] found.
pub(super) fn write_front(writes: &VecDeque<Write>, count: usize) -> Result<(), StorageError> {
    let Some(first) = writes.front() else { return Ok(()) };
    let run = || writes.iter().take(count);
    let slices: SmallVec<[IoSlice<'_>; USUAL_BLOCKS]> = run().flat_map(Write::blocks).map(IoSlice::new).collect();
    let length = run().map(|write| write.length as u64).sum();
    first.torrent.storage.write_at(Span { offset: first.offset, length }, &slices)
}
