//! One question to trackers or to a peer, without a session.

use std::net::SocketAddr;
use std::time::Duration;

use riverrun_metainfo::InfoHashes;
use riverrun_proto::wire::{PeerId, Reserved};

/// What to ask trackers about.
#[derive(Clone, Debug)]
pub struct TrackerQuery {
    /// The torrent.
    pub info_hashes: InfoHashes,
    /// The trackers' URLs; all are asked at once.
    pub trackers: Vec<String>,
    /// What is left to download, in bytes: what a downloader with nothing says is the content's length.
    pub left_bytes: u64,
    /// The port to name. Default 6881.
    pub port: u16,
    /// How many peers to ask for; `None` leaves it to the tracker.
    pub num_want: Option<u32>,
    /// How long to wait for each tracker. Default 15 s.
    pub timeout: Duration,
}

impl TrackerQuery {
    /// A question about one torrent to these trackers.
    #[must_use]
    pub fn new(info_hashes: InfoHashes, trackers: Vec<String>) -> Self {
        Self { info_hashes, trackers, left_bytes: 0, port: 6881, num_want: None, timeout: Duration::from_secs(15) }
    }
}

/// Why a tracker did not help.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrackerError {
    /// It said so itself. Text of a stranger: escape before display.
    #[error("tracker said: {0:?}")]
    Refused(String),
    /// Nobody listens there.
    #[error("refused the connection")]
    ConnectionRefused,
    /// No answer in time.
    #[error("no answer")]
    Timeout,
    /// It cannot be reached, or its answer is none.
    #[error("{0}")]
    Other(String),
}

/// What one tracker said about peers.
#[derive(Clone, Debug)]
pub struct AnnounceAnswer {
    /// Its URL, without user name and password.
    pub url: String,
    /// The peers it named, or why it named none.
    pub result: Result<Vec<SocketAddr>, TrackerError>,
}

/// Numbers of a swarm, as a tracker counts them (BEP 48).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ScrapeCounts {
    /// Peers with everything.
    pub seeders: Option<u32>,
    /// Peers without everything.
    pub leechers: Option<u32>,
    /// Downloads that ended, ever.
    pub completed: Option<u32>,
}

/// What one tracker said about numbers.
#[derive(Clone, Debug)]
pub struct ScrapeAnswer {
    /// Its URL, without user name and password.
    pub url: String,
    /// The numbers, or why there are none.
    pub result: Result<ScrapeCounts, TrackerError>,
}

/// What a peer said when we shook hands.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Its id.
    pub peer_id: PeerId,
    /// What it speaks.
    pub reserved: Reserved,
    /// What it calls itself (BEP 10 `v`, else from its id). Text of a stranger: escape before display.
    pub client: String,
    /// Its share of the pieces, 0 to 1; `None` if it did not say.
    pub progress: Option<f32>,
}

/// Why a peer did not shake hands.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// Nobody listens there.
    #[error("refused the connection")]
    Refused,
    /// No answer in time.
    #[error("no answer")]
    Timeout,
    /// It closed, or its answer is no handshake.
    #[error("no handshake")]
    NoHandshake,
    /// It speaks of another torrent.
    #[error("speaks of another torrent")]
    WrongTorrent,
    /// The network said no.
    #[error("{0}")]
    Network(std::io::ErrorKind),
}

/// Asks all trackers for peers, once and at the same time; the answers in the order of the URLs.
pub async fn announce_once(query: &TrackerQuery) -> Vec<AnnounceAnswer> {
    let _ = query;
    todo!("skeleton")
}

/// Asks all trackers for numbers, at the same time; the answers in the order of the URLs.
pub async fn scrape(query: &TrackerQuery) -> Vec<ScrapeAnswer> {
    let _ = query;
    todo!("skeleton")
}

/// Connects to a peer, shakes hands, listens for up to a second for what it has, and goes.
///
/// # Errors
/// The peer cannot be reached, or does not shake hands.
pub async fn probe_peer(
    addr: SocketAddr,
    info_hashes: InfoHashes,
    pieces: u32,
    timeout: Duration,
) -> Result<Probe, ProbeError> {
    let _ = (addr, info_hashes, pieces, timeout);
    todo!("skeleton")
}
