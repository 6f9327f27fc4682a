//! A small tracker on loopback, HTTP and UDP.

mod http;
mod udp;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use riverrun_metainfo::WireHash;
use riverrun_proto::tracker::{AnnounceReply, AnnounceRequest, Event, ScrapeEntry};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::AbortHandle;

/// Peers that are named when the client does not say how many it wants.
const USUAL_PEERS: usize = 50;

/// A tracker of any torrent, over HTTP and UDP, on free ports of 127.0.0.1. It stops when dropped.
#[derive(Debug)]
pub struct Tracker {
    swarms: Arc<Swarms>,
    http: SocketAddr,
    udp: SocketAddr,
    tasks: [AbortHandle; 2],
}

/// What a tracker was told, in order.
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

/// Who is in which swarm.
#[derive(Debug)]
struct Swarms(Mutex<State>);

#[derive(Debug)]
struct State {
    /// What each peer of each torrent lacks.
    peers: BTreeMap<WireHash, BTreeMap<SocketAddr, u64>>,
    completed: BTreeMap<WireHash, u32>,
    log: Vec<Announced>,
    refusal: Option<String>,
    interval: Duration,
}

/// The most announces that are remembered.
const MAX_LOG: usize = 100_000;

impl Tracker {
    /// Starts it on the tokio runtime that this is called from.
    ///
    /// # Errors
    /// Loopback cannot be listened on.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let (http, udp) = (listener.local_addr()?, socket.local_addr()?);
        let swarms = Arc::new(Swarms(Mutex::new(State {
            peers: BTreeMap::new(),
            completed: BTreeMap::new(),
            log: Vec::new(),
            refusal: None,
            interval: Duration::from_secs(1800),
        })));
        let tasks = [
            tokio::spawn(http::run(listener, swarms.clone())).abort_handle(),
            tokio::spawn(udp::run(socket, swarms.clone())).abort_handle(),
        ];
        Ok(Self { swarms, http, udp, tasks })
    }

    /// Its announce URL over HTTP.
    #[must_use]
    pub fn http_url(&self) -> String {
        format!("http://{}/announce", self.http)
    }

    /// Its announce URL over UDP.
    #[must_use]
    pub fn udp_url(&self) -> String {
        format!("udp://{}/announce", self.udp)
    }

    /// Answers every announce with this reason for a refusal from now on; `None` is friendly again.
    pub fn refuse(&self, reason: Option<&str>) {
        self.swarms.lock().refusal = reason.map(str::to_owned);
    }

    /// The interval that clients are told from now on. Default 30 minutes.
    pub fn set_interval(&self, interval: Duration) {
        self.swarms.lock().interval = interval;
    }

    /// Puts a peer into a swarm as if it had announced itself.
    pub fn add_peer(&self, info_hash: WireHash, peer: SocketAddr, left: u64) {
        self.swarms.lock().peers.entry(info_hash).or_default().insert(peer, left);
    }

    /// The peers of a torrent.
    #[must_use]
    pub fn peers(&self, info_hash: WireHash) -> Vec<SocketAddr> {
        self.swarms.lock().peers.get(&info_hash).into_iter().flatten().map(|(peer, _)| *peer).collect()
    }

    /// What it was told so far, in order.
    #[must_use]
    pub fn log(&self) -> Vec<Announced> {
        self.swarms.lock().log.clone()
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Swarms {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no panic while the swarms are locked")
    }

    /// Enters or takes out a peer; the others, or a reason for a refusal.
    fn announce(&self, request: &AnnounceRequest, from: IpAddr, udp: bool) -> Result<AnnounceReply, String> {
        let mut state = self.lock();
        let peer = SocketAddr::new(from, request.port);
        if state.log.len() < MAX_LOG {
            state.log.push(Announced {
                info_hash: request.info_hash,
                peer,
                event: request.event,
                left: request.left,
                uploaded: request.uploaded,
                downloaded: request.downloaded,
                udp,
            });
        }
        if let Some(reason) = &state.refusal {
            return Err(reason.clone());
        }
        if request.event == Some(Event::Completed) {
            *state.completed.entry(request.info_hash).or_default() += 1;
        }
        let interval = state.interval;
        let downloaded = state.completed.get(&request.info_hash).copied();
        let swarm = state.peers.entry(request.info_hash).or_default();
        if request.event == Some(Event::Stopped) {
            swarm.remove(&peer);
        } else if request.port != 0 {
            swarm.insert(peer, request.left);
        }
        let want = request.num_want.map_or(USUAL_PEERS, |want| want as usize);
        let want = if request.event == Some(Event::Stopped) { 0 } else { want };
        let others = swarm.iter().filter(|(other, left)| **other != peer && (request.left > 0 || **left > 0));
        let peers = others.map(|(other, _)| *other).take(want).collect();
        let entry = count(swarm);
        Ok(AnnounceReply {
            interval,
            peers,
            seeders: Some(entry.seeders),
            leechers: Some(entry.leechers),
            downloaded,
            ..AnnounceReply::default()
        })
    }

    fn scrape(&self, info_hash: WireHash) -> Option<ScrapeEntry> {
        let state = self.lock();
        let entry = count(state.peers.get(&info_hash)?);
        Some(ScrapeEntry { downloaded: state.completed.get(&info_hash).copied().unwrap_or(0), ..entry })
    }
}

fn count(swarm: &BTreeMap<SocketAddr, u64>) -> ScrapeEntry {
    let seeders = u32::try_from(swarm.values().filter(|left| **left == 0).count()).unwrap_or(u32::MAX);
    let leechers = u32::try_from(swarm.len()).unwrap_or(u32::MAX) - seeders;
    ScrapeEntry { seeders, leechers, downloaded: 0, downloaders: None }
}
