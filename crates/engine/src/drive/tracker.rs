//! Carries the announces of a torrent's tiers out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use riverrun_metainfo::{InfoHashes, WireHash};
use riverrun_proto::swarm::SwarmStatus;
use riverrun_proto::tracker::tiers::{self, Action, Announce, AnnounceId, Input, Progress, Tiers, TiersConfig};
use riverrun_proto::tracker::{AnnounceError, AnnounceReply, AnnounceRequest, NamedPeer, TrackerUrl};
use riverrun_proto::wire::{PeerId, remote_text};
use tokio::sync::Notify;

use super::Core;
use super::brain::{Effects, Errand};
use crate::ask_tracker;
use crate::engine::Engine;
use crate::{EventKind, TrackerState, TrackerStatus};

/// The tiers of a torrent and the announces that are under way.
#[derive(Debug)]
pub(crate) struct Announcer {
    tiers: Tiers,
    info_hash: WireHash,
    peer_id: PeerId,
    port: u16,
    /// How each URL is shown, and what it is for the network.
    shown: BTreeMap<String, (String, Option<TrackerUrl>)>,
    /// Who said no in its last answer.
    refused: BTreeSet<TrackerUrl>,
    under_way: BTreeMap<AnnounceId, (Arc<TrackerUrl>, Arc<Notify>)>,
    /// What had been exchanged when we began.
    before: Progress,
    /// There is something to drain.
    pending: Option<Instant>,
    /// Every tracker that knew us has heard that we go.
    pub(crate) said_farewell: bool,
}

/// An announce to be made.
#[derive(Debug)]
pub(crate) struct Job {
    announce: Announce,
    request: AnnounceRequest,
    /// Wakes when it is taken back.
    cancelled: Arc<Notify>,
}

impl Announcer {
    pub(crate) fn new(engine: &Arc<Engine>, hashes: InfoHashes, private: bool, tiers: Vec<Vec<String>>) -> Self {
        let shown = tiers.iter().flatten().map(|url| (url.clone(), shown(url))).collect();
        // Somebody who does not listen names a port all the same: it is the protocol's.
        let port = engine.listen_port().unwrap_or(1);
        let seed = engine.seed();
        let config = TiersConfig { tiers, private, announce_to_all: false, listen_port: port, seed };
        Self {
            tiers: Tiers::new(config),
            info_hash: hashes.wire(),
            peer_id: engine.peer_id,
            port,
            shown,
            refused: BTreeSet::new(),
            under_way: BTreeMap::new(),
            before: Progress::default(),
            pending: None,
            said_farewell: false,
        }
    }

    fn feed(&mut self, now: Instant, input: Input) {
        self.tiers.handle(now, input);
        self.pending = Some(now);
    }

    /// Begins. `complete`: nothing is lacking at the start. `done`: how far we are.
    pub(crate) fn start(&mut self, now: Instant, complete: bool, done: &SwarmStatus) {
        self.before = Progress { uploaded: done.up_bytes, downloaded: done.down_bytes, left: 0 };
        self.said_farewell = false;
        self.feed(now, Input::Start { complete });
    }

    /// More trackers; a private torrent takes none.
    pub(crate) fn add(&mut self, now: Instant, urls: &[String]) {
        self.feed(now, Input::Add(urls.to_vec()));
        for status in self.tiers.status() {
            self.shown.entry(status.url).or_insert_with_key(|url| shown(url));
        }
    }

    /// The metadata says so (BEP 27).
    pub(crate) fn become_private(&mut self, now: Instant) {
        self.feed(now, Input::Private);
    }

    pub(crate) fn need_peers(&mut self, now: Instant) {
        self.feed(now, Input::NeedPeers);
    }

    /// Everything wanted is here; `all`: that is everything there is.
    pub(crate) fn completed(&mut self, now: Instant, all: bool) {
        self.feed(now, if all { Input::Completed } else { Input::PartialSeed(true) });
    }

    /// More is wanted than before, and not here yet.
    pub(crate) fn goes_on(&mut self, now: Instant) {
        self.feed(now, Input::PartialSeed(false));
        self.need_peers(now);
    }

    pub(crate) fn stop(&mut self, now: Instant) {
        self.feed(now, Input::Stop);
    }

    pub(crate) fn reply(&mut self, now: Instant, id: AnnounceId, result: Result<AnnounceReply, AnnounceError>) {
        if let Some((url, _)) = self.under_way.remove(&id) {
            match &result {
                Err(AnnounceError::Refused { .. }) => _ = self.refused.insert((*url).clone()),
                _ => _ = self.refused.remove(&*url),
            }
            self.feed(now, Input::Reply { id, result });
        }
    }

    /// Lets the machine go on and carries its actions out; new candidates, and whether the peers of before are to be dropped.
    pub(crate) fn run(&mut self, now: Instant, done: &SwarmStatus, effects: &mut Effects) -> (Vec<SocketAddr>, bool) {
        if self.tiers.next_timeout().is_some_and(|due| due <= now) {
            self.tiers.handle(now, Input::Timeout);
        }
        self.pending = None;
        let (mut candidates, mut switched) = (Vec::new(), false);
        while let Some(action) = self.tiers.poll() {
            match action {
                Action::Announce(announce) => {
                    let progress = Progress {
                        uploaded: done.up_bytes.saturating_sub(self.before.uploaded),
                        downloaded: done.down_bytes.saturating_sub(self.before.downloaded),
                        left: done.left_bytes,
                    };
                    let request = announce.request(self.info_hash, self.peer_id, self.port, progress);
                    let cancelled = Arc::new(Notify::new());
                    self.under_way.insert(announce.id, (announce.tracker.clone(), cancelled.clone()));
                    effects.errands.push(Errand::Announce(Job { announce, request, cancelled }));
                }
                Action::Cancel(id) => {
                    if let Some((_, cancelled)) = self.under_way.remove(&id) {
                        effects.wakes.push(cancelled);
                    }
                }
                Action::Switched => switched = true,
                Action::Peers { addrs, named } => {
                    candidates.extend(addrs);
                    if !named.is_empty() {
                        effects.errands.push(Errand::Resolve(named));
                    }
                }
                Action::ExternalIp(ip) => effects.errands.push(Errand::External(ip)),
                Action::Stopped => self.said_farewell = true,
            }
        }
        (candidates, switched)
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.pending.or_else(|| self.tiers.next_timeout())
    }

    /// How the trackers are.
    pub(crate) fn status(&self, now: Instant) -> Vec<TrackerStatus> {
        self.tiers.status().into_iter().map(|status| self.status_of(now, status)).collect()
    }

    fn status_of(&self, now: Instant, status: tiers::TrackerStatus) -> TrackerStatus {
        let (url, parsed) = self.shown.get(&status.url).cloned().unwrap_or_default();
        let refused = parsed.is_some_and(|url| self.refused.contains(&url));
        let error = status.last_error.unwrap_or_default();
        let answered = status.state == tiers::TrackerState::Working;
        TrackerStatus {
            url,
            tier: status.tier,
            state: match status.state {
                tiers::TrackerState::Announcing { .. } if error.is_empty() => TrackerState::Asking,
                tiers::TrackerState::Announcing { .. } => TrackerState::Failed { error, refused, tries: 1 },
                tiers::TrackerState::Working => TrackerState::Working,
                tiers::TrackerState::Failing { failures } => TrackerState::Failed { error, refused, tries: failures },
                tiers::TrackerState::GivenUp => TrackerState::Failed { error, refused, tries: 1 },
                _ => TrackerState::Idle,
            },
            peers: answered.then_some(status.peers),
            seeders: status.seeders,
            leechers: status.leechers,
            warning: status.warning,
            next: status.next_try.map(|next| next.saturating_duration_since(now)),
        }
    }
}

/// How a URL is shown, and what it is for the network.
fn shown(url: &str) -> (String, Option<TrackerUrl>) {
    let parsed = TrackerUrl::parse(url).ok();
    let text = parsed.as_ref().map_or_else(|| remote_text(url.as_bytes(), 256), ToString::to_string);
    (text, parsed)
}

/// Makes an announce and brings the answer home.
pub(crate) async fn announce(core: Arc<Core>, job: Job) {
    let Job { announce, request, cancelled } = job;
    let asked = async {
        // Never closed: the semaphore lives as long as the session.
        let _turn = core.engine.announces.acquire().await;
        core.engine.ask().announce(&announce.tracker, request, announce.retries).await
    };
    let result = tokio::select! {
        result = asked => result,
        () = cancelled.notified() => return,
    };
    let url = announce.tracker.to_string();
    let event = match &result {
        Ok(reply) => EventKind::TrackerAnswered { url, peers: reply.peers.len() + reply.named_peers.len() },
        Err(error) => {
            tracing::info!(%url, %error, "tracker did not help");
            let refused = matches!(error, AnnounceError::Refused { .. });
            EventKind::TrackerFailed { url, error: error.to_string(), refused }
        }
    };
    core.act(|brain, now, effects| {
        brain.announcer.reply(now, announce.id, result);
        effects.events.push(event);
        brain.announce(now, effects);
    });
    core.quiet.notify_waiters();
}

/// Looks up peers that were named by host name.
pub(crate) async fn resolve(core: Arc<Core>, named: Vec<NamedPeer>) {
    let addrs = ask_tracker::resolve(&core.engine.settings.net, named).await;
    if !addrs.is_empty() {
        core.candidates(riverrun_proto::swarm::Source::Tracker, &addrs);
    }
}

/// Tells the trackers that we go, and waits until all have heard it.
pub(crate) async fn say_stopped(core: Arc<Core>) {
    core.act(|brain, now, effects| {
        brain.announcer.stop(now);
        brain.announce(now, effects);
    });
    loop {
        let changed = core.quiet.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        if core.look(|brain| brain.announcer.said_farewell) {
            return;
        }
        changed.await;
    }
}
