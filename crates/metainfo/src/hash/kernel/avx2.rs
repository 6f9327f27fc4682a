//! AVX2: eight inputs side by side, SHA-1 only. SHA-256 has so many rotations, which AVX2 lacks, that the SHA instructions beat it.

#![allow(unsafe_code, reason = "vector instructions")]

use std::arch::x86_64::{
    __m256i, _mm_cvtsi32_si128, _mm256_add_epi32, _mm256_and_si256, _mm256_loadu_si256, _mm256_or_si256,
    _mm256_permute2x128_si256, _mm256_set1_epi32, _mm256_setr_epi8, _mm256_shuffle_epi8, _mm256_sll_epi32,
    _mm256_srl_epi32, _mm256_storeu_si256, _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32,
    _mm256_unpacklo_epi64, _mm256_xor_si256,
};

use super::rounds::{SHA1_K, sha1_block};
use crate::hash::stream::BLOCK;

/// How many inputs.
pub(super) const LANES: usize = 8;

/// Compresses the blocks of eight inputs, as many of each as the shortest has, into their SHA-1 states.
#[target_feature(enable = "avx2")]
pub(super) fn sha1(states: &mut [[u32; 5]; LANES], inputs: &[&[[u8; BLOCK]]; LANES]) {
    let k = [splat(SHA1_K[0]), splat(SHA1_K[1]), splat(SHA1_K[2]), splat(SHA1_K[3])];
    let mut state = gather(states);
    for number in 0..inputs.iter().map(|input| input.len()).min().unwrap_or(0) {
        let mut w = words(inputs, number);
        sha1_block!(state, w, k);
    }
    scatter(state, states);
}

/// The sixteen words of block `number` of every input: a vector for each word, a lane for each input.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn words(inputs: &[&[[u8; BLOCK]]; LANES], number: usize) -> [__m256i; 16] {
    let mut columns = [splat(0); 16];
    for (half, columns) in columns.as_chunks_mut::<8>().0.iter_mut().enumerate() {
        let mut rows = [splat(0); LANES];
        for (row, input) in rows.iter_mut().zip(inputs) {
            let bytes: &[u8; 32] = &input[number].as_chunks::<32>().0[half];
            // SAFETY: the reference is valid for the 32 bytes that are read; the instruction asks for no alignment.
            *row = swapped(unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) });
        }
        *columns = transposed(rows);
    }
    columns
}

/// The bytes of each word in the other order.
#[inline]
#[target_feature(enable = "avx2")]
fn swapped(bytes: __m256i) -> __m256i {
    let order = _mm256_setr_epi8(
        3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12,
    );
    _mm256_shuffle_epi8(bytes, order)
}

/// Rows become columns, in a matrix of 8 by 8 words.
#[inline]
#[target_feature(enable = "avx2")]
fn transposed(rows: [__m256i; 8]) -> [__m256i; 8] {
    // Within each group of four rows and each half: four by four words. `fours[g][j]` then has, in half q, word 4q + j of rows 4g
    // to 4g + 3.
    let mut fours = [[splat(0); 4]; 2];
    for (four, group) in fours.iter_mut().zip(rows.as_chunks::<4>().0) {
        let low = [_mm256_unpacklo_epi32(group[0], group[1]), _mm256_unpacklo_epi32(group[2], group[3])];
        let high = [_mm256_unpackhi_epi32(group[0], group[1]), _mm256_unpackhi_epi32(group[2], group[3])];
        *four = [
            _mm256_unpacklo_epi64(low[0], low[1]),
            _mm256_unpackhi_epi64(low[0], low[1]),
            _mm256_unpacklo_epi64(high[0], high[1]),
            _mm256_unpackhi_epi64(high[0], high[1]),
        ];
    }
    let mut columns = [splat(0); 8];
    for j in 0..4 {
        columns[j] = _mm256_permute2x128_si256::<0x20>(fours[0][j], fours[1][j]);
        columns[4 + j] = _mm256_permute2x128_si256::<0x31>(fours[0][j], fours[1][j]);
    }
    columns
}

/// A vector for each chaining word.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn gather<const WORDS: usize>(states: &[[u32; WORDS]; LANES]) -> [__m256i; WORDS] {
    let mut vectors = [splat(0); WORDS];
    for (word, vector) in vectors.iter_mut().enumerate() {
        let column: [u32; LANES] = std::array::from_fn(|lane| states[lane][word]);
        // SAFETY: the array is valid for the 32 bytes that are read; the instruction asks for no alignment.
        *vector = unsafe { _mm256_loadu_si256(column.as_ptr().cast()) };
    }
    vectors
}

/// The other way of [`gather`].
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn scatter<const WORDS: usize>(vectors: [__m256i; WORDS], states: &mut [[u32; WORDS]; LANES]) {
    for (word, vector) in vectors.into_iter().enumerate() {
        let mut column = [0u32; LANES];
        // SAFETY: the array is valid for the 32 bytes that are written; the instruction asks for no alignment.
        unsafe { _mm256_storeu_si256(column.as_mut_ptr().cast(), vector) };
        for (state, value) in states.iter_mut().zip(column) {
            state[word] = value;
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn splat(word: u32) -> __m256i {
    _mm256_set1_epi32(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn add(a: __m256i, b: __m256i) -> __m256i {
    _mm256_add_epi32(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn xor(a: __m256i, b: __m256i) -> __m256i {
    _mm256_xor_si256(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor3(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
    xor(xor(a, b), c)
}

#[inline]
#[target_feature(enable = "avx2")]
fn rotate_left<const BITS: i32>(a: __m256i) -> __m256i {
    let left = _mm256_sll_epi32(a, _mm_cvtsi32_si128(BITS));
    _mm256_or_si256(left, _mm256_srl_epi32(a, _mm_cvtsi32_si128(32 - BITS)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn choose(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
    xor(c, _mm256_and_si256(a, xor(b, c)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn majority(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
    _mm256_or_si256(_mm256_and_si256(a, b), _mm256_and_si256(c, _mm256_or_si256(a, b)))
}
