//! Counts the allocations of a download in its steady middle, by whose threads make them, and how often it takes its locks.
//!
//! `cargo run --release -p riverrun --example allocations [-- MIB [SEEDERS]]`

mod measure;

use std::error::Error;

use measure::{by_block, measure};

/// The least that has a steady middle.
const LEAST_MIB: usize = 64;
const USUAL_MIB: usize = 512;

#[expect(clippy::print_stdout, reason = "its results are for whoever started it")]
fn main() -> Result<(), Box<dyn Error>> {
    let mib = std::env::args().nth(1).map_or(Ok(USUAL_MIB), |mib| mib.parse())?;
    if mib < LEAST_MIB {
        return Err(format!("a steady state needs {LEAST_MIB} MiB").into());
    }
    let seeders = std::env::args().nth(2).map_or(Ok(1), |seeders| seeders.parse())?;
    let figures = measure(mib, seeders)?;
    let blocks = figures.blocks;
    println!("{blocks} blocks of {} in steady state", (mib as u64) << 20 >> 14);
    for (side, name) in
        [(figures.seeder, "seeder"), (figures.downloader, "downloader"), (figures.disks, "disk threads")]
    {
        let (calls, bytes) = (side.calls, side.bytes / blocks.max(1));
        println!(
            "{name:<13} {calls:>7} allocations, {:.3} per block; {bytes} bytes per block",
            by_block(calls, blocks)
        );
    }
    let holds = figures.holds;
    for (holds, name) in [(holds.swarm, "swarm lock"), (holds.pool, "pool lock"), (holds.queues, "disk queues")] {
        println!("{name:<13} {holds:>7} holds, {:.3} per block", by_block(holds, blocks));
    }
    Ok(())
}
