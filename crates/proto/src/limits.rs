//! Every constant bound on what a stranger can make us do, with its reason.

use std::time::Duration;

/// The longest message that is not a block, in bytes (1 MiB, as libtorrent).
pub const MAX_MESSAGE_LENGTH: u32 = 1 << 20;
/// The longest range that a request may name, in bytes. BEP 3 asks for 16 KiB; some clients ask for more.
pub const MAX_REQUEST_LENGTH: u32 = 128 * 1024;
/// The longest extended handshake (BEP 10), in bytes.
pub const MAX_EXTENDED_HANDSHAKE_LENGTH: u32 = 64 * 1024;
/// How long the whole handshake may take.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How many requests we let a peer have waiting here, as advertised (`reqq`, BEP 10).
pub const ADVERTISED_REQQ: u32 = 500;
/// The requests that a peer may have waiting here before it is dropped.
pub const MAX_QUEUED_REQUESTS: usize = 2000;
/// The requests that we assume a peer accepts when it does not say (BEP 10).
pub const DEFAULT_REQQ: u32 = 250;
/// Candidates kept for one torrent.
pub const MAX_CANDIDATES: usize = 3000;
/// Peers taken from one tracker reply.
pub const MAX_PEERS_PER_REPLY: usize = 5000;
/// The longest tracker reply over HTTP after decompression, in bytes; larger ones are attacks, not peers.
pub const MAX_TRACKER_REPLY: usize = 1 << 20;
/// The longest header of an HTTP tracker's response, in bytes.
pub const MAX_TRACKER_HEADER: usize = 64 * 1024;
/// How long one announce over HTTP may take, name resolution and redirects included.
pub const TRACKER_TIMEOUT: Duration = Duration::from_secs(30);
/// Redirects followed for one announce.
pub const MAX_REDIRECTS: u32 = 5;
/// What is kept of a tracker's words, in bytes; they are shown to people and kept for the session.
pub const MAX_TRACKER_TEXT: usize = 1024;
/// The longest id that a tracker may ask to be told again, in bytes.
pub const MAX_TRACKER_ID: usize = 1024;
/// The shortest interval between regular announces, whatever the tracker says.
pub const MIN_ANNOUNCE_INTERVAL: Duration = Duration::from_secs(60);
/// The longest interval between regular announces, whatever the tracker says.
pub const MAX_ANNOUNCE_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);
/// How far a tracker's `min interval` is honoured: a longer one would keep us from peers for a day.
pub const MAX_MIN_INTERVAL: Duration = Duration::from_secs(60 * 60);
/// The interval that is assumed when a tracker names none.
pub const DEFAULT_ANNOUNCE_INTERVAL: Duration = Duration::from_secs(30 * 60);
/// The first wait after a tracker failed; it doubles with each failure.
pub const TRACKER_RETRY: Duration = Duration::from_secs(15);
/// The longest wait after a tracker failed.
pub const MAX_TRACKER_RETRY: Duration = Duration::from_secs(30 * 60);
/// Announces of one torrent under way at once (a torrent may name 10,000 trackers).
pub const MAX_ANNOUNCES: usize = 50;
/// The peers that we ask a tracker for.
pub const NUM_WANT: u32 = 200;
/// The most info-hashes in one scrape over UDP, so that the reply fits a datagram (BEP 15).
pub const MAX_SCRAPE_HASHES: usize = 74;
/// How long a UDP tracker's connection id may be used (BEP 15).
pub const UDP_CONNECTION_AGE: Duration = Duration::from_secs(60);
/// The first wait for a UDP tracker's answer; it doubles with each retry (BEP 15).
pub const UDP_TIMEOUT: Duration = Duration::from_secs(15);
/// The most retries to a UDP tracker (BEP 15).
pub const UDP_RETRIES: u8 = 8;
/// The longest info dictionary that is taken from peers, in bytes; allocated only as it is received.
pub const MAX_METADATA_LENGTH: u32 = 32 << 20;
/// Contacts kept of one message of peer exchange: BEP 11 allows 50, more only in the first.
pub const MAX_PEX_CONTACTS: usize = 200;
/// Values in one tracker reply; each costs 16 bytes while it is read, and a peer in the old form has seven.
pub const MAX_TRACKER_TOKENS: usize = 100_000;
/// Peers by host name taken from one tracker reply: each costs somebody a name resolution.
pub const MAX_NAMED_PEERS: usize = 50;
