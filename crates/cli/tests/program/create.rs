//! `riverrun create`.

use crate::room::Room;

fn album() -> Room {
    let room = Room::new();
    room.content("album/01.flac", 150_000).content("album/02.flac", 70_000).write("album/.hidden", "x");
    room
}

#[test]
fn the_same_content_gives_the_same_bytes() {
    let room = album();
    for format in ["--v1", "--v2", "--hybrid"] {
        let make = |args: &[&str], vars: &[(&str, &str)]| {
            let args: Vec<&str> = ["create", "album", "-o", "-", format].iter().chain(args).copied().collect();
            room.run_with_env(&args, vars).ok().out_bytes
        };
        let none = make(&["--date", "none"], &[]);
        assert_eq!(none, make(&["--date", "none", "--threads", "3"], &[]));
        let dated = make(&[], &[("SOURCE_DATE_EPOCH", "1234567890")]);
        assert_eq!(dated, make(&["--date", "2009-02-13T23:31:30Z"], &[]));
        assert_ne!(none, dated);
    }
}

#[test]
fn a_torrent_that_exists_is_not_replaced() {
    let room = album();
    room.write("album.torrent", "mine");
    room.run(&["create", "album"]).fails(9, &["error: album.torrent exists", "help: --force replaces it"]);
    assert_eq!(room.read("album.torrent"), b"mine");
    room.run(&["create", "album", "--force"]).ok();
    assert_ne!(room.read("album.torrent"), b"mine");
    assert_eq!(room.entries(), ["album.torrent", "album/.hidden", "album/01.flac", "album/02.flac"]);
}

#[test]
fn what_is_made_says_what_was_asked_for() {
    let room = album();
    room.run(&[
        "create",
        "album",
        "-o",
        "x.torrent",
        "-t",
        "http://127.0.0.1:1/a,http://127.0.0.1:2/a",
        "-t",
        "udp://127.0.0.1:3",
        "-w",
        "http://127.0.0.1:4/",
        "--piece-length",
        "16Ki",
        "-p",
        "--source",
        "TAG",
        "-c",
        "remark",
        "--name",
        "other",
        "--created-by",
        "none",
        "--date",
        "5",
        "--hidden",
    ])
    .ok();
    let document = room.run(&["info", "--json", "x.torrent"]).ok().json();
    assert_eq!(document["trackers"][0].as_array().unwrap().len(), 2);
    assert_eq!(document["trackers"][1][0], "udp://127.0.0.1:3");
    assert_eq!(document["web_seeds"][0], "http://127.0.0.1:4/");
    assert_eq!(document["piece_length"], 16_384);
    assert_eq!((&document["private"], &document["source"]), (&true.into(), &"TAG".into()));
    assert_eq!((&document["comment"], &document["name"]), (&"remark".into(), &"other".into()));
    assert_eq!((&document["created_by"], &document["creation_date"]), (&serde_json::Value::Null, &5.into()));
    let paths: Vec<_> = document["files"].as_array().unwrap().iter().map(|file| file["path"].clone()).collect();
    assert!(paths.contains(&"other/.hidden".into()), "{paths:?}");
}

#[test]
fn doubts_are_warnings_and_with_strict_errors() {
    let room = album();
    let args = ["create", "album", "--private", "--v1", "--piece-length", "20000"];
    let ran = room.run(&args).ok();
    assert_eq!(ran.err.lines().filter(|line| line.starts_with("warning: ")).count(), 2, "{}", ran.err);
    std::fs::remove_file(room.path("album.torrent")).unwrap();
    let ran = room.run(&[&args[..], &["--strict"]].concat());
    assert_eq!(ran.code, 2, "{ran:#?}");
    assert!(!room.path("album.torrent").exists());
    room.write("odd:name?", "x");
    assert!(room.run(&["create", "odd:name?"]).ok().err.contains("is not portable"));
}

#[test]
fn a_dry_run_writes_nothing() {
    let room = album();
    let ran = room.run(&["create", "album", "--dry-run", "--exclude", "02*"]).ok();
    assert_eq!(ran.out, "Would create a torrent of album: 146.5 KiB in 1 file, 10 pieces of 16 KiB.\n");
    assert!(!room.path("album.torrent").exists());
}

#[test]
fn files_are_chosen_by_patterns() {
    let room = album();
    let document = room.run(&["create", "album", "--json", "--include", "*.flac", "--exclude", "02*"]).ok().json();
    assert_eq!((&document["files"], &document["length"]), (&1.into(), &150_000.into()));
}

#[test]
fn the_torrent_is_no_part_of_its_own_content() {
    let room = album();
    let first = room.run(&["create", "album", "-o", "album/a.torrent", "--json"]).ok().json();
    let second = room.run(&["create", "album", "-o", "album/a.torrent", "--json", "--force"]).ok().json();
    assert_eq!(first["info_hash"], second["info_hash"]);
}

#[test]
fn content_that_is_not_there_or_empty() {
    let room = Room::new();
    room.run(&["create", "nothing"]).fails(3, &["error: nothing: no such file or folder"]);
    room.write("empty", "");
    let ran = room.run(&["create", "empty"]);
    assert_eq!(ran.code, 4, "{ran:#?}");
    assert_eq!(room.entries(), ["empty"]);
    room.write("x", "x");
    room.run(&["create", "x", "-o", "no/folder.torrent"]).fails(3, &["error: no: no such folder"]);
}

#[test]
fn the_magnet_link_is_printed_when_asked_for() {
    let room = album();
    let ran = room.run(&["create", "album", "--magnet"]).ok();
    assert!(ran.out.lines().last().unwrap().starts_with("magnet:?xt=urn:btih:"), "{}", ran.out);
}
