//! Rounds of something measured, and what they come to.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::watch;

use crate::exit::Exit;
use crate::failure::Failure;

/// Rounds that count, if the time allows.
pub(super) const ROUNDS: usize = 5;
/// No round of a part begins later than this after its first, once one counts.
pub(super) const PATIENCE: Duration = Duration::from_secs(4);

/// Whether the user wants us to go.
#[derive(Clone, Debug)]
pub(super) struct Stop(watch::Receiver<bool>);

/// What one round took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    wall: Duration,
    cpu: Duration,
}

/// A round that goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    began: Instant,
    cpu: Duration,
}

/// The rounds of one measure.
#[derive(Clone, Default, Debug)]
pub(super) struct Rounds(Vec<(Sample, u64)>);

impl Stop {
    pub(super) fn new(said: watch::Receiver<bool>) -> Self {
        Self(said)
    }

    /// # Errors
    /// The user wants us to go.
    pub(super) fn check(&self) -> Result<(), Failure> {
        if *self.0.borrow() { Err(Failure::silent(Exit::Interrupted)) } else { Ok(()) }
    }

    /// Waits until the user wants us to go.
    pub(super) async fn said(&mut self) -> Failure {
        // Whoever could say so may be gone: then this is dropped soon.
        if self.0.wait_for(|said| *said).await.is_err() {
            std::future::pending::<()>().await;
        }
        Failure::silent(Exit::Interrupted)
    }
}

impl Watch {
    pub(super) fn start() -> Self {
        Self { cpu: cpu(), began: Instant::now() }
    }

    pub(super) fn stop(self) -> Sample {
        let wall = self.began.elapsed();
        Sample { wall, cpu: cpu().saturating_sub(self.cpu) }
    }
}

impl Rounds {
    /// Takes a round that moved so many bytes.
    pub(super) fn push(&mut self, sample: Sample, bytes: u64) {
        self.0.push((sample, bytes));
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The median of the speeds, in bytes per second.
    pub(super) fn bytes_per_second(&self) -> f64 {
        median(self.0.iter().map(|(sample, bytes)| precise(*bytes) / sample.wall.as_secs_f64().max(1e-9)).collect())
    }

    /// The median of the seconds of processor time per GiB, of this whole process.
    pub(super) fn cpu_s_per_gib(&self) -> f64 {
        const GIB: f64 = 1_073_741_824.0;
        median(self.0.iter().map(|(sample, bytes)| sample.cpu.as_secs_f64() * GIB / precise(*bytes)).collect())
    }
}

/// Whether one more round may begin.
pub(super) fn more(done: usize, began: Instant) -> bool {
    done == 0 || (done < ROUNDS && began.elapsed() < PATIENCE)
}

/// The one in the middle; of an even number the mean of both in the middle; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.len().saturating_sub(1) / 2, values.len() / 2);
    values.get(low).zip(values.get(high)).map_or(0.0, |(low, high)| f64::midpoint(*low, *high))
}

#[expect(clippy::cast_precision_loss, reason = "rounds are far below 2^52 bytes")]
fn precise(bytes: u64) -> f64 {
    bytes as f64
}

/// User and system time of this process.
fn cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        for (values, middle) in
            [(vec![], 0.0), (vec![3.0], 3.0), (vec![9.0, 1.0, 2.0], 2.0), (vec![4.0, 1.0, 2.0, 9.0], 3.0)]
        {
            assert!((median(values.clone()) - middle).abs() < 1e-9, "{values:?}");
        }
    }

    #[test]
    fn speed_and_cpu_are_medians_each() {
        let mut rounds = Rounds::default();
        for (wall, cpu) in [(1, 4), (2, 1), (4, 2)] {
            rounds.push(Sample { wall: Duration::from_secs(wall), cpu: Duration::from_secs(cpu) }, 1 << 30);
        }
        assert!((rounds.bytes_per_second() - f64::from(1 << 29)).abs() < 1.0);
        assert!((rounds.cpu_s_per_gib() - 2.0).abs() < 1e-9);
        assert_eq!(rounds.len(), 3);
    }

    #[test]
    fn one_round_always_comes() {
        let now = Instant::now();
        assert!(more(0, now) && more(1, now) && !more(ROUNDS, now));
        let long_ago = now.checked_sub(PATIENCE);
        assert!(long_ago.is_none_or(|then| more(0, then) && !more(1, then)));
    }
}
