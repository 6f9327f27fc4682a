//! The tape: a token for each list and dictionary, and how what has none is read again from the input.

use std::ops::Range;

use super::decode::length_at;

/// A list or dictionary that was read to its end. Strings and integers have no token: they are read from the input when asked for.
#[derive(Clone, Copy)]
pub(super) struct Token {
    /// Where it ends in the input.
    end: u32,
    /// Bits 0 to 3 the flaws, 4 whether it was lifted, 5 to 31 the number of the token after those within it.
    meta: u32,
}

/// Ways to depart from the canonical form, of a dictionary's keys or of what stands directly in a list or dictionary.
#[derive(Clone, Copy)]
pub(super) enum Flaw {
    Unsorted = 1,
    Repeated = 2,
    LeadingZeros = 4,
    MinusZero = 8,
}

const FLAWS: u32 = 0b1111;
const LIFTED: u32 = 1 << 4;
const AFTER_SHIFT: u32 = 5;

impl Token {
    /// One that is still open.
    pub(super) const OPEN: Self = Self { end: 0, meta: 0 };

    /// One that was read to its end by somebody else: nothing within it is on the tape.
    pub(super) fn lifted(end: u32, after: u32) -> Self {
        Self { end, meta: after << AFTER_SHIFT | LIFTED }
    }

    #[inline]
    pub(super) fn is_lifted(self) -> bool {
        self.meta & LIFTED != 0
    }

    /// Notes where it ends, and the number of the token after those within it.
    #[inline]
    pub(super) fn close(&mut self, end: u32, after: u32) {
        self.end = end;
        self.meta |= after << AFTER_SHIFT;
    }

    #[cold]
    pub(super) fn add(&mut self, flaw: Flaw) {
        self.meta |= flaw as u32;
    }

    #[inline]
    pub(super) fn has(self, flaw: Flaw) -> bool {
        self.meta & flaw as u32 != 0
    }

    #[inline]
    pub(super) fn has_any(self) -> bool {
        self.meta & FLAWS != 0
    }

    #[inline]
    pub(super) fn end(self) -> u32 {
        self.end
    }

    #[inline]
    fn after(self) -> usize {
        (self.meta >> AFTER_SHIFT) as usize
    }
}

/// A position or count that fits, because inputs are at most `MOST_BYTES` long and tapes at most `MOST_TOKENS`.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "bounded by MOST_BYTES and MOST_TOKENS, both under 2^32")]
pub(super) fn short(n: usize) -> u32 {
    n as u32
}

/// Where the content of the string at `at` lies. It is one that the scanner has accepted, as in all functions below.
#[inline(always)]
pub(super) fn content(input: &[u8], at: usize) -> Range<usize> {
    let digit = |byte: u8| usize::from(byte & 0xf);
    let (start, length) = match input[at..] {
        [a, b':', ..] => (at + 2, digit(a)),
        [a, b, b':', ..] => (at + 3, digit(a) * 10 + digit(b)),
        _ => return long_content(input, at),
    };
    start..start + length
}

#[cold]
fn long_content(input: &[u8], at: usize) -> Range<usize> {
    let (length, start) = length_at(input, at).expect("the scanner has read this length");
    start..start + usize::try_from(length).expect("the string lies in the input")
}

/// Where the digits of the integer at `at` lie, with their sign.
#[inline(always)]
pub(super) fn digits(input: &[u8], at: usize) -> Range<usize> {
    let start = at + 1;
    let count = input[start..].iter().position(|&byte| byte == b'e').expect("an integer has an end");
    start..start + count
}

/// Where the value or key at `at` ends, and the number of the next token then; `token` is that of the first from `at` on.
#[inline(always)]
pub(super) fn skip(input: &[u8], tape: &[Token], at: usize, token: usize) -> (usize, usize) {
    match input[at] {
        b'l' | b'd' => (tape[token].end as usize, tape[token].after()),
        b'i' => (digits(input, at).end + 1, token),
        _ => (content(input, at).end, token),
    }
}
