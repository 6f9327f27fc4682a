//! Encrypted connections over real sockets: who talks to whom, and how.

use std::time::{Duration, Instant};

use riverrun::metainfo::WireHash;
use riverrun::metainfo::metainfo::Metainfo;
use riverrun::proto::mse::{Initiator, Methods, RANDOM_LENGTH};
use riverrun::proto::swarm;
use riverrun::proto::wire::{HANDSHAKE_LENGTH, Handshake, PeerId, Reserved};
use riverrun::testing::{Content, LocalSwarm, loopback};
use riverrun::{AddTorrent, Cover, Encryption, PeerQuery, Session, Settings, Torrent, Waiting, probe_peer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::{PATIENCE, complete, same, until};

/// A swarm whose seeders want it so.
async fn swarm(encryption: Encryption) -> LocalSwarm {
    let content = Content::file("secret.bin", 5, 3_000_000);
    LocalSwarm::of(content).piece_length(1 << 16).encryption(encryption).start().await.unwrap()
}

/// Joins as a downloader that wants it so.
async fn join(swarm: &LocalSwarm, encryption: Encryption) -> (Session, Torrent) {
    let settings = Settings { encryption, ..loopback() };
    let session = Session::builder().settings(settings).start().await.unwrap();
    let torrent = session.add(AddTorrent::new(swarm.torrent()).into_dir(swarm.dir())).await.unwrap();
    (session, torrent)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_pair_of_wishes_comes_to_what_both_allow() {
    use Encryption::{Off, Prefer, Require};
    for (seeder, downloader, expected) in [
        (Off, Off, Cover::None),
        (Off, Prefer, Cover::None),
        (Prefer, Off, Cover::None),
        (Prefer, Prefer, Cover::Handshake),
        (Prefer, Require, Cover::Stream),
        (Require, Prefer, Cover::Stream),
        (Require, Require, Cover::Stream),
    ] {
        // Slow enough that the connection is there to be looked at.
        let content = Content::file("secret.bin", 5, 1_500_000);
        let swarm = LocalSwarm::of(content).encryption(seeder).up_limit(Some(1 << 20)).start().await.unwrap();
        let (_session, torrent) = join(&swarm, downloader).await;
        let (mut ours, mut theirs) = (None, None);
        until("both sides know the connection", || {
            let cover = |torrent: &Torrent| torrent.peers().first().map(|peer| peer.cover);
            (ours, theirs) = (ours.or(cover(&torrent)), theirs.or(cover(&swarm.seeders()[0].1)));
            ours.is_some() && theirs.is_some()
        })
        .await;
        assert_eq!((ours, theirs), (Some(expected), Some(expected)), "{seeder:?} and {downloader:?}");
        complete(&torrent).await;
        same(&swarm, &swarm.dir());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_without_encryption_is_no_peer_where_it_is_required() {
    let swarm = swarm(Encryption::Off).await;
    let (_session, torrent) = join(&swarm, Encryption::Require).await;
    until("the reason is said", || {
        torrent.status().waiting == Some(Waiting::Swarm(swarm::Waiting::Unencrypted { peers: 1 }))
    })
    .await;
    assert_eq!(torrent.status().down_bytes, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn encrypted_uploads_arrive_whole_under_a_rate_limit() {
    // Small grants cut what is sealed in many places, and requests come in between.
    let content = Content::file("cut.bin", 6, 700_000);
    let limits = Some(600_000);
    let swarm =
        LocalSwarm::of(content).encryption(Encryption::Require).up_limit(limits).seeders(2).start().await.unwrap();
    let (_session, torrent) = join(&swarm, Encryption::Require).await;
    complete(&torrent).await;
    same(&swarm, &swarm.dir());
    assert_eq!(torrent.status().corrupt_bytes, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_says_how_it_came() {
    for (encryption, expected) in
        [(Encryption::Off, Cover::None), (Encryption::Prefer, Cover::Handshake), (Encryption::Require, Cover::Stream)]
    {
        let swarm = swarm(encryption).await;
        let hashes = Metainfo::parse(swarm.torrent().into()).unwrap().hashes();
        let pieces = swarm.seeders()[0].1.status().pieces;
        let probe = probe_peer(swarm.addrs()[0], &PeerQuery::new(hashes, Some(pieces))).await.unwrap();
        assert_eq!((probe.cover, probe.progress), (expected, Some(1.0)), "{probe:?}");
        assert!(probe.client.starts_with("riverrun"), "{probe:?}");
    }
}

fn plaintext(info_hash: WireHash) -> [u8; HANDSHAKE_LENGTH] {
    Handshake { reserved: Reserved([0; 8]), info_hash, peer_id: PeerId(*b"-XX0000-abcdefghijkl") }.encode()
}

/// Reads until the other side closes; what came.
async fn all_of(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    // Closed in one way or another.
    let _ = read.expect("the connection is closed");
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn plaintext_is_closed_without_a_word_where_encryption_is_required() {
    let swarm = swarm(Encryption::Require).await;
    let hashes = Metainfo::parse(swarm.torrent().into()).unwrap().hashes();
    let mut stream = TcpStream::connect(swarm.addrs()[0]).await.unwrap();
    stream.write_all(&plaintext(hashes.wire())[..20]).await.unwrap();
    let start = Instant::now();
    assert!(all_of(&mut stream).await.is_empty());
    assert!(start.elapsed() < Duration::from_secs(5), "at once, not by the clock");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hash_of_a_hybrid_is_known_to_mse() {
    let swarm = swarm(Encryption::Prefer).await;
    let hashes = Metainfo::parse(swarm.torrent().into()).unwrap().hashes();
    assert_eq!(hashes.wire_all().count(), 2);
    for hash in hashes.wire_all() {
        let mut stream = TcpStream::connect(swarm.addrs()[0]).await.unwrap();
        let mut near = Initiator::new([5; RANDOM_LENGTH], hash, Methods::Either, &plaintext(hash));
        let mut bytes = vec![0; 2048];
        let covered = loop {
            stream.write_all(&near.take()).await.unwrap();
            let most = near.missing();
            let count = timeout(PATIENCE, stream.read(&mut bytes[..most])).await.unwrap().unwrap();
            assert_ne!(count, 0, "closed");
            if let Some(covered) = near.feed(&mut &bytes[..count]).unwrap() {
                break covered;
            }
        };
        assert_eq!(covered.cover, Cover::Handshake);
        let mut theirs = [0; HANDSHAKE_LENGTH];
        timeout(PATIENCE, stream.read_exact(&mut theirs)).await.unwrap().unwrap();
        assert_eq!(theirs[28..48], hash.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p30_mse_for_a_hash_that_is_not_here_ends_after_the_key() {
    let swarm = swarm(Encryption::Prefer).await;
    let mut stream = TcpStream::connect(swarm.addrs()[0]).await.unwrap();
    let unknown = WireHash([7; 20]);
    let mut near = Initiator::new([5; RANDOM_LENGTH], unknown, Methods::Either, &plaintext(unknown));
    stream.write_all(&near.take()).await.unwrap();
    let mut key = [0; 96];
    timeout(PATIENCE, stream.read_exact(&mut key)).await.unwrap().unwrap();
    near.feed(&mut &key[..]).unwrap();
    stream.write_all(&near.take()).await.unwrap();
    let start = Instant::now();
    let rest = all_of(&mut stream).await;
    assert!(rest.len() <= 512, "the pad that everyone gets, and no more: {}", rest.len());
    assert!(start.elapsed() < Duration::from_secs(5), "at once, not by the clock");
}

#[tokio::test(flavor = "multi_thread")]
async fn p26_noise_ends_within_the_longest_pad_or_by_the_clock() {
    let swarm = swarm(Encryption::Prefer).await;
    let noise = |length: usize| vec![0x77; length];
    // Too much of it: at once.
    let start = Instant::now();
    let mut much = TcpStream::connect(swarm.addrs()[0]).await.unwrap();
    much.write_all(&noise(96 + 512 + 80)).await.unwrap();
    assert!(all_of(&mut much).await.len() <= 96 + 512);
    assert!(start.elapsed() < Duration::from_secs(5));
    // A weak key gets not even ours.
    let mut weak = TcpStream::connect(swarm.addrs()[0]).await.unwrap();
    weak.write_all(&[0; 96]).await.unwrap();
    assert!(all_of(&mut weak).await.is_empty());
    // Too little, drop by drop: the whole handshake has 10 s.
    let start = Instant::now();
    let (mut reader, mut writer) = TcpStream::connect(swarm.addrs()[0]).await.unwrap().into_split();
    let drip = async move {
        let mut left = noise(600).into_iter();
        while let Some(byte) = left.next()
            && writer.write_all(&[byte]).await.is_ok()
        {
            sleep(Duration::from_millis(200)).await;
        }
    };
    let mut bytes = Vec::new();
    tokio::select! {
        () = drip => {}
        // Closed in one way or another.
        _ = reader.read_to_end(&mut bytes) => {}
    }
    let took = start.elapsed().as_secs_f64();
    assert!((9.0..25.0).contains(&took), "{took} s");
}
