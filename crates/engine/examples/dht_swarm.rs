//! From a bare info-hash to the first verified piece, with nothing but a DHT on loopback.
//!
//! `cargo run --release -p riverrun --example dht_swarm -- --nodes 100 --rounds 10`
//!
//! Every round is a session that has never met anybody: it asks one of the nodes, finds the seeder in the DHT, gets the metadata from it
//! (BEP 9) and then pieces.

use std::error::Error;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use riverrun::metainfo::metainfo::Metainfo;
use riverrun::testing::{Content, Format, LocalDht, loopback};
use riverrun::{AddTorrent, DhtSettings, EventKind, Session, Settings, Source};

/// A number behind an option.
fn option(name: &str, default: usize) -> usize {
    let mut args = std::env::args().skip_while(|arg| arg != name);
    args.nth(1).and_then(|number| number.parse().ok()).unwrap_or(default)
}

fn settings(number: u8, dht: DhtSettings) -> Settings {
    // Nodes keep one peer of each address (BEP 33).
    Settings { dht, listen: vec![(Ipv4Addr::new(127, 0, 7, number), 0).into()], ..loopback() }
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "its results are for whoever started it")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (nodes, rounds) = (option("--nodes", 100), option("--rounds", 10));
    let began = Instant::now();
    let dht = LocalDht::start(nodes).await?;
    println!("{nodes} nodes know each other after {:.2} s", began.elapsed().as_secs_f64());

    let content = Content::file("content.bin", 1, 8 << 20);
    let torrent = content.torrent(Format::Hybrid, Some(256 << 10), &[]);
    let hashes = Metainfo::parse(torrent.clone().into())?.hashes();
    let folder = std::env::temp_dir().join(format!("riverrun-dht-swarm-{}", std::process::id()));
    let there = folder.join("there");
    content.write_into(&there)?;
    let seeding = Session::builder().settings(settings(1, dht.settings())).start().await?;
    seeding.add(AddTorrent::new(torrent).into_dir(&there)).await?.completed().await?;
    while dht.stored_peers() < nodes.min(8) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    let mut times = Vec::new();
    for round in 0..rounds {
        let began = Instant::now();
        let number = u8::try_from(2 + round % 250)?;
        let routers = vec![dht.routers()[round % dht.routers().len()].clone()];
        let session = Session::builder().settings(settings(number, DhtSettings { routers, ..dht.settings() }));
        let session = session.start().await?;
        let mut events = session.events();
        let out = folder.join(format!("out-{round}"));
        session.add(AddTorrent::new(Source::InfoHash(hashes)).into_dir(&out)).await?;
        while !matches!(events.next().await?.kind, EventKind::PieceDone(_)) {}
        times.push(began.elapsed());
        println!("round {:>3}: {:>8.1} ms to the first piece", round + 1, began.elapsed().as_secs_f64() * 1000.0);
        session.shutdown(Duration::from_secs(5)).await;
    }
    times.sort_unstable();
    if let Some(median) = times.get(times.len() / 2) {
        println!("median: {:.1} ms", median.as_secs_f64() * 1000.0);
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
