//! What lookups came to.

use std::time::Duration;

use riverrun_proto::dht::LookupReport;

/// Several lookups put together.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Tally {
    /// Lookups that were begun.
    pub begun: u32,
    /// Lookups that reached their end.
    pub ended: u32,
    /// Lookups that found a peer that did announce.
    pub found: u32,
    /// The time until the first such peer.
    pub first: Spread,
    /// The time until the end.
    pub took: Spread,
    /// Nodes that were asked, as if they were milliseconds.
    asked: Spread,
    /// Nodes that confirmed an announce.
    stored: u32,
}

/// Measured times.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Spread(Vec<Duration>);

impl Tally {
    /// The share of lookups that found a peer, in percent.
    #[must_use]
    pub fn percent(&self) -> f64 {
        100.0 * f64::from(self.found) / f64::from(self.begun.max(1))
    }

    /// How many nodes a lookup asks: this share of lookups, from 0 to 100, asks no more.
    #[must_use]
    pub fn asked(&self, percent: usize) -> u128 {
        self.asked.at(percent).as_millis()
    }

    /// At how many nodes an announce is confirmed, on average.
    #[must_use]
    pub fn stored(&self) -> f64 {
        f64::from(self.stored) / f64::from(self.ended.max(1))
    }

    pub(super) fn find(&mut self, after: Duration) {
        self.found += 1;
        self.first.0.push(after);
    }

    pub(super) fn end(&mut self, report: &LookupReport) {
        self.ended += 1;
        self.took.0.push(report.took);
        self.asked.0.push(Duration::from_millis(report.asked.into()));
        self.stored += report.stored_at;
    }
}

impl Spread {
    /// The time within which this share of all, from 0 to 100, happened; zero if nothing did.
    #[must_use]
    pub fn at(&self, percent: usize) -> Duration {
        let mut times = self.0.clone();
        times.sort_unstable();
        let index = (times.len() * percent / 100).min(times.len().saturating_sub(1));
        times.get(index).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_of_times() {
        let spread = Spread((1..=100).rev().map(Duration::from_secs).collect());
        assert_eq!([0, 50, 99, 100].map(|percent| spread.at(percent).as_secs()), [1, 51, 100, 100]);
        assert_eq!(Spread::default().at(50), Duration::ZERO);
    }
}
