//! Searches for bytes that break `riverrun_fuzz::sim`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| riverrun_fuzz::sim(data));

#[cfg(not(fuzzing))]
fn main() {}
