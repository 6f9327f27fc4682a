//! What a rule of the brain is for: the same world with the rule and without it.

use std::time::Duration;

use riverrun_metainfo::PieceIndex;
use riverrun_proto::swarm::{Event, Strategy};

use crate::checkers::Violation;
use crate::host::HostId;
use crate::{Link, Manner, Seed, Torrent, World};

/// What came of a world.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trial {
    /// How long the download took.
    pub took: Duration,
    /// Pieces that failed their hash.
    pub corrupt: usize,
    /// Peers that were banned; more than the liars breaks a rule already.
    pub banned: usize,
    /// Requests for a block that had been asked for before.
    pub repeated: u64,
}

/// Five honest seeds, and one that poisons one block of each piece; fast peers have no pieces for themselves, so that nearly every
/// piece comes from several.
///
/// # Errors
/// A rule of the world was broken: an innocent was banned, or the download did not end.
pub fn poisoned<'a>(seed: impl Into<Seed<'a>>, strategy: Strategy) -> Result<Trial, Violation> {
    let seed = seed.into();
    let mut world = World::new(seed, Torrent::new(20, 256, seed));
    for _ in 0..5 {
        world.add_seed(Link { up: 400_000, ..Link::FIBRE });
    }
    world.add_stranger(Link { up: 400_000, ..Link::FIBRE }, Manner::Poison, Duration::from_millis(100));
    let leech = world.add_leech(Link::FIBRE, Duration::from_millis(300));
    world.follows(leech, Strategy { whole_pieces: false, ..strategy });
    trial(&mut world, leech)
}

/// One slow honest seed, and nine peers that unchoke and choke again and answer nothing (P11).
///
/// # Errors
/// A rule of the world was broken, or the download did not end.
pub fn flapped<'a>(seed: impl Into<Seed<'a>>, strategy: Strategy) -> Result<Trial, Violation> {
    let seed = seed.into();
    let mut world = World::new(seed, Torrent::new(64, 32, seed));
    world.add_seed(Link { up: 400_000, ..Link::FIBRE });
    for _ in 0..9 {
        let joins = Duration::from_millis(world.draw(1000).into());
        world.add_stranger(Link::FIBRE, Manner::Flap(Duration::from_millis(400)), joins);
    }
    let leech = world.add_leech(Link::FIBRE, Duration::from_millis(300));
    world.follows(leech, strategy);
    trial(&mut world, leech)
}

fn trial(world: &mut World, leech: HostId) -> Result<Trial, Violation> {
    let took = world.run_until(Duration::from_secs(600), World::all_complete)?;
    let told = world.told(leech);
    let count = |is: fn(&Event) -> bool| told.iter().filter(|event| is(event)).count();
    let corrupt = count(|event| matches!(event, Event::PieceCorrupt(_)));
    let blocks: u32 =
        (0..world.torrent.pieces()).map(|piece| world.torrent.layout().block_count(PieceIndex(piece))).sum();
    let repeated = world.requests(leech) - u64::from(blocks);
    Ok(Trial { took, corrupt, banned: count(|event| matches!(event, Event::Banned(_))), repeated })
}
