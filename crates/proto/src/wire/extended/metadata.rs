//! The info dictionary from peers, in pieces of 16 KiB (BEP 9).

use bytes::Bytes;
use riverrun_metainfo::BLOCK_LENGTH;
use riverrun_metainfo::bencode::{self, Limits};

use super::ExtendedError;

/// One message about a piece of the metadata. Numbers are what the peer said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MetadataMessage {
    /// Asks for a piece.
    Request {
        /// Its number.
        piece: u32,
    },
    /// A piece.
    Data {
        /// Its number.
        piece: u32,
        /// The length of the whole metadata in bytes, as this message has it.
        total_size: u32,
        /// The piece's bytes, at most [`BLOCK_LENGTH`].
        data: Bytes,
    },
    /// A request will not be answered.
    Reject {
        /// The number of the piece.
        piece: u32,
    },
}

impl MetadataMessage {
    const WHAT: &str = "metadata message";

    /// Reads a payload; `Ok(None)` for a kind that is not known, which is to be ignored (BEP 9).
    ///
    /// # Errors
    /// It does not begin with a dictionary, lacks a key that its kind needs, or brings more bytes than a piece has.
    pub fn parse(payload: &Bytes) -> Result<Option<Self>, ExtendedError> {
        let document =
            bencode::decode_prefix(payload, Limits::MESSAGE).map_err(|_| ExtendedError::NotADictionary(Self::WHAT))?;
        let dict = document.root().as_dict().ok_or(ExtendedError::NotADictionary(Self::WHAT))?;
        let int = |key: &'static str| {
            dict.get(key).and_then(|value| value.as_int()).ok_or(ExtendedError::Missing(Self::WHAT, key))
        };
        let number = |key: &'static str| u32::try_from(int(key)?).map_err(|_| ExtendedError::Missing(Self::WHAT, key));
        Ok(Some(match int("msg_type")? {
            0 => Self::Request { piece: number("piece")? },
            1 => {
                let data = payload.slice(document.end()..);
                if data.is_empty() || data.len() > BLOCK_LENGTH as usize {
                    return Err(ExtendedError::Length("metadata piece", data.len()));
                }
                Self::Data { piece: number("piece")?, total_size: number("total_size")?, data }
            }
            2 => Self::Reject { piece: number("piece")? },
            _ => return Ok(None),
        }))
    }

    /// The payload as it goes over the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (kind, piece) = match self {
            Self::Request { piece } => (0, *piece),
            Self::Data { piece, .. } => (1, *piece),
            Self::Reject { piece } => (2, *piece),
        };
        let mut bytes = bencode::dict(|dict| {
            dict.int("msg_type", kind).int("piece", piece);
            if let Self::Data { total_size, .. } = self {
                dict.int("total_size", *total_size);
            }
        });
        if let Self::Data { data, .. } = self {
            bytes.extend_from_slice(data);
        }
        bytes
    }
}
