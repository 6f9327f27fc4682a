//! The seed of a young crowd shows each peer other pieces.

use std::collections::BTreeSet;

use riverrun_metainfo::{Bitfield, PieceIndex};

use super::lab::{Lab, Manner};
use super::net::{config, layout};
use crate::swarm::{Action, CloseReason, ConnectionId, Input, Strategy, SwarmConfig};
use crate::wire::Message;

const PIECES: u32 = 64;

fn seed(first_copy: bool) -> Lab {
    let strategy = Strategy { first_copy, ..Strategy::default() };
    Lab::with(SwarmConfig { strategy, ..config(&layout(PIECES, 4), Bitfield::full(PIECES), 200) })
}

fn downloader(lab: &mut Lab, number: u8) -> ConnectionId {
    let peer = lab.connect(number, true, Manner::Silent);
    lab.says(peer, &[Message::HaveNone, Message::Interested]);
    peer
}

/// All pieces that a peer was shown so far.
fn shown(lab: &Lab, peer: ConnectionId) -> Vec<PieceIndex> {
    let said = lab.done.iter().filter_map(|action| match action {
        Action::Send { connection, message: Message::Suggest(piece) } if *connection == peer => Some(*piece),
        _ => None,
    });
    said.collect()
}

/// The peer asks for all of a piece, and it leaves for it.
fn takes(lab: &mut Lab, peer: ConnectionId, piece: PieceIndex) {
    let blocks: Vec<_> = (0..4).filter_map(|number| lab.layout.block(piece, number)).collect();
    let requests: Vec<_> = blocks.iter().map(|block| Message::Request(*block)).collect();
    lab.says(peer, &requests);
    lab.feed(Input::Served { connection: peer, blocks: &blocks });
}

#[test]
fn each_downloader_is_shown_other_pieces_and_all_are_shown_once() {
    let mut lab = seed(true);
    let peers = [1, 2, 3].map(|number| downloader(&mut lab, number));
    let mut taken = BTreeSet::new();
    for round in 0..PIECES as usize {
        let peer = peers[round % 3];
        if let Some(piece) = shown(&lab, peer).into_iter().find(|piece| !taken.contains(piece)) {
            taken.insert(piece);
            takes(&mut lab, peer, piece);
        }
    }
    let all: Vec<PieceIndex> = peers.iter().flat_map(|peer| shown(&lab, *peer)).collect();
    assert_eq!(all.len(), all.iter().collect::<BTreeSet<_>>().len(), "none twice");
    assert_eq!(all.len(), PIECES as usize);
}

#[test]
fn what_one_was_shown_and_left_is_shown_to_others_and_what_one_asked_for_is_not() {
    let mut lab = seed(true);
    let (first, second) = (downloader(&mut lab, 1), downloader(&mut lab, 2));
    let left = shown(&lab, first);
    assert!(!left.is_empty());
    // A piece that nobody was shown is asked for: it is shown to nobody any more.
    let known: BTreeSet<_> = left.iter().chain(&shown(&lab, second)).copied().collect();
    let unshown = (0..PIECES).map(PieceIndex).find(|piece| !known.contains(piece)).expect("most are not shown yet");
    takes(&mut lab, second, unshown);
    lab.feed(Input::Closed { connection: first, reason: CloseReason::Eof });
    let mut taken = BTreeSet::new();
    for _ in 0..PIECES {
        let next = shown(&lab, second).into_iter().find(|piece| !taken.contains(piece));
        let Some(piece) = next else { break };
        taken.insert(piece);
        takes(&mut lab, second, piece);
    }
    let seen: BTreeSet<_> = shown(&lab, second).into_iter().collect();
    assert!(left.iter().all(|piece| seen.contains(piece)));
    assert!(!seen.contains(&unshown));
    assert_eq!(seen.len(), PIECES as usize - 1);
}

#[test]
fn nothing_is_shown_to_one_alone_nor_when_the_rule_is_off_nor_by_a_downloader() {
    let mut lone = seed(true);
    let only = downloader(&mut lone, 1);
    assert_eq!(shown(&lone, only), []);
    let mut off = seed(false);
    let peers = [1, 2, 3].map(|number| downloader(&mut off, number));
    assert!(peers.iter().all(|peer| shown(&off, *peer).is_empty()));
    let mut half = Bitfield::full(PIECES);
    half.remove(PieceIndex(0));
    let mut partial = Lab::new(&layout(PIECES, 4), half);
    let peers = [1, 2, 3].map(|number| downloader(&mut partial, number));
    assert!(peers.iter().all(|peer| shown(&partial, *peer).is_empty()));
}
