//! One honest seed among nine bad peers of one kind, for each row of hostile peers, and among nine of any kind.

use std::sync::OnceLock;
use std::time::Duration;

use super::{Outcome, Scenario, rule};
use crate::{Link, Manner, Seed, Torrent, World};

/// Each row by its name, nine times over.
pub(super) const ROWS: [Scenario; 30] = [
    row::<0>(),
    row::<1>(),
    row::<2>(),
    row::<3>(),
    row::<4>(),
    row::<5>(),
    row::<6>(),
    row::<7>(),
    row::<8>(),
    row::<9>(),
    row::<10>(),
    row::<11>(),
    row::<12>(),
    row::<13>(),
    row::<14>(),
    row::<15>(),
    row::<16>(),
    row::<17>(),
    row::<18>(),
    row::<19>(),
    row::<20>(),
    row::<21>(),
    row::<22>(),
    row::<23>(),
    row::<24>(),
    row::<25>(),
    row::<26>(),
    row::<27>(),
    row::<28>(),
    row::<29>(),
];

/// Nine of any rows.
pub(super) const MIXED: Scenario = Scenario { name: "mixed", play: mixed };

const BAD_PEERS: usize = 9;
/// When the downloader comes; the bad ones are there before and after it.
const JOINS: Duration = Duration::from_millis(500);

const fn row<const N: usize>() -> Scenario {
    Scenario { name: Manner::ROWS[N].0, play: nine_of::<N> }
}

fn nine_of<const N: usize>(seed: Seed<'_>) -> Outcome {
    let manners = Manner::ROWS[N].1;
    among(seed, |_, nth| manners[nth % manners.len()])
}

fn mixed(seed: Seed<'_>) -> Outcome {
    among(seed, |world, _| {
        let (_, manners) = world.draw_one(Manner::ROWS);
        world.draw_one(manners)
    })
}

/// The download completes at 80 % of the rate or more that it has with the honest seed alone.
fn among(seed: Seed<'_>, manner: impl Fn(&mut World, usize) -> Manner) -> Outcome {
    static ALONE: OnceLock<Duration> = OnceLock::new();
    let alone = *ALONE.get_or_init(|| download(Seed::from(1), |_| {}).1.expect("one honest seed is enough"));
    let (world, took) = download(seed, |world| {
        for nth in 0..BAD_PEERS {
            let manner = manner(world, nth);
            let joins = Duration::from_millis(world.draw(1500).into());
            let stranger = world.add_stranger(Link::FIBRE, manner, joins);
            if world.draw(4) == 0 {
                world.without_fast(stranger);
            }
        }
    });
    let fast = took.as_ref().is_ok_and(|took| *took - JOINS <= (alone - JOINS) * 5 / 4);
    let what = format!("took {:?}, and {alone:?} with the honest seed alone", took.as_ref().ok());
    let took = rule(&world, took, fast, &what);
    (world, took)
}

/// 32 MiB from a seed of 2 MB/s.
fn download(seed: Seed<'_>, company: impl FnOnce(&mut World)) -> Outcome {
    let mut world = World::new(seed, Torrent::new(64, 32, seed));
    world.add_seed(Link { up: 2_000_000, ..Link::FIBRE });
    company(&mut world);
    world.add_leech(Link::FIBRE, JOINS);
    let result = world.run_until(Duration::from_secs(300), World::all_complete);
    (world, result)
}
