//! Trackers that misbehave, over real sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use riverrun::metainfo::{InfoHashV1, InfoHashes};
use riverrun::proto::tracker::AnnounceReply;
use riverrun::proto::tracker::udp::{Request, Response, ResponseBody};
use riverrun::testing::{Content, LocalSwarm, Tracker, loopback};
use riverrun::{
    AddTorrent, PeerQuery, ProbeError, Session, Settings, TrackerError, TrackerQuery, TrackerState, Waiting,
    announce_once, probe_peer, scrape,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::AbortHandle;

use super::{session, until};

const HASHES: InfoHashes = InfoHashes::V1(InfoHashV1([7; 20]));

/// A server that answers every request with the bytes that a function makes of its first line, and then goes on as `then` says.
struct Server {
    addr: SocketAddr,
    requests: Arc<AtomicUsize>,
    task: AbortHandle,
}

#[derive(Clone, Copy)]
enum Then {
    Close,
    /// Sends this for ever.
    Endless(&'static [u8]),
    Stall,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static, then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let (answer, counter) = (Arc::new(answer), requests.clone());
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counter.fetch_add(1, Ordering::SeqCst);
                let answer = answer.clone();
                tokio::spawn(async move { serve(stream, &*answer, then).await });
            }
        });
        Self { addr, requests, task: task.abort_handle() }
    }

    /// One that answers with this body.
    async fn with_body(body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self::start(move |_| ok(&body), Then::Close).await
    }

    fn url(&self) -> String {
        format!("http://{}/announce", self.addr)
    }

    async fn ask(&self) -> Result<Vec<SocketAddr>, TrackerError> {
        ask(self.url(), Duration::from_secs(20)).await
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: &(dyn Fn(&str) -> Vec<u8> + Send + Sync),
    then: Then,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let line = String::from_utf8_lossy(&request).lines().next().unwrap_or_default().to_owned();
    stream.write_all(&answer(&line)).await?;
    match then {
        Then::Close => stream.shutdown().await,
        Then::Endless(bytes) => loop {
            stream.write_all(bytes).await?;
        },
        Then::Stall => std::future::pending().await,
    }
}

fn ok(body: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
}

fn redirect(to: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

async fn ask(url: String, timeout: Duration) -> Result<Vec<SocketAddr>, TrackerError> {
    let query = TrackerQuery { timeout, ..TrackerQuery::new(HASHES, vec![url]) };
    announce_once(&query).await.remove(0).result
}

fn other(result: Result<Vec<SocketAddr>, TrackerError>) -> String {
    match result {
        Err(TrackerError::Other(text)) => text,
        result => panic!("{result:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t1_a_redirect_loop_ends() {
    let server = Server::start(|_| redirect("/announce?again"), Then::Close).await;
    assert!(other(server.ask().await).contains("redirects"));
    assert_eq!(server.requests.load(Ordering::SeqCst), 6, "the first and five redirects");
}

#[tokio::test(flavor = "multi_thread")]
async fn t1_a_redirect_to_another_scheme_is_not_followed() {
    for to in ["file:///etc/passwd", "ftp://127.0.0.1/announce", "udp://127.0.0.1:1/announce"] {
        let server = Server::start(move |_| redirect(to), Then::Close).await;
        server.ask().await.unwrap_err();
        assert_eq!(server.requests.load(Ordering::SeqCst), 1, "{to}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t1_an_honest_redirect_is_followed() {
    let target = Server::with_body(&b"d8:intervali60e5:peers6:\x01\x02\x03\x04\x1a\xe1e"[..]).await;
    let url = target.url();
    let server = Server::start(move |_| redirect(&url), Then::Close).await;
    assert_eq!(server.ask().await.unwrap(), ["1.2.3.4:6881".parse().unwrap()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn t2_services_of_this_machine_that_are_no_trackers_are_not_connected_to() {
    let service = Server::with_body("d8:intervali60e5:peers0:e").await;
    for host in ["127.0.0.1", "localhost", "127.1.2.3", "[::ffff:127.0.0.1]"] {
        let url = format!("http://{host}:{}/admin/delete?all", service.addr.port());
        assert!(other(ask(url.clone(), Duration::from_secs(20)).await).contains("this machine"), "{url}");
    }
    let inward = format!("http://{}/admin", service.addr);
    let tracker = Server::start(move |_| redirect(&inward), Then::Close).await;
    assert!(other(tracker.ask().await).contains("this machine"));
    assert_eq!(service.requests.load(Ordering::SeqCst), 0, "it never heard of us");
    let link = ask("http://169.254.169.254/announce".into(), Duration::from_secs(20)).await;
    assert!(other(link).contains("169.254.169.254"));
}

/// Deflate bits that become `count` times 258 zeros: one literal, then matches one byte back.
fn bomb(count: usize) -> Vec<u8> {
    let mut bits = Vec::new();
    let mut push = |code: u32, length: u32| bits.extend((0..length).rev().map(|at| code >> at & 1 == 1));
    push(0b1, 1);
    push(0b10, 2);
    push(0b0011_0000, 8);
    for _ in 0..count {
        push(0b1100_0101, 8);
        push(0, 5);
    }
    push(0, 7);
    let bytes = bits.chunks(8).map(|byte| byte.iter().zip(0..).fold(0u8, |sum, (bit, at)| sum | u8::from(*bit) << at));
    [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3].into_iter().chain(bytes).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn t3_a_gzip_bomb_is_defused() {
    let small = bomb(80_000);
    assert!(small.len() < 200_000, "twenty megabytes in {} bytes", small.len());
    let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", small.len());
    let reply = [head.as_bytes(), &small].concat();
    let server = Server::start(move |_| reply.clone(), Then::Close).await;
    assert!(other(server.ask().await).contains("longer than"));
}

#[tokio::test(flavor = "multi_thread")]
async fn t3_a_body_or_header_without_end_is_cut_off() {
    let body = Server::start(|_| b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), Then::Endless(&[b'1'; 65_536])).await;
    assert!(other(body.ask().await).contains("longer than"));
    let header = Server::start(
        |_| b"HTTP/1.1 200 OK\r\n".to_vec(),
        Then::Endless(b"X-Filler: 0123456789abcdef0123456789abcdef\r\n"),
    )
    .await;
    header.ask().await.unwrap_err();
    let line = Server::start(|_| b"HTTP/1.1 200 OK\r\nX: ".to_vec(), Then::Endless(&[b'a'; 65_536])).await;
    line.ask().await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn t3_a_tracker_that_stalls_is_given_up() {
    for start in ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nd8:"] {
        let server = Server::start(move |_| start.as_bytes().to_vec(), Then::Stall).await;
        let answer = ask(server.url(), Duration::from_millis(300)).await;
        assert_eq!(answer, Err(TrackerError::Timeout), "{start:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t4_peers_are_bounded_and_filtered() {
    let mut compact = Vec::new();
    for number in 0..150_000u32 {
        compact.extend_from_slice(&(0x0100_0000 + number).to_be_bytes());
        compact.extend_from_slice(&6881u16.to_be_bytes());
    }
    let body = [format!("d8:intervali60e5:peers{}:", compact.len()).as_bytes(), &compact, b"e"].concat();
    let peers = Server::with_body(body).await.ask().await.unwrap();
    assert_eq!(peers.len(), 5_000);

    compact.extend_from_slice(&compact.clone());
    let body = [format!("d8:intervali60e5:peers{}:", compact.len()).as_bytes(), &compact, b"e"].concat();
    assert!(other(Server::with_body(body).await.ask().await).contains("longer than"));

    let odd = b"d8:intervali60e5:peers36:\x01\x02\x03\x04\x00\x00\xff\xff\xff\xff\x1a\xe1\xe0\x00\x00\x01\x1a\xe1\x00\x00\x00\x00\x1a\xe1\x05\x06\x07\x08\x1a\xe1\x01\x02\x03\x04\x1a\xe1e";
    let peers = Server::with_body(odd.to_vec()).await.ask().await.unwrap();
    assert_eq!(peers, ["1.2.3.4:6881".parse().unwrap(), "5.6.7.8:6881".parse().unwrap()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn t5_intervals_are_clamped() {
    let swarm = LocalSwarm::of(Content::file("interval.bin", 3, 1000)).seeders(0).start().await.unwrap();
    for (interval, least, most) in [("-1", 50, 86_400), ("0", 50, 120), ("4611686018427387904", 3_000, 86_400)] {
        let server = Server::with_body(format!("d8:intervali{interval}e5:peers0:e")).await;
        let session = session().await;
        let wish = AddTorrent::new(swarm.torrent()).into_dir(swarm.dir()).trackers(vec![vec![server.url()]]);
        let torrent = session.add(wish).await.unwrap();
        torrent.announced().await;
        let next = torrent.status().trackers[0].next.unwrap().as_secs();
        assert!((least..=most).contains(&next), "interval {interval}: next in {next} s");
        torrent.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t6_words_of_a_tracker_are_short_and_printable() {
    let text = format!("\x1b[31mno\r\n<b>{}", "a".repeat(300_000));
    let server = Server::with_body(format!("d14:failure reason{}:{text}e", text.len())).await;
    let Err(TrackerError::Refused(reason)) = server.ask().await else { panic!("it is a refusal") };
    assert!(reason.len() <= 1024 && !reason.chars().any(char::is_control), "{reason:?}");
    assert!(reason.contains("no"));
}

#[tokio::test(flavor = "multi_thread")]
async fn t7_only_the_right_answer_of_a_udp_tracker_counts() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let spoofer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let url = format!("udp://{}/announce", socket.local_addr().unwrap());
    let tracker = tokio::spawn(async move {
        let mut packet = [0; 2048];
        loop {
            let (length, from) = socket.recv_from(&mut packet).await.unwrap();
            let reply = |peer: &str| {
                ResponseBody::Announce(AnnounceReply { peers: vec![peer.parse().unwrap()], ..AnnounceReply::default() })
            };
            let (transaction, right, wrong) = match Request::decode(&packet[..length]).unwrap() {
                Request::Connect { transaction } => (transaction, ResponseBody::Connect(1), ResponseBody::Connect(2)),
                Request::Announce { connection, transaction, .. } => {
                    assert_eq!(connection, 1, "the spoofed connection id was not taken");
                    (transaction, reply("1.2.3.4:5"), reply("6.6.6.6:6"))
                }
                request @ Request::Scrape { .. } => panic!("{request:?}"),
            };
            let encode = |transaction, body: &ResponseBody| Response { transaction, body: body.clone() }.encode(from);
            spoofer.send_to(&encode(transaction, &wrong), from).await.unwrap();
            socket.send_to(&encode(transaction ^ 1, &wrong), from).await.unwrap();
            socket.send_to(&encode(transaction, &wrong)[..7], from).await.unwrap();
            socket.send_to(&[], from).await.unwrap();
            socket.send_to(&encode(transaction, &right), from).await.unwrap();
        }
    });
    let peers = ask(url, Duration::from_secs(10)).await.unwrap();
    assert_eq!(peers, ["1.2.3.4:5".parse().unwrap()]);
    tracker.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn t8_scrapes_of_other_torrents_and_odd_counts() {
    let asked = async |server: Server| {
        let query = TrackerQuery::new(HASHES, vec![server.url()]);
        scrape(&query).await.remove(0).result
    };
    let others = [b"d5:filesd20:".as_slice(), &[8; 20], b"d8:completei5eeee"].concat();
    asked(Server::with_body(others).await).await.unwrap_err();
    let odd = [b"d5:filesd20:".as_slice(), &[7; 20], b"d8:completei-5e10:downloadedi99999999999e10:incompletei3eeee"]
        .concat();
    let counts = asked(Server::with_body(odd).await).await.unwrap();
    assert_eq!((counts.seeders, counts.leechers), (Some(0), Some(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn scrape_and_peers_of_an_honest_tracker_over_both() {
    let tracker = Tracker::start().await.unwrap();
    tracker.add_peer(HASHES.wire(), "1.2.3.4:5".parse().unwrap(), 0);
    tracker.add_peer(HASHES.wire(), "1.2.3.5:5".parse().unwrap(), 10);
    let query = TrackerQuery {
        left_bytes: 10,
        ..TrackerQuery::new(HASHES, vec![tracker.http_url(), tracker.udp_url(), "gopher://x/".into()])
    };
    let answers = scrape(&query).await;
    for answer in &answers[..2] {
        let counts = answer.result.clone().unwrap();
        assert_eq!((counts.seeders, counts.leechers, counts.completed), (Some(1), Some(1), Some(0)), "{}", answer.url);
    }
    assert!(matches!(answers[2].result, Err(TrackerError::Other(_))));
    let answers = announce_once(&query).await;
    for answer in &answers[..2] {
        let peers = answer.result.clone().unwrap();
        assert!(peers.contains(&"1.2.3.4:5".parse().unwrap()) && peers.contains(&"1.2.3.5:5".parse().unwrap()));
    }
    assert_eq!(tracker.swarm(HASHES.wire()), (1, 1), "who only asked is not kept as a downloader");
    tracker.close(Some("not today"));
    let answers = announce_once(&query).await;
    for answer in &answers[..2] {
        assert_eq!(answer.result, Err(TrackerError::Refused("not today".into())));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listens_at_the_trackers_address() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let answer = ask(format!("http://{free}/announce"), Duration::from_secs(5)).await;
    assert_eq!(answer, Err(TrackerError::ConnectionRefused));

    let swarm = LocalSwarm::of(Content::file("refused.bin", 3, 1000)).seeders(0).start().await.unwrap();
    let session = session().await;
    let url = format!("http://{free}/announce");
    let wish = AddTorrent::new(swarm.torrent()).into_dir(swarm.dir()).trackers(vec![vec![url]]);
    let torrent = session.add(wish).await.unwrap();
    until("the reason", || {
        matches!(torrent.status().waiting, Some(Waiting::Tracker { error, next_try: Some(_), .. }) if error == "refused the connection")
    })
    .await;
    assert!(matches!(&torrent.status().trackers[0].state, TrackerState::Failed { refused: false, .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_says_who_it_is_and_what_it_has() {
    let swarm = LocalSwarm::of(Content::file("probed.bin", 3, 100_000)).start().await.unwrap();
    let torrent = &swarm.seeders()[0].1;
    let (hashes, pieces) = (torrent.info_hashes(), torrent.status().pieces);
    let query = PeerQuery::new(hashes, Some(pieces));
    let probe = probe_peer(swarm.addrs()[0], &query).await.unwrap();
    assert_eq!(probe.progress, Some(1.0));
    assert!(probe.client.starts_with("riverrun"), "{}", probe.client);
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert_eq!(probe_peer(free, &query).await.unwrap_err(), ProbeError::Refused);
    let other = probe_peer(swarm.addrs()[0], &PeerQuery::new(HASHES, Some(pieces))).await;
    assert_eq!(other.unwrap_err(), ProbeError::NoHandshake);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_is_asked_says_whom_it_knows() {
    let swarm = LocalSwarm::of(Content::file("known.bin", 3, 8_000_000)).start().await.unwrap();
    let seeder = swarm.addrs()[0];
    // Slow enough to be still connected when the seeder is asked.
    let session =
        Session::builder().settings(Settings { down_limit: Some(100_000), ..loopback() }).start().await.unwrap();
    let torrent = session.add(AddTorrent::new(swarm.torrent()).into_dir(swarm.dir())).await.unwrap();
    until("the seeder knows where the other listens", || {
        swarm.seeders()[0].1.peers().iter().any(|peer| peer.down_bytes + peer.up_bytes > 0)
    })
    .await;
    let query = PeerQuery::new(torrent.info_hashes(), Some(torrent.status().pieces));
    assert_eq!(probe_peer(seeder, &query).await.unwrap().told, [], "nobody asked");
    let probe = probe_peer(seeder, &PeerQuery { others: true, ..query }).await.unwrap();
    assert_eq!(probe.told, [session.listen_addrs()[0]]);
    assert_eq!(probe.progress, Some(1.0));
}
