//! Peer exchange (BEP 11), both ways.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use riverrun_metainfo::Bitfield;

use super::lab::{Lab, sent};
use super::net::{HASHES, Net, config, layout};
use crate::limits;
use crate::mse::Cover;
use crate::swarm::{Action, CloseReason, Connected, ConnectionId, Input, Source, SwarmConfig};
use crate::wire::extended::{
    ExtendedHandshake, ExtendedMessage, Extension, ExtensionIds, PexContact, PexFlags, PexMessage,
};
use crate::wire::{Handshake, Message, PeerId, Reserved};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A swarm with room for many.
fn lab(private: bool, pex: bool) -> Lab {
    let layout = layout(10, 4);
    let config = config(&layout, Bitfield::empty(10), 200);
    Lab::with(SwarmConfig { private, pex, max_connections: 1000, ..config })
}

fn addr(number: u16) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    SocketAddr::from(([10, 8, high, low], 7000))
}

fn said(handshake: &ExtendedHandshake) -> Message {
    Message::Extended { id: 0, payload: handshake.to_bytes().into() }
}

/// A peer dials us; `port`: it says where it listens.
fn joins(lab: &mut Lab, number: u16, port: Option<u16>) -> ConnectionId {
    joins_from(lab, number, SocketAddr::new(addr(number).ip(), 50_000), port)
}

fn joins_from(lab: &mut Lab, number: u16, from: SocketAddr, port: Option<u16>) -> ConnectionId {
    let connection = ConnectionId(u64::from(number) + 1_000_000 * u64::from(from.port() != 50_000));
    let mut peer_id = [0; 20];
    peer_id[..2].copy_from_slice(&number.to_be_bytes());
    let reserved = Reserved([0, 0, 0, 0, 0, 0x10, 0, 4]);
    let handshake = Handshake { reserved, info_hash: HASHES.wire(), peer_id: PeerId(peer_id) };
    lab.feed(Input::Connected(Connected { connection, addr: from, incoming: true, handshake, cover: Cover::None }));
    let extensions = Extension::ALL.map(|extension| (extension, extension.number())).to_vec();
    let hello = ExtendedHandshake { extensions, listen_port: port, ..ExtendedHandshake::default() };
    lab.says(connection, &[Message::HaveNone, said(&hello)]);
    connection
}

fn leaves(lab: &mut Lab, connection: ConnectionId) {
    lab.feed(Input::Closed { connection, reason: CloseReason::Eof });
}

/// The messages of peer exchange among some.
fn exchanged(messages: &[Message]) -> Vec<PexMessage> {
    let parsed = messages.iter().filter_map(|message| match message {
        Message::Extended { id, payload } => ExtendedMessage::parse(*id, payload).expect("well formed"),
        _ => None,
    });
    parsed.filter_map(|message| if let ExtendedMessage::Pex(pex) = message { Some(pex) } else { None }).collect()
}

/// All peer exchange to one peer so far.
fn told(lab: &Lab, to: ConnectionId) -> Vec<PexMessage> {
    exchanged(&sent(&lab.done, to))
}

fn tells(lab: &mut Lab, from: ConnectionId, added: &[SocketAddr]) -> Vec<Action> {
    tells_with(lab, from, added, PexFlags(0))
}

fn tells_with(lab: &mut Lab, from: ConnectionId, added: &[SocketAddr], flags: PexFlags) -> Vec<Action> {
    let added: Vec<_> = added.iter().map(|addr| PexContact { addr: *addr, flags }).collect();
    let message = ExtendedMessage::Pex(PexMessage { listed: added.len(), added, dropped: Vec::new() });
    let message = message.to_message(&ExtensionIds::ours(Extension::ALL)).expect("ours");
    lab.says(from, &[message])
}

fn dials(actions: &[Action]) -> BTreeSet<SocketAddr> {
    let dials =
        actions.iter().filter_map(|action| if let Action::Dial { addr, .. } = action { Some(*addr) } else { None });
    dials.collect()
}

fn known(lab: &Lab) -> usize {
    lab.swarm.status(lab.now).sources.pex
}

/// Passes time in long steps.
fn wait(lab: &mut Lab, time: Duration) {
    let until = lab.now + time;
    while let Some(at) = lab.swarm.next_timeout().filter(|at| *at <= until) {
        lab.now = lab.now.max(at);
        lab.feed(Input::Timeout);
    }
    lab.now = until;
}

#[test]
fn peers_that_know_only_the_seed_find_each_other_by_exchange_alone() {
    let layout = layout(50, 4);
    let mut net = Net::new(&layout);
    let mut add = |have| {
        let number = u8::try_from(net.nodes.len() + 1).expect("a small world");
        net.add_with(SwarmConfig { pex: true, ..config(&layout, have, number) })
    };
    let seed = add(Bitfield::full(50));
    let leeches: Vec<_> = (0..4).map(|_| add(Bitfield::empty(50))).collect();
    net.nodes[seed].rate = 20_000;
    for leech in &leeches {
        net.introduce(*leech, &[seed]);
    }
    net.run(5 * SECOND);
    for leech in leeches {
        let peers = net.nodes[leech].swarm.peers(net.now);
        assert_eq!(peers.len(), 4, "everyone is connected to everyone");
        let sources = net.nodes[leech].swarm.status(net.now).sources;
        assert!(sources.pex + sources.incoming == 3 && sources.tracker == 1, "{sources:?}");
    }
}

#[test]
fn p22_a_private_torrent_neither_names_sends_nor_takes_peer_exchange() {
    for (private, pex) in [(true, true), (false, false)] {
        let mut lab = lab(private, pex);
        let peers: Vec<_> = (1..5).map(|number| joins(&mut lab, number, Some(7000))).collect();
        assert!(dials(&tells(&mut lab, peers[0], &[addr(99)])).is_empty());
        wait(&mut lab, 2 * MINUTE);
        assert_eq!(known(&lab), 0);
        for peer in peers {
            let to_it = sent(&lab.done, peer);
            assert_eq!(exchanged(&to_it), []);
            let hello = to_it.iter().find_map(|message| match message {
                Message::Extended { id: 0, payload } => ExtendedHandshake::parse(payload).ok(),
                _ => None,
            });
            let names = hello.expect("an extended handshake").extensions;
            assert!(!names.is_empty() && names.iter().all(|(extension, _)| *extension != Extension::Pex));
            assert!(lab.is_open(peer));
        }
    }
}

#[test]
fn bep_27_no_source_but_trackers_and_the_user_brings_candidates() {
    let sources = [
        (Source::User, true),
        (Source::Tracker, true),
        (Source::Dht, false),
        (Source::Pex, false),
        (Source::Lsd, false),
        (Source::Resume, false),
    ];
    for (source, welcome) in sources {
        let mut lab = lab(true, true);
        let actions = lab.feed(Input::Candidates { source, addrs: &[addr(1)] });
        assert_eq!(!dials(&actions).is_empty(), welcome, "{source:?}");
        assert_eq!(lab.swarm.status(lab.now).candidates == 1, welcome, "{source:?}");
    }
}

#[test]
fn only_addresses_that_listen_are_told_and_with_the_flags_of_their_peers() {
    let mut lab = lab(false, true);
    let observer = joins(&mut lab, 1, None);
    joins(&mut lab, 2, None);
    joins(&mut lab, 3, Some(7000));
    let seed = joins(&mut lab, 4, Some(7000));
    lab.says(seed, &(0..10).map(|piece| Message::Have(riverrun_metainfo::PieceIndex(piece))).collect::<Vec<_>>());
    let hello = ExtendedHandshake { prefers_encryption: Some(true), ..ExtendedHandshake::default() };
    lab.says(seed, &[said(&hello)]);
    let dialled = addr(5);
    lab.feed(Input::Candidates { source: Source::Tracker, addrs: &[dialled] });
    let handshake = Handshake { reserved: Reserved([0; 8]), info_hash: HASHES.wire(), peer_id: PeerId([5; 20]) };
    let connection = ConnectionId(5);
    lab.feed(Input::Connected(Connected { connection, addr: dialled, incoming: false, handshake, cover: Cover::None }));
    wait(&mut lab, 2 * SECOND);
    let messages = told(&lab, observer);
    let [message] = &messages[..] else { panic!("{messages:?}") };
    let added: BTreeMap<_, _> = message.added.iter().map(|contact| (contact.addr, contact.flags.0)).collect();
    assert_eq!(added, BTreeMap::from([(addr(3), 0x08), (addr(4), 0x01 | 0x02 | 0x08), (addr(5), 0x10)]));
}

#[test]
fn nobody_is_told_of_addresses_that_are_not_of_his_network_nor_seeds_of_seeds() {
    let mut lab = lab(false, true);
    let far = joins_from(&mut lab, 1, "1.1.1.1:6000".parse().expect("an address"), Some(6000));
    let near = joins(&mut lab, 2, Some(7000));
    let here = joins_from(&mut lab, 3, "127.0.0.1:6000".parse().expect("an address"), Some(6000));
    let [seed, other] = [4, 5].map(|number| joins(&mut lab, number, Some(7000)));
    let done = ExtendedHandshake { upload_only: Some(true), ..ExtendedHandshake::default() };
    [seed, other].into_iter().for_each(|peer| drop(lab.says(peer, &[said(&done)])));
    wait(&mut lab, 2 * SECOND);
    let heard = |peer| -> BTreeSet<_> {
        told(&lab, peer).iter().flat_map(|message| message.added.iter().map(|contact| contact.addr)).collect()
    };
    let [one, two]: [SocketAddr; 2] = ["1.1.1.1:6000", "127.0.0.1:6000"].map(|text| text.parse().expect("an address"));
    assert_eq!(heard(far), BTreeSet::new());
    assert_eq!(heard(near), BTreeSet::from([one, addr(4), addr(5)]));
    assert_eq!(heard(here), BTreeSet::from([one, addr(2), addr(4), addr(5)]));
    assert_eq!(heard(seed), BTreeSet::from([one, addr(2)]));
    assert!(!heard(other).contains(&two));
}

/// What one peer was told, held against the rules.
#[derive(Default)]
struct Listener {
    last: Option<Instant>,
    knows: BTreeSet<SocketAddr>,
    messages: usize,
}

impl Listener {
    fn hear(&mut self, now: Instant, message: &PexMessage) {
        assert!(self.last.is_none_or(|last| now - last >= limits::PEX_INTERVAL), "one a minute");
        let most = if self.last.is_none() { limits::MAX_PEX_FIRST } else { 50 };
        self.last = Some(now);
        self.messages += 1;
        assert!(message.added.len() <= most && message.dropped.len() <= most);
        assert!(message.added.len() + message.dropped.len() > 0, "an empty message");
        for addr in &message.dropped {
            assert!(self.knows.remove(addr), "{addr} dropped that was not told of, or twice");
            assert!(message.added.iter().all(|contact| contact.addr != *addr), "{addr} added and dropped");
        }
        for contact in &message.added {
            assert!(self.knows.insert(contact.addr), "{} told twice", contact.addr);
        }
        assert!(self.knows.len() <= limits::MAX_PEX_TOLD);
    }
}

#[test]
fn what_is_told_keeps_the_rules_while_peers_come_and_go_and_is_true_in_the_end() {
    for seed in 0..4 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut lab = lab(false, true);
        let observers = [joins(&mut lab, 9001, None), joins(&mut lab, 9002, Some(7000))];
        let mut listeners = [Listener::default(), Listener::default()];
        let mut here: BTreeMap<u16, ConnectionId> = BTreeMap::new();
        let most = [150, 400][usize::try_from(seed % 2).expect("small")];
        let mut at = lab.done.len();
        for second in 0..1200 {
            for _ in 0..rng.usize(..8) {
                let number = rng.u16(1..most);
                match here.remove(&number) {
                    Some(connection) if rng.bool() || second > 600 => leaves(&mut lab, connection),
                    Some(connection) => _ = here.insert(number, connection),
                    None if second < 800 => _ = here.insert(number, joins(&mut lab, number, Some(7000))),
                    None => {}
                }
            }
            // Whoever stays is heard of, so that nobody is dropped as silent.
            for connection in here.values().chain(&observers).copied().collect::<Vec<_>>() {
                if second % 100 == 0 {
                    lab.says(connection, &[Message::KeepAlive]);
                }
            }
            wait(&mut lab, SECOND);
            for (observer, listener) in observers.iter().zip(&mut listeners) {
                exchanged(&sent(&lab.done[at..], *observer)).iter().for_each(|message| listener.hear(lab.now, message));
            }
            at = lab.done.len();
        }
        for minute in 0..8 {
            for connection in here.values().chain(&observers).copied().collect::<Vec<_>>() {
                lab.says(connection, &[Message::KeepAlive]);
            }
            wait(&mut lab, MINUTE);
            for (observer, listener) in observers.iter().zip(&mut listeners) {
                let messages = exchanged(&sent(&lab.done[at..], *observer));
                assert!(messages.is_empty() || minute < 7, "silence when there is nothing new");
                messages.iter().for_each(|message| listener.hear(lab.now, message));
            }
            at = lab.done.len();
        }
        for (number, listener) in listeners.iter().enumerate() {
            let mut truth: BTreeSet<_> = here.keys().map(|number| addr(*number)).collect();
            truth.extend((number == 0).then(|| addr(9002)));
            assert!(truth.len() < limits::MAX_PEX_TOLD, "the story ends with few");
            assert_eq!(listener.knows, truth, "seed {seed}");
            assert!(listener.messages > 15);
        }
    }
}

#[test]
fn p22_messages_too_often_are_not_taken_and_the_third_drops() {
    let mut lab = lab(false, true);
    let peer = joins(&mut lab, 1, None);
    assert_eq!(dials(&tells(&mut lab, peer, &[addr(100)])).len(), 1);
    for number in 101..103 {
        wait(&mut lab, 10 * SECOND);
        assert_eq!(dials(&tells(&mut lab, peer, &[addr(number)])).len(), 0);
        assert!(lab.is_open(peer));
    }
    tells(&mut lab, peer, &[addr(103)]);
    assert!(lab.is_breach(peer));
    let honest = joins(&mut lab, 2, None);
    for number in 110..130 {
        tells(&mut lab, honest, &[addr(number)]);
        wait(&mut lab, 55 * SECOND);
    }
    assert!(lab.is_open(honest));
    assert_eq!(known(&lab), 21);
}

#[test]
fn p22_of_long_messages_the_beginning_is_taken_and_the_third_over_200_drops() {
    let mut lab = lab(false, true);
    let peer = joins(&mut lab, 1, None);
    let many: Vec<_> = (1000..1190).map(addr).collect();
    tells(&mut lab, peer, &many);
    assert_eq!(known(&lab), 190, "the first may be long");
    wait(&mut lab, MINUTE);
    let many: Vec<_> = (2000..2100).map(addr).collect();
    tells(&mut lab, peer, &many);
    assert_eq!(known(&lab), 190 + limits::MAX_PEX_TAKEN);
    assert!(lab.is_open(peer), "libtorrent sends 100");
    let many: Vec<_> = (3000..3201).map(addr).collect();
    for open in [true, true, false] {
        wait(&mut lab, MINUTE);
        tells(&mut lab, peer, &many);
        assert_eq!(lab.is_open(peer), open);
    }
}

#[test]
fn p22_one_teller_cannot_fill_the_list_not_even_by_coming_again() {
    let mut lab = lab(false, true);
    for round in 0..20u16 {
        let peer = joins(&mut lab, 1, None);
        let many: Vec<_> = (0..200).map(|number| addr(1000 + 200 * round + number)).collect();
        tells(&mut lab, peer, &many);
        leaves(&mut lab, peer);
    }
    assert_eq!(known(&lab), limits::MAX_CANDIDATES_PER_TELLER);
    let other = joins(&mut lab, 2, None);
    tells(&mut lab, other, &[addr(9000)]);
    assert_eq!(known(&lab), limits::MAX_CANDIDATES_PER_TELLER + 1);
}

#[test]
fn p22_addresses_that_are_no_peers_or_none_of_the_tellers_business_are_not_taken() {
    let far = "8.8.8.8:6000".parse().expect("an address");
    let bad = [
        "1.2.3.4:0",
        "0.0.0.0:80",
        "224.0.0.1:80",
        "240.0.0.1:80",
        "255.255.255.255:80",
        "[ff02::1]:80",
        "[::]:80",
        "[fe80::1]:80",
        "127.0.0.1:80",
        "[::1]:80",
        "192.168.1.1:80",
        "10.0.0.1:22",
        "[fd00::1]:80",
        "[::ffff:10.0.0.1]:22",
    ];
    let mut lab = lab(false, true);
    let peer = joins_from(&mut lab, 1, far, None);
    let mut all = bad.map(|text| text.parse().expect("an address")).to_vec();
    assert_eq!(dials(&tells(&mut lab, peer, &all)).len(), 0);
    assert_eq!(known(&lab), 0);
    all = (1..100).map(|port| SocketAddr::from(([1, 2, 3, 4], 1000 + port))).collect();
    wait(&mut lab, MINUTE);
    tells(&mut lab, peer, &all);
    assert_eq!(known(&lab), 1, "one port of a far address");
}

#[test]
fn p22_our_own_address_is_dialled_once_at_most() {
    let mut lab = lab(false, true);
    let peer = joins(&mut lab, 1, None);
    let own = addr(77);
    assert!(dials(&tells(&mut lab, peer, &[own])).contains(&own));
    let handshake = Handshake { reserved: Reserved([0; 8]), info_hash: HASHES.wire(), peer_id: PeerId([200; 20]) };
    let connection = ConnectionId(77);
    lab.feed(Input::Connected(Connected { connection, addr: own, incoming: false, handshake, cover: Cover::None }));
    assert_eq!(lab.close_reason(connection), Some(CloseReason::Myself));
    wait(&mut lab, MINUTE);
    assert!(dials(&tells(&mut lab, peer, &[own])).is_empty());
    assert_eq!(known(&lab), 0);
}

#[test]
fn a_told_seed_is_not_dialled_by_one_who_has_everything() {
    let layout = layout(10, 4);
    let config = SwarmConfig { pex: true, ..config(&layout, Bitfield::full(10), 200) };
    let mut lab = Lab::with(config);
    let peer = joins(&mut lab, 1, None);
    assert!(dials(&tells_with(&mut lab, peer, &[addr(2)], PexFlags::SEED)).is_empty());
    wait(&mut lab, MINUTE);
    assert!(!dials(&tells(&mut lab, peer, &[addr(3)])).is_empty());
}

#[test]
fn what_a_better_source_names_too_is_of_that_source() {
    let mut lab = lab(false, true);
    let peer = joins(&mut lab, 1, None);
    tells(&mut lab, peer, &[addr(2), addr(3)]);
    lab.feed(Input::Candidates { source: Source::Tracker, addrs: &[addr(2)] });
    lab.feed(Input::Candidates { source: Source::Lsd, addrs: &[addr(2)] });
    lab.feed(Input::Candidates { source: Source::Dht, addrs: &[addr(2)] });
    let sources = lab.swarm.status(lab.now).sources;
    assert_eq!((sources.pex, sources.lsd, sources.tracker, sources.dht), (1, 1, 0, 0));
}

#[test]
fn p22_exchange_stays_cheap_with_a_thousand_connections() {
    let mut lab = lab(false, true);
    for number in 0..1000 {
        joins(&mut lab, number, Some(7000));
    }
    wait(&mut lab, MINUTE);
    let told = lab.swarm.peers.values().map(|peer| peer.exchange.memory()).max();
    assert!(told.is_some_and(|bytes| bytes <= 4 * 256), "{told:?} bytes for one peer");
    let sends = lab.done.iter().filter(|action| matches!(action, Action::Send { message: Message::Extended { id, .. }, .. } if *id == Extension::Pex.number()));
    assert!((1000..=2000).contains(&sends.count()), "one or two messages to each in a minute");
}
