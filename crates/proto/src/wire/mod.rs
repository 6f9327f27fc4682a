//! The peer wire protocol: handshake and messages (BEP 3, 4, 6, 10, 52, 54, 55).

mod decoder;
mod encoder;
pub mod extended;
mod handshake;
mod message;
mod peer_id;
#[cfg(test)]
mod tests;

pub use decoder::{Decoder, DecoderConfig, Frame};
pub use encoder::{PIECE_HEADER_LENGTH, piece_header};
pub(crate) use handshake::PROTOCOL;
pub use handshake::{HANDSHAKE_LENGTH, Handshake, HandshakeDecoder, HandshakeError, Reserved};
pub use message::{HashRange, Hashes, Message, WireError};
pub use peer_id::{MAX_CLIENT_NAME, PEER_ID_PREFIX, PeerId, remote_text};
