//! Searches for bytes that break `riverrun_fuzz::extended`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| riverrun_fuzz::extended(data));

#[cfg(not(fuzzing))]
fn main() {}
