//! Torrents made by other programs, of one folder of known content, must come out with the hashes that those programs print, and
//! every piece of the content must verify.
//!
//! Made with mktorrent 1.1, transmission-create 3.00, libtorrent 2.0.8 and the reference creator of BEP 52.

#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use bytes::Bytes;
use riverrun_metainfo::metainfo::Verdict;
use riverrun_metainfo::{Metainfo, PieceIndex};

const V1: &str = "dcd310dd7ee161a7a7c6b3c5a77c36763a07341f";
const V2: &str = "e474351347e3ffc9e428495265978b0caff7e6f272f3e3f48766b20dcdc30cdf";
const HYBRID: (&str, &str) =
    ("ac3566139423b623b269936cdc9aee61cf31f05f", "df6427b3f4be74d95c0bcae03f9b4f3fb4a43390aac16aad3615607a6ed70d13");

/// The folder's files with the number that their content is made from.
const FILES: [(&str, usize, usize); 6] = [
    ("Größe.bin", 100_000, 5),
    ("a.txt", 1, 0),
    ("b.bin", 16_384, 1),
    ("empty", 0, 2),
    ("sub/c.bin", 70_000, 3),
    ("sub/d.bin", 32_769, 4),
];

macro_rules! golden {
    ($name:literal) => {
        (include_bytes!(concat!("golden/", $name, ".torrent")).as_slice(), $name)
    };
}

fn content(length: usize, number: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + number * 17 + (at >> 8)) as u8).collect()
}

/// Parses a torrent, checks its hashes and files, and verifies every piece, good and with one bit turned.
fn check((bytes, name): (&'static [u8], &str), v1: Option<&str>, v2: Option<&str>, folder: &str) -> Metainfo {
    let metainfo =
        Metainfo::parse(Bytes::from_static(bytes)).unwrap_or_else(|error| panic!("{}", error.sentence(name)));
    assert_eq!(metainfo.warnings(), [], "{name}");
    assert_eq!(metainfo.hashes().v1().map(|hash| hash.to_string()).as_deref(), v1, "{name}");
    assert_eq!(metainfo.hashes().v2().map(|hash| hash.to_string()).as_deref(), v2, "{name}");
    let info = metainfo.info();
    let mut stream = vec![0; usize::try_from(info.layout().stream_length()).unwrap()];
    for (file, place) in info.files().iter().zip(info.layout().files()).filter(|(file, _)| !file.attributes.is_pad()) {
        let path = info.full_path(file).to_string();
        let known = FILES.iter().find(|(known, ..)| path == format!("{folder}{known}"));
        let (_, length, number) = known.unwrap_or_else(|| panic!("{name} has {path}"));
        assert_eq!(file.length, *length as u64, "{name} {path}");
        stream[place.offset as usize..][..*length].copy_from_slice(&content(*length, *number));
    }
    let hashes = metainfo.piece_hashes();
    for piece in (0..info.layout().piece_count()).map(PieceIndex) {
        let span = info.layout().piece_span(piece).unwrap();
        let mut bytes = stream[span.offset as usize..span.end() as usize].to_vec();
        let verdict = |bytes: &[u8]| {
            let mut hasher = hashes.hasher(piece);
            bytes.chunks(1000).for_each(|part| hasher.update(part));
            hasher.finish()
        };
        assert_eq!(verdict(&bytes), Verdict::Good, "{name} {piece:?}");
        bytes[0] ^= 1;
        assert_eq!(verdict(&bytes), Verdict::Corrupt, "{name} {piece:?}");
        assert_ne!(verdict(&bytes[1..]), Verdict::Good, "{name} {piece:?}");
    }
    metainfo
}

#[test]
fn v1_torrents() {
    let metainfo = check(golden!("libtorrent-v1"), Some(V1), None, "golden/");
    assert_eq!(metainfo.trackers(), [["http://127.0.0.1:6969/announce"]]);
    assert_eq!(metainfo.created_by(), Some("lt"));
    let metainfo = check(golden!("mktorrent"), Some("5ae74be63233889711a0a79112fee2308f36f276"), None, "golden/");
    assert_eq!(metainfo.created_by(), Some("mktorrent 1.1"));
    let metainfo = check(golden!("transmission"), Some("2405a1d0d389b1ff4c275910cb4a17e1c5cb05b0"), None, "golden/");
    assert!(metainfo.creation_date().is_some_and(|date| date > 1_600_000_000));
}

#[test]
fn v2_torrents() {
    for torrent in [golden!("libtorrent-v2"), golden!("reference-v2")] {
        let metainfo = check(torrent, None, Some(V2), "golden/");
        let paths: Vec<_> = metainfo.info().files().iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, FILES.map(|(path, ..)| path));
        assert_eq!(metainfo.piece_layers().len(), 3);
    }
    let only = "3e341da7b5e8ecd30276750311491f08d556f452d2b0ce3e5a60bb791cbf507b";
    let metainfo = check(golden!("libtorrent-v2-single"), None, Some(only), "");
    assert!(metainfo.info().is_single_file());
}

#[test]
fn hybrid_torrents() {
    for torrent in [golden!("libtorrent-hybrid"), golden!("reference-hybrid")] {
        let metainfo = check(torrent, Some(HYBRID.0), Some(HYBRID.1), "golden/");
        let info = metainfo.info();
        // Padding after every file whose last piece is short, the last file included.
        assert_eq!(info.files().iter().filter(|file| file.attributes.is_pad()).count(), 5);
        assert_eq!(info.layout().content_length(), 219_154);
    }
    let v1 = "67ce010ece27ed6715248c6ac24d7632364b923b";
    let v2 = "d61740925afa8f009b784f5647883e65bc026233c6268aceee9c7a199603df66";
    let metainfo = check(golden!("libtorrent-hybrid-single"), Some(v1), Some(v2), "");
    assert!(metainfo.info().is_single_file());
}

#[test]
fn written_again_they_are_the_same_bytes() {
    for (bytes, name) in [
        golden!("libtorrent-v1"),
        golden!("libtorrent-v2"),
        golden!("libtorrent-hybrid"),
        golden!("libtorrent-hybrid-single"),
        golden!("libtorrent-v2-single"),
        golden!("mktorrent"),
        golden!("transmission"),
        golden!("reference-hybrid"),
        golden!("reference-v2"),
    ] {
        let written = Metainfo::parse(Bytes::from_static(bytes)).unwrap().draft().encode();
        assert_eq!(written.escape_ascii().to_string(), bytes.escape_ascii().to_string(), "{name}");
    }
}
