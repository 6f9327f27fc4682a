//! Which way others are reached, and who may be.

use std::net::SocketAddr;
use std::time::Duration;

use riverrun::proto::address::AddressRules;
use riverrun::proto::swarm;
use riverrun::testing::{Content, LocalSwarm, Tracker, loopback};
use riverrun::{
    AddTorrent, FetchError, Net, PeerQuery, ProbeError, Session, Settings, TrackerError, TrackerQuery, Waiting,
    announce_once, fetch_torrent, probe_peer,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{PATIENCE, complete, same, until};

async fn swarm() -> LocalSwarm {
    LocalSwarm::of(Content::file("net.bin", 5, 300_000)).start().await.unwrap()
}

fn blocking(list: &str) -> Net {
    Net { addresses: AddressRules::new(false, Some(list.parse().unwrap())), ..Net::default() }
}

fn bound(to: &str) -> Net {
    Net { interface: Some(to.parse().unwrap()), ..Net::default() }
}

fn offline() -> Net {
    Net { addresses: AddressRules::new(true, None), ..Net::default() }
}

async fn session(net: Net) -> Session {
    Session::builder().settings(Settings { net, ..loopback() }).start().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_on_the_list_are_not_dialled_whoever_names_them_and_the_reason_is_told() {
    let swarm = swarm().await;
    let session = session(blocking("127.0.0.0/8")).await;
    let torrent =
        session.add(AddTorrent::new(swarm.torrent()).into_dir(swarm.dir()).peers(swarm.addrs())).await.unwrap();
    until("the reason", || {
        matches!(torrent.status().waiting, Some(Waiting::Swarm(swarm::Waiting::Refused { addresses: 1 })))
    })
    .await;
    let status = torrent.status();
    assert_eq!((status.candidates, status.connections, status.down_bytes), (0, 0, 0));
    assert!(status.trackers.iter().all(|tracker| tracker.peers.is_some()), "trackers are asked all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_on_the_list_are_closed_before_the_handshake() {
    let session = session(blocking("one:127.0.0.9-127.0.0.9")).await;
    let addr = session.listen_addrs()[0];
    let knock = |from: &'static str| async move {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
        let mut stream: TcpStream = socket.connect(addr).await.unwrap();
        timeout(Duration::from_millis(500), stream.read(&mut [0; 1])).await
    };
    // Closed: a clean end or a reset.
    assert!(matches!(knock("127.0.0.9").await, Ok(Ok(0) | Err(_))));
    assert!(knock("127.0.0.8").await.is_err(), "others may speak");
}

#[tokio::test(flavor = "multi_thread")]
async fn offline_is_enough_for_a_swarm_on_this_machine() {
    let swarm = swarm().await;
    let session = session(offline()).await;
    let torrent = session.add(AddTorrent::new(swarm.torrent()).into_dir(swarm.dir())).await.unwrap();
    complete(&torrent).await;
    same(&swarm, &swarm.dir());
}

#[tokio::test(flavor = "multi_thread")]
async fn offline_asks_no_tracker_and_fetches_nothing_outside() {
    let tracker = Tracker::start().await.unwrap();
    let hashes = riverrun::metainfo::InfoHashes::V1(riverrun::metainfo::InfoHashV1([7; 20]));
    let outside = [
        "http://192.0.2.1/announce",
        "udp://192.0.2.1:80",
        "http://tracker.example/announce",
        "udp://tracker.example:1",
    ];
    let urls = outside.map(str::to_owned).into_iter().chain([tracker.http_url(), tracker.udp_url()]).collect();
    let query = TrackerQuery { net: offline(), timeout: PATIENCE, ..TrackerQuery::new(hashes, urls) };
    let answers = announce_once(&query).await;
    for answer in &answers[..4] {
        let Err(TrackerError::Other(why)) = &answer.result else { panic!("{answer:?}") };
        assert!(why.contains("local network (offline)"), "{why}");
    }
    assert!(answers[4..].iter().all(|answer| answer.result.is_ok()), "{answers:?}");
    for url in ["http://192.0.2.1/x", "https://files.example/x"] {
        let error = fetch_torrent(url, PATIENCE, &offline()).await.unwrap_err();
        assert!(matches!(&error, FetchError::Network(why) if why.contains("(offline)")), "{error}");
    }
    let outside = "192.0.2.1:6881".parse().unwrap();
    let query = PeerQuery { net: offline(), ..PeerQuery::new(hashes, Some(1)) };
    assert!(matches!(probe_peer(outside, &query).await, Err(ProbeError::NotAllowed(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_on_one_address_uses_it_for_peers_and_trackers() {
    let swarm = swarm().await;
    for (interface, source) in [("127.0.0.7", Some("127.0.0.7")), ("lo", None)] {
        let session = Session::builder()
            .settings(Settings { net: bound(interface), listen: vec!["0.0.0.0:0".parse().unwrap()], ..loopback() })
            .start()
            .await
            .unwrap();
        let listening = session.listen_addrs()[0].ip().to_string();
        assert_eq!(listening, source.unwrap_or("0.0.0.0"));
        let dir = swarm.dir().join(interface);
        let torrent = session.add(AddTorrent::new(swarm.torrent()).into_dir(&dir)).await.unwrap();
        complete(&torrent).await;
        same(&swarm, &dir);
        if let Some(source) = source {
            let told = swarm.tracker().journal().iter().any(|announced| announced.peer.ip().to_string() == source);
            assert!(told, "the tracker saw it come from {source}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_on_one_address_dials_from_it() {
    let swarm = swarm().await;
    let peer = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let session = session(bound("127.0.0.7")).await;
    let add = AddTorrent::new(swarm.torrent()).into_dir(swarm.dir()).trackers(Vec::new());
    let _torrent = session.add(add.peers([peer.local_addr().unwrap()])).await.unwrap();
    let (_stream, from) = timeout(PATIENCE, peer.accept()).await.unwrap().unwrap();
    assert_eq!(from.ip().to_string(), "127.0.0.7");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interface_that_is_not_there_is_an_error_at_the_start() {
    for (name, why) in
        [("no-such-dev0", "there is no device \"no-such-dev0\""), ("192.0.2.9", "no device has the address 192.0.2.9")]
    {
        let error = Session::builder().settings(Settings { net: bound(name), ..loopback() }).start().await.unwrap_err();
        assert_eq!(error.to_string(), why);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn anonymous_says_nothing_of_the_program_to_peers_and_trackers() {
    let swarm = swarm().await;
    for (anonymous, named) in [(true, false), (false, true)] {
        let peer = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let web = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let settings = Settings {
            net: Net { anonymous, ..Net::default() },
            encryption: riverrun::proto::mse::Encryption::Off,
            ..loopback()
        };
        let session = Session::builder().settings(settings).start().await.unwrap();
        let url = format!("http://{}/announce", web.local_addr().unwrap());
        let add = AddTorrent::new(swarm.torrent()).into_dir(swarm.dir()).trackers(vec![vec![url]]);
        let _torrent = session.add(add.peers([peer.local_addr().unwrap()])).await.unwrap();
        let (mut stream, _) = timeout(PATIENCE, peer.accept()).await.unwrap().unwrap();
        let mut greeting = [0; 68];
        stream.read_exact(&mut greeting).await.unwrap();
        // The same words back, with another id, so that the extended handshake follows.
        let mut answer = greeting;
        answer[48..].fill(b'x');
        stream.write_all(&answer).await.unwrap();
        let mut said = greeting[48..].to_vec();
        while !String::from_utf8_lossy(&said).contains("4:reqq") {
            let mut more = [0; 4096];
            let count = timeout(PATIENCE, stream.read(&mut more)).await.unwrap().unwrap();
            assert!(count > 0, "an extended handshake comes");
            said.extend_from_slice(&more[..count]);
        }
        let (mut asked, _) = timeout(PATIENCE, web.accept()).await.unwrap().unwrap();
        let mut request = vec![0; 4096];
        let count = timeout(PATIENCE, asked.read(&mut request)).await.unwrap().unwrap();
        let request = String::from_utf8_lossy(&request[..count]).to_lowercase();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert_eq!((said.contains("-RV"), said.contains("riverrun")), (named, named), "{said}");
        assert_eq!((request.contains("riverrun"), request.contains("-rv")), (named, named), "{request}");
        assert_eq!(said.contains("6:yourip"), named, "{said}");
        assert_eq!(request.contains("user-agent"), named, "{request}");
        // The next one wants the same files.
        assert!(session.shutdown(PATIENCE).await);
    }
}
