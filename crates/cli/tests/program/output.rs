//! The rules of output: what goes where, and what a pipe never sees.

use std::io::Read;
use std::process::Stdio;

use crate::room::{Ran, Room};

#[test]
fn a_reader_that_goes_is_no_error() {
    let room = Room::new();
    room.content("x", 4_000_000);
    room.run(&["create", "x", "--piece-length", "16"]).fails(
        2,
        &[
            "error: piece length 16 is not a power of two from 16 KiB to 512 MiB, as v2 needs",
            "help: --piece-length takes a power of two from 16Ki; --v1 takes any",
        ],
    );
    room.run(&["create", "x", "--v1", "--piece-length", "100"]).ok();
    let mut child = room.command(&["info", "x.torrent"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:#?}");
}

#[test]
fn colours_follow_the_option_and_the_variables() {
    let room = Room::new();
    let coloured = |args: &[&str], vars: &[(&str, &str)]| room.run_with_env(args, vars).err.contains('\x1b');
    assert!(!coloured(&["info", "x"], &[]), "a pipe has no colours");
    assert!(coloured(&["info", "x", "--color", "always"], &[]));
    assert!(coloured(&["info", "x"], &[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&["info", "x"], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
    assert!(!coloured(&["info", "x", "--color=never"], &[("CLICOLOR_FORCE", "1")]));
}

#[test]
fn a_full_disk_for_the_output_is_said() {
    let room = Room::new();
    room.content("x", 100_000);
    room.run(&["create", "x"]).ok();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ran = Ran::of(room.command(&["info", "x.torrent"]).stdout(full).output().unwrap());
    assert_eq!((ran.code, ran.err.as_str()), (8, "error: cannot write the output: the disk is full\n"));
}

#[test]
fn no_backtrace_is_shown_whatever_the_environment_says() {
    let ran = Room::new().run_with_env(&["info", "nope"], &[("RUST_BACKTRACE", "full")]);
    assert_eq!(ran.err, "error: nope: no such file\n");
}
