//! What nodes do together: find each other, find peers, lose nodes.

use std::net::SocketAddr;
use std::time::Duration;

use riverrun_metainfo::WireHash;

use super::world::{World, config, local, public, public_v6};
use crate::dht::{
    Action, Announce, Command, Family, FamilyConfig, Id, Item, ItemName, LookupId, MutableItem, is_secure,
};

const HASH: WireHash = WireHash([0x5a; 20]);

fn get_peers(id: u64, announce: Option<u16>) -> Command {
    let announce = announce.map(|port| Announce { port, implied_port: false, seed: true });
    Command::GetPeers { id: LookupId(id), info_hash: HASH, announce, scrape: true, no_seed: false }
}

fn with_port(addr: SocketAddr, port: u16) -> SocketAddr {
    SocketAddr::new(addr.ip(), port)
}

/// The nodes of a network that are really closest to a point.
fn closest(world: &World, target: Id, count: usize) -> Vec<SocketAddr> {
    let alive = world.nodes.keys().filter(|addr| !world.dead.contains(addr));
    let mut all: Vec<SocketAddr> = alive.copied().collect();
    all.sort_by_key(|addr| target.distance(world.id(*addr)));
    all.truncate(count);
    all
}

#[test]
fn fifty_nodes_find_each_other_and_the_peers_of_a_torrent() {
    for addr in [local as fn(u16) -> SocketAddr, public, public_v6] {
        let mut world = World::with((0..50).map(addr));
        world.command(addr(7), get_peers(1, Some(7777)));
        let report = world.finish(addr(7), 1);
        assert_eq!((report.stored_at, report.peers), (8, 0), "{report:?}");
        let mut at: Vec<SocketAddr> = report.closest.iter().map(|contact| contact.addr).collect();
        let mut really = closest(&world, HASH.into(), 9);
        really.retain(|other| *other != addr(7));
        really.truncate(8);
        at.sort_unstable();
        really.sort_unstable();
        assert_eq!(at, really);

        world.command(addr(30), get_peers(2, Some(3030)));
        let report = world.finish(addr(30), 2);
        assert_eq!(world.peers(addr(30), 2), [with_port(addr(7), 7777)]);
        let scrape = report.scrape.unwrap();
        assert!((scrape.seeds - 1.0).abs() < 0.1 && scrape.downloaders < 0.1, "{scrape:?}");
        assert!(report.took < Duration::from_secs(1), "{report:?}");
    }
}

#[test]
fn a_newcomer_finds_peers_as_soon_as_it_knows_one_node() {
    let mut world = World::with((0..100).map(local));
    world.command(local(7), get_peers(1, Some(7777)));
    world.finish(local(7), 1);
    world.add(local(200), &config(local(200)));
    let start = world.now;
    world.command(local(200), get_peers(5, None));
    world.command(local(200), Command::AddNode { addr: local(20), id: None });
    let found = world.run_until(Duration::from_secs(5), |world| !world.peers(local(200), 5).is_empty());
    assert!(found && world.now - start < Duration::from_secs(1), "{:?}", world.now - start);
    let done = |world: &World| {
        world.told.iter().any(|(_, _, told)| matches!(told, Action::LookupDone { id: LookupId(5), .. }))
    };
    assert!(!done(&world), "peers are told before the end");
}

#[test]
fn a_lookup_without_a_node_ends() {
    let mut world = World::new();
    world.add(local(1), &config(local(1)));
    world.command(local(1), get_peers(1, Some(1)));
    let start = world.now;
    let report = world.finish(local(1), 1);
    assert_eq!((report.asked, report.stored_at), (0, 0));
    assert_eq!(world.now - start, Duration::from_secs(10));
}

#[test]
fn dead_nodes_cost_little_time_and_leave_the_tables() {
    let mut world = World::with((0..60).map(public));
    world.command(public(7), get_peers(1, Some(7777)));
    world.finish(public(7), 1);
    world.dead.extend((20..38).map(public));
    world.command(public(50), get_peers(2, Some(5050)));
    let report = world.finish(public(50), 2);
    assert_eq!(world.peers(public(50), 2), [with_port(public(7), 7777)]);
    assert!(report.took < Duration::from_secs(4), "{report:?}");
    assert!(report.stored_at >= 7, "{report:?}");
    world.run(Duration::from_secs(3600));
    for (addr, node) in &world.nodes {
        if !world.dead.contains(addr) {
            let dead = node.snapshot(world.now).iter().filter(|contact| world.dead.contains(&contact.addr)).count();
            assert_eq!(dead, 0, "{addr} still takes dead nodes for good ones");
            assert!(node.snapshot(world.now).len() >= 8);
        }
    }
}

#[test]
fn tables_stay_fresh_by_themselves() {
    let mut world = World::with((0..30).map(public));
    world.run(Duration::from_secs(2 * 3600));
    for node in world.nodes.values() {
        let status = node.status(world.now).families[0];
        assert!(status.good >= 12 && status.bad == 0, "{status:?}");
        assert_eq!(status.secure, status.good + status.questionable);
    }
}

#[test]
fn a_network_that_was_away_is_found_again() {
    let mut world = World::with((0..20).map(public));
    world.dead.extend((1..20).map(public));
    world.run(Duration::from_secs(3600));
    assert_eq!(world.node(public(0)).status(world.now).families[0].good, 0);
    world.dead.clear();
    world.run(Duration::from_secs(6 * 60));
    assert!(world.node(public(0)).status(world.now).families[0].good >= 8, "without being asked to");
    world.command(public(0), get_peers(1, None));
    let report = world.finish(public(0), 1);
    assert!(report.answered >= 8, "{report:?}");
}

#[test]
fn an_item_is_kept_found_and_replaced() {
    let mut world = World::with((0..30).map(public));
    let put = |id, item: &Item, cas| Command::PutItem { id: LookupId(id), item: item.clone(), cas };
    let item = Item::immutable(b"12:Hello World!".as_slice().into()).unwrap();
    world.command(public(1), put(1, &item, None));
    assert_eq!(world.finish(public(1), 1).stored_at, 8);
    world.command(public(20), Command::GetItem { id: LookupId(2), name: item.name() });
    world.finish(public(20), 2);
    assert_eq!(world.items(public(20), 2), [item]);

    let signed =
        |seq, value: &'static [u8]| Item::Mutable(MutableItem::sign(&[3; 32], b"salt", seq, value.into()).unwrap());
    world.command(public(1), put(3, &signed(1, b"1:a"), None));
    assert_eq!(world.finish(public(1), 3).stored_at, 8);
    world.command(public(2), put(4, &signed(5, b"1:b"), Some(1)));
    let report = world.finish(public(2), 4);
    assert_eq!((report.stored_at, report.refused), (8, None));
    world.command(public(1), put(5, &signed(2, b"1:c"), None));
    let report = world.finish(public(1), 5);
    assert_eq!((report.stored_at, report.refused, report.newest), (0, Some(302), Some(5)));
    let name = ItemName::Mutable { key: *key(&signed(1, b"1:a")), salt: b"salt".to_vec() };
    world.command(public(25), Command::GetItem { id: LookupId(6), name });
    let report = world.finish(public(25), 6);
    assert_eq!(world.items(public(25), 6).last(), Some(&signed(5, b"1:b")));
    assert_eq!(report.newest, Some(5));
}

fn key(item: &Item) -> &[u8; 32] {
    let Item::Mutable(item) = item else { panic!("it is mutable") };
    item.key()
}

#[test]
fn a_lookup_that_is_stopped_says_and_leaves_nothing() {
    let mut world = World::with((0..20).map(public));
    world.told.clear();
    world.command(public(1), get_peers(1, Some(1)));
    world.command(public(2), get_peers(2, Some(2)));
    world.command(public(1), Command::Withdraw { info_hash: HASH });
    world.command(public(2), Command::Stop { id: LookupId(2) });
    world.run(Duration::from_secs(60));
    assert_eq!(world.told, []);
    let stored: usize = world.nodes.values().map(|node| node.status(world.now).stored_peers).sum();
    assert_eq!(stored, 0);
}

#[test]
fn many_lookups_wait_their_turn_and_all_end() {
    let mut world = World::with((0..20).map(local));
    for id in 0..200u8 {
        let (announce, info_hash) = (None, WireHash([id; 20]));
        let command = Command::GetPeers { id: LookupId(id.into()), info_hash, announce, scrape: false, no_seed: false };
        world.command(local(3), command);
    }
    let ends =
        |world: &World| world.told.iter().filter(|(_, _, told)| matches!(told, Action::LookupDone { .. })).count();
    assert!(world.run_until(Duration::from_secs(120), |world| ends(world) == 200), "{}", ends(&world));
}

#[test]
fn an_id_that_does_not_fit_the_address_is_replaced_once_enough_nodes_have_said_so() {
    let mut world = World::with((0..30).map(public));
    let mut config = config(public(40));
    config.v4 = Some(FamilyConfig { id: Some(Id([9; 20])), external: None });
    world.add(public(40), &config);
    world.command(public(40), Command::AddNode { addr: public(3), id: None });
    world.run(Duration::from_secs(60));
    let status = world.node(public(40)).status(world.now).families[0];
    assert_eq!(status.external, Some(public(40).ip()));
    assert!(is_secure(status.id, public(40).ip()) && status.id != Id([9; 20]) && status.good >= 8, "{status:?}");
    let changed = |(_, who, told): &&(_, SocketAddr, Action)| {
        *who == public(40) && matches!(told, Action::IdChanged { family: Family::V4, id, .. } if *id == status.id)
    };
    assert_eq!(world.told.iter().filter(changed).count(), 1);
}

#[test]
fn an_address_that_changes_all_the_time_does_not_change_the_id_each_time() {
    let mut world = World::with((0..30).map(public));
    let me = public(3);
    let changes = |world: &World| {
        let changed =
            |(_, who, told): &&(_, SocketAddr, Action)| *who == me && matches!(told, Action::IdChanged { .. });
        world.told.iter().filter(changed).count()
    };
    for round in 0..60u8 {
        // A NAT with two addresses: the nodes see the one or the other.
        world.seen_as.insert(me, [9, 9, 9, round % 2].into());
        world.command(me, Command::FindNodes { id: LookupId(round.into()), target: Id([round; 20]) });
        world.finish(me, round.into());
        world.run(Duration::from_secs(10));
    }
    assert!(changes(&world) <= 2, "{} changes within ten minutes", changes(&world));
}

#[test]
fn a_read_only_node_finds_and_is_in_no_table() {
    let mut world = World::with((0..30).map(public));
    world.command(public(7), get_peers(1, Some(7777)));
    world.finish(public(7), 1);
    let mut config = config(public(40));
    config.read_only = true;
    world.add(public(40), &config);
    world.command(public(40), Command::AddRouter { addr: public(3) });
    world.command(public(40), get_peers(2, None));
    world.finish(public(40), 2);
    assert_eq!(world.peers(public(40), 2), [with_port(public(7), 7777)]);
    world.run(Duration::from_secs(600));
    let known = world.nodes.values().flat_map(|node| node.snapshot(world.now));
    assert!(known.filter(|contact| contact.addr == public(40)).count() == 0);
    let ping = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe";
    assert!(world.packet(public(40), public(1), ping).is_empty(), "it answers nobody (BEP 43)");
}

#[test]
fn two_families_live_side_by_side_and_help_each_other() {
    // Nodes of both families at once, by two addresses for one node.
    use crate::dht::{Input, Node};
    let mut world = World::with((0..12).map(public).chain((0..12).map(public_v6)));
    let both = crate::dht::Config::new([5; 32]);
    let mut node = Node::new(world.now, &both);
    let families: Vec<Family> = node.status(world.now).families.iter().map(|family| family.family).collect();
    assert_eq!(families, Family::ALL);
    assert_eq!(node.status(world.now).families[0].id, node.status(world.now).families[1].id, "one id for both");
    node.handle(world.now, Input::Command(Command::AddNode { addr: public(1), id: Some(world.id(public(1))) }));
    let mut wanted = Vec::new();
    while let Some(action) = node.poll() {
        if let Action::Send { to, bytes } = action {
            assert_eq!(to, public(1));
            wanted.push(bytes);
            world.now += Duration::from_millis(1);
        }
    }
    let asks_both = |bytes: &Vec<u8>| bytes.windows(16).any(|part| part == b"4:wantl2:n42:n6e");
    assert!(wanted.iter().any(asks_both), "nodes of both families are asked for while few are known");
}
