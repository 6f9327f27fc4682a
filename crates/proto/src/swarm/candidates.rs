//! Peers that are known but not connected, and whom to dial when.
//!
//! Every bound here keeps a liar among trackers and peers from using us: how many candidates are kept, how often one address
//! is dialled, how many dials are under way.

mod allowance;
mod book;
mod candidate;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::time::{Duration, Instant};

use self::allowance::{Allowance, Recent};
use self::book::{Book, turn};
use self::candidate::{Candidate, State, order_of, rank};
use crate::address::AddressRules;
use crate::limits;
use crate::swarm::on_demand::OnDemand;
use crate::swarm::outside::Outside;
use crate::swarm::reach::party;
use crate::swarm::{ConnectionId, DialError, Source, Sources};
use crate::wire::extended::{PexContact, PexFlags};

/// When a candidate is looked at again that only the bounds on its address hold back.
const HELD_BACK: Duration = Duration::from_secs(5);

/// All candidates of one torrent, those connected among them.
#[derive(Debug)]
pub(super) struct Candidates {
    known: OnDemand<Book>,
    /// Addresses at which we met ourselves.
    ourselves: OnDemand<BTreeSet<SocketAddr>>,
    private: bool,
    rules: AddressRules,
    /// Addresses that the rules refused; only their number is of interest.
    refused: OnDemand<BTreeSet<IpAddr>>,
    dialling: usize,
    connected: usize,
    /// How many each party named by peer exchange (P22).
    told: OnDemand<BTreeMap<IpAddr, usize>>,
    allowance: Allowance,
    recent: OnDemand<Recent>,
    outside: OnDemand<Outside>,
    /// Whether canonical priorities count (BEP 40).
    ranked: bool,
    listen_port: Option<u16>,
    rng: fastrand::Rng,
}

/// What candidates are dialled under.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// Connections that may be made yet.
    pub(super) room: usize,
    /// Nobody is connected.
    pub(super) alone: bool,
    /// We have all that we want: seeds are of no use.
    pub(super) finished: bool,
}

impl Candidates {
    /// `listen_port` is our own.
    pub(super) fn new(
        now: Instant,
        private: bool,
        rules: AddressRules,
        listen_port: Option<u16>,
        rng: fastrand::Rng,
    ) -> Self {
        Self {
            known: OnDemand::default(),
            ourselves: OnDemand::default(),
            private,
            rules,
            refused: OnDemand::default(),
            dialling: 0,
            connected: 0,
            told: OnDemand::default(),
            allowance: Allowance { dials: 2 * limits::DIALS_PER_SECOND, counted: now },
            recent: OnDemand::default(),
            outside: OnDemand::default(),
            ranked: true,
            listen_port,
            rng,
        }
    }

    /// Canonical priorities count, or not.
    pub(super) fn ranked(self, ranked: bool) -> Self {
        Self { ranked, ..self }
    }

    /// Whether the torrent is private (BEP 27).
    pub(super) fn is_private(&self) -> bool {
        self.private
    }

    /// How many are known.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// How many are known, by source.
    pub(super) fn sources(&self) -> Sources {
        self.known.sources()
    }

    /// How many dials are under way.
    pub(super) fn dialling(&self) -> usize {
        self.dialling
    }

    /// How many may be dialled now or later.
    pub(super) fn waiting(&self) -> usize {
        self.known.len() - self.connected
    }

    /// How many different addresses the owner's rules have refused, up to a bound.
    pub(super) fn refused(&self) -> usize {
        self.refused.len()
    }

    /// Adds addresses that somebody named. Those that cannot be a peer's or that the owner's rules refuse are left out, and in a
    /// private torrent those that did not come from a tracker or the user (BEP 27).
    pub(super) fn add<'a>(&mut self, source: Source, addrs: impl IntoIterator<Item = &'a SocketAddr>) {
        for addr in addrs {
            if !self.insert(source, addr, None, PexFlags(0)) {
                return;
            }
        }
    }

    /// Adds what a peer at `teller` told by peer exchange: no more from one party than its share of the list (P22).
    pub(super) fn add_told<'a>(&mut self, teller: IpAddr, contacts: impl IntoIterator<Item = &'a PexContact>) {
        let teller = party(teller);
        for contact in contacts {
            if self.told.get(&teller).is_some_and(|told| *told >= limits::MAX_CANDIDATES_PER_TELLER) {
                return;
            }
            if !self.insert(Source::Pex, &contact.addr, Some(teller), contact.flags) {
                return;
            }
        }
    }

    /// Adds one, if it can be a peer; false if there is no room for any more of this source.
    fn insert(&mut self, source: Source, addr: &SocketAddr, teller: Option<IpAddr>, flags: PexFlags) -> bool {
        let addr = canonical(addr);
        if (self.private && source.is_elsewhere()) || !is_dialable(&addr) || self.ourselves.contains(&addr) {
            return true;
        }
        if self.rules.may_meet(addr.ip()).is_err() {
            if self.refused.len() < limits::MAX_CANDIDATES {
                self.refused.need().insert(addr.ip());
            }
            return true;
        }
        if let Some(known) = self.known.get(&addr) {
            let better = rank(source) < rank(known.source);
            if source == Source::User {
                self.known.need().change(addr, |known| (known.failures, known.rests_until) = (0, None));
            }
            if better {
                let teller = self.known.need().change(addr, |known| {
                    known.source = source;
                    known.teller.take()
                });
                self.untold(teller.flatten());
            }
            return true;
        }
        if self.known.len() >= limits::MAX_CANDIDATES && !self.make_room(source) {
            return false;
        }
        if let Some(teller) = teller {
            *self.told.need().entry(teller).or_default() += 1;
        }
        let (seed, reachable) = (flags.contains(PexFlags::SEED), flags.contains(PexFlags::REACHABLE));
        let new = Candidate {
            source,
            teller,
            state: State::Idle,
            failures: 0,
            rests_until: None,
            ended: None,
            seed,
            plaintext_alone: false,
            unencrypted: false,
            reachable,
            order: self.rank(addr).map_or_else(|| self.rng.u32(..), order_of),
        };
        self.known.need().insert(addr, new);
        true
    }

    /// A candidate does not count any more for the party that named it.
    fn untold(&mut self, teller: Option<IpAddr>) {
        if let Some(teller) = teller
            && let Some(told) = self.told.made().and_then(|told| told.get_mut(&teller))
        {
            *told -= 1;
            if *told == 0 {
                self.told.need().remove(&teller);
            }
        }
    }

    fn take(&mut self, addr: SocketAddr) -> Option<Candidate> {
        let known = self.known.made()?.remove(addr)?;
        self.untold(known.teller);
        Some(known)
    }

    /// Forgets the idle candidate that is worth least, if it is worth less than a new one from this source.
    fn make_room(&mut self, source: Source) -> bool {
        let idle = self.known.iter().filter(|(_, known)| known.state == State::Idle && known.source != Source::User);
        let worst = idle.max_by_key(|(_, known)| (known.failures, rank(known.source), known.order));
        let Some((addr, known)) = worst else { return false };
        if known.failures == 0 && rank(known.source) <= rank(source) {
            return false;
        }
        let addr = *addr;
        self.take(addr).is_some()
    }

    /// The next address to dial now; it counts as being dialled until one of the ends below is told.
    pub(super) fn dial(&mut self, now: Instant, terms: Terms) -> Option<SocketAddr> {
        if !self.may_dial(now, terms) {
            return None;
        }
        if self.recent.made().is_some_and(|recent| recent.forget(now)) {
            self.recent = OnDemand::default();
        }
        self.ripen(now);
        let addr = self.best(now, terms)?;
        self.known.need().change(addr, |known| (known.state, known.rests_until) = (State::Dialling, None))?;
        self.dialling += 1;
        self.allowance.dials -= 1;
        self.recent.need().dialled(now, addr.ip());
        Some(addr)
    }

    /// Whose turn it is.
    fn best(&self, now: Instant, terms: Terms) -> Option<SocketAddr> {
        if self.is_impatient(terms) {
            let ready = self.known.iter().filter(|(addr, known)| self.is_ready(addr, known, now, terms));
            return ready.min_by_key(|(addr, known)| turn(**addr, known)).map(|(addr, _)| *addr);
        }
        self.known.ready(!terms.finished).find(|addr| self.address_may_be_dialled(*addr))
    }

    /// A lonely swarm with few candidates waits less: its only seeder may just be restarting.
    fn is_impatient(&self, terms: Terms) -> bool {
        terms.alone && self.known.len() <= limits::FEW_CANDIDATES
    }

    fn may_dial(&mut self, now: Instant, terms: Terms) -> bool {
        self.allowance.refill(now);
        terms.room > 0 && self.dialling < limits::MAX_HALF_OPEN && self.allowance.dials > 0
    }

    fn is_ready(&self, addr: &SocketAddr, known: &Candidate, now: Instant, terms: Terms) -> bool {
        let useful = known.state == State::Idle && !(known.seed && terms.finished);
        useful && self.rests_until(known, terms).is_none_or(|until| until <= now) && self.address_may_be_dialled(*addr)
    }

    /// Until when a candidate rests.
    fn rests_until(&self, known: &Candidate, terms: Terms) -> Option<Instant> {
        let (Some(until), Some(ended)) = (known.rests_until, known.ended) else { return known.rests_until };
        if !self.is_impatient(terms) {
            return Some(until);
        }
        let doubled = limits::SHORT_DIAL_BACKOFF * 2u32.pow(known.failures.clamp(1, 5) - 1);
        Some(until.min(ended + doubled.min(limits::DIAL_BACKOFF)))
    }

    /// At most two dials or connections to one address at once, and ten dials a minute, loopback excepted (P23).
    fn address_may_be_dialled(&self, addr: SocketAddr) -> bool {
        let ip = addr.ip();
        if ip.is_loopback() {
            return true;
        }
        if self.recent.to(ip) >= limits::MAX_DIALS_PER_ADDRESS_PER_MINUTE {
            return false;
        }
        self.known.busy_at(ip) < limits::MAX_DIALS_PER_ADDRESS
    }

    /// When the next dial may be due; `None`: not before something else happens.
    pub(super) fn next_dial(&mut self, now: Instant, terms: Terms) -> Option<Instant> {
        if terms.room == 0 || self.dialling >= limits::MAX_HALF_OPEN {
            return None;
        }
        let due = if self.is_impatient(terms) { self.next_of_few(now, terms) } else { self.next_of_many(now, terms) }?;
        let allowed = if self.allowance.dials > 0 { now } else { self.allowance.counted + Allowance::PERIOD };
        Some(due.max(allowed))
    }

    fn ripen(&mut self, now: Instant) {
        self.known.made().into_iter().for_each(|book| book.ripen(now));
    }

    /// When the first candidate may be dialled. Those held back by their addresses alone are looked at again soon.
    fn next_of_many(&mut self, now: Instant, terms: Terms) -> Option<Instant> {
        self.ripen(now);
        let mut ready = self.known.ready(!terms.finished).peekable();
        let held_back = ready.peek().map(|_| now + HELD_BACK);
        let free = ready.any(|addr| self.address_may_be_dialled(addr)).then_some(now);
        [free, held_back, self.known.first_rested(!terms.finished)].into_iter().flatten().min()
    }

    /// The same where each rests for as long as an impatient swarm waits.
    fn next_of_few(&self, now: Instant, terms: Terms) -> Option<Instant> {
        let idle = self.known.iter().filter(|(_, known)| known.state == State::Idle && !(known.seed && terms.finished));
        let due = idle.map(|(addr, known)| {
            let rested = self.rests_until(known, terms).unwrap_or(now).max(now);
            if rested <= now && !self.address_may_be_dialled(*addr) { now + HELD_BACK } else { rested }
        });
        due.min()
    }

    /// A dial brought no connection.
    pub(super) fn dial_failed(&mut self, now: Instant, addr: SocketAddr, error: DialError) {
        let addr = canonical(&addr);
        if self.known.get(&addr).is_none_or(|known| known.state != State::Dialling) {
            return;
        }
        self.dialling -= 1;
        let unencrypted = error == DialError::Unencrypted;
        self.known.need().change(addr, |known| (known.state, known.unencrypted) = (State::Idle, unencrypted));
        self.rest(now, addr, true);
    }

    /// A dial brought a connection, or a peer told where it listens. The source that first named it is given.
    pub(super) fn connected(&mut self, addr: SocketAddr, connection: ConnectionId, source: Source) -> Source {
        let addr = canonical(&addr);
        if self.known.get(&addr).is_none() {
            self.add(source, &[addr]);
        }
        let Some((state, source)) = self
            .known
            .need()
            .change(addr, |known| (std::mem::replace(&mut known.state, State::Connected(connection)), known.source))
        else {
            return source;
        };
        match state {
            State::Idle => self.connected += 1,
            State::Dialling => {
                self.dialling -= 1;
                self.connected += 1;
            }
            State::Connected(_) => {}
        }
        source
    }

    /// A connection to a candidate ended. `good` if payload was exchanged, `failed` if it counts against the candidate.
    pub(super) fn closed(
        &mut self,
        now: Instant,
        addr: SocketAddr,
        connection: ConnectionId,
        good: bool,
        failed: bool,
    ) {
        let addr = canonical(&addr);
        if self.known.get(&addr).is_none_or(|known| known.state != State::Connected(connection)) {
            return;
        }
        self.connected -= 1;
        self.known.need().change(addr, |known| {
            known.state = State::Idle;
            known.failures = if good { 0 } else { known.failures };
        });
        self.rest(now, addr, failed && !good);
    }

    /// A candidate rests after a try or a connection; after too many failures it is forgotten.
    fn rest(&mut self, now: Instant, addr: SocketAddr, failed: bool) {
        let forgotten = self.known.need().change(addr, |known| {
            known.failures += u32::from(failed);
            let doubled = limits::DIAL_BACKOFF * 2u32.pow(known.failures.clamp(1, 7) - 1);
            known.rests_until = Some(now + doubled.min(limits::MAX_DIAL_BACKOFF));
            known.ended = Some(now);
            known.failures >= limits::MAX_DIAL_FAILURES && known.source != Source::User
        });
        if forgotten == Some(true) && self.known.len() > limits::FEW_CANDIDATES {
            self.take(addr);
        }
    }

    /// It is ourselves who listen there.
    pub(super) fn is_ourselves(&mut self, addr: SocketAddr) {
        self.remove(addr);
        self.ourselves.need().insert(canonical(&addr));
    }

    /// Never to be dialled again: the address is banned.
    pub(super) fn remove(&mut self, addr: SocketAddr) {
        let Some(known) = self.take(canonical(&addr)) else { return };
        match known.state {
            State::Dialling => self.dialling -= 1,
            State::Connected(_) => self.connected -= 1,
            State::Idle => {}
        }
    }

    /// Removes all that `which` names.
    pub(super) fn remove_where(&mut self, which: impl Fn(IpAddr) -> bool) {
        let gone: Vec<_> = self.known.iter().map(|(addr, _)| *addr).filter(|addr| which(addr.ip())).collect();
        gone.into_iter().for_each(|addr| self.remove(addr));
    }

    /// The torrent turned out to be private: who was named by neither a tracker nor the user is forgotten.
    pub(super) fn become_private(&mut self) {
        self.private = true;
        let elsewhere = self.known.iter().filter(|(_, known)| known.source.is_elsewhere()).map(|(addr, _)| *addr);
        elsewhere.collect::<Vec<_>>().into_iter().for_each(|addr| self.remove(addr));
    }

    /// The owner knows our address as the outside sees it.
    pub(super) fn told_outside(&mut self, ip: IpAddr) {
        if self.outside.need().told(ip) {
            self.reorder();
        }
    }

    /// A peer says where it sees us.
    pub(super) fn said_outside(&mut self, by: IpAddr, ip: IpAddr) {
        if self.outside.need().said(by, ip) {
            self.reorder();
        }
    }

    /// The canonical priority of a connection with whoever listens there (BEP 40); `None` while our own address is not known.
    pub(super) fn rank(&self, addr: SocketAddr) -> Option<u32> {
        self.outside.rank(self.listen_port, addr).filter(|_| self.ranked)
    }

    /// Our own address is known now, or is another.
    fn reorder(&mut self) {
        if !self.ranked {
            return;
        }
        let (outside, port) = (&self.outside, self.listen_port);
        if let Some(book) = self.known.made() {
            book.change_all(|addr, known| known.order = outside.rank(port, *addr).map_or(known.order, order_of));
        }
    }

    /// How many may be dialled at once if there is room.
    pub(super) fn ready(&self, now: Instant, finished: bool) -> usize {
        let terms = Terms { room: 1, alone: false, finished };
        self.known.iter().filter(|(addr, known)| self.is_ready(addr, known, now, terms)).count()
    }

    /// The candidate has, or has not any more, every piece.
    pub(super) fn set_seed(&mut self, addr: SocketAddr, seed: bool) {
        self.known.need().change(canonical(&addr), |known| known.seed = seed);
    }

    /// Whether it took plaintext alone when it was dialled last.
    pub(super) fn takes_plaintext_alone(&self, addr: SocketAddr) -> bool {
        self.known.get(&canonical(&addr)).is_some_and(|known| known.plaintext_alone)
    }

    /// A dial brought a connection, in plaintext or not.
    pub(super) fn set_takes_plaintext_alone(&mut self, addr: SocketAddr, plaintext_alone: bool) {
        self.known.need().change(canonical(&addr), |known| {
            (known.plaintext_alone, known.unencrypted) = (plaintext_alone, false);
        });
    }

    /// How many are not connected because they took no MSE handshake.
    pub(super) fn unencrypted(&self) -> usize {
        self.known
            .iter()
            .map(|(_, known)| known)
            .filter(|known| known.unencrypted && !matches!(known.state, State::Connected(_)))
            .count()
    }

    /// All may be dialled at once again: the owner wants to go on.
    pub(super) fn wake(&mut self) {
        self.known.made().into_iter().for_each(|book| book.change_all(|_, known| known.rests_until = None));
    }
}

/// An IPv4 address mapped into IPv6 is the same peer as the IPv4 address.
pub(super) fn canonical(addr: &SocketAddr) -> SocketAddr {
    match addr {
        // An address of a link says nothing without the link.
        SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() => {
            SocketAddr::V6(SocketAddrV6::new(*v6.ip(), v6.port(), 0, v6.scope_id()))
        }
        _ => SocketAddr::new(addr.ip().to_canonical(), addr.port()),
    }
}

/// Whether a peer can listen there at all.
pub(super) fn is_dialable(addr: &SocketAddr) -> bool {
    let ip = addr.ip();
    let reserved = matches!(ip, IpAddr::V4(ip) if ip.octets()[0] == 0 || ip.octets()[0] >= 240);
    let no_link = matches!(addr, SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() && v6.scope_id() == 0);
    addr.port() != 0 && !no_link && !ip.is_unspecified() && !ip.is_multicast() && !reserved
}

#[cfg(test)]
mod tests;
