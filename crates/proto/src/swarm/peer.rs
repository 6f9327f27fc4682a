//! One connected peer: who it is, what it has, and both directions of exchange with it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use riverrun_metainfo::{BLOCK_LENGTH, PieceIndex, WireHash};
use smallvec::SmallVec;

use crate::limits;
use crate::mse::Cover;
use crate::swarm::blame::Sender;
use crate::swarm::braid::Braid;
use crate::swarm::conduct::Conduct;
use crate::swarm::extensions::Extensions;
use crate::swarm::hashes::PeerHashes;
use crate::swarm::metadata::Allowance;
use crate::swarm::pex::Exchange;
use crate::swarm::pieces::PeerPieces;
use crate::swarm::pipeline::{Pipeline, Window};
use crate::swarm::rate::Rate;
use crate::swarm::superseed::Shown;
use crate::swarm::uploads::Uploads;
use crate::swarm::{Connected, ConnectionId, Source, WebSeedId};
use crate::wire::{Handshake, PeerId, Reserved};

/// Requests that may be taken back from a busy peer before it is known whether that helps.
const ROBBED_AT_FIRST: usize = 8;

/// All that the swarm knows of one connection.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) who: Who,
    pub(super) pieces: PeerPieces,
    pub(super) extensions: Extensions,
    pub(super) down: Download,
    pub(super) up: Upload,
    pub(super) conduct: Conduct,
    pub(super) exchange: Exchange,
    pub(super) hashes: PeerHashes,
    /// What it may have of the metadata.
    pub(super) metadata: Allowance,
    /// When the last message came.
    pub(super) heard: Instant,
    /// When the last message went.
    pub(super) spoke: Instant,
}

/// What stays as it is for the life of the connection.
#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) connection: ConnectionId,
    pub(super) addr: SocketAddr,
    /// Where it listens, as far as known.
    pub(super) listens: Option<SocketAddr>,
    pub(super) incoming: bool,
    pub(super) cover: Cover,
    pub(super) source: Source,
    /// It is this web seed; then address and id are nobody's.
    pub(super) web_seed: Option<WebSeedId>,
    pub(super) peer_id: PeerId,
    /// Both sides speak the fast extension (BEP 6).
    pub(super) fast: bool,
    pub(super) since: Instant,
    /// Since when the peer has a place, by this connection or one that it replaced.
    pub(super) came: Instant,
}

/// What comes from the peer.
#[derive(Debug)]
pub(super) struct Download {
    /// It chokes us.
    pub(super) choked: bool,
    /// We told it that we want something.
    pub(super) interested: bool,
    /// Pieces it has that we need.
    pub(super) useful: u32,
    pub(super) pipeline: Pipeline,
    pub(super) window: Window,
    pub(super) rate: Rate,
    /// When the last useful block came, or requests began to go out.
    pub(super) progress: Instant,
    /// The shortest time from a request to its block so far.
    pub(super) delay: Duration,
    pub(super) cancels: Cancels,
    /// It let requests wait for too long: one block at a time until it delivers.
    pub(super) snubbed: bool,
    /// It was silent from the first: it has one request to answer, whose block is asked of others meanwhile.
    pub(super) doubted: bool,
    /// There was nothing to ask it for, and nothing has changed since.
    pub(super) starved: bool,
    /// The pieces that its next requests go on with.
    pub(super) braid: Braid,
    /// Web seeds only: the piece behind the one that was begun last, with which the run goes on.
    pub(super) run: Option<PieceIndex>,
    /// Pieces that may be asked for while choked (BEP 6).
    pub(super) allowed_fast: SmallVec<[PieceIndex; limits::MAX_ALLOWED_FAST]>,
    /// Pieces that it would like to send (BEP 6).
    pub(super) suggested: SmallVec<[PieceIndex; 4]>,
    /// Bytes had from it at the last round of the choker.
    pub(super) at_last_round: u64,
    /// The same at the last turnover.
    pub(super) at_turnover: u64,
}

/// What came of requests that were taken back.
#[derive(Debug, Default)]
pub(super) struct Cancels {
    /// Their blocks came all the same.
    pub(super) futile: usize,
    /// They were rejected.
    pub(super) heeded: usize,
}

/// What goes to the peer.
#[derive(Debug)]
pub(super) struct Upload {
    /// We choke it.
    pub(super) choking: bool,
    /// It wants something of ours.
    pub(super) interested: bool,
    pub(super) queue: Uploads,
    pub(super) rate: Rate,
    /// Since when it is choked or unchoked.
    pub(super) turned: Instant,
    /// When it last took bytes or had nothing to take.
    pub(super) took: Instant,
    /// Pieces that it may ask for while choked (BEP 6).
    pub(super) allowed_fast: SmallVec<[PieceIndex; limits::MAX_ALLOWED_FAST]>,
    /// It is shown one piece after the other (BEP 16); `None`: all that we have.
    pub(super) shown: Option<Box<Shown>>,
    /// It never wanted anything before.
    pub(super) stranger: bool,
    /// It held a slot and took nothing; cleared when it takes something (P29).
    pub(super) thief: bool,
    /// Bytes it had taken when it was unchoked last.
    pub(super) at_turn: u64,
    /// Bytes it had taken at the last round of the choker.
    pub(super) at_last_round: u64,
    /// The same at the last turnover.
    pub(super) at_turnover: u64,
}

impl Who {
    /// Who is held to account for its blocks.
    pub(super) fn sender(&self) -> Sender {
        self.web_seed.map_or(Sender::Peer(self.addr.ip()), Sender::WebSeed)
    }
}

impl Peer {
    /// A peer that has just shaken hands.
    pub(super) fn new(now: Instant, connected: &Connected, source: Source, fast: bool, v2: bool, pieces: u32) -> Self {
        let who = Who {
            connection: connected.connection,
            addr: connected.addr,
            listens: (!connected.incoming).then_some(connected.addr),
            incoming: connected.incoming,
            cover: connected.cover,
            source,
            web_seed: None,
            peer_id: connected.handshake.peer_id,
            fast,
            since: now,
            came: now,
        };
        Self {
            who,
            pieces: PeerPieces::none(pieces),
            extensions: Extensions::new(connected.handshake.reserved.extended()),
            down: Download {
                choked: true,
                interested: false,
                useful: 0,
                pipeline: Pipeline::default(),
                window: Window::new(now),
                rate: Rate::new(now),
                progress: now,
                delay: Duration::ZERO,
                cancels: Cancels::default(),
                snubbed: false,
                doubted: false,
                starved: false,
                braid: Braid::default(),
                run: None,
                allowed_fast: SmallVec::new(),
                suggested: SmallVec::new(),
                at_last_round: 0,
                at_turnover: 0,
            },
            up: Upload {
                choking: true,
                interested: false,
                queue: Uploads::default(),
                rate: Rate::new(now),
                turned: now,
                took: now,
                allowed_fast: SmallVec::new(),
                shown: None,
                stranger: true,
                thief: false,
                at_turn: 0,
                at_last_round: 0,
                at_turnover: 0,
            },
            conduct: Conduct::new(now),
            exchange: Exchange::default(),
            hashes: PeerHashes::new(now, v2),
            metadata: Allowance::of_peer(now),
            heard: now,
            spoke: now,
        }
    }

    /// A web seed that has these pieces: it never chokes and takes nothing, and each request is answered once (BEP 6).
    pub(super) fn web_seed(now: Instant, connection: ConnectionId, seed: WebSeedId, pieces: PeerPieces) -> Self {
        let reserved = Reserved([0; 8]);
        let handshake = Handshake { reserved, info_hash: WireHash([0; 20]), peer_id: PeerId([0; 20]) };
        let addr = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let connected = Connected { connection, addr, incoming: false, handshake, cover: Cover::None };
        let mut peer = Self::new(now, &connected, Source::WebSeed, true, false, pieces.total());
        (peer.who.web_seed, peer.who.listens) = (Some(seed), None);
        (peer.pieces, peer.down.choked) = (pieces, false);
        peer.down.window = Window::of_runs(now);
        peer.extensions.reqq = limits::MAX_REQQ;
        peer
    }

    /// Whether this peer may be asked for blocks of this piece now.
    pub(super) fn may_ask(&self, piece: PieceIndex) -> bool {
        self.pieces.has(piece) && (!self.down.choked || self.down.allowed_fast.contains(&piece))
    }

    /// Whether it may ask for blocks of this piece although it is choked: while it is a beginner (BEP 6).
    pub(super) fn may_ask_choked(&self, piece: PieceIndex) -> bool {
        self.up.allowed_fast.contains(&piece) && (self.pieces.count() as usize) <= limits::MAX_ALLOWED_FAST
    }

    /// Whether it may know that we have this piece, and ask for it.
    pub(super) fn may_see(&self, piece: PieceIndex) -> bool {
        self.up.shown.as_ref().is_none_or(|shown| shown.has(piece))
    }

    /// Requests go out to a peer that had none: its silence is counted from now.
    pub(super) fn begin_asking(&mut self, now: Instant) {
        self.down.window.resume(now, self.down.progress);
        self.down.progress = now;
        self.down.pipeline.begin();
    }

    /// It wants nothing of ours and has nothing that we need.
    pub(super) fn is_useless(&self) -> bool {
        self.down.useful == 0 && !self.up.interested
    }

    /// How many requests may be taken back from a peer that is busy with them. Where what we take back comes all the same, the
    /// blocks are on the wire already and asking others for them only wastes bytes.
    pub(super) fn may_be_robbed_of(&self) -> usize {
        let unknown = self.down.pipeline.len() - self.down.pipeline.live();
        (ROBBED_AT_FIRST + 2 * self.down.cancels.heeded).saturating_sub(self.down.cancels.futile + unknown)
    }

    /// A block came so long after its request.
    pub(super) fn measure_delay(&mut self, delay: Duration) {
        let first = self.down.delay.is_zero();
        self.down.delay = if first { delay } else { self.down.delay.min(delay) };
    }

    /// How long the peer takes for each block, if it goes on as it did; `None` if it has brought nothing yet.
    pub(super) fn each_block(&self, now: Instant) -> Option<Duration> {
        let rate = self.down.window.rate().max(self.down.rate.per_second(now));
        (rate > 0).then(|| Duration::from_nanos(u64::from(BLOCK_LENGTH) * 1_000_000_000 / rate))
    }
}
