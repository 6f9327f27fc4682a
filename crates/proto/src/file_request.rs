//! What a player asks a server of files for: the head of a request, and the range in it (RFC 9110, 9112).
//!
//! Any program of this machine may speak to the server, and a page in a browser may have it spoken to: the head is a stranger's.

use std::ops::Range;

use crate::limits::{MAX_FILE_REQUEST_FIELDS, MAX_FILE_REQUEST_HEAD};

/// The head of a request, as far as it matters here.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Head {
    /// As it was sent: no method is unknown here.
    pub method: String,
    /// What is asked for: begins with a slash, still encoded.
    pub target: String,
    /// The field `Host`, if there is one.
    pub host: Option<String>,
    /// The field `Range`.
    pub range: Option<String>,
    /// The field `If-Range`.
    pub if_range: Option<String>,
    /// Another request may follow on this connection.
    pub keep_alive: bool,
}

/// Why a head cannot be answered as it asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadHead {
    /// It has more bytes or more fields than the limits allow.
    #[error("the head of the request is too long")]
    TooLong,
    /// It is no head of a request without a body.
    #[error("the head of the request is malformed")]
    Malformed,
}

/// Reads a head from the front of what has come: `None` if its end has not come yet. With it comes how many bytes it took; what
/// follows is the next request.
///
/// # Errors
/// It is over [`MAX_FILE_REQUEST_HEAD`] bytes or [`MAX_FILE_REQUEST_FIELDS`] fields, or is none of HTTP/1, or a body follows.
pub fn read(bytes: &[u8]) -> Result<Option<(Head, usize)>, BadHead> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return if bytes.len() >= MAX_FILE_REQUEST_HEAD { Err(BadHead::TooLong) } else { Ok(None) };
    };
    if end >= MAX_FILE_REQUEST_HEAD {
        return Err(BadHead::TooLong);
    }
    let text = std::str::from_utf8(&bytes[..end]).map_err(|_| BadHead::Malformed)?;
    // A lone line feed or a zero would be read in another way by somebody else (RFC 9112 2.2).
    if text.split("\r\n").any(|line| line.contains(|c: char| c.is_ascii_control() && c != '\t')) {
        return Err(BadHead::Malformed);
    }
    let mut lines = text.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(BadHead::Malformed);
    };
    if !target.starts_with('/') || !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
        return Err(BadHead::Malformed);
    }
    let mut head = Head {
        method: method.to_owned(),
        target: target.to_owned(),
        keep_alive: version == "HTTP/1.1",
        ..Head::default()
    };
    for (nth, line) in lines.enumerate() {
        if nth >= MAX_FILE_REQUEST_FIELDS {
            return Err(BadHead::TooLong);
        }
        let (name, value) = line.split_once(':').ok_or(BadHead::Malformed)?;
        let value = value.trim_matches([' ', '\t']);
        let once = |place: &mut Option<String>| match place.replace(value.to_owned()) {
            Some(_) => Err(BadHead::Malformed),
            None => Ok(()),
        };
        match name.to_ascii_lowercase().as_str() {
            "host" => once(&mut head.host)?,
            "range" => once(&mut head.range)?,
            "if-range" => once(&mut head.if_range)?,
            "connection" if value.eq_ignore_ascii_case("close") => head.keep_alive = false,
            "content-length" if value != "0" => return Err(BadHead::Malformed),
            "transfer-encoding" => return Err(BadHead::Malformed),
            name if name.is_empty() || name.contains([' ', '\t']) => return Err(BadHead::Malformed),
            _ => {}
        }
    }
    Ok(Some((head, end + 4)))
}

/// Whether a host names this machine by its loopback: a page of somebody else's name that resolves to it does not (DNS
/// rebinding).
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((name, port)) if port.is_empty() || is_port(port) => name,
            _ => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) if is_port(&format!(":{port}")) => name,
            Some(_) => return false,
            None => host,
        },
    };
    name.eq_ignore_ascii_case("localhost") || matches!(name, "127.0.0.1" | "::1")
}

fn is_port(text: &str) -> bool {
    let digits = |port: &&str| port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    text.strip_prefix(':').filter(digits).is_some_and(|port| port.parse::<u16>().is_ok())
}

/// What of a file a request wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Wanted {
    /// All of it.
    All,
    /// These bytes, of which there are some, all within the file.
    Part(Range<u64>),
    /// The range begins beyond the end.
    Beyond,
}

/// Reads `Range: bytes=…` for a file of this length. What is not a single range of bytes is no range, as if it had not been
/// said (RFC 9110 14.2).
#[must_use]
pub fn wanted(range: &str, length: u64) -> Wanted {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')) else {
        return Wanted::All;
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // A number that is too long for us is beyond every file.
    let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
    match (first.trim_matches(' '), last.trim_matches(' ')) {
        ("", count) if digits(count) => match number(count).min(length) {
            0 => Wanted::Beyond,
            count => Wanted::Part(length - count..length),
        },
        (first, "") if digits(first) && number(first) < length => Wanted::Part(number(first)..length),
        (first, "") if digits(first) => Wanted::Beyond,
        (first, last) if digits(first) && digits(last) && number(first) <= number(last) => {
            if number(first) >= length {
                return Wanted::Beyond;
            }
            Wanted::Part(number(first)..number(last).saturating_add(1).min(length))
        }
        _ => Wanted::All,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a11_ranges_that_are_right_wrong_inverted_huge_and_many() {
        let part = |range: Range<u64>| Wanted::Part(range);
        for (text, expected) in [
            ("bytes=0-0", part(0..1)),
            ("bytes=0-", part(0..100)),
            ("bytes=10-19", part(10..20)),
            ("bytes=99-200", part(99..100)),
            ("bytes=-1", part(99..100)),
            ("bytes=-1000", part(0..100)),
            ("bytes=5-99999999999999999999999999", part(5..100)),
            ("bytes=100-", Wanted::Beyond),
            ("bytes=99999999999999999999999999-", Wanted::Beyond),
            ("bytes=100-200", Wanted::Beyond),
            ("bytes=-0", Wanted::Beyond),
            ("bytes=20-10", Wanted::All),
            ("bytes=0-1,5-6", Wanted::All),
            ("bytes=0-50,10-60", Wanted::All),
            ("bytes=-5,-6", Wanted::All),
            ("bytes=0-18446744073709551615", part(0..100)),
            ("bytes=18446744073709551615-", Wanted::Beyond),
            ("bytes=-18446744073709551616", part(0..100)),
            ("bytes=1\u{a0}-2", Wanted::All),
            ("bytes=--1", Wanted::All),
            ("bytes=a-b", Wanted::All),
            ("bytes=-", Wanted::All),
            ("bytes=+1-2", Wanted::All),
            ("lines=1-2", Wanted::All),
            ("", Wanted::All),
        ] {
            assert_eq!(wanted(text, 100), expected, "{text}");
        }
        assert_eq!(wanted("bytes=0-", 0), Wanted::Beyond);
        assert_eq!(wanted("bytes=-5", 0), Wanted::Beyond);
    }

    #[test]
    fn heads_are_read_when_they_are_whole() {
        let bytes = b"GET /1/a HTTP/1.1\r\nHost: 127.0.0.1:80\r\nRANGE: bytes=1-2\r\n\r\nrest";
        for cut in 0..bytes.len() - 4 {
            assert_eq!(read(&bytes[..cut]), Ok(None), "{cut}");
        }
        let (head, length) = read(bytes).unwrap().unwrap();
        assert_eq!(&bytes[length..], b"rest");
        assert_eq!((head.host.as_deref(), head.range.as_deref()), (Some("127.0.0.1:80"), Some("bytes=1-2")));
        assert!(head.keep_alive && head.target == "/1/a");
    }

    #[test]
    fn a11_heads_that_are_none() {
        for head in [
            "GET\r\n\r\n",
            "GET / HTTP/2.0\r\n\r\n",
            "GET http://x/ HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1 x\r\n\r\n",
            "GET / HTTP/1.1\r\nHost\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            "GET / HTTP/1.1\r\n folded: x\r\n\r\n",
            "GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
            "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: 127.0.0.1\nX: y\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n",
            "GET /\ra HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nRange: bytes=0-\r\nrange: bytes=1-\r\n\r\n",
        ] {
            assert_eq!(read(head.as_bytes()), Err(BadHead::Malformed), "{head}");
        }
        assert_eq!(read(&[b'a'; MAX_FILE_REQUEST_HEAD]), Err(BadHead::TooLong));
        assert_eq!(read(b"\xff / HTTP/1.1\r\n\r\n"), Err(BadHead::Malformed));
    }

    #[test]
    fn requests_one_behind_the_other_are_read_one_by_one() {
        let bytes = b"GET /1 HTTP/1.1\r\n\r\nHEAD /2 HTTP/1.0\r\nRange: bytes=0-\r\n\r\nGET /3";
        let (first, length) = read(bytes).unwrap().unwrap();
        let (second, more) = read(&bytes[length..]).unwrap().unwrap();
        assert_eq!((first.target.as_str(), second.target.as_str()), ("/1", "/2"));
        assert!(first.keep_alive && !second.keep_alive && first.range.is_none() && second.range.is_some());
        assert_eq!(read(&bytes[length + more..]), Ok(None));
    }

    #[test]
    fn a11_heads_over_the_limits() {
        let of = |fields: usize, length: usize| {
            let field = format!("x: {}\r\n", "y".repeat(length));
            format!("GET / HTTP/1.1\r\n{}\r\n", field.repeat(fields))
        };
        assert!(matches!(read(of(MAX_FILE_REQUEST_FIELDS, 1).as_bytes()), Ok(Some(_))));
        assert_eq!(read(of(MAX_FILE_REQUEST_FIELDS + 1, 1).as_bytes()), Err(BadHead::TooLong));
        assert!(matches!(read(of(1, MAX_FILE_REQUEST_HEAD - 100).as_bytes()), Ok(Some(_))));
        assert_eq!(read(of(1, MAX_FILE_REQUEST_HEAD).as_bytes()), Err(BadHead::TooLong), "although it is whole");
        let endless = [b"GET / HTTP/1.1\r\n".as_slice(), &[b'a'; MAX_FILE_REQUEST_HEAD]].concat();
        assert_eq!(read(&endless[..MAX_FILE_REQUEST_HEAD - 1]), Ok(None));
        assert_eq!(read(&endless), Err(BadHead::TooLong));
    }

    #[test]
    fn only_names_of_the_loopback_are_hosts() {
        for host in ["127.0.0.1", "127.0.0.1:80", "localhost:1", "LOCALHOST", "[::1]", "[::1]:8080"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:80",
            "127.0.0.1.evil.example",
            "127.0.0.1:x",
            "127.0.0.1:+80",
            "127.0.0.1:70000",
            "[::1",
            "[::1]x",
            "::1",
            "10.0.0.1",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
