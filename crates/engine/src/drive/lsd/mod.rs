//! Drives local service discovery (BEP 14): one task for all torrents of a session.
//!
//! No socket is opened before there is a torrent that may be spoken of, and nothing waits for any of it: a machine without a
//! network, or without the right to multicast, finds nobody here and goes on.

mod interfaces;
mod sockets;

use std::collections::BTreeSet;
use std::future::pending;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use riverrun_metainfo::WireHash;
use riverrun_proto::limits::MAX_LSD_PACKET;
use riverrun_proto::lsd::{Action, Announcer, AnnouncerConfig, Group, Input};
use riverrun_proto::swarm::Source;
use tokio::sync::Notify;
use tokio::time::{sleep, sleep_until};

use self::sockets::Sockets;
use super::{Brain, Core};
use crate::Net;
use crate::engine::Engine;

/// How often the machine's interfaces are looked at again.
const RESCAN: Duration = Duration::from_secs(60);
/// The torrents are not looked through more often than this.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// A socket that fails is left alone for so long.
const SOCKET_REST: Duration = Duration::from_secs(1);

/// What a session knows of its local discovery.
#[derive(Debug, Default)]
pub(crate) struct Lsd {
    /// Woken when a torrent may have come, gone, or paused.
    pub(crate) changed: Notify,
    /// Interfaces that are listened on, those of IPv6 counted by themselves.
    pub(crate) interfaces: AtomicUsize,
}

/// The machine and its sockets.
#[derive(Debug)]
pub(crate) struct Driver {
    announcer: Announcer,
    net: Net,
    listening: Vec<SocketAddr>,
    v4: Option<Sockets>,
    v6: Option<Sockets>,
    joined: BTreeSet<WireHash>,
}

/// A packet with its sender.
pub(crate) struct Packet {
    bytes: [u8; MAX_LSD_PACKET + 1],
    length: usize,
    from: SocketAddr,
}

impl Driver {
    /// For somebody who listens for peers at these addresses.
    pub(crate) fn new(now: Instant, net: Net, listening: &[SocketAddr], seed: u64) -> Self {
        let port = |v4: bool| listening.iter().find(|addr| addr.is_ipv4() == v4).map(SocketAddr::port);
        let config = AnnouncerConfig { port_v4: port(true), port_v6: port(false), seed };
        Self {
            announcer: Announcer::new(now, config),
            net,
            listening: listening.to_vec(),
            v4: None,
            v6: None,
            joined: BTreeSet::new(),
        }
    }

    /// Takes part in these torrents and no others from now on.
    pub(crate) fn set_torrents(&mut self, now: Instant, torrents: BTreeSet<WireHash>) {
        for info_hash in self.joined.difference(&torrents) {
            self.announcer.handle(now, Input::Leave(*info_hash));
        }
        for info_hash in torrents.difference(&self.joined) {
            self.announcer.handle(now, Input::Join(*info_hash));
        }
        self.joined = torrents;
    }

    /// Looks which interfaces there are, and listens on those that we listen on for peers. How many.
    pub(crate) fn rescan(&mut self, now: Instant) -> usize {
        let mut found = interfaces::list().unwrap_or_else(|error| {
            tracing::debug!(%error, "local discovery cannot see the interfaces");
            Vec::new()
        });
        for interface in &mut found {
            interface.networks.retain(|network| self.listening.iter().any(|addr| hears(*addr, network.ip)));
        }
        if let Some(crate::Interface::Device(_)) = self.net.interface {
            let only = self.net.device_number();
            found.retain(|interface| Some(interface.index) == only);
        }
        found.retain(|interface| !interface.networks.is_empty());
        for (group, place) in [(Group::V4, &mut self.v4), (Group::V6, &mut self.v6)] {
            let used = found.iter().any(|interface| interface.addr(group == Group::V4).is_some());
            if used && place.is_none() {
                match Sockets::open(group) {
                    Ok(sockets) => *place = Some(sockets),
                    Err(error) => tracing::debug!(?group, %error, "local discovery has no socket"),
                }
            }
            place.iter_mut().for_each(|sockets| sockets.set_interfaces(&found));
        }
        let networks = found.into_iter().flat_map(|interface| interface.networks).collect();
        self.announcer.handle(now, Input::Networks(networks));
        [&self.v4, &self.v6].into_iter().flatten().map(Sockets::interfaces).sum()
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.announcer.next_timeout()
    }

    pub(crate) fn timeout(&mut self, now: Instant) {
        self.announcer.handle(now, Input::Timeout);
    }

    pub(crate) fn received(&mut self, now: Instant, packet: &Packet) {
        let payload = &packet.bytes[..packet.length];
        self.announcer.handle(now, Input::Packet { from: packet.from, payload });
    }

    /// Sends what is to be sent; the peers that were found.
    pub(crate) fn carry_out(&mut self) -> Vec<(WireHash, SocketAddr)> {
        let mut peers = Vec::new();
        while let Some(action) = self.announcer.poll() {
            match action {
                Action::Send { group, payload } => {
                    let sockets = if group == Group::V4 { &self.v4 } else { &self.v6 };
                    sockets.iter().for_each(|sockets| sockets.send(&payload));
                }
                Action::Peer { info_hash, addr } => peers.push((info_hash, addr)),
            }
        }
        peers
    }

    /// The next packet of either group. Never, while there is no socket.
    pub(crate) async fn receive(&self, packet: &mut Packet) {
        let mut other = [0; MAX_LSD_PACKET + 1];
        let (length, from) = loop {
            let received = tokio::select! {
                received = hear(self.v4.as_ref(), &mut packet.bytes) => received,
                received = hear(self.v6.as_ref(), &mut other) => {
                    packet.bytes = other;
                    received
                }
            };
            match received {
                Ok(received) => break received,
                Err(error) => {
                    tracing::debug!(%error, "local discovery cannot listen");
                    sleep(SOCKET_REST).await;
                }
            }
        };
        (packet.length, packet.from) = (length, from);
    }
}

impl Packet {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; MAX_LSD_PACKET + 1], length: 0, from: Group::V4.addr() }
    }
}

/// Whether a listener there takes connections to this address of an interface.
fn hears(listener: SocketAddr, ip: IpAddr) -> bool {
    listener.is_ipv4() == ip.is_ipv4() && (listener.ip().is_unspecified() || listener.ip() == ip)
}

async fn hear(sockets: Option<&Sockets>, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    match sockets {
        Some(sockets) => sockets.receive(buffer).await,
        None => pending().await,
    }
}

/// Whether a torrent is spoken of on the network: one that exchanges and is not private (BEP 27).
fn is_spoken_of(core: &Core) -> bool {
    !core.is_private() && core.look(Brain::is_open)
}

/// Looks for peers on the local network as long as the session lives.
pub(crate) async fn run(engine: Weak<Engine>, seed: u64) {
    let Some(strong) = engine.upgrade() else { return };
    let lsd = strong.lsd.clone();
    let mut driver = Driver::new(Instant::now(), strong.settings.net.clone(), &strong.listening, seed);
    drop(strong);
    let (mut look_at, mut looked, mut rescan_at) = (None::<Instant>, None::<Instant>, None::<Instant>);
    let mut packet = Packet::new();
    loop {
        let due = [look_at, rescan_at, driver.next_timeout()].into_iter().flatten().min();
        let heard = tokio::select! {
            () = driver.receive(&mut packet) => true,
            () = lsd.changed.notified() => {
                let soonest = looked.map_or_else(Instant::now, |looked| looked + LOOK_PAUSE);
                look_at = look_at.or(Some(soonest));
                false
            }
            () = until(due) => false,
        };
        let Some(engine) = engine.upgrade() else { return };
        let now = Instant::now();
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if heard {
            driver.received(now, &packet);
        }
        if is_due(look_at) || is_due(rescan_at) {
            (look_at, looked) = (None, Some(now));
            driver.set_torrents(now, spoken_of(&engine));
            let first = rescan_at.is_none() && !driver.joined.is_empty();
            if first || is_due(rescan_at) {
                lsd.interfaces.store(driver.rescan(now), Ordering::Relaxed);
                rescan_at = Some(now + RESCAN);
            }
        }
        if is_due(driver.next_timeout()) {
            driver.timeout(now);
        }
        for (info_hash, addr) in driver.carry_out() {
            if let Some(core) = engine.find_open(info_hash) {
                core.candidates(Source::Lsd, &[addr]);
            }
        }
    }
}

fn spoken_of(engine: &Engine) -> BTreeSet<WireHash> {
    let all = engine.all();
    let spoken_of = all.iter().filter(|core: &&Arc<Core>| is_spoken_of(core));
    spoken_of.flat_map(|core| core.info_hashes().wire_all()).collect()
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due.into()).await,
        None => pending().await,
    }
}
