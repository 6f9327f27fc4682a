//! Where a tracker is: the URL in a torrent, judged once (BEP 3, 15; THREATS M24).

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// The longest URL that is taken, in bytes.
pub const MAX_URL_LENGTH: usize = 4096;

/// How a tracker is spoken to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Scheme {
    /// HTTP over TCP.
    Http,
    /// HTTP over TLS.
    Https,
    /// The UDP protocol of BEP 15.
    Udp,
}

impl Scheme {
    /// The scheme as it stands in a URL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Udp => "udp",
        }
    }
}

/// A URL that can be a tracker's: a known scheme, a host of ASCII, nothing that a line of a request could break on.
///
/// `Display` and `Debug` show scheme, host and port alone, for people's logs: user, password and the pass keys that stand
/// in paths and queries are in [`to_text`](Self::to_text).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackerUrl {
    scheme: Scheme,
    user: Option<String>,
    host: String,
    port: u16,
    path: String,
    query: Option<String>,
}

/// Why a URL is no tracker's.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// Over [`MAX_URL_LENGTH`].
    #[error("url of {0} bytes is too long")]
    TooLong(usize),
    /// There is no scheme.
    #[error("no scheme in the url")]
    NoScheme,
    /// Trackers of this scheme are not spoken to.
    #[error("scheme {0} is not supported")]
    Scheme(String),
    /// The host is empty, not ASCII, or has characters that no host has.
    #[error("host of the url is not valid")]
    Host,
    /// The port is no number from 1 to 65535, or is missing where the scheme has no usual one.
    #[error("port of the url is not valid")]
    Port,
    /// A space, a control character or a backslash.
    #[error("character {0:?} in the url")]
    Character(char),
}

impl TrackerUrl {
    /// Reads a URL as torrents and magnet links hold it. White space around it is dropped, so is a fragment; characters of
    /// the path that are not ASCII are percent-encoded.
    ///
    /// # Errors
    /// See [`UrlError`].
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let text = text.trim();
        if text.len() > MAX_URL_LENGTH {
            return Err(UrlError::TooLong(text.len()));
        }
        if let Some(bad) = text.chars().find(|c| c.is_control() || *c == ' ' || *c == '\\') {
            return Err(UrlError::Character(bad));
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::NoScheme)?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "udp" => Scheme::Udp,
            _ => return Err(UrlError::Scheme(scheme.chars().take(16).collect())),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(ascii(user)), place),
            None => (None, authority),
        };
        let (host, port) = host_and_port(place)?;
        let port = match (port, scheme) {
            (Some(port), _) => port,
            (None, Scheme::Http) => 80,
            (None, Scheme::Https) => 443,
            (None, Scheme::Udp) => return Err(UrlError::Port),
        };
        let (path, query) = match tail.split_once('?') {
            Some((path, query)) => (ascii(path), Some(ascii(query))),
            None => (ascii(tail), None),
        };
        Ok(Self { scheme, user, host, port, path, query })
    }

    /// How it is spoken to.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Its host: a name or an address, IPv6 without brackets, in lower case.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The host as an address, if the URL names one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// Its port, the usual one of the scheme if the URL names none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The path as it goes over the wire; empty or from the first `/`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Path and query, which trackers over UDP are told in an option of BEP 41; empty if there is neither.
    #[must_use]
    pub fn path_and_query(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }

    /// Host and port, IPv6 in brackets.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The whole URL with all its secrets.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.with_path(&self.path, self.query.as_deref().into_iter())
    }

    /// The URL with another path and these parts of a query, joined by `&`.
    pub(super) fn with_path<'a>(&self, path: &str, query: impl Iterator<Item = &'a str>) -> String {
        let mut text = format!("{}://", self.scheme.as_str());
        if let Some(user) = &self.user {
            text.push_str(user);
            text.push('@');
        }
        text.push_str(&self.authority());
        text.push_str(if path.is_empty() && self.scheme != Scheme::Udp { "/" } else { path });
        let mut joint = '?';
        for part in query {
            text.push(joint);
            text.push_str(part.trim_end_matches('&'));
            joint = '&';
        }
        text
    }

    /// The URL with another path, which is encoded already, and the same query.
    ///
    /// # Errors
    /// It becomes too long.
    pub(crate) fn with_other_path(&self, path: &str) -> Result<Self, UrlError> {
        Self::parse(&self.with_path(path, self.query.as_deref().into_iter()))
    }

    /// The query, without its `?`.
    pub(super) fn query(&self) -> Option<&str> {
        self.query.as_deref().filter(|query| !query.is_empty())
    }

    /// Where a redirect from here leads: an absolute URL, `//host/path`, `/path` or a path beside this one (RFC 3986 5.2,
    /// without dot segments).
    pub(super) fn join(&self, location: &str) -> Result<Self, UrlError> {
        let location = location.trim();
        if location.contains("://") && !location.starts_with(['/', '?']) {
            return Self::parse(location);
        }
        if let Some(rest) = location.strip_prefix("//") {
            return Self::parse(&format!("{}://{rest}", self.scheme.as_str()));
        }
        let path = if location.starts_with('/') {
            location.to_owned()
        } else if location.starts_with('?') {
            format!("{}{location}", self.path)
        } else {
            let folder = self.path.rfind('/').map_or("", |end| &self.path[..end]);
            format!("{folder}/{location}")
        };
        Self::parse(&self.with_path(&path, std::iter::empty()))
    }

    /// Whether scheme, host and port are the same: what may be told one may be told the other.
    #[must_use]
    pub fn same_origin(&self, other: &Self) -> bool {
        (self.scheme, &self.host, self.port) == (other.scheme, &other.host, other.port)
    }
}

impl fmt::Display for TrackerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.as_str(), self.authority())
    }
}

impl fmt::Debug for TrackerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Cuts `host`, `host:port`, `[v6]` or `[v6]:port`.
fn host_and_port(place: &str) -> Result<(String, Option<u16>), UrlError> {
    let (host, port) = if let Some(rest) = place.strip_prefix('[') {
        let (host, rest) = rest.split_once(']').ok_or(UrlError::Host)?;
        let address: Ipv6Addr = host.parse().map_err(|_| UrlError::Host)?;
        let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or(UrlError::Port)?) };
        (address.to_string(), port)
    } else {
        let (host, port) = place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port)));
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if host.is_empty() || host.len() > 253 || !host.bytes().all(legal) {
            return Err(UrlError::Host);
        }
        (host.to_ascii_lowercase(), port)
    };
    let port = match port {
        None => None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|port| *port != 0).ok_or(UrlError::Port)?)
        }
        Some(_) => return Err(UrlError::Port),
    };
    Ok((host, port))
}

/// The text with all that is not ASCII percent-encoded.
fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii() {
            out.push(char::from(byte));
        } else {
            push_percent(&mut out, byte);
        }
    }
    out
}

/// Appends bytes as they stand in a query (RFC 3986 2.3): letters, digits and `-._~` as they are, `%XX` for the rest.
pub(super) fn push_encoded(out: &mut String, bytes: &[u8]) {
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            push_percent(out, byte);
        }
    }
}

fn push_percent(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}

/// The bytes behind a value of a query; `None` if a `%` is not followed by two hexadecimal digits.
pub(super) fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let mut digit = || char::from(bytes.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit()? << 4 | digit()?
            }
            b'+' => b' ',
            byte => byte,
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_of_a_url() {
        let url = TrackerUrl::parse(" HTTP://user:pw@Tracker.Example.COM/key/announce?a=b&c#frag\n").unwrap();
        assert_eq!((url.scheme(), url.host(), url.port()), (Scheme::Http, "tracker.example.com", 80));
        assert_eq!((url.path(), url.query()), ("/key/announce", Some("a=b&c")));
        assert_eq!(url.to_text(), "http://user:pw@tracker.example.com:80/key/announce?a=b&c");
        let url = TrackerUrl::parse("udp://[2001:db8::1]:6969").unwrap();
        assert_eq!((url.host(), url.port(), url.path_and_query()), ("2001:db8::1", 6969, String::new()));
        assert_eq!(url.authority(), "[2001:db8::1]:6969");
        assert_eq!(TrackerUrl::parse("https://1.2.3.4/a").unwrap().ip(), Some("1.2.3.4".parse().unwrap()));
        assert_eq!(TrackerUrl::parse("http://h/ä").unwrap().path(), "/%C3%A4");
    }

    #[test]
    fn m24_schemes_and_hosts_that_are_no_trackers_are_refused() {
        let error = |text: &str| TrackerUrl::parse(text).unwrap_err();
        assert_eq!(error("file:///etc/passwd"), UrlError::Scheme("file".into()));
        assert_eq!(error("wss://tracker.example/"), UrlError::Scheme("wss".into()));
        assert_eq!(error("tracker.example/announce"), UrlError::NoScheme);
        assert_eq!(error("http://trаcker.example/announce"), UrlError::Host, "a cyrillic letter");
        assert_eq!(error("http:///announce"), UrlError::Host);
        assert_eq!(error("http://a b/"), UrlError::Character(' '));
        assert_eq!(error("http://h/\r\nHost: x"), UrlError::Character('\r'));
        assert_eq!(error("http://h\\@evil/"), UrlError::Character('\\'));
        assert_eq!(error("udp://h"), UrlError::Port);
        assert_eq!(error("http://h:0/"), UrlError::Port);
        assert_eq!(error("http://h:65536/"), UrlError::Port);
        assert_eq!(error("http://h:+80/"), UrlError::Port);
        assert_eq!(error("http://[::1/"), UrlError::Host);
        assert_eq!(error(&format!("http://h/{}", "a".repeat(MAX_URL_LENGTH))), UrlError::TooLong(MAX_URL_LENGTH + 9));
    }

    #[test]
    fn m24_secrets_are_not_shown() {
        let url = TrackerUrl::parse("http://user:pw@h/passkey/announce?auth=secret").unwrap();
        assert_eq!(format!("{url} {url:?}"), "http://h:80 http://h:80");
    }

    proptest! {
        #[test]
        fn any_text_parses_or_not_and_what_parses_is_stable(text in "(http|https|udp|ws)://[a-z.]{0,8}(:[0-9]{0,6})?[/?#a-zä%@\\[\\]]{0,20}") {
            if let Ok(url) = TrackerUrl::parse(&text) {
                prop_assert_eq!(TrackerUrl::parse(&url.to_text()).map(|again| again.to_text()), Ok(url.to_text()));
            }
        }

        #[test]
        fn no_text_panics(text in any::<String>(), location in any::<String>()) {
            let _ = TrackerUrl::parse(&text);
            let _ = TrackerUrl::parse("http://h/a/b").unwrap().join(&location);
        }

        #[test]
        fn percent_encoding_round_trips(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut text = String::new();
            push_encoded(&mut text, &bytes);
            prop_assert_eq!(percent_decoded(&text), Some(bytes));
        }
    }
}
