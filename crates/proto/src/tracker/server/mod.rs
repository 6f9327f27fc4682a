//! A tracker: who is in which swarm, and what is answered to announces and scrapes over HTTP and UDP (BEP 3, 7, 15, 23, 24, 31,
//! 41, 48).
//!
//! Every request has at most one answer, which depends on nothing that comes later. So this machine needs no actions: [`Server::http`]
//! and [`Server::udp`] answer, [`Server::next_timeout`] says when [`Server::expire`] has something to do. [`RequestHead`] reads what comes over TCP.
//!
//! Everything is bounded. Memory: by the number of swarms and of peers; over the latter, the peer that has been silent for longest
//! goes. One host: by its share of them. Answers: over UDP no answer is longer than its request, unless the request shows an id that
//! only the host at that address can have. A peer is where its request came from, never an address that it names.

mod connection_id;
mod http;
mod pool;
mod registry;
mod request;
mod swarms;
#[cfg(test)]
mod tests;
mod udp;

use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use fastrand::Rng;
use riverrun_metainfo::WireHash;

use crate::limits::{MAX_PEERS_GIVEN, USUAL_PEERS_GIVEN};
use crate::tracker::{AnnounceRequest, Event, Retry, ScrapeEntry, dialable};
use connection_id::ConnectionIds;
pub use http::HttpAnswer;
use registry::{Registry, Wish};
pub use request::{RequestError, RequestHead};

/// How a tracker behaves.
#[derive(Clone, Debug)]
pub struct Config {
    /// How often clients are told to announce themselves. A peer that is silent for twice as long has gone.
    pub interval: Duration,
    /// How soon clients may come again at the earliest, as they are told over HTTP; never over `interval`.
    pub min_interval: Duration,
    /// The only torrents that are served; `None`: all.
    pub allowed: Option<BTreeSet<WireHash>>,
    /// Whether a scrape without info-hashes is answered, with all torrents.
    pub full_scrape: bool,
    /// What is kept at most.
    pub bounds: Bounds,
    /// How many announces are remembered for [`Server::journal`], of the latest.
    pub journal: usize,
}

/// What a tracker keeps at most. A peer costs some 100 bytes, a swarm 300 more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Swarms; an announce for one more is refused.
    pub swarms: usize,
    /// Peers in all swarms; for one more, the one that has been silent for longest goes.
    pub peers: usize,
    /// Peers of one IPv4 address, or of one /64 of IPv6, in all swarms; one more is refused.
    pub peers_per_host: usize,
}

/// The tracker.
#[derive(Debug)]
pub struct Server {
    start: Instant,
    config: Config,
    registry: Registry,
    ids: ConnectionIds,
    /// Said to everybody in place of answers.
    closed: Option<String>,
    journal: VecDeque<Announced>,
    counts: Counts,
}

/// An announce as it was taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Announced {
    /// The torrent.
    pub info_hash: WireHash,
    /// The peer: the address it came from with the port that it named.
    pub peer: SocketAddr,
    /// Why, if not by the clock.
    pub event: Option<Event>,
    /// What it lacks, in bytes.
    pub left: u64,
    /// What it says it has sent, in bytes.
    pub uploaded: u64,
    /// What it says it has received, in bytes.
    pub downloaded: u64,
    /// It came over UDP.
    pub udp: bool,
}

/// How a tracker stands, and what it has done since it started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Swarms.
    pub swarms: usize,
    /// Peers with an IPv4 address, in all swarms.
    pub peers_v4: usize,
    /// Peers with an IPv6 address, in all swarms.
    pub peers_v6: usize,
    /// Those of all peers that have everything.
    pub seeds: u32,
    /// Peers that fell silent.
    pub expired: u64,
    /// Peers that went because there were too many.
    pub pushed_out: u64,
    /// Requests that were answered.
    pub counts: Counts,
}

/// What was asked for so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Announces over HTTP.
    pub http_announces: u64,
    /// Announces over UDP with a connection id that is good.
    pub udp_announces: u64,
    /// Connection ids that were given.
    pub udp_connects: u64,
    /// Scrapes.
    pub scrapes: u64,
    /// Requests that were refused, those that cannot be read among them.
    pub refused: u64,
    /// Packets that are no requests; they got no answer.
    pub ignored: u64,
}

/// Why a request is refused.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Refusal {
    NotServed,
    Full,
    HostFull,
    Closed(String),
}

impl Default for Config {
    /// Half an hour, any torrent, no full scrape, no journal.
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(1800),
            min_interval: Duration::from_secs(300),
            allowed: None,
            full_scrape: false,
            bounds: Bounds::default(),
            journal: 0,
        }
    }
}

impl Default for Bounds {
    /// 50,000 swarms, 250,000 peers, of one host 5,000: some 50 MB at the most.
    fn default() -> Self {
        Self { swarms: 50_000, peers: 250_000, peers_per_host: 5_000 }
    }
}

impl Server {
    /// A tracker without peers. `secret` must come from the system's source of randomness.
    #[must_use]
    pub fn new(config: Config, now: Instant, secret: [u8; 32]) -> Self {
        // Which peers are picked is no secret, but must not tell what is one.
        let (_, end) = secret.split_last_chunk().expect("32 bytes");
        let seed = Rng::with_seed(u64::from_be_bytes(*end)).u64(..);
        let silence = u32::try_from(config.interval.as_secs().saturating_mul(2)).unwrap_or(u32::MAX).max(1);
        Self {
            start: now,
            registry: Registry::new(config.allowed.clone(), config.bounds, silence, seed),
            config,
            ids: ConnectionIds::new(secret),
            closed: None,
            journal: VecDeque::new(),
            counts: Counts::default(),
        }
    }

    /// Serves these torrents only from now on. Peers of others fall silent in time.
    pub fn allow_only(&mut self, torrents: BTreeSet<WireHash>) {
        self.registry.allow_only(torrents);
    }

    /// Refuses everything for this reason from now on; `None` serves again.
    pub fn close(&mut self, reason: Option<String>) {
        self.closed = reason;
    }

    /// Enters a peer as if it had announced itself; `false` if there is no room for it or nobody could connect to it.
    pub fn add_peer(&mut self, now: Instant, info_hash: WireHash, peer: SocketAddr, left: u64) -> bool {
        let now = self.seconds(now);
        dialable(peer) && self.registry.enter(now, info_hash, peer, left == 0, None).is_ok()
    }

    /// How a swarm stands; `None` if nobody is in it.
    #[must_use]
    pub fn swarm(&self, info_hash: WireHash) -> Option<ScrapeEntry> {
        self.registry.scrape(info_hash)
    }

    /// How it stands.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let (peers_v4, peers_v6) = self.registry.peers();
        let (expired, pushed_out) = self.registry.gone();
        let swarms = self.registry.swarms();
        Stats { swarms, peers_v4, peers_v6, seeds: self.registry.seeds(), expired, pushed_out, counts: self.counts }
    }

    /// The latest announces, refused ones too, the oldest first; as many as the [`Config`] says.
    pub fn journal(&self) -> impl Iterator<Item = &Announced> {
        self.journal.iter()
    }

    /// When [`expire`](Self::expire) has something to do; announces do it too, so that it may come late.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.registry.next_expiry().map(|due| self.start + Duration::from_secs(due.into()))
    }

    /// Takes out peers that were silent for too long, at most `at_most` of them.
    pub fn expire(&mut self, now: Instant, at_most: usize) {
        let now = self.seconds(now);
        self.registry.expire(now, at_most);
    }

    fn seconds(&self, now: Instant) -> u32 {
        u32::try_from(now.saturating_duration_since(self.start).as_secs()).unwrap_or(u32::MAX)
    }

    fn announce(
        &mut self,
        now: Instant,
        request: &AnnounceRequest,
        from: IpAddr,
        wish: Wish,
        take: impl FnMut(SocketAddr),
    ) -> Result<ScrapeEntry, Refusal> {
        if self.config.journal > 0 {
            self.write_down(request, from, !wish.both);
        }
        if let Some(reason) = &self.closed {
            return Err(Refusal::Closed(reason.clone()));
        }
        let now = self.seconds(now);
        self.registry.announce(now, request, from, wish, take)
    }

    fn write_down(&mut self, request: &AnnounceRequest, from: IpAddr, udp: bool) {
        if self.journal.len() >= self.config.journal {
            self.journal.pop_front();
        }
        self.journal.push_back(Announced {
            info_hash: request.info_hash,
            peer: SocketAddr::new(from, request.port),
            event: request.event,
            left: request.left,
            uploaded: request.uploaded,
            downloaded: request.downloaded,
            udp,
        });
    }

    /// When a refused client may try again (BEP 31).
    fn retry(&self, refusal: &Refusal) -> Option<Retry> {
        match refusal {
            Refusal::NotServed => Some(Retry::Never),
            Refusal::Full | Refusal::HostFull => Some(Retry::After(self.config.interval)),
            Refusal::Closed(_) => None,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotServed => "this tracker does not serve the torrent",
            Self::Full => "this tracker has no room for another torrent",
            Self::HostFull => "too many peers at this address",
            Self::Closed(reason) => reason,
        })
    }
}

/// How many peers a reply names: what the client wants, within limits. One that goes wants none.
fn given(request: &AnnounceRequest) -> usize {
    match request.event {
        Some(Event::Stopped) => 0,
        _ => request.num_want.map_or(USUAL_PEERS_GIVEN, |count| count as usize).min(MAX_PEERS_GIVEN),
    }
}
