//! The client's side of SOCKS5, with and without a password.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Credentials, ProxyError, Target};

const VERSION: u8 = 5;
const PASSWORD_VERSION: u8 = 1;
const SPEAKS: &str = "SOCKS5";

/// What the proxy is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Socks5Command {
    /// A connection to the target.
    Connect,
    /// A place to send datagrams to, as long as this connection lasts. The target is where they come from; all zeros if unknown.
    UdpAssociate,
}

/// The dialogue before a connection is the target's. Drive it so: send [`outgoing`](Self::outgoing) if there is any, read bytes, give
/// them to [`feed`](Self::feed), until that says where the proxy has bound itself.
pub struct Socks5 {
    command: Socks5Command,
    target: Target,
    credentials: Option<Credentials>,
    state: State,
    outgoing: Vec<u8>,
    /// What has come of the present answer.
    heard: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Method,
    Password,
    Reply,
    Done,
}

/// Without what is said, which holds secrets (THREATS A12).
impl fmt::Debug for Socks5 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socks5").field("target", &self.target).field("state", &self.state).finish_non_exhaustive()
    }
}

impl Socks5 {
    /// Begins a dialogue; the first words are ready to be sent.
    ///
    /// # Errors
    /// The name of the target has more than 255 bytes.
    pub fn new(command: Socks5Command, target: Target, credentials: Option<Credentials>) -> Result<Self, ProxyError> {
        if matches!(&target, Target::Name(name, _) if name.is_empty() || name.len() > 255) {
            return Err(ProxyError::Name);
        }
        // No authentication, and a password if we have one.
        let outgoing = if credentials.is_some() { vec![VERSION, 2, 0, 2] } else { vec![VERSION, 1, 0] };
        Ok(Self { command, target, credentials, state: State::Method, outgoing, heard: Vec::new() })
    }

    /// What is to be sent now; empty if nothing.
    pub fn outgoing(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outgoing)
    }

    /// Takes what the proxy said, and not a byte more than belongs to it. Where the proxy has bound itself, once it is done; a proxy
    /// that gives a name for that is bound to no address that is of use.
    ///
    /// # Errors
    /// The proxy says no, or does not speak SOCKS5; the connection is of no use any more.
    pub fn feed(&mut self, input: &mut &[u8]) -> Result<Option<SocketAddr>, ProxyError> {
        while self.state != State::Done {
            let missing = self.length()? - self.heard.len();
            let (taken, rest) = input.split_at(missing.min(input.len()));
            self.heard.extend_from_slice(taken);
            *input = rest;
            if self.heard.len() < self.length()? {
                if rest.is_empty() {
                    return Ok(None);
                }
                continue;
            }
            let heard = std::mem::take(&mut self.heard);
            if let Some(bound) = self.answer(&heard)? {
                return Ok(Some(bound));
            }
        }
        Ok(None)
    }

    /// How long the present answer is, as far as can be said by now.
    fn length(&self) -> Result<usize, ProxyError> {
        let heard = &self.heard;
        if heard.first().is_some_and(|version| *version != self.version()) {
            return Err(ProxyError::Protocol(SPEAKS));
        }
        Ok(match self.state {
            State::Method | State::Password => 2,
            State::Done => 0,
            State::Reply => match (heard.get(3), heard.get(4)) {
                (None, _) | (Some(3), None) => 5,
                (Some(1), _) => 4 + 4 + 2,
                (Some(4), _) => 4 + 16 + 2,
                (Some(3), Some(length)) => 4 + 1 + usize::from(*length) + 2,
                _ => return Err(ProxyError::Protocol(SPEAKS)),
            },
        })
    }

    fn version(&self) -> u8 {
        if self.state == State::Password { PASSWORD_VERSION } else { VERSION }
    }

    fn answer(&mut self, heard: &[u8]) -> Result<Option<SocketAddr>, ProxyError> {
        match (self.state, heard[1]) {
            (State::Method, 0) | (State::Password, 0) => {
                self.outgoing = self.request();
                self.state = State::Reply;
                Ok(None)
            }
            (State::Method, 2) if self.credentials.is_some() => {
                let Some(Credentials { user, password }) = &self.credentials else {
                    return Err(ProxyError::Credentials);
                };
                let mut words = vec![PASSWORD_VERSION];
                for word in [user, password] {
                    words.push(u8::try_from(word.len()).map_err(|_| ProxyError::Credentials)?);
                    words.extend_from_slice(word.as_bytes());
                }
                self.outgoing = words;
                self.state = State::Password;
                Ok(None)
            }
            (State::Method | State::Password, _) => Err(ProxyError::Credentials),
            (State::Reply, 0) => {
                self.state = State::Done;
                let bound = address(&heard[3..]).map(|(bound, _)| bound);
                let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
                Ok(Some(match bound {
                    Some(Target::Addr(addr)) => addr,
                    _ => nowhere,
                }))
            }
            (State::Reply, code) => Err(match code {
                2 => ProxyError::NotAllowed,
                3 | 4 | 6 => ProxyError::Unreachable,
                5 => ProxyError::Refused,
                7 | 8 => ProxyError::Unsupported,
                code => ProxyError::Failed(code.into()),
            }),
            (State::Done, _) => Ok(None),
        }
    }

    fn request(&self) -> Vec<u8> {
        let command = match self.command {
            Socks5Command::Connect => 1,
            Socks5Command::UdpAssociate => 3,
        };
        let mut request = vec![VERSION, command, 0];
        push_target(&mut request, &self.target);
        request
    }
}

/// Puts the head of a SOCKS5 datagram before a packet. `None` if the name of the target is too long.
#[must_use]
pub fn datagram(target: &Target, packet: &[u8]) -> Option<Vec<u8>> {
    if matches!(target, Target::Name(name, _) if name.is_empty() || name.len() > 255) {
        return None;
    }
    let mut whole = vec![0, 0, 0];
    push_target(&mut whole, target);
    whole.extend_from_slice(packet);
    Some(whole)
}

/// Who sent a SOCKS5 datagram, and its packet; `None` if it is none, or a fragment of one.
#[must_use]
pub fn undatagram(whole: &[u8]) -> Option<(Target, &[u8])> {
    let rest = whole.strip_prefix(&[0, 0, 0])?;
    address(rest)
}

fn push_target(into: &mut Vec<u8>, target: &Target) {
    let port = match target {
        Target::Addr(addr) => {
            match addr.ip().to_canonical() {
                IpAddr::V4(ip) => {
                    into.push(1);
                    into.extend_from_slice(&ip.octets());
                }
                IpAddr::V6(ip) => {
                    into.push(4);
                    into.extend_from_slice(&ip.octets());
                }
            }
            addr.port()
        }
        Target::Name(name, port) => {
            into.push(3);
            into.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
            into.extend_from_slice(name.as_bytes());
            *port
        }
    };
    into.extend_from_slice(&port.to_be_bytes());
}

/// An address with its kind before and its port behind it, and what follows.
fn address(bytes: &[u8]) -> Option<(Target, &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    let port = |bytes: &[u8; 2]| u16::from_be_bytes(*bytes);
    match kind {
        1 => {
            let (ip, rest) = rest.split_first_chunk::<4>()?;
            let (number, rest) = rest.split_first_chunk()?;
            Some((Target::Addr((Ipv4Addr::from(*ip), port(number)).into()), rest))
        }
        4 => {
            let (ip, rest) = rest.split_first_chunk::<16>()?;
            let (number, rest) = rest.split_first_chunk()?;
            Some((Target::Addr((Ipv6Addr::from(*ip), port(number)).into()), rest))
        }
        3 => {
            let (length, rest) = rest.split_first()?;
            let (name, rest) = rest.split_at_checked(usize::from(*length))?;
            let (number, rest) = rest.split_first_chunk()?;
            Some((Target::Name(String::from_utf8_lossy(name).into_owned(), port(number)), rest))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn to_v4() -> Target {
        Target::Addr("1.2.3.4:6881".parse().unwrap())
    }

    fn secret() -> Option<Credentials> {
        Credentials::new("me".into(), "pw".into())
    }

    fn start(credentials: Option<Credentials>) -> Socks5 {
        Socks5::new(Socks5Command::Connect, to_v4(), credentials).unwrap()
    }

    fn say(socks: &mut Socks5, mut bytes: &[u8]) -> Result<Option<SocketAddr>, ProxyError> {
        let result = socks.feed(&mut bytes);
        assert!(bytes.is_empty() || result.as_ref().is_ok_and(Option::is_some) || result.is_err(), "all is taken");
        result
    }

    #[test]
    fn a_dialogue_without_a_password() {
        let mut socks = start(None);
        assert_eq!(socks.outgoing(), [5, 1, 0]);
        assert_eq!(say(&mut socks, &[5, 0]), Ok(None));
        assert_eq!(socks.outgoing(), [5, 1, 0, 1, 1, 2, 3, 4, 0x1a, 0xe1]);
        assert_eq!(socks.outgoing(), [0u8; 0]);
        let bound = "9.8.7.6:80".parse().unwrap();
        assert_eq!(say(&mut socks, &[5, 0, 0, 1, 9, 8, 7, 6, 0, 80]), Ok(Some(bound)));
    }

    #[test]
    fn a_dialogue_with_a_password_and_a_name_byte_by_byte() {
        let target = Target::Name("host.example".into(), 80);
        let mut socks = Socks5::new(Socks5Command::UdpAssociate, target, secret()).unwrap();
        assert_eq!(socks.outgoing(), [5, 2, 0, 2]);
        let mut said = Vec::new();
        let answers = [&[5, 2][..], &[1, 0], &[5, 0, 0, 3, 2, b'h', b'i', 0, 9]].concat();
        let mut bound = None;
        for byte in answers {
            assert_eq!(bound, None);
            bound = say(&mut socks, &[byte]).unwrap();
            said.extend(socks.outgoing());
        }
        assert_eq!(said, [&[1, 2][..], b"me\x02pw", &[5, 3, 0, 3, 12], b"host.example", &[0, 80]].concat());
        assert_eq!(bound, Some("0.0.0.0:0".parse().unwrap()));
    }

    #[test]
    fn not_a_byte_of_the_target_is_taken() {
        let mut socks = start(None);
        let answers = [&[5, 0, 5, 0, 0, 4][..], &[0; 15], &[1, 0, 7], b"\x13BitTorrent"].concat();
        let mut input = &answers[..];
        assert_eq!(socks.feed(&mut input), Ok(Some("[::1]:7".parse().unwrap())));
        assert_eq!(input, b"\x13BitTorrent");
        assert_eq!(socks.feed(&mut input), Ok(None));
        assert_eq!(input, b"\x13BitTorrent");
    }

    #[test]
    fn what_a_proxy_says_no_with() {
        assert_eq!(say(&mut start(None), &[5, 0xff]), Err(ProxyError::Credentials));
        assert_eq!(say(&mut start(None), &[5, 2]), Err(ProxyError::Credentials), "not offered");
        assert_eq!(say(&mut start(secret()), &[5, 2, 1, 1]), Err(ProxyError::Credentials));
        assert_eq!(say(&mut start(None), b"HTTP/1.1 400"), Err(ProxyError::Protocol("SOCKS5")));
        for (code, error) in [
            (1, ProxyError::Failed(1)),
            (2, ProxyError::NotAllowed),
            (4, ProxyError::Unreachable),
            (5, ProxyError::Refused),
            (7, ProxyError::Unsupported),
            (99, ProxyError::Failed(99)),
        ] {
            let mut socks = start(None);
            assert_eq!(say(&mut socks, &[5, 0]), Ok(None));
            assert_eq!(say(&mut socks, &[5, code, 0, 1, 0, 0, 0, 0, 0, 0]), Err(error));
        }
        assert_eq!(
            say(&mut start(None), &[5, 0, 5, 0, 0, 7, 1]),
            Err(ProxyError::Protocol("SOCKS5")),
            "a kind unknown"
        );
        let long = Target::Name("n".repeat(256), 1);
        assert_eq!(Socks5::new(Socks5Command::Connect, long, None).unwrap_err(), ProxyError::Name);
    }

    #[test]
    fn datagrams_round_trip_and_fragments_are_refused() {
        for target in [to_v4(), Target::Addr("[2001:db8::1]:9".parse().unwrap()), Target::Name("a.example".into(), 1)] {
            let whole = datagram(&target, b"packet").unwrap();
            assert_eq!(undatagram(&whole), Some((target, &b"packet"[..])));
            (0..whole.len() - 6).for_each(|cut| assert_eq!(undatagram(&whole[..cut]), None));
            let fragment = [&[0, 0, 1], &whole[3..]].concat();
            assert_eq!(undatagram(&fragment), None);
        }
        assert_eq!(datagram(&Target::Name(String::new(), 1), b""), None);
    }

    #[test]
    fn a12_secrets_are_not_shown() {
        let mut socks = start(secret());
        assert_eq!(say(&mut socks, &[5, 2]), Ok(None));
        let text = format!("{socks:?} {:?}", secret());
        assert!(!text.contains("pw") && !text.contains("112, 119") && text.contains("(secret)"), "{text}");
        assert!(Credentials::new("u".repeat(256), String::new()).is_none());
    }
}
