//! How peers and trackers talk: every protocol as a state machine without I/O.
//!
//! # The contract
//!
//! Each machine ([`swarm::Swarm`], [`tracker::Tiers`], [`dht::Node`], ...) has the same three verbs:
//!
//! ```text
//! fn handle(&mut self, now: Instant, input: Input);      // feed one input; never blocks
//! fn poll(&mut self) -> Option<Action>;                  // drain until None before the next handle
//! fn next_timeout(&self) -> Option<Instant>;             // when Input::Timeout is due; None: nothing pending
//! ```
//!
//! - What a remote did wrong is not an error of `handle`: it comes out as an action with a reason and blame.
//! - Time comes in as an argument and never runs backwards. Randomness comes from a small generator that the machine owns,
//!   seeded by whoever makes it. Collections that are iterated are ordered. So a machine is a pure function of its seed and
//!   its inputs: it can be replayed, simulated and fuzzed.
//! - Payload never travels through a machine: only the names of blocks do.
//! - A machine never waits. It emits only what it has credit for, so no cycle of waiting exists.

pub mod address;
mod compact;
mod crc32c;
pub mod dht;
pub mod file_request;
pub mod limits;
pub mod lsd;
pub mod mse;
pub mod proxy;
pub mod rate;
pub mod swarm;
pub mod tracker;
pub mod web_seed;
pub mod wire;
