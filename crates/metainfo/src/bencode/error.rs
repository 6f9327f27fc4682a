//! Why bytes are not bencode.

use super::path::quoted;

/// Why bytes are not bencode within the limits: what, where, and inside of which value.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{kind} at byte {offset}{}", inside(path))]
pub struct DecodeError {
    /// What is wrong.
    pub kind: DecodeErrorKind,
    /// Where, counted in bytes from the start of the input.
    pub offset: usize,
    /// The keys and list positions that lead there, like `info.files.3.path`; empty at the top. Fit for display.
    pub path: String,
}

/// What is wrong with the bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// There are no bytes.
    #[error("no bytes")]
    Empty,
    /// The input ends inside a value.
    #[error("end of input")]
    Ended,
    /// A string is longer than what follows. The offset is that of its first byte.
    #[error("string of {promised} bytes with only {available} left")]
    StringPastEnd {
        /// The length that is written.
        promised: u64,
        /// The bytes that are there.
        available: usize,
    },
    /// The length of a string has more than 20 digits or does not fit 64 bits.
    #[error("length out of range")]
    Length,
    /// A byte that starts no value.
    #[error("{} in place of a value", quoted(&[*.0]))]
    NotAValue(u8),
    /// A dictionary key that is not a string.
    #[error("{} in place of a key", quoted(&[*.0]))]
    NotAKey(u8),
    /// A dictionary that ends after a key.
    #[error("key without a value")]
    NoValue,
    /// A byte that cannot stand in an integer, or an integer without digits.
    #[error("{} in an integer", quoted(&[*.0]))]
    Integer(u8),
    /// A byte that cannot stand in the length of a string.
    #[error("{} in the length of a string", quoted(&[*.0]))]
    LengthDigit(u8),
    /// Nesting is deeper than the limit.
    #[error("nesting deeper than {0}")]
    Depth(usize),
    /// There are more values than the limit.
    #[error("more than {0} values")]
    Tokens(usize),
    /// The input is longer than 4 GiB.
    #[error("more than 4 GiB")]
    TooLong,
    /// Bytes follow the value.
    #[error("more bytes after the end")]
    Trailing,
}

fn inside(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" in \"{path}\"") }
}
