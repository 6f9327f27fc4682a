//! The engine over real sockets on loopback: sessions, a tracker, and peers that misbehave.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

mod checks;
mod dht;
mod dht_mainline;
mod encryption;
mod exchange;
mod faults;
mod file_reader;
mod files;
mod hostile;
mod layers;
mod limits;
mod lsd;
mod magnet;
mod net;
mod openings;
mod proxy;
mod resume;
mod slow_disk;
mod stream_server;
mod tracker_server;
mod trackers;
mod uploads;
mod web_seeds;
mod web_seeds_company;
mod web_server;

use std::path::Path;
use std::time::{Duration, Instant};

use riverrun::testing::{LocalSwarm, loopback};
use riverrun::{AddTorrent, Session, Torrent};
use tokio::time::{sleep, timeout};

/// How long anything may take before it counts as stuck; generous, as machines that run tests are slow at times.
const PATIENCE: Duration = Duration::from_secs(60);

async fn session() -> Session {
    Session::builder().settings(loopback()).start().await.unwrap()
}

/// Adds the swarm's torrent to a session of its own.
async fn join(swarm: &LocalSwarm) -> (Session, Torrent) {
    let session = session().await;
    let torrent = session.add(AddTorrent::new(swarm.torrent()).into_dir(swarm.dir())).await.unwrap();
    (session, torrent)
}

async fn complete(torrent: &Torrent) {
    let done = timeout(PATIENCE, torrent.completed()).await;
    done.unwrap_or_else(|_| panic!("stuck: {:#?} {:#?}", torrent.status(), torrent.peers())).unwrap();
}

/// Downloads the swarm's content and compares it.
async fn download(swarm: &LocalSwarm) {
    let (_session, torrent) = join(swarm).await;
    complete(&torrent).await;
    same(swarm, &swarm.dir());
}

fn same(swarm: &LocalSwarm, dir: &Path) {
    swarm.content().compare(dir).unwrap();
}

/// Waits until something is so.
async fn until(what: &str, is_so: impl FnMut() -> bool) {
    until_within(PATIENCE, what, is_so).await;
}

/// The same for what takes long by itself.
async fn until_within(patience: Duration, what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < patience, "{what}: not within {patience:?}");
        sleep(Duration::from_millis(5)).await;
    }
}
