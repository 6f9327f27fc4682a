//! A crowd comes at once to one seed.

use std::time::Duration;

use super::{Outcome, Scenario, rule, to_the_end};
use crate::crowd::Crowd;
use crate::{Link, Manner, Seed, Torrent, World};

/// Twelve leechers within two seconds, one seed of the same link: they must feed each other.
pub(super) const FLASH_CROWD: Scenario = Scenario { name: "flash-crowd", play };

/// The same crowd, but the tracker names the seed alone: they hear of each other from it (BEP 11).
pub(super) const HEARSAY: Scenario = Scenario { name: "hearsay", play: hearsay };

/// A hundred at once, beside what is possible at all: in a size for every day. So small a torrent is over before the swarm has found its stride: docs/swarm.md has the larger ones.
pub(super) const THRONG: Scenario = Scenario { name: "throng", play: throng };

/// A tenth of black holes or of drippers, or a twentieth of liars, on top of a crowd: it takes at most three quarters as long again as
/// without them. So small a crowd is at the mercy of who meets whom: one of sixty took 1.59 times as long beside liars, half of them
/// 1.2 times. docs/swarm.md has larger ones.
pub(super) const TROUBLE: Scenario = Scenario { name: "trouble", play: trouble };

fn trouble(seed: Seed<'_>) -> Outcome {
    let among = |strangers: Vec<(Manner, u32)>| {
        let (world, _) = Crowd { strangers, ..Crowd::new(40, 128, 4, 1) }.gather(seed);
        to_the_end(world, Duration::from_secs(120))
    };
    let alone = match among(Vec::new()) {
        (_, Ok(alone)) => alone,
        broken => return broken,
    };
    let kinds = [(Manner::BlackHole, 4), (Manner::Drip(Duration::from_secs(5)), 4), (Manner::Lie(4), 2)];
    let mut last = None;
    for (manner, count) in kinds {
        let (world, result) = among(vec![(manner, count)]);
        let (wasted, came) = world.waste();
        let soon = result.as_ref().is_ok_and(|took| *took <= alone * 7 / 4);
        let what = format!("took {:?} with {manner:?}, and {alone:?} without", result.as_ref().ok());
        let result = rule(&world, result, soon, &what);
        let result = rule(&world, result, wasted * 5 < came, &format!("more than a fifth was waste with {manner:?}"));
        if result.is_err() {
            return (world, result);
        }
        last = Some((world, result));
    }
    last.expect("there are three kinds")
}

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
