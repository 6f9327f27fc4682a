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
