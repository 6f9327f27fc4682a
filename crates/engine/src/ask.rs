//! One question to trackers, without a session.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use riverrun_metainfo::InfoHashes;
use riverrun_proto::tracker::{AnnounceError, AnnounceRequest, Event, TrackerUrl};
use riverrun_proto::wire::{PeerId, remote_text};
use tokio::time::timeout;

use crate::ask_tracker::{self, Ask};
use crate::http::{Http, REFUSED};
use crate::udp_hub::UdpHub;
use crate::{Net, Settings};

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
    /// How trackers are reached, and which peers are of interest.
    pub net: Net,
}

impl TrackerQuery {
    /// A question about one torrent to these trackers.
    #[must_use]
    pub fn new(info_hashes: InfoHashes, trackers: Vec<String>) -> Self {
        Self {
            info_hashes,
            trackers,
            left_bytes: 0,
            port: 6881,
            num_want: None,
            timeout: Duration::from_secs(15),
            net: Net::default(),
        }
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

/// Asks all trackers for peers, once and at the same time; the answers in the order of the URLs.
///
/// The trackers take it for the announce of a client that has not begun: no event, and a peer id and key of its own. Who
/// answered is told that it has gone again, so that no tracker names somebody who is not there to the next who asks.
pub async fn announce_once(query: &TrackerQuery) -> Vec<AnnounceAnswer> {
    let caller = Caller::new(&query.net);
    let caller = &caller;
    let one = |url: TrackerUrl| async move {
        let reply = caller.ask().announce(&url, caller.request(query), RETRIES).await?;
        let farewell = AnnounceRequest {
            event: Some(Event::Stopped),
            num_want: Some(0),
            tracker_id: reply.tracker_id.clone(),
            ..caller.request(query)
        };
        let _ = timeout(FAREWELL, caller.ask().announce(&url, farewell, 0)).await;
        let mut peers = reply.peers;
        peers.extend(ask_tracker::resolve(&query.net, reply.named_peers).await);
        peers.retain(|peer| query.net.addresses.may_meet(peer.ip()).is_ok());
        peers.sort_unstable();
        peers.dedup();
        Ok(peers)
    };
    let results = each(query, one).await;
    results.map(|(url, result)| AnnounceAnswer { url, result }).collect()
}

/// Asks all trackers for numbers, at the same time; the answers in the order of the URLs.
pub async fn scrape(query: &TrackerQuery) -> Vec<ScrapeAnswer> {
    let caller = Caller::new(&query.net);
    let (caller, hash) = (&caller, query.info_hashes.wire());
    let one = |url: TrackerUrl| async move {
        let entries = caller.ask().scrape(&url, vec![hash], RETRIES).await?;
        let entry = entries.into_iter().find(|(found, _)| *found == hash).map(|(_, entry)| entry);
        let entry = entry.ok_or(AnnounceError::Malformed("the torrent is not in it"))?;
        Ok(ScrapeCounts {
            seeders: Some(entry.seeders),
            leechers: Some(entry.leechers),
            completed: Some(entry.downloaded),
        })
    };
    let results = each(query, one).await;
    results.map(|(url, result)| ScrapeAnswer { url, result }).collect()
}

/// How long a tracker may take for what needs no answer.
const FAREWELL: Duration = Duration::from_secs(1);

/// How often a packet to a UDP tracker is sent again: as often as there is time.
const RETRIES: u8 = 3;

/// Asks every tracker of the query, each within the time that the query gives.
async fn each<R, F: Future<Output = Result<R, AnnounceError>>>(
    query: &TrackerQuery,
    one: impl Fn(TrackerUrl) -> F,
) -> impl Iterator<Item = (String, Result<R, TrackerError>)> {
    let mut asking: Vec<_> = query
        .trackers
        .iter()
        .map(|text| {
            let parsed = TrackerUrl::parse(text);
            let shown = parsed.as_ref().map_or_else(|_| remote_text(text.as_bytes(), 256), ToString::to_string);
            let answer = parsed.map(&one);
            (
                shown,
                Box::pin(async {
                    match answer {
                        Ok(answer) => timeout(query.timeout, answer).await.unwrap_or(Err(AnnounceError::Timeout)),
                        Err(error) => Err(error.into()),
                    }
                }),
            )
        })
        .map(|(shown, answer)| (shown, answer, None))
        .collect();
    poll_fn(|cx| {
        let mut waiting = false;
        for (_, answer, result) in &mut asking {
            if result.is_none() {
                match answer.as_mut().poll(cx) {
                    Poll::Ready(ready) => *result = Some(ready),
                    Poll::Pending => waiting = true,
                }
            }
        }
        if waiting { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    asking.into_iter().map(|(shown, _, result)| {
        let result = result.unwrap_or(Err(AnnounceError::Timeout));
        (shown, result.map_err(TrackerError::from))
    })
}

impl From<AnnounceError> for TrackerError {
    fn from(error: AnnounceError) -> Self {
        match error {
            AnnounceError::Refused { reason, .. } => Self::Refused(reason),
            AnnounceError::Network(text) if text == REFUSED => Self::ConnectionRefused,
            AnnounceError::Timeout => Self::Timeout,
            error => Self::Other(error.to_string()),
        }
    }
}

/// Somebody who asks without a session.
pub(crate) struct Caller {
    net: Net,
    http: Http,
    udp: UdpHub,
    pub(crate) peer_id: PeerId,
    key: u32,
}

impl Caller {
    pub(crate) fn new(net: &Net) -> Self {
        let mut random = [0; 32];
        // Without random bytes of the system the answers can be forged by whoever guesses the clock, no more.
        if getrandom::fill(&mut random).is_err() {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            random[..16].copy_from_slice(&now.as_nanos().to_le_bytes());
        }
        let seed = u64::from_le_bytes(*random.first_chunk().expect("32 bytes"));
        let mut id = [0; 20];
        id.copy_from_slice(&random[8..28]);
        Self {
            net: net.clone(),
            http: Http::new(Settings::default().user_agent, net.clone()),
            udp: UdpHub::new(seed, net.clone(), Vec::new()),
            peer_id: net.peer_id(id),
            key: u32::from_le_bytes(*random.last_chunk().expect("32 bytes")),
        }
    }

    fn ask(&self) -> Ask<'_> {
        Ask { net: &self.net, http: &self.http, udp: &self.udp, v4: true, v6: true }
    }

    fn request(&self, query: &TrackerQuery) -> AnnounceRequest {
        AnnounceRequest {
            info_hash: query.info_hashes.wire(),
            peer_id: self.peer_id,
            port: query.port,
            uploaded: 0,
            downloaded: 0,
            left: query.left_bytes,
            event: None,
            num_want: query.num_want,
            key: self.key,
            ipv4: None,
            ipv6: None,
            tracker_id: None,
        }
    }
}
