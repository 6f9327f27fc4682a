//! How many upload slots the uplink bears.
//!
//! Few that get much are better than many that get little: a piece can be passed on only when it is whole. So there are eight, or fewer
//! where eight would get too little each to be of use. Where the peers that have them take less than we could send, more are tried
//! while others wait, and kept if they bring more; what brings no more is taken back.

use std::time::{Duration, Instant};

use crate::swarm::SlotRule;

/// Slots at the beginning, and where no more are of use.
const START: usize = 8;
/// Three by merit and one by luck (BEP 3).
const LEAST: usize = 4;
/// The most that the root of the rate gives.
const MOST_BY_ROOT: usize = 200;
/// The most at all.
const MOST: usize = 1000;
/// What a slot must get to be of use, in bytes per second: a block every two seconds.
const USEFUL: u64 = 8_000;
/// Whether more slots brought more is looked at after this time at the earliest.
const LOOK: Duration = Duration::from_secs(5);
/// Looks between two trials while nothing changes.
const REST: u32 = 12;
/// More slots are worth it if they bring this part of what they would bring where each brings as much as those before.
const WORTH: u64 = 4;

/// Slots are tried out.
#[derive(Clone, Copy, Debug)]
struct Trial {
    /// As many as there were.
    from: usize,
    /// The rate with those.
    before: u64,
}

/// What trials have shown.
#[derive(Clone, Copy, Debug)]
enum Sense {
    /// Nothing yet, or not of how it is now.
    Unknown,
    /// It is full, at this rate.
    Full(u64),
    /// It has room.
    Idle,
}

/// What is seen of the uplink between two looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load<'a> {
    /// All bytes that were sent since birth.
    pub(super) total: u64,
    /// What each of those took since the last look who have a slot.
    pub(super) took: &'a [u64],
    /// Those who want something and have none; 0 where more slots are not to be tried.
    pub(super) waiting: usize,
}

/// The number of slots.
#[derive(Debug)]
pub(super) struct Uplink {
    rule: SlotRule,
    born: Instant,
    /// `None` before the first look: it is as at birth.
    course: Option<Box<Course>>,
}

/// What came of the slots so far.
#[derive(Debug)]
struct Course {
    slots: usize,
    trial: Option<Trial>,
    sense: Sense,
    /// Looks until the next trial, while the rate stays what it is.
    rest: u32,
    looked: Instant,
    total: u64,
}

impl Uplink {
    pub(super) fn new(rule: SlotRule, now: Instant) -> Self {
        Self { rule, born: now, course: None }
    }

    /// Whether it is said how many slots there are.
    pub(super) fn is_fixed(&self) -> bool {
        matches!(self.rule, SlotRule::Fixed(_))
    }

    /// How many slots there are at this upload rate in bytes per second.
    pub(super) fn slots(&self, up_rate: u64) -> usize {
        match self.rule {
            SlotRule::Fixed(slots) => slots,
            SlotRule::Root => by_root(up_rate),
            SlotRule::Stairs | SlotRule::Uplink => self.course.as_ref().map_or(START, |course| course.slots),
        }
    }

    /// Looks what came of the slots there were, before they are given anew.
    pub(super) fn look(&mut self, now: Instant, load: Load<'_>) {
        self.course.get_or_insert_with(|| Box::new(Course::new(self.born))).look(now, self.rule, load);
    }
}

impl Course {
    fn new(born: Instant) -> Self {
        Self { slots: START, trial: None, sense: Sense::Unknown, rest: 0, looked: born, total: 0 }
    }

    fn look(&mut self, now: Instant, rule: SlotRule, load: Load<'_>) {
        let elapsed = now.saturating_duration_since(self.looked);
        let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
        if elapsed < LOOK {
            return;
        }
        let per_second = |bytes: u64| bytes.saturating_mul(1000) / milliseconds;
        let rate = per_second(load.total - self.total);
        (self.looked, self.total) = (now, load.total);
        match rule {
            SlotRule::Uplink => self.adapt(rate, load.took.len(), load.waiting),
            SlotRule::Stairs => self.slots = stairs(load.took.iter().map(|took| per_second(*took)).collect()),
            SlotRule::Root | SlotRule::Fixed(_) => {}
        }
    }

    fn adapt(&mut self, rate: u64, used: usize, waiting: usize) {
        let useful = usize::try_from(rate / USEFUL).unwrap_or(MOST);
        let least = useful.clamp(LEAST, START);
        let tried = self.trial.take();
        if used < self.slots {
            // What nobody uses is not kept for those who come.
            self.slots = self.slots.min((used + used / 2).max(START)).max(least);
            return;
        }
        match tried {
            Some(trial) => self.judge(trial, rate, least),
            None => self.rest = self.rest.saturating_sub(1),
        }
        self.slots = self.slots.max(least);
        if let Sense::Full(full) = self.sense
            && (rate * 10 < full * 9 || rate * 10 > full * 11)
        {
            self.sense = Sense::Unknown;
        }
        let scarce = rate < USEFUL * self.slots as u64;
        let rested = self.rest == 0 && waiting > 0;
        let fewer = if scarce { self.slots / 2 } else { self.slots * 3 / 4 }.max(least);
        let slots = match self.sense {
            Sense::Unknown | Sense::Full(_) if scarce => fewer,
            Sense::Unknown => self.slots * 3 / 2,
            Sense::Idle => self.slots * 2,
            Sense::Full(_) if rested && fewer < self.slots => fewer,
            Sense::Full(_) if rested => (self.slots * 3 / 2).min(useful),
            Sense::Full(_) => self.slots,
        };
        let slots = slots.min(used + waiting).min(MOST).max(least);
        if slots != self.slots {
            self.trial = Some(Trial { from: self.slots, before: rate });
            self.slots = slots;
        }
    }

    /// Keeps what was tried if it is better, and goes back if not.
    fn judge(&mut self, trial: Trial, rate: u64, least: usize) {
        let more = self.slots > trial.from;
        let best = if let Sense::Full(full) = self.sense { full.max(trial.before) } else { trial.before };
        let each = trial.before / trial.from.max(1) as u64;
        let hoped = each * self.slots.saturating_sub(trial.from) as u64;
        let better = if more { rate.saturating_sub(trial.before) * WORTH > hoped } else { rate * 100 >= best * 97 };
        if !better {
            self.slots = trial.from;
        }
        // What more slots brought, or fewer did not, shows an uplink with room.
        self.sense = if more == better { Sense::Idle } else { Sense::Full(rate.max(best)) };
        // Where fewer do as well, still fewer may.
        self.rest = if !more && better && self.slots > least { 0 } else { REST };
    }
}

/// The root of a rate, among which it can be shared without starving each.
fn by_root(rate: u64) -> usize {
    usize::try_from((rate.saturating_mul(6) / 10_000).isqrt()).unwrap_or(MOST_BY_ROOT).clamp(START, MOST_BY_ROOT)
}

/// As libtorrent's rate-based choker: of those who take, fastest first, as many as take 2 KiB/s more than the one before had to, and
/// one more.
fn stairs(mut rates: Vec<u64>) -> usize {
    rates.sort_unstable_by(|a, b| b.cmp(a));
    1 + rates.iter().zip(0..).take_while(|(rate, nth)| **rate >= 1024 + 2048 * nth).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::tests::birth;

    /// An uplink in front of peers that each take at most so much; gives the slots of each round, and the rate at the end.
    fn rounds(rule: SlotRule, capacity: u64, peers: &[u64], rounds: u64) -> (Vec<usize>, u64) {
        let mut uplink = Uplink::new(rule, birth());
        let (mut total, mut rate, mut course) = (0, 0, Vec::new());
        for round in 1..=rounds {
            let slots = uplink.slots(rate).min(peers.len());
            let took = share(capacity, &peers[..slots]);
            rate = took.iter().sum();
            total += rate * 10;
            let took: Vec<u64> = took.iter().map(|took| took * 10).collect();
            let load = Load { total, took: &took, waiting: peers.len() - slots };
            uplink.look(birth() + Duration::from_secs(round * 10), load);
            course.push(slots);
        }
        (course, rate)
    }

    /// What each gets where nobody gets more than it takes, and all others alike.
    fn share(mut capacity: u64, peers: &[u64]) -> Vec<u64> {
        let mut order: Vec<usize> = (0..peers.len()).collect();
        order.sort_by_key(|nth| peers[*nth]);
        let mut took = vec![0; peers.len()];
        for (served, nth) in order.iter().enumerate() {
            took[*nth] = peers[*nth].min(capacity / (peers.len() - served) as u64);
            capacity -= took[*nth];
        }
        took
    }

    #[test]
    fn slots_grow_with_the_root_of_the_rate_or_are_fixed_on_demand() {
        let of =
            |rule| [0, 100_000, 1_000_000, 10_000_000, 100_000_000].map(|rate| Uplink::new(rule, birth()).slots(rate));
        assert_eq!(of(SlotRule::Root), [8, 8, 24, 77, 200]);
        assert_eq!(of(SlotRule::Uplink), [8; 5]);
        assert_eq!(of(SlotRule::Fixed(3)), [3; 5]);
    }

    #[test]
    fn a_wide_uplink_before_slow_peers_is_filled_and_by_the_root_alone_it_is_not() {
        let peers = [100_000; 900];
        let (course, rate) = rounds(SlotRule::Uplink, 50_000_000, &peers, 20);
        assert!(rate >= 47_500_000, "{rate}: {course:?}");
        assert!(rounds(SlotRule::Root, 50_000_000, &peers, 20).1 < 10_000_000);
        assert!(rounds(SlotRule::Stairs, 50_000_000, &peers, 20).1 < 10_000_000);
    }

    #[test]
    fn a_narrow_uplink_has_as_many_slots_as_are_of_use() {
        let (course, rate) = rounds(SlotRule::Uplink, 50_000, &[1_000_000; 40], 60);
        assert_eq!(rate, 50_000);
        assert!(course[2..].iter().all(|slots| 50_000 / *slots as u64 >= USEFUL), "{course:?}");
    }

    #[test]
    fn slots_that_bring_nothing_are_taken_back_and_seldom_tried_again() {
        let (course, _) = rounds(SlotRule::Uplink, 1_000_000, &[500_000; 100], 60);
        assert_eq!(course.iter().filter(|slots| **slots != 8).count(), 5, "{course:?}");
        assert_eq!(*course.iter().max().expect("some"), 12);
    }

    #[test]
    fn peers_that_take_little_each_have_slots_all_the_same() {
        let (course, rate) = rounds(SlotRule::Uplink, 1_000_000, &[2_000; 300], 30);
        assert!(rate >= 590_000, "{rate}: {course:?}");
    }

    #[test]
    fn fast_peers_after_slow_ones_get_fewer_slots_and_all_of_the_uplink() {
        let mut uplink = Uplink::new(SlotRule::Uplink, birth());
        uplink.course = Some(Box::new(Course { slots: 400, ..Course::new(birth()) }));
        let (mut total, mut used) = (0, 400);
        for round in 1..60 {
            total += 10_000_000;
            uplink.look(
                birth() + Duration::from_secs(round * 10),
                Load { total, took: &vec![0; used], waiting: 500 - used },
            );
            used = uplink.slots(1_000_000);
        }
        assert!((8..=12).contains(&used), "{used}");
    }

    #[test]
    fn slots_that_nobody_uses_are_not_kept() {
        let mut uplink = Uplink::new(SlotRule::Uplink, birth());
        uplink.course = Some(Box::new(Course { slots: 500, ..Course::new(birth()) }));
        uplink.look(birth() + Duration::from_secs(10), Load { total: 0, took: &[0; 3], waiting: 0 });
        assert_eq!(uplink.slots(0), START);
    }
}
