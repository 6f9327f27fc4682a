//! The settings of a session.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use riverrun_proto::mse::Encryption;
use riverrun_proto::swarm::SeedChoker;

use crate::Net;

/// How a session behaves. Plain data: change what you like, the rest are the defaults.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen for peers; port 0 takes a free one. An unspecified address whose family the machine does not have is
    /// passed over. Empty: nobody can connect to us. Default: any address of both families, one free port for both.
    pub listen: Vec<SocketAddr>,
    /// How others are reached, and who may be.
    pub net: Net,
    /// The most connections at once, over all torrents. Default 400.
    pub max_connections: usize,
    /// The most connections at once of one torrent. Default 200.
    pub max_connections_per_torrent: usize,
    /// The most incoming connections at once whose handshake is not done; over it the oldest is dropped. Default 50.
    pub max_handshakes: usize,
    /// The same, for one address. Default 3.
    pub max_handshakes_per_address: usize,
    /// Loopback addresses are free of `max_handshakes_per_address`. Default true.
    pub loopback_exempt: bool,
    /// The most connections being opened at once. Default 64.
    pub max_dials: usize,
    /// Exchange peers with peers (BEP 11), but in private torrents. Default true.
    pub pex: bool,
    /// Look for peers on the local network by multicast (BEP 14), over the interfaces that `listen` names, but not for private
    /// torrents. Default false: what a program sends to its network is its own decision.
    pub lsd: bool,
    /// How much connections to peers are to look like noise. Default: where the peer can.
    pub encryption: Encryption,
    /// The DHT. Default off: what a program sends to strangers is its own decision.
    pub dht: DhtSettings,
    /// The most bytes a second from peers, protocol included; `None` is no limit. Changed while running by
    /// [`Session::set_limits`](crate::Session::set_limits).
    pub down_limit: Option<u64>,
    /// The most bytes a second to peers, protocol included; `None` is no limit.
    pub up_limit: Option<u64>,
    /// Peers on this machine and on private networks are free of all rate limits, those of torrents and groups too. Default false: a
    /// limit holds for everybody.
    pub lan_unlimited: bool,
    /// What TCP and IP put around bytes counts in rate limits, by estimate: 40 bytes for each packet (60 with IPv6), and as much the
    /// other way for its acknowledgement. Default false: limits are on what peers and we say.
    pub count_overhead: bool,
    /// The peers served at once in each torrent; `None` lets the choker decide.
    pub upload_slots: Option<usize>,
    /// Whom a torrent that has everything serves first when more want something than it has slots.
    pub seed_choker: SeedChoker,
    /// Where resume records are kept; `None` keeps none.
    pub state_dir: Option<PathBuf>,
    /// How often a resume record is written while pieces come. Default 30 s.
    pub resume_interval: Duration,
    /// What we call ourselves to HTTP trackers.
    pub user_agent: String,
    /// Seed of all choices by chance; `None` draws one. For tests.
    pub seed: Option<u64>,
    /// Threads that read, write and hash; 0 is one per core, two to four, of which no more write and hash than it takes.
    pub disk_threads: usize,
    /// Memory for payload in flight, both directions, in bytes. Default 32 MiB.
    pub memory_bytes: usize,
    /// How long a full disk is left alone before the next try. Default 30 s.
    pub storage_retry: Duration,
    /// How many events a slow reader may lag before the oldest are dropped. Default 1024.
    pub event_backlog: usize,
}

/// How a session takes part in the DHT (BEP 5).
#[derive(Clone, Debug)]
pub struct DhtSettings {
    /// Take part. The node starts with the first torrent that is not private.
    pub on: bool,
    /// Ask, but answer nobody and announce nothing (BEP 43): for programs that run for a moment.
    pub read_only: bool,
    /// Whom to ask when no other node is known, as host and port; each is looked up when it comes to that. Default
    /// [`DEFAULT_ROUTERS`](crate::DEFAULT_ROUTERS).
    pub routers: Vec<(String, u16)>,
}

impl Default for DhtSettings {
    fn default() -> Self {
        let routers = crate::DEFAULT_ROUTERS.map(|(host, port)| (host.to_owned(), port)).to_vec();
        Self { on: false, read_only: false, routers }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: vec![
                SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0),
                SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0),
            ],
            net: Net::default(),
            max_connections: 400,
            max_connections_per_torrent: 200,
            max_handshakes: 50,
            max_handshakes_per_address: 3,
            loopback_exempt: true,
            max_dials: 64,
            pex: true,
            lsd: false,
            encryption: Encryption::default(),
            dht: DhtSettings::default(),
            down_limit: None,
            up_limit: None,
            lan_unlimited: false,
            count_overhead: false,
            upload_slots: None,
            seed_choker: SeedChoker::default(),
            state_dir: None,
            resume_interval: Duration::from_secs(30),
            user_agent: concat!("riverrun/", env!("CARGO_PKG_VERSION")).into(),
            seed: None,
            disk_threads: 0,
            memory_bytes: 32 << 20,
            storage_retry: Duration::from_secs(30),
            event_backlog: 1024,
        }
    }
}
