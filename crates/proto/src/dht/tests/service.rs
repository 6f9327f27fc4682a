//! What a node answers, message by message.

use std::net::SocketAddr;
use std::time::Duration;

use super::world::{World, config, public, public_v6};
use crate::dht::krpc::{Body, Message, Query, Response, Want};
use crate::dht::{Command, Id, is_secure};

/// A query as a packet.
pub(super) fn query(query: Query) -> Vec<u8> {
    let body = Body::Query { id: Id(*b"abcdefghij0123456789"), read_only: true, query };
    Message { transaction: b"aa".as_slice().into(), version: None, ip: None, body }.encode()
}

/// What a node answers to a packet.
pub(super) fn reply(world: &mut World, to: SocketAddr, from: SocketAddr, packet: &[u8]) -> Message {
    let packets = world.packet(to, from, packet);
    assert_eq!(packets.len(), 1, "one packet for one");
    let message = Message::decode(&packets[0]).unwrap();
    assert_eq!(message.transaction.as_slice(), b"aa");
    message
}

pub(super) fn answer(world: &mut World, to: SocketAddr, from: SocketAddr, asked: Query) -> Response {
    match reply(world, to, from, &query(asked)).body {
        Body::Response(response) => *response,
        other => panic!("{other:?}"),
    }
}

pub(super) fn error(world: &mut World, to: SocketAddr, from: SocketAddr, asked: Query) -> i64 {
    match reply(world, to, from, &query(asked)).body {
        Body::Error { code, .. } => code,
        other => panic!("{other:?}"),
    }
}

pub(super) fn get_peers(info_hash: Id) -> Query {
    Query::GetPeers { info_hash, want: Want::default(), no_seed: false, scrape: false }
}

/// Announces a peer as a node must: with the token that was asked for.
pub(super) fn announce(world: &mut World, to: SocketAddr, from: SocketAddr, info_hash: Id, seed: bool) {
    let token = answer(world, to, from, get_peers(info_hash)).token.unwrap();
    let query = Query::AnnouncePeer { info_hash, port: 1234, implied_port: false, seed, token };
    answer(world, to, from, query);
}

const HASH: Id = Id([0x77; 20]);

#[test]
fn a_query_is_answered_with_the_asker_s_address() {
    let mut world = World::with((0..20).map(public));
    let packet = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping2:roi1e1:t2:aa1:y1:qe";
    let message = reply(&mut world, public(3), public(99), packet);
    assert_eq!(message.ip, Some(public(99)), "BEP 42");
    let Body::Response(response) = message.body else { panic!("an answer") };
    assert_eq!(*response, Response::new(world.id(public(3))));
    assert!(is_secure(response.id, public(3).ip()));
}

#[test]
fn nodes_are_the_closest_that_are_known_to_be_good() {
    let mut world = World::with((0..20).map(public));
    let target = Id([0x33; 20]);
    let response = answer(&mut world, public(3), public(99), Query::FindNode { target, want: Want::default() });
    let nodes = response.nodes.unwrap();
    assert!(nodes.len() == 8 && nodes.is_sorted_by_key(|node| target.distance(node.id)));
    assert_eq!(response.nodes6, None);
    let snapshot = world.node(public(3)).snapshot(world.now);
    assert!(nodes.iter().all(|node| snapshot.contains(node)));
    world.dead.extend((0..20).map(public));
    world.now += Duration::from_secs(3600);
    let response = answer(&mut world, public(3), public(99), Query::FindNode { target, want: Want::default() });
    assert_eq!(response.nodes, Some(Vec::new()), "nobody is good any more");
}

#[test]
fn want_says_which_nodes() {
    let mut world = World::with((0..20).map(public));
    let mut of = |v4, v6| {
        let want = Want { v4, v6 };
        let response = answer(&mut world, public(3), public(99), Query::FindNode { target: HASH, want });
        (response.nodes.map(|nodes| nodes.len()), response.nodes6.map(|nodes| nodes.len()))
    };
    assert_eq!(of(false, false), (Some(8), None));
    assert_eq!(of(true, false), (Some(8), None));
    assert_eq!(of(false, true), (None, Some(0)));
    assert_eq!(of(true, true), (Some(8), Some(0)));
    let mut world = World::with((0..20).map(public_v6));
    let find = Query::FindNode { target: HASH, want: Want::default() };
    let response = answer(&mut world, public_v6(3), public_v6(99), find);
    assert_eq!((response.nodes, response.nodes6.unwrap().len()), (None, 8));
}

#[test]
fn peers_come_with_nodes_and_a_token() {
    let mut world = World::with((0..20).map(public));
    let node = public(3);
    let nothing = answer(&mut world, node, public(99), get_peers(HASH));
    assert!(nothing.values.is_empty() && nothing.token.is_some() && nothing.nodes.unwrap().len() == 8);
    announce(&mut world, node, public(99), HASH, false);
    let response = answer(&mut world, node, public(98), get_peers(HASH));
    assert_eq!(response.values, [SocketAddr::new(public(99).ip(), 1234)]);
    assert_eq!(response.nodes.unwrap().len(), 8);
    assert_ne!(response.token, nothing.token, "each address has its own");

    let token = response.token.unwrap();
    let implied = Query::AnnouncePeer { info_hash: HASH, port: 1, implied_port: true, seed: true, token };
    answer(&mut world, node, public(98), implied);
    let scrape = Query::GetPeers { info_hash: HASH, want: Want::default(), no_seed: true, scrape: true };
    let response = answer(&mut world, node, public(97), scrape);
    assert_eq!(response.values[0], SocketAddr::new(public(99).ip(), 1234), "who is no seed comes first");
    assert_eq!(response.values[1], public(98), "the port that it came from");
    assert!(response.seeds.unwrap().contains(public(98).ip()));
    assert!(response.downloaders.unwrap().contains(public(99).ip()));
    world.now += Duration::from_secs(46 * 60);
    world.run(Duration::from_secs(20));
    assert!(answer(&mut world, node, public(98), get_peers(HASH)).values.is_empty(), "peers age");
}

#[test]
fn methods_of_a_later_time_are_answered_as_far_as_they_can_be() {
    let mut world = World::with((0..20).map(public));
    let unknown = |target| Query::Unknown { target, want: Want::default() };
    assert_eq!(answer(&mut world, public(3), public(99), unknown(Some(HASH))).nodes.unwrap().len(), 8);
    assert_eq!(error(&mut world, public(3), public(99), unknown(None)), 204);
    let packet = b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q4:next2:roi1e1:t2:aa1:y1:qe";
    let Body::Response(response) = reply(&mut world, public(3), public(99), packet).body else { panic!("an answer") };
    assert_eq!(response.nodes.unwrap().len(), 8);
}

#[test]
fn a_sample_of_info_hashes_is_always_there() {
    let mut world = World::with((0..20).map(public));
    let sample = || Query::SampleInfohashes { target: HASH, want: Want::default() };
    let response = answer(&mut world, public(3), public(99), sample());
    let samples = response.samples.unwrap();
    assert_eq!((samples.info_hashes.len(), samples.total), (0, 0), "even when it is empty (BEP 51)");
    for number in 0..100u8 {
        world.now += Duration::from_secs(2);
        announce(&mut world, public(3), public(100 + u16::from(number)), Id([number; 20]), false);
    }
    world.now += Duration::from_secs(300);
    let response = answer(&mut world, public(3), public(100), sample());
    let samples = response.samples.unwrap();
    assert_eq!((samples.total, samples.interval), (100, 300));
    assert!((20..=60).contains(&samples.info_hashes.len()), "{}", samples.info_hashes.len());
    assert_eq!(response.nodes.unwrap().len(), 8);
}

#[test]
fn an_asker_that_answers_is_met() {
    let mut world = World::with((0..5).map(public));
    world.add(public(50), &config(public(50)));
    world.command(public(50), Command::AddNode { addr: public(0), id: None });
    world.run(Duration::from_secs(5));
    let knows = |world: &World, addr| world.node(addr).snapshot(world.now).iter().any(|node| node.addr == public(50));
    assert!((0..5).all(|number| knows(&world, public(number))));
}
