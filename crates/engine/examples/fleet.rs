//! Seeds every torrent of a folder from one session, to see what idle torrents cost.
//!
//! `cargo run --release -p riverrun --example fleet -- TORRENTS DATA STATE`
//!
//! Says `ready` when all are shared, and goes on until it is told to end. The next start finds the records in STATE. The .torrent
//! files of TORRENTS name content below DATA.

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use riverrun::{AddTorrent, Session};

#[tokio::main]
#[expect(clippy::print_stdout, reason = "its results are for whoever started it")]
async fn main() -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    let [torrents, data, state] = folders()?;
    let session =
        Session::builder().listen([([0, 0, 0, 0], 0).into()]).state_dir(state).dht(false).lsd(false).start().await?;
    let mut paths: Vec<_> =
        std::fs::read_dir(torrents)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.sort();
    let mut added = Vec::with_capacity(paths.len());
    for path in paths {
        let add = AddTorrent::new(std::fs::read(path)?).into_dir(&data).read_only(true).trust_resume(true);
        added.push(session.add(add).await?);
    }
    for torrent in &added {
        torrent.completed().await?;
    }
    println!("ready: {} torrents in {:.3} s", added.len(), began.elapsed().as_secs_f64());
    ending().await?;
    session.shutdown(Duration::from_secs(10)).await;
    Ok(())
}

fn folders() -> Result<[PathBuf; 3], Box<dyn Error>> {
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
