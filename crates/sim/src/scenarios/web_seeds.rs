//! Web seeds beside peers, and alone (BEP 19).

use std::time::Duration;

use riverrun_proto::swarm::Event;

use super::{Outcome, Scenario, rule, to_the_end};
use crate::{HostId, Link, Seed, Service, Torrent, World};

/// A web server and peers together bring what their rates allow, and the peers give all that they can.
pub(super) const WEB_SEED: Scenario = Scenario { name: "web-seed", play: beside_peers };
/// Web servers that stall, drip, break or are busy cost peers nothing.
pub(super) const WEB_STALLS: Scenario = Scenario { name: "web-stalls", play: stalls };
/// There is nobody but a web server in trouble, which is asked again and again.
pub(super) const WEB_RETRIES: Scenario = Scenario { name: "web-retries", play: retries };
/// One web server lies, in all blocks or in few: it and nobody else is banned.
pub(super) const WEB_LIES: Scenario = Scenario { name: "web-lies", play: lies };

const PIECES: u32 = 64;
const BLOCKS: u32 = 16;
const SIZE: u64 = PIECES as u64 * BLOCKS as u64 * 16_384;

fn world(seed: Seed<'_>) -> World {
    World::new(seed, Torrent::new(PIECES, BLOCKS, seed))
}

fn link(up: u64) -> Link {
    Link { up, ..Link::FIBRE }
}

/// What so many bytes a second take for everything, and so many hundredths of it more.
fn time_at(rate: u64, hundredths: u64) -> Duration {
    Duration::from_millis(SIZE * 1000 / rate * (100 + hundredths) / 100)
}

fn beside_peers(seed: Seed<'_>) -> Outcome {
    let mut world = world(seed);
    let peers: Vec<HostId> = (0..4).map(|_| world.add_seed(link(300_000))).collect();
    let server = world.add_web_server(link(1_200_000), Service::Honest);
    let leech = world.add_leech(Link::FIBRE, Duration::ZERO);
    world.names_web_seeds(leech, &[server]);
    let (world, result) = to_the_end(world, time_at(2_400_000, 10));
    let took = result.as_ref().map_or(0.0, Duration::as_secs_f64);
    let given: u64 = peers.iter().map(|peer| world.up_bytes(*peer)).sum();
    let share = given as f64 / (1_200_000.0 * took);
    let result = rule(&world, result, share > 0.85, &format!("the peers gave {share:.2} of what they could"));
    let (wasted, came) = world.waste();
    let result = rule(&world, result, wasted * 50 <= came, &format!("{wasted} of {came} bytes were waste"));
    let web = world.web_seeds(leech)[0].down_bytes;
    let result = rule(&world, result, web + given >= SIZE - 1000 - wasted, "bytes came from nowhere");
    (world, result)
}

/// One of the ways to give little.
fn trouble(world: &mut World) -> Service {
    let number = world.draw(40);
    let ways = [
        Service::Silent,
        Service::Stalls(number),
        Service::Drips(Duration::from_millis(500 + 500 * u64::from(number))),
        Service::Busy(3, number.into()),
        Service::Breaks(number),
        Service::Half,
    ];
    world.draw_one(&ways)
}

fn stalls(seed: Seed<'_>) -> Outcome {
    let mut world = world(seed);
    for _ in 0..2 {
        world.add_seed(link(1_000_000));
    }
    let servers: Vec<HostId> = (0..3)
        .map(|_| {
            let service = trouble(&mut world);
            world.add_web_server(Link::FIBRE, service)
        })
        .collect();
    let leech = world.add_leech(Link::FIBRE, Duration::ZERO);
    world.names_web_seeds(leech, &servers);
    to_the_end(world, time_at(2_000_000, 10))
}

fn retries(seed: Seed<'_>) -> Outcome {
    let mut world = world(seed);
    // 1,024 blocks: what goes on after each rest is done after ten or so, with rests of a second, two, four and so on.
    let number = world.draw(60);
    let ways = [
        Service::Busy(1 + number % 4, u64::from(number)),
        Service::Breaks(200 + number),
        Service::Stalls(200 + number),
    ];
    let service = world.draw_one(&ways);
    let server = world.add_web_server(link(2_000_000), service);
    let leech = world.add_leech(Link::FIBRE, Duration::ZERO);
    world.names_web_seeds(leech, &[server]);
    to_the_end(world, Duration::from_secs(300))
}

fn lies(seed: Seed<'_>) -> Outcome {
    let mut world = world(seed);
    world.add_seed(link(1_000_000));
    let one_in = 1 + world.draw(60);
    let liar = world.add_web_server(link(1_000_000), Service::Lies(one_in));
    let honest = world.add_web_server(link(1_000_000), Service::Honest);
    let leech = world.add_leech(Link::FIBRE, Duration::ZERO);
    world.names_web_seeds(leech, &[liar, honest]);
    let (world, result) = to_the_end(world, time_at(2_000_000, 10));
    let banned = world.told(leech).iter().any(|told| matches!(told, Event::WebSeedBanned(_)));
    let result = rule(&world, result, banned, "the liar was not found out");
    (world, result)
}
