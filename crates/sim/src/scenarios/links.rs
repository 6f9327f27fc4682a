//! Links of every kind in one swarm.

use std::time::Duration;

use super::{Outcome, Scenario, to_the_end};
use crate::{Link, Seed, Torrent, World};

/// Fibre, DSL and satellites; seeds of two kinds.
pub(super) const UNEQUAL_LINKS: Scenario = Scenario { name: "unequal-links", play };

fn play(seed: Seed<'_>) -> Outcome {
    let mut world = World::new(seed, Torrent::new(40, 16, seed));
    world.add_seed(Link::DSL);
    world.add_seed(Link::SATELLITE);
    for link in [Link::FIBRE, Link::FIBRE, Link::DSL, Link::DSL, Link::SATELLITE] {
        let joins = Duration::from_millis(world.draw(5000).into());
        world.add_leech(link, joins);
    }
    to_the_end(world, Duration::from_secs(120))
}
