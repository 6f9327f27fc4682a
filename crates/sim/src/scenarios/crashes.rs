//! Hosts crash at any moment and start again with what they had synced.

use std::time::Duration;

use super::{Outcome, Scenario, rule, to_the_end};
use crate::{Link, Seed, Torrent, World};

/// The only seed crashes twice, leechers once each, some without a word; one disk loses pieces.
pub(super) const CRASHES: Scenario = Scenario { name: "crashes", play };

fn play(seed: Seed<'_>) -> Outcome {
    let (pieces, blocks) = (60, 16);
    let mut world = World::new(seed, Torrent::new(pieces, blocks, seed));
    let link = Link { up: 1_500_000, ..Link::FIBRE };
    let source = world.add_seed(link);
    let mut leechers = Vec::new();
    for _ in 0..4 {
        let joins = Duration::from_millis(world.draw(1000).into());
        leechers.push(world.add_leech(link, joins));
    }
    world.failing_disk(leechers[0], 50);
    for (host, until) in leechers.iter().copied().zip([8000, 9000, 12_000, 15_000]) {
        let at = Duration::from_millis((2000 + world.draw(until)).into());
        let silently = world.draw(2) == 0;
        let away = Duration::from_millis((500 + world.draw(8000)).into());
        world.crash(host, at, silently);
        world.restart(host, at + away);
    }
    let at = Duration::from_millis((1000 + world.draw(6000)).into());
    let silently = world.draw(2) == 0;
    world.crash(source, at, silently);
    world.restart(source, at + Duration::from_secs(4));
    let (world, result) = to_the_end(world, Duration::from_secs(240));
    // Each fetches what it needs, and again what a crash or the disk took.
    let most = u64::from(pieces * blocks) * 2;
    let modest = leechers.iter().all(|leech| world.requests(*leech) < most);
    let result = rule(&world, result, modest, "asked for everything twice");
    (world, result)
}
