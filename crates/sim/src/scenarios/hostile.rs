//! One honest seed among every kind of bad peer.

use std::time::Duration;

use super::{Outcome, Scenario, rule, to_the_end};
use crate::{Link, Manner, Seed, Torrent, World};

/// Nobody lies, but everyone wastes our time: the download ends nearly as soon as with the seed alone.
pub(super) const HOSTILE: Scenario = Scenario { name: "hostile", play: hostile };
/// Some lie in each block, some in few: only they are banned.
pub(super) const LIARS: Scenario = Scenario { name: "liars", play: liars };

fn hostile(seed: Seed<'_>) -> Outcome {
    let mut world = World::new(seed, Torrent::new(64, 16, seed));
    world.add_seed(Link { up: 2_000_000, ..Link::FIBRE });
    let manners = [
        Manner::BlackHole,
        Manner::BlackHole,
        Manner::Drip(Duration::from_secs(3)),
        Manner::Drip(Duration::from_secs(19)),
        Manner::Flap(Duration::from_millis(700)),
        Manner::Flap(Duration::from_secs(4)),
        Manner::Reject,
        Manner::Greed,
        Manner::Noise,
        Manner::Close,
    ];
    for manner in manners {
        let joins = Duration::from_millis(world.draw(1500).into());
        world.add_stranger(Link::FIBRE, manner, joins);
    }
    world.add_leech(Link::FIBRE, Duration::from_millis(500));
    world.add_leech(Link::FIBRE, Duration::from_millis(700));
    // 16.8 MB at 2 MB/s, twice over at the worst.
    to_the_end(world, Duration::from_secs(30))
}

fn liars(seed: Seed<'_>) -> Outcome {
    let mut world = World::new(seed, Torrent::new(40, 16, seed));
    world.add_seed(Link { up: 1_000_000, ..Link::FIBRE });
    for one_in in [1, 7, 40] {
        world.add_stranger(Link { up: 500_000, ..Link::FIBRE }, Manner::Lie(one_in), Duration::from_millis(100));
    }
    world.add_stranger(Link::FIBRE, Manner::Push, Duration::from_millis(100));
    for _ in 0..4 {
        let joins = Duration::from_millis(world.draw(3000).into());
        world.add_leech(Link::FIBRE, joins);
    }
    let (world, result) = to_the_end(world, Duration::from_secs(120));
    let (wasted, came) = world.waste();
    let result = rule(&world, result, wasted * 4 < came, "more than a quarter was waste");
    (world, result)
}
