//! Peer exchange (BEP 11): which of our peers the others are told of, and what is taken of what they tell.
//!
//! What a peer was told is a short list of numbers, not of addresses: the addresses stand once in [`Contacts`], those of peers
//! that left for as long as somebody may still have to hear of it. So exchange stays cheap with thousands of connections.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::limits;
use crate::mse::Cover;
use crate::swarm::candidates;
use crate::swarm::conduct::Breach;
use crate::swarm::on_demand::{OnDemand, Rested};
use crate::swarm::peer::Peer;
use crate::swarm::reach::Reach;
use crate::swarm::{ConnectionId, Swarm};
use crate::wire::extended::{ExtendedMessage, Extension, PexContact, PexFlags, PexMessage};

/// How long news waits for more of it.
const GATHERING: Duration = Duration::from_secs(1);
/// Messages made in one go; the rest follows after [`BREATH`].
const MESSAGES_AT_ONCE: usize = 64;
const BREATH: Duration = Duration::from_millis(250);

/// The peers that others may be told of: connected, and known by where they listen.
#[derive(Debug)]
pub(super) struct Contacts {
    /// Peers are exchanged: the owner did not forbid it, and the torrent is not private (BEP 27).
    on: bool,
    met: OnDemand<Met>,
    next: u32,
    /// Grows with each change.
    version: u64,
    /// Somebody may have to be told something.
    news: bool,
}

/// Whoever was met, by number and by address.
#[derive(Debug, Default)]
struct Met {
    by_addr: BTreeMap<SocketAddr, u32>,
    known: BTreeMap<u32, Contact>,
    /// Those that left, the oldest first; one that came back stands here in vain.
    gone: VecDeque<(Instant, u32)>,
}

impl Rested for Met {
    const RESTED: &'static Self = &Self { by_addr: BTreeMap::new(), known: BTreeMap::new(), gone: VecDeque::new() };
}

#[derive(Debug)]
struct Contact {
    addr: SocketAddr,
    live: Option<ConnectionId>,
    left: Option<Instant>,
}

/// Peer exchange with one peer.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    /// Its own number among the contacts.
    own: Option<u32>,
    /// The contacts that it was told of and not yet that they left, in order.
    told: Vec<u32>,
    /// The version of the contacts that it knows all of; `None`: there is more to tell.
    knows: Option<u64>,
    /// When the last message went.
    sent: Option<Instant>,
    /// When the last message was taken.
    taken: Option<Instant>,
    breaches: u32,
}

impl Contacts {
    pub(super) fn new(on: bool) -> Self {
        Self { on, met: OnDemand::default(), next: 0, version: 0, news: false }
    }

    /// The torrent turned out to be private (BEP 27): nobody is told of anybody any more.
    pub(super) fn turn_off(&mut self) {
        *self = Self::new(false);
    }

    /// Whether peers are exchanged at all.
    pub(super) fn is_on(&self) -> bool {
        self.on
    }

    /// A connection to a peer that listens there; its number, unless another connection has the address or nobody can dial it.
    fn joined(&mut self, addr: SocketAddr, connection: ConnectionId) -> Option<u32> {
        let addr = candidates::canonical(&addr);
        if !self.on || !is_for_others(addr) {
            return None;
        }
        let met = self.met.need();
        let number = *met.by_addr.entry(addr).or_insert(self.next);
        if number == self.next {
            self.next = self.next.wrapping_add(1);
        }
        let contact = met.known.entry(number).or_insert(Contact { addr, live: None, left: None });
        if contact.live.is_some() {
            return None;
        }
        contact.live = Some(connection);
        self.changed();
        Some(number)
    }

    fn left(&mut self, now: Instant, number: u32) {
        let Some(met) = self.met.made() else { return };
        let Some(contact) = met.known.get_mut(&number) else { return };
        (contact.live, contact.left) = (None, Some(now));
        met.gone.push_back((now, number));
        self.changed();
    }

    fn changed(&mut self) {
        self.version += 1;
        self.news = true;
    }

    /// When a contact left; `None` if it is here, or not known.
    fn left_at(&self, number: u32) -> Option<Instant> {
        self.met.known.get(&number).filter(|contact| contact.live.is_none()).and_then(|contact| contact.left)
    }

    /// Forgets those that left so long ago that everyone has heard of it.
    fn expire(&mut self, now: Instant) {
        let Some(met) = self.met.made() else { return };
        while let Some((left, number)) = met.gone.front().copied() {
            let old = now.saturating_duration_since(left) >= limits::PEX_MEMORY;
            if !old && met.gone.len() <= limits::MAX_PEX_GONE {
                return;
            }
            met.gone.pop_front();
            if let Some(contact) = met.known.get(&number)
                && contact.live.is_none()
                && contact.left == Some(left)
            {
                met.by_addr.remove(&contact.addr);
                met.known.remove(&number);
            }
        }
    }

    /// The numbers from `start` on and around, with the connections of those that are here.
    fn live_from(&self, start: u32) -> impl Iterator<Item = (u32, &Contact, ConnectionId)> {
        let around = self.met.known.range(start..).chain(self.met.known.range(..start));
        around.filter_map(|(number, contact)| Some((*number, contact, contact.live?)))
    }
}

/// Whether others could dial this address at all.
fn is_for_others(addr: SocketAddr) -> bool {
    let link_local = matches!(addr, SocketAddr::V6(v6) if v6.ip().is_unicast_link_local());
    !link_local && candidates::is_dialable(&addr)
}

impl Exchange {
    /// When there may be something to say to this peer; `None`: it knows all of this version.
    fn due(&self, version: u64) -> Option<Option<Instant>> {
        (self.knows != Some(version)).then(|| self.sent.map(|sent| sent + limits::PEX_INTERVAL))
    }

    /// Whether a message that comes now is too many, and the breach if that was once too often.
    fn judge(&mut self, now: Instant, listed: usize) -> Result<bool, Breach> {
        let early = self.taken.is_some_and(|taken| now.saturating_duration_since(taken) < limits::MIN_PEX_INTERVAL);
        if early || listed > limits::MAX_PEX_CONTACTS {
            self.breaches += 1;
            if self.breaches > limits::MAX_PEX_BREACHES {
                return Err("peer exchange too often or too long");
            }
        }
        Ok(early)
    }

    /// What is kept of what the peer was told, in bytes.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.told.capacity() * size_of::<u32>()
    }
}

impl Swarm {
    /// It became known where a peer listens: others may be told.
    pub(super) fn pex_list(&mut self, connection: ConnectionId) {
        let Some(peer) = self.peers.get_mut(&connection).filter(|peer| peer.exchange.own.is_none()) else { return };
        if let Some(addr) = peer.who.listens {
            peer.exchange.own = self.contacts.joined(addr, connection);
        }
    }

    /// A peer is gone: those who were told of it hear so.
    pub(super) fn pex_unlist(&mut self, now: Instant, peer: &Peer) {
        if let Some(own) = peer.exchange.own {
            self.contacts.left(now, own);
        }
    }

    /// After each input: sees that news is told.
    pub(super) fn pex_settle(&mut self, now: Instant) {
        if std::mem::take(&mut self.contacts.news) {
            let soon = now + GATHERING;
            self.timers.pex = Some(self.timers.pex.map_or(soon, |at| at.min(soon)));
        }
    }

    /// A peer speaks peer exchange from now on.
    pub(super) fn pex_begin(&mut self) {
        self.contacts.news |= self.contacts.on;
    }

    /// Sends what is due to everyone, and works out when the next is.
    pub(super) fn pex_round(&mut self, now: Instant) {
        self.contacts.expire(now);
        let version = self.contacts.version;
        let speaks = |peer: &&Peer| peer.extensions.speaks(Extension::Pex);
        let due = |peer: &Peer| peer.exchange.due(version).map(|at| at.unwrap_or(now));
        let ready = self.peers.values().filter(speaks).filter(|peer| due(peer).is_some_and(|at| at <= now));
        let ready: Vec<ConnectionId> = ready.map(|peer| peer.who.connection).take(MESSAGES_AT_ONCE).collect();
        for connection in &ready {
            self.pex_send(now, *connection);
        }
        let due = |peer: &Peer| peer.exchange.due(version).map(|at| at.unwrap_or(now));
        let next = self.peers.values().filter(speaks).filter_map(due).min();
        self.timers.pex = next.map(|at| at.max(now + if ready.len() == MESSAGES_AT_ONCE { BREATH } else { GATHERING }));
    }

    fn pex_send(&mut self, now: Instant, connection: ConnectionId) {
        let start = self.rng.u32(..=self.contacts.next);
        let Some(peer) = self.peers.get(&connection) else { return };
        let (message, told, all) = self.pex_message(peer, start);
        let Some(peer) = self.peers.get_mut(&connection) else { return };
        peer.exchange.told = told;
        peer.exchange.knows = all.then_some(self.contacts.version);
        if message.added.is_empty() && message.dropped.is_empty() {
            return;
        }
        if let Some(message) = peer.extensions.message(&ExtendedMessage::Pex(message)) {
            peer.exchange.sent = Some(now);
            peer.spoke = now;
            self.out.send(connection, message);
        }
    }

    /// What is to be told to a peer, what it has been told of then, and whether that is all there is to tell now.
    fn pex_message(&self, to: &Peer, start: u32) -> (PexMessage, Vec<u32>, bool) {
        let first = to.exchange.sent.is_none();
        let most = if first { limits::MAX_PEX_FIRST } else { limits::MAX_PEX_SENT };
        let mut told = to.exchange.told.clone();
        told.retain(|number| self.contacts.met.known.contains_key(number));
        // Those that left first go first, so that each is named before its address is forgotten.
        let gone = told.iter().filter_map(|number| Some((self.contacts.left_at(*number)?, *number)));
        let mut gone: Vec<_> = gone.collect();
        gone.sort_unstable();
        let mut all = gone.len() <= most;
        gone.truncate(most);
        told.retain(|number| !gone.iter().any(|(_, gone)| gone == number));
        let dropped = gone.iter().filter_map(|(_, number)| self.contacts.met.known.get(number));
        let mut message =
            PexMessage { dropped: dropped.map(|contact| contact.addr).collect(), ..PexMessage::default() };
        let before = told.len();
        for (number, contact, connection) in self.contacts.live_from(start) {
            if told.len() == limits::MAX_PEX_TOLD {
                break;
            }
            let Some(other) = self.peers.get(&connection) else { continue };
            if Some(number) == to.exchange.own || told[..before].binary_search(&number).is_ok() || !may_hear(to, other)
            {
                continue;
            }
            if message.added.len() == most {
                all = false;
                break;
            }
            message.added.push(PexContact { addr: contact.addr, flags: flags(other) });
            told.push(number);
        }
        told.sort_unstable();
        message.listed = message.added.len();
        (message, told, all)
    }

    /// A peer tells of others. They become candidates like any that somebody named, within the bounds for one source.
    pub(super) fn pex_received(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        message: &PexMessage,
    ) -> Result<(), Breach> {
        let Some(peer) = self.peers.get_mut(&connection).filter(|_| self.contacts.on) else { return Ok(()) };
        if peer.exchange.judge(now, message.listed)? {
            return Ok(());
        }
        let first = peer.exchange.taken.replace(now).is_none();
        let most = if first { limits::MAX_PEX_CONTACTS } else { limits::MAX_PEX_TAKEN };
        let teller = peer.who.addr.ip();
        let mut hosts = BTreeSet::new();
        let taken = message.added.iter().take(most).filter(|contact| {
            let ip = contact.addr.ip();
            // Who is far away cannot know our network, and several peers at one far address are rarely true (BEP 11).
            let plausible = Reach::of(ip) >= Reach::of(teller) && is_for_others(contact.addr);
            plausible && (Reach::of(ip) < Reach::World || hosts.insert(ip)) && !self.blame.is_banned(ip)
        });
        self.candidates.add_told(teller, taken);
        self.timers.dial_changed = true;
        Ok(())
    }
}

/// Whether it is of use to tell one peer of the other: it can be dialled from there, and not both have everything.
fn may_hear(to: &Peer, other: &Peer) -> bool {
    let (from, at) = (to.who.addr.ip(), other.who.listens.unwrap_or(other.who.addr).ip());
    Reach::of(at) >= Reach::of(from) && !(wants_nothing(to) && wants_nothing(other))
}

fn wants_nothing(peer: &Peer) -> bool {
    peer.pieces.is_all() || peer.extensions.upload_only
}

fn flags(peer: &Peer) -> PexFlags {
    let said = [
        (PexFlags::ENCRYPTION, peer.extensions.prefers_encryption || peer.who.cover != Cover::None),
        (PexFlags::SEED, wants_nothing(peer)),
        (PexFlags::HOLE_PUNCH, peer.extensions.speaks(Extension::HolePunch)),
        (PexFlags::REACHABLE, !peer.who.incoming),
    ];
    PexFlags(said.iter().filter(|(_, set)| *set).map(|(flag, _)| flag.0).sum())
}
