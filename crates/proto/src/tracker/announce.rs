//! What is said to a tracker and what it answers, whatever the transport (BEP 3, 7, 21, 24, 31, 48).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use riverrun_metainfo::WireHash;

use super::policy::{PolicyError, Reach};
use super::url::UrlError;
use crate::limits::MAX_PEERS_PER_REPLY;
use crate::wire::PeerId;

/// Why an announce is made, other than that its time has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Event {
    /// The first announce to this tracker.
    Started,
    /// The download has just become complete; not if it was complete at the start.
    Completed,
    /// We go.
    Stopped,
    /// We want nothing more, yet have not everything; said in every announce (BEP 21). Unknown over UDP.
    Paused,
}

/// What a tracker is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AnnounceRequest {
    /// The torrent.
    pub info_hash: WireHash,
    /// Our id.
    pub peer_id: PeerId,
    /// The port that we listen on.
    pub port: u16,
    /// Payload sent since the first announce, in bytes.
    pub uploaded: u64,
    /// Payload received since the first announce, in bytes.
    pub downloaded: u64,
    /// Bytes that we still lack.
    pub left: u64,
    /// Why, if not by the clock.
    pub event: Option<Event>,
    /// How many peers we want; `None`: as the tracker likes.
    pub num_want: Option<u32>,
    /// The same in every announce of a torrent, so that the tracker knows us from another address (BEP 7).
    pub key: u32,
    /// An IPv4 address to be told to peers; discouraged (BEP 7).
    pub ipv4: Option<Ipv4Addr>,
    /// An IPv6 address to be told to peers; discouraged (BEP 7).
    pub ipv6: Option<Ipv6Addr>,
    /// What the tracker asked to be told again.
    pub tracker_id: Option<Bytes>,
}

/// A peer that a tracker names by host name: the old form of replies allows it (BEP 3).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NamedPeer {
    /// Letters, digits, `-`, `.` and `_`; at most 253 bytes.
    pub host: String,
    /// Not 0.
    pub port: u16,
}

/// What a tracker answers. Everything in it is bounded and printable; nothing in it is to be trusted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AnnounceReply {
    /// When to announce next, as said: from 0 to 2^32 seconds.
    pub interval: Duration,
    /// When to announce next at the earliest, as said.
    pub min_interval: Option<Duration>,
    /// Peers that can be dialled, at most [`MAX_PEERS_PER_REPLY`].
    pub peers: Vec<SocketAddr>,
    /// Peers whose names must be resolved first.
    pub named_peers: Vec<NamedPeer>,
    /// Peers that have everything.
    pub seeders: Option<u32>,
    /// Peers that have not.
    pub leechers: Option<u32>,
    /// How often the torrent was downloaded.
    pub downloaded: Option<u32>,
    /// What the tracker wants to be shown although it answered.
    pub warning: Option<String>,
    /// Our address as the tracker sees it (BEP 24).
    pub external_ip: Option<IpAddr>,
    /// To be told the tracker in the next announce.
    pub tracker_id: Option<Bytes>,
}

impl AnnounceReply {
    /// Puts the answers over IPv4 and IPv6 of one tracker together (BEP 7): peers of both, the later of the intervals, the
    /// larger of the counts, the first's text.
    #[must_use]
    pub fn merged(mut self, other: Self) -> Self {
        self.interval = self.interval.max(other.interval);
        self.min_interval = self.min_interval.max(other.min_interval);
        self.peers.extend(other.peers);
        self.peers.truncate(MAX_PEERS_PER_REPLY);
        self.named_peers.extend(other.named_peers);
        self.named_peers.truncate(MAX_PEERS_PER_REPLY);
        self.seeders = self.seeders.max(other.seeders);
        self.leechers = self.leechers.max(other.leechers);
        self.downloaded = self.downloaded.max(other.downloaded);
        self.warning = self.warning.or(other.warning);
        self.external_ip = self.external_ip.or(other.external_ip);
        self.tracker_id = self.tracker_id.or(other.tracker_id);
        self
    }
}

/// When a tracker that refused may be asked again (BEP 31).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Retry {
    /// Not before this much time has passed.
    After(Duration),
    /// Not again in this session.
    Never,
}

/// Why an announce or a scrape brought no answer.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnnounceError {
    /// The tracker says no, in its own words: printable, at most
    /// [`MAX_TRACKER_TEXT`](crate::limits::MAX_TRACKER_TEXT) bytes.
    #[error("{reason}")]
    Refused {
        /// Its words.
        reason: String,
        /// When it may be asked again, if it said so.
        retry: Option<Retry>,
    },
    /// The reply is not what a tracker sends; what is wrong with it.
    #[error("reply is malformed: {0}")]
    Malformed(&'static str),
    /// The reply is longer than [`MAX_TRACKER_REPLY`](crate::limits::MAX_TRACKER_REPLY).
    #[error("reply is longer than {0} bytes")]
    TooLong(usize),
    /// An HTTP status that is neither success nor redirect, and no reason beside it.
    #[error("http status {0}")]
    Status(u16),
    /// No answer in time.
    #[error("no answer")]
    Timeout,
    /// The network refused or broke the exchange, in the driver's words.
    #[error("{0}")]
    Network(String),
    /// The server shows a certificate that is not good, in the driver's words.
    #[error("{0}")]
    Certificate(String),
    /// The URL cannot be used.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The URL leads where no tracker may be.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The tracker cannot do this: a URL without `announce` has no scrape (BEP 48).
    #[error("the tracker has no scrape")]
    NoScrape,
}

/// How a swarm stands, by a scrape (BEP 48).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ScrapeEntry {
    /// Peers that have everything.
    pub seeders: u32,
    /// Peers that have not; partial seeds among them.
    pub leechers: u32,
    /// How often the torrent was downloaded.
    pub downloaded: u32,
    /// Peers that still download; absent if the tracker does not tell them from partial seeds (BEP 21).
    pub downloaders: Option<u32>,
}

/// Whether a peer at this address could be dialled at all: a host's own address, and a port (THREATS T4, P22).
#[must_use]
pub fn dialable(address: SocketAddr) -> bool {
    address.port() != 0 && Reach::of(address.ip()) != Reach::Nowhere
}

/// The peer's address as it is dialled, if it can be: IPv4 inside IPv6 is IPv4.
pub(super) fn peer(address: SocketAddr) -> Option<SocketAddr> {
    Some(SocketAddr::new(address.ip().to_canonical(), address.port())).filter(|address| dialable(*address))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn answers_over_both_families_are_one() {
        let addr = |text: &str| text.parse::<SocketAddr>().unwrap();
        let v4 = AnnounceReply {
            interval: Duration::from_secs(60),
            min_interval: Some(Duration::from_secs(30)),
            peers: vec![addr("1.2.3.4:5")],
            seeders: Some(3),
            warning: Some("old client".into()),
            ..AnnounceReply::default()
        };
        let v6 = AnnounceReply {
            interval: Duration::from_secs(90),
            peers: vec![addr("[2001:db8::1]:5")],
            seeders: Some(2),
            leechers: Some(1),
            ..AnnounceReply::default()
        };
        let both = v4.clone().merged(v6.clone());
        assert_eq!(both.peers, [addr("1.2.3.4:5"), addr("[2001:db8::1]:5")]);
        assert_eq!((both.interval.as_secs(), both.min_interval), (90, v4.min_interval));
        assert_eq!((both.seeders, both.leechers, &both.warning), (Some(3), Some(1), &v4.warning));
        let many = AnnounceReply { peers: vec![addr("1.2.3.4:5"); MAX_PEERS_PER_REPLY], ..v4 };
        assert_eq!(many.merged(v6).peers.len(), MAX_PEERS_PER_REPLY);
    }
}
