//! One question to trackers or to a peer, without a session.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use riverrun_metainfo::{Bitfield, InfoHashes};
use riverrun_proto::mse::{Cover, Encryption};
use riverrun_proto::swarm::DialError;
use riverrun_proto::tracker::{AnnounceError, AnnounceRequest, Event, TrackerUrl};
use riverrun_proto::wire::extended::ExtendedHandshake;
use riverrun_proto::wire::{Decoder, DecoderConfig, Frame, Handshake, Message, PeerId, Reserved, remote_text};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::ask_tracker::{self, Ask};
use crate::drive::handshake::{self, Shaken, Veil};
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
    /// How much of the connection looked like noise.
    pub cover: Cover,
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
    Network(io::ErrorKind),
    /// The rules for whom we talk to say no, and why.
    #[error("{0}")]
    NotAllowed(String),
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

impl From<DialError> for ProbeError {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Refused => Self::Refused,
            DialError::Timeout => Self::Timeout,
            DialError::WrongTorrent => Self::WrongTorrent,
            DialError::Unreachable => Self::Network(io::ErrorKind::HostUnreachable),
            DialError::Handshake | DialError::Unencrypted => Self::NoHandshake,
        }
    }
}

/// Somebody who asks without a session.
struct Caller {
    net: Net,
    http: Http,
    udp: UdpHub,
    peer_id: PeerId,
    key: u32,
}

impl Caller {
    fn new(net: &Net) -> Self {
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

/// How long a peer is listened to after the handshake.
const LISTEN: Duration = Duration::from_secs(1);

/// Connects to a peer, shakes hands, listens for up to a second for what it has, and goes. `pieces` is the number of the
/// torrent's pieces.
///
/// # Errors
/// The peer cannot be reached, or does not shake hands.
pub async fn probe_peer(
    addr: SocketAddr,
    info_hashes: InfoHashes,
    pieces: u32,
    patience: Duration,
    net: &Net,
    encryption: Encryption,
) -> Result<Probe, ProbeError> {
    net.addresses.may_meet(addr.ip()).map_err(|refusal| ProbeError::NotAllowed(refusal.to_string()))?;
    let ours =
        Handshake { reserved: Reserved::ours(), info_hash: info_hashes.wire(), peer_id: Caller::new(net).peer_id };
    let shaken = timeout(patience, async {
        let connect = || async {
            net.connect(addr).await.map_err(|error| match error.kind() {
                io::ErrorKind::ConnectionRefused => ProbeError::Refused,
                kind => ProbeError::Network(kind),
            })
        };
        let (stream, shaken) = handshake::open(encryption.ways(false), connect, &ours).await?;
        if info_hashes.wire_all().all(|hash| hash != shaken.handshake.info_hash) {
            return Err(ProbeError::WrongTorrent);
        }
        Ok((stream, shaken))
    });
    let (stream, Shaken { handshake: theirs, veil }) = shaken.await.map_err(|_| ProbeError::Timeout)??;
    let mut probe = Probe {
        peer_id: theirs.peer_id,
        reserved: theirs.reserved,
        client: theirs.peer_id.client(),
        progress: None,
        cover: veil.cover,
    };
    // Whatever it has said by then is what there is to say.
    let _ = timeout(LISTEN, listen(stream, veil, pieces, &mut probe)).await;
    Ok(probe)
}

/// Listens until the peer has said what it has and what it is.
async fn listen(mut stream: TcpStream, mut veil: Veil, pieces: u32, probe: &mut Probe) -> io::Result<()> {
    let mut decoder = Decoder::new(DecoderConfig::new(Some(pieces)));
    let mut bytes = vec![0; 16 * 1024];
    let mut named = !probe.reserved.extended();
    while !named || probe.progress.is_none() {
        let count = stream.read(&mut bytes).await?;
        if count == 0 {
            break;
        }
        veil.lift(&mut bytes[..count]);
        let mut input = &bytes[..count];
        while let Some(frame) = decoder.next(&mut input).map_err(io::Error::other)? {
            let Frame::Message(message) = frame else { continue };
            match message {
                Message::Bitfield(bits) => {
                    let had = Bitfield::from_wire(&bits, pieces).map_err(io::Error::other)?.count();
                    #[expect(clippy::cast_possible_truncation, reason = "a share for display")]
                    let share = (f64::from(had) / f64::from(pieces.max(1))) as f32;
                    probe.progress = Some(share);
                }
                Message::HaveAll => probe.progress = Some(1.0),
                Message::HaveNone => probe.progress = Some(0.0),
                Message::Extended { id: 0, payload } => {
                    let theirs = ExtendedHandshake::parse(&payload).ok();
                    if let Some(client) = theirs.and_then(|theirs| theirs.client) {
                        probe.client = client;
                    }
                    named = true;
                }
                _ => {}
            }
        }
    }
    Ok(())
}
