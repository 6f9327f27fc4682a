//! Seeds every torrent of a folder from one session, to see what idle torrents cost.
//!
//! `cargo run --release -p riverrun --example fleet -- TORRENTS DATA STATE [--at-once]`
//!
//! Each torrent is added when one before it is shared; with `--at-once` all are added first, as an owner does who has a list of them.
//! Says `ready` when all are shared, and goes on until it is told to end. The next start finds the records in STATE. The .torrent
//! files of TORRENTS name content below DATA.

use std::error::Error;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use riverrun::{AddTorrent, Session, Torrent};
use tokio::task::JoinSet;

/// Torrents that are being added at once: each waits for its files to be opened on another thread.
const AT_ONCE: usize = 8;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "its results are for whoever started it")]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let began = Instant::now();
    let mut words: Vec<_> = std::env::args_os().skip(1).collect();
    let at_once = words.pop_if(|last| *last == "--at-once").is_some();
    let [torrents, data, state] = folders(words)?;
    let session =
        Session::builder().listen([([0, 0, 0, 0], 0).into()]).state_dir(state).dht(false).lsd(false).start().await?;
    let mut paths: Vec<_> =
        std::fs::read_dir(torrents)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.sort();
    let count = paths.len();
    let (session, data) = (Arc::new(session), Arc::new(data));
    let mut adding = JoinSet::new();
    let share = count.div_ceil(AT_ONCE).max(1);
    for some in paths.chunks(share).map(<[PathBuf]>::to_vec) {
        adding.spawn(add(session.clone(), some, data.clone(), at_once));
    }
    while let Some(added) = adding.join_next().await {
        for torrent in added?? {
            torrent.completed().await?;
        }
    }
    println!("ready: {count} torrents in {:.3} s", began.elapsed().as_secs_f64());
    ending().await?;
    session.shutdown(Duration::from_secs(10)).await;
    Ok(())
}

/// Adds torrents one after the other, each when the one before is shared unless all are to be added at once; gives those that may not
/// be shared yet.
async fn add(
    session: Arc<Session>,
    paths: Vec<PathBuf>,
    data: Arc<PathBuf>,
    at_once: bool,
) -> Result<Vec<Torrent>, Box<dyn Error + Send + Sync>> {
    let mut added = Vec::new();
    for path in paths {
        let add = AddTorrent::new(std::fs::read(path)?).into_dir(&*data).read_only(true).trust_resume(true);
        let torrent = session.add(add).await?;
        if at_once {
            added.push(torrent);
        } else {
            torrent.completed().await?;
        }
    }
    Ok(added)
}

fn folders(words: Vec<OsString>) -> Result<[PathBuf; 3], Box<dyn Error + Send + Sync>> {
    let folders: Vec<_> = words.into_iter().map(PathBuf::from).collect();
    folders.try_into().map_err(|_| "usage: fleet TORRENTS DATA STATE [--at-once]".into())
}

/// Until the process is told to end.
async fn ending() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    Ok(())
}
