//! Who may download from us.
//!
//! While downloading, slots go to those who give most (tit for tat); while seeding, in the order of the owner's wish
//! ([`SeedChoker`]). Every third round one slot goes to somebody at random, so that newcomers and better partners are found (BEP 3).
//!
//! A downloader leaves the slots that its partners do not fill empty, but for few guests: what a guest takes is missing where
//! something comes back for it. Only an uplink that has room again gets more of them.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::swarm::seed_choker::Market;
use crate::swarm::{ConnectionId, SeedChoker, Strategy};

/// How often slots are given anew.
pub(super) const ROUND: Duration = Duration::from_secs(10);
/// Rounds between two optimistic unchokes.
const OPTIMISTIC_ROUNDS: u32 = 3;
/// How long a guest keeps his slot: long enough for what he gives to show.
const STAY: Duration = Duration::from_secs(30);
/// How long a peer counts as new, and is drawn with three times the chance.
const NEW: Duration = Duration::from_secs(60);

/// What the choker looks at in one peer that wants something.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) connection: ConnectionId,
    pub(super) since: Instant,
    /// It has a slot now.
    pub(super) unchoked: bool,
    /// Since when it has a slot or has none.
    pub(super) turned: Instant,
    /// Bytes it gave since the last round.
    pub(super) gave: u64,
    /// Bytes it took since the last round.
    pub(super) took: u64,
    /// Bytes it took in this turn.
    pub(super) took_in_turn: u64,
    /// Bytes it took on this connection.
    pub(super) took_in_all: u64,
    /// Bytes of the pieces that it has.
    pub(super) holds: u64,
    /// How much it lacks of what is rare, in steps; 0 where nobody asks.
    pub(super) lacks_rare: u64,
    /// It let our requests wait: it gets a slot by luck alone.
    pub(super) snubs: bool,
    /// It had a slot and took nothing for long (P29), or has one and asks for nothing.
    pub(super) idle: bool,
}

/// How many may be served who give nothing.
#[derive(Debug)]
struct Guests {
    most: usize,
    /// The most that was given in one round, fading.
    best: u64,
    /// Slots that were given by the last round; `None`: all may be.
    open: Option<usize>,
}

impl Default for Guests {
    fn default() -> Self {
        Self { most: 1, best: 0, open: None }
    }
}

impl Guests {
    /// `moved` bytes were given since the last round: clearly fewer than could be call for more guests.
    fn adapt(&mut self, moved: u64, slots: usize) {
        self.best = (self.best - self.best / 16).max(moved);
        let idle = moved.saturating_mul(10) < self.best.saturating_mul(9);
        self.most = if idle { (self.most * 2).min(slots.max(1)) } else { (self.most - 1).max(1) };
    }
}

/// Gives the slots.
#[derive(Debug)]
pub(super) struct Choker {
    /// While downloading, who gives nothing is a guest ([`Strategy::few_guests`]).
    few_guests: bool,
    /// One slot goes by luck ([`Strategy::optimistic`]).
    optimistic_slot: bool,
    guests: Guests,
    round: u32,
    optimistic: Option<ConnectionId>,
    rng: fastrand::Rng,
}

impl Choker {
    pub(super) fn new(strategy: Strategy, rng: fastrand::Rng) -> Self {
        let Strategy { few_guests, optimistic: optimistic_slot, .. } = strategy;
        Self { few_guests, optimistic_slot, guests: Guests::default(), round: 0, optimistic: None, rng }
    }

    /// How many of these slots go by merit.
    fn regular(&self, slots: usize) -> usize {
        if slots > 1 && self.optimistic_slot { slots - 1 } else { slots }
    }

    /// How many of these slots may be given between two rounds.
    pub(super) fn open(&self, slots: usize) -> usize {
        self.guests.open.map_or(slots, |open| open.min(slots))
    }

    /// The peers that have a slot until the next round, out of those who want something; `seeding` says whom a seed serves first,
    /// and of what.
    pub(super) fn decide(
        &mut self,
        now: Instant,
        mut peers: Vec<View>,
        seeding: Option<(SeedChoker, &Market)>,
        slots: usize,
    ) -> BTreeSet<ConnectionId> {
        self.round += 1;
        self.guests.open = None;
        if seeding.is_none() && self.few_guests {
            return self.barter(now, peers, slots);
        }
        if peers.len() <= slots {
            return peers.iter().map(|peer| peer.connection).collect();
        }
        let lucky = self.optimistic;
        if self.round % OPTIMISTIC_ROUNDS == 1 || !peers.iter().any(|peer| Some(peer.connection) == lucky) {
            self.optimistic = None;
        }
        if let Some((order, market)) = seeding {
            order.sort(now, &mut peers, lucky, market);
        } else {
            peers.sort_by_key(|peer| (peer.snubs, peer.idle, Reverse(peer.gave), !peer.unchoked, peer.connection));
        }
        let regular = self.regular(slots);
        let mut chosen: BTreeSet<_> = peers.iter().take(regular).map(|peer| peer.connection).collect();
        while chosen.len() < slots {
            let kept = self.optimistic.filter(|luck| !chosen.contains(luck));
            let Some(luck) = kept.or_else(|| self.draw(now, &peers, &chosen)) else { break };
            self.optimistic = Some(luck);
            chosen.insert(luck);
        }
        chosen
    }

    /// Tit for tat: those who give, best first, and a few guests.
    fn barter(&mut self, now: Instant, mut peers: Vec<View>, slots: usize) -> BTreeSet<ConnectionId> {
        self.guests.adapt(peers.iter().map(|peer| peer.took).sum(), slots);
        let regular = self.regular(slots);
        peers.sort_by_key(|peer| (Reverse(peer.gave), !peer.unchoked, peer.connection));
        let givers = peers.iter().filter(|peer| peer.gave > 0 && !peer.snubs && !peer.idle);
        let mut chosen: BTreeSet<_> = givers.take(regular).map(|peer| peer.connection).collect();
        let guests = if self.optimistic_slot { self.guests.most } else { 0 };
        // Nobody gives yet: whoever gets something may pass it on.
        let open = if chosen.is_empty() { slots } else { slots.min(chosen.len() + guests) };
        self.guests.open = (!chosen.is_empty()).then_some(open);
        // Who came last has shown least of what he gives.
        let stays = |peer: &&View| !peer.idle && peer.unchoked && now.saturating_duration_since(peer.turned) < STAY;
        let mut staying: Vec<&View> =
            peers.iter().filter(|peer| !chosen.contains(&peer.connection)).filter(stays).collect();
        staying.sort_by_key(|peer| (Reverse(peer.turned), peer.connection));
        let free = open.saturating_sub(chosen.len());
        chosen.extend(staying.into_iter().take(free).map(|peer| peer.connection));
        while chosen.len() < open {
            let Some(luck) = self.draw(now, &peers, &chosen) else { break };
            chosen.insert(luck);
        }
        chosen
    }

    /// Draws one of those without a slot; the new with three times the chance.
    fn draw(&mut self, now: Instant, peers: &[View], chosen: &BTreeSet<ConnectionId>) -> Option<ConnectionId> {
        let rest = || peers.iter().filter(|peer| !chosen.contains(&peer.connection));
        let weight = |peer: &View| if now.saturating_duration_since(peer.since) < NEW { 3 } else { 1u32 };
        let total: u32 = rest().map(weight).sum();
        let mut ticket = if total > 0 { self.rng.u32(..total) } else { return None };
        for peer in rest() {
            match ticket.checked_sub(weight(peer)) {
                Some(left) => ticket = left,
                None => return Some(peer.connection),
            }
        }
        None
    }
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::swarm::Strategy;
    use crate::swarm::tests::birth;

    pub(in crate::swarm) fn view(number: u64) -> View {
        View {
            connection: ConnectionId(number),
            since: birth(),
            unchoked: false,
            turned: birth(),
            gave: 0,
            took: 0,
            took_in_turn: 0,
            took_in_all: 0,
            holds: 0,
            lacks_rare: 0,
            snubs: false,
            idle: false,
        }
    }

    pub(in crate::swarm) fn later(seconds: u64) -> Instant {
        birth() + Duration::from_secs(seconds)
    }

    const SEEDING: Option<(SeedChoker, &Market)> = Some((SeedChoker::RoundRobin, &Market::NONE));

    /// Without guests.
    fn plain() -> Strategy {
        Strategy { few_guests: false, ..Strategy::default() }
    }

    fn choker() -> Choker {
        Choker::new(plain(), fastrand::Rng::with_seed(7))
    }

    #[test]
    fn a_leecher_unchokes_those_who_give_most_and_one_by_luck() {
        let peers: Vec<_> = (0..20).map(|number| View { gave: number * 1000, ..view(number) }).collect();
        let chosen = choker().decide(later(100), peers, None, 5);
        assert_eq!(chosen.len(), 5);
        assert!((16..20).all(|number| chosen.contains(&ConnectionId(number))));
    }

    #[test]
    fn one_who_snubs_us_gets_no_slot_but_by_luck() {
        let mut peers: Vec<_> = (0..20).map(|number| View { gave: number * 1000, ..view(number) }).collect();
        peers[19].snubs = true;
        let mut choker = choker();
        let by_luck = (0..40).filter(|_| choker.decide(later(100), peers.clone(), None, 5).contains(&ConnectionId(19)));
        assert!(by_luck.count() < 20);
    }

    #[test]
    fn the_optimistic_slot_stays_30_s_and_then_moves() {
        let peers: Vec<_> = (0..40).map(|number| View { gave: number * 1000, ..view(number) }).collect();
        let mut choker = choker();
        let lucky: Vec<_> =
            (0..30).map(|_| *choker.decide(later(100), peers.clone(), None, 4).first().expect("four")).collect();
        assert!(lucky.chunks(3).all(|three| three.iter().all(|luck| *luck == three[0])), "{lucky:?}");
        assert!(lucky.iter().collect::<BTreeSet<_>>().len() > 5, "{lucky:?}");
    }

    #[test]
    fn new_peers_are_drawn_three_times_as_often() {
        let (mut fresh, rounds) = (0u32, 3000);
        let peers: Vec<_> =
            (0..20).map(|n| View { since: if n < 10 { later(90) } else { birth() }, ..view(n) }).collect();
        let mut choker = choker();
        for _ in 0..rounds {
            let luck = choker.draw(later(100), &peers, &BTreeSet::new()).expect("somebody");
            fresh += u32::from(luck.0 < 10);
        }
        assert!((rounds * 70 / 100..rounds * 80 / 100).contains(&fresh), "{fresh}");
    }

    #[test]
    fn p29_one_who_takes_nothing_gives_up_its_slot() {
        let mut peers: Vec<_> =
            (0..10).map(|number| View { unchoked: number < 4, took: 1000, ..view(number) }).collect();
        (peers[0].idle, peers[0].took) = (true, 0);
        let mut choker = choker();
        let kept = (0..30).filter(|_| choker.decide(later(100), peers.clone(), SEEDING, 4).contains(&ConnectionId(0)));
        assert!(kept.count() <= 6, "by luck alone");
    }

    fn bartering() -> Choker {
        Choker::new(Strategy::default(), fastrand::Rng::with_seed(7))
    }

    /// Twenty peers of which the first so many give and take 100 kB in each round.
    fn crowd(givers: u64) -> Vec<View> {
        let moved = |number| if number < givers { 100_000 } else { 0 };
        (0..20).map(|number| View { gave: moved(number), took: moved(number), ..view(number) }).collect()
    }

    #[test]
    fn slots_that_givers_do_not_fill_stay_empty_but_for_one_guest() {
        let mut choker = bartering();
        for _ in 0..10 {
            let chosen = choker.decide(later(100), crowd(3), None, 8);
            assert_eq!(chosen.len(), 4);
            assert!((0..3).all(|giver| chosen.contains(&ConnectionId(giver))));
            assert_eq!(choker.open(8), 4, "nor are they given between two rounds");
        }
    }

    #[test]
    fn without_the_slot_by_luck_who_gives_nothing_has_none() {
        let without = |few_guests| {
            let strategy = Strategy { few_guests, optimistic: false, ..Strategy::default() };
            let mut choker = Choker::new(strategy, fastrand::Rng::with_seed(7));
            choker.decide(later(100), crowd(8), None, 8)
        };
        let givers: BTreeSet<_> = (0..8).map(ConnectionId).collect();
        assert_eq!([without(true), without(false)], [givers.clone(), givers]);
    }

    #[test]
    fn while_nobody_gives_all_slots_are_used() {
        let mut choker = bartering();
        assert_eq!(choker.decide(later(100), crowd(0), None, 8).len(), 8);
        assert_eq!(choker.open(8), 8);
    }

    #[test]
    fn an_uplink_that_has_room_again_gets_guests_and_a_busy_one_loses_them() {
        let mut choker = bartering();
        choker.decide(later(100), crowd(4), None, 8);
        let width = |choker: &mut Choker, givers| choker.decide(later(100), crowd(givers), None, 8).len() as u64;
        // Half of what was given before is left.
        let idle: Vec<u64> = (0..3).map(|_| width(&mut choker, 2) - 2).collect();
        assert_eq!(idle, [2, 4, 6]);
        let busy: Vec<u64> = (0..9).map(|_| width(&mut choker, 4) - 4).collect();
        assert_eq!(busy, [4, 4, 4, 4, 3, 2, 1, 1, 1]);
    }

    #[test]
    fn a_guest_stays_30_s_and_one_who_takes_nothing_does_not() {
        let kept = |age: u64, idle: bool| {
            let mut peers = crowd(3);
            (peers[19].unchoked, peers[19].turned, peers[19].idle) = (true, later(100 - age), idle);
            (0..40)
                .filter(|_| bartering().decide(later(100), peers.clone(), None, 8).contains(&ConnectionId(19)))
                .count()
        };
        assert_eq!((kept(29, false), kept(30, false), kept(29, true)), (40, 0, 0));
    }

    #[test]
    fn who_comes_to_give_is_a_guest_no_more_and_who_stops_giving_is_one_by_luck_alone() {
        let mut choker = bartering();
        let mut peers = crowd(3);
        choker.decide(later(100), peers.clone(), None, 8);
        (peers[0].gave, peers[19].gave) = (0, 100_000);
        let chosen = choker.decide(later(110), peers, None, 8);
        assert!(chosen.contains(&ConnectionId(19)) && chosen.len() == 4);
    }

    proptest! {
        #[test]
        fn slots_are_used_and_never_passed(
            seed: u64,
            slots in 0usize..12,
            seeding: bool,
            peers in proptest::collection::vec((any::<bool>(), 0u64..50, 0u64..50, any::<bool>(), 0u64..200), 0..30),
        ) {
            let mut choker = Choker::new(plain(), fastrand::Rng::with_seed(seed));
            let views: Vec<_> = (0..).zip(&peers).map(|(number, (unchoked, gave, took, snubs, age))| View {
                unchoked: *unchoked, gave: *gave, took: *took, snubs: *snubs, turned: later(200 - age), ..view(number)
            }).collect();
            for round in 0..4 {
                let chosen = choker.decide(later(200 + round * 10), views.clone(), SEEDING.filter(|_| seeding), slots);
                prop_assert_eq!(chosen.len(), slots.min(peers.len()));
                prop_assert!(chosen.iter().all(|id| id.0 < peers.len() as u64));
                if !seeding && slots > 1 && peers.len() > slots {
                    // The naive oracle: the best givers that do not snub us.
                    let mut best: Vec<_> = views.iter().filter(|view| !view.snubs).collect();
                    best.sort_by_key(|view| Reverse(view.gave));
                    if let Some(last) = best.get(slots - 2) {
                        prop_assert!(views.iter().filter(|view| !view.snubs && view.gave > last.gave).all(|view| chosen.contains(&view.connection)));
                    }
                }
            }
        }

        #[test]
        fn a_seed_serves_everyone_in_turn(seed: u64, count in 5usize..20, slots in 2usize..5) {
            let mut choker = Choker::new(plain(), fastrand::Rng::with_seed(seed));
            let mut views: Vec<_> = (0..count as u64).map(view).collect();
            let mut served = BTreeSet::new();
            for round in 1..=(count as u64 * 10) {
                let now = later(round * 10);
                let chosen = choker.decide(now, views.clone(), SEEDING, slots);
                for view in &mut views {
                    let has = chosen.contains(&view.connection);
                    if has != view.unchoked {
                        (view.unchoked, view.turned, view.took_in_turn) = (has, now, 0);
                    }
                    view.took = if has { 2_000_000 } else { 0 };
                    view.took_in_turn += view.took;
                }
                served.extend(chosen);
            }
            prop_assert_eq!(served.len(), count);
        }
    }
}
