//! One swarm among peers that follow a script.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use riverrun_metainfo::{Bitfield, Block, Layout, PieceIndex};

use super::birth;
use super::net::{HASHES, config};
use crate::mse::Cover;
use crate::swarm::{Action, CloseReason, Connected, ConnectionId, DiskDone, Input, Swarm, SwarmConfig, WebSeedId};
use crate::wire::{Handshake, Message, PeerId, Reserved};

/// How a peer answers requests by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::swarm) enum Manner {
    /// Only as the test says.
    Silent,
    /// So many blocks in each hundredth of a second.
    Honest(usize),
    /// One block in this time.
    Drip(Duration),
    /// Rejects each request.
    Rejects,
    /// Chokes and unchokes in turn, this long each, and answers nothing.
    Flaps(Duration),
}

struct Script {
    manner: Manner,
    asked: VecDeque<Block>,
    turned: Instant,
    choking: bool,
    open: bool,
}

/// A swarm, its clock and its scripted peers.
pub(in crate::swarm) struct Lab {
    pub(in crate::swarm) swarm: Swarm,
    pub(in crate::swarm) now: Instant,
    pub(in crate::swarm) layout: Arc<Layout>,
    scripts: BTreeMap<ConnectionId, Script>,
    /// All that the swarm did, in order.
    pub(in crate::swarm) done: Vec<Action>,
    /// The disk answers that every piece is right; else the test answers.
    pub(in crate::swarm) disk: bool,
}

/// The address of peer `number`.
pub(in crate::swarm) fn peer_addr(number: u8) -> SocketAddr {
    SocketAddr::from(([10, 9, 0, number], 40_000))
}

/// The handshake of peer `number`.
pub(in crate::swarm) fn handshake(number: u8, fast: bool) -> Handshake {
    Handshake {
        reserved: Reserved([0, 0, 0, 0, 0, 0, 0, if fast { 4 } else { 0 }]),
        info_hash: HASHES.wire(),
        peer_id: PeerId([number; 20]),
    }
}

impl Lab {
    /// A swarm (whose peer id is all 200) that has these pieces.
    pub(in crate::swarm) fn new(layout: &Arc<Layout>, have: Bitfield) -> Self {
        Self::with(config(layout, have, 200))
    }

    pub(in crate::swarm) fn with(config: SwarmConfig) -> Self {
        let layout = Arc::clone(&config.layout);
        let (swarm, scripts) = (Swarm::new(birth(), config), BTreeMap::new());
        Self { swarm, now: birth(), layout, scripts, done: Vec::new(), disk: true }
    }

    pub(in crate::swarm) fn leech(layout: &Arc<Layout>) -> Self {
        Self::new(layout, Bitfield::empty(layout.piece_count()))
    }

    pub(in crate::swarm) fn seed(layout: &Arc<Layout>) -> Self {
        Self::new(layout, Bitfield::full(layout.piece_count()))
    }

    /// Feeds one input; gives what the swarm did at once.
    pub(in crate::swarm) fn feed(&mut self, input: Input<'_>) -> Vec<Action> {
        self.swarm.handle(self.now, input);
        let actions: Vec<_> = std::iter::from_fn(|| self.swarm.poll()).collect();
        assert!(self.swarm.line.is_of(self.swarm.peers.values()), "whoever waits stands in line");
        assert!(
            self.swarm.places.parties.is_of(self.swarm.peers.values().map(|peer| &peer.who)),
            "parties are counted"
        );
        self.done.extend(actions.iter().cloned());
        let mut verify = Vec::new();
        for action in &actions {
            match action {
                Action::Send { connection, message } => {
                    let Some(script) = self.scripts.get_mut(connection) else { continue };
                    match message {
                        Message::Request(block) => script.asked.push_back(*block),
                        Message::Cancel(block) => script.asked.retain(|asked| asked != block),
                        _ => {}
                    }
                }
                Action::Close { connection, .. } => {
                    self.scripts.get_mut(connection).into_iter().for_each(|script| script.open = false);
                }
                Action::Verify { piece, digests } if self.disk => verify.push((*piece, *digests)),
                _ => {}
            }
        }
        let mut all = actions;
        for (piece, digests) in verify {
            let digests = digests.then(|| vec![0; self.layout.block_count(piece) as usize]);
            all.extend(self.feed(Input::Disk(DiskDone::Verified { piece, digests })));
        }
        all
    }

    /// Connects peer `number`, which dialled us.
    pub(in crate::swarm) fn connect(&mut self, number: u8, fast: bool, manner: Manner) -> ConnectionId {
        let (connection, handshake) = (ConnectionId(number.into()), handshake(number, fast));
        let addr = peer_addr(number);
        self.connect_as(number, Connected { connection, addr, incoming: true, handshake, cover: Cover::None }, manner)
    }

    /// Connects peer `number` in this way.
    pub(in crate::swarm) fn connect_as(&mut self, number: u8, connected: Connected, manner: Manner) -> ConnectionId {
        let connection = ConnectionId(number.into());
        let script = Script { manner, asked: VecDeque::new(), turned: self.now, choking: false, open: true };
        self.scripts.insert(connection, script);
        self.feed(Input::Connected(connected));
        connection
    }

    /// Connects a peer that has everything and unchokes us.
    pub(in crate::swarm) fn connect_seed(&mut self, number: u8, fast: bool, manner: Manner) -> ConnectionId {
        let connection = self.connect(number, fast, manner);
        let all = Bitfield::full(self.layout.piece_count()).to_wire();
        let first = if fast { Message::HaveAll } else { Message::Bitfield(all.into()) };
        self.says(connection, &[first, Message::Unchoke]);
        connection
    }

    /// Has the web seed opened that the swarm wants opened, as connection `number`.
    pub(in crate::swarm) fn open_web_seed(&mut self, number: u8, manner: Manner) -> ConnectionId {
        let wanted = self.done.iter().rev().find_map(|action| match action {
            Action::OpenWebSeed(seed) => Some(*seed),
            _ => None,
        });
        self.open_this_web_seed(number, wanted.expect("a web seed is to be opened"), manner)
    }

    /// Has this web seed opened, as connection `number`.
    pub(in crate::swarm) fn open_this_web_seed(&mut self, number: u8, seed: WebSeedId, manner: Manner) -> ConnectionId {
        let connection = ConnectionId(number.into());
        let script = Script { manner, asked: VecDeque::new(), turned: self.now, choking: false, open: true };
        self.scripts.insert(connection, script);
        self.feed(Input::WebSeedOpened { seed, connection });
        connection
    }

    /// The peer sends these in one batch.
    pub(in crate::swarm) fn says(&mut self, connection: ConnectionId, messages: &[Message]) -> Vec<Action> {
        self.feed(Input::Received { connection, messages })
    }

    /// Lets time pass in steps of a hundredth of a second, and the peers act by their manners.
    pub(in crate::swarm) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now += Duration::from_millis(10);
            while self.swarm.next_timeout().is_some_and(|at| at <= self.now) {
                self.feed(Input::Timeout);
            }
            for connection in self.scripts.keys().copied().collect::<Vec<_>>() {
                self.act(connection);
            }
        }
    }

    /// Lets time pass until the torrent is complete; gives how long that took.
    pub(in crate::swarm) fn until_complete(&mut self, most: Duration) -> Duration {
        self.until(most, |lab| lab.swarm.have().is_full())
    }

    /// Lets time pass until it is so; gives how long that took.
    pub(in crate::swarm) fn until(&mut self, most: Duration, is_so: impl Fn(&Self) -> bool) -> Duration {
        let start = self.now;
        while !is_so(self) {
            self.wait(Duration::from_millis(10));
            assert!(self.now - start <= most, "not so after {most:?}: {:?}", self.swarm.status(self.now));
        }
        self.now - start
    }

    fn act(&mut self, connection: ConnectionId) {
        let now = self.now;
        let Some(script) = self.scripts.get_mut(&connection).filter(|script| script.open) else { return };
        let mut due = |pause: Duration| {
            let due = now - script.turned >= pause;
            if due {
                script.turned = now;
            }
            due
        };
        let says: Vec<Message> = match script.manner {
            Manner::Silent => Vec::new(),
            Manner::Honest(blocks) => {
                script.asked.drain(..blocks.min(script.asked.len())).map(Message::Piece).collect()
            }
            Manner::Drip(pause) if due(pause) => script.asked.pop_front().map(Message::Piece).into_iter().collect(),
            Manner::Rejects => script.asked.drain(..).map(Message::Reject).collect(),
            Manner::Flaps(pause) if due(pause) => {
                script.choking = !script.choking;
                let mut says = vec![if script.choking { Message::Choke } else { Message::Unchoke }];
                if script.choking {
                    says.extend(script.asked.drain(..).map(Message::Reject));
                }
                says
            }
            Manner::Drip(_) | Manner::Flaps(_) => Vec::new(),
        };
        if !says.is_empty() {
            self.says(connection, &says);
        }
    }

    /// A peer changes its manner.
    pub(in crate::swarm) fn behaves(&mut self, connection: ConnectionId, manner: Manner) {
        self.scripts.get_mut(&connection).into_iter().for_each(|script| script.manner = manner);
    }

    /// The requests that a peer has not answered.
    pub(in crate::swarm) fn asked(&self, connection: ConnectionId) -> Vec<Block> {
        self.scripts[&connection].asked.iter().copied().collect()
    }

    /// The test answers the oldest request itself.
    pub(in crate::swarm) fn answered(&mut self, connection: ConnectionId) {
        self.scripts.get_mut(&connection).into_iter().for_each(|script| _ = script.asked.pop_front());
    }

    /// The test answers what was asked so far itself.
    pub(in crate::swarm) fn forget_asked(&mut self, connection: ConnectionId) {
        self.scripts.get_mut(&connection).into_iter().for_each(|script| script.asked.clear());
    }

    /// Why a connection was closed by us, if it was.
    pub(in crate::swarm) fn close_reason(&self, connection: ConnectionId) -> Option<CloseReason> {
        self.done.iter().find_map(|action| match action {
            Action::Close { connection: closed, reason } if *closed == connection => Some(reason.clone()),
            _ => None,
        })
    }

    pub(in crate::swarm) fn is_breach(&self, connection: ConnectionId) -> bool {
        matches!(self.close_reason(connection), Some(CloseReason::Breach(_)))
    }

    pub(in crate::swarm) fn is_open(&self, connection: ConnectionId) -> bool {
        self.close_reason(connection).is_none()
    }
}

/// The messages sent to one connection.
pub(in crate::swarm) fn sent(actions: &[Action], to: ConnectionId) -> Vec<Message> {
    let to_it = actions.iter().filter_map(|action| match action {
        Action::Send { connection, message } if *connection == to => Some(message.clone()),
        _ => None,
    });
    to_it.collect()
}

/// The blocks that are to be stored.
pub(in crate::swarm) fn stored(actions: &[Action]) -> Vec<(usize, Block)> {
    let stores = actions.iter().filter_map(|action| match action {
        Action::Store { nth, block, .. } => Some((*nth, *block)),
        _ => None,
    });
    stores.collect()
}

/// The blocks that are to be served to one connection.
pub(in crate::swarm) fn serves(actions: &[Action], to: ConnectionId) -> Vec<Block> {
    let serves = actions.iter().filter_map(|action| match action {
        Action::Serve { connection, block } if *connection == to => Some(*block),
        _ => None,
    });
    serves.collect()
}

/// The block with this number of a piece.
pub(in crate::swarm) fn block(layout: &Layout, piece: u32, number: u32) -> Block {
    layout.block(PieceIndex(piece), number).expect("a block of the torrent")
}
