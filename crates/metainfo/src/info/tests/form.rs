//! Bencode and fields: what is hashed as it is, what is left out, what is refused.

use super::*;

#[test]
fn the_three_kinds() {
    let folder = Folder::new(32768, &[("a", 40_000), ("b/c", 0), ("b/d", 32768), ("z", 1)]);
    for (draft, v1, v2, pieces) in
        [(folder.v1(), true, false, 3), (folder.v2(), false, true, 4), (folder.hybrid(), true, true, 4)]
    {
        let info = read(draft.info.to_vec()).unwrap();
        assert_eq!((info.hashes().v1().is_some(), info.hashes().v2().is_some()), (v1, v2));
        assert_eq!(info.layout().piece_count(), pieces);
        let shown: Vec<_> = info.files().iter().filter(|file| !file.attributes.is_pad()).collect();
        assert_eq!(shown.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["a", "b/c", "b/d", "z"]);
        assert_eq!(info.full_path(shown[1]).as_str(), "folder/b/c");
        assert_eq!(info.layout().content_length(), 72_769);
        assert_eq!(info.warnings(), []);
        let roots = info.files().iter().zip(0..).map(|(_, at)| info.root(FileIndex(at)).is_some()).filter(|has| *has);
        assert_eq!(roots.count(), if v2 { 3 } else { 0 });
    }
}

#[test]
fn keys_that_are_not_known_are_part_of_the_hash() {
    let raw = single(|info| drop_ref(info.bytes("x-unknown", "kept").dict("a", |a| drop_ref(a.int("b", 1)))));
    let info = read(raw.clone()).unwrap();
    assert_eq!(info.hashes().v1().unwrap().0, crate::hash::sha1(&raw));
    assert_eq!(info.raw(), &raw);
}

#[test]
fn b7_v1_with_unsorted_keys_is_hashed_as_it_is() {
    let raw = b"d6:lengthi10e6:pieces20:aaaaaaaaaaaaaaaaaaaa4:name1:n12:piece lengthi016ee".to_vec();
    let info = read(raw.clone()).unwrap();
    assert_eq!(info.hashes().v1().unwrap().0, crate::hash::sha1(&raw));
    assert_eq!(info.warnings(), [Warning::UnsortedInfo, Warning::LeadingZeros]);
    assert_eq!(info.warnings()[0].to_string(), "keys of the info dictionary are not sorted");
    assert_eq!(
        info.edited(Some(true), None),
        dict(|info| {
            info.int("length", 10)
                .bytes("name", "n")
                .raw("piece length", b"i016e")
                .bytes("pieces", "a".repeat(20))
                .int("private", 1);
        })
    );
}

#[test]
fn b5_b7_v2_must_be_canonical() {
    let good = String::from_utf8(v2(|tree| leaf(tree, "f", 0))).unwrap();
    assert!(read(good.clone().into_bytes()).is_ok());
    let zeros = good.replace("lengthi0e", "lengthi00e");
    assert_eq!(message(zeros.into_bytes()), "info has numbers with leading zeros, which version 2 forbids");
    let unsorted = good.replace("12:meta versioni2e4:name4:root", "4:name4:root12:meta versioni2e");
    assert_eq!(message(unsorted.into_bytes()), "info has keys that are not sorted, which version 2 forbids");
}

#[test]
fn b5_minus_zero_is_refused() {
    let raw = single(|info| drop_ref(info.raw("zero", b"i-0e")));
    assert_eq!(message(raw), "info has an integer -0");
}

#[test]
fn b6_a_key_twice_anywhere_in_info_is_refused() {
    let twice = b"d6:lengthi10e4:name1:n12:piece lengthi16e6:pieces20:aaaaaaaaaaaaaaaaaaaa6:pieces0:e".to_vec();
    assert_eq!(message(twice), "info.pieces is there twice, again at byte 72");
    let inner = single(|info| drop_ref(info.raw("x", b"ld1:ai1e1:bi1e1:ai2eee")));
    assert!(matches!(read(inner), Err(MetainfoError::Repeated { key, .. }) if key == "info.x.0.a"));
}

#[test]
fn b9_required_fields_of_the_wrong_kind_are_named() {
    let text = |key: &'static str, value: &'static [u8]| message(single(|info| drop_ref(info.raw(key, value))));
    assert_eq!(text("length", b"le"), "info.length is a list, not an integer");
    assert_eq!(text("name", b"i1e"), "info.name is an integer, not a string");
    assert_eq!(text("piece length", b"1:x"), "info.piece length is a string, not an integer");
    assert_eq!(text("pieces", b"de"), "info.pieces is a dictionary, not a string");
    assert_eq!(text("meta version", b"1:2"), "info.meta version is a string, not an integer");
    let files = |entry: &'static [u8]| message(v1(0, |list| drop_ref(list.raw(entry))));
    assert_eq!(files(b"i1e"), "info.files.0 is an integer, not a dictionary");
    assert_eq!(files(b"d4:pathl1:aee"), "info.files.0.length is missing");
    assert_eq!(files(b"d6:lengthi0ee"), "info.files.0.path is missing");
    assert_eq!(files(b"d6:lengthi0e4:path1:ae"), "info.files.0.path is a string, not a list");
    assert_eq!(files(b"d6:lengthi0e4:pathl1:ai1eee"), "info.files.0.path.1 is an integer, not a string");
    assert_eq!(files(b"d6:lengthi0e4:pathlee"), "info.files.0.path: path is empty");
    assert_eq!(message(v1(0, |_| {})), "info.files is empty; a torrent has at least one file");
    assert_eq!(message(b"le".to_vec()), "info is a list, not a dictionary");
    assert_eq!(message(b"de".to_vec()), "info.name is missing");
}

#[test]
fn b9_optional_fields_of_the_wrong_kind_are_left_out() {
    let info = read(single(|info| drop_ref(info.bytes("private", "1").int("source", 3)))).unwrap();
    assert_eq!((info.is_private(), info.source()), (false, None));
    let keys: Vec<_> = info.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(keys, ["info.private is not valid and was left out", "info.source is not valid and was left out"]);
}

#[test]
fn b4_known_keys_never_wrap() {
    let huge = |key: &'static str| message(single(|info| drop_ref(info.raw(key, b"i18446744073709551626e"))));
    assert_eq!(huge("length"), "info.length is 18446744073709551626; 0 to 2^60 are valid");
    assert_eq!(huge("piece length"), "info.piece length is 18446744073709551626; 1 to 512 MiB is valid");
    let unknown = read(single(|info| drop_ref(info.raw("x", b"i18446744073709551626e")))).unwrap();
    assert!(unknown.raw().windows(20).any(|part| part == b"18446744073709551626"));
}

#[test]
fn b10_every_prefix_is_an_error() {
    let folder = Folder::new(16384, &[("a", 20_000), ("b", 3)]);
    for draft in [folder.v1(), folder.v2(), folder.hybrid()] {
        for end in 0..draft.info.len() {
            let error = Info::from_raw(draft.info.slice(..end)).unwrap_err();
            assert!(matches!(error, MetainfoError::Empty | MetainfoError::CutOff { .. }), "{end}: {error}");
        }
    }
}

#[test]
fn private_and_source_can_be_edited() {
    let raw = single(|_| {});
    let info = read(raw.clone()).unwrap();
    assert_eq!(info.edited(None, None), raw);
    let private = read(info.edited(Some(true), Some("SITE"))).unwrap();
    assert_eq!((private.is_private(), private.source()), (true, Some("SITE")));
    assert_ne!(private.hashes(), info.hashes());
    assert_eq!(private.edited(Some(false), Some("")), raw);
    assert_eq!(private.edited(None, None), private.raw().to_vec());
}

#[test]
fn too_large_is_said_before_it_is_read() {
    let options = ParseOptions { max_bytes: 10, ..ParseOptions::default() };
    let error = Info::from_raw_with(Bytes::from_static(b"d4:name5:aaaaae"), &options).unwrap_err();
    assert_eq!(error, MetainfoError::TooLarge { length: 15, limit: 10 });
}
