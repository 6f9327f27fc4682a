//! All places are taken by peers that bring nothing.

use std::time::Duration;

use riverrun_proto::swarm::Strategy;

use super::{Outcome, Scenario, rule, to_the_end};
use crate::checkers::Violation;
use crate::{Link, Manner, Seed, Torrent, World};

/// Black holes fill every place of a leecher before the only honest seed comes: turnover finds it, and nothing else does.
pub(super) const SATURATED: Scenario = Scenario { name: "saturated", play };

/// The places of the leecher.
const PLACES: usize = 20;
/// The first exchange comes after three minutes, one more each minute, and it is chance whether the seed is tried: of 200 seeds the mean took
/// 6.4 minutes, the slowest 12.
const WITHIN: Duration = Duration::from_secs(1200);
/// How long everything may take.
const DEADLINE: Duration = Duration::from_secs(1800);

/// Runs it; how long the leecher took.
///
/// # Errors
/// A rule was broken, or half an hour was not enough.
pub fn saturated<'a>(seed: impl Into<Seed<'a>>, turnover: bool) -> Result<Duration, Violation> {
    run(seed.into(), turnover).1
}

fn run(seed: Seed<'_>, turnover: bool) -> Outcome {
    let torrent = Torrent::new(40, 16, seed);
    let mut world = World::new(seed, torrent.clone());
    world.add_with(Link::FIBRE, torrent.none(), Duration::from_secs(5), |config| {
        config.max_connections = PLACES;
        config.strategy = Strategy { turnover, ..Strategy::default() };
    });
    for _ in 0..PLACES + 4 {
        // Before the leecher has asked the tracker for the first time.
        let joins = Duration::from_millis(world.draw(50).into());
        world.add_stranger(Link::FIBRE, Manner::BlackHole, joins);
    }
    world.add(Link::FIBRE, torrent.all(), Duration::from_secs(10));
    to_the_end(world, DEADLINE)
}

fn play(seed: Seed<'_>) -> Outcome {
    let (world, result) = run(seed, true);
    let result = rule(&world, result, world.age() < WITHIN, "not within twenty minutes");
    let lost = run(seed, false).1.is_err();
    let result = rule(&world, result, lost, "the seed is found without turnover, too");
    (world, result)
}
