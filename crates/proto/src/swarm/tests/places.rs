//! Who keeps a place when all are taken.

use std::net::SocketAddr;
use std::time::Duration;

use riverrun_metainfo::Bitfield;

use super::lab::{Lab, Manner, handshake};
use super::net::{config, layout};
use crate::mse::Cover;
use crate::swarm::{Action, CloseReason, Command, Connected, ConnectionId, Input, Source, Strategy, SwarmConfig};
use crate::wire::Message;

const MINUTE: Duration = Duration::from_secs(60);

fn lab(have: Bitfield, places: usize) -> Lab {
    lab_with(have, places, Strategy::default())
}

fn lab_with(have: Bitfield, places: usize, strategy: Strategy) -> Lab {
    Lab::with(SwarmConfig { max_connections: places, strategy, ..config(&layout(100, 4), have, 200) })
}

/// A peer dials us from this address; the first byte of its address is its number.
fn comes(lab: &mut Lab, number: u8) -> ConnectionId {
    let (connection, handshake) = (ConnectionId(number.into()), handshake(number, true));
    let addr = SocketAddr::from(([number, 20, 30, 40], 50_000));
    lab.connect_as(
        number,
        Connected { connection, addr, incoming: true, handshake, cover: Cover::None },
        Manner::Silent,
    )
}

fn dialled(lab: &Lab) -> Vec<SocketAddr> {
    let dials = lab.done.iter().filter_map(|action| match action {
        Action::Dial { addr, .. } => Some(*addr),
        _ => None,
    });
    dials.collect()
}

fn named(lab: &mut Lab, addr: &str) -> SocketAddr {
    let addr = addr.parse().expect("an address");
    lab.feed(Input::Candidates { source: Source::Tracker, addrs: &[addr] });
    addr
}

fn closed(lab: &Lab) -> Vec<ConnectionId> {
    (1..=100).map(ConnectionId).filter(|connection| !lab.is_open(*connection)).collect()
}

/// Time passes, in which scripts that do nothing say so once a minute: silence would end them.
fn pass(lab: &mut Lab, time: Duration, connections: &[ConnectionId]) {
    let until = lab.now + time;
    while lab.now < until {
        let open: Vec<_> = connections.iter().filter(|connection| lab.is_open(**connection)).collect();
        open.into_iter().for_each(|connection| _ = lab.says(*connection, &[Message::KeepAlive]));
        lab.wait(MINUTE.min(until - lab.now));
    }
}

#[test]
fn a_few_of_those_who_bring_nothing_are_exchanged_when_all_places_are_taken() {
    let mut lab = lab(Bitfield::empty(100), 10);
    // They want everything we will ever have and give nothing.
    let peers: Vec<_> = (1..=10).map(|number| comes(&mut lab, number)).collect();
    for peer in &peers {
        lab.says(*peer, &[Message::HaveNone, Message::Interested]);
    }
    let addr = named(&mut lab, "77.1.2.3:6881");
    pass(&mut lab, 2 * MINUTE, &peers);
    assert_eq!((closed(&lab), dialled(&lab)), (vec![], vec![]), "everyone has his chance");
    pass(&mut lab, 1 * MINUTE, &peers);
    assert_eq!(closed(&lab).len(), 1);
    assert_eq!(dialled(&lab), [addr]);
    pass(&mut lab, 3 * MINUTE, &peers);
    assert_eq!(closed(&lab).len(), 1, "no more of them than there are candidates");
}

#[test]
fn nobody_is_exchanged_while_places_are_free_or_nobody_else_is_known_or_turnover_is_off() {
    for (places, candidate, turnover) in [(20, true, true), (10, false, true), (10, true, false)] {
        let mut lab = lab_with(Bitfield::empty(100), places, Strategy { turnover, ..Strategy::default() });
        let peers: Vec<_> = (1..=10).map(|number| comes(&mut lab, number)).collect();
        for peer in &peers {
            lab.says(*peer, &[Message::HaveNone, Message::Interested]);
        }
        if candidate {
            named(&mut lab, "77.1.2.3:6881");
        }
        pass(&mut lab, 8 * MINUTE, &peers);
        assert_eq!(closed(&lab), [], "{places} places");
    }
}

#[test]
fn who_gives_and_who_is_a_seed_stays_and_a_seed_that_never_unchokes_goes_at_last() {
    let mut lab = lab(Bitfield::empty(100), 3);
    let (giver, seed, taker) = (comes(&mut lab, 1), comes(&mut lab, 2), comes(&mut lab, 3));
    lab.says(giver, &[Message::Bitfield(vec![0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].into())]);
    lab.says(giver, &[Message::Unchoke]);
    lab.says(seed, &[Message::HaveAll]);
    lab.says(taker, &[Message::HaveNone, Message::Interested]);
    named(&mut lab, "77.1.2.3:6881");
    let give = |lab: &mut Lab, minutes: u32, others: &[ConnectionId]| {
        for _ in 0..minutes * 6 {
            if let Some(block) = lab.asked(giver).first() {
                lab.says(giver, &[Message::Piece(*block)]);
                lab.forget_asked(giver);
            }
            pass(lab, Duration::from_secs(10), others);
        }
    };
    give(&mut lab, 9, &[seed, taker]);
    assert_eq!(closed(&lab), [taker]);
    // The place of the taker is taken by another; the seed has choked us for ten minutes then.
    let other = comes(&mut lab, 4);
    lab.says(other, &[Message::HaveNone, Message::Interested]);
    named(&mut lab, "77.1.2.4:6881");
    give(&mut lab, 3, &[seed, other]);
    assert_eq!(closed(&lab), [seed, taker]);
}

/// The canonical priorities of 123.213.32.10 with these first bytes are in this order, the lowest first.
fn ordered(numbers: std::ops::Range<u8>) -> Vec<u8> {
    let ours = SocketAddr::from(([123, 213, 32, 10], 6881));
    let mut numbers: Vec<u8> = numbers.collect();
    numbers.sort_by_key(|number| {
        crate::swarm::priority::priority(ours, SocketAddr::from(([*number, 20, 30, 40], 50_000)))
    });
    numbers
}

#[test]
fn a_newcomer_of_higher_priority_takes_the_place_of_one_with_whom_nothing_is_exchanged() {
    let order = ordered(1..40);
    let (low, high) = (order[1..4].to_vec(), order[30]);
    for (known, newcomer, in_place_of) in [(true, high, Some(low[0])), (true, order[0], None), (false, high, None)] {
        let mut lab = lab(Bitfield::full(100), 3);
        if known {
            lab.feed(Input::Command(Command::SetOutside([123, 213, 32, 10].into())));
        }
        let peers: Vec<_> = low.iter().map(|number| comes(&mut lab, *number)).collect();
        for peer in &peers {
            lab.says(*peer, &[Message::HaveNone, Message::Interested]);
        }
        pass(&mut lab, 2 * MINUTE, &peers);
        let new = comes(&mut lab, newcomer);
        assert_eq!(lab.is_open(new), in_place_of.is_some());
        assert_eq!(
            closed(&lab).into_iter().find(|closed| *closed != new),
            in_place_of.map(|number| ConnectionId(number.into()))
        );
        if let Some(number) = in_place_of {
            assert_eq!(lab.close_reason(ConnectionId(number.into())), Some(CloseReason::TooMany));
        }
    }
}

#[test]
fn one_party_gets_no_second_place_by_priority() {
    let order = ordered(1..40);
    let mut lab = lab(Bitfield::full(100), 2);
    lab.feed(Input::Command(Command::SetOutside([123, 213, 32, 10].into())));
    let (first, second) = (comes(&mut lab, order[0]), comes(&mut lab, order[30]));
    for peer in [first, second] {
        lab.says(peer, &[Message::HaveNone, Message::Interested]);
    }
    pass(&mut lab, 2 * MINUTE, &[first, second]);
    let (connection, handshake) = (ConnectionId(90), handshake(90, true));
    let addr = SocketAddr::from(([order[30], 20, 30, 40], 50_001));
    let again = Connected { connection, addr, incoming: true, handshake, cover: Cover::None };
    let again = lab.connect_as(90, again, Manner::Silent);
    assert_eq!(lab.close_reason(again), Some(CloseReason::TooMany));
    assert!(lab.is_open(first));
}
