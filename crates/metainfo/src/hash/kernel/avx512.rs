//! AVX-512: sixteen inputs side by side.

#![allow(unsafe_code, reason = "vector instructions")]

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_loadu_si512, _mm512_rol_epi32, _mm512_ror_epi32, _mm512_set1_epi32,
    _mm512_set4_epi32, _mm512_shuffle_epi8, _mm512_shuffle_i32x4, _mm512_srli_epi32, _mm512_storeu_si512,
    _mm512_ternarylogic_epi32, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32,
    _mm512_unpacklo_epi64, _mm512_xor_si512,
};

use super::rounds::{SHA1_K, SHA256_K, sha1_block, sha256_block};
use crate::hash::stream::BLOCK;

/// How many inputs.
pub(super) const LANES: usize = 16;

/// Compresses the blocks of sixteen inputs, as many of each as the shortest has, into their SHA-1 states.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn sha1(states: &mut [[u32; 5]; LANES], inputs: &[&[[u8; BLOCK]]; LANES]) {
    let k = SHA1_K.map(u32::cast_signed);
    let k = [splat_signed(k[0]), splat_signed(k[1]), splat_signed(k[2]), splat_signed(k[3])];
    let mut state = gather(states);
    for number in 0..inputs.iter().map(|input| input.len()).min().unwrap_or(0) {
        let mut w = words(inputs, number);
        sha1_block!(state, w, k);
    }
    scatter(state, states);
}

/// As [`sha1`], for SHA-256.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn sha256(states: &mut [[u32; 8]; LANES], inputs: &[&[[u8; BLOCK]]; LANES]) {
    let mut state = gather(states);
    for number in 0..inputs.iter().map(|input| input.len()).min().unwrap_or(0) {
        let mut w = words(inputs, number);
        sha256_block!(state, w);
    }
    scatter(state, states);
}

/// The sixteen words of block `number` of every input: a vector for each word, a lane for each input.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn words(inputs: &[&[[u8; BLOCK]]; LANES], number: usize) -> [__m512i; 16] {
    let swap = _mm512_set4_epi32(0x0c0d_0e0f, 0x0809_0a0b, 0x0405_0607, 0x0001_0203);
    let mut rows = [splat(0); LANES];
    for (row, input) in rows.iter_mut().zip(inputs) {
        let block: &[u8; BLOCK] = &input[number];
        // SAFETY: the reference is valid for the 64 bytes that are read; the instruction asks for no alignment.
        let bytes = unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
        *row = _mm512_shuffle_epi8(bytes, swap);
    }
    transposed(rows)
}

/// Rows become columns, in a matrix of 16 by 16 words.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn transposed(rows: [__m512i; 16]) -> [__m512i; 16] {
    // Within each group of four rows and each quarter: four by four words. `fours[g][j]` then has, in quarter q, word 4q + j of
    // rows 4g to 4g + 3.
    let mut fours = [[splat(0); 4]; 4];
    for (four, group) in fours.iter_mut().zip(rows.as_chunks::<4>().0) {
        let low = [_mm512_unpacklo_epi32(group[0], group[1]), _mm512_unpacklo_epi32(group[2], group[3])];
        let high = [_mm512_unpackhi_epi32(group[0], group[1]), _mm512_unpackhi_epi32(group[2], group[3])];
        *four = [
            _mm512_unpacklo_epi64(low[0], low[1]),
            _mm512_unpackhi_epi64(low[0], low[1]),
            _mm512_unpacklo_epi64(high[0], high[1]),
            _mm512_unpackhi_epi64(high[0], high[1]),
        ];
    }
    // Then four by four quarters, for each j.
    let mut columns = [splat(0); 16];
    for j in 0..4 {
        let front = _mm512_shuffle_i32x4::<0x44>(fours[0][j], fours[1][j]);
        let front_end = _mm512_shuffle_i32x4::<0x44>(fours[2][j], fours[3][j]);
        let back = _mm512_shuffle_i32x4::<0xee>(fours[0][j], fours[1][j]);
        let back_end = _mm512_shuffle_i32x4::<0xee>(fours[2][j], fours[3][j]);
        columns[j] = _mm512_shuffle_i32x4::<0x88>(front, front_end);
        columns[4 + j] = _mm512_shuffle_i32x4::<0xdd>(front, front_end);
        columns[8 + j] = _mm512_shuffle_i32x4::<0x88>(back, back_end);
        columns[12 + j] = _mm512_shuffle_i32x4::<0xdd>(back, back_end);
    }
    columns
}

/// A vector for each chaining word.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn gather<const WORDS: usize>(states: &[[u32; WORDS]; LANES]) -> [__m512i; WORDS] {
    let mut vectors = [splat(0); WORDS];
    for (word, vector) in vectors.iter_mut().enumerate() {
        let column: [u32; LANES] = std::array::from_fn(|lane| states[lane][word]);
        // SAFETY: the array is valid for the 64 bytes that are read; the instruction asks for no alignment.
        *vector = unsafe { _mm512_loadu_si512(column.as_ptr().cast()) };
    }
    vectors
}

/// The other way of [`gather`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn scatter<const WORDS: usize>(vectors: [__m512i; WORDS], states: &mut [[u32; WORDS]; LANES]) {
    for (word, vector) in vectors.into_iter().enumerate() {
        let mut column = [0u32; LANES];
        // SAFETY: the array is valid for the 64 bytes that are written; the instruction asks for no alignment.
        unsafe { _mm512_storeu_si512(column.as_mut_ptr().cast(), vector) };
        for (state, value) in states.iter_mut().zip(column) {
            state[word] = value;
        }
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn splat(word: u32) -> __m512i {
    splat_signed(word.cast_signed())
}

#[inline]
#[target_feature(enable = "avx512f")]
fn splat_signed(word: i32) -> __m512i {
    _mm512_set1_epi32(word)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add(a: __m512i, b: __m512i) -> __m512i {
    _mm512_add_epi32(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor(a: __m512i, b: __m512i) -> __m512i {
    _mm512_xor_si512(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn rotate_left<const BITS: i32>(a: __m512i) -> __m512i {
    _mm512_rol_epi32::<BITS>(a)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn rotate_right<const BITS: i32>(a: __m512i) -> __m512i {
    _mm512_ror_epi32::<BITS>(a)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn shift_right<const BITS: u32>(a: __m512i) -> __m512i {
    _mm512_srli_epi32::<BITS>(a)
}

// One instruction each; the constant is the truth table over (a, b, c).

#[inline]
#[target_feature(enable = "avx512f")]
fn xor3(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0x96>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn choose(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0xca>(a, b, c)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn majority(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0xe8>(a, b, c)
}
