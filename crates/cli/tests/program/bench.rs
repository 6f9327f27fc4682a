//! `riverrun bench`: figures beside a ceiling, and nothing left behind.

use crate::room::Room;
use crate::swarm::{Watched, signal};

#[test]
fn every_part_has_figures_of_ours_beside_a_ceiling() {
    let room = Room::new();
    let ran = room.run(&["bench", "--size", "3.5Mi"]).ok();
    for line in [
        "hash      memory copy ",
        "hash      SHA-1, ",
        "hash      SHA-256, ",
        "disk      raw write ",
        "loopback  raw TCP ",
    ] {
        assert!(ran.out.contains(line), "{line}: {}", ran.out);
    }
    for beside in [
        "% of memory copy\n",
        "% of raw write\n",
        "% of raw write and sync\n",
        "% of raw read back\n",
        "% of raw TCP\n",
    ] {
        assert!(ran.out.contains(beside), "{beside}: {}", ran.out);
    }
    assert!(ran.err.contains("disk: 3.0 MiB a round"), "whole MiB: {}", ran.err);
    assert_eq!(room.entries(), [""; 0]);
    assert_eq!(room.home_entries(), [""; 0]);
}

#[test]
fn one_part_alone_needs_only_what_it_measures() {
    let room = Room::new();
    let document = room.run(&["bench", "disk", "--size", "1Mi", "--json", "-q"]).ok().json();
    let measures = document["measures"].as_array().unwrap();
    assert_eq!(measures.len(), 6);
    assert!(measures.iter().all(|measure| measure["part"] == "disk"), "{document}");
    assert_eq!(document["kernels"], serde_json::json!([]));
    // No folder is needed to hash.
    let ran = room.run(&["bench", "hash", "--dir", "nowhere"]).ok();
    for hash in ["SHA-1", "SHA-256"] {
        let chosen = ran.out.lines().filter(|line| line.starts_with(&format!("chosen    {hash}, ")));
        assert!(chosen.filter(|line| line.contains(" µs for 4 KiB   used f")).count() > 0, "{hash}: {}", ran.out);
    }
}

#[test]
fn row_8_no_room_is_said_before_the_first_byte() {
    let room = Room::new();
    room.run(&["bench", "disk", "--dir", "nowhere"])
        .fails(8, &["error: cannot look at nowhere: no such file or folder", "help: --dir names another folder"]);
    room.run(&["bench", "disk", "--size", "1000"]).fails(2, &["error: --size of a round is from 1 MiB to 16 GiB"]);
    room.run(&["bench", "--size", "1Ti"]).fails(2, &["error: --size of a round is from 1 MiB to 16 GiB"]);
}

#[test]
fn ctrl_c_leaves_nothing() {
    for part in ["disk", "loopback"] {
        let room = Room::new();
        let mut bench = Watched::start(&room, &["bench", part, "--size", "256Mi"]);
        bench.until(|line| line.starts_with(&format!("{part}: 256.0 MiB a round")));
        signal(bench.id(), "INT");
        let ran = bench.finish();
        assert_eq!((ran.code, ran.err.lines().last()), (130, Some("stopped")), "{ran:?}");
        assert_eq!(room.entries(), [""; 0], "{part}");
    }
}
