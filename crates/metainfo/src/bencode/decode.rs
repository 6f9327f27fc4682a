//! From bytes to a tape of tokens, in one pass with constant stack.

use std::ops::Range;

use super::document::Document;
use super::error::{DecodeError, DecodeErrorKind};
use super::path::Path;
use super::reader::Reader;
use super::tape::{self, Flaw, Token, short};

/// How much a document may hold. What a stranger sends is cut off here, before it costs memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The deepest nesting of lists and dictionaries.
    pub depth: usize,
    /// The most values; a list or dictionary costs 8 bytes of memory, the others none.
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
const MOST_ROOM: usize = 1 << 18;
/// The longest input that a tape can address, in bytes.
const MOST_BYTES: usize = u32::MAX as usize;
/// More digits than any honest length has, leading zeros included.
const MOST_LENGTH_DIGITS: usize = 20;

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
    // Room for one token per 32 bytes; lists of files have about as many. What is never written to costs no memory.
    Scanner::new(input, limits, (input.len() / 32).clamp(8, MOST_ROOM)).document()
}

/// As [`decode_prefix`], but the list or dictionary that these keys lead to is read by `lift` on the way: so a long list of a known
/// form is gone over once. `lift` is called at most once, and says whether it has read the value and liked it. If so, and if the
/// value is canonical, the document has nothing of what is within it ([`Value::as_list`](super::Value::as_list) is `None`);
/// otherwise the document has all of it, as ever.
///
/// # Errors
/// The input does not start with bencode, or the value is over a limit.
pub fn decode_lifting<'a>(
    input: &'a [u8],
    limits: Limits,
    keys: &[&[u8]],
    lift: &mut dyn FnMut(&mut Reader<'a>) -> bool,
) -> Result<Document<'a>, DecodeError> {
    const ROOM: usize = 64;
    let mut scanner = Scanner::new(input, limits, ROOM);
    scanner.lift = Some(Lift { keys, read: lift });
    scanner.document()
}

/// Where the value at `pos` ends. Takes its values off the limits, and notes when it is not canonical.
pub(super) fn end_of(input: &[u8], pos: usize, left: &mut Limits, canonical: &mut bool) -> Result<usize, Fault> {
    let mut scanner = Scanner::new(&input[pos..], *left, 0);
    let end = scanner.run().map_err(|(kind, offset)| (kind, pos + offset))?;
    left.tokens = scanner.left;
    *canonical &= !scanner.flawed;
    Ok(pos + end)
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
    /// Where it starts.
    start: u32,
    /// How many elements of a list were read.
    elements: u32,
    /// The last key, as a range of the input; empty before the first (a key never starts at byte 0).
    key: (u32, u32),
}

impl Frame {
    fn new(place: Place, token: u32, start: u32) -> Self {
        Self { place, token, start, elements: 0, key: (0, 0) }
    }
}

/// What is wrong, and where.
pub(super) type Fault = (DecodeErrorKind, usize);

/// A value that somebody else reads.
struct Lift<'a, 'l> {
    /// The keys that lead to it from the root.
    keys: &'l [&'l [u8]],
    read: &'l mut dyn FnMut(&mut Reader<'a>) -> bool,
}

struct Scanner<'a, 'l> {
    input: &'a [u8],
    limits: Limits,
    /// How many more values there may be.
    left: usize,
    tape: Vec<Token>,
    /// What is open, the outermost first, which is around the whole value. A frame stays where it is: to copy one each time that
    /// something opens or closes is a third of the whole cost.
    frames: Vec<Frame>,
    flawed: bool,
    lift: Option<Lift<'a, 'l>>,
}

impl<'a> Scanner<'a, '_> {
    fn new(input: &'a [u8], limits: Limits, room: usize) -> Self {
        let limits = Limits { tokens: limits.tokens.min(MOST_TOKENS), ..limits };
        Self {
            input,
            limits,
            left: limits.tokens,
            tape: Vec::with_capacity(room),
            frames: vec![Frame::new(Place::Root, 0, 0)],
            flawed: false,
            lift: None,
        }
    }

    fn document(mut self) -> Result<Document<'a>, DecodeError> {
        match self.run() {
            Ok(end) => Ok(Document::new(self.input, self.tape, end, self.flawed)),
            Err((kind, offset)) => Err(self.error(kind, offset)),
        }
    }

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
            pos = match self.frame().place {
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
            self.frame().elements += 1;
        }
    }

    /// Reads on in a dictionary, until it ends or a value opens.
    #[inline(always)]
    fn entries(&mut self, mut pos: usize) -> Result<usize, Fault> {
        loop {
            self.frame().place = Place::Key;
            pos = match self.byte(pos)? {
                b'0'..=b'9' => self.key(pos)?,
                b'e' => return self.close(pos),
                byte => return Err((DecodeErrorKind::NotAKey(byte), pos)),
            };
            self.frame().place = Place::Value;
            pos = match self.byte(pos)? {
                b'0'..=b'9' => self.string(pos)?,
                b'i' => self.integer(pos)?,
                byte => match self.lifted(pos) {
                    Some(end) => end,
                    None => return self.open(byte, pos),
                },
            };
        }
    }

    /// Where the value at `pos` ends, if it is the one that somebody else reads, and it was.
    #[inline(always)]
    fn lifted(&mut self, pos: usize) -> Option<usize> {
        // Around it are the whole value and a dictionary for each key.
        let here = self.lift.as_ref().is_some_and(|lift| lift.keys.len() + 1 == self.frames.len());
        if here { self.lift_at(pos) } else { None }
    }

    #[cold]
    fn lift_at(&mut self, pos: usize) -> Option<usize> {
        let key = |frame: &Frame| &self.input[frame.key.0 as usize..frame.key.1 as usize];
        let lift = self.lift.take_if(|lift| self.frames[1..].iter().map(key).eq(lift.keys.iter().copied()))?;
        let left = Limits { depth: self.limits.depth.checked_sub(self.frames.len() - 1)?, tokens: self.left };
        let mut reader = Reader::at(self.input, pos, left, self.limits);
        let liked = (lift.read)(&mut reader) && reader.position() > pos && reader.is_canonical();
        liked.then(|| {
            self.left = reader.tokens_left();
            self.tape.push(Token::lifted(short(reader.position()), short(self.tape.len() + 1)));
            reader.position()
        })
    }

    /// The innermost frame.
    #[inline(always)]
    fn frame(&mut self) -> &mut Frame {
        let top = self.frames.len() - 1;
        &mut self.frames[top]
    }

    #[inline(always)]
    fn byte(&self, pos: usize) -> Result<u8, Fault> {
        self.input.get(pos).copied().ok_or((DecodeErrorKind::Ended, self.input.len()))
    }

    /// Counts a value, which starts at `pos`.
    #[inline(always)]
    fn count(&mut self, pos: usize) -> Result<(), Fault> {
        self.left = self.left.checked_sub(1).ok_or((DecodeErrorKind::Tokens(self.limits.tokens), pos))?;
        Ok(())
    }

    /// Notes a flaw of what is open. A string or integer that has none around it is looked at again when asked.
    #[cold]
    fn note(&mut self, flaw: Flaw) {
        self.flawed = true;
        let open = self.frame().token as usize;
        if let Some(token) = self.tape.get_mut(open) {
            token.add(flaw);
        }
    }

    #[inline(always)]
    fn string(&mut self, pos: usize) -> Result<usize, Fault> {
        let (_, end) = self.string_at(pos)?;
        self.count(pos)?;
        Ok(end)
    }

    /// Reads a key and compares it with the one before it. It is not counted: its value is.
    #[inline(always)]
    fn key(&mut self, pos: usize) -> Result<usize, Fault> {
        let (start, end) = self.string_at(pos)?;
        let (from, to) = std::mem::replace(&mut self.frame().key, (short(start), short(end)));
        if to > 0 {
            let (last, key) = (&self.input[from as usize..to as usize], &self.input[start..end]);
            // Mostly the first bytes differ already.
            if key.first() <= last.first() && key <= last {
                self.note(if key == last { Flaw::Repeated } else { Flaw::Unsorted });
            }
        }
        Ok(end)
    }

    /// Where the content of the string whose length starts at `pos` starts and ends.
    #[inline(always)]
    fn string_at(&mut self, pos: usize) -> Result<(usize, usize), Fault> {
        let (content, zeros) = string_at(self.input, pos)?;
        if zeros {
            self.note(Flaw::LeadingZeros);
        }
        Ok((content.start, content.end))
    }

    #[inline(always)]
    fn integer(&mut self, pos: usize) -> Result<usize, Fault> {
        let integer = integer_at(self.input, pos)?;
        if integer.leading_zeros {
            self.note(Flaw::LeadingZeros);
        }
        if integer.minus_zero {
            self.note(Flaw::MinusZero);
        }
        self.count(pos)?;
        Ok(integer.digits.end + 1)
    }

    /// Opens a list or dictionary; where its content starts.
    #[inline(always)]
    fn open(&mut self, byte: u8, pos: usize) -> Result<usize, Fault> {
        let place = match byte {
            b'd' => Place::Key,
            b'l' => Place::Element,
            b'e' if self.frame().place == Place::Value => return Err((DecodeErrorKind::NoValue, pos)),
            _ => return Err((DecodeErrorKind::NotAValue(byte), pos)),
        };
        self.count(pos)?;
        if self.frames.len() > self.limits.depth {
            return Err((DecodeErrorKind::Depth(self.limits.depth), pos));
        }
        self.frames.push(Frame::new(place, short(self.tape.len()), short(pos)));
        self.tape.push(Token::OPEN);
        Ok(pos + 1)
    }

    #[inline(always)]
    fn close(&mut self, pos: usize) -> Result<usize, Fault> {
        let (end, after) = (short(pos + 1), short(self.tape.len()));
        let number = self.frame().token as usize;
        let token = &mut self.tape[number];
        token.close(end, after);
        if token.has(Flaw::Unsorted) && self.repeats(number) {
            self.note(Flaw::Repeated);
        }
        self.frames.pop();
        self.frame().elements += 1;
        Ok(pos + 1)
    }

    /// Whether the dictionary that closes, whose keys are not sorted, has one of them twice. Sorts them: n log n, and each key is
    /// looked at for one dictionary only.
    #[cold]
    fn repeats(&self, dict: usize) -> bool {
        let mut keys = Vec::new();
        let start = self.frames[self.frames.len() - 1].start as usize;
        let (mut at, mut token) = (start + 1, dict + 1);
        while self.input[at] != b'e' {
            let key = tape::content(self.input, at);
            (at, token) = tape::skip(self.input, &self.tape, key.end, token);
            keys.push(&self.input[key]);
        }
        keys.sort_unstable();
        keys.windows(2).any(|pair| pair[0] == pair[1])
    }

    /// The error with the way that leads to it.
    fn error(&self, kind: DecodeErrorKind, offset: usize) -> DecodeError {
        let mut path = Path::default();
        for frame in &self.frames {
            match frame.place {
                Place::Element => path.push_position(frame.elements as usize),
                Place::Value => path.push_key(&self.input[frame.key.0 as usize..frame.key.1 as usize]),
                Place::Root | Place::Key => {}
            }
        }
        DecodeError { kind, offset, path: path.into_text() }
    }
}

/// Where the content of the string whose length starts at `pos` lies, and whether that length has leading zeros.
#[inline(always)]
pub(super) fn string_at(input: &[u8], pos: usize) -> Result<(Range<usize>, bool), Fault> {
    let digit = |byte: u8| usize::from(byte & 0xf);
    // Most lengths have one or two digits.
    let (head, length) = match input[pos..] {
        [a, b':', ref rest @ ..] if digit(a) <= rest.len() => (2, digit(a)),
        [a @ b'1'..=b'9', b @ b'0'..=b'9', b':', ref rest @ ..] if digit(a) * 10 + digit(b) <= rest.len() => {
            (3, digit(a) * 10 + digit(b))
        }
        _ => return long_string_at(input, pos),
    };
    Ok((pos + head..pos + head + length, false))
}

/// The same for a length of any number of digits, with leading zeros or without, or past the end.
#[cold]
fn long_string_at(input: &[u8], pos: usize) -> Result<(Range<usize>, bool), Fault> {
    let (promised, start) = length_at(input, pos)?;
    let available = input.len() - start;
    match usize::try_from(promised) {
        Ok(length) if length <= available => Ok((start..start + length, input[pos] == b'0' && start - pos > 2)),
        _ => Err((DecodeErrorKind::StringPastEnd { promised, available }, start)),
    }
}

/// An integer as it is written.
pub(super) struct Integer {
    /// Where its digits lie, with their sign.
    pub(super) digits: Range<usize>,
    pub(super) leading_zeros: bool,
    pub(super) minus_zero: bool,
}

/// The integer whose `i` is at `pos`.
#[inline(always)]
pub(super) fn integer_at(input: &[u8], pos: usize) -> Result<Integer, Fault> {
    let minus = input.get(pos + 1) == Some(&b'-');
    let first = pos + 1 + usize::from(minus);
    let digits = input.get(first..).unwrap_or_default();
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match digits.get(count) {
        Some(b'e') if count > 0 => {}
        Some(&other) => return Err((DecodeErrorKind::Integer(other), first + count)),
        None => return Err((DecodeErrorKind::Ended, input.len())),
    }
    let zero = digits[0] == b'0';
    Ok(Integer {
        digits: pos + 1..first + count,
        leading_zeros: zero && count > 1,
        minus_zero: zero && minus && digits[..count].iter().all(|&digit| digit == b'0'),
    })
}

/// The length that starts at `pos`, of any number of digits, and where the string after it starts.
pub(super) fn length_at(input: &[u8], pos: usize) -> Result<(u64, usize), Fault> {
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
