//! A swarm among peers that say anything that the codec lets through, checked after every step.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use riverrun_metainfo::{Bitfield, Block, Layout, PieceIndex};

use super::birth;
use super::lab::{handshake, peer_addr};
use super::net::{config, layout};
use crate::mse::Cover;
use crate::swarm::{
    Action, CloseReason, Command, Connected, ConnectionId, Deadline, DiskDone, Event, Input, Pressure, Source, Swarm,
    SwarmConfig,
};
use crate::wire::Message;

const PIECES: u32 = 12;
const BLOCKS: u32 = 5;

/// What happens next; numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Step {
    Connect { peer: u8, fast: bool, incoming: bool, has: Option<u16> },
    Gone { peer: u8 },
    Says { peer: u8, messages: Vec<Word> },
    Answers { peer: u8, how_many: u8, newest: bool },
    Rejects { peer: u8, how_many: u8 },
    DiskAnswers { right: bool, lost: bool },
    Served { how_many: u8, failed: bool },
    Passes { milliseconds: u32 },
    Owner(Wish),
}

#[derive(Clone, Debug)]
enum Word {
    Choke,
    Unchoke,
    Interested,
    NotInterested,
    Have(u32),
    HaveAll,
    HaveNone,
    Bits(u16),
    Request(u32, u32),
    Cancel(u32, u32),
    Suggest(u32),
    AllowedFast(u32),
    DontHave(u32),
    Piece(u32, u32),
}

#[derive(Clone, Debug)]
enum Wish {
    Pressure(u8),
    Wanted(u16),
    Sequential(bool),
    Deadlines(u8, u16, u8),
    Forget(u32),
    Most(u8),
    Superseeding(bool),
}

fn word() -> impl Strategy<Value = Word> {
    let piece = || 0..PIECES + 1;
    prop_oneof![
        1 => Just(Word::Choke),
        3 => Just(Word::Unchoke),
        2 => Just(Word::Interested),
        1 => Just(Word::NotInterested),
        3 => piece().prop_map(Word::Have),
        2 => Just(Word::HaveAll),
        1 => Just(Word::HaveNone),
        1 => any::<u16>().prop_map(Word::Bits),
        6 => (piece(), 0..BLOCKS + 1).prop_map(|(piece, number)| Word::Request(piece, number)),
        2 => (piece(), 0..BLOCKS).prop_map(|(piece, number)| Word::Cancel(piece, number)),
        1 => piece().prop_map(Word::Suggest),
        1 => piece().prop_map(Word::AllowedFast),
        1 => piece().prop_map(Word::DontHave),
        1 => (piece(), 0..BLOCKS).prop_map(|(piece, number)| Word::Piece(piece, number)),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let peer = || 0u8..5;
    prop_oneof![
        4 => (peer(), any::<bool>(), any::<bool>(), prop::option::weighted(0.8, any::<u16>()))
            .prop_map(|(peer, fast, incoming, has)| Step::Connect { peer, fast, incoming, has }),
        1 => peer().prop_map(|peer| Step::Gone { peer }),
        8 => (peer(), proptest::collection::vec(word(), 1..6)).prop_map(|(peer, messages)| Step::Says { peer, messages }),
        8 => (peer(), 1u8..30, any::<bool>()).prop_map(|(peer, how_many, newest)| Step::Answers { peer, how_many, newest }),
        2 => (peer(), 1u8..10).prop_map(|(peer, how_many)| Step::Rejects { peer, how_many }),
        4 => (prop::bool::weighted(0.8), prop::bool::weighted(0.1)).prop_map(|(right, lost)| Step::DiskAnswers { right, lost }),
        3 => (1u8..20, prop::bool::weighted(0.2)).prop_map(|(how_many, failed)| Step::Served { how_many, failed }),
        3 => prop_oneof![1u32..50, 500u32..40_000].prop_map(|milliseconds| Step::Passes { milliseconds }),
        1 => prop_oneof![
            (0u8..3).prop_map(Wish::Pressure),
            any::<u16>().prop_map(Wish::Wanted),
            any::<bool>().prop_map(Wish::Sequential),
            (0u8..3, any::<u16>(), any::<u8>()).prop_map(|(reader, mask, due)| Wish::Deadlines(reader, mask, due)),
            (0..PIECES).prop_map(Wish::Forget),
            (1u8..6).prop_map(Wish::Most),
            any::<bool>().prop_map(Wish::Superseeding),
        ].prop_map(Step::Owner),
    ]
}

#[derive(Default)]
struct Far {
    fast: bool,
    /// What we told it to have.
    pieces: BTreeSet<u32>,
    spoken: bool,
    /// Our requests that it has not answered.
    asked: Vec<Block>,
    /// Its requests that we have not answered.
    asks: Vec<Block>,
    interested: bool,
}

struct Chaos {
    swarm: Swarm,
    layout: std::sync::Arc<Layout>,
    now: std::time::Instant,
    next: u64,
    fars: BTreeMap<ConnectionId, Far>,
    by_peer: BTreeMap<u8, ConnectionId>,
    wanted: Bitfield,
    serving: Vec<(ConnectionId, Block)>,
    judging: Vec<(PieceIndex, bool)>,
    /// Blocks stored of pieces that are not judged.
    stored: BTreeSet<(PieceIndex, u32)>,
    /// Pieces that failed: a try by one peer alone may begin anew at any time.
    failed: BTreeSet<PieceIndex>,
    /// Somebody was banned: what came from him is asked for again.
    doubtful: bool,
}

impl Chaos {
    fn new(have: u16) -> Self {
        let layout = layout(PIECES, BLOCKS);
        let swarm = Swarm::new(birth(), SwarmConfig { pex: true, ..config(&layout, bits(have), 100) });
        Self {
            swarm,
            layout,
            now: birth(),
            next: 0,
            fars: BTreeMap::new(),
            by_peer: BTreeMap::new(),
            wanted: Bitfield::full(PIECES),
            serving: Vec::new(),
            judging: Vec::new(),
            stored: BTreeSet::new(),
            failed: BTreeSet::new(),
            doubtful: false,
        }
    }

    fn feed(&mut self, input: Input<'_>) {
        let (from, messages): (Option<ConnectionId>, Vec<Message>) = match &input {
            Input::Received { connection, messages } => (Some(*connection), messages.to_vec()),
            _ => (None, Vec::new()),
        };
        self.swarm.handle(self.now, input);
        while let Some(action) = self.swarm.poll() {
            self.act(action, from, &messages);
        }
        for (connection, far) in &self.fars {
            assert!(far.asked.len() <= 250, "more requests than reqq");
            let useful = far.pieces.iter().map(|piece| PieceIndex(*piece));
            let useful = useful.filter(|piece| self.wanted.has(*piece) && !self.swarm.have().has(*piece)).count();
            assert_eq!(far.interested, useful > 0, "interest of {connection:?}");
        }
        assert!(self.swarm.line.is_of(self.swarm.peers.values()), "whoever waits stands in line");
        let next = self.swarm.next_timeout();
        assert!(next.is_none_or(|next| next > self.now) || from.is_some() || next <= Some(self.now));
    }

    fn act(&mut self, action: Action, from: Option<ConnectionId>, batch: &[Message]) {
        match action {
            Action::Send { connection, message } => {
                let Some(far) = self.fars.get_mut(&connection) else { return };
                match message {
                    Message::Request(block) => far.asked.push(block),
                    Message::Cancel(block) if !far.fast => {
                        let at = far.asked.iter().position(|asked| *asked == block).expect("a request to cancel");
                        far.asked.remove(at);
                    }
                    Message::Reject(block) => {
                        assert!(far.fast);
                        let at = far.asks.iter().position(|asks| *asks == block).expect("a request to reject");
                        far.asks.remove(at);
                    }
                    Message::Interested => far.interested = true,
                    Message::NotInterested => far.interested = false,
                    Message::Piece(_) => panic!("payload leaves by serving alone"),
                    Message::Choke if !far.fast => far.asks.clear(),
                    _ => {}
                }
            }
            Action::Store { connection, nth, block } => {
                assert_eq!(from, Some(connection));
                assert_eq!(batch[nth], Message::Piece(block));
                let new = self.stored.insert((block.piece, block.number()));
                assert!(new || self.doubtful || self.failed.contains(&block.piece), "{block:?} is stored twice");
            }
            Action::Verify { piece, digests } => {
                let blocks = (0..BLOCKS).filter(|number| self.stored.contains(&(piece, *number))).count();
                assert_eq!(blocks, self.layout.block_count(piece) as usize, "every block is stored before {piece:?}");
                self.judging.push((piece, digests));
            }
            Action::Serve { connection, block } => {
                let far = self.fars.get_mut(&connection).expect("a connection");
                let at = far.asks.iter().position(|asks| *asks == block).expect("a request to serve");
                far.asks.remove(at);
                assert!(self.swarm.have().has(block.piece));
                self.serving.push((connection, block));
            }
            Action::Close { connection, .. } => {
                self.fars.remove(&connection);
                self.by_peer.retain(|_, known| *known != connection);
            }
            Action::Event(Event::Banned(_)) => self.doubtful = true,
            Action::Event(Event::PieceCorrupt(piece)) => {
                self.failed.insert(piece);
            }
            Action::Dial { .. }
            | Action::OpenWebSeed(_)
            | Action::NeedPeers
            | Action::Node(_)
            | Action::JudgeMetadata { .. }
            | Action::Event(_) => {}
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Connect { peer, fast, incoming, has } => {
                self.connect(*peer, *fast, *incoming);
                let greeting = has.map(|has| vec![Word::Bits(has), Word::Unchoke, Word::Interested]);
                greeting.into_iter().for_each(|messages| self.step(&Step::Says { peer: *peer, messages }));
            }
            Step::Gone { peer } => {
                if let Some(connection) = self.by_peer.remove(peer) {
                    self.fars.remove(&connection);
                    self.feed(Input::Closed { connection, reason: CloseReason::Eof });
                }
            }
            Step::Says { peer, messages } => {
                if let Some(connection) = self.by_peer.get(peer).copied() {
                    let messages: Vec<_> = messages.iter().filter_map(|word| self.message(connection, word)).collect();
                    self.feed(Input::Received { connection, messages: &messages });
                }
            }
            Step::Answers { peer, how_many, newest } => self.answer(*peer, usize::from(*how_many), *newest, false),
            Step::Rejects { peer, how_many } => self.answer(*peer, usize::from(*how_many), false, true),
            Step::DiskAnswers { right, lost } => self.judge(*right, *lost),
            Step::Served { how_many, failed } => {
                for _ in 0..usize::from(*how_many).min(self.serving.len()) {
                    let (connection, block) = self.serving.remove(0);
                    if *failed {
                        // It is answered by a reject instead.
                        self.fars.get_mut(&connection).into_iter().for_each(|far| far.asks.push(block));
                        self.feed(Input::ServeFailed { connection, block });
                        let far = self.fars.get_mut(&connection).filter(|far| !far.fast);
                        far.into_iter().for_each(|far| far.asks.retain(|asks| *asks != block));
                    } else {
                        self.feed(Input::Served { connection, blocks: &[block] });
                    }
                }
            }
            Step::Passes { milliseconds } => self.pass(Duration::from_millis((*milliseconds).into())),
            Step::Owner(wish) => self.wish(wish),
        }
    }

    fn connect(&mut self, peer: u8, fast: bool, incoming: bool) {
        if self.by_peer.contains_key(&peer) {
            return;
        }
        let connection = ConnectionId(self.next);
        self.next += 1;
        self.by_peer.insert(peer, connection);
        self.fars.insert(connection, Far { fast, ..Far::default() });
        let (addr, handshake) = (peer_addr(peer), handshake(peer, fast));
        self.feed(Input::Connected(Connected { connection, addr, incoming, handshake, cover: Cover::None }));
    }

    /// The message of a word; none if an honest peer could not say it now. What is remembered here is what it said.
    fn message(&mut self, connection: ConnectionId, word: &Word) -> Option<Message> {
        let far = self.fars.get_mut(&connection)?;
        let first = !std::mem::replace(&mut far.spoken, true);
        let exists = |piece: u32| piece < PIECES;
        Some(match word {
            Word::Choke => {
                if !far.fast {
                    far.asked.clear();
                }
                Message::Choke
            }
            Word::Unchoke => Message::Unchoke,
            Word::Interested => Message::Interested,
            Word::NotInterested => Message::NotInterested,
            Word::Have(piece) => {
                far.pieces.extend(exists(*piece).then_some(*piece));
                Message::Have(PieceIndex(*piece))
            }
            Word::HaveAll if first && far.fast => {
                far.pieces = (0..PIECES).collect();
                Message::HaveAll
            }
            Word::HaveNone if first && far.fast => Message::HaveNone,
            Word::Bits(mask) if first => {
                far.pieces = bits(*mask).iter().map(|piece| piece.0).collect();
                Message::Bitfield(bits(*mask).to_wire().into())
            }
            Word::Request(piece, number) => {
                let begin = number * 16_384;
                let block = Block { piece: PieceIndex(*piece), begin, length: 16_384 };
                if far.fast || self.layout.contains(block) {
                    far.asks.push(block);
                }
                Message::Request(block)
            }
            Word::Cancel(piece, number) => {
                let block = Block { piece: PieceIndex(*piece), begin: number * 16_384, length: 16_384 };
                Message::Cancel(block)
            }
            Word::Suggest(piece) if far.fast => Message::Suggest(PieceIndex(*piece)),
            Word::AllowedFast(piece) if far.fast => Message::AllowedFast(PieceIndex(*piece)),
            Word::DontHave(piece) => {
                far.pieces.remove(piece);
                let id = crate::wire::extended::Extension::DontHave.number();
                if !far.fast {
                    far.asked.retain(|asked| asked.piece.0 != *piece);
                }
                Message::Extended { id, payload: Bytes::copy_from_slice(&piece.to_be_bytes()) }
            }
            Word::Piece(piece, number) if !far.fast => Message::Piece(self.layout.block(PieceIndex(*piece), *number)?),
            _ => return None,
        })
    }

    fn answer(&mut self, peer: u8, how_many: usize, newest: bool, reject: bool) {
        let Some(connection) = self.by_peer.get(&peer).copied() else { return };
        let Some(far) = self.fars.get_mut(&connection).filter(|far| far.fast || !reject) else { return };
        let how_many = how_many.min(far.asked.len());
        let answered: Vec<Block> = match newest {
            true => far.asked.split_off(far.asked.len() - how_many),
            false => far.asked.drain(..how_many).collect(),
        };
        let message = if reject { Message::Reject } else { Message::Piece };
        let messages: Vec<_> = answered.into_iter().map(message).collect();
        self.feed(Input::Received { connection, messages: &messages });
    }

    fn judge(&mut self, right: bool, lost: bool) {
        if self.judging.is_empty() {
            return;
        }
        let (piece, digests) = self.judging.remove(0);
        self.stored.retain(|(stored, _)| *stored != piece);
        let found = vec![0; self.layout.block_count(piece) as usize];
        self.feed(Input::Disk(match (right, lost) {
            (_, true) => DiskDone::Lost { piece },
            (true, _) => DiskDone::Verified { piece, digests: digests.then_some(found) },
            (false, _) => DiskDone::Corrupt { piece, digests: found.iter().map(|_| 1).collect() },
        }));
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.swarm.next_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.feed(Input::Timeout);
        }
        self.now = until;
    }

    fn wish(&mut self, wish: &Wish) {
        match wish {
            Wish::Pressure(level) => {
                let levels = [Pressure::None, Pressure::Some, Pressure::Full];
                self.feed(Input::Pressure(levels[usize::from(*level)]));
            }
            Wish::Wanted(mask) => {
                // Blocks of pieces that are let go may be stored again later.
                let wanted = bits(*mask);
                self.stored
                    .retain(|(piece, _)| wanted.has(*piece) || self.judging.iter().any(|(judged, _)| judged == piece));
                self.wanted = wanted.clone();
                self.feed(Input::Command(Command::SetPriorities(wanted.into())));
            }
            Wish::Superseeding(yes) => self.feed(Input::Command(Command::SetSuperseeding(*yes))),
            Wish::Sequential(yes) => self.feed(Input::Command(Command::SetSequential(*yes))),
            Wish::Deadlines(reader, mask, due) => {
                let due = self.now + Duration::from_millis(u64::from(*due) * 20);
                let deadlines = bits(*mask).iter().map(|piece| Deadline { due, piece }).collect();
                self.feed(Input::Command(Command::SetDeadlines { reader: u64::from(*reader), deadlines }));
            }
            Wish::Forget(piece) => self.feed(Input::Command(Command::Forget(vec![PieceIndex(*piece)]))),
            Wish::Most(most) => self.feed(Input::Command(Command::SetMaxConnections(usize::from(*most)))),
        }
    }

    /// All that waits is done and every queue runs dry; then every request of a peer with the fast extension is answered.
    fn come_to_rest(&mut self) {
        while !self.serving.is_empty() {
            self.step(&Step::Served { how_many: 200, failed: false });
        }
        for (connection, far) in &self.fars {
            assert!(far.asks.is_empty() || !far.fast, "{connection:?} has no answer to {:?}", far.asks);
        }
    }
}

fn bits(mask: u16) -> Bitfield {
    let mut set = Bitfield::empty(PIECES);
    (0..PIECES).filter(|bit| mask >> bit & 1 == 1).for_each(|bit| {
        set.insert(PieceIndex(bit));
    });
    set
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn whatever_peers_say_the_rules_hold(have in any::<u16>(), steps in proptest::collection::vec(step(), 1..120)) {
        let mut chaos = Chaos::new(have);
        let addrs: Vec<_> = (0..5).map(peer_addr).collect();
        chaos.feed(Input::Candidates { source: Source::Tracker, addrs: &addrs });
        steps.iter().for_each(|step| chaos.step(step));
        chaos.come_to_rest();
    }
}
