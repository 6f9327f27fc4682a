//! What rate limits come to: one session gives many torrents to another over loopback, each by a connection of its own, under one limit
//! of the one that downloads, and without. With limits each run takes a minute.
//! `cargo run --release -p riverrun --example rates -- [CONNECTIONS,… [BYTES_PER_SECOND,…]]`; 0 is no limit.

#![allow(clippy::print_stdout, reason = "a program for developers")]

use std::time::{Duration, Instant};

use riverrun::metainfo::piece_hash::Format;
use riverrun::testing::{Content, loopback};
use riverrun::{AddTorrent, Limits, Session, Settings};

/// What is measured, after a time in which everyone's first blocks come: what has come of a block counts only once it is whole, so that
/// many slow connections seem slower at first than they are.
const TIME: Duration = Duration::from_secs(40);
const BEFORE: Duration = Duration::from_secs(10);
/// So much is there for a run without a limit, in bytes.
const UNLIMITED_BYTES: u64 = 1 << 30;

type Error = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let list = |at: usize, usual: &str| -> Result<Vec<u64>, Error> {
        let text = std::env::args().nth(at).unwrap_or_else(|| usual.to_owned());
        Ok(text.split(',').map(str::parse).collect::<Result<_, _>>()?)
    };
    println!(
        "{:>11} {:>12} {:>12} {:>8} {:>10} {:>12}",
        "connections", "limit B/s", "rate B/s", "off by", "Jain", "CPU s/GiB"
    );
    for connections in list(1, "1,10,200")? {
        for limit in list(2, "1048576,10485760,0")? {
            measure(usize::try_from(connections)?, limit).await?;
        }
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
async fn measure(connections: usize, limit: u64) -> Result<(), Error> {
    let bytes = if limit == 0 { UNLIMITED_BYTES } else { limit * (BEFORE + TIME).as_secs() * 5 / 4 };
    let each = usize::try_from(bytes)? / connections;
    let folder = tempfile::tempdir()?;
    let (from, into) = (folder.path().join("from"), folder.path().join("into"));
    let contents =
        (0..connections).map(|number| Content::file(&format!("{number}.bin"), number as u64, each.max(65_536)));
    let mut torrents = Vec::new();
    let settings = || Settings { max_connections: 1000, ..loopback() };
    let seeder = Session::builder().settings(settings()).start().await?;
    for content in contents {
        content.write_into(&from)?;
        let torrent = content.torrent(Format::V1, Some(65_536), &[]);
        let wish = AddTorrent::new(torrent.clone()).into_dir(&from).read_only(true).trust_resume(true);
        seeder.add(wish).await?.completed().await?;
        torrents.push(torrent);
    }
    let session = Session::builder().settings(settings()).start().await?;
    session.set_limits(Limits { down: (limit > 0).then_some(limit), up: None });
    let mut running = Vec::new();
    let mut began = (Instant::now(), 0, cpu_seconds()?);
    for torrent in torrents {
        let wish = AddTorrent::new(torrent).into_dir(&into).peers(seeder.listen_addrs());
        running.push(session.add(wish).await?);
    }
    let mut before = vec![0; connections];
    if limit > 0 {
        tokio::time::sleep(BEFORE).await;
        before = running.iter().map(|torrent| torrent.status().down_bytes).collect();
        began = (Instant::now(), session.status().down_bytes, cpu_seconds()?);
        tokio::time::sleep(TIME).await;
    } else {
        for torrent in &running {
            torrent.completed().await?;
        }
    }
    let (elapsed, cpu) = (began.0.elapsed().as_secs_f64(), cpu_seconds()? - began.2);
    let came = (session.status().down_bytes - began.1) as f64;
    let now = running.iter().map(|torrent| torrent.status().down_bytes);
    let shares: Vec<f64> = now.zip(before).map(|(now, before)| (now - before) as f64).collect();
    let (sum, squares): (f64, f64) =
        shares.iter().fold((0.0, 0.0), |(sum, squares), one| (sum + one, squares + one * one));
    let jain = sum * sum / (shares.len() as f64 * squares);
    let rate = came / elapsed;
    let off = if limit > 0 { format!("{:+.2} %", (rate / limit as f64 - 1.0) * 100.0) } else { "-".into() };
    let cost = cpu / (came / f64::from(1 << 30));
    println!("{connections:>11} {limit:>12} {rate:>12.0} {off:>8} {jain:>10.4} {cost:>12.2}");
    session.shutdown(Duration::from_secs(5)).await;
    seeder.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

/// What this process has used of all cores.
#[expect(clippy::cast_precision_loss, reason = "hundredths of seconds")]
fn cpu_seconds() -> Result<f64, Error> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    Ok(ticks as f64 / 100.0)
}
