//! What an input led to, to be done without the lock.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use riverrun_metainfo::Bitfield;
use riverrun_proto::mse::Way;
use riverrun_proto::swarm::WebSeedId;
use riverrun_proto::tracker::NamedPeer;
use riverrun_storage::Presence;
use tokio::sync::{Notify, oneshot};

use crate::EventKind;
use crate::drive::tracker::Job;

/// Longer lists than this are not kept for their memory.
const MOST_KEPT: usize = 256;

thread_local! {
    /// Emptied, kept for its memory: what blocks and pieces lead to takes none of its own.
    static SPARE: Cell<Effects> = const { Cell::new(Effects::NONE) };
}

/// What is to be done once the lock is free.
#[derive(Debug)]
pub(crate) struct Effects {
    pub(crate) wakes: Vec<Arc<Notify>>,
    pub(crate) dials: Vec<(SocketAddr, &'static [Way])>,
    pub(crate) web_seeds: Vec<WebSeedId>,
    pub(crate) events: Vec<EventKind>,
    pub(crate) errands: Vec<Errand>,
    pub(crate) schedule: Option<Instant>,
}

impl Default for Effects {
    fn default() -> Self {
        Self::NONE
    }
}

impl Effects {
    const NONE: Self = Self {
        wakes: Vec::new(),
        dials: Vec::new(),
        web_seeds: Vec::new(),
        events: Vec::new(),
        errands: Vec::new(),
        schedule: None,
    };

    /// Nothing yet, with the memory of what this thread carried out before.
    pub(crate) fn begin() -> Self {
        SPARE.take()
    }

    /// All of it is done: its memory is for the next on this thread.
    pub(crate) fn end(mut self) {
        self.wakes.clear();
        self.events.clear();
        if self.wakes.capacity().max(self.events.capacity()) <= MOST_KEPT {
            SPARE.set(Self { wakes: self.wakes, events: self.events, ..Self::NONE });
        }
    }
}

/// Work of some length that an input led to.
#[derive(Debug)]
pub(crate) enum Errand {
    /// Ask a tracker.
    Announce(Job),
    /// Look up peers that a tracker named by host name.
    Resolve(Vec<NamedPeer>),
    /// Ask the DHT for peers.
    NeedPeers,
    /// Somebody has a node of the DHT there.
    Node(SocketAddr),
    /// A tracker says that this is our address.
    External(IpAddr),
    /// Write the resume record.
    SaveResume {
        /// The pieces that were verified when the sync was asked for.
        have: Bitfield,
        /// What the sync left.
        presence: Presence,
        /// Who waits for it.
        told: Option<oneshot::Sender<()>>,
    },
    /// Everything is here and synced: see that the files are, too.
    LastLook {
        /// The pieces that were verified when the sync was asked for.
        have: Bitfield,
        /// What the sync left.
        presence: Presence,
    },
    /// See whether metadata is right.
    JudgeMetadata(Vec<Bytes>),
    /// A piece could not be read back: see what became of the files.
    LookAgain,
}
