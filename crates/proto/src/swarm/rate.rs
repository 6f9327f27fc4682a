//! How fast bytes flow: a sum over the last few seconds.

use std::time::{Duration, Instant};

const BUCKETS: u32 = 8;
/// Full buckets before the newest.
const BEFORE: u32 = BUCKETS - 1;
const WIDTH: Duration = Duration::from_millis(500);

/// Bytes per second over the last four seconds, and all bytes since birth.
#[derive(Clone, Debug)]
pub(super) struct Rate {
    /// Bytes; one holds up to 4 GiB.
    buckets: [u32; BUCKETS as usize],
    /// The number of the newest bucket, counted from birth.
    newest: u32,
    born: Instant,
    total: u64,
}

impl Rate {
    pub(super) fn new(now: Instant) -> Self {
        Self { buckets: [0; BUCKETS as usize], newest: 0, born: now, total: 0 }
    }

    /// Counts bytes that have just passed.
    pub(super) fn add(&mut self, now: Instant, bytes: u64) {
        let number = self.number(now);
        while self.newest < number {
            // After a long silence every bucket is cleared once, not once for each missed half second.
            self.newest = (self.newest + 1).max(number.saturating_sub(BEFORE));
            self.buckets[place(self.newest)] = 0;
        }
        let bucket = &mut self.buckets[place(self.newest)];
        *bucket = bucket.saturating_add(u32::try_from(bytes).unwrap_or(u32::MAX));
        self.total += bytes;
    }

    /// Bytes since birth.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Bytes per second now.
    pub(super) fn per_second(&self, now: Instant) -> u64 {
        let number = self.number(now);
        let first = number.saturating_sub(BEFORE);
        let known = self.newest.saturating_sub(BEFORE);
        let sum: u64 = (first.max(known)..=self.newest).map(|bucket| u64::from(self.buckets[place(bucket)])).sum();
        let age = now.saturating_duration_since(self.born);
        let start = WIDTH * first;
        // A flow that has just begun is not a flood: it is spread over at least a fifth of a second.
        let covered = age.saturating_sub(start).max(Duration::from_millis(200));
        let milliseconds = u64::try_from(covered.as_millis()).unwrap_or(u64::MAX);
        sum.saturating_mul(1000) / milliseconds
    }

    fn number(&self, now: Instant) -> u32 {
        let age = now.saturating_duration_since(self.born);
        u32::try_from(age.as_millis() / WIDTH.as_millis()).unwrap_or(u32::MAX)
    }
}

fn place(bucket: u32) -> usize {
    (bucket % BUCKETS) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::tests::birth;

    #[test]
    fn a_steady_flow_is_measured_within_a_few_percent() {
        let start = birth();
        let mut rate = Rate::new(start);
        for step in 0..1000 {
            rate.add(start + Duration::from_millis(step * 10), 1000);
        }
        let measured = rate.per_second(start + Duration::from_millis(9_990));
        assert!((97_000..=103_000).contains(&measured), "{measured}");
        assert_eq!(rate.total(), 1_000_000);
    }

    #[test]
    fn silence_is_forgotten_after_four_seconds_and_a_gap_does_not_bring_back_old_bytes() {
        let start = birth();
        let mut rate = Rate::new(start);
        rate.add(start, 1 << 20);
        assert!(rate.per_second(start) > 0);
        assert_eq!(rate.per_second(start + Duration::from_secs(5)), 0);
        let later = start + Duration::from_secs(3600);
        rate.add(later, 4000);
        assert!((900..=1300).contains(&rate.per_second(later)), "{}", rate.per_second(later));
    }
}
