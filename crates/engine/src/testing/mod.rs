//! A real swarm inside one process, on loopback: for tests of programs that use this library, for its own, and for the demo.
//!
//! Everything binds port 0 of 127.0.0.1, leaves nothing behind and needs no network.

mod content;
mod dht;
mod locks;
mod swarm;
mod tracker;

pub use content::{Content, fill};
pub use dht::LocalDht;
pub use locks::LockHolds;
pub use riverrun_metainfo::piece_hash::Format;
pub use swarm::{LocalSwarm, LocalSwarmBuilder, loopback};
pub use tracker::Tracker;
