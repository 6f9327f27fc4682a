use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use riverrun_metainfo::WireHash;
use riverrun_proto::limits::{MAX_PEERS_GIVEN, MAX_REQUEST_HEADER, MAX_UDP_REPLY};
use riverrun_proto::tracker::AnnounceError;
use riverrun_proto::tracker::http::{parse_announce_reply, parse_scrape_reply};
use riverrun_proto::tracker::server::{Bounds, Config, RequestHead, Server};
use riverrun_proto::tracker::udp::{Response, ResponseBody};

use crate::bits::Bits;

const BOUNDS: Bounds = Bounds { swarms: 4, peers: 8, peers_per_host: 4 };

fn server(full_scrape: bool, now: Instant) -> Server {
    Server::new(Config { bounds: BOUNDS, full_scrape, ..Config::default() }, now, [7; 32])
}

fn host(number: u8) -> IpAddr {
    match number % 4 {
        0 => [0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(number)].into(),
        1 => [0, 0, 0, 0, 0, 0xffff, 0x0a00, u16::from(number)].into(),
        _ => [10, 0, 0, number].into(),
    }
}

fn check(server: &Server) {
    let stats = server.stats();
    let peers = stats.peers_v4 + stats.peers_v6;
    assert!(stats.swarms <= BOUNDS.swarms.min(peers) && peers <= BOUNDS.peers, "{stats:?}");
    assert!(stats.seeds as usize <= peers && server.next_timeout().is_some() == (peers > 0), "{stats:?}");
}

/// A connection that sends these bytes to a tracker: each request is answered, up to the first that cannot be read.
pub fn tracker_server_http(data: &[u8]) {
    let mut bits = Bits::new(data);
    let mut now = Instant::now();
    let from = host(bits.byte());
    let mut server = server(bits.byte().is_multiple_of(2), now);
    let mut received = bits.rest();
    loop {
        let whole = RequestHead::read(received, 0);
        // In two parts it is the same.
        let half = received.len() / 2;
        match RequestHead::read(&received[..half], 0) {
            Ok(None) => assert_eq!(RequestHead::read(received, half), whole),
            early => assert_eq!(early, whole),
        }
        let Ok(Some(head)) = whole else { break };
        assert!(head.target.starts_with('/') && head.length <= MAX_REQUEST_HEADER + 4);
        now += Duration::from_secs(60);
        let answer = server.http(now, from, &head.target);
        assert!(answer.status == 200 || answer.status == 404 && answer.body.is_empty());
        if head.target.starts_with("/announce?") {
            match parse_announce_reply(answer.status, &answer.body) {
                Ok(reply) => {
                    assert!(reply.peers.len() <= MAX_PEERS_GIVEN && reply.external_ip == Some(from.to_canonical()))
                }
                Err(AnnounceError::Refused { .. } | AnnounceError::Status(404)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        if head.target.starts_with("/scrape?") {
            let read = parse_scrape_reply(answer.status, &answer.body, &[WireHash([b'a'; 20])]);
            assert!(matches!(read, Ok(_) | Err(AnnounceError::Refused { .. })), "{read:?}");
        }
        check(&server);
        received = &received[head.length..];
    }
}

/// Packets from several hosts to a tracker, some with the connection id that it gave, while its clock is moved by hand.
pub fn tracker_server_udp(data: &[u8]) {
    let mut bits = Bits::new(data);
    let mut now = Instant::now();
    let mut server = server(false, now);
    let mut out = Vec::new();
    while !bits.is_empty() {
        let (step, number) = (bits.byte(), bits.byte());
        let from = SocketAddr::new(host(number), 6881);
        if step % 8 == 7 {
            now += Duration::from_secs(u64::from(number) * 20);
            server.expire(now, usize::from(number));
            check(&server);
            continue;
        }
        let mut packet: Vec<u8> = (0..bits.byte()).map(|_| bits.byte()).collect();
        let knows = step % 4 != 0;
        if knows && packet.len() >= 12 {
            // As a client that asked for an id first; what it wants is in the data.
            server.udp(now, from, &[&0x0417_2710_1980_u64.to_be_bytes()[..], &[0; 8]].concat(), &mut out);
            packet[..8].copy_from_slice(&out[8..16]);
            packet[8..12].copy_from_slice(&u32::from(step % 3).to_be_bytes());
        }
        let answered = server.udp(now, from, &packet, &mut out);
        assert_eq!(answered, !out.is_empty());
        assert!(
            out.len() <= MAX_UDP_REPLY && (knows || out.len() <= packet.len()),
            "{} for {}",
            out.len(),
            packet.len()
        );
        if answered {
            let response = Response::decode(&out, from);
            let response = response.expect("what is written can be read");
            assert_eq!(response.transaction.to_be_bytes(), packet[12..16]);
            if let ResponseBody::Announce(reply) = response.body {
                assert!(reply.peers.len() < BOUNDS.peers);
            }
        }
        check(&server);
    }
}
