//! The way to a value, and bytes of strangers, as messages show them.

use std::fmt::Write as _;

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
