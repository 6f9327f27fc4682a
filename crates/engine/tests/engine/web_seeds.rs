//! Web seeds (BEP 19) over real sockets: a server alone is enough, and one that lies does no harm (THREATS T2, T9).

use std::time::{Duration, Instant};

use riverrun::metainfo::Metainfo;
use riverrun::proto::address::{AddressList, AddressRules};
use riverrun::testing::{Content, Format, LocalSwarm, loopback};
use riverrun::{AddTorrent, EventKind, Net, Session, Settings, Torrent, WebSeedState, WebSeedStatus};

use super::web_server::{Manner, WebServer};
use super::{PATIENCE, complete, same, session, until};

pub(crate) const PIECE: u32 = 64 * 1024;

fn folder() -> Content {
    let files = [
        ("a file with spaces.bin", 300_000),
        ("empty", 0),
        ("ünï/こんにちは #1?.txt", 5),
        ("sub/50%+more&.bin", 1_000_001),
        ("z", 16_384),
    ];
    Content::folder("my album", 7, files)
}

fn big() -> Content {
    Content::file("big file.bin", 3, 12_345_678)
}

/// Adds a torrent of this content, which no tracker knows, with these web seeds of the owner's.
pub(crate) async fn add(
    session: &Session,
    content: &Content,
    format: Format,
    seeds: &[&WebServer],
) -> (Torrent, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let torrent = content.torrent(format, Some(PIECE), &[]);
    let wish = AddTorrent::new(torrent).into_dir(dir.path()).web_seeds(seeds.iter().map(|seed| seed.url()));
    (session.add(wish).await.unwrap(), dir)
}

/// Waits until a web seed rests, and gives its status.
async fn rests(torrent: &Torrent, seed: usize) -> WebSeedStatus {
    let status = || torrent.status().web_seeds.get(seed).cloned();
    until("the web seed rests", || status().is_some_and(|seed| matches!(seed.state, WebSeedState::Rests(_)))).await;
    status().unwrap()
}

pub(crate) fn error(status: &WebSeedStatus) -> String {
    status.error.clone().unwrap_or_default()
}

#[tokio::test]
async fn a_web_server_alone_is_enough_for_files_of_every_name_and_format() {
    for format in [Format::V1, Format::Hybrid, Format::V2] {
        let content = folder();
        let server = WebServer::start(&content, Manner::Honest).await;
        let session = session().await;
        let (torrent, dir) = add(&session, &content, format, &[&server]).await;
        complete(&torrent).await;
        content.compare(dir.path()).unwrap();
        let status = torrent.status();
        assert_eq!((status.connections, status.candidates, status.wasted_bytes), (0, 0, 0));
        assert_eq!(status.web_seeds[0].error, None);
        let asked: usize =
            server.requests().iter().map(|request| request.range.map_or(0, |(from, to)| to - from)).sum();
        assert!(asked as u64 <= content.length(), "{format:?}: {asked}: nothing twice, and padding never");
    }
}

#[tokio::test]
async fn a_large_file_comes_in_large_ranges() {
    let content = big();
    let server = WebServer::start(&content, Manner::Honest).await;
    let session = session().await;
    let (torrent, dir) = add(&session, &content, Format::V1, &[&server]).await;
    complete(&torrent).await;
    content.compare(dir.path()).unwrap();
    let requests = server.requests();
    // 189 pieces and 754 blocks.
    assert!(requests.len() <= 30, "{requests:?}");
    let mut ranges: Vec<_> = requests.iter().map(|request| request.range.unwrap()).collect();
    ranges.sort_unstable();
    assert!(ranges.windows(2).all(|pair| pair[0].1 == pair[1].0), "nothing twice: {ranges:?}");
    assert_eq!(torrent.status().web_seeds[0].down_bytes, content.length());
}

#[tokio::test]
async fn two_web_servers_and_a_peer_work_together() {
    let swarm = LocalSwarm::of(big()).seeders(1).up_limit(Some(1 << 20)).piece_length(PIECE).start().await.unwrap();
    let servers = [WebServer::start(&big(), Manner::Honest).await, WebServer::start(&big(), Manner::Honest).await];
    let session =
        Session::builder().settings(Settings { down_limit: Some(8 << 20), ..loopback() }).start().await.unwrap();
    let wish = AddTorrent::new(swarm.torrent()).into_dir(swarm.dir()).web_seeds(servers.iter().map(WebServer::url));
    let begun = Instant::now();
    let torrent = session.add(wish).await.unwrap();
    complete(&torrent).await;
    same(&swarm, &swarm.dir());
    // The limit holds for web seeds, too: 11.8 MiB at 8 MiB a second, less the burst.
    assert!(begun.elapsed() >= Duration::from_millis(1100), "{:?}", begun.elapsed());
    let status = torrent.status();
    assert!(status.web_seeds.iter().all(|seed| seed.down_bytes > 0), "{:?}", status.web_seeds);
}

#[tokio::test]
async fn a_server_without_ranges_is_read_from_the_start_in_one_go() {
    let content = big();
    let server = WebServer::start(&content, Manner::NoRanges).await;
    let session = session().await;
    let (torrent, dir) = add(&session, &content, Format::V1, &[&server]).await;
    complete(&torrent).await;
    content.compare(dir.path()).unwrap();
    assert!(server.requests().len() <= 3, "{:?}", server.requests());
}

#[tokio::test]
async fn t9_bodies_whose_length_no_head_tells_are_taken_as_far_as_was_asked() {
    for manner in [Manner::Chunked, Manner::UntilClose] {
        let content = folder();
        let server = WebServer::start(&content, manner).await;
        let session = session().await;
        let (torrent, dir) = add(&session, &content, Format::Hybrid, &[&server]).await;
        complete(&torrent).await;
        content.compare(dir.path()).unwrap();
        assert_eq!(torrent.status().web_seeds[0].error, None);
    }
}

#[tokio::test]
async fn a_busy_server_is_not_asked_again_before_the_time_that_it_names() {
    let content = folder();
    let server = WebServer::start(&content, Manner::Later(600)).await;
    let session = session().await;
    let (torrent, _dir) = add(&session, &content, Format::V1, &[&server]).await;
    let status = rests(&torrent, 0).await;
    let WebSeedState::Rests(rest) = status.state else { panic!("{status:?}") };
    assert!(rest > Duration::from_secs(500) && rest <= Duration::from_secs(600), "{rest:?}");
    assert_eq!((error(&status).as_str(), status.given_up), ("is busy (answers 503)", false));
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn a_file_that_is_not_there_comes_from_another_and_the_rest_from_here() {
    let content = folder();
    let partial = WebServer::start(&content, Manner::Lacks("50%")).await;
    let session = session().await;
    let (torrent, dir) = add(&session, &content, Format::Hybrid, &[&partial]).await;
    until("all but one file came", || torrent.status().web_seeds.first().is_some_and(|seed| seed.error.is_some()))
        .await;
    until("it has nothing more", || {
        let status = torrent.status();
        status.pieces - status.have_pieces == 16
    })
    .await;
    assert_eq!(torrent.status().web_seeds[0].error.as_deref(), Some("answers 404 for a file"));
    torrent.remove().await;
    let whole = WebServer::start(&content, Manner::Honest).await;
    let bytes = content.torrent(Format::Hybrid, Some(PIECE), &[]);
    let both = [partial.url(), whole.url()];
    let torrent = session.add(AddTorrent::new(bytes).into_dir(dir.path()).web_seeds(both)).await.unwrap();
    complete(&torrent).await;
    content.compare(dir.path()).unwrap();
}

#[tokio::test]
async fn resets_and_busy_moments_are_waited_out() {
    for manner in [Manner::Resets(2), Manner::Busy(1)] {
        let content = folder();
        let server = WebServer::start(&content, manner).await;
        let session = session().await;
        let (torrent, dir) = add(&session, &content, Format::V1, &[&server]).await;
        complete(&torrent).await;
        content.compare(dir.path()).unwrap();
        assert!(torrent.status().web_seeds[0].error.is_some());
    }
}

#[tokio::test]
async fn t9_whoever_lies_rests_for_long_and_others_bring_what_is_right() {
    let lies = [
        (Manner::BadData, "sent bad data"),
        (Manner::OtherRange, "lies: another range than asked for"),
        (Manner::Gzip, "lies: compresses what was asked for as it is"),
        (Manner::Endless, "lies: sends more than it was asked for"),
        (Manner::Longer, "has a file of 2000001 bytes in place of one of 2000000"),
        (Manner::Half, "lies: a part of another length"),
        (Manner::Beyond, "has a file of 50 bytes in place of one of 2000000"),
    ];
    for (manner, said) in lies {
        let content = Content::file("one.bin", 5, 2_000_000);
        let liar = WebServer::start(&content, manner).await;
        let session = session().await;
        let mut events = session.events();
        let (torrent, dir) = add(&session, &content, Format::V1, &[&liar]).await;
        let status = rests(&torrent, 0).await;
        assert_eq!(error(&status), said);
        let WebSeedState::Rests(rest) = status.state else { panic!("{status:?}") };
        assert!(rest > Duration::from_secs(3000), "{rest:?}");
        if said == "sent bad data" {
            loop {
                if let EventKind::WebSeedBanned { url } = events.next().await.unwrap().kind {
                    assert_eq!(url, liar.url());
                    break;
                }
            }
        }
        torrent.remove().await;
        let honest = WebServer::start(&content, Manner::Honest).await;
        let bytes = content.torrent(Format::V1, Some(PIECE), &[]);
        let both = [liar.url(), honest.url()];
        let torrent =
            session.add(AddTorrent::new(bytes).into_dir(dir.path()).overwrite(true).web_seeds(both)).await.unwrap();
        complete(&torrent).await;
        content.compare(dir.path()).unwrap();
    }
}

#[tokio::test]
async fn t1_redirects_end_after_a_few_hops() {
    let content = folder();
    let server = WebServer::start(&content, Manner::Redirects("/again".into())).await;
    let session = session().await;
    let (torrent, _dir) = add(&session, &content, Format::V1, &[&server]).await;
    assert!(error(&rests(&torrent, 0).await).contains("redirects"));
    assert_eq!(server.requests().len(), 6);
}

#[tokio::test]
async fn a_redirect_within_the_server_is_followed() {
    let content = folder();
    let server = WebServer::start(&content, Manner::Moved).await;
    let session = session().await;
    let (torrent, dir) = add(&session, &content, Format::V1, &[&server]).await;
    complete(&torrent).await;
    content.compare(dir.path()).unwrap();
}

#[tokio::test]
async fn t2_no_redirect_leads_to_another_service_of_this_machine() {
    let content = folder();
    let inner = WebServer::start(&content, Manner::Honest).await;
    let outer = WebServer::start(&content, Manner::Redirects(inner.url())).await;
    let session = session().await;
    let (torrent, _dir) = add(&session, &content, Format::V1, &[&outer]).await;
    assert!(error(&rests(&torrent, 0).await).contains("on this machine"));
    assert_eq!(inner.requests(), []);
}

/// A torrent whose file itself names web seeds.
fn naming(content: &Content, seeds: &[String]) -> Vec<u8> {
    let metainfo = Metainfo::parse(content.torrent(Format::Hybrid, Some(PIECE), &[]).into()).unwrap();
    let mut draft = metainfo.draft();
    draft.web_seeds = seeds.to_vec();
    draft.encode()
}

#[tokio::test]
async fn t2_a_torrent_may_not_send_us_to_this_machine_but_its_owner_may() {
    let content = folder();
    let server = WebServer::start(&content, Manner::Honest).await;
    let session = session().await;
    let dir = tempfile::tempdir().unwrap();
    let port = server.addr.port();
    let named = [server.url(), format!("http://localhost:{port}/"), format!("http://127.0.0.1:{port}/announce")];
    let wish = AddTorrent::new(naming(&content, &named)).into_dir(dir.path());
    let torrent = session.add(wish.clone()).await.unwrap();
    for seed in 0..named.len() {
        assert!(error(&rests(&torrent, seed).await).contains("on this machine"));
    }
    assert_eq!(server.requests(), []);
    torrent.remove().await;
    let torrent = session.add(wish.web_seeds([server.url()])).await.unwrap();
    complete(&torrent).await;
    content.compare(dir.path()).unwrap();
}

#[tokio::test]
async fn web_seeds_of_a_torrent_are_asked_through_the_proxy() {
    let content = folder();
    // It takes requests for any server, as a proxy does.
    let proxy = WebServer::start(&content, Manner::Honest).await;
    let net = Net { proxy: Some(format!("http://{}", proxy.addr).parse().unwrap()), ..Net::default() };
    let settings = Settings { net, ..loopback() };
    let session = Session::builder().settings(settings).start().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let bytes = naming(&content, &["http://files.example/".into()]);
    let torrent = session.add(AddTorrent::new(bytes).into_dir(dir.path())).await.unwrap();
    complete(&torrent).await;
    content.compare(dir.path()).unwrap();
    assert_eq!(torrent.status().web_seeds[0].url, "http://files.example/");
}

#[tokio::test]
async fn the_owners_rules_hold_for_web_seeds() {
    let content = folder();
    let server = WebServer::start(&content, Manner::Honest).await;
    let mut list = AddressList::default();
    list.line(b"127.0.0.0/8").unwrap();
    let (blocked, offline) = (AddressRules::new(false, Some(list.finish())), AddressRules::new(true, None));
    for (addresses, url, said) in
        [(blocked, server.url(), "list of refused addresses"), (offline, "http://192.0.2.1/".to_owned(), "offline")]
    {
        let settings = Settings { net: Net { addresses, ..Net::default() }, ..loopback() };
        let session = Session::builder().settings(settings).start().await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let bytes = content.torrent(Format::V1, Some(PIECE), &[]);
        let wish = AddTorrent::new(bytes).into_dir(dir.path()).web_seeds([url]);
        let torrent = session.add(wish).await.unwrap();
        assert!(error(&rests(&torrent, 0).await).contains(said));
    }
    assert_eq!(server.requests(), []);
}

#[tokio::test]
async fn a_torrent_that_is_stopped_lets_go_of_its_web_seeds() {
    let content = big();
    let server = WebServer::start(&content, Manner::Honest).await;
    let settings = Settings { down_limit: Some(256 * 1024), ..loopback() };
    let session = Session::builder().settings(settings).start().await.unwrap();
    let (torrent, _dir) = add(&session, &content, Format::V1, &[&server]).await;
    until("it begins", || torrent.status().down_bytes > 0).await;
    assert_eq!(torrent.peers().iter().filter(|peer| peer.web_seed.is_some()).count(), 1);
    torrent.pause();
    until("it is let go", || torrent.peers().is_empty()).await;
    torrent.resume();
    until("it is asked again", || torrent.peers().len() == 1).await;
    tokio::time::timeout(PATIENCE, torrent.remove()).await.unwrap();
}
