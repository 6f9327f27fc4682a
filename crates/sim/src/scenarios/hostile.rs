//! One honest seed among every kind of bad peer.

use std::time::Duration;

use riverrun_metainfo::BLOCK_LENGTH;
use riverrun_proto::limits;

use super::{Outcome, Scenario, rule, to_the_end};
use crate::{Link, Manner, Seed, Torrent, World};

/// Nobody lies, but everyone wastes our time: the download ends nearly as soon as with the seed alone.
pub(super) const HOSTILE: Scenario = Scenario { name: "hostile", play: hostile };
/// Some lie in each block, some in few: only they are banned.
pub(super) const LIARS: Scenario = Scenario { name: "liars", play: liars };

/// More is asked for at once than may wait: the rest is rejected, and the others are served all the same (P14).
pub(super) const GULP: Scenario = Scenario { name: "gulp", play: gulp };

fn gulp(seed: Seed<'_>) -> Outcome {
    // 5,200 blocks: 200 over what may wait, fewer than what ends a connection.
    let mut world = World::new(seed, Torrent::new(325, 16, seed));
    let source = world.add_seed(Link::FIBRE);
    for _ in 0..3 {
        let joins = Duration::from_millis(world.draw(1000).into());
        world.add_stranger(Link::FIBRE, Manner::Gulp, joins);
    }
    world.add_leech(Link::FIBRE, Duration::from_millis(500));
    // 85 MB at 12.5 MB/s, three times over at the worst.
    let (world, result) = to_the_end(world, Duration::from_secs(21));
    // Who was just unchoked is handed the first blocks at once; all others wait.
    let handed_out = limits::MIN_SERVING_BYTES.div_ceil(u64::from(BLOCK_LENGTH));
    let full = world.most_queued(source) as u64 + handed_out >= limits::MAX_QUEUED_REQUESTS as u64;
    let result = rule(&world, result, full, "no queue was ever full: the limit was not tried");
    (world, result)
}

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
