//! Who shares is done sooner than who only takes, and a crowd of sharers loses nothing by it.

use std::time::Duration;

use riverrun_proto::swarm::Strategy;

use super::{Outcome, Scenario, rule, to_the_end};
use crate::checkers::Violation;
use crate::fairness::{Fairness, mean};
use crate::{HostId, Link, Seed, Torrent, World};

/// Where free riders are two of seven, taking alone is no faster than sharing, as it is without the rule; where they are half of 24,
/// the sharers are sooner done by it, and one like the other.
pub(super) const FAIRNESS: Scenario = Scenario { name: "fairness", play };

/// The least that a free rider's time must be in times of a sharer's, among few, where the rule is looked at alone.
const LEAST: f64 = 0.9;

/// The same as shipped: with short queues it makes less of a difference, 0.89 at the least in twenty seeds.
const LEAST_AS_SHIPPED: f64 = 0.85;

/// The most that a sharer's time may be in times of what it is without the rule, among many.
const MOST: f64 = 0.97;

/// A crowd that comes at once to one seed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Crowd {
    /// What the seed can send, in bytes per second.
    pub seed_up: u64,
    /// Those who give as well as they take.
    pub sharers: usize,
    /// Those who give nothing.
    pub riders: usize,
    /// The rules that all of them follow.
    pub strategy: Strategy,
}

/// Runs it.
///
/// # Errors
/// A rule was broken, or not everyone was done in half an hour.
pub fn fairness<'a>(seed: impl Into<Seed<'a>>, crowd: Crowd) -> Result<Fairness, Violation> {
    run(seed.into(), crowd).1
}

fn run(seed: Seed<'_>, crowd: Crowd) -> (World, Result<Fairness, Violation>) {
    let torrent = Torrent::new(160, 16, seed);
    let mut world = World::new(seed, torrent.clone());
    let link = Link { up: 250_000, down: 2_000_000, ..Link::DSL };
    world.add_with(Link { up: crowd.seed_up, ..link }, torrent.all(), Duration::ZERO, |config| {
        config.strategy = crowd.strategy;
    });
    let mut add = |slots: Option<usize>| {
        let joins = Duration::from_millis(world.draw(2000).into());
        world.add_with(link, torrent.none(), joins, |config| {
            (config.strategy, config.upload_slots) = (crowd.strategy, slots);
        })
    };
    let most = crowd.sharers.max(crowd.riders);
    let (mut sharers, mut riders) = (Vec::new(), Vec::new());
    for number in 0..most {
        if number < crowd.sharers {
            sharers.push(add(None));
        }
        if number < crowd.riders {
            // Who has no slots serves nobody.
            riders.push(add(Some(0)));
        }
    }
    let (world, result) = to_the_end(world, Duration::from_secs(1800));
    let of = |hosts: &[HostId]| hosts.iter().filter_map(|host| world.completed_at(*host)).collect();
    let fairness = Fairness { sharers: of(&sharers), riders: of(&riders) };
    (world, result.map(|_| fairness))
}

fn play(seed: Seed<'_>) -> Outcome {
    let run = |sharers, riders, strategy| run(seed, Crowd { seed_up: 1_500_000, sharers, riders, strategy });
    // Short queues help sharers too: without them it is seen what the rule does alone.
    let of = |sharers, riders, few_guests| {
        run(sharers, riders, Strategy { few_guests, short_queues: false, ..Strategy::default() })
    };
    let shipped = match run(5, 2, Strategy::default()) {
        (_, Ok(fairness)) => fairness,
        (world, Err(violation)) => return (world, Err(violation)),
    };
    let mut ran = Vec::new();
    for (sharers, riders, few_guests) in [(5, 2, true), (5, 2, false), (12, 12, false)] {
        match of(sharers, riders, few_guests) {
            (_, Ok(fairness)) => ran.push(fairness),
            (world, Err(violation)) => return (world, Err(violation)),
        }
    }
    let (world, result) = of(12, 12, true);
    let took = result.clone().map(|_| world.age());
    let Ok(many) = result else { return (world, took) };
    let took = rule(&world, took, shipped.factor() >= LEAST_AS_SHIPPED, "two free riders are sooner done as shipped");
    let took = rule(&world, took, ran[0].factor() >= LEAST, "two free riders are sooner done than five sharers");
    let took = rule(&world, took, ran[1].factor() < LEAST, "two free riders are as late without the rule");
    let took =
        rule(&world, took, mean(&many.sharers) <= MOST * mean(&ran[2].sharers), "the rule brings sharers nothing");
    let took = rule(&world, took, many.index() >= 0.95, "sharers are not treated alike");
    (world, took)
}
