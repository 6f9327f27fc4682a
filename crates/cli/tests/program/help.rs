//! Help, manual pages and completions: all from one definition.

use crate::room::Room;

const COMMANDS: [&str; 17] = [
    "download",
    "seed",
    "stream",
    "create",
    "info",
    "verify",
    "magnet",
    "edit",
    "peers",
    "scrape",
    "tracker",
    "demo",
    "bench",
    "doctor",
    "completions",
    "man",
    "",
];

#[test]
fn short_help_fits_a_screen() {
    let room = Room::new();
    for command in COMMANDS {
        let args: Vec<&str> = [command, "-h"].into_iter().filter(|arg| !arg.is_empty()).collect();
        let ran = room.run_with_env(&args, &[("COLUMNS", "80")]).ok();
        assert!(ran.out.lines().count() <= 40, "{} lines:\n{}", ran.out.lines().count(), ran.out);
        assert!(ran.out.lines().all(|line| line.chars().count() <= 80), "{}", ran.out);
        assert_eq!(ran.err, "");
    }
}

#[test]
fn long_help_has_the_exit_codes_and_examples() {
    let room = Room::new();
    let ran = room.run(&["--help"]).ok();
    for exit in riverrun_cli::Exit::ALL {
        assert!(ran.out.contains(&format!("{:>3}  {}", exit.code(), exit.name())), "{exit:?}: {}", ran.out);
    }
    assert!(ran.out.contains("  [limits] download_limit upload_limit lan_unlimited\n"), "{}", ran.out);
    for command in COMMANDS.iter().filter(|command| !command.is_empty()) {
        let ran = room.run(&[command, "--help"]).ok();
        assert!(ran.out.contains("Example"), "{}", ran.out);
    }
}

#[test]
fn alone_it_lists_the_commands_and_three_examples() {
    let ran = Room::new().run::<&str>(&[]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    for command in COMMANDS {
        assert!(ran.err.contains(command));
    }
    let examples = ran.err.split("Examples:").nth(1).unwrap();
    assert_eq!(examples.lines().filter(|line| line.trim().starts_with("riverrun ")).count(), 3);
}

#[test]
fn every_command_has_a_manual_page_and_completions() {
    let room = Room::new();
    let whole = room.run(&["man"]).ok();
    assert!(whole.out.contains(".TH riverrun 1"), "{}", &whole.out[..200]);
    assert!(whole.out.contains("no_progress"), "the exit codes are in the page");
    for command in COMMANDS.iter().filter(|command| !command.is_empty()) {
        let page = room.run(&["man", command]).ok();
        assert!(page.out.contains(&format!(".TH riverrun-{command} 1")), "{}", &page.out[..200]);
    }
    assert_eq!(room.run(&["man", "downlod"]).code, 2);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = room.run(&["completions", shell]).ok();
        for word in ["download", "verify", "max-time", "piece-length"] {
            assert!(script.out.contains(word), "{shell} knows no {word}");
        }
    }
}

#[test]
fn every_option_has_a_variable() {
    let room = Room::new();
    room.content("x", 40_000);
    let ran = room.run_with_env(&["create", "x"], &[("RIVERRUN_JSON", "true"), ("RIVERRUN_V1", "1")]).ok();
    assert_eq!(ran.json()["info_hash_v2"], serde_json::Value::Null);
    let ran = room.run_with_env(&["create", "x"], &[("RIVERRUN_PIECE_LENGTH", "odd")]);
    assert_eq!(ran.code, 2);
}

#[test]
fn the_version_is_told_to_people_and_machines() {
    let room = Room::new();
    let ran = room.run(&["-V"]).ok();
    assert!(ran.out.starts_with(concat!("riverrun ", env!("CARGO_PKG_VERSION"))));
    let ran = room.run(&["--version", "--json"]).ok();
    assert_eq!(ran.json()["version"], env!("CARGO_PKG_VERSION"));
}
