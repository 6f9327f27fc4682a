//! One limit: bytes that may go, and how they come back with time.

use std::time::{Duration, Instant};

/// How much unused allowance may pile up, in nanoseconds of the rate.
const BURST: u64 = 250_000_000;
/// What is granted at once where the rate allows it eight times a second, in bytes: a block.
const QUANTUM: u64 = 16 * 1024;
/// The least that is granted at once where the rate allows it eight times a second, in bytes.
const LEAST_QUANTUM: u64 = 1024;
/// The most that is granted at once, in bytes.
const MOST_QUANTUM: u64 = 256 * 1024;
/// A fast limit grants what it brings in the five-hundredth part of a second, so that grants stay few.
const FAST_SHARE: u64 = 500;

const NANOS: i128 = 1_000_000_000;

/// A bucket that fills with time. What is reserved counts towards what it may hold, so that in no time more than the rate
/// allows and one burst gets through, however long reservations rest elsewhere.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    /// Bytes a second, at least 1.
    rate: u64,
    /// Bytes that may go, times 10^9; below zero, a debt.
    tokens: i128,
    /// Bytes that were taken for somebody who still waits elsewhere.
    reserved: u64,
    filled: Instant,
}

impl Bucket {
    /// Empty.
    pub(super) fn new(now: Instant, rate: u64) -> Self {
        Self { rate: rate.max(1), tokens: 0, reserved: 0, filled: now }
    }

    pub(super) fn rate(&self) -> u64 {
        self.rate
    }

    /// What one of so many who wait is granted at once, in bytes: a turn of all of them takes about a second.
    pub(super) fn quantum(&self, waiting: usize) -> u64 {
        let share = self.rate / (waiting as u64).max(8);
        let least = (self.rate / 8).clamp(1, LEAST_QUANTUM);
        share.clamp(least, QUANTUM).max((self.rate / FAST_SHARE).min(MOST_QUANTUM))
    }

    /// Another rate from now on.
    pub(super) fn set_rate(&mut self, now: Instant, rate: u64) {
        self.fill(now);
        self.rate = rate.max(1);
        self.tokens = self.tokens.min(self.room());
    }

    /// Whole bytes that may go now.
    pub(super) fn ready(&mut self, now: Instant) -> u64 {
        self.fill(now);
        u64::try_from(self.tokens / NANOS).unwrap_or(0)
    }

    /// When so many bytes may go; `None`: not before a reservation ends.
    pub(super) fn ready_at(&self, bytes: u64) -> Option<Instant> {
        let wanted = i128::from(bytes) * NANOS;
        if wanted > self.room() {
            return None;
        }
        let missing = (wanted - self.tokens).max(0);
        let rate = i128::from(self.rate);
        let nanos = (missing + rate - 1) / rate;
        self.filled.checked_add(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// Takes bytes for somebody who has to wait elsewhere, or is about to go.
    pub(super) fn reserve(&mut self, bytes: u64) {
        self.tokens -= i128::from(bytes) * NANOS;
        self.reserved += bytes;
    }

    /// Reserved bytes have gone. What came before could not be kept beside them.
    pub(super) fn go(&mut self, now: Instant, bytes: u64) {
        self.fill(now);
        self.reserved = self.reserved.saturating_sub(bytes);
    }

    /// Reserved bytes are not needed.
    pub(super) fn unreserve(&mut self, bytes: u64) {
        self.reserved = self.reserved.saturating_sub(bytes);
        self.give_back(bytes);
    }

    /// Bytes that had gone were not needed.
    pub(super) fn give_back(&mut self, bytes: u64) {
        self.tokens = (self.tokens + i128::from(bytes) * NANOS).min(self.room());
    }

    /// Bytes have gone that nobody asked for.
    pub(super) fn spend(&mut self, now: Instant, bytes: u64) {
        self.fill(now);
        self.tokens -= i128::from(bytes) * NANOS;
    }

    #[cfg(test)]
    pub(super) fn reserved(&self) -> u64 {
        self.reserved
    }

    fn fill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.filled);
        let came = i128::from(self.rate) * i128::try_from(elapsed.as_nanos()).unwrap_or(i128::from(u64::MAX));
        self.tokens = self.tokens.saturating_add(came).min(self.room().max(self.tokens));
        self.filled = self.filled.max(now);
    }

    /// The most that it may hold now, in bytes times 10^9.
    fn room(&self) -> i128 {
        let burst = (i128::from(self.rate) * i128::from(BURST)).max(NANOS);
        burst - i128::from(self.reserved) * NANOS
    }
}
