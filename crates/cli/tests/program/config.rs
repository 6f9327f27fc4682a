//! The configuration file.

use crate::room::Room;

#[test]
fn the_command_line_comes_before_the_environment_and_that_before_the_file() {
    let room = Room::new();
    room.content("x", 40_000);
    room.run(&["create", "x"]).ok();
    room.write(".home/.config/riverrun/config.toml", "[ui]\nsi = true\ncolor = \"always\"\n");
    assert!(room.run(&["info", "--files", "x.torrent"]).ok().out.contains("40.0 kB"));
    assert!(room.run(&["info", "nope"]).err.contains('\x1b'));
    assert!(!room.run_with_env(&["info", "nope"], &[("RIVERRUN_COLOR", "never")]).err.contains('\x1b'));
    assert!(
        room.run_with_env(&["info", "nope", "--color=always"], &[("RIVERRUN_COLOR", "never")]).err.contains('\x1b')
    );
    room.write("other.toml", "[storage]\ndir = \"deep\"\n[limits]\ndownload_limit = \"1Mi\"\n");
    let ran = room.run(&["--config", "other.toml", "download", "x.torrent", "--wait-peers", "100ms"]);
    assert_eq!(ran.code, 6, "{ran:#?}");
    assert!(room.path("deep/x").exists());
}

#[test]
fn row_20_mistakes_in_the_file_are_named() {
    let room = Room::new();
    room.write("bad.toml", "[limits]\ndowload_limit = 1\n");
    room.run(&["--config", "bad.toml", "info", "x"]).fails(
        2,
        &["error: unknown key \"dowload_limit\" in bad.toml line 2", "help: did you mean \"download_limit\"?"],
    );
    room.write("bad.toml", "[limits]\n\ndownload_limit = \"fast\"\n");
    let ran = room.run_with_env(&["download", "x"], &[("RIVERRUN_CONFIG", "bad.toml")]);
    let said = "error: --down-limit: \"fast\" is not a rate: write it like 500k, 2Mi, 8Mbit or none (bad.toml line 3)";
    ran.fails(2, &[said]);
    room.write("bad.toml", "[network]\nseed_choker = \"nobody\"\n");
    let said =
        "error: \"nobody\" is not valid for --seed-choker (one of round-robin, fastest, rarest-need, anti-leech)";
    room.run(&["--config", "bad.toml", "seed", "x"]).fails(2, &[&format!("{said} (bad.toml line 2)")]);
    let said = said.replace("nobody", "fastes");
    room.run(&["download", "--seed-choker", "fastes", "x"]).fails(2, &[&said, "help: did you mean \"fastest\"?"]);
    room.run(&["--config", "nowhere.toml", "info", "x"]).fails(3, &["error: nowhere.toml: no such file or folder"]);
}
