//! Counters of the swarm, and what is told to people.

use std::time::{Duration, Instant};

use riverrun_metainfo::PieceIndex;

use crate::swarm::peer::Peer;
use crate::swarm::rate::Rate;
use crate::swarm::{MetadataStatus, PeerStatus, Pressure, Sources, Swarm, SwarmStatus, Waiting};

/// Nothing must have come for so long before a reason is given.
const WAITING_AFTER: Duration = Duration::from_secs(5);

/// Payload counted since birth.
#[derive(Debug)]
pub(super) struct Stats {
    pub(super) down: Rate,
    pub(super) up: Rate,
    pub(super) wasted_bytes: u64,
    pub(super) corrupt_bytes: u64,
    /// When the last useful block came, or when waiting for one began.
    pub(super) came: Instant,
}

impl Stats {
    pub(super) fn new(now: Instant) -> Self {
        Self { down: Rate::new(now), up: Rate::new(now), wasted_bytes: 0, corrupt_bytes: 0, came: now }
    }
}

impl Swarm {
    /// How things are now. Cheap enough for ten times a second.
    #[must_use]
    pub fn status(&self, now: Instant) -> SwarmStatus {
        SwarmStatus {
            have_pieces: self.progress.have_pieces(),
            have_bytes: self.progress.have_bytes(),
            wanted_bytes: self.progress.wanted_bytes(),
            left_bytes: self.progress.left_bytes(),
            partial_bytes: self.requests.partial_bytes(),
            down_bytes: self.stats.down.total(),
            up_bytes: self.stats.up.total(),
            wasted_bytes: self.stats.wasted_bytes,
            corrupt_bytes: self.stats.corrupt_bytes,
            superseeding: self.superseed.is_active(),
            down_rate: self.stats.down.per_second(now),
            up_rate: self.stats.up.per_second(now),
            connections: self.connections(),
            seeds: self.peers.values().filter(|peer| peer.pieces.is_all() && peer.who.web_seed.is_none()).count(),
            candidates: self.candidates.len(),
            sources: Sources { web_seed: self.web_seeds.len(), ..self.candidates.sources() },
            metadata: self.metadata_status(),
            waiting: self.waiting(now),
        }
    }

    /// What [`status`](Self::status) says of `left_bytes`, without a look at each peer.
    #[must_use]
    pub fn left_bytes(&self) -> u64 {
        self.progress.left_bytes()
    }

    /// How far the metadata is; `None` once it is here.
    #[must_use]
    pub fn metadata_status(&self) -> Option<MetadataStatus> {
        self.beginning.as_ref().and_then(|beginning| beginning.status())
    }

    /// One line per connection, ordered by connection.
    #[must_use]
    pub fn peers(&self, now: Instant) -> Vec<PeerStatus> {
        self.peers.values().map(|peer| peer_status(peer, now)).collect()
    }

    /// Why nothing comes.
    fn waiting(&self, now: Instant) -> Option<Waiting> {
        let silent = now.saturating_duration_since(self.stats.came);
        if self.paused || self.progress.is_finished() || silent < WAITING_AFTER {
            return None;
        }
        if self.peers.is_empty() {
            let candidates = self.candidates.waiting();
            let seeds = self.web_seeds.len();
            if seeds > 0 && self.beginning.is_none() && candidates == 0 {
                return Some(Waiting::WebSeeds { seeds });
            }
            return Some(match (self.candidates.unencrypted(), self.candidates.refused()) {
                (_, 0) if candidates == 0 => Waiting::NoPeers,
                (_, addresses) if candidates == 0 => Waiting::Refused { addresses },
                (peers, _) if peers == candidates => Waiting::Unencrypted { peers },
                _ => Waiting::Connecting { candidates },
            });
        }
        if let Some(beginning) = &self.beginning {
            let givers = beginning.status()?.peers;
            return Some(match givers {
                0 => Waiting::NobodyHasMetadata { peers: self.peers.len() },
                peers => Waiting::Slow { peers },
            });
        }
        let useful = || self.peers.values().filter(|peer| peer.down.useful > 0);
        let peers = useful().count();
        if peers == 0 {
            return self.nobody_has();
        }
        let asked = useful().filter(|peer| peer.down.pipeline.live() > 0).count();
        if asked == 0 && self.hashes.holds_up() && !self.requests.has_pickable() {
            return Some(Waiting::Hashes { peers: useful().filter(|peer| peer.hashes.speaks_v2()).count() });
        }
        if useful().all(|peer| peer.down.choked) {
            return Some(Waiting::Choked { peers });
        }
        if asked == 0 && self.requests.pressure == Pressure::Full {
            return Some(Waiting::Disk);
        }
        Some(Waiting::Slow { peers: asked })
    }

    /// The needed pieces that no connected peer has.
    fn nobody_has(&self) -> Option<Waiting> {
        let nobody = |piece: &PieceIndex| !self.peers.values().any(|peer| peer.pieces.has(*piece));
        let mut missing = self.progress.needed().iter().filter(nobody);
        let piece = missing.next()?;
        Some(Waiting::NobodyHas { piece, missing: 1 + u32::try_from(missing.count()).unwrap_or(u32::MAX) })
    }
}

fn peer_status(peer: &Peer, now: Instant) -> PeerStatus {
    let total = peer.pieces.total().max(1);
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    let progress = peer.pieces.count() as f32 / total as f32;
    PeerStatus {
        connection: peer.who.connection,
        addr: peer.who.addr,
        source: peer.who.source,
        web_seed: peer.who.web_seed,
        incoming: peer.who.incoming,
        cover: peer.who.cover,
        client: match (&peer.extensions.client, peer.who.web_seed) {
            (_, Some(_)) => "web seed".to_owned(),
            (Some(client), None) => client.clone(),
            (None, None) => peer.who.peer_id.client(),
        },
        progress,
        down_rate: peer.down.rate.per_second(now),
        up_rate: peer.up.rate.per_second(now),
        down_bytes: peer.down.rate.total(),
        up_bytes: peer.up.rate.total(),
        choking: peer.up.choking,
        choked: peer.down.choked,
        interested: peer.down.interested,
        interesting: peer.up.interested,
    }
}
