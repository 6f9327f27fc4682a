//! The options for which way others are reached, and who may be.

use crate::room::Room;
use crate::swarm::{Seeder, dead_port, http};

/// A room with a file, its torrent, and a seeder of it.
fn room() -> (Room, Seeder) {
    let room = Room::new();
    room.content("data/x.bin", 200_000);
    room.run(&["create", "data/x.bin", "-o", "x.torrent", "--v1"]).ok();
    let seeder = Seeder::start(&room, &["x.torrent", "--data", "data"]);
    (room, seeder)
}

#[test]
fn an_address_filter_refuses_the_peers_on_it() {
    let (room, seeder) = room();
    room.write("list.dat", "# mine\n127.000.000.001 - 127.000.000.001 , 000 , loopback\n");
    room.write("other.p2p", "some, one:10.0.0.0-10.255.255.255\nfd00::/8\n");
    let args =
        |list| ["download", "--peer", &seeder.addr, "-d", "out", "--ip-filter", list, "x.torrent"].map(str::to_owned);
    let ran = room.run(&args("other.p2p")).ok();
    assert!(ran.err.starts_with("note: other.p2p: 2 ranges of addresses refused\n"), "{}", ran.err);
    std::fs::remove_dir_all(room.path("out")).unwrap();
    let ran = room.run(&[&args("list.dat")[..], &["--stall-timeout".into(), "6s".into()]].concat());
    assert_eq!(ran.code, 6, "{ran:#?}");
    let why = "your rules (--offline, --ip-filter) refuse every peer that is known (1)";
    assert!(
        ran.err.contains(why) && ran.err.starts_with("note: list.dat: 1 range of addresses refused\n"),
        "{}",
        ran.err
    );
}

#[test]
fn an_address_filter_that_cannot_be_used_is_named_with_its_line() {
    let room = Room::new();
    room.content("x", 20_000).write("list", "1.2.3.4\n\nnonsense\n");
    room.run(&["create", "x"]).ok();
    room.run(&["download", "--ip-filter", "list", "x.torrent"])
        .fails(2, &["error: --ip-filter list: line 3: \"nonsense\" is no range of addresses"]);
    room.run(&["download", "--ip-filter", "none", "x.torrent"]).fails(3, &["error: none: no such file or folder"]);
}

#[test]
fn encryption_is_prefer_unless_asked_for_otherwise() {
    let room = Room::new();
    room.content("data/x.bin", 200_000);
    room.run(&["create", "data/x.bin", "-o", "x.torrent", "--v1"]).ok();
    let strict = Seeder::start(&room, &["x.torrent", "--data", "data", "--encryption", "require"]);
    room.run(&["download", "--peer", &strict.addr, "-d", "out", "x.torrent"]).ok();
    assert_eq!(room.read("out/x.bin"), room.read("data/x.bin"));
    let plain = Seeder::start(&room, &["x.torrent", "--data", "data", "--encryption", "off"]);
    room.run(&["download", "--peer", &plain.addr, "-d", "plain", "x.torrent"]).ok();
    let ran = room.run(&[
        "download",
        "--encryption",
        "require",
        "--peer",
        &plain.addr,
        "-d",
        "none",
        "--stall-timeout",
        "6s",
        "x.torrent",
    ]);
    assert_eq!(ran.code, 6, "{ran:#?}");
    let why = "1 peer took no encrypted connection, and --encryption require wants no other";
    assert!(ran.err.contains(why), "{}", ran.err);
    assert_eq!(room.run(&["download", "--encryption", "maybe", "x.torrent"]).code, 2);
}

#[test]
fn offline_stays_on_the_local_network() {
    let (room, seeder) = room();
    room.run(&["download", "--offline", "--peer", &seeder.addr, "-d", "out", "x.torrent"]).ok();
    assert_eq!(room.read("out/x.bin"), room.read("data/x.bin"));
    room.run(&["download", "--offline", "--peer", "192.0.2.1:1", "x.torrent"])
        .fails(2, &["error: --peer \"192.0.2.1:1\": 192.0.2.1 is not on the local network (offline)"]);
    room.run(&["download", "--offline", "--peer", "peer.example:1", "x.torrent"])
        .fails(2, &["error: --peer \"peer.example:1\": peer.example is no name of the local network (offline)"]);
    room.run(&["download", "--offline", "http://192.0.2.1/x.torrent"])
        .fails(3, &["error: GET http://192.0.2.1/x.torrent: 192.0.2.1 is not on the local network (offline)"]);
    let ran = room.run(&["scrape", "--offline", "--tracker", "http://tracker.example/announce", "x.torrent"]);
    assert_eq!(ran.code, 6, "{ran:#?}");
    assert!(ran.err.contains("tracker.example is no name of the local network (offline)"), "{}", ran.err);
}

#[test]
fn an_interface_is_kept_to() {
    let (room, seeder) = room();
    for (interface, out) in [("lo", "one"), ("127.0.0.1", "two")] {
        room.run(&["download", "--interface", interface, "--peer", &seeder.addr, "-d", out, "x.torrent"]).ok();
        assert_eq!(room.read(&format!("{out}/x.bin")), room.read("data/x.bin"));
    }
    for command in ["download", "seed", "peers", "scrape"] {
        room.run(&[command, "--interface", "no-such-dev0", "x.torrent"])
            .fails(2, &["error: --interface: there is no device \"no-such-dev0\""]);
        room.run(&[command, "--interface", "192.0.2.9", "x.torrent"])
            .fails(2, &["error: --interface: no device has the address 192.0.2.9"]);
    }
}

#[test]
fn a_proxy_is_kept_to_and_its_password_is_not_shown() {
    let (room, seeder) = room();
    let port = dead_port();
    let proxy = format!("socks5://me:letmein@127.0.0.1:{port}");
    let args =
        ["download", "--proxy", &proxy, "--peer", &seeder.addr, "-d", "out", "--stall-timeout", "6s", "x.torrent"];
    let ran = room.run(&args);
    assert_eq!(ran.code, 6, "{ran:#?}");
    let note = format!("note: through socks5://127.0.0.1:{port} alone: no DHT, no local discovery\n");
    assert!(ran.err.starts_with(&note), "{}", ran.err);
    let why = format!("the proxy socks5://127.0.0.1:{port} refused the connection");
    assert!(ran.err.contains(&why) && !ran.err.contains("letmein"), "a12: {}", ran.err);
    assert!(!room.path("out/x.bin").exists() || room.read("out/x.bin").iter().all(|byte| *byte == 0));
    room.run(&["download", "--proxy", "ftp://me:letmein@h", "x.torrent"])
        .fails(2, &["error: --proxy: a proxy is socks5://, socks5h:// or http://"]);
    room.run(&["download", "--proxy", &proxy, "--offline", "x.torrent"])
        .fails(2, &["error: --proxy and --offline do not go together"]);
    room.run(&["download", "-q", "--proxy", &proxy, "--peer", "peer.example:1", "x.torrent"]).fails(
        2,
        &["error: --peer \"peer.example:1\": through a proxy no name of a peer is looked up; give the address"],
    );
}

#[test]
fn proxies_of_the_environment_are_followed_for_the_web_unless_they_are_switched_off() {
    let (room, seeder) = room();
    let url = format!("{}/x.torrent", http("200 OK", room.read("x.torrent")));
    let dead = format!("http://127.0.0.1:{}", dead_port());
    let args = |more: &[&'static str]| {
        let mut args = vec!["download", "--peer", seeder.addr.as_str(), "-d", "out", url.as_str()];
        args.extend(more);
        args.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let run = |args: Vec<String>, vars: &[(&str, &str)]| {
        room.run_with_env(&args.iter().map(String::as_str).collect::<Vec<_>>(), vars)
    };
    let through = run(args(&[]), &[("http_proxy", &dead)]);
    assert_eq!(through.code, 3, "{through:#?}");
    for (more, vars) in [
        (&["--proxy", "none"][..], &[("http_proxy", dead.as_str())][..]),
        (&["--proxy", ""], &[("all_proxy", dead.as_str())]),
        (&[], &[("http_proxy", dead.as_str()), ("no_proxy", "127.0.0.1")]),
        (&[], &[("HTTP_PROXY", dead.as_str())]),
    ] {
        run(args(more), vars).ok();
    }
    let bad = run(args(&[]), &[("http_proxy", "ftp://me:letmein@h")]);
    bad.fails(2, &["error: http_proxy: a proxy is socks5://, socks5h:// or http://"]);
}

#[test]
fn anonymous_says_what_it_does_not_hide() {
    let (room, seeder) = room();
    let ran = room.run(&["download", "--anonymous", "--peer", &seeder.addr, "-d", "out", "x.torrent"]).ok();
    let note = "note: anonymous hides the program, not the address: --proxy hides that\n";
    assert!(ran.err.starts_with(note), "{}", ran.err);
    assert_eq!(room.read("out/x.bin"), room.read("data/x.bin"));
}

#[test]
fn metadata_of_a_link_is_fetched_by_the_way_that_is_asked_for() {
    let (room, seeder) = room();
    let hash = room.run(&["info", "--json", "x.torrent"]).ok().json()["info_hash"].as_str().unwrap().to_owned();
    let fetch = |home: &str, way: &[&str]| {
        let state = ["--home", home, "info", "--fetch", "--wait", "7s", "--peer", &seeder.addr, &hash];
        room.run(&[&state[..], way].concat())
    };
    room.write("list", "127.0.0.1\n");
    let proxy = format!("socks5://127.0.0.1:{}", dead_port());
    for (home, way, why) in [
        ("one", ["--ip-filter", "list"], "refuse every peer that is known (1)".to_owned()),
        ("two", ["--proxy", &proxy], format!("the proxy {proxy} refused the connection")),
    ] {
        let ran = fetch(home, &way);
        assert!(ran.code == 6 && ran.err.contains(&why), "{ran:#?}");
    }
    fetch("three", &["--interface", "127.0.0.1", "--offline", "--anonymous", "--encryption", "require"]).ok();
    room.run(&["peers", "-q", "--lsd", "--anonymous", "x.torrent"])
        .fails(2, &["error: --lsd and --anonymous do not go together"]);
}
