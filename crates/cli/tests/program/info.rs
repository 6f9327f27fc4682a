//! `riverrun info`.

use crate::room::Room;

fn room() -> Room {
    let room = Room::new();
    room.content("single.bin", 100_000);
    room.content("album/01.flac", 50_000).content("album/art/front.png", 1_000).write("album/empty", "");
    let tracker = "http://127.0.0.1:1/announce";
    room.run(&["create", "single.bin", "--v1", "--date", "none", "--piece-length", "32Ki", "-t", tracker]).ok();
    room.run(&["create", "album", "--date", "2026-11-22", "-t", tracker, "-c", "a remark"]).ok();
    room
}

#[test]
fn the_labels_of_the_tutorial_come_first() {
    let room = room();
    let ran = room.run(&["info", "single.bin.torrent"]).ok();
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines[0], "Tracker URL: http://127.0.0.1:1/announce");
    assert_eq!(lines[1], "Length: 100000");
    assert!(lines[2].starts_with("Info Hash: ") && lines[2].len() == "Info Hash: ".len() + 40, "{}", lines[2]);
    assert_eq!(lines[3..8], ["Name: single.bin", "Piece Length: 32768", "Pieces: 4", "Files: 1", "Private: no"]);
    let at = lines.iter().position(|line| *line == "Piece Hashes:").unwrap();
    let hashes = &lines[at + 1..];
    assert_eq!(hashes.len(), 4, "all of them in a pipe: {hashes:?}");
    assert!(hashes.iter().all(|hash| hash.len() == 40 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())));
}

#[test]
fn folders_show_their_tree() {
    let room = room();
    let ran = room.run(&["show", "album.torrent"]).ok();
    assert!(ran.out.contains("Created: 2026-11-22 00:00:00 UTC\n"), "{}", ran.out);
    assert!(ran.out.contains("Comment: a remark\n"));
    assert!(
        ran.out.contains("album/\n  ├─ 01.flac  48.8 KiB\n  ├─ art/\n  │  └─ front.png  1000 B\n  └─ empty  0 B\n")
    );
    assert!(ran.out.contains("\nInfo Hash v2: "));
    let ran = room.run(&["info", "--files", "album.torrent"]).ok();
    assert_eq!(ran.out, "1    48.8 KiB  01.flac\n2      1000 B  art/front.png\n3         0 B  empty\n");
    let ran = room.run(&["info", "--trackers", "album.torrent"]).ok();
    assert_eq!(ran.out, "http://127.0.0.1:1/announce\n");
    let ran = room.run(&["info", "--raw", "album.torrent"]).ok();
    assert!(ran.out.contains("\n  info: dictionary\n"));
}

#[test]
fn the_document_has_every_field() {
    let room = room();
    let document = room.run(&["info", "--json", "album.torrent"]).ok().json();
    let keys: Vec<&str> = document.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = [
        "v",
        "name",
        "info_hash",
        "info_hash_v2",
        "length",
        "piece_length",
        "pieces",
        "files",
        "private",
        "trackers",
        "web_seeds",
        "comment",
        "created_by",
        "creation_date",
        "source",
        "magnet",
        "warnings",
    ];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!(document["length"], 51_000);
    assert_eq!(document["files"][0]["path"], "album/01.flac");
    assert_eq!(document["files"][1]["pad"], true);
    let magnet = document["magnet"].as_str().unwrap();
    let of_magnet = room.run(&["info", "--json", magnet]).ok().json();
    assert_eq!(of_magnet["info_hash"], document["info_hash"]);
    assert_eq!(of_magnet["info_hash_v2"], document["info_hash_v2"]);
    assert_eq!(of_magnet["files"], serde_json::Value::Null);
    assert_eq!(of_magnet.as_object().unwrap().len(), expected.len());
}

#[test]
fn standard_input_is_read() {
    let room = room();
    let from_file = room.run(&["info", "single.bin.torrent"]).ok().out;
    let from_input = room.run_with_input(&["info", "-"], &room.read("single.bin.torrent")).ok().out;
    assert_eq!(from_file, from_input);
}
