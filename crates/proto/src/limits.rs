//! Every constant bound on what a stranger can make us do, with its reason.

use std::time::Duration;

/// The longest message that is not a block, in bytes (1 MiB, as libtorrent).
pub const MAX_MESSAGE_LENGTH: u32 = 1 << 20;
/// The longest range that a request may name, in bytes. BEP 3 asks for 16 KiB; some clients ask for more.
pub const MAX_REQUEST_LENGTH: u32 = 128 * 1024;
/// The longest extended handshake (BEP 10), in bytes.
pub const MAX_EXTENDED_HANDSHAKE_LENGTH: u32 = 64 * 1024;
/// The longest info dictionary that is taken from peers, in bytes (30 MiB, as libtorrent); allocated only as it is received.
pub const MAX_METADATA_LENGTH: u32 = 30 << 20;
/// Metadata held of all sizes that peers claim, in bytes; over it the largest copy is dropped.
pub const MAX_METADATA_HELD: usize = 40 << 20;
/// Pieces of the metadata that are asked of one peer at once.
pub const MAX_METADATA_REQUESTS: usize = 4;
/// How long a piece of the metadata may take before the peer that was asked rests and others are asked.
pub const METADATA_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a piece of the metadata may take before a peer with nothing else to do is asked for it as well.
pub const METADATA_PATIENCE: Duration = Duration::from_secs(3);
/// The first rest of a peer that rejected or did not answer a request for metadata; it doubles each time.
pub const METADATA_REST: Duration = Duration::from_secs(5);
/// The longest such rest.
pub const MAX_METADATA_REST: Duration = Duration::from_secs(60);
/// What each piece adds to [`METADATA_TIMEOUT`] for a peer that is to send a whole copy alone.
pub const METADATA_ALONE_PER_PIECE: Duration = Duration::from_millis(500);
/// Requests for metadata that were given up and may still be answered, kept of one peer.
pub const MAX_METADATA_LATE: usize = 64;
/// Pieces of metadata given to one peer at once (2 MiB), before they are given by time.
pub const METADATA_BURST: u32 = 128;
/// Pieces of metadata given to one peer in a second (512 KiB).
pub const METADATA_PER_SECOND: u32 = 32;
/// Pieces of metadata given to all peers of a torrent at once (16 MiB).
pub const METADATA_BURST_OF_ALL: u32 = 1024;
/// Pieces of metadata given to all peers of a torrent in a second (8 MiB).
pub const METADATA_PER_SECOND_OF_ALL: u32 = 512;
/// Messages about pieces that are kept of one peer until the metadata tells how many pieces there are.
pub const MAX_EARLY_MESSAGES: usize = 10_000;
/// The same over all peers, in bytes.
pub const MAX_EARLY_BYTES: usize = 8 << 20;
/// Haves sent to a peer at once; a peer that would have to be told more is connected to anew.
pub const MAX_HAVES_AT_ONCE: u32 = 5_000;
/// Contacts kept of one message of peer exchange: BEP 11 allows 50, more only in the first.
pub const MAX_PEX_CONTACTS: usize = 200;
/// Contacts taken of a message of peer exchange after a peer's first (BEP 11).
pub const MAX_PEX_TAKEN: usize = 50;
/// Peer exchange that comes sooner after the last than this is not taken (BEP 11: one a minute; clocks and networks differ).
pub const MIN_PEX_INTERVAL: Duration = Duration::from_secs(30);
/// Messages of peer exchange too early or with more than [`MAX_PEX_CONTACTS`] before the peer is dropped. Over 50 is none: widely
/// used clients send 100.
pub const MAX_PEX_BREACHES: u32 = 2;
/// How often a peer is told of others (BEP 11).
pub const PEX_INTERVAL: Duration = Duration::from_secs(60);
/// Contacts added, and as many dropped, in one message to a peer (BEP 11).
pub const MAX_PEX_SENT: usize = 50;
/// The same in the first message: more is what widely used clients do not read.
pub const MAX_PEX_FIRST: usize = 100;
/// Contacts that one peer is told of at once: more than it can use, and a bound on what is kept for each peer.
pub const MAX_PEX_TOLD: usize = 200;
/// How long the address of a peer that left is kept to tell others so: [`MAX_PEX_TOLD`] in messages of [`MAX_PEX_SENT`], and some.
pub const PEX_MEMORY: Duration = Duration::from_secs(6 * 60);
/// Peers that left, kept to tell others so.
pub const MAX_PEX_GONE: usize = 2000;
/// Candidates of one torrent that one teller (an IPv4 address, or a /64 of IPv6) named by peer exchange (P22): a tenth of the list.
pub const MAX_CANDIDATES_PER_TELLER: usize = MAX_CANDIDATES / 10;
/// The longest head of a request for a file on the loopback, in bytes (A11).
pub const MAX_FILE_REQUEST_HEAD: usize = 8 * 1024;
/// The most fields in it.
pub const MAX_FILE_REQUEST_FIELDS: usize = 64;
/// The longest packet of local discovery, in bytes, sent or read (BEP 14).
pub const MAX_LSD_PACKET: usize = 1400;
/// The longest cookie in such a packet that is looked at, in bytes.
pub const MAX_LSD_COOKIE: usize = 64;
/// Packets of local discovery read in a minute (L1).
pub const MAX_LSD_PACKETS: u32 = 3000;
/// The same from one address: 100 torrents a second from one program.
pub const MAX_LSD_PACKETS_PER_SOURCE: u32 = 250;
/// Neighbours remembered, so that somebody new is known as such; over it nobody is new.
pub const MAX_LSD_SOURCES: usize = 256;
/// How long the whole handshake may take.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest pad of an MSE handshake, in bytes, as its text says: whoever searches behind a pad gives up there (P26).
pub const MAX_MSE_PAD: usize = 512;
/// The most bytes of the stream that may come inside an MSE handshake: BitTorrent's handshake, which is all that a peer can have to
/// say before it has heard of us.
pub const MAX_MSE_FIRST: usize = 68;
/// How many requests we let a peer have waiting here, as advertised (`reqq`, BEP 10): what is on its way at 10 Gbit/s over 50 ms.
pub const ADVERTISED_REQQ: u32 = 4000;
/// The requests that a peer may have waiting here, more are rejected (P14): 60 KB of memory.
pub const MAX_QUEUED_REQUESTS: usize = 5000;
/// The requests that we assume a peer accepts when it does not say (BEP 10).
pub const DEFAULT_REQQ: u32 = 250;
/// Candidates kept for one torrent.
pub const MAX_CANDIDATES: usize = 3000;
/// Peers taken from one tracker reply.
pub const MAX_PEERS_PER_REPLY: usize = 5000;
/// Peers by host name taken from one tracker reply: each costs somebody a name resolution.
pub const MAX_NAMED_PEERS: usize = 50;
/// The longest tracker reply over HTTP after decompression, in bytes; larger ones are attacks, not peers.
pub const MAX_TRACKER_REPLY: usize = 1 << 20;
/// Values in one tracker reply; each costs 16 bytes while it is read, and a peer in the old form has seven.
pub const MAX_TRACKER_TOKENS: usize = 100_000;
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
/// The trackers of one torrent to which more are added by magnet links.
pub const MAX_TRACKERS: usize = 500;
/// The peers that we ask a tracker for.
pub const NUM_WANT: u32 = 200;
/// The most info-hashes in one scrape over UDP, so that the reply fits a datagram (BEP 15).
pub const MAX_SCRAPE_HASHES: usize = 74;
/// How long a UDP tracker's connection id may be used (BEP 15).
pub const UDP_CONNECTION_AGE: Duration = Duration::from_secs(60);
/// How long our own tracker accepts a connection id that it gave (BEP 15: twice as long as clients use it).
pub const UDP_CONNECTION_ACCEPTED: Duration = Duration::from_secs(120);
/// The peers that our own tracker gives to a client that does not say how many it wants.
pub const USUAL_PEERS_GIVEN: usize = 50;
/// The most peers that our own tracker gives in one reply, whatever the client wants.
pub const MAX_PEERS_GIVEN: usize = 200;
/// The longest packet that our own tracker sends over UDP, in bytes: no path cuts it into fragments.
pub const MAX_UDP_REPLY: usize = 1232;
/// Ports of one address in one swarm of our own tracker: many hosts may share an address, but not make up a swarm alone.
pub const MAX_PORTS_PER_ADDRESS: usize = 64;
/// Peers whose time has passed that our own tracker takes out with one announce, so that no announce waits for many.
pub const MAX_EXPIRED_AT_ONCE: usize = 16;
/// Torrents in our own tracker's answer to a scrape of everything, which is off if nobody asks for it; 10 MB then.
pub const MAX_FULL_SCRAPE: usize = 100_000;
/// The longest header of a request to our own tracker over HTTP, in bytes.
pub const MAX_REQUEST_HEADER: usize = 8 * 1024;
/// How long a request to our own tracker may take to come, and its answer to go; so long a connection may also rest.
pub const REQUEST_PATIENCE: Duration = Duration::from_secs(10);
/// Connections to our own tracker at once: 16 MiB of headers.
pub const MAX_REQUEST_CONNECTIONS: usize = 2048;
/// Connections to our own tracker from one address (IPv6: one /64) at once.
pub const MAX_REQUEST_CONNECTIONS_PER_ADDRESS: usize = 128;
/// The first wait for a UDP tracker's answer; it doubles with each retry (BEP 15).
pub const UDP_TIMEOUT: Duration = Duration::from_secs(15);
/// The most retries to a UDP tracker (BEP 15).
pub const UDP_RETRIES: u8 = 8;
/// Allowed-fast pieces given to a peer and kept of one (BEP 6: k).
pub const MAX_ALLOWED_FAST: usize = 10;
/// Suggested pieces kept of one peer; more push out the oldest.
pub const MAX_SUGGESTED: usize = 16;
/// Allowed-fast and suggest messages taken from one peer before it is dropped.
pub const MAX_FAST_HINTS: u32 = 1000;
/// Messages that bring nothing new, taken from one peer in one second before it is dropped.
pub const MAX_IDLE_MESSAGES_PER_SECOND: u32 = 10_000;
/// Haves of pieces known to be had, for each piece of the torrent, before the peer is dropped.
pub const MAX_REDUNDANT_HAVES_PER_PIECE: u64 = 10;
/// Rejects without a block between them before the peer is dropped (libtorrent's `max_rejects`).
pub const MAX_REJECTS_IN_A_ROW: u32 = 50;
/// Chokes within [`CHOKE_FLAP_SPAN`] that make a peer a flapper, who is trusted with one block at a time.
pub const MAX_CHOKE_FLAPS: u32 = 10;
/// Chokes within [`CHOKE_FLAP_SPAN`] before the peer is dropped: each makes work among all peers.
pub const MAX_CHOKES: u32 = 500;
/// The time over which chokes are counted.
pub const CHOKE_FLAP_SPAN: Duration = Duration::from_secs(60);
/// Requests that cannot be served, one after the other, before the peer is dropped.
pub const MAX_REFUSED_REQUESTS: u32 = 300;
/// For so long after a choke, requests that crossed it on the way are refused without being counted.
pub const CHOKE_GRACE: Duration = Duration::from_secs(10);
/// Requests over [`MAX_QUEUED_REQUESTS`] before the peer is dropped.
pub const MAX_REQUESTS_OVER_QUEUE: u32 = 500;
/// Payload that may be on its way to one peer before it is served more, in bytes: the least. What is on its way cannot be
/// taken back, so for a slow peer it is little; otherwise it is a quarter of a second's worth.
pub const MIN_SERVING_BYTES: u64 = 64 * 1024;
/// Payload that may be on its way to one peer before it is served more, in bytes: the most, for fast peers.
pub const MAX_SERVING_BYTES: u64 = 1024 * 1024;
/// The requests that we send to one peer at once whatever it accepts: 2 s at 10 Gbit/s is more than any queue is good for.
pub const MAX_REQQ: u32 = 8192;
/// Pieces that one reader waits for, and all readers together: each costs a look when a peer is asked for more.
pub const MAX_DEADLINES: usize = 1024;
/// Readers whose pieces come first; others get theirs like any piece.
pub const MAX_READERS: usize = 64;
/// How long a request may wait for its block before the block is asked of another peer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a peer may bring no useful block while another could.
pub const PROGRESS_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a peer that has brought nothing yet may hold up what it was asked for while another could bring it.
pub const TRIAL: Duration = Duration::from_secs(2);
/// How long the answer to a request that was taken back is waited for (BEP 6) before it is counted as lost.
pub const TAKEN_BACK_TIMEOUT: Duration = Duration::from_secs(30);
/// How long we stay silent before a keep-alive (BEP 3 lets peers close after two minutes).
pub const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(100);
/// How long a peer may stay silent.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(160);
/// How long a peer with an upload slot may take no bytes before it loses the slot (P29).
pub const SLOT_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a peer with an upload slot may ask for nothing before its slot counts as free for others.
pub const SLOT_SLEEP: Duration = Duration::from_secs(3);
/// How long a peer that is useless both ways keeps its connection when others wait for one.
pub const USELESS_TIMEOUT: Duration = Duration::from_secs(60);
/// Dials under way at once for one torrent.
pub const MAX_HALF_OPEN: usize = 40;
/// Dials under way and connections to one address at once (P23); loopback is exempt.
pub const MAX_DIALS_PER_ADDRESS: usize = 2;
/// Dials per second for one torrent, after a burst of twice as many.
pub const DIALS_PER_SECOND: u32 = 10;
/// Dials to one address within a minute (P23); loopback is exempt.
pub const MAX_DIALS_PER_ADDRESS_PER_MINUTE: u32 = 10;
/// The first pause before a candidate is dialled again; it doubles with each failure.
pub const DIAL_BACKOFF: Duration = Duration::from_secs(60);
/// The longest pause before a candidate is dialled again.
pub const MAX_DIAL_BACKOFF: Duration = Duration::from_secs(3600);
/// Failures in a row after which a candidate is forgotten, unless the user named it.
pub const MAX_DIAL_FAILURES: u32 = 3;
/// With no connection and at most so many candidates, pauses are short: the only seeder may just be restarting.
pub const FEW_CANDIDATES: usize = 8;
/// The first of those short pauses; it doubles with each failure up to [`DIAL_BACKOFF`].
pub const SHORT_DIAL_BACKOFF: Duration = Duration::from_secs(5);
/// Requests for hashes that one peer has at once (BEP 52); each brings at most 512 hashes with their proof, 17 KiB.
pub const MAX_HASH_REQUESTS: usize = 16;
/// How long a request for hashes may wait for its answer before others are asked.
pub const HASH_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a peer that would not answer a request for hashes is left alone; it doubles each time.
pub const HASH_REST: Duration = Duration::from_secs(5);
/// The longest such rest.
pub const MAX_HASH_REST: Duration = Duration::from_secs(60);
/// Hashes that one peer may have us look up, hash and send at once: 1 MiB of them, far below what ends a connection unread.
pub const HASH_BURST: u32 = 32 * 1024;
/// Hashes that one peer may have us look up, hash and send in one second, after the burst.
pub const HASHES_PER_SECOND: u32 = 16 * 1024;
/// Records of corrupt tries kept for blame.
pub const MAX_CORRUPT_TRIES: usize = 512;
/// Tries of a failed piece by one peer alone that may be broken off before it is shared again.
pub const MAX_BROKEN_PAROLES: u32 = 3;
/// How long a failed piece waits for somebody else before a suspect that is fast may fetch it alone.
pub const PAROLE_PATIENCE_WITH_SUSPECTS: Duration = Duration::from_secs(1);
/// How long a failed piece waits for a fast peer before one that is slow or of which nothing is known may fetch it alone.
pub const PAROLE_PATIENCE_WITH_THE_UNKNOWN: Duration = Duration::from_secs(2);
/// How long a peer that fetches a failed piece alone may be silent before another begins it anew.
pub const PAROLE_SILENCE: Duration = Duration::from_secs(2);
/// How long a failed piece waits for a peer that is no suspect before a suspect may fetch it alone.
pub const PAROLE_PATIENCE: Duration = Duration::from_secs(5);
/// Ranges of addresses in one list of the owner's: the largest lists in use have one million, and a range takes up to 32 bytes.
pub const MAX_ADDRESS_RANGES: usize = 4 << 20;
/// The longest line of a list of addresses, in bytes.
pub const MAX_ADDRESS_LINE: usize = 4096;
/// The longest header of a proxy's answer to CONNECT, in bytes.
pub const MAX_PROXY_HEADER: usize = 8 * 1024;
/// Web seeds in use at once for one torrent.
pub const MAX_OPEN_WEB_SEEDS: usize = 8;
/// Web seeds of one torrent that are kept; a torrent file may name thousands.
pub const MAX_WEB_SEEDS: usize = 100;
/// Requests under way to one web server at once, of all torrents (as browsers: six, and politer).
pub const MAX_WEB_SEED_REQUESTS_PER_HOST: usize = 4;
/// Bytes read for nothing, at most, to get to those that are wanted: before a range of a server that serves none, and where requests
/// in the middle of a range were taken back. A new connection costs about as much.
pub const MAX_WEB_SEED_SKIP: u64 = 1 << 20;
/// How long a web server may take to begin its answer, redirects included, and to go on with it.
pub const WEB_SEED_TIMEOUT: Duration = Duration::from_secs(30);
/// The first rest of a web seed that failed after it had sent something; it doubles with each failure.
pub const WEB_SEED_SHORT_REST: Duration = Duration::from_secs(1);
/// The first rest of a web seed that failed and had sent nothing; it doubles with each failure.
pub const WEB_SEED_REST: Duration = Duration::from_secs(10);
/// The longest such rest.
pub const MAX_WEB_SEED_REST: Duration = Duration::from_secs(3600);
/// The first rest of a web seed that lied (T9), has nothing or may not be asked; it doubles each time.
pub const WEB_SEED_LONG_REST: Duration = Duration::from_secs(3600);
/// The longest such rest.
pub const MAX_WEB_SEED_LONG_REST: Duration = Duration::from_secs(24 * 3600);
/// How far a web server's `Retry-After` is honoured.
pub const MAX_WEB_SEED_RETRY_AFTER: Duration = Duration::from_secs(3600);
