//! A crowd comes at once to one seed.

use std::time::Duration;

use super::{Outcome, Scenario, rule, to_the_end};
use crate::crowd::Crowd;
use crate::{Link, Seed, Torrent, World};

/// Twelve leechers within two seconds, one seed of the same link: they must feed each other.
pub(super) const FLASH_CROWD: Scenario = Scenario { name: "flash-crowd", play };

/// The same crowd, but the tracker names the seed alone: they hear of each other from it (BEP 11).
pub(super) const HEARSAY: Scenario = Scenario { name: "hearsay", play: hearsay };

/// A hundred at once, beside what is possible at all: in a size for every day. So small a torrent is over before the swarm has found its stride: docs/swarm.md has the larger ones.
pub(super) const THRONG: Scenario = Scenario { name: "throng", play: throng };

fn throng(seed: Seed<'_>) -> Outcome {
    let crowd = Crowd { link: Link { up: 500_000, down: 4_000_000, ..Link::FIBRE }, ..Crowd::new(100, 256, 2, 1) };
    let (world, source) = crowd.gather(seed);
    let bound = crowd.optimum().mul_f64(2.2);
    let (world, result) = to_the_end(world, bound);
    let (wasted, came) = world.waste();
    let sent = world.up_bytes(source);
    let result = rule(&world, result, sent < crowd.bytes() * 5 / 2, "the seed gave more than two and a half copies");
    let result = rule(&world, result, wasted * 10 < came, "more than a tenth was waste");
    (world, result)
}

fn hearsay(seed: Seed<'_>) -> Outcome {
    let torrent = Torrent::new(48, 16, seed);
    let size: u64 = 48 * 16 * 16_384;
    let mut world = World::new(seed, torrent);
    let link = Link { up: 1_000_000, down: 8_000_000, ..Link::FIBRE };
    let source = world.add_seed(link);
    world.tracker_names_only(source);
    for _ in 0..12 {
        let joins = Duration::from_millis(world.draw(2000).into());
        world.add_leech(link, joins);
    }
    let (world, result) = to_the_end(world, Duration::from_secs(90));
    let result = rule(&world, result, world.up_bytes(source) < 6 * size, "the seed gave more than six copies");
    (world, result)
}

fn play(seed: Seed<'_>) -> Outcome {
    let torrent = Torrent::new(48, 16, seed);
    let size: u64 = 48 * 16 * 16_384;
    let mut world = World::new(seed, torrent);
    let link = Link { up: 1_000_000, down: 8_000_000, ..Link::FIBRE };
    let source = world.add_seed(link);
    for _ in 0..12 {
        let joins = Duration::from_millis(world.draw(2000).into());
        let leech = world.add_leech(link, joins);
        if world.draw(4) == 0 {
            world.without_fast(leech);
        }
    }
    // Alone the seed would need 12 × 12.6 s.
    let (world, result) = to_the_end(world, Duration::from_secs(60));
    let (wasted, came) = world.waste();
    let result = rule(&world, result, world.up_bytes(source) < 4 * size, "the seed gave more than four copies");
    let result = rule(&world, result, wasted * 12 < came, "more than a twelfth was waste");
    (world, result)
}
