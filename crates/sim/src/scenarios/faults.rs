//! Networks part, connections break, most cannot be dialled, hosts come and go, disks are slow or full.

use std::time::Duration;

use super::{Outcome, Scenario, rule, to_the_end};
use crate::{HostId, Link, Seed, Torrent, World};

/// Half of the leechers are cut off from the only seed for up to four minutes.
pub(super) const PARTITION: Scenario = Scenario { name: "partition", play: partition };
/// Every second all connections of one host break.
pub(super) const RESETS: Scenario = Scenario { name: "resets", play: resets };
/// The only seed and three quarters of the leechers cannot be dialled.
pub(super) const NAT: Scenario = Scenario { name: "nat", play: nat };
/// Leechers come all the time and go, done or not.
pub(super) const CHURN: Scenario = Scenario { name: "churn", play: churn };
/// The disk writes a fifth of what the link brings.
pub(super) const SLOW_DISK: Scenario = Scenario { name: "slow-disk", play: slow_disk };
/// The disk is full for a while.
pub(super) const FULL_DISK: Scenario = Scenario { name: "full-disk", play: full_disk };

const PIECES: u32 = 64;
const BLOCKS: u32 = 16;
const SIZE: u64 = PIECES as u64 * BLOCKS as u64 * 16_384;
/// The link of most here: everything has left it once in 16.8 s.
const LINK: Link = Link { up: 1_000_000, down: 8_000_000, ..Link::FIBRE };

fn world(seed: Seed<'_>) -> World {
    World::new(seed, Torrent::new(PIECES, BLOCKS, seed))
}

fn milliseconds(world: &mut World, least: u32, below: u32) -> Duration {
    Duration::from_millis((least + world.draw(below - least)).into())
}

/// Whoever hears the seed is done as if nothing had happened, the others soon after they hear it again.
fn partition(seed: Seed<'_>) -> Outcome {
    let mut world = world(seed);
    world.add_seed(LINK);
    let leechers: Vec<HostId> = (0..8).map(|_| world.add_leech(LINK, Duration::ZERO)).collect();
    let at = milliseconds(&mut world, 1000, 8000);
    let lasts = milliseconds(&mut world, 40_000, 240_000);
    world.cut_off(&leechers[4..], at, lasts);
    let (world, result) = to_the_end(world, at + lasts + Duration::from_secs(90));
    let done = |host: &HostId| world.completed_at(*host);
    let near = leechers[..4].iter().all(|host| done(host).is_some_and(|done| done < Duration::from_secs(60)));
    let result = rule(&world, result, near, "those who heard the seed had to wait for the others");
    let far = leechers[4..].iter().all(|host| done(host).is_some_and(|done| done > at + lasts));
    let result = rule(&world, result, far, "those who were cut off had everything before they could");
    (world, result)
}

fn resets(seed: Seed<'_>) -> Outcome {
    let mut world = world(seed);
    let mut all = vec![world.add_seed(LINK)];
    all.extend((0..6).map(|_| world.add_leech(LINK, Duration::ZERO)));
    for second in 1..40 {
        let host = world.draw_one(&all);
        let at = Duration::from_secs(second) + milliseconds(&mut world, 0, 1000);
        world.reset(host, at);
    }
    let (world, result) = to_the_end(world, Duration::from_secs(120));
    let (wasted, came) = world.waste();
    let result = rule(&world, result, wasted * 12 < came, "more than a twelfth was waste");
    (world, result)
}

fn nat(seed: Seed<'_>) -> Outcome {
    let mut world = world(seed);
    let source = world.add_seed(LINK);
    world.behind_nat(source);
    for nth in 0..20 {
        let joins = milliseconds(&mut world, 0, 3000);
        let leech = world.add_leech(LINK, joins);
        if nth % 4 != 0 {
            world.behind_nat(leech);
        }
    }
    // Fifteen who cannot hear each other are fed by the five whom they can dial, which takes 50 s.
    let (world, result) = to_the_end(world, Duration::from_secs(65));
    let result = rule(&world, result, world.up_bytes(source) < 6 * SIZE, "the seed gave more than six copies");
    (world, result)
}

fn churn(seed: Seed<'_>) -> Outcome {
    let mut world = World::new(seed, Torrent::new(PIECES / 2, BLOCKS, seed));
    world.add_seed(LINK);
    for nth in 0..30 {
        let gap = milliseconds(&mut world, 0, 3000);
        if let Err(violation) = world.run_for(gap) {
            return (world, Err(violation));
        }
        let leech = world.add_leech(LINK, Duration::ZERO);
        // One in ten stays.
        if nth % 10 != 9 {
            let leaves = world.age() + milliseconds(&mut world, 2000, 30_000);
            world.leave(leech, leaves);
        }
    }
    // Alone each would need 8.4 s.
    let deadline = world.age() + Duration::from_secs(30);
    let (world, result) = to_the_end(world, deadline);
    let (wasted, came) = world.waste();
    let result = rule(&world, result, wasted * 12 < came, "more than a twelfth was waste");
    (world, result)
}

/// No more comes than can be written, and not less.
fn slow_disk(seed: Seed<'_>) -> Outcome {
    const RATE: u64 = 1_000_000;
    let mut world = world(seed);
    for _ in 0..3 {
        let up = 1_000_000 + u64::from(world.draw(1_000_000));
        world.add_seed(Link { up, ..LINK });
    }
    let leech = world.add_leech(LINK, Duration::ZERO);
    world.slow_disk(leech, RATE);
    let allowed = Duration::from_millis(SIZE * 1000 / RATE);
    let (world, result) = to_the_end(world, allowed * 11 / 10 + Duration::from_secs(1));
    let most = world.most_waiting(leech);
    let result = rule(&world, result, most <= 12 << 20, &format!("{most} bytes waited for the disk"));
    (world, result)
}

/// Nothing is asked for as long as nothing can be written, and all goes on once it can.
fn full_disk(seed: Seed<'_>) -> Outcome {
    let mut world = world(seed);
    for _ in 0..3 {
        world.add_seed(LINK);
    }
    let leech = world.add_leech(LINK, Duration::ZERO);
    let at = milliseconds(&mut world, 1000, 5000);
    let lasts = milliseconds(&mut world, 5000, 90_000);
    world.full_disk(leech, at, lasts);
    let (world, result) = to_the_end(world, at + lasts + Duration::from_secs(12));
    let result = rule(&world, result, world.age() > at + lasts, "done before it could be written");
    let most = u64::from(PIECES * BLOCKS) * 3 / 2;
    let result = rule(&world, result, world.requests(leech) < most, "asked for half of everything twice");
    (world, result)
}
