//! What a node is in one family: its id, its address, the nodes that it knows (BEP 32).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::contact::{Contact, Family};
use super::id::Id;
use super::limits::{BOOTSTRAP_RETRY, EXTERNAL_PERIOD, K, MAX_BOOTSTRAP_RETRY, MAX_HINTS, MAX_ROUTERS, START_NODES};
use super::search::Search;
use super::table::{Rules, Table};
use super::votes::Votes;

/// An address that was named as a node's.
#[derive(Clone, Copy, Debug)]
struct Hint {
    id: Option<Id>,
    pinged: bool,
}

/// One of the two DHTs, as we see it.
#[derive(Debug)]
pub(super) struct Side {
    pub(super) family: Family,
    pub(super) table: Table,
    votes: Votes,
    /// Our address as others see it, once enough agree.
    pub(super) external: Option<IpAddr>,
    /// Named addresses that have not answered yet.
    hints: BTreeMap<SocketAddr, Hint>,
    routers: Vec<SocketAddr>,
    external_since: Instant,
    bootstrap_at: Instant,
    bootstrap_pause: Duration,
}

impl Side {
    pub(super) fn new(now: Instant, family: Family, id: Id, external: Option<IpAddr>, rules: Rules) -> Self {
        Self {
            family,
            table: Table::new(now, id, rules),
            votes: Votes::default(),
            external,
            hints: BTreeMap::new(),
            routers: Vec::new(),
            external_since: now,
            bootstrap_at: now,
            bootstrap_pause: BOOTSTRAP_RETRY,
        }
    }

    pub(super) fn id(&self) -> Id {
        self.table.own()
    }

    /// Counts what a node says about our address. Returns the address to believe from now on, if it is another.
    pub(super) fn vote(&mut self, now: Instant, voter: IpAddr, says: IpAddr) -> Option<IpAddr> {
        let settled = self.external.is_some() && now.saturating_duration_since(self.external_since) < EXTERNAL_PERIOD;
        let decided = self.votes.add(voter, says);
        decided.filter(|ip| !settled && self.external != Some(*ip))
    }

    /// Believes that our address is this.
    pub(super) fn take_external(&mut self, now: Instant, ip: IpAddr) {
        (self.external, self.external_since, self.votes) = (Some(ip), now, Votes::default());
    }

    /// Remembers an address that was named. False: it is known already, or there are too many.
    pub(super) fn hint(&mut self, addr: SocketAddr, id: Option<Id>) -> bool {
        if self.table.has(addr) || self.hints.contains_key(&addr) || self.hints.len() >= MAX_HINTS {
            return false;
        }
        self.hints.insert(addr, Hint { id, pinged: false });
        true
    }

    /// The next named address that has not been sent its ping; each is sent one (THREATS D9).
    pub(super) fn next_hint(&mut self) -> Option<SocketAddr> {
        let (addr, hint) = self.hints.iter_mut().find(|(_, hint)| !hint.pinged)?;
        hint.pinged = true;
        Some(*addr)
    }

    /// Whether named addresses wait for their ping.
    pub(super) fn has_hints(&self) -> bool {
        self.hints.values().any(|hint| !hint.pinged)
    }

    /// Forgets a named address: it has answered, or will not.
    pub(super) fn forget_hint(&mut self, addr: SocketAddr) {
        self.hints.remove(&addr);
    }

    pub(super) fn add_router(&mut self, now: Instant, addr: SocketAddr) {
        if !self.routers.contains(&addr) && self.routers.len() < MAX_ROUTERS {
            self.routers.push(addr);
            self.bootstrap_at = now;
        }
    }

    /// Gives a new search the nodes that it starts from: the closest of the table; when they are few, named ones too; when there
    /// are none, the routers.
    pub(super) fn start(&self, now: Instant, search: &mut Search) {
        let closest = self.table.closest(now, search.target(), START_NODES);
        let few = closest.len() < K;
        closest.into_iter().for_each(|contact| search.add(contact));
        if few {
            let named = self.hints.iter().filter_map(|(addr, hint)| Some(Contact { id: hint.id?, addr: *addr }));
            let mut named: Vec<Contact> = named.collect();
            named.sort_by_key(|contact| search.target().distance(contact.id));
            named.into_iter().take(K).for_each(|contact| search.add(contact));
        }
        if self.table.alive() == 0 {
            self.routers.iter().for_each(|addr| search.add_nameless(*addr));
        }
    }

    /// Whether it is time to look for nodes close to ourselves because few are known. If so, the next time is later.
    pub(super) fn wants_bootstrap(&mut self, now: Instant) -> bool {
        if now < self.bootstrap_at || !self.has_somebody() {
            return false;
        }
        if self.table.alive() >= K {
            self.bootstrap_pause = BOOTSTRAP_RETRY;
            return false;
        }
        self.bootstrap_at = now + self.bootstrap_pause;
        self.bootstrap_pause = (self.bootstrap_pause * 2).min(MAX_BOOTSTRAP_RETRY);
        true
    }

    /// When the next try is due, if there will be one.
    pub(super) fn next_bootstrap(&self) -> Option<Instant> {
        (self.has_somebody() && self.table.alive() < K).then_some(self.bootstrap_at)
    }

    /// Whether there is somebody whom a search could start from.
    fn has_somebody(&self) -> bool {
        self.table.len() > 0 || !self.routers.is_empty() || self.hints.values().any(|hint| hint.id.is_some())
    }

    /// The nodes close to us are to be looked for soon: somebody new is there to ask, or our id is new.
    pub(super) fn hurry_bootstrap(&mut self, now: Instant) {
        self.bootstrap_at = now;
    }

    /// Takes another id: the table is laid out around it.
    pub(super) fn take_id(&mut self, now: Instant, id: Id) {
        self.table = self.table.moved(now, id);
        self.hurry_bootstrap(now);
    }
}
