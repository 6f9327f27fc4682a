//! Torrents of which only a magnet link or an info-hash is known.

use crate::download::{download, room};
use crate::room::Room;
use crate::swarm::Seeder;

fn link(room: &Room, seeder: &Seeder, torrent: &str) -> String {
    room.run(&["magnet", torrent, "--no-trackers", "--peer", &seeder.addr]).ok().out.trim().to_owned()
}

#[test]
fn a_magnet_link_with_a_peer_is_enough() {
    let room = room();
    let seeder = Seeder::start(&room, &["album.torrent", "--data", "data"]);
    let link = link(&room, &seeder, "album.torrent");
    // The name of the metadata decides where it goes, by the rules of -o.
    let ran = room.run(&["download", &link, "-o", "music/"]).ok();
    assert_eq!(ran.out, "Downloaded album to music/album.\n");
    assert_eq!(room.read("music/album/01.flac"), room.read("data/album/01.flac"));
    let ran = room.run(&["download", &link, "-o", "music/"]).ok();
    assert_eq!(ran.out, "album is already complete at music/album.\n");
    // As a shorthand, as a bare hash, listed, streamed, and with a choice of files.
    let ran = room.run(&[&link]).ok();
    assert!(ran.err.starts_with("note: running \"riverrun download "), "{}", ran.err);
    assert_eq!(room.read("album/01.flac"), room.read("data/album/01.flac"));
    let ran = room.run(&["download", "--list", &link]).ok();
    assert_eq!(ran.out, room.run(&["download", "--list", "album.torrent"]).ok().out);
    let document = room.run(&["info", "--json", "album.torrent"]).ok().json();
    let hash = document["info_hash"].as_str().unwrap();
    download(&room, &seeder, &[hash, "--files", "1", "-o", "one"]).ok();
    assert!(room.path("one/01.flac").exists());
    let ran = room.run(&["download", &format!("{link}&so=0"), "-o", "selected"]).ok();
    assert_eq!(ran.out, "Downloaded album to selected.\n");
    assert_eq!(
        std::fs::read_dir(room.path("selected")).unwrap().count(),
        std::fs::read_dir(room.path("one")).unwrap().count()
    );
}

#[test]
fn one_file_goes_to_standard_output() {
    let room = room();
    let seeder = Seeder::start(&room, &["single.torrent", "--data", "data"]);
    let ran = room.command(&["download", "-o", "-", &link(&room, &seeder, "single.torrent")]).output().unwrap();
    assert_eq!(ran.stdout, room.read("data/single.bin"));
}

#[test]
fn what_is_in_a_magnet_link_is_fetched_and_kept() {
    let room = room();
    let seeder = Seeder::start(&room, &["album.torrent", "--data", "data"]);
    let link = link(&room, &seeder, "album.torrent");
    let of_link = room.run(&["info", "--fetch", "--json", &link]).ok().json();
    let of_file = room.run(&["info", "--json", "album.torrent"]).ok().json();
    for key in ["name", "length", "info_hash", "files", "piece_length", "pieces"] {
        assert_eq!(of_link[key], of_file[key], "{key}");
    }
    for way in [["--interface", "192.0.2.9"], ["--interface", "no-such-dev0"]] {
        let ran = room.run(&[&["info", "--fetch", &link][..], &way].concat());
        assert_eq!(ran.code, 2, "{ran:#?}");
    }
    drop(seeder);
    let ran = room.run(&["info", "--fetch", "--files", &link]).ok();
    assert_eq!(ran.out, room.run(&["info", "--files", "album.torrent"]).ok().out, "nobody is left to be asked");
}

#[test]
fn nobody_who_has_it_is_said() {
    let room = room();
    let hash = "a".repeat(40);
    let dead = format!("127.0.0.1:{}", crate::swarm::dead_port());
    let fails = |args: &[&str], code, error: &str| {
        let ran = room.run(args);
        assert_eq!(ran.code, code, "{ran:#?}");
        assert!(ran.err.contains(error), "{ran:#?}");
    };
    fails(&["info", "--fetch", "--wait", "1s", &hash, "--peer", &dead], 6, "error: no metadata within 1s");
    let silent = "error: no peers: the one that is known does not answer";
    fails(&["download", "--wait-peers", "300ms", &hash, "--peer", &dead], 6, silent);
    fails(&["download", "--max-time", "300ms", &hash], 7, "error: ");
    fails(&["verify", &hash, "x"], 2, "error: this needs the torrent itself");
}
