//! One fast seed and many slow ones.

use std::time::Duration;

use super::{Outcome, Scenario, rule};
use crate::{Link, Seed, Torrent, World};

/// One seed of 10 MB/s and twenty of 20 kB/s: it takes no longer than the sum of the rates allows, but for a twentieth; and the fast one
/// sends to the end, so that no piece waits for a slow one.
pub(super) const ONE_FAST: Scenario = Scenario { name: "one-fast", play };

/// How often it is looked at whether the fast one sends.
const STEP: Duration = Duration::from_millis(20);
/// What may pass from the last block of the fast one to the end: a round trip, and what a disk takes.
const WAITS: Duration = Duration::from_millis(200);

fn play(seed: Seed<'_>) -> Outcome {
    const BYTES: u64 = 256 << 20;
    let mut world = World::new(seed, Torrent::new(256, 64, seed));
    let slow = Link { up: 20_000, ..Link::FIBRE };
    for _ in 0..20 {
        world.add_seed(slow);
    }
    let fast = world.add_seed(Link { up: 10_000_000, ..Link::FIBRE });
    let leech = world.add_leech(Link { down: 50_000_000, ..Link::FIBRE }, Duration::ZERO);
    let allowed = Duration::from_millis(BYTES * 1000 / (10_000_000 + 20 * 20_000));
    let (mut sent, mut last_sent) = (0, Duration::ZERO);
    while !world.all_complete() && world.age() < allowed * 2 {
        if let Err(violation) = world.run_for(STEP) {
            return (world, Err(violation));
        }
        if world.up_bytes(fast) > sent {
            (sent, last_sent) = (world.up_bytes(fast), world.age());
        }
    }
    let result =
        world.run_until(allowed * 2, World::all_complete).map(|_| world.completed_at(leech).unwrap_or_default());
    let soon = result.as_ref().is_ok_and(|took| *took <= allowed * 21 / 20);
    let what = format!("took {:?}, and the rates allow {allowed:?}", result.as_ref().ok());
    let result = rule(&world, result, soon, &what);
    let waited = result.as_ref().map_or(Duration::ZERO, |took| took.saturating_sub(last_sent));
    let result = rule(&world, result, waited <= WAITS, &format!("the last piece waited {waited:?} for a slow peer"));
    (world, result)
}
