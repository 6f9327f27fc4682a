//! Local service discovery (BEP 14): peers on the same network find each other by multicast.
//!
//! One [`Announcer`] speaks for all torrents of a session that may be spoken of; private ones never come here (BEP 27). It says
//! each torrent every five minutes, many in one packet, and again when somebody new is heard, never more than once a minute.

mod packet;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use riverrun_metainfo::WireHash;

pub use self::packet::LsdPacket;
use crate::limits;

/// How often each torrent is announced (BEP 14).
pub const INTERVAL: Duration = Duration::from_secs(5 * 60);
/// A torrent is not announced again before this (BEP 14).
pub const MIN_INTERVAL: Duration = Duration::from_secs(60);
/// Info-hashes in one packet: with all its other lines it stays within [`limits::MAX_LSD_PACKET`].
pub const MAX_HASHES: usize = 24;
/// The pause between packets, so that many torrents are no storm.
const PACKET_PAUSE: Duration = Duration::from_millis(250);
/// A new torrent waits so long for others to share its packet.
const GATHERING: Duration = Duration::from_millis(100);
/// Torrents that are due so soon share the packet of one that is due now.
const NEARLY_DUE: Duration = Duration::from_secs(10);
/// All who hear somebody new answer within this time, each at a moment of its own.
const ANSWER_WITHIN_MILLIS: u64 = 1000;
/// Somebody who was not heard for so long is new.
const NEW_AFTER: Duration = Duration::from_secs(10 * 60);
/// Somebody new stays so for this long: many torrents come in several packets.
const NEW_FOR: Duration = Duration::from_secs(5);
/// The span over which packets are counted.
const SPAN: Duration = Duration::from_secs(60);

/// Where packets go and come from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Group {
    /// 239.192.152.143, port 6771.
    V4,
    /// ff15::efc0:988f, port 6771.
    V6,
}

impl Group {
    /// Address and port.
    #[must_use]
    pub fn addr(self) -> SocketAddr {
        match self {
            Self::V4 => SocketAddr::from((Ipv4Addr::new(239, 192, 152, 143), 6771)),
            Self::V6 => SocketAddr::from((Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0xefc0, 0x988f), 6771)),
        }
    }
}

/// A network that the machine is in: packets from elsewhere are not believed (THREATS L1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Network {
    /// Any address in it.
    pub ip: IpAddr,
    /// The length of the prefix that all its addresses share, in bits.
    pub prefix: u8,
}

impl Network {
    fn contains(self, ip: IpAddr) -> bool {
        match (self.ip, ip) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                let rest = 32u32.saturating_sub(self.prefix.into());
                net.to_bits().checked_shr(rest) == ip.to_bits().checked_shr(rest)
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => {
                let rest = 128u32.saturating_sub(self.prefix.into());
                net.to_bits().checked_shr(rest) == ip.to_bits().checked_shr(rest)
            }
            _ => false,
        }
    }
}

/// One input of the machine.
#[derive(Debug)]
pub enum Input<'a> {
    /// We take part in this torrent from now on.
    Join(WireHash),
    /// We take part in it no more.
    Leave(WireHash),
    /// The networks that the machine is in; with new ones everything is announced as soon as allowed.
    Networks(Vec<Network>),
    /// A packet came.
    Packet {
        /// From where.
        from: SocketAddr,
        /// All of it.
        payload: &'a [u8],
    },
    /// The moment of [`next_timeout`](Announcer::next_timeout) has come.
    Timeout,
}

/// One thing to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Send a packet to a group, over each interface.
    Send {
        /// To which.
        group: Group,
        /// The packet.
        payload: Vec<u8>,
    },
    /// Somebody takes part in one of our torrents.
    Peer {
        /// Which torrent.
        info_hash: WireHash,
        /// Where it listens.
        addr: SocketAddr,
    },
}

/// What an announcer needs to know at birth.
#[derive(Clone, Copy, Debug)]
pub struct AnnouncerConfig {
    /// Where we listen for peers over IPv4, if we do.
    pub port_v4: Option<u16>,
    /// Where we listen for peers over IPv6, if we do.
    pub port_v6: Option<u16>,
    /// Seed of the generator.
    pub seed: u64,
}

#[derive(Debug)]
struct Torrent {
    due: Instant,
    said: Option<Instant>,
    /// We take part; false: only so that it is not said again too soon.
    joined: bool,
}

/// What came from everyone within [`SPAN`].
#[derive(Debug)]
struct Heard {
    since: Instant,
    packets: u32,
    by_source: BTreeMap<IpAddr, u32>,
}

/// Speaks and listens for all torrents of a session.
#[derive(Debug)]
pub struct Announcer {
    ports: [(Group, Option<u16>); 2],
    cookie: String,
    torrents: BTreeMap<WireHash, Torrent>,
    /// Every torrent by when it is due.
    queue: BTreeSet<(Instant, WireHash)>,
    /// No packet goes before this.
    rests_until: Option<Instant>,
    networks: BTreeSet<Network>,
    heard: Heard,
    /// When who was heard first and last; not more than [`limits::MAX_LSD_SOURCES`].
    neighbours: BTreeMap<SocketAddr, (Instant, Instant)>,
    out: VecDeque<Action>,
    rng: fastrand::Rng,
}

impl Announcer {
    /// An announcer with no torrents.
    #[must_use]
    pub fn new(now: Instant, config: AnnouncerConfig) -> Self {
        let mut rng = fastrand::Rng::with_seed(config.seed);
        Self {
            ports: [(Group::V4, config.port_v4), (Group::V6, config.port_v6)],
            cookie: format!("{:016x}", rng.u64(..)),
            torrents: BTreeMap::new(),
            queue: BTreeSet::new(),
            rests_until: None,
            networks: BTreeSet::new(),
            heard: Heard { since: now, packets: 0, by_source: BTreeMap::new() },
            neighbours: BTreeMap::new(),
            out: VecDeque::new(),
            rng,
        }
    }

    /// Feed one input. Never blocks. What a remote did wrong is passed over.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Join(info_hash) => self.join(now, info_hash),
            Input::Leave(info_hash) => {
                if let Some(torrent) = self.torrents.get_mut(&info_hash) {
                    torrent.joined = false;
                    let forgotten = torrent.said.map_or(now, |said| said + MIN_INTERVAL);
                    self.set_due(info_hash, forgotten);
                }
            }
            Input::Networks(networks) => self.networks_are(now, networks),
            Input::Packet { from, payload } => self.packet(now, from, payload),
            Input::Timeout => self.timeout(now),
        }
    }

    /// The next thing to do; drain until `None` before the next [`handle`](Self::handle).
    pub fn poll(&mut self) -> Option<Action> {
        self.out.pop_front()
    }

    /// When [`Input::Timeout`] is due; `None`: nothing pending.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let (due, _) = self.queue.first()?;
        Some(self.rests_until.map_or(*due, |until| until.max(*due)))
    }

    fn join(&mut self, now: Instant, info_hash: WireHash) {
        let torrent = self.torrents.entry(info_hash).or_insert(Torrent { due: now, said: None, joined: false });
        if !std::mem::replace(&mut torrent.joined, true) {
            let due = (now + GATHERING).max(torrent.said.map_or(now, |said| said + MIN_INTERVAL));
            self.set_due(info_hash, due);
        }
    }

    fn set_due(&mut self, info_hash: WireHash, due: Instant) {
        if let Some(torrent) = self.torrents.get_mut(&info_hash) {
            self.queue.remove(&(torrent.due, info_hash));
            torrent.due = due;
            self.queue.insert((due, info_hash));
        }
    }

    /// A torrent is to be said at this moment, or as soon after it as allowed, if it was not due before.
    fn hurry(&mut self, info_hash: WireHash, at: Instant) {
        let Some(torrent) = self.torrents.get(&info_hash).filter(|torrent| torrent.joined) else { return };
        let at = torrent.said.map_or(at, |said| at.max(said + MIN_INTERVAL));
        if at < torrent.due {
            self.set_due(info_hash, at);
        }
    }

    fn networks_are(&mut self, now: Instant, networks: Vec<Network>) {
        let networks: BTreeSet<_> = networks.into_iter().collect();
        let more = networks.iter().any(|network| !self.networks.contains(network));
        self.networks = networks;
        if more {
            let all: Vec<_> = self.torrents.keys().copied().collect();
            all.into_iter().for_each(|info_hash| self.hurry(info_hash, now + GATHERING));
        }
    }

    fn timeout(&mut self, now: Instant) {
        if self.rests_until.is_some_and(|until| until > now) {
            return;
        }
        let mut info_hashes = Vec::new();
        let mut gone = Vec::new();
        for (due, info_hash) in &self.queue {
            let Some(torrent) = self.torrents.get(info_hash) else { continue };
            let old = torrent.said.is_none_or(|said| now.saturating_duration_since(said) >= MIN_INTERVAL);
            match torrent.joined {
                false if *due <= now => gone.push(*info_hash),
                true if *due <= now || (old && !info_hashes.is_empty()) => info_hashes.push(*info_hash),
                _ => {}
            }
            if info_hashes.len() == MAX_HASHES || *due > now + NEARLY_DUE {
                break;
            }
        }
        for info_hash in gone {
            if let Some(torrent) = self.torrents.remove(&info_hash) {
                self.queue.remove(&(torrent.due, info_hash));
            }
        }
        for info_hash in &info_hashes {
            self.torrents.get_mut(info_hash).into_iter().for_each(|torrent| torrent.said = Some(now));
            self.set_due(*info_hash, now + INTERVAL);
        }
        if !info_hashes.is_empty() {
            self.rests_until = Some(now + PACKET_PAUSE);
            self.say(&info_hashes);
        }
    }

    fn say(&mut self, info_hashes: &[WireHash]) {
        for (group, port) in self.ports {
            if let Some(port) = port {
                let cookie = Some(self.cookie.clone());
                let packet = LsdPacket { port, info_hashes: info_hashes.to_vec(), cookie };
                self.out.push_back(Action::Send { group, payload: packet.to_bytes(group) });
            }
        }
    }

    fn packet(&mut self, now: Instant, from: SocketAddr, payload: &[u8]) {
        if !self.is_near(from.ip()) || !self.heard.count(now, from.ip()) {
            return;
        }
        let Some(packet) = LsdPacket::parse(payload) else { return };
        if packet.cookie.as_ref() == Some(&self.cookie) {
            return;
        }
        let mut addr = from;
        addr.set_port(packet.port);
        let answer = self.is_new(now, addr);
        for info_hash in packet.info_hashes {
            if self.torrents.get(&info_hash).is_some_and(|torrent| torrent.joined) {
                self.out.push_back(Action::Peer { info_hash, addr });
                if answer {
                    let pause = Duration::from_millis(self.rng.u64(..ANSWER_WITHIN_MILLIS));
                    self.hurry(info_hash, now + pause);
                }
            }
        }
    }

    /// Whether an address is of a network that we are in, or of the link itself.
    fn is_near(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let link = matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        link || self.networks.iter().any(|network| network.contains(ip))
    }

    /// Whether somebody was not there until just now.
    fn is_new(&mut self, now: Instant, addr: SocketAddr) -> bool {
        let since = |moment: Instant| now.saturating_duration_since(moment);
        if let Some((first, last)) = self.neighbours.get_mut(&addr) {
            if since(*last) >= NEW_AFTER {
                *first = now;
            }
            *last = now;
            return since(*first) < NEW_FOR;
        }
        if self.neighbours.len() >= limits::MAX_LSD_SOURCES {
            self.neighbours.retain(|_, (_, last)| since(*last) < NEW_AFTER);
        }
        let room = self.neighbours.len() < limits::MAX_LSD_SOURCES;
        if room {
            self.neighbours.insert(addr, (now, now));
        }
        room
    }
}

impl Heard {
    /// Counts a packet; false if there were too many of late.
    fn count(&mut self, now: Instant, from: IpAddr) -> bool {
        if now.saturating_duration_since(self.since) >= SPAN {
            *self = Self { since: now, packets: 0, by_source: BTreeMap::new() };
        }
        self.packets += 1;
        if self.packets > limits::MAX_LSD_PACKETS {
            return false;
        }
        // No more entries than packets.
        let of_source = self.by_source.entry(from).or_default();
        *of_source += 1;
        *of_source <= limits::MAX_LSD_PACKETS_PER_SOURCE
    }
}
