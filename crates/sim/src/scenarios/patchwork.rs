//! Nobody has everything, all together do.

use std::time::Duration;

use riverrun_metainfo::{Bitfield, PieceIndex};

use super::{Outcome, Scenario, to_the_end};
use crate::{Link, Seed, Torrent, World};

/// Six hosts with a part each, in which every piece occurs once or twice, and two that have nothing.
pub(super) const PATCHWORK: Scenario = Scenario { name: "patchwork", play };

fn play(seed: Seed<'_>) -> Outcome {
    const PIECES: u32 = 50;
    let mut world = World::new(seed, Torrent::new(PIECES, 8, seed));
    let mut parts = vec![Bitfield::empty(PIECES); 6];
    for piece in (0..PIECES).map(PieceIndex) {
        for _ in 0..2 {
            let part = world.draw(6) as usize;
            parts[part].insert(piece);
        }
    }
    for have in parts {
        let joins = Duration::from_millis(world.draw(3000).into());
        let host = world.add(Link::FIBRE, have, joins);
        if world.draw(3) == 0 {
            world.without_fast(host);
        }
    }
    for link in [Link::DSL, Link::SATELLITE] {
        world.add_leech(link, Duration::ZERO);
    }
    to_the_end(world, Duration::from_secs(60))
}
