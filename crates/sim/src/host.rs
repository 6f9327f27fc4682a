//! A host of the world: its link, its end of each connection, and who lives there.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use riverrun_metainfo::{Bitfield, Block};
use riverrun_proto::mse::Encryption;
use riverrun_proto::swarm::{ConnectionId, Event, Strategy, Swarm, SwarmConfig};
use riverrun_proto::wire::PeerId;

use crate::checkers::Ledger;
use crate::disk::Disk;
use crate::link::{Link, Pipes};
use crate::manner::Manner;
use crate::stranger::Stranger;
use crate::torrent::Torrent;
use crate::web_server::WebServer;

/// Names a host, in the order in which they came.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct HostId(pub usize);

/// Who lives at a host.
#[derive(Debug)]
pub(crate) enum Tenant {
    /// A swarm under test.
    Swarm(Box<Resident>),
    /// A bad peer.
    Stranger(Stranger),
    /// A web server.
    Server(WebServer),
}

/// A swarm, its disk, and what is noted of it.
#[derive(Debug)]
pub(crate) struct Resident {
    pub(crate) swarm: Swarm,
    pub(crate) disk: Disk,
    pub(crate) ledger: Ledger,
    /// The moment for which a wake-up is set.
    pub(crate) wakes_at: Option<Instant>,
    /// What it told.
    pub(crate) events: Vec<Event>,
    /// The most requests of one peer that were ever seen to wait.
    pub(crate) most_queued: usize,
    /// Requests made in all lives.
    pub(crate) requests: u64,
    /// Since when it has everything; `None` while it does not.
    pub(crate) complete: Option<Instant>,
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) host: HostId,
    pub(crate) connection: ConnectionId,
    /// Nothing that is sent later arrives there earlier.
    pub(crate) last_arrival: Instant,
    /// Batches that wait to leave for it.
    pub(crate) leaving: u32,
    /// The far side takes what comes.
    pub(crate) read: bool,
    /// Blocks that wait for a far side that does not.
    pub(crate) unread: VecDeque<Block>,
    /// When something came last, or was not waited for.
    pub(crate) heard: Instant,
}

impl End {
    pub(crate) fn new(host: HostId, connection: ConnectionId, now: Instant) -> Self {
        let unread = VecDeque::new();
        Self { host, connection, last_arrival: now, leaving: 0, read: true, unread, heard: now }
    }
}

/// One host.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) addr: SocketAddr,
    pub(crate) peer_id: PeerId,
    pub(crate) pipes: Pipes,
    pub(crate) up: bool,
    /// Counts restarts: what was meant for an earlier life does not happen.
    pub(crate) life: u32,
    pub(crate) ends: BTreeMap<ConnectionId, End>,
    pub(crate) tenant: Tenant,
    /// It speaks the fast extension.
    pub(crate) fast: bool,
    /// It is behind a NAT: nobody can dial it.
    pub(crate) hidden: bool,
    /// The web servers that the torrent of its swarm names.
    pub(crate) web_seeds: Vec<HostId>,
}

impl Host {
    /// The host with this number lives in a network of its own, as strangers on the Internet do: allowed-fast sets (BEP 6)
    /// and priorities (BEP 40) look at networks, not at addresses.
    pub(crate) fn new(number: usize, link: Link, now: Instant, tenant: Tenant) -> Self {
        let [.., high, low] = (number + 1).to_be_bytes();
        let mut peer_id = [b'.'; 20];
        peer_id[18..].copy_from_slice(&[high, low]);
        Self {
            addr: SocketAddr::from(([10, high, low, 1], 6881)),
            peer_id: PeerId(peer_id),
            pipes: Pipes::new(link, now),
            up: true,
            life: 0,
            ends: BTreeMap::new(),
            tenant,
            fast: true,
            hidden: false,
            web_seeds: Vec::new(),
        }
    }

    /// The number of the host that lives at this address, if there are so many.
    pub(crate) fn number_at(addr: SocketAddr) -> Option<usize> {
        let SocketAddr::V4(addr) = addr else { return None };
        let [10, high, low, 1] = addr.ip().octets() else { return None };
        usize::from(u16::from_be_bytes([high, low])).checked_sub(1)
    }

    pub(crate) fn ip(&self) -> IpAddr {
        self.addr.ip()
    }

    /// What is bad about it, if anything is.
    pub(crate) fn manner(&self) -> Option<Manner> {
        match &self.tenant {
            Tenant::Swarm(_) | Tenant::Server(_) => None,
            Tenant::Stranger(stranger) => Some(stranger.manner()),
        }
    }

    pub(crate) fn is_web_server(&self) -> bool {
        matches!(self.tenant, Tenant::Server(_))
    }

    pub(crate) fn resident(&self) -> Option<&Resident> {
        match &self.tenant {
            Tenant::Swarm(resident) => Some(resident),
            Tenant::Stranger(_) | Tenant::Server(_) => None,
        }
    }

    pub(crate) fn resident_mut(&mut self) -> Option<&mut Resident> {
        match &mut self.tenant {
            Tenant::Swarm(resident) => Some(resident),
            Tenant::Stranger(_) | Tenant::Server(_) => None,
        }
    }
}

impl Resident {
    pub(crate) fn new(now: Instant, config: SwarmConfig) -> Self {
        Self {
            complete: config.have.is_full().then_some(now),
            disk: Disk::new(now, config.have.clone()),
            ledger: Ledger::new(&config),
            swarm: Swarm::new(now, config),
            wakes_at: None,
            events: Vec::new(),
            most_queued: 0,
            requests: 0,
        }
    }
}

/// How a swarm of a world is set up.
pub(crate) fn config(torrent: &Torrent, have: Bitfield, peer_id: PeerId, seed: u64) -> SwarmConfig {
    SwarmConfig {
        info_hashes: torrent.hashes(),
        layout: torrent.layout().clone(),
        hashes: None,
        metadata: Default::default(),
        have,
        private: torrent.is_private(),
        encryption: Encryption::Off,
        pex: true,
        addresses: riverrun_proto::address::AddressRules::default(),
        peer_id,
        listen_port: Some(6881),
        max_connections: 50,
        upload_slots: None,
        seed_choker: Default::default(),
        strategy: Strategy::default(),
        seed,
    }
}
