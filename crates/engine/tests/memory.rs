//! The memory that a download takes is bounded by accounting, whatever the torrent's size. Alone in its process.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use riverrun::testing::{Content, LocalSwarm, loopback};
use riverrun::{AddTorrent, Session, Settings};

/// Memory that belongs to this process alone, files not counted, in bytes.
fn anonymous() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn l16_a_download_with_a_slow_disk_stays_within_its_memory() {
    let content = Content::file("memory.bin", 3, 160 << 20);
    // Pieces far longer than the memory.
    let swarm = LocalSwarm::of(content).piece_length(32 << 20).start().await.unwrap();
    let settings = Settings { memory_bytes: 4 << 20, disk_threads: 1, ..loopback() };
    let session = Session::builder().settings(settings).start().await.unwrap();
    let before = anonymous();
    let torrent = session.add(AddTorrent::new(swarm.torrent()).into_dir(swarm.dir())).await.unwrap();
    let mut most = 0;
    let mut completed = Box::pin(torrent.completed());
    loop {
        tokio::select! {
            done = &mut completed => break done.unwrap(),
            () = tokio::time::sleep(Duration::from_millis(2)) => most = most.max(anonymous()),
        }
    }
    swarm.content().compare(&swarm.dir()).unwrap();
    let grown = most.saturating_sub(before);
    // Ours is 4 MiB of blocks; the seeder in this process has 32 MiB of its own, and both hash with a few.
    assert!(grown < 64 << 20, "{} MiB more than before", grown >> 20);
}
