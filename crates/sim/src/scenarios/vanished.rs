//! Peers that brought much are gone without a word.

use std::time::Duration;

use riverrun_proto::swarm::Strategy;

use super::{Outcome, Scenario, rule};
use crate::checkers::Violation;
use crate::{Link, Seed, Torrent, World};

/// Six fast seeds vanish in the midst of it, no connection is closed, and one slow seed stays: what the six were asked for is asked of
/// him, and the download takes little longer than all that was left takes him. Without the rule it stands still for minutes. Nothing is
/// stolen here, with the rule or without: that would hide what it does alone.
pub(super) const VANISHED: Scenario = Scenario { name: "vanished", play };

const PIECES: u32 = 128;
const BLOCKS: u32 = 16;
/// What he who stays sends, in bytes per second.
const UP: u64 = 500_000;
/// When the others go.
const GO: Duration = Duration::from_secs(3);

/// Runs it; how long the download took, and how long what was left takes who stays.
fn run(seed: Seed<'_>, snubs: bool) -> (World, Result<(Duration, Duration), Violation>) {
    let mut world = World::new(seed, Torrent::new(PIECES, BLOCKS, seed));
    world.add_seed(Link { up: UP, ..Link::FIBRE });
    for _ in 0..6 {
        let gone = world.add_seed(Link { up: 700_000, ..Link::FIBRE });
        let at = GO + Duration::from_millis(world.draw(1000).into());
        world.crash(gone, at, true);
    }
    let leech = world.add_leech(Link::FIBRE, Duration::ZERO);
    world.follows(leech, Strategy { snubs, steal: false, ..Strategy::default() });
    let result = world.run_for(GO + Duration::from_secs(1)).and_then(|()| {
        let has = world.have(leech).map_or(0, |have| have.count());
        let left = u64::from((PIECES - has) * BLOCKS) * 16_384;
        let took = world.run_until(Duration::from_secs(900), |world| world.is_complete(leech))?;
        Ok((took, Duration::from_millis(left * 1000 / UP)))
    });
    (world, result)
}

fn play(seed: Seed<'_>) -> Outcome {
    let without = match run(seed, false) {
        (_, Ok((took, _))) => took,
        (world, Err(violation)) => return (world, Err(violation)),
    };
    let (world, result) = run(seed, true);
    let (with, left) = match result {
        Ok(ran) => ran,
        Err(violation) => return (world, Err(violation)),
    };
    let what = format!("took {with:?} with the rule, where {left:?} were left, and {without:?} without");
    let soon = with <= GO + left + Duration::from_secs(10) && without >= with + Duration::from_secs(20);
    let result = rule(&world, Ok(with), soon, &what);
    (world, result)
}
