//! Rate limits: what lies between sockets and the trees of [`riverrun_proto::rate`].
//!
//! A session has a tree for each direction. A torrent is a node of both ([`TorrentRates`]), a connection of any transport a leaf
//! ([`Meter`]). While no limit is set anywhere, a draw is one load of a flag and no connection is in a tree.

mod meter;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::Instant;

use riverrun_proto::address;
use riverrun_proto::rate::{NodeId, Tree};
use tokio::sync::Notify;

pub(crate) use self::meter::{Grant, Meter, Way};
use crate::Settings;
use crate::engine::Engine;

/// The most bytes a second each way, protocol included; `None` is no limit, 0 counts as 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    /// From peers.
    pub down: Option<u64>,
    /// To peers.
    pub up: Option<u64>,
}

/// The limits that the owner wants for a torrent from its beginning.
#[derive(Clone, Debug, Default)]
pub(crate) struct RateWish {
    pub(crate) limits: Limits,
    pub(crate) each: Limits,
    pub(crate) group: Option<String>,
}

/// All limits of a session.
#[derive(Debug)]
pub(crate) struct Rates {
    down: Arc<Direction>,
    up: Arc<Direction>,
    groups: Mutex<BTreeMap<String, [NodeId; 2]>>,
    /// Woken when somebody has to be served sooner than was planned.
    pump: Arc<Notify>,
    lan_unlimited: bool,
    count_overhead: bool,
}

/// The limits of one direction.
#[derive(Debug)]
struct Direction {
    /// Whether there is any limit. Read without the lock, as there is none most of the time.
    limited: AtomicBool,
    /// Bytes that went, ever.
    total: AtomicU64,
    queue: Mutex<Queue>,
    pump: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Queue {
    tree: Tree,
    /// Who is woken when the turn of a leaf has come.
    wakes: Vec<Option<Arc<Notify>>>,
    /// When those who wait will be looked at.
    planned: Option<Instant>,
}

impl Queue {
    /// Wakes those whose turn has come.
    fn wake(&mut self) {
        while let Some(leaf) = self.tree.poll() {
            if let Some(Some(wake)) = self.wakes.get(leaf.index()) {
                wake.notify_one();
            }
        }
    }
}

impl Direction {
    fn new(pump: Arc<Notify>) -> Self {
        Self { limited: AtomicBool::new(false), total: AtomicU64::new(0), queue: Mutex::default(), pump }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("no panic while the queue is locked")
    }

    /// Acts on the tree; whoever may go by that is woken, whoever has to be served sooner than was planned will be.
    fn act<R>(&self, act: impl FnOnce(&mut Queue, Instant) -> R) -> R {
        let mut queue = self.lock();
        let result = act(&mut queue, Instant::now());
        queue.wake();
        let next = queue.tree.next_timeout();
        let sooner = next.is_some_and(|next| queue.planned.is_none_or(|planned| next < planned));
        if sooner {
            queue.planned = next;
        }
        self.limited.store(queue.tree.is_limited(), Ordering::Relaxed);
        drop(queue);
        if sooner {
            self.pump.notify_one();
        }
        result
    }

    /// Serves those who wait; when to come again.
    fn serve(&self) -> Option<Instant> {
        let mut queue = self.lock();
        let now = Instant::now();
        if queue.tree.next_timeout().is_some_and(|due| due <= now) {
            queue.tree.timeout(now);
            queue.wake();
        }
        queue.planned = queue.tree.next_timeout();
        queue.planned
    }
}

impl Rates {
    pub(crate) fn new(settings: &Settings) -> Self {
        let pump = Arc::<Notify>::default();
        let direction = || Arc::new(Direction::new(pump.clone()));
        let rates = Self {
            down: direction(),
            up: direction(),
            groups: Mutex::default(),
            lan_unlimited: settings.lan_unlimited,
            count_overhead: settings.count_overhead,
            pump,
        };
        rates.set(Limits { down: settings.down_limit, up: settings.up_limit });
        rates
    }

    /// The limits of the whole session.
    pub(crate) fn set(&self, limits: Limits) {
        self.set_node([Tree::ROOT; 2], limits);
    }

    pub(crate) fn limits(&self) -> Limits {
        self.node([Tree::ROOT; 2])
    }

    /// The limits of a group, which is made if there is none of this name.
    pub(crate) fn set_group(&self, name: &str, limits: Limits) {
        self.set_node(self.group(name), limits);
    }

    /// The groups and their limits.
    pub(crate) fn groups(&self) -> BTreeMap<String, Limits> {
        let groups = self.groups.lock().expect("no panic while the groups are locked").clone();
        groups.into_iter().map(|(name, nodes)| (name, self.node(nodes))).collect()
    }

    /// Bytes that came and went, ever.
    pub(crate) fn totals(&self) -> (u64, u64) {
        (self.down.total.load(Ordering::Relaxed), self.up.total.load(Ordering::Relaxed))
    }

    fn group(&self, name: &str) -> [NodeId; 2] {
        let mut groups = self.groups.lock().expect("no panic while the groups are locked");
        *groups.entry(name.to_owned()).or_insert_with(|| self.add([Tree::ROOT; 2]))
    }

    /// A node of both trees.
    fn add(&self, parents: [NodeId; 2]) -> [NodeId; 2] {
        let add = |way, parent| self.direction(way).act(|queue, now| queue.tree.add(now, parent));
        [add(Way::Down, parents[0]), add(Way::Up, parents[1])]
    }

    fn node(&self, nodes: [NodeId; 2]) -> Limits {
        Limits { down: self.down.lock().tree.limit(nodes[0]), up: self.up.lock().tree.limit(nodes[1]) }
    }

    fn set_node(&self, nodes: [NodeId; 2], limits: Limits) {
        self.down.act(|queue, now| queue.tree.set_limit(now, nodes[0], limits.down));
        self.up.act(|queue, now| queue.tree.set_limit(now, nodes[1], limits.up));
    }

    fn direction(&self, way: Way) -> &Arc<Direction> {
        match way {
            Way::Down => &self.down,
            Way::Up => &self.up,
        }
    }

    /// Serves those who wait; when to come again.
    fn serve(&self) -> Option<Instant> {
        [self.down.serve(), self.up.serve()].into_iter().flatten().min()
    }
}

/// Serves those who wait their turn, as long as the session lives.
pub(crate) async fn run(engine: Weak<Engine>) {
    loop {
        let Some(strong) = engine.upgrade() else { return };
        let (next, pump) = (strong.rates.serve(), strong.rates.pump.clone());
        drop(strong);
        match next {
            Some(next) => tokio::select! {
                () = tokio::time::sleep_until(next.into()) => {}
                () = pump.notified() => {}
            },
            None => pump.notified().await,
        }
    }
}

/// The limits of one torrent.
#[derive(Debug)]
pub(crate) struct TorrentRates {
    rates: Arc<Rates>,
    /// Its nodes of the trees, once it has a connection or a limit of its own: idle torrents have none.
    nodes: OnceLock<[NodeId; 2]>,
    group: Mutex<Option<String>>,
}

impl TorrentRates {
    pub(crate) fn new(rates: &Arc<Rates>) -> Self {
        Self { rates: rates.clone(), nodes: OnceLock::new(), group: Mutex::default() }
    }

    fn nodes(&self) -> [NodeId; 2] {
        *self.nodes.get_or_init(|| self.rates.add([Tree::ROOT; 2]))
    }

    /// Its nodes if it has any; else those that hold for it in their place.
    fn holding(&self) -> [NodeId; 2] {
        self.nodes.get().copied().unwrap_or([Tree::ROOT; 2])
    }

    /// Sets what the owner wished for when he added it.
    pub(crate) fn begin(&self, wish: &RateWish) {
        if wish.limits != Limits::default() {
            self.set(wish.limits);
        }
        if wish.each != Limits::default() {
            self.set_each(wish.each);
        }
        if wish.group.is_some() {
            self.set_group(wish.group.as_deref());
        }
    }

    pub(crate) fn set(&self, limits: Limits) {
        self.rates.set_node(self.nodes(), limits);
    }

    pub(crate) fn limits(&self) -> Limits {
        self.nodes.get().map_or_else(Limits::default, |nodes| self.rates.node(*nodes))
    }

    /// The lowest limit on what comes for it, its own or one above, if that holds for everybody.
    pub(crate) fn lowest_down(&self) -> Option<u64> {
        if self.rates.lan_unlimited {
            return None;
        }
        self.rates.down.lock().tree.lowest(self.holding()[0])
    }

    /// What each of its connections that has something for us gets at least, if limits hold for everybody.
    pub(crate) fn down_share(&self) -> Option<u64> {
        let down = &self.rates.down;
        if self.rates.lan_unlimited || !down.limited.load(Ordering::Relaxed) {
            return None;
        }
        down.lock().tree.share(self.holding()[0])
    }

    /// The limits of each connection.
    pub(crate) fn set_each(&self, limits: Limits) {
        let [down, up] = self.nodes();
        self.rates.down.act(|queue, now| queue.tree.set_each(now, down, limits.down));
        self.rates.up.act(|queue, now| queue.tree.set_each(now, up, limits.up));
    }

    pub(crate) fn each(&self) -> Limits {
        let Some([down, up]) = self.nodes.get().copied() else { return Limits::default() };
        Limits { down: self.rates.down.lock().tree.each(down), up: self.rates.up.lock().tree.each(up) }
    }

    /// Moves it into a group, or out of all.
    pub(crate) fn set_group(&self, name: Option<&str>) {
        let mut group = self.group.lock().expect("no panic while the group is locked");
        let parents = name.map_or([Tree::ROOT; 2], |name| self.rates.group(name));
        let [down, up] = self.nodes();
        self.rates.down.act(|queue, now| queue.tree.set_parent(now, down, parents[0]));
        self.rates.up.act(|queue, now| queue.tree.set_parent(now, up, parents[1]));
        *group = name.map(ToOwned::to_owned);
    }

    pub(crate) fn group(&self) -> Option<String> {
        self.group.lock().expect("no panic while the group is locked").clone()
    }

    /// What a connection to this address draws from; `wake` is told when its turn has come.
    pub(crate) fn meter(&self, peer: IpAddr, wake: Arc<Notify>) -> Meter {
        let unlimited = self.rates.lan_unlimited && address::is_local(peer.to_canonical());
        let packet = self.rates.count_overhead.then(|| meter::Packet::to(peer));
        Meter::new([&self.rates.down, &self.rates.up], self.nodes(), wake, unlimited, packet)
    }
}

impl Drop for TorrentRates {
    fn drop(&mut self) {
        let Some([down, up]) = self.nodes.get().copied() else { return };
        self.rates.down.act(|queue, _| queue.tree.remove(down));
        self.rates.up.act(|queue, _| queue.tree.remove(up));
    }
}

#[cfg(test)]
mod tests;
