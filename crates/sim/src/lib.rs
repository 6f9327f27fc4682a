//! A deterministic world that runs the protocol machines against each other: development only.
//!
//! A [`World`] has a virtual clock, hosts with links of a rate and a delay, disks in memory, and a tracker. Hosts are swarms
//! under test or strangers that follow a bad [`Manner`]. After every event the [`checkers`] look whether a rule is broken. All
//! chance comes from one seed, so the same seed gives the same trace, whose digest is in the [`Report`]; a failure names
//! scenario and seed, and `just sim-replay SCENARIO SEED` shows it again.
//!
//! What happens is in `queue`, what each host does with it in `drive`, `host` and `stranger`, how it travels in `carry`, what
//! befalls it in `faults`; `plan` is how a scenario sets a world up, `watch` what it sees of it; what is tried is in
//! [`scenarios`]. [`load`] drives one swarm without a world, to count what it costs. [`dht`]
//! is a world of its own: thousands of nodes of the DHT, and the packets between them.

mod carry;
mod chance;
pub mod checkers;
pub mod crowd;
pub mod dht;
mod disk;
mod drive;
mod failure;
mod faults;
mod host;
mod link;
pub mod load;
pub mod manner;
mod mischief;
mod plan;
mod player;
mod queue;
pub mod scenarios;
mod stranger;
mod torrent;
mod trace;
mod tracker;
mod watch;
mod world;

pub use chance::Seed;
pub use checkers::Violation;
pub use failure::Failure;
pub use host::HostId;
pub use link::Link;
pub use manner::Manner;
pub use player::{Playback, Player};
pub use scenarios::{Report, Scenario};
pub use torrent::Torrent;
pub use world::World;
