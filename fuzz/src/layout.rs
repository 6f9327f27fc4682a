use riverrun_metainfo::{Block, FileIndex, Layout, PieceIndex, Span};

use crate::bits::Bits;

/// Layouts of any lengths, and questions by any numbers.
pub fn layout(data: &[u8]) {
    let mut bits = Bits::new(data);
    let flags = bits.byte();
    let piece_length = bits.number();
    let questions: Vec<u64> = (0..6).map(|_| bits.number()).collect();
    let mut files = Vec::new();
    while !bits.is_empty() && files.len() < 1000 {
        let length = bits.number();
        let pad = flags & 2 != 0 && bits.byte() & 1 == 1;
        files.push((length, pad));
    }
    let made = if flags & 1 == 0 {
        Layout::v1(piece_length, files.iter().copied())
    } else {
        Layout::v2(piece_length, files.iter().map(|file| file.0))
    };
    let Ok(layout) = made else { return };
    assert_eq!(layout.files().len(), files.len());
    let content: u64 = files.iter().filter(|file| flags & 1 == 1 || !file.1).map(|file| file.0).sum();
    assert_eq!(layout.content_length(), content);

    let last = layout.piece_count();
    let pieces = [0, 1, last / 2, last.saturating_sub(2), last.saturating_sub(1), last, u32::MAX];
    for piece in pieces.into_iter().chain(questions.iter().map(|number| *number as u32)).map(PieceIndex) {
        check_piece(&layout, piece);
    }
    for pair in questions.windows(2) {
        check_span(&layout, Span { offset: pair[0], length: pair[1] });
        let block = Block { piece: PieceIndex(pair[0] as u32), begin: pair[1] as u32, length: (pair[1] >> 32) as u32 };
        assert_eq!(layout.contains(block), layout.block_span(block).is_some());
    }
    let ends = (0..files.len() as u32).map(|file| layout.pieces_of(FileIndex(file)).end);
    assert_eq!(ends.max().unwrap_or(0), layout.piece_count());
    assert!(layout.pieces_of(FileIndex(u32::MAX)).is_empty());
}

fn check_piece(layout: &Layout, piece: PieceIndex) {
    let Some(span) = layout.piece_span(piece) else {
        assert!(piece.0 >= layout.piece_count());
        assert_eq!(layout.block_count(piece), 0);
        return;
    };
    assert!(span.length > 0 && span.length <= u64::from(layout.piece_length()) && span.end() <= layout.stream_length());
    assert_eq!(layout.piece_at(span.offset), Some(piece));
    assert_eq!(layout.piece_at(span.end() - 1), Some(piece));
    let parts: u64 = layout.extents(span).map(|extent| extent.length).sum();
    assert_eq!(parts, span.length, "a piece has no gap");
    let count = layout.block_count(piece);
    let block = layout.block(piece, count - 1).expect("the last block is there");
    assert!(layout.contains(block) && block.begin + block.length == layout.length_of(piece));
    assert_eq!(layout.block(piece, count), None);
}

fn check_span(layout: &Layout, span: Span) {
    let mut before: Option<FileIndex> = None;
    let mut parts = 0;
    for extent in layout.extents(span) {
        assert!(extent.length > 0 && before.is_none_or(|before| before < extent.file));
        let file = layout.files()[extent.file.0 as usize];
        assert!(extent.offset + extent.length <= file.length);
        let start = file.offset + extent.offset;
        assert!(start >= span.offset && start + extent.length <= span.end());
        before = Some(extent.file);
        parts += extent.length;
    }
    assert!(parts <= span.length);
}
