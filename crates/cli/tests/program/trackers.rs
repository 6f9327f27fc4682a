//! `riverrun peers` and `riverrun scrape` against a tracker, and a download that finds its peer there.

use riverrun::testing::Tracker;

use crate::room::Room;
use crate::swarm::{Seeder, dead_port};

struct Swarm {
    room: Room,
    seeder: Seeder,
    tracker: Tracker,
    // Last, so that the tracker outlives those who speak to it.
    _runtime: tokio::runtime::Runtime,
}

fn swarm() -> Swarm {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let tracker = runtime.block_on(Tracker::start()).unwrap();
    let room = Room::new();
    room.content("data/x.bin", 100_000);
    room.run(&["create", "data/x.bin", "-o", "x.torrent", "-t", &tracker.http_url()]).ok();
    let seeder = Seeder::start(&room, &["x.torrent", "--data", "data"]);
    let swarm = Swarm { room, seeder, tracker, _runtime: runtime };
    swarm.wait_for_the_seeder();
    swarm
}

impl Swarm {
    /// The seeder announces itself in its own time.
    fn wait_for_the_seeder(&self) {
        for _ in 0..600 {
            if self.room.run(&["peers", "x.torrent"]).ok().out.contains(&self.seeder.addr) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("the seeder never announced itself");
    }
}

#[test]
fn both_forms_of_peers_name_the_seeder() {
    let swarm = swarm();
    let room = &swarm.room;
    for args in [&["peers", "x.torrent"][..], &["peers", "-t", "x.torrent"]] {
        let ran = room.run(args).ok();
        assert_eq!(ran.out, format!("{}\n", swarm.seeder.addr));
        assert!(ran.err.starts_with("tracker 127.0.0.1:") && ran.err.ends_with(": 1 peer\n"), "{}", ran.err);
    }
    let hash = room.run(&["info", "--json", "x.torrent"]).json()["info_hash"].as_str().unwrap().to_owned();
    let ran = room.run(&["peers", &hash, "--tracker", &swarm.tracker.udp_url(), "-q"]).ok();
    assert_eq!((ran.out, ran.err), (format!("{}\n", swarm.seeder.addr), String::new()));
    let ran = room.run(&["peers", "--handshake", "x.torrent"]).ok();
    assert!(ran.out.starts_with(&format!("{}\triverrun", swarm.seeder.addr)), "{}", ran.out);
    assert!(ran.out.contains("\t100.0 %\t"), "{}", ran.out);
    let document = room.run(&["peers", "--json", "--handshake", "x.torrent"]).ok().json();
    assert!(ran.out.ends_with("\ttcp, handshake encrypted\n"), "{}", ran.out);
    assert_eq!(document["peers"][0]["sources"], serde_json::json!(["tracker"]));
    assert!(document["pex"].is_null(), "nobody was asked");
    let asked = room.run(&["peers", "--pex", "x.torrent"]).ok();
    assert!(asked.err.ends_with("PEX: 0 peers\n"), "{}", asked.err);
    assert_eq!(asked.out, format!("{}\n", swarm.seeder.addr), "no handshake is shown");
    let handshake = &document["peers"][0]["handshake"];
    assert_eq!(
        (&handshake["ok"], &handshake["obfuscated"], &handshake["encrypted"]),
        (&true.into(), &true.into(), &false.into())
    );
    assert_eq!(room.run(&["peers"]).code, 2);
    room.run(&["peers", &hash])
        .fails(6, &["error: no tracker to ask: the torrent names none", "help: --tracker URL names one"]);
}

#[test]
fn numbers_are_asked_for() {
    let swarm = swarm();
    for tracker in [swarm.tracker.http_url(), swarm.tracker.udp_url()] {
        let ran = swarm.room.run(&["scrape", "--json", "--tracker", &tracker, "x.torrent"]).ok();
        let document = ran.json();
        let last = document["torrents"][0]["trackers"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(&last["seeders"], &1, "{document}");
    }
    let ran = swarm.room.run(&["scrape", "x.torrent"]).ok();
    assert!(ran.out.contains("  seeders 1  leechers "), "{}", ran.out);
}

#[test]
fn a_download_finds_its_peer_by_the_tracker() {
    let swarm = swarm();
    let ran = swarm.room.run(&["download", "-o", "out", "x.torrent"]).ok();
    assert_eq!(ran.out, "Downloaded x.bin to out.\n");
    let ran = swarm.room.run(&[
        "download",
        "--no-dht",
        "--no-lsd",
        "--no-pex",
        "--no-utp",
        "--no-port-map",
        "-d",
        "dir",
        "x.torrent",
    ]);
    assert_eq!(ran.ok().out, "Downloaded x.bin to dir/x.bin.\n");
    let ran = swarm.room.run(&["download", "--no-trackers", "--wait-peers", "300ms", "-o", "none", "x.torrent"]);
    assert_eq!(ran.code, 6, "{ran:#?}");
}

#[test]
fn bep_27_the_local_network_is_not_asked_about_a_private_torrent() {
    let room = Room::new();
    room.content("x", 40_000);
    let tracker = format!("http://127.0.0.1:{}/announce", dead_port());
    room.run(&["create", "x", "--private", "-t", &tracker]).ok();
    let ran = room.run(&["peers", "--lsd", "--timeout", "2s", "x.torrent"]);
    assert_eq!(ran.code, 6, "{ran:#?}");
    assert!(ran.err.contains("the torrent is private: the local network is not asked"), "{ran:#?}");
    assert!(!ran.err.contains("LAN:"), "{ran:#?}");
}
