//! The one filter between a stranger's text and a person's screen: nothing that steers a terminal, turns the reading direction
//! or hides itself gets through.

use std::fmt::{self, Write as _};

/// Text with control characters, line breaks, bidirectional and invisible characters shown as escapes: `\n`, `\x1b`, `\u{202e}`.
/// Everything else is as it was.
#[must_use]
pub fn escaped(text: &str) -> Escaped<'_> {
    Escaped(text.as_bytes())
}

/// As [`escaped`], for bytes that should be UTF-8; those that are not are shown as `\xff`.
#[must_use]
pub fn escaped_bytes(bytes: &[u8]) -> Escaped<'_> {
    Escaped(bytes)
}

/// What [`escaped`] returns: text that is filtered when it is displayed.
#[derive(Clone, Copy)]
pub struct Escaped<'a>(&'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for char in chunk.valid().chars() {
                match char {
                    '\n' => f.write_str("\\n")?,
                    '\r' => f.write_str("\\r")?,
                    '\t' => f.write_str("\\t")?,
                    '\0'..='\x1f' | '\x7f' => write!(f, "\\x{:02x}", u32::from(char))?,
                    _ if is_control(char) || is_invisible(char) => write!(f, "\\u{{{:x}}}", u32::from(char))?,
                    _ => f.write_char(char)?,
                }
            }
            chunk.invalid().iter().try_for_each(|byte| write!(f, "\\x{byte:02x}"))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Control characters (C0, DEL, C1) and the two characters that break lines without being one.
pub(crate) fn is_control(char: char) -> bool {
    char.is_control() || matches!(char, '\u{2028}' | '\u{2029}')
}

/// Characters that turn the reading direction or have no width and no ink. Variation selectors are not among them: they change
/// how the character before them looks.
pub(crate) fn is_invisible(char: char) -> bool {
    matches!(char,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a15_nothing_steers_the_terminal() {
        let shown = escaped("a\x1b[31mb\u{9b}2Jc\u{202e}txt.exe\r\n\t\x7f\u{200b}\u{2028}").to_string();
        assert_eq!(shown, "a\\x1b[31mb\\u{9b}2Jc\\u{202e}txt.exe\\r\\n\\t\\x7f\\u{200b}\\u{2028}");
        assert_eq!(escaped("Größe 漢字 \\ \"x\" ❤\u{fe0f}").to_string(), "Größe 漢字 \\ \"x\" ❤\u{fe0f}");
        assert_eq!(escaped_bytes(b"a\xffb\xc0\xae").to_string(), "a\\xffb\\xc0\\xae");
    }
}
