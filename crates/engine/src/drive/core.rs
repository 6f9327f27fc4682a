//! One torrent: its machines behind one lock, and what is done once the lock is free.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Instant;

use riverrun_metainfo::info::Info;
use riverrun_metainfo::{InfoHashes, Layout, Magnet, Metainfo, PieceIndex, Span};
use riverrun_proto::limits::MAX_CANDIDATES;
use riverrun_proto::swarm::{
    CloseReason, Command, Connected, ConnectionId, DialError, Input, Source, SwarmStatus, WebSeedId,
};
use riverrun_proto::web_seed::WebSeedError;
use riverrun_proto::wire::Message;
use riverrun_storage::{Done, DoneSink, FileStorage, StorageError, VerifyOutcome};
use tokio::sync::Notify;

use super::brain::{Brain, Effects, Errand};
use super::choice::Choice;
use super::content::{Content, Options};
use super::link::Outbox;
use super::stage::Outcome;
use super::store::Store;
use super::write_runs::Payloads;
use super::{dht, dial, metadata, open, tracker, web_seed};
use crate::engine::Engine;
use crate::rate::TorrentRates;
use crate::sharing::{SeedLimits, Volume};
use crate::{AddTorrent, Event, EventKind, TorrentError, TorrentId};

/// One torrent of a session.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) id: TorrentId,
    pub(crate) engine: Arc<Engine>,
    /// The link it was added by; none if it was added with its metadata.
    link: Option<Box<Magnet>>,
    /// What the owner wants done once the metadata is here; nothing until he says it.
    plan: Mutex<Option<Box<AddTorrent>>>,
    metainfo: OnceLock<Arc<Metainfo>>,
    content: OnceLock<Content>,
    /// Gone once the torrent has left, so that its files are free for others.
    store: Mutex<Option<Store>>,
    pub(crate) totals: Totals,
    pub(crate) rates: TorrentRates,
    /// Content that was there and right before the exchange began, in bytes.
    pub(crate) found_bytes: OnceLock<u64>,
    cell: Mutex<Brain>,
    /// Held while files are made ready, so that what is wanted of them does not change meanwhile.
    pub(crate) preparing: tokio::sync::Mutex<()>,
    /// Dials and announces under way are waited for by nobody any more.
    is_stopping: AtomicBool,
    /// Tells them so.
    stopping: Notify,
    /// Woken when a connection is gone, and when the metadata is here.
    pub(crate) quiet: Notify,
    /// Woken when a piece is here, and when the torrent turns to something else.
    pub(crate) pieces: Notify,
}

/// What a torrent is added by.
#[derive(Debug)]
pub(crate) enum Origin {
    File(Arc<Metainfo>),
    Link(Box<Magnet>),
}

/// Payload exchanged in earlier runs, in bytes.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) down: AtomicU64,
    pub(crate) up: AtomicU64,
}

impl Totals {
    /// With what this run came to.
    pub(crate) fn volume(&self, status: &SwarmStatus) -> Volume {
        Volume {
            down: self.down.load(Ordering::Relaxed) + status.down_bytes,
            up: self.up.load(Ordering::Relaxed) + status.up_bytes,
            have: status.wanted_bytes.saturating_sub(status.left_bytes),
        }
    }
}

/// The messages and payloads of one read of a socket.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) messages: Vec<Message>,
    pub(crate) payloads: Payloads,
}

impl Core {
    pub(crate) fn new(
        id: TorrentId,
        engine: Arc<Engine>,
        origin: Origin,
        plan: Option<Box<AddTorrent>>,
        brain: Brain,
    ) -> Arc<Self> {
        let (cell, rates) = (Mutex::new(brain), TorrentRates::new(&engine.rates));
        let (metainfo, link) = match origin {
            Origin::File(metainfo) => (OnceLock::from(metainfo), None),
            Origin::Link(link) => (OnceLock::new(), Some(link)),
        };
        Arc::new(Self {
            id,
            engine,
            link,
            plan: Mutex::new(plan),
            metainfo,
            content: OnceLock::new(),
            store: Mutex::new(None),
            totals: Totals::default(),
            rates,
            found_bytes: OnceLock::new(),
            cell,
            preparing: tokio::sync::Mutex::default(),
            is_stopping: AtomicBool::new(false),
            stopping: Notify::new(),
            quiet: Notify::new(),
            pieces: Notify::new(),
        })
    }

    /// As far as they are known.
    pub(crate) fn info_hashes(&self) -> InfoHashes {
        let told = || self.link.as_ref().expect("who has no link came with the metadata").info_hashes;
        self.metainfo.get().map_or_else(told, |metainfo| metainfo.hashes())
    }

    /// Whether its peers may come from trackers and the owner alone (BEP 27); not before the metadata says so.
    pub(crate) fn is_private(&self) -> bool {
        self.metainfo.get().is_some_and(|metainfo| metainfo.info().is_private())
    }

    /// The link it was added by.
    pub(crate) fn link(&self) -> Option<&Magnet> {
        self.link.as_deref()
    }

    /// The torrent file, or what stands for it once the metadata is here.
    pub(crate) fn metainfo(&self) -> Option<&Arc<Metainfo>> {
        self.metainfo.get()
    }

    /// The metadata is here.
    pub(crate) fn set_metainfo(&self, metainfo: Arc<Metainfo>) {
        // It has been here already: then it is the same, as the hash says.
        let _ = self.metainfo.set(metainfo);
    }

    /// What is to be done once the metadata is here, if that was said.
    pub(crate) fn take_plan(&self) -> Option<AddTorrent> {
        self.plan.lock().expect("no panic while the plan is locked").take().map(|plan| *plan)
    }

    /// Its place is decided; false if it was before.
    /// `choice`: what the owner said about its files, if anything.
    pub(crate) fn decide(&self, content: Content, store: Store, choice: Option<Choice>) -> bool {
        let mut place = self.store.lock().expect("no panic while the store is locked");
        let first = self.content.set(content).is_ok();
        if first {
            let mut brain = self.lock();
            (brain.chosen, brain.choice) = (choice.is_some(), choice.unwrap_or_default());
            drop(brain);
            *place = Some(store);
        }
        first
    }

    /// What it is, if its metadata is here and its place is decided.
    pub(crate) fn decided(&self) -> Option<&Content> {
        self.content.get()
    }

    /// What it is. Whoever asks has seen that its files are being opened, or are open.
    pub(crate) fn content(&self) -> &Content {
        self.decided().expect("files are opened once it is decided where")
    }

    pub(crate) fn info(&self) -> &Arc<Info> {
        &self.content().info
    }

    pub(crate) fn options(&self) -> &Options {
        &self.content().options
    }

    pub(crate) fn layout(&self) -> &Arc<Layout> {
        self.info().layout()
    }

    /// Where its bytes rest, as long as it has not left.
    pub(crate) fn store(&self) -> Result<Store, TorrentError> {
        let store = self.store.lock().expect("no panic while the store is locked");
        store.clone().ok_or(TorrentError::Stopped)
    }

    /// Lets go of its files. Disk threads may hold them a little longer; what is given back tells how long. A storage of the caller's is
    /// the caller's to let go of.
    pub(crate) fn drop_store(&self) -> Option<Weak<FileStorage>> {
        let store = self.store.lock().expect("no panic while the store is locked").take()?;
        store.files().map(Arc::downgrade)
    }

    /// Looks at the brain without changing it.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&Brain) -> R) -> R {
        look(&self.lock())
    }

    /// Locks, acts, plans the next look, unlocks, and then does what the act led to.
    pub(crate) fn act<R>(self: &Arc<Self>, act: impl FnOnce(&mut Brain, Instant, &mut Effects) -> R) -> R {
        let mut effects = Effects::begin();
        let result = {
            let mut brain = self.lock();
            brain.acts += 1;
            let now = Instant::now();
            let result = act(&mut brain, now, &mut effects);
            brain.plan(now, &mut effects);
            result
        };
        self.carry_out(effects);
        result
    }

    fn lock(&self) -> MutexGuard<'_, Brain> {
        // A machine that panicked is a broken invariant of ours; its torrent goes on with what it knows, and so do the others.
        self.cell.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn carry_out(self: &Arc<Self>, mut effects: Effects) {
        for wake in effects.wakes.drain(..) {
            wake.notify_one();
        }
        if let Some(due) = effects.schedule {
            self.engine.timers.schedule(due, Arc::downgrade(self));
        }
        for (addr, ways) in effects.dials.drain(..) {
            self.engine.spawn(dial::dial(self.clone(), addr, ways));
        }
        for seed in effects.web_seeds.drain(..) {
            self.engine.spawn(web_seed::open(self.clone(), seed));
        }
        let turned = effects.events.iter().any(|kind| matches!(kind, EventKind::Phase(_) | EventKind::Metadata));
        let news = |kind: &EventKind| matches!(kind, EventKind::PieceDone(_) | EventKind::Phase(_));
        if effects.events.iter().any(news) {
            self.pieces.notify_waiters();
        }
        for kind in effects.events.drain(..) {
            self.emit(kind);
        }
        if turned {
            dht::review(self);
        }
        for errand in effects.errands.drain(..) {
            match errand {
                Errand::Announce(job) => self.engine.spawn(tracker::announce(self.clone(), job)),
                Errand::Resolve(named) => self.engine.spawn(tracker::resolve(self.clone(), named)),
                Errand::NeedPeers => dht::need_peers(self),
                Errand::Node(addr) => dht::found_node(self, addr),
                Errand::External(ip) => self.engine.dht.external(ip),
                Errand::SaveResume { have, presence, told } => {
                    self.engine.spawn(open::save_resume(self.clone(), have, presence, told));
                }
                Errand::LastLook { have, presence } => self.engine.spawn(open::last_look(self.clone(), have, presence)),
                Errand::JudgeMetadata(parts) => self.engine.spawn(metadata::judge(self.clone(), parts)),
                Errand::LookAgain => self.engine.spawn(open::look_again(self.clone())),
            }
        }
        effects.end();
    }

    pub(crate) fn emit(&self, kind: EventKind) {
        self.engine.events.send(Event { torrent: self.id, kind });
    }

    /// The messages of one read of a socket: feeds them, and hands over what there is to send. A reason to close, if any.
    pub(crate) fn received(
        self: &Arc<Self>,
        connection: ConnectionId,
        batch: &mut Batch,
        outbox: &mut Outbox,
    ) -> Option<CloseReason> {
        let used = self.engine.used();
        let closing = self.act(|brain, now, effects| {
            brain.attend(connection, &mut outbox.missed);
            if !outbox.served.is_empty() {
                let input = Input::Served { connection, blocks: &outbox.served };
                brain.feed(now, input, &mut Payloads::default(), effects);
                outbox.served.clear();
            }
            if !batch.messages.is_empty() {
                let input = Input::Received { connection, messages: &batch.messages };
                brain.feed(now, input, &mut batch.payloads, effects);
                brain.look_at_room(now, used, effects);
            }
            brain.collect(connection, outbox)
        });
        batch.messages.clear();
        batch.payloads.clear();
        closing
    }

    /// A connection is ready for messages; false if nobody wants it.
    pub(crate) fn connected(self: &Arc<Self>, connected: Connected, wake: Arc<Notify>) -> bool {
        if !connected.incoming && connected.handshake.reserved.dht() {
            dht::met_node(self, connected.addr);
        }
        self.act(|brain, now, effects| brain.connected(now, connected, wake, effects))
    }

    /// Somebody is ready to ask a web seed; false if there is nothing to exchange.
    pub(crate) fn web_seed_opened(
        self: &Arc<Self>,
        seed: WebSeedId,
        connection: ConnectionId,
        wake: Arc<Notify>,
    ) -> bool {
        self.act(|brain, now, effects| brain.web_seed_opened(now, seed, connection, wake, effects))
    }

    /// A web seed has not a file with these pieces.
    pub(crate) fn web_seed_lacks(
        self: &Arc<Self>,
        connection: ConnectionId,
        pieces: &[PieceIndex],
        error: WebSeedError,
    ) {
        self.act(|brain, now, effects| {
            let input = Input::WebSeedLacks { connection, pieces, error };
            brain.feed(now, input, &mut Payloads::default(), effects);
        });
    }

    pub(crate) fn closed(self: &Arc<Self>, connection: ConnectionId, reason: CloseReason) {
        self.act(|brain, now, effects| brain.closed(now, connection, reason, effects));
        self.quiet.notify_waiters();
    }

    pub(crate) fn dial_failed(self: &Arc<Self>, addr: SocketAddr, error: DialError) {
        self.act(|brain, now, effects| {
            brain.feed(now, Input::DialFailed { addr, error }, &mut Payloads::default(), effects);
        });
    }

    /// Peers to try, from anywhere.
    pub(crate) fn candidates(self: &Arc<Self>, source: Source, addrs: &[SocketAddr]) {
        self.act(|brain, now, effects| {
            if brain.exchange.is_none() {
                let room = MAX_CANDIDATES.saturating_sub(brain.early.len());
                brain.early.extend(addrs.iter().take(room).map(|addr| (source, *addr)));
            }
            brain.feed(now, Input::Candidates { source, addrs }, &mut Payloads::default(), effects);
        });
    }

    pub(crate) fn timeout(self: &Arc<Self>) {
        let (used, share) = (self.engine.used(), self.rates.down_share());
        self.act(|brain, now, effects| {
            brain.timeout(now, used, share, effects);
            if brain.sharing.next_timeout().is_some_and(|due| due <= now) {
                brain.look_at_sharing(now, &self.totals, effects);
            }
        });
    }

    /// The way to others is another one now: what was connected by the old one is closed, and whoever rests may be dialled at once.
    pub(crate) fn reconnect(self: &Arc<Self>) {
        self.act(|brain, now, effects| {
            if brain.life.exchanges() {
                brain.command(now, Command::Pause, effects);
                brain.command(now, Command::Resume, effects);
            }
        });
    }

    pub(crate) fn pause(self: &Arc<Self>, paused: bool) {
        self.act(|brain, now, effects| {
            if std::mem::replace(&mut brain.life.paused, paused) != paused {
                brain.command(now, if paused { Command::Pause } else { Command::Resume }, effects);
                if paused {
                    brain.announcer.stop(now);
                } else if brain.exchange.is_some() {
                    brain.start_announcing(now);
                }
                brain.announce(now, effects);
                brain.look_at_sharing(now, &self.totals, effects);
                effects.events.push(EventKind::Phase(brain.phase(now)));
            }
        });
        self.engine.lsd.changed.notify_one();
    }

    pub(crate) fn set_seed_limits(self: &Arc<Self>, limits: SeedLimits) {
        self.act(|brain, now, effects| {
            (brain.sharing.limits, brain.sharing.ended) = (limits, None);
            brain.look_at_sharing(now, &self.totals, effects);
        });
    }

    /// The limits on its rate changed: what is asked for follows.
    pub(crate) fn limits_changed(self: &Arc<Self>) {
        let limit = self.rates.lowest_down();
        self.act(|brain, now, effects| brain.command(now, Command::SetDownLimit(limit), effects));
    }

    /// Whether a complete torrent has no record any more.
    pub(crate) fn forgets_record(&self) -> bool {
        // Where some files were never wanted the record says which, so that a later run leaves what others put there alone (L6).
        let ends =
            |brain: &Brain| !brain.sharing.goes_on() && brain.choice.wanted().is_none_or(|wanted| wanted.is_full());
        self.options().forget_resume_when_complete && self.look(ends)
    }

    /// A piece in which a block is a hole is not bad data of a peer: its file was cut between write and hash. Nobody is to be
    /// blamed for that (THREATS L4).
    fn excuse(&self, done: &mut Done) {
        let Done::Verified { piece, outcome: outcome @ VerifyOutcome::Corrupt { .. } } = done else { return };
        let (Ok(store), layout) = (self.store(), self.layout()) else { return };
        let storage = store.storage();
        let blocks = (0..layout.block_count(*piece)).filter_map(|number| layout.block(*piece, number));
        let mut lasts =
            blocks.filter_map(|block| layout.block_span(block)).map(|span| Span { offset: span.end() - 1, length: 1 });
        let cut = lasts.find(|last| layout.extents(*last).any(|extent| !extent.pad) && storage.is_hole(*last));
        if let Some(last) = cut {
            let path = layout.extents(last).next().map(|extent| store.path_of(extent.file)).unwrap_or_default();
            *outcome = VerifyOutcome::Failed(Arc::new(StorageError::Short { path, end: last.end() }));
        }
    }

    /// Waits until it is known how it ends, or that it ended.
    pub(crate) async fn outcome(&self) -> Result<(), TorrentError> {
        let changed = self.look(|brain| brain.life.changed());
        loop {
            let change = changed.notified();
            tokio::pin!(change);
            change.as_mut().enable();
            match self.look(|brain| brain.life.outcome().clone()) {
                Outcome::Open => change.await,
                Outcome::Complete => return Ok(()),
                Outcome::Failed(error) => return Err(error),
            }
        }
    }

    /// Resolves once the torrent is being stopped.
    pub(crate) async fn stopping(&self) {
        let told = self.stopping.notified();
        tokio::pin!(told);
        told.as_mut().enable();
        if !self.is_stopping() {
            told.await;
        }
    }

    /// Whether it is being stopped.
    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    pub(crate) fn set_stopping(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.stopping.notify_waiters();
    }
}

/// Takes the ends of disk jobs to the torrent, if it is still there.
#[derive(Debug)]
pub(crate) struct Sink(pub(crate) Weak<Core>);

impl DoneSink for Sink {
    fn done(&self, done: &mut Vec<Done>) {
        let Some(core) = self.0.upgrade() else { return };
        done.iter_mut().for_each(|done| core.excuse(done));
        let used = core.engine.used();
        core.act(|brain, now, effects| {
            brain.disk_done(now, done, effects);
            brain.look_at_room(now, used, effects);
        });
    }
}
