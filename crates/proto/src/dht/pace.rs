//! How fast lookups start: nodes ignore whoever asks too much, and in a small DHT every lookup asks everybody.

use std::time::{Duration, Instant};

use super::limits::{LOOKUP_BURST, MIN_LOOKUPS_PER_SECOND, NODES_PER_LOOKUP_PER_SECOND};

/// The time that lookups have used up, which may run ahead of the clock by a burst.
#[derive(Debug)]
pub(super) struct Pace {
    used: Instant,
    each: Duration,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { used: now, each: Self::each(0) }
    }

    /// Whether a lookup may start now.
    pub(super) fn may_start(&self, now: Instant) -> bool {
        now >= self.next_start()
    }

    /// When the next lookup may start.
    pub(super) fn next_start(&self) -> Instant {
        self.used.checked_sub(self.each * (LOOKUP_BURST - 1)).unwrap_or(self.used)
    }

    /// A lookup starts, while so many nodes are known.
    pub(super) fn started(&mut self, now: Instant, known: usize) {
        self.each = Self::each(known);
        self.used = self.used.max(now) + self.each;
    }

    fn each(known: usize) -> Duration {
        let per_second = (known / NODES_PER_LOOKUP_PER_SECOND).max(MIN_LOOKUPS_PER_SECOND);
        Duration::from_secs(1) / u32::try_from(per_second).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "one moment to start from")]
    fn a_burst_and_then_so_many_a_second() {
        let start = Instant::now();
        let count = |known: usize, seconds: u64| {
            let (mut pace, mut now, mut count) = (Pace::new(start), start, 0);
            while now < start + Duration::from_secs(seconds) {
                while pace.may_start(now) {
                    pace.started(now, known);
                    count += 1;
                }
                now = pace.next_start();
            }
            count
        };
        assert_eq!((count(0, 1), count(0, 11)), (17, 37));
        assert!((230..=240).contains(&count(160, 11)), "{}", count(160, 11));
    }
}
