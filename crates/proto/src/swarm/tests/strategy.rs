//! Each switch of the strategy turns its own rule off.

use std::collections::BTreeSet;
use std::time::Duration;

use riverrun_metainfo::{Bitfield, PieceIndex};

use super::lab::{Lab, Manner};
use super::net::{config, layout};
use crate::swarm::{Action, Command, ConnectionId, Input, PieceOrder, Pressure, SlotRule, Strategy, SwarmConfig};
use crate::wire::Message;

const SECOND: Duration = Duration::from_secs(1);
const ON: Strategy = Strategy {
    piece_order: PieceOrder::Rarest,
    whole_pieces: true,
    braids: true,
    suggestions: true,
    first_copy: true,
    short_queues: true,
    steal: true,
    trial: true,
    snubs: true,
    deadlines: true,
    smart_ban: true,
    parole: true,
    choke_flaps: true,
    slots: SlotRule::Uplink,
    optimistic: true,
    few_guests: true,
    turnover: true,
    canonical_priority: true,
};

fn leech(pieces: u32, blocks: u32, strategy: Strategy) -> Lab {
    let layout = layout(pieces, blocks);
    Lab::with(SwarmConfig { strategy, ..config(&layout, Bitfield::empty(pieces), 200) })
}

/// The pieces that a peer is asked for, in the order of the requests.
fn asked_pieces(lab: &Lab, peer: ConnectionId) -> Vec<u32> {
    let mut pieces: Vec<u32> = lab.asked(peer).iter().map(|block| block.piece.0).collect();
    pieces.dedup();
    pieces
}

#[test]
fn every_rule_is_on_unless_it_is_turned_off() {
    assert_eq!(Strategy::default(), ON);
}

#[test]
fn pieces_are_begun_in_the_order_of_the_strategy() {
    let order = |piece_order| {
        let mut lab = leech(200, 2, Strategy { piece_order, ..ON });
        // Pieces 100 to 199 are at three peers, the others at one.
        for number in 2..4 {
            let mut common = Bitfield::empty(200);
            (100..200).for_each(|piece| _ = common.insert(PieceIndex(piece)));
            let peer = lab.connect(number, true, Manner::Silent);
            lab.says(peer, &[Message::Bitfield(common.to_wire().into())]);
        }
        let peer = lab.connect_seed(1, true, Manner::Silent);
        asked_pieces(&lab, peer)
    };
    let rarest = order(PieceOrder::Rarest);
    assert!(rarest.len() > 10 && rarest[4..].iter().all(|piece| *piece < 100), "{rarest:?}");
    assert!(order(PieceOrder::Random)[4..].iter().any(|piece| *piece >= 100));
    assert_eq!(order(PieceOrder::Sequential), (0..16).collect::<Vec<_>>());
}

#[test]
fn fast_peers_have_whole_pieces_for_themselves() {
    let shared = |whole_pieces| {
        let mut lab = leech(2000, 40, Strategy { whole_pieces, ..ON });
        let peers = [1, 2, 3].map(|number| lab.connect_seed(number, true, Manner::Honest(1 + usize::from(number))));
        lab.wait(6 * SECOND);
        let asked = peers.map(|peer| asked_pieces(&lab, peer).into_iter().collect::<BTreeSet<_>>());
        asked.iter().map(BTreeSet::len).sum::<usize>() - asked.iter().flatten().collect::<BTreeSet<_>>().len()
    };
    assert_eq!(shared(true), 0);
    assert!(shared(false) > 0);
}

#[test]
fn suggested_pieces_come_first() {
    let first = |suggestions| {
        let mut lab = leech(2000, 64, Strategy { suggestions, ..ON });
        let peer = lab.connect(1, true, Manner::Silent);
        lab.says(peer, &[Message::HaveAll, Message::Suggest(PieceIndex(777)), Message::Unchoke]);
        asked_pieces(&lab, peer)[0]
    };
    assert_eq!(first(true), 777);
    assert_ne!(first(false), 777);
}

#[test]
fn what_a_silent_peer_holds_up_is_asked_of_another() {
    let took = |steal| {
        let mut lab = leech(20, 16, Strategy { steal, trial: false, ..ON });
        lab.connect_seed(1, true, Manner::Silent);
        lab.connect_seed(2, true, Manner::Honest(8));
        lab.until_complete(300 * SECOND)
    };
    assert!(took(true) < SECOND);
    assert!(took(false) > 10 * SECOND);
}

#[test]
fn p11_a_flapper_is_trusted_with_one_block() {
    let most = |choke_flaps| {
        let mut lab = leech(2000, 16, Strategy { choke_flaps, ..ON });
        let flapper = lab.connect_seed(1, true, Manner::Flaps(SECOND / 2));
        lab.connect_seed(2, true, Manner::Honest(1));
        lab.wait(20 * SECOND);
        let asked = (0..8).map(|_| {
            lab.wait(SECOND / 4);
            lab.asked(flapper).len()
        });
        asked.max()
    };
    assert_eq!(most(true), Some(1));
    assert!(most(false) > Some(1));
}

#[test]
fn in_a_young_swarm_nothing_is_asked_for_twice() {
    // Ten pieces are at two peers, ten are at nobody yet.
    let mut known = Bitfield::empty(20);
    (0..10).for_each(|piece| _ = known.insert(PieceIndex(piece)));
    let mut lab = leech(20, 4, Strategy { trial: false, ..ON });
    let slow = lab.connect(1, true, Manner::Silent);
    lab.says(slow, &[Message::Bitfield(known.to_wire().into()), Message::Unchoke]);
    let held: BTreeSet<_> = lab.asked(slow).into_iter().collect();
    let quick = lab.connect(2, true, Manner::Honest(8));
    lab.says(quick, &[Message::Bitfield(known.to_wire().into()), Message::Unchoke]);
    lab.wait(3 * SECOND);
    assert!(!held.is_empty());
    assert_eq!(lab.asked(slow).into_iter().collect::<BTreeSet<_>>(), held, "none was taken back");
    // With the last pieces there the end has come.
    lab.connect_seed(3, true, Manner::Honest(8));
    assert!(lab.until_complete(20 * SECOND) < 2 * SECOND);
}

#[test]
fn little_is_asked_of_peers_with_few_pieces_while_others_are_asked() {
    let asked = |short_queues, pieces: u32| {
        let mut lab = leech(100, 4, Strategy { short_queues, ..ON });
        let mut few = Bitfield::empty(100);
        (0..pieces).for_each(|piece| _ = few.insert(PieceIndex(piece)));
        let peers: Vec<_> = (1..=4).map(|number| lab.connect(number, true, Manner::Silent)).collect();
        let says = [Message::Bitfield(few.to_wire().into()), Message::Unchoke];
        peers.iter().for_each(|peer| _ = lab.says(*peer, &says));
        peers.into_iter().map(|peer| lab.asked(peer).len()).collect::<Vec<_>>()
    };
    // The first is the only one that there is to ask.
    assert_eq!(asked(true, 30), [32, 4, 4, 4]);
    assert_eq!(asked(true, 90), [32; 4], "a peer with most pieces is no young one");
    assert_eq!(asked(false, 30), [32, 32, 32, 24]);
}

#[test]
fn few_are_served_at_once_in_the_first_minute() {
    let served = |short_queues, upload_slots: Option<usize>, later: Duration| {
        let layout = layout(100, 4);
        // By the root of the rate there are eight, whoever takes what.
        let strategy = Strategy { short_queues, slots: SlotRule::Root, ..ON };
        let mut lab = Lab::with(SwarmConfig { strategy, upload_slots, ..config(&layout, Bitfield::full(100), 200) });
        let peers: Vec<_> = (1..=20).map(|number| lab.connect(number, true, Manner::Silent)).collect();
        peers.iter().for_each(|peer| _ = lab.says(*peer, &[Message::HaveNone, Message::Interested]));
        lab.wait(later);
        lab.swarm.peers(lab.now).iter().filter(|peer| !peer.choking).count()
    };
    assert_eq!(served(true, None, SECOND), 4);
    assert_eq!(served(true, None, 75 * SECOND), 8);
    assert_eq!(served(false, None, SECOND), 8);
    assert_eq!(served(true, Some(7), SECOND), 7, "as the owner says");
}

#[test]
fn under_a_limit_no_more_is_asked_for_than_comes_within_two_seconds() {
    let asked = |limit: Option<u64>| {
        let mut lab = leech(400, 2, ON);
        lab.feed(Input::Command(Command::SetDownLimit(limit)));
        let peers: Vec<_> = (1..=10).map(|number| lab.connect_seed(number, true, Manner::Silent)).collect();
        peers.into_iter().map(|peer| lab.asked(peer).len()).collect::<Vec<_>>()
    };
    assert!(asked(None).iter().all(|asked| *asked == 32), "as a peer of unknown rate is asked");
    // 64 blocks in two seconds: two peers are asked for all that may be outstanding, and of the others each for the least.
    let limited = asked(Some(64 * 16_384 / 2));
    assert_eq!(limited.iter().sum::<usize>(), 64 + 8 * 2, "{limited:?}");
    // However low it is, nobody is left without a request.
    assert_eq!(asked(Some(1)), [2; 10]);
}

/// How often requests to a peer were taken back.
fn taken_back(lab: &Lab, peer: ConnectionId) -> usize {
    let is = |action: &&Action| matches!(action, Action::Send { connection, message: Message::Cancel(_) } if *connection == peer);
    lab.done.iter().filter(is).count()
}

#[test]
fn under_a_limit_nobody_is_snubbed_for_what_we_do_not_read() {
    let first_and_others = |limit: Option<u64>, first: Manner| {
        let mut lab = leech(400, 2, ON);
        lab.feed(Input::Command(Command::SetDownLimit(limit)));
        let first = lab.connect_seed(1, true, first);
        let others: Vec<_> = (2..=10).map(|number| lab.connect_seed(number, true, Manner::Drip(40 * SECOND))).collect();
        lab.wait(300 * SECOND);
        (taken_back(&lab, first), others.into_iter().map(|peer| taken_back(&lab, peer)).sum::<usize>())
    };
    let drip = Manner::Drip(40 * SECOND);
    // Each of ten peers is asked for two blocks, and those twenty take 80 s to come.
    let limit = Some(10 * 16_384 / 40);
    assert_eq!(first_and_others(limit, drip), (0, 0));
    // Who brings nothing at all is found out all the same.
    let (silent, others) = first_and_others(limit, Manner::Silent);
    assert!(silent > 0 && others == 0, "{silent} {others}");
    // Without a limit it is they who are slow.
    let (first, others) = first_and_others(None, drip);
    assert!(first > 0 && others > 0, "{first} {others}");
}

#[test]
fn under_a_limit_nobody_is_closed_as_idle_for_what_we_do_not_read() {
    let closed = |limit: Option<u64>| {
        let mut lab = leech(400, 2, ON);
        lab.feed(Input::Command(Command::SetDownLimit(limit)));
        let drip = Manner::Drip(250 * SECOND);
        let peers: Vec<_> = (1..=10).map(|number| lab.connect_seed(number, true, drip)).collect();
        lab.wait(600 * SECOND);
        peers.into_iter().filter(|peer| !lab.is_open(*peer)).count()
    };
    assert_eq!(closed(Some(10 * 16_384 / 250)), 0);
    assert_eq!(closed(None), 10);
}

#[test]
fn while_the_disk_takes_nothing_nobody_is_snubbed() {
    let mut lab = leech(400, 2, ON);
    let peers: Vec<_> = (1..=3).map(|number| lab.connect_seed(number, true, Manner::Silent)).collect();
    let all = |lab: &Lab| peers.iter().map(|peer| taken_back(lab, *peer)).sum::<usize>();
    lab.wait(5 * SECOND);
    lab.feed(Input::Pressure(Pressure::Full));
    lab.wait(90 * SECOND);
    lab.feed(Input::Pressure(Pressure::None));
    lab.wait(15 * SECOND);
    assert_eq!(all(&lab), 0, "nothing could come");
    lab.wait(10 * SECOND);
    assert!(all(&lab) > 0, "now they are late");
}
