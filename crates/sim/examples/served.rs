//! Who is served and who is met, in figures: `cargo run --release -p riverrun-sim --example served -- [SEED] [HOW_MANY]`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for developers")]

use std::process::ExitCode;

use riverrun_sim::Violation;
use riverrun_sim::scenarios::{places, superseed};

fn main() -> ExitCode {
    let number = |at: usize| std::env::args().nth(at).and_then(|text| text.parse::<u64>().ok());
    let first = number(1).unwrap_or(1);
    for seed in first..first.saturating_add(number(2).unwrap_or(1)) {
        if let Err(violation) = print(seed) {
            eprintln!("seed {seed}: {violation}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
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
