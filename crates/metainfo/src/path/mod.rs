//! Names from strangers made safe: a [`SafePath`] comes only from here.
//!
//! Sanitising is a fixed point: what it returns, it leaves as it is. Distinct names may become equal by it;
//! [`make_unique`] tells the files of a torrent apart again.

mod unique;

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

pub(crate) use unique::are_ordered;
pub use unique::make_unique;

use crate::display::{is_control, is_invisible};

/// The longest name of a file or folder, in bytes.
pub const MAX_NAME_LENGTH: usize = 255;
/// The most folders a path may go down, the file itself counted.
pub const MAX_DEPTH: usize = 100;
/// The longest extension that is kept when a name is cut, in bytes with its dot.
const MAX_EXTENSION_LENGTH: usize = 32;

/// Which names are safe here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NameRules {
    /// Also leave out what Windows cannot store: reserved names, `:` and the like, a dot or space at the end.
    pub windows: bool,
    /// Names that differ only in upper and lower case are the same.
    pub fold_case: bool,
}

impl NameRules {
    /// For the system this was built for.
    pub const NATIVE: Self =
        Self { windows: cfg!(windows), fold_case: cfg!(any(windows, target_os = "macos", target_os = "ios")) };
    /// For names that work on every system.
    pub const PORTABLE: Self = Self { windows: true, fold_case: true };
}

impl Default for NameRules {
    fn default() -> Self {
        Self::NATIVE
    }
}

/// Why names do not make a path.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// There is no name at all.
    #[error("path is empty")]
    Empty,
    /// More names than [`MAX_DEPTH`].
    #[error("path is more than {MAX_DEPTH} folders deep")]
    Depth,
    /// More files with one name than can be told apart.
    #[error("more than {} files with one name", unique::MAX_SAME)]
    SameName,
}

/// One name made safe: valid UTF-8 of 1 to 255 bytes, no separator, no control character, not `.` or `..`.
///
/// Invalid UTF-8 runs, separators (`/` and `\`) and control characters become `_`; bidirectional and invisible characters are
/// dropped; an empty name, `.` and `..` become `_`; a long name is cut at a character and keeps its extension.
#[must_use]
pub fn safe_name(raw: &[u8], rules: NameRules) -> Cow<'_, str> {
    if is_plain(raw, rules) {
        return Cow::Borrowed(std::str::from_utf8(raw).expect("printable ASCII is UTF-8"));
    }
    let mut name = pass(raw, rules);
    // The rules may meet: a prefix makes a name too long, a cut bares a dot. Two or three rounds settle it.
    loop {
        let again = pass(name.as_bytes(), rules);
        if again == name {
            return Cow::Owned(name);
        }
        name = again;
    }
}

/// Bytes that are safe anywhere in a name: printable ASCII but separators.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        plain[byte as usize] = byte != b'/' && byte != b'\\';
        byte += 1;
    }
    plain
};

/// Whether a name is safe as it is, as nearly all are. Cheaper than to find out what would change.
fn is_plain(raw: &[u8], rules: NameRules) -> bool {
    let short = raw.len() <= MAX_NAME_LENGTH && !raw.is_empty() && !rules.windows;
    short && raw.iter().fold(true, |plain, &byte| plain & PLAIN[usize::from(byte)]) && !matches!(raw, b"." | b"..")
}

/// One round of all rules. Makes a name longer only by the prefix of a reserved name, which is then none.
fn pass(raw: &[u8], rules: NameRules) -> String {
    let mut name = String::with_capacity(raw.len().min(2 * MAX_NAME_LENGTH));
    let mut after_bad = false;
    for chunk in raw.utf8_chunks() {
        for char in chunk.valid().chars() {
            after_bad = false;
            if !is_invisible(char) {
                name.push(if is_control(char) || is_separator(char, rules) { '_' } else { char });
            }
        }
        if !chunk.invalid().is_empty() && !std::mem::replace(&mut after_bad, true) {
            name.push('_');
        }
    }
    if matches!(name.as_str(), "" | "." | "..") {
        return "_".into();
    }
    if name.len() > MAX_NAME_LENGTH {
        name = cut(&name, MAX_NAME_LENGTH);
    }
    if rules.windows {
        if name.ends_with(['.', ' ']) {
            name.pop();
            name.push('_');
        }
        if is_reserved(&name) {
            name.insert(0, '_');
        }
    }
    name
}

fn is_separator(char: char, rules: NameRules) -> bool {
    matches!(char, '/' | '\\') || rules.windows && matches!(char, ':' | '*' | '?' | '"' | '<' | '>' | '|')
}

/// Device names of Windows, with any extension.
fn is_reserved(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name).trim_end();
    let is = |reserved: &str| stem.eq_ignore_ascii_case(reserved);
    let numbered = || {
        let mut chars = stem.chars();
        let last = chars.next_back();
        let device = chars.as_str();
        matches!(last, Some('0'..='9' | '\u{b9}' | '\u{b2}' | '\u{b3}'))
            && (device.eq_ignore_ascii_case("com") || device.eq_ignore_ascii_case("lpt"))
    };
    ["con", "prn", "aux", "nul", "conin$", "conout$"].into_iter().any(is) || numbered()
}

/// Stem and extension; the extension has its dot and is empty if there is none, or if it is too long to be one.
fn split_extension(name: &str) -> (&str, &str) {
    match name.rfind('.') {
        Some(at) if at > 0 && name.len() - at <= MAX_EXTENSION_LENGTH => name.split_at(at),
        _ => (name, ""),
    }
}

/// The name with its stem cut at a character so that all of it is at most `max` bytes.
fn cut(name: &str, max: usize) -> String {
    let (stem, extension) = split_extension(name);
    let stem = &stem[..stem.floor_char_boundary(max - extension.len())];
    format!("{stem}{extension}")
}

/// A relative path of safe names, with `/` between them. At least one name, at most [`MAX_DEPTH`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SafePath(Box<str>);

impl SafePath {
    /// The path of these names, each made safe.
    ///
    /// # Errors
    /// No names, or more than [`MAX_DEPTH`].
    pub fn new<'n>(names: impl IntoIterator<Item = &'n [u8]>, rules: NameRules) -> Result<Self, PathError> {
        let mut builder = PathBuilder::new(rules);
        names.into_iter().for_each(|name| builder.push(name));
        builder.finish()
    }

    /// The usual path of padding that has none (BEP 47). It is never on disk.
    pub(crate) fn padding(length: u64) -> Self {
        Self(format!(".pad/{length}").into())
    }

    /// The path of one name.
    #[must_use]
    pub fn name(raw: &[u8], rules: NameRules) -> Self {
        Self(safe_name(raw, rules).into())
    }

    /// Reads a path that [`SafePath::as_str`] gave, such as one from a resume record, and makes it safe again.
    ///
    /// # Errors
    /// More than [`MAX_DEPTH`] names.
    pub fn parse(text: &str, rules: NameRules) -> Result<Self, PathError> {
        Self::new(text.split('/').map(str::as_bytes), rules)
    }

    /// The names, from the outermost folder to the file.
    pub fn names(&self) -> std::str::Split<'_, char> {
        self.0.split('/')
    }

    /// The last name.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// All names but the last, with `/` between them; `None` if there is only one.
    #[must_use]
    pub fn parent(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(parent, _)| parent)
    }

    /// The path within a folder.
    #[must_use]
    pub fn within(&self, folder: &Self) -> Self {
        Self(format!("{folder}/{self}").into())
    }

    /// The path as text, with `/` between names.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path in the form of this system.
    #[must_use]
    pub fn to_path_buf(&self) -> PathBuf {
        self.names().collect()
    }

    /// The same path with `.1` or another number put before the extension of its last name.
    fn numbered(&self, number: u32) -> Self {
        let (stem, extension) = split_extension(self.file_name());
        let suffix = format!(".{number}{extension}");
        let stem = &stem[..stem.floor_char_boundary(MAX_NAME_LENGTH - suffix.len())];
        match self.parent() {
            Some(parent) => Self(format!("{parent}/{stem}{suffix}").into()),
            None => Self(format!("{stem}{suffix}").into()),
        }
    }
}

/// Makes one path after the other in one buffer, so that each costs a single allocation.
#[derive(Debug)]
pub(crate) struct PathBuilder {
    rules: NameRules,
    /// Safe names with `/` between them.
    text: Vec<u8>,
    depth: usize,
    climbs: bool,
    changes: bool,
}

impl PathBuilder {
    pub(crate) fn new(rules: NameRules) -> Self {
        Self { rules, text: Vec::new(), depth: 0, climbs: false, changes: false }
    }

    /// Adds a name, made safe.
    pub(crate) fn push(&mut self, name: &[u8]) {
        if self.depth > 0 {
            self.text.push(b'/');
        }
        self.depth += 1;
        if is_plain(name, self.rules) {
            self.text.extend_from_slice(name);
        } else if self.depth <= MAX_DEPTH {
            let safe = safe_name(name, self.rules);
            self.climbs |= is_climbing(name);
            self.changes |= safe.as_bytes() != name;
            self.text.extend_from_slice(safe.as_bytes());
        }
    }

    /// Whether some name of the path that is being built steps up a folder as it is written.
    pub(crate) fn climbs(&self) -> bool {
        self.climbs
    }

    /// Whether some name of the path that is being built is not as it is written.
    pub(crate) fn changes(&self) -> bool {
        self.changes
    }

    /// The path of the names since the last one.
    pub(crate) fn finish(&mut self) -> Result<SafePath, PathError> {
        let path = match self.depth {
            0 => Err(PathError::Empty),
            1..=MAX_DEPTH => {
                let text = std::str::from_utf8(&self.text).expect("safe names are UTF-8");
                Ok(SafePath(text.into()))
            }
            _ => Err(PathError::Depth),
        };
        self.text.clear();
        (self.depth, self.climbs, self.changes) = (0, false, false);
        path
    }
}

/// Whether a name, taken apart at separators, steps up a folder.
pub(crate) fn is_climbing(name: &[u8]) -> bool {
    name.len() >= 2 && name.split(|byte| matches!(byte, b'/' | b'\\')).any(|part| part == b"..")
}

impl fmt::Display for SafePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SafePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

#[cfg(test)]
mod tests;
