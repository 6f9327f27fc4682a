//! `riverrun tracker` and `riverrun seed --embed-tracker`.

use crate::room::Room;
use crate::swarm::{Seeder, Watched, signal};

/// A `riverrun tracker` that serves, and its port.
fn tracker(room: &Room, args: &[&str]) -> (Watched, String) {
    let mut run = Watched::start(room, &[&["tracker", "--listen", "127.0.0.1:0"], args].concat());
    let line = run.until(|line| line.starts_with("tracker for "));
    let port = line.rsplit(' ').next().unwrap().to_owned();
    (run, port)
}

#[test]
fn strangers_meet_over_http_and_udp() {
    let room = Room::new();
    room.content("data/x.bin", 100_000);
    let (mut run, port) = tracker(&room, &["--progress-interval", "50ms"]);
    let (http, udp) = (format!("http://127.0.0.1:{port}/announce"), format!("udp://127.0.0.1:{port}/announce"));
    room.run(&["create", "data/x.bin", "-o", "http.torrent", "-t", &http]).ok();
    room.run(&["edit", "http.torrent", "-o", "udp.torrent", "--set-trackers", &udp]).ok();
    let mut seeder = Seeder::start(&room, &["http.torrent", "--data", "data"]);
    room.run(&["download", "udp.torrent", "-o", "out"]).ok();
    seeder.line_with("downloader");
    // The seeder is still there, so the next line of numbers has it.
    run.until(|line| line.starts_with("1 swarm, "));
    seeder.interrupt();
    signal(run.id(), "INT");
    let ran = run.finish();
    assert_eq!((ran.code, ran.out), (130, format!("{http}\n{udp}\n")));
    assert!(ran.err.lines().last().unwrap().starts_with("stopped; "), "{}", ran.err);
}

#[test]
fn only_what_is_on_the_list() {
    let room = Room::new();
    room.content("a", 40_000).content("b", 50_000).content("c", 60_000);
    for name in ["a", "b", "c"] {
        room.run(&["create", name]).ok();
    }
    let hash = |name: &str| room.run(&["info", "--json", name]).json()["info_hash"].as_str().unwrap().to_owned();
    room.write("list", format!("# ours\n\n{}  the second\n", hash("b.torrent")));
    let (_run, port) = tracker(&room, &["--allow", "a.torrent", "--allow-list", "list"]);
    for url in [format!("http://127.0.0.1:{port}/announce"), format!("udp://127.0.0.1:{port}/announce")] {
        for (name, code) in [("a.torrent", 0), ("b.torrent", 0), ("c.torrent", 12)] {
            let ran = room.run(&["peers", name, "--tracker", &url]);
            assert_eq!(ran.code, code, "{name}: {ran:#?}");
        }
    }
    room.write("bad", format!("{}\nzzz\n", hash("b.torrent")));
    room.run(&["tracker", "--allow-list", "bad"])
        .fails(4, &["error: bad line 2: info-hash \"zzz\" has 3 characters; 40 hex, 32 base32 or a v2 hash are valid"]);
    room.run(&["tracker", "--allow-list", "none"]).fails(3, &["error: none: no such file or folder"]);
    room.run(&["tracker", "--allow", "none"]).fails(3, &["error: none: no such file"]);
}

#[test]
fn what_it_cannot_do() {
    let room = Room::new();
    let (_run, port) = tracker(&room, &[]);
    let ran = room.run(&["tracker", "--listen", &format!("127.0.0.1:{port}")]);
    assert!(ran.code == 2 && ran.err.starts_with(&format!("error: cannot listen on port {port}: in use")), "{ran:#?}");
    assert!(ran.err.contains("\nhelp: --listen with another port, or with port 0 for any that is free\n"), "{ran:#?}");
    room.run(&["tracker", "--interval", "5s"]).fails(2, &["error: --interval of a tracker is from 1m to 24h"]);
    assert_eq!(room.run(&["tracker", "--http", "--udp"]).code, 2);
    room.run(&["tracker", "--listen", "here"]).fails(2, &["error: --listen \"here\" is not PORT or IP:PORT"]);
}

#[test]
fn a_seed_with_a_tracker_of_its_own() {
    let room = Room::new();
    room.content("x.bin", 100_000);
    let mut seeder = Seeder::start(&room, &["x.bin", "--embed-tracker", "--torrent-out", "x.torrent"]);
    let url = seeder.said().lines().find_map(|line| line.strip_prefix("tracker ")).unwrap().to_owned();
    assert!(url.starts_with("http://127.0.0.1:") && url.ends_with("/announce"), "{url}");
    assert!(room.run(&["info", "x.torrent"]).ok().out.contains(&format!("Tracker URL: {url}\n")));
    let ran = room.run(&["download", "x.torrent", "-o", "out"]).ok();
    assert_eq!(ran.out, "Downloaded x.bin to out.\n");
    seeder.line_with("downloader");
    // It serves this torrent and no other.
    let ran = room.run(&["peers", &"a".repeat(40), "--tracker", &url]);
    assert_eq!(ran.code, 12, "{ran:#?}");
    let ran = seeder.interrupt();
    assert!(ran.code == 130 && ran.out.contains("&tr=http"), "{ran:#?}");
    // A torrent that is there already gets it as one more tracker.
    let seeder = Seeder::start(&room, &["x.torrent", "--embed-tracker"]);
    let url = seeder.said().lines().find_map(|line| line.strip_prefix("tracker ")).unwrap().to_owned();
    assert!(room.run(&["peers", "x.torrent", "--tracker", &url, "--timeout", "2s"]).out.contains(&seeder.addr));
    assert_eq!(room.run(&["seed", "x.bin", "--embed-tracker", "--no-trackers"]).code, 2);
}
