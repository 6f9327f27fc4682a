//! Candidates by address, and those that nobody is busy with in the order in which they are dialled.
//!
//! A swarm of thousands looks for its next candidate many times a second; walking through all that it knows each time would
//! cost more than everything else it does.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::candidate::{Candidate, State, rank};
use crate::swarm::Sources;
use crate::swarm::on_demand::Rested;

/// When a candidate's turn comes, the least first: failures, rank of the source, a port that needs rights, when the last try ended,
/// whether nobody says that it can be dialled, the order among equals.
pub(super) type Turn = (u32, u8, bool, Option<Instant>, bool, u32, SocketAddr);

/// All candidates of one torrent.
#[derive(Debug, Default)]
pub(super) struct Book {
    known: BTreeMap<SocketAddr, Candidate>,
    downloaders: Line,
    /// Apart, for who has everything wants none of them.
    seeds: Line,
    /// How many of an address are dialled or connected; none for those with none.
    busy: BTreeMap<IpAddr, usize>,
    /// How many each source named.
    sources: Sources,
}

/// Candidates that nobody is busy with.
#[derive(Debug, Default)]
struct Line {
    ready: BTreeSet<Turn>,
    resting: BTreeSet<(Instant, SocketAddr)>,
}

impl Line {
    const EMPTY: Self = Self { ready: BTreeSet::new(), resting: BTreeSet::new() };
}

impl Rested for Book {
    const RESTED: &'static Self = &Self {
        known: BTreeMap::new(),
        downloaders: Line::EMPTY,
        seeds: Line::EMPTY,
        busy: BTreeMap::new(),
        sources: Sources::NONE,
    };
}

impl Book {
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    pub(super) fn sources(&self) -> Sources {
        self.sources
    }

    pub(super) fn get(&self, addr: &SocketAddr) -> Option<&Candidate> {
        self.known.get(addr)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&SocketAddr, &Candidate)> {
        self.known.iter()
    }

    /// Adds one that is not known.
    pub(super) fn insert(&mut self, addr: SocketAddr, candidate: Candidate) {
        self.enter(addr, &candidate);
        self.known.insert(addr, candidate);
    }

    pub(super) fn remove(&mut self, addr: SocketAddr) -> Option<Candidate> {
        let candidate = self.known.remove(&addr)?;
        self.leave(addr, &candidate);
        Some(candidate)
    }

    /// Changes one, if it is known.
    pub(super) fn change<R>(&mut self, addr: SocketAddr, change: impl FnOnce(&mut Candidate) -> R) -> Option<R> {
        let mut candidate = self.known.remove(&addr)?;
        self.leave(addr, &candidate);
        let result = change(&mut candidate);
        self.insert(addr, candidate);
        Some(result)
    }

    /// Changes all.
    pub(super) fn change_all(&mut self, mut change: impl FnMut(&SocketAddr, &mut Candidate)) {
        self.known.iter_mut().for_each(|(addr, candidate)| change(addr, candidate));
        let Self { known, .. } = std::mem::take(self);
        known.iter().for_each(|(addr, candidate)| self.enter(*addr, candidate));
        self.known = known;
    }

    /// Who has rested is ready from now on.
    pub(super) fn ripen(&mut self, now: Instant) {
        for line in [&mut self.downloaders, &mut self.seeds] {
            while let Some((_, addr)) = line.resting.first().copied().filter(|(until, _)| *until <= now) {
                line.resting.pop_first();
                line.ready.extend(self.known.get(&addr).map(|candidate| turn(addr, candidate)));
            }
        }
    }

    /// Those that nobody is busy with and that have rested, by turn; seeds only if they are of use.
    pub(super) fn ready(&self, seeds: bool) -> impl Iterator<Item = SocketAddr> {
        let mut downloaders = self.downloaders.ready.iter().peekable();
        let mut seeds = self.seeds.ready.iter().take(if seeds { usize::MAX } else { 0 }).peekable();
        std::iter::from_fn(move || {
            let seed_first = match (downloaders.peek(), seeds.peek()) {
                (Some(downloader), Some(seed)) => seed < downloader,
                (None, _) => true,
                (Some(_), None) => false,
            };
            if seed_first { seeds.next() } else { downloaders.next() }.map(|(.., addr)| *addr)
        })
    }

    /// Until when the first of those rests that nobody is busy with and that are not ready.
    pub(super) fn first_rested(&self, seeds: bool) -> Option<Instant> {
        let of_line = |line: &Line| line.resting.first().map(|(until, _)| *until);
        of_line(&self.downloaders).into_iter().chain(of_line(&self.seeds).filter(|_| seeds)).min()
    }

    /// How many of this address are dialled or connected.
    pub(super) fn busy_at(&self, ip: IpAddr) -> usize {
        self.busy.get(&ip).copied().unwrap_or_default()
    }

    fn line(&mut self, candidate: &Candidate) -> &mut Line {
        if candidate.seed { &mut self.seeds } else { &mut self.downloaders }
    }

    fn enter(&mut self, addr: SocketAddr, candidate: &Candidate) {
        *self.sources.count(candidate.source) += 1;
        if candidate.state != State::Idle {
            *self.busy.entry(addr.ip()).or_default() += 1;
            return;
        }
        let line = self.line(candidate);
        match candidate.rests_until {
            Some(until) => _ = line.resting.insert((until, addr)),
            None => _ = line.ready.insert(turn(addr, candidate)),
        }
    }

    fn leave(&mut self, addr: SocketAddr, candidate: &Candidate) {
        *self.sources.count(candidate.source) -= 1;
        if candidate.state != State::Idle {
            self.busy.entry(addr.ip()).and_modify(|busy| *busy -= 1);
            if self.busy_at(addr.ip()) == 0 {
                self.busy.remove(&addr.ip());
            }
            return;
        }
        let line = self.line(candidate);
        if !line.ready.remove(&turn(addr, candidate))
            && let Some(until) = candidate.rests_until
        {
            line.resting.remove(&(until, addr));
        }
    }
}

/// When the turn of this candidate comes.
pub(super) fn turn(addr: SocketAddr, known: &Candidate) -> Turn {
    (known.failures, rank(known.source), addr.port() < 1024, known.ended, !known.reachable, known.order, addr)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::swarm::tests::birth;
    use crate::swarm::{ConnectionId, Source};

    fn any(rng: &mut fastrand::Rng) -> Candidate {
        let moment = |rng: &mut fastrand::Rng| birth() + Duration::from_secs(rng.u64(..100));
        Candidate {
            source: [Source::Tracker, Source::Pex, Source::User][rng.usize(..3)],
            teller: None,
            state: [State::Idle, State::Idle, State::Dialling, State::Connected(ConnectionId(1))][rng.usize(..4)],
            failures: rng.u32(..3),
            rests_until: rng.bool().then(|| moment(rng)),
            ended: rng.bool().then(|| moment(rng)),
            seed: rng.bool(),
            plaintext_alone: false,
            unencrypted: false,
            reachable: rng.bool(),
            order: rng.u32(..4),
        }
    }

    /// What a walk through all that is known finds.
    fn by_walking(book: &Book, now: Instant, seeds: bool) -> (Vec<SocketAddr>, Option<Instant>) {
        let idle = || book.iter().filter(|(_, known)| known.state == State::Idle && (seeds || !known.seed));
        let rested = |known: &Candidate| known.rests_until.is_none_or(|until| until <= now);
        let mut ready: Vec<Turn> =
            idle().filter(|(_, known)| rested(known)).map(|(addr, known)| turn(*addr, known)).collect();
        ready.sort_unstable();
        let resting = idle().filter(|(_, known)| !rested(known)).filter_map(|(_, known)| known.rests_until).min();
        (ready.into_iter().map(|(.., addr)| addr).collect(), resting)
    }

    #[test]
    fn whatever_changes_the_order_is_the_one_that_a_walk_through_all_finds() {
        let mut rng = fastrand::Rng::with_seed(7);
        let (mut book, mut now) = (Book::default(), birth());
        for step in 0..4000 {
            let addr = SocketAddr::from(([10, 0, 0, rng.u8(..20)], [80, 6881, 6882][rng.usize(..3)]));
            let new = any(&mut rng);
            match rng.u32(..10) {
                0..=2 if book.get(&addr).is_none() => book.insert(addr, new),
                3 => _ = book.remove(addr),
                4 => now += Duration::from_secs(1),
                5 if step % 50 == 0 => book.change_all(|_, known| known.order = known.order.wrapping_mul(5) % 7),
                _ => _ = book.change(addr, |known| *known = new),
            }
            book.ripen(now);
            for seeds in [false, true] {
                let found = (book.ready(seeds).collect::<Vec<_>>(), book.first_rested(seeds));
                assert_eq!(found, by_walking(&book, now, seeds), "step {step}");
            }
            let busy = |ip| book.iter().filter(|(addr, known)| addr.ip() == ip && known.state != State::Idle).count();
            assert_eq!(book.busy_at(addr.ip()), busy(addr.ip()));
            let mut sources = Sources::default();
            book.iter().for_each(|(_, known)| *sources.count(known.source) += 1);
            assert_eq!(book.sources(), sources);
        }
        assert!(book.len() > 10 && now > birth() + Duration::from_secs(100));
    }
}
