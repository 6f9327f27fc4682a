//! What is known of one candidate.

use std::net::IpAddr;
use std::time::Instant;

use crate::swarm::{ConnectionId, Source};

/// What is being done about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Idle,
    Dialling,
    Connected(ConnectionId),
}

/// A peer that is known, connected or not.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) source: Source,
    /// The party that named it by peer exchange, as long as nobody else did.
    pub(super) teller: Option<IpAddr>,
    pub(super) state: State,
    pub(super) failures: u32,
    /// Not before this moment.
    pub(super) rests_until: Option<Instant>,
    /// When the last try or connection ended.
    pub(super) ended: Option<Instant>,
    /// It has everything.
    pub(super) seed: bool,
    /// It took no MSE handshake the last time, and plaintext.
    pub(super) plaintext_alone: bool,
    /// The last try ended because it took no MSE handshake.
    pub(super) unencrypted: bool,
    /// Somebody says that it could be dialled.
    pub(super) reachable: bool,
    /// Breaks ties: the canonical priority turned round (BEP 40), or while our own address is not known a number drawn, so that not
    /// everyone dials the lowest address first.
    pub(super) order: u32,
}

/// The highest priority comes first.
pub(super) fn order_of(priority: u32) -> u32 {
    !priority
}

/// Which source is believed first.
pub(super) fn rank(source: Source) -> u8 {
    match source {
        Source::User | Source::WebSeed => 0,
        Source::Lsd | Source::Resume => 1,
        Source::Tracker | Source::Incoming => 2,
        Source::Dht => 3,
        Source::Pex => 4,
    }
}
