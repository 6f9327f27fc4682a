//! Spans of the byte stream read into buffers of the pool.

use std::io::IoSliceMut;

use riverrun_metainfo::{BLOCK_LENGTH, Span};

use super::{MAX_READ_BYTES, Torrent};
use crate::{Buffer, Pool, Storage, StorageError};

/// The most buffers that one read fills.
#[expect(clippy::cast_possible_truncation, reason = "64")]
const MAX_BUFFERS: usize = (MAX_READ_BYTES / BLOCK_LENGTH as u64) as usize;

/// Reads a span into new buffers, one for each block of it, at the end of `into`, if all of it is in memory and the pool has as many
/// buffers to spare: on the caller's thread, which waits for nothing. If not, `into` is as it was, and a disk thread can read it
/// ([`DiskTorrent::read`](super::DiskTorrent::read)).
pub fn read_cached(storage: &dyn Storage, pool: &Pool, span: Span, into: &mut Vec<Buffer>) -> bool {
    let before = into.len();
    let Some((count, leave)) = buffers_for(pool, span) else { return false };
    if !pool.try_take_many(count, leave, into) {
        return false;
    }
    let read = fill(span, &mut into[before..], |slices| storage.read_cached(span, slices).then_some(()).ok_or(()));
    if read.is_err() {
        into.truncate(before);
    }
    read.is_ok()
}

/// Reads a span, however long it takes.
pub(super) fn read(torrent: &Torrent, span: Span, mut buffers: Vec<Buffer>) -> Result<Vec<Buffer>, StorageError> {
    fill(span, &mut buffers, |slices| torrent.storage.read_at(span, slices))?;
    Ok(buffers)
}

/// How many buffers a span takes, and how many of the pool they are to leave: a quarter, for what comes in. `None` if it is too long.
pub(super) fn buffers_for(pool: &Pool, span: Span) -> Option<(usize, usize)> {
    let count = usize::try_from(span.length.div_ceil(u64::from(BLOCK_LENGTH))).ok()?;
    let fits = span.length <= MAX_READ_BYTES && count <= pool.capacity();
    fits.then(|| (count, (pool.capacity() / 4).min(pool.capacity() - count)))
}

/// Has the front of the buffers filled by `read`, as many bytes as the span has.
fn fill<E>(
    span: Span,
    buffers: &mut [Buffer],
    read: impl FnOnce(&mut [IoSliceMut<'_>]) -> Result<(), E>,
) -> Result<(), E> {
    let length = usize::try_from(span.length).expect("no longer than MAX_READ_BYTES");
    let mut slices: [IoSliceMut<'_>; MAX_BUFFERS] = std::array::from_fn(|_| IoSliceMut::new(&mut []));
    let (mut left, mut count) = (length, 0);
    for (slice, buffer) in slices.iter_mut().zip(&mut *buffers) {
        let room = buffer.unfilled();
        let part = room.len().min(left);
        *slice = IoSliceMut::new(&mut room[..part]);
        (left, count) = (left - part, count + 1);
    }
    read(&mut slices[..count])?;
    let mut left = length;
    for buffer in buffers {
        let part = buffer.unfilled().len().min(left);
        buffer.advance(part);
        left -= part;
    }
    Ok(())
}
