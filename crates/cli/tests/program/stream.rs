//! `riverrun stream`, read by a plain HTTP client.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use crate::download::room;
use crate::room::{Room, finish};
use crate::swarm::{Seeder, signal};

/// A `riverrun stream` that serves; it is killed at the end.
struct Streaming {
    child: std::process::Child,
    url: String,
}

impl Streaming {
    fn start(room: &Room, args: &[&str]) -> Self {
        let args = [&["stream"], args].concat();
        let mut child = room.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Self { child, url: url.trim_end().to_owned() }
    }

    fn get(&self, path: Option<&str>, more: &str) -> (String, Vec<u8>) {
        let (addr, own) = self.url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let path = path.map_or_else(|| format!("/{own}"), str::to_owned);
        let mut stream = TcpStream::connect(addr).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n{more}\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
        (String::from_utf8(answer[..end].to_vec()).unwrap(), answer[end + 4..].to_vec())
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_file_is_read_with_ranges_while_it_comes() {
    let room = room();
    let seeder = Seeder::start(&room, &["single.torrent", "--data", "data", "-U", "200k"]);
    let streaming = Streaming::start(&room, &["--peer", &seeder.addr, "-d", "out", "single.torrent"]);
    assert!(
        streaming.url.starts_with("http://127.0.0.1:") && streaming.url.ends_with("/1/single.bin"),
        "{}",
        streaming.url
    );
    let right = room.read("data/single.bin");
    let (head, end) = streaming.get(None, "Range: bytes=-777\r\n");
    assert!(head.starts_with("HTTP/1.1 206 "), "{head}");
    assert_eq!(end, right[right.len() - 777..]);
    let (head, whole) = streaming.get(None, "");
    assert!(head.starts_with("HTTP/1.1 200 ") && whole == right, "{head}");
    assert_eq!(room.read("out/single.bin").len(), right.len(), "it stays");
}

#[test]
fn the_largest_file_that_plays_is_the_default_and_ctrl_c_ends_it() {
    let room = room();
    let seeder = Seeder::start(&room, &["album.torrent", "--data", "data"]);
    let mut streaming = Streaming::start(&room, &["--peer", &seeder.addr, "-d", "out", "album.torrent"]);
    assert!(streaming.url.ends_with("/01.flac"), "{}", streaming.url);
    assert_eq!(streaming.get(None, "").1, room.read("data/album/01.flac"));
    let page = String::from_utf8(streaming.get(Some("/"), "").1).unwrap();
    assert!(page.contains("art/front.png") && page.contains("/playlist.m3u"), "{page}");
    signal(streaming.child.id(), "INT");
    assert_eq!(streaming.child.wait().unwrap().code(), Some(130));
    let mut said = String::new();
    streaming.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.contains("note: playing 01.flac, the largest of 3 files; all: http://127.0.0.1:"), "{said}");
}

#[test]
fn one_file_is_chosen_and_the_rest_is_not_got() {
    let room = room();
    let seeder = Seeder::start(&room, &["album.torrent", "--data", "data"]);
    let args = ["--peer", &seeder.addr, "-d", "out", "--file", "*.png", "album.torrent"];
    let streaming = Streaming::start(&room, &args);
    assert!(streaming.url.ends_with("/1/front.png"), "{}", streaming.url);
    assert_eq!(streaming.get(None, "").1, room.read("data/album/art/front.png"));
    assert_eq!(streaming.get(Some("/2/x"), "").0.split(' ').nth(1), Some("404"));
}

#[test]
fn to_standard_output_and_what_does_not_go_together() {
    let room = room();
    let seeder = Seeder::start(&room, &["single.torrent", "--data", "data"]);
    let args = ["stream", "--peer", &seeder.addr, "-o", "-", "single.torrent"];
    let output = finish(room.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    assert!(output.status.success() && output.stdout == room.read("data/single.bin"));
    room.run(&["stream", "-o", "-", "--port", "1", "single.torrent"])
        .fails(2, &["error: \"-o -\" needs no URL: it does not go with --port and --open"]);
    room.run(&["stream", "nope.torrent"]).fails(3, &["error: nope.torrent: no such file"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let ran = room.run(&["stream", "--port", &port.to_string(), "-d", "out", "single.torrent"]);
    assert_eq!(ran.code, 2, "{ran:#?}");
    assert!(ran.err.contains(&format!("error: cannot listen on port {port}: in use")), "{ran:#?}");
}
