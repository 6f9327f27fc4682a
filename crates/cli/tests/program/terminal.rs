//! What a terminal gets, with the program run inside of the test.

use std::io::Write;
use std::sync::{Arc, Mutex};

use riverrun_cli::{Env, Exit, Screen, run};

use crate::room::Room;

/// Keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Kept {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

/// Runs with terminals of this width; how it ended, and what they got.
fn on_terminal(columns: u16, args: &[&str]) -> (Exit, String, String) {
    let (out, err) = (Kept::default(), Kept::default());
    let mut env = Env::isolated(["riverrun"].iter().chain(args));
    env.out = Box::new(out.clone());
    env.err = Box::new(err.clone());
    env.out_screen = Screen::Fixed(columns);
    env.err_screen = Screen::Fixed(columns);
    let exit = run(&mut env);
    (exit, out.text(), err.text())
}

/// The text without its control sequences.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\x1b' {
            chars.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(c);
        }
    }
    plain
}

#[test]
fn the_bar_is_never_wider_than_the_terminal_and_is_gone_at_the_end() {
    for columns in [40, 70, 120] {
        let (exit, out, err) = on_terminal(columns, &["demo", "--size", "2Mi"]);
        assert_eq!(exit, Exit::Ok, "{err}");
        assert!(out.contains("every byte is the same"));
        let drawn: Vec<&str> = err.split(['\r', '\n']).filter(|line| line.contains('%')).collect();
        assert!(drawn.len() > 5, "it was drawn now and then: {err:?}");
        for line in drawn {
            let width = plain(line).chars().count();
            assert!(width < usize::from(columns), "{width} columns of {columns}: {line:?}");
        }
        let (_, after) = err.rsplit_once("\x1b[J").unwrap();
        assert!(!after.contains('%'), "{after:?}");
    }
}

#[test]
fn a_terminal_gets_three_piece_hashes_unless_all_are_asked_for() {
    let room = Room::new();
    room.content("x", 200_000);
    room.run(&["create", "x"]).ok();
    let torrent = room.path("x.torrent");
    let torrent = torrent.to_str().unwrap();
    let (_, out, _) = on_terminal(80, &["info", torrent]);
    assert!(out.ends_with("\n… and 10 more (--pieces shows all)\n"), "{out}");
    let (_, out, _) = on_terminal(80, &["info", "--pieces", torrent]);
    assert_eq!(out.lines().skip_while(|line| *line != "Piece Hashes:").count(), 1 + 13);
}

#[test]
fn no_color_and_dumb_terminals_are_respected() {
    let mut env = Env::isolated(["riverrun", "info", "/nowhere"]);
    let err = Kept::default();
    env.err = Box::new(err.clone());
    env.err_screen = Screen::Fixed(80);
    env.vars.insert("NO_COLOR".into(), "1".into());
    assert_eq!(run(&mut env), Exit::NotFound);
    assert_eq!(err.text(), "error: /nowhere: no such file\n");
    let (_, _, coloured) = on_terminal(80, &["info", "/nowhere"]);
    assert!(coloured.starts_with("\x1b[1;31merror:\x1b[0m "), "{coloured:?}");
}
