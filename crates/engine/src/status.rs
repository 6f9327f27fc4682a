//! How things are: snapshots for people.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use riverrun_metainfo::info::File;
use riverrun_metainfo::{Bitfield, FileIndex, InfoHashes, LayoutFile, PieceIndex};
use riverrun_proto::swarm::{self, Priority, WebSeedState};

use crate::drive::choice::Choice;
use crate::drive::{Brain, Content, Core};
use crate::{Limits, SeedLimits, SharingEnd, TorrentError, TorrentId};

/// What a torrent does now.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Phase {
    /// Its metadata is being fetched from peers (BEP 9).
    FetchingMetadata {
        /// Blocks of 16 KiB that are here.
        have_blocks: u32,
        /// Blocks there are, as peers say; 0 while nobody has said so.
        blocks: u32,
        /// Peers that say they have it.
        peers: usize,
    },
    /// Its files are being opened.
    #[default]
    Opening,
    /// What is on disk is being hashed.
    Checking {
        /// Bytes looked at.
        done_bytes: u64,
        /// Bytes to look at.
        total_bytes: u64,
    },
    /// Something wanted is not here yet.
    Downloading,
    /// Everything wanted is here and is being made to last.
    Finishing,
    /// Everything wanted is here.
    Seeding,
    /// The owner said so.
    Paused,
    /// It goes on by itself only if `retry_in` says when.
    Failed {
        /// What went wrong.
        error: TorrentError,
        /// How long until the next try.
        retry_in: Option<Duration>,
        /// What the rest of the content needs on disk, in bytes.
        needed_bytes: u64,
    },
    /// It was stopped, or its session was.
    Stopped,
}

impl Phase {
    /// One word for it.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::FetchingMetadata { .. } => "fetching metadata",
            Self::Opening => "opening",
            Self::Checking { .. } => "checking",
            Self::Downloading => "downloading",
            Self::Finishing => "finishing",
            Self::Seeding => "seeding",
            Self::Paused => "paused",
            Self::Failed { .. } => "failed",
            Self::Stopped => "stopped",
        }
    }
}

/// Why nothing has come for 5 s.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Waiting {
    /// As the swarm sees it.
    Swarm(swarm::Waiting),
    /// No peers, and this tracker does not help.
    Tracker {
        /// Its URL, without user name and password.
        url: String,
        /// What it, or the network, said. Text of a stranger: escape before display.
        error: String,
        /// How long until the next try.
        next_try: Option<Duration>,
    },
    /// The way itself is not there: the interface is gone, or the proxy does not answer.
    NoWay {
        /// What is wrong with it, a sentence. May hold text of a stranger: escape before display.
        why: String,
    },
    /// No peers, and the trackers' answers are awaited.
    Announcing,
    /// No peers, and there is no tracker to ask.
    NoTrackers,
}

/// What the DHT does for one torrent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum DhtUse {
    /// Nothing: the session does not take part.
    #[default]
    Off,
    /// Nothing: the session meets local networks alone, and nodes are strangers.
    LocalOnly,
    /// Nothing: everything goes through a proxy, and packets have no way through it.
    Proxied,
    /// Nothing: nodes would be told what is downloaded.
    Anonymous,
    /// Nothing: the torrent is private (BEP 27).
    Private,
    /// It is asked for peers.
    On {
        /// Nodes that the session knows.
        nodes: usize,
    },
}

/// What a tracker does for one torrent.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum TrackerState {
    /// It was not asked yet.
    Idle,
    /// It is being asked.
    Asking,
    /// It answered.
    Working,
    /// It did not help.
    Failed {
        /// What it, or the network, said. Text of a stranger: escape before display.
        error: String,
        /// It said so itself (`failure reason`), so the network is all right.
        refused: bool,
        /// Failures in a row.
        tries: u32,
    },
}

/// A snapshot of one tracker of one torrent.
#[derive(Clone, PartialEq, Debug)]
pub struct TrackerStatus {
    /// Its URL, without user name and password.
    pub url: String,
    /// Its tier, from 0 (BEP 12).
    pub tier: usize,
    /// What it does.
    pub state: TrackerState,
    /// Peers in its last answer.
    pub peers: Option<usize>,
    /// Peers with everything, as it says.
    pub seeders: Option<u32>,
    /// Peers without everything, as it says.
    pub leechers: Option<u32>,
    /// A note in its last answer (`warning message`). Text of a stranger: escape before display.
    pub warning: Option<String>,
    /// How long until it is asked next.
    pub next: Option<Duration>,
}

/// A snapshot of one web seed of one torrent (BEP 19).
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub struct WebSeedStatus {
    /// Its URL, without user name and password.
    pub url: String,
    /// What is done with it.
    pub state: WebSeedState,
    /// What was wrong with it last, also if it is in use again or with other files; behind "it". May hold text of a stranger: escape
    /// before display.
    pub error: Option<String>,
    /// It is of no use for long: it lied, will not get better soon, or lacks all that is still wanted.
    pub given_up: bool,
    /// Payload from it since the torrent was added, in bytes.
    pub down_bytes: u64,
    /// Payload per second from it now.
    pub down_rate: u64,
}

/// A snapshot of one torrent.
#[derive(Clone, Debug)]
pub struct TorrentStatus {
    /// Which.
    pub id: TorrentId,
    /// Its hashes.
    pub info_hashes: InfoHashes,
    /// Its name, fit for a file system. While its metadata is not here: what the link calls it, if that, fit for nothing but
    /// display. Text of a stranger: escape before display.
    pub name: String,
    /// Where its content stands: the file, or the folder; empty while that is not decided.
    pub path: PathBuf,
    /// What it does.
    pub phase: Phase,
    /// The bytes of its files that are wanted, without padding.
    pub total_bytes: u64,
    /// The bytes of them that are verified and stored.
    pub have_bytes: u64,
    /// The bytes of them that were there already when it was added; `None` until that is known.
    pub found_bytes: Option<u64>,
    /// Bytes received of pieces that are not verified yet.
    pub partial_bytes: u64,
    /// Pieces.
    pub pieces: u32,
    /// Pieces verified and stored.
    pub have_pieces: u32,
    /// Payload received since it was added, in bytes.
    pub down_bytes: u64,
    /// Payload sent since it was added, in bytes.
    pub up_bytes: u64,
    /// Payload received that was of no use, in bytes.
    pub wasted_bytes: u64,
    /// Payload received of pieces that failed their hash, in bytes.
    pub corrupt_bytes: u64,
    /// Superseeding goes on (BEP 16).
    pub super_seeding: bool,
    /// Payload received per second now.
    pub down_rate: u64,
    /// Payload sent per second now.
    pub up_rate: u64,
    /// Bytes sent for each byte received in all runs; for each byte that is here, if next to nothing was received.
    pub ratio: f64,
    /// How long it was shared while complete, in all runs.
    pub shared_time: Duration,
    /// What sharing goes on until.
    pub seed_limits: SeedLimits,
    /// Why sharing ended, if it has.
    pub sharing_ended: Option<SharingEnd>,
    /// Its own rate limits.
    pub limits: Limits,
    /// The rate limits of each of its connections.
    pub peer_limits: Limits,
    /// The group whose rate limits it shares.
    pub group: Option<String>,
    /// Connections.
    pub connections: usize,
    /// Connections to peers that have everything.
    pub seeds: usize,
    /// Peers known.
    pub candidates: usize,
    /// Peers known, by who named them.
    pub sources: swarm::Sources,
    /// Peers on the local network are looked for.
    pub lsd: bool,
    /// What the DHT does for it.
    pub dht: DhtUse,
    /// Why nothing has come for 5 s; `None` while bytes come or nothing is wanted.
    pub waiting: Option<Waiting>,
    /// Its trackers.
    pub trackers: Vec<TrackerStatus>,
    /// Its web seeds, by the numbers that peers are named by.
    pub web_seeds: Vec<WebSeedStatus>,
    /// Time left at the present rate.
    pub eta: Option<Duration>,
}

impl TorrentStatus {
    /// The share of the wanted content that is verified and stored, 0 to 1.
    #[must_use]
    pub fn progress(&self) -> f64 {
        if self.total_bytes == 0 {
            return 1.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "a share for display")]
        let share = self.have_bytes as f64 / self.total_bytes as f64;
        share
    }
}

/// Padding in wanted pieces that are had, in bytes.
pub(crate) fn padding_had(content: &Content, choice: &Choice, have: &Bitfield) -> u64 {
    content.padding.within(|piece| have.has(piece) && choice.wanted().is_none_or(|wanted| wanted.has(piece)))
}

/// Wanted content that is had, in bytes; `padded` of what the swarm counts is padding.
pub(crate) fn content_had(swarm: &swarm::SwarmStatus, padded: u64) -> u64 {
    swarm.wanted_bytes.saturating_sub(swarm.left_bytes).saturating_sub(padded)
}

/// A snapshot of one file of a torrent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileStatus {
    /// Its place in the torrent, padding counted.
    pub file: usize,
    /// Its path beneath the torrent's folder, fit for a file system. Text of a stranger: escape before display.
    pub path: String,
    /// Its length in bytes.
    pub length: u64,
    /// How many of its bytes are verified and stored.
    pub have_bytes: u64,
    /// How much it is wanted.
    pub priority: Priority,
}

impl FileStatus {
    /// Whether it is wanted at all.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.priority != Priority::Skip
    }

    /// Whether all of it is verified and stored.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.have_bytes == self.length
    }
}

/// Every file but padding; nothing while they are not known.
pub(crate) fn files(core: &Core) -> Vec<FileStatus> {
    let Some(content) = core.decided() else { return Vec::new() };
    let (layout, named) = (content.info.layout(), content.info.files());
    let (choice, have) = core.look(|brain| {
        let have = brain.exchange.as_ref().map(|exchange| exchange.swarm.have().clone());
        (brain.choice.clone(), have.filter(|have| have.pieces() == layout.piece_count()))
    });
    let in_file = |piece: PieceIndex, file: &LayoutFile| {
        layout
            .piece_span(piece)
            .map_or(0, |span| span.end().min(file.offset + file.length).saturating_sub(span.offset.max(file.offset)))
    };
    let of = |((lies, named), number): ((&LayoutFile, &File), u32)| {
        let pieces = layout.pieces_of(FileIndex(number)).map(PieceIndex);
        let had = pieces.filter(|piece| have.as_ref().is_some_and(|have| have.has(*piece)));
        FileStatus {
            file: number as usize,
            path: named.path.as_str().to_owned(),
            length: lies.length,
            have_bytes: had.map(|piece| in_file(piece, lies)).sum(),
            priority: choice.of(FileIndex(number)),
        }
    };
    layout.files().iter().zip(named).zip(0u32..).filter(|((lies, _), _)| !lies.pad).map(of).collect()
}

/// Puts a snapshot together.
pub(crate) fn of(core: &Core) -> TorrentStatus {
    let now = Instant::now();
    let (phase, swarm, trackers, web_seeds, padded, all) = core.look(|brain| {
        let had = brain.exchange.as_ref().zip(core.decided());
        let padded = had.map_or(0, |(exchange, content)| padding_had(content, &brain.choice, exchange.swarm.have()));
        let all = core.decided().map_or(0, |content| wanted_bytes(content, &brain.choice));
        (brain.phase(now), brain.status(now), brain.announcer.status(now), web_seeds(brain, now), padded, all)
    });
    let (shared_time, seed_limits, sharing_ended) =
        core.look(|brain| (brain.sharing.time(now), brain.sharing.limits, brain.sharing.ended));
    let have_bytes = content_had(&swarm, padded);
    let waiting = match phase {
        Phase::Downloading | Phase::FetchingMetadata { .. } => {
            swarm.waiting.map(|waiting| match core.engine.settings.net.trouble() {
                Some(why) => Waiting::NoWay { why },
                None => waits_for(waiting, &trackers),
            })
        }
        _ => None,
    };
    let left = all.saturating_sub(have_bytes + swarm.partial_bytes);
    let eta = left.checked_div(swarm.down_rate).map(Duration::from_secs);
    let info = core.metainfo().map(|metainfo| metainfo.info());
    let name =
        info.map(|info| info.name().as_str().to_owned()).or_else(|| core.link().and_then(|link| link.name.clone()));
    TorrentStatus {
        id: core.id,
        info_hashes: core.info_hashes(),
        name: name.unwrap_or_else(|| core.info_hashes().wire().to_string()),
        path: core.decided().map(|content| content.options.path.clone()).unwrap_or_default(),
        eta: eta.filter(|_| matches!(phase, Phase::Downloading)),
        phase,
        total_bytes: all,
        have_bytes,
        found_bytes: core.found_bytes.get().copied(),
        partial_bytes: swarm.partial_bytes,
        pieces: info.map_or(0, |info| info.layout().piece_count()),
        have_pieces: swarm.have_pieces,
        down_bytes: swarm.down_bytes,
        up_bytes: swarm.up_bytes,
        wasted_bytes: swarm.wasted_bytes,
        corrupt_bytes: swarm.corrupt_bytes,
        super_seeding: swarm.superseeding,
        down_rate: swarm.down_rate,
        up_rate: swarm.up_rate,
        ratio: core.totals.volume(&swarm).ratio(),
        shared_time,
        seed_limits,
        sharing_ended,
        limits: core.rates.limits(),
        peer_limits: core.rates.each(),
        group: core.rates.group(),
        connections: swarm.connections,
        seeds: swarm.seeds,
        candidates: swarm.candidates,
        sources: swarm.sources,
        lsd: core.engine.settings.lsd && !core.is_private(),
        dht: dht_use(core),
        waiting,
        trackers,
        web_seeds,
    }
}

/// How the web seeds are; none before the exchange has begun.
fn web_seeds(brain: &Brain, now: Instant) -> Vec<WebSeedStatus> {
    let Some(exchange) = &brain.exchange else { return Vec::new() };
    let known = exchange.swarm.web_seeds(now).into_iter().zip(&exchange.web_seeds);
    let status = known.map(|(seed, url)| WebSeedStatus {
        url: url.clone(),
        state: seed.state,
        error: seed.error.map(|error| error.to_string()),
        given_up: seed.given_up,
        down_bytes: seed.down_bytes,
        down_rate: seed.down_rate,
    });
    status.collect()
}

fn dht_use(core: &Core) -> DhtUse {
    match &core.engine.settings {
        settings if !settings.dht.on => DhtUse::Off,
        _ if core.is_private() => DhtUse::Private,
        settings if settings.net.addresses.is_local_only() => DhtUse::LocalOnly,
        settings if !settings.net.is_direct() => DhtUse::Proxied,
        settings if settings.net.anonymous => DhtUse::Anonymous,
        _ => DhtUse::On { nodes: core.engine.dht.nodes().unwrap_or_default() },
    }
}

/// The bytes of the files that are wanted, without padding.
fn wanted_bytes(content: &Content, choice: &Choice) -> u64 {
    let layout = content.info.layout();
    match choice.wanted() {
        None => layout.content_length(),
        Some(wanted) => {
            let bytes: u64 = wanted.iter().map(|piece| u64::from(layout.length_of(piece))).sum();
            bytes - content.padding.within(|piece| wanted.has(piece))
        }
    }
}

/// Why nothing comes: as the swarm sees it, or what its trackers do about it.
fn waits_for(waiting: swarm::Waiting, trackers: &[TrackerStatus]) -> Waiting {
    if waiting != swarm::Waiting::NoPeers {
        return Waiting::Swarm(waiting);
    }
    let failed = |tracker: &&TrackerStatus| matches!(tracker.state, TrackerState::Failed { .. });
    let soonest = trackers.iter().filter(failed).min_by_key(|tracker| tracker.next.unwrap_or(Duration::MAX));
    if trackers.is_empty() {
        Waiting::NoTrackers
    } else if trackers.iter().any(|tracker| tracker.state == TrackerState::Working) {
        Waiting::Swarm(waiting)
    } else if let Some(TrackerStatus { url, state: TrackerState::Failed { error, .. }, next, .. }) = soonest {
        Waiting::Tracker { url: url.clone(), error: error.clone(), next_try: *next }
    } else {
        Waiting::Announcing
    }
}
