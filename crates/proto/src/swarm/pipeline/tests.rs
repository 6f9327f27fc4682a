//! Windows against peers of all speeds, and the order of answers.

use super::*;
use crate::limits::ADVERTISED_REQQ;
use crate::swarm::tests::birth;

/// A peer with a rate and a round trip, simulated in steps of a millisecond; gives the window and the bytes that came.
fn run(bytes_per_second: u64, delay: Duration, reqq: u32, seconds: u64) -> (u32, u64) {
    let start = birth();
    let mut window = Window::new(start);
    let mut in_flight: VecDeque<Duration> = VecDeque::new();
    let (mut credit, mut came) = (0u64, 0u64);
    for millisecond in 0..seconds * 1000 {
        let age = Duration::from_millis(millisecond);
        credit = (credit + bytes_per_second / 1000).min(bytes_per_second / 100 + u64::from(BLOCK_LENGTH));
        let mut blocks = 0;
        while credit >= u64::from(BLOCK_LENGTH) && in_flight.front().is_some_and(|due| *due <= age) {
            in_flight.pop_front();
            credit -= u64::from(BLOCK_LENGTH);
            blocks += 1;
        }
        if blocks > 0 {
            let bytes = u64::from(blocks) * u64::from(BLOCK_LENGTH);
            came += bytes;
            window.received(start + age, blocks, bytes, reqq);
        }
        while in_flight.len() < window.blocks() as usize {
            in_flight.push_back(age + delay);
        }
    }
    (window.blocks(), came)
}

#[test]
fn a_fast_long_link_is_filled_within_a_second() {
    // 500 Mbit/s over 50 ms: 191 blocks in flight.
    let (window, came) = run(62_500_000, Duration::from_millis(50), 500, 3);
    assert_eq!(window, 500);
    assert!(came > 62_500_000 * 3 * 9 / 10, "{came}");
}

/// Milliseconds of the first two seconds in which TCP would have sent more than was asked for: slow start from ten segments, a window
/// that grows by what is acknowledged, and a rate that it does not pass. `round_trip` in milliseconds.
fn starved(bytes_per_second: u64, round_trip: usize, reqq: u32) -> usize {
    let (start, way, block) = (birth(), round_trip / 2, u64::from(BLOCK_LENGTH));
    let mut window = Window::new(start);
    // What had been asked for and sent by then, in bytes, by the millisecond.
    let (mut asked, mut sent) = (vec![0], vec![0]);
    let before = |course: &[u64], now: usize, past: usize| now.checked_sub(past).map_or(0, |then| course[then]);
    let (mut at, mut came, mut starved) = (start, 0, 0);
    for now in 0..2000 {
        let blocks = before(&sent, now, way) / block - came;
        if blocks > 0 {
            let blocks = u32::try_from(blocks).expect("no more than in a millisecond");
            window.received(at, blocks, u64::from(blocks) * block, reqq);
        }
        came += blocks;
        asked.push(asked[now].max((came + u64::from(window.blocks())) * block));
        let acknowledged = before(&sent, now, round_trip);
        let may = (2 * acknowledged + 14_480).min(sent[now] + bytes_per_second / 1000);
        let can = before(&asked, now, way);
        // Before the first request has come nothing is to be sent.
        starved += usize::from(can > 0 && can < may);
        sent.push(sent[now].max(may.min(can)));
        at += Duration::from_millis(1);
    }
    starved
}

#[test]
fn a_sender_in_slow_start_never_waits_for_requests() {
    for (megabits, round_trip) in [(500, 50), (100, 200), (1000, 20), (2000, 30)] {
        assert_eq!(starved(megabits * 125_000, round_trip, 2000), 0, "{megabits} Mbit/s, {round_trip} ms");
    }
    // One that takes as much as older versions of libtorrent.
    assert_eq!(starved(62_500_000, 50, 500), 0);
}

#[test]
fn what_we_accept_ourselves_fills_the_fastest_link() {
    // 10 Gbit/s over 50 ms: 3,815 blocks in flight.
    let (window, came) = run(1_250_000_000, Duration::from_millis(50), ADVERTISED_REQQ, 4);
    assert_eq!(window, ADVERTISED_REQQ);
    assert!(came > 1_250_000_000 * 3, "{came}");
}

#[test]
fn a_slow_peer_keeps_no_more_than_two_seconds_of_data() {
    // 1 Mbit/s, to a peer that would take requests for nine minutes.
    let (window, came) = run(125_000, Duration::from_millis(50), ADVERTISED_REQQ, 20);
    assert!((8..=16).contains(&window), "{window}");
    assert!(came > 125_000 * 19, "{came}");
}

#[test]
fn answers_on_ticks_of_a_second_do_not_shrink_the_window_to_nothing() {
    let start = birth();
    let mut window = Window::new(start);
    for second in 1..30 {
        let blocks = window.blocks();
        window.received(start + Duration::from_secs(second), blocks, u64::from(blocks) * u64::from(BLOCK_LENGTH), 500);
    }
    assert_eq!(window.blocks(), 500);
}

#[test]
fn answers_are_found_in_any_order_and_taken_back_requests_still_wait() {
    let now = birth();
    let mut pipeline = Pipeline::default();
    (0..4).for_each(|number| pipeline.push(PieceIndex(7), number, now));
    assert!(pipeline.take(PieceIndex(7), 2).is_some_and(|asked| asked.live));
    assert!(pipeline.take(PieceIndex(7), 2).is_none());
    let mut taken_back = Vec::new();
    for _ in 0..2 {
        pipeline.take_back_where(|asked| asked.number == 0, |asked| taken_back.push(asked.number));
    }
    assert_eq!(taken_back, [0], "once");
    assert_eq!((pipeline.len(), pipeline.live()), (3, 2));
    pipeline.push(PieceIndex(7), 0, now);
    assert!(pipeline.take_wanted(PieceIndex(7), 0).is_some_and(|asked| asked.live));
    assert!(pipeline.take_wanted(PieceIndex(7), 0).is_some_and(|asked| !asked.live));
    let mut dropped = Vec::new();
    pipeline.drop_where(|asked| asked.number == 3, |asked| dropped.push(asked.number));
    assert_eq!((dropped, pipeline.len(), pipeline.live()), (vec![3], 1, 1));
}

#[test]
fn the_oldest_of_equal_requests_is_found_wherever_the_ring_begins() {
    let start = birth();
    for before in 0..16 {
        let mut pipeline = Pipeline { queue: VecDeque::with_capacity(16), ..Pipeline::default() };
        for number in 0..before {
            pipeline.push(PieceIndex(0), number, start);
            assert!(pipeline.take(PieceIndex(0), number).is_some());
        }
        let moments: Vec<Instant> = (0..12).map(|second| start + Duration::from_secs(second)).collect();
        (0..12).zip(&moments).for_each(|(nth, at)| pipeline.push(PieceIndex(7), nth % 6, *at));
        for nth in [3, 5, 0, 4, 1, 2] {
            let first = pipeline.take(PieceIndex(7), nth).map(|asked| asked.at);
            assert_eq!(first, Some(moments[nth as usize]), "{before} {nth}");
        }
        let left: Vec<(u32, Instant)> = pipeline.iter().map(|asked| (asked.number, asked.at)).collect();
        assert_eq!(left, (0..6).zip(moments[6..].iter().copied()).collect::<Vec<_>>(), "{before}");
        assert!(pipeline.take(PieceIndex(7), 6).is_none() && pipeline.take(PieceIndex(8), 0).is_none());
    }
}
