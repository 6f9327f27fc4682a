//! What a node does without being asked: it comes together with others, keeps its tables fresh, and forgets.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::command::Action;
use super::contact::{Contact, Family, is_local};
use super::exchanges::Purpose;
use super::id::Id;
use super::krpc::Query;
use super::limits::UPKEEP_INTERVAL;
use super::lookup::{Aim, Key};
use super::node::Node;
use super::security::{is_secure, secure_id};

/// Nodes of each family that are looked after at one time: enough for a table of 250 nodes in 15 minutes.
const PROBES: usize = 3;

impl Node {
    /// The time of the next timeout has come, or passed.
    pub(super) fn timeout(&mut self, now: Instant) {
        while let Some(overdue) = self.exchanges.overdue(now) {
            self.overdue(now, overdue);
        }
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let keys: Vec<Key> =
            self.lookups.iter().filter(|(_, lookup)| due(lookup.next_timeout())).map(|(key, _)| *key).collect();
        keys.into_iter().for_each(|key| self.step(now, key));
        self.next_in_turn(now);
        if now >= self.upkeep_at {
            self.upkeep_at = now + UPKEEP_INTERVAL;
            self.upkeep(now);
        }
    }

    /// While few nodes are known, looks for those close to ourselves (BEP 5), when there is somebody to ask.
    pub(super) fn bootstrap(&mut self, now: Instant) {
        for family in Family::ALL {
            let Some(side) = self.side_mut(family) else { continue };
            if side.wants_bootstrap(now) {
                let own = side.id();
                self.look_up_own(now, own, family);
            }
        }
    }

    /// Somebody named a node: one ping (THREATS D8, D9).
    pub(super) fn add_node(&mut self, now: Instant, addr: SocketAddr, id: Option<Id>) {
        let Some(side) = self.side_mut(Family::of(addr.ip())) else { return };
        if crate::tracker::dialable(addr) && side.hint(addr, id) {
            self.ping_hints(now);
        }
    }

    /// Our address is this, as far as anybody can tell. An id that does not fit it is replaced (BEP 42).
    pub(super) fn set_external(&mut self, now: Instant, ip: IpAddr) {
        let random = self.secrets.bytes();
        let family = Family::of(ip);
        let Some(side) = self.side_mut(family) else { return };
        if side.external == Some(ip) || is_local(ip) {
            return;
        }
        side.take_external(now, ip);
        let moved = !is_secure(side.id(), ip);
        if moved {
            side.take_id(now, secure_id(ip, random));
        }
        let id = side.id();
        self.actions.push_back(Action::IdChanged { family, id, external: ip });
        if moved {
            self.look_up_own(now, id, family);
        }
    }

    fn upkeep(&mut self, now: Instant) {
        self.shelf.peers.expire(now);
        self.shelf.items.expire(now);
        self.ping_hints(now);
        if self.read_only {
            return;
        }
        for family in Family::ALL {
            let Some(side) = self.side_mut(family) else { continue };
            let own = side.id();
            let probes: Vec<Contact> = (0..PROBES).map_while(|_| side.table.next_probe(now)).collect();
            let refresh = side.table.next_refresh(now);
            for contact in probes {
                self.ask(now, contact.addr, Some(contact.id), Purpose::Ping, Query::Ping);
            }
            if let Some(bits) = refresh {
                let target = Id(self.secrets.bytes()).beside(own, bits);
                self.look_up_own(now, target, family);
            }
        }
    }

    fn look_up_own(&mut self, now: Instant, target: Id, family: Family) {
        self.own_lookups += 1;
        self.look_up(now, Key::Own(self.own_lookups), target, Aim::Nodes, Some(family));
    }

    /// Sends named addresses their ping, as fast as strangers may be pinged; the rest comes with the next upkeep.
    fn ping_hints(&mut self, now: Instant) {
        for family in Family::ALL {
            while self.side_mut(family).is_some_and(|side| side.has_hints()) && self.gate.may_ping(now) {
                let Some(addr) = self.side_mut(family).and_then(|side| side.next_hint()) else { break };
                self.ask(now, addr, None, Purpose::Ping, Query::Ping);
            }
        }
    }
}
