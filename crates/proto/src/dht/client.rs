//! Asking others: lookups step by step, and what answers and silence mean.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::command::Action;
use super::contact::{Contact, Family, is_plausible};
use super::exchanges::{Exchange, Overdue, Purpose};
use super::id::Id;
use super::krpc::{Response, Want};
use super::limits::{K, MAX_LOOKUPS};
use super::lookup::{Aim, Key, Lookup, LookupId};
use super::node::Node;
use super::search::Search;
use super::side::Side;

impl Node {
    /// Has a lookup of our side wait its turn, which may be at once.
    pub(super) fn queue(&mut self, now: Instant, id: LookupId, target: Id, aim: Aim) {
        self.waiting.push_back((id, target, aim));
        self.next_in_turn(now);
    }

    /// Starts a lookup, in both families if none is said.
    pub(super) fn look_up(&mut self, now: Instant, key: Key, target: Id, aim: Aim, family: Option<Family>) {
        let mut lookup = Lookup::new(now, target, aim);
        for side in self.sides.iter().flatten() {
            if family.is_none_or(|family| family == side.family) {
                let mut search = Search::new(now, side.family, target, self.rules);
                side.start(now, &mut search);
                lookup.searches.push(search);
            }
        }
        self.lookups.insert(key, lookup);
        self.step(now, key);
    }

    /// Ends lookups without a word.
    pub(super) fn stop(&mut self, now: Instant, which: impl Fn(Key, Id, &Aim) -> bool) {
        self.waiting.retain(|(id, target, aim)| !which(Key::User(*id), *target, aim));
        self.lookups.retain(|key, lookup| !which(*key, lookup.target(), &lookup.aim));
        self.next_in_turn(now);
    }

    /// Does what a lookup can do now: asks, stores, or ends.
    pub(super) fn step(&mut self, now: Instant, key: Key) {
        let Some(lookup) = self.lookups.get_mut(&key) else { return };
        lookup.searches.iter_mut().for_each(|search| search.lose_patience(now));
        self.ask_next(now, key);
        let Some(lookup) = self.lookups.get_mut(&key) else { return };
        if lookup.storing.is_none() && lookup.is_found() {
            lookup.storing = Some(0);
            for (contact, token) in lookup.storers() {
                let Some(query) = self.lookups.get(&key).and_then(|lookup| lookup.store(&token)) else { break };
                if self.ask(now, contact.addr, Some(contact.id), Purpose::Store(key), query)
                    && let Some(lookup) = self.lookups.get_mut(&key)
                {
                    lookup.storing = lookup.storing.map(|left| left + 1);
                }
            }
        }
        if self.lookups.get(&key).is_some_and(|lookup| lookup.storing == Some(0)) {
            let Some(lookup) = self.lookups.remove(&key) else { return };
            if let Key::User(id) = key {
                self.actions.push_back(Action::LookupDone { id, report: Box::new(lookup.report(now)) });
            }
            self.next_in_turn(now);
        }
    }

    fn ask_next(&mut self, now: Instant, key: Key) {
        for family in Family::ALL {
            let want = self.want(family);
            loop {
                let Some(lookup) = self.lookups.get_mut(&key).filter(|lookup| lookup.storing.is_none()) else { return };
                let Some(next) = lookup.search_mut(family).and_then(|search| search.next()) else { break };
                let query = lookup.question(want);
                if !self.ask(now, next.addr, next.id, Purpose::Step(key), query)
                    && let Some(search) = self.lookups.get_mut(&key).and_then(|lookup| lookup.search_mut(family))
                {
                    search.failed(next.addr);
                }
            }
        }
    }

    /// Which nodes to ask a node of this family for: those of the other too, while few of them are known (BEP 32).
    fn want(&self, family: Family) -> Want {
        let poor = |family| self.side(family).is_some_and(|side| side.table.len() < K);
        match family {
            Family::V4 if poor(Family::V6) => Want { v4: true, v6: true },
            Family::V6 if poor(Family::V4) => Want { v4: true, v6: true },
            Family::V4 | Family::V6 => Want::default(),
        }
    }

    /// Starts lookups that wait, as many as may run and as fast as those who are asked for them bear it.
    pub(super) fn next_in_turn(&mut self, now: Instant) {
        while self.lookups.len() < MAX_LOOKUPS
            && !self.waiting.is_empty()
            && self.pace.may_start(now)
            && let Some((id, target, aim)) = self.waiting.pop_front()
        {
            let known: usize = self.sides.iter().flatten().map(|side| side.table.len()).sum();
            self.pace.started(now, known);
            self.look_up(now, Key::User(id), target, aim, None);
        }
    }

    /// An answer came.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        from: SocketAddr,
        transaction: &[u8],
        ip: Option<SocketAddr>,
        response: &Response,
    ) {
        let Some(exchange) = self.exchanges.end(now, from, transaction) else { return self.unasked(now, from) };
        self.traffic.answers += 1;
        self.gate.prove(now, from);
        let contact = Contact { id: response.id, addr: from };
        if exchange.id.is_some_and(|id| id != response.id) {
            // Whoever is there is not who we were told: the one that we meant does not answer.
            self.fail(now, exchange);
            self.meet_answerer(now, contact);
            return;
        }
        self.meet_answerer(now, contact);
        if let Some(ip) = ip {
            self.vote(now, from.ip(), ip.ip());
        }
        match exchange.purpose {
            Purpose::Ping => {}
            Purpose::Step(key) => self.stepped(now, key, contact, response),
            Purpose::Store(key) => {
                if let Some(lookup) = self.lookups.get_mut(&key) {
                    lookup.stored(None);
                }
                self.step(now, key);
            }
        }
    }

    /// An error came: the node is there, but this question is not answered.
    pub(super) fn refused(
        &mut self,
        now: Instant,
        from: SocketAddr,
        transaction: &[u8],
        ip: Option<SocketAddr>,
        code: i64,
    ) {
        let Some(exchange) = self.exchanges.end(now, from, transaction) else { return self.unasked(now, from) };
        self.gate.prove(now, from);
        if let Some(ip) = ip {
            self.vote(now, from.ip(), ip.ip());
        }
        match exchange.purpose {
            Purpose::Ping => self.fail(now, exchange),
            Purpose::Step(key) => self.skip(now, key, from),
            Purpose::Store(key) => {
                if let Some(lookup) = self.lookups.get_mut(&key) {
                    lookup.stored(Some(code));
                }
                self.step(now, key);
            }
        }
    }

    /// An answer came that cannot be read: the node fails (THREATS D7).
    pub(super) fn broken(&mut self, now: Instant, from: SocketAddr, transaction: &[u8]) {
        match self.exchanges.end(now, from, transaction) {
            Some(exchange) => self.fail(now, exchange),
            None => self.unasked(now, from),
        }
    }

    /// Time has passed for a query.
    pub(super) fn overdue(&mut self, now: Instant, overdue: Overdue) {
        match overdue {
            Overdue::Late(exchange) => {
                let Purpose::Step(key) = exchange.purpose else { return };
                let family = Family::of(exchange.to.ip());
                if let Some(search) = self.lookups.get_mut(&key).and_then(|lookup| lookup.search_mut(family)) {
                    search.late(now, exchange.to);
                }
                self.step(now, key);
            }
            Overdue::Lost(exchange) => self.fail(now, exchange),
        }
    }

    /// A reply that nobody asked for (THREATS D6).
    fn unasked(&mut self, now: Instant, from: SocketAddr) {
        self.gate.admit(now, from.ip());
        self.traffic.ignored += 1;
    }

    fn stepped(&mut self, now: Instant, key: Key, contact: Contact, response: &Response) {
        let family = Family::of(contact.addr.ip());
        let ids = self.sides.each_ref().map(|side| side.as_ref().map(Side::id));
        let ips = self.sides.each_ref().map(|side| side.as_ref().and_then(|side| side.external));
        let Some(lookup) = self.lookups.get_mut(&key) else { return };
        let catch = lookup.answered(contact, response);
        if let Some(search) = lookup.search_mut(family) {
            search.answered(contact, response.token.clone());
        }
        for node in response.nodes.iter().flatten().chain(response.nodes6.iter().flatten()) {
            let ours = ids.contains(&Some(node.id)) || ips.contains(&Some(node.addr.ip()));
            if !ours
                && is_plausible(node.addr, contact.addr.ip())
                && let Some(search) = lookup.search_mut(Family::of(node.addr.ip()))
            {
                search.add(*node);
            }
        }
        if let Key::User(id) = key {
            if !catch.peers.is_empty() {
                let info_hash = lookup.target().into();
                self.actions.push_back(Action::Peers { id, info_hash, peers: catch.peers });
            }
            if let Some(item) = catch.item {
                self.actions.push_back(Action::Item { id, item });
            }
        }
        self.step(now, key);
    }

    /// The node that was asked did not answer, or not as it must.
    fn fail(&mut self, now: Instant, exchange: Exchange) {
        let family = Family::of(exchange.to.ip());
        if let Some(side) = self.side_mut(family) {
            side.table.failed(now, exchange.to);
            side.forget_hint(exchange.to);
        }
        match exchange.purpose {
            Purpose::Ping => {}
            Purpose::Step(key) => self.skip(now, key, exchange.to),
            Purpose::Store(key) => {
                if let Some(lookup) = self.lookups.get_mut(&key) {
                    lookup.store_lost();
                }
                self.step(now, key);
            }
        }
    }

    fn skip(&mut self, now: Instant, key: Key, addr: SocketAddr) {
        if let Some(search) = self.lookups.get_mut(&key).and_then(|lookup| lookup.search_mut(Family::of(addr.ip()))) {
            search.failed(addr);
        }
        self.step(now, key);
    }

    /// A node has answered: it goes into the table, and to lookups that have nobody to ask.
    fn meet_answerer(&mut self, now: Instant, contact: Contact) {
        let family = Family::of(contact.addr.ip());
        let Some(side) = self.side_mut(family) else { return };
        side.forget_hint(contact.addr);
        let first = side.table.len() == 0;
        side.table.answered(now, contact);
        if first {
            side.hurry_bootstrap(now);
        }
        let lonely = |lookup: &mut Lookup| lookup.search_mut(family).is_some_and(|search| search.is_nodeless());
        let keys: Vec<Key> =
            self.lookups.iter_mut().filter_map(|(key, lookup)| lonely(lookup).then_some(*key)).collect();
        for key in keys {
            if let Some(search) = self.lookups.get_mut(&key).and_then(|lookup| lookup.search_mut(family)) {
                search.add(contact);
            }
            self.step(now, key);
        }
    }

    fn vote(&mut self, now: Instant, voter: IpAddr, says: IpAddr) {
        let decided = self.side_mut(Family::of(voter)).and_then(|side| side.vote(now, voter, says));
        if let Some(ip) = decided {
            self.set_external(now, ip);
        }
    }
}
