//! Searches for bytes that break `riverrun_fuzz::file_request`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| riverrun_fuzz::file_request(data));

#[cfg(not(fuzzing))]
fn main() {}
