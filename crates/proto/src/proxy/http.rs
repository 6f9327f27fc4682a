//! The client's side of HTTP CONNECT.

use std::fmt;

use super::{Credentials, ProxyError, Target};
use crate::limits::MAX_PROXY_HEADER;

const SPEAKS: &str = "HTTP CONNECT";

/// The dialogue before a connection is the target's: one request, one answer.
pub struct HttpConnect {
    outgoing: Vec<u8>,
    heard: Vec<u8>,
}

/// Without what is said, which holds secrets (THREATS A12).
impl fmt::Debug for HttpConnect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConnect").finish_non_exhaustive()
    }
}

impl HttpConnect {
    /// Begins a dialogue; the request is ready to be sent.
    ///
    /// # Errors
    /// The name of the target is none that can stand in a request.
    pub fn new(target: &Target, credentials: Option<&Credentials>) -> Result<Self, ProxyError> {
        let to = match target {
            Target::Addr(addr) => addr.to_string(),
            Target::Name(name, port) => {
                let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
                if name.is_empty() || name.len() > 255 || !name.bytes().all(fits) {
                    return Err(ProxyError::Name);
                }
                format!("{name}:{port}")
            }
        };
        let secret = credentials.map(|given| {
            let secret = base64(format!("{}:{}", given.user(), given.password()).as_bytes());
            format!("Proxy-Authorization: Basic {secret}\r\n")
        });
        let request = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{}\r\n", secret.unwrap_or_default());
        Ok(Self { outgoing: request.into_bytes(), heard: Vec::new() })
    }

    /// What is to be sent now; empty if nothing.
    pub fn outgoing(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outgoing)
    }

    /// Takes what the proxy said, up to the end of its header. True once the connection is the target's.
    ///
    /// # Errors
    /// The proxy says no, does not speak HTTP or does not come to an end; the connection is of no use any more.
    pub fn feed(&mut self, input: &mut &[u8]) -> Result<bool, ProxyError> {
        while let Some((byte, rest)) = input.split_first() {
            self.heard.push(*byte);
            *input = rest;
            if self.heard.ends_with(b"\r\n\r\n") {
                return self.judge().map(|()| true);
            }
            let start = b"HTTP/1.";
            let like_http = self.heard.iter().zip(start).all(|(heard, start)| heard == start);
            if !like_http || self.heard.len() >= MAX_PROXY_HEADER {
                return Err(ProxyError::Protocol(SPEAKS));
            }
        }
        Ok(false)
    }

    /// `HTTP/1.x NNN ...`
    fn judge(&self) -> Result<(), ProxyError> {
        let code = self.heard.get(9..12).and_then(|code| std::str::from_utf8(code).ok()?.parse::<u16>().ok());
        match code.filter(|_| self.heard.get(8) == Some(&b' ')) {
            Some(200..=299) => Ok(()),
            Some(401 | 407) => Err(ProxyError::Credentials),
            Some(403 | 405) => Err(ProxyError::NotAllowed),
            Some(502..=504) => Err(ProxyError::Unreachable),
            Some(code) => Err(ProxyError::Failed(code)),
            None => Err(ProxyError::Protocol(SPEAKS)),
        }
    }
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let part = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = part(0) << 16 | part(1) << 8 | part(2);
        for place in 0..4 {
            let digit = (bits >> (18 - 6 * place)) & 63;
            text.push(if place <= chunk.len() { char::from(DIGITS[digit as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn start() -> HttpConnect {
        HttpConnect::new(&Target::Addr("[::1]:6881".parse().unwrap()), None).unwrap()
    }

    #[test]
    fn the_request_names_the_target_and_the_secret() {
        assert_eq!(start().outgoing(), b"CONNECT [::1]:6881 HTTP/1.1\r\nHost: [::1]:6881\r\n\r\n");
        let secret = Credentials::new("Aladdin".into(), "open sesame".into());
        let name = Target::Name("peer.example".into(), 1);
        let text = String::from_utf8(HttpConnect::new(&name, secret.as_ref()).unwrap().outgoing()).unwrap();
        assert!(text.contains("\r\nProxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n"), "{text}");
        for bad in ["", "a b", "a\r\nX: y", "ä"] {
            assert_eq!(HttpConnect::new(&Target::Name(bad.into(), 1), None).unwrap_err(), ProxyError::Name);
        }
    }

    #[test]
    fn not_a_byte_behind_the_header_is_taken() {
        let answer = b"HTTP/1.0 200 Fine\r\nX: y\r\n\r\n\x13BitTorrent";
        let (mut whole, mut input) = (start(), &answer[..]);
        assert_eq!(whole.feed(&mut input), Ok(true));
        assert_eq!(input, b"\x13BitTorrent");
        let mut slow = start();
        let ends: Vec<_> = answer[..answer.len() - 11].iter().map(|byte| slow.feed(&mut &[*byte][..])).collect();
        assert!(ends[..ends.len() - 1].iter().all(|end| *end == Ok(false)) && ends.last() == Some(&Ok(true)));
    }

    #[test]
    fn what_a_proxy_says_no_with() {
        for (code, error) in [
            ("407", ProxyError::Credentials),
            ("403", ProxyError::NotAllowed),
            ("502", ProxyError::Unreachable),
            ("500", ProxyError::Failed(500)),
            ("2x0", ProxyError::Protocol(SPEAKS)),
        ] {
            let answer = format!("HTTP/1.1 {code} No\r\n\r\n");
            assert_eq!(start().feed(&mut answer.as_bytes()), Err(error));
        }
        assert_eq!(start().feed(&mut &b"SSH-2.0"[..]), Err(ProxyError::Protocol(SPEAKS)));
        let endless = [b"HTTP/1.1 200 ".to_vec(), vec![b'x'; MAX_PROXY_HEADER]].concat();
        assert_eq!(start().feed(&mut &endless[..]), Err(ProxyError::Protocol(SPEAKS)));
    }

    #[test]
    fn base64_as_in_rfc_4648() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
