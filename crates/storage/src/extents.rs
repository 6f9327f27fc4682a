//! Spans of the byte stream cut into file extents, with the buffers cut alike: the same for every storage.

use std::io::{IoSlice, IoSliceMut};

use riverrun_metainfo::{Extent, Layout, Span};
use smallvec::SmallVec;

use crate::StorageError;

/// So many slices are written at once without taking memory for their list: the blocks of 1 MiB.
const USUAL_SLICES: usize = 64;

/// Reads a span with `read` for each extent; padding and gaps become zeros. What the slices of `into` point at afterwards is not said.
pub(crate) fn read<E: From<StorageError>>(
    layout: &Layout,
    span: Span,
    into: &mut [IoSliceMut<'_>],
    mut read: impl FnMut(Extent, &mut [IoSliceMut<'_>]) -> Result<(), E>,
) -> Result<(), E> {
    check_span(layout, span, into.iter().map(|slice| slice.len()).sum())?;
    let mut rest: Vec<&mut [u8]> = Vec::new();
    for (extent, length) in parts(layout, span) {
        if length == span.length
            && let Some(extent) = extent
        {
            // Nearly always: all of it in one file.
            return read(extent, into);
        }
        if rest.is_empty() {
            rest = into.iter_mut().rev().map(|slice| &mut **slice).collect();
        }
        let part = take_front(&mut rest, length);
        match extent {
            Some(extent) => {
                let mut slices: Vec<_> = part.into_iter().map(IoSliceMut::new).collect();
                read(extent, &mut slices)?;
            }
            None => part.into_iter().for_each(|slice| slice.fill(0)),
        }
    }
    Ok(())
}

/// Writes a span with `write` for each extent; padding and gaps are left out.
pub(crate) fn write(
    layout: &Layout,
    span: Span,
    from: &[IoSlice<'_>],
    mut write: impl FnMut(Extent, &mut [IoSlice<'_>]) -> Result<(), StorageError>,
) -> Result<(), StorageError> {
    check_span(layout, span, from.iter().map(|slice| slice.len()).sum())?;
    let mut slices: SmallVec<[_; USUAL_SLICES]> = SmallVec::from_slice(from);
    let mut rest = &mut slices[..];
    for (extent, length) in parts(layout, span) {
        if length == span.length
            && let Some(extent) = extent
        {
            return write(extent, rest);
        }
        if let Some(extent) = extent {
            write(extent, &mut front_of(rest, length))?;
        }
        let length = usize::try_from(length).expect("no longer than the buffers");
        IoSlice::advance_slices(&mut rest, length);
    }
    Ok(())
}

/// Cuts a span into file extents and what lies between them (padding, gaps), each with its number of bytes, in order.
pub(crate) fn parts(layout: &Layout, span: Span) -> impl Iterator<Item = (Option<Extent>, u64)> {
    let start_of = |extent: Extent| layout.files()[extent.file.0 as usize].offset + extent.offset;
    let mut extents = layout.extents(span).filter(|extent| !extent.pad).peekable();
    let mut at = span.offset;
    std::iter::from_fn(move || {
        let until = extents.peek().map_or(span.end(), |extent| start_of(*extent));
        if at < until {
            let gap = until - at;
            at = until;
            return Some((None, gap));
        }
        let extent = extents.next()?;
        at += extent.length;
        Some((Some(extent), extent.length))
    })
}

fn check_span(layout: &Layout, span: Span, buffers: usize) -> Result<(), StorageError> {
    let inside = span.offset.checked_add(span.length).is_some_and(|end| end <= layout.stream_length());
    if inside && span.length == buffers as u64 {
        return Ok(());
    }
    Err(StorageError::BadSpan { offset: span.offset, length: span.length })
}

/// Takes the next `length` bytes off slices that are in reverse order.
pub(crate) fn take_front<'a>(rest: &mut Vec<&'a mut [u8]>, length: u64) -> Vec<&'a mut [u8]> {
    let mut left = usize::try_from(length).expect("no longer than the buffers");
    let mut taken = Vec::new();
    while left > 0 {
        let slice = rest.pop().expect("the buffers are as long as the span");
        let (front, back) = slice.split_at_mut(left.min(slice.len()));
        left -= front.len();
        taken.push(front);
        if !back.is_empty() {
            rest.push(back);
        }
    }
    taken
}

/// The first `length` bytes of slices.
pub(crate) fn front_of<'a>(slices: &'a [IoSlice<'_>], length: u64) -> Vec<IoSlice<'a>> {
    let mut left = usize::try_from(length).expect("no longer than the buffers");
    let mut front = Vec::new();
    for slice in slices {
        if left == 0 {
            break;
        }
        front.push(IoSlice::new(&slice[..left.min(slice.len())]));
        left -= left.min(slice.len());
    }
    front
}
