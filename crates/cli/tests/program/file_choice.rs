//! `download --files`: what is in the folder then, after another choice, and after a crash.

use crate::room::Room;
use crate::swarm::{Seeder, Watched, signal};

/// Four files whose borders lie within pieces.
fn room() -> Room {
    let room = Room::new();
    for (name, length) in [("a.bin", 100_000), ("b.bin", 3_000_001), ("c/c.bin", 1_000), ("d.bin", 70_003)] {
        room.content(&format!("data/set/{name}"), length);
    }
    room.run(&["create", "data/set", "-o", "set.torrent", "--v1", "--piece-length", "16Ki"]).ok();
    room
}

fn downloaded(room: &Room) -> Vec<String> {
    room.entries().into_iter().filter(|name| name.starts_with("out")).collect()
}

fn visible(room: &Room) -> Vec<String> {
    downloaded(room).into_iter().filter(|name| !name.contains("/.")).collect()
}

fn is_right(room: &Room, name: &str) -> bool {
    room.read(&format!("out/set/{name}")) == room.read(&format!("data/set/{name}"))
}

#[test]
fn only_what_is_chosen_appears_and_another_choice_goes_on() {
    let room = room();
    let seeder = Seeder::start(&room, &["set.torrent", "--data", "data"]);
    let download = |args: &[&str]| {
        room.run(&[&["download", "--peer", &seeder.addr, "-d", "out", "set.torrent"], args].concat()).ok()
    };
    download(&["--files", "b.bin"]);
    assert_eq!(visible(&room), ["out/set/b.bin"]);
    assert!(is_right(&room, "b.bin"));
    let hidden: Vec<_> = downloaded(&room).into_iter().filter(|name| name.ends_with(".parts")).collect();
    assert_eq!((hidden.len(), downloaded(&room).len()), (1, 2), "{hidden:?}");
    room.run(&["verify", "set.torrent", "out/set", "--files", "b.bin", "--extra"]).ok();
    let again = download(&["--files", "b.bin"]);
    assert_eq!(again.out, "set is already complete at out/set.\n");

    download(&["--files", "c.bin"]);
    assert_eq!(visible(&room), ["out/set/b.bin", "out/set/c/c.bin"]);
    assert!(is_right(&room, "b.bin") && is_right(&room, "c/c.bin"));

    download(&[]);
    assert_eq!(downloaded(&room), ["out/set/a.bin", "out/set/b.bin", "out/set/c/c.bin", "out/set/d.bin"]);
    room.run(&["verify", "set.torrent", "out/set", "--extra"]).ok();
}

#[test]
fn l7_a_run_that_is_killed_goes_on_with_the_same_and_with_another_choice() {
    let room = room();
    let seeder = Seeder::start(&room, &["set.torrent", "--data", "data", "--up-limit", "1Mi"]);
    let args = ["download", "--peer", &seeder.addr, "-d", "out", "--progress-interval", "100ms", "set.torrent"];
    for choice in [&["--files", "2"][..], &["--files", "2,4"], &["--exclude", "1"], &[]] {
        let mut run = Watched::start(&room, &[&args, choice].concat());
        run.until(|line| line.starts_with("progress") && !line.contains("  0 B/s  up"));
        signal(run.id(), "KILL");
        run.finish();
        assert!(choice.is_empty() || !room.path("out/set/a.bin").exists(), "{choice:?}: {:?}", downloaded(&room));
    }
    room.run(&[&args[..], &["--files", "4"]].concat()).ok();
    assert!(is_right(&room, "d.bin"));
    room.run(&args).ok();
    room.run(&["verify", "set.torrent", "out/set", "--extra"]).ok();
    assert!(downloaded(&room).iter().all(|name| !name.contains(".parts")), "{:?}", downloaded(&room));
}

#[test]
fn row_17_a_file_that_is_not_chosen_is_not_touched() {
    let room = room();
    let seeder = Seeder::start(&room, &["set.torrent", "--data", "data"]);
    room.write("out/set/a.bin", "of somebody else");
    let args = ["download", "--peer", &seeder.addr, "-d", "out", "set.torrent", "--files"];
    room.run(&[&args[..], &["b.bin"]].concat()).ok();
    assert!(is_right(&room, "b.bin"));
    assert_eq!(room.read("out/set/a.bin"), b"of somebody else");
}

#[test]
fn row_17_a_file_of_somebody_else_is_not_replaced_when_it_is_chosen_later() {
    let room = room();
    let seeder = Seeder::start(&room, &["set.torrent", "--data", "data"]);
    room.content("out/set/a.bin", 99_999);
    let (foreign, right) = (room.read("out/set/a.bin"), room.read("data/set/c/c.bin"));
    // What the part file keeps of it shows that this one is right, though no piece of it lies in it alone.
    room.write("out/set/c/c.bin", &right);
    let args = ["download", "--peer", &seeder.addr, "-d", "out", "set.torrent"];
    let with = |more: &[&str]| room.run(&[&args[..], more].concat());
    with(&["--files", "b.bin"]).ok();
    with(&["--files", "b.bin,c.bin"]).ok();
    for choice in [&["--files", "a.bin"][..], &[]] {
        let ran = with(choice);
        let said =
            "error: out/set/a.bin exists and is something else (0 of 7 pieces match)\nhelp: --overwrite replaces it\n";
        assert!(ran.code == 9 && ran.err.ends_with(said), "{choice:?}: {ran:#?}");
        assert!(room.read("out/set/a.bin") == foreign, "not a byte was touched");
    }
    with(&["--exclude", "a.bin"]).ok();
    with(&["--overwrite"]).ok();
    room.run(&["verify", "set.torrent", "out/set", "--extra"]).ok();
}

#[test]
fn a_part_of_the_files_is_shared_with_who_wants_that_part() {
    let room = room();
    let first = Seeder::start(&room, &["set.torrent", "--data", "data"]);
    room.run(&["download", "--peer", &first.addr, "-d", "out", "set.torrent", "--files", "b.bin"]).ok();
    drop(first);
    let ran = room.run(&["seed", "set.torrent", "--data", "out/set"]);
    assert_eq!(ran.code, 5, "{ran:#?}");
    let before = downloaded(&room);
    let second = Seeder::start(&room, &["set.torrent", "--data", "out/set", "--files", "b.bin"]);
    room.run(&["download", "--peer", &second.addr, "-d", "copy", "set.torrent", "--files", "b.bin"]).ok();
    assert_eq!(room.read("copy/set/b.bin"), room.read("data/set/b.bin"));
    assert_eq!(downloaded(&room), before, "seeding makes nothing");
}
