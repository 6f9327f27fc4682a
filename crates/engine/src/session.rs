//! The session: all torrents of a program, and what they share.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use riverrun_metainfo::InfoHashes;
use riverrun_metainfo::info::Info;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::drive::{Core, add, device, leave, listen, lsd, timer};
use crate::engine::Engine;
use crate::{AddError, AddTorrent, DhtStatus, Events, Interface, Limits, Settings, StartError, Torrent, rate};

/// All torrents of a program with the listeners, disk threads and budgets that they share. Cheap to clone; when the last clone
/// is dropped everything stops at once, without the courtesies of [`shutdown`](Self::shutdown).
#[derive(Clone, Debug)]
pub struct Session {
    running: Arc<Running>,
}

/// Stops all when dropped.
#[derive(Debug)]
struct Running {
    engine: Arc<Engine>,
    /// Those who listen for peers, and for word of peers.
    listeners: Vec<AbortHandle>,
    timers: AbortHandle,
    rates: AbortHandle,
}

/// Starts a session.
#[derive(Clone, Debug, Default)]
pub struct SessionBuilder {
    settings: Settings,
}

/// A snapshot of a session.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SessionStatus {
    /// Torrents.
    pub torrents: usize,
    /// Connections, those that are being opened among them.
    pub connections: usize,
    /// Incoming connections whose handshakes are not done.
    pub handshakes: usize,
    /// Incoming connections that were dropped in favour of newer ones before their handshakes were done.
    pub handshakes_dropped: u64,
    /// Bytes received from peers, protocol included, handshakes not.
    pub down_bytes: u64,
    /// Bytes sent to peers, protocol included, handshakes not.
    pub up_bytes: u64,
    /// The rate limits of all torrents together.
    pub limits: Limits,
    /// The groups of torrents that were named, with their rate limits.
    pub groups: BTreeMap<String, Limits>,
    /// Network interfaces over which peers on the local network are looked for, IPv4 and IPv6 counted apart; `None`: not looked for.
    pub lsd_interfaces: Option<usize>,
    /// The DHT; `None`: it is off, or no torrent has needed it yet.
    pub dht: Option<DhtStatus>,
    /// The share of the block memory in use, 0 to 1.
    pub memory_used: f32,
}

/// Where a session with this state folder keeps the resume record of a torrent whose content is at `content`. The file is there as
/// long as the torrent has something to go on from.
#[must_use]
pub fn resume_record_path(state_dir: &Path, hashes: InfoHashes, content: &Path) -> PathBuf {
    crate::drive::records::path(state_dir, hashes, content)
}

/// The name of the hidden file in a torrent's folder where bytes of files that are not wanted rest, as far as wanted files share
/// pieces with them; `None` for a torrent of one file. The file is there only while there are such bytes.
#[must_use]
pub fn part_file_name(info: &Info) -> Option<String> {
    crate::drive::store::part_file_name(info).map(|name| name.as_str().to_owned())
}

impl SessionBuilder {
    /// Uses these settings in place of all that was set so far.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Listens here and nowhere else; port 0 takes a free one.
    #[must_use]
    pub fn listen(mut self, addrs: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.settings.listen = addrs.into_iter().collect();
        self
    }

    /// Keeps resume records in this folder, which is made if it is missing.
    #[must_use]
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.settings.state_dir = Some(dir.into());
        self
    }

    /// The most bytes a second from peers; `None` is no limit.
    #[must_use]
    pub fn down_limit(mut self, limit: Option<u64>) -> Self {
        self.settings.down_limit = limit;
        self
    }

    /// The most bytes a second to peers; `None` is no limit.
    #[must_use]
    pub fn up_limit(mut self, limit: Option<u64>) -> Self {
        self.settings.up_limit = limit;
        self
    }

    /// Looks for peers on the local network, or not.
    #[must_use]
    pub fn lsd(mut self, lsd: bool) -> Self {
        self.settings.lsd = lsd;
        self
    }

    /// Takes part in the DHT, or not.
    #[must_use]
    pub fn dht(mut self, on: bool) -> Self {
        self.settings.dht.on = on;
        self
    }

    /// Asks these nodes of the DHT when no other is known, in place of the usual ones, as host and port.
    #[must_use]
    pub fn dht_routers(mut self, routers: impl IntoIterator<Item = (String, u16)>) -> Self {
        self.settings.dht.routers = routers.into_iter().collect();
        self
    }

    /// The most connections at once over all torrents.
    #[must_use]
    pub fn max_connections(mut self, max: usize) -> Self {
        self.settings.max_connections = max;
        self
    }

    /// Starts the session on the tokio runtime that this is called from.
    ///
    /// # Errors
    /// An address cannot be listened on, or the state folder cannot be used.
    ///
    /// # Panics
    /// It is called outside a tokio runtime with network and time.
    #[expect(clippy::unused_async, reason = "it must be called on a runtime, and will have to wait for port mapping")]
    pub async fn start(self) -> Result<Session, StartError> {
        let settings = self.settings;
        if let Some(dir) = &settings.state_dir {
            std::fs::create_dir_all(dir).map_err(|source| StartError::StateDir { path: dir.clone(), source })?;
        }
        let random = || getrandom::u64().map_err(|_| StartError::Random);
        let seed = settings.seed.map_or_else(random, Ok)?;
        let mut peer_id = [0; 20];
        match settings.seed {
            Some(seed) => fastrand::Rng::with_seed(seed).fill(&mut peer_id),
            None => getrandom::fill(&mut peer_id).map_err(|_| StartError::Random)?,
        }
        if let Some(interface) = &settings.net.interface {
            interface.check()?;
        }
        let peer_id = settings.net.peer_id(peer_id);
        let listeners = listen::bind(&settings.net, &settings.listen)?;
        let listening = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        let engine = Arc::new(Engine::new(settings, peer_id, seed, random()?, listening));
        let weak = Arc::downgrade(&engine);
        engine.dht.set_host(weak.clone());
        let listeners = listeners.into_iter().map(|listener| tokio::spawn(listen::run(weak.clone(), listener)));
        let mut listeners: Vec<_> = listeners.map(|task| task.abort_handle()).collect();
        // Multicast has no way through a proxy.
        if engine.settings.lsd && engine.settings.net.speaks_locally() {
            listeners.push(tokio::spawn(lsd::run(weak.clone(), engine.seed())).abort_handle());
        }
        if let Some(Interface::Device(_)) = engine.settings.net.interface {
            listeners.push(tokio::spawn(device::run(weak.clone())).abort_handle());
        }
        let timers = tokio::spawn(timer::run(weak.clone())).abort_handle();
        let rates = tokio::spawn(rate::run(weak.clone())).abort_handle();
        Ok(Session { running: Arc::new(Running { engine, listeners, timers, rates }) })
    }
}

impl Session {
    /// A session with the default settings, to be changed before it starts.
    #[must_use]
    pub fn builder() -> SessionBuilder {
        SessionBuilder::default()
    }

    fn engine(&self) -> &Arc<Engine> {
        &self.running.engine
    }

    /// Adds a torrent and begins: checks what is there, then exchanges.
    ///
    /// # Errors
    /// The source is no torrent or is here already, or its files cannot be opened.
    pub async fn add(&self, torrent: AddTorrent) -> Result<Torrent, AddError> {
        add::add(self.engine(), torrent).await.map(Torrent::new)
    }

    /// The torrents, in the order they were added.
    #[must_use]
    pub fn torrents(&self) -> Vec<Torrent> {
        self.engine().all().into_iter().map(Torrent::new).collect()
    }

    /// The torrent with one of these hashes.
    #[must_use]
    pub fn find(&self, hashes: InfoHashes) -> Option<Torrent> {
        hashes.wire_all().find_map(|hash| self.engine().find_wire(hash)).map(Torrent::new)
    }

    /// Names a node of the DHT; it is asked whether it is there. Nothing happens where the DHT is off.
    pub fn add_dht_node(&self, addr: SocketAddr) {
        self.engine().dht.add_node(addr);
    }

    /// Where it listens, with real ports; the port of the first is the one trackers are told.
    #[must_use]
    pub fn listen_addrs(&self) -> Vec<SocketAddr> {
        self.engine().listening.clone()
    }

    /// What happens in all torrents from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        self.engine().events.all(None)
    }

    /// The same without [`EventKind::PieceDone`](crate::EventKind::PieceDone): a fast download has thousands, and whom nobody
    /// wakes for each costs it less.
    #[must_use]
    pub fn events_but_pieces(&self) -> Events {
        self.engine().events.but_pieces(None)
    }

    /// How things are now.
    #[must_use]
    pub fn status(&self) -> SessionStatus {
        let engine = self.engine();
        let (handshakes, handshakes_dropped) = engine.handshakes.counts();
        let (down_bytes, up_bytes) = engine.rates.totals();
        SessionStatus {
            torrents: engine.all().len(),
            connections: engine.settings.max_connections.saturating_sub(engine.connections.available_permits()),
            handshakes,
            handshakes_dropped,
            down_bytes,
            up_bytes,
            limits: engine.rates.limits(),
            groups: engine.rates.groups(),
            lsd_interfaces: (engine.settings.lsd && engine.settings.net.speaks_locally())
                .then(|| engine.lsd.interfaces.load(Ordering::Relaxed)),
            dht: engine.dht.status(),
            memory_used: engine.pool().used(),
        }
    }

    /// Changes the rate limits of all torrents together, at once.
    pub fn set_limits(&self, limits: Limits) {
        self.engine().rates.set(limits);
        self.engine().all().iter().for_each(Core::limits_changed);
    }

    /// Changes the rate limits of all torrents of a group together ([`AddTorrent::group`], [`Torrent::set_group`]), at once. A group
    /// that nobody named before is made; it lives as long as the session.
    pub fn set_group_limits(&self, name: &str, limits: Limits) {
        self.engine().rates.set_group(name, limits);
        self.engine().all().iter().for_each(Core::limits_changed);
    }

    /// Stops: accepts nobody, closes connections, flushes, writes resume records and tells trackers, all within `patience`.
    /// True if all of it was done in time. Later calls do nothing.
    pub async fn shutdown(&self, patience: Duration) -> bool {
        let engine = self.engine();
        engine.stopped.store(true, Ordering::Release);
        self.running.listeners.iter().for_each(AbortHandle::abort);
        let leaving: Vec<_> = engine.all().into_iter().map(|core| tokio::spawn(leave::leave(core))).collect();
        let all = async {
            for task in leaving {
                // A task that panicked has nothing more to say.
                let _ = task.await;
            }
            engine.dht.save().await;
        };
        timeout(patience, all).await.is_ok()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.engine.stopped.store(true, Ordering::Release);
        self.listeners.iter().for_each(AbortHandle::abort);
        self.timers.abort();
        self.rates.abort();
        for core in self.engine.all() {
            leave::abandon(&core);
        }
    }
}
