//! Hostile peers, by the rows of the catalogue of threats.

use std::time::Duration;

use bytes::Bytes;
use riverrun_metainfo::{Bitfield, Block, PieceIndex};

use super::lab::{Lab, Manner, block, handshake, peer_addr, sent, serves, stored};
use super::net::{Net, config, layout};
use crate::limits;
use crate::mse::Cover;
use crate::swarm::{Action, CloseReason, Connected, ConnectionId, Event, Input, Source};
use crate::wire::Message;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn p3_a_block_of_wrong_length_index_or_offset_drops_and_is_asked_elsewhere() {
    let layout = layout(4, 4);
    let right = |lab: &Lab, peer| lab.asked(peer)[0];
    let wrongs: [fn(Block) -> Block; 5] = [
        |block| Block { length: block.length - 1, ..block },
        |block| Block { length: block.length + 1, ..block },
        |block| Block { begin: block.begin + 1, ..block },
        |block| Block { begin: 1 << 30, ..block },
        |block| Block { piece: PieceIndex(4), ..block },
    ];
    for wrong in wrongs {
        for fast in [false, true] {
            let mut lab = Lab::leech(&layout);
            let peer = lab.connect_seed(1, fast, Manner::Silent);
            let bad = wrong(right(&lab, peer));
            let actions = lab.says(peer, &[Message::Piece(bad)]);
            assert!(lab.is_breach(peer), "{bad:?}");
            assert_eq!(stored(&actions), []);
            lab.connect_seed(2, fast, Manner::Honest(10));
            lab.until_complete(SECOND);
        }
    }
}

#[test]
fn p4_an_unrequested_block_with_the_fast_extension_drops() {
    let layout = layout(8, 16);
    let mut lab = Lab::leech(&layout);
    let peer = lab.connect_seed(1, true, Manner::Silent);
    let asked = lab.asked(peer);
    let unasked = (0..8).map(|piece| block(&layout, piece, 15)).find(|block| !asked.contains(block)).expect("some");
    let actions = lab.says(peer, &[Message::Piece(unasked)]);
    assert!(lab.is_breach(peer));
    assert_eq!(stored(&actions), []);
}

#[test]
fn p4_unrequested_blocks_without_it_are_counted_up_to_twice_the_window_and_never_stored() {
    let layout = layout(8, 64);
    let mut lab = Lab::leech(&layout);
    let peer = lab.connect_seed(1, false, Manner::Silent);
    let asked = lab.asked(peer);
    let mut unasked = (0..8).flat_map(|piece| (0..63).map(move |number| (piece, number)));
    let mut unasked = std::iter::from_fn(|| unasked.next().map(|(piece, number)| block(&layout, piece, number)))
        .filter(|block| !asked.contains(block));
    for _ in 0..2 * asked.len() {
        let one = unasked.next().expect("enough blocks");
        assert_eq!(stored(&lab.says(peer, &[Message::Piece(one)])), []);
        assert!(lab.is_open(peer));
    }
    lab.says(peer, &[Message::Piece(unasked.next().expect("enough blocks"))]);
    assert!(lab.is_breach(peer));
    assert!(lab.swarm.status(lab.now).wasted_bytes > 0);
}

#[test]
fn p4_a_block_that_comes_twice_is_waste_and_stored_once() {
    let layout = layout(8, 16);
    let mut lab = Lab::leech(&layout);
    let peer = lab.connect_seed(1, false, Manner::Silent);
    let one = lab.asked(peer)[0];
    let actions = lab.says(peer, &[Message::Piece(one), Message::Piece(one)]);
    assert_eq!(stored(&actions), [(0, one)]);
    assert_eq!(lab.swarm.status(lab.now).wasted_bytes, u64::from(one.length));
}

#[test]
fn p5_bad_data_always_bans_after_the_first_piece_of_his_own() {
    let layout = layout(20, 8);
    let mut net = Net::new(&layout);
    let (liar, leech) = (net.seed(), net.leech());
    net.nodes[liar].lies = Some(3);
    net.introduce(leech, &[liar]);
    net.run(SECOND);
    assert_eq!(net.nodes[leech].events[0], Event::PieceCorrupt(corrupt_piece(&net, leech)));
    assert!(net.nodes[leech].events.contains(&Event::Banned(net.nodes[liar].addr.ip())));
    assert!(net.nodes[leech].swarm.have().is_empty());
    let honest = net.seed();
    net.introduce(leech, &[honest, liar]);
    net.run_until(5 * SECOND, |net| net.is_complete(leech));
    assert_eq!(net.nodes[leech].events.iter().filter(|event| matches!(event, Event::Banned(_))).count(), 1);
}

fn corrupt_piece(net: &Net, node: usize) -> PieceIndex {
    let first = net.nodes[node].events.iter().find_map(|event| match event {
        Event::PieceCorrupt(piece) => Some(*piece),
        _ => None,
    });
    first.expect("a corrupt piece")
}

#[test]
fn p6_one_bad_block_in_shared_pieces_bans_its_sender_alone() {
    for lie in 0..4 {
        let layout = layout(6, 64);
        let mut net = Net::new(&layout);
        let leech = net.leech();
        let peers: Vec<_> = (0..4).map(|_| net.seed()).collect();
        peers.iter().for_each(|peer| net.nodes[*peer].rate = 400_000);
        net.nodes[peers[1]].lies = Some(lie * 20);
        net.introduce(leech, &peers);
        net.run_until(240 * SECOND, |net| net.is_complete(leech));
        net.run(SECOND);
        let banned: Vec<_> =
            net.nodes[leech].events.iter().filter(|event| matches!(event, Event::Banned(_))).cloned().collect();
        let guilty = Event::Banned(net.nodes[peers[1]].addr.ip());
        let lied = net.nodes[leech].events.iter().any(|event| matches!(event, Event::PieceCorrupt(_)));
        assert_eq!(banned, if lied { vec![guilty] } else { vec![] });
    }
}

#[test]
fn p6_the_innocent_of_a_shared_corrupt_piece_is_not_banned() {
    // Two peers fill one piece together; the second lies. A third gives the right copy.
    let layout = layout(1, 40);
    let mut lab = Lab::leech(&layout);
    lab.disk = false;
    let honest = lab.connect_seed(1, true, Manner::Silent);
    let liar = lab.connect_seed(2, true, Manner::Silent);
    for peer in [honest, liar] {
        let share: Vec<_> = lab.asked(peer).into_iter().map(Message::Piece).collect();
        lab.forget_asked(peer);
        lab.says(peer, &share);
    }
    assert!(lab.done.contains(&Action::Verify { piece: PieceIndex(0), digests: false }));
    let third = lab.connect_seed(3, true, Manner::Honest(100));
    let from_liar: Vec<bool> = (0..40).map(|number| number >= 32).collect();
    let digests: Vec<u64> = from_liar.iter().map(|lied| u64::from(*lied)).collect();
    lab.feed(Input::Disk(crate::swarm::DiskDone::Corrupt { piece: PieceIndex(0), digests }));
    assert!(lab.is_open(honest) && lab.is_open(liar));
    // The two are asked before, for they were fast, and stay silent.
    lab.wait(20 * SECOND);
    assert!(lab.done.contains(&Action::Verify { piece: PieceIndex(0), digests: true }));
    assert!(lab.asked(third).is_empty());
    lab.feed(Input::Disk(crate::swarm::DiskDone::Verified { piece: PieceIndex(0), digests: Some(vec![0; 40]) }));
    assert_eq!(lab.close_reason(liar), Some(CloseReason::Banned));
    assert!(matches!(lab.close_reason(honest), None | Some(CloseReason::NothingToExchange)));
    assert!(lab.done.contains(&Action::Event(Event::Banned(peer_addr(2).ip()))));
}

#[test]
fn p6_a_failed_piece_does_not_wait_for_a_silent_peer() {
    let layout = layout(2, 40);
    let mut lab = Lab::leech(&layout);
    lab.disk = false;
    for number in [1, 2] {
        lab.connect_seed(number, true, Manner::Honest(1));
    }
    lab.until(5 * SECOND, |lab| lab.done.iter().filter(|action| matches!(action, Action::Verify { .. })).count() == 2);
    let hole = lab.connect_seed(3, true, Manner::Silent);
    let digests = vec![0; 40];
    lab.feed(Input::Disk(crate::swarm::DiskDone::Verified { piece: PieceIndex(1), digests: None }));
    lab.disk = true;
    lab.feed(Input::Disk(crate::swarm::DiskDone::Corrupt { piece: PieceIndex(0), digests }));
    let took = lab.until_complete(30 * SECOND);
    assert!(took < 12 * SECOND, "{took:?}");
    assert!(!lab.is_breach(hole));
}

#[test]
fn p7_bitfield_long_short_or_with_spare_bits_drops() {
    let layout = layout(10, 4);
    for bytes in [&[0xff][..], &[0xff, 0xc0, 0], &[0xff, 0xe0], &[0, 1], &[]] {
        let mut lab = Lab::leech(&layout);
        let peer = lab.connect(1, true, Manner::Silent);
        lab.says(peer, &[Message::Bitfield(Bytes::copy_from_slice(bytes))]);
        assert!(lab.is_breach(peer), "{bytes:?}");
    }
}

#[test]
fn p7_bitfield_repeated_or_late_with_nothing_new_drops() {
    let layout = layout(10, 4);
    let bits = |bytes: &'static [u8]| Message::Bitfield(Bytes::from_static(bytes));
    let nine = || bits(&[0xff, 0x80]);
    let cases = [
        (nine(), vec![nine(), bits(&[0, 0]), bits(&[0x7f, 0xc0]), Message::HaveNone]),
        (Message::Have(PieceIndex(9)), vec![nine(), bits(&[0, 0x40]), Message::HaveNone]),
        (Message::HaveAll, vec![nine(), Message::HaveAll, Message::HaveNone]),
        (Message::HaveNone, vec![bits(&[0, 0]), Message::HaveNone]),
        (Message::Unchoke, vec![bits(&[0, 0]), Message::HaveNone]),
    ];
    for (opening, lates) in cases {
        for late in lates {
            let mut lab = Lab::leech(&layout);
            let peer = lab.connect(1, true, Manner::Silent);
            lab.says(peer, std::slice::from_ref(&opening));
            assert!(lab.is_open(peer));
            lab.says(peer, std::slice::from_ref(&late));
            assert!(lab.is_breach(peer), "{late:?} after {opening:?}");
        }
    }
}

#[test]
fn p7_bitfield_late_counts_as_the_haves_it_stands_for() {
    let layout = layout(10, 4);
    let bits = |bytes: &'static [u8]| Message::Bitfield(Bytes::from_static(bytes));
    let mut lab = Lab::leech(&layout);
    let peer = lab.connect(1, true, Manner::Silent);
    // As aria2c does after each piece of a small torrent.
    lab.says(peer, &[Message::HaveNone, Message::Interested, bits(&[0x08, 0]), Message::Have(PieceIndex(0))]);
    lab.says(peer, &[bits(&[0x88, 0x40]), Message::HaveAll]);
    assert!(lab.is_open(peer));
    let status = lab.swarm.status(lab.now);
    assert_eq!((status.connections, status.seeds), (1, 1));
}

#[test]
fn p7_bitfield_after_the_extended_handshake_is_not_late() {
    let layout = layout(10, 4);
    let mut lab = Lab::leech(&layout);
    let peer = lab.connect(1, true, Manner::Silent);
    let early = Message::Extended { id: 0, payload: Bytes::from_static(b"de") };
    lab.says(peer, &[early, Message::Port(6881), Message::Bitfield(Bytes::from_static(&[0, 0]))]);
    assert!(lab.is_open(peer), "some clients say these first");
}

#[test]
fn p8_have_out_of_range_drops() {
    for piece in [10, 11, u32::MAX] {
        let mut lab = Lab::leech(&layout(10, 4));
        let peer = lab.connect(1, false, Manner::Silent);
        lab.says(peer, &[Message::Have(PieceIndex(piece))]);
        assert!(lab.is_breach(peer));
    }
}

#[test]
fn p8_redundant_haves_drop_at_ten_times_the_pieces() {
    let mut lab = Lab::leech(&layout(20, 4));
    let peer = lab.connect(1, false, Manner::Silent);
    let have = |piece| Message::Have(PieceIndex(piece));
    for round in 0..11 {
        lab.says(peer, &(0..20).map(have).collect::<Vec<_>>());
        assert!(lab.is_open(peer), "round {round}");
    }
    lab.says(peer, &[have(0)]);
    assert!(lab.is_breach(peer));
}

#[test]
fn p9_a_black_hole_does_not_stall_a_download() {
    let layout = layout(30, 16);
    let mut lab = Lab::leech(&layout);
    let hole = lab.connect_seed(1, true, Manner::Silent);
    let held = lab.asked(hole);
    assert_eq!(held.len(), 32);
    lab.connect_seed(2, true, Manner::Honest(8));
    let took = lab.until_complete(2 * SECOND);
    assert!(took < SECOND, "{took:?}: 480 blocks at 800 a second");
}

#[test]
fn p9_a_black_hole_is_snubbed_and_has_one_block_in_flight_after_that() {
    let layout = layout(3000, 16);
    let mut lab = Lab::leech(&layout);
    let hole = lab.connect_seed(1, true, Manner::Silent);
    lab.connect_seed(2, true, Manner::Honest(1));
    lab.wait(limits::PROGRESS_TIMEOUT + 3 * SECOND);
    assert_eq!(lab.asked(hole).len(), 1);
    let cancels = sent(&lab.done, hole).iter().filter(|message| matches!(message, Message::Cancel(_))).count();
    assert_eq!(cancels, 31, "all but the one that it has left");
    // Without another peer it is given a minute.
    let mut lab = Lab::leech(&layout);
    let hole = lab.connect_seed(1, true, Manner::Silent);
    lab.wait(limits::REQUEST_TIMEOUT - 2 * SECOND);
    assert_eq!(lab.asked(hole).len(), 32);
    lab.wait(4 * SECOND);
    assert_eq!(lab.asked(hole).len(), 1);
}

#[test]
fn p9_a_snubbed_peer_that_delivers_is_trusted_again() {
    let mut lab = Lab::leech(&layout(3000, 16));
    let peer = lab.connect_seed(1, true, Manner::Silent);
    lab.wait(limits::REQUEST_TIMEOUT + 2 * SECOND);
    assert_eq!(lab.asked(peer).len(), 1);
    for _ in 0..200 {
        lab.wait(SECOND / 20);
        let asked: Vec<_> = lab.asked(peer).into_iter().map(Message::Piece).collect();
        let says: Vec<_> = asked.clone();
        lab.forget_asked(peer);
        lab.says(peer, &says);
    }
    assert!(lab.asked(peer).len() > 20, "{}", lab.asked(peer).len());
}

#[test]
fn p10_a_dripper_does_not_stall_a_download() {
    let layout = layout(30, 16);
    for pause in [1, 5, 19] {
        let mut lab = Lab::leech(&layout);
        lab.connect_seed(1, true, Manner::Drip(Duration::from_secs(pause)));
        lab.connect_seed(2, true, Manner::Honest(8));
        let took = lab.until_complete(3 * SECOND);
        assert!(took < 2 * SECOND, "a drip each {pause} s: {took:?}");
    }
}

#[test]
fn p11_a_choke_flapper_does_not_stall_a_download_and_gets_one_block_at_a_time() {
    let layout = layout(2000, 16);
    let mut lab = Lab::leech(&layout);
    let flapper = lab.connect_seed(1, true, Manner::Flaps(SECOND / 2));
    lab.connect_seed(2, true, Manner::Honest(1));
    lab.wait(20 * SECOND);
    let most = (0..40).map(|_| {
        lab.wait(SECOND / 4);
        lab.asked(flapper).len()
    });
    assert_eq!(most.max(), Some(1));
    for fast in [false, true] {
        let layout = super::net::layout(30, 16);
        let mut lab = Lab::leech(&layout);
        lab.connect_seed(1, fast, Manner::Flaps(SECOND / 3));
        lab.connect_seed(2, fast, Manner::Honest(8));
        let took = lab.until_complete(3 * SECOND);
        assert!(took < 2 * SECOND, "{took:?}");
    }
}

#[test]
fn p11_chokes_without_end_drop() {
    let mut lab = Lab::leech(&layout(20, 16));
    let peer = lab.connect_seed(1, true, Manner::Silent);
    for _ in 0..limits::MAX_CHOKES {
        lab.says(peer, &[Message::Choke, Message::Unchoke]);
    }
    assert!(lab.is_open(peer));
    lab.says(peer, &[Message::Choke]);
    assert!(lab.is_breach(peer));
}

#[test]
fn p12_one_who_rejects_everything_drops_after_50_and_stalls_nothing() {
    let layout = layout(30, 16);
    let mut lab = Lab::leech(&layout);
    let peer = lab.connect_seed(1, true, Manner::Rejects);
    lab.wait(SECOND);
    assert!(lab.is_breach(peer));
    let rejected = sent(&lab.done, peer).iter().filter(|message| matches!(message, Message::Request(_))).count();
    assert!(rejected <= 100, "{rejected}");
    let mut lab = Lab::leech(&layout);
    lab.connect_seed(1, true, Manner::Rejects);
    lab.connect_seed(2, true, Manner::Honest(8));
    assert!(lab.until_complete(3 * SECOND) < SECOND);
}

#[test]
fn p12_an_unasked_reject_drops() {
    let layout = layout(4, 4);
    let mut lab = Lab::leech(&layout);
    let peer = lab.connect(1, true, Manner::Silent);
    lab.says(peer, &[Message::HaveNone, Message::Reject(block(&layout, 0, 0))]);
    assert!(lab.is_breach(peer));
}

#[test]
fn p13_allowed_fast_and_suggest_are_kept_to_their_bounds_and_floods_drop() {
    let layout = layout(3000, 4);
    let mut lab = Lab::leech(&layout);
    let peer = lab.connect(1, true, Manner::Silent);
    lab.says(peer, &[Message::HaveAll]);
    lab.says(peer, &(0..400).map(|piece| Message::AllowedFast(PieceIndex(piece))).collect::<Vec<_>>());
    let asked: std::collections::BTreeSet<_> = lab.asked(peer).iter().map(|block| block.piece.0).collect();
    assert_eq!(asked.into_iter().collect::<Vec<_>>(), (0..8).collect::<Vec<_>>(), "32 blocks of the first ten");
    lab.says(peer, &(0..600).map(|piece| Message::Suggest(PieceIndex(piece))).collect::<Vec<_>>());
    assert!(lab.is_open(peer));
    lab.says(peer, &[Message::Suggest(PieceIndex(1))]);
    assert!(lab.is_breach(peer));
    // Pieces that do not exist are no use and no breach.
    let mut lab = Lab::leech(&layout);
    let peer = lab.connect(1, true, Manner::Silent);
    lab.says(peer, &[Message::HaveAll, Message::AllowedFast(PieceIndex(3000)), Message::Suggest(PieceIndex(u32::MAX))]);
    assert!(lab.is_open(peer) && lab.asked(peer).is_empty());
}

#[test]
fn p13_messages_of_the_fast_extension_without_it_drop() {
    let layout = layout(4, 4);
    let any = PieceIndex(0);
    let messages = [
        Message::HaveAll,
        Message::HaveNone,
        Message::Suggest(any),
        Message::AllowedFast(any),
        Message::Reject(block(&layout, 0, 0)),
    ];
    for message in messages {
        let mut lab = Lab::leech(&layout);
        let peer = lab.connect(1, false, Manner::Silent);
        lab.says(peer, std::slice::from_ref(&message));
        assert!(lab.is_breach(peer), "{message:?}");
    }
}

#[test]
fn p14_a_request_flood_is_bounded_by_queue_and_bytes_under_way_then_drops() {
    let layout = layout(100, 64);
    let mut lab = Lab::seed(&layout);
    let peer = lab.connect(1, true, Manner::Silent);
    lab.says(peer, &[Message::HaveNone, Message::Interested]);
    let asked: Vec<_> = (0..100).flat_map(|piece| (0..63).map(move |number| (piece, number))).collect();
    let asked: Vec<_> =
        asked.into_iter().map(|(piece, number)| Message::Request(block(&layout, piece, number))).collect();
    let actions = lab.says(peer, &asked[..limits::MAX_QUEUED_REQUESTS]);
    let under_way: u64 = serves(&actions, peer).iter().map(|block| u64::from(block.length)).sum();
    assert!(under_way <= limits::MIN_SERVING_BYTES + 16_384, "{under_way}");
    assert!(!sent(&actions, peer).iter().any(|message| matches!(message, Message::Reject(_))));
    let actions = lab.says(peer, &asked[limits::MAX_QUEUED_REQUESTS..][..500]);
    let rejects = sent(&actions, peer).iter().filter(|message| matches!(message, Message::Reject(_))).count();
    assert_eq!(rejects, 500 - serves(&lab.done, peer).len(), "what does not fit is rejected");
    assert!(lab.is_open(peer));
    lab.says(peer, &asked[limits::MAX_QUEUED_REQUESTS + 500..][..600]);
    assert!(lab.is_breach(peer));
}

#[test]
fn p15_requests_when_choked_huge_empty_or_out_of_range_are_refused_then_drop() {
    let layout = layout(4, 4);
    let whole = block(&layout, 0, 0);
    let refused = [
        Block { length: 0, ..whole },
        Block { piece: PieceIndex(4), ..whole },
        Block { begin: u32::MAX, ..whole },
        Block { begin: 4 * 16_384, ..whole },
    ];
    for bad in refused {
        for fast in [false, true] {
            let mut lab = Lab::seed(&layout);
            let peer = lab.connect(1, fast, Manner::Silent);
            lab.says(peer, &[Message::Interested]);
            for _ in 0..300 {
                let actions = lab.says(peer, &[Message::Request(bad)]);
                assert_eq!(sent(&actions, peer), if fast { vec![Message::Reject(bad)] } else { vec![] });
                assert!(lab.is_open(peer));
            }
            lab.says(peer, &[Message::Request(bad)]);
            assert!(lab.is_breach(peer), "{bad:?}");
        }
    }
    let mut lab = Lab::seed(&layout);
    let peer = lab.connect(1, true, Manner::Silent);
    lab.says(peer, &[Message::Request(Block { length: 128 * 1024 + 1, ..whole })]);
    assert!(lab.is_breach(peer));
}

#[test]
fn p15_requests_that_crossed_a_choke_are_forgiven_and_later_ones_are_not() {
    let layout = layout(100, 4);
    let mut lab = Lab::seed(&layout);
    let peer = lab.connect(1, true, Manner::Silent);
    let one = Message::Request(block(&layout, 0, 0));
    for _ in 0..400 {
        lab.says(peer, std::slice::from_ref(&one));
    }
    assert!(lab.is_open(peer), "choked a moment ago");
    lab.wait(limits::CHOKE_GRACE + SECOND);
    for _ in 0..301 {
        lab.says(peer, std::slice::from_ref(&one));
    }
    assert!(lab.is_breach(peer));
}

#[test]
fn p16_a_flood_of_messages_that_bring_nothing_drops() {
    for message in [Message::KeepAlive, Message::Choke, Message::NotInterested, Message::Port(1)] {
        let mut lab = Lab::leech(&layout(4, 4));
        let peer = lab.connect(1, true, Manner::Silent);
        let flood = vec![message; 5000];
        lab.says(peer, &flood);
        lab.now += SECOND;
        lab.says(peer, &flood);
        lab.now += SECOND;
        assert!(lab.is_open(peer), "5,000 a second");
        lab.says(peer, &flood);
        lab.says(peer, &flood);
        lab.says(peer, &flood);
        assert!(lab.is_breach(peer), "15,000 a second");
    }
}

#[test]
fn p17_our_own_id_closes_and_the_address_is_not_dialled_again() {
    let mut lab = Lab::leech(&layout(4, 4));
    let own = peer_addr(7);
    let dials = |actions: &[Action]| actions.iter().filter(|action| matches!(action, Action::Dial { .. })).count();
    assert_eq!(dials(&lab.feed(Input::Candidates { source: Source::Tracker, addrs: &[own] })), 1);
    let connection = ConnectionId(70);
    lab.feed(Input::Connected(Connected {
        connection,
        addr: own,
        incoming: false,
        handshake: handshake(200, true),
        cover: Cover::None,
    }));
    assert_eq!(lab.close_reason(connection), Some(CloseReason::Myself));
    lab.wait(200 * SECOND);
    assert_eq!(dials(&lab.feed(Input::Candidates { source: Source::Tracker, addrs: &[own] })), 0);
    assert_eq!(lab.swarm.status(lab.now).candidates, 0);
}

#[test]
fn p20_an_extended_handshake_of_nonsense_changes_nothing() {
    let mut lab = Lab::leech(&layout(4, 4));
    let peer = lab.connect_seed(1, true, Manner::Silent);
    let nested = [b"d1:v".to_vec(), vec![b'l'; 10_000]].concat();
    for payload in [nested, b"le".to_vec(), b"d1:m3:abc1:p1:x4:reqq2:hie".to_vec(), Vec::new(), vec![0xff; 100]] {
        lab.says(peer, &[Message::Extended { id: 0, payload: payload.into() }]);
        lab.says(peer, &[Message::Extended { id: 250, payload: Bytes::from_static(b"?") }]);
    }
    assert!(lab.is_open(peer));
}

#[test]
fn p28_dont_have_of_a_piece_that_does_not_exist_drops_and_of_one_not_had_is_ignored() {
    let mut lab = Lab::leech(&layout(4, 4));
    let peer = lab.connect(1, true, Manner::Silent);
    lab.says(peer, &[Message::Bitfield(Bytes::from_static(&[0x80]))]);
    let id = crate::wire::extended::Extension::DontHave.number();
    let dont_have = |piece: u32| Message::Extended { id, payload: piece.to_be_bytes().to_vec().into() };
    lab.says(peer, &[dont_have(3)]);
    assert!(lab.is_open(peer));
    assert!(sent(&lab.says(peer, &[dont_have(0)]), peer).contains(&Message::NotInterested));
    lab.says(peer, &[dont_have(4)]);
    assert!(lab.is_breach(peer));
}

#[test]
fn p28_upload_only_lies_change_nothing() {
    let layout = layout(4, 4);
    let mut lab = Lab::seed(&layout);
    let peer = lab.connect(1, true, Manner::Silent);
    let liar = Message::Extended { id: 0, payload: Bytes::from_static(b"d11:upload_onlyi1ee") };
    let one = block(&layout, 0, 0);
    let actions = lab.says(peer, &[Message::HaveNone, liar, Message::Interested, Message::Request(one)]);
    assert_eq!(serves(&actions, peer), [one], "it is served like any other");
}

#[test]
fn p29_a_slot_is_given_up_after_60_s_without_bytes_taken() {
    let layout = layout(100, 16);
    let mut lab =
        Lab::with(crate::swarm::SwarmConfig { upload_slots: Some(2), ..config(&layout, Bitfield::full(100), 200) });
    let thieves = [1, 2].map(|number| lab.connect(number, true, Manner::Silent));
    for thief in thieves {
        lab.says(thief, &[Message::HaveNone, Message::Interested, Message::Request(block(&layout, 0, 0))]);
    }
    let honest = lab.connect(3, true, Manner::Silent);
    let mut served = 0;
    lab.says(honest, &[Message::HaveNone, Message::Interested]);
    let mut had_slot = Vec::new();
    for second in 0..200 {
        lab.wait(SECOND);
        let unchoked = lab.swarm.peers(lab.now).iter().any(|peer| peer.connection == honest && !peer.choking);
        if unchoked {
            let one = block(&layout, second % 100, 0);
            let serve = serves(&lab.says(honest, &[Message::Request(one)]), honest);
            served += serve.len();
            lab.feed(Input::Served { connection: honest, blocks: &serve });
        }
        had_slot.push(unchoked);
    }
    assert!(had_slot[140..].iter().all(|had| *had), "both thieves were given their minute");
    assert!(served > 100);
}
