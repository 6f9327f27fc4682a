//! One fast seed and many slow ones.

use std::time::Duration;

use super::{Outcome, Scenario, rule};
use crate::{Link, Seed, Torrent, World};

/// One seed of 10 MB/s and twenty of 20 kB/s: it takes no longer than the sum of the rates allows, but for a twentieth.
pub(super) const ONE_FAST: Scenario = Scenario { name: "one-fast", play };

fn play(seed: Seed<'_>) -> Outcome {
    const BYTES: u64 = 256 << 20;
    let mut world = World::new(seed, Torrent::new(256, 64, seed));
    let slow = Link { up: 20_000, ..Link::FIBRE };
    for _ in 0..20 {
        world.add_seed(slow);
    }
    world.add_seed(Link { up: 10_000_000, ..Link::FIBRE });
    world.add_leech(Link { down: 50_000_000, ..Link::FIBRE }, Duration::ZERO);
    let allowed = Duration::from_millis(BYTES * 1000 / (10_000_000 + 20 * 20_000));
    let result = world.run_until(allowed * 2, World::all_complete);
    let soon = result.as_ref().is_ok_and(|took| *took <= allowed * 21 / 20);
    let what = format!("took {:?}, and the rates allow {allowed:?}", result.as_ref().ok());
    let result = rule(&world, result, soon, &what);
    (world, result)
}
