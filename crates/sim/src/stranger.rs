//! Hosts that follow a bad script instead of a swarm.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use riverrun_metainfo::{Block, PieceIndex};
use riverrun_proto::swarm::ConnectionId;
use riverrun_proto::wire::Message;

use crate::chance::Chance;
use crate::torrent::Torrent;

/// What is bad about a host. It says to have everything and unchokes everyone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// Answers nothing (P9).
    BlackHole,
    /// Answers one request in this time (P10).
    Drip(Duration),
    /// Chokes and unchokes, each for this long, and answers nothing (P11).
    Flap(Duration),
    /// Rejects everything (P12).
    Reject,
    /// Answers everything, one block in so many with wrong bytes (P5, P6).
    Lie(u32),
    /// Sends blocks that nobody asked for (P4).
    Push,
    /// Asks for everything and never reads (P14, P29).
    Greed,
    /// Talks without end and without sense (P8, P16).
    Noise,
    /// Closes at once (P18).
    Close,
}

/// What a stranger wants done.
pub(crate) enum Deed {
    Say(ConnectionId, Message),
    /// Send a block, with right bytes or wrong ones.
    Give(ConnectionId, Block, bool),
    Close(ConnectionId),
}

/// One bad host.
#[derive(Debug)]
pub(crate) struct Stranger {
    manner: Manner,
    torrent: Torrent,
    asked: BTreeMap<ConnectionId, VecDeque<Block>>,
    choking: bool,
    turned: Instant,
    given: u32,
}

impl Stranger {
    pub(crate) fn new(manner: Manner, torrent: Torrent, now: Instant) -> Self {
        Self { manner, torrent, asked: BTreeMap::new(), choking: false, turned: now, given: 0 }
    }

    /// Whether it sends wrong bytes.
    pub(crate) fn lies(&self) -> bool {
        matches!(self.manner, Manner::Lie(_) | Manner::Push)
    }

    /// Whether it takes what is sent to it off the socket.
    pub(crate) fn reads(&self) -> bool {
        self.manner != Manner::Greed
    }

    /// How often it acts by itself.
    pub(crate) fn period(&self) -> Option<Duration> {
        match self.manner {
            Manner::Drip(period) | Manner::Flap(period) => Some(period),
            Manner::Push | Manner::Noise => Some(Duration::from_millis(100)),
            Manner::Greed => Some(Duration::from_secs(1)),
            Manner::BlackHole | Manner::Reject | Manner::Lie(_) | Manner::Close => None,
        }
    }

    pub(crate) fn connected(&mut self, connection: ConnectionId) -> Vec<Deed> {
        if self.manner == Manner::Close {
            return vec![Deed::Close(connection)];
        }
        self.asked.insert(connection, VecDeque::new());
        let first = [Message::HaveAll, Message::Unchoke, Message::Interested];
        first.into_iter().map(|message| Deed::Say(connection, message)).collect()
    }

    pub(crate) fn ended(&mut self, connection: ConnectionId) {
        self.asked.remove(&connection);
    }

    pub(crate) fn heard(&mut self, connection: ConnectionId, messages: impl Iterator<Item = Message>) -> Vec<Deed> {
        let Some(asked) = self.asked.get_mut(&connection) else { return Vec::new() };
        for message in messages {
            match message {
                Message::Request(block) => asked.push_back(block),
                Message::Cancel(block) => asked.retain(|asked| *asked != block),
                _ => {}
            }
        }
        match self.manner {
            Manner::Reject => asked.drain(..).map(|block| Deed::Say(connection, Message::Reject(block))).collect(),
            Manner::Lie(one_in) => {
                let given = &mut self.given;
                let blocks = asked.drain(..).map(|block| {
                    *given += 1;
                    Deed::Give(connection, block, !given.is_multiple_of(one_in))
                });
                blocks.collect()
            }
            _ => Vec::new(),
        }
    }

    /// Its own time has come.
    pub(crate) fn wake(&mut self, now: Instant, chance: &mut Chance) -> Vec<Deed> {
        self.turned = now;
        self.choking = !self.choking;
        let (manner, choking, torrent) = (self.manner, self.choking, &self.torrent);
        let any = |chance: &mut Chance| {
            PieceIndex(u32::try_from(chance.below(torrent.pieces().into())).expect("below a piece"))
        };
        let mut deeds = Vec::new();
        for (connection, asked) in &mut self.asked {
            match manner {
                Manner::Drip(_) => {
                    deeds.extend(asked.pop_front().map(|block| Deed::Give(*connection, block, true)));
                }
                Manner::Flap(_) => {
                    let turn = if choking { Message::Choke } else { Message::Unchoke };
                    deeds.push(Deed::Say(*connection, turn));
                    if choking {
                        deeds.extend(asked.drain(..).map(|block| Deed::Say(*connection, Message::Reject(block))));
                    }
                }
                Manner::Push => {
                    let block = torrent.blocks(any(chance)).next();
                    deeds.extend(block.map(|block| Deed::Give(*connection, block, false)));
                }
                Manner::Greed => {
                    let piece = any(chance);
                    deeds.extend(torrent.blocks(piece).map(|block| Deed::Say(*connection, Message::Request(block))));
                }
                Manner::Noise => {
                    let words =
                        [Message::KeepAlive, Message::Have(any(chance)), Message::Interested, Message::NotInterested];
                    deeds.extend(words.into_iter().map(|word| Deed::Say(*connection, word)));
                }
                Manner::BlackHole | Manner::Reject | Manner::Lie(_) | Manner::Close => {}
            }
        }
        deeds
    }
}
