//! Which kernels to use, by what they cost on this machine.
//!
//! This crate reads no clock: who has one measures, and what it says decides about speed alone, never about a digest.

use std::time::Duration;

use super::kernel::{self, Kernel, Kernels};
use super::stream::BLOCK;

/// Bytes of each input in a measured run.
const INPUT_BYTES: usize = 4 << 10;
/// How often each kernel is measured, in turn with the others; the best counts, because what disturbs only ever adds.
const ROUNDS: usize = 8;

/// What a calibration found and chose.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Calibration {
    /// Bytes of each input in the measured runs.
    pub input_bytes: usize,
    /// What this machine can do for SHA-1, narrow kernels first.
    pub sha1: Vec<Candidate>,
    /// The same for SHA-256.
    pub sha256: Vec<Candidate>,
}

/// A way to hash that was measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate {
    /// The instructions.
    pub name: &'static str,
    /// How many inputs go side by side.
    pub lanes: usize,
    /// The time of one run over that many inputs, whether all of them are of use or not.
    pub cost: Duration,
    /// From how many inputs on it is used; `None` if another way is always as fast.
    pub worth_from: Option<usize>,
}

/// Measures all ways to hash that this machine has, and uses what is fastest from now on in the whole process; until then
/// thresholds decide that were measured elsewhere.
///
/// `measure` runs what it is given once and tells how long that took; all runs together take one to three milliseconds. Only the
/// first call measures, and later ones tell what it found.
pub fn calibrate(mut measure: impl FnMut(&mut dyn FnMut()) -> Duration) -> Calibration {
    let sha1 = kernel::SHA1.calibrate(|all| costs(all, &mut measure));
    let sha256 = kernel::SHA256.calibrate(|all| costs(all, &mut measure));
    Calibration { input_bytes: INPUT_BYTES, sha1: candidates(sha1), sha256: candidates(sha256) }
}

/// Kernels with their costs, and those that are worth using.
#[derive(Debug)]
pub(super) struct Choice<const WORDS: usize> {
    measured: Vec<(Kernel<WORDS>, Duration)>,
    /// The one for a single input first, then wider ones, each worth it from more inputs on than the one before.
    pub(super) in_use: Vec<Kernel<WORDS>>,
}

impl<const WORDS: usize> Kernels<WORDS> {
    fn calibrate(&self, costs: impl FnOnce(&[Kernel<WORDS>]) -> Vec<Duration>) -> &Choice<WORDS> {
        self.choice.get_or_init(|| Choice::new(&self.all, &costs(&self.all)))
    }
}

impl<const WORDS: usize> Choice<WORDS> {
    /// From kernels, the one for a single input first and no narrower one after a wider, and the cost of one run of each.
    pub(super) fn new(all: &[Kernel<WORDS>], costs: &[Duration]) -> Self {
        let measured: Vec<_> = all.iter().copied().zip(costs.iter().copied()).collect();
        let mut chosen: Vec<(Kernel<WORDS>, Duration)> = Vec::with_capacity(all.len());
        for (kernel, cost) in &measured {
            // Of the same width the cheaper one.
            if chosen.last().is_some_and(|(other, least)| other.lanes == kernel.lanes && least <= cost) {
                continue;
            }
            chosen.retain(|(other, _)| other.lanes < kernel.lanes);
            let Some(worth_from) = worth_from(kernel.lanes, *cost, &chosen) else { continue };
            // A narrower one that is worth it only where this one is too is never used.
            chosen.retain(|(other, _)| other.lanes == 1 || other.worth_from < worth_from);
            chosen.push((kernel.used_from(worth_from), *cost));
        }
        Self { measured, in_use: chosen.into_iter().map(|(kernel, _)| kernel).collect() }
    }
}

/// The fewest inputs for which one run costs less than the best that narrower kernels do.
fn worth_from<const WORDS: usize>(
    lanes: usize,
    cost: Duration,
    narrower: &[(Kernel<WORDS>, Duration)],
) -> Option<usize> {
    if narrower.is_empty() {
        return Some(1);
    }
    let mut best = vec![Duration::ZERO];
    for inputs in 1..=lanes {
        let with =
            |(kernel, cost): &(Kernel<WORDS>, Duration)| cost.saturating_add(best[inputs.saturating_sub(kernel.lanes)]);
        let least = narrower.iter().map(with).min()?;
        if cost < least {
            return Some(inputs);
        }
        best.push(least);
    }
    None
}

/// The least cost of one run of each kernel with all of its lanes.
fn costs<const WORDS: usize>(
    all: &[Kernel<WORDS>],
    measure: &mut impl FnMut(&mut dyn FnMut()) -> Duration,
) -> Vec<Duration> {
    let widest = all.iter().map(|kernel| kernel.lanes).max().unwrap_or(1);
    // Each lane has memory of its own, as it will have.
    let bytes = vec![[0; BLOCK]; widest * INPUT_BYTES / BLOCK];
    let mut states = vec![[0; WORDS]; widest];
    let mut costs = vec![Duration::MAX; all.len()];
    // The first round wakes the processor's wide units and does not count.
    for round in 0..=ROUNDS {
        for (kernel, least) in all.iter().zip(&mut costs) {
            let mut inputs: Vec<_> =
                states.iter_mut().zip(bytes.chunks_exact(INPUT_BYTES / BLOCK)).take(kernel.lanes).collect();
            let cost = measure(&mut || kernel.run(&mut inputs));
            if round > 0 {
                *least = cost.min(*least);
            }
        }
    }
    std::hint::black_box(states);
    costs
}

fn candidates<const WORDS: usize>(choice: &Choice<WORDS>) -> Vec<Candidate> {
    let used = |kernel: &Kernel<WORDS>| {
        choice
            .in_use
            .iter()
            .find(|used| (used.name, used.lanes) == (kernel.name, kernel.lanes))
            .map(|used| used.worth_from)
    };
    let candidate = |(kernel, cost): &(Kernel<WORDS>, Duration)| Candidate {
        name: kernel.name,
        lanes: kernel.lanes,
        cost: *cost,
        worth_from: used(kernel),
    };
    choice.measured.iter().map(candidate).collect()
}
