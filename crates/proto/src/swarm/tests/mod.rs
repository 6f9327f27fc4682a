//! The swarm as a whole: machines in pairs with a hand-moved clock, and single machines against scripted peers.

mod braid;
mod chaos;
mod connections;
mod deadlines;
mod dht_port;
mod encryption;
mod exchange;
mod first_copy;
mod hashes;
mod hostile;
mod idlers;
mod lab;
mod magnet;
mod net;
mod pex;
mod places;
mod shared_limit;
mod size;
mod strategy;
mod superseed;
mod web_seeds;

use std::sync::OnceLock;
use std::time::Instant;

/// One moment that all tests of a run count from.
pub(in crate::swarm) fn birth() -> Instant {
    static BIRTH: OnceLock<Instant> = OnceLock::new();
    #[expect(clippy::disallowed_methods, reason = "a test needs one moment to start from")]
    *BIRTH.get_or_init(Instant::now)
}
