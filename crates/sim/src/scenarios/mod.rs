//! What is tried: each scenario sets up a world from a seed and says until when what must be so.

mod crashes;
mod crowd;
pub mod fairness;
mod faults;
mod hostile;
mod links;
mod luck;
mod patchwork;
pub mod places;
mod private;
mod rows;
mod seeding;
mod small;
pub mod streaming;
pub mod superseed;
pub mod switches;
mod uneven;
pub mod uplink;
mod vanished;
mod web_seeds;

use std::time::Duration;

pub use self::small::steered;
use crate::chance::Seed;
use crate::checkers::Violation;
use crate::failure::Failure;
use crate::world::World;

/// One thing to try.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name, as `sim-replay` takes it.
    pub name: &'static str,
    /// Sets up the world and runs it to its end; gives how long that took.
    play: fn(Seed<'_>) -> Outcome,
}

/// The world at the end, and how long it took or which rule was broken.
type Outcome = (World, Result<Duration, Violation>);

/// What a run came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// The age of the world when everyone had everything.
    pub took: Duration,
    /// The digest over all that happened: equal for equal seeds.
    pub digest: u64,
    /// How many events happened.
    pub events: u64,
    /// Payload received that was of no use, and all payload received, in bytes.
    pub waste: (u64, u64),
}

/// All scenarios but those of one row of hostile peers.
const MAIN: &[Scenario] = &[
    crowd::FLASH_CROWD,
    crowd::HEARSAY,
    crowd::THRONG,
    crowd::TROUBLE,
    links::UNEQUAL_LINKS,
    hostile::HOSTILE,
    hostile::LIARS,
    hostile::GULP,
    crashes::CRASHES,
    patchwork::PATCHWORK,
    rows::MIXED,
    uneven::ONE_FAST,
    streaming::STREAMING,
    streaming::STREAMING_CHURN,
    streaming::STREAMING_BLACK_HOLES,
    superseed::SUPERSEED,
    places::SATURATED,
    faults::PARTITION,
    faults::RESETS,
    faults::NAT,
    faults::CHURN,
    faults::SLOW_DISK,
    faults::FULL_DISK,
    private::PRIVATE,
    fairness::FAIRNESS,
    seeding::SEEDING,
    uplink::UPLINK,
    web_seeds::WEB_SEED,
    web_seeds::WEB_STALLS,
    web_seeds::WEB_RETRIES,
    web_seeds::WEB_LIES,
    luck::LUCK,
    vanished::VANISHED,
];

/// All scenarios.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    MAIN.iter().chain(&rows::ROWS).chain(&small::WORLDS)
}

impl Scenario {
    /// The scenario of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        all().find(|scenario| scenario.name == name)
    }

    /// Runs it with one seed.
    ///
    /// # Errors
    /// A rule was broken.
    pub fn run<'a>(&self, seed: impl Into<Seed<'a>>) -> Result<Report, Failure> {
        let seed = seed.into();
        let (world, result) = (self.play)(seed);
        let (digest, events) = world.trace();
        let took = result.map_err(|violation| Failure::new(self.name, seed, events, violation))?;
        Ok(Report { took, digest, events, waste: world.waste() })
    }
}

/// Runs until every swarm has everything, then until all is at rest.
fn to_the_end(mut world: World, deadline: Duration) -> Outcome {
    let result = world.run_until(deadline, World::all_complete).and_then(|took| {
        world.run_for(Duration::from_secs(20))?;
        world.at_rest()?;
        Ok(took)
    });
    (world, result)
}

/// A rule of a scenario itself.
fn rule(world: &World, result: Result<Duration, Violation>, holds: bool, what: &str) -> Result<Duration, Violation> {
    let broken = Violation { at: world.age(), host: crate::HostId(0), what: what.to_owned() };
    result.and_then(|took| if holds { Ok(took) } else { Err(broken) })
}
