//! The swarm: all state of exchanging one torrent, as one machine.
//!
//! Invariants: `have` holds only pieces that were verified and stored; requests outstanding to a peer never pass its `reqq`;
//! with the fast extension every request gets exactly one piece or reject (BEP 6).

mod action;
mod input;
mod status;

pub use action::{Action, Blame, CloseReason, Event};
pub use input::{Command, Connected, ConnectionId, DialError, DiskDone, Input, Pressure, Source};
pub use status::{PeerStatus, SwarmStatus, Waiting};

use std::sync::Arc;
use std::time::Instant;

use riverrun_metainfo::{Bitfield, InfoHashes, Layout};

use crate::wire::PeerId;

/// What a swarm needs to know at birth.
#[derive(Clone, Debug)]
pub struct SwarmConfig {
    /// The torrent's hashes.
    pub info_hashes: InfoHashes,
    /// Its pieces and files.
    pub layout: Arc<Layout>,
    /// The pieces that are verified and stored already.
    pub have: Bitfield,
    /// Peers come from trackers and the user alone (BEP 27).
    pub private: bool,
    /// Our own id, to know ourselves when we meet.
    pub peer_id: PeerId,
    /// The port we listen on, told to peers; `None` if we do not.
    pub listen_port: Option<u16>,
    /// The most connections at once.
    pub max_connections: usize,
    /// The peers served at once; `None` lets the choker decide.
    pub upload_slots: Option<usize>,
    /// Seed of the generator.
    pub seed: u64,
}

/// The state of exchanging one torrent.
#[derive(Debug)]
pub struct Swarm {}

impl Swarm {
    /// A swarm with no peers yet. It does nothing until the first input.
    #[must_use]
    pub fn new(now: Instant, config: SwarmConfig) -> Self {
        let _ = (now, config);
        Self {}
    }

    /// Feed one input. Never blocks. What a remote did wrong comes out as an action.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        let _ = (now, input);
    }

    /// The next thing to do; drain until `None` before the next [`handle`](Self::handle).
    pub fn poll(&mut self) -> Option<Action> {
        None
    }

    /// When [`Input::Timeout`] is due; `None`: nothing pending.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        None
    }

    /// How things are now. Cheap enough for ten times a second.
    #[must_use]
    pub fn status(&self, now: Instant) -> SwarmStatus {
        let _ = now;
        SwarmStatus::default()
    }

    /// One line per connection, ordered by connection.
    #[must_use]
    pub fn peers(&self, now: Instant) -> Vec<PeerStatus> {
        let _ = now;
        Vec::new()
    }

    /// The pieces that are verified and stored.
    #[must_use]
    pub fn have(&self) -> &Bitfield {
        todo!("skeleton")
    }
}
