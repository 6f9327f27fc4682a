//! The messages after the handshake.

use bytes::Bytes;
use riverrun_metainfo::{Block, PieceIndex};

/// One message of the peer wire protocol. The payload of a block travels beside it, never in it.
///
/// Indexes are what the peer said: whether a piece exists is for the swarm to judge. The hash messages are boxed so that a
/// batch of the usual ones stays small.
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
    /// Asks for hashes of a file's tree (BEP 52).
    HashRequest(Box<HashRange>),
    /// Hashes of a file's tree (BEP 52).
    Hashes(Box<Hashes>),
    /// A hash request will not be answered (BEP 52).
    HashReject(Box<HashRange>),
}

/// A run of hashes in one layer of a file's hash tree, and its proof (BEP 52).
///
/// The numbers are what the peer said: nothing is checked but their width.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct HashRange {
    /// The root of the file's tree.
    pub pieces_root: [u8; 32],
    /// The layer of the hashes, counted from the leaves.
    pub base_layer: u32,
    /// The first hash, counted in its layer.
    pub index: u32,
    /// How many hashes of the base layer.
    pub length: u32,
    /// How many layers above are to be proved.
    pub proof_layers: u32,
}

impl HashRange {
    /// Its bytes on the wire.
    pub(super) const LENGTH: u32 = 48;
}

/// Hashes that answer a request for a [`HashRange`] (BEP 52).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hashes {
    /// The range as it was asked for.
    pub range: HashRange,
    /// The hashes of the base layer, then the uncle hashes upwards; a multiple of 32 bytes.
    pub hashes: Bytes,
}

/// The numbers of the messages on the wire (BEP 3, 4, 6, 10, 52).
pub(super) mod id {
    pub(crate) const CHOKE: u8 = 0;
    pub(crate) const UNCHOKE: u8 = 1;
    pub(crate) const INTERESTED: u8 = 2;
    pub(crate) const NOT_INTERESTED: u8 = 3;
    pub(crate) const HAVE: u8 = 4;
    pub(crate) const BITFIELD: u8 = 5;
    pub(crate) const REQUEST: u8 = 6;
    pub(crate) const PIECE: u8 = 7;
    pub(crate) const CANCEL: u8 = 8;
    pub(crate) const PORT: u8 = 9;
    pub(crate) const SUGGEST: u8 = 13;
    pub(crate) const HAVE_ALL: u8 = 14;
    pub(crate) const HAVE_NONE: u8 = 15;
    pub(crate) const REJECT: u8 = 16;
    pub(crate) const ALLOWED_FAST: u8 = 17;
    pub(crate) const EXTENDED: u8 = 20;
    pub(crate) const HASH_REQUEST: u8 = 21;
    pub(crate) const HASHES: u8 = 22;
    pub(crate) const HASH_REJECT: u8 = 23;
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
