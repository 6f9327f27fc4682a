//! Peers that hold what they do not use: blocks that they were asked for, and slots (P9, P10, P29).

use std::time::Duration;

use riverrun_metainfo::Bitfield;

use super::lab::{Lab, Manner, sent, serves};
use super::net::{config, layout};
use crate::limits;
use crate::swarm::{Strategy, SwarmConfig};
use crate::wire::Message;

const SECOND: Duration = Duration::from_secs(1);

/// A leecher that never steals, so that nothing but the trial frees what is held up.
fn leech(pieces: u32, blocks: u32, trial: bool) -> Lab {
    let layout = layout(pieces, blocks);
    let strategy = Strategy { steal: false, trial, ..Strategy::default() };
    Lab::with(SwarmConfig { strategy, ..config(&layout, Bitfield::empty(pieces), 200) })
}

#[test]
fn p9_what_a_peer_that_brings_nothing_holds_up_is_asked_of_others_after_its_trial() {
    let took = |trial, fast| {
        let mut lab = leech(20, 16, trial);
        lab.connect_seed(1, fast, Manner::Silent);
        lab.connect_seed(2, true, Manner::Honest(8));
        lab.until_complete(300 * SECOND)
    };
    for fast in [true, false] {
        assert!(took(true, fast) < limits::TRIAL + 2 * SECOND);
        assert!(took(false, fast) > limits::PROGRESS_TIMEOUT);
    }
}

#[test]
fn p9_ten_silent_peers_hold_up_nothing_between_them() {
    let mut lab = leech(60, 16, true);
    (1..=10).for_each(|number| _ = lab.connect_seed(number, true, Manner::Silent));
    lab.connect_seed(11, true, Manner::Honest(8));
    assert!(lab.until_complete(60 * SECOND) < limits::TRIAL + 2 * SECOND);
}

#[test]
fn a_doubted_peer_has_one_request_to_answer_and_is_asked_as_ever_once_it_does() {
    let mut lab = leech(2000, 16, true);
    let late = lab.connect_seed(1, true, Manner::Silent);
    lab.connect_seed(2, true, Manner::Honest(1));
    let first = lab.asked(late)[0];
    assert!(lab.asked(late).len() >= 16);
    lab.wait(limits::TRIAL + 2 * SECOND);
    assert_eq!(lab.asked(late), [first], "the rest was cancelled, this was not");
    lab.wait(10 * SECOND);
    assert_eq!(lab.asked(late), [first], "nothing else is asked of it meanwhile");
    lab.forget_asked(late);
    lab.says(late, &[Message::Piece(first)]);
    assert!(!lab.is_breach(late), "the answer to a request is none, however late");
    assert!(!lab.asked(late).is_empty());
}

#[test]
fn a_peer_that_takes_four_seconds_for_each_block_is_slow_and_not_lost() {
    let mut lab = leech(2000, 16, true);
    let slow = lab.connect_seed(1, true, Manner::Drip(4 * SECOND));
    lab.connect_seed(2, true, Manner::Honest(1));
    lab.wait(60 * SECOND);
    let status = lab.swarm.peers(lab.now).into_iter().find(|peer| peer.connection == slow).expect("it is there");
    // Of the fifteen that it can bring; the first shows what it is good for, and another was sooner with it.
    assert!(status.down_bytes >= 13 * 16_384, "{}", status.down_bytes);
    let wasted = lab.swarm.status(lab.now).wasted_bytes;
    assert!(wasted <= 16_384, "{wasted}");
}

#[test]
fn the_only_peer_is_not_doubted_however_late_it_begins() {
    let mut lab = leech(20, 16, true);
    let only = lab.connect_seed(1, true, Manner::Silent);
    let asked = lab.asked(only).len();
    lab.wait(limits::TRIAL * 5);
    assert_eq!(lab.asked(only).len(), asked);
}

#[test]
fn p9_who_has_everything_gets_no_slot_whatever_it_says() {
    let layout = layout(20, 4);
    let mut some = Bitfield::empty(20);
    (0..10).for_each(|piece| _ = some.insert(riverrun_metainfo::PieceIndex(piece)));
    let mut lab = Lab::new(&layout, some);
    for number in 1..=30 {
        let sated = lab.connect_seed(number, true, Manner::Silent);
        lab.says(sated, &[Message::Interested]);
        assert_eq!(sent(&lab.done, sated).iter().filter(|said| **said == Message::Unchoke).count(), 0);
    }
    let hungry = lab.connect(31, true, Manner::Silent);
    lab.says(hungry, &[Message::HaveNone, Message::Interested]);
    assert!(sent(&lab.done, hungry).contains(&Message::Unchoke));
    lab.wait(60 * SECOND);
    assert_eq!(sent(&lab.done, hungry).iter().filter(|said| **said == Message::Choke).count(), 0);
}

#[test]
fn p29_slots_whose_owners_ask_for_nothing_are_free_for_others() {
    let mut lab = Lab::seed(&layout(20, 4));
    let sleepers: Vec<_> = (1..=30)
        .map(|number| {
            let sleeper = lab.connect(number, true, Manner::Silent);
            lab.says(sleeper, &[Message::HaveNone, Message::Interested]);
            sleeper
        })
        .collect();
    let unchoked = |lab: &Lab| sleepers.iter().filter(|one| sent(&lab.done, **one).contains(&Message::Unchoke)).count();
    let at_first = unchoked(&lab);
    assert!((1..30).contains(&at_first), "{at_first}");
    lab.wait(limits::SLOT_SLEEP);
    let hungry = lab.connect(31, true, Manner::Silent);
    lab.says(hungry, &[Message::HaveNone, Message::Interested]);
    let all = unchoked(&lab) + usize::from(sent(&lab.done, hungry).contains(&Message::Unchoke));
    assert!(all > at_first, "somebody else has a slot now");
    // Whoever waits has its turn soon, and keeps its slot if it uses it.
    lab.until(45 * SECOND, |lab| sent(&lab.done, hungry).contains(&Message::Unchoke));
    let block = super::lab::block(&lab.layout, 3, 0);
    let actions = lab.says(hungry, &[Message::Request(block)]);
    assert_eq!(serves(&actions, hungry), [block]);
}
