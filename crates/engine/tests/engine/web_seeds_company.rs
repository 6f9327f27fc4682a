//! Web seeds beside peers and beside each other: one that stalls holds up nothing, one that lies costs nobody else anything (THREATS T9).

use std::time::{Duration, Instant};

use riverrun::metainfo::Magnet;
use riverrun::metainfo::magnet::PeerAddress;
use riverrun::testing::{Content, Format, LocalSwarm, loopback};
use riverrun::{AddTorrent, EventKind, Net, Session, Settings, WebProxies, WebSeedState, WebSeedStatus};

use super::web_seeds::{PIECE, add, error};
use super::web_server::{Manner, WebServer};
use super::{PATIENCE, complete, same, session, until_within};

/// Each way to accept a request and bring little or nothing.
const STALLS: [Manner; 4] = [Manner::Silent, Manner::Stalls(0), Manner::Stalls(40_000), Manner::Drips];
/// How long a web server may be silent.
const SERVERS_PATIENCE: Duration = Duration::from_secs(30);
/// How long it rests then.
const FIRST_REST: Duration = riverrun::proto::limits::WEB_SEED_REST;
/// What a download beside a server that stalls may take, though it would be a second without: less than anybody's patience.
const SOON: Duration = Duration::from_secs(15);

fn content() -> Content {
    Content::file("one.bin", 5, 3_000_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn t9_a_web_seed_that_stalls_holds_up_nothing_that_a_peer_can_bring() {
    for manner in STALLS {
        let swarm = LocalSwarm::of(content()).up_limit(Some(3_000_000)).piece_length(PIECE).start().await.unwrap();
        let server = WebServer::start(&content(), manner.clone()).await;
        let session = session().await;
        let (begun, out) = (Instant::now(), swarm.dir());
        let wish = AddTorrent::new(swarm.torrent()).into_dir(&out).web_seeds([server.url()]);
        let torrent = session.add(wish).await.unwrap();
        complete(&torrent).await;
        same(&swarm, &out);
        let took = begun.elapsed();
        assert!(took < SOON && !server.requests().is_empty(), "{manner:?}: {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t9_a_web_seed_that_stalls_holds_up_nothing_that_another_can_bring() {
    for manner in STALLS {
        let servers =
            [WebServer::start(&content(), manner.clone()).await, WebServer::start(&content(), Manner::Honest).await];
        let session = session().await;
        let begun = Instant::now();
        let (torrent, dir) = add(&session, &content(), Format::V1, &[&servers[0], &servers[1]]).await;
        complete(&torrent).await;
        content().compare(dir.path()).unwrap();
        let took = begun.elapsed();
        assert!(took < SOON, "{manner:?}: {took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn t9_a_web_seed_that_goes_silent_rests_and_is_asked_again() {
    let asked = |manner: Manner, content: Content| async move {
        let server = WebServer::start(&content, manner.clone()).await;
        let session = session().await;
        let (torrent, _dir) = add(&session, &content, Format::V1, &[&server]).await;
        let begun = Instant::now();
        // As patient beyond that as with anything else.
        let is_resting = |seed: &WebSeedStatus| matches!(seed.state, WebSeedState::Rests(_));
        let rests = || torrent.status().web_seeds.first().is_some_and(is_resting);
        until_within(SERVERS_PATIENCE + PATIENCE, "the web seed rests", rests).await;
        let status = torrent.status().web_seeds.remove(0);
        assert!(begun.elapsed() >= SERVERS_PATIENCE - Duration::from_secs(1), "{manner:?}: {:?}", begun.elapsed());
        assert_eq!((error(&status).as_str(), status.given_up), ("no answer in time", false), "{manner:?}");
        let before = server.requests().len();
        let again = || server.requests().len() > before;
        until_within(FIRST_REST + PATIENCE, "it is asked again", again).await;
    };
    // All at once: each takes as long as a server may be silent.
    tokio::join!(
        asked(Manner::Silent, content()),
        asked(Manner::Stalls(0), content()),
        asked(Manner::Stalls(40_000), content()),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn t9_a_web_seed_that_lies_is_found_out_beside_a_peer_who_is_not_blamed() {
    let swarm = LocalSwarm::of(content()).up_limit(Some(500_000)).piece_length(PIECE).start().await.unwrap();
    let liar = WebServer::start(&content(), Manner::BadData).await;
    let session = session().await;
    let mut events = session.events();
    let out = swarm.dir();
    let wish = AddTorrent::new(swarm.torrent()).into_dir(&out).web_seeds([liar.url()]);
    let torrent = session.add(wish).await.unwrap();
    complete(&torrent).await;
    same(&swarm, &out);
    let WebSeedState::Rests(rest) = torrent.status().web_seeds[0].state else { panic!("{:?}", torrent.status()) };
    assert!(rest > Duration::from_secs(3000), "{rest:?}");
    assert_eq!(error(&torrent.status().web_seeds[0]), "sent bad data");
    loop {
        match events.next().await.unwrap().kind {
            EventKind::Banned(_) => panic!("the peer is innocent"),
            EventKind::Completed => break,
            _ => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_magnet_link_brings_the_metadata_from_a_peer_and_the_content_from_the_web_seed_it_names() {
    for format in [Format::V1, Format::V2, Format::Hybrid] {
        // The only peer gives the metadata, and of the content hardly anything.
        let swarm =
            LocalSwarm::of(content()).format(format).up_limit(Some(20_000)).piece_length(PIECE).start().await.unwrap();
        // A link may not send us to this machine: the server is a proxy for the one that it names.
        let server = WebServer::start(&content(), Manner::Honest).await;
        let proxy = format!("http://{}", server.addr);
        let web_proxies = WebProxies::of_environment(|name| (name == "http_proxy").then(|| proxy.clone())).unwrap();
        let net = Net { web_proxies, ..Net::default() };
        let session = Session::builder().settings(Settings { net, ..loopback() }).start().await.unwrap();
        let out = swarm.dir();
        let mut link: Magnet = swarm.magnet().parse().unwrap();
        link.web_seeds = vec!["http://files.example/".into()];
        link.trackers.clear();
        link.peers = swarm.addrs().into_iter().map(PeerAddress::from).collect();
        let torrent = session.add(AddTorrent::magnet(link.to_string()).into_dir(&out)).await.unwrap();
        complete(&torrent).await;
        same(&swarm, &out);
        let seed = &torrent.status().web_seeds[0];
        assert_eq!(seed.url, "http://files.example/");
        assert!(seed.down_bytes > content().length() / 2, "{format:?}: {seed:?}");
    }
}
