//! A decoded input: the tape of tokens and the cursors on it.

use std::fmt::Write as _;
use std::ops::Range;

/// What a token is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tag {
    Bytes,
    Int,
    List,
    Dict,
    End,
}

/// One value, or the end of a list or dictionary. Values lie side by side in the input, so a scalar ends where the next token
/// starts.
///
/// `data` is the length of the head for a string (digits and colon), and for a list or dictionary the number of the token after
/// its end.
#[derive(Clone, Copy)]
pub(super) struct Token {
    start: u32,
    /// Bits 0 to 2 the tag, 3 and 4 the faults, 5 to 31 the data.
    meta: u32,
}

const TAG: u32 = 7;
const FAULT_A: u32 = 1 << 3;
const FAULT_B: u32 = 1 << 4;
const DATA_SHIFT: u32 = 5;

impl Token {
    /// `a`: leading zeros, or unsorted keys; `b`: minus zero, or a repeated key.
    pub(super) fn new(tag: Tag, start: u32, a: bool, b: bool, data: u32) -> Self {
        Self { start, meta: tag as u32 | u32::from(a) << 3 | u32::from(b) << 4 | data << DATA_SHIFT }
    }

    /// Adds faults, which are as those of [`Token::new`].
    pub(super) fn add_faults(&mut self, a: bool, b: bool) {
        self.meta |= u32::from(a) << 3 | u32::from(b) << 4;
    }

    /// Whether the keys of a dictionary are not sorted.
    pub(super) fn is_unsorted(self) -> bool {
        self.meta & FAULT_A != 0
    }

    /// Marks the end of a list or dictionary, which had no data: the number of the token after it.
    pub(super) fn close(&mut self, after: u32) {
        self.meta |= after << DATA_SHIFT;
    }

    pub(super) fn start(self) -> u32 {
        self.start
    }

    #[inline]
    pub(super) fn tag(self) -> Tag {
        match self.meta & TAG {
            0 => Tag::Bytes,
            1 => Tag::Int,
            2 => Tag::List,
            3 => Tag::Dict,
            _ => Tag::End,
        }
    }

    #[inline]
    pub(super) fn is(self, tag: Tag) -> bool {
        self.meta & TAG == tag as u32
    }

    pub(super) fn data(self) -> u32 {
        self.meta >> DATA_SHIFT
    }

    /// The number of the token after this value, whose own number is `at`.
    #[inline]
    pub(super) fn after(self, at: usize) -> usize {
        if self.is(Tag::List) || self.is(Tag::Dict) { self.data() as usize } else { at + 1 }
    }
}

/// A value and all within it, over the input it was decoded from.
pub struct Document<'a> {
    input: &'a [u8],
    /// The tokens in the order of the input, and one `End` after them that marks the end of the last.
    tape: Vec<Token>,
    faults: bool,
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
    pub(super) fn new(input: &'a [u8], mut tape: Vec<Token>, end: usize, faults: bool) -> Self {
        let end = u32::try_from(end).expect("the scanner reads at most 4 GiB");
        tape.push(Token::new(Tag::End, end, false, false, 0));
        Self { input, tape, faults }
    }

    /// The value.
    #[must_use]
    pub fn root(&self) -> Value<'_> {
        Value { document: self, at: 0 }
    }

    /// Where the value ends in the input, in bytes.
    #[must_use]
    pub fn end(&self) -> usize {
        self.tape[self.tape.len() - 1].start as usize
    }

    /// The keys and list positions that lead to a value.
    fn path_to(&self, target: usize) -> Path {
        let mut path = Path::default();
        let mut at = 0;
        while at < target {
            let dict = self.tape[at].is(Tag::Dict);
            at += 1;
            let mut position = 0;
            let mut key = 0;
            // The child whose tokens the target is among.
            while self.tape[at].after(at) <= target {
                (key, at) = (at, self.tape[at].after(at));
                position += 1;
            }
            match (dict, position % 2 == 1) {
                (true, true) => path.push_key(Value { document: self, at: key }.as_bytes().unwrap_or_default()),
                (true, false) => path.push_key(Value { document: self, at }.as_bytes().unwrap_or_default()),
                (false, _) => path.push_position(position),
            }
        }
        path
    }
}

impl std::fmt::Debug for Document<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Document").field("bytes", &self.end()).field("tokens", &(self.tape.len() - 1)).finish()
    }
}

/// A place in a [`Document`]: one value. Cheap to copy.
#[derive(Clone, Copy)]
pub struct Value<'d> {
    document: &'d Document<'d>,
    at: usize,
}

impl<'d> Value<'d> {
    #[inline]
    fn token(self) -> Token {
        self.document.tape[self.at]
    }

    /// What the value is.
    #[must_use]
    pub fn kind(self) -> Kind {
        match self.token().tag() {
            Tag::Bytes => Kind::Bytes,
            Tag::Int => Kind::Int,
            Tag::List => Kind::List,
            Tag::Dict | Tag::End => Kind::Dict,
        }
    }

    /// Where the value lies in the input, head and end included.
    #[must_use]
    pub fn span(self) -> Range<usize> {
        let token = self.token();
        let end = match token.tag() {
            Tag::List | Tag::Dict => self.document.tape[token.data() as usize - 1].start as usize + 1,
            Tag::Bytes | Tag::Int | Tag::End => self.document.tape[self.at + 1].start as usize,
        };
        token.start as usize..end
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
        let token = self.token();
        (token.is(Tag::Bytes)).then(|| {
            let start = token.start as usize + token.data() as usize;
            &self.document.input[start..self.document.tape[self.at + 1].start as usize]
        })
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

    #[inline]
    fn digit_bytes(self) -> Option<&'d [u8]> {
        let token = self.token();
        (token.is(Tag::Int))
            .then(|| &self.document.input[token.start as usize + 1..self.document.tape[self.at + 1].start as usize - 1])
    }

    /// An integer that fits 64 bits; `None` for other values and for larger ones, which are never wrapped.
    #[must_use]
    #[inline]
    pub fn as_int(self) -> Option<i64> {
        const SAFE_DIGITS: usize = 18;
        let digits = self.digit_bytes()?;
        let (minus, digits) = digits.strip_prefix(b"-").map_or((false, digits), |digits| (true, digits));
        if digits.len() > SAFE_DIGITS {
            return self.digits()?.parse().ok();
        }
        let int = digits.iter().fold(0, |sum: i64, digit| sum.wrapping_mul(10).wrapping_add(i64::from(digit & 0xf)));
        Some(if minus { -int } else { int })
    }

    /// An integer that is not negative and fits the type asked for.
    #[must_use]
    #[inline]
    pub fn as_uint<T: TryFrom<i64>>(self) -> Option<T> {
        T::try_from(self.as_int().filter(|&int| int >= 0)?).ok()
    }

    /// The value as a list.
    #[must_use]
    #[inline]
    pub fn as_list(self) -> Option<List<'d>> {
        (self.token().is(Tag::List)).then_some(List { document: self.document, at: self.at + 1 })
    }

    /// The value as a dictionary.
    #[must_use]
    #[inline]
    pub fn as_dict(self) -> Option<Dict<'d>> {
        (self.token().is(Tag::Dict)).then_some(Dict { value: self })
    }

    /// In which ways the value, with all within it, departs from the canonical form. Free when the whole input is canonical.
    #[must_use]
    pub fn form(self) -> Form {
        let mut form = Form::default();
        if self.document.faults {
            for token in &self.document.tape[self.at..self.token().after(self.at)] {
                let (a, b) = (token.meta & FAULT_A != 0, token.meta & FAULT_B != 0);
                if token.is(Tag::Dict) {
                    form.unsorted_keys |= a;
                    form.repeated_keys |= b;
                } else {
                    form.leading_zeros |= a;
                    form.minus_zero |= b;
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
        if !self.document.faults {
            return None;
        }
        let document = self.document;
        let repeats = |at: &usize| document.tape[*at].is(Tag::Dict) && document.tape[*at].meta & FAULT_B != 0;
        let at = (self.at..self.token().after(self.at)).find(repeats)?;
        let mut keys: Vec<(&[u8], usize)> = Vec::new();
        let mut key = at + 1;
        while let Some(bytes) = (Value { document, at: key }).as_bytes() {
            keys.push((bytes, key));
            key = document.tape[key + 1].after(key + 1);
        }
        keys.sort_unstable();
        let again = keys.windows(2).filter(|pair| pair[0].0 == pair[1].0).map(|pair| pair[1].1).min()?;
        let path = document.path_to(again).into_text();
        Some(RepeatedKey { offset: document.tape[again].start as usize, path })
    }

    /// The keys and list positions that lead from the root to this value, like `info.files.3.path`. For messages: it walks the input.
    #[must_use]
    pub fn path(self) -> String {
        self.document.path_to(self.at).into_text()
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

/// The elements of a list that are still to come.
#[derive(Clone, Copy)]
pub struct List<'d> {
    document: &'d Document<'d>,
    at: usize,
}

impl List<'_> {
    /// Whether no element is to come.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.document.tape[self.at].is(Tag::End)
    }
}

impl<'d> Iterator for List<'d> {
    type Item = Value<'d>;

    #[inline]
    fn next(&mut self) -> Option<Value<'d>> {
        let token = self.document.tape[self.at];
        (!token.is(Tag::End)).then(|| {
            let value = Value { document: self.document, at: self.at };
            self.at = token.after(self.at);
            value
        })
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
        Entries { document: self.value.document, at: self.value.at + 1 }
    }

    /// The dictionary as a value.
    #[must_use]
    pub fn value(self) -> Value<'d> {
        self.value
    }

    /// Whether the keys of this dictionary itself are sorted as raw bytes.
    #[must_use]
    pub fn is_sorted(self) -> bool {
        self.value.token().meta & FAULT_A == 0
    }

    /// Whether this dictionary itself has a key twice.
    #[must_use]
    pub fn has_repeated_key(self) -> bool {
        self.value.token().meta & FAULT_B != 0
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
    document: &'d Document<'d>,
    at: usize,
}

impl<'d> Iterator for Entries<'d> {
    type Item = (&'d [u8], Value<'d>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let key = Value { document: self.document, at: self.at }.as_bytes()?;
        let value = Value { document: self.document, at: self.at + 1 };
        self.at = value.token().after(value.at);
        Some((key, value))
    }
}

/// Keys and list positions, joined by dots, fit for display.
#[derive(Default)]
pub(super) struct Path(String);

impl Path {
    /// How much of a key is shown, in bytes: keys come from strangers.
    const MOST_KEY: usize = 40;

    pub(super) fn push_key(&mut self, key: &[u8]) {
        self.dot();
        let shown = &key[..key.len().min(Self::MOST_KEY)];
        if std::str::from_utf8(shown).is_ok_and(|text| text.chars().all(|char| matches!(char, ' '..='~'))) {
            self.0.push_str(&String::from_utf8_lossy(shown));
        } else {
            let _ = write!(self.0, "{}", shown.escape_ascii());
        }
        if shown.len() < key.len() {
            self.0.push_str("...");
        }
    }

    pub(super) fn push_position(&mut self, position: usize) {
        self.dot();
        let _ = write!(self.0, "{position}");
    }

    fn dot(&mut self) {
        if !self.0.is_empty() {
            self.0.push('.');
        }
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// Bytes in quotes with everything that is not plain ASCII escaped.
pub(super) fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii())
}
