//! Searches for bytes that break `riverrun_fuzz::dht_node`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| riverrun_fuzz::dht_node(data));

#[cfg(not(fuzzing))]
fn main() {}
