//! The routing table of one family: which nodes are known (BEP 5, Routing Table).
//!
//! Only nodes that have answered us are in it. So nobody gets into it by sending packets, by being named, or under another's
//! address, and what is unverified replaces nothing (THREATS D8).

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::contact::{Contact, Group};
use super::id::Id;
use super::limits::{GOOD_PERIOD, K, MAX_FAILURES, QUERY_TIMEOUT, REFRESH_PERIOD};
use super::security::is_secure;

/// What is known of a node (BEP 5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Standing {
    /// It answered within 15 minutes, or asked us something since.
    Good,
    /// Nothing was heard of it for 15 minutes.
    Questionable,
    /// It left several questions in a row unanswered.
    Bad,
}

/// A node that has answered at least once.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) contact: Contact,
    /// Whether its id fits its address (BEP 42).
    pub(super) secure: bool,
    /// The last sign of it: an answer, or a query after an answer.
    seen: Instant,
    /// When it was last asked only to see whether it is there.
    probed: Option<Instant>,
    failures: u8,
}

impl Entry {
    pub(super) fn standing(&self, now: Instant) -> Standing {
        if self.failures >= MAX_FAILURES {
            Standing::Bad
        } else if now.saturating_duration_since(self.seen) < GOOD_PERIOD {
            Standing::Good
        } else {
            Standing::Questionable
        }
    }

    fn group(&self) -> Option<Group> {
        Group::of(self.contact.addr.ip())
    }
}

/// The nodes whose ids share the same number of leading bits with ours; in the last bucket, at least that many.
#[derive(Clone, Debug)]
struct Bucket {
    entries: Vec<Entry>,
    /// Nodes that answered when there was no room, the latest at the end: they fill gaps.
    spares: Vec<Entry>,
    changed: Instant,
}

impl Bucket {
    fn new(now: Instant) -> Self {
        Self { entries: Vec::new(), spares: Vec::new(), changed: now }
    }
}

/// The rules that can be switched off to see what they are good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rules {
    /// Prefer nodes whose ids fit their addresses, in the table and in searches (BEP 42).
    pub secure_ids: bool,
    /// One node per /24 of IPv4 and /64 of IPv6 in a bucket and in a search.
    pub one_per_group: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self { secure_ids: true, one_per_group: true }
    }
}

/// The table.
#[derive(Debug)]
pub(super) struct Table {
    own: Id,
    rules: Rules,
    buckets: Vec<Bucket>,
}

impl Table {
    pub(super) fn new(now: Instant, own: Id, rules: Rules) -> Self {
        Self { own, rules, buckets: vec![Bucket::new(now)] }
    }

    /// The id that the buckets lie around.
    pub(super) fn own(&self) -> Id {
        self.own
    }

    /// The same nodes around another id of our own.
    pub(super) fn moved(&self, now: Instant, own: Id) -> Self {
        let mut table = Self::new(now, own, self.rules);
        let all = self.buckets.iter().flat_map(|bucket| bucket.entries.iter().chain(&bucket.spares));
        for entry in all {
            table.insert(now, entry.clone());
        }
        table
    }

    /// The node answered: it is put in if there is room for it.
    pub(super) fn answered(&mut self, now: Instant, contact: Contact) {
        if let Some(entry) = self.find_mut(contact.addr).filter(|entry| entry.contact.id == contact.id) {
            (entry.seen, entry.failures, entry.probed) = (now, 0, None);
            let bucket = self.bucket_of(contact.id);
            self.buckets[bucket].changed = now;
            return;
        }
        // A node that came back with a new id, or one that lies; or a spare of which newer things are known now.
        self.remove(contact.addr);
        let secure = is_secure(contact.id, contact.addr.ip());
        self.insert(now, Entry { contact, secure, seen: now, probed: None, failures: 0 });
    }

    /// The node asked us something. Whoever never answered stays out.
    pub(super) fn asked(&mut self, now: Instant, contact: Contact) {
        if let Some(entry) = self.find_mut(contact.addr).filter(|entry| entry.contact.id == contact.id) {
            // A sign of life of a node that has answered before makes it good (BEP 5), unless it fails to answer now.
            if entry.failures == 0 {
                entry.seen = now;
            }
        }
    }

    /// The node did not answer in time, or not as it must.
    pub(super) fn failed(&mut self, now: Instant, addr: SocketAddr) {
        let Some(entry) = self.find_mut(addr) else { return };
        entry.failures = entry.failures.saturating_add(1);
        let id = entry.contact.id;
        let bucket = self.bucket_of(id);
        self.fill_gap(now, bucket);
    }

    /// Whether a node with this id at this address could be put in if it answered: worth a ping.
    pub(super) fn has_room(&self, now: Instant, contact: Contact) -> bool {
        if contact.id == self.own || self.find(contact.addr).is_some() {
            return false;
        }
        let secure = is_secure(contact.id, contact.addr.ip());
        if self.is_taken(now, &Entry { contact, secure, seen: now, probed: None, failures: 0 }) {
            return false;
        }
        let bucket = &self.buckets[self.bucket_of(contact.id)];
        let splits = self.bucket_of(contact.id) + 1 == self.buckets.len() && self.buckets.len() < Id::BITS;
        let ours = Group::of(contact.addr.ip()).filter(|_| self.rules.one_per_group);
        let crowded = ours.is_some() && bucket.entries.iter().any(|entry| entry.group() == ours);
        let gap = bucket.entries.len() < K
            || bucket.entries.iter().any(|entry| entry.standing(now) == Standing::Bad)
            || (self.rules.secure_ids && secure && bucket.entries.iter().any(|entry| !entry.secure));
        !crowded && (splits || gap)
    }

    /// Whether this node is in the table, at this address.
    pub(super) fn has(&self, addr: SocketAddr) -> bool {
        self.find(addr).is_some()
    }

    /// The closest `count` nodes to a point that are good, nearest first; bad ones only if there are too few others.
    pub(super) fn closest(&self, now: Instant, target: Id, count: usize) -> Vec<Contact> {
        let mut all: Vec<(bool, Contact)> =
            self.entries().map(|entry| (entry.standing(now) == Standing::Bad, entry.contact)).collect();
        all.sort_by_key(|(bad, contact)| (*bad, target.distance(contact.id)));
        all.truncate(count);
        all.into_iter().map(|(_, contact)| contact).collect()
    }

    /// The closest `count` nodes to a point that may be told to others: the good ones (BEP 5).
    pub(super) fn closest_good(&self, now: Instant, target: Id, count: usize) -> Vec<Contact> {
        let good = self.entries().filter(|entry| entry.standing(now) == Standing::Good);
        let mut all: Vec<Contact> = good.map(|entry| entry.contact).collect();
        all.sort_by_key(|contact| target.distance(contact.id));
        all.truncate(count);
        all
    }

    /// A node to look after, if it is time: the one of which the longest nothing was heard. One that has just failed is asked
    /// once more at the next chance (BEP 5); a bad one every 15 minutes, as long as nobody has taken its place.
    pub(super) fn next_probe(&mut self, now: Instant) -> Option<Contact> {
        let due = |entry: &&mut Entry| {
            let pause = match entry.standing(now) {
                Standing::Good if entry.failures == 0 => return false,
                Standing::Good | Standing::Questionable => QUERY_TIMEOUT,
                Standing::Bad => GOOD_PERIOD,
            };
            entry.probed.is_none_or(|probed| now.saturating_duration_since(probed) > pause)
        };
        let entries = self.buckets.iter_mut().flat_map(|bucket| &mut bucket.entries);
        let entry = entries.filter(due).min_by_key(|entry| (entry.standing(now) == Standing::Bad, entry.seen))?;
        entry.probed = Some(now);
        Some(entry.contact)
    }

    /// A bucket without a change for too long: how many bits its nodes share with our id. It counts as changed from now on.
    pub(super) fn next_refresh(&mut self, now: Instant) -> Option<usize> {
        let stale = |bucket: &Bucket| now.saturating_duration_since(bucket.changed) >= REFRESH_PERIOD;
        let index = self.buckets.iter().position(stale)?;
        self.buckets[index].changed = now;
        Some(index)
    }

    /// All nodes, in the order of the buckets.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.buckets.iter().flat_map(|bucket| &bucket.entries)
    }

    /// How many nodes are not bad.
    pub(super) fn alive(&self) -> usize {
        self.entries().filter(|entry| entry.failures < MAX_FAILURES).count()
    }

    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.entries.len()).sum()
    }

    /// How many buckets there are.
    pub(super) fn bucket_count(&self) -> usize {
        self.buckets.len()
    }

    fn bucket_of(&self, id: Id) -> usize {
        self.own.shared_bits(id).min(self.buckets.len() - 1)
    }

    fn find(&self, addr: SocketAddr) -> Option<&Entry> {
        self.entries().find(|entry| entry.contact.addr == addr)
    }

    fn find_mut(&mut self, addr: SocketAddr) -> Option<&mut Entry> {
        self.buckets.iter_mut().flat_map(|bucket| &mut bucket.entries).find(|entry| entry.contact.addr == addr)
    }

    fn remove(&mut self, addr: SocketAddr) {
        for bucket in &mut self.buckets {
            bucket.entries.retain(|entry| entry.contact.addr != addr);
            bucket.spares.retain(|entry| entry.contact.addr != addr);
        }
    }

    fn insert(&mut self, now: Instant, entry: Entry) {
        let id = entry.contact.id;
        if id == self.own || self.is_taken(now, &entry) {
            return;
        }
        let twin = |other: &Entry| other.contact.id == id || self.same_ip(other, &entry);
        let twins: Vec<SocketAddr> =
            self.entries().filter(|other| twin(other)).map(|other| other.contact.addr).collect();
        twins.into_iter().for_each(|twin| self.remove(twin));
        loop {
            let index = self.bucket_of(id);
            let splits = index + 1 == self.buckets.len() && self.buckets.len() < Id::BITS;
            let bucket = &mut self.buckets[index];
            if let Some(rival) = self.rules.one_per_group.then(|| rival(&bucket.entries, &entry)).flatten() {
                let weaker = bucket.entries[rival].standing(now) == Standing::Bad
                    || (self.rules.secure_ids && entry.secure && !bucket.entries[rival].secure);
                if weaker {
                    bucket.entries[rival] = entry;
                    bucket.changed = now;
                }
                return;
            }
            if bucket.entries.len() < K {
                bucket.entries.push(entry);
                bucket.changed = now;
                return;
            }
            if let Some(place) = replaceable(&bucket.entries, &entry, now, self.rules) {
                bucket.entries[place] = entry;
                bucket.changed = now;
                return;
            }
            if !splits {
                bucket.spares.retain(|spare| spare.contact != entry.contact);
                if bucket.spares.len() == K {
                    bucket.spares.remove(0);
                }
                bucket.spares.push(entry);
                return;
            }
            self.split(now);
        }
    }

    /// Whether another node has this id already, or this address (outside of local networks), and is not bad: an id is not
    /// taken over from whoever has it.
    fn is_taken(&self, now: Instant, entry: &Entry) -> bool {
        let yields = |other: &Entry| entry.secure && !other.secure;
        self.entries().any(|other| {
            let same_id = other.contact.id == entry.contact.id;
            (same_id || (self.same_ip(other, entry) && !yields(other))) && other.standing(now) != Standing::Bad
        })
    }

    /// Whether both are at one address, of which there may be one node.
    fn same_ip(&self, one: &Entry, other: &Entry) -> bool {
        self.rules.one_per_group && ip_of(one) == ip_of(other) && one.group().is_some()
    }

    /// Divides the last bucket: the ids that share a bit more with ours go to a new one.
    fn split(&mut self, now: Instant) {
        let bits = self.buckets.len() - 1;
        let own = self.own;
        let Some(last) = self.buckets.last_mut() else { return };
        let closer = |entry: &Entry| own.shared_bits(entry.contact.id) > bits;
        let (entries, stay): (Vec<Entry>, Vec<Entry>) = last.entries.drain(..).partition(closer);
        let (spares, spares_stay): (Vec<Entry>, Vec<Entry>) = last.spares.drain(..).partition(closer);
        (last.entries, last.spares) = (stay, spares_stay);
        let changed = last.changed;
        self.buckets.push(Bucket { entries, spares, changed });
        for index in [bits, bits + 1] {
            self.fill_gap(now, index);
        }
    }

    /// Puts spares in the places of bad nodes and in empty ones.
    fn fill_gap(&mut self, now: Instant, index: usize) {
        loop {
            let bucket = &mut self.buckets[index];
            let bad = bucket.entries.iter().position(|entry| entry.standing(now) == Standing::Bad);
            if bad.is_none() && bucket.entries.len() >= K {
                return;
            }
            let Some(spare) = bucket.spares.pop() else { return };
            let rival = self.rules.one_per_group.then(|| rival(&bucket.entries, &spare)).flatten();
            let fits = rival.is_none() || rival == bad;
            if !fits || spare.standing(now) == Standing::Bad || self.is_taken(now, &spare) {
                continue;
            }
            let bucket = &mut self.buckets[index];
            match bad {
                Some(place) => bucket.entries[place] = spare,
                None => bucket.entries.push(spare),
            }
            bucket.changed = now;
        }
    }
}

fn ip_of(entry: &Entry) -> IpAddr {
    entry.contact.addr.ip()
}

/// The node of the same group, if there is one.
fn rival(entries: &[Entry], entry: &Entry) -> Option<usize> {
    let group = entry.group()?;
    entries.iter().position(|other| other.group() == Some(group))
}

/// Which node of a full bucket gives way: a bad one; or for one with a secure id, one without.
fn replaceable(entries: &[Entry], entry: &Entry, now: Instant, rules: Rules) -> Option<usize> {
    let bad = entries.iter().position(|other| other.standing(now) == Standing::Bad);
    bad.or_else(|| {
        let weak = |other: &Entry| rules.secure_ids && entry.secure && !other.secure;
        entries.iter().position(weak)
    })
}

#[cfg(test)]
mod tests;
