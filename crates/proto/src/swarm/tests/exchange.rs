//! Whole torrents exchanged between swarms.

use std::collections::BTreeSet;
use std::time::Duration;

use riverrun_metainfo::{Bitfield, PieceIndex};

use super::net::{Net, layout};
use crate::swarm::{CloseReason, Command, Event, Pressure, Priorities, Priority, Swarm, Waiting};

const SECOND: Duration = Duration::from_secs(1);

fn set(pieces: u32, members: impl IntoIterator<Item = u32>) -> Bitfield {
    let mut set = Bitfield::empty(pieces);
    members.into_iter().for_each(|piece| assert!(set.insert(PieceIndex(piece))));
    set
}

#[test]
fn a_swarm_can_move_between_threads() {
    fn is_send<T: Send>() {}
    is_send::<Swarm>();
}

#[test]
fn two_swarms_exchange_a_torrent() {
    for fast in [true, false] {
        let mut net = Net::new(&layout(40, 16));
        let (seed, leech) = (net.seed(), net.leech());
        net.nodes[leech].fast = fast;
        net.introduce(leech, &[seed]);
        let took = net.run_until(5 * SECOND, Net::all_complete);
        assert!(took < Duration::from_millis(700), "{took:?}: 10 MB at 100 MB/s");
        let status = net.nodes[leech].swarm.status(net.now);
        assert_eq!((status.have_pieces, status.left_bytes, status.wasted_bytes), (40, 0, 0));
        assert_eq!(status.down_bytes, status.wanted_bytes);
        assert_eq!(net.nodes[seed].swarm.status(net.now).up_bytes, status.wanted_bytes);
        assert_eq!(net.nodes[leech].events.iter().filter(|event| **event == Event::Finished).count(), 1);
        assert_eq!(net.nodes[leech].requests, 40 * 16, "no block is asked for twice");
        net.run(SECOND);
        assert_eq!(net.nodes[leech].swarm.status(net.now).connections, 0, "seeds part");
        assert!(net.nodes[leech].unanswered.values().all(|left| *left == 0));
    }
}

#[test]
fn the_first_block_waits_for_no_timer() {
    let mut net = Net::new(&layout(4, 4));
    net.delay = Duration::from_micros(100);
    let (seed, leech) = (net.seed(), net.leech());
    net.nodes[seed].rate = 1_000_000_000;
    net.introduce(leech, &[seed]);
    let took = net.run_until(SECOND, Net::all_complete);
    assert!(took < Duration::from_millis(5), "{took:?}");
}

#[test]
fn torrents_of_every_small_size_are_exchanged() {
    for (pieces, blocks) in [(1, 1), (1, 2), (2, 1), (3, 3), (65, 1), (130, 2), (5, 65)] {
        let mut net = Net::new(&layout(pieces, blocks));
        let (seed, leech) = (net.seed(), net.leech());
        net.introduce(leech, &[seed]);
        net.run_until(SECOND, Net::all_complete);
    }
}

#[test]
fn leechers_trade_what_a_slow_seed_gives_once() {
    let pieces = 60;
    let mut net = Net::new(&layout(pieces, 16));
    let seed = net.seed();
    net.nodes[seed].rate = 1_000_000;
    for _ in 0..6 {
        let leech = net.leech();
        net.nodes[leech].rate = 2_000_000;
    }
    net.introduce_all();
    let size = net.nodes[seed].swarm.status(net.now).have_bytes;
    let took = net.run_until(200 * SECOND, Net::all_complete);
    let given = net.nodes[seed].swarm.status(net.now).up_bytes;
    let alone = Duration::from_secs(6 * size / 1_000_000);
    assert!(took < alone / 3, "{took:?}, {alone:?} from the seed alone");
    assert!(given < size * 5 / 2, "{given} of {size} from the seed");
    let wasted: u64 = net.nodes.iter().map(|node| node.swarm.status(net.now).wasted_bytes).sum();
    assert!(wasted < 6 * size / 40, "{wasted}: more than a fortieth of what came");
}

#[test]
fn peers_that_have_every_piece_only_together_complete_each_other() {
    let mut net = Net::new(&layout(30, 8));
    for part in 0..3 {
        net.add(set(30, (0..30).filter(|piece| piece % 3 == part)));
    }
    net.introduce_all();
    net.run_until(20 * SECOND, Net::all_complete);
}

#[test]
fn peers_that_dial_each_other_keep_one_connection() {
    let mut net = Net::new(&layout(400, 16));
    for _ in 0..4 {
        let node = net.add(set(400, []));
        net.nodes[node].rate = 1000;
    }
    net.introduce_all();
    net.run(5 * SECOND);
    for node in &net.nodes {
        assert_eq!(node.swarm.status(net.now).connections, 3);
        assert_eq!(node.closes.iter().filter(|reason| **reason != CloseReason::Duplicate).count(), 1, "ourselves");
    }
    let closes: Vec<_> = net.nodes.iter().map(|node| node.closes.len()).collect();
    net.run(90 * SECOND);
    assert_eq!(net.nodes.iter().map(|node| node.closes.len()).collect::<Vec<_>>(), closes, "and no more are made");
}

#[test]
fn a_seeder_that_was_killed_and_started_again_is_found_within_seconds() {
    let mut net = Net::new(&layout(400, 16));
    let (seed, leech) = (net.seed(), net.leech());
    net.nodes[seed].rate = 10_000_000;
    net.introduce(leech, &[seed]);
    net.run(3 * SECOND);
    let before = net.nodes[leech].swarm.have().count();
    assert!(before > 50 && !net.is_complete(leech));
    net.kill(seed);
    net.run(4 * SECOND);
    net.restart(seed);
    let took = net.run_until(40 * SECOND, |net| net.nodes[leech].swarm.have().count() > before + 20);
    assert!(took < 8 * SECOND, "{took:?}");
    net.run_until(40 * SECOND, Net::all_complete);
    assert!(net.nodes[leech].requests < 400 * 16 + 1100, "only what was under way is asked for again");
}

#[test]
fn a_downloader_that_was_killed_goes_on_with_what_it_had() {
    let mut net = Net::new(&layout(400, 16));
    let (seed, leech) = (net.seed(), net.leech());
    net.nodes[seed].rate = 10_000_000;
    net.introduce(leech, &[seed]);
    net.run(3 * SECOND);
    let had = u64::from(net.nodes[leech].swarm.have().count());
    net.kill(leech);
    net.run(SECOND);
    let asked = net.nodes[leech].requests;
    net.restart(leech);
    net.introduce(leech, &[seed]);
    net.run_until(40 * SECOND, Net::all_complete);
    assert!(net.nodes[leech].requests - asked <= (400 - had) * 16, "no verified piece is asked for again");
}

#[test]
fn a_pause_ends_all_connections_and_resuming_goes_on() {
    let mut net = Net::new(&layout(200, 16));
    let (seed, leech) = (net.seed(), net.leech());
    net.nodes[seed].rate = 10_000_000;
    net.introduce(leech, &[seed]);
    net.run(2 * SECOND);
    net.command(leech, Command::Pause);
    net.run(300 * SECOND);
    let status = net.nodes[leech].swarm.status(net.now);
    assert_eq!((status.connections, status.waiting), (0, None));
    assert_eq!(net.nodes[leech].swarm.next_timeout(), None, "it costs nothing");
    net.command(leech, Command::Resume);
    let took = net.run_until(60 * SECOND, Net::all_complete);
    assert!(took < 10 * SECOND, "{took:?}");
}

#[test]
fn only_wanted_pieces_are_fetched_and_wanting_more_goes_on() {
    let mut net = Net::new(&layout(40, 8));
    let (seed, leech) = (net.seed(), net.leech());
    net.command(leech, Command::SetPriorities(set(40, 5..15).into()));
    net.introduce(leech, &[seed]);
    net.run(2 * SECOND);
    let status = net.nodes[leech].swarm.status(net.now);
    assert_eq!((status.have_pieces, status.left_bytes), (10, 0));
    assert_eq!(status.wanted_bytes, 10 * 8 * 16_384);
    assert_eq!(net.nodes[leech].swarm.have(), &set(40, 5..15));
    assert_eq!(net.nodes[leech].events.iter().filter(|event| **event == Event::Finished).count(), 1);
    net.command(leech, Command::SetPriorities(Bitfield::full(40).into()));
    net.run_until(2 * SECOND, Net::all_complete);
    assert_eq!(net.nodes[leech].requests, 40 * 8);
}

#[test]
fn pieces_of_high_priority_come_before_all_others_and_those_of_low_last() {
    let mut net = Net::new(&layout(60, 4));
    let (seed, leech) = (net.seed(), net.leech());
    let rank = |piece| match piece {
        20..30 => Priority::High,
        30..40 => Priority::Low,
        40..45 => Priority::Skip,
        _ => Priority::Normal,
    };
    net.command(leech, Command::SetPriorities(Priorities::of_pieces((0..60).map(rank).collect())));
    net.introduce(leech, &[seed]);
    net.run(5 * SECOND);
    let done = net.nodes[leech].events.iter().filter_map(|event| match event {
        Event::PieceDone(piece) => Some(rank(piece.0)),
        _ => None,
    });
    let done: Vec<_> = done.collect();
    assert_eq!(done.len(), 55);
    // A choked peer may have but few, its allowed fast pieces (BEP 6).
    let (fast, free) = done.split_at(10);
    assert!(free.is_sorted_by(|one, other| one >= other), "{done:?}");
    assert_eq!(fast.iter().chain(&free[..10]).filter(|rank| **rank == Priority::High).count(), 10, "{done:?}");
}

#[test]
fn a_change_of_priorities_holds_for_the_next_piece() {
    let mut net = Net::new(&layout(200, 16));
    let (seed, leech) = (net.seed(), net.leech());
    net.nodes[seed].rate = 1_000_000;
    net.introduce(leech, &[seed]);
    net.run(3 * SECOND);
    let before = net.nodes[leech].swarm.have().clone();
    let rank = |piece| if piece < 20 { Priority::High } else { Priority::Low };
    net.command(leech, Command::SetPriorities(Priorities::of_pieces((0..200).map(rank).collect())));
    let missing = (0..20).filter(|piece| !before.has(PieceIndex(*piece))).count();
    assert!(missing > 10, "{missing}");
    net.run(SECOND * 16 * 16_384 * u32::try_from(missing + 6).expect("few") / 1_000_000);
    let have = net.nodes[leech].swarm.have();
    assert!((0..20).all(|piece| have.has(PieceIndex(piece))), "{missing} were missing");
}

#[test]
fn pieces_that_are_not_wanted_any_more_are_let_go_in_the_middle() {
    let mut net = Net::new(&layout(100, 16));
    let (seed, leech) = (net.seed(), net.leech());
    net.nodes[seed].rate = 1_000_000;
    net.introduce(leech, &[seed]);
    net.run(3 * SECOND);
    let had = net.nodes[leech].swarm.have().clone();
    let wanted = set(100, (0..20).filter(|piece| !had.has(PieceIndex(*piece))));
    net.command(leech, Command::SetPriorities(wanted.clone().into()));
    net.run(20 * SECOND);
    let have = net.nodes[leech].swarm.have();
    assert!(wanted.iter().all(|piece| have.has(piece)));
    assert!(have.count() <= had.count() + wanted.count() + 2, "two may have been with the disk");
    assert_eq!(net.nodes[leech].swarm.status(net.now).partial_bytes, 0);
}

#[test]
fn sequential_pieces_come_in_order() {
    let mut net = Net::new(&layout(60, 8));
    let (seed, other, leech) = (net.seed(), net.seed(), net.leech());
    net.nodes[leech].fast = false;
    net.command(leech, Command::SetSequential(true));
    net.introduce(leech, &[seed, other]);
    net.run_until(5 * SECOND, Net::all_complete);
    let order: Vec<u32> = done_pieces(&net, leech);
    let most_early = order.iter().zip(0u32..).map(|(piece, nth)| piece.abs_diff(nth)).max();
    assert!(most_early < Some(20), "{order:?}");
}

fn done_pieces(net: &Net, node: usize) -> Vec<u32> {
    let pieces = net.nodes[node].events.iter().filter_map(|event| match event {
        Event::PieceDone(piece) => Some(piece.0),
        _ => None,
    });
    pieces.collect()
}

#[test]
fn first_pieces_are_random_then_the_rarest_come_first() {
    let mut firsts = BTreeSet::new();
    for seed in 0..8 {
        let mut net = Net::new(&layout(60, 4));
        let all = net.seed();
        // Pieces 10 to 59 are common.
        (0..3).for_each(|_| {
            net.add(set(60, 10..60));
        });
        let mut config = super::net::config(&layout(60, 4), set(60, []), 99);
        config.seed = seed;
        let leech = net.add_with(config);
        net.nodes[leech].fast = false;
        (0..4).for_each(|node| net.nodes[node].rate = 200_000);
        net.introduce(leech, &[1, 2, 3]);
        net.run(SECOND / 5);
        net.introduce(leech, &[all]);
        net.run_until(20 * SECOND, |net| net.is_complete(leech));
        let order = done_pieces(&net, leech);
        firsts.insert(order[0]);
        let rare = order.iter().position(|piece| *piece < 10).expect("they came");
        let last_rare = order.iter().rposition(|piece| *piece < 10).expect("they came");
        assert!(rare < 20 && last_rare < 50, "{order:?}");
    }
    assert!(firsts.len() > 4, "{firsts:?}");
}

#[test]
fn damaged_pieces_are_fetched_again() {
    let mut net = Net::new(&layout(40, 8));
    let (seed, leech) = (net.seed(), net.leech());
    net.introduce(leech, &[seed]);
    net.run_until(5 * SECOND, Net::all_complete);
    net.run(SECOND);
    net.command(leech, Command::Forget([3, 9].map(PieceIndex).to_vec()));
    assert_eq!(net.nodes[leech].swarm.have().count(), 38);
    net.run_until(120 * SECOND, Net::all_complete);
    assert_eq!(net.nodes[leech].requests, 42 * 8);
    assert_eq!(net.nodes[leech].events.iter().filter(|event| **event == Event::Finished).count(), 2);
}

#[test]
fn a_piece_lost_by_a_peer_is_told_and_not_asked_for() {
    let mut net = Net::new(&layout(40, 8));
    let (seed, leech) = (net.seed(), net.leech());
    net.nodes[seed].rate = 500_000;
    net.introduce(leech, &[seed]);
    net.run(SECOND);
    let missing = net.nodes[leech].swarm.have().iter_missing().last().expect("not complete");
    net.command(seed, Command::Forget(vec![missing]));
    net.run(60 * SECOND);
    assert_eq!(net.nodes[leech].swarm.have().count(), 39);
    assert_eq!(net.nodes[leech].swarm.status(net.now).waiting, Some(Waiting::NobodyHas { piece: missing, missing: 1 }));
}

#[test]
fn pressure_holds_requests_back_and_its_end_brings_them_at_once() {
    let mut net = Net::new(&layout(100, 16));
    let (seed, leech) = (net.seed(), net.leech());
    net.nodes[seed].rate = 1_000_000;
    net.introduce(leech, &[seed]);
    net.run(2 * SECOND);
    net.feed(leech, crate::swarm::Input::Pressure(Pressure::Full));
    net.run(10 * SECOND);
    let (asked, had) = (net.nodes[leech].requests, net.nodes[leech].swarm.status(net.now).down_bytes);
    net.run(10 * SECOND);
    assert_eq!((net.nodes[leech].requests, net.nodes[leech].swarm.status(net.now).down_bytes), (asked, had));
    assert_eq!(net.nodes[leech].swarm.status(net.now).waiting, Some(Waiting::Disk));
    net.feed(leech, crate::swarm::Input::Pressure(Pressure::Some));
    assert!(net.nodes[leech].requests > asked);
    net.feed(leech, crate::swarm::Input::Pressure(Pressure::None));
    net.run_until(60 * SECOND, Net::all_complete);
}

#[test]
fn what_one_waits_for_is_said() {
    let mut net = Net::new(&layout(10, 4));
    let leech = net.leech();
    let waiting = |net: &Net| net.nodes[leech].swarm.status(net.now).waiting;
    net.run(4 * SECOND);
    assert_eq!(waiting(&net), None);
    net.run(2 * SECOND);
    assert_eq!(waiting(&net), Some(Waiting::NoPeers));
    let part = net.add(set(10, [0, 1, 2]));
    net.nodes[part].up = false;
    net.introduce(leech, &[part]);
    net.run(2 * SECOND);
    assert_eq!(waiting(&net), Some(Waiting::Connecting { candidates: 1 }));
    net.nodes[part].up = true;
    net.run(60 * SECOND);
    assert_eq!(waiting(&net), Some(Waiting::NobodyHas { piece: PieceIndex(3), missing: 7 }));
}

#[test]
fn an_idle_seed_with_no_peers_has_no_timer() {
    let mut net = Net::new(&layout(10, 4));
    let seed = net.seed();
    net.introduce(seed, &[]);
    assert_eq!(net.nodes[seed].swarm.next_timeout(), None);
}

#[test]
fn a_fast_peer_takes_whole_pieces_and_a_slow_one_does_not_hold_up_the_end() {
    let mut net = Net::new(&layout(40, 64));
    let (fast, slow, leech) = (net.seed(), net.seed(), net.leech());
    net.nodes[fast].rate = 20_000_000;
    net.nodes[slow].rate = 30_000;
    net.introduce(leech, &[fast, slow]);
    let took = net.run_until(20 * SECOND, |net| net.is_complete(leech));
    assert!(took < Duration::from_millis(3000), "{took:?}: 42 MB at 20 MB/s");
    let status = net.nodes[leech].swarm.status(net.now);
    assert!(status.wasted_bytes < 2_000_000, "{}", status.wasted_bytes);
}
