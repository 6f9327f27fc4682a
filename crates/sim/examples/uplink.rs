//! How much of its uplink a seed uses by each rule of slots: `cargo run --profile sim -p riverrun-sim --example uplink -- [SEED] [HOW_MANY]`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for developers")]

#[path = "shared/seeds.rs"]
mod seeds;

use std::process::ExitCode;

use riverrun_proto::swarm::SlotRule;
use riverrun_sim::Violation;
use riverrun_sim::scenarios::uplink::{Audience, uplink};

fn main() -> ExitCode {
    seeds::each(print)
}

fn print(seed: u64) -> Result<(), Violation> {
    for audience in Audience::ALL {
        let down: Vec<u64> = audience.down.iter().map(|down| down / 1000).collect();
        for rule in [SlotRule::Uplink, SlotRule::Root, SlotRule::Stairs, SlotRule::Fixed(8)] {
            let used = uplink(seed, audience, rule)?;
            println!(
                "seed {seed}: uplink of {} kB/s, {} peers that take {down:?} kB/s in turn, slots {rule:?}: {:.1} % used, {:.1} slots, {:.1} kB/s each",
                audience.up / 1000,
                audience.peers,
                used.part * 100.0,
                used.slots,
                used.each / 1000.0
            );
        }
    }
    Ok(())
}
