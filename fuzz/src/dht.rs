use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use riverrun_metainfo::WireHash;
use riverrun_proto::dht::krpc::{Body, Message, Refusal, Response, Transaction};
use riverrun_proto::dht::limits::{MAX_PACKET, MAX_STORED_HASHES, MAX_STORED_ITEMS, MAX_TRANSACTION};
use riverrun_proto::dht::{Action, Announce, Command, Config, Contact, Id, Input, ItemName, LookupId, Node};
use riverrun_proto::tracker::dialable;

use crate::bits::Bits;

/// A packet of the DHT: what is read can be written, and from then on stays the same.
pub fn krpc(data: &[u8]) {
    match Message::decode(data) {
        Ok(message) => {
            assert!((1..=MAX_TRANSACTION).contains(&message.transaction.len()));
            let written = message.encode();
            if written.len() <= MAX_PACKET {
                let again = reread(&written);
                assert_eq!(reread(&again.encode()), again, "reading and writing come to rest");
            }
        }
        Err(Refusal::Query { transaction, reason }) => assert!(!transaction.is_empty() && reason.len() < 100),
        Err(Refusal::Reply { transaction }) => assert!(!transaction.is_empty()),
        Err(Refusal::Junk) => {}
    }
}

/// Reads what was written by ourselves. A value that no longer fits a limit may be gone, but the message is one.
fn reread(packet: &[u8]) -> Message {
    Message::decode(packet).expect("what is written can be read")
}

/// A node that is fed packets right and wrong while its clock is moved by hand.
pub fn dht_node(data: &[u8]) {
    let mut bits = Bits::new(data);
    let mut config = Config::new([7; 32]);
    config.read_only = bits.byte() == 0xff;
    let mut now = Instant::now();
    let mut node = Node::new(now, &config);
    let mut sent: VecDeque<(SocketAddr, Transaction)> = VecDeque::new();
    let (mut started, mut done) = (0u64, 0u64);
    while !bits.is_empty() {
        let step = bits.byte();
        let from = addr(step >> 3);
        match step % 8 {
            0 => node.handle(now, Input::Command(command(&mut bits, &mut started, from))),
            1 => {
                now = node.next_timeout().map_or(now, |due| due.max(now));
                node.handle(now, Input::Timeout);
                assert!(node.next_timeout().is_none_or(|due| due > now), "it is not woken all the time");
            }
            2 => {
                now += Duration::from_millis(u64::from(bits.byte()).pow(3));
                node.handle(now, Input::Timeout);
            }
            3 => {
                let packet: Vec<u8> = (0..bits.byte()).map(|_| bits.byte()).collect();
                node.handle(now, Input::Packet { from, bytes: &packet });
            }
            4 => {
                let packet = query(&mut bits);
                node.handle(now, Input::Packet { from, bytes: &packet });
            }
            // The answer to one of the last queries, from where it went or from elsewhere.
            _ => {
                let Some((to, transaction)) = sent.get(usize::from(step >> 3) % sent.len().max(1)).cloned() else {
                    continue;
                };
                let packet = answer(&mut bits, transaction);
                let from = if bits.byte() == 0xfe { from } else { to };
                node.handle(now, Input::Packet { from, bytes: &packet });
            }
        }
        while let Some(action) = node.poll() {
            match action {
                Action::Send { to, bytes } => {
                    assert!(dialable(to) && bytes.len() <= 1400, "{} bytes to {to}", bytes.len());
                    let message = Message::decode(&bytes).expect("what is sent can be read");
                    if matches!(message.body, Body::Query { .. }) {
                        sent.push_front((to, message.transaction));
                        sent.truncate(32);
                    } else {
                        assert!(!config.read_only);
                    }
                }
                Action::Peers { peers, .. } => assert!(!peers.is_empty() && peers.iter().all(|peer| dialable(*peer))),
                Action::Item { item, .. } => assert!(item.value().len() <= 1000),
                Action::LookupDone { report, .. } => {
                    assert!(report.answered <= report.asked && report.closest.len() <= 16);
                    done += 1;
                }
                Action::IdChanged { .. } => {}
            }
        }
        assert!(done <= started, "each lookup ends once");
        assert!(node.next_timeout().is_some());
    }
    let status = node.status(now);
    assert!(status.stored_hashes <= MAX_STORED_HASHES && status.stored_items <= MAX_STORED_ITEMS);
    assert!(node.snapshot(now).iter().all(|contact| dialable(contact.addr)));
}

/// Few addresses, so that they meet again: on this machine, on the internet, of both families, and two where nobody can be.
fn addr(number: u8) -> SocketAddr {
    let ip: IpAddr = match number % 8 {
        0 => [127, 0, 0, 1].into(),
        1 => [10, 0, 0, 1].into(),
        2..=4 => [8, 8, number, 1].into(),
        5 => [0x2a00, u16::from(number), 0, 0, 0, 0, 0, 1].into(),
        6 => [224, 0, 0, 1].into(),
        _ => [8, 8, 2, number].into(),
    };
    SocketAddr::new(ip, if number == 31 { 0 } else { 1000 + u16::from(number) })
}

fn id(bits: &mut Bits<'_>) -> Id {
    let mut id = [bits.byte(); 20];
    (id[0], id[19]) = (bits.byte(), bits.byte());
    Id(id)
}

fn command(bits: &mut Bits<'_>, started: &mut u64, from: SocketAddr) -> Command {
    let lookup = LookupId(*started);
    *started += 1;
    let info_hash = WireHash::from(id(bits));
    match bits.byte() % 8 {
        0 => {
            let announce = Announce { port: 1, implied_port: false, seed: true };
            Command::GetPeers { id: lookup, info_hash, announce: Some(announce), scrape: true, no_seed: false }
        }
        1 => Command::FindNodes { id: lookup, target: info_hash.into() },
        2 => Command::GetItem { id: lookup, name: ItemName::Immutable(info_hash.into()) },
        3 => Command::Stop { id: LookupId(u64::from(bits.byte())) },
        4 => Command::Withdraw { info_hash },
        5 => Command::AddRouter { addr: from },
        6 => Command::SetExternal { ip: from.ip() },
        _ => Command::AddNode { addr: from, id: bits.byte().is_multiple_of(2).then(|| info_hash.into()) },
    }
}

/// A query with what stands in the input for its arguments, mostly well formed.
fn query(bits: &mut Bits<'_>) -> Vec<u8> {
    let id = id(bits);
    let method = ["ping", "find_node", "get_peers", "announce_peer", "get", "put", "sample_infohashes", "later"];
    let method = method[usize::from(bits.byte() % 8)];
    let point = [bits.byte(); 20];
    let mut packet = b"d1:ad2:id20:".to_vec();
    packet.extend_from_slice(&id.0);
    packet.extend_from_slice(b"9:info_hash20:");
    packet.extend_from_slice(&point);
    packet.extend_from_slice(b"4:porti7e6:scrapei1e6:target20:");
    packet.extend_from_slice(&point);
    packet.extend_from_slice(b"5:token8:");
    packet.extend((0..8).map(|_| bits.byte()));
    packet.extend_from_slice(b"1:v");
    packet.extend((0..bits.byte() % 16).map(|_| bits.byte()));
    packet.extend_from_slice(format!("1:xe1:q{}:{method}1:t2:aa1:y1:qe", method.len()).as_bytes());
    packet
}

fn answer(bits: &mut Bits<'_>, transaction: Transaction) -> Vec<u8> {
    let mut response = Response::new(id(bits));
    let mut contacts = Vec::new();
    for _ in 0..bits.byte() % 16 {
        contacts.push(Contact { id: id(bits), addr: addr(bits.byte()) });
    }
    let (v4, v6) = contacts.into_iter().partition(|contact: &Contact| contact.addr.is_ipv4());
    (response.nodes, response.nodes6) = (Some(v4), Some(v6));
    response.values = (0..bits.byte() % 16).map(|_| addr(bits.byte())).collect();
    response.token = bits.byte().is_multiple_of(2).then(|| vec![bits.byte(); 4]);
    let ip = Some(addr(bits.byte()));
    let body = match bits.byte() {
        0xff => Body::Error { code: i64::from(bits.byte()), text: "no".into() },
        _ => Body::Response(Box::new(response)),
    };
    Message { transaction, version: None, ip, body }.encode()
}
