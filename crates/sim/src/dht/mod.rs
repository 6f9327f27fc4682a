//! Thousands of nodes of the DHT in virtual time, with nodes that die, nodes behind NATs, loss, and an attack on one torrent.
//!
//! A [`Trial`] says how; [`Trial::run`] lets a network grow, attacks it if it is told to, lets nodes die, has peers announced and
//! looked up, and gives a [`Report`]. Every honest node is the real [`Node`](riverrun_proto::dht::Node), every packet is the real
//! one. The same trial gives the same [`Report::digest`].

mod internet;
mod places;
mod sybils;
mod tally;
mod trial;

pub use sybils::{Attack, Placement};
pub use tally::{Spread, Tally};
pub use trial::{Report, Trial};
