//! Whom a seed serves first, by each of its ways to choose: the same kinds of guests at the same seed.

use std::time::Duration;

use riverrun_metainfo::{Bitfield, PieceIndex};
use riverrun_proto::swarm::SeedChoker;

use super::{Outcome, Scenario, rule};
use crate::checkers::Violation;
use crate::{HostId, Link, Seed, Torrent, World};

/// Each way to choose serves the kind that it is for, and no other way serves that kind as much; by turns most are served.
pub(super) const SEEDING: Scenario = Scenario { name: "seeding", play };

const PIECES: u32 = 800;
const RARE: u32 = 200;
const BLOCKS: u32 = 16;
/// Guests of each kind: as many as there are slots that go by merit.
const EACH: u32 = 3;
/// What a guest takes at least in a turn, in bytes.
const TURN: u64 = 4 << 20;
/// How long it is watched: five turns.
const WATCHED: Duration = Duration::from_secs(300);

/// Kinds of guests. None of them gives anything to anyone, so that all comes from the seed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Guest {
    /// It lacks half, and its link is fast.
    Fast,
    /// It has what is common, and nothing of what is rare.
    LacksRare,
    /// It lacks little, nothing of it rare.
    NearlyDone,
    /// It lacks half.
    Halfway,
}

impl Guest {
    const ALL: [Self; 4] = [Self::Fast, Self::LacksRare, Self::NearlyDone, Self::Halfway];

    /// Whether the guest of this number among its kind has a piece: of those who lack half each lacks another half.
    fn has(self, piece: u32, number: u32) -> bool {
        let rare = piece < RARE;
        match self {
            Self::Fast | Self::Halfway if rare => !(piece + number).is_multiple_of(4),
            Self::Fast | Self::Halfway => (piece + number).is_multiple_of(2),
            Self::LacksRare => !rare,
            Self::NearlyDone => piece < PIECES - PIECES / 10,
        }
    }

    fn pieces(self, number: u32) -> Bitfield {
        let mut pieces = Bitfield::empty(PIECES);
        (0..PIECES).filter(|piece| self.has(*piece, number)).for_each(|piece| _ = pieces.insert(PieceIndex(piece)));
        pieces
    }
}

/// What a run came to.
#[derive(Clone, Copy, Debug)]
struct Served {
    /// What each kind got of all that the seed gave, in the order of [`Guest::ALL`].
    shares: [f64; 4],
    /// Guests who got as much as a turn brings.
    guests: usize,
}

fn serve(seed: Seed<'_>, choker: SeedChoker) -> (World, Result<Served, Violation>) {
    let torrent = Torrent::new(PIECES, BLOCKS, seed);
    let mut world = World::new(seed, torrent.clone());
    let source = world.add_with(Link { up: 400_000, ..Link::FIBRE }, torrent.all(), Duration::ZERO, |config| {
        (config.seed_choker, config.upload_slots) = (choker, Some(EACH as usize + 1));
    });
    world.tracker_names_only(source);
    let mut guests: Vec<(usize, HostId)> = Vec::new();
    for number in 0..EACH {
        for (kind, guest) in Guest::ALL.into_iter().enumerate() {
            let down = if guest == Guest::Fast { 2_000_000 } else { 60_000 };
            // The fast ones come first: it is chance when they would be found.
            let after = if guest == Guest::Fast { 0 } else { 500 };
            let joins = Duration::from_millis((after + world.draw(500)).into());
            let host = world.add_with(Link { down, ..Link::FIBRE }, guest.pieces(number), joins, |config| {
                config.upload_slots = Some(0);
            });
            guests.push((kind, host));
        }
    }
    let result = world.run_for(WATCHED).map(|()| {
        let took = |host: HostId| world.waste_of(host).1;
        let mut got = [0; 4];
        guests.iter().for_each(|(kind, host)| got[*kind] += took(*host));
        let shares = got.map(|bytes| bytes as f64 / world.up_bytes(source) as f64);
        Served { shares, guests: guests.iter().filter(|(_, host)| took(*host) >= TURN).count() }
    });
    (world, result)
}

fn play(seed: Seed<'_>) -> Outcome {
    let chokers = [SeedChoker::Fastest, SeedChoker::RarestNeed, SeedChoker::AntiLeech, SeedChoker::RoundRobin];
    let mut ran = Vec::new();
    for choker in chokers {
        let (world, result) = serve(seed, choker);
        match result {
            Ok(served) => ran.push((world, served)),
            Err(violation) => return (world, Err(violation)),
        }
    }
    let served: Vec<Served> = ran.iter().map(|(_, served)| *served).collect();
    let (world, _) = ran.pop().expect("four were run");
    let mut result = Ok(world.age());
    for (nth, choker) in chokers.iter().enumerate() {
        let better = |other: &Served| match choker {
            SeedChoker::RoundRobin => served[nth].guests > other.guests,
            _ => served[nth].shares[nth] > other.shares[nth] + 0.1,
        };
        let best = (0..4).filter(|other| *other != nth).all(|other| better(&served[other]));
        result = rule(&world, result, best, &format!("{choker:?} does not what it is for: {served:.2?}"));
    }
    (world, result)
}
