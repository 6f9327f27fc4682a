//! What of a torrent's bytes is no content: the files that fill up to the next piece (BEP 47).

use riverrun_metainfo::{Layout, PieceIndex};

/// The padding of a torrent: how many bytes of which pieces are no content.
#[derive(Clone, Debug, Default)]
pub(crate) struct Padding(Vec<(PieceIndex, u64)>);

impl Padding {
    pub(crate) fn of(layout: &Layout) -> Self {
        let mut pieces: Vec<(PieceIndex, u64)> = Vec::new();
        for file in layout.files().iter().filter(|file| file.pad) {
            let (mut at, end) = (file.offset, file.offset + file.length);
            while let Some((piece, span)) =
                layout.piece_at(at).and_then(|piece| Some((piece, layout.piece_span(piece)?)))
                && at < end
            {
                let bytes = span.end().min(end) - at;
                match pieces.last_mut() {
                    Some((last, sum)) if *last == piece => *sum += bytes,
                    _ => pieces.push((piece, bytes)),
                }
                at += bytes;
            }
        }
        Self(pieces)
    }

    /// Padding in the pieces that `counts` says, in bytes.
    pub(crate) fn within(&self, counts: impl Fn(PieceIndex) -> bool) -> u64 {
        self.0.iter().filter(|(piece, _)| counts(*piece)).map(|(_, bytes)| bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn padding_by_piece() {
        // Pieces of 10: content 0..4, padding 4..30, content 30..33, padding 33..40, content 40..45.
        let layout = Layout::v1(10, [(4, false), (26, true), (3, false), (7, true), (5, false)]).unwrap();
        let padding = Padding::of(&layout);
        assert_eq!(padding.0, [(0, 6), (1, 10), (2, 10), (3, 7)].map(|(piece, bytes)| (PieceIndex(piece), bytes)));
        assert_eq!(padding.within(|piece| piece.0 == 0 || piece.0 == 3), 13);
        assert_eq!(layout.content_length(), layout.stream_length() - padding.within(|_| true));
    }
}
