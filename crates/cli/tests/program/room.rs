//! A folder in which the program is run, with a home of its own.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// No run of a test lasts as long as this.
const LIMIT: Duration = Duration::from_secs(90);

/// Waits for the end of a process; one that does not end is stopped, and the test fails.
pub(crate) fn finish(child: Child) -> Output {
    let id = child.id();
    let (send, ended) = std::sync::mpsc::sync_channel(1);
    std::thread::spawn(move || send.send(child.wait_with_output()));
    match ended.recv_timeout(LIMIT) {
        Ok(output) => output.unwrap(),
        Err(_) => {
            Command::new("kill").args(["-KILL", &id.to_string()]).status().unwrap();
            panic!("the program did not end: {:?}", ended.recv());
        }
    }
}

/// A temporary folder; the program runs in it.
pub(crate) struct Room {
    dir: tempfile::TempDir,
    dht: bool,
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) out_bytes: Vec<u8>,
}

impl Room {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), dht: false }
    }

    /// A room in which the program takes part in the DHT: the test has to say which routers it asks.
    pub(crate) fn with_dht() -> Self {
        Self { dht: true, ..Self::new() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file, and the folders on the way to it.
    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> &Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
        self
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Bytes that look like content: the same in each run.
    pub(crate) fn content(&self, name: &str, length: usize) -> &Self {
        let mut state = 0x9e37_79b9_7f4a_7c15u64 ^ length as u64;
        let bytes: Vec<u8> = (0..length)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state as u8
            })
            .collect();
        self.write(name, bytes)
    }

    /// Everything in the room but the home, sorted.
    pub(crate) fn entries(&self) -> Vec<String> {
        fn walk(root: &Path, at: &Path, into: &mut Vec<String>) {
            for entry in std::fs::read_dir(at).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                if path.is_dir() {
                    walk(root, &path, into);
                } else {
                    into.push(name);
                }
            }
        }
        let mut names = Vec::new();
        walk(self.dir.path(), self.dir.path(), &mut names);
        names.retain(|name| !name.starts_with(".home"));
        names.sort();
        names
    }

    /// What is left in the home after a run.
    pub(crate) fn home_entries(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut folders = vec![self.path(".home")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { names.push(path.display().to_string()) }
            }
        }
        names
    }

    /// The program, ready to be started in the room with nothing of the tester's environment.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_riverrun"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("HOME", self.path(".home"))
            // No test leaves loopback.
            .env("RIVERRUN_NO_LSD", "true")
            .env("RIVERRUN_NO_DHT", if self.dht { "false" } else { "true" })
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Ran {
        Ran::of(finish(self.command(args).spawn().unwrap()))
    }

    /// Runs with bytes on standard input.
    pub(crate) fn run_with_input(&self, args: &[&str], input: &[u8]) -> Ran {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input).unwrap();
        drop(stdin);
        Ran::of(finish(child))
    }

    pub(crate) fn run_with_env(&self, args: &[&str], vars: &[(&str, &str)]) -> Ran {
        let mut command = self.command(args);
        command.envs(vars.iter().copied());
        Ran::of(finish(command.spawn().unwrap()))
    }
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            out_bytes: output.stdout,
        }
    }

    /// It went well; what it said.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:#?}");
        self
    }

    /// It ended with this code, and with these lines on standard error alone.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, lines: &[&str]) {
        assert_eq!(self.err.lines().collect::<Vec<_>>(), lines, "{self:#?}");
        assert_eq!((self.code, self.out.as_str()), (code, ""), "{self:#?}");
    }

    /// The document on standard output.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}
