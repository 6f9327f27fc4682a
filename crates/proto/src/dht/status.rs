//! How the DHT is doing.

use std::net::IpAddr;

use super::contact::Family;
use super::id::Id;

/// How the DHT is doing, for display.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Status {
    /// The families that take part.
    pub families: Vec<FamilyStatus>,
    /// Lookups under way or waiting, upkeep included.
    pub lookups: usize,
    /// Queries that are not answered yet.
    pub queries: usize,
    /// Torrents that others announced here.
    pub stored_hashes: usize,
    /// Their peers.
    pub stored_peers: usize,
    /// Items that others put here (BEP 44).
    pub stored_items: usize,
    /// What has passed since the start.
    pub traffic: Traffic,
}

/// How one of the two DHTs is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FamilyStatus {
    /// Which.
    pub family: Family,
    /// Our id there.
    pub id: Id,
    /// Our address as others see it; `None` until enough of them agree.
    pub external: Option<IpAddr>,
    /// Nodes that answered, or asked us something, within 15 minutes.
    pub good: usize,
    /// Nodes that were silent for longer.
    pub questionable: usize,
    /// Nodes that left several questions unanswered; they make room for the next that come.
    pub bad: usize,
    /// Of all these, nodes whose ids fit their addresses (BEP 42).
    pub secure: usize,
    /// Buckets of the table: each is for half as much of the space as the one before.
    pub buckets: usize,
}

/// Counts of packets and bytes, without headers of UDP and IP.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Traffic {
    /// Packets received.
    pub packets_down: u64,
    /// Bytes received.
    pub bytes_down: u64,
    /// Packets sent.
    pub packets_up: u64,
    /// Bytes sent.
    pub bytes_up: u64,
    /// Queries that others sent us.
    pub queries_down: u64,
    /// Queries that we sent.
    pub queries_up: u64,
    /// Queries of ours that were answered.
    pub answers: u64,
    /// Packets that were ignored: no message, nobody's reply, or from somebody who sends too much.
    pub ignored: u64,
    /// Replies that were not sent because all of them together have a rate.
    pub withheld: u64,
}
