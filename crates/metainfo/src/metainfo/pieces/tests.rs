#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use super::*;
use crate::Metainfo;
use crate::metainfo::Draft;
use crate::samples::{Folder, content, tree_root};

fn parse(draft: &Draft) -> Metainfo {
    Metainfo::parse(draft.encode().into()).unwrap()
}

/// The verdicts on all pieces of a stream, fed in parts of this length.
fn verdicts(metainfo: &Metainfo, stream: &[u8], part: usize) -> Vec<Verdict> {
    let layout = metainfo.info().layout();
    let hashes = metainfo.piece_hashes();
    let verdict = |piece| {
        let span = layout.piece_span(PieceIndex(piece)).unwrap();
        let mut hasher = hashes.hasher(PieceIndex(piece));
        stream[span.offset as usize..span.end() as usize].chunks(part).for_each(|bytes| hasher.update(bytes));
        hasher.finish()
    };
    (0..layout.piece_count()).map(verdict).collect()
}

fn folder() -> Folder {
    Folder::new(
        65536,
        &[("a", 40_000), ("b", 200_000), ("c", 0), ("d", 65536), ("e", 1), ("f", 131_072), ("g", 16_385)],
    )
}

#[test]
fn good_pieces_of_every_kind() {
    let folder = folder();
    for (draft, padded) in [(folder.v1(), false), (folder.v2(), true), (folder.hybrid(), true)] {
        let metainfo = parse(&draft);
        for part in [1 << 20, 16384, 1000, 16383] {
            let all = verdicts(&metainfo, &folder.stream(padded), part);
            assert!(!all.is_empty() && all.iter().all(|verdict| *verdict == Verdict::Good));
        }
    }
}

#[test]
fn one_wrong_bit_is_corrupt() {
    let folder = folder();
    for (draft, padded) in [(folder.v1(), false), (folder.v2(), true), (folder.hybrid(), true)] {
        let metainfo = parse(&draft);
        let mut stream = folder.stream(padded);
        let last = stream.len() - 1;
        stream[last] ^= 0x80;
        let all = verdicts(&metainfo, &stream, 4096);
        let (wrong, good) = all.split_last().unwrap();
        assert_eq!(*wrong, Verdict::Corrupt);
        assert!(good.iter().all(|verdict| *verdict == Verdict::Good));
    }
}

#[test]
fn too_few_bytes_are_corrupt() {
    let folder = folder();
    let metainfo = parse(&folder.v2());
    let mut hasher = metainfo.piece_hashes().hasher(PieceIndex(0));
    hasher.update(&folder.files["a"][..39_999]);
    assert_eq!(hasher.finish(), Verdict::Corrupt);
}

#[test]
fn m21_a_hybrid_whose_halves_want_other_bytes_is_inconsistent() {
    let folder = folder();
    let mut other = Folder::new(65536, &[]);
    other.files = folder.files.clone();
    other.files.get_mut("a").unwrap()[5] ^= 1;
    let (one, two) = (folder.hybrid(), other.hybrid());
    // The v1 hashes of one, which end the dictionary, with the tree of the other.
    let from = one.info.windows(8).position(|part| part == b"6:pieces").unwrap();
    let mut mixed = two.info.to_vec();
    mixed[from..].copy_from_slice(&one.info[from..]);
    let mixed = Draft { info: mixed.into(), ..two };
    let all = verdicts(&parse(&mixed), &folder.stream(true), 1 << 20);
    assert_eq!(all[0], Verdict::Inconsistent);
    assert!(all[1..].iter().all(|verdict| *verdict == Verdict::Good));
}

#[test]
fn m20_without_layers_only_files_of_one_piece_are_known() {
    let folder = folder();
    let metainfo = parse(&Draft { piece_layers: None, ..folder.v2() });
    let all = verdicts(&metainfo, &folder.stream(true), 1 << 20);
    let (good, unknown) = (Verdict::Good, Verdict::Unknown);
    assert_eq!(all, [good, unknown, unknown, unknown, unknown, good, good, unknown, unknown, good]);
    let hybrid = parse(&Draft { piece_layers: None, ..folder.hybrid() });
    assert!(verdicts(&hybrid, &folder.stream(true), 1 << 20).iter().all(|verdict| *verdict == Verdict::Good));
}

#[test]
fn expected_hashes_say_how_many_leaves_and_bytes() {
    let folder = folder();
    let metainfo = parse(&folder.v2());
    let hashes = metainfo.piece_hashes();
    let v2: Vec<_> = (0..10).map(|piece| hashes.expected(PieceIndex(piece)).v2.unwrap()).collect();
    assert_eq!(v2.iter().map(|v2| v2.leaves).collect::<Vec<_>>(), [4, 4, 4, 4, 4, 4, 1, 4, 4, 2]);
    let lengths: Vec<_> = v2.iter().map(|v2| v2.length).collect();
    assert_eq!(lengths, [40_000, 65536, 65536, 65536, 3392, 65536, 1, 65536, 65536, 16_385]);
    assert_eq!(v2[0].node, tree_root(&folder.files["a"], 4));
    assert_eq!(v2[4].node, tree_root(&folder.files["b"][3 * 65536..], 4));
    assert_eq!(hashes.expected(PieceIndex(10)), ExpectedHash { v1: None, v2: None });
    assert_eq!(hashes.expected(PieceIndex(u32::MAX)), ExpectedHash { v1: None, v2: None });
    let past = parse(&folder.v1()).piece_hashes().expected(PieceIndex(1_000_000));
    assert_eq!(past, ExpectedHash { v1: None, v2: None });
}

#[test]
fn files_of_every_awkward_number_of_pieces() {
    const PIECE: usize = 16384;
    for pieces in [1, 2, 3, 511, 512, 513, 514, 1023, 1024, 1025, 1026] {
        let lengths = [pieces * PIECE - 1, pieces * PIECE, (pieces - 1) * PIECE + 1];
        for length in lengths.into_iter().take(if pieces > 3 { 1 } else { 3 }) {
            let file = content(length, pieces);
            let leaves: Vec<_> = file.chunks(PIECE).map(crate::hash::sha256).collect();
            let mut folder = Folder::new(PIECE, &[("first", 1)]);
            folder.files.insert("second", file);
            let metainfo = parse(&folder.v2());
            assert_eq!((metainfo.warnings(), metainfo.info().layout().piece_count() as usize), (&[][..], pieces + 1));
            let hashes = metainfo.piece_hashes();
            for (leaf, piece) in leaves.iter().zip(1..) {
                assert_eq!(hashes.expected(PieceIndex(piece)).v2.unwrap().node, *leaf, "{length} {piece}");
            }
        }
    }
}
