//! Pieces that are had and yet end in a hole: their file was cut and grew again (THREATS L5, ADR 12).

use std::ops::Range;
use std::sync::Arc;

use riverrun_metainfo::{Bitfield, FileIndex, Layout, PieceIndex, Span};
use riverrun_storage::Storage;

use super::Core;
use super::open::blocking;
use crate::TorrentError;

/// With fewer pieces than this one thread looks at all.
const MANY_PIECES: usize = 256;

/// The last byte of a piece that is in a file.
struct End {
    piece: PieceIndex,
    file: FileIndex,
    last: Span,
}

/// Those of these pieces whose last byte is in a hole of its file. Small files have to be opened for that, each of them, so two threads
/// share many of them.
pub(super) async fn look(core: &Arc<Core>, had: &Bitfield) -> Result<Vec<PieceIndex>, TorrentError> {
    let ends: Arc<[End]> = ends(core.layout(), had).into();
    let look_at = async |range: Range<usize>| {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let (store, ends) = (core.store()?, ends.clone());
        blocking(core, move || Ok(in_holes(store.as_storage(), &ends[range]))).await
    };
    let half = if ends.len() < MANY_PIECES { ends.len() } else { ends.len() / 2 };
    let (front, back) = tokio::try_join!(look_at(0..half), look_at(half..ends.len()))?;
    Ok([front, back].concat())
}

/// Whether some of these pieces end in a hole. Blocks.
pub(super) fn are_at_ends(storage: &dyn Storage, layout: &Layout, pieces: &Bitfield) -> bool {
    !in_holes(storage, &ends(layout, pieces)).is_empty()
}

fn ends(layout: &Layout, pieces: &Bitfield) -> Vec<End> {
    let end = |piece: PieceIndex| {
        let last = layout.piece_span(piece).map(|span| Span { offset: span.end() - 1, length: 1 })?;
        let extent = layout.extents(last).find(|extent| !extent.pad)?;
        Some(End { piece, file: extent.file, last })
    };
    pieces.iter().filter_map(end).collect()
}

fn in_holes(storage: &dyn Storage, ends: &[End]) -> Vec<PieceIndex> {
    // A file without any hole is asked once, not once for each of its pieces.
    let of_files: Vec<_> = ends.chunk_by(|one, next| one.file == next.file).collect();
    let span = |ends: &&[End]| {
        let offset = ends[0].last.offset;
        Span { offset, length: ends[ends.len() - 1].last.end() - offset }
    };
    let spans: Vec<_> = of_files.iter().map(span).collect();
    let doubtful = of_files.into_iter().zip(storage.have_no_holes(&spans)).filter(|(_, whole)| !whole);
    let ends = doubtful.flat_map(|(ends, _)| ends).filter(|end| storage.is_hole(end.last));
    ends.map(|end| end.piece).collect()
}
