//! How many dials may be begun in a time.

use std::time::{Duration, Instant};

use crate::limits;

/// A small store of dials that fills with time.
#[derive(Debug)]
pub(super) struct Allowance {
    pub(super) dials: u32,
    pub(super) counted: Instant,
}

impl Allowance {
    pub(super) const PERIOD: Duration = Duration::from_millis(1000 / limits::DIALS_PER_SECOND as u64);

    pub(super) fn refill(&mut self, now: Instant) {
        let periods = now.saturating_duration_since(self.counted).as_millis() / Self::PERIOD.as_millis();
        if periods > 0 {
            self.dials = self.dials.saturating_add(u32::try_from(periods).unwrap_or(u32::MAX));
            self.dials = self.dials.min(2 * limits::DIALS_PER_SECOND);
            self.counted = now;
        }
    }
}
