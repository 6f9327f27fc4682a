//! One question to the DHT: searches in each family, and what they bring together.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::bloom::BloomFilter;
use super::contact::{Contact, Family, is_plausible};
use super::id::Id;
use super::item::{Item, ItemName, MutableItem};
use super::krpc::{Put, Query, Response, Signed, Want};
use super::limits::{K, MAX_PEERS_PER_LOOKUP};
use super::search::Search;

/// Names a lookup for as long as it lives; whoever starts it chooses the number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LookupId(pub u64);

/// Whose lookup it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Key {
    /// Asked for from outside.
    User(LookupId),
    /// Upkeep of the tables.
    Own(u64),
}

/// How we are announced at the end of a lookup for peers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Announce {
    /// The port that takes connections.
    pub port: u16,
    /// Whether nodes shall take the port that our packets come from: right when peers connect to the same UDP port (uTP) or
    /// when a NAT chooses the number (BEP 5).
    pub implied_port: bool,
    /// Whether we have it all (BEP 33).
    pub seed: bool,
}

/// What a lookup is after.
#[derive(Clone, Debug)]
pub(super) enum Aim {
    /// The closest nodes.
    Nodes,
    /// Peers of a torrent.
    Peers { announce: Option<Announce>, scrape: bool, no_seed: bool },
    /// An item.
    Item(ItemName),
    /// To have an item kept.
    Keep { item: Item, cas: Option<i64> },
}

/// What a lookup came to.
#[derive(Clone, PartialEq, Debug)]
pub struct LookupReport {
    /// What was looked for: an info-hash, the target of an item, an id.
    pub target: Id,
    /// How long it took.
    pub took: Duration,
    /// How many nodes were asked.
    pub asked: u32,
    /// How many of them answered.
    pub answered: u32,
    /// How many peers were found.
    pub peers: u32,
    /// At how many nodes we are announced or the item is kept now.
    pub stored_at: u32,
    /// The number of the last refusal to store, see [`ErrorCode`](super::krpc::ErrorCode): 302 says that a newer item is there.
    pub refused: Option<i64>,
    /// The closest nodes that answered, at most 8 of each family.
    pub closest: Vec<Contact>,
    /// The size of the swarm, if it was asked for and some node told.
    pub scrape: Option<Scrape>,
    /// The highest sequence number that was seen of a mutable item.
    pub newest: Option<i64>,
}

#[cfg(test)]
impl LookupReport {
    /// The report of a lookup that asked nine nodes.
    pub(super) fn of(answered: u32, peers: u32) -> Self {
        Self {
            target: Id([0; 20]),
            took: Duration::ZERO,
            asked: 9,
            answered,
            peers,
            stored_at: 0,
            refused: None,
            closest: Vec::new(),
            scrape: None,
            newest: None,
        }
    }
}

/// The size of a swarm as the DHT knows it, roughly (BEP 33).
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Scrape {
    /// Peers that have it all.
    pub seeds: f64,
    /// All others.
    pub downloaders: f64,
}

/// What one answer brought.
#[derive(Debug, Default)]
pub(super) struct Catch {
    /// Peers that no answer named before.
    pub(super) peers: Vec<SocketAddr>,
    /// An item that is newer than what was known.
    pub(super) item: Option<Item>,
}

/// A lookup under way.
#[derive(Debug)]
pub(super) struct Lookup {
    pub(super) aim: Aim,
    pub(super) searches: SmallVec<[Search; 2]>,
    /// Stores that are not answered yet; `None`: still searching.
    pub(super) storing: Option<u32>,
    target: Id,
    started: Instant,
    asked: u32,
    answered: u32,
    stored_at: u32,
    refused: Option<i64>,
    newest: Option<i64>,
    peers: BTreeSet<SocketAddr>,
    /// What is enough: an immutable item was found.
    satisfied: bool,
    census: Option<Box<Census>>,
}

/// Filters of several nodes put together (BEP 33).
#[derive(Debug, Default)]
struct Census {
    seeds: BloomFilter,
    downloaders: BloomFilter,
    /// Peers out of answers without filters.
    uncounted: BTreeSet<IpAddr>,
    told: bool,
}

impl Lookup {
    pub(super) fn new(now: Instant, target: Id, aim: Aim) -> Self {
        let scrape = matches!(aim, Aim::Peers { scrape: true, .. });
        Self {
            aim,
            searches: SmallVec::new(),
            storing: None,
            target,
            started: now,
            asked: 0,
            answered: 0,
            stored_at: 0,
            refused: None,
            newest: None,
            peers: BTreeSet::new(),
            satisfied: false,
            census: scrape.then(Box::default),
        }
    }

    pub(super) fn target(&self) -> Id {
        self.target
    }

    pub(super) fn search_mut(&mut self, family: Family) -> Option<&mut Search> {
        self.searches.iter_mut().find(|search| search.family() == family)
    }

    /// The question that is put to nodes on the way.
    pub(super) fn question(&mut self, want: Want) -> Query {
        self.asked += 1;
        match &self.aim {
            Aim::Nodes => Query::FindNode { target: self.target, want },
            Aim::Peers { scrape, no_seed, .. } => {
                Query::GetPeers { info_hash: self.target, want, no_seed: *no_seed, scrape: *scrape }
            }
            Aim::Item(_) | Aim::Keep { .. } => Query::Get { target: self.target, seq: None, want },
        }
    }

    /// What is left at a node that gave this token and lives at this address.
    pub(super) fn store(&self, token: &[u8]) -> Option<Query> {
        let token = token.to_vec();
        match &self.aim {
            Aim::Peers { announce: Some(announce), .. } => {
                let Announce { port, implied_port, seed } = *announce;
                Some(Query::AnnouncePeer { info_hash: self.target, port, implied_port, seed, token })
            }
            Aim::Keep { item, cas } => {
                let signed = match item {
                    Item::Immutable { .. } => None,
                    Item::Mutable(item) => Some(Signed {
                        key: *item.key(),
                        salt: item.salt().to_vec(),
                        seq: item.seq(),
                        signature: *item.signature(),
                    }),
                };
                let value = item.value().clone();
                Some(Query::Put(Box::new(Put { token, value, canonical: true, signed, cas: *cas })))
            }
            Aim::Nodes | Aim::Item(_) | Aim::Peers { announce: None, .. } => None,
        }
    }

    /// Takes the answer of a node.
    pub(super) fn answered(&mut self, contact: Contact, response: &Response) -> Catch {
        self.answered += 1;
        let mut catch = Catch::default();
        match &self.aim {
            Aim::Nodes => {}
            Aim::Peers { .. } => {
                for peer in &response.values {
                    let room = self.peers.len() < MAX_PEERS_PER_LOOKUP;
                    if room && is_plausible(*peer, contact.addr.ip()) && self.peers.insert(*peer) {
                        catch.peers.push(*peer);
                    }
                }
                self.count(response);
            }
            Aim::Item(name) => catch.item = self.item_of(name, response),
            Aim::Keep { item, .. } => {
                // What is there already is not what was asked for, but its number is of use.
                let there = self.item_of(&item.name(), response).and_then(|there| there.seq());
                self.newest = self.newest.max(there);
            }
        }
        if let Some(item) = &catch.item {
            self.satisfied = matches!(item, Item::Immutable { .. });
            self.newest = self.newest.max(item.seq());
        }
        catch
    }

    /// A store was answered: `None` is success, otherwise the number of the error.
    pub(super) fn stored(&mut self, error: Option<i64>) {
        self.storing = self.storing.map(|left| left.saturating_sub(1));
        match error {
            None => self.stored_at += 1,
            Some(_) => self.refused = error,
        }
    }

    /// A store was not answered.
    pub(super) fn store_lost(&mut self) {
        self.storing = self.storing.map(|left| left.saturating_sub(1));
    }

    /// Whether the searches are at their end.
    pub(super) fn is_found(&self) -> bool {
        self.satisfied || self.searches.iter().all(Search::is_done)
    }

    /// The nodes to store at, with their tokens: the closest of each family that gave one, those with secure ids first.
    pub(super) fn storers(&self) -> Vec<(Contact, Vec<u8>)> {
        let of = |search: &Search| -> Vec<(Contact, Vec<u8>)> {
            let with_token = search.closest().filter_map(|(contact, token)| Some((contact, token?.clone())));
            with_token.take(K).collect()
        };
        self.searches.iter().flat_map(of).collect()
    }

    /// When to look again although no answer has come.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        match self.storing {
            Some(_) => None,
            None => self.searches.iter().filter_map(Search::next_timeout).min(),
        }
    }

    /// What it came to.
    pub(super) fn report(&self, now: Instant) -> LookupReport {
        let closest = |search: &Search| search.closest().map(|(contact, _)| contact).take(K).collect::<Vec<_>>();
        LookupReport {
            target: self.target,
            took: now.saturating_duration_since(self.started),
            asked: self.asked,
            answered: self.answered,
            peers: u32::try_from(self.peers.len()).unwrap_or(u32::MAX),
            stored_at: self.stored_at,
            refused: self.refused,
            closest: self.searches.iter().flat_map(closest).collect(),
            scrape: self.census.as_ref().and_then(|census| census.result()),
            newest: self.newest,
        }
    }

    /// The item in an answer, if it is what its name says and newer than what is known.
    fn item_of(&self, name: &ItemName, response: &Response) -> Option<Item> {
        let value = response.value.clone()?;
        match name {
            ItemName::Immutable(target) => {
                Item::immutable(value).ok().filter(|item| item.name().target() == *target && !self.satisfied)
            }
            ItemName::Mutable { key, salt } => {
                let signed = response.signed.as_ref().filter(|signed| signed.key == *key)?;
                if self.newest.is_some_and(|newest| newest >= signed.seq) {
                    return None;
                }
                MutableItem::verify(*key, salt, signed.seq, value, signed.signature).ok().map(Item::Mutable)
            }
        }
    }

    fn count(&mut self, response: &Response) {
        let Some(census) = &mut self.census else { return };
        match (&response.seeds, &response.downloaders) {
            (None, None) => {
                census.uncounted.extend(response.values.iter().take(MAX_PEERS_PER_LOOKUP).map(SocketAddr::ip))
            }
            (seeds, downloaders) => {
                census.told = true;
                seeds.iter().for_each(|filter| census.seeds.unite(filter));
                downloaders.iter().for_each(|filter| census.downloaders.unite(filter));
            }
        }
    }
}

impl Census {
    /// Peers out of answers without filters count as downloaders, unless another node says that they are seeds (BEP 33).
    fn result(&self) -> Option<Scrape> {
        let mut downloaders = self.downloaders.clone();
        let unknown = self.uncounted.iter().filter(|ip| !self.seeds.contains(**ip));
        unknown.for_each(|ip| downloaders.insert(*ip));
        let told = self.told || !self.uncounted.is_empty();
        told.then(|| Scrape { seeds: self.seeds.estimate(), downloaders: downloaders.estimate() })
    }
}
