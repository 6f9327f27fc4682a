//! Reading what has a known form in one pass, with nothing kept of it.

use super::decode::{Fault, integer_at, string_at};
use super::{DecodeErrorKind, Kind, Limits};

/// Reads a value of a known form part by part, each byte once and in order: for long lists of which only some fields matter, such
/// as the files of a torrent. What has to be asked for any key, in any order, is a [`Document`](super::Document).
///
/// It accepts what [`decode`](super::decode) accepts, under the same limits; beyond the lists and dictionaries that its caller
/// enters it never recurses.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    input: &'a [u8],
    pos: usize,
    /// How many more values there may be, and how much deeper they may lie.
    left: Limits,
    limits: Limits,
    canonical: bool,
}

/// Why a [`Reader`] cannot go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The bytes are not bencode, or are over a limit.
    #[error("{kind} at byte {offset}")]
    Decode {
        /// What is wrong.
        kind: DecodeErrorKind,
        /// Where, in bytes from the start of the input.
        offset: usize,
    },
    /// A value is not what was asked for.
    #[error("not {} at byte {offset}", expected.name())]
    Kind {
        /// What was asked for.
        expected: Kind,
        /// Where the value starts, in bytes from the start of the input.
        offset: usize,
    },
}

impl ReadError {
    fn new((kind, offset): Fault) -> Self {
        Self::Decode { kind, offset }
    }
}

impl<'a> Reader<'a> {
    /// Starts at the front of `input`.
    #[must_use]
    pub fn new(input: &'a [u8], limits: Limits) -> Self {
        Self::at(input, 0, limits, limits)
    }

    /// Starts within a value, with what is left of the limits.
    pub(super) fn at(input: &'a [u8], pos: usize, left: Limits, limits: Limits) -> Self {
        Self { input, pos, left, limits, canonical: true }
    }

    /// How many more values there may be.
    pub(super) fn tokens_left(&self) -> usize {
        self.left.tokens
    }

    /// How far it is, in bytes from the start of the input.
    #[must_use]
    pub fn position(&self) -> usize {
        self.pos
    }

    /// Whether all that was read is in canonical form. [`Value::form`](super::Value::form) tells what is not.
    #[must_use]
    pub fn is_canonical(&self) -> bool {
        self.canonical
    }

    /// What the next value is.
    ///
    /// # Errors
    /// No value starts here.
    pub fn kind(&self) -> Result<Kind, ReadError> {
        match self.byte()? {
            b'0'..=b'9' => Ok(Kind::Bytes),
            b'i' => Ok(Kind::Int),
            b'l' => Ok(Kind::List),
            b'd' => Ok(Kind::Dict),
            other => Err(self.fault(DecodeErrorKind::NotAValue(other))),
        }
    }

    /// Reads a string.
    ///
    /// # Errors
    /// It is not one, or not whole.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], ReadError> {
        if !self.byte()?.is_ascii_digit() {
            return Err(self.other(Kind::Bytes));
        }
        self.count()?;
        self.string()
    }

    /// Reads an integer; `None` for one that does not fit 64 bits.
    ///
    /// # Errors
    /// It is not one, or not whole.
    #[inline]
    pub fn int(&mut self) -> Result<Option<i64>, ReadError> {
        const SAFE_DIGITS: usize = 18;
        if self.byte()? != b'i' {
            return Err(self.other(Kind::Int));
        }
        self.count()?;
        let integer = integer_at(self.input, self.pos).map_err(ReadError::new)?;
        self.canonical &= !(integer.leading_zeros | integer.minus_zero);
        self.pos = integer.digits.end + 1;
        let digits = &self.input[integer.digits];
        if digits.len() <= SAFE_DIGITS && digits[0] != b'-' {
            let add = |sum: i64, digit: &u8| sum.wrapping_mul(10).wrapping_add(i64::from(digit & 0xf));
            return Ok(Some(digits.iter().fold(0, add)));
        }
        Ok(std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()))
    }

    /// Reads a list: `element` is called at each element and reads it; what it does not read is skipped.
    ///
    /// # Errors
    /// It is not one, or not whole; or what `element` says.
    #[inline]
    pub fn list<E: From<ReadError>>(&mut self, mut element: impl FnMut(&mut Self) -> Result<(), E>) -> Result<(), E> {
        self.enter(b'l', Kind::List)?;
        while !self.leaves()? {
            let start = self.pos;
            element(self)?;
            if self.pos == start {
                self.skip()?;
            }
        }
        Ok(())
    }

    /// Reads a dictionary: `entry` is called with each key and reads the value; what it does not read is skipped.
    ///
    /// # Errors
    /// It is not one, or not whole; or what `entry` says.
    #[inline]
    pub fn dict<E: From<ReadError>>(
        &mut self,
        mut entry: impl FnMut(&mut Self, &'a [u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        self.enter(b'd', Kind::Dict)?;
        let mut last: Option<&[u8]> = None;
        while !self.leaves()? {
            let key = self.key()?;
            // Mostly the first bytes differ already.
            if last.is_some_and(|last| key.first() <= last.first() && key <= last) {
                self.canonical = false;
            }
            last = Some(key);
            let start = self.pos;
            entry(self, key)?;
            if self.pos == start {
                self.skip()?;
            }
        }
        Ok(())
    }

    /// Reads over a value of any kind, in constant stack.
    ///
    /// # Errors
    /// No value starts here, or it is not whole.
    pub fn skip(&mut self) -> Result<(), ReadError> {
        match self.byte()? {
            b'0'..=b'9' => self.bytes().map(drop),
            b'i' => self.int().map(drop),
            _ => {
                let end = super::decode::end_of(self.input, self.pos, &mut self.left, &mut self.canonical);
                self.pos = end.map_err(|(kind, offset)| {
                    let kind = match kind {
                        DecodeErrorKind::Tokens(_) => DecodeErrorKind::Tokens(self.limits.tokens),
                        DecodeErrorKind::Depth(_) => DecodeErrorKind::Depth(self.limits.depth),
                        other => other,
                    };
                    ReadError::Decode { kind, offset }
                })?;
                Ok(())
            }
        }
    }

    /// Reads over a value of any kind, and gives its bytes exactly as they are.
    ///
    /// # Errors
    /// No value starts here, or it is not whole.
    pub fn raw(&mut self) -> Result<&'a [u8], ReadError> {
        let start = self.pos;
        self.skip()?;
        Ok(&self.input[start..self.pos])
    }

    #[inline(always)]
    fn byte(&self) -> Result<u8, ReadError> {
        self.input.get(self.pos).copied().ok_or_else(|| self.ended())
    }

    #[inline(always)]
    fn string(&mut self) -> Result<&'a [u8], ReadError> {
        let (content, zeros) = string_at(self.input, self.pos).map_err(ReadError::new)?;
        self.canonical &= !zeros;
        self.pos = content.end;
        Ok(&self.input[content])
    }

    #[inline(always)]
    fn key(&mut self) -> Result<&'a [u8], ReadError> {
        match self.byte()? {
            b'0'..=b'9' => self.string(),
            other => Err(self.fault(DecodeErrorKind::NotAKey(other))),
        }
    }

    #[inline(always)]
    fn enter(&mut self, open: u8, kind: Kind) -> Result<(), ReadError> {
        if self.byte()? != open {
            return Err(self.other(kind));
        }
        self.count()?;
        let deeper = self.left.depth.checked_sub(1);
        self.left.depth = deeper.ok_or_else(|| self.fault(DecodeErrorKind::Depth(self.limits.depth)))?;
        self.pos += 1;
        Ok(())
    }

    /// Whether the list or dictionary ends here, and its end was read.
    #[inline(always)]
    fn leaves(&mut self) -> Result<bool, ReadError> {
        let ends = self.byte()? == b'e';
        if ends {
            self.pos += 1;
            self.left.depth += 1;
        }
        Ok(ends)
    }

    #[inline(always)]
    fn count(&mut self) -> Result<(), ReadError> {
        let fewer = self.left.tokens.checked_sub(1);
        self.left.tokens = fewer.ok_or_else(|| self.fault(DecodeErrorKind::Tokens(self.limits.tokens)))?;
        Ok(())
    }

    #[cold]
    fn fault(&self, kind: DecodeErrorKind) -> ReadError {
        ReadError::Decode { kind, offset: self.pos }
    }

    #[cold]
    fn ended(&self) -> ReadError {
        let kind = if self.input.is_empty() { DecodeErrorKind::Empty } else { DecodeErrorKind::Ended };
        ReadError::Decode { kind, offset: self.input.len() }
    }

    /// What stands here is not what was asked for.
    #[cold]
    fn other(&self, expected: Kind) -> ReadError {
        match self.kind() {
            Ok(_) => ReadError::Kind { expected, offset: self.pos },
            Err(error) => error,
        }
    }
}
