//! Which addresses of trackers and web seeds are taken from a torrent or a magnet link.
//!
//! A stranger names them, so only schemes that this project speaks pass, and a host is plain ASCII: a name in another script may
//! look like a known one. Whoever connects still decides which hosts may be reached.

use std::borrow::Cow;

/// Why an address is not taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// The scheme is none of those that are spoken, or there is none.
    #[error("scheme {0:?} is not one of {1}")]
    Scheme(String, &'static str),
    /// No host stands behind the scheme.
    #[error("no host")]
    NoHost,
    /// The host has letters beyond ASCII.
    #[error("host {0:?} is not plain ASCII")]
    Host(String),
    /// The port is not a number from 1 to 65535, or is missing where there is no usual one.
    #[error("port {0:?} is not a number from 1 to 65535")]
    Port(String),
    /// A control character or white space stands in it.
    #[error("{0:?} in an address")]
    Character(char),
    /// It is too long.
    #[error("{0} bytes are more than {max}", max = MAX_LENGTH)]
    Length(usize),
}

/// The longest address taken, in bytes.
pub const MAX_LENGTH: usize = 8 << 10;

/// Whether this can be the address of a tracker: `http`, `https`, `udp`, `ws` or `wss`.
///
/// # Errors
/// Another scheme, no plain host, or a character that no address has.
pub fn check_tracker(url: &str) -> Result<(), UrlError> {
    check(url, &["http", "https", "udp", "ws", "wss"], "http, https, udp, ws, wss")
}

/// Whether this can be the address of a web seed or of a torrent file: `http` or `https`.
///
/// # Errors
/// Another scheme, no plain host, or a character that no address has.
pub fn check_web(url: &str) -> Result<(), UrlError> {
    check(url, &["http", "https"], "http, https")
}

/// The address without a user name and password, to be shown and logged.
#[must_use]
pub fn without_credentials(url: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = url.split_once("://") else { return Cow::Borrowed(url) };
    let (authority, path) = split_authority(rest);
    match authority.rsplit_once('@') {
        Some((_, host)) => Cow::Owned(format!("{scheme}://{host}{path}")),
        None => Cow::Borrowed(url),
    }
}

fn check(url: &str, schemes: &[&str], names: &'static str) -> Result<(), UrlError> {
    if url.len() > MAX_LENGTH {
        return Err(UrlError::Length(url.len()));
    }
    if let Some(found) = url.chars().find(|found| found.is_control() || found.is_whitespace()) {
        return Err(UrlError::Character(found));
    }
    let (scheme, rest) = url.split_once("://").unwrap_or((url.split(':').next().unwrap_or_default(), ""));
    if !schemes.iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err(UrlError::Scheme(scheme.chars().take(16).collect(), names));
    }
    let authority = split_authority(rest).0;
    let server = authority.rsplit_once('@').map_or(authority, |(_, server)| server);
    let (host, port) = match server.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => server.split_once(':').map_or((server, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return Err(UrlError::NoHost);
    }
    if !host.is_ascii() {
        return Err(UrlError::Host(host.chars().take(64).collect()));
    }
    match port {
        None | Some("") if scheme.eq_ignore_ascii_case("udp") => Err(UrlError::Port(String::new())),
        None | Some("") => Ok(()),
        Some(port)
            if port.bytes().all(|digit| digit.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0) =>
        {
            Ok(())
        }
        Some(port) => Err(UrlError::Port(port.chars().take(16).collect())),
    }
}

/// Cuts what stands behind the scheme into host with port, and the rest.
fn split_authority(rest: &str) -> (&str, &str) {
    rest.split_at(rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn m24_only_schemes_that_are_spoken_pass() {
        for good in [
            "http://t/announce",
            "HTTPS://user:pass@tracker.example:443/a?b=c#d",
            "udp://tracker.example:6969",
            "udp://[2001:db8::1]:6969/announce",
            "ws://t",
            "wss://t/x",
            "http://t:/announce",
            "http://t?x=y@z",
        ] {
            assert_eq!(check_tracker(good), Ok(()), "{good}");
        }
        for bad in [
            "file:///etc/passwd",
            "ftp://h/x",
            "gopher://h",
            "javascript:alert(1)",
            "",
            "tracker.example",
            "//h/x",
            "urn:x",
        ] {
            assert!(matches!(check_tracker(bad), Err(UrlError::Scheme(..))), "{bad}");
            assert!(matches!(check_web(bad), Err(UrlError::Scheme(..))), "{bad}");
        }
        assert!(matches!(check_web("udp://h:1"), Err(UrlError::Scheme(..))));
        assert!(matches!(check_web("ws://h"), Err(UrlError::Scheme(..))));
        assert_eq!(check_web("https://h/a.torrent"), Ok(()));
    }

    #[test]
    fn m24_hosts_and_ports_are_plain() {
        for bad in ["http://", "http:///announce", "http://:80/", "http://user@/x", "http://[]:80", "http:t"] {
            assert_eq!(check_tracker(bad), Err(UrlError::NoHost), "{bad}");
        }
        assert_eq!(check_tracker("http://trаcker.example/"), Err(UrlError::Host("trаcker.example".into())));
        for bad in
            ["http://t:0/", "http://t:65536/", "http://t:x/", "http://t:+80", "http://a:b:80/", "udp://t/", "udp://t:/"]
        {
            assert!(matches!(check_tracker(bad), Err(UrlError::Port(_))), "{bad}");
        }
        for bad in ["http://t/\n", "http://t/a b", "http://t/\u{85}", "\u{feff} http://t"] {
            assert!(matches!(check_tracker(bad), Err(UrlError::Character(_))), "{bad:?}");
        }
        assert_eq!(check_tracker(&format!("http://{}", "a".repeat(9000))), Err(UrlError::Length(9007)));
    }

    #[test]
    fn m24_credentials_are_not_shown() {
        assert_eq!(without_credentials("http://user:pa@ss@host:80/p@th"), "http://host:80/p@th");
        assert_eq!(without_credentials("http://host/user@x"), "http://host/user@x");
        assert_eq!(without_credentials("nonsense"), "nonsense");
    }
}
