//! Others to meet on loopback: a seeder that is the program itself, trackers, and what they print.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::room::{Ran, Room, finish};

/// A `riverrun seed` that serves.
pub(crate) struct Seeder {
    child: Child,
    /// Its address.
    pub(crate) addr: String,
    /// What it said before it served.
    pub(crate) said: String,
    lines: mpsc::Receiver<String>,
}

impl Seeder {
    /// Starts one in the room and waits until it serves.
    pub(crate) fn start(room: &Room, args: &[&str]) -> Self {
        let args = [&["seed", "--listen", "127.0.0.1:0"], args].concat();
        let mut child = room.command(&args).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let mut said = String::new();
        loop {
            let line =
                lines.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|_| panic!("it does not serve: {said}"));
            said.push_str(&line);
            said.push('\n');
            if let Some(port) = line.strip_prefix("sharing ").and_then(|line| line.split(" on port ").nth(1)) {
                return Self { child, addr: format!("127.0.0.1:{port}"), said, lines };
            }
        }
    }

    /// The next line that contains `text`.
    pub(crate) fn line_with(&self, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(30)).unwrap();
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Ends it as Ctrl-C does.
    pub(crate) fn interrupt(mut self) -> Ran {
        signal(self.child.id(), "INT");
        let mut out = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        let status = self.child.wait().unwrap();
        let err = self.lines.iter().map(|line| line + "\n").collect();
        Ran { code: status.code().unwrap_or(-1), out_bytes: out.clone().into_bytes(), out, err }
    }
}

impl Drop for Seeder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process that a test started.
pub(crate) fn signal(id: u32, name: &str) {
    let status = std::process::Command::new("kill").args([format!("-{name}"), id.to_string()]).status();
    assert!(status.unwrap().success());
}

/// A process whose standard error is read line by line.
pub(crate) struct Watched {
    pub(crate) child: Child,
    lines: mpsc::Receiver<String>,
    said: String,
}

impl Watched {
    pub(crate) fn start(room: &Room, args: &[&str]) -> Self {
        let mut child = room.command(args).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Self { child, lines, said: String::new() }
    }

    /// Waits for a line for which `is` holds.
    pub(crate) fn until(&mut self, is: impl Fn(&str) -> bool) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(60));
            let line = line.unwrap_or_else(|_| panic!("not seen in: {}", self.said));
            self.said.push_str(&line);
            self.said.push('\n');
            if is(&line) {
                return line;
            }
        }
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self) -> Ran {
        let mut ran = Ran::of(finish(self.child));
        self.said.extend(self.lines.iter().map(|line| line + "\n"));
        ran.err = self.said;
        ran
    }
}

/// An HTTP server that gives one answer to everything. Its address.
pub(crate) fn http(status: &'static str, body: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            let _ = socket.read(&mut [0; 4096]);
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            let _ = socket.write_all(head.as_bytes()).and_then(|()| socket.write_all(&body));
        }
    });
    format!("http://{addr}")
}

/// A port on which nobody listens.
pub(crate) fn dead_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
