//! Tests of the packets, and of the client against a tracker in the same thread, with a hand-moved clock.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::cast_possible_truncation)]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use riverrun_metainfo::WireHash;

use super::*;
use crate::limits::{MAX_PEERS_PER_REPLY, MAX_SCRAPE_HASHES, MAX_TRACKER_TEXT};
use crate::tracker::*;
use crate::wire::PeerId;

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn tracker() -> SocketAddr {
    addr("10.0.0.1:6969")
}

fn request() -> AnnounceRequest {
    AnnounceRequest {
        info_hash: WireHash([0xaa; 20]),
        peer_id: PeerId([0xbb; 20]),
        port: 0x1ae1,
        uploaded: 3,
        downloaded: 1,
        left: 2,
        event: Some(Event::Started),
        num_want: None,
        key: 0xdead_beef,
        ipv4: None,
        ipv6: None,
        tracker_id: None,
    }
}

fn announce(id: u64, retries: u8) -> Input<'static> {
    let path_and_query = "/announce".to_owned();
    Input::Announce { id: ExchangeId(id), to: tracker(), request: request(), path_and_query, retries }
}

fn reply() -> AnnounceReply {
    AnnounceReply {
        interval: Duration::from_secs(1800),
        peers: vec![addr("1.2.3.4:5"), addr("6.7.8.9:10")],
        seeders: Some(4),
        leechers: Some(5),
        ..AnnounceReply::default()
    }
}

/// The requests that the client sends now.
fn sent(client: &mut Client) -> Vec<Request> {
    let mut requests = Vec::new();
    while let Some(action) = client.poll() {
        let Action::Send { packet, .. } = action else { panic!("{action:?}") };
        requests.push(Request::decode(&packet).unwrap());
    }
    requests
}

fn the_one(client: &mut Client) -> Request {
    let [request] = sent(client).try_into().unwrap();
    request
}

fn answer(client: &mut Client, now: Instant, from: SocketAddr, transaction: u32, body: ResponseBody) {
    let packet = Response { transaction, body }.encode(from);
    client.handle(now, Input::Received { from, packet: &packet });
}

fn transaction(request: &Request) -> u32 {
    match request {
        Request::Connect { transaction }
        | Request::Announce { transaction, .. }
        | Request::Scrape { transaction, .. } => *transaction,
    }
}

fn done(id: u64, outcome: Result<Outcome, AnnounceError>) -> Option<Action> {
    Some(Action::Done { id: ExchangeId(id), outcome })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn golden_packets() {
    let connect = Request::Connect { transaction: 0x0102_0304 };
    assert_eq!(hex(&connect.encode()), "00000417271019800000000001020304");
    let path_and_query = "/dir?a=b&c=d".to_owned();
    let announce = Request::Announce { connection: 7, transaction: 8, request: request(), path_and_query };
    assert_eq!(
        hex(&announce.encode()),
        ["0000000000000007", "00000001", "00000008", &"aa".repeat(20), &"bb".repeat(20), "0000000000000001"].concat()
            + "0000000000000002"
            + "0000000000000003"
            + "00000002"
            + "00000000"
            + "deadbeef"
            + "ffffffff"
            + "1ae1"
            + "020c2f6469723f613d6226633d64"
    );
    let bare = Request::Announce { connection: 7, transaction: 8, request: request(), path_and_query: String::new() };
    assert_eq!(bare.encode().len(), 98);
    let scrape = Request::Scrape { connection: 7, transaction: 8, info_hashes: vec![WireHash([1; 20])] };
    assert_eq!(hex(&scrape.encode()), format!("00000000000000070000000200000008{}", "01".repeat(20)));

    let response = |body| hex(&Response { transaction: 9, body }.encode(tracker()));
    assert_eq!(response(ResponseBody::Connect(0x0a)), "0000000000000009000000000000000a");
    assert_eq!(
        response(ResponseBody::Announce(reply())),
        "000000010000000900000708000000050000000401020304000506070809000a"
    );
    let entry = ScrapeEntry { seeders: 1, leechers: 2, downloaded: 3, downloaders: None };
    assert_eq!(response(ResponseBody::Scrape(vec![entry])), "0000000200000009000000010000000300000002");
    assert_eq!(response(ResponseBody::Error("no".into())), "00000003000000096e6f");
}

#[test]
fn options_of_bep_41() {
    let decoded = |options: &[u8]| {
        let mut packet =
            Request::Announce { connection: 1, transaction: 2, request: request(), path_and_query: String::new() }
                .encode();
        packet.extend_from_slice(options);
        let Some(Request::Announce { path_and_query, .. }) = Request::decode(&packet) else { panic!("no announce") };
        path_and_query
    };
    assert_eq!(decoded(b"\x02\x0c/dir?a=b&c=d"), "/dir?a=b&c=d");
    assert_eq!(decoded(b"\x02\x0c/dir?a=b&c=d\x01\x01\x00\x02\x01x"), "/dir?a=b&c=d");
    assert_eq!(decoded(b"\x02\x00"), "");
    assert_eq!(decoded(b"\x02\x01a\x07\x02zz\x02\x01b\x02\x09cut"), "ab");
    let path_and_query = "/".repeat(600);
    let long = Request::Announce { connection: 1, transaction: 2, request: request(), path_and_query };
    assert_eq!(Request::decode(&long.encode()), Some(long));
}

#[test]
fn ipv6_peers_by_the_family_of_the_socket() {
    let from = addr("[2001:db8::1]:6969");
    let wanted = AnnounceReply { peers: vec![addr("[2001:db8::2]:3")], ..reply() };
    let mixed = AnnounceReply { peers: vec![addr("[2001:db8::2]:3"), addr("1.2.3.4:5")], ..reply() };
    let packet = Response { transaction: 1, body: ResponseBody::Announce(mixed) }.encode(from);
    assert_eq!(packet.len(), 20 + 18);
    assert_eq!(Response::decode(&packet, from).unwrap().body, ResponseBody::Announce(wanted));
}

#[test]
fn announce_over_a_connection_that_the_next_reuses_for_a_minute() {
    let (start, mut client) = (Instant::now(), Client::new(1));
    client.handle(start, announce(1, 8));
    let connect = the_one(&mut client);
    assert!(matches!(connect, Request::Connect { .. }));
    assert!(client.expects(tracker()) && !client.expects(addr("10.0.0.1:1")));
    answer(&mut client, start, tracker(), transaction(&connect), ResponseBody::Connect(77));
    let asked = the_one(&mut client);
    let Request::Announce { connection: 77, request: said, path_and_query, .. } = &asked else { panic!("{asked:?}") };
    assert_eq!((said, path_and_query.as_str()), (&request(), "/announce"));
    answer(&mut client, start, tracker(), transaction(&asked), ResponseBody::Announce(reply()));
    assert_eq!(client.poll(), done(1, Ok(Outcome::Announce(reply()))));
    assert_eq!((client.poll(), client.next_timeout(), client.expects(tracker())), (None, None, false));

    let later = start + Duration::from_secs(59);
    let info_hashes = vec![WireHash([1; 20]), WireHash([2; 20])];
    client.handle(later, Input::Scrape { id: ExchangeId(2), to: tracker(), info_hashes, retries: 8 });
    let asked = the_one(&mut client);
    assert!(matches!(asked, Request::Scrape { connection: 77, .. }));
    let entry = ScrapeEntry { seeders: 1, leechers: 2, downloaded: 3, downloaders: None };
    answer(&mut client, later, tracker(), transaction(&asked), ResponseBody::Scrape(vec![entry]));
    assert_eq!(client.poll(), done(2, Ok(Outcome::Scrape(vec![(WireHash([1; 20]), entry)]))));
}

#[test]
fn t7_connection_id_is_not_used_after_a_minute() {
    let (start, mut client) = (Instant::now(), Client::new(1));
    client.handle(start, announce(1, 8));
    let connect = the_one(&mut client);
    answer(&mut client, start, tracker(), transaction(&connect), ResponseBody::Connect(77));
    assert!(matches!(the_one(&mut client), Request::Announce { connection: 77, .. }));
    client.handle(start + Duration::from_secs(60), announce(2, 8));
    assert!(matches!(the_one(&mut client), Request::Connect { .. }));
}

#[test]
fn t7_silence_is_asked_again_after_15_seconds_times_powers_of_two() {
    let (start, mut client) = (Instant::now(), Client::new(1));
    client.handle(start, announce(1, 200));
    let mut transactions = BTreeSet::from([transaction(&the_one(&mut client))]);
    let mut at = Duration::ZERO;
    for n in 0..8 {
        at += Duration::from_secs(15 << n);
        assert_eq!(client.next_timeout(), Some(start + at));
        client.handle(start + at - Duration::from_millis(1), Input::Timeout);
        assert_eq!(client.poll(), None);
        client.handle(start + at, Input::Timeout);
        assert!(transactions.insert(transaction(&the_one(&mut client))), "each packet has an id of its own");
    }
    at += Duration::from_secs(15 << 8);
    client.handle(start + at, Input::Timeout);
    assert_eq!(client.poll(), done(1, Err(AnnounceError::Timeout)));
    assert_eq!(client.next_timeout(), None);
}

#[test]
fn t7_a_tracker_that_answers_connects_alone_is_given_up() {
    let (mut now, mut client) = (Instant::now(), Client::new(1));
    client.handle(now, announce(1, 8));
    let (mut packets, mut outcome) = (0, None);
    while outcome.is_none() {
        while let Some(action) = client.poll() {
            match action {
                Action::Send { packet, .. } => {
                    packets += 1;
                    if let Some(Request::Connect { transaction }) = Request::decode(&packet) {
                        answer(&mut client, now, tracker(), transaction, ResponseBody::Connect(5));
                    }
                }
                Action::Done { outcome: result, .. } => outcome = Some(result),
            }
        }
        now = client.next_timeout().unwrap_or(now);
        client.handle(now, Input::Timeout);
        assert!(packets < 30);
    }
    assert_eq!(outcome, Some(Err(AnnounceError::Timeout)));
}

#[test]
fn t7_what_nobody_asked_for_is_ignored() {
    let (now, mut client) = (Instant::now(), Client::new(1));
    client.handle(now, announce(1, 8));
    let connect = transaction(&the_one(&mut client));
    let connected = ResponseBody::Connect(66);
    for (from, transaction, body) in [
        (tracker(), connect ^ 1, connected.clone()),
        (addr("10.0.0.1:6970"), connect, connected.clone()),
        (addr("10.0.0.2:6969"), connect, connected.clone()),
        (tracker(), connect, ResponseBody::Announce(reply())),
        (tracker(), connect, ResponseBody::Scrape(vec![])),
        (tracker(), connect ^ 1, ResponseBody::Error("no".into())),
    ] {
        answer(&mut client, now, from, transaction, body);
        assert_eq!(client.poll(), None);
    }
    let right = Response { transaction: connect, body: connected.clone() }.encode(tracker());
    for length in 0..right.len() {
        client.handle(now, Input::Received { from: tracker(), packet: &right[..length] });
        assert_eq!(client.poll(), None, "{length} bytes");
    }
    answer(&mut client, now, tracker(), connect, connected.clone());
    let asked = transaction(&the_one(&mut client));
    assert_ne!(asked, connect);
    answer(&mut client, now, tracker(), asked, connected);
    answer(&mut client, now, tracker(), asked, ResponseBody::Scrape(vec![]));
    answer(&mut client, now, tracker(), connect, ResponseBody::Announce(reply()));
    assert_eq!(client.poll(), None);
    let short = Response { transaction: asked, body: ResponseBody::Announce(reply()) }.encode(tracker());
    client.handle(now, Input::Received { from: tracker(), packet: &short[..19] });
    assert_eq!(client.poll(), None);
    client.handle(now, Input::Received { from: tracker(), packet: &short[..25] });
    let empty = AnnounceReply { peers: vec![], ..reply() };
    assert_eq!(client.poll(), done(1, Ok(Outcome::Announce(empty))), "half a peer is ignored");
}

#[test]
fn errors_end_the_exchange_and_forget_the_connection() {
    let (now, mut client) = (Instant::now(), Client::new(1));
    client.handle(now, announce(1, 8));
    let connect = transaction(&the_one(&mut client));
    answer(&mut client, now, tracker(), connect, ResponseBody::Connect(5));
    let asked = transaction(&the_one(&mut client));
    answer(&mut client, now, tracker(), asked, ResponseBody::Error("\x1b[2Jno".repeat(1000)));
    let Some(Action::Done { outcome: Err(AnnounceError::Refused { reason, retry: None }), .. }) = client.poll() else {
        panic!("no refusal")
    };
    assert!(reason.len() <= MAX_TRACKER_TEXT && !reason.contains('\x1b'), "t6");
    client.handle(now, announce(2, 8));
    let connect = the_one(&mut client);
    assert!(matches!(connect, Request::Connect { .. }));
    answer(&mut client, now, tracker(), transaction(&connect), ResponseBody::Error(String::new()));
    assert!(matches!(client.poll(), Some(Action::Done { outcome: Err(AnnounceError::Refused { .. }), .. })));
}

#[test]
fn a_thousand_announces_to_one_tracker_ask_for_one_connection() {
    let (now, mut client) = (Instant::now(), Client::new(1));
    (0..1000).for_each(|id| client.handle(now, announce(id, 1)));
    let connect = transaction(&the_one(&mut client));
    client.handle(now, Input::Cancel(ExchangeId(0)));
    let again = transaction(&the_one(&mut client));
    answer(&mut client, now, tracker(), connect, ResponseBody::Connect(5));
    assert_eq!(client.poll(), None, "the exchange that asked is gone, so is its transaction");
    answer(&mut client, now, tracker(), again, ResponseBody::Connect(6));
    let asked = sent(&mut client);
    assert_eq!(asked.len(), 999);
    assert_eq!(asked.iter().map(transaction).collect::<BTreeSet<_>>().len(), 999);
}

#[test]
fn a_thousand_announces_to_a_dead_tracker_end_together() {
    let (start, mut client) = (Instant::now(), Client::new(1));
    (0..1000).for_each(|id| client.handle(start, announce(id, 1)));
    assert_eq!(sent(&mut client).len(), 1);
    client.handle(start + Duration::from_secs(15), Input::Timeout);
    assert_eq!(sent(&mut client).len(), 1);
    client.handle(start + Duration::from_secs(45), Input::Timeout);
    let mut ended = 0;
    while let Some(action) = client.poll() {
        assert!(matches!(action, Action::Done { outcome: Err(AnnounceError::Timeout), .. }));
        ended += 1;
    }
    assert_eq!((ended, client.next_timeout()), (1000, None));
}

#[test]
fn transactions_do_not_repeat_and_follow_the_seed() {
    let ids = |seed| {
        let mut client = Client::new(seed);
        let now = Instant::now();
        let to = |id: u16| SocketAddr::from(([10, 0, 0, 1], id));
        (1..500).for_each(|id| {
            client
                .handle(now, Input::Scrape { id: ExchangeId(id.into()), to: to(id), info_hashes: vec![], retries: 0 });
        });
        sent(&mut client).iter().map(transaction).collect::<Vec<_>>()
    };
    assert_eq!(ids(1), ids(1));
    assert_ne!(ids(1), ids(2));
    assert_eq!(ids(1).into_iter().collect::<BTreeSet<_>>().len(), 499);
}

#[test]
fn t4_t5_t8_numbers_and_peers_of_a_hostile_tracker() {
    let mut packet = [1u32, 9, u32::MAX, u32::MAX, u32::MAX].map(u32::to_be_bytes).concat();
    let peers = (0..10_000u16).flat_map(|port| [1, 2, 3, 4, (port >> 8) as u8, port as u8]);
    packet.extend(peers);
    let ResponseBody::Announce(reply) = Response::decode(&packet, tracker()).unwrap().body else {
        panic!("no announce")
    };
    assert_eq!((reply.interval, reply.seeders, reply.leechers), (Duration::ZERO, Some(0), Some(0)));
    assert_eq!((reply.peers.len(), reply.peers[0]), (MAX_PEERS_PER_REPLY, addr("1.2.3.4:1")));
    let mut scrape = [2u32, 9].map(u32::to_be_bytes).concat();
    scrape.extend([0xff; 12 * 100]);
    let ResponseBody::Scrape(entries) = Response::decode(&scrape, tracker()).unwrap().body else { panic!("no scrape") };
    assert_eq!((entries.len(), entries[0].seeders), (MAX_SCRAPE_HASHES, 0));
}

proptest! {
    #[test]
    fn no_packet_panics(packet in vec(any::<u8>(), 0..200), v6 in any::<bool>()) {
        let from = addr(if v6 { "[::1]:1" } else { "127.0.0.1:1" });
        let _ = Response::decode(&packet, from);
        let _ = Request::decode(&packet);
    }

    #[test]
    fn no_sequence_of_inputs_panics(steps in vec((0u8..6, 0u64..4, any::<u32>(), vec(any::<u8>(), 0..40)), 0..60)) {
        let (mut now, mut client) = (Instant::now(), Client::new(3));
        let mut seen = Vec::new();
        for (kind, id, number, packet) in steps {
            match kind {
                0 => client.handle(now, announce(id, (number % 10) as u8)),
                1 => client.handle(now, Input::Cancel(ExchangeId(id))),
                2 => now += Duration::from_millis(u64::from(number % 200_000)),
                3 => client.handle(now, Input::Timeout),
                4 => client.handle(now, Input::Received { from: tracker(), packet: &packet }),
                _ => {
                    let body = if number % 2 == 0 { ResponseBody::Connect(1) } else { ResponseBody::Announce(reply()) };
                    let transaction = seen.last().copied().unwrap_or(number);
                    answer(&mut client, now, tracker(), transaction, body);
                }
            }
            while let Some(action) = client.poll() {
                if let Action::Send { packet, .. } = action {
                    seen.push(transaction(&Request::decode(&packet).unwrap()));
                }
            }
            prop_assert!(client.next_timeout().is_none_or(|due| due > now || kind != 3));
        }
    }
}
