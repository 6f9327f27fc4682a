//! `riverrun magnet` and `riverrun edit`.

use crate::room::Room;

fn room() -> Room {
    let room = Room::new();
    room.content("album/a.flac", 50_000).content("album/b.png", 1_000).content("album/c.flac", 2_000);
    room.run(&["create", "album", "-t", "http://127.0.0.1:1/announce", "--date", "none"]).ok();
    room
}

fn hashes(room: &Room, torrent: &str) -> (serde_json::Value, serde_json::Value) {
    let document = room.run(&["info", "--json", torrent]).ok().json();
    (document["info_hash"].clone(), document["info_hash_v2"].clone())
}

#[test]
fn a_magnet_link_names_what_was_asked_for() {
    let room = room();
    let link = room.run(&["magnet", "album.torrent"]).ok().out;
    assert!(link.contains("&tr=http%3A%2F%2F127.0.0.1%3A1%2Fannounce"), "{link}");
    let link = room
        .run(&["magnet", "album.torrent", "--no-trackers", "--peer", "127.0.0.1:5000", "--select", "*.flac"])
        .ok()
        .out;
    assert!(!link.contains("&tr="), "{link}");
    assert!(link.contains("&x.pe=127.0.0.1:5000") || link.contains("&x.pe=127.0.0.1%3A5000"), "{link}");
    assert!(link.contains("&so=0,"), "{link}");
    assert_eq!(link.lines().count(), 1);
    room.run(&["magnet", "album.torrent", "--peer", "nowhere"])
        .fails(2, &["error: --peer \"nowhere\": no port; an address is HOST:PORT or [IPV6]:PORT"]);
}

#[test]
fn a_qr_code_is_a_square() {
    let room = room();
    let ran = room.run(&["magnet", "album.torrent", "--no-trackers", "--qr"]).ok();
    let rows: Vec<&str> = ran.out.lines().skip(1).collect();
    let width = rows[0].chars().count();
    assert!(rows.iter().all(|row| row.chars().count() == width));
    assert_eq!(rows.len(), width.div_ceil(2));
}

#[test]
fn a_choice_that_fits_nothing_lists_the_files() {
    room()
        .run(&["magnet", "album.torrent", "--select", "*.mp3"])
        .fails(2, &["error: no file matches \"*.mp3\"", "help: the files are: 1 a.flac, 2 b.png, 3 c.flac"]);
}

#[test]
fn edits_around_the_info_dictionary_keep_the_hash() {
    let room = room();
    let before = hashes(&room, "album.torrent");
    let ran = room
        .run(&[
            "edit",
            "album.torrent",
            "--add-tracker",
            "udp://127.0.0.1:2",
            "--comment",
            "hi",
            "--add-webseed",
            "http://127.0.0.1:3/",
        ])
        .ok();
    assert_eq!(ran.out, format!("Wrote album.torrent. The info-hash stays {}.\n", before.0.as_str().unwrap()));
    assert_eq!(hashes(&room, "album.torrent"), before);
    let document = room.run(&["info", "--json", "album.torrent"]).ok().json();
    assert_eq!(document["trackers"].as_array().unwrap().len(), 2);
    assert_eq!((&document["comment"], &document["web_seeds"][0]), (&"hi".into(), &"http://127.0.0.1:3/".into()));
    room.run(&["edit", "album.torrent", "--rm-tracker", "udp://127.0.0.1:2", "--comment", "", "-o", "b.torrent"]).ok();
    let document = room.run(&["info", "--json", "b.torrent"]).ok().json();
    assert_eq!(document["trackers"].as_array().unwrap().len(), 1);
    assert_eq!(document["comment"], serde_json::Value::Null);
    room.run(&["edit", "b.torrent", "--set-trackers", "none"]).ok();
    assert_eq!(room.run(&["info", "--trackers", "b.torrent"]).ok().out, "");
    assert_eq!(room.run(&["edit", "b.torrent", "--rm-tracker", "udp://127.0.0.1:9"]).code, 2);
}

#[test]
fn another_info_hash_wants_consent() {
    let room = room();
    let bytes = room.read("album.torrent");
    room.run(&["edit", "album.torrent", "--private", "yes"]).fails(
        2,
        &[
            "error: these changes give the torrent another info-hash: it would be another torrent",
            "help: --allow-new-hash, and share the new torrent file",
        ],
    );
    assert_eq!(room.read("album.torrent"), bytes);
    let ran = room.run(&["edit", "album.torrent", "--private", "yes", "--allow-new-hash", "-o", "p.torrent"]).ok();
    assert!(ran.out.contains("The info-hash changes from "), "{}", ran.out);
    assert_ne!(hashes(&room, "p.torrent"), hashes(&room, "album.torrent"));
    room.run(&["edit", "album.torrent", "--private", "no"]).ok();
    assert_eq!(room.read("album.torrent"), bytes, "nothing changed");
    room.run(&["edit", "album.torrent", "-o", "p.torrent"])
        .fails(9, &["error: p.torrent exists", "help: --force replaces it"]);
}
