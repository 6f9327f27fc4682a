#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::dht::security::secure_id;

const OWN: Id = Id([0; 20]);

#[expect(clippy::disallowed_methods, reason = "one moment to start from")]
fn table() -> (Instant, Table) {
    let now = Instant::now();
    (now, Table::new(now, OWN, Rules::default()))
}

/// A node on this machine with an id that starts so.
fn local(start: u8, number: u16) -> Contact {
    let mut id = [0; 20];
    (id[0], id[19]) = (start, 1);
    id[10..12].copy_from_slice(&number.to_be_bytes());
    Contact { id: Id(id), addr: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 1000 + number) }
}

fn public(network: u8, host: u8, id: Option<[u8; 20]>) -> Contact {
    let ip = Ipv4Addr::new(20, 0, network, host).into();
    Contact { id: id.map_or_else(|| secure_id(ip, [host; 20]), Id), addr: SocketAddr::new(ip, 6881) }
}

#[test]
fn a_full_bucket_splits_only_around_our_own_id() {
    let (now, mut table) = table();
    (0..20).for_each(|number| table.answered(now, local(0xff, number)));
    assert_eq!((table.len(), table.bucket_count()), (8, 2), "the far half keeps eight");
    (20..40).for_each(|number| table.answered(now, local(0x01, number)));
    assert_eq!(table.len(), 16);
    assert_eq!(table.bucket_count(), 9);
    assert!(table.closest(now, OWN, 8).iter().all(|contact| contact.id.0[0] == 1));
}

#[test]
fn good_questionable_bad_and_good_again() {
    let (start, mut table) = table();
    let node = local(0xff, 1);
    table.answered(start, node);
    let standing = |table: &Table, now| table.entries().next().unwrap().standing(now);
    assert_eq!(standing(&table, start), Standing::Good);
    let later = start + GOOD_PERIOD;
    assert_eq!(standing(&table, later), Standing::Questionable);
    table.asked(later, node);
    assert_eq!(standing(&table, later), Standing::Good, "it answered once and asks now");
    table.failed(later, node.addr);
    assert_eq!(standing(&table, later), Standing::Good);
    assert_eq!(table.next_probe(later), Some(node), "it is asked once more");
    assert_eq!(table.next_probe(later), None);
    table.failed(later, node.addr);
    assert_eq!(standing(&table, later), Standing::Bad);
    table.asked(later, node);
    assert_eq!(standing(&table, later), Standing::Bad, "asking is not answering");
    assert!(table.closest_good(later, OWN, 8).is_empty() && table.closest(later, OWN, 8) == [node]);
    table.answered(later, node);
    assert_eq!(standing(&table, later), Standing::Good);
}

#[test]
fn a_bad_node_gives_way_and_spares_fill_gaps() {
    let (now, mut table) = table();
    (0..12).for_each(|number| table.answered(now, local(0xff, number)));
    let first = table.entries().next().unwrap().contact;
    table.failed(now, first.addr);
    assert!(table.has(first.addr));
    table.failed(now, first.addr);
    assert!(!table.has(first.addr) && table.len() == 8, "a spare has its place");
    assert!(table.has(local(0xff, 11).addr), "the latest spare");
}

#[test]
fn d8_only_who_answered_is_in_and_nobody_takes_an_id_over() {
    let (now, mut table) = table();
    let node = local(0xff, 1);
    table.asked(now, node);
    assert!(!table.has(node.addr), "whoever only asks stays out");
    table.answered(now, node);
    let thief = Contact { addr: local(0xff, 2).addr, ..node };
    assert!(!table.has_room(now, thief));
    table.answered(now, thief);
    assert!(table.has(node.addr) && !table.has(thief.addr));
    table.asked(now, Contact { id: local(0xfe, 9).id, ..node });
    assert_eq!(table.entries().next().unwrap().contact, node, "nor by asking under another id");
    table.answered(now, Contact { id: OWN, ..local(0xff, 3) });
    assert_eq!(table.len(), 1, "our own id is ours");
    let renamed = Contact { id: local(0x80, 9).id, ..node };
    table.answered(now, renamed);
    assert_eq!(table.entries().map(|entry| entry.contact).collect::<Vec<_>>(), [renamed]);
}

#[test]
fn d2_one_node_of_a_network_in_a_bucket_and_one_of_an_address_in_all() {
    let (now, mut table) = table();
    let far = |last: u8| {
        let mut id = [0xff; 20];
        id[19] = last;
        id
    };
    table.answered(now, public(1, 1, Some(far(1))));
    table.answered(now, public(1, 2, Some(far(2))));
    table.answered(now, public(2, 1, Some(far(3))));
    assert_eq!(table.len(), 2);
    let same_ip = Contact { addr: SocketAddr::new(public(2, 1, None).addr.ip(), 7), id: Id([1; 20]) };
    assert!(!table.has_room(now, same_ip));
    table.answered(now, same_ip);
    assert_eq!(table.len(), 2);
    let secure = (3..=255).map(|host| public(1, host, None)).find(|contact| contact.id.0[0] & 0x80 != 0).unwrap();
    table.answered(now, secure);
    assert!(table.has(secure.addr) && !table.has(public(1, 1, None).addr), "a secure id is preferred");
}

#[test]
fn d2_secure_ids_replace_others_and_not_the_other_way_round() {
    let (now, mut table) = table();
    let mut far = [0xff; 20];
    for network in 0..8 {
        far[19] = network;
        table.answered(now, public(network, 1, Some(far)));
    }
    let secure: Vec<Contact> = (100..200)
        .map(|network| public(network, 1, None))
        .filter(|contact| contact.id.0[0] & 0x80 != 0)
        .take(10)
        .collect();
    secure.iter().for_each(|contact| table.answered(now, *contact));
    assert_eq!(table.entries().filter(|entry| entry.contact.id.0[0] & 0x80 != 0 && !entry.secure).count(), 0);
    far[19] = 99;
    assert!(!table.has_room(now, public(99, 1, Some(far))));
    table.answered(now, public(99, 1, Some(far)));
    assert!(!table.has(public(99, 1, None).addr));
}

#[test]
fn buckets_without_a_change_are_refreshed_once_each() {
    let (start, mut table) = table();
    (0..9).for_each(|number| table.answered(start, local(0xff, number)));
    assert_eq!(table.next_refresh(start), None);
    let later = start + REFRESH_PERIOD;
    assert_eq!(
        [table.next_refresh(later), table.next_refresh(later), table.next_refresh(later)],
        [Some(0), Some(1), None]
    );
}

#[test]
fn another_id_keeps_the_nodes() {
    let (now, mut table) = table();
    (0..8).for_each(|number| table.answered(now, local(0xff, number)));
    (20..28).for_each(|number| table.answered(now, local(0x01, number)));
    let moved = table.moved(now, Id([0xf0; 20]));
    assert_eq!(moved.len(), 16);
    assert_eq!(moved.closest(now, Id([0xff; 20]), 8).iter().filter(|contact| contact.id.0[0] == 0xff).count(), 8);
}

/// What can happen to a table.
#[derive(Clone, Debug)]
enum Step {
    Answered(Contact),
    Asked(Contact),
    Failed(SocketAddr),
    Wait(u16),
}

fn any_contact() -> impl Strategy<Value = Contact> {
    let id = prop_oneof![
        (any::<u8>(), 0u8..4).prop_map(|(start, last)| local(start, last.into()).id),
        (0u32..160, 0u8..4).prop_map(|(bit, last)| {
            let mut id = [0; 20];
            id[bit as usize / 8] = 0x80 >> (bit % 8);
            id[19] |= last;
            Id(id)
        }),
    ];
    let addr = prop_oneof![
        (0u16..60).prop_map(|number| local(0, number).addr),
        (0u8..20, 1u8..4).prop_map(|(network, host)| public(network, host, None).addr),
    ];
    let fits = any::<bool>();
    (id, addr, fits)
        .prop_map(|(id, addr, fits)| Contact { id: if fits { secure_id(addr.ip(), id.0) } else { id }, addr })
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => any_contact().prop_map(Step::Answered),
        1 => any_contact().prop_map(Step::Asked),
        3 => any_contact().prop_map(|contact| Step::Failed(contact.addr)),
        1 => (0u16..1000).prop_map(Step::Wait),
    ]
}

/// What a plain list remembers of every node that ever answered: the last sign and the failures since.
type Memory = BTreeMap<SocketAddr, (Id, Instant, u8)>;

fn check(table: &Table, memory: &Memory, now: Instant) {
    let mut ids = BTreeSet::new();
    let mut addrs = BTreeSet::new();
    for (index, bucket) in table.buckets.iter().enumerate() {
        assert!(bucket.entries.len() <= K && bucket.spares.len() <= K);
        let mut groups = BTreeSet::new();
        for entry in &bucket.entries {
            let Contact { id, addr } = entry.contact;
            assert!(id != OWN && ids.insert(id) && addrs.insert(addr), "once each");
            let shared = OWN.shared_bits(id);
            assert!(shared == index || (shared > index && index + 1 == table.buckets.len()));
            assert!(Group::of(addr.ip()).is_none_or(|group| groups.insert(group)), "one of a network");
            let (known, seen, failures) = memory[&addr];
            assert_eq!((known, seen, failures), (id, entry.seen, entry.failures));
            let standing = match (failures >= 2, now - seen < GOOD_PERIOD) {
                (true, _) => Standing::Bad,
                (false, true) => Standing::Good,
                (false, false) => Standing::Questionable,
            };
            assert_eq!(entry.standing(now), standing);
        }
    }
}

proptest! {
    #[test]
    #[expect(clippy::disallowed_methods, reason = "one moment to start from")]
    fn the_table_agrees_with_a_plain_list(steps in prop::collection::vec(any_step(), 1..400), target: [u8; 20]) {
        let mut now = Instant::now();
        let mut table = Table::new(now, OWN, Rules::default());
        let mut memory = Memory::new();
        for step in steps {
            let before: Vec<Entry> = table.entries().cloned().collect();
            let mut moved = None;
            match step {
                Step::Answered(contact) => {
                    moved = Some(contact.addr);
                    table.answered(now, contact);
                    memory.insert(contact.addr, (contact.id, now, 0));
                }
                Step::Asked(contact) => {
                    table.asked(now, contact);
                    let entry = memory.get_mut(&contact.addr);
                    if let Some(known) = entry.filter(|known| known.0 == contact.id && known.2 == 0)
                        && table.has(contact.addr)
                    {
                        known.1 = now;
                    }
                }
                Step::Failed(addr) => {
                    moved = Some(addr);
                    if table.has(addr) {
                        let known = memory.get_mut(&addr).unwrap();
                        known.2 = known.2.saturating_add(1);
                    }
                    table.failed(now, addr);
                }
                Step::Wait(seconds) => now += Duration::from_secs(seconds.into()),
            }
            check(&table, &memory, now);
            for entry in before {
                let stays = table.has(entry.contact.addr) || Some(entry.contact.addr) == moved;
                prop_assert!(stays || entry.standing(now) == Standing::Bad || !entry.secure, "{entry:?} was pushed out");
            }
        }
        let mut naive: Vec<Contact> = table.entries().map(|entry| entry.contact).collect();
        let bad = |contact: &Contact| memory[&contact.addr].2 >= 2;
        naive.sort_by_key(|contact| (bad(contact), Id(target).distance(contact.id)));
        naive.truncate(8);
        prop_assert_eq!(table.closest(now, Id(target), 8), naive);
    }
}
