//! Web seeds as peers of the same picker (BEP 19), and what becomes of those that lie (THREATS T9).

use std::sync::Arc;
use std::time::Duration;

use riverrun_metainfo::{Layout, PieceIndex};

use super::lab::{Lab, Manner, sent};
use crate::limits;
use crate::swarm::{
    Action, CloseReason, Command, ConnectionId, DiskDone, Event, Input, Priorities, Priority, Waiting, WebSeedId,
    WebSeedState,
};
use crate::web_seed::WebSeedError;
use crate::wire::Message;

const PIECES: u32 = 64;
const BLOCKS: u32 = 4;

fn layout() -> Arc<Layout> {
    let piece = u64::from(BLOCKS) * 16_384;
    Arc::new(Layout::v1(piece, [(u64::from(PIECES) * piece, false)]).expect("a small layout"))
}

fn lab(seeds: usize) -> Lab {
    let mut lab = Lab::leech(&layout());
    lab.feed(Input::Command(Command::AddWebSeeds(seeds)));
    lab
}

/// The pieces of the requests that wait, each once, in the order of the requests.
fn pieces(lab: &Lab, connection: ConnectionId) -> Vec<u32> {
    let mut pieces: Vec<u32> = lab.asked(connection).iter().map(|block| block.piece.0).collect();
    pieces.dedup();
    pieces
}

fn fails(lab: &mut Lab, connection: ConnectionId, error: WebSeedError) {
    lab.feed(Input::Closed { connection, reason: CloseReason::WebSeed(error) });
}

fn rests(lab: &Lab, seed: usize) -> Duration {
    match lab.swarm.web_seeds(lab.now)[seed].state {
        WebSeedState::Rests(rest) => rest,
        state => panic!("{state:?}"),
    }
}

fn opened(lab: &Lab) -> usize {
    lab.done.iter().filter(|action| matches!(action, Action::OpenWebSeed(_))).count()
}

#[test]
fn a_web_seed_alone_gives_everything_in_one_run_and_is_let_go() {
    let mut lab = lab(1);
    let seed = lab.open_web_seed(1, Manner::Honest(8));
    assert_eq!(pieces(&lab, seed)[..4], [0, 1, 2, 3]);
    lab.until_complete(Duration::from_secs(5));
    let requests = lab.done.iter().filter_map(|action| match action {
        Action::Send { message: Message::Request(block), .. } => Some((block.piece.0, block.begin)),
        _ => None,
    });
    assert!(requests.is_sorted(), "one run from the first byte to the last");
    assert_eq!(lab.close_reason(seed), Some(CloseReason::NothingToExchange));
    assert_eq!(opened(&lab), 1);
}

#[test]
fn a_web_seed_takes_no_place_from_peers_and_is_no_candidate() {
    let mut lab = lab(1);
    lab.feed(Input::Command(Command::SetMaxConnections(1)));
    lab.open_web_seed(1, Manner::Silent);
    let peer = lab.connect(2, true, Manner::Silent);
    lab.wait(Duration::from_secs(100));
    assert!(lab.is_open(peer));
    let status = lab.swarm.status(lab.now);
    assert_eq!((status.connections, status.candidates, status.sources.web_seed), (1, 0, 1));
}

#[test]
fn two_web_seeds_share_the_work_from_different_ends_of_a_gap() {
    let mut lab = lab(2);
    let first = lab.open_this_web_seed(1, WebSeedId(0), Manner::Honest(2));
    let second = lab.open_this_web_seed(2, WebSeedId(1), Manner::Honest(2));
    let (first, second) = (pieces(&lab, first), pieces(&lab, second));
    assert_eq!((first[0], second[0]), (0, 8 + (PIECES - 8) / 2), "behind the first window, the rest is halved");
    let took = lab.until_complete(Duration::from_secs(5));
    // 256 blocks at 4 blocks in each hundredth of a second.
    assert!(took < Duration::from_millis(900), "{took:?}");
    assert_eq!(lab.swarm.status(lab.now).wasted_bytes, 0);
}

#[test]
fn a_web_seed_and_peers_share_the_end() {
    let mut lab = lab(1);
    lab.open_web_seed(1, Manner::Honest(4));
    lab.connect_seed(2, true, Manner::Honest(4));
    lab.connect_seed(3, true, Manner::Drip(Duration::from_millis(900)));
    let took = lab.until_complete(Duration::from_secs(20));
    assert!(took < Duration::from_secs(3), "nobody waits for the slow one: {took:?}");
}

#[test]
fn pieces_of_a_missing_file_are_asked_of_others_alone() {
    let mut lab = lab(1);
    let seed = lab.open_web_seed(1, Manner::Silent);
    let gone: Vec<_> = (0..8).map(PieceIndex).collect();
    let error = WebSeedError::Missing(404);
    let actions = lab.feed(Input::WebSeedLacks { connection: seed, pieces: &gone, error: error.clone() });
    let cancels = sent(&actions, seed).iter().filter(|message| matches!(message, Message::Cancel(_))).count();
    assert_eq!(cancels, 8 * BLOCKS as usize, "all of the first window");
    assert!(!lab.asked(seed).is_empty() && pieces(&lab, seed).iter().all(|piece| *piece >= 8));
    let peer = lab.connect_seed(2, true, Manner::Silent);
    let (asked_seed, asked_peer) = (pieces(&lab, seed), pieces(&lab, peer));
    assert!(asked_peer.iter().all(|piece| !asked_seed.contains(piece)));
    assert_eq!(lab.swarm.web_seeds(lab.now)[0].error, Some(error.clone()));

    let all: Vec<_> = (0..PIECES).map(PieceIndex).collect();
    lab.feed(Input::WebSeedLacks { connection: seed, pieces: &all, error: error.clone() });
    assert_eq!(lab.close_reason(seed), Some(CloseReason::WebSeed(error)));
    assert_eq!(rests(&lab, 0), limits::WEB_SEED_LONG_REST);
}

#[test]
fn a_web_seed_that_fails_rests_longer_each_time_and_is_asked_again() {
    let mut lab = lab(1);
    for times in 1..=12 {
        assert_eq!(opened(&lab), times);
        let seed = lab.open_web_seed(u8::try_from(times).expect("few"), Manner::Silent);
        fails(&mut lab, seed, WebSeedError::Timeout);
        let rest = rests(&lab, 0);
        let doubled = limits::WEB_SEED_REST * 2u32.pow(u32::try_from(times).expect("few") - 1);
        assert_eq!(rest, doubled.min(limits::MAX_WEB_SEED_REST));
        lab.now += rest;
        lab.feed(Input::Timeout);
    }
    let seed = lab.open_web_seed(100, Manner::Honest(1));
    lab.wait(Duration::from_millis(100));
    fails(&mut lab, seed, WebSeedError::Timeout);
    assert_eq!(rests(&lab, 0), limits::WEB_SEED_SHORT_REST, "it had given something");
}

#[test]
fn a_busy_web_server_is_given_the_time_that_it_asks_for() {
    let mut lab = lab(1);
    let seed = lab.open_web_seed(1, Manner::Silent);
    let retry_after = Some(Duration::from_secs(300));
    fails(&mut lab, seed, WebSeedError::Busy { status: 503, retry_after });
    assert_eq!(Some(rests(&lab, 0)), retry_after);
    lab.wait(Duration::from_secs(6));
    assert_eq!(lab.swarm.status(lab.now).waiting, Some(Waiting::WebSeeds { seeds: 1 }));
    assert!(!lab.swarm.web_seeds(lab.now)[0].given_up, "it may work soon");
    lab.wait(Duration::from_secs(295));
    assert_eq!(opened(&lab), 2);
}

#[test]
fn t9_a_web_seed_that_sends_a_bad_piece_is_left_alone_for_long() {
    let mut lab = lab(1);
    lab.disk = false;
    let seed = lab.open_web_seed(1, Manner::Honest(6));
    lab.wait(Duration::from_millis(10));
    let digests = vec![1; BLOCKS as usize];
    let actions = lab.feed(Input::Disk(DiskDone::Corrupt { piece: PieceIndex(0), digests }));
    assert!(actions.contains(&Action::Event(Event::WebSeedBanned(WebSeedId(0)))));
    assert_eq!(lab.close_reason(seed), Some(CloseReason::WebSeed(WebSeedError::BadData)));
    assert_eq!(rests(&lab, 0), limits::WEB_SEED_LONG_REST);
    assert_eq!(lab.swarm.status(lab.now).partial_bytes, 0, "nothing that it sent is kept");
    lab.feed(Input::Command(Command::Pause));
    lab.feed(Input::Command(Command::Resume));
    assert_eq!(opened(&lab), 1, "a pause is no pardon");
    let peer = lab.connect_seed(2, true, Manner::Honest(8));
    lab.disk = true;
    lab.until_complete(Duration::from_secs(10));
    assert_eq!(opened(&lab), 1);
    assert!(lab.is_open(peer) || lab.close_reason(peer) == Some(CloseReason::NothingToExchange));
}

#[test]
fn t9_of_a_piece_of_both_the_web_seed_is_found_out_and_the_peer_is_innocent() {
    let mut lab = lab(1);
    lab.disk = false;
    // Half of the piece comes from the peer, and the rest from the web seed once the peer has gone silent for too long.
    let only = (0..PIECES).map(|piece| if piece == 0 { Priority::Normal } else { Priority::Skip });
    lab.feed(Input::Command(Command::SetPriorities(Priorities::of_pieces(only.collect()))));
    let peer = lab.connect_seed(2, true, Manner::Silent);
    let blocks = lab.asked(peer);
    lab.says(peer, &[Message::Piece(blocks[0]), Message::Piece(blocks[1]), Message::Choke]);
    lab.says(peer, &[Message::Reject(blocks[2]), Message::Reject(blocks[3])]);
    lab.forget_asked(peer);
    let seed = lab.open_web_seed(1, Manner::Honest(8));
    lab.wait(Duration::from_millis(20));
    lab.feed(Input::Disk(DiskDone::Corrupt { piece: PieceIndex(0), digests: vec![1, 2, 66, 4] }));
    assert!(lab.is_open(seed) && lab.is_open(peer), "nobody is convicted of a shared piece");
    let alone = lab.connect_seed(3, true, Manner::Honest(8));
    lab.wait(Duration::from_secs(1));
    lab.feed(Input::Disk(DiskDone::Verified { piece: PieceIndex(0), digests: Some(vec![1, 2, 3, 4]) }));
    assert!(lab.done.contains(&Action::Event(Event::WebSeedBanned(WebSeedId(0)))));
    assert!(!lab.done.iter().any(|action| matches!(action, Action::Event(Event::Banned(_)))));
    assert!(
        lab.close_reason(alone) != Some(CloseReason::Banned) && lab.close_reason(peer) != Some(CloseReason::Banned)
    );
}

#[test]
fn a_web_seed_that_is_opened_too_late_is_turned_away_and_used_the_next_time() {
    let mut lab = lab(1);
    lab.feed(Input::Command(Command::Pause));
    let late = lab.open_web_seed(1, Manner::Silent);
    assert_eq!(lab.close_reason(late), Some(CloseReason::Stopped));
    lab.feed(Input::Command(Command::Resume));
    assert_eq!(opened(&lab), 2);
}

#[test]
fn a_torrent_of_thousands_of_web_seeds_uses_few_at_once() {
    let lab = lab(5000);
    assert_eq!(opened(&lab), limits::MAX_OPEN_WEB_SEEDS);
    assert_eq!(lab.swarm.web_seeds(lab.now).len(), limits::MAX_WEB_SEEDS);
}
