//! Many inputs at once: as many as the machine has lanes for go side by side, and the next one takes the place of one that ends.
//!
//! Several independent inputs are several times faster side by side than one after the other; a single one gains nothing.

use smallvec::SmallVec;

use super::kernel::{self, Kernel};
use super::stream::{BLOCK, Stream, digest};
use super::{SHA1_LENGTH, SHA256_LENGTH, Sha1, Sha256};

/// A way to hash that this machine uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Way {
    /// The instructions.
    pub name: &'static str,
    /// How many inputs go side by side.
    pub lanes: usize,
    /// From how many inputs on it is used.
    pub worth_from: usize,
}

impl Sha1 {
    /// The ways that are used, narrow ones first.
    pub fn ways() -> impl Iterator<Item = Way> {
        kernel::SHA1.in_use().iter().map(Way::of)
    }

    /// Gives each state its next bytes, side by side: the same as [`Sha1::update`] on one after the other, but faster.
    pub fn update_many(inputs: &mut [(&mut Self, &[u8])]) {
        update_many(kernel::SHA1.in_use(), inputs.iter_mut().map(|(state, bytes)| (&mut state.0, *bytes)));
    }

    /// The digests of all bytes that came to each state, in order: the same as [`Sha1::finish`] on one after the other, but faster.
    pub fn finish_many(states: impl IntoIterator<Item = Self>) -> impl ExactSizeIterator<Item = [u8; SHA1_LENGTH]> {
        finish_many(kernel::SHA1.in_use(), states.into_iter().map(|state| state.0))
    }
}

impl Sha256 {
    /// The ways that are used, narrow ones first.
    pub fn ways() -> impl Iterator<Item = Way> {
        kernel::SHA256.in_use().iter().map(Way::of)
    }

    /// Gives each state its next bytes, side by side: the same as [`Sha256::update`] on one after the other, but faster.
    pub fn update_many(inputs: &mut [(&mut Self, &[u8])]) {
        update_many(kernel::SHA256.in_use(), inputs.iter_mut().map(|(state, bytes)| (&mut state.0, *bytes)));
    }

    /// The digests of all bytes that came to each state, in order: the same as [`Sha256::finish`] on one after the other, but faster.
    pub fn finish_many(states: impl IntoIterator<Item = Self>) -> impl ExactSizeIterator<Item = [u8; SHA256_LENGTH]> {
        finish_many(kernel::SHA256.in_use(), states.into_iter().map(|state| state.0))
    }
}

impl Way {
    fn of<const WORDS: usize>(kernel: &Kernel<WORDS>) -> Self {
        Self { name: kernel.name, lanes: kernel.lanes, worth_from: kernel.worth_from }
    }
}

/// An input of whole blocks.
type Job<'a, const WORDS: usize> = (&'a mut [u32; WORDS], &'a [[u8; BLOCK]]);

/// As many as go side by side take no memory of their own.
const USUAL: usize = 16;
type Jobs<'a, const WORDS: usize> = SmallVec<[Job<'a, WORDS>; USUAL]>;

pub(super) fn update_many<'a, const WORDS: usize>(
    kernels: &[Kernel<WORDS>],
    inputs: impl Iterator<Item = (&'a mut Stream<WORDS>, &'a [u8])>,
) {
    run(
        kernels,
        inputs.map(|(stream, bytes)| stream.take(bytes, |words, block| kernels[0].run_one(words, block))).collect(),
    );
}

pub(super) fn finish_many<const WORDS: usize, const BYTES: usize>(
    kernels: &[Kernel<WORDS>],
    streams: impl Iterator<Item = Stream<WORDS>>,
) -> impl ExactSizeIterator<Item = [u8; BYTES]> {
    let mut ends: SmallVec<[_; USUAL]> = streams.map(|stream| (stream.words(), stream.padding())).collect();
    run(kernels, ends.iter_mut().map(|(words, padding)| (words, padding.blocks())).collect());
    ends.into_iter().map(|(words, _)| digest(&words))
}

/// Compresses all jobs to their end. The longest start first, so that they do not stay behind alone.
fn run<const WORDS: usize>(kernels: &[Kernel<WORDS>], mut waiting: Jobs<'_, WORDS>) {
    waiting.retain(|(_, blocks)| !blocks.is_empty());
    waiting.sort_unstable_by_key(|(_, blocks)| blocks.len());
    let lanes = kernels.iter().map(|kernel| kernel.lanes).max().unwrap_or(1);
    let mut going: Jobs<'_, WORDS> = SmallVec::new();
    loop {
        let free = lanes - going.len();
        going.extend(waiting.drain(waiting.len().saturating_sub(free)..).rev());
        let Some(kernel) = kernels.iter().rfind(|kernel| kernel.worth_from <= going.len()) else { return };
        let taken = kernel.lanes.min(going.len());
        kernel.run(&mut going[..taken]);
        going.retain(|(_, blocks)| !blocks.is_empty());
    }
}
