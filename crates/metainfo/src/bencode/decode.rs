//! From bytes to a tape of tokens, in one pass with constant stack.

use super::document::{Document, Tag, Token, quoted};

/// How much a document may hold. What a stranger sends is cut off here, before it costs memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The deepest nesting of lists and dictionaries.
    pub depth: usize,
    /// The most values, dictionary keys counted; each costs at most 16 bytes of memory.
    pub tokens: usize,
}

impl Limits {
    /// For torrent files and info dictionaries: depth 100, 3 million tokens.
    pub const METAINFO: Self = Self { depth: 100, tokens: 3_000_000 };
    /// For messages of peers, trackers and DHT nodes: depth 20, 2,000 tokens.
    pub const MESSAGE: Self = Self { depth: 20, tokens: 2_000 };
}

/// The most tokens that a tape can address, whatever the limits say.
const MOST_TOKENS: usize = 1 << 25;
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
        pos: 0,
        limits,
        tokens_left: limits.tokens,
        // Torrent files average well over 8 bytes per token; a small first guess keeps messages cheap.
        tape: Vec::with_capacity((input.len() / 16).clamp(8, 1 << 14)),
        outer: Vec::new(),
        frame: Frame::new(Place::Root, 0),
        faults: false,
    };
    match scanner.run() {
        Ok(()) => Ok(Document::new(input, scanner.tape, scanner.pos, scanner.faults)),
        Err(kind) => Err(scanner.error(kind)),
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
    unsorted: bool,
    repeated: bool,
}

impl Frame {
    fn new(place: Place, token: u32) -> Self {
        Self { place, token, key: (0, 0), unsorted: false, repeated: false }
    }
}

struct Scanner<'a> {
    input: &'a [u8],
    pos: usize,
    limits: Limits,
    tokens_left: usize,
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
    fn run(&mut self) -> Result<(), DecodeErrorKind> {
        match self.input.len() {
            0 => return Err(DecodeErrorKind::Empty),
            1..=MOST_BYTES => {}
            _ => return Err(DecodeErrorKind::TooLong),
        }
        loop {
            match *self.input.get(self.pos).ok_or(DecodeErrorKind::Ended)? {
                b'0'..=b'9' => self.string()?,
                b'e' => self.close()?,
                other if self.frame.place == Place::Key => return Err(DecodeErrorKind::NotAKey(other)),
                b'i' => self.integer()?,
                b'd' => {
                    self.open(Tag::Dict, Place::Key)?;
                    continue;
                }
                b'l' => {
                    self.open(Tag::List, Place::Element)?;
                    continue;
                }
                other => return Err(DecodeErrorKind::NotAValue(other)),
            }
            match self.frame.place {
                Place::Root => return Ok(()),
                Place::Element => {}
                Place::Key => self.frame.place = Place::Value,
                Place::Value => self.frame.place = Place::Key,
            }
        }
    }

    fn take_token(&mut self) -> Result<(), DecodeErrorKind> {
        self.tokens_left = self.tokens_left.checked_sub(1).ok_or(DecodeErrorKind::Tokens(self.limits.tokens))?;
        Ok(())
    }

    fn string(&mut self) -> Result<(), DecodeErrorKind> {
        self.take_token()?;
        let head = self.pos;
        let mut length = 0u64;
        let mut at = head;
        loop {
            match self.input.get(at) {
                Some(&digit @ b'0'..=b'9') => {
                    if at - head == MOST_LENGTH_DIGITS {
                        return Err(DecodeErrorKind::Length);
                    }
                    let longer = length.checked_mul(10).and_then(|n| n.checked_add(u64::from(digit - b'0')));
                    length = longer.ok_or(DecodeErrorKind::Length)?;
                }
                Some(b':') => break,
                Some(&other) => {
                    self.pos = at;
                    return Err(DecodeErrorKind::LengthDigit(other));
                }
                None => {
                    self.pos = at;
                    return Err(DecodeErrorKind::Ended);
                }
            }
            at += 1;
        }
        let start = at + 1;
        let available = self.input.len() - start;
        let Some(length) = usize::try_from(length).ok().filter(|&length| length <= available) else {
            self.pos = start;
            return Err(DecodeErrorKind::StringPastEnd { promised: length, available });
        };
        let zeros = at - head > 1 && self.input[head] == b'0';
        self.faults |= zeros;
        self.tape.push(Token::new(Tag::Bytes, short(head), zeros, false, short(start - head)));
        self.pos = start + length;
        if self.frame.place == Place::Key {
            self.key(start);
        }
        Ok(())
    }

    /// Compares a key that ends at `pos` with the one before it.
    fn key(&mut self, start: usize) {
        let (from, to) = self.frame.key;
        if to > 0 {
            let last = &self.input[from as usize..to as usize];
            match self.input[start..self.pos].cmp(last) {
                std::cmp::Ordering::Greater => {}
                std::cmp::Ordering::Equal => self.frame.repeated = true,
                std::cmp::Ordering::Less => self.frame.unsorted = true,
            }
        }
        self.frame.key = (short(start), short(self.pos));
    }

    fn integer(&mut self) -> Result<(), DecodeErrorKind> {
        self.take_token()?;
        let head = self.pos;
        let minus = self.input.get(head + 1) == Some(&b'-');
        let digits = head + 1 + usize::from(minus);
        let count = self.input[digits.min(self.input.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.pos = digits + count;
        match self.input.get(self.pos) {
            Some(b'e') if count > 0 => {}
            Some(&other) => return Err(DecodeErrorKind::Integer(other)),
            None => {
                self.pos = self.input.len();
                return Err(DecodeErrorKind::Ended);
            }
        }
        self.pos += 1;
        let zero_first = self.input[digits] == b'0';
        let zeros = zero_first && count > 1;
        let minus_zero = zero_first && minus && self.input[digits..digits + count].iter().all(|&digit| digit == b'0');
        self.faults |= zeros || minus_zero;
        self.tape.push(Token::new(Tag::Int, short(head), zeros, minus_zero, 0));
        Ok(())
    }

    fn open(&mut self, tag: Tag, place: Place) -> Result<(), DecodeErrorKind> {
        self.take_token()?;
        if self.outer.len() == self.limits.depth {
            return Err(DecodeErrorKind::Depth(self.limits.depth));
        }
        self.outer.push(self.frame);
        self.frame = Frame::new(place, short(self.tape.len()));
        self.tape.push(Token::new(tag, short(self.pos), false, false, 0));
        self.pos += 1;
        Ok(())
    }

    fn close(&mut self) -> Result<(), DecodeErrorKind> {
        match self.frame.place {
            Place::Root => return Err(DecodeErrorKind::NotAValue(b'e')),
            Place::Value => return Err(DecodeErrorKind::NoValue),
            Place::Element | Place::Key => {}
        }
        self.tape.push(Token::new(Tag::End, short(self.pos), false, false, 0));
        self.pos += 1;
        let Frame { place, token, unsorted, mut repeated, .. } = self.frame;
        if unsorted && !repeated {
            repeated = self.repeats(token as usize);
        }
        self.faults |= unsorted || repeated;
        let tag = if place == Place::Element { Tag::List } else { Tag::Dict };
        let start = self.tape[token as usize].start();
        self.tape[token as usize] = Token::new(tag, start, unsorted, repeated, short(self.tape.len()));
        self.frame = self.outer.pop().expect("a frame that is not the root has one around it");
        Ok(())
    }

    /// Whether a dictionary whose keys are not sorted has one of them twice. Sorts them: n log n, and each key is looked at for
    /// one dictionary only.
    fn repeats(&self, dict: usize) -> bool {
        let mut keys = Vec::new();
        let mut at = dict + 1;
        while self.tape[at].tag() != Tag::End {
            let start = self.tape[at].start() as usize + self.tape[at].data() as usize;
            keys.push(&self.input[start..self.tape[at + 1].start() as usize]);
            at = self.tape[at + 1].after(at + 1);
        }
        keys.sort_unstable();
        keys.windows(2).any(|pair| pair[0] == pair[1])
    }

    /// The error at `pos`, with the way that leads to it.
    fn error(&self, kind: DecodeErrorKind) -> DecodeError {
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
        DecodeError { kind, offset: self.pos, path: path.into_text() }
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
