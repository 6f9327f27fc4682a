#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use bytes::Bytes;

use super::*;
use crate::bencode::{DictWriter, dict};

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
