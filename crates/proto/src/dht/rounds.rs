//! Which torrent is looked up next: one queue of due times for all torrents of a session.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use fastrand::Rng;
use riverrun_metainfo::WireHash;

use super::lookup::{LookupId, LookupReport};
use super::rhythm::Rhythm;

/// Torrents that are looked up at the same time; the node has a bound and a pace of its own.
const MAX_UNDER_WAY: usize = 16;
/// Over which time the lookups of all torrents are spread when they are due again at once.
const SPREAD: Duration = Duration::from_secs(60);

/// The torrents that take part in the DHT, each with the time of its next lookup. No timer of its own: the time of
/// [`Rounds::next_timeout`] is when [`Rounds::next`] has one.
///
/// Those that lack peers go before those that only make themselves known, so that a thousand seeds keep no download waiting.
#[derive(Debug)]
pub struct Rounds {
    torrents: BTreeMap<WireHash, Round>,
    /// Due times of torrents that want peers.
    wanting: BTreeSet<(Instant, WireHash)>,
    /// Due times of all others.
    sharing: BTreeSet<(Instant, WireHash)>,
    under_way: BTreeMap<LookupId, WireHash>,
    next_id: u64,
    rng: Rng,
}

#[derive(Debug)]
struct Round {
    rhythm: Rhythm,
    state: State,
    seed: bool,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The next lookup is due then; not before `soonest`, whoever asks for it.
    Waiting { due: Instant, soonest: Instant },
    /// It is being looked up.
    UnderWay(LookupId),
}

/// A lookup to be started.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Due {
    /// Its name, for [`Rounds::done`].
    pub id: LookupId,
    /// The torrent.
    pub info_hash: WireHash,
    /// We have all of it.
    pub seed: bool,
}

impl Rounds {
    /// No torrents yet.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            torrents: BTreeMap::new(),
            wanting: BTreeSet::new(),
            sharing: BTreeSet::new(),
            under_way: BTreeMap::new(),
            next_id: 0,
            rng: Rng::with_seed(seed),
        }
    }

    /// A torrent takes part from now on, and is due; for one that does already only `seed` is noted. Never a private one (BEP 27).
    pub fn join(&mut self, now: Instant, info_hash: WireHash, seed: bool) {
        if let Some(round) = self.torrents.get_mut(&info_hash) {
            if round.seed != seed {
                self.dequeue(info_hash);
                self.torrents.entry(info_hash).and_modify(|round| round.seed = seed);
                self.enqueue(info_hash);
            }
            return;
        }
        let state = State::Waiting { due: now, soonest: now };
        self.torrents.insert(info_hash, Round { rhythm: Rhythm::default(), state, seed });
        self.enqueue(info_hash);
    }

    /// A torrent takes part no more. The lookup that is under way for it, if any, is to be stopped.
    pub fn leave(&mut self, info_hash: WireHash) -> Option<LookupId> {
        self.dequeue(info_hash);
        match self.torrents.remove(&info_hash)?.state {
            State::UnderWay(id) => {
                self.under_way.remove(&id);
                Some(id)
            }
            State::Waiting { .. } => None,
        }
    }

    /// A torrent lacks peers: it is due as soon as the last lookup allows.
    pub fn need_peers(&mut self, info_hash: WireHash) {
        let Some(round) = self.torrents.get(&info_hash) else { return };
        if let State::Waiting { due, soonest } = round.state
            && soonest < due
        {
            self.set_waiting(info_hash, soonest, soonest);
        }
    }

    /// We are somebody else now, in the eyes of others: all torrents are due again, spread over a minute.
    pub fn again(&mut self, now: Instant) {
        let waiting = self.torrents.iter().filter(|(_, round)| matches!(round.state, State::Waiting { .. }));
        let waiting: Vec<WireHash> = waiting.map(|(info_hash, _)| *info_hash).collect();
        let spread = waiting.len() > MAX_UNDER_WAY;
        for info_hash in waiting {
            let due = if spread { now + SPREAD.mul_f32(self.rng.f32()) } else { now };
            let before = self.torrents.get(&info_hash).map(|round| round.state);
            if matches!(before, Some(State::Waiting { due: before, .. }) if due < before) {
                self.set_waiting(info_hash, due, due);
            }
        }
    }

    /// The next lookup to be started, if one is due. It is under way from now on.
    pub fn next(&mut self, now: Instant) -> Option<Due> {
        if self.under_way.len() >= MAX_UNDER_WAY {
            return None;
        }
        let due = |queue: &BTreeSet<(Instant, WireHash)>| queue.first().copied().filter(|(due, _)| *due <= now);
        let (_, info_hash) = due(&self.wanting).or_else(|| due(&self.sharing))?;
        self.dequeue(info_hash);
        let id = LookupId(self.next_id);
        self.next_id += 1;
        self.under_way.insert(id, info_hash);
        let round = self.torrents.get_mut(&info_hash)?;
        round.state = State::UnderWay(id);
        Some(Due { id, info_hash, seed: round.seed })
    }

    /// The torrent of a lookup that is under way.
    #[must_use]
    pub fn torrent(&self, id: LookupId) -> Option<WireHash> {
        self.under_way.get(&id).copied()
    }

    /// A lookup has ended. `hungry`: the torrent has no peer to get what it lacks from.
    pub fn done(&mut self, now: Instant, id: LookupId, report: &LookupReport, hungry: bool) {
        let Some(info_hash) = self.under_way.remove(&id) else { return };
        let Some(round) = self.torrents.get_mut(&info_hash) else { return };
        let soonest = round.rhythm.soonest(report);
        let pause = round.rhythm.pause(report, hungry);
        // Up to an eighth more, so that torrents that began together do not stay together.
        let pause = pause + (pause / 8).mul_f32(self.rng.f32());
        self.set_waiting(info_hash, now + pause, now + soonest.min(pause));
    }

    /// When the next lookup is due. `None`: not before something else happens.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        if self.under_way.len() >= MAX_UNDER_WAY {
            return None;
        }
        self.wanting.first().into_iter().chain(self.sharing.first()).map(|(due, _)| *due).min()
    }

    fn set_waiting(&mut self, info_hash: WireHash, due: Instant, soonest: Instant) {
        self.dequeue(info_hash);
        self.torrents.entry(info_hash).and_modify(|round| round.state = State::Waiting { due, soonest });
        self.enqueue(info_hash);
    }

    fn enqueue(&mut self, info_hash: WireHash) {
        let Some(Round { state: State::Waiting { due, .. }, seed, .. }) = self.torrents.get(&info_hash) else { return };
        if *seed { &mut self.sharing } else { &mut self.wanting }.insert((*due, info_hash));
    }

    fn dequeue(&mut self, info_hash: WireHash) {
        let Some(Round { state: State::Waiting { due, .. }, seed, .. }) = self.torrents.get(&info_hash) else { return };
        if *seed { &mut self.sharing } else { &mut self.wanting }.remove(&(*due, info_hash));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "one moment to start from")]
    fn birth() -> Instant {
        Instant::now()
    }

    fn hash(number: u16) -> WireHash {
        let mut hash = WireHash([0; 20]);
        hash.0[..2].copy_from_slice(&number.to_be_bytes());
        hash
    }

    #[test]
    fn a_thousand_torrents_take_turns_and_downloads_go_first() {
        let start = birth();
        let mut rounds = Rounds::new(1);
        (0..1000).for_each(|number| rounds.join(start, hash(number), true));
        rounds.join(start, hash(5000), false);
        let first: Vec<Due> = std::iter::from_fn(|| rounds.next(start)).collect();
        assert_eq!(first.len(), MAX_UNDER_WAY);
        assert_eq!((first[0].info_hash, first[0].seed), (hash(5000), false));
        assert_eq!(rounds.next_timeout(), None, "nothing is due before one ends");
        let mut under_way = first;
        let mut turns = 0;
        while let Some(due) = under_way.pop() {
            rounds.done(start, due.id, &LookupReport::of(9, 3), false);
            turns += 1;
            under_way.extend(rounds.next(start));
        }
        assert_eq!(turns, 1001, "each once");
        // A quarter of an hour later they come again, not all at one moment.
        let (first, last) = (rounds.sharing.first().unwrap().0, rounds.sharing.last().unwrap().0);
        assert!(first >= start + Rhythm::INTERVAL && last <= start + Rhythm::INTERVAL * 9 / 8);
        assert!(last - first > Duration::from_secs(60));
    }

    #[test]
    fn a_torrent_that_needs_peers_is_looked_up_sooner_but_not_at_once_again() {
        let start = birth();
        let mut rounds = Rounds::new(1);
        rounds.join(start, hash(1), false);
        let due = rounds.next(start).unwrap();
        rounds.need_peers(hash(1));
        rounds.done(start, due.id, &LookupReport::of(9, 50), false);
        assert!(rounds.next_timeout().unwrap() >= start + Rhythm::INTERVAL);
        for _ in 0..100 {
            rounds.need_peers(hash(1));
        }
        assert_eq!(rounds.next_timeout(), Some(start + Rhythm::INTERVAL / 3));
        assert_eq!(rounds.next(start + Duration::from_secs(60)), None);
    }

    #[test]
    fn who_leaves_is_looked_up_no_more() {
        let start = birth();
        let mut rounds = Rounds::new(1);
        rounds.join(start, hash(1), false);
        rounds.join(start, hash(2), true);
        let due = rounds.next(start).unwrap();
        assert_eq!(rounds.torrent(due.id), Some(hash(1)));
        assert_eq!((rounds.leave(hash(1)), rounds.leave(hash(2)), rounds.leave(hash(3))), (Some(due.id), None, None));
        rounds.done(start, due.id, &LookupReport::of(9, 9), true);
        assert_eq!((rounds.torrent(due.id), rounds.next_timeout(), rounds.next(start)), (None, None, None));
    }

    #[test]
    fn l14_a_new_address_has_all_announced_again() {
        let start = birth();
        let mut rounds = Rounds::new(1);
        (0..100).for_each(|number| rounds.join(start, hash(number), true));
        while let Some(due) = rounds.next(start) {
            rounds.done(start, due.id, &LookupReport::of(9, 3), false);
        }
        let moved = start + Duration::from_secs(100);
        rounds.again(moved);
        assert!(rounds.sharing.iter().all(|(due, _)| *due >= moved && *due <= moved + SPREAD));
        rounds.join(moved, hash(7), false);
        assert_eq!((rounds.wanting.len(), rounds.sharing.len()), (1, 99), "it became a downloader");
    }
}
