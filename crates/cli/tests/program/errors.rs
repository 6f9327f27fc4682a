//! Bad input of every kind: what is said, and the exit code. The numbers are those of the list of messages.

use crate::room::Room;

/// A torrent of one file of 16 KiB, with holes for what is wrong.
fn torrent(pieces: &[u8], rest: &str) -> Vec<u8> {
    let mut bytes = b"d4:infod".to_vec();
    bytes.extend_from_slice(rest.as_bytes());
    bytes.extend_from_slice(format!("6:pieces{}:", pieces.len()).as_bytes());
    bytes.extend_from_slice(pieces);
    bytes.extend_from_slice(b"ee");
    bytes
}

const ONE_FILE: &str = "6:lengthi16384e4:name1:x12:piece lengthi16384e";

#[test]
fn row_1_a_missing_file() {
    let room = Room::new();
    room.write("nap.torrent", "x");
    room.run(&["info", "nope.torrent"])
        .fails(3, &["error: nope.torrent: no such file", "help: did you mean nap.torrent?"]);
    room.run(&["info", "sub/other.torrent"]).fails(3, &["error: sub/other.torrent: no such file"]);
}

#[test]
fn row_2_a_folder() {
    let room = Room::new();
    room.write("album/x", "x");
    for name in ["album", "album/"] {
        room.run(&["info", name])
            .fails(4, &["error: album/ is a folder, not a torrent", "help: to share it: riverrun seed album/"]);
    }
}

#[test]
fn row_3_an_empty_file() {
    let room = Room::new();
    room.write("x.torrent", "");
    room.run(&["info", "x.torrent"]).fails(
        4,
        &["error: x.torrent is empty (0 bytes)", "help: the download of the .torrent was cut off; get it again"],
    );
}

#[test]
fn row_4_a_web_page() {
    let room = Room::new();
    room.write("x.torrent", "<html><body>Please log in</body></html>");
    room.run(&["info", "x.torrent"]).fails(
        4,
        &[
            "error: x.torrent is a web page, not a torrent (it starts with \"<html>\")",
            "help: the site may want a login",
        ],
    );
}

#[test]
fn row_5_text() {
    let room = Room::new();
    room.write("x.torrent", "nothing of this is a torrent");
    room.run(&["info", "x.torrent"])
        .fails(4, &["error: x.torrent is not a torrent: expected \"d\" at byte 0, found \"n\""]);
}

#[test]
fn row_6_a_truncated_file() {
    let room = Room::new();
    let whole = torrent(&[0; 20], ONE_FILE);
    room.write("x.torrent", &whole[..whole.len() - 8]);
    room.run(&["info", "x.torrent"]).fails(
        4,
        &[
            "error: x.torrent is cut off: \"info.pieces\" promises 20 bytes at byte 65, the file has 14",
            "help: get it again",
        ],
    );
}

#[test]
fn row_7_piece_hashes_of_a_wrong_length() {
    let room = Room::new();
    room.write("x.torrent", torrent(&[0; 19], ONE_FILE));
    room.run(&["info", "x.torrent"])
        .fails(4, &["error: x.torrent is damaged: info.pieces has 19 bytes, not a multiple of 20"]);
}

#[test]
fn row_8_more_hashes_than_pieces() {
    let room = Room::new();
    room.write("x.torrent", torrent(&[0; 40], ONE_FILE));
    room.run(&["info", "x.torrent"])
        .fails(4, &["error: x.torrent contradicts itself: 2 piece hashes for 1 pieces of 16 KiB"]);
}

#[test]
fn row_9_a_path_that_leads_out() {
    let room = Room::new();
    let files = "5:filesld6:lengthi1e4:pathl1:aeed6:lengthi1e4:pathl1:beed6:lengthi1e4:pathl2:..2:..7:.bashrceee\
                 4:name1:x12:piece lengthi16384e";
    room.write("x.torrent", torrent(&[0; 20], files));
    for command in [&["info", "x.torrent"][..], &["download", "x.torrent"]] {
        room.run(command).fails(
            4,
            &["error: x.torrent is unsafe: file 3 is named \"../../.bashrc\"", "help: refused; nothing was written"],
        );
    }
    assert_eq!(room.entries(), ["x.torrent"]);
}

#[test]
fn row_10_a_bad_magnet_link() {
    Room::new().run(&["info", "magnet:?xt=urn:btih:zzzz"]).fails(
        4,
        &["error: bad magnet link: info-hash \"zzzz\" has 4 characters; 40 hex, 32 base32 or a v2 hash are valid"],
    );
}

#[test]
fn row_11_a_magnet_link_that_the_shell_cut() {
    let room = Room::new();
    let link = format!("magnet:?xt=urn:btih:{}", "a".repeat(40));
    let ran = room.run(&["info", &link]).ok();
    assert!(ran.err.starts_with("warning: magnet link has no tracker and ends at \"&\": the shell cut it\nhelp: "));
    let quoted = room.run(&["info", &format!("{link}&tr=http%3A%2F%2F127.0.0.1%3A1%2Fannounce")]).ok();
    assert_eq!(quoted.err, "");
}

#[test]
fn what_only_a_later_version_brings_says_so() {
    let room = Room::new();
    room.content("x", 40_000);
    room.run(&["create", "x"]).ok();
    for args in [["demo", "--web"], ["demo", "--tui"]] {
        let ran = room.run(&args);
        assert_eq!(ran.code, 2, "{args:?}: {ran:#?}");
        assert!(ran.err.lines().next().unwrap().ends_with(" is not there yet"), "{args:?}: {ran:#?}");
    }
}

#[test]
fn row_20_unknown_options_and_commands() {
    let room = Room::new();
    room.run(&["info", "--jso", "x"]).fails(2, &["error: unknown option \"--jso\"", "help: did you mean \"--json\"?"]);
    room.run(&["dowload", "x"])
        .fails(2, &["error: unknown command \"dowload\"", "help: did you mean \"riverrun download\"?"]);
    room.run(&["teleport"])
        .fails(2, &["error: unknown command \"teleport\"", "help: riverrun --help lists the commands"]);
    for later in ["serve", "ctl", "tui", "config"] {
        let ran = room.run(&[later]);
        assert_eq!(ran.code, 2);
        assert!(ran.err.starts_with(&format!("error: unknown command {later:?}\n")), "{ran:#?}");
    }
    room.run(&["create"]).fails(2, &["error: PATH is missing"]);
    room.run(&["create", "--piece-length", "16Q", "x"])
        .fails(2, &["error: --piece-length: \"16Q\" is not a size: write it like 16384, 500k, 64Mi or 1.5Gi"]);
}

#[test]
fn errors_are_documents_for_machines() {
    let room = Room::new();
    room.write("t/text.torrent", "text");
    let ran = room.run(&["info", "--json", "t/text.torrent"]);
    assert_eq!((ran.code, ran.err.as_str()), (4, ""));
    assert_eq!(
        ran.out,
        "{\"v\":1,\"error\":{\"code\":\"invalid\",\"exit\":4,\"message\":\"t/text.torrent is not a torrent: expected \
         \\\"d\\\" at byte 0, found \\\"t\\\"\",\"help\":null,\"input\":\"t/text.torrent\"}}\n"
    );
    let ran = room.run(&["--json", "info"]);
    assert_eq!(ran.json()["error"]["code"], "usage");
}

#[test]
fn a15_names_of_strangers_do_not_steer_the_terminal() {
    let room = Room::new();
    let name = "6:lengthi16384e4:name12:a\x1b[2J\u{202e}b\u{9b}c12:piece lengthi16384e";
    room.write("x.torrent", torrent(&[0; 20], name));
    let ran = room.run(&["info", "x.torrent"]).ok();
    assert!(!ran.out.contains(['\x1b', '\u{202e}', '\u{9b}']), "{ran:#?}");
    let ran = room.run(&["info", "\x1b[2J.torrent"]);
    assert!(!ran.err.contains('\x1b'), "{ran:#?}");
}
