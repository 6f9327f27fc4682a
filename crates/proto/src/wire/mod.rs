//! The peer wire protocol: handshake and messages (BEP 3, 4, 6, 10, 52, 54, 55).

mod handshake;
mod message;

pub use handshake::{Handshake, PeerId, Reserved};
pub use message::{Message, WireError};
