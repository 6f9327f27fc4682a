//! One copy of the metadata as it comes in, of a size that some peers claim.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hasher};
use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;
use riverrun_metainfo::BLOCK_LENGTH;

use crate::limits;
use crate::swarm::ConnectionId;

/// The pieces of one copy. Invariant: a piece is here, asked for, or open.
#[derive(Debug)]
pub(super) struct Copy {
    size: u32,
    parts: BTreeMap<u32, Part>,
    /// Pieces that nobody is asked for.
    open: BTreeSet<u32>,
    /// Of whom how many pieces are asked, and since when.
    asked: BTreeMap<u32, Asked>,
    mode: Mode,
    /// What was sent of copies that were wrong, to be compared with the right one: piece, sender, digest.
    doubtful: Vec<(u32, IpAddr, u64)>,
}

#[derive(Debug)]
struct Part {
    data: Bytes,
    from: IpAddr,
}

/// Requests for one piece that are under way.
#[derive(Clone, Copy, Debug)]
struct Asked {
    peers: u32,
    /// When the last of them left.
    last: Instant,
}

/// Who gives to a copy.
#[derive(Debug)]
enum Mode {
    /// All who claim its size.
    Together,
    /// One after the other, since it was wrong; the last that had a turn.
    Alone { turn: Option<Turn>, last: Option<ConnectionId> },
}

/// One peer is to send everything.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    pub(super) connection: ConnectionId,
    /// It is over then.
    pub(super) until: Instant,
}

impl Copy {
    pub(super) fn new(size: u32) -> Self {
        let mut copy = Self {
            size,
            parts: BTreeMap::new(),
            open: BTreeSet::new(),
            asked: BTreeMap::new(),
            mode: Mode::Together,
            doubtful: Vec::new(),
        };
        copy.begin_again();
        copy
    }

    /// Forgets all that came.
    pub(super) fn begin_again(&mut self) {
        self.parts.clear();
        self.open = (0..self.pieces()).filter(|piece| !self.asked.contains_key(piece)).collect();
    }

    /// How many pieces it has.
    pub(super) fn pieces(&self) -> u32 {
        self.size.div_ceil(BLOCK_LENGTH)
    }

    /// How many of them are here.
    pub(super) fn have(&self) -> u32 {
        u32::try_from(self.parts.len()).expect("no more than it has pieces")
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.parts.values().map(|part| part.data.len()).sum()
    }

    pub(super) fn is_whole(&self) -> bool {
        self.have() == self.pieces()
    }

    /// Its bytes in order.
    pub(super) fn parts(&self) -> Vec<Bytes> {
        self.parts.values().map(|part| part.data.clone()).collect()
    }

    /// Keeps a piece that came, if it is from whom it may be.
    pub(super) fn store(&mut self, connection: ConnectionId, from: IpAddr, piece: u32, data: Bytes) {
        if self.takes_from(connection) && !self.parts.contains_key(&piece) {
            self.parts.insert(piece, Part { data, from });
            self.open.remove(&piece);
        }
    }

    /// One request for a piece is not under way any more.
    pub(super) fn give_up(&mut self, piece: u32) {
        if let Some(asked) = self.asked.get_mut(&piece) {
            asked.peers -= 1;
            if asked.peers == 0 {
                self.asked.remove(&piece);
                if !self.parts.contains_key(&piece) {
                    self.open.insert(piece);
                }
            }
        }
    }

    /// The next piece to ask for: one that nobody is asked for, else one that takes others long.
    pub(super) fn next(&mut self, now: Instant, asked_already: impl Fn(u32) -> bool) -> Option<u32> {
        let slow = || {
            let slow = self.asked.iter().filter(|(piece, asked)| {
                asked.last + limits::METADATA_PATIENCE <= now
                    && !self.parts.contains_key(piece)
                    && !asked_already(**piece)
            });
            slow.min_by_key(|(_, asked)| asked.last).map(|(piece, _)| *piece)
        };
        let piece = self.open.first().copied().or_else(slow)?;
        self.open.remove(&piece);
        let asked = self.asked.entry(piece).or_insert(Asked { peers: 0, last: now });
        asked.peers += 1;
        asked.last = now;
        Some(piece)
    }

    /// Whether this peer may give to it now.
    pub(super) fn takes_from(&self, connection: ConnectionId) -> bool {
        match &self.mode {
            Mode::Together => true,
            Mode::Alone { turn, .. } => turn.is_some_and(|turn| turn.connection == connection),
        }
    }

    /// Whose turn it is.
    pub(super) fn turn(&self) -> Option<Turn> {
        match &self.mode {
            Mode::Together => None,
            Mode::Alone { turn, .. } => *turn,
        }
    }

    /// One peer is to be chosen.
    pub(super) fn needs_turn(&self) -> bool {
        matches!(self.mode, Mode::Alone { turn: None, .. })
    }

    /// Who had the last turn.
    pub(super) fn last_turn(&self) -> Option<ConnectionId> {
        match &self.mode {
            Mode::Together => None,
            Mode::Alone { last, .. } => *last,
        }
    }

    pub(super) fn begin_turn(&mut self, turn: Turn) {
        self.begin_again();
        self.mode = Mode::Alone { turn: Some(turn), last: Some(turn.connection) };
    }

    pub(super) fn end_turn(&mut self) {
        if let Mode::Alone { turn, .. } = &mut self.mode {
            *turn = None;
        }
        self.begin_again();
    }

    /// A peer is gone; what it sent stays, unless it was to send all.
    pub(super) fn left(&mut self, connection: ConnectionId) {
        if self.turn().is_some_and(|turn| turn.connection == connection) {
            self.end_turn();
        }
    }

    /// Its hash is wrong: from now on one peer alone is asked. If one address sent all of it, that one lied.
    pub(super) fn wrong(&mut self) -> Option<IpAddr> {
        let senders: BTreeSet<IpAddr> = self.parts.values().map(|part| part.from).collect();
        let guilty = senders.first().copied().filter(|_| senders.len() == 1);
        if guilty.is_none() && self.doubtful.is_empty() {
            self.doubtful = self.parts.iter().map(|(piece, part)| (*piece, part.from, digest(&part.data))).collect();
        }
        let last = self.last_turn();
        self.mode = Mode::Alone { turn: None, last };
        self.asked.clear();
        self.begin_again();
        guilty
    }

    /// Its hash is right: who sent something else before.
    pub(super) fn liars(&self) -> BTreeSet<IpAddr> {
        let right: BTreeMap<u32, u64> = self.parts.iter().map(|(piece, part)| (*piece, digest(&part.data))).collect();
        let lied = self.doubtful.iter().filter(|(piece, _, sent)| right.get(piece) != Some(sent));
        lied.map(|(_, from, _)| *from).collect()
    }
}

/// Enough to tell two pieces apart. Whoever finds two with the same goes free, and gains nothing else.
fn digest(data: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(data);
    hasher.finish()
}
