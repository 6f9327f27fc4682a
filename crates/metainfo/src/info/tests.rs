#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::type_complexity)]

use bytes::Bytes;

use super::*;
use crate::bencode::{DictWriter, ListWriter, dict};
use crate::layout::LayoutError;
use crate::path::PathError;
use crate::samples::Folder;

fn read(raw: Vec<u8>) -> Result<Info, MetainfoError> {
    let options = ParseOptions { names: NameRules { windows: false, fold_case: false }, ..ParseOptions::default() };
    Info::from_raw_with(raw.into(), &options)
}

fn read_unsafe(raw: Vec<u8>) -> Result<Info, MetainfoError> {
    let names = NameRules { windows: false, fold_case: false };
    Info::from_raw_with(raw.into(), &ParseOptions { names, accept_unsafe_paths: true, ..ParseOptions::default() })
}

fn message(raw: Vec<u8>) -> String {
    read(raw).unwrap_err().to_string()
}

/// A v1 dictionary of one piece with these files, each `(path, length)`.
fn many(files: &[(&[&[u8]], i64)]) -> Vec<u8> {
    let total: i64 = files.iter().map(|(_, length)| length).sum();
    v1(total, |list| {
        for (path, length) in files {
            list.dict(|file| {
                file.int("length", *length).list("path", |names| path.iter().for_each(|name| put(names, name)));
            });
        }
    })
}

/// A v1 dictionary with this list of files, of this length together.
fn v1(total: i64, files: impl FnOnce(&mut ListWriter<'_>)) -> Vec<u8> {
    let pieces = (total.max(0) as usize).div_ceil(1 << 20);
    dict(|info| {
        info.bytes("name", "root")
            .int("piece length", 1 << 20)
            .bytes("pieces", vec![0; 20 * pieces])
            .list("files", files);
    })
}

fn put(names: &mut ListWriter<'_>, name: &[u8]) {
    names.bytes(name);
}

/// A v1 dictionary of one file, with some keys changed.
fn single(change: impl FnOnce(&mut DictWriter<'_>)) -> Vec<u8> {
    dict(|info| {
        info.bytes("name", "n").int("piece length", 16).bytes("pieces", [0; 20]).int("length", 10);
        change(info);
    })
}

/// A v2 dictionary with this file tree.
fn v2(tree: impl FnOnce(&mut DictWriter<'_>)) -> Vec<u8> {
    dict(|info| {
        info.bytes("name", "root").int("piece length", 16384).int("meta version", 2).dict("file tree", tree);
    })
}

fn leaf(tree: &mut DictWriter<'_>, name: impl AsRef<[u8]>, length: i64) {
    tree.dict(name, |node| {
        node.dict("", |file| {
            file.int("length", length);
            if length > 0 {
                file.bytes("pieces root", [7; 32]);
            }
        });
    });
}

fn paths(info: &Info) -> Vec<&str> {
    info.files().iter().map(|file| file.path.as_str()).collect()
}

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
fn m1_a_path_that_climbs_is_refused_by_name() {
    let climbing: [&[&[u8]]; 5] =
        [&[b"..", b"..", b".bashrc"], &[b"../../.bashrc"], &[b"a", b"..\\x"], &[b".."], &[b"a", b"b/../c"]];
    for path in climbing {
        let raw = many(&[(&[b"a"], 1), (&[b"b"], 1), (path, 1)]);
        let name = path.join(&b'/').escape_ascii().to_string().replace("\\\\", "\\");
        assert_eq!(message(raw), format!("file 3 is named \"{name}\""));
    }
    let error = read(many(&[(&[b"ok"], 1), (&[b"x", b"../..", b"\x1b[2J"], 1)])).unwrap_err();
    assert_eq!(error.sentence("x.torrent"), "x.torrent is unsafe: file 2 is named \"x/../../\\x1b[2J\"");
    assert_eq!(message(single(|info| drop_ref(info.bytes("name", "../up")))), "file 1 is named \"../up\"");
    let raw = String::from_utf8(many(&[(&[b"a"], 1)])).unwrap().replace("4:root", "2:..");
    assert_eq!(message(raw.into_bytes()), "it is named \"..\"");
    assert_eq!(message(v2(|tree| drop_ref(tree.dict("..", |up| leaf(up, "x", 0))))), "file 1 is named \"../x\"");
}

#[test]
fn m1_a_path_that_climbs_can_be_taken_with_safe_names() {
    let info =
        read_unsafe(many(&[(&[b"..", b"..", b".bashrc"], 1), (&[b"../x"], 1), (&[b".", b"", b"y"], 1)])).unwrap();
    assert_eq!(paths(&info), ["_/_/.bashrc", ".._x", "_/_/y"]);
    let info = read_unsafe(single(|info| drop_ref(info.bytes("name", "..")))).unwrap();
    assert_eq!((info.name().as_str(), paths(&info)), ("_", vec!["_"]));
}

#[test]
fn m2_m4_m5_m6_names_come_out_safe() {
    let raw = many(&[
        (&[b"/etc/passwd"], 1),
        (&[b"\\\\?\\C:\\x"], 1),
        (&[b"a\0\x1b[31m"], 1),
        (&[b"\xc0\xae\xc0\xae", b"x"], 1),
        (&["ab\u{202e}gpj.exe".as_bytes()], 1),
    ]);
    let info = read(raw).unwrap();
    assert_eq!(paths(&info), ["_etc_passwd", "__?_C:_x", "a__[31m", "_/x", "abgpj.exe"]);
    assert!(info.files().iter().all(|file| file.path.to_path_buf().is_relative()));
    assert_eq!(info.warnings(), [Warning::Names { files: 5 }]);
}

#[test]
fn m8_long_names_are_cut_and_deep_paths_refused() {
    let long = "x".repeat(300) + ".txt";
    let deep: Vec<&[u8]> = vec![b"d"; 101];
    let info = read(many(&[(&[long.as_bytes()], 1), (&deep[..100], 1)])).unwrap();
    assert_eq!(info.files()[0].path.as_str(), "x".repeat(251) + ".txt");
    let error = read(many(&[(&[b"a"], 1), (&deep, 1)])).unwrap_err();
    assert_eq!(error, MetainfoError::Path { key: "info.files.1.path".into(), error: PathError::Depth });
    let very_deep: Vec<&[u8]> = vec![b"d"; 5000];
    assert!(read(many(&[(&very_deep, 1)])).is_err());
}

#[test]
fn m9_m10_equal_paths_are_told_apart() {
    let raw = many(&[(&[b"a"], 1), (&[b"a"], 2), (&[b"d", b"x\x01"], 3), (&[b"d", b"x\x02"], 4), (&[b"d"], 5)]);
    let info = read(raw).unwrap();
    assert_eq!(paths(&info), ["a", "a.1", "d/x_", "d/x_.1", "d.1"]);
    assert_eq!(info.files().iter().map(|file| file.length).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    let renamed: Vec<_> = info.warnings().iter().map(ToString::to_string).collect();
    assert_eq!((renamed.len(), &info.warnings()[0]), (4, &Warning::Names { files: 2 }));
    assert!(renamed.contains(&"file 2 has the path of another and is renamed to \"a.1\"".to_owned()));
}

#[test]
fn m11_utf8_twins_are_preferred_if_valid() {
    let entry = |utf8: &'static [u8]| {
        v1(1, move |list| {
            list.dict(|file| {
                file.int("length", 1).list("path", |names| put(names, b"old")).raw("path.utf-8", utf8);
            });
        })
    };
    for (utf8, path) in [(&b"l3:newe"[..], "new"), (b"l3:ne\xffe", "old"), (b"le", "old"), (b"i1e", "old")] {
        assert_eq!(paths(&read(entry(utf8)).unwrap()), [path]);
    }
    assert!(matches!(read(entry(b"l2:..e")), Err(MetainfoError::UnsafePath { file: Some(1), .. })));
    let name =
        |utf8: &'static [u8]| read(single(|info| drop_ref(info.bytes("name.utf-8", utf8)))).unwrap().name().to_string();
    assert_eq!((name("neü".as_bytes()), name(b"\xff"), name(b"")), ("neü".into(), "n".into(), "n".into()));
}

/// A v1 dictionary with a file, a file in a folder, and links.
fn linked(links: &[(&[&str], &[&[u8]])]) -> Vec<u8> {
    v1(2, |list| {
        for path in [&["file"][..], &["folder", "inner"]] {
            list.dict(|file| {
                file.int("length", 1).list("path", |names| path.iter().for_each(|name| put(names, name.as_bytes())));
            });
        }
        for (path, target) in links {
            list.dict(|file| {
                file.bytes("attr", "l").int("length", 0);
                file.list("path", |names| path.iter().for_each(|name| put(names, name.as_bytes())));
                file.list("symlink path", |names| target.iter().for_each(|name| put(names, name)));
            });
        }
    })
}

#[test]
fn m12_links_lead_into_the_torrent_or_nowhere() {
    let target = |info: &Info, at| info.link_target(FileIndex(at)).map(ToString::to_string);
    let good: [(&[&str], &[&[u8]], &str); 3] = [
        (&["l"], &[b"file"], "file"),
        (&["x", "l"], &[b"folder"], "folder"),
        (&["l"], &[b"folder", b"inner"], "folder/inner"),
    ];
    for (path, to, resolved) in good {
        let info = read(linked(&[(path, to)])).unwrap();
        assert_eq!((target(&info, 2).as_deref(), info.files()[2].attributes.is_link()), (Some(resolved), true));
        assert_eq!(info.warnings(), []);
    }
    let bad: [(&[&str], &[&[u8]]); 9] = [
        (&["l"], &[b"..", b"file"]),
        (&["l"], &[b"/etc/passwd"]),
        (&["l"], &[b"", b"etc"]),
        (&["l"], &[b"none"]),
        (&["l"], &[b"l"]),
        (&["l"], &[]),
        (&["l"], &[b"file", b"x"]),
        (&["folder", "l"], &[b"folder"]),
        (&["l"], &[b"fi\xffle"]),
    ];
    for (path, to) in bad {
        let info = read(linked(&[(path, to)])).unwrap();
        assert_eq!((target(&info, 2), info.files()[2].attributes.is_link(), info.files()[2].length), (None, false, 0));
        assert!(matches!(info.warnings(), [Warning::Link { file: 3, .. }]), "{to:?}");
    }
}

#[test]
fn m12_links_to_links_end_somewhere() {
    let info = read(linked(&[(&["a"], &[b"b"]), (&["b"], &[b"file"]), (&["c"], &[b"d"]), (&["d"], &[b"c"])])).unwrap();
    let targets: Vec<_> = (2..6).map(|at| info.link_target(FileIndex(at)).map(SafePath::as_str)).collect();
    assert_eq!(targets, [Some("b"), Some("file"), None, None]);
    let names: Vec<String> = (0..100).map(|number| format!("l{number}")).collect();
    let paths: Vec<[&str; 1]> = names.iter().map(|name| [name.as_str()]).collect();
    let nexts: Vec<[&[u8]; 1]> =
        (1..=100).map(|at| [names.get(at).map_or(&b"file"[..], |name| name.as_bytes())]).collect();
    let chain: Vec<_> = paths.iter().zip(&nexts).map(|(path, next)| (&path[..], &next[..])).collect();
    let info = read(linked(&chain)).unwrap();
    assert_eq!(info.link_target(FileIndex(2)), None);
    assert!(info.link_target(FileIndex(101)).is_some());
}

#[test]
fn m12_nothing_is_written_through_a_link() {
    let raw = v1(2, |list| {
        for (path, length) in [(&["d", "x"][..], 1), (&["file"], 1)] {
            list.dict(|file| {
                file.int("length", length)
                    .list("path", |names| path.iter().for_each(|name| put(names, name.as_bytes())));
            });
        }
        list.dict(|file| {
            file.bytes("attr", "l")
                .list("path", |names| put(names, b"d"))
                .list("symlink path", |names| put(names, b"file"));
        });
    });
    let info = read(raw).unwrap();
    // The link has the path of a folder, so it is renamed out of the way.
    assert_eq!(paths(&info), ["d/x", "file", "d.1"]);
    assert_eq!(info.link_target(FileIndex(2)).map(SafePath::as_str), Some("file"));
    let with_bytes = v1(1, |list| {
        list.dict(|file| {
            file.bytes("attr", "l").int("length", 1).list("path", |names| put(names, b"a"));
            file.list("symlink path", |names| put(names, b"a"));
        });
    });
    assert!(!read(with_bytes).unwrap().files()[0].attributes.is_link());
}

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

#[test]
fn m19_file_trees_that_are_none_are_refused() {
    let tree = |tree: fn(&mut DictWriter<'_>)| message(v2(tree));
    assert_eq!(tree(|_| {}), "info.file tree has no file");
    assert_eq!(tree(|tree| drop_ref(tree.dict("a", |_| {}))), "info.file tree has no file");
    assert_eq!(
        tree(|tree| drop_ref(tree.dict("", |file| drop_ref(file.int("length", 1))))),
        "info.file tree. makes the whole tree a file"
    );
    assert_eq!(
        tree(|tree| {
            tree.dict("a", |node| {
                node.dict("", |file| drop_ref(file.int("length", 0)));
                leaf(node, "b", 0);
            });
        }),
        "info.file tree.a is both a file and a folder"
    );
    assert_eq!(tree(|tree| drop_ref(tree.int("a", 1))), "info.file tree.a is an integer, not a dictionary");
    let root = |root: &[u8]| {
        message(v2(|tree| {
            tree.dict("a", |node| {
                drop_ref(node.dict("", |file| drop_ref(file.int("length", 1).bytes("pieces root", root))))
            });
        }))
    };
    assert_eq!(root(&[0; 32]), "info.file tree.a..pieces root is all zeros");
    assert_eq!(root(&[1; 31]), "info.file tree.a..pieces root is not 32 bytes long");
    let missing =
        v2(|tree| drop_ref(tree.dict("a", |node| drop_ref(node.dict("", |file| drop_ref(file.int("length", 1)))))));
    assert_eq!(message(missing), "info.file tree.a..pieces root is missing");
    let negative = v2(|tree| leaf(tree, "a", -1));
    assert_eq!(message(negative), "info.file tree.a..length is -1; 0 to 2^60 are valid");
}

#[test]
fn m19_deep_trees_are_refused() {
    fn down(tree: &mut DictWriter<'_>, levels: usize) {
        if levels == 0 { leaf(tree, "f", 0) } else { drop_ref(tree.dict("d", |tree| down(tree, levels - 1))) }
    }
    assert!(read(v2(|tree| down(tree, 90))).is_ok());
    assert!(matches!(read(v2(|tree| down(tree, 300))), Err(MetainfoError::Bencode(_))));
    let options = ParseOptions { bencode: Limits { depth: 1000, ..Limits::METAINFO }, ..ParseOptions::default() };
    let error = Info::from_raw_with(v2(|tree| down(tree, 101)).into(), &options).unwrap_err();
    assert!(matches!(error, MetainfoError::Path { error: PathError::Depth, .. }), "{error}");
}

#[test]
fn v2_of_one_file_is_a_file_only_under_its_own_name() {
    let info = read(v2(|tree| leaf(tree, "root", 1))).unwrap();
    assert_eq!((info.is_single_file(), info.full_path(&info.files()[0]).to_string()), (true, "root".into()));
    let info = read(v2(|tree| leaf(tree, "other", 1))).unwrap();
    assert_eq!((info.is_single_file(), info.full_path(&info.files()[0]).to_string()), (false, "root/other".into()));
}

#[test]
fn m22_an_unknown_version_comes_before_any_other_error() {
    for version in [3, 1, 0, -1] {
        let raw = dict(|info| drop_ref(info.int("meta version", version).int("name", 1).int("file tree", 2)));
        assert_eq!(read(raw).unwrap_err(), MetainfoError::Version(version));
    }
    let error = MetainfoError::Version(3);
    assert_eq!(error.sentence("x"), "x is of an unknown version: meta version 3; versions 1 and 2 are known");
    let missing = dict(|info| {
        drop_ref(info.bytes("name", "n").int("piece length", 16384).dict("file tree", |t| leaf(t, "a", 0)))
    });
    assert_eq!(message(missing), "info.meta version is missing");
}

/// A hybrid dictionary from v1 entries `(path, length, is padding)` and the v2 files of `tree`.
fn hybrid(entries: &[(&str, i64, bool)], tree: impl FnOnce(&mut DictWriter<'_>)) -> Vec<u8> {
    let total: i64 = entries.iter().map(|(_, length, _)| length).sum();
    dict(|info| {
        info.bytes("name", "root").int("piece length", 16384).int("meta version", 2).dict("file tree", tree);
        info.bytes("pieces", vec![0; 20 * (total as usize).div_ceil(16384)]);
        info.list("files", |list| {
            for (path, length, pad) in entries {
                list.dict(|file| {
                    file.bytes("attr", if *pad { "p" } else { "" }).int("length", *length);
                    file.list("path", |names| put(names, path.as_bytes()));
                });
            }
        });
    })
}

#[test]
fn m21_hybrid_halves_must_agree() {
    let tree = |tree: &mut DictWriter<'_>| {
        leaf(tree, "a", 100);
        leaf(tree, "b", 0);
        leaf(tree, "c", 5);
    };
    let pad = ("pad", 16284, true);
    let good = [("a", 100, false), pad, ("b", 0, false), ("c", 5, false)];
    assert!(read(hybrid(&good, tree)).is_ok());
    let ended = [("a", 100, false), ("b", 0, false), pad, ("c", 5, false), ("end", 16379, true)];
    assert_eq!(read(hybrid(&ended, tree)).unwrap().layout().piece_count(), 2);
    let says = |entries: &[(&str, i64, bool)]| {
        let error = read(hybrid(entries, tree)).unwrap_err();
        assert_eq!(error.verdict(), "contradicts itself");
        error.to_string().replace("its v1 and v2 halves differ: ", "")
    };
    assert_eq!(
        says(&[("x", 100, false), pad, ("b", 0, false), ("c", 5, false)]),
        "file 1 \"x\" has another path in the second"
    );
    assert_eq!(
        says(&[("a", 99, false), ("b", 0, false), ("c", 5, false)]),
        "file 1 \"a\" has another length in the second"
    );
    assert_eq!(says(&[("a", 100, false), ("b", 0, false), ("c", 5, false)]), "file 3 \"c\" does not start a piece");
    assert_eq!(
        says(&[("a", 100, false), pad, ("c", 5, false), ("b", 0, false)]),
        "file 3 \"c\" has another path in the second"
    );
    assert_eq!(says(&[("a", 100, false), pad, ("b", 0, false)]), "\"c\" is only in the second");
    let more = [("a", 100, false), pad, ("b", 0, false), ("c", 5, false), ("d", 0, false)];
    assert_eq!(says(&more), "file 5 \"d\" is only in the first");
    let far = [("a", 100, false), ("pad", 32668, true), ("b", 0, false), ("c", 5, false)];
    assert_eq!(says(&far), "file 2 \"pad\" is padding past the end of a piece");
    let first = [("pad", 16384, true), ("a", 100, false), pad, ("b", 0, false), ("c", 5, false)];
    assert_eq!(says(&first), "file 1 \"pad\" is padding past the end of a piece");
}

#[test]
fn m21_a_v2_torrent_with_a_part_of_the_v1_keys_is_refused() {
    let raw = dict(|info| {
        info.bytes("name", "n")
            .int("piece length", 16384)
            .int("meta version", 2)
            .dict("file tree", |tree| leaf(tree, "n", 5));
        info.bytes("pieces", [0; 20]);
    });
    assert_eq!(message(raw), "info.length is missing");
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

/// Ends a chain of writer calls.
fn drop_ref<T>(_: &mut T) {}
