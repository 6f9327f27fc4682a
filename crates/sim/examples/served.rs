//! Who is served and who is met, in figures: `cargo run --release -p riverrun-sim --example served -- [SEED] [HOW_MANY]`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for developers")]

#[path = "shared/seeds.rs"]
mod seeds;

use std::process::ExitCode;

use riverrun_sim::Violation;
use riverrun_sim::scenarios::{places, superseed};

fn main() -> ExitCode {
    seeds::each(print)
}

fn print(seed: u64) -> Result<(), Violation> {
    for leechers in [1, 2, 5, 20, 40, 60] {
        for on in [true, false] {
            let ran = superseed::superseed(seed, leechers, on)?;
            println!(
                "seed {seed}: {leechers} leechers, superseeding {on}: {:.3} copies sent when one is held, after {:.0} s; all done after {:.0} s",
                ran.copies,
                ran.copy_at.as_secs_f64(),
                ran.done_at.as_secs_f64()
            );
        }
    }
    let (with, without) = (places::saturated(seed, true)?, places::saturated(seed, false).is_err());
    println!(
        "seed {seed}: saturated by black holes, done after {:.0} s with turnover; without it {}",
        with.as_secs_f64(),
        if without { "never" } else { "too" }
    );
    Ok(())
}
