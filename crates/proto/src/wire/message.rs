//! The messages after the handshake.

use bytes::Bytes;
use riverrun_metainfo::{Block, PieceIndex};

/// One message of the peer wire protocol. The payload of a block travels beside it, never in it.
///
/// Indexes are what the peer said: whether a piece exists is for the swarm to judge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// Nothing; keeps the connection open (BEP 3).
    KeepAlive,
    /// No requests will be answered from now on.
    Choke,
    /// Requests will be answered.
    Unchoke,
    /// The sender wants something that we have.
    Interested,
    /// The sender wants nothing that we have.
    NotInterested,
    /// The sender has a new piece.
    Have(PieceIndex),
    /// All that the sender has, in wire order; only as the first message.
    Bitfield(Bytes),
    /// Asks for a block.
    Request(Block),
    /// A block's name; its payload follows beside it.
    Piece(Block),
    /// Takes a request back.
    Cancel(Block),
    /// The sender's DHT port (BEP 5).
    Port(u16),
    /// A piece that is cheap for the sender (BEP 6).
    Suggest(PieceIndex),
    /// The sender has every piece (BEP 6).
    HaveAll,
    /// The sender has no piece (BEP 6).
    HaveNone,
    /// A request will not be answered (BEP 6).
    Reject(Block),
    /// A piece that may be asked for while choked (BEP 6).
    AllowedFast(PieceIndex),
    /// A message of the extension protocol (BEP 10): id 0 is its handshake, others as the receiver named them.
    Extended {
        /// The message's id.
        id: u8,
        /// Its payload.
        payload: Bytes,
    },
    // The hash messages of BEP 52 stand here too: HashRequest, Hashes, HashReject.
}

/// Why bytes from a peer are no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The length prefix is over the limit of its message.
    #[error("message of {0} bytes is too long")]
    TooLong(u32),
    /// The message has another length than its kind needs.
    #[error("message {id} has {length} bytes")]
    WrongLength {
        /// The kind.
        id: u8,
        /// Bytes after the length prefix.
        length: u32,
    },
}
