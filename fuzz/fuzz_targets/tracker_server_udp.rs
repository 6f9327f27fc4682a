//! Searches for bytes that break `riverrun_fuzz::tracker_server_udp`.
#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| riverrun_fuzz::tracker_server_udp(data));

#[cfg(not(fuzzing))]
fn main() {}
