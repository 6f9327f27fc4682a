//! What an input led to, to be done without the lock.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use riverrun_metainfo::Bitfield;
use riverrun_proto::mse::Way;
use riverrun_proto::swarm::WebSeedId;
use riverrun_proto::tracker::NamedPeer;
use riverrun_storage::Presence;
use smallvec::SmallVec;
use tokio::sync::{Notify, oneshot};

use crate::EventKind;
use crate::drive::tracker::Job;

/// What is to be done once the lock is free. What blocks and pieces lead to usually takes no memory of its own.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    pub(crate) wakes: SmallVec<[Arc<Notify>; 4]>,
    pub(crate) dials: Vec<(SocketAddr, &'static [Way])>,
    pub(crate) web_seeds: Vec<WebSeedId>,
    pub(crate) events: SmallVec<[EventKind; 2]>,
    pub(crate) errands: Vec<Errand>,
    pub(crate) schedule: Option<Instant>,
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
