//! From bytes to a tape of tokens, in one pass with constant stack.

use super::document::{Document, Tag, Token, quoted};

/// How much a document may hold. What a stranger sends is cut off here, before it costs memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The deepest nesting of lists and dictionaries.
    pub depth: usize,
    /// The most values; each costs at most 16 bytes of memory, and 8 more if it has a key.
    pub tokens: usize,
}

impl Limits {
    /// For torrent files and info dictionaries: depth 100, 3 million values (600,000 files of v1 or 180,000 of a hybrid).
    pub const METAINFO: Self = Self { depth: 100, tokens: 3_000_000 };
    /// For messages of peers, trackers and DHT nodes: depth 20, 2,000 values.
    pub const MESSAGE: Self = Self { depth: 20, tokens: 2_000 };
}

/// The most tokens that a tape can address, whatever the limits say.
const MOST_TOKENS: usize = 1 << 25;
/// The most tokens that room is made for before they are seen.
const MOST_ROOM: usize = 1 << 20;
/// The longest input that a tape can address, in bytes.
const MOST_BYTES: usize = u32::MAX as usize;
/// More digits than any honest length has, leading zeros included.
const MOST_LENGTH_DIGITS: usize = 20;

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

/// Reads one value that is all of `input`.
///
/// # Errors
/// The input is not bencode, is over a limit, or goes on after the value.
pub fn decode(input: &[u8], limits: Limits) -> Result<Document<'_>, DecodeError> {
    let document = decode_prefix(input, limits)?;
    if document.end() < input.len() {
        return Err(DecodeError { kind: DecodeErrorKind::Trailing, offset: document.end(), path: String::new() });
    }
    Ok(document)
}

/// Reads the value at the front of `input`; [`Document::end`] tells where it ends (BEP 9 puts raw bytes after a dictionary).
///
/// # Errors
/// The input does not start with bencode, or the value is over a limit.
pub fn decode_prefix(input: &[u8], limits: Limits) -> Result<Document<'_>, DecodeError> {
    let limits = Limits { tokens: limits.tokens.min(MOST_TOKENS), ..limits };
    let mut scanner = Scanner {
        input,
        limits,
        most_tokens: limits.tokens,
        // Room for one token per 6 bytes; torrent files have fewer. What is never written to costs no memory.
        tape: Vec::with_capacity((input.len() / 6).clamp(8, MOST_ROOM)),
        outer: Vec::new(),
        frame: Frame::new(Place::Root, 0),
        faults: false,
    };
    match scanner.run() {
        Ok(end) => Ok(Document::new(input, scanner.tape, end, scanner.faults)),
        Err((kind, offset)) => Err(scanner.error(kind, offset)),
    }
}

/// What the next value is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Element,
    Key,
    Value,
}

/// An open list or dictionary.
#[derive(Clone, Copy)]
struct Frame {
    place: Place,
    /// Its token.
    token: u32,
    /// The last key, as a range of the input; empty before the first (a key never starts at byte 0).
    key: (u32, u32),
}

impl Frame {
    fn new(place: Place, token: u32) -> Self {
        Self { place, token, key: (0, 0) }
    }
}

/// What is wrong, and where.
type Fault = (DecodeErrorKind, usize);

struct Scanner<'a> {
    input: &'a [u8],
    limits: Limits,
    /// How long the tape may get: the limit, which is one of values, and one more for each key and each end so far.
    most_tokens: usize,
    tape: Vec<Token>,
    /// The frames around `frame`, the outermost first.
    outer: Vec<Frame>,
    frame: Frame,
    faults: bool,
}

/// Offsets and counts were checked against `MOST_BYTES` and `MOST_TOKENS` before any token was made.
#[expect(clippy::cast_possible_truncation, reason = "bounded by MOST_BYTES and MOST_TOKENS, both under 2^32")]
fn short(n: usize) -> u32 {
    n as u32
}

impl Scanner<'_> {
    /// Reads one value from the front; where it ends.
    fn run(&mut self) -> Result<usize, Fault> {
        let input = self.input;
        match input.len() {
            0 => return Err((DecodeErrorKind::Empty, 0)),
            1..=MOST_BYTES => {}
            _ => return Err((DecodeErrorKind::TooLong, 0)),
        }
        let mut pos = match input[0] {
            b'0'..=b'9' => return self.string(0),
            b'i' => return self.integer(0),
            byte => self.open(byte, 0)?,
        };
        loop {
            pos = match self.frame.place {
                Place::Root => return Ok(pos),
                Place::Element => self.elements(pos)?,
                Place::Key | Place::Value => self.entries(pos)?,
            };
        }
    }

    /// Reads on in a list, until it ends or an element opens.
    #[inline(always)]
    fn elements(&mut self, mut pos: usize) -> Result<usize, Fault> {
        loop {
            pos = match self.byte(pos)? {
                b'0'..=b'9' => self.string(pos)?,
                b'i' => self.integer(pos)?,
                b'e' => return self.close(pos),
                byte => return self.open(byte, pos),
            };
        }
    }

    /// Reads on in a dictionary, until it ends or a value opens.
    #[inline(always)]
    fn entries(&mut self, mut pos: usize) -> Result<usize, Fault> {
        loop {
            self.frame.place = Place::Key;
            pos = match self.byte(pos)? {
                b'0'..=b'9' => self.key(pos)?,
                b'e' => return self.close(pos),
                byte => return Err((DecodeErrorKind::NotAKey(byte), pos)),
            };
            self.frame.place = Place::Value;
            pos = match self.byte(pos)? {
                b'0'..=b'9' => self.string(pos)?,
                b'i' => self.integer(pos)?,
                byte => return self.open(byte, pos),
            };
        }
    }

    #[inline(always)]
    fn byte(&self, pos: usize) -> Result<u8, Fault> {
        self.input.get(pos).copied().ok_or((DecodeErrorKind::Ended, self.input.len()))
    }

    /// Puts a value on the tape.
    #[inline(always)]
    fn push(&mut self, token: Token, pos: usize) -> Result<(), Fault> {
        if self.tape.len() >= self.most_tokens {
            return Err((DecodeErrorKind::Tokens(self.limits.tokens), pos));
        }
        self.tape.push(token);
        Ok(())
    }

    /// Puts on the tape what is no value and does not count.
    #[inline(always)]
    fn push_uncounted(&mut self, token: Token) {
        self.most_tokens += 1;
        self.tape.push(token);
    }

    #[inline(always)]
    fn string(&mut self, pos: usize) -> Result<usize, Fault> {
        let (token, _, end) = self.string_at(pos)?;
        self.push(token, pos)?;
        Ok(end)
    }

    /// Reads a key and compares it with the one before it. It is not counted: its value is.
    #[inline(always)]
    fn key(&mut self, pos: usize) -> Result<usize, Fault> {
        let (token, start, end) = self.string_at(pos)?;
        self.push_uncounted(token);
        let (from, to) = std::mem::replace(&mut self.frame.key, (short(start), short(end)));
        if to > 0 {
            let (last, key) = (&self.input[from as usize..to as usize], &self.input[start..end]);
            // Mostly the first bytes differ already.
            if key.first() <= last.first() && key <= last {
                self.misplaced(key == last);
            }
        }
        Ok(end)
    }

    /// Notes a key that does not come after the last one.
    #[cold]
    fn misplaced(&mut self, repeated: bool) {
        self.faults = true;
        self.tape[self.frame.token as usize].add_faults(!repeated, repeated);
    }

    /// The token of the string whose length starts at `pos`, and where its content starts and ends.
    #[inline(always)]
    fn string_at(&mut self, pos: usize) -> Result<(Token, usize, usize), Fault> {
        let digit = |byte: u8| usize::from(byte & 0xf);
        // Most lengths have one or two digits.
        let (head, length) = match self.input[pos..] {
            [a, b':', ref rest @ ..] if digit(a) <= rest.len() => (2, digit(a)),
            [a @ b'1'..=b'9', b @ b'0'..=b'9', b':', ref rest @ ..] if digit(a) * 10 + digit(b) <= rest.len() => {
                (3, digit(a) * 10 + digit(b))
            }
            _ => return self.long_string_at(pos),
        };
        let start = pos + head;
        Ok((Token::new(Tag::Bytes, short(pos), false, false, short(head)), start, start + length))
    }

    /// The same for a length of any number of digits, with leading zeros or without, or past the end.
    #[cold]
    fn long_string_at(&mut self, pos: usize) -> Result<(Token, usize, usize), Fault> {
        let (promised, start) = length_at(self.input, pos)?;
        let zeros = self.input[pos] == b'0' && start - pos > 2;
        self.faults |= zeros;
        let available = self.input.len() - start;
        match usize::try_from(promised) {
            Ok(length) if length <= available => {
                let token = Token::new(Tag::Bytes, short(pos), zeros, false, short(start - pos));
                Ok((token, start, start + length))
            }
            _ => Err((DecodeErrorKind::StringPastEnd { promised, available }, start)),
        }
    }

    #[inline(always)]
    fn integer(&mut self, pos: usize) -> Result<usize, Fault> {
        let minus = self.input.get(pos + 1) == Some(&b'-');
        let first = pos + 1 + usize::from(minus);
        let digits = self.input.get(first..).unwrap_or_default();
        let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        match digits.get(count) {
            Some(b'e') if count > 0 => {}
            Some(&other) => return Err((DecodeErrorKind::Integer(other), first + count)),
            None => return Err((DecodeErrorKind::Ended, self.input.len())),
        }
        let zero = digits[0] == b'0';
        let zeros = zero && count > 1;
        let minus_zero = zero && minus && digits[..count].iter().all(|&digit| digit == b'0');
        self.faults |= zeros | minus_zero;
        self.push(Token::new(Tag::Int, short(pos), zeros, minus_zero, 0), pos)?;
        Ok(first + count + 1)
    }

    /// Opens a list or dictionary; where its content starts.
    #[inline(always)]
    fn open(&mut self, byte: u8, pos: usize) -> Result<usize, Fault> {
        let (tag, place) = match byte {
            b'd' => (Tag::Dict, Place::Key),
            b'l' => (Tag::List, Place::Element),
            b'e' if self.frame.place == Place::Value => return Err((DecodeErrorKind::NoValue, pos)),
            _ => return Err((DecodeErrorKind::NotAValue(byte), pos)),
        };
        let token = short(self.tape.len());
        self.push(Token::new(tag, short(pos), false, false, 0), pos)?;
        if self.outer.len() == self.limits.depth {
            self.tape.pop();
            return Err((DecodeErrorKind::Depth(self.limits.depth), pos));
        }
        self.outer.push(self.frame);
        self.frame = Frame::new(place, token);
        Ok(pos + 1)
    }

    #[inline(always)]
    fn close(&mut self, pos: usize) -> Result<usize, Fault> {
        self.push_uncounted(Token::new(Tag::End, short(pos), false, false, 0));
        let after = short(self.tape.len());
        let token = self.frame.token as usize;
        self.tape[token].close(after);
        if self.tape[token].is_unsorted() && self.repeats(token) {
            self.tape[token].add_faults(false, true);
        }
        self.frame = self.outer.pop().expect("a frame that is not the root has one around it");
        Ok(pos + 1)
    }

    /// Whether a dictionary whose keys are not sorted has one of them twice. Sorts them: n log n, and each key is looked at for
    /// one dictionary only.
    #[cold]
    fn repeats(&self, dict: usize) -> bool {
        let mut keys = Vec::new();
        let mut at = dict + 1;
        while !self.tape[at].is(Tag::End) {
            let start = self.tape[at].start() as usize + self.tape[at].data() as usize;
            keys.push(&self.input[start..self.tape[at + 1].start() as usize]);
            at = self.tape[at + 1].after(at + 1);
        }
        keys.sort_unstable();
        keys.windows(2).any(|pair| pair[0] == pair[1])
    }

    /// The error with the way that leads to it.
    fn error(&self, kind: DecodeErrorKind, offset: usize) -> DecodeError {
        let mut path = super::document::Path::default();
        for (depth, frame) in self.outer.iter().chain([&self.frame]).enumerate().skip(1) {
            let inner = self.outer.get(depth + 1).unwrap_or(&self.frame);
            // The open value after this one, or the token being read, which is not on the tape yet.
            let child = if depth < self.outer.len() { inner.token as usize } else { self.tape.len() };
            match frame.place {
                Place::Element => path.push_position(self.position(frame.token as usize, child)),
                Place::Value => path.push_key(&self.input[frame.key.0 as usize..frame.key.1 as usize]),
                Place::Root | Place::Key => {}
            }
        }
        DecodeError { kind, offset, path: path.into_text() }
    }

    /// How many elements of an open list lie before the token `child`.
    fn position(&self, list: usize, child: usize) -> usize {
        let mut at = list + 1;
        let mut count = 0;
        while at < child {
            at = self.tape[at].after(at);
            count += 1;
        }
        count
    }
}

/// The length that starts at `pos`, of any number of digits, and where the string after it starts.
fn length_at(input: &[u8], pos: usize) -> Result<(u64, usize), Fault> {
    let mut length = 0u64;
    for (at, &byte) in input.iter().enumerate().skip(pos) {
        match byte {
            b'0'..=b'9' if at - pos < MOST_LENGTH_DIGITS => {
                let longer = length.checked_mul(10).and_then(|n| n.checked_add(u64::from(byte - b'0')));
                length = longer.ok_or((DecodeErrorKind::Length, pos))?;
            }
            b'0'..=b'9' => return Err((DecodeErrorKind::Length, pos)),
            b':' => return Ok((length, at + 1)),
            _ => return Err((DecodeErrorKind::LengthDigit(byte), at)),
        }
    }
    Err((DecodeErrorKind::Ended, input.len()))
}
