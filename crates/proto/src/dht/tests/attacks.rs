//! The rows D1 to D9 of the catalogue of attacks, against whole nodes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use riverrun_metainfo::{WireHash, hash::sha1};

use super::service::{announce, answer, error, get_peers, query, reply};
use super::world::{World, config, local, public, public_v6};
use crate::dht::item::mutable_target;
use crate::dht::krpc::{Body, Message, Put, Query, Response, Signed, Want};
use crate::dht::limits::{MAX_REPLY, MAX_REPLY_V6, MIN_REPLY_SPACE};
use crate::dht::{
    Announce, BloomFilter, Command, Contact, Id, Item, LookupId, LookupReport, MutableItem, Rules, is_secure, secure_id,
};

const HASH: Id = Id([0x77; 20]);

#[test]
fn d1_replies_are_bounded_in_size_whoever_asks_for_what() {
    for (addr, most) in [(public as fn(u16) -> SocketAddr, MAX_REPLY), (public_v6, MAX_REPLY_V6)] {
        let mut world = World::with((0..20).map(addr));
        for number in 100..500 {
            world.now += Duration::from_secs(1);
            announce(&mut world, addr(3), addr(number), HASH, number % 2 == 0);
        }
        let want = Want { v4: true, v6: true };
        let greedy = query(Query::GetPeers { info_hash: HASH, want, no_seed: false, scrape: true });
        let lengths: Vec<usize> = (0..200)
            .map(|number| {
                world.now += Duration::from_millis(110);
                let replies = world.packet(addr(3), addr(1000 + number), &greedy);
                replies.iter().map(Vec::len).sum()
            })
            .collect();
        assert!(lengths.iter().all(|length| *length <= most), "{lengths:?}");
        assert!(lengths[0] > MIN_REPLY_SPACE, "the first gets all there is: {lengths:?}");
        let small = greedy.len().max(MIN_REPLY_SPACE / 3) * 3;
        let large = lengths.iter().filter(|length| **length > small).count();
        assert!(large <= 40 + 4 * 22, "{large} of {} replies are long", lengths.len());
        let total: usize = lengths.iter().sum();
        assert!(total <= 80_000 + 8_000 * 22, "all replies together: {total}");
    }
}

#[test]
fn d1_a_flood_from_one_address_is_answered_for_a_while_and_then_with_silence() {
    let mut world = World::with((0..20).map(public));
    let ping = query(Query::Ping);
    let answered = (0..1000).filter(|_| !world.packet(public(3), public(99), &ping).is_empty()).count();
    assert_eq!(answered, 50);
    assert!(!world.packet(public(3), public(98), &ping).is_empty(), "others are answered");
    world.now += Duration::from_secs(299);
    assert!(world.packet(public(3), public(99), &ping).is_empty());
    world.now += Duration::from_secs(2);
    assert!(!world.packet(public(3), public(99), &ping).is_empty());
}

/// A torrent with one honest peer, and around its info-hash many nodes that know only each other. What a lookup by somebody
/// else finds.
fn under_siege(rules: Rules, place: impl Fn(u16) -> SocketAddr) -> (Vec<SocketAddr>, LookupReport, World) {
    let mut world = World::new();
    for number in 0..40 {
        let mut config = config(public(number));
        config.rules = rules;
        world.add(public(number), &config);
        world.command(public(number), Command::AddNode { addr: public(0), id: None });
        world.run(Duration::from_millis(200));
    }
    world.run(Duration::from_secs(60));
    let mut close = HASH.0;
    world.evil = (0..100u16)
        .map(|number| {
            close[18..].copy_from_slice(&number.to_be_bytes());
            Contact { id: Id(close), addr: place(number) }
        })
        .collect();
    // They made themselves known to everybody, as any node can.
    for number in 0..40 {
        for evil in world.evil.clone() {
            world.command(public(number), Command::AddNode { addr: evil.addr, id: Some(evil.id) });
        }
    }
    world.run(Duration::from_secs(60));
    let seed = Announce { port: 7777, implied_port: false, seed: true };
    let info_hash = WireHash::from(HASH);
    let get = |id, announce| Command::GetPeers { id: LookupId(id), info_hash, announce, scrape: false, no_seed: false };
    world.command(public(7), get(1, Some(seed)));
    world.finish(public(7), 1);
    world.command(public(30), get(2, Some(seed)));
    let report = world.finish(public(30), 2);
    (world.peers(public(30), 2), report, world)
}

#[test]
fn d2_nodes_placed_around_an_info_hash_do_not_hide_its_peers() {
    let apart = |number| public(1000 + number);
    let (peers, report, world) = under_siege(Rules::default(), apart);
    assert_eq!(peers, [SocketAddr::new(public(7).ip(), 7777)]);
    assert_eq!(report.stored_at, 8, "{report:?}");
    assert!(report.closest.iter().all(|node| is_secure(node.id, node.addr.ip())), "{report:?}");
    assert!(report.took < Duration::from_secs(5), "{report:?}");
    let stored: usize = world.nodes.values().map(|node| node.status(world.now).stored_peers).sum();
    assert_eq!(stored, 16, "both are announced at honest nodes");
    let (peers, ..) = under_siege(Rules { secure_ids: false, ..Rules::default() }, apart);
    assert_eq!(peers, [], "without the rule the attack succeeds, so it is the rule that helps");
}

#[test]
fn d2_many_nodes_of_one_network_count_as_one() {
    let crowded = |number: u16| SocketAddr::new([30, 0, 0, 1].into(), 1000 + number);
    let rules = Rules { secure_ids: false, one_per_group: true };
    let (peers, report, _) = under_siege(rules, crowded);
    assert_eq!(peers, [SocketAddr::new(public(7).ip(), 7777)]);
    let evil = report.closest.iter().filter(|node| node.addr.ip() == crowded(0).ip()).count();
    assert!(evil <= 1 && report.stored_at >= 7, "{report:?}");
    let rules = Rules { secure_ids: false, one_per_group: false };
    assert_eq!(under_siege(rules, crowded).0, [], "without the rule the attack succeeds");
}

#[test]
fn d3_nobody_is_announced_with_a_forged_borrowed_or_old_token() {
    let mut world = World::with((0..20).map(public));
    let node = public(3);
    let with = |token: &[u8], info_hash| Query::AnnouncePeer {
        info_hash,
        port: 1,
        implied_port: false,
        seed: false,
        token: token.to_vec(),
    };
    let token = answer(&mut world, node, public(99), get_peers(HASH)).token.unwrap();
    assert_eq!(error(&mut world, node, public(98), with(&token, HASH)), 203, "another's");
    assert_eq!(error(&mut world, node, public(99), with(&token, Id([1; 20]))), 203, "for another torrent");
    assert_eq!(error(&mut world, node, public(99), with(b"", HASH)), 203);
    assert_eq!(error(&mut world, node, public(99), with(&[0; 8], HASH)), 203);
    world.now += Duration::from_secs(4 * 60);
    answer(&mut world, node, public(99), with(&token, HASH));
    world.now += Duration::from_secs(7 * 60);
    assert_eq!(error(&mut world, node, public(99), with(&token, HASH)), 203, "too old");
    assert_eq!(world.node(node).status(world.now).stored_peers, 1);
}

#[test]
fn d4_one_network_cannot_have_more_stored_than_its_share() {
    let mut world = World::with((0..20).map(public));
    let node = public(3);
    for number in 0..150u8 {
        // Slowly enough to be answered at all.
        world.now += Duration::from_secs(1);
        let from = SocketAddr::new([30, 0, 0, number].into(), 1);
        let info_hash = Id([number; 20]);
        let token = answer(&mut world, node, from, get_peers(info_hash)).token.unwrap();
        let query = query(Query::AnnouncePeer { info_hash, port: 1, implied_port: false, seed: false, token });
        let refused = matches!(reply(&mut world, node, from, &query).body, Body::Error { code: 202, .. });
        assert_eq!(refused, number >= 100);
    }
    announce(&mut world, node, public(99), HASH, false);
    assert_eq!(world.node(node).status(world.now).stored_peers, 101);
}

#[test]
fn d5_what_is_no_item_is_refused_with_its_reason() {
    let mut world = World::with((0..20).map(public));
    let (node, from) = (public(3), public(99));
    let sign = |seq, value: &'static [u8]| MutableItem::sign(&[7; 32], b"", seq, value.into()).unwrap();
    let good = sign(5, b"1:a");
    let target = mutable_target(good.key(), b"");
    let get = |target| Query::Get { target, seq: None, want: Want::default() };
    let token = answer(&mut world, node, from, get(target)).token.unwrap();
    let put = |item: &MutableItem, cas| Put {
        token: token.clone(),
        value: item.value().clone(),
        canonical: true,
        signed: Some(Signed { key: *item.key(), salt: Vec::new(), seq: item.seq(), signature: *item.signature() }),
        cas,
    };
    let ask = |put: Put| Query::Put(Box::new(put));
    let long = Put { value: format!("997:{}", "x".repeat(997)).into(), ..put(&good, None) };
    assert_eq!(error(&mut world, node, from, ask(long)), 205);
    let mut salted = put(&good, None);
    salted.signed.as_mut().unwrap().salt = vec![0; 65];
    assert_eq!(error(&mut world, node, from, ask(salted)), 207);
    let mut forged = put(&good, None);
    forged.signed.as_mut().unwrap().signature[0] ^= 1;
    assert_eq!(error(&mut world, node, from, ask(forged)), 206);
    let unsorted = Put { value: "d1:bi1e1:ai2ee".into(), ..put(&good, None) };
    assert_eq!(error(&mut world, node, from, ask(unsorted)), 203);
    let no_token = Put { token: vec![0; 8], ..put(&good, None) };
    assert_eq!(error(&mut world, node, from, ask(no_token)), 203);
    answer(&mut world, node, from, ask(put(&good, None)));
    assert_eq!(error(&mut world, node, from, ask(put(&sign(6, b"1:b"), Some(4)))), 301);
    assert_eq!(error(&mut world, node, from, ask(put(&sign(4, b"1:b"), None))), 302);
    answer(&mut world, node, from, ask(put(&sign(6, b"1:b"), Some(5))));
    let response = answer(&mut world, node, public(98), get(target));
    assert_eq!((response.seq, response.value), (Some(6), Some("1:b".into())));
    assert_eq!(response.signed.unwrap().key, *good.key());
    let known = answer(&mut world, node, from, Query::Get { target, seq: Some(6), want: Want::default() });
    assert_eq!((known.seq, known.value, known.signed), (Some(6), None, None));
    let value = format!("996:{}", "x".repeat(996));
    let target = Id(sha1(value.as_bytes()));
    let token = answer(&mut world, node, from, get(target)).token.unwrap();
    let largest = Put { token, value: value.clone().into(), canonical: true, signed: None, cas: None };
    answer(&mut world, node, from, ask(largest));
    assert_eq!(answer(&mut world, node, public(98), get(target)).value, Some(value.into()));
}

#[test]
fn d5_the_longest_item_fits_what_every_link_of_ipv6_carries() {
    let mut world = World::with((0..20).map(public_v6));
    let (node, from) = (public_v6(3), public_v6(99));
    let item = MutableItem::sign(&[7; 32], b"", 1_700_000_000, format!("996:{}", "x".repeat(996)).into()).unwrap();
    let target = mutable_target(item.key(), b"");
    let get = || Query::Get { target, seq: None, want: Want::default() };
    let token = answer(&mut world, node, from, get()).token.unwrap();
    let (key, signature) = (*item.key(), *item.signature());
    let signed = Some(Signed { key, salt: Vec::new(), seq: item.seq(), signature });
    let put = Put { token, value: item.value().clone(), canonical: true, signed, cas: None };
    answer(&mut world, node, from, Query::Put(Box::new(put)));
    let packets = world.packet(node, public_v6(98), &query(get()));
    assert!(packets[0].len() <= 1232, "{} bytes", packets[0].len());
    assert_eq!(answer(&mut world, node, public_v6(97), get()).value.as_ref(), Some(item.value()));
}

#[test]
fn d5_items_that_are_not_what_was_asked_for_are_not_believed() {
    let mut world = World::with((0..3).map(public));
    let item = Item::immutable(b"1:a".as_slice().into()).unwrap();
    let id = LookupId(1);
    world.dead.extend((1..3).map(public));
    world.command(public(0), Command::GetItem { id, name: item.name() });
    let (to, transaction) = world.last_query(public(0), "get").unwrap();
    let mut response = Response::new(world.id(to));
    response.value = Some("1:b".into());
    let body = Body::Response(Box::new(response));
    let packet = Message { transaction, version: None, ip: None, body }.encode();
    world.packet(public(0), to, &packet);
    assert_eq!(world.items(public(0), 1), []);
}

#[test]
fn d6_replies_that_nobody_asked_for_change_nothing() {
    let mut world = World::new();
    world.add(public(0), &config(public(0)));
    world.command(public(0), Command::AddNode { addr: public(1), id: None });
    let (to, transaction) = world.last_query(public(0), "ping").unwrap();
    let forged = |transaction: &[u8]| {
        let id = secure_id(public(1).ip(), [1; 20]);
        let body = Body::Response(Box::new(Response::new(id)));
        Message { transaction: transaction.into(), version: None, ip: Some(public(9)), body }.encode()
    };
    let good = |world: &World| world.node(public(0)).status(world.now).families[0].good;
    world.packet(public(0), SocketAddr::new(to.ip(), 1), &forged(&transaction));
    world.packet(public(0), public(2), &forged(&transaction));
    for guess in 0..200u32 {
        world.packet(public(0), to, &forged(&guess.to_be_bytes()));
    }
    assert_eq!(good(&world), 0);
    world.now += Duration::from_secs(1);
    let mut world = World::new();
    world.add(public(0), &config(public(0)));
    world.command(public(0), Command::AddNode { addr: public(1), id: None });
    world.packet(public(0), to, &forged(&transaction));
    assert_eq!(good(&world), 1, "the same packet to the right query is believed");
}

#[test]
fn d7_junk_is_answered_by_an_error_or_not_at_all() {
    let mut world = World::with((0..5).map(public));
    let mut code = |packet: &[u8]| {
        world.now += Duration::from_secs(1);
        let packets = world.packet(public(3), public(99), packet);
        assert!(packets.len() <= 1 && packets.iter().all(|reply| reply.len() <= packet.len().max(100)));
        packets.first().map(|reply| match Message::decode(reply).unwrap().body {
            Body::Error { code, .. } => code,
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(code(b""), None);
    assert_eq!(code(b"hello"), None);
    assert_eq!(code(b"d1:t2:aae"), None);
    assert_eq!(code(&b"d1:a".repeat(300)), None);
    assert_eq!(code(&b"l".repeat(2000)), None);
    assert_eq!(code(&[0xff; 1500]), None);
    assert_eq!(code(b"d1:ad2:id2:abe1:q4:ping1:t2:aa1:y1:qe"), Some(203));
    assert_eq!(code(b"d1:q4:ping1:t2:aa1:y1:qe"), Some(203));
    assert_eq!(code(b"d1:ad2:id20:abcdefghij0123456789e1:q9:find_node1:t2:aa1:y1:qe"), Some(203));
    assert_eq!(code(b"d1:ad2:id20:abcdefghij0123456789e1:q3:new2:roi1e1:t2:aa1:y1:qe"), Some(204));
}

#[test]
fn d7_a_node_that_answers_junk_fails() {
    let mut world = World::with((0..3).map(public));
    let bad = |world: &World| world.node(public(0)).status(world.now).families[0].bad;
    for id in 0..6 {
        world.dead.insert(public(1));
        world.command(public(0), Command::FindNodes { id: LookupId(id), target: world.id(public(1)) });
        let (to, transaction) = world.last_query(public(0), "find_node").unwrap();
        let mut packet = b"d1:rd2:id3:abce1:t4:".to_vec();
        packet.extend_from_slice(&transaction);
        packet.extend_from_slice(b"1:y1:re");
        world.packet(public(0), to, &packet);
        world.run(Duration::from_secs(1));
    }
    assert!(bad(&world) >= 1);
}

#[test]
fn d8_poisoned_nodes_are_sent_nothing() {
    let mut world = World::with((0..2).map(public));
    let own = world.id(public(0));
    let poison: Vec<SocketAddr> = [
        "127.0.0.1:80",
        "10.1.2.3:80",
        "192.168.1.1:80",
        "169.254.1.1:80",
        "224.0.0.251:5353",
        "255.255.255.255:9",
        "0.0.0.0:80",
        "9.9.9.9:0",
    ]
    .iter()
    .map(|addr| addr.parse().unwrap())
    .collect();
    world.command(public(0), Command::FindNodes { id: LookupId(1), target: HASH });
    let (to, transaction) = world.last_query(public(0), "find_node").unwrap();
    let mut response = Response::new(world.id(to));
    let node = |(number, addr): (u8, &SocketAddr)| Contact { id: Id([number; 20]), addr: *addr };
    let mut nodes: Vec<Contact> = (0x70..).zip(&poison).map(node).collect();
    nodes.push(Contact { id: own, addr: public(50) });
    response.nodes = Some(nodes);
    let body = Body::Response(Box::new(response));
    let packet = Message { transaction, version: None, ip: None, body }.encode();
    world.packet(public(0), to, &packet);
    for addr in &poison {
        world.command(public(0), Command::AddNode { addr: *addr, id: None });
    }
    world.run(Duration::from_secs(30));
    let sent: BTreeSet<SocketAddr> = world.astray.iter().map(|(_, to, _)| *to).collect();
    // What our own side names may be local; what others name may not. Nothing goes where nobody can be.
    let named: BTreeSet<SocketAddr> = poison[..4].iter().copied().collect();
    assert_eq!(sent, named);
    assert!(world.astray.iter().all(|(_, _, bytes)| bytes.windows(4).any(|part| part == b"ping")));
    // Values are judged alike.
    let mut world = World::with((0..2).map(public));
    let info_hash = WireHash::from(HASH);
    let get = Command::GetPeers { id: LookupId(1), info_hash, announce: None, scrape: false, no_seed: false };
    world.command(public(0), get);
    let (to, transaction) = world.last_query(public(0), "get_peers").unwrap();
    let mut response = Response::new(world.id(to));
    response.values = poison.into_iter().chain([public(60)]).collect();
    response.seeds = Some(Box::new(BloomFilter::new()));
    let body = Body::Response(Box::new(response));
    let packet = Message { transaction, version: None, ip: None, body }.encode();
    world.packet(public(0), to, &packet);
    assert_eq!(world.peers(public(0), 1), [public(60)]);
}

#[test]
fn d8_whoever_only_asks_is_not_in_the_table() {
    let mut world = World::with((0..5).map(public));
    let ping = |id: Id| {
        let body = Body::Query { id, read_only: false, query: Query::Ping };
        Message { transaction: b"aa".as_slice().into(), version: None, ip: None, body }.encode()
    };
    for number in 100..200 {
        let id = secure_id(public(number).ip(), [1; 20]);
        world.packet(public(3), public(number), &ping(id));
        world.run(Duration::from_secs(1));
    }
    let known = world.node(public(3)).snapshot(world.now);
    assert!(known.iter().all(|node| (0..5).any(|number| node.addr == public(number))), "{known:?}");
}

#[test]
fn d9_an_address_that_is_named_again_and_again_gets_one_ping() {
    let mut world = World::new();
    world.add(local(0), &config(local(0)));
    for _ in 0..100 {
        world.command(local(0), Command::AddNode { addr: public(9), id: None });
    }
    world.run(Duration::from_secs(4));
    let to = |world: &World, addr| world.astray.iter().filter(|(_, to, _)| *to == addr).count();
    assert_eq!(to(&world, public(9)), 1);
    for number in 1000..2000 {
        world.command(local(0), Command::AddNode { addr: public(number), id: None });
    }
    world.run(Duration::from_millis(100));
    assert!(world.astray.len() <= 101, "{} packets", world.astray.len());
}
