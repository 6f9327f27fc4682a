//! Who keeps a place when all are taken.
//!
//! Four ways to lose it: being of no use to either side; being one of many of one address (THREATS P19); being outranked by a newcomer while nothing is exchanged (BEP 40); and
//! turnover, by which a few of those who bring least are exchanged for candidates now and then.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use crate::limits;
use crate::swarm::on_demand::Rested;
use crate::swarm::parties::Parties;
use crate::swarm::peer::Peer;
use crate::swarm::reach::party;
use crate::swarm::{CloseReason, Connected, ConnectionId, Source, Swarm};

/// So many places more than another party are a crowd, of which one gives way when all are taken: two peers behind one address
/// are none.
const CROWD: usize = 3;
/// How often a few peers are exchanged.
const TURNOVER_INTERVAL: Duration = Duration::from_secs(60);
/// How many at once, of a hundred.
const TURNOVER_PERCENT: usize = 4;
/// There is no turnover while less than this share of the places is taken, of a hundred.
const TURNOVER_CUTOFF: usize = 90;
/// How long a connection is left alone at first: being unchoked takes a few rounds of the choker over there.
const TURNOVER_AGE: Duration = Duration::from_secs(180);
/// How long a seed that has what we need may choke us.
const PATIENCE_WITH_SEEDS: Duration = Duration::from_secs(600);
/// A peer that brings less than this in an interval brings nothing worth a place, in bytes (1 KiB/s).
const TURNOVER_WORTH: u64 = 60 * 1024;

/// How soon all are looked at once more where nobody had to give way: thousands may be turned away in that time.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What is known of places without looking at all who have one.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Places that turnover made: whom we dial gets them, not the next who comes back.
    kept: usize,
    /// When everybody was of use, or new.
    all_useful: Option<Instant>,
    lowest: Option<Lowest>,
    pub(super) parties: Parties,
}

impl Rested for Places {
    const RESTED: &'static Self = &Self { kept: 0, all_useful: None, lowest: None, parties: Parties::NONE };
}

/// The lowest priority of those with whom nothing is exchanged, as it was.
#[derive(Clone, Copy, Debug)]
struct Lowest {
    at: Instant,
    /// `None`: there was nobody.
    rank: Option<u32>,
}

impl Places {
    /// Somebody whom we dialled has one of them.
    pub(super) fn taken(&mut self) {
        self.kept = self.kept.saturating_sub(1);
    }
}

impl Swarm {
    /// Whether there is a place for a new connection.
    pub(super) fn has_place(&self, new: &Connected) -> bool {
        let kept = if new.incoming { self.places.kept } else { 0 };
        self.connections() + kept < self.identity.max_connections
    }

    /// Ends a connection for a new one, if one may go; false if none.
    pub(super) fn make_place(&mut self, now: Instant, new: &Connected) -> bool {
        self.replace_useless(now) || self.replace_crowd(now, Some(new)) || self.replace_outranked(now, new)
    }

    /// Ends the oldest connection that is of no use to either side; false if each is, or is new.
    pub(super) fn replace_useless(&mut self, now: Instant) -> bool {
        let since = |moment| now.saturating_duration_since(moment);
        if self.places.all_useful.is_some_and(|at| since(at) < LOOK_AGAIN) {
            return false;
        }
        let age = |peer: &Peer| since(peer.who.since);
        let peers = self.peers.values().filter(|peer| peer.who.web_seed.is_none());
        let useless = peers.filter(|peer| peer.is_useless() && age(peer) >= limits::USELESS_TIMEOUT);
        let Some(victim) = useless.max_by_key(|peer| age(peer)).map(|peer| peer.who.connection) else {
            self.places.need().all_useful = Some(now);
            return false;
        };
        self.close(now, victim, CloseReason::TooMany);
        true
    }

    /// Ends a connection of the party that has most places, if it has so many that the new one's party, or a candidate, has a
    /// better claim: the one that exchanged least, the youngest of those. Whoever tests on one machine is no crowd.
    pub(super) fn replace_crowd(&mut self, now: Instant, new: Option<&Connected>) -> bool {
        let taken = new.map_or(0, |new| self.places.parties.of(new.addr.ip()));
        let Some((_, crowd)) = self.places.parties.largest().filter(|(count, _)| *count >= taken + CROWD) else {
            return false;
        };
        let peers = self.peers.values().filter(|peer| peer.who.web_seed.is_none());
        let members = peers.filter(|peer| party(peer.who.addr.ip()) == crowd && peer.who.source != Source::User);
        let least = members.min_by_key(|peer| (peer.down.rate.total() + peer.up.rate.total(), Reverse(peer.who.since)));
        let Some(victim) = least.map(|peer| peer.who.connection) else { return false };
        self.close(now, victim, CloseReason::TooMany);
        true
    }

    /// Ends the connection of lowest priority, of those with which nothing is exchanged, if the new one has a higher priority
    /// (BEP 40). A party that has a place already gets no other that way: of addresses of IPv6 anyone has as many as he likes.
    fn replace_outranked(&mut self, now: Instant, new: &Connected) -> bool {
        let Some(rank) = self.candidates.rank(new.addr) else { return false };
        let known = self.places.lowest.filter(|lowest| now.saturating_duration_since(lowest.at) < LOOK_AGAIN);
        if self.places.parties.of(new.addr.ip()) > 0
            || known.is_some_and(|lowest| lowest.rank.is_none_or(|low| rank <= low))
        {
            return false;
        }
        let idle = self.peers.values().filter(|peer| {
            let old = now.saturating_duration_since(peer.who.since) >= limits::USELESS_TIMEOUT;
            let idle = peer.down.rate.per_second(now) == 0 && peer.up.rate.per_second(now) == 0;
            old && idle && !self.keeps_its_place(peer, now)
        });
        let ranked = idle.filter_map(|peer| Some((self.rank(peer)?, peer.who.connection)));
        let lowest = ranked.min();
        self.places.need().lowest = Some(Lowest { at: now, rank: lowest.map(|(rank, _)| rank) });
        let Some((_, victim)) = lowest.filter(|(lowest, _)| *lowest < rank) else { return false };
        self.close(now, victim, CloseReason::TooMany);
        true
    }

    /// There will be a turnover if nearly all places are taken.
    pub(super) fn plan_turnover(&mut self, now: Instant) {
        if self.requests.strategy.turnover
            && self.connections() * 100 >= self.identity.max_connections * TURNOVER_CUTOFF
        {
            self.timers.turnover.get_or_insert(now + TURNOVER_INTERVAL);
        }
    }

    /// Exchanges a few of those who bring least for candidates.
    pub(super) fn turnover(&mut self, now: Instant) {
        self.timers.turnover = None;
        self.places.made().into_iter().for_each(|places| places.kept = 0);
        self.plan_turnover(now);
        if self.timers.turnover.is_none() {
            return;
        }
        let candidates = self.candidates.ready(now, self.progress.is_finished());
        let most = (self.connections() * TURNOVER_PERCENT / 100).max(1).min(candidates);
        let mut victims: Vec<_> = if most == 0 { Vec::new() } else { self.least_useful(now) };
        victims.sort_unstable();
        for peer in self.peers.values_mut() {
            (peer.down.at_turnover, peer.up.at_turnover) = (peer.down.rate.total(), peer.up.rate.total());
        }
        for (.., victim) in victims.into_iter().take(most) {
            tracing::debug!(connection = victim.0, "exchanged for another");
            self.places.need().kept += 1;
            self.close(now, victim, CloseReason::TooMany);
        }
    }

    /// Those who may be exchanged, the least useful lowest: by what they brought lately, then by canonical priority.
    fn least_useful(&self, now: Instant) -> Vec<(u64, Option<u32>, ConnectionId)> {
        let finished = self.progress.is_finished();
        let spare = self.peers.values().filter(|peer| {
            now.saturating_duration_since(peer.who.came) >= TURNOVER_AGE && !self.keeps_its_place(peer, now)
        });
        let useless = spare.filter_map(|peer| {
            let gave = peer.down.rate.total() - peer.down.at_turnover;
            let took = peer.up.rate.total() - peer.up.at_turnover;
            // Who waits for a slot has had no chance to take anything.
            let waits = peer.up.interested && peer.up.choking && !peer.up.thief;
            let worth = if finished { took } else { gave };
            let useless = worth < TURNOVER_WORTH && !(finished && waits);
            useless.then(|| (worth, self.rank(peer), peer.who.connection))
        });
        useless.collect()
    }

    /// Whether a peer stays although nothing is exchanged with it: the user named it, it is a web seed, which takes no place, or a
    /// seed that may unchoke us yet.
    fn keeps_its_place(&self, peer: &Peer, now: Instant) -> bool {
        let down = &peer.down;
        let hope = down.choked && now.saturating_duration_since(peer.who.came.max(down.progress)) < PATIENCE_WITH_SEEDS;
        let seed = peer.pieces.is_all() && down.useful > 0 && !down.snubbed;
        matches!(peer.who.source, Source::User | Source::WebSeed) || seed && (hope || !down.choked)
    }

    fn rank(&self, peer: &Peer) -> Option<u32> {
        self.candidates.rank(peer.who.listens.unwrap_or(peer.who.addr))
    }
}
