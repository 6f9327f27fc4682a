//! The swarm: all state of exchanging one torrent, as one machine.
//!
//! Invariants: `have` holds only pieces that were verified and stored; requests outstanding to a peer never pass its `reqq`;
//! with the fast extension every request gets exactly one piece or reject (BEP 6).
//!
//! Each noun has its file; this one only holds them together. Inputs come in by `dispatch` (messages), `greeting`
//! (connections), `disk` (answers of the disk), `command` (the owner) and `timers`; `requests` and `refill` decide
//! who is asked for what (`deadlines` and `hurry` for what somebody waits for), `slots` and `choker` who is served, `places` who stays.

mod action;
mod allowed_fast;
mod availability;
mod blame;
mod braid;
mod candidates;
mod choker;
mod command;
mod conduct;
mod deadlines;
mod dht_port;
mod disk;
mod dispatch;
mod down_limit;
mod endgame;
mod extensions;
mod first_copy;
mod greeting;
mod hashes;
mod hurry;
mod input;
mod kept;
mod line;
mod metadata;
mod on_demand;
mod outbox;
mod outside;
mod overdue;
mod partial;
mod parties;
mod peer;
mod pex;
mod picker;
mod piece_priorities;
mod pieces;
mod pipeline;
mod places;
mod priority;
mod progress;
mod rate;
mod reach;
mod read_ahead;
mod refill;
mod requests;
mod scarcity;
mod seed_choker;
mod slots;
mod stats;
mod status;
mod strategy;
mod superseed;
#[cfg(test)]
mod tests;
mod timers;
mod twins;
mod uplink;
mod uploads;
mod web_seeds;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use riverrun_metainfo::metainfo::PieceHashes;
use riverrun_metainfo::{BLOCK_LENGTH, Bitfield, InfoHashes, Layout, WireHash};

pub use self::action::{Action, Blame, CloseReason, Event};
pub use self::deadlines::Deadline;
pub use self::input::{
    Command, Connected, ConnectionId, Content, DialError, DiskDone, Input, Judgement, Pressure, Source,
};
pub use self::kept::{Kept, KeptOfPeer};
pub use self::metadata::MetadataStatus;
use self::on_demand::OnDemand;
pub use self::piece_priorities::{Priorities, Priority};
pub use self::read_ahead::ReadAhead;
pub use self::seed_choker::SeedChoker;
pub use self::status::{PeerStatus, Sources, SwarmStatus, Waiting, WebSeedState, WebSeedStatus};
pub use self::strategy::{PieceOrder, SlotRule, Strategy};
pub use self::web_seeds::WebSeedId;
use crate::address::AddressRules;
use crate::mse::Encryption;
use crate::wire::PeerId;

/// What a swarm needs to know at birth.
#[derive(Clone, Debug)]
pub struct SwarmConfig {
    /// The torrent's hashes.
    pub info_hashes: InfoHashes,
    /// Its pieces and files.
    pub layout: Arc<Layout>,
    /// What its pieces hash to, shared with whoever judges them: piece layers that are missing are asked of peers and learned
    /// (BEP 52). `None`: every piece can be judged, and no layers are exchanged.
    pub hashes: Option<Arc<PieceHashes>>,
    /// The info dictionary, for peers that have none yet (BEP 9); empty: none is given.
    pub metadata: Bytes,
    /// The pieces that are verified and stored already.
    pub have: Bitfield,
    /// Peers come from trackers and the user alone (BEP 27).
    pub private: bool,
    /// Exchange peers with peers (BEP 11); never done in private torrents.
    pub pex: bool,
    /// How much connections are to look like noise.
    pub encryption: Encryption,
    /// Who may be a candidate, whoever named it.
    pub addresses: AddressRules,
    /// Our own id, to know ourselves when we meet.
    pub peer_id: PeerId,
    /// The port we listen on, told to peers; `None` if we do not.
    pub listen_port: Option<u16>,
    /// The most connections at once.
    pub max_connections: usize,
    /// The peers served at once; `None` lets the choker decide.
    pub upload_slots: Option<usize>,
    /// Whom it serves first once it has everything that is wanted.
    pub seed_choker: SeedChoker,
    /// Which rules are on; the default everywhere but in simulations and tests.
    pub strategy: Strategy,
    /// Seed of the generator.
    pub seed: u64,
}

impl SwarmConfig {
    /// For a swarm that is to get the metadata from peers first: nothing is known of the content, and everything else is as it
    /// usually is.
    ///
    /// # Panics
    /// Never: a layout of nothing is within all limits.
    #[must_use]
    pub fn without_content(info_hashes: InfoHashes, peer_id: PeerId, seed: u64) -> Self {
        Self {
            info_hashes,
            layout: Arc::new(Layout::v1(u64::from(BLOCK_LENGTH), []).expect("nothing is within all limits")),
            hashes: None,
            metadata: Bytes::new(),
            have: Bitfield::empty(0),
            private: false,
            pex: true,
            encryption: Encryption::Off,
            addresses: AddressRules::default(),
            peer_id,
            listen_port: None,
            max_connections: 200,
            upload_slots: None,
            seed_choker: SeedChoker::default(),
            strategy: Strategy::default(),
            seed,
        }
    }
}

/// Who we are to peers, and how many of them we take.
#[derive(Debug)]
struct Identity {
    info_hash: WireHash,
    peer_id: PeerId,
    listen_port: Option<u16>,
    /// The port of our node of the DHT.
    dht_port: Option<u16>,
    encryption: Encryption,
    max_connections: usize,
}

/// The state of exchanging one torrent.
#[derive(Debug)]
pub struct Swarm {
    identity: Identity,
    paused: bool,
    /// Until the layout is known and the exchange begins.
    beginning: Option<Box<metadata::Beginning>>,
    serving: metadata::Serving,
    progress: progress::Progress,
    peers: BTreeMap<ConnectionId, peer::Peer>,
    twins: OnDemand<twins::Twins>,
    requests: requests::Requests,
    hashes: hashes::HashExchange,
    candidates: candidates::Candidates,
    contacts: pex::Contacts,
    web_seeds: web_seeds::WebSeeds,
    choker: choker::Choker,
    seed_choker: SeedChoker,
    line: line::Line,
    uplink: uplink::Uplink,
    first_copy: first_copy::FirstCopy,
    /// When somebody first wanted something of us.
    wanted_since: Option<Instant>,
    superseed: superseed::Superseed,
    places: OnDemand<places::Places>,
    blame: blame::Blame,
    stats: stats::Stats,
    timers: timers::Timers,
    out: outbox::Outbox,
    rng: fastrand::Rng,
}

impl Swarm {
    /// A swarm with no peers yet. It does nothing until the first input.
    #[must_use]
    pub fn new(now: Instant, config: SwarmConfig) -> Self {
        let mut rng = fastrand::Rng::with_seed(config.seed);
        let identity = Identity {
            info_hash: config.info_hashes.wire(),
            peer_id: config.peer_id,
            listen_port: config.listen_port,
            dht_port: None,
            encryption: config.encryption,
            max_connections: config.max_connections,
        };
        let mut swarm = Self {
            identity,
            paused: false,
            beginning: None,
            serving: metadata::Serving::new(now, config.metadata),
            progress: progress::Progress::new(config.layout, config.have),
            peers: BTreeMap::new(),
            twins: OnDemand::default(),
            requests: requests::Requests::new(config.strategy),
            hashes: hashes::HashExchange::new(config.info_hashes, config.hashes),
            candidates: candidates::Candidates::new(
                now,
                config.private,
                config.addresses,
                config.listen_port,
                rng.fork(),
            )
            .ranked(config.strategy.canonical_priority),
            contacts: pex::Contacts::new(config.pex && !config.private),
            web_seeds: web_seeds::WebSeeds::default(),
            choker: choker::Choker::new(config.strategy, rng.fork()),
            seed_choker: config.seed_choker,
            line: line::Line::default(),
            uplink: uplink::Uplink::new(config.upload_slots.map_or(config.strategy.slots, SlotRule::Fixed), now),
            first_copy: first_copy::FirstCopy::default(),
            wanted_since: None,
            superseed: superseed::Superseed::default(),
            places: OnDemand::default(),
            blame: blame::Blame::new(config.strategy),
            stats: stats::Stats::new(now),
            timers: timers::Timers::new(),
            out: outbox::Outbox::default(),
            rng,
        };
        swarm.plan_hashes();
        swarm
    }

    /// A swarm with no peers yet, which gets the metadata before anything else (BEP 9). [`Action::JudgeMetadata`] comes when it is
    /// there; [`Input::Begin`] makes it the swarm that [`new`](Self::new) makes. What the configuration says of the content
    /// counts for nothing: see [`SwarmConfig::without_content`].
    #[must_use]
    pub fn gathering(now: Instant, config: SwarmConfig) -> Self {
        let nothing = SwarmConfig::without_content(config.info_hashes, config.peer_id, config.seed);
        let SwarmConfig { layout, have, .. } = nothing;
        let mut swarm = Self::new(now, SwarmConfig { layout, have, hashes: None, metadata: Bytes::new(), ..config });
        swarm.progress = progress::Progress::unknown();
        swarm.beginning = Some(Box::new(metadata::Beginning::new()));
        swarm
    }

    /// Feed one input. Never blocks. What a remote did wrong comes out as an action.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Candidates { source, addrs } => {
                let welcome = addrs.iter().filter(|addr| !self.blame.is_banned(addr.ip()));
                self.candidates.add(source, welcome);
                self.timers.dial_changed = true;
            }
            Input::Connected(connected) => self.connected(now, &connected),
            Input::DialFailed { addr, error } => {
                tracing::debug!(?error, "dial brought no connection");
                self.candidates.dial_failed(now, addr, error);
                self.timers.dial_changed = true;
            }
            Input::WebSeedOpened { seed, connection } => self.web_seed_opened(now, seed, connection),
            Input::WebSeedLacks { connection, pieces, error } => self.web_seed_lacks(now, connection, pieces, error),
            Input::Received { connection, messages } => self.received(now, connection, messages),
            Input::Served { connection, blocks } => self.served(now, connection, blocks),
            Input::ServeFailed { connection, block } => self.serve_failed(now, connection, block),
            Input::Closed { connection, reason } => self.closed(now, connection, &reason),
            Input::Disk(done) => self.disk_done(now, done),
            Input::Metadata(Judgement::Right { metadata, private }) => self.metadata_right(now, metadata, private),
            Input::Metadata(Judgement::Wrong) => self.metadata_wrong(now),
            Input::Begin(content) => self.begin(now, content),
            Input::Pressure(pressure) => self.pressed(now, pressure),
            Input::Command(command) => self.command(now, command),
            Input::Timeout => self.timeout(now),
        }
        self.settle(now);
    }

    /// The next thing to do; drain until `None` before the next [`handle`](Self::handle).
    pub fn poll(&mut self) -> Option<Action> {
        self.out.pop()
    }

    /// When [`Input::Timeout`] is due; `None`: nothing pending.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// How many peers are connected, web seeds aside.
    fn connections(&self) -> usize {
        self.peers.len() - self.web_seeds.open()
    }

    /// The pieces that are verified and stored.
    #[must_use]
    pub fn have(&self) -> &Bitfield {
        self.progress.have()
    }
}
