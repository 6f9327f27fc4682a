//! Hosts that follow a bad script instead of a swarm: what they remember, how they greet and how they answer.

use std::collections::{BTreeMap, VecDeque};

use riverrun_metainfo::{Bitfield, Block, PieceIndex};
use riverrun_proto::swarm::{CloseReason, ConnectionId};
use riverrun_proto::wire::Message;

use crate::chance::Chance;
use crate::manner::Manner;
use crate::mischief;
use crate::torrent::Torrent;

/// What a stranger wants done.
pub(crate) enum Deed {
    Say(ConnectionId, Message),
    /// Send a block, with right bytes or wrong ones.
    Give(ConnectionId, Block, bool),
    /// Take one block off the socket.
    Read(ConnectionId),
    /// End the connection; the other side sees this.
    Close(ConnectionId, CloseReason),
}

/// One bad host.
#[derive(Debug)]
pub(crate) struct Stranger {
    manner: Manner,
    torrent: Torrent,
    /// What it was asked for, by connection.
    asked: BTreeMap<ConnectionId, VecDeque<Block>>,
    /// What it asked for and has no answer to.
    wanted: BTreeMap<(ConnectionId, Block), u32>,
    wakes: u32,
    given: u32,
    greeted: u32,
}

impl Stranger {
    pub(crate) fn new(manner: Manner, torrent: Torrent) -> Self {
        let (asked, wanted) = (BTreeMap::new(), BTreeMap::new());
        Self { manner, torrent, asked, wanted, wakes: 0, given: 0, greeted: 0 }
    }

    pub(crate) fn manner(&self) -> Manner {
        self.manner
    }

    pub(crate) fn connected(&mut self, connection: ConnectionId, fast: bool) -> Vec<Deed> {
        self.greeted += 1;
        match self.manner {
            Manner::Close => return vec![Deed::Close(connection, CloseReason::Eof)],
            Manner::Reset => {
                let reason = CloseReason::Io(std::io::ErrorKind::ConnectionReset);
                return vec![Deed::Close(connection, reason)];
            }
            Manner::Garble(error) => return vec![Deed::Close(connection, CloseReason::Wire(error))],
            _ => {}
        }
        self.asked.insert(connection, VecDeque::new());
        let mut first = match self.manner {
            Manner::Bitfields => bitfields(&self.torrent, self.greeted),
            Manner::Gulp if fast => vec![Message::HaveNone],
            Manner::Gulp => Vec::new(),
            _ if fast => vec![Message::HaveAll],
            _ => vec![Message::Bitfield(self.torrent.all().to_wire().into())],
        };
        if self.manner.is_extended() {
            first.push(mischief::hello(self.manner));
        }
        first.extend([Message::Unchoke, Message::Interested]);
        first.into_iter().map(|message| Deed::Say(connection, message)).collect()
    }

    pub(crate) fn ended(&mut self, connection: ConnectionId) {
        self.asked.remove(&connection);
        self.wanted.retain(|(asked, _), _| *asked != connection);
    }

    /// What came; `strict` where each request is answered once (BEP 6).
    ///
    /// # Errors
    /// One that has no request, or had an answer.
    pub(crate) fn heard(
        &mut self,
        connection: ConnectionId,
        messages: impl Iterator<Item = Message>,
        strict: bool,
    ) -> Result<Vec<Deed>, String> {
        let Some(asked) = self.asked.get_mut(&connection) else { return Ok(Vec::new()) };
        let mut unchoked = false;
        for message in messages {
            match message {
                Message::Unchoke => unchoked = true,
                Message::Request(block) => asked.push_back(block),
                Message::Cancel(block) => asked.retain(|asked| *asked != block),
                Message::Piece(block) | Message::Reject(block) if strict => {
                    let open = self.wanted.get_mut(&(connection, block)).filter(|open| **open > 0);
                    *open.ok_or_else(|| format!("answers {block:?} to a stranger without a request"))? -= 1;
                }
                _ => {}
            }
        }
        Ok(match self.manner {
            Manner::Reject => asked.drain(..).map(|block| Deed::Say(connection, Message::Reject(block))).collect(),
            Manner::Lie(_) | Manner::Poison | Manner::Misshape => {
                let (manner, torrent, given) = (self.manner, &self.torrent, &mut self.given);
                asked.drain(..).map(|block| answer(manner, torrent, given, connection, block)).collect()
            }
            Manner::Gulp if unchoked => {
                let all = (0..self.torrent.pieces()).map(PieceIndex);
                let all: Vec<Block> = all.flat_map(|piece| self.torrent.blocks(piece)).collect();
                all.iter().for_each(|block| *self.wanted.entry((connection, *block)).or_default() += 1);
                all.into_iter().map(|block| Deed::Say(connection, Message::Request(block))).collect()
            }
            _ => Vec::new(),
        })
    }

    /// Its own time has come.
    pub(crate) fn wake(&mut self, chance: &mut Chance) -> Vec<Deed> {
        self.wakes += 1;
        let mut deeds = Vec::new();
        for (connection, asked) in &mut self.asked {
            mischief::act(self.manner, &self.torrent, self.wakes, *connection, asked, chance, &mut deeds);
        }
        for deed in &deeds {
            if let Deed::Say(connection, Message::Request(block)) = deed {
                *self.wanted.entry((*connection, *block)).or_default() += 1;
            }
        }
        deeds
    }
}

/// Bitfields against the rules, another kind each time.
fn bitfields(torrent: &Torrent, nth: u32) -> Vec<Message> {
    let right = Bitfield::full(torrent.pieces()).to_wire();
    let of = |bytes: Vec<u8>| Message::Bitfield(bytes.into());
    match nth % 5 {
        0 => vec![of([right.as_slice(), &[0]].concat())],
        1 => vec![of(right[1..].to_vec())],
        2 => vec![of(vec![255; right.len() + 1])],
        3 => vec![Message::HaveAll, of(right)],
        _ => vec![of(right.clone()), Message::Have(PieceIndex(0)), of(right)],
    }
}

/// The answer to one request.
fn answer(manner: Manner, torrent: &Torrent, given: &mut u32, connection: ConnectionId, block: Block) -> Deed {
    *given += 1;
    let right = match manner {
        Manner::Lie(one_in) => !given.is_multiple_of(one_in),
        Manner::Poison => block.number() != block.piece.0 % torrent.layout().block_count(block.piece).max(1),
        _ => false,
    };
    let named = match (manner, *given % 5) {
        (Manner::Misshape, 0) => Block { length: block.length - 1, ..block },
        (Manner::Misshape, 1) => Block { length: block.length + 1, ..block },
        (Manner::Misshape, 2) => Block { begin: block.begin + 1, ..block },
        (Manner::Misshape, 3) => Block { begin: 1 << 30, ..block },
        (Manner::Misshape, _) => Block { piece: PieceIndex(u32::MAX), ..block },
        _ => block,
    };
    Deed::Give(connection, named, right)
}
