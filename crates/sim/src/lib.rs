//! A deterministic world that runs the protocol machines against each other: development only.
//!
//! A [`World`] has a virtual clock, hosts with links of a rate, a delay and jitter, disks in memory that lose pieces, are slow or
//! full, a tracker, and web servers. Hosts are swarms under test or strangers that follow a bad [`Manner`]; they crash and start again, come and
//! go, are cut off from each other, lose their connections, or cannot be dialled. What is sent on a connection is never lost:
//! the loss of datagrams is in [`dht`], whose packets can be lost.
//!
//! After every event the [`checkers`] look whether a rule is broken: nobody has what was not verified, no request is answered twice,
//! no more is asked for, handed out or kept than may be, nobody is banned who did not lie, no address is called too often (P23), and a
//! private torrent uses its tracker alone. All chance comes from one [`Seed`], a number or the bytes of a fuzzer, so the same seed
//! gives the same trace, whose digest is in the [`Report`]; a [`Failure`] names scenario, seed, commit and event in one line, and
//! `just sim-replay SCENARIO SEED` shows it again. `just sim-all` tries every scenario with 200 seeds, `just sim-long` with thousands.
//!
//! What happens is in `queue`, what each host does with it in `drive`, `host` and `stranger`, how it travels in `carry`, what
//! befalls it in `faults`; web servers are in `web_server`; `plan` is how a scenario sets a world up, `watch` what it sees of it; what is tried is in
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
pub mod fairness;
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
mod web_server;
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
pub use web_server::Service;
pub use world::World;
