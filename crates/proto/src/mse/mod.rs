//! Message stream encryption (MSE, also called PE): a handshake that looks like noise, and a stream that may go on so.
//!
//! It hides from whoever looks at packets that peers speak BitTorrent. It is no secrecy worth the name: nobody is told from
//! anybody else, the info-hash is all it takes to listen in, RC4 is broken. It never had a BEP; its text is "Message Stream
//! Encryption", version 1.0, of the Vuze wiki (BEP 1000 keeps number 13 for it).
//!
//! ```text
//! A to B:  Ya, PadA                                                          96 bytes, 0 to 512
//! B to A:  Yb, PadB                                                          96 bytes, 0 to 512
//! A to B:  HASH("req1", S), HASH("req2", SKEY) xor HASH("req3", S),          20 bytes each
//!          RC4(VC, crypto_provide, len(PadC), PadC, len(IA), IA)             8, 4, 2, 0 to 512, 2, 0 to 68
//! B to A:  RC4(VC, crypto_select, len(PadD), PadD)                           8, 4, 2, 0 to 512
//! ```
//!
//! A dialled. S is the shared secret of a Diffie-Hellman exchange, SKEY the info-hash, VC eight zeros, IA the first bytes of
//! A's stream. Then both streams go on, under the same RC4 or plain, as `crypto_select` says.
//!
//! [`Initiator`] and [`Responder`] are the two sides. They are fed like [`HandshakeDecoder`](crate::wire::HandshakeDecoder):
//! a stream of bytes has no other input, and the timer over all that opens a connection
//! ([`HANDSHAKE_TIMEOUT`](crate::limits::HANDSHAKE_TIMEOUT)) runs outside, as BitTorrent's own handshake is under it too.
//! Neither ever takes a byte of what follows, if it is given no more than [`Initiator::missing`] bytes at a time.

mod cipher;
mod dh;
mod frame;
mod inbox;
mod initiator;
mod keys;
mod policy;
mod responder;
#[cfg(test)]
mod tests;

pub use cipher::Cipher;
pub use initiator::Initiator;
pub use keys::TorrentMark;
pub use policy::{Cover, Encryption, Methods, Opening, Way};
pub use responder::Responder;
use riverrun_metainfo::WireHash;

/// How many bytes of chance one side takes: 20 for its key, 8 for its pads.
pub const RANDOM_LENGTH: usize = 28;

/// A handshake that has passed: how the streams go on.
#[derive(Debug)]
pub struct Covered {
    /// How much of the connection is covered.
    pub cover: Cover,
    /// What turns the bytes that come from now on into plain ones.
    pub inbound: Option<Cipher>,
    /// What the bytes that go from now on are put through.
    pub outbound: Option<Cipher>,
    /// The torrent that both know.
    pub info_hash: WireHash,
    /// The first bytes of the peer's stream, in plain: what came with its handshake. Only a responder has any.
    pub first: Vec<u8>,
}

/// Why a handshake did not pass. All but [`UnknownTorrent`](Self::UnknownTorrent) are what a peer that speaks something else
/// looks like, too.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MseError {
    /// The public key is 0, 1, one less than the prime, or no remainder of it: the secret would be known to all.
    #[error("weak public key")]
    WeakKey,
    /// The mark that follows the first pad is not there, within the longest pad.
    #[error("no mark within {0} bytes after the public key")]
    NoMark(usize),
    /// The verification constant is wrong.
    #[error("wrong verification constant")]
    WrongConstant,
    /// No torrent of ours is meant: not a byte is answered (THREATS P30).
    #[error("no torrent of ours is meant")]
    UnknownTorrent,
    /// No method that both allow, or one that was not offered.
    #[error("crypto methods {0:#x} are of no use")]
    Methods(u32),
    /// A pad is longer than 512 bytes.
    #[error("a pad of {0} bytes")]
    Pad(usize),
    /// The first bytes of the stream are more than a handshake.
    #[error("{0} first bytes")]
    First(usize),
}
