//! AVX-512VL: eight inputs side by side, with the rotations and three-way logic that AVX2 lacks.

#![allow(unsafe_code, reason = "vector instructions")]

use std::arch::x86_64::{__m256i, _mm256_rol_epi32, _mm256_ror_epi32, _mm256_srli_epi32, _mm256_ternarylogic_epi32};

use super::avx2::{LANES, add, gather, scatter, splat, words, xor};
use super::rounds::{SHA1_K, SHA256_K, sha1_block, sha256_block};
use crate::hash::stream::BLOCK;

/// Compresses the blocks of eight inputs, as many of each as the shortest has, into their SHA-1 states.
#[target_feature(enable = "avx2,avx512f,avx512vl")]
pub(super) fn sha1(states: &mut [[u32; 5]; LANES], inputs: &[&[[u8; BLOCK]]; LANES]) {
    let k = [splat(SHA1_K[0]), splat(SHA1_K[1]), splat(SHA1_K[2]), splat(SHA1_K[3])];
    let mut state = gather(states);
    for number in 0..inputs.iter().map(|input| input.len()).min().unwrap_or(0) {
        let mut w = words(inputs, number);
        sha1_block!(state, w, k);
    }
    scatter(state, states);
}

/// As [`sha1`], for SHA-256.
#[target_feature(enable = "avx2,avx512f,avx512vl")]
pub(super) fn sha256(states: &mut [[u32; 8]; LANES], inputs: &[&[[u8; BLOCK]]; LANES]) {
    let mut state = gather(states);
    for number in 0..inputs.iter().map(|input| input.len()).min().unwrap_or(0) {
        let mut w = words(inputs, number);
        sha256_block!(state, w);
    }
    scatter(state, states);
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn rotate_left<const BITS: i32>(a: __m256i) -> __m256i {
    _mm256_rol_epi32::<BITS>(a)
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn rotate_right<const BITS: i32>(a: __m256i) -> __m256i {
    _mm256_ror_epi32::<BITS>(a)
}

#[inline]
#[target_feature(enable = "avx2")]
fn shift_right<const BITS: i32>(a: __m256i) -> __m256i {
    _mm256_srli_epi32::<BITS>(a)
}

// One instruction each; the constant is the truth table over (a, b, c).

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn xor3(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
    _mm256_ternarylogic_epi32::<0x96>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn choose(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
    _mm256_ternarylogic_epi32::<0xca>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f,avx512vl")]
fn majority(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
    _mm256_ternarylogic_epi32::<0xe8>(a, b, c)
}
