//! `riverrun verify`.

use crate::room::Room;

fn room() -> Room {
    let room = Room::new();
    room.content("data/album/a.bin", 100_000).content("data/album/sub/b.bin", 70_000).content("data/album/c.bin", 1);
    room.run(&["create", "data/album", "-o", "album.torrent", "--v1", "--piece-length", "16Ki"]).ok();
    room.content("data/single.bin", 50_000);
    room.run(&["create", "data/single.bin", "-o", "single.torrent"]).ok();
    room
}

fn damage(room: &Room, name: &str, at: usize) {
    let mut bytes = room.read(name);
    bytes[at] ^= 1;
    room.write(name, bytes);
}

#[test]
fn good_content_is_found_in_every_way_to_name_it() {
    let room = room();
    for path in ["data", "data/", "data/album", "./data/../data"] {
        let ran = room.run(&["verify", "album.torrent", path]).ok();
        assert_eq!(ran.out, "ok          a.bin\nok          c.bin\nok          sub/b.bin\n");
        assert!(ran.err.ends_with(" · 3 files: all good\n"), "{}", ran.err);
    }
    for path in ["data", "data/single.bin"] {
        room.run(&["check", "single.torrent", path]).ok();
    }
    room.run(&["create", "data/single.bin", "-o", "data/beside.torrent"]).ok();
    room.run(&["verify", "data/beside.torrent"]).ok();
}

#[test]
fn every_kind_of_fault_is_named() {
    let room = room();
    damage(&room, "data/album/a.bin", 40_000);
    std::fs::remove_file(room.path("data/album/c.bin")).unwrap();
    room.write("data/album/sub/b.bin", &room.read("data/album/sub/b.bin")[..60_000]);
    room.write("data/album/more/x", "x");
    let ran = room.run(&["verify", "album.torrent", "data", "--extra", "--bad-pieces"]);
    assert_eq!(ran.code, 5, "{ran:#?}");
    let lines: Vec<&str> = ran.out.lines().collect();
    assert!(lines[0].starts_with("damaged     a.bin  (2 pieces)"), "{lines:?}");
    assert_eq!(lines[1], "missing     c.bin");
    assert!(lines[2].starts_with("wrong size  sub/b.bin  (60000 of 70000 bytes)"), "{lines:?}");
    assert_eq!(lines[3], "extra       more/x");
    assert!(lines[4].starts_with("bad pieces: 2, "), "{lines:?}");
    let document = room.run(&["verify", "album.torrent", "data", "--json"]).json();
    assert_eq!((&document["ok"], &document["files"][1]["state"]), (&false.into(), &"missing".into()));
    let ran = room.run(&["verify", "album.torrent", "data", "-q"]);
    assert_eq!((ran.out.lines().count(), ran.err.as_str()), (3, ""));
}

#[test]
fn a_part_can_be_checked_alone() {
    let room = room();
    damage(&room, "data/album/sub/b.bin", 69_999);
    room.run(&["verify", "album.torrent", "data", "--files", "1"]).ok();
    assert_eq!(room.run(&["verify", "album.torrent", "data", "--files", "b.*"]).code, 5);
    assert_eq!(room.run(&["verify", "album.torrent", "data", "--files", "nothing"]).code, 2);
}

#[test]
fn content_that_is_not_there() {
    let room = room();
    room.run(&["verify", "album.torrent", "nowhere"]).fails(3, &["error: nowhere: no such file or folder"]);
    let ran = room.run(&["verify", "album.torrent", ".home/.."]);
    assert_eq!(ran.code, 3, "{ran:#?}");
    room.write("empty/x", "");
    let ran = room.run(&["verify", "album.torrent", "empty"]);
    assert_eq!((ran.code, ran.out.lines().filter(|line| line.starts_with("missing ")).count()), (5, 3), "{ran:#?}");
}

#[test]
fn m20_a_torrent_without_piece_layers_says_what_is_missing() {
    let room = room();
    room.run(&["create", "data/album", "-o", "whole.torrent", "--v2", "--piece-length", "16Ki"]).ok();
    let whole = room.read("whole.torrent");
    let end = whole.windows(16).position(|part| part == b"12:piece layersd").unwrap();
    room.write("bare.torrent", [&whole[..end], b"e"].concat());
    let ran = room.run(&["verify", "bare.torrent", "data"]);
    assert_eq!(
        (ran.code, ran.out.as_str()),
        (5, "unknown     a.bin\nok          c.bin\nunknown     sub/b.bin\n"),
        "{ran:#?}"
    );
    let missing =
        "12 pieces cannot be judged: the torrent file lacks their hashes (\"piece layers\"), and only peers have them";
    assert!(ran.err.contains(missing), "{}", ran.err);
    let document = room.run(&["verify", "bare.torrent", "data", "--json", "--bad-pieces"]).json();
    assert_eq!((&document["unknown_pieces"], &document["bad_pieces"]), (&12.into(), &serde_json::json!([])));
    let ran = room.run(&["seed", "bare.torrent", "--data", "data", "--no-dht"]);
    assert_eq!(ran.code, 5, "{ran:#?}");
    assert!(ran.err.contains("12 of 13 pieces of album cannot be judged"), "{}", ran.err);
}
