//! Magnet links (BEP 9): an info-hash and where to ask for the rest.
//!
//! What a link says is unproven: its name is only shown, its addresses are filtered and bounded, its file choice is clamped. Only
//! the info-hash must be right, so a bad one refuses the link; anything else that cannot be used is left out and said so.

use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::info_hash::{InfoHashError, SHA256_MULTIHASH};
use crate::{InfoHashV1, InfoHashV2, InfoHashes, url};

#[cfg(test)]
mod tests;

/// A magnet link. Written back with `Display`, in one canonical form that parses to the same link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Magnet {
    /// The torrent (`xt`).
    pub info_hashes: InfoHashes,
    /// What to show until the metadata is there (`dn`); never a path.
    pub name: Option<String>,
    /// The length of the content in bytes that the link claims (`xl`).
    pub length: Option<u64>,
    /// Trackers (`tr`, `tr.1`, ...), each once, in the order of the link.
    pub trackers: Vec<String>,
    /// Web seeds (`ws`), `http` and `https`.
    pub web_seeds: Vec<String>,
    /// Where the torrent file itself can be had (`xs`), `http` and `https`, or a `urn`.
    pub exact_sources: Vec<String>,
    /// Where it might be had (`as`), `http` and `https`.
    pub acceptable_sources: Vec<String>,
    /// Peers to connect to at once (`x.pe`).
    pub peers: Vec<PeerAddress>,
    /// The numbers of the files to download (`so`, BEP 53): ranges in order that do not touch. Empty: all files.
    pub selected: Vec<RangeInclusive<u32>>,
    /// What the link has and is not used, for warnings: at most [`Magnet::MAX_IGNORED`].
    pub ignored: Vec<Ignored>,
}

/// A parameter that is not used, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ignored {
    /// The key, cut.
    pub key: String,
    /// The value, cut.
    pub value: String,
    /// Why it is not used.
    pub why: String,
}

/// A peer to connect to: a host name or an address, and a port.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PeerAddress {
    /// A name, or an IPv4 or IPv6 address without brackets.
    host: String,
    port: u16,
}

/// Why text is not a magnet link that can be used.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MagnetError {
    /// It does not begin as a magnet link does.
    #[error("not a magnet link: it does not start with \"magnet:?\"")]
    Scheme,
    /// It is too long.
    #[error("bad magnet link: {0} bytes are more than {max}", max = Magnet::MAX_LENGTH)]
    Length(usize),
    /// It names no torrent.
    #[error("bad magnet link: no info-hash; it needs xt=urn:btih: or xt=urn:btmh:")]
    NoInfoHash,
    /// It names two torrents.
    #[error("bad magnet link: two info-hashes of one kind, {0} and {1}")]
    TwoInfoHashes(String, String),
    /// The info-hash is wrong.
    #[error("bad magnet link: {0}")]
    InfoHash(InfoHashError),
}

/// Why text is not the address of a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerAddressError {
    /// No port follows the host.
    #[error("no port; an address is HOST:PORT or [IPV6]:PORT")]
    NoPort,
    /// The port is not a number from 1 to 65535.
    #[error("the port is not a number from 1 to 65535")]
    Port,
    /// The host is empty, too long, or has characters that no host name has.
    #[error("the host is no name and no address")]
    Host,
}

impl Magnet {
    /// What every link starts with.
    pub const PREFIX: &'static str = "magnet:?";
    /// The longest link, in bytes.
    pub const MAX_LENGTH: usize = 4 << 20;
    /// The most trackers kept.
    pub const MAX_TRACKERS: usize = 200;
    /// The most web seeds, sources and peers kept, each.
    pub const MAX_ADDRESSES: usize = 100;
    /// File numbers from here on are not selected.
    pub const MAX_FILES: u32 = 1 << 21;
    /// The most ignored parameters told of.
    pub const MAX_IGNORED: usize = 16;
    /// The longest name kept, in bytes.
    pub const MAX_NAME_LENGTH: usize = 1024;

    /// A link that says no more than the info-hashes.
    #[must_use]
    pub fn new(info_hashes: InfoHashes) -> Self {
        Self {
            info_hashes,
            name: None,
            length: None,
            trackers: Vec::new(),
            web_seeds: Vec::new(),
            exact_sources: Vec::new(),
            acceptable_sources: Vec::new(),
            peers: Vec::new(),
            selected: Vec::new(),
            ignored: Vec::new(),
        }
    }

    /// Whether this text means to be a magnet link, right or wrong.
    #[must_use]
    pub fn is_magnet(text: &str) -> bool {
        text.get(..Self::PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(Self::PREFIX))
    }

    /// Whether the link says no more than the info-hashes: what a shell leaves of an unquoted link, cut at its first `&`.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        *self == Self::new(self.info_hashes)
    }

    /// Whether the link selects this file (BEP 53).
    #[must_use]
    pub fn selects(&self, file: u32) -> bool {
        self.selected.is_empty() || self.selected.iter().any(|range| range.contains(&file))
    }
}

impl FromStr for Magnet {
    type Err = MagnetError;

    fn from_str(text: &str) -> Result<Self, MagnetError> {
        if text.len() > Self::MAX_LENGTH {
            return Err(MagnetError::Length(text.len()));
        }
        let query = text.get(Self::PREFIX.len()..).filter(|_| Self::is_magnet(text)).ok_or(MagnetError::Scheme)?;
        let query = query.split_once('#').map_or(query, |(query, _fragment)| query);
        let mut reader = Reader::default();
        for parameter in query.split('&') {
            // Links copied out of a page's source have their `&` written as `&amp;`.
            let parameter = parameter.strip_prefix("amp;").unwrap_or(parameter);
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            reader.take(key, value)?;
        }
        reader.finish()
    }
}

impl fmt::Display for Magnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::PREFIX)?;
        let mut parameters = Vec::new();
        parameters.extend(self.info_hashes.v1().map(|v1| format!("xt=urn:btih:{v1}")));
        parameters.extend(self.info_hashes.v2().map(|v2| format!("xt=urn:btmh:{SHA256_MULTIHASH}{v2}")));
        parameters.extend(self.name.as_ref().map(|name| format!("dn={}", Escaped(name))));
        parameters.extend(self.length.map(|length| format!("xl={length}")));
        let lists = [
            ("tr", &self.trackers),
            ("ws", &self.web_seeds),
            ("xs", &self.exact_sources),
            ("as", &self.acceptable_sources),
        ];
        for (key, values) in lists {
            parameters.extend(values.iter().map(|value| format!("{key}={}", Escaped(value))));
        }
        for peer in &self.peers {
            parameters.push(format!("x.pe={}:{}", Escaped(&peer.bracketed()), peer.port));
        }
        if !self.selected.is_empty() {
            let one = |range: &RangeInclusive<u32>| match range.end() - range.start() {
                0 => range.start().to_string(),
                _ => format!("{}-{}", range.start(), range.end()),
            };
            parameters.push(format!("so={}", self.selected.iter().map(one).collect::<Vec<_>>().join(",")));
        }
        f.write_str(&parameters.join("&"))
    }
}

/// Gathers the parameters of a link.
#[derive(Default)]
struct Reader {
    v1: Option<InfoHashV1>,
    v2: Option<InfoHashV2>,
    name: Option<String>,
    length: Option<u64>,
    trackers: Vec<String>,
    web_seeds: Vec<String>,
    exact_sources: Vec<String>,
    acceptable_sources: Vec<String>,
    peers: Vec<PeerAddress>,
    selected: Vec<RangeInclusive<u32>>,
    ignored: Vec<Ignored>,
}

impl Reader {
    fn take(&mut self, key: &str, raw: &str) -> Result<(), MagnetError> {
        let Some(value) = unescape(raw, key == "dn") else {
            self.ignore(key, raw, "it is not UTF-8");
            return if plain_key(key) == "xt" { Err(MagnetError::NoInfoHash) } else { Ok(()) };
        };
        match plain_key(key) {
            "xt" => return self.topic(&value),
            "dn" => self.name = self.name.take().or_else(|| Some(cut(&value, Magnet::MAX_NAME_LENGTH).to_owned())),
            "xl" => match value.parse() {
                Ok(length) => self.length = Some(length),
                Err(_) => self.ignore(key, &value, "it is not a length"),
            },
            "tr" => self.address(key, value, |reader| &mut reader.trackers, Magnet::MAX_TRACKERS, url::check_tracker),
            "ws" => self.address(key, value, |reader| &mut reader.web_seeds, Magnet::MAX_ADDRESSES, url::check_web),
            "xs" if is_urn(&value) => {
                self.address(key, value, |reader| &mut reader.exact_sources, Magnet::MAX_ADDRESSES, |_| Ok(()));
            }
            "xs" => self.address(key, value, |reader| &mut reader.exact_sources, Magnet::MAX_ADDRESSES, url::check_web),
            "as" => {
                self.address(
                    key,
                    value,
                    |reader| &mut reader.acceptable_sources,
                    Magnet::MAX_ADDRESSES,
                    url::check_web,
                );
            }
            "x.pe" => match value.parse() {
                Ok(peer) if self.peers.contains(&peer) => {}
                Ok(_) if self.peers.len() == Magnet::MAX_ADDRESSES => self.ignore(key, &value, TOO_MANY),
                Ok(peer) => self.peers.push(peer),
                Err(PeerAddressError::NoPort) => self.ignore(key, &value, "it has no port"),
                Err(error) => self.ignore(key, &value, &error.to_string()),
            },
            "so" => self.select(key, &value),
            _ => {}
        }
        Ok(())
    }

    /// An `xt`: the name of a torrent, or of something else (BEP 9, BEP 52) that is not for us.
    fn topic(&mut self, value: &str) -> Result<(), MagnetError> {
        if let Some(text) = strip_prefix_any_case(value, "urn:btih:") {
            let hash = text.parse().map_err(MagnetError::InfoHash)?;
            set(&mut self.v1, hash)
        } else if let Some(text) = strip_prefix_any_case(value, "urn:btmh:") {
            let hash = text.parse().map_err(MagnetError::InfoHash)?;
            set(&mut self.v2, hash)
        } else {
            self.ignore("xt", value, "it is not the name of a torrent");
            Ok(())
        }
    }

    fn address(
        &mut self,
        key: &str,
        value: String,
        list: impl Fn(&mut Self) -> &mut Vec<String>,
        limit: usize,
        check: impl Fn(&str) -> Result<(), url::UrlError>,
    ) {
        let known = list(self);
        if let Err(error) = check(&value) {
            self.ignore(key, &value, &error.to_string());
        } else if known.contains(&value) {
            // Said twice: nothing is lost.
        } else if known.len() == limit {
            self.ignore(key, &value, TOO_MANY);
        } else {
            known.push(value);
        }
    }

    /// The parts of a `so` (BEP 53) that are numbers or ranges.
    fn select(&mut self, key: &str, value: &str) {
        let last = Magnet::MAX_FILES - 1;
        for part in value.split(',').filter(|part| !part.is_empty()) {
            let (start, end) = part.split_once('-').unwrap_or((part, part));
            match (file_number(start), file_number(end)) {
                (Some(start), Some(end)) if start <= end && start <= last => self.selected.push(start..=end.min(last)),
                (Some(start), Some(end)) if start <= end => self.ignore(key, part, "no torrent has so many files"),
                _ => self.ignore(key, part, "it is not a range of file numbers"),
            }
        }
    }

    fn ignore(&mut self, key: &str, value: &str, why: &str) {
        if self.ignored.len() < Magnet::MAX_IGNORED {
            let (key, value, why) = (cut(key, 32).to_owned(), cut(value, 80).to_owned(), why.to_owned());
            self.ignored.push(Ignored { key, value, why });
        }
    }

    fn finish(self) -> Result<Magnet, MagnetError> {
        let info_hashes = match (self.v1, self.v2) {
            (Some(v1), Some(v2)) => InfoHashes::Hybrid(v1, v2),
            (Some(v1), None) => InfoHashes::V1(v1),
            (None, Some(v2)) => InfoHashes::V2(v2),
            (None, None) => return Err(MagnetError::NoInfoHash),
        };
        Ok(Magnet {
            info_hashes,
            name: self.name.filter(|name| !name.is_empty()),
            length: self.length,
            trackers: self.trackers,
            web_seeds: self.web_seeds,
            exact_sources: self.exact_sources,
            acceptable_sources: self.acceptable_sources,
            peers: self.peers,
            selected: joined(self.selected),
            ignored: self.ignored,
        })
    }
}

const TOO_MANY: &str = "the link has too many of these";

/// A number of a file, or the greatest there is when it is greater than that.
fn file_number(digits: &str) -> Option<u32> {
    let all_digits = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    all_digits.then(|| digits.parse().unwrap_or(u32::MAX))
}

/// In order, and those that overlap or touch made one.
fn joined(mut ranges: Vec<RangeInclusive<u32>>) -> Vec<RangeInclusive<u32>> {
    ranges.sort_unstable_by_key(|range| *range.start());
    ranges.dedup_by(|next, kept| {
        let touches = *next.start() <= kept.end().saturating_add(1);
        if touches {
            *kept = *kept.start()..=*kept.end().max(next.end());
        }
        touches
    });
    ranges
}

fn set<T: PartialEq + ToString>(place: &mut Option<T>, hash: T) -> Result<(), MagnetError> {
    match place {
        Some(other) if *other != hash => Err(MagnetError::TwoInfoHashes(other.to_string(), hash.to_string())),
        _ => {
            *place = Some(hash);
            Ok(())
        }
    }
}

/// The key without a number behind it: `tr.1` is another `tr`.
fn plain_key(key: &str) -> &str {
    match key.rsplit_once('.') {
        Some((plain, number)) if !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()) => plain,
        _ => key,
    }
}

fn is_urn(value: &str) -> bool {
    strip_prefix_any_case(value, "urn:").is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_control))
        && value.len() <= url::MAX_LENGTH
}

fn strip_prefix_any_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let start = text.get(..prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

/// The text up to a number of bytes, at the border of a character.
fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// Undoes percent-encoding (RFC 3986 section 2.1); a `%` without two hex digits stands for itself. `None` if the bytes are not UTF-8.
fn unescape(text: &str, plus_is_space: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = match after {
            [high, low, ..] if first == b'%' => {
                hex_digit(*high).zip(hex_digit(*low)).map(|(high, low)| high << 4 | low)
            }
            _ => None,
        };
        bytes.push(escaped.unwrap_or(if first == b'+' && plus_is_space { b' ' } else { first }));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).ok()
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

/// Text with everything but the unreserved characters of RFC 3986 section 2.3 percent-encoded.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.bytes().try_for_each(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => f.write_char(byte.into()),
            _ => write!(f, "%{byte:02X}"),
        })
    }
}

impl PeerAddress {
    /// The host: a name or an address, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, never 0.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address, if the host is not a name that must be looked up.
    #[must_use]
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        self.host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, self.port))
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }
}

/// `host:port`, `1.2.3.4:port` or `[ipv6]:port` (BEP 9).
impl FromStr for PeerAddress {
    type Err = PeerAddressError;

    fn from_str(text: &str) -> Result<Self, PeerAddressError> {
        let (host, port) = text.rsplit_once(':').ok_or(PeerAddressError::NoPort)?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(inner) => inner.parse::<Ipv6Addr>().map_err(|_| PeerAddressError::Host)?.to_string(),
            None if is_host_name(host) => host.to_ascii_lowercase(),
            None => return Err(PeerAddressError::Host),
        };
        let digits = port.bytes().all(|digit| digit.is_ascii_digit());
        let port = port.parse().ok().filter(|port| digits && *port > 0).ok_or(PeerAddressError::Port)?;
        Ok(Self { host, port })
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.bracketed(), self.port)
    }
}

impl From<SocketAddr> for PeerAddress {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().to_string(), port: address.port() }
    }
}

fn is_host_name(host: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    (1..=253).contains(&host.len()) && host.bytes().all(plain)
}
