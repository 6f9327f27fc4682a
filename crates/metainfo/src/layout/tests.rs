#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;

const PIECE: u64 = 4 * BLOCK_LENGTH as u64;

/// Where each byte of the stream lies: its piece, and its file with the position in it.
type Bytes = Vec<Option<(u32, FileIndex, u64, bool)>>;

/// The stream byte by byte, from the rules alone.
fn oracle(piece_length: usize, files: &[(u64, bool)], aligned: bool) -> Bytes {
    let mut bytes = Bytes::new();
    for (number, (length, pad)) in (0..).zip(files) {
        while aligned && *length > 0 && !bytes.len().is_multiple_of(piece_length) {
            bytes.push(None);
        }
        for at in 0..*length {
            bytes.push(Some(((bytes.len() / piece_length) as u32, FileIndex(number), at, *pad)));
        }
    }
    bytes
}

fn check(piece_length: usize, files: &[(u64, bool)], aligned: bool, spans: &[(usize, usize)]) {
    let layout = if aligned {
        Layout::v2(piece_length as u64, files.iter().map(|file| file.0)).unwrap()
    } else {
        Layout::v1(piece_length as u64, files.iter().copied()).unwrap()
    };
    let bytes = oracle(piece_length, files, aligned);
    assert_eq!(layout.stream_length(), bytes.len() as u64);
    assert_eq!(layout.piece_count() as usize, bytes.len().div_ceil(piece_length));
    assert_eq!(layout.content_length(), bytes.iter().flatten().filter(|byte| !byte.3).count() as u64);
    assert_eq!(layout.files().len(), files.len());
    for (offset, byte) in (0..).zip(&bytes) {
        assert_eq!(layout.piece_at(offset), byte.map(|byte| PieceIndex(byte.0)), "byte {offset}");
    }
    assert_eq!(layout.piece_at(bytes.len() as u64), None);
    for piece in 0..layout.piece_count() {
        let mine = |byte: &&Option<(u32, FileIndex, u64, bool)>| byte.is_some_and(|byte| byte.0 == piece);
        let start = bytes.iter().position(|byte| mine(&byte)).unwrap() as u64;
        let length = bytes.iter().filter(mine).count() as u64;
        assert_eq!(layout.piece_span(PieceIndex(piece)), Some(Span { offset: start, length }));
        assert_eq!(u64::from(layout.length_of(PieceIndex(piece))), length);
    }
    for number in 0..files.len() as u32 {
        let pieces: Vec<u32> = bytes.iter().flatten().filter(|byte| byte.1.0 == number).map(|byte| byte.0).collect();
        let expected = pieces.first().map_or(0..0, |first| *first..pieces[pieces.len() - 1] + 1);
        assert_eq!(layout.pieces_of(FileIndex(number)), expected);
    }
    for &(offset, length) in spans {
        let span = Span { offset: offset as u64, length: length as u64 };
        let mut found = Vec::new();
        for extent in layout.extents(span) {
            assert!(extent.length > 0);
            found.extend((extent.offset..extent.offset + extent.length).map(|at| (extent.file, at, extent.pad)));
        }
        let expected: Vec<_> =
            bytes.iter().skip(offset).take(length).flatten().map(|byte| (byte.1, byte.2, byte.3)).collect();
        assert_eq!(found, expected, "{span:?}");
        let extents: Vec<_> = layout.extents(span).map(|extent| extent.file).collect();
        assert!(extents.windows(2).all(|pair| pair[0] < pair[1]), "one extent a file: {extents:?}");
    }
}

fn lengths() -> impl Strategy<Value = Vec<(u64, bool)>> {
    proptest::collection::vec((prop_oneof![2 => Just(0u64), 3 => 0u64..60], any::<bool>()), 0..14)
}

fn spans() -> impl Strategy<Value = Vec<(usize, usize)>> {
    proptest::collection::vec((0usize..700, prop_oneof![Just(0usize), 0usize..300]), 1..12)
}

proptest! {
    #[test]
    fn v1_agrees_with_the_bytes_one_by_one(piece_length in 1usize..40, files in lengths(), spans in spans()) {
        check(piece_length, &files, false, &spans);
    }

    #[test]
    fn v2_agrees_with_the_bytes_one_by_one(piece_length in 1usize..40, files in lengths(), spans in spans()) {
        let files: Vec<_> = files.into_iter().map(|file| (file.0, false)).collect();
        check(piece_length, &files, true, &spans);
    }

    #[test]
    fn a_hybrid_has_the_pieces_of_its_v2_half(piece_length in 1usize..40, files in lengths()) {
        // Pads after each file but the last with bytes make both halves cut the same pieces, only pads fill the v2 gaps.
        let piece = piece_length as u64;
        let last = files.iter().rposition(|file| file.0 > 0);
        let padded = files.iter().enumerate().flat_map(|(number, file)| {
            let pad = if Some(number) == last { 0 } else { file.0.next_multiple_of(piece) - file.0 };
            [(file.0, false), (pad, true)]
        });
        let v1 = Layout::v1(piece, padded).unwrap();
        let v2 = Layout::v2(piece, files.iter().map(|file| file.0)).unwrap();
        prop_assert_eq!(v1.piece_count(), v2.piece_count());
        prop_assert_eq!(v1.stream_length(), v2.stream_length());
        prop_assert_eq!(v1.content_length(), v2.content_length());
        for number in 0..files.len() as u32 {
            prop_assert_eq!(v1.pieces_of(FileIndex(2 * number)), v2.pieces_of(FileIndex(number)));
        }
    }

    #[test]
    fn blocks_cover_each_piece_once(lengths in proptest::collection::vec(0u64..3 * PIECE, 0..6), aligned: bool) {
        let layout = if aligned {
            Layout::v2(PIECE, lengths).unwrap()
        } else {
            Layout::v1(PIECE, lengths.into_iter().map(|length| (length, false))).unwrap()
        };
        for piece in (0..layout.piece_count()).map(PieceIndex) {
            let span = layout.piece_span(piece).unwrap();
            let mut at = span.offset;
            for number in 0..layout.block_count(piece) {
                let block = layout.block(piece, number).unwrap();
                prop_assert_eq!(block.number(), number);
                prop_assert!(layout.contains(block));
                let bytes = layout.block_span(block).unwrap();
                prop_assert_eq!(bytes, Span { offset: at, length: u64::from(block.length) });
                at = bytes.end();
            }
            prop_assert_eq!(at, span.end());
            prop_assert_eq!(layout.block(piece, layout.block_count(piece)), None);
        }
    }
}

#[test]
fn a_torrent_of_nothing_has_no_piece() {
    for layout in [Layout::v1(16, []), Layout::v1(16, [(0, false), (0, false)]), Layout::v2(16, [0, 0])] {
        let layout = layout.unwrap();
        assert_eq!((layout.piece_count(), layout.stream_length()), (0, 0));
        assert_eq!(layout.piece_span(PieceIndex(0)), None);
        assert_eq!(layout.length_of(PieceIndex(0)), 0);
        assert_eq!(layout.pieces_of(FileIndex(0)), 0..0);
        assert_eq!(layout.extents(Span { offset: 0, length: 10 }).count(), 0);
    }
}

#[test]
fn p3_ranges_outside_their_piece_are_not_contained() {
    let layout = Layout::v1(PIECE, [(2 * PIECE + 100, false)]).unwrap();
    let block = |piece, begin, length| Block { piece: PieceIndex(piece), begin, length };
    for good in [block(0, 0, 1), block(0, 0, PIECE as u32), block(1, PIECE as u32 - 1, 1), block(2, 0, 100)] {
        assert!(layout.contains(good), "{good:?}");
        assert!(layout.block_span(good).is_some());
    }
    for bad in [
        block(0, 0, 0),
        block(0, 1, PIECE as u32),
        block(0, PIECE as u32, 1),
        block(0, u32::MAX, u32::MAX),
        block(2, 0, 101),
        block(2, 100, 1),
        block(3, 0, 1),
        block(u32::MAX, 0, 1),
    ] {
        assert!(!layout.contains(bad), "{bad:?}");
        assert_eq!(layout.block_span(bad), None);
    }
    assert_eq!(layout.block(PieceIndex(0), u32::MAX), None);
}

#[test]
fn m15_piece_lengths_outside_the_limits_are_errors() {
    for bad in [0, Layout::MAX_PIECE_LENGTH + 1, 1 << 31, 1 << 32, 1 << 62, i64::MAX as u64, u64::MAX] {
        assert_eq!(Layout::v1(bad, [(1, false)]), Err(LayoutError::PieceLength(bad)));
        assert_eq!(Layout::v2(bad, [1]), Err(LayoutError::PieceLength(bad)));
    }
    assert_eq!(Layout::v1(Layout::MAX_PIECE_LENGTH, [(1, false)]).unwrap().piece_count(), 1);
    let error = Layout::v1(0, []).unwrap_err();
    assert_eq!(error.to_string(), "piece length 0 is outside 1 to 536870912");
}

#[test]
fn m16_lengths_that_overflow_are_errors() {
    let max = Layout::MAX_STREAM_LENGTH;
    for bad in [vec![u64::MAX], vec![max + 1], vec![max, 1], vec![1, u64::MAX], vec![u64::MAX, u64::MAX]] {
        let v1 = Layout::v1(Layout::MAX_PIECE_LENGTH, bad.iter().map(|length| (*length, false)));
        assert_eq!(v1, Err(LayoutError::TotalLength), "{bad:?}");
        assert_eq!(Layout::v2(Layout::MAX_PIECE_LENGTH, bad.clone()), Err(LayoutError::TotalLength), "{bad:?}");
    }
    assert_eq!(Layout::v1(1 << 14, [(1 << 50, false)]), Err(LayoutError::Pieces(1 << 36)));
    assert_eq!(Layout::v1(1, [(1 << 27, false)]), Err(LayoutError::Pieces(1 << 27)));
    assert_eq!(Layout::v1(1, [(1 << 26, false)]).unwrap().piece_count(), 1 << 26);
}

#[test]
fn m18_more_files_than_the_limit_are_an_error() {
    let empty = std::iter::repeat_n((0, false), Layout::MAX_FILES);
    assert_eq!(Layout::v1(16, empty.clone()).unwrap().files().len(), Layout::MAX_FILES);
    assert_eq!(Layout::v1(16, empty.chain([(0, false)])), Err(LayoutError::Files));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the cost is what this looks at")]
fn m18_questions_to_300_000_files_cost_a_search_even_among_empty_ones() {
    // Bytes at both ends and in between 300,000 empty files, which a walk would step through for each question.
    let mut files = vec![(PIECE / 2, false)];
    files.extend(std::iter::repeat_n((0, false), 300_000));
    files.push((PIECE / 2, false));
    let v1 = Layout::v1(PIECE, files.iter().copied()).unwrap();
    let v2 = Layout::v2(PIECE, files.iter().map(|file| file.0)).unwrap();
    let started = Instant::now();
    for _ in 0..10_000 {
        let extents: Vec<_> = v1.extents(v1.piece_span(PieceIndex(0)).unwrap()).map(|extent| extent.file.0).collect();
        assert_eq!(extents, [0, 300_001]);
        assert_eq!(v2.piece_span(PieceIndex(1)), Some(Span { offset: PIECE, length: PIECE / 2 }));
        assert_eq!(v2.length_of(PieceIndex(0)), (PIECE / 2) as u32);
    }
    // A walk takes 10,000 × 300,000 steps: over ten seconds even when optimised.
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[test]
fn spans_far_outside_have_no_extent() {
    let layout = Layout::v2(16, [5, 0, 20]).unwrap();
    for offset in [36, 1 << 40, u64::MAX] {
        assert_eq!(layout.extents(Span { offset, length: u64::MAX }).count(), 0);
    }
    assert_eq!(layout.extents(Span { offset: 5, length: 11 }).count(), 0, "the gap before the second file");
    assert_eq!(layout.extents(Span { offset: 0, length: u64::MAX }).count(), 2);
}

#[test]
fn the_last_block_of_a_v2_file_may_be_asked_for_in_full_length() {
    let layout = Layout::v2(65_536, [100_000, 65_536, 7]).unwrap();
    let served = |piece, begin, length| layout.served_span(Block { piece: PieceIndex(piece), begin, length });
    // The last piece of the first file has two blocks and 1,696 bytes.
    assert_eq!(served(1, 32_768, 1_696), Some(Span { offset: 98_304, length: 1_696 }));
    assert_eq!(served(1, 32_768, 16_384), Some(Span { offset: 98_304, length: 1_696 }));
    assert_eq!(served(1, 16_384, 32_768), Some(Span { offset: 81_920, length: 18_080 }));
    assert_eq!(served(1, 32_768, 16_385), None, "into the next block");
    assert_eq!(served(1, 34_464, 1), None, "padding alone");
    assert_eq!(served(1, 49_152, 16_384), None);
    assert_eq!(served(1, 32_768, 0), None);
    assert_eq!(served(0, 49_152, 16_385), None, "across pieces");
    assert_eq!(served(3, 0, 16_384), Some(Span { offset: 196_608, length: 7 }));
    assert_eq!(served(4, 0, 16_384), None);
    assert_eq!(served(1, u32::MAX, u32::MAX), None);
    let v1 = Layout::v1(65_536, [(100_000, false)]).unwrap();
    assert_eq!(v1.served_span(Block { piece: PieceIndex(1), begin: 32_768, length: 16_384 }), None);
}
