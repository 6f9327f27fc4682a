//! Searches for bytes that break `riverrun_fuzz::lsd`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| riverrun_fuzz::lsd(data));

#[cfg(not(fuzzing))]
fn main() {}
