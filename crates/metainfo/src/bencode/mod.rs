//! Bencode (BEP 3): the form of torrent files, of tracker replies and of extension messages.
//!
//! Reading never recurses and never copies: [`decode`] makes a [`Document`], which holds 8 bytes for each list and dictionary of
//! the input, and [`Value`]s are cursors on it that give borrowed bytes and the exact span of any value, so that hashes are taken
//! over what was received and never over a re-encoding. What is legible but not canonical (unsorted keys, leading zeros, ...) is
//! read and reported by [`Value::form`]; the caller decides. A [`Reader`] takes what has a known form in one pass, without a
//! document, or on the way to one ([`decode_lifting`]). Writing goes through [`dict`] and [`list`], which can only write canonical form.

mod decode;
mod document;
mod encode;
mod error;
mod path;
mod reader;
mod tape;

pub use decode::{Limits, decode, decode_lifting, decode_prefix};
pub use document::{Dict, Document, Entries, Form, Kind, List, RepeatedKey, Value};
pub use encode::{DictWriter, ListWriter, dict, list};
pub use error::{DecodeError, DecodeErrorKind};
pub use reader::{ReadError, Reader};

#[cfg(test)]
mod tests;
