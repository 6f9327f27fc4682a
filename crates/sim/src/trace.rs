//! A digest over all that happened, so that two runs can be compared.

use std::time::Duration;

/// A running FNV-1a digest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trace {
    digest: u64,
    events: u64,
}

impl Trace {
    pub(crate) fn new() -> Self {
        Self { digest: 0xcbf2_9ce4_8422_2325, events: 0 }
    }

    /// Adds one event: when, to whom, and what in words of numbers.
    pub(crate) fn add(&mut self, age: Duration, host: u64, what: impl IntoIterator<Item = u64>) {
        self.events += 1;
        let nanoseconds = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
        for word in [nanoseconds, host].into_iter().chain(what) {
            for byte in word.to_le_bytes() {
                self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }

    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn events(&self) -> u64 {
        self.events
    }
}
