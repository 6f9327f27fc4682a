//! Peers that misbehave, over real sockets.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use riverrun::metainfo::metainfo::Metainfo;
use riverrun::metainfo::{Block, InfoHashes, PieceIndex, WireHash};
use riverrun::proto::wire::{
    Decoder, DecoderConfig, Frame, HANDSHAKE_LENGTH, Handshake, HandshakeDecoder, Message, PeerId, Reserved,
};
use riverrun::testing::{Content, LocalSwarm, loopback};
use riverrun::{Encryption, Session, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};

use super::{PATIENCE, complete, download, join, same, until};

/// A peer that says what a test wants.
struct Raw {
    stream: TcpStream,
    decoder: Decoder,
    read: Vec<u8>,
}

fn hashes(swarm: &LocalSwarm) -> InfoHashes {
    Metainfo::parse(swarm.torrent().into()).unwrap().hashes()
}

fn greeting(info_hash: WireHash) -> [u8; HANDSHAKE_LENGTH] {
    Handshake { reserved: Reserved([0; 8]), info_hash, peer_id: PeerId(*b"-XX0000-abcdefghijkl") }.encode()
}

impl Raw {
    /// Connects and shakes hands, without extensions.
    async fn connect(swarm: &LocalSwarm) -> Self {
        let mut stream = TcpStream::connect(swarm.addrs()[0]).await.unwrap();
        stream.write_all(&greeting(hashes(swarm).wire())).await.unwrap();
        let mut theirs = [0; HANDSHAKE_LENGTH];
        stream.read_exact(&mut theirs).await.unwrap();
        assert!(HandshakeDecoder::new().feed(&mut &theirs[..]).unwrap().is_some());
        let pieces = swarm.seeders()[0].1.status().pieces;
        Self { stream, decoder: Decoder::new(DecoderConfig::new(Some(pieces))), read: Vec::new() }
    }

    async fn send(&mut self, message: &Message) {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        self.stream.write_all(&bytes).await.unwrap();
    }

    /// Reads until this message comes.
    async fn expect(&mut self, wanted: &Message) {
        let found = timeout(PATIENCE, async {
            loop {
                let mut input = &self.read[..];
                while let Some(frame) = self.decoder.next(&mut input).unwrap() {
                    if frame == Frame::Message(wanted.clone()) {
                        let rest = input.len();
                        self.read.drain(..self.read.len() - rest);
                        return;
                    }
                }
                self.read.clear();
                assert_ne!(self.stream.read_buf(&mut self.read).await.unwrap(), 0, "closed before {wanted:?}");
            }
        });
        found.await.unwrap_or_else(|_| panic!("{wanted:?} never came"));
    }

    /// Reads until the other side closes.
    async fn closed(&mut self) {
        closed(&mut self.stream, PATIENCE).await;
    }
}

/// Reads until the other side closes; how many bytes came before.
async fn closed(stream: &mut TcpStream, patience: Duration) -> usize {
    let mut bytes = vec![0; 1 << 16];
    let mut count = 0;
    let end = timeout(patience, async {
        while let Ok(more @ 1..) = stream.read(&mut bytes).await {
            count += more;
        }
    });
    end.await.expect("the connection is closed");
    count
}

async fn swarm(length: usize) -> LocalSwarm {
    LocalSwarm::of(Content::file("hostile.bin", 3, length)).piece_length(1 << 20).start().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn p1_a_length_prefix_of_four_gigabytes_drops() {
    let swarm = swarm(100_000).await;
    let mut raw = Raw::connect(&swarm).await;
    raw.stream.write_all(&[0xff; 4]).await.unwrap();
    raw.closed().await;
    download(&swarm).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p14_a_peer_that_asks_and_does_not_read_costs_no_memory() {
    let swarm = swarm(64 << 20).await;
    let (session, seeder) = &swarm.seeders()[0];
    let mut raw = Raw::connect(&swarm).await;
    raw.send(&Message::Interested).await;
    raw.expect(&Message::Unchoke).await;
    let block = |number: u32| Block { piece: PieceIndex(number / 64), begin: number % 64 * 16_384, length: 16_384 };
    for number in 0..1_500 {
        raw.send(&Message::Request(block(number))).await;
    }
    until("the socket is full", || seeder.status().up_bytes > 0).await;
    let mut before = u64::MAX;
    while before != session.status().up_bytes {
        before = session.status().up_bytes;
        sleep(Duration::from_millis(200)).await;
    }
    let used = session.status().memory_used;
    assert!(used < 0.15, "{used} of the block memory is held for one slow reader");
    assert!(before < 1_500 * 16_384, "{before}: more left than the sockets hold");
    // Others are served all the same.
    download(&swarm).await;
    // And what was asked for comes once it is read.
    let mut last = 0;
    let read = timeout(PATIENCE, async {
        let mut bytes = vec![0; 1 << 20];
        while last < 1_500 * 16_384 {
            last += raw.stream.read(&mut bytes).await.unwrap();
        }
    });
    read.await.unwrap_or_else(|_| panic!("{last} bytes came"));
}

#[tokio::test(flavor = "multi_thread")]
async fn p14_a_flood_of_requests_drops() {
    let swarm = swarm(64 << 20).await;
    let mut raw = Raw::connect(&swarm).await;
    raw.send(&Message::Interested).await;
    raw.expect(&Message::Unchoke).await;
    let mut flood = Vec::new();
    for number in 0..20_000u32 {
        let block = Block { piece: PieceIndex(number / 64 % 64), begin: number % 64 * 16_384, length: 16_384 };
        Message::Request(block).encode(&mut flood);
    }
    // It may be closed while it is written.
    let _ = raw.stream.write_all(&flood).await;
    raw.closed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p17_handshakes_that_are_none() {
    let swarm = swarm(100_000).await;
    let addr = swarm.addrs()[0];
    let connect = || async { TcpStream::connect(addr).await.unwrap() };

    // Without MSE garbage is told at once, not by the clock.
    let start = Instant::now();
    let plain = LocalSwarm::of(Content::file("plain.bin", 3, 1000)).encryption(Encryption::Off).start().await.unwrap();
    let mut garbage = TcpStream::connect(plain.addrs()[0]).await.unwrap();
    garbage.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    assert_eq!(closed(&mut garbage, Duration::from_secs(5)).await, 0);

    let silent = async {
        let mut silent = connect().await;
        assert_eq!(closed(&mut silent, PATIENCE).await, 0);
        start.elapsed()
    };
    let slow = async {
        let (mut reader, mut writer) = connect().await.into_split();
        let drip = async move {
            for byte in greeting(hashes(&swarm).wire()) {
                if writer.write_all(&[byte]).await.is_err() {
                    break;
                }
                sleep(Duration::from_millis(300)).await;
            }
        };
        let mut bytes = Vec::new();
        let (_, read) = tokio::join!(drip, timeout(PATIENCE, reader.read_to_end(&mut bytes)));
        // Closed in one way or another.
        let _ = read.expect("the connection is closed");
        start.elapsed()
    };
    let (silent, slow) = tokio::join!(silent, slow);
    for took in [silent, slow] {
        assert!((9.0..25.0).contains(&took.as_secs_f64()), "the whole handshake has 10 s: {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p17_we_do_not_exchange_with_ourselves() {
    let swarm = swarm(2_000_000).await;
    let (session, torrent) = join(&swarm).await;
    torrent.add_peers(&session.listen_addrs());
    complete(&torrent).await;
    same(&swarm, &swarm.dir());
    torrent.add_peers(&session.listen_addrs());
    sleep(Duration::from_millis(200)).await;
    assert!(torrent.peers().iter().all(|peer| !session.listen_addrs().contains(&peer.addr)));
}

#[tokio::test(flavor = "multi_thread")]
async fn p18_a_peer_that_closes_at_once_is_left_alone_for_a_while() {
    let swarm = swarm(100_000).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr: SocketAddr = listener.local_addr().unwrap();
    let session = super::session().await;
    let wish = riverrun::AddTorrent::new(swarm.torrent()).into_dir(swarm.dir()).trackers(Vec::new()).peers([addr]);
    let torrent = session.add(wish).await.unwrap();
    let mut dials = 0;
    let counting = timeout(Duration::from_secs(4), async {
        loop {
            drop(listener.accept().await.unwrap());
            dials += 1;
        }
    });
    assert!(counting.await.is_err());
    assert_eq!(dials, 2, "one try, by MSE and in plaintext, then a rest");
    assert_eq!(torrent.status().connections, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn p19_half_open_connections_keep_nobody_out() {
    let swarm = swarm(1_000_000).await;
    let addr = swarm.addrs()[0];
    let mut open = Vec::new();
    for _ in 0..120 {
        open.push(TcpStream::connect(addr).await.unwrap());
    }
    let session = &swarm.seeders()[0].0;
    until("the oldest are dropped", || session.status().handshakes_dropped >= 70).await;
    assert!(session.status().handshakes <= 50);
    assert_eq!(closed(&mut open[0], Duration::from_secs(5)).await, 0);
    download(&swarm).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn p19_three_from_one_address() {
    let settings = Settings { loopback_exempt: false, ..loopback() };
    let session = Session::builder().settings(settings).start().await.unwrap();
    let mut open = Vec::new();
    for _ in 0..10 {
        open.push(TcpStream::connect(session.listen_addrs()[0]).await.unwrap());
    }
    until("the oldest are dropped", || session.status().handshakes_dropped == 7).await;
    assert_eq!(session.status().handshakes, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn p30_a_hash_that_is_not_here_gets_no_answer() {
    let swarm = swarm(100_000).await;
    let mut stream = TcpStream::connect(swarm.addrs()[0]).await.unwrap();
    stream.write_all(&greeting(WireHash([7; 20]))).await.unwrap();
    assert_eq!(closed(&mut stream, Duration::from_secs(5)).await, 0, "not a byte");
}
