//! The tracker over real sockets: two who ask it find each other, and strangers cannot hold it up.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use riverrun::metainfo::{InfoHashV1, InfoHashes, WireHash};
use riverrun::proto::limits::{MAX_REQUEST_CONNECTIONS_PER_ADDRESS, MAX_REQUEST_HEADER};
use riverrun::proto::tracker::udp::{Request, Response, ResponseBody};
use riverrun::testing::{Content, loopback};
use riverrun::{AddTorrent, Interface, Net, Session, Settings, Tracker, TrackerError, TrackerQuery, announce_once};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

use super::{complete, until};

const HASHES: InfoHashes = InfoHashes::V1(InfoHashV1([7; 20]));

fn v4() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

fn v6() -> SocketAddr {
    (Ipv6Addr::LOCALHOST, 0).into()
}

async fn on(addrs: impl IntoIterator<Item = SocketAddr>) -> Tracker {
    Tracker::builder().listen(addrs).start().await.unwrap()
}

/// All that comes until the tracker closes.
async fn say(stream: &mut TcpStream, bytes: &[u8]) -> String {
    stream.write_all(bytes).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_meet_over_both_protocols_and_families() {
    let tracker = on([v4(), v6()]).await;
    assert_eq!(tracker.urls().len(), 4);
    let ports: Vec<u16> = tracker.http_addrs().iter().chain(tracker.udp_addrs()).map(SocketAddr::port).collect();
    assert!(ports.iter().all(|port| *port == ports[0]), "{ports:?}");
    let content = Content::file("met.bin", 5, 300_000);
    for url in tracker.urls() {
        let torrent = content.torrent(riverrun::testing::Format::V1, None, std::slice::from_ref(&url));
        let listen = if url.contains('[') { v6() } else { v4() };
        let session = || Session::builder().settings(Settings { listen: vec![listen], ..loopback() }).start();
        let (seeder, leecher) = (session().await.unwrap(), session().await.unwrap());
        let dir = tempfile::tempdir().unwrap();
        content.write_into(&dir.path().join("seed")).unwrap();
        let shared = seeder.add(AddTorrent::new(torrent.clone()).into_dir(dir.path().join("seed"))).await.unwrap();
        complete(&shared).await;
        shared.announced().await;
        let got = leecher.add(AddTorrent::new(torrent).into_dir(dir.path().join("out"))).await.unwrap();
        complete(&got).await;
        until("the tracker hears of it", || tracker.swarm(shared.info_hashes().wire()) == (2, 0)).await;
        assert!(seeder.shutdown(Duration::from_secs(3)).await && leecher.shutdown(Duration::from_secs(3)).await);
        until("they say that they go", || tracker.swarm(shared.info_hashes().wire()) == (0, 0)).await;
    }
    let counts = tracker.stats().counts;
    assert!(counts.http_announces >= 8 && counts.udp_announces >= 8 && counts.refused == 0, "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_torrents_that_are_allowed() {
    let other = WireHash([8; 20]);
    let tracker = Tracker::builder().listen([v4()]).allow_only([other]).start().await.unwrap();
    for url in tracker.urls() {
        let ask = || async { announce_once(&TrackerQuery::new(HASHES, vec![url.clone()])).await.remove(0).result };
        tracker.allow_only([other]);
        let refused = Err(TrackerError::Refused("this tracker does not serve the torrent".into()));
        assert_eq!(ask().await, refused, "{url}");
        tracker.allow_only([HASHES.wire()]);
        assert_eq!(ask().await, Ok(Vec::new()), "{url}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_for_many_requests() {
    let tracker = on([v4()]).await;
    let mut stream = TcpStream::connect(tracker.http_addrs()[0]).await.unwrap();
    let ask = |port: u16| {
        format!(
            "GET /announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=aaaaaaaaaaaaaaaaaaaa&port={port}&left=1 HTTP/1.1\r\nHost: t\r\n"
        )
    };
    let all = format!("{}\r\n{}\r\nGET /other HTTP/1.1\r\nConnection: close\r\n\r\n", ask(1), ask(2));
    let answer = say(&mut stream, all.as_bytes()).await;
    let statuses: Vec<&str> = answer.lines().filter_map(|line| Some(line.split_once("HTTP/1.1 ")?.1)).collect();
    assert_eq!(statuses, ["200 OK", "200 OK", "404 Not Found"], "{answer}");
    assert_eq!(tracker.swarm(WireHash(*b"aaaaaaaaaaaaaaaaaaaa")), (0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a9_requests_that_are_none_end_the_connection() {
    let tracker = on([v4()]).await;
    let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(10 * MAX_REQUEST_HEADER));
    for (bytes, status) in [
        (&b"POST /announce HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"[..], "405"),
        (b"\x13BitTorrent protocol\0\0\0\0\r\n\r\n", "400"),
        (b"GET /announce HTTP/1.1\r\nContent-Length: 1000000000000\r\n\r\n", "413"),
        (long.as_bytes(), "431"),
    ] {
        let mut stream = TcpStream::connect(tracker.http_addrs()[0]).await.unwrap();
        let answer = say(&mut stream, bytes).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a9_one_address_cannot_have_all_connections() {
    let tracker = on([v4(), v6()]).await;
    let at = tracker.http_addrs()[0];
    let mut held = Vec::new();
    for _ in 0..MAX_REQUEST_CONNECTIONS_PER_ADDRESS {
        held.push(TcpStream::connect(at).await.unwrap());
    }
    let ask = b"GET /scrape HTTP/1.0\r\n\r\n";
    let mut refused = TcpStream::connect(at).await.unwrap();
    let mut byte = [0];
    assert!(matches!(refused.read(&mut byte).await, Ok(0) | Err(_)), "one too many is closed at once");
    // The others have theirs still, and so has another address.
    assert!(say(&mut held[0], ask).await.starts_with("HTTP/1.1 200"));
    let mut other = TcpStream::connect(tracker.http_addrs()[1]).await.unwrap();
    assert!(say(&mut other, ask).await.starts_with("HTTP/1.1 200"));
    drop(held);
    loop {
        let mut stream = TcpStream::connect(at).await.unwrap();
        let mut answer = Vec::new();
        // Whoever is refused may be told so by a reset.
        if stream.write_all(ask).await.is_ok() && stream.read_to_end(&mut answer).await.is_ok() && !answer.is_empty() {
            break;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t7_floods_of_packets_that_are_no_requests() {
    let tracker = on([v4()]).await;
    let socket = UdpSocket::bind(v4()).await.unwrap();
    socket.connect(tracker.udp_addrs()[0]).await.unwrap();
    for length in 0..1000 {
        socket.send(&vec![0xff; length]).await.unwrap();
    }
    socket.send(&Request::Connect { transaction: 7 }.encode()).await.unwrap();
    let mut answer = [0; 100];
    let length = socket.recv(&mut answer).await.unwrap();
    let answer = Response::decode(&answer[..length], tracker.udp_addrs()[0]).unwrap();
    assert!(matches!(answer, Response { transaction: 7, body: ResponseBody::Connect(_) }), "{answer:?}");
    assert_eq!(tracker.stats().counts.udp_connects, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_port_is_free_when_it_has_stopped() {
    let tracker = on([v4()]).await;
    let at = tracker.http_addrs()[0];
    let taken = Tracker::builder().listen([at]).start().await.unwrap_err();
    assert!(matches!(taken, riverrun::StartError::Listen { addr, .. } if addr == at), "{taken:?}");
    let mut stream = TcpStream::connect(at).await.unwrap();
    tracker.stop().await;
    let mut byte = [0];
    assert!(matches!(stream.read(&mut byte).await, Ok(0) | Err(_)), "connections end with it");
    let again = on([at]).await;
    assert_eq!((again.http_addrs(), again.udp_addrs()), (&[at][..], &[at][..]));
    let only = Tracker::builder().listen([v4()]).protocols(false, true).start().await.unwrap();
    assert_eq!((only.http_addrs().len(), only.udp_addrs().len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn its_sockets_are_bound_to_the_interface() {
    let net = Net { interface: Some(Interface::Address(Ipv4Addr::LOCALHOST.into())), ..Net::default() };
    let tracker = Tracker::builder().net(net).start().await.unwrap();
    let addrs: Vec<_> = tracker.http_addrs().iter().chain(tracker.udp_addrs()).map(SocketAddr::ip).collect();
    assert_eq!(addrs, [Ipv4Addr::LOCALHOST; 2]);
}
