//! A decoded input and the cursors on it.

use std::ops::Range;

use super::path::{Path, quoted};
use super::tape::{self, Flaw, Token, short};

/// A value and all within it, over the input it was decoded from.
pub struct Document<'a> {
    input: &'a [u8],
    /// One for each list and dictionary, in the order in which they open.
    tape: Vec<Token>,
    end: usize,
    flawed: bool,
}

/// What a value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A string of bytes.
    Bytes,
    /// An integer of any size.
    Int,
    /// A list.
    List,
    /// A dictionary.
    Dict,
}

impl Kind {
    /// The kind with its article, for messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bytes => "a string",
            Self::Int => "an integer",
            Self::List => "a list",
            Self::Dict => "a dictionary",
        }
    }
}

/// In which ways a value departs from the canonical form (BEP 3, BEP 52). Everything false: it is canonical.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Form {
    /// The keys of some dictionary are not sorted as raw bytes.
    pub unsorted_keys: bool,
    /// Some dictionary has a key twice.
    pub repeated_keys: bool,
    /// Some integer or string length has leading zeros.
    pub leading_zeros: bool,
    /// Some integer is `-0`.
    pub minus_zero: bool,
}

impl Form {
    /// Whether there is exactly one way to write the value, and this is it.
    #[must_use]
    pub fn is_canonical(self) -> bool {
        self == Self::default()
    }
}

/// A key that a dictionary has more than once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RepeatedKey {
    /// Where the key stands again, in bytes from the start of the input.
    pub offset: usize,
    /// The keys and list positions that lead to it, itself last. Fit for display.
    pub path: String,
}

impl<'a> Document<'a> {
    pub(super) fn new(input: &'a [u8], tape: Vec<Token>, end: usize, flawed: bool) -> Self {
        Self { input, tape, end, flawed }
    }

    /// The value.
    #[must_use]
    pub fn root(&self) -> Value<'_> {
        Value { document: self, at: 0, token: 0 }
    }

    /// Where the value ends in the input, in bytes.
    #[must_use]
    pub fn end(&self) -> usize {
        self.end
    }

    /// The keys and list positions that lead to the value or key that starts at `target`.
    fn path_to(&self, target: usize) -> Path {
        let mut path = Path::default();
        let mut value = self.root();
        while value.start() < target && value.is_open() {
            let (mut key, mut position) = (value, 0);
            let mut inner = value.within();
            let Some(child) = inner.find(|child| {
                let holds = child.span().end > target;
                if !holds {
                    (key, position) = (*child, position + 1);
                }
                holds
            }) else {
                break;
            };
            match (value.kind(), position % 2 == 1) {
                (Kind::Dict, true) => path.push_key(key.as_bytes().unwrap_or_default()),
                (Kind::Dict, false) => path.push_key(child.as_bytes().unwrap_or_default()),
                _ => path.push_position(position),
            }
            value = child;
        }
        path
    }
}

impl std::fmt::Debug for Document<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Document").field("bytes", &self.end()).field("tokens", &self.tape.len()).finish()
    }
}

/// A place in a [`Document`]: one value. Cheap to copy.
#[derive(Clone, Copy)]
pub struct Value<'d> {
    document: &'d Document<'d>,
    at: u32,
    /// The number of its token, for a list or dictionary; of the next one, for others.
    token: u32,
}

impl<'d> Value<'d> {
    #[inline(always)]
    fn start(self) -> usize {
        self.at as usize
    }

    /// Where it ends, and the number of the token after it and all within it.
    #[inline(always)]
    fn skip(self) -> (usize, usize) {
        tape::skip(self.document.input, &self.document.tape, self.start(), self.token as usize)
    }

    /// What a list or dictionary has within it, keys and values in turn.
    #[inline(always)]
    fn within(self) -> Within<'d> {
        let end = self.document.tape[self.token as usize].end();
        Within { document: self.document, at: self.at + 1, last: end - 1, token: self.token + 1 }
    }

    /// The tokens of the value and of all within it.
    fn tokens(self) -> &'d [Token] {
        &self.document.tape[self.token as usize..self.skip().1]
    }

    #[inline(always)]
    fn first_byte(self) -> u8 {
        self.document.input[self.start()]
    }

    /// What the value is.
    #[must_use]
    #[inline]
    pub fn kind(self) -> Kind {
        match self.first_byte() {
            b'i' => Kind::Int,
            b'l' => Kind::List,
            b'd' => Kind::Dict,
            _ => Kind::Bytes,
        }
    }

    /// Where the value lies in the input, head and end included.
    #[must_use]
    pub fn span(self) -> Range<usize> {
        self.start()..self.skip().0
    }

    /// The bytes of the value exactly as they were received.
    #[must_use]
    pub fn raw(self) -> &'d [u8] {
        &self.document.input[self.span()]
    }

    /// The content of a string.
    #[must_use]
    #[inline]
    pub fn as_bytes(self) -> Option<&'d [u8]> {
        let input = self.document.input;
        (self.kind() == Kind::Bytes).then(|| &input[tape::content(input, self.start())])
    }

    /// The content of a string that is valid UTF-8.
    #[must_use]
    pub fn as_str(self) -> Option<&'d str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    /// The content of a string of exactly this many bytes.
    #[must_use]
    pub fn as_array<const N: usize>(self) -> Option<[u8; N]> {
        self.as_bytes()?.try_into().ok()
    }

    /// The digits of an integer with its sign, as they were received, whatever its size.
    #[must_use]
    pub fn digits(self) -> Option<&'d str> {
        self.digit_bytes().map(|digits| std::str::from_utf8(digits).expect("digits are ASCII"))
    }

    fn digit_bytes(self) -> Option<&'d [u8]> {
        let input = self.document.input;
        (self.kind() == Kind::Int).then(|| &input[tape::digits(input, self.start())])
    }

    /// An integer that fits 64 bits; `None` for other values and for larger ones, which are never wrapped.
    #[must_use]
    #[inline]
    pub fn as_int(self) -> Option<i64> {
        const SAFE_DIGITS: usize = 18;
        let [b'i', ref digits @ ..] = self.document.input[self.start()..] else { return None };
        let mut int = 0i64;
        for &digit in digits.iter().take(SAFE_DIGITS) {
            match digit {
                b'0'..=b'9' => int = int.wrapping_mul(10).wrapping_add(i64::from(digit & 0xf)),
                b'e' => return Some(int),
                _ => break,
            }
        }
        self.digits()?.parse().ok()
    }

    /// An integer that is not negative and fits the type asked for.
    #[must_use]
    #[inline]
    pub fn as_uint<T: TryFrom<i64>>(self) -> Option<T> {
        T::try_from(self.as_int().filter(|&int| int >= 0)?).ok()
    }

    /// The value as a list; `None` for other values, and for one that [`decode_lifting`](super::decode_lifting) has nothing of.
    #[must_use]
    #[inline]
    pub fn as_list(self) -> Option<List<'d>> {
        (self.first_byte() == b'l' && !self.is_lifted()).then(|| List { within: self.within() })
    }

    /// The value as a dictionary; `None` as for lists.
    #[must_use]
    #[inline]
    pub fn as_dict(self) -> Option<Dict<'d>> {
        (self.first_byte() == b'd' && !self.is_lifted()).then_some(Dict { value: self })
    }

    /// Whether nothing of what is within this list or dictionary is on the tape.
    #[inline(always)]
    fn is_lifted(self) -> bool {
        self.document.tape[self.token as usize].is_lifted()
    }

    /// Whether it is a list or dictionary with all that is within it.
    fn is_open(self) -> bool {
        matches!(self.kind(), Kind::List | Kind::Dict) && !self.is_lifted()
    }

    /// The value that starts at this byte of the input, if it is this one or within it.
    #[must_use]
    pub fn value_at(self, offset: usize) -> Option<Self> {
        let mut value = self;
        while value.start() != offset {
            let mut within = value.is_open().then(|| value.within())?;
            value = within.find(|child| child.span().contains(&offset))?;
        }
        Some(value)
    }

    /// In which ways the value, with all within it, departs from the canonical form. Free when the whole input is canonical.
    #[must_use]
    pub fn form(self) -> Form {
        let mut form = Form::default();
        if !self.document.flawed {
            return form;
        }
        match self.kind() {
            Kind::Bytes => form.leading_zeros = has_leading_zeros(self.raw().split(|&byte| byte == b':').next()),
            Kind::Int => {
                let digits = self.digit_bytes().unwrap_or_default();
                let unsigned = digits.strip_prefix(b"-");
                form.leading_zeros = has_leading_zeros(unsigned.or(Some(digits)));
                form.minus_zero = unsigned.is_some_and(|digits| digits.iter().all(|&digit| digit == b'0'));
            }
            Kind::List | Kind::Dict => {
                for token in self.tokens().iter().filter(|token| token.has_any()) {
                    form.unsorted_keys |= token.has(Flaw::Unsorted);
                    form.repeated_keys |= token.has(Flaw::Repeated);
                    form.leading_zeros |= token.has(Flaw::LeadingZeros);
                    form.minus_zero |= token.has(Flaw::MinusZero);
                }
            }
        }
        form
    }

    /// Whether the value, with all within it, is in canonical form.
    #[must_use]
    pub fn is_canonical(self) -> bool {
        self.form().is_canonical()
    }

    /// The first key within the value that its dictionary has more than once.
    #[must_use]
    pub fn repeated_key(self) -> Option<RepeatedKey> {
        if !self.document.flawed {
            return None;
        }
        let repeats = self.tokens().iter().position(|token| token.has(Flaw::Repeated))?;
        let token = self.token as usize + repeats;
        let mut dict = self;
        while (dict.token as usize) < token {
            dict = dict.within().find(|child| child.skip().1 > token)?;
        }
        let mut keys: Vec<(&[u8], usize)> = Vec::new();
        let mut within = dict.within();
        while let (Some(key), Some(_)) = (within.next(), within.next()) {
            keys.push((key.as_bytes()?, key.start()));
        }
        keys.sort_unstable();
        let offset = keys.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| pair[1].1).min()?;
        Some(RepeatedKey { offset, path: self.document.path_to(offset).into_text() })
    }

    /// The keys and list positions that lead from the root to this value, like `info.files.3.path`. For messages: it walks the input.
    #[must_use]
    pub fn path(self) -> String {
        self.document.path_to(self.start()).into_text()
    }
}

impl std::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const SHOWN: usize = 64;
        let raw = self.raw();
        write!(f, "{}", quoted(&raw[..raw.len().min(SHOWN)]))?;
        if raw.len() > SHOWN { write!(f, "... ({} bytes)", raw.len()) } else { Ok(()) }
    }
}

fn has_leading_zeros(digits: Option<&[u8]>) -> bool {
    digits.is_some_and(|digits| digits.len() > 1 && digits[0] == b'0')
}

/// What is still to come in a list or dictionary.
#[derive(Clone, Copy, Debug)]
struct Within<'d> {
    document: &'d Document<'d>,
    at: u32,
    /// Where its end stands.
    last: u32,
    token: u32,
}

impl<'d> Within<'d> {
    /// The content of a key.
    #[inline(always)]
    fn next_key(&mut self) -> Option<&'d [u8]> {
        (self.at < self.last).then(|| {
            let input = self.document.input;
            let content = tape::content(input, self.at as usize);
            self.at = short(content.end);
            &input[content]
        })
    }
}

impl<'d> Iterator for Within<'d> {
    type Item = Value<'d>;

    #[inline(always)]
    fn next(&mut self) -> Option<Value<'d>> {
        (self.at < self.last).then(|| {
            let value = Value { document: self.document, at: self.at, token: self.token };
            let (end, token) = value.skip();
            (self.at, self.token) = (short(end), short(token));
            value
        })
    }
}

/// The elements of a list that are still to come.
#[derive(Clone, Copy)]
pub struct List<'d> {
    within: Within<'d>,
}

impl List<'_> {
    /// Whether no element is to come.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.within.at == self.within.last
    }
}

impl<'d> Iterator for List<'d> {
    type Item = Value<'d>;

    #[inline(always)]
    fn next(&mut self) -> Option<Value<'d>> {
        self.within.next()
    }
}

impl std::fmt::Debug for List<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}

/// A dictionary.
#[derive(Clone, Copy)]
pub struct Dict<'d> {
    value: Value<'d>,
}

impl<'d> Dict<'d> {
    /// The value of the first entry with this key. Walks the entries: for many keys of a large dictionary, iterate.
    #[must_use]
    pub fn get(self, key: impl AsRef<[u8]>) -> Option<Value<'d>> {
        let key = key.as_ref();
        self.iter().find(|(other, _)| *other == key).map(|(_, value)| value)
    }

    /// The entries, in the order of the input.
    #[must_use]
    #[inline]
    pub fn iter(self) -> Entries<'d> {
        Entries { within: self.value.within() }
    }

    /// The dictionary as a value.
    #[must_use]
    pub fn value(self) -> Value<'d> {
        self.value
    }

    /// Whether the keys of this dictionary itself are sorted as raw bytes.
    #[must_use]
    pub fn is_sorted(self) -> bool {
        !self.value.document.tape[self.value.token as usize].has(Flaw::Unsorted)
    }

    /// Whether this dictionary itself has a key twice.
    #[must_use]
    pub fn has_repeated_key(self) -> bool {
        self.value.document.tape[self.value.token as usize].has(Flaw::Repeated)
    }
}

impl<'d> IntoIterator for Dict<'d> {
    type Item = (&'d [u8], Value<'d>);
    type IntoIter = Entries<'d>;

    fn into_iter(self) -> Entries<'d> {
        self.iter()
    }
}

impl std::fmt::Debug for Dict<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.value.fmt(f)
    }
}

/// The entries of a dictionary that are still to come.
#[derive(Clone, Copy, Debug)]
pub struct Entries<'d> {
    within: Within<'d>,
}

impl<'d> Iterator for Entries<'d> {
    type Item = (&'d [u8], Value<'d>);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        Some((self.within.next_key()?, self.within.next()?))
    }
}
