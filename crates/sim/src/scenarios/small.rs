//! Small worlds for a fuzzer: a few hosts, a few blocks, and all that may happen happens when the fuzzer's bytes say so.
//!
//! One run takes milliseconds. The first byte says which world, the others are its chance: who is there, on which links, what befalls
//! whom and when. Whatever they say, no rule may be broken, and all is done in the end.

use std::time::Duration;

use riverrun_metainfo::{Bitfield, PieceIndex};
use riverrun_proto::swarm::{Command, Deadline, Priorities, Priority};

use super::{Outcome, Scenario};
use crate::{HostId, Link, Manner, Seed, Torrent, World};

/// Each world, by the first byte modulo their number.
pub(super) const WORLDS: [Scenario; 5] = [
    Scenario { name: "small-crowd", play: crowd },
    Scenario { name: "small-strangers", play: strangers },
    Scenario { name: "small-patchwork", play: patchwork },
    Scenario { name: "small-owner", play: owner },
    Scenario { name: "small-faults", play: faults },
];

/// More bytes than any of them uses.
const MOST_BYTES: usize = 2048;

/// Links of all speeds, from a block in four seconds up.
const LINKS: [Link; 5] =
    [Link::FIBRE, Link::DSL, Link::SATELLITE, Link { up: 20_000, ..Link::FIBRE }, Link { up: 4_000, ..Link::DSL }];

/// Everything is small and something goes all the time, but whom nobody could reach may be called again only after minutes.
const DEADLINE: Duration = Duration::from_secs(1800);
/// What is under way when all are done is answered by then: on the slowest link, and over networks that had parted.
const REST: Duration = Duration::from_secs(150);

/// The world that these bytes name, and its chance.
#[must_use]
pub fn steered(bytes: &[u8]) -> (&'static Scenario, Seed<'_>) {
    let (which, chance) = bytes.split_first().map_or((0, bytes), |(which, chance)| (usize::from(*which), chance));
    (&WORLDS[which % WORLDS.len()], Seed::steered(&chance[..chance.len().min(MOST_BYTES)]))
}

fn world(seed: Seed<'_>) -> World {
    // The shape is drawn from a world that is thrown away: the torrent must be there before its world.
    let mut shape = World::new(seed, Torrent::new(1, 1, seed));
    World::new(seed, Torrent::new(3 + shape.draw(6), 1 + shape.draw(4), seed))
}

fn milliseconds(world: &mut World, below: u32) -> Duration {
    Duration::from_millis(world.draw(below).into())
}

/// So many leechers, at times and on links as they come.
fn leechers(world: &mut World, count: u32) -> Vec<HostId> {
    let mut leechers = Vec::new();
    for _ in 0..count {
        let (link, joins) = (world.draw_one(&LINKS), milliseconds(world, 2000));
        let leech = world.add_leech(link, joins);
        if world.draw(4) == 0 {
            world.without_fast(leech);
        }
        leechers.push(leech);
    }
    leechers
}

/// Until all have everything, and then until each request has its answer.
fn to_the_end(mut world: World) -> Outcome {
    let result = world.run_until(DEADLINE, World::all_complete).and_then(|took| {
        world.run_for(REST)?;
        world.at_rest()?;
        Ok(took)
    });
    (world, result)
}

/// Connections break, hosts crash and start again; one leecher may go for good.
fn crowd(seed: Seed<'_>) -> Outcome {
    let mut world = world(seed);
    let mut all = vec![world.add_seed(Link::DSL)];
    let count = 1 + world.draw(3);
    all.extend(leechers(&mut world, count));
    for host in all.clone() {
        match world.draw(4) {
            0 => {
                let (at, silently) = (milliseconds(&mut world, 20_000), world.draw(2) == 0);
                let away = milliseconds(&mut world, 5000);
                world.crash(host, at, silently);
                world.restart(host, at + away);
            }
            1 => {
                let at = milliseconds(&mut world, 20_000);
                world.reset(host, at);
            }
            2 if host != all[0] && host == all[all.len() - 1] => {
                let at = milliseconds(&mut world, 20_000);
                world.leave(host, at);
            }
            _ => {}
        }
    }
    to_the_end(world)
}

/// One honest seed and one or two leechers among three bad peers of any manner.
fn strangers(seed: Seed<'_>) -> Outcome {
    let mut world = world(seed);
    let link = world.draw_one(&LINKS[..3]);
    world.add_seed(link);
    for _ in 0..3 {
        let (_, manners) = world.draw_one(Manner::ROWS);
        let (manner, link, joins) = (world.draw_one(manners), world.draw_one(&LINKS), milliseconds(&mut world, 2000));
        let stranger = world.add_stranger(link, manner, joins);
        if world.draw(4) == 0 {
            world.without_fast(stranger);
        }
    }
    let count = 1 + world.draw(2);
    leechers(&mut world, count);
    to_the_end(world)
}

/// Each has a part, and all together everything.
fn patchwork(seed: Seed<'_>) -> Outcome {
    let mut world = world(seed);
    let pieces = world.torrent.pieces();
    let mut parts = vec![Bitfield::empty(pieces); 3];
    for piece in (0..pieces).map(PieceIndex) {
        let owner = world.draw(3) as usize;
        parts[owner].insert(piece);
    }
    for have in parts {
        let (link, joins) = (world.draw_one(&LINKS), milliseconds(&mut world, 3000));
        let host = world.add(link, have, joins);
        if world.draw(4) == 0 {
            world.without_fast(host);
        }
    }
    to_the_end(world)
}

/// The owner of one leecher changes his mind again and again, and in the end wants everything.
fn owner(seed: Seed<'_>) -> Outcome {
    let mut world = world(seed);
    world.add_seed(Link { up: 100_000, ..Link::DSL });
    world.add_seed(Link { up: 20_000, ..Link::FIBRE });
    let moody = leechers(&mut world, 2)[0];
    for _ in 0..6 {
        let next = milliseconds(&mut world, 4000);
        if let Err(violation) = world.run_for(next) {
            return (world, Err(violation));
        }
        let command = whim(&mut world);
        world.command(moody, command);
    }
    let everything = Priorities::all(world.torrent.pieces());
    let last = [
        Command::Resume,
        Command::SetPriorities(everything),
        Command::SetMaxConnections(50),
        Command::SetDeadlines { reader: 0, deadlines: Vec::new() },
        Command::SetDownLimit(None),
    ];
    last.into_iter().for_each(|command| world.command(moody, command));
    to_the_end(world)
}

fn whim(world: &mut World) -> Command {
    let pieces = world.torrent.pieces();
    match world.draw(9) {
        0 => Command::Pause,
        1 => Command::Resume,
        2 => Command::SetMaxConnections(world.draw(3) as usize),
        3 => {
            let ranks = [Priority::Skip, Priority::Low, Priority::Normal, Priority::High];
            Command::SetPriorities(Priorities::of_pieces((0..pieces).map(|_| world.draw_one(&ranks)).collect()))
        }
        4 => Command::SetSequential(world.draw(2) == 0),
        5 => {
            let of = |world: &mut World, piece| Deadline { due: world.now + milliseconds(world, 5000), piece };
            let deadlines = (0..pieces).filter(|_| world.draw(2) == 0).map(PieceIndex).collect::<Vec<_>>();
            let deadlines = deadlines.into_iter().map(|piece| of(world, piece)).collect();
            Command::SetDeadlines { reader: 0, deadlines }
        }
        6 => Command::SetDownLimit(Some(u64::from(world.draw(256)) * 1000)),
        7 => Command::SetSuperseeding(world.draw(2) == 0),
        _ => Command::Forget(vec![PieceIndex(world.draw(pieces))]),
    }
}

/// Networks part, some cannot be dialled, disks lose pieces, are slow or full.
fn faults(seed: Seed<'_>) -> Outcome {
    let mut world = world(seed);
    let source = world.add_seed(Link::DSL);
    let all = leechers(&mut world, 3);
    let (at, lasts) = (milliseconds(&mut world, 10_000), milliseconds(&mut world, 60_000));
    world.cut_off(&all[..1], at, lasts);
    let hidden = world.draw(3) as usize;
    world.behind_nat(all[hidden]);
    if world.draw(2) == 0 {
        world.behind_nat(source);
    }
    match world.draw(3) {
        0 => world.failing_disk(all[1], 300),
        1 => {
            let rate = 5000 + u64::from(world.draw(256)) * 1000;
            world.slow_disk(all[1], rate);
        }
        _ => {
            let (at, lasts) = (milliseconds(&mut world, 10_000), milliseconds(&mut world, 30_000));
            world.full_disk(all[1], at, lasts);
        }
    }
    to_the_end(world)
}
