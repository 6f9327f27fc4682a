//! `riverrun download` and `riverrun seed` against each other.

use std::io::Read;
use std::process::Stdio;

use crate::room::{Ran, Room, finish};
use crate::swarm::{Seeder, Watched, dead_port, http, signal};

/// A room with a single file and a folder, their torrents, and nothing else of them in `other/`.
pub(crate) fn room() -> Room {
    let room = Room::new();
    room.content("data/single.bin", 300_000);
    room.content("data/album/01.flac", 200_000)
        .content("data/album/art/front.png", 1_000)
        .write("data/album/empty", "");
    for (content, torrent) in [("data/single.bin", "single.torrent"), ("data/album", "album.torrent")] {
        room.run(&["create", content, "-o", torrent, "--v1", "--piece-length", "16Ki"]).ok();
    }
    room
}

fn seeder(room: &Room, torrent: &str) -> Seeder {
    Seeder::start(room, &[torrent, "--data", "data"])
}

/// Downloads from one seeder.
pub(crate) fn download(room: &Room, seeder: &Seeder, args: &[&str]) -> Ran {
    room.run(&[&["download", "--peer", &seeder.addr], args].concat())
}

#[test]
fn the_form_of_the_tutorial() {
    let room = room();
    let seeder = seeder(&room, "single.torrent");
    let ran = download(&room, &seeder, &["-o", "out/single.bin", "single.torrent"]).ok();
    assert_eq!(ran.out, "Downloaded single.bin to out/single.bin.\n");
    assert_eq!(room.read("out/single.bin"), room.read("data/single.bin"));
    let lines: Vec<&str> = ran.err.lines().collect();
    assert_eq!(lines[0], "check     single.bin: 0 of 293.0 KiB already here");
    let done = lines.last().unwrap();
    assert!(done.starts_with("done      single.bin: 293.0 KiB in ") && done.ends_with(" -> out/single.bin"), "{done}");
    assert!(!ran.err.contains(['\x1b', '\r']), "{}", ran.err);
    assert_eq!(room.home_entries(), [""; 0], "the resume record is gone");
    let again = download(&room, &seeder, &["-o", "out/single.bin", "single.torrent"]).ok();
    assert_eq!(again.out, "single.bin is already complete at out/single.bin.\n");
}

#[test]
fn a_suffix_is_there_until_a_file_is_complete_and_a_second_run_goes_on() {
    let room = room();
    let args = |time: &[&'static str]| [&["-d", "out", "--part-suffix", ".part", "album.torrent"][..], time].concat();
    let nobody = room.run(&[&["download", "--max-time", "1s"][..], &args(&[])].concat());
    assert_eq!(nobody.code, 7, "{nobody:#?}");
    // The others come with their bytes.
    let parts = ["out/album/01.flac.part", "out/album/empty"];
    let of_out = |room: &Room| room.entries().into_iter().filter(|name| name.starts_with("out")).collect::<Vec<_>>();
    assert_eq!(of_out(&room), parts);
    let mut half = room.read("data/album/01.flac");
    half[100_000..].fill(0);
    room.write("out/album/01.flac.part", half);
    let seeder = seeder(&room, "album.torrent");
    let ran = download(&room, &seeder, &args(&[])).ok();
    assert_eq!(ran.out, "Downloaded album to out/album.\n");
    assert!(!ran.err.contains(": 0 of "), "what was there is used: {}", ran.err);
    assert_eq!(of_out(&room), ["out/album/01.flac", "out/album/art/front.png", "out/album/empty"]);
    assert_eq!(room.read("out/album/01.flac"), room.read("data/album/01.flac"));
    let again = download(&room, &seeder, &args(&[])).ok();
    assert_eq!(again.out, "album is already complete at out/album.\n");
    room.run(&["download", "--part-suffix", "a/b", "album.torrent"])
        .fails(2, &["error: --part-suffix: \"a/b\" cannot be the end of a file's name: write it like .part"]);
}

#[test]
fn a_complete_download_needs_nobody() {
    let room = room();
    let ran = room.run(&["download", "-d", "data", "single.torrent", "album.torrent"]).ok();
    let mut lines: Vec<&str> = ran.out.lines().collect();
    lines.sort_unstable();
    let expected = ["album is already complete at data/album.", "single.bin is already complete at data/single.bin."];
    assert_eq!(lines, expected);
}

#[test]
fn folders_follow_the_rules_of_cp() {
    let room = room();
    let seeder = seeder(&room, "album.torrent");
    download(&room, &seeder, &["album.torrent"]).ok();
    assert_eq!(room.read("album/01.flac"), room.read("data/album/01.flac"));
    assert_eq!(room.read("album/empty"), b"");
    for _ in 0..2 {
        download(&room, &seeder, &["-o", "album2", "album.torrent"]).ok();
    }
    assert!(room.path("album2/art/front.png").exists() && !room.path("album2/album").exists());
    download(&room, &seeder, &["-o", "in/", "-d", "deep", "album.torrent"]).ok();
    assert!(room.path("deep/in/album/01.flac").exists());
    let left: Vec<_> = room.entries().into_iter().filter(|name| !name.starts_with("data/")).collect();
    assert_eq!(left.len(), 2 + 3 * 3, "{left:?}");
}

#[test]
fn several_torrents_go_into_a_folder() {
    let room = room();
    let (one, two) = (seeder(&room, "single.torrent"), seeder(&room, "album.torrent"));
    let args =
        ["download", "--peer", &one.addr, "--peer", &two.addr, "-o", "all/", "single.torrent", "nope", "album.torrent"];
    let ran = room.run(&args);
    assert_eq!(ran.code, 3, "{ran:#?}");
    assert!(ran.err.contains("error: nope: no such file\n"), "{}", ran.err);
    assert!(ran.out.contains("Downloaded single.bin to all/single.bin.\n"), "{}", ran.out);
    assert!(ran.out.contains("Downloaded album to all/album.\n"), "{}", ran.out);
    let ran = room.run(&["download", "--fail-fast", "-o", "fast/", "nope", "single.torrent"]);
    assert_eq!((ran.code, room.path("fast").exists()), (3, false));
    let ran = room.run(&["download", "-o", "file", "single.torrent", "album.torrent"]);
    assert_eq!(ran.code, 2, "{ran:#?}");
}

#[test]
fn l15_ctrl_c_saves_and_the_same_command_goes_on() {
    let room = room();
    room.content("data/big.bin", 6_000_000);
    room.run(&["create", "data/big.bin", "-o", "big.torrent", "--v1", "--piece-length", "64Ki"]).ok();
    let seeder = Seeder::start(&room, &["big.torrent", "--data", "data", "--up-limit", "2Mi"]);
    let args = ["download", "--peer", &seeder.addr, "-o", "big.bin", "--progress-interval", "100ms", "big.torrent"];
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let mut run = Watched::start(&room, &args);
        let moved = |line: &str| line.starts_with("progress") && !line.contains("  0 B/s  up");
        run.until(moved);
        run.until(moved);
        signal(run.id(), name);
        let ran = run.finish();
        assert_eq!((ran.code, ran.out.as_str()), (code, ""), "{ran:#?}");
        let last = ran.err.lines().last().unwrap();
        assert!(last.starts_with("stopped at ") && last.ends_with(" %; run the same command to go on"), "{last}");
        assert_eq!(room.home_entries().len(), 1, "a resume record is there");
    }
    let ran = room.run(&args).ok();
    assert!(!ran.err.contains("check     big.bin: 0 of "), "it went on: {}", ran.err);
    assert_eq!(room.read("big.bin"), room.read("data/big.bin"));
    assert_eq!(room.home_entries(), [""; 0]);
}

#[test]
fn l10_two_runs_share_a_home_but_not_a_folder() {
    let room = room();
    room.content("data/big.bin", 6_000_000);
    room.run(&["create", "data/big.bin", "-o", "big.torrent", "--v1", "--piece-length", "64Ki"]).ok();
    let big = Seeder::start(&room, &["big.torrent", "--data", "data", "--up-limit", "1Mi"]);
    let single = seeder(&room, "single.torrent");
    let args = [
        "--home",
        "state",
        "download",
        "--peer",
        &big.addr,
        "-o",
        "big.bin",
        "--progress-interval",
        "100ms",
        "big.torrent",
    ];
    let mut first = Watched::start(&room, &args);
    first.until(|line| line.starts_with("progress") && !line.contains("  0 B/s  up"));
    let ran = room.run(&["--home", "state", "download", "--peer", &single.addr, "-o", "single.bin", "single.torrent"]);
    assert_eq!(ran.ok().out, "Downloaded single.bin to single.bin.\n");
    let ran = room.run(&args);
    assert_eq!(ran.code, 8, "{ran:#?}");
    assert!(ran.err.contains("big.bin is in use by another download or seeder"), "{}", ran.err);
    signal(first.id(), "INT");
    assert_eq!(first.finish().code, 130);
    assert!(room.path("state/resume").is_dir());
    assert_eq!(room.home_entries(), [""; 0], "everything is under --home");
}

#[test]
fn machines_get_one_document_per_line() {
    let room = room();
    let seeder = seeder(&room, "single.torrent");
    let ran = download(&room, &seeder, &["--json", "-o", "out", "single.torrent"]).ok();
    let events: Vec<serde_json::Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().all(|event| event["v"] == 1 && event["info_hash"].as_str().unwrap().len() == 40));
    assert_eq!((&events[0]["event"], &events[0]["bytes"]), (&"added".into(), &300_000.into()));
    let last = events.last().unwrap();
    assert_eq!((&last["event"], &last["path"]), (&"completed".into(), &"out".into()));
    assert_eq!(ran.err, "");
    let ran = room.run(&["download", "--json", "nope.torrent"]);
    assert_eq!((ran.code, ran.json()["error"]["code"].clone()), (3, "not_found".into()));
}

#[test]
fn standard_output_gets_the_content_in_order() {
    let room = room();
    let seeder = seeder(&room, "single.torrent");
    let seeder_of_album = Seeder::start(&room, &["album.torrent", "--data", "data"]);
    let ran = download(&room, &seeder, &["-o", "-", "single.torrent"]).ok();
    assert_eq!(ran.out_bytes, room.read("data/single.bin"));
    assert!(ran.err.contains("Downloaded single.bin to standard output.\n"));
    assert!(!room.path("single.bin").exists());
    let ran = download(&room, &seeder, &["-o", "-", "album.torrent"]);
    assert_eq!(ran.code, 2, "{ran:#?}");
    assert!(ran.err.contains("\"-o -\" takes one file, and 3 of \"album\" are wanted"), "{}", ran.err);
    // Of a folder any one file, an empty one too.
    for (number, path) in [("1", "01.flac"), ("2", "art/front.png"), ("3", "empty")] {
        let ran = download(&room, &seeder_of_album, &["--files", number, "-o", "-", "album.torrent"]).ok();
        assert_eq!(ran.out_bytes, room.read(&format!("data/album/{path}")), "{path}");
        assert!(ran.err.contains(&format!("Downloaded {path} to standard output.\n")), "{}", ran.err);
    }
    assert!(!room.path("album").exists());
}

#[test]
fn a_reader_that_goes_ends_a_download_to_standard_output() {
    let room = room();
    room.content("data/big.bin", 3_000_000);
    room.run(&["create", "data/big.bin", "-o", "big.torrent"]).ok();
    let seeder = Seeder::start(&room, &["big.torrent", "--data", "data"]);
    let mut child = room.command(&["download", "-o", "-", "--peer", &seeder.addr, "big.torrent"]).spawn().unwrap();
    let mut head = [0; 100];
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut head).unwrap();
    drop(out);
    assert_eq!(head, room.read("data/big.bin")[..100]);
    let ran = Ran::of(finish(child));
    assert_eq!(ran.code, 7, "{ran:#?}");
    assert!(!ran.err.contains("error"), "{}", ran.err);
}

#[test]
fn some_files_are_chosen_or_listed() {
    let room = room();
    let seeder = seeder(&room, "album.torrent");
    let ran = room.run(&["download", "-l", "album.torrent"]).ok();
    assert_eq!(ran.out, "1   195.3 KiB  01.flac\n2      1000 B  art/front.png\n3         0 B  empty\n");
    let ran = room.run(&["download", "-l", "--exclude", "*.png", "album.torrent"]).ok();
    assert_eq!(ran.out, "* 1   195.3 KiB  01.flac\n  2      1000 B  art/front.png\n* 3         0 B  empty\n");
    let listed = room.run(&["download", "-l", "--json", "--files", "2", "album.torrent"]).ok().json();
    let wanted: Vec<_> = listed["files"].as_array().unwrap().iter().map(|file| file["wanted"].clone()).collect();
    assert_eq!(wanted, [false, true, false]);
    download(&room, &seeder, &["--files", "*.png", "-o", "part", "album.torrent"]).ok();
    assert_eq!(room.read("part/art/front.png"), room.read("data/album/art/front.png"));
    let ran = download(&room, &seeder, &["--files", "*.mp3", "-o", "part", "album.torrent"]);
    assert_eq!(ran.code, 2, "{ran:#?}");
    download(&room, &seeder, &["--exclude", "art/*", "-o", "rest", "album.torrent"]).ok();
    assert_eq!(room.read("rest/01.flac"), room.read("data/album/01.flac"));
}

#[test]
fn a10_the_hook_gets_arguments_and_no_shell() {
    let room = room();
    let seeder = seeder(&room, "single.torrent");
    let hook = "cp --no-clobber {path} 'hooked $(id) {name}'";
    download(&room, &seeder, &["--exec", hook, "-o", "out", "single.torrent"]).ok();
    assert_eq!(room.read("hooked $(id) single.bin"), room.read("data/single.bin"));
    let ran = download(&room, &seeder, &["--exec", "false", "-o", "out", "single.torrent"]).ok();
    assert!(ran.err.contains("warning: the command of --exec: it ended with "), "{}", ran.err);
    room.run(&["download", "--exec", "cp 'x", "single.torrent"])
        .fails(2, &["error: --exec: \"cp 'x\" has a quote that does not end"]);
}

#[test]
fn sharing_goes_on_as_long_as_asked_for() {
    let room = room();
    let seeder = seeder(&room, "single.torrent");
    let ran = download(&room, &seeder, &["--seed-time", "300ms", "-o", "out", "single.torrent"]).ok();
    assert_eq!(ran.out, "Downloaded single.bin to out.\n");
    let ran = download(&room, &seeder, &["--seed-idle", "10ms", "-o", "out3", "single.torrent"]).ok();
    assert_eq!(ran.out, "Downloaded single.bin to out3.\n");
    let ran = room.run(&["seed", "single.torrent", "--data", "data", "--no-dht", "--seed-time", "300ms"]).ok();
    assert!(ran.err.contains("stopped sharing: sent 0 B, ratio 0.00\n"), "{}", ran.err);
    let mut run =
        Watched::start(&room, &["download", "--seed", "--peer", &seeder.addr, "-o", "out2", "single.torrent"]);
    run.until(|line| line.starts_with("done "));
    signal(run.id(), "INT");
    let ran = run.finish();
    assert_eq!((ran.code, ran.out.as_str()), (130, "Downloaded single.bin to out2.\n"), "{ran:#?}");
}

#[test]
fn row_12_a_url_of_a_torrent() {
    let room = room();
    let url = http("200 OK", room.read("single.torrent"));
    let ran = room.run(&["info", &format!("{url}/x.torrent")]).ok();
    assert!(ran.out.contains("\nName: single.bin\n"));
    let url = format!("{}/x.torrent", http("404 Nothing", Vec::new()));
    room.run(&["download", &url]).fails(3, &[&format!("error: GET {url}: 404 Not Found")]);
}

#[test]
fn row_13_an_unreachable_tracker() {
    let room = room();
    let port = dead_port();
    let tracker = format!("http://127.0.0.1:{port}/announce");
    let ran = room.run(&["download", "--tracker", &tracker, "--stall-timeout", "1s", "-o", "out", "single.torrent"]);
    let lines: Vec<&str> = ran.err.lines().collect();
    assert_eq!(ran.code, 6, "{ran:#?}");
    let start = format!("error: no peers: tracker 127.0.0.1:{port} refused the connection (tried 1 time in 1s)");
    assert_eq!(lines[lines.len() - 2..], [start.as_str(), "help: --peer HOST:PORT names a peer"]);
    let ran = room.run(&["download", "--wait-peers", "200ms", "-o", "out", "single.torrent"]);
    assert!(ran.code == 6 && ran.err.contains("error: no peers: the torrent names no tracker\n"), "{ran:#?}");
    let ran = room.run(&["download", "--max-time", "200ms", "-o", "out", "single.torrent"]);
    assert!(ran.code == 7 && ran.err.contains("error: stopped at 0.0 %: --max-time 0s is over\n"), "{ran:#?}");
}

#[test]
fn a_web_server_is_enough_and_says_why_if_not() {
    let room = room();
    let url = http("200 OK", room.read("data/single.bin"));
    let ran = room.run(&["download", "--web-seed", &format!("{url}/"), "-o", "out", "single.torrent"]).ok();
    assert_eq!(ran.out, "Downloaded single.bin to out.\n");
    assert!(room.read("out") == room.read("data/single.bin"));

    let gone = http("404 Nothing", Vec::new());
    let host = gone.trim_start_matches("http://").to_owned();
    let ran = room.run(&["download", "--web-seed", &gone, "--stall-timeout", "1s", "-o", "new", "single.torrent"]);
    let said = format!("error: no web seed works, and no peers: {host} answers 404 for a file (next try in ");
    assert!(ran.code == 6 && ran.err.contains(&said), "{ran:#?}");
    let ran = room.run(&["download", "--web-seed", "ftp://h/", "single.torrent"]);
    assert!(ran.code == 2 && ran.err.contains("--web-seed"), "{ran:#?}");

    // A torrent may not send us to this machine, and says so of its own accord.
    let edit = ["edit", "single.torrent", "-o", "named.torrent", "--add-webseed", &url];
    room.run(&edit).ok();
    let ran = room.run(&["download", "--stall-timeout", "1s", "-o", "new", "named.torrent"]);
    assert!(ran.code == 6 && ran.err.contains("is on this machine, where a torrent may not send us"), "{ran:#?}");
}

#[test]
fn with_nobody_left_to_ask_the_end_comes_at_once() {
    let room = room();
    let run = |url: &str, max_time: &str, torrent: &str| {
        let patience = ["--stall-timeout", "0", "--max-time", max_time];
        room.run(
            &[&["download", "--web-seed", url][..], &patience, &["-o", &format!("{torrent}.out"), torrent]].concat(),
        )
    };
    let ran = run(&http("404 Nothing", Vec::new()), "60s", "single.torrent");
    assert!(ran.code == 6 && ran.err.contains("error: no web seed works, and no peers: "), "{ran:#?}");
    assert!(
        ran.err.contains(" answers 404 for a file ") && ran.err.contains("; the torrent names no tracker\n"),
        "{ran:#?}"
    );
    // What a server has is taken first: this one has the first file in place of all.
    let ran = run(&http("200 OK", room.read("data/album/01.flac")), "60s", "album.torrent");
    assert!(ran.code == 6 && ran.err.contains("error: no web seed works, and no peers: "), "{ran:#?}");
    assert!(room.read("album.torrent.out/01.flac")[..180_000] == room.read("data/album/01.flac")[..180_000]);
    // A server that may do better soon is waited for, and so is a tracker.
    assert_eq!(run(&http("503 Busy", Vec::new()), "1s", "single.torrent").code, 7);
    let tracker = format!("http://127.0.0.1:{}/announce", dead_port());
    room.run(&["edit", "single.torrent", "-o", "tracked.torrent", "--add-tracker", &tracker]).ok();
    assert_eq!(run(&http("404 Nothing", Vec::new()), "1s", "tracked.torrent").code, 7);
}

#[test]
fn the_reason_why_nothing_comes_is_told() {
    let room = room();
    let tracker = format!("http://127.0.0.1:{}/announce", dead_port());
    let mut run = Watched::start(&room, &["download", "--tracker", &tracker, "-o", "out", "single.torrent"]);
    let line = run.until(|line| line.starts_with("waiting "));
    assert!(line.contains("refused the connection; next try in "), "{line}");
    signal(run.id(), "TERM");
    assert_eq!(run.finish().code, 143);
}

#[test]
fn row_14_a_tracker_that_says_no() {
    let room = room();
    let url = http("200 OK", b"d14:failure reason22:torrent not registerede".to_vec());
    let host = url.trim_start_matches("http://").to_owned();
    let tracker = format!("{url}/announce");
    let said = format!("error: tracker {host} said: \"torrent not registered\"");
    let ran = room.run(&["download", "--tracker", &tracker, "-o", "out", "single.torrent"]);
    assert!(ran.code == 12 && ran.err.ends_with(&format!("{said}\n")), "{ran:#?}");
    room.run(&["peers", "--tracker", &tracker, "single.torrent"]).fails(12, &[&said]);
}

#[test]
fn row_15_a_disk_that_is_too_small() {
    let room = Room::new();
    // Eight exabytes in one file: the hashes of nothing, but as many as they must be.
    let piece = 536_870_912u64;
    let pieces = 1 << 21;
    let mut torrent =
        format!("d4:infod6:lengthi{}e4:name1:x12:piece lengthi{piece}e6:pieces{}:", piece * pieces, pieces * 20)
            .into_bytes();
    torrent.resize(torrent.len() + pieces as usize * 20, 0);
    torrent.extend_from_slice(b"ee");
    room.write("x.torrent", torrent);
    let ran = room.run(&["download", "-o", "small/x", "x.torrent"]);
    assert_eq!(ran.code, 8, "{ran:#?}");
    assert!(ran.err.starts_with("error: not enough space in ./: need 1.0 PiB, "), "{}", ran.err);
    assert!(!room.path("small").exists());
}

#[test]
fn row_16_a_place_where_we_may_not_write() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let room = room();
    std::fs::create_dir(room.path("locked")).unwrap();
    std::fs::set_permissions(room.path("locked"), std::fs::Permissions::from_mode(0o555)).unwrap();
    std::fs::set_permissions(room.path(""), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = room.command(&["download", "-o", "locked/x", "single.torrent"]);
    // The permission bits do not bind root.
    if rustix::process::geteuid().is_root() {
        command.uid(65_534);
    }
    let ran = Ran::of(finish(command.spawn().unwrap()));
    assert_eq!(ran.code, 8, "{ran:#?}");
    let start = "error: cannot write to locked: permission denied (owner ";
    assert!(ran.err.starts_with(start) && ran.err.ends_with(", mode 555)\n"), "{}", ran.err);
}

#[test]
fn row_17_another_file_in_place() {
    let room = room();
    room.content("out/single.bin", 299_999);
    let before = room.read("out/single.bin");
    room.run(&["download", "-o", "out/single.bin", "single.torrent"]).fails(
        9,
        &["error: out/single.bin exists and is something else (0 of 19 pieces match)", "help: --overwrite replaces it"],
    );
    assert_eq!(room.read("out/single.bin"), before);
    let seeder = seeder(&room, "single.torrent");
    download(&room, &seeder, &["--overwrite", "-o", "out/single.bin", "single.torrent"]).ok();
    assert_eq!(room.read("out/single.bin"), room.read("data/single.bin"));
}

#[test]
fn l6_right_pieces_of_a_damaged_file_are_kept() {
    let room = room();
    let mut bytes = room.read("data/single.bin");
    bytes[100_000] ^= 1;
    bytes.extend_from_slice(b"longer");
    room.write("out", &bytes);
    let seeder = seeder(&room, "single.torrent");
    let ran = download(&room, &seeder, &["-o", "out", "single.torrent"]).ok();
    assert!(ran.err.starts_with("check     single.bin: 276.9 of 293.0 KiB already here\n"), "{}", ran.err);
    assert_eq!(room.read("out"), room.read("data/single.bin"));
}

#[test]
fn row_18_seeding_what_is_damaged() {
    let room = room();
    let mut bytes = room.read("data/single.bin");
    bytes[0] ^= 1;
    room.write("data/single.bin", &bytes);
    let ran = room.run(&["seed", "single.torrent", "--data", "data"]);
    assert_eq!(ran.code, 5, "{ran:#?}");
    assert!(
        ran.err.contains("error: cannot seed: 1 of 19 pieces of single.bin are damaged\nhelp: riverrun verify "),
        "{ran:#?}"
    );
    assert_eq!(room.read("data/single.bin"), bytes, "seeding never writes");
    room.run(&["seed", "album.torrent", "--data", "nowhere"]).fails(3, &["error: nowhere: no such file or folder"]);
}

#[test]
fn row_19_a_port_that_is_taken() {
    let room = room();
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    let ran = room.run(&["download", "--listen", &format!("127.0.0.1:{port}"), "single.torrent"]);
    assert_eq!(ran.code, 2, "{ran:#?}");
    let pid = std::process::id();
    let start = format!("error: cannot listen on port {port}: in use by ");
    assert!(ran.err.starts_with(&start) && ran.err.contains(&format!(" (pid {pid})\n")), "{}", ran.err);
}

#[test]
fn content_is_shared_without_a_torrent_file() {
    let room = room();
    let mut seeder = Seeder::start(&room, &["data/album", "--torrent-out", "made.torrent", "--name", "renamed"]);
    assert!(seeder.said().contains("sharing renamed: 196.3 KiB on port "), "{}", seeder.said());
    download(&room, &seeder, &["made.torrent"]).ok();
    assert_eq!(room.read("renamed/01.flac"), room.read("data/album/01.flac"));
    assert!(seeder.line_with("downloader ").starts_with("downloader 127.0.0.1:"));
    let addr = seeder.addr.clone();
    let ran = seeder.interrupt();
    assert_eq!(ran.code, 130);
    assert!(ran.out.starts_with("magnet:?xt=urn:btih:") && ran.out.contains(&addr), "{}", ran.out);
    assert!(ran.err.lines().last().unwrap().starts_with("stopped sharing: sent 2"), "{}", ran.err);
}

#[test]
fn a_seeder_tells_machines_that_it_serves() {
    let room = room();
    let mut child = room.command(&["seed", "--json", "--listen", "127.0.0.1:0", "single.torrent", "--data", "data"]);
    let mut child = child.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let sharing = lines.by_ref().map(Result::unwrap).find(|line| line.contains("\"event\":\"sharing\"")).unwrap();
    let sharing: serde_json::Value = serde_json::from_str(&sharing).unwrap();
    assert!(sharing["listen"][0].as_str().unwrap().starts_with("127.0.0.1:"), "{sharing}");
    signal(child.id(), "INT");
    assert!(lines.map(Result::unwrap).any(|line| line.contains("\"event\":\"stopped\"")));
    assert_eq!(child.wait().unwrap().code(), Some(130));
}
