#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use bytes::Bytes;

use proptest::prelude::*;

use super::*;
use crate::bencode::{DictWriter, dict};
use crate::samples::Folder;

/// A v1 torrent of one file with as many zero hashes as its pieces need.
fn v1_info(length: i64, piece_length: i64, more: impl FnOnce(&mut DictWriter<'_>)) -> Vec<u8> {
    let pieces =
        vec![0; 20 * usize::try_from(length.div_euclid(piece_length) + i64::from(length % piece_length > 0)).unwrap()];
    dict(|info| {
        info.int("length", length)
            .bytes("name", "single.bin")
            .int("piece length", piece_length)
            .bytes("pieces", pieces);
        more(info);
    })
}

fn torrent(info: &[u8], more: impl FnOnce(&mut DictWriter<'_>)) -> Vec<u8> {
    dict(|root| {
        root.raw("info", info);
        more(root);
    })
}

fn parse(bytes: impl AsRef<[u8]>) -> Result<Metainfo, MetainfoError> {
    Metainfo::parse(Bytes::copy_from_slice(bytes.as_ref()))
}

fn sentence(bytes: impl AsRef<[u8]>) -> String {
    parse(bytes).unwrap_err().sentence("x.torrent")
}

#[test]
fn a_plain_torrent() {
    let info = v1_info(67_108_864, 65_536, |_| {});
    let metainfo = parse(torrent(&info, |root| {
        root.bytes("announce", "http://t.example/announce")
            .bytes("comment", "a remark")
            .bytes("created by", "a program");
        root.int("creation date", 1_700_000_000).bytes("url-list", "http://w.example/single.bin");
    }))
    .unwrap();
    assert_eq!(metainfo.trackers(), [["http://t.example/announce"]]);
    assert_eq!(metainfo.web_seeds(), ["http://w.example/single.bin"]);
    assert_eq!((metainfo.comment(), metainfo.created_by()), (Some("a remark"), Some("a program")));
    assert_eq!(metainfo.creation_date(), Some(1_700_000_000));
    assert_eq!(metainfo.warnings(), []);
    let parsed = metainfo.info();
    assert_eq!((parsed.name().as_str(), parsed.is_single_file(), parsed.is_private()), ("single.bin", true, false));
    assert_eq!((parsed.layout().piece_count(), parsed.layout().content_length()), (1024, 67_108_864));
    assert_eq!(parsed.raw(), &info);
    assert_eq!(metainfo.hashes().v1().unwrap().0, crate::hash::sha1(&info));
    assert_eq!(metainfo.hashes().v2(), None);
}

#[test]
fn bad_files_are_described_in_one_sentence() {
    assert_eq!(sentence(b""), "x.torrent is empty (0 bytes)");
    assert_eq!(
        sentence(b"<html><body>log in</body></html>"),
        "x.torrent is a web page, not a torrent (it starts with \"<html>\")"
    );
    assert_eq!(
        sentence(b"\n\xef\xbb\xbf <!DOCTYPE html>"),
        "x.torrent is a web page, not a torrent (it starts with \"<!DOCTYPE html>\")"
    );
    assert_eq!(sentence(b"no torrent"), "x.torrent is not a torrent: expected \"d\" at byte 0, found \"n\"");
    assert_eq!(sentence(b"\x1f\x8b"), "x.torrent is not a torrent: expected \"d\" at byte 0, found \"\\x1f\"");
    assert_eq!(sentence(b"d1:ai1ee"), "x.torrent is not a torrent: it has no \"info\" dictionary");
    let whole = torrent(&v1_info(65_536 * 1024, 65_536, |_| {}), |_| {});
    let start = whole.len() - 2 - 20480;
    assert_eq!(
        sentence(&whole[..start + 14]),
        format!("x.torrent is cut off: \"info.pieces\" promises 20480 bytes at byte {start}, the file has 14")
    );
    assert_eq!(sentence(&whole[..20]), "x.torrent is cut off: it ends at byte 20, within \"info.length\"");
    let short = dict(|info| {
        info.int("length", 65_536 * 1024)
            .bytes("name", "n")
            .int("piece length", 65_536)
            .bytes("pieces", vec![0; 20479]);
    });
    assert_eq!(
        sentence(torrent(&short, |_| {})),
        "x.torrent is damaged: info.pieces has 20479 bytes, not a multiple of 20"
    );
    let few = dict(|info| {
        info.int("length", 65_536 * 900).bytes("name", "n").int("piece length", 65_536).bytes("pieces", vec![0; 20480]);
    });
    assert_eq!(
        sentence(torrent(&few, |_| {})),
        "x.torrent contradicts itself: 1024 piece hashes for 900 pieces of 64 KiB"
    );
}

#[test]
fn b6_a_key_twice_at_the_top_is_refused() {
    let info = v1_info(10, 16, |_| {});
    let twice = [b"d4:info".as_slice(), &info, b"4:info", &info, b"e"].concat();
    assert_eq!(sentence(twice), format!("x.torrent is damaged: info is there twice, again at byte {}", 7 + info.len()));
    let apart = [b"d7:comment1:a4:info".as_slice(), &info, b"7:comment1:be"].concat();
    assert!(matches!(parse(apart), Err(MetainfoError::Repeated { key, .. }) if key == "comment"));
    // A key twice in a part that nobody reads harms nobody.
    let unread = torrent(&info, |root| drop_ref(root.raw("x", b"d1:ai1e1:ai2ee")));
    assert_eq!(parse(unread).unwrap().warnings(), []);
}

#[test]
fn b7_unsorted_keys_at_the_top_are_a_warning() {
    let info = v1_info(10, 16, |_| {});
    let unsorted = [b"d4:info".as_slice(), &info, b"8:announce10:http://t/ae"].concat();
    let metainfo = parse(unsorted).unwrap();
    assert_eq!(metainfo.warnings(), [Warning::Unsorted]);
    assert_eq!(metainfo.trackers(), [["http://t/a"]]);
    assert_eq!(metainfo.hashes().v1().unwrap().0, crate::hash::sha1(&info));
}

#[test]
fn b8_line_ends_and_zeros_after_the_end_are_ignored() {
    let whole = torrent(&v1_info(10, 16, |_| {}), |_| {});
    for end in [&b"\n"[..], b"\r\n", b"\0\0\0", b"\n\0"] {
        assert_eq!(parse([&whole, end].concat()).unwrap().hashes(), parse(&whole).unwrap().hashes());
    }
    let more = [&whole[..], b"\nd"].concat();
    let offset = whole.len() + 1;
    assert_eq!(sentence(&more), format!("x.torrent is damaged: more bytes after the end, at byte {offset}"));
    assert!(parse([b" ", &whole[..]].concat()).is_err());
}

#[test]
fn b9_optional_fields_of_the_wrong_kind_are_left_out() {
    let metainfo = parse(torrent(&v1_info(10, 16, |_| {}), |root| {
        root.int("announce", 1)
            .int("announce-list", 2)
            .int("comment", 3)
            .list("created by", |_| {})
            .bytes("creation date", "x");
        root.int("url-list", 4).int("nodes", 5);
    }))
    .unwrap();
    assert_eq!((metainfo.trackers().len(), metainfo.web_seeds().len(), metainfo.nodes().len()), (0, 0, 0));
    assert_eq!((metainfo.comment(), metainfo.created_by(), metainfo.creation_date()), (None, None, None));
    let mut dropped: Vec<_> = metainfo.warnings().iter().map(ToString::to_string).collect();
    dropped.sort();
    let keys = ["announce", "announce-list", "comment", "created by", "creation date", "nodes", "url-list"];
    assert_eq!(dropped, keys.map(|key| format!("{key} is not valid and was left out")));
    assert!(matches!(parse(b"d4:infoi1ee"), Err(MetainfoError::NoInfo)));
}

#[test]
fn b10_every_prefix_is_an_error() {
    let folder = Folder::new(16384, &[("a", 50_000), ("b/c", 7)]);
    for draft in [folder.v1(), folder.v2(), folder.hybrid()] {
        let draft = Draft { trackers: vec![vec!["http://t/a".into()]], comment: Some("c".into()), ..draft };
        let whole = Bytes::from(draft.encode());
        assert!(Metainfo::parse(whole.clone()).is_ok());
        for end in 0..whole.len() {
            let error = Metainfo::parse(whole.slice(..end)).unwrap_err();
            assert!(matches!(error, MetainfoError::Empty | MetainfoError::CutOff { .. }), "{end}: {error}");
        }
    }
}

proptest! {
    #[test]
    fn b10_changed_bytes_never_panic(kind in 0..3, at in any::<prop::sample::Index>(), new: u8, cut in any::<prop::sample::Index>()) {
        let folder = Folder::new(16384, &[("a", 40_000), ("b/c", 7), ("b/d", 0)]);
        let mut bytes = match kind { 0 => folder.v1(), 1 => folder.v2(), _ => folder.hybrid() }.encode();
        let at = at.index(bytes.len());
        bytes[at] = new;
        if let Ok(metainfo) = parse(&bytes) {
            let hashes = metainfo.piece_hashes();
            for piece in 0..metainfo.info().layout().piece_count() + 2 {
                let _ = hashes.expected(crate::PieceIndex(piece));
            }
            prop_assert!(parse(metainfo.draft().encode()).is_ok());
        }
        bytes.remove(cut.index(bytes.len()));
        if let Err(error) = parse(&bytes) {
            prop_assert!(!error.sentence("x").is_empty());
        }
    }

    #[test]
    fn what_a_draft_writes_reads_back(
        trackers in prop::collection::vec(prop::collection::vec("(http|https|udp|ws|wss)://[a-z]{1,8}:[1-9][0-9]{0,3}/[a-z]{0,4}", 1..4), 0..4),
        web_seeds in prop::collection::btree_set("https?://[a-z]{1,8}/[a-z]{0,4}", 0..3),
        nodes in prop::collection::vec(("[a-z]{1,8}", 1u16..), 0..3),
        comment: Option<String>,
        created_by: Option<String>,
        creation_date: Option<i64>,
    ) {
        let mut seen = std::collections::HashSet::new();
        let trackers: Vec<Vec<String>> = trackers.into_iter()
            .map(|tier| tier.into_iter().filter(|url| seen.insert(url.clone())).collect::<Vec<_>>())
            .filter(|tier| !tier.is_empty())
            .collect();
        let draft = Draft {
            trackers,
            web_seeds: web_seeds.into_iter().collect(),
            nodes,
            comment,
            created_by,
            creation_date,
            others: vec![(Bytes::from_static(b"x"), Bytes::from_static(b"i1e"))],
            ..Draft::new(v1_info(10, 16, |_| {}).into())
        };
        let metainfo = parse(draft.encode()).unwrap();
        prop_assert_eq!(metainfo.warnings(), []);
        prop_assert_eq!(metainfo.draft(), draft);
    }
}

#[test]
fn announce_is_ignored_if_there_is_a_list() {
    let info = v1_info(10, 16, |_| {});
    let trackers = |list: &'static [u8]| {
        let bytes =
            torrent(&info, |root| drop_ref(root.bytes("announce", "http://alone/a").raw("announce-list", list)));
        parse(bytes).unwrap().trackers().to_vec()
    };
    let two = trackers(b"ll10:http://a/a10:http://b/bel10:http://c/cee");
    assert_eq!(two, [vec!["http://a/a", "http://b/b"], vec!["http://c/c"]]);
    assert_eq!(trackers(b"le"), [["http://alone/a"]]);
    assert_eq!(trackers(b"llel0:ee"), [["http://alone/a"]]);
    assert_eq!(trackers(b"ll10:http://a/ael10:http://a/aee"), [["http://a/a"]]);
    assert_eq!(trackers(b"l10:http://a/a10:http://b/be"), [["http://a/a"], ["http://b/b"]]);
    let only_list = torrent(&info, |root| drop_ref(root.raw("announce-list", b"ll10:http://a/aee")));
    assert_eq!(parse(only_list).unwrap().trackers(), [["http://a/a"]]);
    assert_eq!(parse(torrent(&info, |_| {})).unwrap().trackers().len(), 0);
}

#[test]
fn http_seeds_of_the_older_kind_are_known_for_what_they_are() {
    let info = v1_info(10, 16, |_| {});
    let old = b"l10:http://a/ae";
    let alone = parse(torrent(&info, |root| drop_ref(root.raw("httpseeds", old)))).unwrap();
    assert!(alone.has_only_http_seeds() && alone.web_seeds().is_empty());
    let both = torrent(&info, |root| drop_ref(root.raw("httpseeds", old).bytes("url-list", "http://w/")));
    assert!(!parse(both).unwrap().has_only_http_seeds());
    assert!(!parse(torrent(&info, |_| {})).unwrap().has_only_http_seeds());
}

#[test]
fn web_seeds_and_nodes() {
    let info = v1_info(10, 16, |_| {});
    let metainfo = parse(torrent(&info, |root| {
        root.raw("url-list", b"l10:http://a/a0:11:https://b/be");
        root.raw("nodes", b"ll9:127.0.0.1i6881eel3:::1i1eel1:xi0eel1:xi65536eel1:xei1ee");
    }))
    .unwrap();
    assert_eq!(metainfo.web_seeds(), ["http://a/a", "https://b/b"]);
    assert_eq!(metainfo.nodes(), [("127.0.0.1".to_owned(), 6881), ("::1".to_owned(), 1)]);
    assert_eq!(metainfo.warnings().len(), 4);
    assert_eq!(metainfo.warnings()[0].to_string(), "nodes.2 is not valid and was left out");
}

#[test]
fn m24_addresses_are_filtered_and_passwords_not_shown() {
    let metainfo = parse(torrent(&v1_info(10, 16, |_| {}), |root| {
        root.list("announce-list", |tiers| {
            for url in [
                "file:///etc/passwd",
                "http://user:secret@t/a",
                "udp://t:1",
                "wss://t",
                "http://tr\u{430}cker/",
                "ftp://u:secret@h/\u{202e}",
            ] {
                tiers.list(|tier| drop_ref(tier.bytes(url)));
            }
        });
        root.list("url-list", |list| drop_ref(list.bytes("http://w/").bytes("file:///x").bytes("udp://t:1")));
    }))
    .unwrap();
    assert_eq!(metainfo.trackers(), [["http://user:secret@t/a"], ["udp://t:1"], ["wss://t"]]);
    assert_eq!(metainfo.web_seeds(), ["http://w/"]);
    let warnings: Vec<_> = metainfo.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 5);
    assert!(
        warnings[0].starts_with("announce-list: \"file:///etc/passwd\" was left out: scheme \"file\""),
        "{warnings:?}"
    );
    assert!(warnings.iter().all(|text| !text.contains("secret") && !text.contains('\u{202e}')), "{warnings:?}");
    assert!(!format!("{metainfo:?}").contains("secret"));
}

#[test]
fn m18_very_many_files_and_trackers() {
    let info = dict(|info| {
        info.bytes("name", "n").int("piece length", 1 << 20).bytes("pieces", vec![0; 20 * 287]);
        info.list("files", |files| {
            for number in 0..300_000u32 {
                files.dict(|file| {
                    file.int("length", 1000).list("path", |path| {
                        path.bytes((number / 100).to_string()).bytes(number.to_string());
                    });
                });
            }
        });
    });
    let metainfo = parse(torrent(&info, |root| {
        root.list("announce-list", |tiers| {
            for number in 0..10_000 {
                tiers.list(|tier| drop_ref(tier.bytes(format!("http://t{number}/a"))));
                tiers.list(|tier| drop_ref(tier.bytes(format!("file://t{number}/a"))));
            }
        });
    }))
    .unwrap();
    assert_eq!((metainfo.info().files().len(), metainfo.trackers().len()), (300_000, 10_000));
    assert_eq!(metainfo.info().layout().content_length(), 300_000_000);
    assert_eq!((metainfo.warnings().len(), metainfo.warnings().last()), (101, Some(&Warning::More)));
}

#[test]
fn m19_layers_must_lead_to_the_root_of_a_file() {
    let folder = Folder::new(32768, &[("a", 100_000), ("small", 20_000), ("whole", 32768)]);
    let good = folder.v2();
    assert!(parse(good.encode()).unwrap().warnings().is_empty());
    let (root, layer) = folder.layers().pop_first().unwrap();
    let with = |root: &[u8], layer: &[u8]| {
        let info = good.info.clone();
        sentence(torrent(&info, |top| drop_ref(top.dict("piece layers", |layers| drop_ref(layers.bytes(root, layer))))))
    };
    let says =
        |text: String| text.split_once(" is damaged: piece layer ").unwrap().1.split_once(' ').unwrap().1.to_owned();
    let mut wrong = layer.to_vec();
    wrong[40] ^= 1;
    assert_eq!(says(with(&root, &wrong)), "does not lead to its root");
    let leaves: Vec<u8> = folder.files["a"].chunks(16384).flat_map(crate::hash::sha256).collect();
    assert_eq!(says(with(&root, &leaves)), "has not one hash for each piece of its file");
    assert_eq!(says(with(&root, &layer[..96])), "has not one hash for each piece of its file");
    assert_eq!(says(with(&root, &layer[..127])), "has not one hash for each piece of its file");
    assert_eq!(says(with(&root, b"")), "has not one hash for each piece of its file");
    assert_eq!(says(with(&[9; 32], &layer)), "is for no file of the torrent");
    assert_eq!(says(with(&[9; 31], &layer)), "is for a root that is not 32 bytes long");
    for file in ["small", "whole"] {
        let root = crate::samples::tree_root(&folder.files[file], 2);
        assert_eq!(says(with(&root, &root)), "is for a file of one piece, which has none");
    }
    let kind = torrent(&good.info, |top| drop_ref(top.raw("piece layers", b"le")));
    assert_eq!(sentence(kind), "x.torrent is damaged: piece layers is a list, not a dictionary");
    let twice = [b"d4:info".as_slice(), &good.info, b"12:piece layersd1:a0:1:a0:ee"].concat();
    assert!(sentence(twice).starts_with("x.torrent is damaged: piece layers.a is there twice"));
}

#[test]
fn m20_v2_without_layers_loads_and_knows_what_it_lacks() {
    let folder = Folder::new(32768, &[("a", 100_000), ("b", 70_000), ("small", 20_000)]);
    let whole = folder.v2();
    for draft in
        [Draft { piece_layers: None, ..whole.clone() }, Draft { piece_layers: Some(BTreeMap::new()), ..whole.clone() }]
    {
        let metainfo = parse(draft.encode()).unwrap();
        assert_eq!(metainfo.warnings(), [Warning::NoLayers { files: 2 }]);
        assert!(metainfo.piece_hashes().lacks_layers());
        assert_eq!(metainfo.draft(), draft);
    }
    let metainfo = parse(whole.encode()).unwrap();
    assert!(!metainfo.piece_hashes().lacks_layers() && metainfo.info().piece_hashes().lacks_layers());
    assert_eq!(metainfo.piece_layers(), &folder.layers());
}

#[test]
fn files_with_the_same_bytes_share_a_layer() {
    let mut folder = Folder::new(16384, &[("a", 50_000)]);
    folder.files.insert("b", folder.files["a"].clone());
    let metainfo = parse(folder.v2().encode()).unwrap();
    assert_eq!((metainfo.piece_layers().len(), metainfo.info().layout().piece_count()), (1, 8));
    let hashes = metainfo.piece_hashes();
    assert_eq!(hashes.expected(crate::PieceIndex(1)), hashes.expected(crate::PieceIndex(5)));
}

#[test]
fn edits_keep_the_info_dictionary_and_what_is_not_known() {
    let info = v1_info(10, 16, |info| drop_ref(info.bytes("unknown", "x")));
    let bytes = torrent(&info, |root| {
        root.bytes("announce", "http://old/a")
            .bytes("encoding", "UTF-8")
            .raw("publisher", b"l1:ae")
            .bytes("comment", "old");
        root.bytes("comment.utf-8", "old too");
    });
    let metainfo = parse(bytes).unwrap();
    assert_eq!(metainfo.comment(), Some("old too"));
    let mut draft = metainfo.draft();
    draft.trackers = vec![vec!["http://new/a".into()], vec!["udp://new:1".into()]];
    draft.comment = Some("new".into());
    draft.web_seeds = vec!["http://w/".into(), "http://v/".into()];
    let edited = parse(draft.encode()).unwrap();
    assert_eq!(edited.hashes(), metainfo.hashes());
    assert_eq!(edited.info().raw(), &info);
    assert_eq!(edited.comment(), Some("new"));
    assert_eq!(edited.draft(), draft);
    assert_eq!(edited.draft().others.len(), 2);
    let text = edited.draft().encode().escape_ascii().to_string();
    assert!(text.starts_with(
        "d8:announce12:http://new/a13:announce-listll12:http://new/ael11:udp://new:1ee7:comment3:new8:encoding5:UTF-8"
    ));
}

#[test]
fn a_key_of_an_old_v1_torrent_that_looks_like_v2_is_kept() {
    let info = v1_info(10, 16, |_| {});
    let metainfo = parse(torrent(&info, |root| drop_ref(root.raw("piece layers", b"i1e")))).unwrap();
    assert!(metainfo.piece_layers().is_empty());
}

fn drop_ref<T>(_: &mut T) {}
