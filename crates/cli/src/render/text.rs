//! Text on its way to a terminal: harmless, and as wide as there is room.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Text of a stranger, fit to be printed: no control characters, no marks that turn the reading direction.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    let escaped = riverrun::metainfo::display::escaped(text).to_string();
    if escaped == text { Cow::Borrowed(text) } else { Cow::Owned(escaped) }
}

/// How many columns a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The text, cut to `columns` with `…` in the place of its middle when it is wider.
pub(crate) fn fit(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        return Cow::Borrowed(text);
    }
    let room = columns.saturating_sub(1);
    let tail = take(text.chars().rev(), room / 3);
    let head = take(text.chars(), room - tail.iter().map(|c| c.width().unwrap_or(0)).sum::<usize>());
    let mark = if columns == 0 { None } else { Some('…') };
    Cow::Owned(head.into_iter().chain(mark).chain(tail.into_iter().rev()).collect())
}

/// The text, cut at its end.
pub(crate) fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    if width(text) <= columns {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(take(text.chars(), columns).into_iter().collect())
    }
}

fn take(chars: impl Iterator<Item = char>, columns: usize) -> Vec<char> {
    let mut used = 0;
    chars
        .take_while(|c| {
            used += c.width().unwrap_or(0);
            used <= columns
        })
        .collect()
}

/// The text with blanks up to `columns`.
pub(crate) fn pad(text: &str, columns: usize) -> String {
    let blanks = columns.saturating_sub(width(text));
    format!("{text}{:blanks$}", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_keep_their_head_and_tail() {
        assert_eq!(fit("short", 10), "short");
        assert_eq!(fit("a very long name.flac", 12), "a very l…lac");
        assert_eq!(width(&fit("日本語の長いなまえ.flac", 11)), 10);
        assert_eq!(fit("abc", 0), "");
        assert_eq!(fit("abc", 1), "…");
        assert!(width(&fit("日本語", 4)) <= 4);
    }

    #[test]
    fn what_could_move_the_cursor_is_not_shown() {
        for text in ["a\x1b[2Jb", "a\rb", "a\nb", "a\u{202e}b", "a\u{9b}b", "a\u{7f}b"] {
            let shown = shown(text);
            let bad = |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
            assert!(!shown.contains(bad), "{shown:?}");
        }
        assert_eq!(shown("plain ünïcode 日本"), "plain ünïcode 日本");
    }
}
