//! Going through a proxy.
//!
//! Invariant: what belongs through the proxy never goes another way, whatever becomes of the proxy.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use riverrun_proto::proxy::{Credentials, HttpConnect, ProxyError, Socks5, Socks5Command, Target};
use riverrun_proto::tracker::{Scheme, TrackerUrl};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::{Net, Relay};

/// How long reaching the proxy itself may take.
const REACH_TIMEOUT: Duration = Duration::from_secs(8);

/// A proxy. Its user name and password are never shown (THREATS A12).
#[derive(Clone, Debug)]
pub struct Proxy {
    kind: Kind,
    host: String,
    port: u16,
    credentials: Option<Credentials>,
    /// What went wrong with the proxy itself when it was used last.
    trouble: Arc<Mutex<Option<String>>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Socks5,
    Http,
}

/// Why a text names no proxy that can be used. Does not repeat the text, in which there may be a password.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BadProxy {
    /// Another protocol, or none is named.
    #[error("a proxy is socks5://, socks5h:// or http://")]
    Scheme,
    /// No host, or a port that is none.
    #[error("a proxy is written like socks5://[USER:PASSWORD@]HOST[:PORT]")]
    Form,
    /// A user name or a password that is too long or badly encoded.
    #[error("the user name and the password of a proxy have at most 255 bytes, and %XX for what is not plain")]
    Credentials,
}

impl FromStr for Proxy {
    type Err = BadProxy;

    /// `socks5://[USER:PASSWORD@]HOST[:PORT]`, the same with `socks5h` (both leave all names to the proxy) or `http`; without a scheme it
    /// is HTTP, as curl has it. The port is 1080 for SOCKS and 3128 for HTTP unless it is named.
    fn from_str(text: &str) -> Result<Self, BadProxy> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let (kind, usual_port) = match scheme.to_ascii_lowercase().as_str() {
            "socks5" | "socks5h" => (Kind::Socks5, 1080),
            "http" => (Kind::Http, 3128),
            _ => return Err(BadProxy::Scheme),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
        let (secret, place) =
            authority.rsplit_once('@').map_or((None, authority), |(secret, place)| (Some(secret), place));
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| BadProxy::Form)?),
            _ => (place, usual_port),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let fits = |char: char| char.is_ascii_alphanumeric() || "-._:".contains(char);
        if host.is_empty() || !host.chars().all(fits) || port == 0 {
            return Err(BadProxy::Form);
        }
        let credentials = secret.map(|secret| {
            let (user, password) = secret.split_once(':').unwrap_or((secret, ""));
            Credentials::new(decoded(user)?, decoded(password)?)
        });
        let credentials = match credentials {
            Some(None) => return Err(BadProxy::Credentials),
            given => given.flatten(),
        };
        Ok(Self { kind, host: host.to_owned(), port, credentials, trouble: Arc::default() })
    }
}

/// Without its secrets.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.kind == Kind::Socks5 { "socks5" } else { "http" };
        write!(f, "{scheme}://{}:{}", self.shown_host(), self.port)
    }
}

impl Proxy {
    fn shown_host(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }

    /// Whether UDP trackers can be asked through it: SOCKS5 has a way for that, HTTP has none.
    #[must_use]
    pub fn carries_udp(&self) -> bool {
        self.kind == Kind::Socks5
    }

    /// Connects to an address through the proxy.
    pub(super) async fn connect(&self, net: &Net, to: SocketAddr) -> io::Result<TcpStream> {
        self.dialogue(net, Socks5Command::Connect, Target::Addr(to)).await.map(|(stream, _)| stream)
    }

    /// A place at the proxy to send datagrams to.
    pub(super) async fn relay(&self, net: &Net) -> io::Result<Relay> {
        let anywhere = super::any(true);
        let (stream, bound) = self.dialogue(net, Socks5Command::UdpAssociate, Target::Addr(anywhere)).await?;
        // Most servers name no address but the port alone: they mean their own.
        let ip = if bound.ip().is_unspecified() { stream.peer_addr()?.ip() } else { bound.ip() };
        if bound.port() == 0 {
            return Err(NoUdp.into());
        }
        Relay::new(net, stream, SocketAddr::new(ip, bound.port())).await
    }

    /// Reaches the proxy and asks it for something; the connection, and where the proxy has bound itself.
    async fn dialogue(&self, net: &Net, command: Socks5Command, target: Target) -> io::Result<(TcpStream, SocketAddr)> {
        let mut stream = match timeout(REACH_TIMEOUT, self.reach(net)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(self.note(&short(&error))),
            Err(_) => return Err(self.note("does not answer")),
        };
        match self.ask(&mut stream, command, target).await {
            Ok(bound) => {
                self.set_trouble(None);
                Ok((stream, bound))
            }
            // It may do all else.
            Err(Ended::Proxy(ProxyError::Unsupported | ProxyError::NotAllowed))
                if command == Socks5Command::UdpAssociate =>
            {
                self.set_trouble(None);
                Err(NoUdp.into())
            }
            Err(Ended::Proxy(error)) if error.is_of_proxy() => {
                let text = error.to_string();
                Err(self.note(text.strip_prefix("the proxy ").unwrap_or(&text)))
            }
            Err(Ended::Proxy(error)) => {
                // It does its work; what is behind it does not.
                self.set_trouble(None);
                let kind = match error {
                    ProxyError::Refused => io::ErrorKind::ConnectionRefused,
                    _ => io::ErrorKind::HostUnreachable,
                };
                Err(io::Error::new(kind, error))
            }
            Err(Ended::Network(error)) => Err(self.note(&short(&error))),
        }
    }

    async fn reach(&self, net: &Net) -> io::Result<TcpStream> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        for addr in lookup_host((self.host.as_str(), self.port)).await? {
            match net.connect_directly(addr).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn ask(&self, stream: &mut TcpStream, command: Socks5Command, target: Target) -> Result<SocketAddr, Ended> {
        match self.kind {
            Kind::Socks5 => {
                let mut socks = Socks5::new(command, target, self.credentials.clone())?;
                loop {
                    let (outgoing, mut bound) = (socks.outgoing(), None);
                    let answered = |input: &mut &[u8]| {
                        bound = socks.feed(input)?;
                        Ok(bound.is_some())
                    };
                    step(stream, outgoing, answered).await?;
                    if let Some(bound) = bound {
                        return Ok(bound);
                    }
                }
            }
            Kind::Http if command == Socks5Command::UdpAssociate => Err(ProxyError::Unsupported.into()),
            Kind::Http => {
                let mut http = HttpConnect::new(&target, self.credentials.as_ref())?;
                while !step(stream, http.outgoing(), |input| http.feed(input)).await? {}
                Ok(super::any(true))
            }
        }
    }

    /// The proxy itself is in trouble: an error that says so, and a note for whoever wonders why nothing comes.
    fn note(&self, why: &str) -> io::Error {
        let text = format!("the proxy {self} {why}");
        self.set_trouble(Some(text.clone()));
        io::Error::other(text)
    }

    fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().expect("no panic while the note is locked") = trouble;
    }

    /// What is wrong with the proxy itself.
    pub(super) fn trouble(&self) -> Option<String> {
        self.trouble.lock().expect("no panic while the note is locked").clone()
    }

    /// The same proxy for the client of HTTP, with names left to it.
    pub(crate) fn for_http(&self) -> reqwest::Result<reqwest::Proxy> {
        let scheme = if self.kind == Kind::Socks5 { "socks5h" } else { "http" };
        let secret =
            self.credentials.as_ref().map(|given| format!("{}:{}@", encoded(given.user()), encoded(given.password())));
        let url = format!("{scheme}://{}{}:{}", secret.unwrap_or_default(), self.shown_host(), self.port);
        // Without the URL: an error must not show what is in it.
        reqwest::Proxy::all(url).map_err(reqwest::Error::without_url)
    }
}

/// The proxy takes no datagrams.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("UDP does not go through the proxy")]
struct NoUdp;

impl From<NoUdp> for io::Error {
    fn from(error: NoUdp) -> Self {
        Self::new(io::ErrorKind::Unsupported, error)
    }
}

/// How a dialogue with a proxy ended.
enum Ended {
    Proxy(ProxyError),
    Network(io::Error),
}

impl From<ProxyError> for Ended {
    fn from(error: ProxyError) -> Self {
        Self::Proxy(error)
    }
}

impl From<io::Error> for Ended {
    fn from(error: io::Error) -> Self {
        Self::Network(error)
    }
}

/// Says what is to be said and listens once; what the machine does not take stays in the socket. True at the end.
async fn step(
    stream: &mut TcpStream,
    outgoing: Vec<u8>,
    feed: impl FnOnce(&mut &[u8]) -> Result<bool, ProxyError>,
) -> Result<bool, Ended> {
    stream.write_all(&outgoing).await?;
    let mut bytes = [0; 1024];
    let count = stream.peek(&mut bytes).await?;
    if count == 0 {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    let mut input = &bytes[..count];
    let done = feed(&mut input)?;
    let taken = count - input.len();
    stream.read_exact(&mut bytes[..taken]).await?;
    Ok(done)
}

fn short(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "refused the connection".into(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => "closed the connection".into(),
        _ => format!("is not reached: {error}"),
    }
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        if *first == b'%' {
            let (digits, more) = rest.split_first_chunk::<2>()?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = more;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            let plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            if plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
        })
        .collect()
}

/// The proxies for requests of HTTP alone that an environment names, as curl reads it.
#[derive(Clone, Debug, Default)]
pub struct WebProxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    /// Hosts that are asked directly; `*` is all.
    except: Vec<String>,
}

impl WebProxies {
    /// Reads `http_proxy` (lower case only, as servers set the other for requests), `https_proxy`, `all_proxy` and `no_proxy` (either
    /// case). An empty variable is none.
    ///
    /// # Errors
    /// A variable, which is named, holds no proxy that can be used.
    pub fn of_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, (&'static str, BadProxy)> {
        let text = |name: &str| variable(name).filter(|text| !text.trim().is_empty());
        let read = |names: &[&'static str]| {
            let found = names.iter().find_map(|name| Some((*name, text(name)?)));
            found.map(|(name, text)| text.trim().parse().map_err(|error| (name, error))).transpose()
        };
        let all = ["all_proxy", "ALL_PROXY"];
        let http = read(&[&["http_proxy"][..], &all].concat())?;
        let https = read(&[&["https_proxy", "HTTPS_PROXY"][..], &all].concat())?;
        let except = text("no_proxy").or_else(|| text("NO_PROXY")).unwrap_or_default();
        let except = except.split([',', ' ']).map(|host| host.trim().to_ascii_lowercase());
        Ok(Self { http, https, except: except.filter(|host| !host.is_empty()).collect() })
    }

    /// The proxy for a request, if there is one.
    pub(crate) fn of(&self, url: &TrackerUrl) -> Option<&Proxy> {
        let proxy = if url.scheme() == Scheme::Https { &self.https } else { &self.http };
        proxy.as_ref().filter(|_| !self.excepts(url.host()))
    }

    fn excepts(&self, host: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
        self.except.iter().any(|except| {
            let except = except.trim_start_matches('.').trim_start_matches('[').trim_end_matches(']');
            except == "*" || host.strip_suffix(except).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<Proxy>().map_or_else(|error| format!("{error:?}"), |proxy| proxy.to_string())
    }

    #[test]
    fn proxies_are_read() {
        assert_eq!(shown("socks5://127.0.0.1"), "socks5://127.0.0.1:1080");
        assert_eq!(shown("socks5h://user:pw@tor.example:9050/"), "socks5://tor.example:9050");
        assert_eq!(shown("HTTP://[::1]:8080"), "http://[::1]:8080");
        assert_eq!(shown("http://[::1]"), "http://[::1]:3128");
        assert_eq!(shown("cache.example:8080"), "http://cache.example:8080");
        for bad in ["https://h", "socks4://h", "ftp://h"] {
            assert_eq!(shown(bad), "Scheme", "{bad}");
        }
        for bad in ["socks5://", "socks5://h:0", "socks5://h:x", "socks5://h:99999", "http://a b"] {
            assert_eq!(shown(bad), "Form", "{bad}");
        }
        for bad in ["socks5://:pw@h", "socks5://%zz@h", "socks5://u%ff@h"] {
            assert_eq!(shown(bad), "Credentials", "{bad}");
        }
    }

    #[test]
    fn a12_secrets_are_not_shown() {
        let proxy: Proxy = "socks5://s%40m:l%3Atmein@h".parse().unwrap();
        let secret = proxy.credentials.as_ref().unwrap();
        assert_eq!((secret.user(), secret.password()), ("s@m", "l:tmein"));
        let text = format!("{proxy} {proxy:?} {:?} {:?}", proxy.for_http().is_ok(), proxy.note("is tired"));
        assert!(!text.contains("tmein") && !text.contains("s@m"), "{text}");
    }

    #[test]
    fn the_environment_is_read_as_curl_does() {
        let of = |vars: &'static [(&str, &str)]| {
            WebProxies::of_environment(|name| {
                vars.iter().find(|(found, _)| *found == name).map(|(_, text)| (*text).to_owned())
            })
        };
        let to = |web: &WebProxies, url: &str| {
            web.of(&TrackerUrl::parse(url).unwrap()).map_or("direct".to_owned(), ToString::to_string)
        };
        let web = of(&[
            ("http_proxy", "http://one:1"),
            ("ALL_PROXY", "socks5://all:2"),
            ("no_proxy", "localhost, .example.org,10.0.0.1 [::1]"),
        ])
        .unwrap();
        assert_eq!(to(&web, "http://tracker.net/a"), "http://one:1");
        assert_eq!(to(&web, "https://tracker.net/a"), "socks5://all:2");
        for direct in [
            "http://localhost/a",
            "http://a.example.org/a",
            "http://example.org/a",
            "http://10.0.0.1/a",
            "http://[::1]/a",
        ] {
            assert_eq!(to(&web, direct), "direct", "{direct}");
        }
        assert_eq!(to(&web, "http://badexample.org/a"), "http://one:1");
        assert_eq!(to(&of(&[("HTTP_PROXY", "http://one:1")]).unwrap(), "http://t/a"), "direct");
        assert_eq!(to(&of(&[("all_proxy", "http://x:1"), ("NO_PROXY", "*")]).unwrap(), "http://t/a"), "direct");
        assert_eq!(of(&[("https_proxy", "ftp://x")]).unwrap_err(), ("https_proxy", BadProxy::Scheme));
    }
}
