//! Pieces that a reader waits for: before all others, from who is fast, twice when late, and forgotten when nobody waits.

use std::collections::BTreeSet;
use std::time::Duration;

use riverrun_metainfo::{Bitfield, PieceIndex};

use super::lab::{Lab, Manner, sent};
use super::net::{config, layout};
use crate::limits;
use crate::swarm::{Action, Command, ConnectionId, Deadline, Input, Strategy, SwarmConfig};
use crate::wire::Message;

const SECOND: Duration = Duration::from_secs(1);

/// A reader waits for these pieces, in this order, a tenth of a second apart.
fn wait_for(lab: &mut Lab, reader: u64, pieces: impl IntoIterator<Item = u32>) -> Vec<Action> {
    let due = |nth: u32| lab.now + SECOND / 10 * nth;
    let deadlines =
        pieces.into_iter().zip(0..).map(|(piece, nth)| Deadline { due: due(nth), piece: PieceIndex(piece) });
    let deadlines = deadlines.collect();
    lab.feed(Input::Command(Command::SetDeadlines { reader, deadlines }))
}

fn pieces_asked(lab: &Lab, peer: ConnectionId) -> Vec<u32> {
    let mut pieces: Vec<u32> = lab.asked(peer).iter().map(|block| block.piece.0).collect();
    pieces.dedup();
    pieces
}

fn requests(actions: &[Action], to: ConnectionId) -> Vec<u32> {
    let pieces = sent(actions, to).into_iter().filter_map(|message| match message {
        Message::Request(block) => Some(block.piece.0),
        _ => None,
    });
    pieces.collect()
}

#[test]
fn pieces_with_deadlines_come_first_and_in_their_order() {
    let mut lab = Lab::leech(&layout(2000, 4));
    let peer = lab.connect_seed(1, false, Manner::Honest(4));
    lab.wait(SECOND / 10);
    wait_for(&mut lab, 1, [150, 20, 77]);
    assert_eq!(pieces_asked(&lab, peer)[..3], [150, 20, 77], "what was asked before has given way");
    lab.until_complete(60 * SECOND);
}

#[test]
fn what_is_not_urgent_gives_way_once_and_not_to_what_is_far_off() {
    let mut lab = Lab::leech(&layout(400, 4));
    let peer = lab.connect_seed(1, true, Manner::Silent);
    assert!(!lab.asked(peer).is_empty());
    let far = Deadline { due: lab.now + 60 * SECOND, piece: PieceIndex(399) };
    let done = lab.feed(Input::Command(Command::SetDeadlines { reader: 1, deadlines: vec![far] }));
    let cancels =
        |done: &[Action]| sent(done, peer).iter().filter(|message| matches!(message, Message::Cancel(_))).count();
    assert_eq!(cancels(&done), 0);
    let before = lab.asked(peer).len();
    let done = wait_for(&mut lab, 1, [300]);
    assert_eq!(cancels(&done), before);
    let done = wait_for(&mut lab, 1, [300]);
    assert_eq!(cancels(&done), 0, "it is known already");
}

#[test]
fn a_slow_peer_is_not_given_what_is_due_soon() {
    let mut lab = Lab::leech(&layout(9000, 4));
    let fast = lab.connect_seed(1, false, Manner::Honest(4));
    let slow = lab.connect_seed(2, false, Manner::Drip(SECOND / 2));
    lab.wait(4 * SECOND);
    let urgent: BTreeSet<u32> = (8400..8420).collect();
    let done = wait_for(&mut lab, 1, urgent.clone());
    let mut asked: Vec<u32> = requests(&done, slow);
    let start = lab.done.len();
    lab.wait(SECOND / 2);
    asked.extend(requests(&lab.done[start..], slow));
    assert!(asked.iter().all(|piece| !urgent.contains(piece)), "{asked:?}");
    assert!(urgent.iter().all(|piece| requests(&lab.done, fast).contains(piece)));
    assert!(urgent.iter().all(|piece| lab.swarm.have().has(PieceIndex(*piece))));
}

#[test]
fn p9_what_a_silent_peer_holds_up_is_asked_of_a_second_one() {
    let mut lab = Lab::leech(&layout(600, 4));
    let silent = lab.connect_seed(1, true, Manner::Silent);
    wait_for(&mut lab, 1, 300..302);
    let held = lab.asked(silent);
    assert!(held.iter().all(|block| block.piece.0 == 300) && !held.is_empty());
    let fast = lab.connect_seed(2, false, Manner::Honest(2));
    lab.wait(SECOND);
    let asked = requests(&lab.done, fast);
    assert!(asked.iter().filter(|piece| **piece == 300).count() == 4, "{asked:?}");
    assert!(lab.swarm.have().has(PieceIndex(300)) && lab.swarm.have().has(PieceIndex(301)));
    assert!(lab.asked(silent).iter().all(|block| block.piece.0 < 300 || block.piece.0 > 301), "taken back");
    assert_eq!(lab.swarm.status(lab.now).wasted_bytes, 0);
}

#[test]
fn what_nobody_waits_for_any_more_is_a_piece_like_others() {
    let mut lab = Lab::leech(&layout(300, 4));
    let peer = lab.connect_seed(1, false, Manner::Honest(1));
    wait_for(&mut lab, 1, 200..260);
    lab.wait(SECOND / 5);
    wait_for(&mut lab, 2, [100]);
    wait_for(&mut lab, 1, []);
    assert!(pieces_asked(&lab, peer).contains(&100));
    let left: Vec<u32> = lab.swarm.requests.deadlines.order().iter().map(|deadline| deadline.piece.0).collect();
    assert_eq!(left, [100], "the other reader's window stays");
    wait_for(&mut lab, 2, []);
    lab.until_complete(20 * SECOND);
}

#[test]
fn several_readers_are_served_by_the_earliest_moment() {
    let mut lab = Lab::leech(&layout(300, 4));
    let at = |lab: &Lab, tenths: u32, piece| Deadline { due: lab.now + SECOND / 10 * tenths, piece: PieceIndex(piece) };
    let (one, two) = (vec![at(&lab, 1, 50), at(&lab, 9, 70)], vec![at(&lab, 0, 70), at(&lab, 20, 80)]);
    lab.feed(Input::Command(Command::SetDeadlines { reader: 1, deadlines: one }));
    lab.feed(Input::Command(Command::SetDeadlines { reader: 2, deadlines: two }));
    lab.connect_seed(2, false, Manner::Honest(1));
    lab.wait(SECOND * 2);
    let verified = |piece| {
        let is = |action: &Action| matches!(action, Action::Verify { piece: done, .. } if done.0 == piece);
        lab.done.iter().position(is)
    };
    assert!([70, 50, 80].map(verified).is_sorted() && verified(70).is_some(), "{:?}", [70, 50, 80].map(verified));
}

#[test]
fn only_so_many_pieces_and_readers_count() {
    let mut lab = Lab::leech(&layout(5000, 1));
    lab.connect_seed(1, true, Manner::Silent);
    wait_for(&mut lab, 1, 0..5000);
    assert_eq!(lab.swarm.requests.deadlines.order().len(), limits::MAX_DEADLINES);
    wait_for(&mut lab, 1, []);
    (0..200).for_each(|reader| _ = wait_for(&mut lab, reader, [u32::try_from(reader).unwrap_or(0)]));
    assert_eq!(lab.swarm.requests.deadlines.order().len(), limits::MAX_READERS);
}

#[test]
fn pieces_that_are_had_or_not_wanted_are_not_waited_for() {
    let layout = layout(50, 2);
    let mut have = Bitfield::empty(50);
    have.insert(PieceIndex(3));
    let mut lab = Lab::new(&layout, have);
    let peer = lab.connect_seed(1, false, Manner::Honest(1));
    let mut wanted = Bitfield::full(50);
    wanted.remove(PieceIndex(4));
    lab.feed(Input::Command(Command::SetPriorities(wanted.into())));
    let start = lab.done.len();
    wait_for(&mut lab, 1, [3, 4, 5]);
    assert_eq!(lab.swarm.requests.deadlines.order().len(), 1);
    lab.wait(5 * SECOND);
    assert!(lab.swarm.requests.deadlines.is_empty() && !lab.swarm.have().has(PieceIndex(4)));
    assert!(!requests(&lab.done[start..], peer).contains(&4));
}

#[test]
fn the_switch_turns_deadlines_off() {
    let layout = layout(2000, 4);
    let strategy = Strategy { deadlines: false, ..Strategy::default() };
    let mut lab = Lab::with(SwarmConfig { strategy, ..config(&layout, Bitfield::empty(2000), 200) });
    let peer = lab.connect_seed(1, true, Manner::Silent);
    let done = wait_for(&mut lab, 1, [1500]);
    assert!(requests(&done, peer).is_empty() && !pieces_asked(&lab, peer).contains(&1500));
}
