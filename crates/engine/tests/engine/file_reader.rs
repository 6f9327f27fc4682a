//! Files are read while they come.

use std::io::SeekFrom;
use std::time::Duration;

use riverrun::testing::{Content, LocalSwarm};
use riverrun::{Torrent, TorrentError};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::time::timeout;

use super::{PATIENCE, join};

/// The right bytes of a file.
fn right(swarm: &LocalSwarm, path: &str) -> Vec<u8> {
    std::fs::read(swarm.seeder_dir(0).join(path)).unwrap()
}

async fn range(torrent: &Torrent, file: usize, from: u64, length: u64) -> Vec<u8> {
    let mut reader = torrent.file_reader(file).unwrap();
    reader.seek(SeekFrom::Start(from)).await.unwrap();
    let mut bytes = Vec::new();
    timeout(PATIENCE, reader.take(length).read_to_end(&mut bytes)).await.unwrap().unwrap();
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_read_in_order_while_it_comes_and_from_any_place() {
    let content = Content::folder("album", 5, [("a.bin", 100_001), ("empty", 0), ("b.mkv", 3_000_007)]);
    let swarm = LocalSwarm::of(content).piece_length(32_768).up_limit(Some(1_500_000)).start().await.unwrap();
    let expected = right(&swarm, "album/b.mkv");
    let (_session, torrent) = join(&swarm).await;
    let number = |name: &str| {
        let metainfo = torrent.metainfo().unwrap();
        metainfo.info().files().iter().position(|file| file.path.as_str() == name).unwrap()
    };
    let b = number("b.mkv");
    let end = range(&torrent, b, 2_999_000, 5000).await;
    assert_eq!(end, expected[2_999_000..]);
    assert!(torrent.status().have_bytes < 2_000_000, "the end came before all else");
    let (whole, middle, nothing, beyond) = tokio::join!(
        range(&torrent, b, 0, u64::MAX),
        range(&torrent, b, 1_500_001, 70_000),
        range(&torrent, number("empty"), 0, 10),
        range(&torrent, b, 5_000_000, 10),
    );
    assert!(whole == expected && middle == expected[1_500_001..1_570_001]);
    assert!(nothing.is_empty() && beyond.is_empty());
    assert!(matches!(torrent.file_reader(99), Err(TorrentError::NoSuchFile(99))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_ends_when_the_torrent_is_removed() {
    let content = Content::file("a.bin", 5, 3_000_000);
    let swarm = LocalSwarm::of(content).up_limit(Some(20_000)).start().await.unwrap();
    let (_session, torrent) = join(&swarm).await;
    let mut reader = torrent.file_reader(0).unwrap();
    reader.seek(SeekFrom::End(-10)).await.unwrap();
    let waits = tokio::spawn(async move { reader.read_u8().await });
    tokio::task::yield_now().await;
    timeout(Duration::from_secs(30), torrent.remove()).await.unwrap();
    let error = timeout(PATIENCE, waits).await.unwrap().unwrap().unwrap_err();
    assert!(error.to_string().contains("stopped"), "{error}");
    assert!(torrent.file_reader(0).unwrap().read_u8().await.is_err());
}
