//! The rules that hold in every scenario, looked at after every event.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use riverrun_metainfo::Block;
use riverrun_proto::limits;
use riverrun_proto::swarm::{ConnectionId, Swarm, SwarmConfig};
use riverrun_proto::wire::extended::Extension;

use crate::disk::Disk;
use crate::host::{HostId, Resident};
use crate::web_server::WebLedger;

/// A rule was broken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("after {at:?}, {host:?}: {what}")]
pub struct Violation {
    /// When, since the world began.
    pub at: Duration,
    /// By whom or for whom.
    pub host: HostId,
    /// What.
    pub what: String,
}

/// What is counted for one host to judge it.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Requests to a connection that have no answer yet.
    open: BTreeMap<(ConnectionId, Block), u32>,
    /// Their number for each connection.
    outstanding: BTreeMap<ConnectionId, u32>,
    /// Timeouts in a row at one moment.
    wakes: (Option<Instant>, u32),
    /// Bytes that were handed out to a connection and have not left.
    serving: BTreeMap<ConnectionId, u64>,
    /// Calls under way to an address, and when those of the last minute began.
    dials: BTreeMap<IpAddr, (usize, VecDeque<Instant>)>,
    /// Whom the tracker named, where nobody else counts (BEP 27).
    named: Option<BTreeSet<SocketAddr>>,
    /// The most connections at once.
    places: usize,
    /// Of its web seeds.
    pub(crate) web: WebLedger,
}

impl Ledger {
    /// The most requests that any scripted or real peer accepts (BEP 10).
    const REQQ: u32 = limits::ADVERTISED_REQQ;
    /// Timeouts at one moment that are taken for a loop.
    const MOST_WAKES: u32 = 100;

    pub(crate) fn new(config: &SwarmConfig) -> Self {
        let named = config.private.then(BTreeSet::new);
        Self { named, places: config.max_connections, ..Self::default() }
    }

    /// The tracker names these.
    pub(crate) fn names(&mut self, addrs: &[SocketAddr]) {
        self.named.iter_mut().for_each(|named| named.extend(addrs));
    }

    /// The host calls an address.
    ///
    /// # Errors
    /// It may not, so often or at all.
    pub(crate) fn dials(&mut self, now: Instant, addr: SocketAddr) -> Result<(), String> {
        if self.named.as_ref().is_some_and(|named| !named.contains(&addr)) {
            return Err(format!("calls {addr}, which no tracker named, in a private torrent"));
        }
        let (under_way, began) = self.dials.entry(addr.ip()).or_default();
        began.retain(|began| now.saturating_duration_since(*began) < Duration::from_secs(60));
        began.push_back(now);
        *under_way += 1;
        if *under_way > limits::MAX_DIALS_PER_ADDRESS || began.len() > limits::MAX_DIALS_PER_ADDRESS_PER_MINUTE as usize
        {
            return Err(format!("{under_way} calls to {} at once, {} in a minute", addr.ip(), began.len()));
        }
        let all: usize = self.dials.values().map(|(under_way, _)| under_way).sum();
        if all > limits::MAX_HALF_OPEN { Err(format!("{all} calls at once")) } else { Ok(()) }
    }

    /// A call has ended, with a connection or without.
    pub(crate) fn dialled(&mut self, addr: SocketAddr) {
        self.dials.entry(addr.ip()).and_modify(|(under_way, _)| *under_way -= 1);
    }

    /// The host says something of an extension.
    ///
    /// # Errors
    /// It exchanges peers in a private torrent (BEP 27).
    pub(crate) fn extends(&self, number: u8) -> Result<(), String> {
        let tells = self.named.is_some() && number == Extension::Pex.number();
        if tells { Err("exchanges peers in a private torrent".to_owned()) } else { Ok(()) }
    }

    /// A block is handed out to be sent.
    ///
    /// # Errors
    /// More waits to leave than may.
    pub(crate) fn serves(&mut self, connection: ConnectionId, block: Block) -> Result<(), String> {
        let serving = self.serving.entry(connection).or_default();
        *serving += u64::from(block.length);
        let most = limits::MAX_SERVING_BYTES + u64::from(limits::MAX_REQUEST_LENGTH);
        if *serving > most { Err(format!("{serving} bytes handed out at once")) } else { Ok(()) }
    }

    /// A block has left.
    pub(crate) fn served(&mut self, connection: ConnectionId, block: Block) {
        self.serving.entry(connection).and_modify(|serving| *serving -= u64::from(block.length));
    }

    /// The host asks for a block.
    ///
    /// # Errors
    /// Too many requests are outstanding.
    pub(crate) fn asks(&mut self, connection: ConnectionId, block: Block) -> Result<(), String> {
        *self.open.entry((connection, block)).or_default() += 1;
        let outstanding = self.outstanding.entry(connection).or_default();
        *outstanding += 1;
        if *outstanding > Self::REQQ { Err(format!("{outstanding} requests outstanding")) } else { Ok(()) }
    }

    /// A request is answered by a block or a reject.
    ///
    /// # Errors
    /// It was answered before, or never made.
    pub(crate) fn answered(&mut self, connection: ConnectionId, block: Block) -> Result<(), String> {
        let open = self.open.get_mut(&(connection, block)).filter(|open| **open > 0);
        let open = open.ok_or_else(|| format!("a second answer for {block:?} by an honest peer"))?;
        *open -= 1;
        if *open == 0 {
            self.open.remove(&(connection, block));
        }
        self.outstanding.entry(connection).and_modify(|outstanding| *outstanding -= 1);
        Ok(())
    }

    /// A connection is gone, and with it what was open.
    pub(crate) fn ended(&mut self, connection: ConnectionId) {
        self.choked(connection);
        self.serving.remove(&connection);
    }

    /// Whoever does not speak the fast extension chokes: what was open will have no answer.
    pub(crate) fn choked(&mut self, connection: ConnectionId) {
        self.open.retain(|(asked, _), _| *asked != connection);
        self.outstanding.remove(&connection);
    }

    /// The requests to a connection that have no answer.
    pub(crate) fn unanswered(&self, connection: ConnectionId) -> usize {
        self.open.keys().filter(|(asked, _)| *asked == connection).count()
    }

    /// A timer of the host fired.
    ///
    /// # Errors
    /// It fires again and again while no time passes.
    pub(crate) fn woke(&mut self, now: Instant) -> Result<(), String> {
        self.wakes = if self.wakes.0 == Some(now) { (Some(now), self.wakes.1 + 1) } else { (Some(now), 0) };
        if self.wakes.1 > Self::MOST_WAKES { Err("timers fire in a loop".to_owned()) } else { Ok(()) }
    }
}

/// A swarm says it has only what the disk found right.
///
/// # Errors
/// It does not.
pub(crate) fn has_only_verified(swarm: &Swarm, disk: &Disk) -> Result<(), String> {
    if swarm.have().any_missing_from(disk.verified()) { Err("has what was not verified".to_owned()) } else { Ok(()) }
}

/// What a swarm keeps of all that strangers do stays within its limits.
///
/// # Errors
/// It does not.
pub(crate) fn within_limits(own: &Resident) -> Result<(), String> {
    let (kept, missing) = (own.swarm.kept(), own.swarm.have().pieces() - own.swarm.have().count());
    if kept.connections > own.ledger.places
        || kept.candidates > limits::MAX_CANDIDATES
        || kept.partial_pieces > missing as usize
        || kept.outstanding > (kept.connections + own.ledger.web.open()) * limits::MAX_REQQ as usize
    {
        return Err(format!("{kept:?} while {missing} pieces are missing"));
    }
    Ok(())
}

/// What a swarm keeps of one peer stays within its limits.
///
/// # Errors
/// It does not.
pub(crate) fn peer_within_limits(own: &mut Resident, peer: ConnectionId) -> Result<(), String> {
    let Some(kept) = own.swarm.kept_of(peer) else { return Ok(()) };
    own.most_queued = own.most_queued.max(kept.queued);
    if kept.queued > limits::MAX_QUEUED_REQUESTS || kept.asked > limits::MAX_REQQ as usize {
        return Err(format!("{kept:?} of one peer"));
    }
    Ok(())
}

/// The same of each of its peers: what happens to one may have another asked.
///
/// # Errors
/// It does not.
pub(crate) fn all_within_limits(
    own: &mut Resident,
    mut peers: impl Iterator<Item = ConnectionId>,
) -> Result<(), String> {
    peers.try_for_each(|peer| peer_within_limits(own, peer))
}

/// Nobody is banned who does not lie.
///
/// # Errors
/// An innocent is.
pub(crate) fn ban_is_just(banned: IpAddr, liars: &[IpAddr]) -> Result<(), String> {
    if liars.contains(&banned) { Ok(()) } else { Err(format!("bans {banned}, who never lied")) }
}

#[cfg(test)]
mod tests {
    use riverrun_metainfo::PieceIndex;

    use super::*;

    fn addr(host: u8, port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, host, 1], port))
    }

    #[test]
    fn p23_a_third_call_at_once_and_an_eleventh_in_a_minute_break_a_rule() {
        let (mut ledger, begin) = (Ledger::default(), Instant::now());
        assert!((1..=2).all(|port| ledger.dials(begin, addr(1, port)).is_ok()));
        assert!(ledger.dials(begin, addr(2, 1)).is_ok());
        assert!(ledger.dials(begin, addr(1, 3)).is_err());
        let (mut ledger, mut now) = (Ledger::default(), begin);
        for _ in 0..10 {
            ledger.dials(now, addr(1, 1)).expect("ten may be");
            ledger.dialled(addr(1, 1));
            now += Duration::from_secs(5);
        }
        assert!(ledger.dials(now, addr(1, 2)).is_err());
        ledger.dialled(addr(1, 2));
        assert!(ledger.dials(begin + Duration::from_secs(66), addr(1, 2)).is_ok());
    }

    #[test]
    fn a_private_torrent_may_not_call_whom_no_tracker_named_nor_exchange_peers() {
        let now = Instant::now();
        let mut ledger = Ledger { named: Some(BTreeSet::new()), ..Ledger::default() };
        ledger.names(&[addr(1, 1)]);
        assert!(ledger.dials(now, addr(1, 1)).is_ok());
        assert!(ledger.dials(now, addr(2, 1)).is_err());
        assert!(ledger.extends(Extension::Pex.number()).is_err());
        assert!(Ledger::default().extends(Extension::Pex.number()).is_ok());
    }

    #[test]
    fn p14_what_is_handed_out_and_does_not_leave_is_bounded() {
        let mut ledger = Ledger::default();
        let block = Block { piece: PieceIndex(0), begin: 0, length: limits::MAX_REQUEST_LENGTH };
        let (one, other) = (ConnectionId(1), ConnectionId(2));
        assert!((0..9).all(|_| ledger.serves(one, block).is_ok()));
        assert!(ledger.serves(other, block).is_ok());
        assert!(ledger.serves(one, block).is_err());
        ledger.served(one, block);
        ledger.served(one, block);
        assert!(ledger.serves(one, block).is_ok());
    }
}
