//! The session's node of the DHT: the machine of [`riverrun_proto::dht`] against the world.
//!
//! One lock around the node and the queue of lookups, held like a torrent's: whoever has an input locks, feeds, drains, unlocks, and
//! then does what must not be done under the lock: sends, and hands peers to torrents. Whoever holds a torrent's lock does not come
//! here. One task brings the time. Nothing exists before the first torrent takes part.

mod routers;
mod saved;
mod taking_part;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use riverrun_metainfo::WireHash;
use riverrun_proto::dht::limits::MAX_HINTS;
use riverrun_proto::dht::{
    Action, Announce, Command, Config, Contact, Family, FamilyConfig, Id, Input, LookupId, LookupReport, Node, Rounds,
    Status,
};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::sleep_until;

use crate::udp_hub::{Guest, UdpHub};
use crate::{DhtSettings, Net};

pub use routers::DEFAULT_ROUTERS;
use saved::{Saved, SavedSide};
pub(crate) use taking_part::{found_node, met_node, name_nodes, need_peers, port, reserved, review, speaks, withdraw};

/// How long after its start the node is saved for the first time: what a short run has learned is kept by its graceful end.
const FIRST_SAVE: Duration = Duration::from_secs(60);
/// How often it is saved from then on.
const SAVE_INTERVAL: Duration = Duration::from_secs(10 * 60);
/// How old a count for display may be.
const STATUS_AGE: Duration = Duration::from_millis(500);

/// Who takes the peers that are found.
pub(crate) trait Host: Send + Sync + std::fmt::Debug {
    /// Peers of a torrent were found.
    fn found(&self, info_hash: WireHash, peers: &[SocketAddr]);
    /// A lookup has ended. Whether the torrent has no peer to get what it lacks from; `None`: it takes part no more.
    fn done(&self, info_hash: WireHash, report: &LookupReport) -> Option<bool>;
    /// Our address as the outside sees it is known, or is another.
    fn outside(&self, _ip: IpAddr) {}
}

/// The node and those who wait for it.
#[derive(Debug)]
pub(crate) struct Dht {
    wish: DhtSettings,
    net: Net,
    hub: Arc<UdpHub>,
    /// Where we listen for peers; empty: nowhere, and the node announces nothing.
    listening: Vec<SocketAddr>,
    /// Where the node is kept between runs.
    file: Option<PathBuf>,
    host: OnceLock<Weak<dyn Host>>,
    runtime: Handle,
    state: Mutex<State>,
    /// Something is due earlier than the task knows.
    earlier: Arc<Notify>,
    task: OnceLock<Running>,
}

#[derive(Debug)]
struct State {
    node: Option<Node>,
    rounds: Rounds,
    /// What is told of the port that peers connect to; `None`: there is none.
    announce: Option<Announce>,
    /// Nodes that were named before there was a node of ours.
    hints: Vec<(SocketAddr, Option<Id>)>,
    /// When the task looks next.
    planned: Option<Instant>,
    /// It is time to save before the interval is over.
    save: bool,
    status: Option<(Instant, Status)>,
    place: saved::Place,
}

/// What is to be done once the lock is free.
#[derive(Debug, Default)]
struct Effects {
    sends: Vec<(SocketAddr, Vec<u8>)>,
    found: Vec<(WireHash, Vec<SocketAddr>)>,
    ended: Vec<(LookupId, Box<LookupReport>)>,
    outside: Vec<IpAddr>,
    earlier: bool,
}

/// Stops the task when dropped.
#[derive(Debug)]
struct Running(AbortHandle);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Dht {
    /// Nothing is opened, read or sent yet.
    pub(crate) fn new(
        mut wish: DhtSettings,
        net: Net,
        hub: Arc<UdpHub>,
        listening: Vec<SocketAddr>,
        state_dir: Option<&Path>,
        seed: u64,
    ) -> Self {
        let state = State {
            node: None,
            rounds: Rounds::new(seed),
            announce: None,
            hints: Vec::new(),
            planned: None,
            save: false,
            status: None,
            place: saved::Place::default(),
        };
        // Nodes are strangers: who meets nobody outside of the local networks meets none of them. Packets have no way through a
        // proxy, and whoever wants to tell little does not tell them.
        wish.on &= !net.addresses.is_local_only() && net.is_direct() && !net.anonymous;
        Self {
            wish,
            net,
            hub,
            listening,
            file: state_dir.map(|dir| dir.join("dht.dat")),
            host: OnceLock::new(),
            runtime: Handle::current(),
            state: Mutex::new(state),
            earlier: Arc::default(),
            task: OnceLock::new(),
        }
    }

    /// Who takes the peers.
    pub(crate) fn set_host(&self, host: Weak<dyn Host>) {
        // It is said once, by whoever made the node.
        let _ = self.host.set(host);
    }

    /// Whether the DHT is used at all.
    pub(crate) fn is_on(&self) -> bool {
        self.wish.on
    }

    /// Whether others may ask us: then peers are told of our node.
    pub(crate) fn is_open(&self) -> bool {
        self.wish.on && !self.wish.read_only
    }

    /// The UDP port that peers are told, if they are told one.
    pub(crate) fn port(&self) -> Option<u16> {
        let addrs = self.is_open().then(|| self.hub.addrs().ok())??;
        addrs.first().map(SocketAddr::port)
    }

    /// A torrent takes part: it is looked up, and announced if we listen. Never a private one (BEP 27). `seed`: we have all of it.
    /// Nothing of its metadata need be known.
    pub(crate) fn join(self: &Arc<Self>, info_hash: WireHash, seed: bool) {
        if self.wish.on {
            self.start();
            self.act(|state, now| state.rounds.join(now, info_hash, seed));
        }
    }

    /// A torrent takes part no more.
    pub(crate) fn leave(self: &Arc<Self>, info_hash: WireHash) {
        if !self.wish.on {
            return;
        }
        self.act(|state, now| {
            if let (Some(id), Some(node)) = (state.rounds.leave(info_hash), &mut state.node) {
                node.handle(now, Input::Command(Command::Stop { id }));
            }
        });
    }

    /// A torrent lacks peers.
    pub(crate) fn need_peers(self: &Arc<Self>, info_hash: WireHash) {
        if self.wish.on {
            self.act(|state, _| state.rounds.need_peers(info_hash));
        }
    }

    /// Somebody named a node: a peer that is connected, a torrent, the user.
    pub(crate) fn add_node(self: &Arc<Self>, addr: SocketAddr) {
        if !self.wish.on || self.net.addresses.may_meet(addr.ip()).is_err() {
            return;
        }
        self.act(|state, now| match &mut state.node {
            Some(node) => node.handle(now, Input::Command(Command::AddNode { addr, id: None })),
            None if state.hints.len() < MAX_HINTS => state.hints.push((addr, None)),
            None => {}
        });
    }

    /// A tracker told our address (BEP 24). What nodes say counts for more: one tracker may lie.
    pub(crate) fn external(self: &Arc<Self>, ip: IpAddr) {
        if !self.wish.on {
            return;
        }
        self.act(|state, now| {
            let Some(node) = &mut state.node else { return };
            let families = node.status(now).families;
            if families.iter().any(|side| side.family == Family::of(ip) && side.external.is_none()) {
                node.handle(now, Input::Command(Command::SetExternal { ip }));
            }
        });
    }

    /// Our addresses as nodes see them, as far as known.
    pub(crate) fn outside(&self) -> Vec<IpAddr> {
        let families = self.status().map(|status| status.families).unwrap_or_default();
        families.iter().filter_map(|side| side.external).collect()
    }

    /// How it is doing; `None`: it is off, or nobody has needed it yet.
    pub(crate) fn status(&self) -> Option<Status> {
        let mut state = self.lock();
        let now = Instant::now();
        let node = state.node.as_ref()?;
        if let Some((since, status)) = &state.status
            && now.saturating_duration_since(*since) < STATUS_AGE
        {
            return Some(status.clone());
        }
        let status = node.status(now);
        state.status = Some((now, status.clone()));
        Some(status)
    }

    /// Nodes known in both families; `None` as long as the DHT is off or was not needed.
    pub(crate) fn nodes(&self) -> Option<usize> {
        let status = self.status()?;
        Some(status.families.iter().map(|side| side.good + side.questionable).sum())
    }

    /// Brings the node to life, if nobody has yet.
    pub(crate) fn start(self: &Arc<Self>) {
        self.task.get_or_init(|| Running(self.runtime.spawn(run(Arc::downgrade(self))).abort_handle()));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A machine that panicked is a broken invariant of ours; torrents go on without it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks, acts, lets the machines go on, unlocks, and does what they want.
    fn act<R>(self: &Arc<Self>, act: impl FnOnce(&mut State, Instant) -> R) -> R {
        let mut effects = Effects::default();
        let result = {
            let mut state = self.lock();
            let now = Instant::now();
            let result = act(&mut state, now);
            state.drain(now, &mut effects);
            result
        };
        self.carry_out(effects);
        result
    }

    fn carry_out(self: &Arc<Self>, effects: Effects) {
        for (to, bytes) in effects.sends {
            // Whoever named the address, this is the door.
            if self.net.addresses.may_meet(to.ip()).is_ok() {
                self.hub.send_now(to, &bytes);
            }
        }
        if effects.earlier {
            self.earlier.notify_one();
        }
        let host = self.host.get().and_then(Weak::upgrade);
        for (info_hash, peers) in effects.found {
            host.iter().for_each(|host| host.found(info_hash, &peers));
        }
        for ip in effects.outside {
            host.iter().for_each(|host| host.outside(ip));
        }
        for (id, report) in effects.ended {
            let Some(info_hash) = self.lock().rounds.torrent(id) else { continue };
            let hungry = host.as_ref().and_then(|host| host.done(info_hash, &report));
            self.act(|state, now| match hungry {
                Some(hungry) => state.rounds.done(now, id, &report, hungry),
                None => _ = state.rounds.leave(info_hash),
            });
        }
    }

    /// Opens the sockets and makes the node.
    fn open(self: &Arc<Self>, saved: Saved, place: saved::Place) -> std::io::Result<()> {
        let addrs = self.hub.addrs()?;
        let takes_part = |v4: bool| {
            let listens = self.listening.is_empty() || self.listening.iter().any(|addr| addr.is_ipv4() == v4);
            listens && addrs.iter().any(|addr| addr.is_ipv4() == v4)
        };
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(std::io::Error::other)?;
        let config = Config {
            v4: takes_part(true).then(|| side(saved.v4)),
            v6: takes_part(false).then(|| side(saved.v6)),
            read_only: self.wish.read_only,
            ..Config::new(seed)
        };
        let port = self.listening.first().map(SocketAddr::port).filter(|_| !self.wish.read_only);
        // Before the first packet leaves: its answer must find us.
        self.hub.attach(Arc::downgrade(self) as Weak<dyn Guest>);
        let implied_port = addrs.iter().all(|addr| Some(addr.port()) == port);
        self.act(|state, now| {
            let mut node = Node::new(now, &config);
            let named = std::mem::take(&mut state.hints);
            let saved = saved.nodes.iter().map(|contact| (contact.addr, Some(contact.id)));
            let may_meet = |(addr, _): &(SocketAddr, _)| self.net.addresses.may_meet(addr.ip()).is_ok();
            for (addr, id) in named.into_iter().chain(saved).filter(may_meet) {
                node.handle(now, Input::Command(Command::AddNode { addr, id }));
            }
            state.announce = port.map(|port| Announce { port, implied_port, seed: false });
            state.node = Some(node);
            state.place = place;
        });
        Ok(())
    }

    /// Does what is due; when to come again.
    fn tick(self: &Arc<Self>) -> Option<Instant> {
        self.act(|state, now| {
            if let Some(node) = &mut state.node
                && node.next_timeout().is_some_and(|due| due <= now)
            {
                node.handle(now, Input::Timeout);
            }
        });
        let mut state = self.lock();
        state.planned = state.next_timeout();
        state.planned
    }

    /// Keeps the node for the next run.
    pub(crate) async fn save(self: &Arc<Self>) {
        let (saved, place) = {
            let mut state = self.lock();
            state.save = false;
            let now = Instant::now();
            let Some(node) = &state.node else { return };
            (Saved::of(&node.status(now), node.snapshot(now)), state.place.clone())
        };
        let written = self.runtime.spawn_blocking(move || place.write(saved)).await;
        if let Ok(Err(error)) = written {
            tracing::warn!(%error, "the nodes of the DHT are not kept");
        }
    }
}

impl Guest for Dht {
    fn packet(self: Arc<Self>, from: SocketAddr, bytes: &[u8]) {
        if self.net.addresses.may_meet(from.ip().to_canonical()).is_ok() {
            self.act(|state, now| {
                if let Some(node) = &mut state.node {
                    node.handle(now, Input::Packet { from, bytes });
                }
            });
        }
    }
}

impl State {
    /// Starts the lookups that are due and takes what the node wants done.
    fn drain(&mut self, now: Instant, effects: &mut Effects) {
        let Some(node) = &mut self.node else { return };
        loop {
            while let Some(action) = node.poll() {
                match action {
                    Action::Send { to, bytes } => effects.sends.push((to, bytes)),
                    Action::Peers { info_hash, peers, .. } => effects.found.push((info_hash, peers)),
                    Action::LookupDone { id, report } => effects.ended.push((id, report)),
                    Action::IdChanged { family, external, .. } => {
                        tracing::info!(?family, %external, "our address in the DHT");
                        effects.outside.push(external);
                        self.save = true;
                        self.rounds.again(now);
                    }
                    Action::Item { .. } => {}
                }
            }
            let Some(due) = self.rounds.next(now) else { break };
            let announce = self.announce.map(|announce| Announce { seed: due.seed, ..announce });
            let (id, info_hash, no_seed) = (due.id, due.info_hash, due.seed);
            node.handle(now, Input::Command(Command::GetPeers { id, info_hash, announce, scrape: false, no_seed }));
        }
        if let (Some(due), Some(planned)) = (self.next_timeout(), self.planned) {
            effects.earlier = due < planned;
        }
        effects.earlier |= self.save || self.planned.is_none();
    }

    fn next_timeout(&self) -> Option<Instant> {
        let node = self.node.as_ref()?;
        node.next_timeout().into_iter().chain(self.rounds.next_timeout()).min()
    }
}

fn side<Ip>(saved: Option<SavedSide<Ip>>) -> FamilyConfig<Ip> {
    saved.map_or_else(FamilyConfig::default, |saved| FamilyConfig { id: Some(saved.id), external: saved.external })
}

/// Brings the node to life, and brings it the time as long as the session lives.
async fn run(dht: Weak<Dht>) {
    let Some(strong) = dht.upgrade() else { return };
    let (file, keeps) = (strong.file.clone(), !strong.wish.read_only);
    let read = strong.runtime.spawn_blocking(move || saved::Place::take(file, keeps)).await;
    let Ok((place, saved)) = read else { return };
    let knows: Vec<Contact> = saved.nodes.clone();
    if let Err(error) = strong.open(saved, place) {
        tracing::warn!(%error, "the DHT cannot be used");
        return;
    }
    let earlier = strong.earlier.clone();
    let hints = !knows.is_empty();
    let _routers = Running(strong.runtime.spawn(routers::keep(dht.clone(), hints)).abort_handle());
    drop(strong);
    let mut save_at = Instant::now() + FIRST_SAVE;
    loop {
        let Some(strong) = dht.upgrade() else { return };
        let due = strong.tick();
        if let Err(error) = strong.hub.addrs() {
            // The device is gone: the sockets come back with it, and until then packets are lost.
            tracing::debug!(%error, "no sockets");
        }
        let now = Instant::now();
        if now >= save_at || strong.lock().save {
            strong.save().await;
            save_at = now + SAVE_INTERVAL;
        }
        drop(strong);
        // The runtime's timer knows no finer steps, and what is due at once must not keep a thread busy.
        let due = due.unwrap_or(save_at).min(save_at).max(now + Duration::from_millis(1));
        tokio::select! {
            () = sleep_until(due.into()) => {}
            () = earlier.notified() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::Ipv4Addr;

    use riverrun_proto::dht::is_secure;

    use super::*;

    #[tokio::test]
    async fn l14_a_new_address_is_a_new_id_and_both_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (wish, net) = (DhtSettings { on: true, read_only: false, routers: Vec::new() }, Net::default());
        let listening = vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))];
        let hub = Arc::new(UdpHub::new(1, net.clone(), listening.clone()));
        let dht = Arc::new(Dht::new(wish, net, hub, listening, Some(dir.path()), 1));
        dht.join(WireHash([7; 20]), true);
        let file = dir.path().join("dht.dat");
        let outside: IpAddr = "8.8.4.4".parse().unwrap();
        while !file.exists() {
            // What a tracker says counts once there is a node.
            dht.external(outside);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let node = dht.lock().node.as_ref().unwrap().status(Instant::now()).families[0];
        assert_eq!(node.external, Some(outside));
        assert!(is_secure(node.id, outside));
        assert_eq!(dht.outside(), [outside]);
        dht.external("9.9.9.9".parse().unwrap());
        assert_eq!(dht.lock().node.as_ref().unwrap().status(Instant::now()).families[0], node, "one tracker may lie");
        let (_, kept) = saved::Place::take(Some(file), false);
        assert_eq!((kept.v4, kept.nodes.len()), (None, 0), "who is not that node takes its contacts alone");
    }
}
