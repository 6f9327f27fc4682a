//! What happens, as documents for machines, one per line.

use std::time::Duration;

use riverrun::TorrentStatus;
use serde::Serialize;

use crate::exit::Exit;
use crate::failure::{Failure, FailureDocument};
use crate::render::progress::{Reason, View};

/// One line: what happened, and to which torrent.
#[derive(Serialize)]
struct Event<'a, T> {
    v: u8,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    info_hash: Option<&'a str>,
    #[serde(flatten)]
    facts: T,
}

fn line<T: Serialize>(event: &'static str, info_hash: Option<&str>, facts: T) -> String {
    document(&Event { v: 1, event, info_hash, facts })
}

/// A document in one line.
pub(crate) fn document<T: Serialize>(document: &T) -> String {
    serde_json::to_string(document).expect("documents are text and numbers")
}

/// A document over several lines.
pub(crate) fn pretty<T: Serialize>(document: &T) -> String {
    serde_json::to_string_pretty(document).expect("documents are text and numbers")
}

#[derive(Serialize)]
struct Added<'a> {
    name: &'a str,
    bytes: u64,
    pieces: u32,
    path: &'a str,
}

/// A torrent was added.
pub(crate) fn added(view: &View, pieces: u32, path: &str) -> String {
    let facts = Added { name: &view.name, bytes: view.total, pieces, path };
    line("added", Some(&view.info_hash), facts)
}

#[derive(Serialize)]
struct Progress {
    done: u64,
    total: u64,
    down: u64,
    up: u64,
    peers: usize,
    web_seeds: usize,
    eta_s: Option<u64>,
    state: &'static str,
}

/// How far a torrent is.
pub(crate) fn progress(view: &View) -> String {
    let facts = Progress {
        done: view.done,
        total: view.total,
        down: view.down,
        up: view.up,
        peers: view.peers,
        web_seeds: view.web_seeds,
        eta_s: view.eta.map(|eta| eta.as_secs()),
        state: view.stage.word(),
    };
    line("progress", Some(&view.info_hash), facts)
}

#[derive(Serialize)]
struct Waiting<'a> {
    reason: &'static str,
    detail: &'a str,
}

/// Why nothing comes.
pub(crate) fn waiting(view: &View, reason: &Reason) -> String {
    line("waiting", Some(&view.info_hash), Waiting { reason: reason.code, detail: &reason.text })
}

#[derive(Serialize)]
struct Completed<'a> {
    path: &'a str,
    elapsed_s: f64,
    already_complete: bool,
    wasted_bytes: u64,
    corrupt_bytes: u64,
}

/// Everything wanted is here.
pub(crate) fn completed(
    info_hash: &str,
    path: &str,
    elapsed: Duration,
    already_complete: bool,
    status: &TorrentStatus,
) -> String {
    let (wasted_bytes, corrupt_bytes) = (status.wasted_bytes, status.corrupt_bytes);
    let elapsed_s = seconds(elapsed);
    let completed = Completed { path, elapsed_s, already_complete, wasted_bytes, corrupt_bytes };
    line("completed", Some(info_hash), completed)
}

#[derive(Serialize)]
struct Sharing<'a> {
    name: &'a str,
    magnet: &'a str,
    listen: Vec<String>,
}

/// It can be had from us now.
pub(crate) fn sharing(info_hash: &str, name: &str, magnet: &str, listen: Vec<String>) -> String {
    line("sharing", Some(info_hash), Sharing { name, magnet, listen })
}

#[derive(Serialize)]
struct Downloader<'a> {
    addr: &'a str,
}

/// A peer wants something of ours for the first time.
pub(crate) fn downloader(addr: &str) -> String {
    line("downloader", None, Downloader { addr })
}

#[derive(Serialize)]
struct Stopped {
    done: u64,
    total: u64,
    exit: u8,
}

/// The user stopped it.
pub(crate) fn stopped(done: u64, total: u64, exit: Exit) -> String {
    line("stopped", None, Stopped { done, total, exit: exit.code() })
}

#[derive(Serialize)]
struct Serving<'a> {
    url: &'a str,
    file: Option<&'a str>,
}

/// Players can read from here; `file` is what the URL is of, `None` for the page that lists all.
pub(crate) fn serving(info_hash: &str, url: &str, file: Option<&str>) -> String {
    line("serving", Some(info_hash), Serving { url, file })
}

#[derive(Serialize)]
struct Failed<'a> {
    error: FailureDocument<'a>,
}

/// Something ended badly.
pub(crate) fn failed(failure: &Failure) -> String {
    line("error", None, Failed { error: failure.facts() })
}

/// Seconds with a fraction.
pub(crate) fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}
