//! The machine: what comes in goes to the part that it concerns.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Instant;

use fastrand::Rng;

use super::command::{Action, Command, Input};
use super::contact::{Contact, Family, is_local, plain};
use super::exchanges::{Exchanges, Purpose};
use super::gate::Gate;
use super::id::Id;
use super::krpc::{Body, Message, Query, Refusal};
use super::limits::{MAX_LOOKUPS, MAX_PACKET, MAX_SNAPSHOT, REPLY_BYTES_PER_SECOND, UPKEEP_INTERVAL};
use super::lookup::{Aim, Key, Lookup, LookupId};
use super::pace::Pace;
use super::secrets::Secrets;
use super::security::{is_secure, secure_id};
use super::side::Side;
use super::status::{FamilyStatus, Status, Traffic};
use super::store::{ItemStore, PeerStore};
use super::table::{Rules, Standing};
use super::token::Tokens;

/// How a node is to be.
#[derive(Clone, Debug)]
pub struct Config {
    /// Random bytes from the system: whoever knows them can forge replies and tokens. The same bytes and inputs give the same
    /// actions.
    pub seed: [u8; 32],
    /// Take part in the DHT of IPv4.
    pub v4: Option<FamilyConfig<Ipv4Addr>>,
    /// Take part in the DHT of IPv6.
    pub v6: Option<FamilyConfig<Ipv6Addr>>,
    /// Answer nobody, and say so (BEP 43): for programs that run for a moment, and behind NATs.
    pub read_only: bool,
    /// The client and its version, as others are told: two letters (BEP 20) and two bytes.
    pub version: [u8; 4],
    /// Bytes per second of all replies together.
    pub reply_bytes_per_second: u32,
    /// Rules against floods of ids; for simulations without them.
    pub rules: Rules,
}

/// How a node is to be in one family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FamilyConfig<Ip> {
    /// The id of the last run; `None`: a new one.
    pub id: Option<Id>,
    /// Our address on the internet, if it is known; an id that does not fit it is replaced (BEP 42).
    pub external: Option<Ip>,
}

impl<Ip> Default for FamilyConfig<Ip> {
    fn default() -> Self {
        Self { id: None, external: None }
    }
}

impl Config {
    /// Takes part in both DHTs with new ids.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self {
            seed,
            v4: Some(FamilyConfig::default()),
            v6: Some(FamilyConfig::default()),
            read_only: false,
            version: *b"RR\0\x01",
            reply_bytes_per_second: REPLY_BYTES_PER_SECOND,
            rules: Rules::default(),
        }
    }
}

/// What a node does for others.
#[derive(Debug)]
pub(super) struct Shelf {
    pub(super) tokens: Tokens,
    pub(super) peers: PeerStore,
    pub(super) items: ItemStore,
}

/// A node of the DHT: it asks, answers and stores, in one family or both. See the [module](super).
#[derive(Debug)]
pub struct Node {
    pub(super) rules: Rules,
    pub(super) read_only: bool,
    version: [u8; 4],
    pub(super) secrets: Secrets,
    pub(super) rng: Rng,
    pub(super) sides: [Option<Side>; 2],
    pub(super) exchanges: Exchanges,
    pub(super) lookups: BTreeMap<Key, Lookup>,
    pub(super) waiting: VecDeque<(LookupId, Id, Aim)>,
    pub(super) pace: Pace,
    pub(super) own_lookups: u64,
    pub(super) shelf: Shelf,
    pub(super) gate: Gate,
    pub(super) upkeep_at: Instant,
    pub(super) traffic: Traffic,
    pub(super) actions: VecDeque<Action>,
}

impl Node {
    /// A node that knows nobody yet: see [`Command::AddNode`] and [`Command::AddRouter`].
    #[must_use]
    pub fn new(now: Instant, config: &Config) -> Self {
        let mut secrets = Secrets::new(config.seed);
        let v4 = config.v4.map(|v4| (v4.id, v4.external.map(IpAddr::from)));
        let v6 = config.v6.map(|v6| (v6.id, v6.external.map(IpAddr::from)));
        let fresh = Id(secrets.bytes());
        let mut side = |family, (id, external): (Option<Id>, Option<IpAddr>)| {
            // What a local network calls us is not who we are on the internet.
            let external = external.filter(|ip| !is_local(*ip));
            // Both families have the same id if nothing speaks against it (BEP 32).
            let id = id.unwrap_or(fresh);
            let id = match external {
                Some(ip) if !is_secure(id, ip) => secure_id(ip, secrets.bytes()),
                _ => id,
            };
            Side::new(now, family, id, external, config.rules)
        };
        let sides = [v4.map(|v4| side(Family::V4, v4)), v6.map(|v6| side(Family::V6, v6))];
        Self {
            rules: config.rules,
            read_only: config.read_only,
            version: config.version,
            rng: Rng::with_seed(u64::from_be_bytes(secrets.bytes())),
            sides,
            exchanges: Exchanges::default(),
            lookups: BTreeMap::new(),
            waiting: VecDeque::new(),
            pace: Pace::new(now),
            own_lookups: 0,
            shelf: Shelf {
                tokens: Tokens::new(now, secrets.key("tokens")),
                peers: PeerStore::default(),
                items: ItemStore::default(),
            },
            gate: Gate::new(now, config.reply_bytes_per_second),
            upkeep_at: now + UPKEEP_INTERVAL,
            traffic: Traffic::default(),
            actions: VecDeque::new(),
            secrets,
        }
    }

    /// Feeds one input. Never blocks.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Packet { from, bytes } => self.received(now, plain(from), bytes),
            Input::Command(command) => self.command(now, command),
            Input::Timeout => self.timeout(now),
        }
        self.bootstrap(now);
    }

    /// The next action; drain until `None` before the next [`Self::handle`].
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Input::Timeout`] is due.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let lookups = self.lookups.values().filter_map(Lookup::next_timeout);
        let bootstraps = self.sides.iter().flatten().filter_map(Side::next_bootstrap);
        let turn = (!self.waiting.is_empty() && self.lookups.len() < MAX_LOOKUPS).then(|| self.pace.next_start());
        lookups.chain(bootstraps).chain(turn).chain(self.exchanges.next_due()).chain([self.upkeep_at]).min()
    }

    /// Good nodes of both families, at most 200 each, to be saved and given back by [`Command::AddNode`] at the next start.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> Vec<Contact> {
        let good = |side: &Side| {
            let good = side.table.entries().filter(|entry| entry.standing(now) == Standing::Good);
            good.map(|entry| entry.contact).take(MAX_SNAPSHOT).collect::<Vec<_>>()
        };
        self.sides.iter().flatten().flat_map(good).collect()
    }

    /// How it is doing.
    #[must_use]
    pub fn status(&self, now: Instant) -> Status {
        Status {
            families: self.sides.iter().flatten().map(|side| family_status(side, now)).collect(),
            lookups: self.lookups.len() + self.waiting.len(),
            queries: self.exchanges.len(),
            stored_hashes: self.shelf.peers.hash_count(),
            stored_peers: self.shelf.peers.peer_count(),
            stored_items: self.shelf.items.len(),
            traffic: self.traffic,
        }
    }

    pub(super) fn side_mut(&mut self, family: Family) -> Option<&mut Side> {
        self.sides[family as usize].as_mut()
    }

    pub(super) fn side(&self, family: Family) -> Option<&Side> {
        self.sides[family as usize].as_ref()
    }

    /// Sends a query. False: too many are under way.
    pub(super) fn ask(
        &mut self,
        now: Instant,
        to: SocketAddr,
        known: Option<Id>,
        purpose: Purpose,
        query: Query,
    ) -> bool {
        let Some(id) = self.side(Family::of(to.ip())).map(Side::id) else { return false };
        let Some(transaction) = self.exchanges.begin(now, &mut self.secrets, to, known, purpose) else { return false };
        self.traffic.queries_up += 1;
        let body = Body::Query { id, read_only: self.read_only, query };
        let transaction = transaction.to_be_bytes().as_slice().into();
        self.send(to, &Message { transaction, version: Some(self.version), ip: None, body });
        true
    }

    pub(super) fn send(&mut self, to: SocketAddr, message: &Message) {
        let bytes = message.encode();
        self.send_bytes(to, bytes);
    }

    pub(super) fn send_bytes(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        self.traffic.packets_up += 1;
        self.traffic.bytes_up += bytes.len() as u64;
        self.actions.push_back(Action::Send { to, bytes });
    }

    pub(super) fn version(&self) -> [u8; 4] {
        self.version
    }

    fn command(&mut self, now: Instant, command: Command) {
        match command {
            Command::GetPeers { id, info_hash, announce, scrape, no_seed } => {
                let aim = Aim::Peers { announce, scrape, no_seed };
                self.queue(now, id, info_hash.into(), aim);
            }
            Command::FindNodes { id, target } => self.queue(now, id, target, Aim::Nodes),
            Command::GetItem { id, name } => self.queue(now, id, name.target(), Aim::Item(name)),
            Command::PutItem { id, item, cas } => {
                self.queue(now, id, item.name().target(), Aim::Keep { item, cas });
            }
            Command::Stop { id } => self.stop(now, |key, _, _| key == Key::User(id)),
            Command::Withdraw { info_hash } => {
                let target = Id::from(info_hash);
                self.stop(now, |_, other, aim| other == target && matches!(aim, Aim::Peers { .. }));
            }
            Command::AddNode { addr, id } => self.add_node(now, plain(addr), id),
            Command::AddRouter { addr } => {
                let addr = plain(addr);
                if crate::tracker::dialable(addr)
                    && let Some(side) = self.side_mut(Family::of(addr.ip()))
                {
                    side.add_router(now, addr);
                }
            }
            Command::SetExternal { ip } => self.set_external(now, ip.to_canonical()),
        }
    }

    fn received(&mut self, now: Instant, from: SocketAddr, bytes: &[u8]) {
        self.traffic.packets_down += 1;
        self.traffic.bytes_down += bytes.len() as u64;
        let ours = crate::tracker::dialable(from) && self.side(Family::of(from.ip())).is_some();
        if !ours || bytes.first() != Some(&b'd') || bytes.len() > MAX_PACKET || self.gate.is_silenced(now, from.ip()) {
            self.traffic.ignored += 1;
            return;
        }
        match Message::decode(bytes) {
            Ok(message) => match message.body {
                Body::Query { id, read_only, query } => {
                    let asker = Contact { id, addr: from };
                    self.queried(now, asker, read_only, message.transaction, query, bytes.len());
                }
                Body::Response(response) => self.answered(now, from, &message.transaction, message.ip, &response),
                Body::Error { code, .. } => self.refused(now, from, &message.transaction, message.ip, code),
            },
            Err(Refusal::Query { transaction, reason }) => self.refuse(now, from, transaction, reason, bytes.len()),
            Err(Refusal::Reply { transaction }) => self.broken(now, from, &transaction),
            Err(Refusal::Junk) => {
                self.gate.admit(now, from.ip());
                self.traffic.ignored += 1;
            }
        }
    }
}

fn family_status(side: &Side, now: Instant) -> FamilyStatus {
    let count = |standing| side.table.entries().filter(|entry| entry.standing(now) == standing).count();
    FamilyStatus {
        family: side.family,
        id: side.id(),
        external: side.external,
        good: count(Standing::Good),
        questionable: count(Standing::Questionable),
        bad: count(Standing::Bad),
        secure: side.table.entries().filter(|entry| entry.secure).count(),
        buckets: side.table.bucket_count(),
    }
}
