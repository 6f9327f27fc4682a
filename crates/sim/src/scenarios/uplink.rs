//! How much of its uplink a seed uses, and among how many it shares that: peers of mixed links, all of whom want more than there is.

use std::time::Duration;

use riverrun_proto::swarm::{SlotRule, Strategy};

use super::{Outcome, Scenario, rule};
use crate::checkers::Violation;
use crate::{Link, Seed, Torrent, World};

/// A narrow uplink is shared among few enough that each gets something, and a wide one before slow peers is filled; by the root of the
/// rate alone neither is so.
pub(super) const UPLINK: Scenario = Scenario { name: "uplink", play };

/// What a slot must get to be of use, in bytes per second.
const USEFUL: f64 = 8_000.0;

/// A seed and who comes to it.
#[derive(Clone, Copy, Debug)]
pub struct Audience {
    /// Bytes per second that the seed can send.
    pub up: u64,
    /// How many come. They give nothing to each other.
    pub peers: usize,
    /// Bytes per second that each of them can receive, in turn.
    pub down: &'static [u64],
    /// How long the seed is left alone before it is watched.
    pub before: Duration,
    /// How long it is watched.
    pub watched: Duration,
}

impl Audience {
    /// 50 kB/s, 1 MB/s and 100 MB/s, each before peers of mixed links; and 10 MB/s before slow ones alone.
    pub const ALL: [Self; 4] = [
        Self::of(50_000, 40, &[100_000, 1_000_000, 10_000_000], 120, 600),
        Self::of(1_000_000, 80, &[50_000, 200_000, 2_000_000], 120, 300),
        Self::of(10_000_000, 150, &[50_000, 100_000, 150_000], 180, 60),
        Self::of(100_000_000, 400, &[50_000, 300_000, 1_000_000], 180, 40),
    ];

    const fn of(up: u64, peers: usize, down: &'static [u64], before: u64, watched: u64) -> Self {
        Self { up, peers, down, before: Duration::from_secs(before), watched: Duration::from_secs(watched) }
    }

    /// What could be sent: all of the uplink, unless the peers together take less.
    fn possible(&self) -> u64 {
        let down: u64 = self.down.iter().cycle().take(self.peers).sum();
        self.up.min(down)
    }
}

/// What came of it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Use {
    /// The part of what could be sent that was sent.
    pub part: f64,
    /// The mean number of peers who were served at once.
    pub slots: f64,
    /// The mean of what each of them got, in bytes per second.
    pub each: f64,
}

/// Runs it.
///
/// # Errors
/// A rule of the world was broken.
pub fn uplink<'a>(seed: impl Into<Seed<'a>>, audience: Audience, slots: SlotRule) -> Result<Use, Violation> {
    run(seed.into(), audience, slots).1
}

fn run(seed: Seed<'_>, audience: Audience, slots: SlotRule) -> (World, Result<Use, Violation>) {
    // So much that nobody is done with it.
    let all = audience.before + audience.watched;
    let most = audience.down.iter().copied().max().unwrap_or_default().min(audience.up);
    let pieces = u32::try_from(most * all.as_secs() / (1 << 20)).unwrap_or(u32::MAX).clamp(64, 8192);
    let torrent = Torrent::new(pieces, 64, seed);
    let mut world = World::new(seed, torrent.clone());
    let link = |up, down| Link { up, down, ..Link::FIBRE };
    let source = world.add_with(link(audience.up, audience.up), torrent.all(), Duration::ZERO, |config| {
        config.max_connections = audience.peers;
        config.strategy = Strategy { slots, ..Strategy::default() };
    });
    world.tracker_names_only(source);
    for down in audience.down.iter().cycle().take(audience.peers) {
        let joins = Duration::from_millis(world.draw(3000).into());
        world.add_with(link(125_000, *down), torrent.none(), joins, |config| {
            (config.upload_slots, config.max_connections) = (Some(0), 1);
        });
    }
    let result = world.run_for(audience.before).and_then(|()| {
        let (before, mut served, mut looks) = (world.up_bytes(source), 0, 0);
        while world.age() < all {
            world.run_for(Duration::from_secs(1))?;
            served += world.serves(source);
            looks += 1;
        }
        let rate = (world.up_bytes(source) - before) as f64 / audience.watched.as_secs_f64();
        let slots = served as f64 / f64::from(looks);
        Ok(Use { part: rate / audience.possible() as f64, slots, each: rate / slots })
    });
    (world, result)
}

fn play(seed: Seed<'_>) -> Outcome {
    let [narrow, .., slow, _] = Audience::ALL;
    let mut ran = Vec::new();
    for (audience, slots) in
        [(narrow, SlotRule::Root), (slow, SlotRule::Root), (slow, SlotRule::Stairs), (narrow, SlotRule::Uplink)]
    {
        match run(seed, audience, slots) {
            (_, Ok(used)) => ran.push(used),
            (world, Err(violation)) => return (world, Err(violation)),
        }
    }
    let (world, result) = run(seed, slow, SlotRule::Uplink);
    let took = result.clone().map(|_| world.age());
    let Ok(wide) = result else { return (world, took) };
    let narrow = ran[3];
    let what = format!("narrow {narrow:?}, wide {wide:?}, by other rules {:?}", &ran[..3]);
    let took = rule(&world, took, narrow.part >= 0.95 && wide.part >= 0.95, &format!("an uplink is not full: {what}"));
    let took = rule(&world, took, narrow.each >= USEFUL, &format!("slots get too little: {what}"));
    let others = ran[0].each < USEFUL && ran[1].part < 0.95 && ran[2].part < 0.95;
    let took = rule(&world, took, others, &format!("other rules do as well: {what}"));
    (world, took)
}
