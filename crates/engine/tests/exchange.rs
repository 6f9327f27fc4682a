//! Content travels from session to session over loopback.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use riverrun::testing::{Content, Format, LocalSwarm, loopback};
use riverrun::{AddTorrent, Session};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(30);

async fn download(swarm: &LocalSwarm) -> Session {
    let session = Session::builder().settings(loopback()).start().await.unwrap();
    let torrent = session.add(AddTorrent::new(swarm.torrent()).into_dir(swarm.dir())).await.unwrap();
    let done = timeout(PATIENCE, torrent.completed()).await;
    done.unwrap_or_else(|_| panic!("stuck: {:#?} {:#?}", torrent.status(), torrent.peers())).unwrap();
    swarm.content().compare(&swarm.dir()).unwrap();
    session
}

#[tokio::test(flavor = "multi_thread")]
async fn one_file_from_one_seeder() {
    for format in [Format::V1, Format::Hybrid, Format::V2] {
        for length in [1, 16 * 1024 - 1, 300_000, 3_000_001] {
            let content = Content::file("single.bin", 7, length);
            let swarm = LocalSwarm::of(content).format(format).piece_length(32 * 1024);
            let swarm = timeout(PATIENCE, swarm.start()).await.expect("the seeder starts").unwrap();
            download(&swarm).await;
        }
    }
}
