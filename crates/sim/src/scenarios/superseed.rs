//! The only seed of a swarm that lacks bandwidth superseeds (BEP 16).

use std::time::Duration;

use riverrun_proto::swarm::Command;

use super::{Outcome, Scenario, rule, to_the_end};
use crate::checkers::Violation;
use crate::{HostId, Link, Seed, Torrent, World};

/// Thirty leechers: hardly more than one copy leaves the seed before they hold one together, and more does without superseeding.
pub(super) const SUPERSEED: Scenario = Scenario { name: "superseed", play };

const PIECES: u32 = 240;
const BLOCKS: u32 = 8;

/// What a run came to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Superseeded {
    /// Copies of the content that left the seed before the others held one together.
    pub copies: f64,
    /// When they did.
    pub copy_at: Duration,
    /// When every one of them had everything.
    pub done_at: Duration,
}

/// Runs so many leechers and one seed, which superseeds or does nothing for the first copy at all.
///
/// # Errors
/// A rule was broken, or they were not done in half an hour.
pub fn superseed<'a>(seed: impl Into<Seed<'a>>, leechers: u32, on: bool) -> Result<Superseeded, Violation> {
    run(seed.into(), leechers, on).1
}

fn run(seed: Seed<'_>, leechers: u32, on: bool) -> (World, Result<Superseeded, Violation>) {
    let mut world = World::new(seed, Torrent::new(PIECES, BLOCKS, seed));
    let link = Link { up: 500_000, down: 2_000_000, ..Link::DSL };
    let all = Torrent::new(PIECES, BLOCKS, seed).all();
    // Without it, without the suggestions that spread a first copy, too: what is left is BEP 3.
    let source = world.add_with(link, all, Duration::ZERO, |config| config.strategy.first_copy = on);
    if on {
        world.command(source, Command::SetSuperseeding(true));
    }
    for _ in 0..leechers {
        let joins = Duration::from_millis(world.draw(5000).into());
        let up = 200_000 + u64::from(world.draw(300_000));
        let leech = world.add_leech(Link { up, ..link }, joins);
        if world.draw(6) == 0 {
            world.without_fast(leech);
        }
    }
    let first = world.run_until(Duration::from_secs(1800), |world| world.others_hold_everything(source));
    let copies = copies(&world, source);
    let (world, result) = to_the_end(world, Duration::from_secs(1800));
    let result = first.and_then(|copy_at| Ok(Superseeded { copies, copy_at, done_at: result? }));
    (world, result)
}

fn copies(world: &World, source: HostId) -> f64 {
    world.up_bytes(source) as f64 / (f64::from(PIECES * BLOCKS) * 16_384.0)
}

fn play(seed: Seed<'_>) -> Outcome {
    let without = match run(seed, 30, false) {
        (_, Ok(without)) => without,
        (world, Err(violation)) => return (world, Err(violation)),
    };
    let (world, result) = run(seed, 30, true);
    let done = result.clone().map(|with| with.done_at);
    let Ok(with) = result else { return (world, done) };
    let done = rule(&world, done, with.copies <= 1.1, "more than 1.1 copies left the seed");
    let done = rule(&world, done, without.copies > with.copies + 0.1, "as little leaves without superseeding");
    (world, done)
}
