//! A private torrent (BEP 27) whose peers hear of others from everywhere.

use std::net::SocketAddr;
use std::time::Duration;

use riverrun_proto::swarm::Source;

use super::{Outcome, Scenario, to_the_end};
use crate::{Link, Manner, Seed, Torrent, World};

/// Peers exchange peers, the DHT and the local network name some: nobody is called whom the tracker did not name, and nobody told of.
pub(super) const PRIVATE: Scenario = Scenario { name: "private", play };

fn play(seed: Seed<'_>) -> Outcome {
    let mut world = World::new(seed, Torrent::new(48, 16, seed).private());
    world.add_seed(Link { up: 1_000_000, ..Link::FIBRE });
    for manner in [Manner::Gossip, Manner::Decoy, Manner::Gossip] {
        let joins = Duration::from_millis(world.draw(1000).into());
        world.add_stranger(Link::FIBRE, manner, joins);
    }
    for _ in 0..5 {
        let joins = Duration::from_millis(world.draw(3000).into());
        let leech = world.add_leech(Link { up: 1_000_000, ..Link::FIBRE }, joins);
        for source in [Source::Pex, Source::Dht, Source::Lsd] {
            let host = u8::try_from(world.draw(200)).expect("below 200");
            world.hears_of(leech, source, &[SocketAddr::from(([10, 99, host, 1], 6881))]);
        }
    }
    to_the_end(world, Duration::from_secs(90))
}
