//! What is due when. Nothing on the way of a block waits for any of it.

use std::time::{Duration, Instant};

use crate::limits;
use crate::swarm::candidates::Terms;
use crate::swarm::peer::Peer;
use crate::swarm::refill::Filled;
use crate::swarm::{Action, CloseReason, ConnectionId, Pressure, Swarm, hurry};
use crate::wire::Message;

/// The first pause before peers with nothing to do look again for blocks that others hold up.
const STEAL_PAUSE: Duration = Duration::from_millis(50);
/// The longest such pause.
const MOST_STEAL_PAUSE: Duration = Duration::from_secs(1);
/// Peers that look at once for blocks to steal.
const THIEVES: usize = 8;
/// Fewer peers and candidates than this are few.
const FEW_PEERS: usize = 10;
/// How often more are asked for.
const NEED_PEERS_PAUSE: Duration = Duration::from_secs(60);

/// When each kind of work is due; `None`: not before something happens.
#[derive(Debug)]
pub(super) struct Timers {
    /// Look after requests and silent connections.
    pub(super) tick: Option<Instant>,
    /// The next round of the choker.
    pub(super) choke: Option<Instant>,
    dial: Option<Instant>,
    steal: Option<Instant>,
    /// Look who is late with what somebody waits for.
    pub(super) hurry: Option<Instant>,
    steal_pause: Duration,
    need_peers: Option<Instant>,
    pub(super) needed_peers: Option<Instant>,
    /// The next messages of peer exchange.
    pub(super) pex: Option<Instant>,
    /// When it is looked after who is shown what.
    pub(super) superseed: Option<Instant>,
    /// When a few peers are exchanged for candidates.
    pub(super) turnover: Option<Instant>,
    /// A web seed has rested.
    pub(super) web_seeds: Option<Instant>,
    /// What `dial` was computed from changed.
    pub(super) dial_changed: bool,
}

impl Timers {
    pub(super) fn new() -> Self {
        Self {
            tick: None,
            choke: None,
            dial: None,
            steal: None,
            hurry: None,
            steal_pause: STEAL_PAUSE,
            need_peers: None,
            needed_peers: None,
            pex: None,
            turnover: None,
            web_seeds: None,
            superseed: None,
            dial_changed: true,
        }
    }

    /// The earliest of all.
    pub(super) fn next(&self) -> Option<Instant> {
        [
            self.tick,
            self.choke,
            self.dial,
            self.steal,
            self.hurry,
            self.need_peers,
            self.pex,
            self.turnover,
            self.web_seeds,
            self.superseed,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// A tick is due at the latest at this moment.
    pub(super) fn tick_by(&mut self, at: Instant) {
        self.tick = Some(self.tick.map_or(at, |tick| tick.min(at)));
    }

    /// Something useful came: stealing is looked at quickly again.
    pub(super) fn progress(&mut self) {
        self.steal_pause = STEAL_PAUSE;
    }
}

impl Swarm {
    /// How often requests are looked after while any may be outstanding.
    pub(super) const TICK: Duration = Duration::from_secs(1);

    /// The moment of the next timer has come.
    pub(super) fn timeout(&mut self, now: Instant) {
        let due = |timer: Option<Instant>| timer.is_some_and(|at| at <= now);
        if due(self.timers.tick) {
            self.tick(now);
        }
        if due(self.timers.choke) {
            self.choker_round(now);
        }
        if due(self.timers.steal) {
            self.timers.steal = None;
            self.timers.steal_pause = (self.timers.steal_pause * 2).min(MOST_STEAL_PAUSE);
            self.steal_all(now);
        }
        if due(self.timers.superseed) {
            self.superseed_tick(now);
        }
        if due(self.timers.turnover) {
            self.turnover(now);
        }
        if due(self.timers.hurry) {
            self.hurry(now);
        }
        if due(self.timers.pex) {
            self.pex_round(now);
        }
        self.web_seeds.changed |= due(self.timers.web_seeds);
        if due(self.timers.dial) || due(self.timers.need_peers) {
            self.timers.dial_changed = true;
        }
    }

    /// After each input: what it made possible for peers other than its own is done.
    pub(super) fn settle(&mut self, now: Instant) {
        self.requests.cancel_doubled(&mut self.peers, &mut self.out);
        if std::mem::take(&mut self.requests.freed) {
            self.refill_all(now);
        }
        self.settle_web_seeds(now);
        if std::mem::take(&mut self.timers.dial_changed) {
            self.dial(now);
        }
        self.pex_settle(now);
    }

    fn tick(&mut self, now: Instant) {
        let silent = |since: Instant| now.saturating_duration_since(since);
        if self.requests.pressure == Pressure::Full {
            self.requests.paused_reading = Some(now);
        }
        self.requests.down_limit.tick();
        // Only who owes us something is late because of us.
        let slowness =
            |peer: &Peer| (peer.down.pipeline.live() > 0).then(|| self.requests.own_slowness(peer.down.pipeline.len()));
        let patience = |peer: &Peer| limits::IDLE_TIMEOUT + slowness(peer).unwrap_or_default();
        let idle =
            self.peers.values().filter(|peer| silent(peer.heard) >= patience(peer) && peer.who.web_seed.is_none());
        let idle: Vec<ConnectionId> = idle.map(|peer| peer.who.connection).collect();
        idle.into_iter().for_each(|connection| self.close(now, connection, CloseReason::Idle));
        let able = |down: &super::peer::Download| !down.choked && !down.snubbed && down.useful > 0;
        let count = self.peers.values().filter(|peer| able(&peer.down)).count();
        let proven = self.peers.values().any(|peer| able(&peer.down) && peer.down.rate.total() > 0);
        self.make_room(now);
        self.metadata_tick(now);
        for peer in self.peers.values_mut() {
            if silent(peer.spoke) >= limits::KEEP_ALIVE_INTERVAL && peer.who.web_seed.is_none() {
                peer.spoke = now;
                self.out.send(peer.who.connection, Message::KeepAlive);
            }
            let others = count > usize::from(able(&peer.down));
            if proven {
                self.requests.try_out(peer, &self.progress, &mut self.blame, now, &mut self.out);
            }
            if self.requests.overdue(peer, others, &self.progress, &mut self.blame, now, &mut self.out) {
                tracing::debug!(connection = peer.who.connection.0, "snubbed");
            }
        }
        // A rising rate has room for more at once, not only with the next round.
        self.grant_slots(now);
        self.look_after_hashes(now);
        self.requests.freed |= !self.progress.is_finished();
        self.timers.tick = self.next_tick(now);
    }

    /// When all places are taken and candidates wait, one peer that is of no use to either side goes.
    fn make_room(&mut self, now: Instant) {
        if self.connections() >= self.identity.max_connections && self.candidates.waiting() > 0 {
            let _ = self.replace_useless(now) || self.replace_crowd(now, None);
        }
    }

    fn next_tick(&self, now: Instant) -> Option<Instant> {
        let busy = !self.progress.is_finished() || !self.hashes.is_idle();
        if busy && !self.peers.is_empty() {
            return Some(now + Self::TICK);
        }
        let due = |peer: &Peer| (peer.spoke + limits::KEEP_ALIVE_INTERVAL).min(peer.heard + limits::IDLE_TIMEOUT);
        self.peers
            .values()
            .filter(|peer| peer.who.web_seed.is_none())
            .map(due)
            .min()
            .map(|due| due.max(now + Self::TICK))
    }

    /// Fills the pipeline of one peer, in the endgame from others' if there is nothing else.
    pub(super) fn refill(&mut self, now: Instant, connection: ConnectionId) {
        if !self.fill_own(now, connection) {
            return;
        }
        // Before the end only what is really late is worth a second request, and looking at all requests each time that a
        // hungry peer says something would cost far more than it brings.
        let endgame = self.requests.in_endgame();
        if endgame {
            self.requests.steal(&mut self.peers, connection, now, &mut self.out);
        }
        let pause = if endgame { self.timers.steal_pause } else { MOST_STEAL_PAUSE };
        self.timers.steal.get_or_insert(now + pause);
    }

    /// Fills the pipeline of one peer with what is free; true if it has room yet, and others hold up what it could have.
    fn fill_own(&mut self, now: Instant, connection: ConnectionId) -> bool {
        let Some(peer) = self.peers.get_mut(&connection) else { return false };
        let filled = self.requests.fill(peer, &self.progress, &self.blame, &self.stats.down, now, &mut self.out);
        let elsewhere = self.requests.outstanding > peer.down.pipeline.live();
        filled == Filled::Starved && elsewhere && self.requests.strategy.steal
    }

    /// Looks who is late with what somebody waits for, and who has room for more of it.
    fn hurry(&mut self, now: Instant) {
        let goes_on = !self.requests.deadlines.is_empty() && !self.peers.is_empty();
        self.timers.hurry = goes_on.then(|| now + hurry::LOOK);
        if goes_on {
            self.requests.ask_twice(&mut self.peers, now, &mut self.out);
            self.requests.freed = true;
        }
    }

    /// Fills the pipelines of all peers, the fastest first.
    fn refill_all(&mut self, now: Instant) {
        self.peers.values_mut().for_each(|peer| peer.down.starved = false);
        if self.requests.deadlines.has_readers() {
            self.requests.rearrange(now, &self.progress);
            self.requests.deal(&mut self.peers, now, &mut self.out);
            self.timers.hurry.get_or_insert(now + hurry::LOOK);
        }
        let wanting = self.peers.values().filter(|peer| peer.down.interested);
        let mut order: Vec<_> =
            wanting.map(|peer| (std::cmp::Reverse(peer.down.rate.per_second(now)), peer.who.connection)).collect();
        order.sort_unstable();
        order.into_iter().for_each(|(_, connection)| self.refill(now, connection));
        // What stealing itself freed was seen by those who came after.
        self.requests.freed = false;
    }

    /// Peers with nothing to do look again for blocks that others hold up, those first that were fastest when they last had something
    /// to do.
    fn steal_all(&mut self, now: Instant) {
        let free = self.peers.values().filter(|peer| self.requests.room(peer, now).0 > 0);
        let rate = |peer: &Peer| peer.down.window.rate().max(peer.down.rate.per_second(now));
        let mut order: Vec<_> =
            free.map(|peer| (peer.down.snubbed, std::cmp::Reverse(rate(peer)), peer.who.connection)).collect();
        order.sort_unstable();
        for (.., connection) in order.into_iter().take(THIEVES) {
            if self.fill_own(now, connection) {
                self.requests.steal(&mut self.peers, connection, now, &mut self.out);
                self.timers.steal.get_or_insert(now + self.timers.steal_pause);
            }
        }
    }

    /// Dials as many candidates as the bounds allow, and asks for more if they are few.
    fn dial(&mut self, now: Instant) {
        if self.paused {
            (self.timers.dial, self.timers.need_peers) = (None, None);
            return;
        }
        while let Some(addr) = self.candidates.dial(now, self.terms()) {
            let ways = self.identity.encryption.ways(self.candidates.takes_plaintext_alone(addr));
            self.out.push(Action::Dial { addr, ways });
        }
        self.timers.dial = self.candidates.next_dial(now, self.terms());
        let few = self.connections() + self.candidates.waiting() < FEW_PEERS;
        self.timers.need_peers = None;
        if few && !self.progress.is_finished() {
            let due = self.timers.needed_peers.map_or(now, |last| last + NEED_PEERS_PAUSE);
            if due <= now {
                self.timers.needed_peers = Some(now);
                self.out.push(Action::NeedPeers);
            }
            self.timers.need_peers = Some(if due <= now { now + NEED_PEERS_PAUSE } else { due });
        }
    }

    fn terms(&self) -> Terms {
        let taken = self.connections() + self.candidates.dialling();
        Terms {
            room: self.identity.max_connections.saturating_sub(taken),
            alone: self.peers.is_empty(),
            finished: self.progress.is_finished(),
        }
    }
}
