#![allow(clippy::unwrap_used)]

mod hostile;
mod model;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use riverrun_metainfo::WireHash;

use super::*;
use crate::tracker::http::{announce_url, parse_announce_reply, parse_scrape_reply, scrape_url};
use crate::tracker::udp::{Request, Response, ResponseBody};
use crate::tracker::{AnnounceError, AnnounceReply, TrackerUrl};
use crate::wire::PeerId;

const HASH: WireHash = WireHash([7; 20]);

#[expect(clippy::disallowed_methods, reason = "one moment to start from")]
fn start() -> Instant {
    Instant::now()
}

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Path and query of a URL.
fn target(url: &str) -> &str {
    let host = url.strip_prefix("http://").unwrap();
    &host[host.find('/').unwrap()..]
}

fn wants(info_hash: WireHash, port: u16, left: u64, event: Option<Event>) -> AnnounceRequest {
    AnnounceRequest {
        info_hash,
        peer_id: PeerId([1; 20]),
        port,
        uploaded: 0,
        downloaded: 0,
        left,
        event,
        num_want: None,
        key: 1,
        ipv4: None,
        ipv6: None,
        tracker_id: None,
    }
}

/// A server with its clock, asked as clients ask.
struct Desk {
    server: Server,
    now: Instant,
}

impl Desk {
    fn new(config: Config) -> Self {
        let now = start();
        Self { server: Server::new(config, now, [3; 32]), now }
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn packet(&mut self, from: SocketAddr, packet: &[u8]) -> Option<Response> {
        let mut out = Vec::new();
        let answered = self.server.udp(self.now, from, packet, &mut out);
        assert_eq!(answered, !out.is_empty());
        answered.then(|| Response::decode(&out, from).unwrap())
    }

    fn connect(&mut self, from: SocketAddr) -> u64 {
        match self.packet(from, &Request::Connect { transaction: 5 }.encode()) {
            Some(Response { transaction: 5, body: ResponseBody::Connect(id) }) => id,
            other => panic!("{other:?}"),
        }
    }

    /// Announces over UDP with a fresh connection id.
    fn udp(&mut self, from: SocketAddr, request: AnnounceRequest) -> ResponseBody {
        let connection = self.connect(from);
        let path_and_query = "/announce?pass=word".to_owned();
        let packet = Request::Announce { connection, transaction: 9, request, path_and_query }.encode();
        self.packet(from, &packet).unwrap().body
    }

    fn udp_peers(&mut self, from: SocketAddr, request: AnnounceRequest) -> Vec<SocketAddr> {
        match self.udp(from, request) {
            ResponseBody::Announce(reply) => reply.peers,
            other => panic!("{other:?}"),
        }
    }

    fn http(&mut self, from: SocketAddr, request: &AnnounceRequest) -> Result<AnnounceReply, AnnounceError> {
        let url = announce_url(&TrackerUrl::parse("http://t/announce").unwrap(), request);
        let answer = self.server.http(self.now, from.ip(), target(&url));
        parse_announce_reply(answer.status, &answer.body)
    }

    fn counts(&self, info_hash: WireHash) -> Option<(u32, u32, u32)> {
        self.server.swarm(info_hash).map(|entry| (entry.seeders, entry.leechers, entry.downloaded))
    }
}

#[test]
fn peers_find_each_other_over_both_protocols_and_families() {
    let mut desk = Desk::new(Config::default());
    let (a, b, c) = (addr("10.0.0.1:1000"), addr("10.0.0.2:2000"), addr("[2001:db8::3]:3000"));
    assert_eq!(desk.udp_peers(a, wants(HASH, 1000, 0, Some(Event::Started))), []);
    let reply = desk.http(b, &wants(HASH, 2000, 50, Some(Event::Started))).unwrap();
    assert_eq!((reply.peers, reply.external_ip), (vec![a], Some(b.ip())));
    assert_eq!((reply.interval.as_secs(), reply.min_interval.unwrap().as_secs()), (1800, 300));
    assert_eq!((reply.seeders, reply.leechers, reply.downloaded), (Some(1), Some(1), Some(0)));
    // UDP has room for one family only (BEP 15); HTTP names both, the client's own first (BEP 7).
    assert_eq!(desk.udp_peers(c, wants(HASH, 3000, 50, None)), []);
    assert_eq!(desk.http(c, &wants(HASH, 3000, 50, None)).unwrap().peers.len(), 2);
    let reply = desk.http(b, &AnnounceRequest { num_want: Some(1), ..wants(HASH, 2000, 50, None) }).unwrap();
    assert_eq!(reply.peers, [a]);
    // A seed has no use for seeds, nor has who wants nothing more (BEP 21).
    assert_eq!(desk.udp_peers(a, wants(HASH, 1000, 0, None)), [b]);
    assert_eq!(desk.udp_peers(addr("10.0.0.4:4"), wants(HASH, 4, 0, None)), [b]);
    assert_eq!(desk.http(addr("10.0.0.4:4"), &wants(HASH, 4, 9, Some(Event::Paused))).unwrap().peers, [b, c]);
}

#[test]
fn a_download_ends_and_a_peer_goes() {
    let mut desk = Desk::new(Config::default());
    let peer = addr("10.0.0.1:1000");
    desk.udp(peer, wants(HASH, 1000, 10, Some(Event::Started)));
    assert_eq!(desk.counts(HASH), Some((0, 1, 0)));
    desk.udp(peer, wants(HASH, 1000, 0, Some(Event::Completed)));
    desk.udp(peer, wants(HASH, 1000, 0, Some(Event::Completed)));
    assert_eq!(desk.counts(HASH), Some((1, 0, 1)), "said twice, counted once");
    desk.udp(addr("10.0.0.9:9"), wants(HASH, 9, 0, Some(Event::Completed)));
    assert_eq!(desk.counts(HASH), Some((2, 0, 1)), "who was never seen without it did not download it here");
    let reply = desk.udp_peers(peer, wants(HASH, 1000, 0, Some(Event::Stopped)));
    assert_eq!((reply, desk.counts(HASH)), (vec![], Some((1, 0, 1))));
    desk.udp(addr("10.0.0.9:9"), wants(HASH, 9, 0, Some(Event::Stopped)));
    desk.udp(addr("10.0.0.9:9"), wants(HASH, 9, 0, Some(Event::Stopped)));
    assert_eq!((desk.counts(HASH), desk.server.stats().swarms), (None, 0), "a swarm goes with its last peer");
}

#[test]
fn who_falls_silent_is_forgotten() {
    let mut desk = Desk::new(Config::default());
    for port in 1..=50 {
        desk.udp(addr("10.0.0.1:1"), wants(HASH, port, 1, None));
    }
    desk.pass(3000);
    desk.udp(addr("10.0.0.1:1"), wants(HASH, 50, 1, None));
    desk.pass(599);
    desk.server.expire(desk.now, 100);
    assert_eq!(desk.counts(HASH), Some((0, 50, 0)));
    desk.pass(1);
    assert_eq!(desk.server.next_timeout(), Some(desk.now));
    desk.udp(addr("10.0.0.2:1"), wants(WireHash([8; 20]), 1, 1, None));
    assert_eq!(desk.counts(HASH), Some((0, 50 - 16, 0)), "an announce does a little");
    desk.server.expire(desk.now, 100);
    assert_eq!((desk.counts(HASH), desk.server.stats().expired), (Some((0, 1, 0)), 49));
    desk.pass(3600);
    desk.server.expire(desk.now, 100);
    assert_eq!((desk.server.stats().swarms, desk.server.next_timeout()), (0, None));
}

#[test]
fn every_peer_of_a_large_swarm_is_named_at_times() {
    let mut desk = Desk::new(Config::default());
    for peer in 0..1000u32 {
        let left = u64::from(peer % 10);
        let [_, _, c, d] = peer.to_be_bytes();
        desk.http(SocketAddr::from(([10, 0, c, d], 1)), &wants(HASH, 6881, left, None)).unwrap();
    }
    assert_eq!(desk.counts(HASH), Some((100, 900, 0)));
    let mut named = BTreeSet::new();
    let (asking, mut seeds) = (addr("10.0.3.231:6881"), 0);
    for _ in 0..200 {
        let peers = desk.udp_peers(asking, AnnounceRequest { num_want: Some(100), ..wants(HASH, 6881, 9, None) });
        let once: BTreeSet<_> = peers.iter().copied().collect();
        assert_eq!((peers.len(), once.len()), (100, 100));
        assert!(!once.contains(&asking), "nobody is told of itself");
        seeds += peers.iter().filter(|peer| desk.is_seed(**peer)).count();
        named.extend(once);
    }
    assert_eq!(named.len(), 999);
    assert_eq!(seeds, 200 * 10, "as many seeds as there are among all");
    let few = desk.udp_peers(asking, AnnounceRequest { num_want: Some(2), ..wants(HASH, 6881, 9, None) });
    assert_eq!(few.iter().filter(|peer| desk.is_seed(**peer)).count(), 1, "one who has everything");
}

impl Desk {
    fn is_seed(&self, peer: SocketAddr) -> bool {
        let IpAddr::V4(ip) = peer.ip() else { return false };
        let [_, _, c, d] = ip.octets();
        u32::from_be_bytes([0, 0, c, d]).is_multiple_of(10)
    }
}

#[test]
fn scrapes_of_some_and_of_all() {
    let hashes = [WireHash([2; 20]), WireHash([1; 20]), WireHash([9; 20])];
    let url = scrape_url(&TrackerUrl::parse("http://t/announce").unwrap(), &hashes).unwrap();
    for full_scrape in [false, true] {
        let mut desk = Desk::new(Config { full_scrape, ..Config::default() });
        for hash in &hashes[..2] {
            desk.udp(addr("10.0.0.1:1"), wants(*hash, 1, 0, None));
        }
        let mut ask = |target: &str| {
            let answer = desk.server.http(desk.now, [10, 0, 0, 1].into(), target);
            parse_scrape_reply(answer.status, &answer.body, &hashes)
        };
        let some = ask(target(&url)).unwrap();
        assert_eq!(
            some.iter().map(|(hash, entry)| (*hash, entry.seeders)).collect::<Vec<_>>(),
            [(hashes[0], 1), (hashes[1], 1)]
        );
        let all = ask("/scrape");
        assert!(if full_scrape { all == Ok(some) } else { matches!(all, Err(AnnounceError::Refused { .. })) });
        let connection = desk.connect(addr("10.0.0.1:1"));
        let request = Request::Scrape { connection, transaction: 1, info_hashes: hashes.to_vec() };
        let Some(ResponseBody::Scrape(entries)) = desk.packet(addr("10.0.0.1:1"), &request.encode()).map(|r| r.body)
        else {
            panic!("no scrape")
        };
        assert_eq!(
            entries.iter().map(|entry| entry.seeders).collect::<Vec<_>>(),
            [1, 1, 0],
            "in the order of the request"
        );
    }
}

#[test]
fn the_old_form_of_peers_for_who_wants_it() {
    let mut desk = Desk::new(Config::default());
    desk.udp(addr("10.0.0.1:1"), wants(HASH, 1, 0, None));
    let query = "info_hash=%07%07%07%07%07%07%07%07%07%07%07%07%07%07%07%07%07%07%07%07&peer_id=aaaaaaaaaaaaaaaaaaaa&port=2&left=5";
    let body = |desk: &mut Desk, more: &str| {
        let answer = desk.server.http(desk.now, [10, 0, 0, 2].into(), &format!("/announce?{query}{more}"));
        String::from_utf8_lossy(&answer.body).into_owned()
    };
    let old = body(&mut desk, "&compact=0&no_peer_id=1&trackerid=x&key=DEADBEEF&numwant=1");
    assert!(old.contains("5:peersld2:ip8:10.0.0.14:porti1eee"), "{old}");
    assert!(body(&mut desk, "").contains("5:peers6:\n\0\0\u{1}\0\u{1}"));
    assert_eq!(desk.server.http(desk.now, [10, 0, 0, 2].into(), "/").status, 404);
    let missing = desk.server.http(desk.now, [10, 0, 0, 2].into(), "/announce?port=1").body;
    assert_eq!(missing, b"d14:failure reason20:info_hash is missinge");
}

#[test]
fn torrents_that_are_not_served_and_a_tracker_that_is_closed() {
    let mut desk = Desk::new(Config { allowed: Some([HASH].into()), journal: 3, ..Config::default() });
    let peer = addr("10.0.0.1:1");
    let other = wants(WireHash([8; 20]), 1, 1, None);
    desk.http(peer, &wants(HASH, 1, 1, None)).unwrap();
    let refused = desk.http(peer, &other).unwrap_err();
    let reason = "this tracker does not serve the torrent";
    assert_eq!(refused, AnnounceError::Refused { reason: reason.into(), retry: Some(Retry::Never) });
    assert_eq!(desk.udp(peer, other.clone()), ResponseBody::Error(reason.into()));
    desk.server.allow_only([other.info_hash].into());
    desk.http(peer, &other).unwrap();
    desk.server.close(Some("not today".into()));
    let refused = desk.http(peer, &other).unwrap_err();
    assert_eq!(refused, AnnounceError::Refused { reason: "not today".into(), retry: None });
    assert_eq!(desk.udp(peer, other.clone()), ResponseBody::Error("not today".into()));
    desk.server.close(None);
    desk.udp_peers(peer, other.clone());
    let journal: Vec<_> = desk.server.journal().map(|announced| (announced.info_hash, announced.udp)).collect();
    assert_eq!(journal, [(other.info_hash, false), (other.info_hash, true), (other.info_hash, true)], "the last three");
    assert_eq!(desk.server.stats().counts.refused, 4);
}
