//! Seeds every torrent of a folder from one session, to see what idle torrents cost.
//!
//! `cargo run --release -p riverrun --example fleet -- TORRENTS DATA STATE`
//!
//! Says `ready` when all are shared, and goes on until it is told to end. The next start finds the records in STATE. The .torrent
//! files of TORRENTS name content below DATA.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use riverrun::{AddTorrent, Session};
use tokio::task::JoinSet;

/// Torrents that are being added at once: each waits for its files to be opened on another thread.
const AT_ONCE: usize = 8;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "its results are for whoever started it")]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let began = Instant::now();
    let [torrents, data, state] = folders()?;
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
        adding.spawn(add(session.clone(), some, data.clone()));
    }
    while let Some(added) = adding.join_next().await {
        added??;
    }
    println!("ready: {count} torrents in {:.3} s", began.elapsed().as_secs_f64());
    ending().await?;
    session.shutdown(Duration::from_secs(10)).await;
    Ok(())
}

/// Adds torrents one after the other, each when the one before is shared: what is being opened takes memory that is never given back.
async fn add(
    session: Arc<Session>,
    paths: Vec<PathBuf>,
    data: Arc<PathBuf>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    for path in paths {
        let add = AddTorrent::new(std::fs::read(path)?).into_dir(&*data).read_only(true).trust_resume(true);
        session.add(add).await?.completed().await?;
    }
    Ok(())
}

fn folders() -> Result<[PathBuf; 3], Box<dyn Error + Send + Sync>> {
    let folders: Vec<_> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    folders.try_into().map_err(|_| "usage: fleet TORRENTS DATA STATE".into())
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
