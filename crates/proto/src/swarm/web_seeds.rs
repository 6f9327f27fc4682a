//! Web seeds (BEP 19): which are used when. One that is open is a peer like any other; here is what is known of those that are not.

use std::time::{Duration, Instant};

use riverrun_metainfo::{Bitfield, PieceIndex};

use crate::limits;
use crate::swarm::blame::Sender;
use crate::swarm::peer::Peer;
use crate::swarm::pieces::PeerPieces;
use crate::swarm::{Action, CloseReason, ConnectionId, Event, Swarm, WebSeedState, WebSeedStatus};
use crate::web_seed::{Fault, WebSeedError};

/// Names one web seed of a torrent: its place in the order in which they were named, from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WebSeedId(pub u32);

/// All web seeds of one torrent.
#[derive(Debug, Default)]
pub(super) struct WebSeeds {
    known: Vec<Known>,
    open: usize,
    /// Another one may be opened now, or some are of no use any more.
    pub(super) changed: bool,
}

#[derive(Debug)]
struct Known {
    state: State,
    /// Why it does not give all that it is for.
    error: Option<WebSeedError>,
    /// Failures in a row.
    failures: u32,
    /// Times that it lied, or had nothing.
    offences: u32,
    rests_until: Option<Instant>,
    /// Pieces that are not to be had there, found out since it was used first or rested long.
    lacks: Option<Bitfield>,
    /// Payload that came over connections which have ended, in bytes.
    down_bytes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Idle,
    Opening,
    Open(ConnectionId),
}

impl WebSeeds {
    fn get(&mut self, seed: WebSeedId) -> Option<&mut Known> {
        self.known.get_mut(seed.0 as usize)
    }

    /// How many are open.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// All may be used at once again, but those that lied: the owner wants to go on.
    pub(super) fn wake(&mut self) {
        for known in self.known.iter_mut().filter(|known| known.error.as_ref().is_none_or(|error| !is_bad(error))) {
            known.rests_until = None;
        }
        self.changed = true;
    }
}

impl Known {
    fn new() -> Self {
        Self {
            state: State::Idle,
            error: None,
            failures: 0,
            offences: 0,
            rests_until: None,
            lacks: None,
            down_bytes: 0,
        }
    }

    /// Rests as its fault deserves; `gave` if it had sent something of use before.
    fn rest(&mut self, now: Instant, error: WebSeedError, gave: bool) {
        let fault = error.fault();
        self.failures = if gave { 1 } else { self.failures.saturating_add(1) };
        let rest = match fault {
            Fault::Passing(after) => {
                let first = if gave { limits::WEB_SEED_SHORT_REST } else { limits::WEB_SEED_REST };
                doubled(first, self.failures, limits::MAX_WEB_SEED_REST).max(after.unwrap_or_default())
            }
            Fault::File | Fault::Lasting | Fault::Bad => {
                self.offences = self.offences.saturating_add(1);
                // What it had not it may have by then.
                self.lacks = None;
                doubled(limits::WEB_SEED_LONG_REST, self.offences, limits::MAX_WEB_SEED_LONG_REST)
            }
        };
        self.rests_until = Some(now + rest);
        self.error = Some(error);
    }

    /// Whether nothing of what is needed will come from it for long.
    fn is_given_up(&self, now: Instant, needed: &Bitfield) -> bool {
        let lasting = |error: &WebSeedError| !matches!(error.fault(), Fault::Passing(_));
        let rests = self.rests_until.is_some_and(|until| until > now);
        let failed = rests && self.error.as_ref().is_some_and(lasting);
        self.state == State::Idle && (failed || (self.lacks.is_some() && !self.has_any(needed)))
    }

    fn has_any(&self, needed: &Bitfield) -> bool {
        self.lacks.as_ref().map_or(!needed.is_empty(), |lacks| needed.any_missing_from(lacks))
    }
}

fn doubled(first: Duration, times: u32, most: Duration) -> Duration {
    (first * 2u32.pow(times.clamp(1, 13) - 1)).min(most)
}

fn is_bad(error: &WebSeedError) -> bool {
    error.fault() == Fault::Bad
}

impl Swarm {
    /// The torrent has so many more web seeds, up to a bound.
    pub(super) fn add_web_seeds(&mut self, more: usize) {
        let room = limits::MAX_WEB_SEEDS.saturating_sub(self.web_seeds.known.len());
        self.web_seeds.known.extend(std::iter::repeat_with(Known::new).take(more.min(room)));
        self.web_seeds.changed = true;
    }

    /// Somebody is ready to ask a web seed.
    pub(super) fn web_seed_opened(&mut self, now: Instant, seed: WebSeedId, connection: ConnectionId) {
        let unwanted = self.paused || self.beginning.is_some() || self.progress.is_finished();
        let total = self.progress.layout().piece_count();
        let Some(known) = self.web_seeds.get(seed).filter(|known| known.state == State::Opening && !unwanted) else {
            if let Some(known) = self.web_seeds.get(seed).filter(|known| known.state == State::Opening) {
                known.state = State::Idle;
            }
            return self.out.close(connection, CloseReason::Stopped);
        };
        known.state = State::Open(connection);
        let pieces = match &known.lacks {
            None => PeerPieces::all(total),
            Some(lacks) => {
                let mut pieces = PeerPieces::all(total);
                lacks.iter().for_each(|piece| _ = pieces.remove(piece));
                pieces
            }
        };
        self.web_seeds.open += 1;
        let mut peer = Peer::web_seed(now, connection, seed, pieces);
        peer.down.useful = peer.pieces.count_common(self.progress.needed());
        if let Some(picker) = &mut self.requests.picker {
            picker.availability().add_peer(&peer.pieces);
        }
        self.peers.insert(connection, peer);
        self.requests.awake(&self.progress, &self.hashes, self.peers.values().map(|peer| &peer.pieces), &mut self.rng);
        self.update_interest(now, connection);
        self.refill(now, connection);
        self.timers.tick_by(now + Self::TICK);
        self.web_seeds.changed = true;
    }

    /// A web seed turned out not to have these pieces.
    pub(super) fn web_seed_lacks(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        pieces: &[PieceIndex],
        error: WebSeedError,
    ) {
        let Some(peer) = self.peers.get_mut(&connection) else { return };
        let Some(seed) = peer.who.web_seed else { return };
        if let Some(picker) = &mut self.requests.picker {
            picker.availability().remove_peer(&peer.pieces);
        }
        pieces.iter().for_each(|piece| _ = peer.pieces.remove(*piece));
        if let Some(picker) = &mut self.requests.picker {
            picker.availability().add_peer(&peer.pieces);
        }
        peer.down.useful = peer.pieces.count_common(self.progress.needed());
        let lacked = |piece: &PieceIndex| pieces.binary_search(piece).is_ok();
        peer.down.braid.remove(lacked);
        self.requests.give_up(peer, |asked| lacked(&asked.piece), Some(&mut self.out));
        self.requests.unclaim(connection, lacked);
        let useful = peer.down.useful;
        let total = self.progress.layout().piece_count();
        if let Some(known) = self.web_seeds.get(seed) {
            let lacks = known.lacks.get_or_insert_with(|| Bitfield::empty(total));
            pieces.iter().for_each(|piece| _ = lacks.insert(*piece));
            known.error = Some(error.clone());
        }
        if useful == 0 {
            self.close(now, connection, CloseReason::WebSeed(error));
        } else {
            self.refill(now, connection);
        }
    }

    /// A web seed was proved to send bad data: it rests for long, and what it sent is asked for again (THREATS T9).
    pub(super) fn ban_web_seed(&mut self, now: Instant, seed: WebSeedId) {
        let Some(known) = self.web_seeds.get(seed) else { return };
        match known.state {
            State::Open(connection) => self.close(now, connection, CloseReason::WebSeed(WebSeedError::BadData)),
            State::Idle | State::Opening => known.rest(now, WebSeedError::BadData, false),
        }
        self.requests.forget_from(|sender| sender == Sender::WebSeed(seed));
        self.out.event(Event::WebSeedBanned(seed));
    }

    /// The connection of a web seed has ended.
    pub(super) fn web_seed_closed(&mut self, now: Instant, peer: &Peer, reason: &CloseReason) {
        let Some(known) = peer.who.web_seed.and_then(|seed| self.web_seeds.get(seed)) else { return };
        known.state = State::Idle;
        let down_bytes = peer.down.rate.total();
        known.down_bytes += down_bytes;
        let gave = down_bytes > 0;
        match reason {
            CloseReason::WebSeed(error) => known.rest(now, error.clone(), gave),
            reason => {
                if gave {
                    known.failures = 0;
                }
                tracing::debug!(?reason, "a web seed is not used any more");
            }
        }
        self.web_seeds.open -= 1;
        self.web_seeds.changed = true;
    }

    /// After each input: web seeds that are of no use are let go, and others are opened.
    pub(super) fn settle_web_seeds(&mut self, now: Instant) {
        if self.web_seeds.open > 0 {
            let useless = |peer: &&Peer| peer.who.web_seed.is_some() && peer.down.useful == 0;
            let useless: Vec<_> = self.peers.values().filter(useless).map(|peer| peer.who.connection).collect();
            useless.into_iter().for_each(|connection| self.close(now, connection, CloseReason::NothingToExchange));
        }
        if std::mem::take(&mut self.web_seeds.changed) {
            self.open_web_seeds(now);
        }
    }

    fn open_web_seeds(&mut self, now: Instant) {
        self.timers.web_seeds = None;
        if self.paused || self.beginning.is_some() || self.progress.is_finished() {
            return;
        }
        let under_way = self.web_seeds.known.iter().filter(|known| known.state != State::Idle).count();
        let mut room = limits::MAX_OPEN_WEB_SEEDS.saturating_sub(under_way);
        let needed = self.progress.needed();
        let idle = |known: &&mut Known| known.state == State::Idle && known.has_any(needed);
        for (known, number) in self.web_seeds.known.iter_mut().zip(0u32..).filter(|(known, _)| idle(known)) {
            match known.rests_until.filter(|until| *until > now) {
                Some(until) => {
                    self.timers.web_seeds = Some(self.timers.web_seeds.map_or(until, |at| at.min(until)));
                }
                None if room > 0 => {
                    room -= 1;
                    known.state = State::Opening;
                    self.out.push(Action::OpenWebSeed(WebSeedId(number)));
                }
                None => {}
            }
        }
    }

    /// How each web seed is, in the order of their numbers.
    #[must_use]
    pub fn web_seeds(&self, now: Instant) -> Vec<WebSeedStatus> {
        let of = |known: &Known| {
            let peer = match known.state {
                State::Open(connection) => self.peers.get(&connection),
                State::Idle | State::Opening => None,
            };
            WebSeedStatus {
                state: match (known.state, known.rests_until.filter(|until| *until > now)) {
                    (State::Open(_), _) => WebSeedState::InUse,
                    (State::Opening, _) | (State::Idle, None) => WebSeedState::Idle,
                    (State::Idle, Some(until)) => WebSeedState::Rests(until - now),
                },
                error: known.error.clone(),
                given_up: !self.progress.is_finished() && known.is_given_up(now, self.progress.needed()),
                down_bytes: known.down_bytes + peer.map_or(0, |peer| peer.down.rate.total()),
                down_rate: peer.map_or(0, |peer| peer.down.rate.per_second(now)),
            }
        };
        self.web_seeds.known.iter().map(of).collect()
    }
}
