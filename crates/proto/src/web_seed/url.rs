//! Where a file of a torrent is on the server of a web seed.

use std::fmt;

use crate::tracker::{Scheme, TrackerUrl, UrlError};

/// The URL of a web seed: `http` or `https`. `Display` shows scheme, host and port alone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WebSeedUrl(TrackerUrl);

impl WebSeedUrl {
    /// Reads a URL as torrents, magnet links and users name it.
    ///
    /// # Errors
    /// It is none, or of another scheme.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let url = TrackerUrl::parse(text)?;
        match url.scheme() {
            Scheme::Http | Scheme::Https => Ok(Self(url)),
            Scheme::Udp => Err(UrlError::Scheme(url.scheme().as_str().into())),
        }
    }

    /// Host and port, for people and for what is counted per server.
    #[must_use]
    pub fn authority(&self) -> String {
        self.0.authority()
    }

    /// Where the one file of a torrent is: the URL itself, or if that ends in `/`, the torrent's name in it (BEP 19).
    ///
    /// # Errors
    /// It becomes too long.
    pub fn single(&self, name: &str) -> Result<TrackerUrl, UrlError> {
        if self.0.path().is_empty() || self.0.path().ends_with('/') { self.below([name]) } else { Ok(self.0.clone()) }
    }

    /// Where a file of a torrent of many is: `url/name/path`, whether the URL ends in `/` or not (BEP 19).
    ///
    /// # Errors
    /// It becomes too long.
    pub fn one_of<'a>(&self, name: &'a str, path: impl IntoIterator<Item = &'a str>) -> Result<TrackerUrl, UrlError> {
        self.below(std::iter::once(name).chain(path))
    }

    fn below<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<TrackerUrl, UrlError> {
        let mut path = self.0.path().trim_end_matches('/').to_owned();
        for name in names {
            path.push('/');
            name.bytes().for_each(|byte| push_encoded(&mut path, byte));
        }
        self.0.with_other_path(&path)
    }
}

impl fmt::Display for WebSeedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Only what never means anything in a path stays as it is (RFC 3986 2.3), so that servers agree on every name.
fn push_encoded(path: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
        path.push(char::from(byte));
    } else {
        path.push('%');
        path.push(char::from(DIGITS[usize::from(byte >> 4)]));
        path.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn seed(text: &str) -> WebSeedUrl {
        WebSeedUrl::parse(text).unwrap()
    }

    #[test]
    fn one_file_is_the_url_itself_or_lies_in_its_folder() {
        for (url, file) in [
            ("http://h/a/film.mkv", "http://h:80/a/film.mkv"),
            ("http://h/get?id=7", "http://h:80/get?id=7"),
            ("http://h/a/", "http://h:80/a/my%20film.mkv"),
            ("http://h", "http://h:80/my%20film.mkv"),
            ("https://h:8443/a/?k=1", "https://h:8443/a/my%20film.mkv?k=1"),
            ("http://u:p@h/a/", "http://u:p@h:80/a/my%20film.mkv"),
        ] {
            assert_eq!(seed(url).single("my film.mkv").unwrap().to_text(), file, "{url}");
        }
    }

    #[test]
    fn one_of_many_files_lies_in_the_folder_of_the_torrent() {
        for url in ["http://h/pub", "http://h/pub/"] {
            let file = seed(url).one_of("album", ["cd 1", "ä#?%&+.flac"]).unwrap();
            assert_eq!(file.to_text(), "http://h:80/pub/album/cd%201/%C3%A4%23%3F%25%26%2B.flac");
        }
    }

    #[test]
    fn m24_only_the_web_is_a_web_seed() {
        for url in ["udp://h:1/", "ftp://h/", "file:///etc/passwd", "h/a", "http://h\u{e4}/"] {
            assert!(WebSeedUrl::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn m24_neither_password_nor_path_are_shown() {
        assert_eq!(seed("http://u:p@h/secret/a?k=1").to_string(), "http://h:80");
    }
}
