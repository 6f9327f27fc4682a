//! Writes that wait together: put in order, adjacent ones joined.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

use riverrun_metainfo::{PieceIndex, Span};

use super::Torrent;
use crate::{Buffer, StorageError};

/// The most bytes that are written at once.
const MAX_RUN_BYTES: usize = 1 << 20;

/// A run of blocks to be written.
pub(super) struct Write {
    pub(super) torrent: Arc<Torrent>,
    pub(super) piece: PieceIndex,
    pub(super) offset: u64,
    pub(super) length: usize,
    pub(super) run: Vec<Buffer>,
}

impl Write {
    fn end(&self) -> u64 {
        self.offset + self.length as u64
    }

    fn key(&self) -> (u64, u64) {
        (self.torrent.number, self.offset)
    }
}

/// Sorts writes by torrent and place, unless some overlap: then the order in which they came decides what stays.
pub(super) fn sort(writes: &mut VecDeque<Write>) {
    let writes = writes.make_contiguous();
    if writes.is_sorted_by_key(Write::key) {
        return;
    }
    let mut order: Vec<(u64, u64, u64)> =
        writes.iter().map(|write| (write.torrent.number, write.offset, write.end())).collect();
    order.sort_unstable();
    let overlap = |pair: &[(u64, u64, u64)]| pair[0].0 == pair[1].0 && pair[0].2 > pair[1].1;
    if !order.windows(2).any(overlap) {
        writes.sort_unstable_by_key(Write::key);
    }
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
    let mut slices = Vec::with_capacity(run().map(|write| write.run.len()).sum());
    slices.extend(run().flat_map(|write| &write.run).map(|buffer| IoSlice::new(buffer.filled())));
    let length = run().map(|write| write.length as u64).sum();
    first.torrent.storage.write_at(Span { offset: first.offset, length }, &slices)
}
