//! Whether a server's answer is the range that was asked for (RFC 9110; THREATS T9).

use std::ops::Range;
use std::time::Duration;

use super::WebSeedError;
use crate::limits::{MAX_WEB_SEED_RETRY_AFTER, MAX_WEB_SEED_SKIP};

/// What is looked at in the head of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Head<'a> {
    /// The number of the answer.
    pub status: u16,
    /// `Content-Length`, in bytes.
    pub content_length: Option<u64>,
    /// `Content-Range`.
    pub content_range: Option<&'a [u8]>,
    /// `Content-Encoding`.
    pub content_encoding: Option<&'a [u8]>,
    /// `Retry-After`.
    pub retry_after: Option<&'a [u8]>,
}

/// The body behind a head that is in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Body {
    /// So many bytes come before the first that was asked for.
    pub skip: u64,
    /// The whole file comes, though a part of it was asked for: more than that follows.
    pub whole: bool,
}

impl Head<'_> {
    /// Judges the answer to a request for these bytes of a file, which has `length` bytes.
    ///
    /// # Errors
    /// It brings something else, or nothing.
    pub fn judge(&self, asked: &Range<u64>, length: u64) -> Result<Body, WebSeedError> {
        if matches!(self.status, 200 | 206)
            && self.content_encoding.is_some_and(|coding| !coding.eq_ignore_ascii_case(b"identity"))
        {
            return Err(WebSeedError::Lie("compresses what was asked for as it is"));
        }
        match self.status {
            206 => self.part(asked, length),
            200 => self.whole(asked, length),
            416 => match self.content_range.and_then(total) {
                Some(found) if found != length => Err(WebSeedError::Length { expected: length, found }),
                _ => Err(WebSeedError::Missing(416)),
            },
            403 | 404 | 410 | 451 => Err(WebSeedError::Missing(self.status)),
            429 | 502 | 503 | 504 => Err(WebSeedError::Busy { status: self.status, retry_after: self.retry_after() }),
            status => Err(WebSeedError::Status(status)),
        }
    }

    fn part(&self, asked: &Range<u64>, length: u64) -> Result<Body, WebSeedError> {
        let field = self.content_range.ok_or(WebSeedError::Lie("a part without its range"))?;
        let (given, total) = content_range(field).ok_or(WebSeedError::Lie("a range that cannot be read"))?;
        if let Some(found) = total.filter(|total| *total != length) {
            return Err(WebSeedError::Length { expected: length, found });
        }
        if given != *asked {
            return Err(WebSeedError::Lie("another range than asked for"));
        }
        match self.content_length {
            Some(bytes) if bytes != asked.end - asked.start => Err(WebSeedError::Lie("a part of another length")),
            _ => Ok(Body { skip: 0, whole: false }),
        }
    }

    fn whole(&self, asked: &Range<u64>, length: u64) -> Result<Body, WebSeedError> {
        match self.content_length {
            Some(found) if found != length => Err(WebSeedError::Length { expected: length, found }),
            _ if asked.start > MAX_WEB_SEED_SKIP => Err(WebSeedError::NoRanges),
            _ => Ok(Body { skip: asked.start, whole: asked.end < length }),
        }
    }

    /// In seconds; a date is as good as nothing for us, who know no time of day.
    fn retry_after(&self) -> Option<Duration> {
        let seconds = number(self.retry_after?.trim_ascii())?;
        Some(Duration::from_secs(seconds).min(MAX_WEB_SEED_RETRY_AFTER))
    }
}

/// Reads `bytes 0-99/1234` or `bytes 0-99/*`: the bytes, and the length of the file.
fn content_range(field: &[u8]) -> Option<(Range<u64>, Option<u64>)> {
    let field = field.trim_ascii();
    let (unit, range) = field.split_at_checked(6)?;
    if !unit.eq_ignore_ascii_case(b"bytes ") {
        return None;
    }
    let (range, length) = cut(range.trim_ascii_start(), b'/')?;
    let (first, last) = cut(range, b'-')?;
    let (first, last) = (number(first)?, number(last)?);
    let total = if length == b"*" { None } else { Some(number(length)?) };
    let inside = first <= last && total.is_none_or(|total| last < total);
    inside.then_some((first..last.checked_add(1)?, total))
}

/// Reads the length of the file in `bytes */1234`.
fn total(field: &[u8]) -> Option<u64> {
    number(cut(field.trim_ascii(), b'/')?.1)
}

fn cut(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = text.iter().position(|byte| *byte == at)?;
    Some((&text[..place], &text[place + 1..]))
}

fn number(digits: &[u8]) -> Option<u64> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| plain)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FILE: u64 = 10_000;

    fn part(range: &[u8], asked: Range<u64>) -> Result<Body, WebSeedError> {
        Head { status: 206, content_range: Some(range), ..Head::default() }.judge(&asked, FILE)
    }

    fn status(status: u16) -> Result<Body, WebSeedError> {
        Head { status, ..Head::default() }.judge(&(0..100), FILE)
    }

    #[test]
    fn the_part_that_was_asked_for_is_taken() {
        for range in ["bytes 100-199/10000", "bytes 100-199/*", "Bytes 100-199/10000 "] {
            assert_eq!(part(range.as_bytes(), 100..200), Ok(Body { skip: 0, whole: false }), "{range}");
        }
        let last = part(b"bytes 9999-9999/10000", 9999..10_000);
        assert_eq!(last, Ok(Body { skip: 0, whole: false }));
    }

    #[test]
    fn t9_another_range_is_a_lie() {
        for range in [
            "bytes 0-99/10000",
            "bytes 100-198/10000",
            "bytes 100-200/10000",
            "bytes 199-100/10000",
            "bytes 100-199",
            "bytes */10000",
            "bytes 100-/10000",
            "bytes +100-199/10000",
            "bytes 100-199/150",
            "bytes 100-18446744073709551615/*",
            "octets 100-199/10000",
            "",
        ] {
            assert!(matches!(part(range.as_bytes(), 100..200), Err(WebSeedError::Lie(_))), "{range}");
        }
        let no_range = Head { status: 206, ..Head::default() }.judge(&(0..1), FILE);
        assert!(matches!(no_range, Err(WebSeedError::Lie(_))));
    }

    #[test]
    fn t9_a_part_whose_length_is_not_its_range_is_a_lie() {
        let head = Head { status: 206, content_range: Some(b"bytes 0-99/10000"), ..Head::default() };
        assert!(Head { content_length: Some(100), ..head }.judge(&(0..100), FILE).is_ok());
        for wrong in [99, 101, 10_000, u64::MAX] {
            let judged = Head { content_length: Some(wrong), ..head }.judge(&(0..100), FILE);
            assert!(matches!(judged, Err(WebSeedError::Lie(_))), "{wrong}");
        }
    }

    #[test]
    fn t9_a_file_of_another_length_is_not_the_torrents() {
        let expected = |found| Err(WebSeedError::Length { expected: FILE, found });
        assert_eq!(part(b"bytes 0-99/9999", 0..100), expected(9999));
        assert_eq!(
            Head { status: 200, content_length: Some(5), ..Head::default() }.judge(&(0..100), FILE),
            expected(5)
        );
        let beyond = Head { status: 416, content_range: Some(b"bytes */50"), ..Head::default() };
        assert_eq!(beyond.judge(&(100..200), FILE), expected(50));
    }

    #[test]
    fn t9_200_for_206_is_read_from_its_start_if_that_is_near() {
        let whole = |start: u64, length| {
            let head = Head { status: 200, content_length: Some(length), ..Head::default() };
            head.judge(&(start..start + 1), length)
        };
        let long = 2 * MAX_WEB_SEED_SKIP;
        assert_eq!(whole(0, long), Ok(Body { skip: 0, whole: true }));
        assert_eq!(whole(MAX_WEB_SEED_SKIP, long), Ok(Body { skip: MAX_WEB_SEED_SKIP, whole: true }));
        assert_eq!(whole(MAX_WEB_SEED_SKIP + 1, long), Err(WebSeedError::NoRanges));
        let all = Head { status: 200, content_length: Some(FILE), ..Head::default() }.judge(&(0..FILE), FILE);
        assert_eq!(all, Ok(Body { skip: 0, whole: false }), "nothing follows what was asked for");
    }

    #[test]
    fn t9_compression_that_was_not_asked_for_is_a_lie() {
        for status in [200, 206] {
            let range = Some(b"bytes 0-99/10000".as_slice());
            let head = Head { status, content_range: range, content_encoding: Some(b"gzip"), ..Head::default() };
            assert!(matches!(head.judge(&(0..100), FILE), Err(WebSeedError::Lie(_))));
            assert!(Head { content_encoding: Some(b"identity"), ..head }.judge(&(0..100), FILE).is_ok());
        }
    }

    #[test]
    fn statuses_mean_the_file_the_moment_or_the_server() {
        assert_eq!(status(404), Err(WebSeedError::Missing(404)));
        assert_eq!(status(503), Err(WebSeedError::Busy { status: 503, retry_after: None }));
        assert_eq!(status(500), Err(WebSeedError::Status(500)));
        assert_eq!(status(304), Err(WebSeedError::Status(304)));
        let busy = |text: &[u8]| {
            let head = Head { status: 429, retry_after: Some(text), ..Head::default() };
            head.judge(&(0..100), FILE)
        };
        let after = |seconds| {
            let retry_after = Some(Duration::from_secs(seconds));
            Err(WebSeedError::Busy { status: 429, retry_after })
        };
        assert_eq!(busy(b"120"), after(120));
        assert_eq!(busy(b" 9999999999 "), after(MAX_WEB_SEED_RETRY_AFTER.as_secs()));
        assert_eq!(busy(b"Wed, 21 Oct 2015 07:28:00 GMT"), Err(WebSeedError::Busy { status: 429, retry_after: None }));
    }

    proptest! {
        #[test]
        fn what_is_said_of_a_range_is_read_back(start: u64, length in 1u64..1000, total: Option<u64>) {
            prop_assume!(start < u64::MAX - length);
            let end = start + length;
            let total = total.map(|more| end.saturating_add(more));
            let of = total.map_or("*".to_owned(), |total| total.to_string());
            let text = format!("bytes {start}-{}/{of}", end - 1);
            prop_assert_eq!(content_range(text.as_bytes()), Some((start..end, total)));
        }

        #[test]
        fn t9_no_field_makes_us_take_another_range(field: Vec<u8>, start in 0u64..100, length in 1u64..100) {
            let judged = part(&field, start..start + length);
            prop_assert!(judged.is_err() || content_range(&field).is_some_and(|(given, _)| given == (start..start + length)));
        }
    }
}
