//! How connections begin, live and end; both sides of the fast extension; what the other side may ask.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use riverrun_metainfo::{Bitfield, PieceIndex};

use super::lab::{Lab, Manner, block, handshake, peer_addr, sent, serves};
use super::net::{config, layout};
use crate::limits;
use crate::mse::{Cover, Way};
use crate::swarm::{
    Action, CloseReason, Command, Connected, ConnectionId, DialError, Input, Source, Strategy, SwarmConfig,
};
use crate::wire::extended::{ExtendedHandshake, Extension};
use crate::wire::{Handshake, Message, PeerId, Reserved};

const SECOND: Duration = Duration::from_secs(1);

/// The first messages to a peer that speaks these extensions.
fn first_messages(have: Bitfield, fast: bool, extended: bool) -> Vec<Message> {
    greeting_of(Lab::new(&layout(10, 4), have), fast, extended)
}

fn greeting_of(mut lab: Lab, fast: bool, extended: bool) -> Vec<Message> {
    let reserved = Reserved([0, 0, 0, 0, 0, if extended { 0x10 } else { 0 }, 0, if fast { 4 } else { 0 }]);
    let handshake = Handshake { reserved, ..handshake(1, fast) };
    let connected =
        Connected { connection: ConnectionId(1), addr: peer_addr(1), incoming: true, handshake, cover: Cover::None };
    sent(&lab.feed(Input::Connected(connected)), ConnectionId(1))
}

#[test]
fn exactly_one_of_three_comes_first_with_the_fast_extension_and_without_it_a_bitfield_unless_it_is_empty() {
    let (none, all) = (Bitfield::empty(10), Bitfield::full(10));
    let mut some = none.clone();
    some.insert(PieceIndex(9));
    let bits = Message::Bitfield(Bytes::from_static(&[0, 0x40]));
    assert_eq!(first_messages(none.clone(), true, false), [Message::HaveNone]);
    assert_eq!(first_messages(some.clone(), true, false), std::slice::from_ref(&bits));
    assert_eq!(first_messages(all.clone(), true, false), [Message::HaveAll]);
    assert_eq!(first_messages(none, false, false), []);
    assert_eq!(first_messages(some, false, false), [bits]);
    assert_eq!(first_messages(all, false, false), [Message::Bitfield(Bytes::from_static(&[0xff, 0xc0]))]);
}

#[test]
fn our_extended_handshake_says_what_we_take() {
    for (have, upload_only) in [(Bitfield::empty(10), false), (Bitfield::full(10), true)] {
        let config = SwarmConfig { peer_id: PeerId::ours([1; 12]), ..config(&layout(10, 4), have, 200) };
        let hello = hello_in(&greeting_of(Lab::with(config), true, true));
        assert_eq!(hello.reqq, Some(4000));
        assert_eq!(hello.listen_port, Some(6881));
        assert_eq!(hello.upload_only, Some(upload_only));
        assert_eq!(hello.your_ip, Some(peer_addr(1).ip()));
        assert!(hello.client.is_some_and(|client| client.starts_with("riverrun ")));
        let spoken: Vec<_> = hello.extensions.iter().map(|(extension, _)| *extension).collect();
        assert_eq!(
            spoken,
            [Extension::DontHave, Extension::UploadOnly, Extension::Metadata],
            "nothing that is not served"
        );
    }
}

#[test]
fn a_swarm_whose_id_names_no_program_says_nothing_of_it_either() {
    let hello = hello_in(&first_messages(Bitfield::empty(10), true, true));
    assert_eq!((hello.client, hello.your_ip), (None, None));
    assert_eq!(hello.reqq, Some(4000), "what peers must know to exchange is told");
}

fn hello_in(messages: &[Message]) -> ExtendedHandshake {
    let Some(Message::Extended { id: 0, payload }) = messages.get(1) else { panic!("{messages:?}") };
    ExtendedHandshake::parse(payload).expect("our own")
}

#[test]
fn what_a_peer_accepts_is_never_passed() {
    let mut lab = Lab::leech(&layout(100, 16));
    let peer = lab.connect(1, true, Manner::Honest(3));
    let hello = ExtendedHandshake { reqq: Some(5), ..ExtendedHandshake::default() };
    let hello = Message::Extended { id: 0, payload: hello.to_bytes().into() };
    lab.says(peer, &[Message::HaveAll, hello, Message::Unchoke]);
    for _ in 0..100 {
        assert!(lab.asked(peer).len() <= 5);
        lab.wait(SECOND / 50);
    }
    assert!(lab.swarm.status(lab.now).down_bytes > 100 * 16_384);
}

/// Connects as the other side of `number`, in the given direction; gives why it was closed.
fn meet(lab: &mut Lab, connection: u64, number: u8, incoming: bool) -> Option<CloseReason> {
    let connection = ConnectionId(connection);
    let mut addr = peer_addr(number);
    if incoming {
        addr.set_port(50_000 + u16::try_from(connection.0).expect("a small number"));
    }
    let handshake = handshake(number, true);
    lab.feed(Input::Connected(Connected { connection, addr, incoming, handshake, cover: Cover::None }));
    lab.close_reason(connection)
}

#[test]
fn of_two_connections_dialled_at_once_the_one_of_the_higher_id_stays() {
    // Our id is all 200.
    for (number, ours_stays) in [(100, true), (250, false)] {
        for ours_first in [true, false] {
            let mut lab = Lab::leech(&layout(10, 4));
            assert_eq!(meet(&mut lab, 1, number, !ours_first), None);
            lab.now += SECOND / 10;
            meet(&mut lab, 2, number, ours_first);
            let (ours, theirs) = if ours_first { (1, 2) } else { (2, 1) };
            let gone = if ours_stays { theirs } else { ours };
            assert_eq!(lab.close_reason(ConnectionId(gone)), Some(CloseReason::Duplicate));
            assert!(lab.is_open(ConnectionId(ours + theirs - gone)));
        }
    }
}

#[test]
fn a_second_connection_is_refused_unless_the_first_is_dead() {
    for incoming in [true, false] {
        let mut lab = Lab::leech(&layout(10, 4));
        assert_eq!(meet(&mut lab, 1, 5, incoming), None);
        lab.wait(30 * SECOND);
        assert_eq!(meet(&mut lab, 2, 5, incoming), Some(CloseReason::Duplicate));
        assert_eq!(meet(&mut lab, 3, 5, !incoming), Some(CloseReason::Duplicate), "not at once");
        lab.wait(40 * SECOND);
        assert_eq!(meet(&mut lab, 4, 5, incoming), None, "the first said nothing for a minute");
        assert_eq!(lab.close_reason(ConnectionId(1)), Some(CloseReason::Duplicate));
    }
}

#[test]
fn too_many_are_refused_and_the_useless_give_way_after_a_minute() {
    let layout = layout(100, 4);
    let mut lab = Lab::with(SwarmConfig { max_connections: 2, ..config(&layout, Bitfield::empty(100), 200) });
    let useful = lab.connect_seed(1, true, Manner::Drip(SECOND));
    let useless = lab.connect(2, true, Manner::Silent);
    let refused = lab.connect(3, true, Manner::Silent);
    assert_eq!(lab.close_reason(refused), Some(CloseReason::TooMany));
    lab.wait(61 * SECOND);
    let next = lab.connect(4, true, Manner::Silent);
    assert!(lab.is_open(next) && lab.is_open(useful));
    assert_eq!(lab.close_reason(useless), Some(CloseReason::TooMany));
}

#[test]
fn fewer_connections_end_the_useless_then_the_youngest() {
    let mut lab = Lab::leech(&layout(100, 16));
    let old = lab.connect_seed(1, true, Manner::Silent);
    lab.wait(SECOND);
    let young = lab.connect_seed(2, true, Manner::Silent);
    let useless = lab.connect(3, true, Manner::Silent);
    lab.feed(Input::Command(Command::SetMaxConnections(2)));
    assert!(lab.is_open(old) && lab.is_open(young) && !lab.is_open(useless));
    lab.feed(Input::Command(Command::SetMaxConnections(1)));
    assert!(lab.is_open(old) && !lab.is_open(young));
}

#[test]
fn a_paused_swarm_takes_no_connection() {
    let mut lab = Lab::leech(&layout(10, 4));
    lab.feed(Input::Command(Command::Pause));
    let peer = lab.connect(1, true, Manner::Silent);
    assert_eq!(lab.close_reason(peer), Some(CloseReason::Stopped));
    let dials = lab.feed(Input::Candidates { source: Source::Tracker, addrs: &[peer_addr(2)] });
    assert_eq!(dials, []);
    assert_eq!(lab.feed(Input::Command(Command::Resume))[0], Action::Dial { addr: peer_addr(2), ways: &[Way::Plain] });
}

#[test]
fn silence_is_broken_by_keep_alives_and_ends_after_160_s() {
    let mut lab = Lab::seed(&layout(10, 4));
    let peer = lab.connect(1, true, Manner::Silent);
    lab.says(peer, &[Message::HaveNone]);
    lab.wait(limits::KEEP_ALIVE_INTERVAL + 2 * SECOND);
    assert_eq!(sent(&lab.done, peer).iter().filter(|message| **message == Message::KeepAlive).count(), 1);
    lab.says(peer, &[Message::KeepAlive]);
    lab.wait(limits::IDLE_TIMEOUT - 2 * SECOND);
    assert!(lab.is_open(peer), "it spoke");
    lab.wait(4 * SECOND);
    assert_eq!(lab.close_reason(peer), Some(CloseReason::Idle));
}

#[test]
fn more_peers_are_asked_for_once_a_minute_while_there_are_few() {
    let asks = |lab: &Lab| lab.done.iter().filter(|action| **action == Action::NeedPeers).count();
    let mut lab = Lab::leech(&layout(10, 4));
    lab.feed(Input::Candidates { source: Source::Tracker, addrs: &[] });
    assert_eq!(asks(&lab), 1);
    lab.wait(59 * SECOND);
    assert_eq!(asks(&lab), 1);
    lab.wait(2 * SECOND);
    assert_eq!(asks(&lab), 2);
    let mut lab = Lab::seed(&layout(10, 4));
    lab.feed(Input::Candidates { source: Source::Tracker, addrs: &[] });
    lab.wait(120 * SECOND);
    assert_eq!(asks(&lab), 0, "a seed waits to be found");
}

#[test]
fn who_wants_more_dials_those_who_went_and_asks_for_peers_at_once() {
    let asks = |actions: &[Action]| actions.iter().filter(|action| **action == Action::NeedPeers).count();
    // More than the few of which a lonely swarm dials each again within seconds; and one.
    for (candidates, asked) in [(12, 0), (1, 1)] {
        let mut lab = Lab::leech(&layout(10, 4));
        let mut some = Bitfield::empty(10);
        some.insert(PieceIndex(3));
        lab.feed(Input::Command(Command::SetPriorities(some.into())));
        let addrs: Vec<_> = (1..=candidates).map(peer_addr).collect();
        lab.feed(Input::Candidates { source: Source::Tracker, addrs: &addrs });
        for addr in &addrs[1..] {
            lab.feed(Input::DialFailed { addr: *addr, error: DialError::Refused });
        }
        let (addr, connection, handshake) = (addrs[0], ConnectionId(1), handshake(1, true));
        let connected = Connected { connection, addr, incoming: false, handshake, cover: Cover::None };
        lab.connect_as(1, connected, Manner::Honest(50));
        lab.says(connection, &[Message::HaveAll, Message::Unchoke]);
        lab.until(SECOND, |lab| lab.swarm.left_bytes() == 0);
        assert_eq!(asks(&lab.done), 1, "it has just asked");
        // Some programs let go of who needs nothing.
        lab.feed(Input::Closed { connection, reason: CloseReason::Eof });
        lab.done.clear();
        lab.wait(SECOND);
        let restless = |action: &Action| matches!(action, Action::Dial { .. } | Action::NeedPeers);
        assert!(!lab.done.iter().any(restless), "{:?}", lab.done);
        let actions = lab.feed(Input::Command(Command::SetPriorities(Bitfield::full(10).into())));
        assert!(actions.contains(&Action::Dial { addr, ways: &[Way::Plain] }), "{candidates}: {actions:?}");
        assert_eq!(asks(&actions), asked, "{candidates}");
    }
}

#[test]
fn a_banned_address_is_neither_accepted_nor_dialled() {
    let layout = layout(2, 4);
    let mut lab = Lab::leech(&layout);
    lab.disk = false;
    let liar = lab.connect_seed(1, true, Manner::Honest(50));
    lab.wait(SECOND / 10);
    let corrupt = crate::swarm::DiskDone::Corrupt { piece: PieceIndex(0), digests: vec![1; 4] };
    lab.feed(Input::Disk(corrupt));
    assert_eq!(lab.close_reason(liar), Some(CloseReason::Banned));
    let mut other_port = peer_addr(1);
    other_port.set_port(1);
    let actions = lab.feed(Input::Candidates { source: Source::Tracker, addrs: &[peer_addr(1), other_port] });
    assert!(!actions.iter().any(|action| matches!(action, Action::Dial { .. })), "{actions:?}");
    let connection = ConnectionId(77);
    let handshake = Handshake { peer_id: PeerId([99; 20]), ..handshake(1, true) };
    lab.feed(Input::Connected(Connected {
        connection,
        addr: other_port,
        incoming: true,
        handshake,
        cover: Cover::None,
    }));
    assert_eq!(lab.close_reason(connection), Some(CloseReason::Banned));
}

#[test]
fn a_beginner_is_served_its_allowed_fast_pieces_while_choked_and_others_are_rejected() {
    let layout = layout(200, 4);
    // The seed of a crowd allows none until each piece is had by others.
    let strategy = Strategy { first_copy: false, ..Strategy::default() };
    let full = config(&layout, Bitfield::full(200), 200);
    let mut lab = Lab::with(SwarmConfig { strategy, upload_slots: Some(0), ..full });
    let peer = lab.connect(1, true, Manner::Silent);
    let actions = lab.says(peer, &[Message::HaveNone, Message::Interested]);
    let allowed: Vec<u32> = sent(&actions, peer)
        .into_iter()
        .filter_map(|message| match message {
            Message::AllowedFast(piece) => Some(piece.0),
            _ => None,
        })
        .collect();
    assert_eq!(allowed.len(), limits::MAX_ALLOWED_FAST);
    let one = block(&layout, allowed[3], 1);
    assert_eq!(serves(&lab.says(peer, &[Message::Request(one)]), peer), [one]);
    let other = (0..200).find(|piece| !allowed.contains(piece)).expect("some");
    let other = block(&layout, other, 0);
    assert_eq!(sent(&lab.says(peer, &[Message::Request(other)]), peer), [Message::Reject(other)]);
    // With more than ten pieces it is no beginner any more.
    let haves: Vec<_> = (0..11).map(|piece| Message::Have(PieceIndex(piece))).collect();
    lab.says(peer, &haves);
    assert_eq!(sent(&lab.says(peer, &[Message::Request(one)]), peer), [Message::Reject(one)]);
}

#[test]
fn peers_that_are_ahead_or_live_in_ipv6_get_no_allowed_fast_set() {
    let is_allowed = |message: &Message| matches!(message, Message::AllowedFast(_));
    let layout = layout(200, 4);
    let mut lab = Lab::seed(&layout);
    let ahead = lab.connect(1, true, Manner::Silent);
    let mut many = Bitfield::empty(200);
    (0..50).for_each(|piece| assert!(many.insert(PieceIndex(piece))));
    let actions = lab.says(ahead, &[Message::Bitfield(many.to_wire().into())]);
    assert!(!sent(&actions, ahead).iter().any(is_allowed));
    let connection = ConnectionId(9);
    let addr = "[2001:db8::9]:40000".parse().expect("an address");
    lab.feed(Input::Connected(Connected {
        connection,
        addr,
        incoming: true,
        handshake: handshake(9, true),
        cover: Cover::None,
    }));
    assert!(!sent(&lab.says(connection, &[Message::HaveNone]), connection).iter().any(is_allowed));
}

#[test]
fn a_suggested_piece_is_begun_first() {
    let mut lab = Lab::leech(&layout(200, 64));
    let peer = lab.connect(1, true, Manner::Silent);
    lab.says(peer, &[Message::HaveAll, Message::Suggest(PieceIndex(123)), Message::Unchoke]);
    assert!(lab.asked(peer).iter().all(|block| block.piece == PieceIndex(123)));
}

#[test]
fn a_choke_comes_before_the_rejects_of_what_waits_and_says_it_all_without_the_fast_extension() {
    let layout = layout(100, 64);
    for fast in [true, false] {
        let mut lab = Lab::with(SwarmConfig { upload_slots: Some(1), ..config(&layout, Bitfield::full(100), 200) });
        let peer = lab.connect(1, fast, Manner::Silent);
        // It says to have all but one, so that it is neither a beginner nor a seed.
        let mut bits = Bitfield::full(100);
        bits.remove(PieceIndex(7));
        lab.says(peer, &[Message::Bitfield(bits.to_wire().into()), Message::Interested]);
        let asked: Vec<_> = (0..60).map(|number| block(&layout, 7, number)).collect();
        lab.says(peer, &asked.iter().map(|block| Message::Request(*block)).collect::<Vec<_>>());
        let under_way = serves(&lab.done, peer);
        let other = lab.connect(2, fast, Manner::Silent);
        lab.says(other, &[Message::Bitfield(bits.to_wire().into()), Message::Interested]);
        // The first takes nothing and loses its slot.
        lab.wait(100 * SECOND);
        let said = sent(&lab.done, peer);
        let choke = said.iter().position(|message| *message == Message::Choke).expect("it is choked");
        let rejects: Vec<_> = asked[under_way.len()..].iter().map(|block| Message::Reject(*block)).collect();
        let after: Vec<_> = said[choke + 1..].iter().take(rejects.len()).cloned().collect();
        assert_eq!(after, if fast { rejects } else { said[choke + 1..].to_vec() });
        assert!(fast || !said.iter().any(|message| matches!(message, Message::Reject(_))));
    }
}

#[test]
fn a_cancel_is_answered_by_one_reject_if_the_block_still_waits() {
    let layout = layout(10, 64);
    let mut lab = Lab::seed(&layout);
    let peer = lab.connect(1, true, Manner::Silent);
    lab.says(peer, &[Message::HaveNone, Message::Interested]);
    let asked: Vec<_> = (0..30).map(|number| block(&layout, 3, number)).collect();
    let actions = lab.says(peer, &asked.iter().map(|block| Message::Request(*block)).collect::<Vec<_>>());
    let under_way = serves(&actions, peer);
    assert!(under_way.len() < 30);
    let waits = asked[29];
    assert_eq!(sent(&lab.says(peer, &[Message::Cancel(waits)]), peer), [Message::Reject(waits)]);
    assert_eq!(sent(&lab.says(peer, &[Message::Cancel(waits), Message::Cancel(under_way[0])]), peer), []);
    let failed = lab.feed(Input::ServeFailed { connection: peer, block: under_way[0] });
    assert_eq!(sent(&failed, peer), [Message::Reject(under_way[0])], "it could not be read");
}

#[test]
fn blocks_asked_of_two_at_the_end_are_cancelled_at_the_slower() {
    for fast in [true, false] {
        let layout = layout(1, 20);
        let mut lab = Lab::leech(&layout);
        let slow = lab.connect_seed(1, fast, Manner::Silent);
        assert_eq!(lab.asked(slow).len(), 20);
        lab.connect_seed(2, fast, Manner::Honest(100));
        let took = lab.until_complete(10 * SECOND);
        assert!(took < 3 * SECOND, "{took:?}");
        let cancels = sent(&lab.done, slow).iter().filter(|message| matches!(message, Message::Cancel(_))).count();
        assert_eq!(cancels, 20);
    }
}

#[test]
fn an_incoming_peer_that_tells_its_port_is_dialled_after_it_went() {
    let mut lab = Lab::leech(&layout(10, 4));
    let peer = lab.connect(1, true, Manner::Silent);
    let hello = ExtendedHandshake { listen_port: Some(5555), ..ExtendedHandshake::default() };
    lab.says(peer, &[Message::HaveNone, Message::Extended { id: 0, payload: hello.to_bytes().into() }]);
    assert_eq!(lab.swarm.status(lab.now).candidates, 1);
    lab.feed(Input::Closed { connection: peer, reason: CloseReason::Eof });
    lab.wait(61 * SECOND);
    let mut addr = peer_addr(1);
    addr.set_port(5555);
    assert!(lab.done.contains(&Action::Dial { addr, ways: &[Way::Plain] }));
}

#[test]
fn p19_many_connections_of_one_address_keep_nobody_out() {
    let mut lab = Lab::with(SwarmConfig { max_connections: 20, ..config(&layout(100, 16), Bitfield::empty(100), 200) });
    let join = |lab: &mut Lab, number: u8, ip: [u8; 4]| {
        let addr = SocketAddr::from((ip, 2000 + u16::from(number)));
        let (connection, handshake) = (ConnectionId(number.into()), handshake(number, true));
        let connected = Connected { connection, addr, incoming: true, handshake, cover: Cover::None };
        let connection = lab.connect_as(number, connected, Manner::Silent);
        lab.says(connection, &[Message::HaveAll, Message::Unchoke, Message::Interested]);
        connection
    };
    let crowd: Vec<_> = (1..=20).map(|number| join(&mut lab, number, [10, 1, 1, 1])).collect();
    assert!(crowd.iter().all(|member| lab.is_open(*member)));
    let late = join(&mut lab, 21, [10, 1, 1, 1]);
    assert_eq!(lab.close_reason(late), Some(CloseReason::TooMany), "its own party has enough");
    let others: Vec<_> = (0..18).map(|number| join(&mut lab, 30 + number, [10, 1, 2, number])).collect();
    assert!(others.iter().all(|other| lab.is_open(*other)));
    assert_eq!(crowd.iter().filter(|member| lab.is_open(**member)).count(), 2, "two behind one address are no crowd");
    let more = join(&mut lab, 60, [10, 1, 3, 1]);
    assert_eq!(lab.close_reason(more), Some(CloseReason::TooMany));
}

#[test]
fn p19_many_on_one_machine_are_no_crowd() {
    let mut lab = Lab::with(SwarmConfig { max_connections: 4, ..config(&layout(100, 16), Bitfield::empty(100), 200) });
    for number in 1..=5 {
        let addr = SocketAddr::from(([127, 0, 0, number / 5 + 1], 2000 + u16::from(number)));
        let (connection, handshake) = (ConnectionId(number.into()), handshake(number, true));
        let connected = Connected { connection, addr, incoming: true, handshake, cover: Cover::None };
        lab.connect_as(number, connected, Manner::Silent);
    }
    assert_eq!(lab.close_reason(ConnectionId(5)), Some(CloseReason::TooMany));
    assert!((1..5).all(|number| lab.is_open(ConnectionId(number))));
}
