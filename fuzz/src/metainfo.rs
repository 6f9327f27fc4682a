use std::collections::BTreeSet;

use bytes::Bytes;
use riverrun_metainfo::info::{Info, ParseOptions};
use riverrun_metainfo::metainfo::Metainfo;
use riverrun_metainfo::{PieceIndex, hash};

/// Torrent files: what is accepted holds together and is written back with the same info-hash.
pub fn metainfo(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let parsed = Metainfo::parse(bytes.clone());
    let lenient = Metainfo::parse_with(bytes, &ParseOptions { accept_unsafe_paths: true, ..ParseOptions::default() });
    match &parsed {
        Ok(_) => assert!(lenient.is_ok(), "more is accepted, not less"),
        Err(error) => {
            let sentence = error.sentence("x.torrent");
            assert!(sentence.len() < 2000 && !sentence.contains(char::is_control), "{sentence:?}");
            let _ = error.verdict();
        }
    }
    let Ok(metainfo) = lenient else { return };
    check_info(metainfo.info());
    assert!(metainfo.warnings().iter().all(|warning| !warning.to_string().contains(char::is_control)));

    let hashes = metainfo.piece_hashes();
    assert_eq!(hashes.piece_count(), metainfo.info().layout().piece_count());
    let last = hashes.piece_count();
    for piece in [0, 1, last / 2, last.saturating_sub(1)].into_iter().filter(|piece| *piece < last).map(PieceIndex) {
        let expected = hashes.expected(piece);
        assert_eq!(expected.v1.is_some(), metainfo.hashes().v1().is_some());
        if let Some(v2) = expected.v2 {
            assert!(v2.leaves.is_power_of_two() && v2.length <= metainfo.info().layout().length_of(piece));
        }
        let mut hasher = hashes.hasher(piece);
        hasher.update(data);
        let _ = hasher.finish();
    }
    assert_eq!(hashes.expected(PieceIndex(last)).v1, None);
    assert_eq!(hashes.expected(PieceIndex(u32::MAX)).v2, None);

    let written = metainfo.draft().encode();
    let again = Metainfo::parse_with(written.clone().into(), &lenient_options()).expect("what is written can be read");
    assert_eq!(again.hashes(), metainfo.hashes());
    assert_eq!(again.draft().encode(), written, "written twice, it is the same");
}

fn lenient_options() -> ParseOptions {
    ParseOptions { accept_unsafe_paths: true, max_bytes: 1 << 30, ..ParseOptions::default() }
}

fn check_info(info: &Info) {
    assert!(info.hashes().v1().is_none_or(|v1| v1.0 == hash::sha1(info.raw())));
    assert!(info.hashes().v2().is_none_or(|v2| v2.0 == hash::sha256(info.raw())));
    assert_eq!(info.layout().files().len(), info.files().len());
    let mut paths = BTreeSet::new();
    for (number, file) in info.files().iter().enumerate() {
        let place = info.layout().files()[number];
        assert_eq!((file.length, file.attributes.is_pad()), (place.length, place.pad));
        assert!(info.full_path(file).to_path_buf().is_relative());
        if !file.attributes.is_pad() {
            assert!(paths.insert(file.path.as_str()), "two files at {}", file.path);
        }
    }
    for path in &paths {
        let folders = path.match_indices('/').map(|(at, _)| &path[..at]);
        assert!(folders.into_iter().all(|folder| !paths.contains(folder)), "{path} lies in a file");
    }
    let alone = Info::from_raw_with(info.raw().clone(), &lenient_options()).expect("the dictionary alone can be read");
    assert_eq!(alone.hashes(), info.hashes());
    let edited = Info::from_raw_with(info.edited(Some(true), Some("tag")).into(), &lenient_options());
    let edited = edited.expect("with other values it can be read");
    assert!(edited.is_private() && edited.source() == Some("tag"));
    assert_eq!(edited.layout(), info.layout());
}
