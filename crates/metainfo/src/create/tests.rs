#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use proptest::prelude::*;

use super::*;
use crate::metainfo::{Metainfo, PieceHasher, Verdict};

fn content(length: u64, seed: u8) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8 ^ seed).collect()
}

fn file(path: &str, length: u64) -> SourceFile {
    let path = path.split('/').filter(|element| !element.is_empty()).map(Into::into).collect();
    SourceFile { path, length, ..SourceFile::default() }
}

fn options(name: &str, format: Format, piece_length: u32) -> Options {
    Options { format, piece_length: Some(piece_length), ..Options::new(name) }
}

/// Hashes contents that stand in the order of the sources and finishes the plan.
fn made(sources: Vec<SourceFile>, contents: &[Vec<u8>], options: Options) -> Created {
    let mut plan = Plan::new(sources, options).unwrap();
    for piece in (0..plan.layout().piece_count()).map(PieceIndex) {
        let mut hasher = plan.digester(piece);
        for extent in plan.layout().extents(plan.layout().piece_span(piece).unwrap()) {
            let range = extent.offset as usize..(extent.offset + extent.length) as usize;
            match plan.files()[extent.file.0 as usize] {
                Planned::Source(number) => hasher.update(&contents[number][range]),
                Planned::Pad => hasher.update(&vec![0; range.len()]),
            }
        }
        plan.put(piece, hasher.finish());
    }
    plan.finish().unwrap()
}

fn single(format: Format) -> Created {
    made(vec![file("", 100_000)], &[content(100_000, 7)], options("c.bin", format, 32 << 10))
}

/// Eight files, not in order: empty, small, of one piece, long, twice the same, with attributes, in folders.
fn many(options: Options) -> Created {
    let mut sources = vec![
        file("f", 0),
        file("d.x", 70_000),
        file("d/é", 32_768),
        file("d/sub/z", 40_000),
        file("a", 5),
        file("e", 100_000),
        file("c", 100_000),
        file("b", 0),
    ];
    sources[3].hidden = true;
    sources[6].executable = true;
    let seeds = [0, 5, 3, 4, 1, 2, 2, 0];
    let contents: Vec<_> = sources.iter().zip(seeds).map(|(file, seed)| content(file.length, seed)).collect();
    made(sources, &contents, options)
}

fn hashes(created: &Created) -> (String, String) {
    (InfoHashV1(hash::sha1(&created.info)).to_string(), InfoHashV2(hash::sha256(&created.info)).to_string())
}

// The info-hashes in these three tests were computed by another program, from the rules of BEP 3, 47 and 52.

#[test]
fn one_file_has_its_known_info_hashes() {
    let v1 = single(Format::V1);
    assert_eq!(v1.info_hashes, InfoHashes::V1("1de6a49fdfb56f899e1c59d18b34d519835202d2".parse().unwrap()));
    let v2 = single(Format::V2);
    let hash = "48275c576ba633ec95540a4614a8de1a5373a8b007234d91aaf94adff241c304".parse().unwrap();
    assert_eq!(v2.info_hashes, InfoHashes::V2(hash));
    let hybrid = single(Format::Hybrid);
    let (one, two) = hashes(&hybrid);
    assert_eq!(one, "98c5f7b56eb83ad51128249b6d85ce3f5efd249e");
    assert_eq!(two, "de62416495d075e551777bc7fb9fcc097d5a8f78abf2ac8c88729ff877e2bd42");
    assert_eq!(hybrid.info_hashes, InfoHashes::Hybrid(one.parse().unwrap(), two.parse().unwrap()));
    let layers = |created: Created| created.piece_layers.map(|layers| layers.len());
    assert_eq!((layers(v1), layers(v2), layers(hybrid)), (None, Some(1), Some(1)));
}

#[test]
fn many_files_have_their_known_info_hashes() {
    let album = |format| many(options("album", format, 32 << 10));
    assert_eq!(hashes(&album(Format::V1)).0, "80cea1d50ad140c9229b372cbe11473332d8dbb7");
    assert_eq!(hashes(&album(Format::V2)).1, "1322690e14af6a755585e3ae1f532949b3551b701b5070416a7585c489b3e91a");
    let hybrid = album(Format::Hybrid);
    assert_eq!(hashes(&hybrid).0, "abcc22e2fe6ffd533497ca56c6c185fcb03697d7");
    assert_eq!(hashes(&hybrid).1, "a53cb20e4ff6b43fec7f9c7a07b5603a67fa0d71e6c658572d4a5e31cedbad73");
    assert_eq!(hybrid.piece_layers.unwrap().len(), 3, "four files are longer than a piece, two of them the same");
}

#[test]
fn private_and_source_are_part_of_the_info_dictionary() {
    let tagged = Options { private: true, source: Some("TAG".into()), ..options("album", Format::Hybrid, 32 << 10) };
    assert_eq!(hashes(&many(tagged)).0, "176eb0d77fd35644cd8fa98b1b6bd6562f0116a3");
}

#[test]
fn padding_follows_files_that_end_inside_a_piece_but_not_the_last() {
    let sources = vec![file("a", 5), file("b", 0), file("c", 16_384), file("d", 20_000), file("e", 0), file("f", 7)];
    let plan = Plan::new(sources.clone(), options("x", Format::Hybrid, 16 << 10)).unwrap();
    let lengths: Vec<_> = plan.layout().files().iter().map(|file| (file.length, file.pad)).collect();
    let expected = [
        (5, false),
        (16_379, true),
        (0, false),
        (16_384, false),
        (20_000, false),
        (12_768, true),
        (0, false),
        (7, false),
    ];
    assert_eq!(lengths, expected);
    assert_eq!(plan.source(FileIndex(3)), Some(&sources[2]));
    assert_eq!((plan.source(FileIndex(1)), plan.source(FileIndex(8))), (None, None));
    let plain = Plan::new(sources.clone(), options("x", Format::V1, 16 << 10)).unwrap();
    assert_eq!(plain.layout().files().len(), 6);
    let padded = Options { pads: Some(true), ..options("x", Format::V1, 16 << 10) };
    assert_eq!(Plan::new(sources.clone(), padded).unwrap().layout(), plan.layout());
    let v2 = Plan::new(sources.clone(), Options { pads: Some(true), ..options("x", Format::V2, 16 << 10) }).unwrap();
    assert_eq!(v2.layout().files().len(), 6);
    let bare = Options { pads: Some(false), ..options("x", Format::Hybrid, 16 << 10) };
    assert_eq!(Plan::new(sources, bare.clone()).unwrap_err(), CreateError::NeedsPads);
    assert!(Plan::new(vec![file("a", 16_384), file("b", 0), file("c", 5)], bare).is_ok());
}

#[test]
fn a_folder_of_one_file_is_not_that_file() {
    let contents = [content(10, 1)];
    let folder = made(vec![file("x", 10)], &contents, options("x", Format::Hybrid, 16 << 10));
    let alone = made(vec![file("", 10)], &contents, options("x", Format::Hybrid, 16 << 10));
    assert_ne!(folder.info, alone.info);
    let text = |created: &Created| String::from_utf8_lossy(&created.info).into_owned();
    assert!(text(&folder).contains("5:filesld6:lengthi10e4:pathl1:xeee"));
    assert!(text(&alone).contains("6:lengthi10e12:meta version"));
}

#[test]
fn symbolic_links_are_written_with_their_target() {
    let link = SourceFile { symlink: Some(vec!["d".into(), "a".into()]), ..file("l", 0) };
    let created =
        made(vec![link.clone(), file("d/a", 3)], &[vec![], vec![1, 2, 3]], options("x", Format::Hybrid, 16 << 10));
    let text = String::from_utf8_lossy(&created.info).into_owned();
    assert!(text.contains("1:ld0:d4:attr1:l6:lengthi0e12:symlink pathl1:d1:aeee"), "{text}");
    assert!(text.contains("d4:attr1:l6:lengthi0e4:pathl1:le12:symlink pathl1:d1:aee"), "{text}");
    let long = SourceFile { length: 1, ..link };
    assert!(matches!(Plan::new(vec![long, file("d/a", 3)], Options::new("x")), Err(CreateError::Path { .. })));
}

#[test]
fn paths_that_cannot_stand_in_a_torrent_are_errors() {
    let error = |sources: Vec<SourceFile>| Plan::new(sources, Options::new("x")).unwrap_err();
    for bad in ["..", ".", "a\0b", "a/../b"] {
        assert!(matches!(error(vec![file(bad, 1), file("ok", 1)]), CreateError::Path { .. }), "{bad:?}");
    }
    let element = |element: &str| SourceFile { path: vec![element.into()], length: 1, ..SourceFile::default() };
    assert!(matches!(error(vec![element("a/b")]), CreateError::Path { .. }));
    assert!(matches!(error(vec![element("")]), CreateError::Path { .. }));
    assert!(matches!(error(vec![element(&"é".repeat(128))]), CreateError::Path { .. }));
    assert!(matches!(error(vec![file(&"a/".repeat(101), 1)]), CreateError::Path { .. }));
    assert!(matches!(error(vec![file("", 1), file("a", 1)]), CreateError::Path { .. }));
    assert_eq!(error(vec![file("a/b", 1), file("c", 1), file("a/b", 0)]), CreateError::Twice("a/b".into()));
    let both = vec![file("a/b/c", 1), file("a.b", 1), file("a", 1)];
    assert_eq!(error(both), CreateError::FileAndFolder("a".into()));
    for name in ["", "..", "a/b"] {
        assert!(matches!(Plan::new(vec![file("", 1)], Options::new(name)), Err(CreateError::Path { .. })), "{name:?}");
    }
}

#[test]
fn nothing_too_much_and_odd_piece_lengths_are_errors() {
    assert_eq!(Plan::new(vec![], Options::new("x")).unwrap_err(), CreateError::Empty);
    assert_eq!(Plan::new(vec![file("a", 0)], Options::new("x")).unwrap_err(), CreateError::Empty);
    for length in [0, 1, 16_383, 20_000, 1 << 30] {
        for format in [Format::V2, Format::Hybrid] {
            let error = Plan::new(vec![file("a", 1)], options("x", format, length)).unwrap_err();
            assert_eq!(error, CreateError::PieceLength(length));
        }
    }
    assert!(Plan::new(vec![file("a", 1)], options("x", Format::V1, 20_000)).is_ok());
    for pads in [None, Some(true)] {
        let zero = Options { pads, ..options("x", Format::V1, 0) };
        let error = Plan::new(vec![file("a", 1), file("b", 1)], zero).unwrap_err();
        assert_eq!(error, CreateError::Layout(LayoutError::PieceLength(0)));
    }
    let huge = vec![file("a", u64::MAX), file("b", u64::MAX)];
    assert_eq!(Plan::new(huge, Options::new("x")).unwrap_err(), CreateError::Layout(LayoutError::TotalLength));
}

#[test]
fn every_piece_must_have_its_digest() {
    let mut plan = Plan::new(vec![file("", 40_000)], options("x", Format::Hybrid, 16 << 10)).unwrap();
    let whole = PieceDigest { v1: Some([1; 20]), v2: Some([2; 32]) };
    plan.put(PieceIndex(0), whole);
    plan.put(PieceIndex(2), whole);
    plan.put(PieceIndex(3), whole);
    assert_eq!(plan.finish().unwrap_err(), CreateError::NotHashed(PieceIndex(1)));
    plan.put(PieceIndex(1), PieceDigest { v1: None, ..whole });
    assert_eq!(plan.finish().unwrap_err(), CreateError::NotHashed(PieceIndex(1)));
    plan.put(PieceIndex(1), PieceDigest { v2: None, ..whole });
    assert_eq!(plan.finish().unwrap_err(), CreateError::NotHashed(PieceIndex(1)));
    plan.put(PieceIndex(1), whole);
    assert!(plan.finish().is_ok());
}

#[test]
fn the_automatic_piece_length_aims_at_a_thousand_to_two_thousand_pieces() {
    for length in [0, 1, 16 << 10, 20 << 20] {
        assert_eq!(automatic_piece_length(length), 16 << 10);
    }
    for shift in 26..34 {
        for length in [1u64 << shift, (1 << shift) + 1, 3 << (shift - 1)] {
            let pieces = length.div_ceil(automatic_piece_length(length).into());
            assert!((1000..=2000).contains(&pieces), "{length}: {pieces}");
        }
    }
    assert_eq!(automatic_piece_length(1 << 40), 16 << 20);
    assert_eq!(automatic_piece_length(1 << 45), 16 << 20);
    assert_eq!(automatic_piece_length((1 << 45) + 1), 32 << 20);
    assert_eq!(automatic_piece_length(u64::MAX), 512 << 20);
    let plan = Plan::new(vec![file("", 1 << 30)], Options::new("x")).unwrap();
    assert_eq!(plan.layout().piece_length(), 1 << 20);
}

#[test]
fn what_is_made_verifies_one_by_one_and_side_by_side() {
    for format in [Format::V1, Format::V2, Format::Hybrid] {
        let bytes = content(1_000_000, 9);
        let created = made(vec![file("", 1_000_000)], std::slice::from_ref(&bytes), options("x", format, 32 << 10));
        let metainfo = Metainfo::parse(created.draft().encode().into()).unwrap();
        let hashes = metainfo.piece_hashes();
        // Every third piece is changed, every third cut short.
        let pieces: Vec<Vec<u8>> = bytes.chunks(32 << 10).map(<[u8]>::to_vec).collect();
        let pieces: Vec<Vec<u8>> = (0..)
            .zip(pieces)
            .map(|(number, mut piece)| {
                match number % 3 {
                    0 => {}
                    1 => piece[number] ^= 1,
                    _ => _ = piece.pop(),
                }
                piece
            })
            .collect();
        let hashers = || (0..hashes.piece_count()).map(|piece| hashes.hasher(PieceIndex(piece)));
        let verdicts: Vec<Verdict> = hashers()
            .zip(&pieces)
            .map(|(mut hasher, piece)| {
                hasher.update(piece);
                hasher.finish()
            })
            .collect();
        let expected = (0..pieces.len()).map(|number| if number % 3 == 0 { Verdict::Good } else { Verdict::Corrupt });
        assert_eq!(verdicts, expected.collect::<Vec<_>>(), "{format:?}");
        let mut many: Vec<_> = hashers().collect();
        PieceHasher::update_many(
            &mut many.iter_mut().zip(&pieces).map(|(hasher, piece)| (hasher, &piece[..])).collect::<Vec<_>>(),
        );
        assert_eq!(PieceHasher::finish_many(many), verdicts, "{format:?}");
    }
}

#[test]
fn what_is_made_reads_as_it_was_meant() {
    for format in [Format::V1, Format::V2, Format::Hybrid] {
        let options = Options { private: true, source: Some("TAG".into()), ..options("album", format, 32 << 10) };
        let created = many(options.clone());
        let draft = Draft { trackers: vec![vec!["http://t/announce".into()]], ..created.draft() };
        let metainfo = Metainfo::parse(draft.encode().into()).unwrap();
        assert_eq!(metainfo.warnings(), [], "{format:?}");
        assert_eq!(metainfo.hashes(), created.info_hashes);
        assert_eq!(metainfo.trackers(), [["http://t/announce"]]);
        let info = metainfo.info();
        assert!(info.is_private() && !info.is_single_file());
        assert_eq!((info.name().as_str(), info.source()), ("album", Some("TAG")));
        let paths: Vec<_> =
            info.files().iter().filter(|file| !file.attributes.is_pad()).map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["a", "b", "c", "d/sub/z", "d/é", "d.x", "e", "f"]);
        assert!(info.files().iter().any(|file| file.path.as_str() == "c" && file.attributes.is_executable()));
        assert!(info.files().iter().any(|file| file.path.as_str() == "d/sub/z" && file.attributes.is_hidden()));
        assert_eq!(metainfo.draft().encode(), draft.encode());
        assert!(!metainfo.piece_hashes().lacks_layers());
        assert_eq!(metainfo.piece_hashes().piece_count(), info.layout().piece_count());
    }
    let alone = Metainfo::parse(single(Format::Hybrid).draft().encode().into()).unwrap();
    assert!(alone.info().is_single_file());
    assert_eq!(alone.warnings(), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_order_given_does_not_matter(
        mut files in proptest::collection::btree_map("([a-c.]{1,2}d/){0,2}[a-c.]{1,3}x", 0u64..70_000, 1..9),
        shuffle: u64,
    ) {
        files.insert("zz".into(), 1);
        let mut list: Vec<_> = files.iter().map(|(path, length)| file(path, *length)).collect();
        let contents = |list: &[SourceFile]| -> Vec<Vec<u8>> {
            list.iter().map(|file| content(file.length, file.length as u8)).collect()
        };
        let first = made(list.clone(), &contents(&list), options("n", Format::Hybrid, 16 << 10));
        let read = Metainfo::parse(first.draft().encode().into()).unwrap();
        prop_assert_eq!(read.warnings(), []);
        let length = list.len();
        list.rotate_left(shuffle as usize % length);
        list.reverse();
        let second = made(list.clone(), &contents(&list), options("n", Format::Hybrid, 16 << 10));
        prop_assert_eq!(first, second);
    }
}
