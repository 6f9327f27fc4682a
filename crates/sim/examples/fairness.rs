//! What sharing brings, in figures: `cargo run --release -p riverrun-sim --example fairness -- [SEED] [HOW_MANY]`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for developers")]

#[path = "shared/seeds.rs"]
mod seeds;

use std::process::ExitCode;

use riverrun_proto::swarm::Strategy;
use riverrun_sim::Violation;
use riverrun_sim::fairness::mean;
use riverrun_sim::scenarios::fairness::{Crowd, fairness};

fn main() -> ExitCode {
    seeds::each(print)
}

fn print(seed: u64) -> Result<(), Violation> {
    for (sharers, riders) in [(12, 12), (5, 2), (24, 0), (12, 0), (40, 0)] {
        for seed_up in [1_500_000, 500_000] {
            for few_guests in [true, false] {
                let strategy = Strategy { few_guests, ..Strategy::default() };
                let ran = fairness(seed, Crowd { seed_up, sharers, riders, strategy })?;
                let last = ran.sharers.iter().max().copied().unwrap_or_default().as_secs_f64();
                println!(
                    "seed {seed}: {sharers} sharers, {riders} free riders, seed of {} kB/s, few guests {few_guests}: sharers {:.1} s (last {last:.1} s), riders {:.1} s, factor {:.2}, index {:.3}",
                    seed_up / 1000,
                    mean(&ran.sharers),
                    mean(&ran.riders),
                    ran.factor(),
                    ran.index()
                );
            }
        }
    }
    Ok(())
}
