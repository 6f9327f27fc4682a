//! Swarms that begin with nothing but a hash: metadata from peers (BEP 9), and liars among them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use riverrun_metainfo::{BLOCK_LENGTH, Bitfield, Block, Layout, PieceIndex};

use super::birth;
use super::lab::{handshake, peer_addr};
use super::net::{HASHES, Net, layout};
use crate::limits;
use crate::mse::Cover;
use crate::swarm::{
    Action, Blame, CloseReason, Connected, ConnectionId, Content, Event, Input, Judgement, Source, Swarm, SwarmConfig,
};
use crate::wire::extended::{ExtendedHandshake, ExtendedMessage, Extension, ExtensionIds, MetadataMessage};
use crate::wire::{Message, PeerId};

/// Metadata of some length; the last piece is a short one.
fn metadata(pieces: u32) -> Bytes {
    (0..pieces * BLOCK_LENGTH - 1000).map(|at| u8::try_from(at * 31 % 251).expect("a byte")).collect()
}

#[test]
fn a_magnet_becomes_a_download() {
    for (seeds, blocks) in [(1, 1), (1, 19), (4, 19)] {
        let layout = layout(20, 4);
        let mut net = Net::new(&layout);
        net.metadata = metadata(blocks);
        (0..seeds).for_each(|_| _ = net.seed());
        let magnet = net.add_magnet();
        net.introduce_all();
        let took = net.run_until(Duration::from_secs(60), |net| net.is_complete(magnet));
        assert!(net.is_complete(magnet) && took < Duration::from_secs(5), "{seeds} seeds, {blocks} blocks: {took:?}");
        let (node, now) = (&net.nodes[magnet], net.now);
        assert!(node.swarm.status(now).metadata.is_none());
        assert!(node.closes.iter().all(|reason| reason.blame() != Blame::Them), "{:?}", node.closes);
    }
}

#[test]
fn what_one_magnet_got_another_gets_of_it() {
    let layout = layout(20, 4);
    let mut net = Net::new(&layout);
    net.metadata = metadata(3);
    let seed = net.seed();
    let (first, second) = (net.add_magnet(), net.add_magnet());
    net.introduce(first, &[seed]);
    net.introduce(second, &[first]);
    net.run_until(Duration::from_secs(300), |net| net.is_complete(second));
    assert!(net.is_complete(second));
}

/// A swarm without metadata among peers that do what the test says.
struct Bench {
    swarm: Swarm,
    at: Duration,
    done: Vec<Action>,
}

impl Bench {
    fn new() -> Self {
        let nothing = SwarmConfig::without_content(HASHES, PeerId([200; 20]), 1);
        let config = SwarmConfig { max_connections: 50, ..nothing };
        Self { swarm: Swarm::gathering(birth(), config), at: Duration::ZERO, done: Vec::new() }
    }

    fn feed(&mut self, input: Input<'_>) -> Vec<Action> {
        self.swarm.handle(birth() + self.at, input);
        let actions: Vec<_> = std::iter::from_fn(|| self.swarm.poll()).collect();
        self.done.extend(actions.iter().cloned());
        actions
    }

    /// Peer `number` connects and claims this size.
    fn claims(&mut self, number: u8, size: i64) -> Vec<Action> {
        let connection = ConnectionId(number.into());
        let connected = Connected {
            connection,
            addr: peer_addr(number),
            incoming: true,
            handshake: handshake(number, true),
            cover: Cover::None,
        };
        self.feed(Input::Connected(connected));
        let payload = format!("d1:md11:ut_metadatai9ee13:metadata_sizei{size}ee");
        self.says(number, &[Message::Extended { id: 0, payload: payload.into() }])
    }

    fn says(&mut self, number: u8, messages: &[Message]) -> Vec<Action> {
        self.feed(Input::Received { connection: ConnectionId(number.into()), messages })
    }

    fn sends(&mut self, number: u8, message: MetadataMessage) -> Vec<Action> {
        let ids = ExtensionIds::ours([Extension::Metadata]);
        let message = ExtendedMessage::Metadata(message).to_message(&ids).expect("we speak it");
        self.says(number, &[message])
    }

    fn gives(&mut self, number: u8, piece: u32, of: &Bytes) -> Vec<Action> {
        let (start, total_size) = (piece as usize * 16384, u32::try_from(of.len()).expect("small"));
        let data = of.slice(start..of.len().min(start + 16384));
        self.sends(number, MetadataMessage::Data { piece, total_size, data })
    }

    /// Answers every request with the pieces that `of` says, until nobody is asked any more.
    fn answer(&mut self, mut actions: Vec<Action>, of: impl Fn(u8) -> Option<Bytes>) -> Vec<Action> {
        let mut all = Vec::new();
        while !actions.is_empty() {
            let asked = asked(&actions);
            all.append(&mut actions);
            for (number, piece) in asked {
                if let Some(metadata) = of(number) {
                    actions.extend(self.gives(number, piece, &metadata));
                }
            }
        }
        all
    }

    fn wait(&mut self, time: Duration) -> Vec<Action> {
        let end = self.at + time;
        let mut actions = Vec::new();
        while let Some(due) = self.swarm.next_timeout().filter(|due| *due <= birth() + end) {
            self.at = self.at.max(due - birth());
            actions.extend(self.feed(Input::Timeout));
        }
        self.at = end;
        actions
    }

    fn begin(&mut self, layout: Arc<Layout>) -> Vec<Action> {
        let have = Bitfield::empty(layout.piece_count());
        let (info_hashes, hashes, priorities) = (HASHES, None, None);
        self.feed(Input::Begin(Content { info_hashes, layout, hashes, have, priorities }))
    }

    fn is_closed(&self, number: u8) -> Option<CloseReason> {
        self.done.iter().find_map(|action| match action {
            Action::Close { connection, reason } if connection.0 == u64::from(number) => Some(reason.clone()),
            _ => None,
        })
    }

    fn banned(&self) -> usize {
        self.done.iter().filter(|action| matches!(action, Action::Event(Event::Banned(_)))).count()
    }
}

/// Who was asked for which piece of the metadata.
fn asked(actions: &[Action]) -> Vec<(u8, u32)> {
    let requests = actions.iter().filter_map(|action| match action {
        Action::Send { connection, message: Message::Extended { id: 9, payload } } => {
            match MetadataMessage::parse(payload) {
                Ok(Some(MetadataMessage::Request { piece })) => Some((u8::try_from(connection.0).ok()?, piece)),
                _ => None,
            }
        }
        _ => None,
    });
    requests.collect()
}

fn judge(actions: &[Action]) -> Option<Bytes> {
    actions.iter().find_map(|action| match action {
        Action::JudgeMetadata { parts } => Some(Bytes::from(parts.concat())),
        _ => None,
    })
}

#[test]
fn p21_a_size_that_cannot_be_is_not_asked_for() {
    let mut bench = Bench::new();
    for (number, size) in [0, -1, i64::from(limits::MAX_METADATA_LENGTH) + 1, 1 << 31, i64::MAX].into_iter().enumerate()
    {
        let actions = bench.claims(u8::try_from(number).expect("few"), size);
        assert_eq!(asked(&actions), [], "{size}");
    }
    assert_eq!(bench.swarm.status(birth()).metadata.map(|metadata| metadata.blocks), Some(0));
    // The largest allowed is asked for piece by piece.
    let actions = bench.claims(99, i64::from(limits::MAX_METADATA_LENGTH));
    assert_eq!(asked(&actions).len(), limits::MAX_METADATA_REQUESTS);
}

#[test]
fn p21_a_lying_size_spoils_nobody_elses() {
    let right = metadata(5);
    let mut bench = Bench::new();
    bench.claims(1, 40_000);
    bench.claims(2, i64::from(limits::MAX_METADATA_LENGTH));
    let actions = bench.claims(3, i64::try_from(right.len()).expect("small"));
    let actions = bench.answer(actions, |number| (number == 3).then(|| right.clone()));
    assert_eq!(judge(&actions), Some(right));
}

#[test]
fn p21_unasked_pieces_and_wrong_lengths_drop() {
    let right = metadata(6);
    let size = i64::try_from(right.len()).expect("small");
    let mut bench = Bench::new();
    bench.claims(1, size);
    bench.gives(1, 5, &right);
    assert!(matches!(bench.is_closed(1), Some(CloseReason::Breach(_))), "the first four were asked for");
    bench.claims(2, size);
    let data = Bytes::from(vec![0; 100]);
    bench.sends(2, MetadataMessage::Data { piece: 0, total_size: 1, data });
    assert!(matches!(bench.is_closed(2), Some(CloseReason::Breach(_))), "a piece of 100 bytes");
    let actions = bench.claims(3, size);
    assert_eq!(judge(&bench.answer(actions, |_| Some(right.clone()))), Some(right));
}

#[test]
fn p21_who_is_silent_or_rejects_holds_nobody_up() {
    let right = metadata(9);
    let size = i64::try_from(right.len()).expect("small");
    let mut bench = Bench::new();
    // Peer 1 says nothing, peer 2 rejects all.
    bench.claims(1, size);
    let rejected = asked(&bench.claims(2, size));
    assert_eq!(rejected.len(), 4);
    for (number, piece) in rejected {
        assert_eq!(number, 2);
        bench.sends(2, MetadataMessage::Reject { piece });
    }
    let mut actions = bench.claims(3, size);
    let mut judged = None;
    while judged.is_none() && bench.at < Duration::from_secs(30) {
        judged = judge(&bench.answer(actions, |number| (number == 3).then(|| right.clone())));
        actions = bench.wait(Duration::from_secs(1));
    }
    assert_eq!(judged, Some(right));
    assert!(bench.at <= Duration::from_secs(5), "{:?}", bench.at);
    assert_eq!((bench.is_closed(1), bench.is_closed(2)), (None, None), "silence is no crime");
}

#[test]
fn p21_a_lone_liar_is_banned_at_once() {
    let (right, mut wrong) = (metadata(3), metadata(3).to_vec());
    wrong[20_000] ^= 1;
    let size = i64::try_from(right.len()).expect("small");
    let mut bench = Bench::new();
    let actions = bench.claims(1, size);
    assert_eq!(judge(&bench.answer(actions, |_| Some(wrong.clone().into()))), Some(wrong.clone().into()));
    bench.feed(Input::Metadata(Judgement::Wrong));
    assert_eq!((bench.is_closed(1), bench.banned()), (Some(CloseReason::Banned), 1));
    let actions = bench.claims(2, size);
    assert_eq!(judge(&bench.answer(actions, |_| Some(right.clone()))), Some(right));
}

#[test]
fn p21_after_a_failure_one_peer_alone_is_asked_and_the_liar_found() {
    let (right, mut wrong) = (metadata(12), metadata(12).to_vec());
    wrong.iter_mut().for_each(|byte| *byte ^= 1);
    let wrong = Bytes::from(wrong);
    let size = i64::try_from(right.len()).expect("small");
    let sends = |number| Some(if number == 2 { wrong.clone() } else { right.clone() });
    let mut bench = Bench::new();
    let mut actions: Vec<_> = (1..=3).flat_map(|number| bench.claims(number, size)).collect();
    let mut tries = 0;
    loop {
        let all = bench.answer(actions, sends);
        let copy = judge(&all).expect("all answer");
        if copy == right {
            break;
        }
        tries += 1;
        assert!(tries < 4, "a copy from one honest peer is right");
        actions = bench.feed(Input::Metadata(Judgement::Wrong));
        let asked: std::collections::BTreeSet<_> = asked(&actions).iter().map(|(number, _)| *number).collect();
        assert_eq!(asked.len(), 1, "one peer at a time");
    }
    bench.feed(Input::Metadata(Judgement::Right { metadata: right, private: false }));
    assert_eq!((bench.is_closed(2), bench.banned()), (Some(CloseReason::Banned), 1), "after {tries} tries");
    assert_eq!((bench.is_closed(1), bench.is_closed(3)), (None, None));
}

#[test]
fn p21_what_peers_say_of_pieces_before_is_bounded() {
    let mut bench = Bench::new();
    bench.claims(1, 40_000);
    let haves: Vec<_> = (0..1000).map(|piece| Message::Have(PieceIndex(piece))).collect();
    let rounds = (0..100).take_while(|_| {
        bench.wait(Duration::from_secs(1));
        bench.says(1, &haves);
        bench.is_closed(1).is_none()
    });
    assert_eq!(rounds.count(), limits::MAX_EARLY_MESSAGES / 1000);
    for number in 2..=40 {
        bench.claims(number, 40_000);
        bench.says(number, &[Message::Bitfield(vec![0; 1 << 19].into())]);
    }
    let closed = (2..=40).filter(|number| bench.is_closed(*number).is_some()).count();
    assert!(closed > 20, "8 MiB in all: {closed}");
    // What is kept is judged when the exchange begins.
    let layout = layout(20, 4);
    let metadata = Bytes::from_static(b"de");
    bench.feed(Input::Metadata(Judgement::Right { metadata, private: false }));
    bench.begin(layout);
    assert!((2..=40).all(|number| bench.is_closed(number).is_some()), "a bitfield of another length");
}

#[test]
fn p25_a_v2_claim_in_the_handshake_means_nothing_for_a_v1_magnet() {
    let right = metadata(2);
    let mut bench = Bench::new();
    let mut claim = handshake(1, true);
    claim.reserved.0[7] |= 0x10;
    let connection = ConnectionId(1);
    bench.feed(Input::Connected(Connected {
        connection,
        addr: peer_addr(1),
        incoming: true,
        handshake: claim,
        cover: Cover::None,
    }));
    let hello = ExtendedHandshake {
        extensions: vec![(Extension::Metadata, 9)],
        metadata_size: u32::try_from(right.len()).ok(),
        ..ExtendedHandshake::default()
    };
    let actions = bench.says(1, &[Message::Extended { id: 0, payload: hello.to_bytes().into() }]);
    assert_eq!(judge(&bench.answer(actions, |_| Some(right.clone()))), Some(right.clone()));
    bench.feed(Input::Metadata(Judgement::Right { metadata: right, private: false }));
    let layout = layout(20, 4);
    bench.begin(layout);
    let actions = bench.says(1, &[Message::HaveAll, Message::Unchoke]);
    let requests = actions.iter().filter(|action| matches!(action, Action::Send { message: Message::Request(_), .. }));
    assert!(requests.count() > 0, "blocks by the v1 hash alone");
    assert_eq!(bench.is_closed(1), None);
}

#[test]
fn a_magnet_that_turns_out_private_drops_who_was_named_elsewhere() {
    let right = metadata(2);
    let mut bench = Bench::new();
    let mut actions = Vec::new();
    for (number, source) in [(1, Source::Tracker), (2, Source::Dht), (3, Source::Pex), (4, Source::Lsd)] {
        bench.feed(Input::Candidates { source, addrs: &[peer_addr(number), peer_addr(number + 10)] });
        let (connection, addr) = (ConnectionId(number.into()), peer_addr(number));
        let connected =
            Connected { connection, addr, incoming: false, handshake: handshake(number, true), cover: Cover::None };
        bench.feed(Input::Connected(connected));
        let payload = format!("d1:md11:ut_metadatai9ee13:metadata_sizei{}ee", right.len());
        actions = bench.says(number, &[Message::Extended { id: 0, payload: payload.into() }]);
    }
    actions.extend(bench.wait(Duration::from_secs(4)));
    bench.answer(actions, |_| Some(right.clone()));
    bench.feed(Input::Metadata(Judgement::Right { metadata: right, private: true }));
    assert_eq!(bench.is_closed(1), None);
    assert!((2..=4).all(|number| bench.is_closed(number) == Some(CloseReason::Private)), "{:?}", bench.done);
    let known = |bench: &Bench| bench.swarm.status(birth()).candidates;
    assert_eq!(known(&bench), 2, "the tracker's");
    bench.feed(Input::Candidates { source: Source::Dht, addrs: &[peer_addr(99)] });
    assert_eq!(known(&bench), 2);
}

#[test]
fn requests_for_metadata_are_answered_within_bounds() {
    let (layout, all) = (layout(20, 4), metadata(300));
    let config = super::net::config(&layout, Bitfield::full(20), 200);
    let mut swarm = Swarm::new(birth(), SwarmConfig { metadata: all.clone(), ..config });
    let connection = ConnectionId(1);
    let connected =
        Connected { connection, addr: peer_addr(1), incoming: true, handshake: handshake(1, true), cover: Cover::None };
    swarm.handle(birth(), Input::Connected(connected));
    let hello = Message::Extended { id: 0, payload: Bytes::from_static(b"d1:md11:ut_metadatai9eee") };
    let ids = ExtensionIds::ours([Extension::Metadata]);
    let request =
        |piece| ExtendedMessage::Metadata(MetadataMessage::Request { piece }).to_message(&ids).expect("we speak it");
    let answers = |swarm: &mut Swarm, at: u64, messages: &[Message]| {
        swarm.handle(birth() + Duration::from_secs(at), Input::Received { connection, messages });
        let sent = std::iter::from_fn(|| swarm.poll()).filter_map(|action| match action {
            Action::Send { message: Message::Extended { id: 9, payload }, .. } => {
                MetadataMessage::parse(&payload).ok()?
            }
            _ => None,
        });
        sent.collect::<Vec<_>>()
    };
    answers(&mut swarm, 0, &[hello]);
    let first = answers(&mut swarm, 0, &[request(299), request(300), request(u32::MAX)]);
    let total_size = u32::try_from(all.len()).expect("small");
    let last = MetadataMessage::Data { piece: 299, total_size, data: all.slice(299 * 16384..) };
    assert_eq!(first[0], last);
    assert_eq!(first[1..], [MetadataMessage::Reject { piece: 300 }, MetadataMessage::Reject { piece: u32::MAX }]);
    let flood: Vec<_> = (0..250).map(request).collect();
    let data = |answers: &[MetadataMessage]| {
        answers.iter().filter(|answer| matches!(answer, MetadataMessage::Data { .. })).count()
    };
    let answered = answers(&mut swarm, 0, &flood);
    assert_eq!((answered.len(), data(&answered)), (250, limits::METADATA_BURST as usize - 1));
    let answered = answers(&mut swarm, 2, &flood);
    assert_eq!((answered.len(), data(&answered)), (250, 2 * limits::METADATA_PER_SECOND as usize));
}

/// Something that a peer may say before the metadata is here.
fn early_message(kind: u8, number: u32) -> Message {
    let block = Block { piece: PieceIndex(number % 30), begin: 0, length: 1 + number % 40_000 };
    match kind {
        0 => Message::Have(PieceIndex(number % 25)),
        1 => Message::Bitfield(vec![u8::try_from(number % 256).expect("a byte"); 1 + number as usize % 4].into()),
        2 => Message::HaveAll,
        3 => Message::HaveNone,
        4 => Message::Unchoke,
        5 => Message::Choke,
        6 => Message::Interested,
        7 => Message::Request(block),
        8 => Message::Piece(block),
        9 => Message::AllowedFast(PieceIndex(number % 25)),
        10 => Message::Suggest(PieceIndex(number % 25)),
        11 => {
            let payload = (number % 25).to_be_bytes().to_vec();
            Message::Extended { id: Extension::DontHave.number(), payload: payload.into() }
        }
        12 => Message::Cancel(block),
        13 => Message::Reject(block),
        _ => Message::NotInterested,
    }
}

proptest! {
    #[test]
    fn whatever_was_said_before_the_exchange_it_begins_sound(
        said in proptest::collection::vec((1u8..5, 0u8..15, any::<u32>()), 0..80),
        had in any::<u32>(),
    ) {
        let layout = layout(20, 4);
        let mut bench = Bench::new();
        (1..5).for_each(|number| _ = bench.claims(number, 40_000));
        for (number, kind, value) in said {
            bench.says(number, &[early_message(kind, value)]);
        }
        let of_blocks = |action: &Action| {
            matches!(action, Action::Store { .. } | Action::Verify { .. } | Action::Serve { .. })
        };
        prop_assert!(!bench.done.iter().any(of_blocks), "no block is named before there is a layout");
        let mut have = Bitfield::empty(20);
        (0..20).filter(|piece| had >> piece & 1 == 1).for_each(|piece| _ = have.insert(PieceIndex(piece)));
        bench.feed(Input::Metadata(Judgement::Right { metadata: metadata(2), private: false }));
        let (info_hashes, hashes, priorities) = (HASHES, None, None);
        let content = Content { info_hashes, layout: Arc::clone(&layout), hashes, have: have.clone(), priorities };
        let mut actions = bench.feed(Input::Begin(content));
        actions.extend(bench.wait(Duration::from_secs(3)));
        for action in &actions {
            if let Action::Send { message: Message::Request(block), .. } = action {
                prop_assert!(layout.contains(*block) && !have.has(block.piece));
            }
        }
        let status = bench.swarm.status(birth() + bench.at);
        prop_assert_eq!((status.metadata, status.have_pieces), (None, have.count()));
        // A seed that comes now is asked for all that is lacking.
        let (connection, addr) = (ConnectionId(9), peer_addr(9));
        let cover = Cover::None;
        let connected = Connected { connection, addr, incoming: true, handshake: handshake(9, true), cover };
        bench.feed(Input::Connected(connected));
        let actions = bench.says(9, &[Message::HaveAll, Message::Unchoke]);
        let requests = |action: &Action| matches!(action, Action::Send { message: Message::Request(_), .. });
        prop_assert!(have.is_full() || actions.iter().any(requests) || bench.done.iter().any(requests));
    }
}
