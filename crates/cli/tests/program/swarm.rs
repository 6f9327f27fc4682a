//! Others to meet on loopback: a seeder that is the program itself, trackers, and what they print.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use crate::room::{Ran, Room, finish};

/// A `riverrun seed` that serves.
pub(crate) struct Seeder {
    run: Watched,
    /// Its address.
    pub(crate) addr: String,
}

impl Seeder {
    /// Starts one in the room and waits until it serves.
    pub(crate) fn start(room: &Room, args: &[&str]) -> Self {
        let mut run = Watched::start(room, &[&["seed", "--listen", "127.0.0.1:0"], args].concat());
        let line = run.until(|line| line.starts_with("sharing ") && line.contains(" on port "));
        let addr = format!("127.0.0.1:{}", line.split(" on port ").nth(1).unwrap());
        Self { run, addr }
    }

    /// What it has said so far.
    pub(crate) fn said(&self) -> &str {
        &self.run.said
    }

    /// The next line that contains `text`.
    pub(crate) fn line_with(&mut self, text: &str) -> String {
        self.run.until(|line| line.contains(text))
    }

    /// Ends it as Ctrl-C does.
    pub(crate) fn interrupt(self) -> Ran {
        signal(self.run.id(), "INT");
        self.run.finish()
    }
}

/// Sends a signal to a process that a test started.
pub(crate) fn signal(id: u32, name: &str) {
    let status = std::process::Command::new("kill").args([format!("-{name}"), id.to_string()]).status();
    assert!(status.unwrap().success());
}

/// A process whose standard error is read line by line.
pub(crate) struct Watched {
    child: Option<Child>,
    lines: mpsc::Receiver<String>,
    said: String,
}

impl Watched {
    pub(crate) fn start(room: &Room, args: &[&str]) -> Self {
        let mut child = room.command(args).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (send, lines) = mpsc::sync_channel(10_000);
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Self { child: Some(child), lines, said: String::new() }
    }

    /// The number of the process.
    pub(crate) fn id(&self) -> u32 {
        self.child.as_ref().unwrap().id()
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
        let mut ran = Ran::of(finish(self.child.take().unwrap()));
        self.said.extend(self.lines.iter().map(|line| line + "\n"));
        ran.err = std::mem::take(&mut self.said);
        ran
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
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
