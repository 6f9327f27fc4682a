//! `riverrun demo`: the smoke test.

use std::time::Instant;

use crate::room::Room;

#[test]
fn a_swarm_works_in_seconds_and_leaves_nothing() {
    let room = Room::new();
    let began = Instant::now();
    let ran = room.run(&["demo", "--size", "4Mi", "--leechers", "2"]).ok();
    assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
    assert!(ran.out.contains("compared       every byte is the same\n"), "{}", ran.out);
    assert!(ran.err.contains("\nnext:\n"), "{}", ran.err);
    assert_eq!(room.entries(), [""; 0]);
    assert_eq!(room.home_entries(), [""; 0]);
}

#[test]
fn p5_bad_data_is_found_out_and_its_sender_banned() {
    let room = Room::new();
    let document = room.run(&["demo", "--size", "8Mi", "--loss", "50", "--json"]).ok().json();
    assert_eq!(document["ok"], true);
    assert!(document["hash_failures"].as_u64().unwrap() > 0, "{document}");
    room.run(&["demo", "--loss", "150"]).fails(2, &["error: --loss: \"150\" is not a percentage from 0 to 100"]);
}

#[test]
fn what_is_kept_can_be_looked_at() {
    let room = Room::new();
    let ran = room.run(&["demo", "--size", "1Mi", "--fast", "--json", "--keep", "kept"]).ok();
    let document = ran.json();
    assert_eq!((&document["ok"], &document["bytes"]), (&true.into(), &(1 << 20).into()));
    assert_eq!(ran.err, "");
    room.run(&["verify", "kept/demo.torrent", "kept"]).ok();
    assert_eq!(room.run(&["demo", "--size", "1Mi", "--fast", "--keep", "kept"]).code, 9);
}
