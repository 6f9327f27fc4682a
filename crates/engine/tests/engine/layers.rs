//! Torrents that come without piece layers: peers have them (BEP 52).

use riverrun::metainfo::Metainfo;
use riverrun::testing::{Content, Format, LocalSwarm};
use riverrun::{AddTorrent, Torrent};

use super::{complete, same, session};

const PIECE: u32 = 16 * 1024;

/// A torrent file without its piece layers.
fn bare(torrent: Vec<u8>) -> Vec<u8> {
    let mut draft = Metainfo::parse(torrent.into()).unwrap().draft();
    assert!(draft.piece_layers.take().is_some_and(|layers| !layers.is_empty()));
    draft.encode()
}

fn folder() -> Content {
    let piece = PIECE as usize;
    let files = [("two pieces", 2 * piece), ("one", piece - 7), ("odd", 513 * piece + 1), ("three", 2 * piece + 100)];
    Content::folder("layers", 3, files)
}

/// Downloads it with a bare torrent file.
async fn download(swarm: &LocalSwarm, peer: &riverrun::Session) -> (riverrun::Session, Torrent) {
    let session = session().await;
    let wish = AddTorrent::new(bare(swarm.torrent())).into_dir(swarm.dir()).peers(peer.listen_addrs());
    let torrent = session.add(wish).await.unwrap();
    complete(&torrent).await;
    same(swarm, &swarm.dir());
    (session, torrent)
}

#[tokio::test(flavor = "multi_thread")]
async fn m20_a_v2_torrent_without_layers_is_downloaded_and_passed_on() {
    let swarm = LocalSwarm::of(folder()).format(Format::V2).piece_length(PIECE).start().await.unwrap();
    let (second, torrent) = download(&swarm, &swarm.seeders()[0].0).await;
    assert_eq!(torrent.status().corrupt_bytes, 0);
    // The first seeder goes: whoever comes now has all of it from the second, layers too.
    swarm.seeders()[0].1.pause();
    let dir = swarm.dir().join("third");
    let third = session().await;
    let wish = AddTorrent::new(bare(swarm.torrent())).into_dir(&dir).peers(second.listen_addrs());
    let torrent = third.add(wish).await.unwrap();
    complete(&torrent).await;
    same(&swarm, &dir);
}

#[tokio::test(flavor = "multi_thread")]
async fn m20_a_hybrid_torrent_without_layers_is_downloaded() {
    let swarm = LocalSwarm::of(folder()).format(Format::Hybrid).piece_length(PIECE).start().await.unwrap();
    download(&swarm, &swarm.seeders()[0].0).await;
}
