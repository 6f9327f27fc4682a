//! A tracker over real sockets: HTTP and UDP around `proto::tracker::server`.
//!
//! All sockets share one machine behind one short lock, which is held for a request over HTTP, or for the packets that one wake-up
//! found waiting.

mod http;
mod udp;

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use riverrun_metainfo::WireHash;
use riverrun_proto::tracker::server::{Announced, Config, Server, Stats};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::drive::listen::no_such_family;
use crate::{Net, StartError};

const BACKLOG: i32 = 1024;
/// Packets that wait while others are answered, in bytes; the system may give less.
const UDP_BUFFER: usize = 4 << 20;
/// How often peers that fell silent are looked for; announces look as well.
const SWEEP: Duration = Duration::from_secs(10);
/// Peers that are taken out with one hold of the lock.
const SWEEP_STEP: usize = 1000;
/// A free port must be free for every socket: so many are tried.
const PORT_TRIES: u32 = 20;

/// A tracker, over HTTP and UDP (BEP 3, 7, 15, 23, 24, 31, 41, 48). It stops when dropped.
///
/// ```
/// # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tracker = riverrun::Tracker::builder().listen(["127.0.0.1:0".parse()?]).start().await?;
/// println!("{:?}: {:?}", tracker.urls(), tracker.stats());
/// tracker.stop().await;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Tracker {
    desk: Arc<Desk>,
    http: Vec<SocketAddr>,
    udp: Vec<SocketAddr>,
    tasks: Vec<JoinHandle<()>>,
}

/// How to start a [`Tracker`].
#[derive(Clone, Debug)]
pub struct TrackerBuilder {
    listen: Vec<SocketAddr>,
    http: bool,
    udp: bool,
    config: Config,
    net: Net,
}

/// The machine, shared by the sockets.
#[derive(Debug)]
struct Desk(Mutex<Server>);

/// The sockets of one tracker.
#[derive(Default)]
struct Sockets {
    http: Vec<TcpListener>,
    udp: Vec<UdpSocket>,
}

impl Tracker {
    /// A tracker for any torrent, over both protocols, on a free port of every address.
    #[must_use]
    pub fn builder() -> TrackerBuilder {
        let any = [IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::UNSPECIFIED)];
        let listen = any.map(|ip| SocketAddr::new(ip, 0)).to_vec();
        TrackerBuilder { listen, http: true, udp: true, config: Config::default(), net: Net::default() }
    }

    /// Where it listens for HTTP.
    #[must_use]
    pub fn http_addrs(&self) -> &[SocketAddr] {
        &self.http
    }

    /// Where it listens for UDP.
    #[must_use]
    pub fn udp_addrs(&self) -> &[SocketAddr] {
        &self.udp
    }

    /// The announce URLs of its sockets as they are bound: with `0.0.0.0` or `[::]` in them if it listens on every address.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        let http = self.http.iter().map(|addr| format!("http://{addr}/announce"));
        http.chain(self.udp.iter().map(|addr| format!("udp://{addr}/announce"))).collect()
    }

    /// How it stands, and what it did so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.desk.lock().stats()
    }

    /// The latest announces, the oldest first: as many as [`TrackerBuilder::journal`] said.
    #[must_use]
    pub fn journal(&self) -> Vec<Announced> {
        self.desk.lock().journal().cloned().collect()
    }

    /// Serves these torrents only from now on.
    pub fn allow_only(&self, torrents: impl IntoIterator<Item = WireHash>) {
        let torrents = torrents.into_iter().collect();
        self.desk.lock().allow_only(torrents);
    }

    /// Refuses everything for this reason from now on; `None` serves again.
    pub fn close(&self, reason: Option<&str>) {
        self.desk.lock().close(reason.map(str::to_owned));
    }

    /// Enters a peer that lacks `left` bytes as if it had announced itself; `false` if there is no room for it, or nobody could connect
    /// to it.
    pub fn add_peer(&self, info_hash: WireHash, peer: SocketAddr, left: u64) -> bool {
        self.desk.lock().add_peer(Instant::now(), info_hash, peer, left)
    }

    /// Seeders and leechers of a torrent.
    #[must_use]
    pub fn swarm(&self, info_hash: WireHash) -> (u32, u32) {
        self.desk.lock().swarm(info_hash).map_or((0, 0), |entry| (entry.seeders, entry.leechers))
    }

    /// Stops it; its ports are free then.
    pub async fn stop(mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
            // It was aborted: that is all it can say.
            let _ = task.await;
        }
    }
}

impl Drop for Tracker {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl TrackerBuilder {
    /// Where to listen; port 0 takes one that is free for both protocols on all of the addresses. An unspecified address whose
    /// family the machine does not have is passed over. Default: every address of both families.
    #[must_use]
    pub fn listen(mut self, addrs: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.listen = addrs.into_iter().collect();
        self
    }

    /// Which protocols it speaks. Default: both.
    #[must_use]
    pub fn protocols(mut self, http: bool, udp: bool) -> Self {
        (self.http, self.udp) = (http, udp);
        self
    }

    /// The interface that its sockets are bound to, if one is named there. Who may ask is not decided by it. Default: none.
    #[must_use]
    pub fn net(mut self, net: Net) -> Self {
        self.net = net;
        self
    }

    /// How often clients are told to announce themselves. A peer that is silent for twice as long is forgotten. Default half an
    /// hour.
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.config.interval = interval;
        self
    }

    /// The only torrents that are served. Default: all.
    #[must_use]
    pub fn allow_only(mut self, torrents: impl IntoIterator<Item = WireHash>) -> Self {
        self.config.allowed = Some(torrents.into_iter().collect::<BTreeSet<_>>());
        self
    }

    /// Whether a scrape over HTTP that names no torrent is answered, with all of them. Default: no.
    #[must_use]
    pub fn full_scrape(mut self, answered: bool) -> Self {
        self.config.full_scrape = answered;
        self
    }

    /// The most peers that are kept, in all swarms; for one more, the one that has been silent for longest goes. Default 250,000.
    #[must_use]
    pub fn max_peers(mut self, peers: usize) -> Self {
        // Ids of peers have 32 bits.
        self.config.bounds.peers = peers.clamp(1, u32::MAX as usize / 2);
        self.config.bounds.swarms = self.config.bounds.swarms.max(peers / 5).min(self.config.bounds.peers);
        self
    }

    /// The most peers of one IPv4 address, or of one /64 of IPv6, in all swarms; more are refused. Default 5,000.
    #[must_use]
    pub fn max_peers_per_host(mut self, peers: usize) -> Self {
        self.config.bounds.peers_per_host = peers;
        self
    }

    /// How many of the latest announces it remembers for [`Tracker::journal`]. Default none.
    #[must_use]
    pub fn journal(mut self, announces: usize) -> Self {
        self.config.journal = announces;
        self
    }

    /// Starts it on the tokio runtime that this is called from.
    ///
    /// # Errors
    /// An address cannot be listened on, or the system gives no random bytes.
    pub async fn start(self) -> Result<Tracker, StartError> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|_| StartError::Random)?;
        let sockets = self.bind()?;
        let desk = Arc::new(Desk(Mutex::new(Server::new(self.config, Instant::now(), secret))));
        let http: Vec<SocketAddr> = sockets.http.iter().filter_map(|socket| socket.local_addr().ok()).collect();
        let udp: Vec<SocketAddr> = sockets.udp.iter().filter_map(|socket| socket.local_addr().ok()).collect();
        let mut tasks = vec![tokio::spawn(sweep(desk.clone()))];
        tasks.extend(sockets.udp.into_iter().map(|socket| tokio::spawn(udp::run(socket, desk.clone()))));
        let door = Arc::new(http::Door::new());
        let run = |listener| tokio::spawn(http::run(listener, desk.clone(), door.clone()));
        tasks.extend(sockets.http.into_iter().map(run));
        tracing::debug!(?http, ?udp, "the tracker listens");
        Ok(Tracker { desk, http, udp, tasks })
    }

    fn bind(&self) -> Result<Sockets, StartError> {
        let mut tries = 0;
        loop {
            match self.try_bind() {
                Err(StartError::Listen { source, .. })
                    if source.kind() == io::ErrorKind::AddrInUse
                        && tries < PORT_TRIES
                        && self.listen.iter().all(|addr| addr.port() == 0) =>
                {
                    tries += 1;
                }
                other => return other,
            }
        }
    }

    /// Every socket, those that may have any port with the same one.
    fn try_bind(&self) -> Result<Sockets, StartError> {
        let mut sockets = Sockets::default();
        let (mut port, mut passed_over) = (0, None);
        for &(mut addr) in &self.listen {
            let any_port = addr.port() == 0;
            let mut one = || {
                if any_port {
                    addr.set_port(port);
                }
                if self.http {
                    let listener = TcpListener::from_std(bound(&self.net, addr, Type::STREAM)?.into())?;
                    addr = listener.local_addr()?;
                    sockets.http.push(listener);
                }
                if self.udp {
                    let socket = UdpSocket::from_std(bound(&self.net, addr, Type::DGRAM)?.into())?;
                    addr = socket.local_addr()?;
                    sockets.udp.push(socket);
                }
                Ok::<_, io::Error>(())
            };
            match one() {
                Ok(()) if any_port => port = addr.port(),
                Ok(()) => {}
                Err(source) if addr.ip().is_unspecified() && no_such_family(&source) => {
                    passed_over = Some((addr, source));
                }
                Err(source) => return Err(StartError::Listen { addr, source }),
            }
        }
        match passed_over {
            Some((addr, source)) if sockets.http.is_empty() && sockets.udp.is_empty() => {
                Err(StartError::Listen { addr, source })
            }
            _ => Ok(sockets),
        }
    }
}

fn bound(net: &Net, addr: SocketAddr, kind: Type) -> io::Result<Socket> {
    let protocol = if kind == Type::STREAM { Protocol::TCP } else { Protocol::UDP };
    let socket = Socket::new(Domain::for_address(addr), kind, Some(protocol))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    if kind == Type::STREAM {
        // A tracker that was restarted gets its port back at once.
        socket.set_reuse_address(true)?;
    } else {
        // Less is slower under a flood, but works.
        let _ = SockRef::from(&socket).set_recv_buffer_size(UDP_BUFFER);
    }
    net.bind(&socket, addr)?;
    if kind == Type::STREAM {
        socket.listen(BACKLOG)?;
    }
    Ok(socket)
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Server> {
        self.0.lock().expect("no panic while the machine is locked")
    }
}

/// Forgets peers that fell silent, also when nobody announces.
async fn sweep(desk: Arc<Desk>) {
    let mut tick = tokio::time::interval(SWEEP);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let now = Instant::now();
        while desk.expire(now) {
            tokio::task::yield_now().await;
        }
    }
}

impl Desk {
    /// One step of forgetting; whether there is more.
    fn expire(&self, now: Instant) -> bool {
        let mut server = self.lock();
        server.expire(now, SWEEP_STEP);
        server.next_timeout().is_some_and(|due| due <= now)
    }
}
