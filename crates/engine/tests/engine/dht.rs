//! The DHT over real sockets on loopback.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use riverrun::metainfo::metainfo::Metainfo;
use riverrun::proto::wire::{HANDSHAKE_LENGTH, Handshake, HandshakeDecoder, Message, PeerId, Reserved};
use riverrun::testing::{Content, Format, LocalDht, fill, loopback};
use riverrun::{AddTorrent, DhtSettings, Session, Settings, Source, Torrent};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::{PATIENCE, complete, session, until};

/// Settings with an address of their own: nodes keep one peer of each address (BEP 33).
fn settings(dht: DhtSettings) -> Settings {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let ip = Ipv4Addr::new(127, 0, 2, NEXT.fetch_add(1, Ordering::Relaxed));
    Settings { dht, listen: vec![(ip, 0).into()], ..loopback() }
}

async fn dht_session(dht: DhtSettings) -> Session {
    Session::builder().settings(settings(dht)).start().await.unwrap()
}

/// A session that has the content, whose torrent names no tracker.
pub(super) async fn seeder(dht: DhtSettings, content: &Content, torrent: &[u8], dir: &Path) -> (Session, Torrent) {
    content.write_into(dir).unwrap();
    let session = dht_session(dht).await;
    let torrent = session.add(AddTorrent::new(torrent.to_vec()).into_dir(dir)).await.unwrap();
    complete(&torrent).await;
    (session, torrent)
}

/// A router that notes what it is sent and never answers.
async fn silent_router() -> (UdpSocket, DhtSettings) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let routers = vec![("127.0.0.1".to_owned(), socket.local_addr().unwrap().port())];
    (socket, DhtSettings { on: true, routers, ..DhtSettings::default() })
}

/// The torrent of one file, made private.
fn private(content: &Content) -> Vec<u8> {
    let mut torrent = content.torrent(Format::V1, None, &[]);
    assert!(torrent.ends_with(b"ee"));
    torrent.truncate(torrent.len() - 2);
    torrent.extend(b"7:privatei1eee");
    assert!(Metainfo::parse(torrent.clone().into()).unwrap().info().is_private());
    torrent
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_know_nothing_but_the_dht_find_each_other() {
    for format in [Format::Hybrid, Format::V2] {
        let dht = LocalDht::start(8).await.unwrap();
        let content = Content::file("found.bin", 1, 300_000);
        let torrent = content.torrent(format, None, &[]);
        let (there, here) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let (_seeding, _seeder) = seeder(dht.settings(), &content, &torrent, there.path()).await;
        let session = dht_session(dht.settings()).await;
        let torrent = session.add(AddTorrent::new(torrent).into_dir(here.path())).await.unwrap();
        complete(&torrent).await;
        content.compare(here.path()).unwrap();
        assert!(torrent.status().sources.dht > 0, "{:?}", torrent.status().sources);
        until("all nodes are known", || session.status().dht.is_some_and(|dht| dht.families[0].good >= 8)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seeder_that_comes_last_is_found_and_who_only_asks_is_not() {
    let dht = LocalDht::start(6).await.unwrap();
    let content = Content::file("late.bin", 2, 100_000);
    let torrent = content.torrent(Format::V1, None, &[]);
    let (there, here) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let asking = dht_session(DhtSettings { read_only: true, ..dht.settings() }).await;
    let downloading = asking.add(AddTorrent::new(torrent.clone()).into_dir(here.path())).await.unwrap();
    until("it knows nodes", || asking.status().dht.is_some_and(|dht| dht.families[0].good > 3)).await;
    assert_eq!(dht.stored_peers(), 0, "it announces nothing");
    let (_seeding, seeder) = seeder(dht.settings(), &content, &torrent, there.path()).await;
    until("the seeder is announced", || dht.stored_peers() > 0).await;
    // The downloader asks again by itself, a little later each time.
    complete(&downloading).await;
    assert_eq!(seeder.status().sources.dht, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_torrent_sends_no_packet_and_says_nothing_of_the_dht() {
    let (router, settings) = silent_router().await;
    let content = Content::file("private.bin", 3, 100_000);
    let torrent = private(&content);
    let (there, here) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let (seeding, seeder) = seeder(settings.clone(), &content, &torrent, there.path()).await;
    let session = dht_session(settings.clone()).await;
    let wish = AddTorrent::new(torrent.clone()).into_dir(here.path()).peers(seeding.listen_addrs());
    complete(&session.add(wish).await.unwrap()).await;
    let hashes = Metainfo::parse(torrent.into()).unwrap().hashes();
    let (mut peer, theirs) = shake(seeding.listen_addrs()[0], hashes.wire()).await;
    assert!(!theirs.reserved.dht());
    // A node that the peer names is not asked.
    let mut port = Vec::new();
    Message::Port(router.local_addr().unwrap().port()).encode(&mut port);
    peer.write_all(&port).await.unwrap();
    until("the peer is there", || seeder.status().connections > 0).await;
    assert_eq!((seeding.status().dht, session.status().dht), (None, None));
    // Packets that were sent are there by now; a torrent that is not private shows that they would be.
    let public = content.torrent(Format::V2, None, &[]);
    let mut packet = [0; 2000];
    assert!(router.try_recv_from(&mut packet).is_err());
    let other = TempDir::new().unwrap();
    session.add(AddTorrent::new(public).into_dir(other.path())).await.unwrap();
    let (length, _) = timeout(PATIENCE, router.recv_from(&mut packet)).await.unwrap().unwrap();
    let private_hash = hashes.wire().0;
    assert!(!packet[..length].windows(20).any(|bytes| bytes == private_hash));
}

/// Connects as a peer that has a node of the DHT.
async fn shake(addr: SocketAddr, info_hash: riverrun::metainfo::WireHash) -> (TcpStream, Handshake) {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let reserved = Reserved([0; 8]).with_dht(true);
    let ours = Handshake { reserved, info_hash, peer_id: PeerId(*b"-XX0000-abcdefghijkl") };
    stream.write_all(&ours.encode()).await.unwrap();
    let mut theirs = [0; HANDSHAKE_LENGTH];
    timeout(PATIENCE, stream.read_exact(&mut theirs)).await.unwrap().unwrap();
    (stream, HandshakeDecoder::new().feed(&mut &theirs[..]).unwrap().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn d9_a_peer_that_names_many_ports_has_one_of_them_pinged() {
    let settings = DhtSettings { on: true, routers: Vec::new(), ..DhtSettings::default() };
    let content = Content::file("ports.bin", 4, 100_000);
    let torrent = content.torrent(Format::V1, None, &[]);
    let dir = TempDir::new().unwrap();
    let (seeding, _seeder) = seeder(settings, &content, &torrent, dir.path()).await;
    let hashes = Metainfo::parse(torrent.into()).unwrap().hashes();
    let mut ports = Vec::new();
    let mut sockets = Vec::new();
    for _ in 0..20 {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        Message::Port(socket.local_addr().unwrap().port()).encode(&mut ports);
        sockets.push(socket);
    }
    let (mut peer, theirs) = shake(seeding.listen_addrs()[0], hashes.wire()).await;
    assert!(theirs.reserved.dht());
    peer.write_all(&ports).await.unwrap();
    let mut packet = [0; 2000];
    let (length, from) = timeout(PATIENCE, sockets[0].recv_from(&mut packet)).await.unwrap().unwrap();
    assert!(packet[..length].starts_with(b"d") && packet[..length].windows(6).any(|bytes| bytes == b"4:ping"));
    assert_eq!(from.port(), seeding.listen_addrs()[0].port(), "the ports of TCP and UDP are one");
    // The peer is told of our node too, at the same port.
    let port = [0, 0, 0, 3, 9].into_iter().chain(from.port().to_be_bytes()).collect::<Vec<u8>>();
    let mut read = Vec::new();
    while !read.windows(port.len()).any(|bytes| bytes == port) {
        assert_ne!(timeout(PATIENCE, peer.read_buf(&mut read)).await.unwrap().unwrap(), 0, "closed");
    }
    // A second ping would be the one for the second port.
    let others = sockets[1..].iter().filter(|socket| socket.try_recv_from(&mut packet).is_ok());
    assert_eq!(others.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_learned_survives_a_restart() {
    let dht = LocalDht::start(8).await.unwrap();
    let state = TempDir::new().unwrap();
    let content = Content::file("again.bin", 5, 100_000);
    let torrent = content.torrent(Format::V1, None, &[]);
    let start = |dht: DhtSettings| {
        let settings = Settings { state_dir: Some(state.path().into()), ..settings(dht) };
        Session::builder().settings(settings).start()
    };
    let (here, there) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let first = start(dht.settings()).await.unwrap();
    first.add(AddTorrent::new(torrent.clone()).into_dir(here.path())).await.unwrap();
    until("nodes are known", || first.status().dht.is_some_and(|dht| dht.families[0].good >= 8)).await;
    let id = first.status().dht.unwrap().families[0].id;
    assert!(first.shutdown(Duration::from_secs(10)).await);
    drop(first);
    // Nobody tells the second run of any node: it knows them, and it is who it was.
    let before = dht.stored_peers();
    let (_seeding, _seeder) = seeder(dht.settings(), &content, &torrent, there.path()).await;
    until("the seeder is announced", || dht.stored_peers() >= before + 4).await;
    let second = start(DhtSettings { routers: Vec::new(), ..dht.settings() }).await.unwrap();
    let downloading = second.add(AddTorrent::new(torrent).into_dir(here.path())).await.unwrap();
    complete(&downloading).await;
    assert_eq!(second.status().dht.unwrap().families[0].id, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_nodes_that_a_torrent_names_are_asked() {
    let dht = LocalDht::start(4).await.unwrap();
    let content = Content::file("named.bin", 6, 100_000);
    let (_, port) = dht.routers()[1].clone();
    let ip = dht.addrs()[1].ip().to_string();
    let mut torrent = content.torrent(Format::V1, None, &[]);
    torrent.pop();
    torrent.extend(format!("5:nodesll{}:{ip}i{port}eeee", ip.len()).into_bytes());
    let settings = DhtSettings { routers: Vec::new(), ..dht.settings() };
    let dir = TempDir::new().unwrap();
    let session = dht_session(settings).await;
    session.add(AddTorrent::new(torrent).into_dir(dir.path())).await.unwrap();
    until("others are known", || session.status().dht.is_some_and(|dht| dht.families[0].good >= 4)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packets_of_strangers_that_are_refused_or_junk_change_nothing() {
    let (_router, settings) = silent_router().await;
    let session = dht_session(settings).await;
    let dir = TempDir::new().unwrap();
    let torrent = Content::file("junk.bin", 7, 50_000).torrent(Format::V1, None, &[]);
    session.add(AddTorrent::new(torrent).into_dir(dir.path())).await.unwrap();
    until("the node is there", || session.status().dht.is_some()).await;
    let to = session.listen_addrs()[0];
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for seed in 0..300 {
        let mut bytes = vec![0; 1 + seed as usize * 5];
        fill(seed, &mut bytes);
        if seed % 2 == 0 {
            bytes[0] = b'd';
        }
        socket.send_to(&bytes, to).await.unwrap();
    }
    socket.send_to(b"d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q4:ping1:t2:xx1:y1:qe", to).await.unwrap();
    let mut packet = [0; 2000];
    let answer = timeout(PATIENCE, async {
        loop {
            let (length, _) = socket.recv_from(&mut packet).await.unwrap();
            if packet[..length].windows(7).any(|bytes| bytes == b"1:t2:xx") {
                break;
            }
        }
    });
    answer.await.expect("a ping is answered after all the junk");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_dht_no_port_of_udp_is_open() {
    let content = Content::file("off.bin", 8, 50_000);
    let torrent = content.torrent(Format::V1, None, &[]);
    let dir = TempDir::new().unwrap();
    content.write_into(dir.path()).unwrap();
    let off = session().await;
    complete(&off.add(AddTorrent::new(torrent.clone()).into_dir(dir.path())).await.unwrap()).await;
    let (_, theirs) = shake(off.listen_addrs()[0], Metainfo::parse(torrent.into()).unwrap().hashes().wire()).await;
    assert!(!theirs.reserved.dht());
    assert_eq!(off.status().dht, None);
    let port = off.listen_addrs()[0].port();
    UdpSocket::bind(("127.0.0.1", port)).await.expect("nobody is there");
}

#[test]
fn routers_of_the_world_are_no_default_of_tests() {
    assert!(!loopback().dht.on && !Settings::default().dht.on);
    let hosts: BTreeSet<&str> = riverrun::DEFAULT_ROUTERS.iter().map(|(host, _)| *host).collect();
    assert!(hosts.len() == 4 && hosts.iter().all(|host| host.parse::<IpAddr>().is_err()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_info_hash_alone_is_enough_and_one_that_turns_out_private_is_withdrawn() {
    let dht = LocalDht::start(8).await.unwrap();
    let content = Content::file("hash.bin", 9, 300_000);
    let (there, here) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let public = content.torrent(Format::Hybrid, None, &[]);
    let (_seeding, _seeder) = seeder(dht.settings(), &content, &public, there.path()).await;
    until("it is announced", || dht.stored_peers() >= 8).await;
    let session = dht_session(dht.settings()).await;
    let hashes = Metainfo::parse(public.into()).unwrap().hashes();
    let torrent = session.add(AddTorrent::new(Source::InfoHash(hashes)).into_dir(here.path())).await.unwrap();
    complete(&torrent).await;
    content.compare(here.path()).unwrap();
    // The same content, private: its seeder is not in the DHT, and who has its hash alone asks until it knows better.
    let hidden = private(&content);
    let (private_seeding, private_seeder) =
        seeder(dht.settings(), &content, &hidden, &there.path().join("hidden")).await;
    let hashes = Metainfo::parse(hidden.into()).unwrap().hashes();
    let wish = AddTorrent::new(Source::InfoHash(hashes)).into_dir(here.path().join("private"));
    let torrent = session.add(wish.peers(private_seeding.listen_addrs())).await.unwrap();
    complete(&torrent).await;
    assert_eq!(private_seeder.status().sources.dht, 0);
    let before = dht.stored_peers();
    let again = dht_session(dht.settings()).await;
    let asking = again.add(AddTorrent::new(Source::InfoHash(hashes)).into_dir(here.path().join("x"))).await.unwrap();
    until("nodes are known", || again.status().dht.is_some_and(|dht| dht.families[0].good >= 8)).await;
    assert_eq!(asking.status().sources.dht, 0, "{before} peers are stored");
}
