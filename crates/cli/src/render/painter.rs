//! A block of lines at the foot of a terminal that is drawn again and again.

use std::io::{self, Write};

use crate::render::text;

/// Remembers what was drawn, so that it can be drawn over.
#[derive(Debug, Default)]
pub(crate) struct Painter {
    /// The width of each line on the screen.
    drawn: Vec<usize>,
}

impl Painter {
    /// Draws `lines` over what was drawn before. No line is wider than `columns`.
    pub(crate) fn draw(&mut self, out: &mut dyn Write, lines: &[Line], columns: usize) -> io::Result<()> {
        // The last column stays free: a terminal that wraps early would break the count of lines.
        let room = columns.saturating_sub(1).max(1);
        let mut picture = self.back(columns);
        for (at, line) in lines.iter().enumerate() {
            if at > 0 {
                picture.push_str("\r\n");
            }
            picture.push_str(&line.cut(room));
            picture.push_str("\x1b[K");
        }
        picture.push_str("\x1b[J");
        self.drawn = lines.iter().map(|line| line.width().min(room)).collect();
        out.write_all(picture.as_bytes())?;
        out.flush()
    }

    /// Takes the block off the screen; the cursor is where it began.
    pub(crate) fn clear(&mut self, out: &mut dyn Write, columns: usize) -> io::Result<()> {
        if self.drawn.is_empty() {
            return Ok(());
        }
        let picture = format!("{}\x1b[J", self.back(columns));
        self.drawn.clear();
        out.write_all(picture.as_bytes())?;
        out.flush()
    }

    /// The way back to the first line. A terminal that became narrower has wrapped lines since.
    fn back(&self, columns: usize) -> String {
        let rows: usize = self.drawn.iter().map(|width| width.div_ceil(columns.max(1)).max(1)).sum();
        match rows {
            0 | 1 => "\r".to_owned(),
            rows => format!("\r\x1b[{}A", rows - 1),
        }
    }
}

/// A line in parts, each with a style.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Line {
    parts: Vec<(Style, String)>,
}

/// How a part of a line stands out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Style {
    /// Not at all.
    Plain,
    /// The name of the thing.
    Strong,
    /// What is done.
    Good,
    /// What is not done, and small print.
    Faint,
    /// What needs attention.
    Warn,
}

impl Line {
    /// With another part.
    pub(crate) fn with(mut self, style: Style, text: impl Into<String>) -> Self {
        self.parts.push((style, text.into()));
        self
    }

    /// With another plain part.
    pub(crate) fn text(self, text: impl Into<String>) -> Self {
        self.with(Style::Plain, text)
    }

    /// How many columns it takes.
    pub(crate) fn width(&self) -> usize {
        self.parts.iter().map(|(_, text)| text::width(text)).sum()
    }

    /// The line without any style.
    pub(crate) fn uncoloured(&self) -> Self {
        Self { parts: self.parts.iter().map(|(_, text)| (Style::Plain, text.clone())).collect() }
    }

    /// The line with its styles, at most `room` wide.
    pub(crate) fn cut(&self, room: usize) -> String {
        let mut left = room;
        let mut out = String::new();
        for (style, part) in &self.parts {
            let part = text::cut(part, left);
            left -= text::width(&part);
            let code = match style {
                Style::Plain => "",
                Style::Strong => "\x1b[1m",
                Style::Good => "\x1b[36m",
                Style::Faint => "\x1b[2m",
                Style::Warn => "\x1b[33m",
            };
            out.push_str(code);
            out.push_str(&part);
            out.push_str(if code.is_empty() { "" } else { "\x1b[0m" });
        }
        out
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lines_are_never_wider_than_the_terminal() {
        let line = Line::default().with(Style::Strong, "name").text("  ").with(Style::Faint, "x".repeat(200));
        let mut out = Vec::new();
        Painter::default().draw(&mut out, &[line], 40).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches('x').count(), 40 - 1 - 6);
    }

    #[test]
    fn the_block_is_drawn_over_and_taken_away() {
        let mut painter = Painter::default();
        let mut out = Vec::new();
        let lines = [Line::default().text("one"), Line::default().text("two")];
        painter.draw(&mut out, &lines, 80).unwrap();
        assert_eq!(String::from_utf8(std::mem::take(&mut out)).unwrap(), "\rone\x1b[K\r\ntwo\x1b[K\x1b[J");
        painter.draw(&mut out, &lines[..1], 80).unwrap();
        assert_eq!(String::from_utf8(std::mem::take(&mut out)).unwrap(), "\r\x1b[1Aone\x1b[K\x1b[J");
        painter.clear(&mut out, 80).unwrap();
        assert_eq!(String::from_utf8(std::mem::take(&mut out)).unwrap(), "\r\x1b[J");
        painter.clear(&mut out, 80).unwrap();
        assert_eq!(out, b"");
    }

    #[test]
    fn lines_that_a_narrower_terminal_wrapped_are_counted() {
        let mut painter = Painter::default();
        let mut out = Vec::new();
        painter.draw(&mut out, &[Line::default().text("x".repeat(70)), Line::default().text("y")], 80).unwrap();
        out.clear();
        painter.clear(&mut out, 40).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "\r\x1b[2A\x1b[J");
    }
}
