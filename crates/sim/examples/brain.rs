//! What one block costs the swarm, without sockets and disk: `cargo run --release -p riverrun-sim --example brain`.
#![allow(clippy::print_stdout, reason = "a measuring program")]

use std::sync::Arc;
use std::time::Instant;

use riverrun_metainfo::{Layout, PieceIndex};
use riverrun_sim::load;

/// Runs it and prints nanoseconds per block.
fn timed(what: &str, load: impl FnOnce(Instant) -> u64) -> u64 {
    let start = Instant::now();
    let blocks = load(start);
    println!("{what}: {:.0} ns per block", start.elapsed().as_nanos() as f64 / blocks as f64);
    blocks
}

/// Says how many blocks came more than once.
fn extra(layout: &Layout, blocks: u64) {
    let total = (0..layout.piece_count()).map(|piece| u64::from(layout.block_count(PieceIndex(piece)))).sum::<u64>();
    println!("    {} of them extra", blocks.saturating_sub(total));
}

fn main() {
    let layout = |pieces: u64, length: u64| {
        Arc::new(Layout::v1(length, [(pieces * length, false)]).expect("a layout within the limits"))
    };
    for (name, layout) in [
        ("8 GiB in 1 MiB pieces", layout(8192, 1 << 20)),
        ("8 GiB in 16 MiB pieces", layout(512, 16 << 20)),
        ("1 GiB in 16 KiB pieces", layout(65_536, 16 << 10)),
    ] {
        for seeds in [1, 8, 64] {
            let what = format!("{name}, {seeds} seeds");
            extra(&layout, timed(&what, |now| load::download(now, &layout, seeds, false)));
        }
        let what = format!("{name}, 8 seeds out of order");
        extra(&layout, timed(&what, |now| load::download(now, &layout, 8, true)));
        timed(&format!("{name}, served to 8"), |now| load::upload(now, &layout, 8));
    }
}
