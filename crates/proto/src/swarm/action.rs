//! What a swarm wants done.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use riverrun_metainfo::{Block, PieceIndex};

use crate::mse::Way;
use crate::swarm::{ConnectionId, WebSeedId};
use crate::web_seed::{Fault, WebSeedError};
use crate::wire::Message;

/// One thing to do, in the order it comes out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Connect to a candidate and shake hands; answered by `Connected` or `DialFailed`.
    Dial {
        /// Where.
        addr: SocketAddr,
        /// How, the first way first. The next is for a peer that answers and does not take the one before; it belongs to the same dial.
        ways: &'static [Way],
    },
    /// Get ready to ask a web seed (BEP 19); answered by `WebSeedOpened`. What is sent to its connection are requests and cancels, which
    /// become ranges of files, and messages that mean nothing to it.
    OpenWebSeed(WebSeedId),
    /// Send a message.
    Send {
        /// To whom.
        connection: ConnectionId,
        /// What; never [`Message::Piece`], which leaves by [`Action::Serve`].
        message: Message,
    },
    /// Store a block that has just come: the payload of the message with number `nth` in the batch being handled. A block
    /// that is not named by such an action is dropped.
    Store {
        /// From whom.
        connection: ConnectionId,
        /// Its place in the batch of messages.
        nth: usize,
        /// The block.
        block: Block,
    },
    /// Every block of this piece has been stored: hash it, behind all its writes. Answered by [`DiskDone`](crate::swarm::DiskDone).
    Verify {
        /// The piece.
        piece: PieceIndex,
        /// Give a digest of each block even when the piece is right, so that the liar of an earlier try can be named.
        digests: bool,
    },
    /// Read a block and send it; answered by `Served` or `ServeFailed`. Calls for adjacent blocks come out in a row.
    Serve {
        /// To whom.
        connection: ConnectionId,
        /// Which.
        block: Block,
    },
    /// Close a connection. What was queued for it may be dropped. Answered by `Closed` with the same reason.
    Close {
        /// Which.
        connection: ConnectionId,
        /// Why.
        reason: CloseReason,
    },
    /// All of the metadata has come: see whether its hash is the torrent's, v1 or v2. Answered by
    /// [`Input::Metadata`](crate::swarm::Input::Metadata).
    JudgeMetadata {
        /// Its bytes, in order.
        parts: Vec<Bytes>,
    },
    /// Few candidates are left: ask trackers before their interval, as far as they allow.
    NeedPeers,
    /// A connected peer has a node of the DHT: it is worth one ping (BEP 5, THREATS D9).
    Node(SocketAddr),
    /// Something happened that the owner may tell the user.
    Event(Event),
}

/// What happened in a swarm.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A piece is verified and stored.
    PieceDone(PieceIndex),
    /// A piece failed its hash.
    PieceCorrupt(PieceIndex),
    /// Metadata came whole and failed its hash.
    MetadataCorrupt,
    /// Every wanted piece is here.
    Finished,
    /// A peer was proved to send bad data and is banned for the session.
    Banned(IpAddr),
    /// A web seed was proved to send bad data and is left alone for long.
    WebSeedBanned(WebSeedId),
    /// A peer wants something of ours for the first time.
    Downloader(SocketAddr),
}

/// Whose doing it is that a connection ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Blame {
    /// The peer broke a rule.
    Them,
    /// We decided so.
    Us,
    /// The network, or the peer within the rules.
    Network,
}

/// Why a connection ends.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer closed.
    Eof,
    /// The network broke it.
    Io(std::io::ErrorKind),
    /// The bytes are no message.
    Wire(crate::wire::WireError),
    /// The message is against the rules; what it was.
    Breach(&'static str),
    /// It is ourselves.
    Myself,
    /// We are connected to this peer already.
    Duplicate,
    /// The address is banned.
    Banned,
    /// There are enough connections.
    TooMany,
    /// Neither has anything for the other.
    NothingToExchange,
    /// The torrent turned out to be private, and the peer was not named by a tracker.
    Private,
    /// No message for too long.
    Idle,
    /// A web seed did not give what was asked.
    WebSeed(WebSeedError),
    /// We go.
    Stopped,
}

impl CloseReason {
    /// Whose doing it is.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            Self::Wire(_) | Self::Breach(_) | Self::Banned => Blame::Them,
            Self::WebSeed(error) if error.fault() == Fault::Bad => Blame::Them,
            Self::WebSeed(_) | Self::Eof | Self::Io(_) | Self::Idle => Blame::Network,
            Self::Myself
            | Self::Duplicate
            | Self::TooMany
            | Self::NothingToExchange
            | Self::Private
            | Self::Stopped => Blame::Us,
        }
    }
}
