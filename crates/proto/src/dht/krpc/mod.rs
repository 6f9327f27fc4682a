//! The messages of the DHT: bencoded dictionaries, one in a UDP packet (BEP 5, KRPC Protocol).

mod decode;
mod encode;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use bytes::Bytes;
use riverrun_metainfo::hash::sha1;
use smallvec::SmallVec;

use super::bloom::BloomFilter;
use super::contact::Contact;
use super::id::Id;
use super::item::mutable_target;

pub use decode::Refusal;

/// What a query is known again by in its reply: bytes of the asker's choice, 1 to 32.
pub type Transaction = SmallVec<[u8; 8]>;

/// One message.
#[derive(Clone, PartialEq, Debug)]
pub struct Message {
    /// Names the query; the reply repeats it.
    pub transaction: Transaction,
    /// The client and its version, as it says.
    pub version: Option<[u8; 4]>,
    /// In replies: the address that the query came from (BEP 42).
    pub ip: Option<SocketAddr>,
    /// What is asked or answered.
    pub body: Body,
}

/// What a message is.
#[derive(Clone, PartialEq, Debug)]
pub enum Body {
    /// A question.
    Query {
        /// The asker's id.
        id: Id,
        /// Whether the asker answers nobody and wants to be in no table (BEP 43).
        read_only: bool,
        /// The question.
        query: Query,
    },
    /// An answer.
    Response(Box<Response>),
    /// A refusal.
    Error {
        /// The number, see [`ErrorCode`].
        code: i64,
        /// What it says, cut to 200 bytes, without control characters.
        text: String,
    },
}

/// Which nodes an asker wants to hear of (BEP 32). Both false: those of the family that the query came by.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Want {
    /// `n4`.
    pub v4: bool,
    /// `n6`.
    pub v6: bool,
}

/// A question.
#[derive(Clone, PartialEq, Debug)]
pub enum Query {
    /// Are you there?
    Ping,
    /// Who is close to this point?
    FindNode {
        /// The point.
        target: Id,
        /// Which nodes.
        want: Want,
    },
    /// Who shares this torrent?
    GetPeers {
        /// The torrent.
        info_hash: Id,
        /// Which nodes besides.
        want: Want,
        /// Prefer peers that are no seeds (BEP 33).
        no_seed: bool,
        /// Count them too (BEP 33).
        scrape: bool,
    },
    /// I share this torrent.
    AnnouncePeer {
        /// The torrent.
        info_hash: Id,
        /// The port that takes connections, not 0 unless it is implied.
        port: u16,
        /// The port that the query comes from is meant instead.
        implied_port: bool,
        /// Whether the asker has it all (BEP 33).
        seed: bool,
        /// The token out of the answer to `get_peers`.
        token: Vec<u8>,
    },
    /// Which item is at this point? (BEP 44)
    Get {
        /// The point.
        target: Id,
        /// Only a mutable item with a higher number.
        seq: Option<i64>,
        /// Which nodes besides.
        want: Want,
    },
    /// Keep this item (BEP 44).
    Put(Box<Put>),
    /// Some of the torrents that you keep peers of (BEP 51).
    SampleInfohashes {
        /// Which nodes besides: those close to this point.
        target: Id,
        /// Of which family.
        want: Want,
    },
    /// A question of a later time. With a target it is answered as `find_node`.
    Unknown {
        /// `target`, or else `info_hash`.
        target: Option<Id>,
        /// Which nodes.
        want: Want,
    },
}

/// What is to be kept, yet unproven.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Put {
    /// The token out of the answer to `get`.
    pub token: Vec<u8>,
    /// The value: one value of bencode, exactly as received.
    pub value: Bytes,
    /// Whether the value is in canonical form.
    pub canonical: bool,
    /// What makes it a mutable item.
    pub signed: Option<Signed>,
    /// Replace only this sequence number.
    pub cas: Option<i64>,
}

impl Put {
    /// Where the item belongs.
    #[must_use]
    pub fn target(&self) -> Id {
        match &self.signed {
            None => Id(sha1(&self.value)),
            Some(signed) => mutable_target(&signed.key, &signed.salt),
        }
    }
}

/// The part of a mutable item around its value, yet unproven.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed {
    /// The public key.
    pub key: [u8; 32],
    /// The salt; in answers always empty.
    pub salt: Vec<u8>,
    /// The sequence number.
    pub seq: i64,
    /// The signature.
    pub signature: [u8; 64],
}

/// An answer. Which fields it has depends on the question.
#[derive(Clone, PartialEq, Debug)]
pub struct Response {
    /// The answerer's id.
    pub id: Id,
    /// Nodes that are close to the target, of each family at most [`MAX_NODES_PER_REPLY`](super::limits::MAX_NODES_PER_REPLY).
    pub nodes: Option<Vec<Contact>>,
    /// The same over IPv6 (BEP 32).
    pub nodes6: Option<Vec<Contact>>,
    /// Peers of the torrent; empty when there are none.
    pub values: Vec<SocketAddr>,
    /// What an announce or a put must bring back.
    pub token: Option<Vec<u8>>,
    /// The seeds of the torrent (BEP 33).
    pub seeds: Option<Box<BloomFilter>>,
    /// Its downloaders (BEP 33).
    pub downloaders: Option<Box<BloomFilter>>,
    /// An item's value: one value of bencode, exactly as received (BEP 44).
    pub value: Option<Bytes>,
    /// What makes it a mutable item.
    pub signed: Option<Signed>,
    /// A mutable item's number; may stand alone, when the asker has the item already.
    pub seq: Option<i64>,
    /// Info-hashes (BEP 51).
    pub samples: Option<Samples>,
}

impl Response {
    /// An answer that says no more than who it is from.
    #[must_use]
    pub fn new(id: Id) -> Self {
        Self {
            id,
            nodes: None,
            nodes6: None,
            values: Vec::new(),
            token: None,
            seeds: None,
            downloaders: None,
            value: None,
            signed: None,
            seq: None,
            samples: None,
        }
    }
}

/// Some of the info-hashes that a node keeps peers of (BEP 51).
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Samples {
    /// The info-hashes.
    pub info_hashes: Vec<Id>,
    /// In how many seconds there will be others, 0 to 21600.
    pub interval: u32,
    /// How many there are in all.
    pub total: u32,
}

/// The numbers of refusals (BEP 5, 44).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ErrorCode {
    /// 201
    Generic,
    /// 202
    Server,
    /// 203: malformed, or a bad token.
    Protocol,
    /// 204: no such method.
    MethodUnknown,
    /// 205: the value is too long.
    ValueTooLong,
    /// 206
    BadSignature,
    /// 207
    SaltTooLong,
    /// 301: another number is stored than the one to be replaced.
    CasMismatch,
    /// 302: the number is lower than the stored one.
    OldSeq,
}

impl ErrorCode {
    /// The number on the wire.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Self::Generic => 201,
            Self::Server => 202,
            Self::Protocol => 203,
            Self::MethodUnknown => 204,
            Self::ValueTooLong => 205,
            Self::BadSignature => 206,
            Self::SaltTooLong => 207,
            Self::CasMismatch => 301,
            Self::OldSeq => 302,
        }
    }
}
