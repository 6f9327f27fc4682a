//! A seed whose slots are taken by slow guests when fast ones come.

use std::time::Duration;

use riverrun_proto::swarm::{SeedChoker, Strategy};

use super::{Outcome, Scenario, rule};
use crate::checkers::Violation;
use crate::{Link, Seed, Torrent, World};

/// A seed serves whoever takes fastest, and the slow came first: the slot that goes by luck finds the fast, which are then served for
/// good; without it their speed never shows, and most of the uplink is idle.
pub(super) const LUCK: Scenario = Scenario { name: "luck", play };

/// Slots, and guests of each kind.
const EACH: usize = 4;
/// What the seed sends, in bytes per second.
const UP: u64 = 1_000_000;
/// What a slow guest takes, in bytes per second; a fast one takes all that there is.
const SLOW: u64 = 50_000;
/// How long it is watched. The slot moves every 30 s.
const WATCHED: Duration = Duration::from_secs(120);

/// Runs it; how many bytes the seed has sent.
fn run(seed: Seed<'_>, optimistic: bool) -> (World, Result<u64, Violation>) {
    let torrent = Torrent::new(480, 16, seed);
    let mut world = World::new(seed, torrent.clone());
    let strategy = Strategy { optimistic, ..Strategy::default() };
    let source = world.add_with(Link { up: UP, ..Link::FIBRE }, torrent.all(), Duration::ZERO, |config| {
        (config.seed_choker, config.upload_slots, config.strategy) = (SeedChoker::Fastest, Some(EACH), strategy);
    });
    // The guests serve nobody, and nobody may take anything without a slot.
    world.tracker_names_only(source);
    for (down, after) in [(SLOW, 0), (UP * 2, 5000)] {
        for _ in 0..EACH {
            let joins = Duration::from_millis((after + world.draw(500)).into());
            let guest = world.add_with(Link { down, ..Link::FIBRE }, torrent.none(), joins, |config| {
                config.upload_slots = Some(0);
            });
            world.without_fast(guest);
        }
    }
    let result = world.run_for(WATCHED);
    let sent = world.up_bytes(source);
    (world, result.map(|()| sent))
}

fn play(seed: Seed<'_>) -> Outcome {
    let without = match run(seed, false) {
        (_, Ok(sent)) => sent,
        (world, Err(violation)) => return (world, Err(violation)),
    };
    let (world, with) = run(seed, true);
    let with = match with {
        Ok(sent) => sent,
        Err(violation) => return (world, Err(violation)),
    };
    let all = UP * WATCHED.as_secs();
    let what = format!("of {all} bytes that could be sent {with} were with the slot by luck, and {without} without");
    let result = rule(&world, Ok(WATCHED), with * 2 >= all && without * 4 <= all, &what);
    (world, result)
}
