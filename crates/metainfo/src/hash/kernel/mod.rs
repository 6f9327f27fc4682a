//! The ways in which this machine can compress blocks: one input after the other, or several side by side.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512vl;
#[cfg(target_arch = "x86_64")]
mod rounds;

use std::sync::{LazyLock, OnceLock};

use super::calibration::Choice;
use super::stream::BLOCK;

/// One way to compress blocks, that this machine has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel<const WORDS: usize> {
    pub(super) name: &'static str,
    /// How many inputs it takes at once.
    pub(super) lanes: usize,
    /// From how many inputs on it is faster than the narrower ones.
    pub(super) worth_from: usize,
    compress: Compress<WORDS>,
}

#[derive(Clone, Copy, Debug)]
enum Compress<const WORDS: usize> {
    One(fn(&mut [u32; WORDS], &[[u8; BLOCK]])),
    #[cfg(target_arch = "x86_64")]
    Eight(Wide<WORDS, 8>),
    #[cfg(target_arch = "x86_64")]
    Sixteen(Wide<WORDS, 16>),
}

/// A function for the instructions of which this machine was asked before it was put here.
#[cfg(target_arch = "x86_64")]
type Wide<const WORDS: usize, const LANES: usize> = unsafe fn(&mut [[u32; WORDS]; LANES], &[&[[u8; BLOCK]]; LANES]);

/// All kernels of one hash that this machine has, and those in use.
#[derive(Debug)]
pub(super) struct Kernels<const WORDS: usize> {
    pub(super) all: Vec<Kernel<WORDS>>,
    /// In use until there is a choice.
    detected: Vec<Kernel<WORDS>>,
    /// By measuring, which happens at most once.
    pub(super) choice: OnceLock<Choice<WORDS>>,
}

/// The SHA-1 kernels of this machine.
pub(super) static SHA1: LazyLock<Kernels<5>> = LazyLock::new(|| Kernels::new(all_sha1()));

/// The SHA-256 kernels of this machine.
pub(super) static SHA256: LazyLock<Kernels<8>> = LazyLock::new(|| Kernels::new(all_sha256()));

impl<const WORDS: usize> Kernels<WORDS> {
    fn new(all: Vec<Kernel<WORDS>>) -> Self {
        Self { detected: in_use(all.clone()), all, choice: OnceLock::new() }
    }

    /// The kernel for a single input first, then wider ones.
    pub(super) fn in_use(&self) -> &[Kernel<WORDS>] {
        self.choice.get().map_or(&self.detected, |choice| &choice.in_use)
    }
}

/// Of kernels with the same number of lanes only the last, which is the fastest.
fn in_use<const WORDS: usize>(all: Vec<Kernel<WORDS>>) -> Vec<Kernel<WORDS>> {
    let mut kernels: Vec<Kernel<WORDS>> = Vec::new();
    for kernel in all {
        kernels.retain(|other| other.lanes != kernel.lanes);
        kernels.push(kernel);
    }
    kernels
}

/// Every SHA-1 kernel that this machine can run, narrow ones first.
///
/// From how many inputs on one is worth it follows from the speed that was measured on one processor beside that of a single input,
/// with SHA instructions and without; it holds until this machine is measured.
pub(super) fn all_sha1() -> Vec<Kernel<5>> {
    #[allow(unused_mut, reason = "other architectures have no more")]
    let mut kernels = vec![Kernel::one(sha1::block_api::compress)];
    #[cfg(target_arch = "x86_64")]
    {
        let sha = has_sha_instructions();
        if is_x86_feature_detected!("avx2") {
            kernels.push(Kernel::eight("AVX2", if sha { 6 } else { 3 }, avx2::sha1));
        }
        if has_avx512vl() {
            kernels.push(Kernel::eight("AVX-512VL", if sha { 4 } else { 2 }, avx512vl::sha1));
        }
        if has_avx512() {
            kernels.push(Kernel::sixteen("AVX-512", 9, avx512::sha1));
        }
    }
    kernels
}

/// Every SHA-256 kernel that this machine can run; see [`all_sha1`].
pub(super) fn all_sha256() -> Vec<Kernel<8>> {
    #[allow(unused_mut, reason = "other architectures have no more")]
    let mut kernels = vec![Kernel::one(sha2::block_api::compress256)];
    #[cfg(target_arch = "x86_64")]
    {
        let sha = has_sha_instructions();
        if has_avx512vl() {
            kernels.push(Kernel::eight("AVX-512VL", if sha { 7 } else { 3 }, avx512vl::sha256));
        }
        if has_avx512() {
            kernels.push(Kernel::sixteen("AVX-512", 9, avx512::sha256));
        }
    }
    kernels
}

impl<const WORDS: usize> Kernel<WORDS> {
    /// What the crate uses for a single input.
    fn one(compress: fn(&mut [u32; WORDS], &[[u8; BLOCK]])) -> Self {
        let name = if has_sha_instructions() { "SHA instructions" } else { "portable" };
        Self { name, lanes: 1, worth_from: 1, compress: Compress::One(compress) }
    }

    #[cfg(target_arch = "x86_64")]
    fn eight(name: &'static str, worth_from: usize, compress: Wide<WORDS, 8>) -> Self {
        Self { name, lanes: 8, worth_from, compress: Compress::Eight(compress) }
    }

    #[cfg(target_arch = "x86_64")]
    fn sixteen(name: &'static str, worth_from: usize, compress: Wide<WORDS, 16>) -> Self {
        Self { name, lanes: 16, worth_from, compress: Compress::Sixteen(compress) }
    }

    /// The same, used from another number of inputs on.
    pub(super) fn used_from(self, worth_from: usize) -> Self {
        Self { worth_from, ..self }
    }

    /// Compresses blocks of one input; for the first kernel of a list.
    pub(super) fn run_one(&self, words: &mut [u32; WORDS], blocks: &[[u8; BLOCK]]) {
        self.run(&mut [(words, blocks)]);
    }

    /// Compresses blocks of up to `lanes` inputs, as many of each as the shortest has, and takes them off the inputs. At least one.
    pub(super) fn run(&self, inputs: &mut [(&mut [u32; WORDS], &[[u8; BLOCK]])]) {
        let blocks = inputs.iter().map(|(_, blocks)| blocks.len()).min().unwrap_or(0);
        match self.compress {
            Compress::One(compress) => inputs.iter_mut().for_each(|(state, rest)| compress(state, &rest[..blocks])),
            #[cfg(target_arch = "x86_64")]
            Compress::Eight(compress) => run_wide(compress, inputs),
            #[cfg(target_arch = "x86_64")]
            Compress::Sixteen(compress) => run_wide(compress, inputs),
        }
        for (_, rest) in inputs {
            *rest = &rest[blocks..];
        }
    }
}

/// Runs all lanes; those without an input of their own do the work of the first once more, for nothing.
#[cfg(target_arch = "x86_64")]
fn run_wide<const WORDS: usize, const LANES: usize>(
    compress: Wide<WORDS, LANES>,
    inputs: &mut [(&mut [u32; WORDS], &[[u8; BLOCK]])],
) {
    let lane = |number: usize| inputs.get(number).or(inputs.first()).expect("there is an input");
    let mut states: [[u32; WORDS]; LANES] = std::array::from_fn(|number| *lane(number).0);
    let blocks: [&[[u8; BLOCK]]; LANES] = std::array::from_fn(|number| lane(number).1);
    // SAFETY: only kernels whose instructions this machine has are put in the lists.
    #[allow(unsafe_code, reason = "whether the machine has the instructions is known only at run time")]
    unsafe {
        compress(&mut states, &blocks);
    }
    for ((state, _), after) in inputs.iter_mut().zip(states) {
        **state = after;
    }
}

fn has_sha_instructions() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("sha");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("sha2");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    false
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")
}

#[cfg(target_arch = "x86_64")]
fn has_avx512vl() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl")
}
