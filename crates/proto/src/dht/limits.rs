//! Every constant bound of the DHT, with its reason. Numbers without a source are libtorrent's.

use std::time::Duration;

/// Nodes of a bucket, nodes in a reply, and the closest nodes that are announced to (BEP 5: K).
pub const K: usize = 8;
/// Questions of one search under way at once, without those whose answer is late.
pub const PARALLEL_QUESTIONS: usize = 4;
/// Questions of one search under way at once, late ones included.
pub const MAX_PARALLEL_QUESTIONS: usize = 12;
/// Questions of one search, whatever it is told: a chain of lies ends here.
pub const MAX_QUESTIONS: u32 = 250;
/// Nodes of the table that a search starts from: more than are asked, unless the closest are gone.
pub const START_NODES: usize = 3 * K;
/// Nodes that one search remembers; the farthest are forgotten.
pub const MAX_SEARCH_NODES: usize = 200;
/// Nodes taken of one reply and family: BEP 5 says 8, some send 16.
pub const MAX_NODES_PER_REPLY: usize = 16;
/// Peers that one lookup reports; as many as a torrent keeps candidates.
pub const MAX_PEERS_PER_LOOKUP: usize = 3000;
/// Lookups under way at once for our side; more wait their turn.
pub const MAX_LOOKUPS: usize = 64;
/// Lookups started per second for each so many nodes that are known, and at least [`MIN_LOOKUPS_PER_SECOND`]. Each lookup may ask
/// a node twice; nodes ignore who sends them more than five packets a second.
pub const NODES_PER_LOOKUP_PER_SECOND: usize = 8;
/// Lookups started per second in the smallest DHT.
pub const MIN_LOOKUPS_PER_SECOND: usize = 2;
/// Lookups started at once after a rest.
pub const LOOKUP_BURST: u32 = 16;
/// How long an answer is waited for.
pub const QUERY_TIMEOUT: Duration = Duration::from_secs(5);
/// An answer is late after this, while nothing is known of the network: the next node is asked in its place.
pub const DEFAULT_LATE: Duration = Duration::from_millis(500);
/// The shortest time after which an answer is late.
pub const MIN_LATE: Duration = Duration::from_millis(100);
/// The longest time after which an answer is late.
pub const MAX_LATE: Duration = Duration::from_millis(1500);
/// How long a search waits for a late answer before it goes on as if none would come.
pub const LATE_PATIENCE: Duration = Duration::from_secs(2);
/// How long a search without a single node waits for the first.
pub const NODELESS_PATIENCE: Duration = Duration::from_secs(10);
/// After so long without a sign a node is questionable (BEP 5).
pub const GOOD_PERIOD: Duration = Duration::from_secs(15 * 60);
/// A bucket without a change for so long is refreshed (BEP 5).
pub const REFRESH_PERIOD: Duration = Duration::from_secs(15 * 60);
/// Answers missing in a row that make a node bad (BEP 5: "multiple").
pub const MAX_FAILURES: u8 = 2;
/// How often the tables are looked after.
pub const UPKEEP_INTERVAL: Duration = Duration::from_secs(10);
/// The first pause before routers and remembered addresses are asked again while a table is nearly empty; it doubles.
pub const BOOTSTRAP_RETRY: Duration = Duration::from_secs(5);
/// The longest pause before they are asked again.
pub const MAX_BOOTSTRAP_RETRY: Duration = Duration::from_secs(5 * 60);
/// Addresses kept that were named as nodes and not heard of yet (saved state, `nodes` of torrents, PORT messages).
pub const MAX_HINTS: usize = 500;
/// Routers kept.
pub const MAX_ROUTERS: usize = 32;
/// Nodes kept in a snapshot, each family; enough to start from.
pub const MAX_SNAPSHOT: usize = 200;
/// Pings of addresses that nobody has heard of, per second, after a burst of ten times as many (THREATS D9): whoever fakes
/// the sender of a query must not make us send much.
pub const PINGS_PER_SECOND: u32 = 10;
/// Queries under way at once.
pub const MAX_QUERIES: usize = 2048;

/// The longest packet that is read, in bytes: our own buffer and every honest reply are smaller.
pub const MAX_PACKET: usize = 2048;
/// The longest transaction id that is answered, in bytes: it is repeated in the reply.
pub const MAX_TRANSACTION: usize = 32;
/// The longest token that is kept, in bytes.
pub const MAX_TOKEN: usize = 128;
/// The longest reply over IPv4, in bytes (THREATS D1).
pub const MAX_REPLY: usize = 1400;
/// The longest reply over IPv6, in bytes (BEP 32, Maximum packet size).
pub const MAX_REPLY_V6: usize = 1024;
/// How many times as long as the query a reply may be while its sender's address is unproven (THREATS section 0).
pub const MAX_AMPLIFICATION: usize = 3;
/// What a reply to an unproven address may have in any case, in bytes: eight nodes of IPv6 and a token must fit, or no search
/// would find its way (`docs/adr/0016-how-long-a-dht-reply-is.md`).
pub const MIN_REPLY_SPACE: usize = 450;
/// How long an address stays proven after it answered us or brought back a token.
pub const PROVEN_PERIOD: Duration = Duration::from_secs(10 * 60);
/// Addresses that are remembered as proven.
pub const MAX_PROVEN: usize = 2048;
/// Packets per second of one address, over [`RATE_SPAN`], before it is ignored (THREATS D1). Local addresses are exempt.
pub const PACKETS_PER_SECOND: u32 = 5;
/// The time over which packets of an address are counted.
pub const RATE_SPAN: Duration = Duration::from_secs(10);
/// How long an address is ignored that sent too much.
pub const SILENCE: Duration = Duration::from_secs(5 * 60);
/// Addresses that are counted at once; above, new ones are counted as one.
pub const MAX_COUNTED: usize = 4096;
/// Bytes per second that replies may have, all together, after a burst of ten times as much.
pub const REPLY_BYTES_PER_SECOND: u32 = 8_000;
/// Replies per second that are longer than what an unproven address may have, all together, after a burst of ten times as
/// many: items and the filters of BEP 33 are of no use in part, and most askers are unproven.
pub const LARGE_REPLIES_PER_SECOND: u32 = 4;

/// How long a key makes tokens; they are good for that long and once more (BEP 5).
pub const TOKEN_PERIOD: Duration = Duration::from_secs(5 * 60);
/// Info-hashes that peers are stored for (THREATS D4).
pub const MAX_STORED_HASHES: usize = 2000;
/// Peers stored for one info-hash (THREATS D4).
pub const MAX_STORED_PEERS: usize = 500;
/// Info-hashes and items that one /24 or /64 may have stored here at once (THREATS D4).
pub const MAX_STORED_PER_GROUP: u32 = 100;
/// How long a peer is stored; clients announce every 15 to 30 minutes.
pub const PEER_AGE: Duration = Duration::from_secs(45 * 60);
/// Items stored (BEP 44; THREATS D4).
pub const MAX_STORED_ITEMS: usize = 700;
/// How long an item is stored without being put again (BEP 44, Expiration).
pub const ITEM_AGE: Duration = Duration::from_secs(2 * 60 * 60);
/// The longest value of an item as bencode, in bytes (BEP 44).
pub const MAX_ITEM_VALUE: usize = 1000;
/// The longest salt of a mutable item, in bytes (BEP 44).
pub const MAX_SALT: usize = 64;
/// For how long a sample of info-hashes stays the same (BEP 51 allows up to 6 hours).
pub const SAMPLE_PERIOD: Duration = Duration::from_secs(5 * 60);

/// The latest votes on our address that count.
pub const MAX_VOTES: usize = 32;
/// How long our address stays as it was found before votes may change it: a NAT that changes with every connection must not
/// change our id all the time.
pub const EXTERNAL_PERIOD: Duration = Duration::from_secs(10 * 60);
/// Nodes of different groups that must name the same address before it is believed (BEP 42: vote before the id is changed).
pub const MIN_VOTES: usize = 5;
