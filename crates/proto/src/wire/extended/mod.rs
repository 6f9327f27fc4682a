//! What travels inside [`Message::Extended`] (BEP 9, 10, 11, 21, 54, 55).
//!
//! The side that receives a message chose its number, so the numbers here are ours, and a peer's are kept in
//! [`ExtensionIds`]. What a peer sends is read with bounds; keys that are not known and values of the wrong type are as if
//! they were not there (BEP 10, THREATS P20).

mod handshake;
mod holepunch;
mod metadata;
mod pex;
#[cfg(test)]
mod tests;

pub use handshake::ExtendedHandshake;
pub use holepunch::{HolePunch, HolePunchError};
pub use metadata::MetadataMessage;
pub use pex::{PexContact, PexFlags, PexMessage};

use bytes::Bytes;
use riverrun_metainfo::PieceIndex;

use super::message::Message;

/// An extension that is known here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Extension {
    /// `ut_metadata`: the info dictionary from peers (BEP 9).
    Metadata,
    /// `ut_pex`: peer exchange (BEP 11).
    Pex,
    /// `lt_donthave`: a piece is no longer had (BEP 54).
    DontHave,
    /// `upload_only`: the sender wants nothing more, or wants again (BEP 21, as a message of its own).
    UploadOnly,
    /// `ut_holepunch`: connections through a third peer (BEP 55).
    HolePunch,
}

impl Extension {
    /// All of them, by [`number`](Self::number).
    pub const ALL: [Self; 5] = [Self::Metadata, Self::Pex, Self::DontHave, Self::UploadOnly, Self::HolePunch];

    /// Its name in the handshake's `m`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Metadata => "ut_metadata",
            Self::Pex => "ut_pex",
            Self::DontHave => "lt_donthave",
            Self::UploadOnly => "upload_only",
            Self::HolePunch => "ut_holepunch",
        }
    }

    /// The number that peers use to send it to us, from 1.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8 + 1
    }

    /// The extension of one of our numbers.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|extension| extension.number() == number)
    }
}

/// The numbers by which one peer wants to be sent extensions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ExtensionIds([u8; Extension::ALL.len()]);

impl ExtensionIds {
    /// Our own numbers for these extensions, as our handshake tells them.
    #[must_use]
    pub fn ours(speaks: impl IntoIterator<Item = Extension>) -> Self {
        let mut ids = Self::default();
        speaks.into_iter().for_each(|extension| ids.0[extension as usize] = extension.number());
        ids
    }

    /// The number for this extension; `None` if the peer does not speak it.
    #[must_use]
    pub fn get(&self, extension: Extension) -> Option<u8> {
        Some(self.0[extension as usize]).filter(|id| *id != 0)
    }

    /// Takes in the `m` of another handshake: what it names replaces what was before, 0 switches off (BEP 10).
    pub fn update(&mut self, handshake: &ExtendedHandshake) {
        for &(extension, id) in &handshake.extensions {
            self.0[extension as usize] = id;
        }
    }
}

/// A message of the extension protocol that is known here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ExtendedMessage {
    /// What the sender speaks and says of itself (BEP 10).
    Handshake(Box<ExtendedHandshake>),
    /// A part of the info dictionary (BEP 9).
    Metadata(MetadataMessage),
    /// Peers that the sender has or has no longer (BEP 11).
    Pex(PexMessage),
    /// The sender no longer has a piece (BEP 54).
    DontHave(PieceIndex),
    /// Whether the sender wants nothing more (BEP 21).
    UploadOnly(bool),
    /// Connections through a third peer (BEP 55).
    HolePunch(HolePunch),
}

/// Why an extended message cannot be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExtendedError {
    /// The payload does not begin with a bencoded dictionary within the bounds for messages.
    #[error("{0} is not a dictionary")]
    NotADictionary(&'static str),
    /// A key that the message cannot do without is missing or of the wrong type.
    #[error("{0} without {1}")]
    Missing(&'static str, &'static str),
    /// The payload has a length that the message cannot have.
    #[error("{0} of {1} bytes")]
    Length(&'static str, usize),
}

impl ExtendedMessage {
    /// Reads the payload of [`Message::Extended`] with this id, one of our numbers or 0. `Ok(None)`: an id that we did not
    /// give, or a kind that is to be ignored.
    ///
    /// # Errors
    /// The payload breaks the form of its message.
    pub fn parse(id: u8, payload: &Bytes) -> Result<Option<Self>, ExtendedError> {
        if id == 0 {
            return ExtendedHandshake::parse(payload).map(|handshake| Some(Self::Handshake(Box::new(handshake))));
        }
        let Some(extension) = Extension::from_number(id) else { return Ok(None) };
        let wrong_length = ExtendedError::Length(extension.name(), payload.len());
        match extension {
            Extension::Metadata => Ok(MetadataMessage::parse(payload)?.map(Self::Metadata)),
            Extension::Pex => PexMessage::parse(payload).map(|pex| Some(Self::Pex(pex))),
            Extension::DontHave => match payload.as_ref().try_into() {
                Ok(piece) => Ok(Some(Self::DontHave(PieceIndex(u32::from_be_bytes(piece))))),
                Err(_) => Err(wrong_length),
            },
            Extension::UploadOnly => match payload.as_ref() {
                [flag] => Ok(Some(Self::UploadOnly(*flag != 0))),
                _ => Err(wrong_length),
            },
            Extension::HolePunch => Ok(HolePunch::parse(payload)?.map(Self::HolePunch)),
        }
    }

    /// The message for a peer with these numbers; `None` if it does not speak the extension.
    #[must_use]
    pub fn to_message(&self, ids: &ExtensionIds) -> Option<Message> {
        let (extension, payload) = match self {
            Self::Handshake(handshake) => {
                return Some(Message::Extended { id: 0, payload: handshake.to_bytes().into() });
            }
            Self::Metadata(metadata) => (Extension::Metadata, metadata.to_bytes()),
            Self::Pex(pex) => (Extension::Pex, pex.to_bytes()),
            Self::DontHave(piece) => (Extension::DontHave, piece.0.to_be_bytes().to_vec()),
            Self::UploadOnly(flag) => (Extension::UploadOnly, vec![u8::from(*flag)]),
            Self::HolePunch(punch) => (Extension::HolePunch, punch.to_bytes()),
        };
        Some(Message::Extended { id: ids.get(extension)?, payload: payload.into() })
    }
}
