//! How a host hangs on the network: rates both ways, a delay, jitter. Bytes keep their order within a connection.

use std::time::{Duration, Instant};

use crate::chance::Chance;

/// A host's link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Link {
    /// Bytes per second that it can send.
    pub up: u64,
    /// Bytes per second that it can receive.
    pub down: u64,
    /// From the host to the middle of the network.
    pub delay: Duration,
    /// At most so much more, drawn for each batch.
    pub jitter: Duration,
}

impl Link {
    /// 100 Mbit/s both ways, 10 ms.
    pub const FIBRE: Self =
        Self { up: 12_500_000, down: 12_500_000, delay: Duration::from_millis(10), jitter: Duration::from_millis(1) };
    /// 1 Mbit/s up, 16 Mbit/s down, 30 ms with jitter.
    pub const DSL: Self =
        Self { up: 125_000, down: 2_000_000, delay: Duration::from_millis(30), jitter: Duration::from_millis(10) };
    /// 8 Mbit/s both ways, 300 ms with jitter.
    pub const SATELLITE: Self =
        Self { up: 1_000_000, down: 1_000_000, delay: Duration::from_millis(300), jitter: Duration::from_millis(50) };
}

/// The two queues of a link.
#[derive(Debug)]
pub(crate) struct Pipes {
    link: Link,
    up_free: Instant,
    down_free: Instant,
    /// Bytes that were handed over.
    posted: u64,
}

impl Pipes {
    pub(crate) fn new(link: Link, now: Instant) -> Self {
        Self { link, up_free: now, down_free: now, posted: 0 }
    }

    /// When bytes that are handed over now have left the host.
    pub(crate) fn send(&mut self, now: Instant, bytes: u64) -> Instant {
        self.posted += bytes;
        self.up_free = self.up_free.max(now) + time_for(bytes, self.link.up);
        self.up_free
    }

    /// Bytes that have left the host by now, with those of messages.
    pub(crate) fn left(&self, now: Instant) -> u64 {
        let nanoseconds = self.up_free.saturating_duration_since(now).as_nanos();
        let waiting = nanoseconds * u128::from(self.link.up) / 1_000_000_000;
        self.posted.saturating_sub(u64::try_from(waiting).unwrap_or(u64::MAX))
    }

    /// When bytes that reach the host at `reached` have been received.
    pub(crate) fn receive(&mut self, reached: Instant, bytes: u64) -> Instant {
        self.down_free = self.down_free.max(reached) + time_for(bytes, self.link.down);
        self.down_free
    }

    /// How long a batch takes from here to the middle of the network.
    pub(crate) fn delay(&self, chance: &mut Chance) -> Duration {
        self.link.delay + self.link.jitter.mul_f64(chance.jitter())
    }
}

fn time_for(bytes: u64, rate: u64) -> Duration {
    Duration::from_nanos(bytes.saturating_mul(1_000_000_000) / rate.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_at_the_rate_of_the_link_and_no_faster() {
        let born = Instant::now();
        let mut pipes = Pipes::new(Link { up: 1000, ..Link::FIBRE }, born);
        let after = |seconds: f64| born + Duration::from_secs_f64(seconds);
        pipes.send(after(1.0), 500);
        pipes.send(after(1.0), 1000);
        assert_eq!([1.0, 1.25, 2.0, 2.5, 9.0].map(|at| pipes.left(after(at))), [0, 250, 1000, 1500, 1500]);
    }
}
