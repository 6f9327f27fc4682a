//! Peers by the DHT, whose nodes are in this process, on loopback.

use riverrun::testing::LocalDht;

use crate::room::Room;
use crate::swarm::Watched;

/// A small DHT; it lives as long as the runtime.
struct Nodes {
    _runtime: tokio::runtime::Runtime,
    dht: LocalDht,
}

impl Nodes {
    fn start() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let dht = runtime.block_on(LocalDht::start(6)).unwrap();
        Self { _runtime: runtime, dht }
    }

    fn router(&self) -> String {
        self.dht.addrs()[0].to_string()
    }

    fn seed(&self, room: &Room) -> Watched {
        let router = self.router();
        // A home of its own: one program at a time is the node that is kept in a folder.
        let args = [
            "seed",
            "x.torrent",
            "--data",
            "x",
            "--home",
            "seeder",
            "--listen",
            "127.0.3.1:0",
            "--dht-router",
            &router,
        ];
        let mut seeder = Watched::start(room, &args);
        seeder.until(|line| line.starts_with("sharing "));
        while self.dht.stored_peers() < 5 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        seeder
    }
}

fn room() -> Room {
    let room = Room::with_dht();
    room.content("x", 300_000);
    room.run(&["create", "x"]).ok();
    room
}

#[test]
fn an_info_hash_and_the_dht_are_enough() {
    let (nodes, room) = (Nodes::start(), room());
    let router = nodes.router();
    let _seeder = nodes.seed(&room);
    let hash = room.run(&["info", "--json", "x.torrent"]).ok().json()["info_hash"].as_str().unwrap().to_owned();
    let args = ["download", &hash, "-o", "out", "--listen", "127.0.3.2:0", "--dht-router", &router];
    let ran = room.run(&args).ok();
    assert_eq!(ran.out, "Downloaded x to out.\n");
    assert_eq!(room.read("out"), room.read("x"));
    // What was found stays: the second time nobody needs to name a node.
    let kept = room.path(".home/.local/state/riverrun/dht.dat");
    assert!(kept.exists(), "{:?}", room.entries());
    let args = ["download", "x.torrent", "-o", "again", "--listen", "127.0.3.3:0", "--dht-router", "none"];
    assert_eq!(room.run(&args).ok().out, "Downloaded x to again.\n");
}

#[test]
fn peers_asks_the_dht_and_says_what_it_came_to() {
    let (nodes, room) = (Nodes::start(), room());
    let router = nodes.router();
    let _seeder = nodes.seed(&room);
    let ran = room.run(&["peers", "--dht", "--dht-router", &router, "x.torrent"]).ok();
    assert!(ran.err.starts_with("DHT: 1 peer ("), "{}", ran.err);
    assert!(ran.out.starts_with("127.0.3.1:"), "{}", ran.out);
    let document = room.run(&["peers", "--json", "--dht", "--dht-router", &router, "x.torrent"]).ok().json();
    assert_eq!(document["dht"]["peers"], 1);
    assert!(document["dht"]["nodes"].as_u64().unwrap() >= 5, "{document}");
    let ran = room.run(&["peers", "--dht", "--dht-router", "none", "--timeout", "1s", "--home", "new", "x.torrent"]);
    assert_eq!((ran.code, ran.err.lines().next()), (6, Some("error: no node of the DHT answers")), "{ran:#?}");
    let ran = room.run(&["peers", "--dht", "--dht-router", "nowhere", "x.torrent"]);
    assert_eq!(ran.code, 2, "{ran:#?}");
}

#[test]
fn bep_27_the_dht_is_not_asked_about_a_private_torrent() {
    let room = Room::with_dht();
    room.content("x", 40_000);
    room.run(&["create", "x", "--private", "-t", "http://127.0.0.1:9/announce"]).ok();
    // Nobody is there, and nobody is sent a packet: a router that is named would be.
    let router = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = router.local_addr().unwrap().to_string();
    let ran = room.run(&["peers", "--dht", "--dht-router", &port, "--timeout", "2s", "x.torrent"]);
    assert!(ran.err.contains("the torrent is private: the DHT is not asked"), "{ran:#?}");
    let ran = room.run(&["download", "--dht-router", &port, "--wait-peers", "1s", "-o", "out", "x.torrent"]);
    assert_eq!(ran.code, 6, "{ran:#?}");
    router.set_nonblocking(true).unwrap();
    assert!(router.recv(&mut [0; 2000]).is_err(), "a packet came");
}

#[test]
fn the_doctor_says_whether_nodes_of_the_dht_answer() {
    let (nodes, room) = (Nodes::start(), room());
    let check = |room: &Room, args: &[&str]| {
        let document = room.run(&[&["doctor", "--json"], args].concat()).json();
        let checks = document["checks"].as_array().unwrap();
        checks.iter().find(|check| check["name"] == "dht").cloned()
    };
    let found = check(&room, &["--dht-router", &nodes.router()]).unwrap();
    assert_eq!(found["status"], "ok", "{found}");
    assert!(found["found"].as_str().unwrap().ends_with(" nodes of the DHT answered"), "{found}");
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let router = silent.local_addr().unwrap().to_string();
    let found = check(&room, &["--dht-router", &router]).unwrap();
    assert_eq!((&found["status"], found["found"].as_str().unwrap().contains("UDP")), (&"warn".into(), true), "{found}");
    assert_eq!(check(&room, &["--offline", "--dht-router", &router]), None);
    assert_eq!(check(&room, &["--no-dht", "--dht-router", &router]), None);
    assert_eq!(room.run(&["doctor", "--dht-router", "nowhere"]).code, 2);
}
