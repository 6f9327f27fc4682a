//! What can happen to a swarm.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use riverrun_metainfo::metainfo::PieceHashes;
use riverrun_metainfo::{Bitfield, Block, InfoHashes, Layout, PieceIndex};

use crate::mse::Cover;
use crate::swarm::{CloseReason, Deadline, Priorities, WebSeedId};
use crate::web_seed::WebSeedError;
use crate::wire::{Handshake, Message};

/// Names one connection of a session for as long as it lives; never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectionId(pub u64);

/// Where a candidate came from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Source {
    /// The user named it.
    User,
    /// A tracker's reply.
    Tracker,
    /// It connected to us.
    Incoming,
    /// The DHT (BEP 5).
    Dht,
    /// Peer exchange (BEP 11).
    Pex,
    /// Local service discovery (BEP 14).
    Lsd,
    /// Resume data of an earlier run.
    Resume,
    /// It is a web seed (BEP 19): never a candidate.
    WebSeed,
}

impl Source {
    /// Whether it is one that a private torrent must not use (BEP 27).
    #[must_use]
    pub fn is_elsewhere(self) -> bool {
        matches!(self, Self::Dht | Self::Pex | Self::Lsd | Self::Resume)
    }
}

/// Why dialling a candidate brought no connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DialError {
    /// Nobody listens there.
    Refused,
    /// No answer in time.
    Timeout,
    /// No route, or the network is down.
    Unreachable,
    /// It answered, and closed or broke the handshake.
    Handshake,
    /// It speaks of another torrent.
    WrongTorrent,
    /// It answered, and did not take the MSE handshake without which there is no connection.
    Unencrypted,
}

/// A connection whose handshakes have passed both ways.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Connected {
    /// Its name from now on.
    pub connection: ConnectionId,
    /// The peer's address: for an incoming connection its port is not the one it listens on.
    pub addr: SocketAddr,
    /// Whether the peer dialled us.
    pub incoming: bool,
    /// What the peer said.
    pub handshake: Handshake,
    /// How much of it looks like noise.
    pub cover: Cover,
}

/// What a disk job came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DiskDone {
    /// The answer to [`Action::Verify`](crate::swarm::Action::Verify): the piece's hash is right and its bytes are written.
    Verified {
        /// The piece.
        piece: PieceIndex,
        /// A digest of each block in order, if they were asked for.
        digests: Option<Vec<u64>>,
    },
    /// The answer to [`Action::Verify`](crate::swarm::Action::Verify): the hash is wrong.
    Corrupt {
        /// The piece.
        piece: PieceIndex,
        /// A digest of each block in order.
        digests: Vec<u64>,
    },
    /// The piece's bytes could not be stored or read back: all that was received of it is lost.
    Lost {
        /// The piece.
        piece: PieceIndex,
    },
}

/// Whether metadata is right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Judgement {
    /// Its hash is the torrent's.
    Right {
        /// The info dictionary, to be given to others.
        metadata: Bytes,
        /// Peers come from trackers and the user alone (BEP 27).
        private: bool,
    },
    /// It is something else.
    Wrong,
}

/// What a swarm is told once the metadata is here.
#[derive(Clone, Debug)]
pub struct Content {
    /// All hashes of the torrent.
    pub info_hashes: InfoHashes,
    /// Its pieces and files.
    pub layout: Arc<Layout>,
    /// As in [`SwarmConfig`](crate::swarm::SwarmConfig).
    pub hashes: Option<Arc<PieceHashes>>,
    /// The pieces that are verified and stored already.
    pub have: Bitfield,
    /// How much each piece is wanted; `None`: all alike.
    pub priorities: Option<Priorities>,
}

/// How much room there is for what peers send.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Pressure {
    /// Request freely.
    None,
    /// Buffers or the disk run short: request half.
    Some,
    /// Nothing more can be taken: request nothing new.
    Full,
}

/// What the owner of the torrent wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Stop exchanging: close every connection, dial nobody.
    Pause,
    /// Exchange again.
    Resume,
    /// The most connections at once.
    SetMaxConnections(usize),
    /// How much each piece is wanted; all alike at birth. Requests for pieces that are not wanted any more are taken back.
    SetPriorities(Priorities),
    /// Ask for wanted pieces in order.
    SetSequential(bool),
    /// One reader waits for these pieces from now on, and for no others; none ends it. They are asked for before all else, of peers
    /// that bring them in time, and of a second peer where the first is late. At most [`MAX_DEADLINES`](crate::limits::MAX_DEADLINES)
    /// of [`MAX_READERS`](crate::limits::MAX_READERS) readers count. Pieces that are not wanted stay so.
    SetDeadlines {
        /// Tells it from others.
        reader: u64,
        /// In any order.
        deadlines: Vec<Deadline>,
    },
    /// The most bytes a second that are read from all peers together, so that no more is asked for than comes soon; `None`: no limit.
    /// What was said of a share before holds no more.
    SetDownLimit(Option<u64>),
    /// The bytes a second that are read at least from each peer that has something for us, for as long as limits hold that connections
    /// share, those of other torrents among them. To be said anew every second or so.
    SetDownShare(u64),
    /// Superseed (BEP 16) as long as we have everything and the others together lack something: each peer that comes from now on is
    /// shown one piece after the other. It ends by itself, and has to be wished anew.
    SetSuperseeding(bool),
    /// The UDP port of our node of the DHT, told to peers that come from now on and have one too (BEP 5); `None`: we have none. It is
    /// neither told nor asked for in private torrents (BEP 27).
    SetDhtPort(Option<u16>),
    /// Our address as the outside sees it, for canonical priorities (BEP 40); one for each of IPv4 and IPv6. It is told to nobody.
    SetOutside(IpAddr),
    /// The torrent has so many more web seeds (BEP 19). They are numbered in the order in which they come, from 0; those over
    /// [`MAX_WEB_SEEDS`](crate::limits::MAX_WEB_SEEDS) are never used.
    AddWebSeeds(usize),
    /// These pieces are found damaged or missing on disk: they are not had any more.
    Forget(Vec<PieceIndex>),
}

/// One input of the swarm.
#[derive(Debug)]
pub enum Input<'a> {
    /// Addresses of peers, from anywhere.
    Candidates {
        /// Who named them.
        source: Source,
        /// The addresses.
        addrs: &'a [SocketAddr],
    },
    /// A connection is ready for messages.
    Connected(Connected),
    /// A dialled candidate brought no connection.
    DialFailed {
        /// As in [`Action::Dial`](crate::swarm::Action::Dial).
        addr: SocketAddr,
        /// Why.
        error: DialError,
    },
    /// The answer to [`Action::OpenWebSeed`](crate::swarm::Action::OpenWebSeed): requests to this connection will be asked of the web
    /// seed, and each is answered once, by a piece or a reject. Nothing needs to have been asked of the server yet.
    WebSeedOpened {
        /// Which.
        seed: WebSeedId,
        /// Its name from now on.
        connection: ConnectionId,
    },
    /// A web seed has not a file with these pieces: they are not asked of it any more.
    WebSeedLacks {
        /// Its connection.
        connection: ConnectionId,
        /// The pieces, in order.
        pieces: &'a [PieceIndex],
        /// What it says.
        error: WebSeedError,
    },
    /// The messages of one read of a socket, in order.
    Received {
        /// From whom.
        connection: ConnectionId,
        /// What.
        messages: &'a [Message],
    },
    /// Blocks of [`Action::Serve`](crate::swarm::Action::Serve) have left for the socket.
    Served {
        /// To whom.
        connection: ConnectionId,
        /// Which.
        blocks: &'a [Block],
    },
    /// A block of [`Action::Serve`](crate::swarm::Action::Serve) could not be read: it will not be sent.
    ServeFailed {
        /// To whom.
        connection: ConnectionId,
        /// Which.
        block: Block,
    },
    /// A connection is gone, by the peer, the network or [`Action::Close`](crate::swarm::Action::Close).
    Closed {
        /// Which.
        connection: ConnectionId,
        /// Why.
        reason: CloseReason,
    },
    /// A disk job is done.
    Disk(DiskDone),
    /// The answer to [`Action::JudgeMetadata`](crate::swarm::Action::JudgeMetadata).
    Metadata(Judgement),
    /// The metadata is here and the files are open: the exchange begins. Without effect on a swarm that had its layout from the
    /// start.
    Begin(Content),
    /// The room for incoming payload changed.
    Pressure(Pressure),
    /// The owner wants something.
    Command(Command),
    /// The moment of [`next_timeout`](crate::swarm::Swarm::next_timeout) has come.
    Timeout,
}
