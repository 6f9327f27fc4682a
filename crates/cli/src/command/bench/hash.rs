//! Each kernel of the hashes on one core, beside a copy of memory.

use std::hint::black_box;
use std::time::{Duration, Instant};

use riverrun::metainfo::hash::{self, Candidate, Sha1, Sha256, Way};
use serde::Serialize;

use super::rounds::{ROUNDS, Rounds, Stop, Watch};
use super::{Measure, Part};
use crate::failure::Failure;

/// Bytes of each input: a piece, and several of them more than the caches next to a core hold.
const INPUT: usize = 1 << 20;
/// The most inputs side by side of any kernel.
const MOST: usize = 16;
/// A round lasts at least this.
const ROUND: Duration = Duration::from_millis(40);

/// What the calibration of a process says of one way to hash.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
pub(super) struct Kernel {
    hash: &'static str,
    name: &'static str,
    /// Inputs side by side.
    lanes: usize,
    /// Of one run over 4 KiB of each input.
    nanoseconds: u64,
    /// From how many inputs on it is used; null if it never is.
    worth_from: Option<usize>,
}

/// Measures what to use, as storage does when it has much to hash, and chooses.
pub(super) fn choose() -> Vec<Kernel> {
    let found = hash::calibrate(|work| {
        let began = Instant::now();
        work();
        began.elapsed()
    });
    let kernels = |hash: &'static str, candidates: Vec<Candidate>| {
        candidates.into_iter().map(move |candidate| Kernel::new(hash, candidate))
    };
    kernels("SHA-1", found.sha1).chain(kernels("SHA-256", found.sha256)).collect()
}

impl Kernel {
    fn new(hash: &'static str, candidate: Candidate) -> Self {
        let Candidate { name, lanes, cost, worth_from } = candidate;
        Self { hash, name, lanes, nanoseconds: u64::try_from(cost.as_nanos()).unwrap_or(u64::MAX), worth_from }
    }

    /// What it costs, and what follows from that.
    #[expect(clippy::cast_precision_loss, reason = "times are far below 2^52 nanoseconds")]
    pub(super) fn line(&self) -> String {
        let name = format!("{}, {}, {}", self.hash, self.name, crate::units::counted(self.lanes as u64, "input"));
        let each = self.nanoseconds as f64 / 1000.0 / self.lanes as f64;
        let used = match self.worth_from {
            Some(1) => "used for what is left".to_owned(),
            Some(inputs) => format!("used from {inputs} inputs on"),
            None => "not used, another is as fast".to_owned(),
        };
        format!("chosen    {name:<36} {each:>6.2} µs for 4 KiB   {used}")
    }
}

/// Measures all of them, in rounds that take turns.
pub(super) fn measure(stop: &Stop) -> Result<Vec<Measure>, Failure> {
    let bytes: Vec<u8> = (0..=250u8).cycle().take(INPUT * MOST).collect();
    let mut copy = vec![0; bytes.len()];
    let sha1 = usable(Sha1::ways().collect());
    let sha256 = usable(Sha256::ways().collect());
    let mut rounds = vec![Rounds::default(); 1 + sha1.len() + sha256.len()];
    // The first round warms up and does not count.
    for round in 0..=ROUNDS {
        let mut take = |at: usize, (sample, moved)| {
            if round > 0 {
                rounds[at].push(sample, moved);
            }
        };
        stop.check()?;
        take(0, timed(bytes.len(), || black_box(&mut copy).copy_from_slice(black_box(&bytes))));
        for (at, (_, inputs)) in sha1.iter().enumerate() {
            stop.check()?;
            take(1 + at, timed(inputs * INPUT, || run_sha1(&bytes[..inputs * INPUT])));
        }
        for (at, (_, inputs)) in sha256.iter().enumerate() {
            stop.check()?;
            take(1 + sha1.len() + at, timed(inputs * INPUT, || run_sha256(&bytes[..inputs * INPUT])));
        }
    }
    let mut rounds = rounds.into_iter();
    let ceiling = Measure::ceiling(Part::Hash, "memory copy", &rounds.next().unwrap_or_default());
    let named = |hash: &'static str| move |(way, inputs): &(Way, usize)| name(hash, way, *inputs);
    let names: Vec<String> = sha1.iter().map(named("SHA-1")).chain(sha256.iter().map(named("SHA-256"))).collect();
    let ours: Vec<_> = names.into_iter().zip(rounds).map(|(name, rounds)| ceiling.ours(name, &rounds)).collect();
    Ok([ceiling].into_iter().chain(ours).collect())
}

/// The ways with the number of inputs at which each is used: its lanes, or fewer where a wider one takes over before.
fn usable(ways: Vec<Way>) -> Vec<(Way, usize)> {
    let inputs = |at: usize| {
        let way: &Way = &ways[at];
        let wider = ways[at + 1..].iter().map(|wider| wider.worth_from - 1).min();
        wider.map_or(way.lanes, |most| most.min(way.lanes)).min(MOST)
    };
    (0..ways.len()).map(|at| (ways[at], inputs(at))).filter(|(way, inputs)| *inputs >= way.worth_from).collect()
}

fn name(hash: &str, way: &Way, inputs: usize) -> String {
    format!("{hash}, {}, {}", way.name, crate::units::counted(inputs as u64, "input"))
}

fn run_sha1(bytes: &[u8]) {
    let mut states: Vec<(Sha1, &[u8])> = bytes.chunks(INPUT).map(|input| (Sha1::new(), input)).collect();
    Sha1::update_many(&mut states.iter_mut().map(|(state, input)| (state, *input)).collect::<Vec<_>>());
    black_box(&states);
}

fn run_sha256(bytes: &[u8]) {
    let mut states: Vec<(Sha256, &[u8])> = bytes.chunks(INPUT).map(|input| (Sha256::new(), input)).collect();
    Sha256::update_many(&mut states.iter_mut().map(|(state, input)| (state, *input)).collect::<Vec<_>>());
    black_box(&states);
}

/// Does it until the round is long enough; what it took, and how many bytes went through.
fn timed(length: usize, mut work: impl FnMut()) -> (super::rounds::Sample, u64) {
    let (began, watch, mut moved) = (Instant::now(), Watch::start(), 0);
    while moved == 0 || began.elapsed() < ROUND {
        work();
        moved += length as u64;
    }
    (watch.stop(), moved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_is_shown_with_its_reason() {
        let line = |lanes, nanoseconds, worth_from| {
            Kernel { hash: "SHA-1", name: "AVX2", lanes, nanoseconds, worth_from }.line()
        };
        assert_eq!(
            line(8, 20_000, Some(6)),
            "chosen    SHA-1, AVX2, 8 inputs                  2.50 µs for 4 KiB   used from 6 inputs on"
        );
        assert!(line(1, 3710, Some(1)).ends_with("  3.71 µs for 4 KiB   used for what is left"));
        assert!(line(8, 33_000, None).ends_with("  4.12 µs for 4 KiB   not used, another is as fast"));
    }

    #[test]
    fn a_kernel_is_measured_with_as_many_inputs_as_it_is_used_for() {
        let way = |name, lanes, worth_from| Way { name, lanes, worth_from };
        let counts = |ways: &[Way]| usable(ways.to_vec()).iter().map(|(_, inputs)| *inputs).collect::<Vec<_>>();
        assert_eq!(counts(&[way("one", 1, 1)]), [1]);
        assert_eq!(counts(&[way("one", 1, 1), way("eight", 8, 4), way("sixteen", 16, 9)]), [1, 8, 16]);
        assert_eq!(counts(&[way("one", 1, 1), way("eight", 8, 4), way("sixteen", 16, 6)]), [1, 5, 16]);
        // Never used, so there is nothing to measure.
        assert_eq!(counts(&[way("one", 1, 1), way("eight", 8, 9), way("sixteen", 16, 9)]), [1, 16]);
    }
}
