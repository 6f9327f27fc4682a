//! As much of HTTP/1.1 as a tracker needs: the head of a GET (RFC 9112), and the answer to it.

use super::HttpAnswer;
use crate::limits::MAX_REQUEST_HEADER;

/// The head of a request that can be answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestHead {
    /// Path and query.
    pub target: String,
    /// The client may send another request behind this one.
    pub keep_alive: bool,
    /// Where in the bytes the next request begins.
    pub length: usize,
}

/// Why a request cannot be read. What follows it cannot be either: the connection ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// It is no request.
    #[error("not a request")]
    Malformed,
    /// It is longer than [`MAX_REQUEST_HEADER`].
    #[error("longer than {MAX_REQUEST_HEADER} bytes")]
    TooLong,
    /// It asks for something other than GET.
    #[error("not a GET")]
    Method,
    /// It has a body, which no GET of a tracker has.
    #[error("a body")]
    Body,
}

impl RequestHead {
    /// Reads the head at the front of what a client sent; `None`: its end has not come yet. The first `seen` bytes were looked at
    /// before.
    ///
    /// # Errors
    /// It can be no request however it goes on, or none that a tracker answers.
    pub fn read(received: &[u8], seen: usize) -> Result<Option<Self>, RequestError> {
        let from = seen.saturating_sub(3).min(received.len());
        let end = received[from..].windows(4).position(|end| end == b"\r\n\r\n").map(|at| from + at);
        let Some(end) = end.filter(|end| *end <= MAX_REQUEST_HEADER) else {
            return if received.len() > MAX_REQUEST_HEADER { Err(RequestError::TooLong) } else { Ok(None) };
        };
        let text = std::str::from_utf8(&received[..end]).map_err(|_| RequestError::Malformed)?;
        let mut lines = text.split("\r\n");
        let mut words = lines.next().unwrap_or_default().split(' ');
        let (Some(method), Some(target), Some(version), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(RequestError::Malformed);
        };
        let mut keep_alive = match version {
            "HTTP/1.1" => true,
            "HTTP/1.0" => false,
            _ => return Err(RequestError::Malformed),
        };
        if method != "GET" {
            return Err(RequestError::Method);
        }
        for line in lines {
            let (name, value) = line.split_once(':').ok_or(RequestError::Malformed)?;
            let value = value.trim_matches([' ', '\t']);
            match name.to_ascii_lowercase().as_str() {
                "connection" if has_word(value, "close") => keep_alive = false,
                "connection" if has_word(value, "keep-alive") => keep_alive = true,
                "content-length" if value != "0" => return Err(RequestError::Body),
                "transfer-encoding" => return Err(RequestError::Body),
                _ => {}
            }
        }
        let target = origin_form(target).ok_or(RequestError::Malformed)?.to_owned();
        Ok(Some(Self { target, keep_alive, length: end + 4 }))
    }
}

fn has_word(list: &str, word: &str) -> bool {
    list.split(',').any(|item| item.trim().eq_ignore_ascii_case(word))
}

/// Path and query of a target, which may come with scheme and host before them.
fn origin_form(target: &str) -> Option<&str> {
    let path = match target.strip_prefix("http://") {
        Some(rest) => rest.get(rest.find('/')?..)?,
        None => target,
    };
    path.starts_with('/').then_some(path)
}

impl RequestError {
    /// What the client is told.
    #[must_use]
    pub fn answer(self) -> HttpAnswer {
        let status = match self {
            Self::Malformed => 400,
            Self::TooLong => 431,
            Self::Method => 405,
            Self::Body => 413,
        };
        HttpAnswer { status, body: Vec::new() }
    }
}

impl HttpAnswer {
    /// The bytes to send.
    #[must_use]
    pub fn encode(&self, keep_alive: bool) -> Vec<u8> {
        let status = match self.status {
            200 => "200 OK",
            404 => "404 Not Found",
            405 => "405 Method Not Allowed\r\nAllow: GET",
            413 => "413 Content Too Large",
            431 => "431 Request Header Fields Too Large",
            _ => "400 Bad Request",
        };
        let (length, connection) = (self.body.len(), if keep_alive { "keep-alive" } else { "close" });
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: {connection}\r\n\r\n"
        );
        [head.as_bytes(), &self.body].concat()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read(text: &str) -> Result<Option<(String, bool)>, RequestError> {
        let head = RequestHead::read(text.as_bytes(), 0)?;
        Ok(head.map(|head| (head.target, head.keep_alive)))
    }

    #[test]
    fn heads_of_clients() {
        let one = "GET /announce?info_hash=%ff HTTP/1.1\r\nHost: t:1\r\nUser-Agent: x\r\n\r\n";
        assert_eq!(read(one), Ok(Some(("/announce?info_hash=%ff".into(), true))));
        for cut in 0..one.len() {
            assert_eq!(read(&one[..cut]), Ok(None), "{cut}");
        }
        let two = format!("{one}{one}");
        assert_eq!(RequestHead::read(two.as_bytes(), one.len() - 1).unwrap().unwrap().length, one.len());
        for (version, header, kept) in [
            ("1.1", "Connection: close", false),
            ("1.1", "CONNECTION:Keep-Alive, x", true),
            ("1.0", "Accept: */*", false),
            ("1.0", "Connection: keep-alive", true),
            ("1.1", "Content-Length: 0", true),
        ] {
            let text = format!("GET http://t:1/scrape HTTP/{version}\r\n{header}\r\n\r\n");
            assert_eq!(read(&text), Ok(Some(("/scrape".into(), kept))), "{text}");
        }
    }

    #[test]
    fn a9_heads_that_are_refused() {
        for (text, error) in [
            ("POST /announce HTTP/1.1\r\n\r\n", RequestError::Method),
            ("GET /announce\r\n\r\n", RequestError::Malformed),
            ("GET /announce HTTP/2.0\r\n\r\n", RequestError::Malformed),
            ("GET announce HTTP/1.1\r\n\r\n", RequestError::Malformed),
            ("GET http://t HTTP/1.1\r\n\r\n", RequestError::Malformed),
            ("GET / a HTTP/1.1\r\n\r\n", RequestError::Malformed),
            ("GET / HTTP/1.1\r\nnonsense\r\n\r\n", RequestError::Malformed),
            ("GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", RequestError::Body),
            ("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", RequestError::Body),
        ] {
            assert_eq!(read(text), Err(error), "{text:?}");
        }
        assert_eq!(RequestHead::read(b"GET /\xff HTTP/1.1\r\n\r\n", 0), Err(RequestError::Malformed));
        assert_eq!(read(&"a".repeat(MAX_REQUEST_HEADER)), Ok(None));
        assert_eq!(read(&"a".repeat(MAX_REQUEST_HEADER + 1)), Err(RequestError::TooLong));
        let long = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(MAX_REQUEST_HEADER));
        assert_eq!(read(&long), Err(RequestError::TooLong));
    }

    #[test]
    fn answers_say_how_long_they_are() {
        let answer = HttpAnswer { status: 200, body: b"de".to_vec() }.encode(true);
        let text =
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nde";
        assert_eq!(answer, text.as_bytes());
        let answer = String::from_utf8(RequestError::Method.answer().encode(false)).unwrap();
        assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("\r\nAllow: GET\r\n"), "{answer}");
        assert!(answer.contains("\r\nConnection: close\r\n"));
    }
}
