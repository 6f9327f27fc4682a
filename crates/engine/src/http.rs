//! The one HTTP client of the engine, with its bounds (THREATS T1 to T3, T9, T10).
//!
//! Where a request may lead is decided by [`may_connect`], with the address that a name was resolved to: addresses that it
//! refuses never reach the connector, so a name that changes its address gains nothing. Redirects are followed here, one by
//! one, so that each hop is judged by where the last one came from. Nothing is built before the first request, and nothing of
//! TLS before the first that needs it.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::Mutex;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, Response, header, redirect};
use riverrun_proto::address::AddressRules;
use riverrun_proto::limits::{MAX_TRACKER_HEADER, MAX_TRACKER_REPLY, TRACKER_TIMEOUT};
use riverrun_proto::tracker::{self, AnnounceError, PolicyError, Reach, Scheme, TrackerUrl, may_connect};
use rustls::CertificateError;
use tokio::time::timeout;

use crate::{Net, Proxy};

/// How long opening one connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// What is said when nobody listens at the tracker's address.
pub(crate) const REFUSED: &str = "refused the connection";

/// Stands for any address on the internet when a rule is asked.
const ON_THE_INTERNET: IpAddr = IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1));

/// An address family.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) fn of(ip: IpAddr) -> Self {
        if ip.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// What a request may connect to, by [`may_connect`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Leash {
    /// The URL's path is a tracker's, or the user named it, so that a service on this machine may be meant.
    local: bool,
    /// A server on the internet sent us here.
    by_public: bool,
    /// Only this family.
    family: Option<Family>,
    /// Content is exchanged, as with a peer: the owner's list of peers counts.
    peer: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Kind {
    leash: Leash,
    tls: bool,
    /// Bodies are given as they come.
    raw: bool,
    /// Through the proxy that there is for this kind.
    proxied: bool,
}

/// Makes requests. Clients are made when first needed, one for each kind of leash.
#[derive(Debug)]
pub(crate) struct Http {
    user_agent: String,
    net: Net,
    clients: Mutex<BTreeMap<Kind, Client>>,
}

/// What a request is for.
#[derive(Clone, Debug)]
enum Purpose {
    /// Ask a tracker.
    Tracker,
    /// Get a file that the user named.
    File,
    /// Get a part of a file of a torrent; all of it if there is no range.
    WebSeed { range: Option<Range<u64>> },
}

/// What is asked for, beside the URL.
#[derive(Clone, Debug)]
struct Want {
    /// Only this family.
    family: Option<Family>,
    /// The user named the URL, so that its server may be this machine; another to which it redirects may not.
    by_user: bool,
    purpose: Purpose,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Http {
    pub(crate) fn new(user_agent: String, net: Net) -> Self {
        let user_agent = if net.anonymous { String::new() } else { user_agent };
        Self { user_agent, net, clients: Mutex::default() }
    }

    /// Gets `text`, a URL made from `url`, and follows redirects.
    ///
    /// # Errors
    /// The network or the rules for where we go say no; the reply is too long or takes too long.
    pub(crate) async fn get(
        &self,
        url: &TrackerUrl,
        text: &str,
        family: Option<Family>,
    ) -> Result<Reply, AnnounceError> {
        let want = Want { family, by_user: false, purpose: Purpose::Tracker };
        let reply = async { read(self.follow(url, text, &want).await?, MAX_TRACKER_REPLY).await };
        timeout(TRACKER_TIMEOUT, reply).await.unwrap_or(Err(AnnounceError::Timeout))
    }

    /// Gets a file whose URL the user named, of at most `max_body` bytes, and follows redirects.
    ///
    /// # Errors
    /// The network or the rules for where we go say no; the file is too long.
    pub(crate) async fn get_file(&self, url: &TrackerUrl, max_body: usize) -> Result<Reply, AnnounceError> {
        let want = Want { family: None, by_user: true, purpose: Purpose::File };
        read(self.follow(url, &url.to_text(), &want).await?, max_body).await
    }

    /// Asks for a part of a file of a torrent, or all of it, follows redirects, and gives the answer, whatever it is, with its body
    /// yet to be read. What the torrent and not the user named may not lead to this machine.
    ///
    /// # Errors
    /// The network or the rules for where we go say no.
    pub(crate) async fn get_part(
        &self,
        url: &TrackerUrl,
        range: Option<Range<u64>>,
        by_user: bool,
    ) -> Result<Response, AnnounceError> {
        let want = Want { family: None, by_user, purpose: Purpose::WebSeed { range } };
        self.follow(url, &url.to_text(), &want).await
    }

    async fn follow(&self, url: &TrackerUrl, text: &str, want: &Want) -> Result<Response, AnnounceError> {
        let (named, mut url, mut text) = (url, url.clone(), text.to_owned());
        let mut redirected_by = None;
        for hops in 0.. {
            let response = self.send(&url, &text, redirected_by, want.by_user && url.same_origin(named), want).await?;
            let location = response.headers().get(header::LOCATION);
            let location = location.filter(|_| response.status().is_redirection());
            let Some(location) = location else { return Ok(response) };
            let location = location.to_str().map_err(|_| AnnounceError::Malformed("redirect is no text"))?;
            let next = tracker::redirect(&url, location, hops)?;
            // Where nobody knows who answered, the strict rule holds.
            let by = response.remote_addr().filter(|_| self.net.proxy_for(&url).is_none());
            redirected_by = Some(by.map_or(ON_THE_INTERNET, |addr| addr.ip()));
            text = next.to_text();
            url = next;
        }
        unreachable!("redirects are counted")
    }

    async fn send(
        &self,
        url: &TrackerUrl,
        text: &str,
        redirected_by: Option<IpAddr>,
        chosen: bool,
        want: &Want,
    ) -> Result<Response, AnnounceError> {
        let (range, raw) = match &want.purpose {
            Purpose::Tracker | Purpose::File => (None, false),
            Purpose::WebSeed { range } => (range.clone(), true),
        };
        let trackers = || !raw && may_connect(url, IpAddr::V4(Ipv4Addr::LOCALHOST), None).is_ok();
        let leash = Leash {
            local: chosen || trackers(),
            by_public: redirected_by.is_some_and(|by| Reach::of(by) == Reach::Public),
            family: want.family.filter(|_| url.ip().is_none()),
            peer: raw,
        };
        // A host that is an address is never resolved, so it is judged here.
        if let Some(ip) = url.ip() {
            if !chosen {
                leash.allows(ip)?;
            }
            leash.is_met_by(&self.net.addresses, ip)?;
        }
        let proxy = self.net.proxy_for(url);
        let kind = Kind { leash, tls: url.scheme() == Scheme::Https, raw, proxied: proxy.is_some() };
        let mut request = self.client(kind, proxy)?.get(text);
        if raw {
            request = request.header(header::ACCEPT_ENCODING, "identity");
        }
        if let Some(range) = range {
            request = request.header(header::RANGE, format!("bytes={}-{}", range.start, range.end - 1));
        }
        let response = request.send().await.map_err(|error| explain(&error))?;
        let header: usize = response.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if header > MAX_TRACKER_HEADER {
            return Err(AnnounceError::TooLong(MAX_TRACKER_HEADER));
        }
        Ok(response)
    }

    fn client(&self, kind: Kind, proxy: Option<&Proxy>) -> Result<Client, AnnounceError> {
        let mut clients = self.clients.lock().expect("no panic while the clients are locked");
        if let Some(client) = clients.get(&kind) {
            return Ok(client.clone());
        }
        let client = if kind.tls {
            // Where the system has no certificates to trust, those of the browsers that come with us do.
            self.builder(kind, proxy)?.build().or_else(|_| {
                let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS;
                let roots: Result<Vec<_>, _> = roots.iter().map(|root| Certificate::from_der(root)).collect();
                through(self.direct_builder(kind), proxy)?.tls_certs_only(roots?).build()
            })
        } else {
            self.builder(kind, proxy)?.tls_certs_only([]).build()
        };
        let client = client.map_err(|error| explain(&error))?;
        clients.insert(kind, client.clone());
        Ok(client)
    }

    fn builder(&self, kind: Kind, proxy: Option<&Proxy>) -> Result<reqwest::ClientBuilder, AnnounceError> {
        through(self.direct_builder(kind), proxy).map_err(|error| explain(&error))
    }

    fn direct_builder(&self, kind: Kind) -> reqwest::ClientBuilder {
        let builder = if kind.raw { self.plain_builder().no_gzip() } else { self.plain_builder() };
        if kind.proxied {
            // The only name that is looked up here is the proxy's own, which the user has named.
            return builder;
        }
        builder.dns_resolver(LeashedResolver { leash: kind.leash, addresses: self.net.addresses.clone() })
    }

    fn plain_builder(&self) -> reqwest::ClientBuilder {
        let named = match self.user_agent.as_str() {
            "" => Client::builder(),
            name => Client::builder().user_agent(name),
        };
        self.net
            .http(named)
            .redirect(redirect::Policy::none())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_max_idle_per_host(2)
            .pool_idle_timeout(Duration::from_secs(10))
            .http1_only()
            // A proxy chooses where to connect in our place, past the leash: only the owner's are used, never the library's own idea.
            .no_proxy()
    }
}

fn through(builder: reqwest::ClientBuilder, proxy: Option<&Proxy>) -> reqwest::Result<reqwest::ClientBuilder> {
    proxy.map_or(Ok(None), |proxy| proxy.for_http().map(Some)).map(|proxy| match proxy {
        Some(proxy) => builder.proxy(proxy),
        None => builder,
    })
}

/// Reads a body as long as it keeps to the limit, which counts bytes after decompression.
async fn read(mut response: Response, max_body: usize) -> Result<Reply, AnnounceError> {
    let status = response.status().as_u16();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| explain(&error))? {
        if body.len() + chunk.len() > max_body {
            return Err(AnnounceError::TooLong(max_body));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply { status, body })
}

/// What went wrong, in a few words for people.
pub(crate) fn explain(error: &reqwest::Error) -> AnnounceError {
    if error.is_timeout() {
        return AnnounceError::Timeout;
    }
    let mut innermost = error.source();
    while let Some(source) = innermost {
        if let Some(policy) = source.downcast_ref::<PolicyError>() {
            return policy.clone().into();
        }
        if let Some(error) = source.downcast_ref::<io::Error>() {
            if error.kind() == io::ErrorKind::ConnectionRefused {
                return AnnounceError::Network(REFUSED.into());
            }
            let inner = innermost_of(error);
            if let Some(policy) = inner.and_then(|inner| inner.downcast_ref::<PolicyError>()) {
                return policy.clone().into();
            }
            if let Some(rustls::Error::InvalidCertificate(error)) = inner.and_then(|inner| inner.downcast_ref()) {
                return AnnounceError::Certificate(what_is_wrong(error));
            }
        }
        match source.source() {
            Some(deeper) => innermost = Some(deeper),
            None => return AnnounceError::Network(source.to_string()),
        }
    }
    AnnounceError::Network(error.to_string())
}

/// What an error holds, below all errors of its own kind that wrap each other.
fn innermost_of(error: &io::Error) -> Option<&(dyn std::error::Error + Send + Sync + 'static)> {
    let inner = error.get_ref()?;
    inner.downcast_ref::<io::Error>().map_or(Some(inner), innermost_of)
}

/// What is wrong with a server's certificate (T10).
fn what_is_wrong(error: &CertificateError) -> String {
    use CertificateError as Error;
    match error {
        Error::UnknownIssuer => "shows a certificate that nobody has signed whom this machine trusts".to_owned(),
        Error::NotValidForName | Error::NotValidForNameContext { .. } => {
            "shows the certificate of another host".to_owned()
        }
        Error::Expired | Error::ExpiredContext { .. } => "shows a certificate that has expired".to_owned(),
        Error::NotValidYet | Error::NotValidYetContext { .. } => "shows a certificate that is not valid yet".to_owned(),
        Error::Revoked => "shows a certificate that was revoked".to_owned(),
        other => format!("shows a certificate that is not good: {other}"),
    }
}

/// Resolves names, and forgets the addresses that the leash does not reach.
struct LeashedResolver {
    leash: Leash,
    addresses: AddressRules,
}

impl Resolve for LeashedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (leash, addresses) = (self.leash, self.addresses.clone());
        Box::pin(async move {
            addresses.may_look_up(name.as_str()).map_err(PolicyError::from)?;
            let addrs: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let mut refused = None;
            let allowed: Vec<SocketAddr> = addrs
                .into_iter()
                .filter(|addr| leash.family.is_none_or(|family| family == Family::of(addr.ip())))
                .filter(|addr| {
                    leash
                        .allows(addr.ip())
                        .and_then(|()| leash.is_met_by(&addresses, addr.ip()))
                        .map_err(|error| refused = Some(error))
                        .is_ok()
                })
                .collect();
            match (allowed.is_empty(), refused) {
                (true, Some(error)) => Err(error.into()),
                (true, None) => Err("the name has no address".into()),
                (false, _) => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

impl Leash {
    /// The one rule of [`may_connect`], asked with a URL and an address of the same kind as the request's.
    fn allows(self, to: IpAddr) -> Result<(), PolicyError> {
        let url = if self.local { "http://host/announce" } else { "http://host/" };
        let url = TrackerUrl::parse(url).expect("a plain URL");
        may_connect(&url, to, self.by_public.then_some(ON_THE_INTERNET))
    }

    /// The owner's rules.
    fn is_met_by(self, rules: &AddressRules, to: IpAddr) -> Result<(), PolicyError> {
        if self.peer { rules.may_meet(to) } else { rules.may_ask(to) }.map_err(PolicyError::from)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn leash(local: bool, by_public: bool, family: Option<Family>) -> Leash {
        Leash { local, by_public, family, peer: false }
    }

    async fn resolve(leash: Leash) -> Result<Vec<SocketAddr>, String> {
        let found =
            LeashedResolver { leash, addresses: AddressRules::default() }.resolve("localhost".parse().unwrap()).await;
        found.map(Iterator::collect).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn t2_a_name_that_leads_inward_has_no_address_for_us() {
        let found = resolve(leash(true, false, Some(Family::V4))).await.unwrap();
        assert_eq!(found, ["127.0.0.1:0".parse().unwrap()], "a tracker on this machine, named by the torrent");
        let error = resolve(leash(true, true, Some(Family::V4))).await.unwrap_err();
        assert!(error.contains("may not send us"), "a public server sent us here: {error}");
        let error = resolve(leash(false, false, None)).await.unwrap_err();
        assert!(error.contains("on this machine"), "no tracker's path: {error}");
    }

    #[test]
    fn t2_the_leash_is_the_rule() {
        for (text, local, by_public) in [
            ("1.2.3.4", true, true),
            ("10.0.0.1", true, false),
            ("192.168.0.1", true, false),
            ("127.0.0.1", true, false),
            ("169.254.169.254", false, false),
            ("::1", true, false),
            ("fd00::1", true, false),
            ("224.0.0.1", false, false),
        ] {
            let ip: IpAddr = text.parse().unwrap();
            assert_eq!(leash(true, false, None).allows(ip).is_ok(), local, "{text}");
            assert_eq!(leash(true, true, None).allows(ip).is_ok(), by_public, "{text}, sent by a public server");
        }
    }

    #[tokio::test]
    async fn t2_an_address_in_the_url_is_judged_before_anything_is_sent() {
        let http = Http::new("test".into(), Net::default());
        let url = TrackerUrl::parse("http://10.0.0.1/announce").unwrap();
        let want = Want { family: None, by_user: true, purpose: Purpose::File };
        let sent = http.send(&url, &url.to_text(), Some(ON_THE_INTERNET), false, &want).await;
        assert!(matches!(sent, Err(AnnounceError::Policy(PolicyError::Inward(_)))), "{sent:?}");
    }
}
