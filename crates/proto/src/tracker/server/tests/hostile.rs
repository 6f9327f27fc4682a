//! Announces that lie, flood or are not the sender's own (THREATS section 4, seen from the tracker's side).

use super::*;
use crate::limits::{MAX_PEERS_GIVEN, MAX_UDP_REPLY, UDP_CONNECTION_ACCEPTED};

/// An announce with a connection id that may be anything.
fn announce(connection: u64) -> Vec<u8> {
    let request = wants(HASH, 1, 1, None);
    Request::Announce { connection, transaction: 9, request, path_and_query: String::new() }.encode()
}

#[test]
fn spoofed_addresses_get_nothing_and_enter_nobody() {
    let mut desk = Desk::new(Config::default());
    let (attacker, victim) = (addr("10.0.0.1:1"), addr("10.0.0.2:1"));
    let own = desk.connect(attacker);
    let guesses = [0, 1, u64::MAX, 0x0417_2710_1980, own ^ 1 << 63, own ^ 1];
    for connection in guesses.into_iter().chain([own]) {
        let answer = desk.packet(victim, &announce(connection)).unwrap().body;
        assert!(matches!(answer, ResponseBody::Error(_)), "{answer:?}");
    }
    assert_eq!(desk.counts(HASH), None);
    desk.packet(attacker, &announce(own)).unwrap();
    assert_eq!(desk.counts(HASH), Some((0, 1, 0)), "the address for which it was given");
    let moved = SocketAddr::new(attacker.ip(), 999);
    assert!(
        matches!(desk.packet(moved, &announce(own)).unwrap().body, ResponseBody::Announce(_)),
        "behind the same NAT"
    );
}

#[test]
fn a_connection_id_ends_after_two_minutes() {
    let mut desk = Desk::new(Config::default());
    let peer = addr("[2001:db8::1]:1");
    desk.pass(70_000);
    let id = desk.connect(peer);
    desk.pass(UDP_CONNECTION_ACCEPTED.as_secs());
    assert!(matches!(desk.packet(peer, &announce(id)).unwrap().body, ResponseBody::Announce(_)));
    // Its bits of time come round after 65,536 seconds; the hash is over all of the time.
    for wait in [1, 100, 65_536 - 120, 65_536] {
        desk.pass(wait);
        assert!(matches!(desk.packet(peer, &announce(id)).unwrap().body, ResponseBody::Error(_)), "{wait}");
    }
}

#[test]
fn nobody_gets_more_bytes_than_it_sent_before_it_has_shown_where_it_is() {
    let mut desk = Desk::new(Config::default());
    let from = addr("10.0.0.1:1");
    for peer in 0..=255 {
        desk.http(SocketAddr::from(([10, 0, 1, peer], 1)), &wants(HASH, 1, 0, None)).unwrap();
    }
    let mut out = Vec::new();
    let scrape = Request::Scrape { connection: 1, transaction: 1, info_hashes: vec![HASH; 74] }.encode();
    let connect = Request::Connect { transaction: 1 }.encode();
    for packet in [announce(1), scrape, connect] {
        for length in 0..=packet.len() {
            desk.server.udp(desk.now, from, &packet[..length], &mut out);
            assert!(out.len() <= length, "{} bytes for {length}", out.len());
        }
    }
}

#[test]
fn p22_nobody_is_entered_at_port_0_or_where_no_host_can_be() {
    let mut desk = Desk::new(Config::default());
    desk.udp(addr("10.0.0.1:1"), wants(HASH, 0, 1, None));
    assert_eq!(desk.server.stats().peers_v4, 0);
    desk.udp(addr("10.0.0.1:1"), wants(HASH, 5, 0, None));
    assert_eq!(desk.udp_peers(addr("10.0.0.2:1"), wants(HASH, 0, 1, None)), [addr("10.0.0.1:5")], "it may ask");
    for nowhere in ["0.0.0.0:1", "224.0.0.1:1", "255.255.255.255:1", "[ff02::1]:1", "[::]:1"] {
        desk.udp(addr(nowhere), wants(HASH, 1, 1, None));
        assert!(!desk.server.add_peer(desk.now, HASH, addr(nowhere), 1));
    }
    assert_eq!(desk.counts(HASH), Some((1, 0, 0)));
}

#[test]
fn p23_a_peer_is_where_it_came_from_and_nowhere_else() {
    let mut desk = Desk::new(Config::default());
    let victim = AnnounceRequest {
        ipv4: Some([192, 0, 2, 1].into()),
        ipv6: Some("2001:db8::1".parse().unwrap()),
        ..wants(HASH, 80, 1, None)
    };
    desk.http(addr("10.0.0.1:1"), &victim).unwrap();
    desk.udp(addr("10.0.0.2:1"), victim);
    assert_eq!(desk.udp_peers(addr("10.0.0.3:1"), wants(HASH, 0, 1, None)).len(), 2);
    assert_eq!((desk.server.stats().peers_v4, desk.server.stats().peers_v6), (2, 0));
    // An IPv4 address inside IPv6 is one peer, not two.
    desk.udp(addr("[::ffff:10.0.0.1]:1"), wants(HASH, 80, 1, None));
    assert_eq!((desk.server.stats().peers_v4, desk.server.stats().peers_v6), (2, 0));
}

#[test]
fn numbers_out_of_all_bounds() {
    let mut desk = Desk::new(Config::default());
    let negative = "/announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=aaaaaaaaaaaaaaaaaaaa&port=1&left=-1";
    let answer = desk.server.http(desk.now, [10, 0, 0, 1].into(), negative);
    assert_eq!(answer.body, b"d14:failure reason17:left is not valide");
    // Over UDP, -1 is a number like others: it lacks something.
    desk.udp(addr("10.0.0.1:1"), wants(HASH, 1, u64::MAX, None));
    assert_eq!(desk.counts(HASH), Some((0, 1, 0)));
    for peer in 0..300u16 {
        let [high, low] = peer.to_be_bytes();
        desk.http(SocketAddr::from(([10, 1, high, low], 1)), &wants(HASH, 1, 0, None)).unwrap();
        desk.http(SocketAddr::from(([0x2001, 0xdb8, 0, peer, 0, 0, 0, 1], 1)), &wants(HASH, 1, 0, None)).unwrap();
    }
    let greedy = AnnounceRequest { num_want: Some(i32::MAX as u32), ..wants(HASH, 1, 1, None) };
    assert_eq!(desk.udp_peers(addr("10.0.0.1:1"), greedy.clone()).len(), MAX_PEERS_GIVEN);
    assert_eq!(desk.http(addr("10.0.0.1:1"), &greedy).unwrap().peers.len(), MAX_PEERS_GIVEN);
    let v6 = desk.udp_peers(addr("[2001:db8::9]:1"), greedy.clone());
    assert_eq!(v6.len(), (MAX_UDP_REPLY - 20) / 18, "what fits a packet");
    assert_eq!(desk.http(addr("[2001:db8::9]:1"), &greedy).unwrap().peers.len(), MAX_PEERS_GIVEN);
    assert_eq!(desk.udp_peers(addr("10.0.0.1:1"), AnnounceRequest { num_want: Some(0), ..greedy }), []);
}

#[test]
fn a_flood_of_info_hashes_fills_the_share_of_one_host() {
    let bounds = Bounds { swarms: 1000, peers: 2000, peers_per_host: 100 };
    let mut desk = Desk::new(Config { bounds, ..Config::default() });
    let hash = |number: u16| {
        let mut hash = [0; 20];
        hash[..2].copy_from_slice(&number.to_be_bytes());
        WireHash(hash)
    };
    for number in 0..5000 {
        desk.udp(addr("10.0.0.1:1"), wants(hash(number), 1, 1, None));
        // All addresses of a /64 are one host's.
        let [high, low] = number.to_be_bytes();
        let v6 = SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, high.into(), low.into()], 1));
        desk.udp(v6, wants(hash(number), 1, 1, None));
    }
    let stats = desk.server.stats();
    assert_eq!((stats.swarms, stats.peers_v4, stats.peers_v6), (100, 100, 100));
    let full = desk.http(addr("10.0.0.1:1"), &wants(hash(200), 1, 1, None)).unwrap_err();
    let retry = Some(Retry::After(Duration::from_secs(1800)));
    assert_eq!(full, AnnounceError::Refused { reason: "too many peers at this address".into(), retry });
    desk.http(addr("10.0.0.1:1"), &wants(hash(5), 1, 1, None)).unwrap();
    desk.http(addr("10.0.0.2:1"), &wants(hash(200), 1, 1, None)).unwrap();
}

#[test]
fn one_address_cannot_be_a_whole_swarm() {
    let mut desk = Desk::new(Config::default());
    for port in 1..=1000 {
        desk.udp(addr("10.0.0.1:1"), wants(HASH, port, 0, None));
    }
    assert_eq!(desk.counts(HASH), Some((64, 0, 0)));
    desk.udp(addr("10.0.0.2:1"), wants(HASH, 1, 0, None));
    assert_eq!(desk.counts(HASH), Some((65, 0, 0)));
}

#[test]
fn over_the_caps_the_oldest_peer_goes_and_a_new_swarm_is_refused() {
    let bounds = Bounds { swarms: 3, peers: 4, peers_per_host: 100 };
    let mut desk = Desk::new(Config { bounds, ..Config::default() });
    let (a, b) = (WireHash([1; 20]), WireHash([2; 20]));
    for (number, hash) in [(1, a), (2, b), (3, b), (4, WireHash([3; 20]))] {
        desk.pass(1);
        desk.udp(SocketAddr::from(([10, 0, 0, number], 1)), wants(hash, 1, 1, None));
    }
    let refused = desk.udp(addr("10.0.0.9:1"), wants(HASH, 1, 1, None));
    assert_eq!(refused, ResponseBody::Error("this tracker has no room for another torrent".into()));
    desk.pass(1);
    desk.udp(addr("10.0.0.2:1"), wants(b, 1, 1, None));
    desk.udp(addr("[2001:db8::5]:1"), wants(b, 1, 1, None));
    assert_eq!((desk.counts(a), desk.counts(b)), (None, Some((0, 3, 0))), "the first, and its swarm with it");
    desk.udp(addr("10.0.0.6:1"), wants(HASH, 1, 1, None));
    assert_eq!(desk.counts(b), Some((0, 2, 0)), "the third, for the second was heard of since");
    assert_eq!(desk.server.stats().pushed_out, 2);
    // The last of a swarm goes for another peer of the same swarm.
    let bounds = Bounds { swarms: 1, peers: 1, peers_per_host: 1 };
    let mut desk = Desk::new(Config { bounds, ..Config::default() });
    desk.udp(addr("10.0.0.1:1"), wants(a, 1, 1, None));
    desk.udp(addr("10.0.0.2:1"), wants(a, 1, 0, None));
    assert_eq!(desk.counts(a), Some((1, 0, 0)));
}

#[test]
fn t7_packets_that_are_no_requests_get_no_answer() {
    let mut desk = Desk::new(Config::default());
    let from = addr("10.0.0.1:1");
    let connect = Request::Connect { transaction: 1 }.encode();
    for length in 0..connect.len() {
        assert_eq!(desk.packet(from, &connect[..length]), None);
    }
    let id = desk.connect(from);
    let whole = announce(id);
    for length in 16..98 {
        assert_eq!(desk.packet(from, &whole[..length]), None);
    }
    for action in [3u32, 4, u32::MAX] {
        let mut packet = whole.clone();
        packet[8..12].copy_from_slice(&action.to_be_bytes());
        assert_eq!(desk.packet(from, &packet), None);
    }
    assert_eq!(desk.server.stats().counts.ignored, 16 + 82 + 3);
}
