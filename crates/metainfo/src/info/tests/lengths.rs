//! Padding, attributes, lengths and pieces.

use super::*;

fn padded(pad: i64, path: Option<&'static str>) -> Vec<u8> {
    v1(2 + pad, |list| {
        list.dict(|file| drop_ref(file.int("length", 1).list("path", |names| put(names, b"a"))));
        list.dict(|file| {
            file.bytes("attr", "p").int("length", pad);
            if let Some(path) = path {
                file.list("path", |names| put(names, path.as_bytes()));
            }
        });
        list.dict(|file| drop_ref(file.int("length", 1).list("path", |names| put(names, b"b"))));
    })
}

#[test]
fn m13_padding_of_v1_needs_no_path_and_is_not_content() {
    for (path, shown) in [(None, ".pad/1000"), (Some("a"), "a"), (Some("x"), "x")] {
        let info = read(padded(1000, path)).unwrap();
        assert_eq!(paths(&info), ["a", shown, "b"]);
        assert_eq!(info.warnings(), []);
        assert!(info.files()[1].attributes.is_pad() && info.layout().files()[1].pad);
        assert_eq!(info.layout().content_length(), 2);
    }
    let huge = read(padded(1 << 40, None)).unwrap();
    assert_eq!((huge.layout().content_length(), huge.layout().piece_count()), (2, (1 << 20) + 1));
}

#[test]
fn m13_padding_in_a_v2_tree_is_refused() {
    let raw = v2(|tree| {
        tree.dict("a", |node| drop_ref(node.dict("", |file| drop_ref(file.bytes("attr", "p").int("length", 0)))));
    });
    assert_eq!(message(raw), "info.file tree.a is padding, which version 2 does not have");
}

#[test]
fn m14_attributes_are_read_in_any_order() {
    let attributes = Attributes::from_letters(b"xhq");
    assert!(attributes.is_executable() && attributes.is_hidden() && !attributes.is_pad() && !attributes.is_link());
    assert_eq!((attributes.to_string().as_str(), Attributes::default().to_string().as_str()), ("hx", ""));
    let info = read(single(|info| drop_ref(info.bytes("attr", "xs")))).unwrap();
    assert_eq!(info.files()[0].attributes.to_string(), "x");
}

#[test]
fn m15_piece_lengths_out_of_range_are_refused() {
    for bad in [0, -1, 512 * 1024 * 1024 + 1, 1 << 31, 1 << 32, 1 << 62, i64::MAX, i64::MIN] {
        let expected = format!("info.piece length is {bad}; 1 to 512 MiB is valid");
        assert_eq!(message(single(|info| drop_ref(info.int("piece length", bad)))), expected);
        let v2 = dict(|info| {
            info.bytes("name", "n")
                .int("piece length", bad)
                .int("meta version", 2)
                .dict("file tree", |tree| leaf(tree, "a", 5));
        });
        assert!(message(v2).contains("a power of two from 16 KiB to 512 MiB is valid"));
    }
    assert!(read(single(|info| drop_ref(info.int("piece length", 512 << 20)))).is_ok());
    assert!(read(single(|info| drop_ref(info.int("piece length", 10)))).is_ok());
    for bad in [8192, 16385, 3 * 16384] {
        let raw = dict(|info| {
            info.bytes("name", "n")
                .int("piece length", bad)
                .int("meta version", 2)
                .dict("file tree", |tree| leaf(tree, "a", 5));
        });
        assert!(matches!(read(raw), Err(MetainfoError::Value { .. })));
    }
}

#[test]
fn m16_lengths_out_of_range_are_refused() {
    for bad in [-1, i64::MIN, (1 << 60) + 1, i64::MAX] {
        let raw = single(|info| drop_ref(info.int("length", bad)));
        assert_eq!(message(raw), format!("info.length is {bad}; 0 to 2^60 are valid"));
    }
    let error = read(many(&[(&[b"a"], 5), (&[b"b"], -5)])).unwrap_err();
    assert_eq!(error.to_string(), "info.files.1.length is -5; 0 to 2^60 are valid");
    let sum = v1(0, |list| {
        for _ in 0..20 {
            list.dict(|file| drop_ref(file.int("length", 1i64 << 60).list("path", |names| put(names, b"a"))));
        }
    });
    assert_eq!(read(sum).unwrap_err(), MetainfoError::Layout(LayoutError::TotalLength));
    let petabyte = read(single(|info| drop_ref(info.int("length", 1i64 << 50).int("piece length", 1 << 20))));
    assert!(matches!(petabyte, Err(MetainfoError::Layout(_) | MetainfoError::Pieces { .. })));
    let empty = read(single(|info| drop_ref(info.int("length", 0).bytes("pieces", "")))).unwrap();
    assert_eq!((empty.layout().piece_count(), empty.layout().content_length()), (0, 0));
}

#[test]
fn m16_the_number_of_pieces_is_bounded() {
    let raw = |pieces: usize| {
        single(|info| {
            drop_ref(info.int("length", pieces as i64).int("piece length", 1).bytes("pieces", vec![0; 20 * pieces]))
        })
    };
    let options = ParseOptions { max_pieces: 100, ..ParseOptions::default() };
    assert!(Info::from_raw_with(raw(100).into(), &options).is_ok());
    let error = Info::from_raw_with(raw(101).into(), &options).unwrap_err();
    assert_eq!(error, MetainfoError::Pieces { pieces: 101, limit: 100 });
}

#[test]
fn m17_piece_hashes_that_do_not_fit_are_refused() {
    let with = |bytes: usize| message(single(|info| drop_ref(info.bytes("pieces", vec![0; bytes]))));
    assert_eq!(with(19), "info.pieces has 19 bytes, not a multiple of 20");
    assert_eq!(with(21), "info.pieces has 21 bytes, not a multiple of 20");
    assert_eq!(with(0), "0 piece hashes for 1 pieces of 16 bytes");
    assert_eq!(with(40), "2 piece hashes for 1 pieces of 16 bytes");
    assert_eq!(message(single(|info| drop_ref(info.raw("pieces", b"le")))), "info.pieces is a list, not a string");
    let missing = dict(|info| drop_ref(info.bytes("name", "n").int("piece length", 16).int("length", 10)));
    assert_eq!(message(missing), "info.pieces is missing");
}

#[test]
fn v1_has_one_length_or_one_list() {
    let both = single(|info| drop_ref(info.list("files", |_| {})));
    assert_eq!(message(both), "info.length is 10; info.files is there too, only one of them is valid");
    let none = dict(|info| drop_ref(info.bytes("name", "n").int("piece length", 16).bytes("pieces", "")));
    assert_eq!(message(none), "info.length is missing");
}
