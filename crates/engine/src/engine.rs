//! What all torrents of a session share.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use riverrun_metainfo::{InfoHashes, WireHash};
use riverrun_proto::limits::MAX_ANNOUNCES;
use riverrun_proto::mse::TorrentMark;
use riverrun_proto::swarm::ConnectionId;
use riverrun_proto::wire::PeerId;
use riverrun_storage::{Disk, Pool, Shelf};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinHandle};

use crate::ask_tracker::Ask;
use crate::drive::dht::Dht;
use crate::drive::listen::{HandshakeLimits, Handshakes};
use crate::drive::lsd::Lsd;
use crate::drive::openings::Openings;
use crate::drive::timer::Timers;
use crate::drive::web_seed::WebServers;
use crate::drive::{Brain, Core};
use crate::errands::{Errands, NotDone};
use crate::events::Announcements;
use crate::http::Http;
use crate::rate::Rates;
use crate::udp_hub::UdpHub;
use crate::{Settings, TorrentId};

/// Budgets, disk threads, timers and the table of torrents.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) settings: Settings,
    pub(crate) peer_id: PeerId,
    /// Draws the seeds of torrents.
    pub(crate) seeds: Mutex<fastrand::Rng>,
    pub(crate) disk: Disk,
    /// Where the descriptions of torrents lie.
    pub(crate) shelf: Shelf,
    pub(crate) rates: Arc<Rates>,
    /// One permit for each connection, from before it is dialled until it is closed.
    pub(crate) connections: Arc<Semaphore>,
    /// One permit for each connection that is being opened.
    pub(crate) dials: Semaphore,
    /// Torrents that are being opened, few at a time: each takes threads that block, and a check takes every core.
    pub(crate) openings: Openings,
    errands: Errands,
    /// One permit for each announce under way (THREATS M18).
    pub(crate) announces: Semaphore,
    pub(crate) handshakes: Arc<Handshakes>,
    pub(crate) timers: Arc<Timers>,
    pub(crate) lsd: Arc<Lsd>,
    pub(crate) events: Announcements,
    pub(crate) listening: Vec<SocketAddr>,
    pub(crate) http: Http,
    pub(crate) web_servers: WebServers,
    pub(crate) udp: Arc<UdpHub>,
    pub(crate) dht: Arc<Dht>,
    pub(crate) stopped: AtomicBool,
    torrents: Mutex<Torrents>,
    next_connection: AtomicU64,
    runtime: Handle,
}

#[derive(Debug, Default)]
struct Torrents {
    next: u64,
    by_id: BTreeMap<TorrentId, Arc<Core>>,
    /// Only looked up, never walked. `None`: the name is taken, its torrent is being opened.
    by_hash: HashMap<WireHash, Option<Arc<Core>>>,
    /// What MSE calls the torrents that were entered. Only looked up, too.
    by_mark: HashMap<TorrentMark, WireHash>,
}

impl Torrents {
    /// Makes a torrent known by its hashes.
    fn name(&mut self, core: &Arc<Core>) {
        for hash in core.info_hashes().wire_all() {
            self.by_hash.insert(hash, Some(core.clone()));
            self.by_mark.insert(TorrentMark::of(hash), hash);
        }
    }
}

impl Engine {
    pub(crate) fn new(
        settings: Settings,
        peer_id: PeerId,
        seed: u64,
        udp_seed: u64,
        listening: Vec<SocketAddr>,
    ) -> Self {
        let disk = Disk::start(riverrun_storage::DiskConfig {
            threads: settings.disk_threads,
            pool_bytes: settings.memory_bytes,
        });
        // Where nobody may come by UDP there is no need of a port that others know, nor of an address.
        let udp = Arc::new(UdpHub::new(
            udp_seed,
            settings.net.clone(),
            if settings.dht.on { listening.clone() } else { Vec::new() },
        ));
        let mut seeds = fastrand::Rng::with_seed(seed);
        let dht = Dht::new(
            settings.dht.clone(),
            settings.net.clone(),
            udp.clone(),
            listening.clone(),
            settings.state_dir.as_deref(),
            seeds.u64(..),
        );
        Self {
            peer_id,
            seeds: Mutex::new(seeds),
            disk,
            shelf: Shelf::new(settings.state_dir.as_deref()),
            rates: Arc::new(Rates::new(&settings)),
            connections: Arc::new(Semaphore::new(settings.max_connections)),
            dials: Semaphore::new(settings.max_dials),
            openings: Openings::default(),
            errands: Errands::default(),
            announces: Semaphore::new(MAX_ANNOUNCES),
            handshakes: Arc::default(),
            timers: Arc::default(),
            lsd: Arc::default(),
            events: Announcements::new(settings.event_backlog),
            listening,
            web_servers: WebServers::default(),
            http: Http::new(settings.user_agent.clone(), settings.net.clone()),
            udp,
            dht: Arc::new(dht),
            stopped: AtomicBool::new(false),
            torrents: Mutex::default(),
            next_connection: AtomicU64::new(0),
            runtime: Handle::current(),
            settings,
        }
    }

    /// The share of the memory for payload that is in use, 0 to 1; all of it if the disk cannot keep up.
    pub(crate) fn used(&self) -> f32 {
        if self.disk.is_behind() { 1.0 } else { self.pool().used() }
    }

    pub(crate) fn pool(&self) -> &Pool {
        self.disk.pool()
    }

    pub(crate) fn seed(&self) -> u64 {
        self.seeds.lock().expect("no panic while the generator is locked").u64(..)
    }

    pub(crate) fn next_connection(&self) -> ConnectionId {
        ConnectionId(self.next_connection.fetch_add(1, Ordering::Relaxed))
    }

    /// The port that peers and trackers are told.
    pub(crate) fn listen_port(&self) -> Option<u16> {
        self.listening.first().map(SocketAddr::port)
    }

    /// What it takes to ask a tracker.
    pub(crate) fn ask(&self) -> Ask<'_> {
        let listens = |v4: bool| self.listening.iter().any(|addr| addr.is_ipv4() == v4);
        Ask { net: &self.settings.net, http: &self.http, udp: &self.udp, v4: listens(true), v6: listens(false) }
    }

    pub(crate) fn handshake_limits(&self) -> HandshakeLimits {
        HandshakeLimits {
            all: self.settings.max_handshakes,
            per_address: self.settings.max_handshakes_per_address,
            loopback_exempt: self.settings.loopback_exempt,
        }
    }

    /// Runs a task on the session's runtime, from any thread.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.runtime.spawn(task));
    }

    /// Runs a task on the session's runtime and waits until it is over, whatever becomes of it.
    pub(crate) async fn finish(&self, task: impl Future<Output = ()> + Send + 'static) {
        // A task that panicked has said so.
        let _ = self.runtime.spawn(task).await;
    }

    pub(crate) fn spawn_abortable(&self, task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        self.runtime.spawn(task).abort_handle()
    }

    /// Does a short piece of work that blocks, a few at a time.
    ///
    /// # Errors
    /// The work panicked, or the session is going.
    pub(crate) async fn blocking<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, NotDone> {
        self.errands.run(work).await
    }

    /// Runs what blocks for long on a thread where that is allowed, from any thread.
    pub(crate) fn spawn_blocking<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> JoinHandle<R> {
        self.runtime.spawn_blocking(work)
    }

    fn torrents(&self) -> MutexGuard<'_, Torrents> {
        self.torrents.lock().expect("no panic while the table is locked")
    }

    /// Takes a torrent's name so that nobody else adds it; false if it is there already.
    pub(crate) fn reserve(&self, hashes: InfoHashes) -> Option<TorrentId> {
        let mut torrents = self.torrents();
        if hashes.wire_all().any(|hash| torrents.by_hash.contains_key(&hash)) {
            return None;
        }
        torrents.by_hash.extend(hashes.wire_all().map(|hash| (hash, None)));
        torrents.next += 1;
        Some(TorrentId(torrents.next))
    }

    /// Enters a torrent whose name was reserved.
    pub(crate) fn enter(&self, core: &Arc<Core>) {
        let mut torrents = self.torrents();
        torrents.name(core);
        torrents.by_id.insert(core.id, core.clone());
    }

    /// Enters a torrent under the hashes that its metadata brought; false if it is gone, or is here already under one of them.
    pub(crate) fn enter_all(&self, core: &Arc<Core>) -> bool {
        let mut torrents = self.torrents();
        let hashes = || core.info_hashes().wire_all();
        let mut others = hashes().filter_map(|hash| torrents.by_hash.get(&hash));
        let taken = others.any(|other| other.as_ref().is_none_or(|other| other.id != core.id));
        if taken || !torrents.by_id.contains_key(&core.id) {
            return false;
        }
        torrents.name(core);
        true
    }

    /// Frees a torrent's name, and forgets it if it was entered.
    pub(crate) fn forget(&self, id: TorrentId, hashes: InfoHashes) {
        let mut torrents = self.torrents();
        torrents.by_id.remove(&id);
        for hash in hashes.wire_all() {
            if let Entry::Occupied(entry) = torrents.by_hash.entry(hash)
                && entry.get().as_ref().is_none_or(|core| core.id == id)
            {
                entry.remove();
                torrents.by_mark.remove(&TorrentMark::of(hash));
            }
        }
    }

    /// The torrent that peers call by this hash, if it exchanges now.
    pub(crate) fn find_open(&self, hash: WireHash) -> Option<Arc<Core>> {
        self.find_wire(hash).filter(|core| core.look(Brain::is_open))
    }

    /// The hash that an MSE handshake means by this mark, if its torrent exchanges now.
    pub(crate) fn find_marked(&self, mark: TorrentMark) -> Option<WireHash> {
        let hash = self.torrents().by_mark.get(&mark).copied()?;
        self.find_open(hash).map(|_| hash)
    }

    /// The torrent that peers call by this hash.
    pub(crate) fn find_wire(&self, hash: WireHash) -> Option<Arc<Core>> {
        self.torrents().by_hash.get(&hash).cloned().flatten()
    }

    /// All torrents, in the order they were added.
    pub(crate) fn all(&self) -> Vec<Arc<Core>> {
        self.torrents().by_id.values().cloned().collect()
    }
}
