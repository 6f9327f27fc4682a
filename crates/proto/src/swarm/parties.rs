//! How many connections each party has: whoever is turned away asks, and thousands may be in a row.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::swarm::peer::Who;
use crate::swarm::reach::party;

/// The parties of all peers but web seeds.
#[derive(Debug, Default)]
pub(super) struct Parties {
    count: BTreeMap<IpAddr, usize>,
    by_count: BTreeSet<(usize, IpAddr)>,
}

impl Parties {
    pub(super) const NONE: Self = Self { count: BTreeMap::new(), by_count: BTreeSet::new() };

    pub(super) fn is_empty(&self) -> bool {
        self.count.is_empty()
    }

    /// A connection has begun.
    pub(super) fn begins(&mut self, who: &Who) {
        if who.web_seed.is_none() {
            self.change(party(who.addr.ip()), |count| count + 1);
        }
    }

    /// A connection has ended.
    pub(super) fn ends(&mut self, who: &Who) {
        if who.web_seed.is_none() {
            self.change(party(who.addr.ip()), |count| count.saturating_sub(1));
        }
    }

    fn change(&mut self, party: IpAddr, change: impl Fn(usize) -> usize) {
        let before = self.count.remove(&party).unwrap_or_default();
        self.by_count.remove(&(before, party));
        let count = change(before);
        if count > 0 {
            self.count.insert(party, count);
            self.by_count.insert((count, party));
        }
    }

    /// How many the party of an address has.
    pub(super) fn of(&self, ip: IpAddr) -> usize {
        self.count.get(&party(ip)).copied().unwrap_or_default()
    }

    /// Whether it says the same as counting them anew.
    #[cfg(test)]
    pub(super) fn is_of<'a>(&self, all: impl Iterator<Item = &'a Who>) -> bool {
        let mut anew = Self::default();
        all.for_each(|who| anew.begins(who));
        let by_count: BTreeSet<_> = anew.count.iter().map(|(party, count)| (*count, *party)).collect();
        (&self.count, &self.by_count) == (&anew.count, &by_count)
    }

    /// The party that has most, and how many. Whoever tests on one machine is none.
    pub(super) fn largest(&self) -> Option<(usize, IpAddr)> {
        self.by_count.iter().rev().find(|(_, party)| !party.is_loopback()).copied()
    }
}
