//! One exchange with one tracker, HTTP or UDP, over the address families that it and we have (BEP 7).

use std::net::SocketAddr;
use std::time::Duration;

use riverrun_metainfo::WireHash;
use riverrun_proto::tracker::http::{announce_url, parse_announce_reply, parse_scrape_reply, scrape_url};
use riverrun_proto::tracker::udp::{ExchangeId, Input, Outcome};
use riverrun_proto::tracker::{
    AnnounceError, AnnounceReply, AnnounceRequest, NamedPeer, PolicyError, Scheme, ScrapeEntry, TrackerUrl, dialable,
    may_connect,
};
use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::http::{Family, Http};
use crate::udp_hub::UdpHub;
use crate::{Net, Proxy, udp_proxied};

/// How long the answer over one family is waited for after that over the other has come.
const OTHER_FAMILY: Duration = Duration::from_secs(3);
/// How many peers that a tracker names by host name are looked up.
const MAX_NAMED_PEERS: usize = 50;
/// How long that may take.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);

/// What it takes to ask a tracker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    pub(crate) net: &'a Net,
    pub(crate) http: &'a Http,
    pub(crate) udp: &'a UdpHub,
    /// The families that we listen on; a tracker that has neither is asked over what it has.
    pub(crate) v4: bool,
    pub(crate) v6: bool,
}

impl Ask<'_> {
    /// Announces, over both families where the tracker and we have both.
    pub(crate) async fn announce(
        self,
        url: &TrackerUrl,
        request: AnnounceRequest,
        retries: u8,
    ) -> Result<AnnounceReply, AnnounceError> {
        if url.scheme() == Scheme::Udp && !self.net.is_direct() {
            let path_and_query = url.path_and_query();
            let input = |id, to| Input::Announce { id, to, request, path_and_query, retries };
            return match self.proxied(url, input).await? {
                Outcome::Announce(reply) => Ok(reply),
                Outcome::Scrape(_) => Err(AnnounceError::Malformed("scrape for an announce")),
            };
        }
        if url.scheme() != Scheme::Udp && self.net.proxy_for(url).is_some() {
            // The proxy looks the name up.
            let reply = self.http.get(url, &announce_url(url, &request), None).await?;
            return parse_announce_reply(reply.status, &reply.body);
        }
        let (first, second) = self.addrs(url).await?;
        let one = |addr: SocketAddr| self.announce_to(url, addr, request.clone(), retries);
        let Some(second) = second else { return one(first).await };
        let both = either(one(first), one(second)).await;
        match both {
            (Some(Ok(first)), Some(Ok(second))) => Ok(first.merged(second)),
            (Some(Ok(reply)), _) | (_, Some(Ok(reply))) => Ok(reply),
            (Some(Err(error)), _) | (_, Some(Err(error))) => Err(error),
            (None, None) => Err(AnnounceError::Timeout),
        }
    }

    async fn announce_to(
        self,
        url: &TrackerUrl,
        addr: SocketAddr,
        request: AnnounceRequest,
        retries: u8,
    ) -> Result<AnnounceReply, AnnounceError> {
        if url.scheme() == Scheme::Udp {
            return self.udp.announce(addr, request, url.path_and_query(), retries).await;
        }
        let reply = self.http.get(url, &announce_url(url, &request), Some(Family::of(addr.ip()))).await?;
        parse_announce_reply(reply.status, &reply.body)
    }

    /// Asks for the numbers of torrents, over whatever family comes first.
    pub(crate) async fn scrape(
        self,
        url: &TrackerUrl,
        hashes: Vec<WireHash>,
        retries: u8,
    ) -> Result<Vec<(WireHash, ScrapeEntry)>, AnnounceError> {
        if url.scheme() == Scheme::Udp && !self.net.is_direct() {
            let input = |id, to| Input::Scrape { id, to, info_hashes: hashes, retries };
            return match self.proxied(url, input).await? {
                Outcome::Scrape(entries) => Ok(entries),
                Outcome::Announce(_) => Err(AnnounceError::Malformed("announce for a scrape")),
            };
        }
        if url.scheme() == Scheme::Udp {
            let (addr, _) = self.addrs(url).await?;
            return self.udp.scrape(addr, hashes, retries).await;
        }
        let text = scrape_url(url, &hashes).ok_or(AnnounceError::NoScrape)?;
        let scrape = TrackerUrl::parse(&text)?;
        let reply = self.http.get(&scrape, &text, None).await?;
        parse_scrape_reply(reply.status, &reply.body, &hashes)
    }

    /// An exchange over UDP through the proxy, which looks a name up.
    async fn proxied(
        self,
        url: &TrackerUrl,
        input: impl FnOnce(ExchangeId, SocketAddr) -> Input<'static>,
    ) -> Result<Outcome, AnnounceError> {
        if !self.net.proxy.as_ref().is_some_and(Proxy::carries_udp) {
            return Err(udp_proxied::no_way());
        }
        let addr = if url.ip().is_some() { Some(self.addrs(url).await?.0) } else { None };
        udp_proxied::exchange(self.net, url, addr, input).await
    }

    /// An address of the tracker that we may connect to, and one of the other family if both are to be asked.
    async fn addrs(self, url: &TrackerUrl) -> Result<(SocketAddr, Option<SocketAddr>), AnnounceError> {
        if let Some(ip) = url.ip() {
            may_connect(url, ip, None)?;
            self.net.addresses.may_ask(ip).map_err(PolicyError::from)?;
            return Ok((SocketAddr::new(ip, url.port()), None));
        }
        self.net.addresses.may_look_up(url.host()).map_err(PolicyError::from)?;
        let found = timeout(LOOKUP_TIMEOUT, lookup_host((url.host(), url.port()))).await;
        let found = found.map_err(|_| AnnounceError::Timeout)?;
        let found = found.map_err(|_| AnnounceError::Network("the name is not known".into()))?;
        let (mut refused, mut v4, mut v6) = (None, None, None);
        for addr in found {
            let ours = self.net.addresses.may_ask(addr.ip()).map_err(PolicyError::from);
            match may_connect(url, addr.ip(), None).and(ours) {
                Ok(()) if addr.is_ipv4() => v4 = v4.or(Some(addr)),
                Ok(()) => v6 = v6.or(Some(addr)),
                Err(error) => refused = Some(error),
            }
        }
        let ours = (v4.filter(|_| self.v4), v6.filter(|_| self.v6));
        match if ours == (None, None) { (v4, v6) } else { ours } {
            (Some(v4), v6) => Ok((v4, v6.filter(|_| ours.1.is_some()))),
            (None, Some(v6)) => Ok((v6, None)),
            (None, None) => Err(refused.map_or(AnnounceError::Network("the name has no address".into()), Into::into)),
        }
    }
}

/// Waits for both, but not long for the second once the first is a success.
async fn either<R, E>(
    first: impl Future<Output = Result<R, E>>,
    second: impl Future<Output = Result<R, E>>,
) -> (Option<Result<R, E>>, Option<Result<R, E>>) {
    tokio::pin!(first, second);
    tokio::select! {
        result = &mut first => match &result {
            Ok(_) => { let other = timeout(OTHER_FAMILY, second).await.ok(); (Some(result), other) }
            Err(_) => (Some(result), Some(second.await)),
        },
        result = &mut second => match &result {
            Ok(_) => { let other = timeout(OTHER_FAMILY, first).await.ok(); (other, Some(result)) }
            Err(_) => (Some(first.await), Some(result)),
        },
    }
}

/// Looks up peers that a tracker named by host name: a few of them, for a while, and none that the rules refuse.
pub(crate) async fn resolve(net: &Net, named: Vec<NamedPeer>) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    let all = async {
        // A name that the system looks up would tell others what the proxy is to hide.
        let may_look_up = |peer: &NamedPeer| net.is_direct() && net.addresses.may_look_up(&peer.host).is_ok();
        for peer in named.into_iter().filter(may_look_up).take(MAX_NAMED_PEERS) {
            // A name that is not known is no peer.
            if let Ok(addrs) = lookup_host((peer.host.as_str(), peer.port)).await {
                found.extend(addrs.filter(|addr| dialable(*addr)).take(2));
            }
        }
    };
    // What was found in time is used.
    let _ = timeout(LOOKUP_TIMEOUT, all).await;
    found
}
