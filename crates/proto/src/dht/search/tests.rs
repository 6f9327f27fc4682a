#![allow(clippy::unwrap_used)]

use std::net::Ipv4Addr;

use super::*;
use crate::dht::security::secure_id;

const TARGET: Id = Id([0; 20]);

fn addr(number: u32) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::from_bits(0x2000_0001 + number * 256).into(), 6881)
}

/// A node at a public address with an id so far from the target; the id does not fit the address.
fn doubtful(number: u32) -> Contact {
    let mut id = [0; 20];
    id[..4].copy_from_slice(&number.to_be_bytes());
    id[19] = 1;
    Contact { id: Id(id), addr: addr(number) }
}

/// A node at a public address whose id fits it, wherever that is.
fn secure(number: u32) -> Contact {
    Contact { id: secure_id(addr(number).ip(), [7; 20]), addr: addr(number) }
}

#[expect(clippy::disallowed_methods, reason = "one moment to start from")]
fn search() -> (Instant, Search) {
    let now = Instant::now();
    (now, Search::new(now, Family::V4, TARGET, Rules::default()))
}

fn all(search: &mut Search) -> Vec<SocketAddr> {
    std::iter::from_fn(|| search.next()).map(|next| next.addr).collect()
}

#[test]
fn four_at_once_and_another_for_each_that_is_late() {
    let (now, mut search) = search();
    (0..30).for_each(|number| search.add(secure(number)));
    let first = all(&mut search);
    assert_eq!(first.len(), PARALLEL_QUESTIONS);
    search.late(now, first[0]);
    assert_eq!(all(&mut search).len(), 1);
    let mut asked = 5;
    for _ in 0..20 {
        let late: Vec<SocketAddr> = search
            .candidates
            .values()
            .filter(|other| other.state == State::Asked)
            .map(|other| other.contact.addr)
            .collect();
        late.iter().for_each(|addr| search.late(now, *addr));
        asked += all(&mut search).len();
    }
    assert_eq!(asked, MAX_PARALLEL_QUESTIONS, "late ones count too");
}

#[test]
fn it_ends_when_the_eight_closest_have_answered() {
    let (_, mut search) = search();
    (0..30).for_each(|number| search.add(secure(number)));
    let mut asked = 0;
    while let Some(next) = search.next() {
        asked += 1;
        search.answered(Contact { id: next.id.unwrap(), addr: next.addr }, Some(vec![1]));
    }
    assert!(search.is_done());
    assert_eq!(asked, 8, "nobody told of closer ones");
    let mut ids: Vec<Id> = (0..30).map(|number| secure(number).id).collect();
    ids.sort_unstable();
    assert!(search.closest().map(|(contact, _)| contact.id).eq(ids.into_iter().take(8)));
}

#[test]
fn late_answers_are_waited_for_only_so_long() {
    let (now, mut search) = search();
    search.add(secure(1));
    let next = search.next().unwrap();
    assert!(!search.is_done());
    search.late(now, next.addr);
    assert!(!search.is_done());
    assert_eq!(search.next_timeout(), Some(now + LATE_PATIENCE));
    search.lose_patience(now + LATE_PATIENCE);
    assert_eq!(search.next_timeout(), Some(now + NODELESS_PATIENCE), "now any node would do");
    search.lose_patience(now + NODELESS_PATIENCE);
    assert!(search.is_done() && search.next_timeout().is_none());
    search.answered(secure(1), None);
    assert_eq!(search.closest().count(), 1, "an answer that comes all the same is taken");
}

#[test]
fn d2_ids_that_do_not_fit_end_no_search_and_are_stored_at_last() {
    let (now, mut search) = search();
    (0..100).for_each(|number| search.add(doubtful(number)));
    (1000..1020).for_each(|number| search.add(secure(number)));
    let (mut bad, mut good) = (0, 0);
    while let Some(next) = search.next() {
        let contact = Contact { id: next.id.unwrap(), addr: next.addr };
        if is_secure(contact.id, contact.addr.ip()) {
            good += 1
        } else {
            bad += 1
        }
        search.answered(contact, Some(vec![1]));
    }
    assert!(search.is_done() && good >= 8 && bad <= 9, "{good} {bad}");
    assert!(search.closest().take(8).all(|(contact, _)| is_secure(contact.id, contact.addr.ip())));
    let mut off = Search::new(now, Family::V4, TARGET, Rules { secure_ids: false, ..Rules::default() });
    (0..100).for_each(|number| off.add(doubtful(number)));
    (1000..1020).for_each(|number| off.add(secure(number)));
    while let Some(next) = off.next() {
        off.answered(Contact { id: next.id.unwrap(), addr: next.addr }, Some(vec![1]));
    }
    assert!(off.closest().take(8).all(|(contact, _)| !is_secure(contact.id, contact.addr.ip())), "as it was before");
}

#[test]
fn d2_one_node_of_a_network_is_asked_until_it_fails() {
    let (now, mut search) = search();
    let neighbour = |last: u8| {
        let addr = SocketAddr::new(Ipv4Addr::new(32, 0, 0, last).into(), 6881);
        Contact { id: secure_id(addr.ip(), [last; 20]), addr }
    };
    (1..20).for_each(|last| search.add(neighbour(last)));
    let first = all(&mut search);
    assert_eq!(first.len(), 1);
    search.failed(first[0]);
    assert_eq!(all(&mut search).len(), 1);
    let mut free = Search::new(now, Family::V4, TARGET, Rules { one_per_group: false, ..Rules::default() });
    (1..20).for_each(|last| free.add(neighbour(last)));
    assert_eq!(all(&mut free).len(), PARALLEL_QUESTIONS);
}

#[test]
fn a_lie_about_where_a_node_is_does_not_hide_it() {
    let (_, mut search) = search();
    let lie = Contact { addr: addr(77), ..secure(1) };
    search.add(lie);
    search.add(secure(1));
    let asked = all(&mut search);
    assert!(asked.contains(&secure(1).addr) && asked.contains(&lie.addr));
    search.answered(secure(1), None);
    search.failed(lie.addr);
    assert_eq!(search.closest().map(|(contact, _)| contact).collect::<Vec<_>>(), [secure(1)]);
}

#[test]
fn a_chain_of_lies_has_an_end() {
    let (_, mut search) = search();
    search.add(doubtful(u32::MAX / 1000));
    let mut asked = 0u32;
    while let Some(next) = search.next() {
        asked += 1;
        // Always closer, never there.
        for step in 0..8 {
            search.add(doubtful(u32::MAX / 1000 - asked * 8 - step));
        }
        search.failed(next.addr);
        assert!(search.candidates.len() <= MAX_SEARCH_NODES);
    }
    assert_eq!(asked, MAX_QUESTIONS);
    assert!(search.is_done());
}

#[test]
fn nodes_without_names_are_asked_first_and_nodes_of_the_other_family_never() {
    let (_, mut search) = search();
    search.add(Contact { id: Id([1; 20]), addr: "[2001:db8::1]:1".parse().unwrap() });
    search.add_nameless("[2001:db8::1]:1".parse().unwrap());
    assert!(search.is_nodeless() && search.next().is_none());
    search.add_nameless(addr(5));
    search.add_nameless(addr(5));
    assert_eq!(search.next(), Some(Next { addr: addr(5), id: None }));
    assert_eq!(search.next(), None);
    assert!(!search.is_done());
    search.answered(secure(5), None);
    assert!(search.is_done());
}
