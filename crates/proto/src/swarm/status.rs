//! How a swarm is: snapshots for people.

use std::net::SocketAddr;
use std::time::Duration;

use riverrun_metainfo::PieceIndex;

use crate::mse::Cover;
use crate::swarm::{ConnectionId, MetadataStatus, Source, WebSeedId};
use crate::web_seed::WebSeedError;

/// Why nothing comes, in the order of what to tell first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Waiting {
    /// No connection and no candidate.
    NoPeers,
    /// No connection, and the owner's rules refuse all addresses that were named.
    Refused {
        /// How many.
        addresses: usize,
    },
    /// No connection; this many candidates are being dialled or wait for their next try.
    Connecting {
        /// How many.
        candidates: usize,
    },
    /// No connection; all candidates closed the encrypted handshake, without which none is wanted.
    Unencrypted {
        /// How many.
        peers: usize,
    },
    /// No connection, and all web seeds rest because they failed, or lack what is needed.
    WebSeeds {
        /// How many.
        seeds: usize,
    },
    /// Nobody connected has the metadata.
    NobodyHasMetadata {
        /// How many are connected.
        peers: usize,
    },
    /// Nobody connected has a piece that is still wanted.
    NobodyHas {
        /// The first such piece.
        piece: PieceIndex,
        /// How many wanted pieces nobody has.
        missing: u32,
    },
    /// The hashes of all that could be asked for now are not known (BEP 52).
    Hashes {
        /// Peers that can be asked for them.
        peers: usize,
    },
    /// All who have what we want choke us.
    Choked {
        /// How many.
        peers: usize,
    },
    /// Requests are out, and nothing comes.
    Slow {
        /// Peers with requests outstanding.
        peers: usize,
    },
    /// The disk cannot take more.
    Disk,
}

/// How many of the peers known each source named; one that several named counts for the one believed most.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Sources {
    /// The user.
    pub user: usize,
    /// Trackers.
    pub tracker: usize,
    /// They connected to us.
    pub incoming: usize,
    /// The DHT (BEP 5).
    pub dht: usize,
    /// Peer exchange (BEP 11).
    pub pex: usize,
    /// Local service discovery (BEP 14).
    pub lsd: usize,
    /// Resume data of an earlier run.
    pub resume: usize,
    /// Web seeds (BEP 19).
    pub web_seed: usize,
}

impl Sources {
    pub(super) const NONE: Self =
        Self { user: 0, tracker: 0, incoming: 0, dht: 0, pex: 0, lsd: 0, resume: 0, web_seed: 0 };

    pub(super) fn count(&mut self, source: Source) -> &mut usize {
        match source {
            Source::User => &mut self.user,
            Source::Tracker => &mut self.tracker,
            Source::Incoming => &mut self.incoming,
            Source::Dht => &mut self.dht,
            Source::Pex => &mut self.pex,
            Source::Lsd => &mut self.lsd,
            Source::Resume => &mut self.resume,
            Source::WebSeed => &mut self.web_seed,
        }
    }
}

/// A snapshot of a swarm.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct SwarmStatus {
    /// Pieces verified and stored.
    pub have_pieces: u32,
    /// Bytes of the stream verified and stored.
    pub have_bytes: u64,
    /// Bytes of wanted pieces, had or not.
    pub wanted_bytes: u64,
    /// Bytes of wanted pieces not verified yet (what trackers call `left`); one block as long as nobody knows.
    pub left_bytes: u64,
    /// Bytes received of pieces that are not verified yet.
    pub partial_bytes: u64,
    /// Payload received since birth, in bytes.
    pub down_bytes: u64,
    /// Payload sent since birth, in bytes.
    pub up_bytes: u64,
    /// Payload received that was of no use, in bytes.
    pub wasted_bytes: u64,
    /// Superseeding goes on (BEP 16).
    pub superseeding: bool,
    /// Payload received of pieces that failed their hash, in bytes.
    pub corrupt_bytes: u64,
    /// Payload per second now.
    pub down_rate: u64,
    /// Payload per second now.
    pub up_rate: u64,
    /// Connections.
    pub connections: usize,
    /// Connections to peers that have everything.
    pub seeds: usize,
    /// Peers known.
    pub candidates: usize,
    /// Peers known, by who named them.
    pub sources: Sources,
    /// How far the metadata is; `None` once it is here.
    pub metadata: Option<MetadataStatus>,
    /// Why nothing has come for 5 s; `None` while bytes come or nothing is wanted.
    pub waiting: Option<Waiting>,
}

/// What is done with a web seed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum WebSeedState {
    /// Nothing: it was not needed yet, or is not any more.
    #[default]
    Idle,
    /// It is asked for pieces.
    InUse,
    /// Nothing for so long, because of its error.
    Rests(Duration),
}

/// A snapshot of one web seed.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct WebSeedStatus {
    /// What is done with it.
    pub state: WebSeedState,
    /// What was wrong with it last, also if it is in use again or with other files.
    pub error: Option<WebSeedError>,
    /// It is of no use for long: it lied, will not get better soon, or lacks all that is still wanted.
    pub given_up: bool,
    /// Payload from it, in bytes.
    pub down_bytes: u64,
    /// Payload per second from it.
    pub down_rate: u64,
}

/// A snapshot of one connection.
#[derive(Clone, PartialEq, Debug)]
pub struct PeerStatus {
    /// Which.
    pub connection: ConnectionId,
    /// The peer's address; `0.0.0.0:0` of a web seed.
    pub addr: SocketAddr,
    /// Who named it.
    pub source: Source,
    /// Which web seed it is, if it is one.
    pub web_seed: Option<WebSeedId>,
    /// It dialled us.
    pub incoming: bool,
    /// How much of the connection looks like noise.
    pub cover: Cover,
    /// What it calls itself (BEP 10 `v`, else from the peer id), unfiltered.
    pub client: String,
    /// Its share of the pieces, 0 to 1.
    pub progress: f32,
    /// Payload per second from it.
    pub down_rate: u64,
    /// Payload per second to it.
    pub up_rate: u64,
    /// Payload from it, in bytes.
    pub down_bytes: u64,
    /// Payload to it, in bytes.
    pub up_bytes: u64,
    /// We choke it.
    pub choking: bool,
    /// It chokes us.
    pub choked: bool,
    /// We want something of it.
    pub interested: bool,
    /// It wants something of us.
    pub interesting: bool,
}
