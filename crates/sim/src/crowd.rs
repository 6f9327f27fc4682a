//! A flash crowd of any size: peers with one link each come at once to one seed, and how soon each of them has everything.

use std::time::Duration;

use riverrun_metainfo::BLOCK_LENGTH;
use riverrun_proto::swarm::{Command, SeedChoker, SlotRule, Strategy, SwarmConfig};

use crate::chance::Seed;
use crate::checkers::Violation;
use crate::fairness::Fairness;
use crate::host::HostId;
use crate::link::Link;
use crate::manner::Manner;
use crate::torrent::Torrent;
use crate::world::World;

/// How often a crowd is looked at while it runs.
const STEP: Duration = Duration::from_secs(1);

/// A crowd to be tried.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// Downloaders that finish and then stay as seeds.
    pub peers: u32,
    /// Pieces of the torrent.
    pub pieces: u32,
    /// Blocks of 16 KiB in each.
    pub blocks_per_piece: u32,
    /// How many of the peers serve nobody, evenly among the others.
    pub riders: u32,
    /// The link of each peer.
    pub link: Link,
    /// What the seed can send, in bytes per second; `None`: as much as each peer.
    pub seed_up: Option<u64>,
    /// Whom the seed, and each peer that has become one, serves first.
    pub seed_choker: SeedChoker,
    /// Bad peers among the crowd, by manner.
    pub strangers: Vec<(Manner, u32)>,
    /// The seed superseeds (BEP 16).
    pub superseeding: bool,
    /// The rules of all swarms.
    pub strategy: Strategy,
    /// All chance.
    pub seed: u64,
    /// When to give up.
    pub deadline: Duration,
}

/// What came of a crowd.
#[derive(Clone, Debug)]
pub struct CrowdReport {
    /// When each peer had everything, in order of time; those who never had are missing.
    pub done: Vec<Duration>,
    /// The same for those who share and those who serve nobody, in the order in which they were added.
    pub kinds: Fairness,
    /// The age of the world when the swarm without the seed held one copy of each piece, and the bytes that the seed had
    /// sent then.
    pub first_copy: Option<(Duration, u64)>,
    /// The share of the downloaders' uplinks that was used in each second.
    pub uplinks: Vec<f64>,
    /// Payload of no use, and all payload that was received, in bytes.
    pub waste: (u64, u64),
    /// The digest over all that happened.
    pub digest: u64,
    /// How many events happened.
    pub events: u64,
}

impl Crowd {
    /// A crowd with links of 1 MB/s up and 8 MB/s down and the shipped strategy.
    #[must_use]
    pub fn new(peers: u32, pieces: u32, blocks_per_piece: u32, seed: u64) -> Self {
        let link = Link { up: 1_000_000, down: 8_000_000, ..Link::FIBRE };
        let strategy = Strategy::default();
        let deadline = Duration::from_secs(3600);
        Self {
            peers,
            pieces,
            blocks_per_piece,
            riders: 0,
            link,
            seed_up: None,
            seed_choker: SeedChoker::default(),
            strangers: Vec::new(),
            superseeding: false,
            strategy,
            seed,
            deadline,
        }
    }

    /// The bytes of the torrent.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::from(self.pieces) * u64::from(self.blocks_per_piece) * u64::from(BLOCK_LENGTH)
    }

    /// The least time in which the last of N equal peers can have M equal pieces of one seed whose uplink is theirs, if a piece can be
    /// passed on only when it is whole: M + ⌊log2 N⌋ times what one uplink takes for a piece (Mundinger, Weber and Weiss, "Optimal
    /// scheduling of peer-to-peer file dissemination", theorem 1: 1 + ⌊log2 N⌋ / M in units of the file). The last piece cannot
    /// leave the seed before M of these times have passed, and its copies can at best double in each.
    ///
    /// Where the seed's uplink is another or some serve nobody, it is the time in which a fluid could be spread (Kumar and Ross, "Peer-assisted
    /// file distribution: the minimum distribution time"): that of the seed, of one downlink, or of all uplinks together, whichever
    /// is longest.
    #[must_use]
    pub fn optimum(&self) -> Duration {
        let up = self.link.up as f64;
        if self.seed_up.is_none_or(|seed_up| seed_up == self.link.up) && self.riders == 0 {
            let rounds = f64::from(self.pieces) + f64::from(self.peers.max(1).ilog2());
            let piece = f64::from(self.blocks_per_piece) * f64::from(BLOCK_LENGTH);
            return Duration::from_secs_f64(rounds * piece / up);
        }
        let (size, seed_up) = (self.bytes() as f64, self.seed_up.unwrap_or(self.link.up) as f64);
        let all_up = seed_up + up * f64::from(self.peers - self.riders);
        let longest = (size / seed_up).max(size / self.link.down as f64).max(size * f64::from(self.peers) / all_up);
        Duration::from_secs_f64(longest)
    }

    /// Whether the peer of this number serves nobody.
    fn rides(&self, number: u32) -> bool {
        let riders = |peers: u32| u64::from(self.riders) * u64::from(peers) / u64::from(self.peers.max(1));
        riders(number + 1) > riders(number)
    }

    /// The world of the crowd, before anything happens, and its seed. Chance comes from `seed`.
    pub(crate) fn gather(&self, seed: Seed<'_>) -> (World, HostId) {
        let mut world = World::new(seed, Torrent::new(self.pieces, self.blocks_per_piece, self.seed));
        let source = world.add_seed(Link { up: self.seed_up.unwrap_or(self.link.up), ..self.link });
        let set_up = |slots: Option<usize>| {
            move |config: &mut SwarmConfig| {
                (config.strategy, config.seed_choker) = (self.strategy, self.seed_choker);
                config.upload_slots = slots;
            }
        };
        world.set_up(source, set_up(None));
        if self.superseeding {
            world.command(source, Command::SetSuperseeding(true));
        }
        for number in 0..self.peers {
            let peer = world.add_leech(self.link, Duration::ZERO);
            // Who has no slots serves nobody.
            world.set_up(peer, set_up(self.rides(number).then_some(0)));
        }
        for (manner, count) in &self.strangers {
            (0..*count).for_each(|_| _ = world.add_stranger(self.link, *manner, Duration::ZERO));
        }
        (world, source)
    }

    /// Runs until all have everything.
    ///
    /// # Errors
    /// A rule was broken.
    pub fn run(&self) -> Result<CrowdReport, Violation> {
        let (mut world, source) = self.gather(self.seed.into());
        let mut first_copy = None;
        let hosts = || (1..=self.peers as usize).map(HostId);
        let all_uplinks = self.link.up as f64 * f64::from(self.peers) * STEP.as_secs_f64();
        let (mut uplinks, mut left) = (Vec::new(), 0);
        while !world.all_complete() && world.age() < self.deadline {
            world.run_for(STEP)?;
            let before = std::mem::replace(&mut left, world.bytes_left(hosts()));
            uplinks.push((left - before) as f64 / all_uplinks);
            if first_copy.is_none() && world.holds_a_copy(source) {
                first_copy = Some((world.age(), world.up_bytes(source)));
            }
        }
        let mut done: Vec<Duration> = hosts().filter_map(|host| world.completed_at(host)).collect();
        done.sort_unstable();
        let times = |ride: bool| {
            let kind = (0..self.peers).filter(|number| self.rides(*number) == ride);
            kind.filter_map(|number| world.completed_at(HostId(number as usize + 1))).collect()
        };
        let kinds = Fairness { sharers: times(false), riders: times(true) };
        let (digest, events) = world.trace();
        Ok(CrowdReport { done, kinds, first_copy, uplinks, waste: world.waste(), digest, events })
    }
}

/// The rules of libtorrent with its defaults, as far as switches of ours express them: eight slots, all of which are given; no
/// suggestions; as much asked of a peer in a young swarm as in an old one. docs/swarm.md says what is not expressed.
#[must_use]
pub fn libtorrent() -> Strategy {
    Strategy {
        slots: SlotRule::Fixed(8),
        few_guests: false,
        suggestions: false,
        first_copy: false,
        short_queues: false,
        braids: false,
        trial: false,
        choke_flaps: false,
        ..Strategy::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_possible_at_best_is_that_of_the_narrowest_place() {
        let near = |one: f64, other: f64| assert!((one - other).abs() < 1e-6, "{one} {other}");
        near(Crowd::new(8, 97, 1, 1).optimum().as_secs_f64(), 1.6384);
        let fluid = |riders, seed_up| {
            Crowd { riders, seed_up: Some(seed_up), ..Crowd::new(10, 100, 1, 1) }.optimum().as_secs_f64() / 1.6384
        };
        near(fluid(0, 500_000), 2.0);
        near(fluid(5, 5_000_000), 1.0);
        near(fluid(10, 2_000_000), 5.0);
        // Then a downlink of 8 MB/s is the narrowest.
        near(fluid(0, 1_000_000_000), 0.125);
    }

    #[test]
    fn free_riders_are_so_many_spread_evenly_and_serve_nobody() {
        let crowd = Crowd { riders: 3, ..Crowd::new(10, 32, 4, 1) };
        assert_eq!((0..10).filter(|number| crowd.rides(*number)).collect::<Vec<_>>(), [3, 6, 9]);
        let (mut world, _) = crowd.gather(1.into());
        world.run_until(Duration::from_secs(60), World::all_complete).expect("no rule is broken");
        for number in 0..10 {
            assert_eq!(world.up_bytes(HostId(number as usize + 1)) == 0, crowd.rides(number), "{number}");
        }
    }

    #[test]
    fn a_flash_crowd_is_sooner_done_by_the_shipped_rules_than_by_libtorrents() {
        let crowd = Crowd::new(40, 64, 4, 1);
        let last = |strategy| {
            let report = Crowd { strategy, ..crowd.clone() }.run().expect("no rule is broken");
            assert_eq!(report.done.len(), 40, "all have everything");
            report.done[39].as_secs_f64()
        };
        let (ours, theirs) = (last(Strategy::default()), last(libtorrent()));
        assert!(ours * 1.1 < theirs, "{ours} s beside {theirs} s");
    }
}
