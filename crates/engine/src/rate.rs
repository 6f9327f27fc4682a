//! Rate limits: a token bucket that connections draw from before they read or write.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The least that is granted at once, so that a low limit does not end in one-byte reads.
const QUANTUM: u64 = 16 * 1024;
/// How much unused allowance may pile up, as a time.
const BURST: Duration = Duration::from_millis(250);

/// What a bucket says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Grant {
    /// This many bytes may go now, at least one.
    Bytes(usize),
    /// None; ask again then.
    Wait(Instant),
}

/// A limit on bytes a second, shared by all who draw from it.
///
/// Under a limit each draw gets at most one quantum, so that many connections share it in turns.
#[derive(Debug)]
pub(crate) struct RateLimit {
    /// Bytes a second; 0 is no limit. Read without the lock, as there is none most of the time.
    rate: AtomicU64,
    bucket: Mutex<Bucket>,
    total: AtomicU64,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled: Instant,
}

impl RateLimit {
    pub(crate) fn new(limit: Option<u64>) -> Self {
        Self {
            rate: AtomicU64::new(limit.map_or(0, |limit| limit.max(1))),
            bucket: Mutex::new(Bucket { tokens: 0.0, filled: Instant::now() }),
            total: AtomicU64::new(0),
        }
    }

    pub(crate) fn set(&self, limit: Option<u64>) {
        self.rate.store(limit.map_or(0, |limit| limit.max(1)), Ordering::Relaxed);
    }

    /// Takes allowance for up to `want` bytes.
    pub(crate) fn take(&self, now: Instant, want: usize) -> Grant {
        let rate = self.rate.load(Ordering::Relaxed);
        if rate == 0 {
            return Grant::Bytes(want);
        }
        let mut bucket = self.bucket.lock().expect("no panic while the bucket is locked");
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let rate = rate as f64;
        let quantum = (rate / 8.0).clamp(1.0, 16_384.0);
        let burst = (rate * BURST.as_secs_f64()).max(quantum);
        let elapsed = now.saturating_duration_since(bucket.filled).as_secs_f64();
        bucket.tokens = (bucket.tokens + elapsed * rate).min(burst);
        bucket.filled = bucket.filled.max(now);
        if bucket.tokens < quantum {
            return Grant::Wait(now + Duration::from_secs_f64((quantum - bucket.tokens) / rate).max(MIN_WAIT));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and the burst")]
        let granted = (bucket.tokens as u64).min(QUANTUM).min(want as u64);
        #[expect(clippy::cast_precision_loss, reason = "at most a quantum")]
        {
            bucket.tokens -= granted as f64;
        }
        Grant::Bytes(usize::try_from(granted).expect("at most a quantum"))
    }

    /// Says how much of a grant was used.
    pub(crate) fn settle(&self, granted: usize, used: usize) {
        self.total.fetch_add(used as u64, Ordering::Relaxed);
        if self.rate.load(Ordering::Relaxed) != 0 && used < granted {
            #[expect(clippy::cast_precision_loss, reason = "at most a quantum")]
            let unused = (granted - used) as f64;
            self.bucket.lock().expect("no panic while the bucket is locked").tokens += unused;
        }
    }

    /// Bytes that were used, ever.
    pub(crate) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

/// Below the resolution of the runtime's timer there is nothing to gain.
const MIN_WAIT: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws for ten seconds of hand-moved time with so many connections; what each got.
    fn drawn(limit: &RateLimit, connections: usize) -> Vec<usize> {
        let start = Instant::now();
        let mut got = vec![0; connections];
        for millis in 0..10_000 {
            let now = start + Duration::from_millis(millis);
            for sum in &mut got {
                if let Grant::Bytes(bytes) = limit.take(now, 1 << 20) {
                    limit.settle(bytes, bytes);
                    *sum += bytes;
                }
            }
        }
        got
    }

    #[test]
    fn no_limit_grants_all() {
        let limit = RateLimit::new(None);
        assert_eq!(limit.take(Instant::now(), 1 << 20), Grant::Bytes(1 << 20));
    }

    #[test]
    fn the_sum_keeps_to_the_limit() {
        for rate in [1_000u64, 100_000, 10_000_000] {
            let limit = RateLimit::new(Some(rate));
            let sum: usize = drawn(&limit, 3).into_iter().sum();
            let (low, high) = (rate * 95 / 10, rate * 104 / 10);
            assert!((low..=high).contains(&(sum as u64)), "{sum} bytes in 10 s at {rate}");
            assert_eq!(limit.total(), sum as u64);
        }
    }

    #[test]
    fn a_wait_is_never_in_the_past() {
        let limit = RateLimit::new(Some(10));
        let now = Instant::now();
        let Grant::Wait(until) = limit.take(now, 100) else { panic!("the bucket starts empty") };
        assert!(until > now);
    }

    #[test]
    fn what_was_not_used_comes_back() {
        let limit = RateLimit::new(Some(16_384));
        let later = Instant::now() + Duration::from_secs(1);
        let Grant::Bytes(first) = limit.take(later, 2048) else { panic!("a second has passed") };
        limit.settle(first, 0);
        assert_eq!(limit.take(later, 2048), Grant::Bytes(first));
    }
}
