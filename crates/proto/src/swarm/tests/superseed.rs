//! Superseeding (BEP 16).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use riverrun_metainfo::{BLOCK_LENGTH, Bitfield, PieceIndex};

use super::lab::{Lab, Manner, block, handshake, peer_addr, sent, serves};
use super::net::{Net, config, layout};
use crate::mse::Cover;
use crate::swarm::{Action, Command, Connected, ConnectionId, DiskDone, Input};
use crate::wire::extended::{ExtendedHandshake, Extension};
use crate::wire::{Handshake, Message, Reserved};

const SECOND: Duration = Duration::from_secs(1);

fn superseed(pieces: u32) -> Lab {
    let mut lab = Lab::seed(&layout(pieces, 2));
    lab.feed(Input::Command(Command::SetSuperseeding(true)));
    assert!(lab.swarm.status(lab.now).superseeding);
    lab
}

/// The pieces that a peer was shown, in order.
fn shown(lab: &Lab, peer: ConnectionId) -> Vec<u32> {
    let haves = sent(&lab.done, peer).into_iter().filter_map(|message| match message {
        Message::Have(piece) => Some(piece.0),
        _ => None,
    });
    haves.collect()
}

fn have(piece: u32) -> Message {
    Message::Have(PieceIndex(piece))
}

/// So many peers that have nothing.
fn empty_peers(lab: &mut Lab, count: u8) -> Vec<ConnectionId> {
    (1..=count)
        .map(|number| {
            let peer = lab.connect(number, true, Manner::Silent);
            lab.says(peer, &[Message::HaveNone]);
            peer
        })
        .collect()
}

/// A peer asks for all blocks of a piece, and they leave.
fn take(lab: &mut Lab, peer: ConnectionId, piece: u32) {
    let blocks: Vec<_> = (0..2).map(|number| block(&lab.layout, piece, number)).collect();
    let asks: Vec<_> = [Message::Interested].into_iter().chain(blocks.iter().copied().map(Message::Request)).collect();
    let actions = lab.says(peer, &asks);
    assert_eq!(serves(&actions, peer), blocks);
    lab.feed(Input::Served { connection: peer, blocks: &blocks });
}

fn bits(pieces: impl IntoIterator<Item = u32>, total: u32) -> Message {
    let mut bits = Bitfield::empty(total);
    pieces.into_iter().for_each(|piece| _ = bits.insert(PieceIndex(piece)));
    Message::Bitfield(bits.to_wire().into())
}

#[test]
fn a_superseed_says_to_have_nothing_and_not_that_nothing_will_come() {
    let mut lab = superseed(20);
    let reserved = Reserved([0, 0, 0, 0, 0, 0x10, 0, 4]);
    let handshake = Handshake { reserved, ..handshake(1, true) };
    let connected =
        Connected { connection: ConnectionId(1), addr: peer_addr(1), incoming: true, handshake, cover: Cover::None };
    let peer = lab.connect_as(1, connected, Manner::Silent);
    let said = sent(&lab.done, peer);
    assert_eq!(said[0], Message::HaveNone);
    let Message::Extended { id: 0, payload } = &said[1] else { panic!("{said:?}") };
    assert_eq!(ExtendedHandshake::parse(payload).expect("ours").upload_only, Some(false));
    let old = lab.connect(2, false, Manner::Silent);
    assert_eq!(sent(&lab.done, old), [], "without the fast extension nothing says nothing");
    lab.wait(SECOND);
    assert_eq!(shown(&lab, old).len().min(1), 1, "and nothing need be said to be shown something");
}

#[test]
fn each_peer_is_shown_one_piece_that_no_other_was_shown() {
    let mut lab = superseed(20);
    let peers = empty_peers(&mut lab, 10);
    let first: BTreeSet<u32> = peers[1..].iter().map(|peer| shown(&lab, *peer)[0]).collect();
    assert_eq!(first.len(), 9);
    assert!(peers[1..].iter().all(|peer| shown(&lab, *peer).len() == 1));
    assert!(shown(&lab, peers[0]).iter().all(|piece| !first.contains(piece)));
}

#[test]
fn the_next_is_shown_when_the_last_was_seen_at_another_peer() {
    let mut lab = superseed(20);
    let peers = empty_peers(&mut lab, 3);
    let piece = shown(&lab, peers[1])[0];
    take(&mut lab, peers[1], piece);
    lab.says(peers[1], &[have(piece)]);
    assert_eq!(shown(&lab, peers[1]), [piece], "that it has the piece is not enough");
    lab.says(peers[2], &[have(piece)]);
    let now = shown(&lab, peers[1]);
    assert_eq!(now.len(), 2);
    assert!(!shown(&lab, peers[2]).contains(&now[1]));
}

#[test]
fn who_passes_nothing_on_waits_while_the_link_is_busy() {
    let mut lab = superseed(100);
    let peers = empty_peers(&mut lab, 3);
    let piece = shown(&lab, peers[1])[0];
    take(&mut lab, peers[1], piece);
    lab.says(peers[1], &[have(piece)]);
    // What another asked for is on its way all the time.
    let other = shown(&lab, peers[2])[0];
    lab.says(peers[2], &[Message::Interested, Message::Request(block(&lab.layout, other, 0))]);
    lab.wait(20 * SECOND);
    assert_eq!(shown(&lab, peers[1]), [piece]);
    lab.feed(Input::Served { connection: peers[2], blocks: &[block(&lab.layout, other, 0)] });
    lab.wait(2 * SECOND);
    assert!(shown(&lab, peers[1]).len() > 1, "an idle link serves nobody");
}

#[test]
fn p15_what_a_peer_was_not_shown_is_not_served() {
    let mut lab = superseed(20);
    let peers = empty_peers(&mut lab, 2);
    let foreign = shown(&lab, peers[1])[0];
    let asked = block(&lab.layout, foreign, 0);
    let answer = lab.says(peers[0], &[Message::Interested, Message::Request(asked)]);
    assert_eq!(serves(&answer, peers[0]), []);
    assert!(sent(&answer, peers[0]).contains(&Message::Reject(asked)));
}

#[test]
fn it_ends_when_the_others_together_have_everything_and_everyone_is_told_the_rest() {
    let mut lab = superseed(20);
    let reserved = Reserved([0, 0, 0, 0, 0, 0x10, 0, 4]);
    let handshake = Handshake { reserved, ..handshake(1, true) };
    let connected =
        Connected { connection: ConnectionId(1), addr: peer_addr(1), incoming: true, handshake, cover: Cover::None };
    let first = lab.connect_as(1, connected, Manner::Silent);
    let hello = ExtendedHandshake { extensions: vec![(Extension::UploadOnly, 3)], ..ExtendedHandshake::default() };
    let hello = Message::Extended { id: 0, payload: hello.to_bytes().into() };
    lab.says(first, &[bits((0..20).step_by(2), 20), hello]);
    let second = lab.connect(2, true, Manner::Silent);
    lab.says(second, &[bits((1..19).step_by(2), 20)]);
    assert!(lab.swarm.status(lab.now).superseeding);
    let before = lab.done.len();
    lab.says(second, &[have(19)]);
    assert!(!lab.swarm.status(lab.now).superseeding);
    let (first, second) = (shown(&lab, first), shown(&lab, second));
    assert_eq!(first.iter().copied().collect::<BTreeSet<_>>(), (1..20).step_by(2).collect());
    assert_eq!(first.len(), 10, "each once");
    assert_eq!(second.into_iter().filter(|piece| piece % 2 == 0).count(), 10);
    let told = lab.done[before..].iter().any(|action| matches!(action, Action::Send { connection: ConnectionId(1), message: Message::Extended { payload, .. } } if ExtendedHandshake::parse(payload).is_ok_and(|hello| hello.upload_only == Some(true))));
    assert!(told, "now it is true that nothing is wanted");
}

#[test]
fn another_seed_ends_it() {
    let mut lab = superseed(20);
    let leech = empty_peers(&mut lab, 1)[0];
    lab.connect_seed(2, true, Manner::Silent);
    assert!(!lab.swarm.status(lab.now).superseeding);
    assert_eq!(shown(&lab, leech).len(), 20);
    let later = lab.connect(3, true, Manner::Silent);
    assert_eq!(sent(&lab.done, later)[0], Message::HaveAll);
}

#[test]
fn a_single_leecher_gets_everything_as_fast_as_it_takes_it() {
    let mut lab = superseed(50);
    let peer = empty_peers(&mut lab, 1)[0];
    let start = lab.now;
    for taken in 0..50 {
        let piece = shown(&lab, peer)[taken];
        take(&mut lab, peer, piece);
        if taken < 49 {
            lab.says(peer, &[have(piece)]);
        }
    }
    assert_eq!((lab.now - start, shown(&lab, peer).len()), (Duration::ZERO, 50));
}

#[test]
fn leechers_that_lack_the_same_piece_get_it_one_after_the_other() {
    let mut lab = superseed(20);
    let peers: Vec<_> = (1..=4)
        .map(|number| {
            let peer = lab.connect(number, true, Manner::Silent);
            lab.says(peer, &[bits((0..20).filter(|piece| *piece != 7), 20)]);
            peer
        })
        .collect();
    let with_it = |lab: &Lab| peers.iter().filter(|peer| shown(lab, **peer) == [7]).count();
    assert_eq!(with_it(&lab), 1);
    // The first takes a slot and nothing more.
    let first = *peers.iter().find(|peer| !shown(&lab, **peer).is_empty()).expect("one");
    lab.says(first, &[Message::Interested]);
    lab.wait(20 * SECOND);
    assert_eq!(with_it(&lab), 1, "it has its time");
    lab.wait(20 * SECOND);
    assert_eq!(with_it(&lab), 2);
}

#[test]
fn one_who_waits_for_a_slot_does_not_lose_its_piece() {
    let layout = layout(20, 2);
    let config = crate::swarm::SwarmConfig { upload_slots: Some(1), ..config(&layout, Bitfield::full(20), 200) };
    let mut lab = Lab::with(config);
    lab.feed(Input::Command(Command::SetSuperseeding(true)));
    let peers: Vec<_> = (1..=3).map(|number| lab.connect(number, true, Manner::Silent)).collect();
    for peer in &peers {
        lab.says(*peer, &[bits((0..20).filter(|piece| *piece != 7 && *piece != 8), 20), Message::Interested]);
    }
    let first = shown(&lab, peers[0])[0];
    let both = BTreeSet::from([first, shown(&lab, peers[1])[0]]);
    assert_eq!((both, shown(&lab, peers[2])), (BTreeSet::from([7, 8]), vec![]));
    for _ in 0..5 {
        // Only the first has a slot, and takes a block now and then.
        let asked = block(&lab.layout, first, 0);
        assert_eq!(serves(&lab.says(peers[0], &[Message::Request(asked)]), peers[0]), [asked]);
        lab.wait(10 * SECOND);
        lab.feed(Input::Served { connection: peers[0], blocks: &[asked] });
    }
    assert_eq!(shown(&lab, peers[2]), [], "the other is not to blame for waiting");
}

#[test]
fn who_never_says_what_it_has_stops_nobody() {
    let mut lab = superseed(10);
    let peers = empty_peers(&mut lab, 2);
    let mut taken: BTreeMap<ConnectionId, BTreeSet<u32>> = BTreeMap::new();
    for _ in 0..600 {
        for peer in &peers {
            let next = shown(&lab, *peer).into_iter().find(|piece| !taken.entry(*peer).or_default().contains(piece));
            if let Some(piece) = next {
                take(&mut lab, *peer, piece);
                taken.entry(*peer).or_default().insert(piece);
            }
            lab.says(*peer, &[Message::KeepAlive]);
        }
        lab.wait(SECOND);
    }
    assert!(taken.values().all(|pieces| pieces.len() == 10), "{taken:?}");
}

#[test]
fn a_piece_that_left_with_its_peer_is_shown_again() {
    let mut lab = superseed(4);
    let peers = empty_peers(&mut lab, 3);
    let piece = shown(&lab, peers[2])[0];
    take(&mut lab, peers[2], piece);
    lab.says(peers[2], &[have(piece)]);
    lab.feed(Input::Closed { connection: peers[2], reason: crate::swarm::CloseReason::Eof });
    lab.wait(2 * SECOND);
    let again = [peers[0], peers[1]].into_iter().any(|peer| shown(&lab, peer).contains(&piece));
    assert!(again);
}

#[test]
fn the_owner_ends_it_and_begins_it_while_it_runs() {
    let mut lab = Lab::seed(&layout(20, 2));
    let old = empty_peers(&mut lab, 1)[0];
    lab.feed(Input::Command(Command::SetSuperseeding(true)));
    let new = lab.connect(2, true, Manner::Silent);
    assert_eq!(sent(&lab.done, old)[0], Message::HaveAll, "who knows cannot be made to forget");
    assert_eq!(sent(&lab.done, new)[0], Message::HaveNone);
    lab.says(new, &[Message::HaveNone]);
    lab.feed(Input::Command(Command::SetSuperseeding(false)));
    assert_eq!(shown(&lab, new).len(), 20);
    assert!(!lab.swarm.status(lab.now).superseeding);
}

#[test]
fn it_begins_when_the_download_is_complete_and_ends_when_a_piece_is_lost() {
    let mut have = Bitfield::full(20);
    have.remove(PieceIndex(3));
    let mut lab = Lab::new(&layout(20, 2), have);
    lab.feed(Input::Command(Command::SetSuperseeding(true)));
    assert!(!lab.swarm.status(lab.now).superseeding);
    lab.feed(Input::Disk(DiskDone::Verified { piece: PieceIndex(3), digests: None }));
    assert!(lab.swarm.status(lab.now).superseeding);
    let peer = empty_peers(&mut lab, 1)[0];
    lab.feed(Input::Command(Command::Forget(vec![PieceIndex(5)])));
    assert!(!lab.swarm.status(lab.now).superseeding);
    let shown: BTreeSet<_> = shown(&lab, peer).into_iter().collect();
    assert!(shown.len() >= 19, "{shown:?}");
}

#[test]
fn little_more_than_one_copy_leaves_before_the_others_hold_one() {
    let layout = layout(60, 4);
    let percent = |on: bool| {
        let mut net = Net::new(&layout);
        let seed = net.add(Bitfield::full(60));
        net.nodes[seed].rate = 400_000;
        net.command(seed, Command::SetSuperseeding(on));
        for _ in 0..12 {
            let leech = net.leech();
            net.nodes[leech].rate = 400_000;
        }
        net.introduce_all();
        let held = |net: &Net| {
            (0..60).map(PieceIndex).all(|piece| net.nodes[1..].iter().any(|node| node.swarm.have().has(piece)))
        };
        net.run_until(Duration::from_secs(120), held);
        let sent = net.nodes[seed].swarm.status(net.now).up_bytes * 100 / (60 * 4 * u64::from(BLOCK_LENGTH));
        net.run_until(Duration::from_secs(120), Net::all_complete);
        sent
    };
    let (with, without) = (percent(true), percent(false));
    assert!(with <= 110 && with < without, "{with} %, {without} % without");
}
