//! A network of nodes without sockets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use fastrand::Rng;

use crate::dht::krpc::{Body, Message, Response, Transaction};
use crate::dht::{Action, Command, Config, Contact, FamilyConfig, Id, Input, Item, LookupId, LookupReport, Node};

/// Nodes, the packets between them, and the time.
pub(super) struct World {
    pub(super) now: Instant,
    pub(super) nodes: BTreeMap<SocketAddr, Node>,
    /// Nodes that neither hear nor speak.
    pub(super) dead: BTreeSet<SocketAddr>,
    pub(super) rng: Rng,
    pub(super) delay: Duration,
    /// What others see as a node's address, where it is not its own.
    pub(super) seen_as: BTreeMap<SocketAddr, IpAddr>,
    /// Nodes that answer every question with one another.
    pub(super) evil: Vec<Contact>,
    wire: BTreeMap<(Instant, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    sent: u64,
    /// When each node wants to be woken.
    due: BTreeMap<SocketAddr, Instant>,
    /// What nodes told their owners, in order.
    pub(super) told: Vec<(Instant, SocketAddr, Action)>,
    /// Packets to addresses where nobody is.
    pub(super) astray: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
}

/// An address of IPv4 on the internet, each in a network of its own.
pub(super) fn public(number: u16) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    SocketAddr::new(Ipv4Addr::new(20, high, low, 7).into(), 6881)
}

pub(super) fn public_v6(number: u16) -> SocketAddr {
    SocketAddr::new(Ipv6Addr::new(0x2a00, number, 0, 0, 0, 0, 0, 1).into(), 6881)
}

/// An address on this machine.
pub(super) fn local(number: u16) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 20_000 + number)
}

pub(super) fn config(addr: SocketAddr) -> Config {
    let mut seed = [0; 32];
    match addr.ip() {
        IpAddr::V4(ip) => seed[..4].copy_from_slice(&ip.octets()),
        IpAddr::V6(ip) => seed[..16].copy_from_slice(&ip.octets()),
    }
    seed[16..18].copy_from_slice(&addr.port().to_be_bytes());
    let mut config = Config::new(seed);
    match addr.ip() {
        IpAddr::V4(ip) => {
            config.v6 = None;
            config.v4 = Some(FamilyConfig { id: None, external: Some(ip) });
        }
        IpAddr::V6(ip) => {
            config.v4 = None;
            config.v6 = Some(FamilyConfig { id: None, external: Some(ip) });
        }
    }
    config
}

impl World {
    #[expect(clippy::disallowed_methods, reason = "one moment to start from")]
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self {
            now,
            nodes: BTreeMap::new(),
            dead: BTreeSet::new(),
            rng: Rng::with_seed(1),
            delay: Duration::from_millis(20),
            seen_as: BTreeMap::new(),
            evil: Vec::new(),
            wire: BTreeMap::new(),
            sent: 0,
            due: BTreeMap::new(),
            told: Vec::new(),
            astray: Vec::new(),
        }
    }

    /// A network in which everybody was told of the first node, and has had time to find others.
    pub(super) fn with(addrs: impl IntoIterator<Item = SocketAddr>) -> Self {
        let mut world = Self::new();
        let addrs: Vec<SocketAddr> = addrs.into_iter().collect();
        for addr in &addrs {
            world.add(*addr, &config(*addr));
            world.command(*addr, Command::AddNode { addr: addrs[0], id: None });
            world.run(Duration::from_millis(200));
        }
        world.run(Duration::from_secs(60));
        world
    }

    pub(super) fn add(&mut self, addr: SocketAddr, config: &Config) {
        self.nodes.insert(addr, Node::new(self.now, config));
        self.plan(addr);
    }

    pub(super) fn node(&self, addr: SocketAddr) -> &Node {
        &self.nodes[&addr]
    }

    pub(super) fn id(&self, addr: SocketAddr) -> Id {
        self.node(addr).status(self.now).families[0].id
    }

    pub(super) fn command(&mut self, addr: SocketAddr, command: Command) {
        self.handle(addr, Input::Command(command));
    }

    /// Gives a node a packet as if it came from `from`, and takes what it sends back to there.
    pub(super) fn packet(&mut self, to: SocketAddr, from: SocketAddr, bytes: &[u8]) -> Vec<Vec<u8>> {
        let before = self.sent;
        self.handle(to, Input::Packet { from, bytes });
        let mine: Vec<_> = self
            .wire
            .iter()
            .filter(|((_, number), (_, receiver, _))| *number >= before && *receiver == from)
            .map(|(key, _)| *key)
            .collect();
        mine.into_iter().filter_map(|key| Some(self.wire.remove(&key)?.2)).collect()
    }

    /// Where the latest query of this kind went that is still on its way, and its name.
    pub(super) fn last_query(&self, from: SocketAddr, method: &str) -> Option<(SocketAddr, Transaction)> {
        self.wire.values().rev().filter(|(sender, ..)| *sender == from).find_map(|(_, to, bytes)| {
            let message = Message::decode(bytes).ok()?;
            match message.body {
                Body::Query { query, .. } if query.method() == method => Some((*to, message.transaction)),
                _ => None,
            }
        })
    }

    fn plan(&mut self, addr: SocketAddr) {
        match self.nodes[&addr].next_timeout() {
            Some(at) => self.due.insert(addr, at),
            None => self.due.remove(&addr),
        };
    }

    fn handle(&mut self, addr: SocketAddr, input: Input<'_>) {
        let Some(node) = self.nodes.get_mut(&addr) else { return };
        node.handle(self.now, input);
        while let Some(action) = node.poll() {
            match action {
                Action::Send { to, bytes } => {
                    assert!(!bytes.is_empty() && bytes.len() <= 1400, "{} bytes", bytes.len());
                    let delay = self.delay.mul_f64(0.5 + self.rng.f64());
                    self.wire.insert((self.now + delay, self.sent), (addr, to, bytes));
                    self.sent += 1;
                }
                told => self.told.push((self.now, addr, told)),
            }
        }
        self.plan(addr);
    }

    /// What an evil node answers: it has heard of none but its accomplices, who all live close to the target.
    fn answer_as(&mut self, evil: usize, to: SocketAddr, bytes: &[u8]) {
        let Ok(Message { transaction, body: Body::Query { .. }, .. }) = Message::decode(bytes) else { return };
        let own = self.evil[evil];
        let mut response = Response::new(own.id);
        response.nodes = Some((0..8).map(|_| self.evil[self.rng.usize(..self.evil.len())]).collect());
        response.token = Some(b"evil".to_vec());
        let body = Body::Response(Box::new(response));
        let bytes = Message { transaction, version: None, ip: None, body }.encode();
        self.wire.insert((self.now + self.delay / 4, self.sent), (own.addr, to, bytes));
        self.sent += 1;
    }

    /// What a reply says of the asker's address, as a NAT makes it.
    fn relabel(&self, to: SocketAddr, bytes: Vec<u8>) -> Vec<u8> {
        let Some(ip) = self.seen_as.get(&to) else { return bytes };
        let Ok(mut message) = Message::decode(&bytes) else { return bytes };
        message.ip = message.ip.map(|_| SocketAddr::new(*ip, to.port()));
        message.encode()
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// Lets time pass until something holds; whether it came to hold.
    pub(super) fn run_until(&mut self, time: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + time;
        while !done(self) {
            let packet = self.wire.keys().next().copied();
            let awake = self.due.iter().filter(|(addr, _)| !self.dead.contains(addr));
            let timeout = awake.map(|(addr, at)| (*at, *addr)).min();
            let next = packet.map(|(at, _)| at).into_iter().chain(timeout.map(|(at, _)| at)).min();
            let Some(next) = next.filter(|at| *at <= end) else {
                self.now = end;
                return done(self);
            };
            self.now = self.now.max(next);
            match (packet, timeout) {
                (Some((at, number)), _) if at <= next => {
                    let (from, to, bytes) = self.wire.remove(&(at, number)).unwrap();
                    let bytes = self.relabel(to, bytes);
                    if self.dead.contains(&to) || self.dead.contains(&from) {
                        continue;
                    }
                    if let Some(evil) = self.evil.iter().position(|contact| contact.addr == to) {
                        self.answer_as(evil, from, &bytes);
                    } else if self.nodes.contains_key(&to) {
                        self.handle(to, Input::Packet { from, bytes: &bytes });
                    } else {
                        self.astray.push((from, to, bytes));
                    }
                }
                (_, Some((_, addr))) => {
                    self.handle(addr, Input::Timeout);
                    assert!(
                        self.due.get(&addr).is_none_or(|at| *at > self.now),
                        "{addr} wants to be woken all the time"
                    );
                }
                _ => {}
            }
        }
        true
    }

    /// Runs until a lookup of this node is at its end.
    pub(super) fn finish(&mut self, addr: SocketAddr, id: u64) -> LookupReport {
        let report = |world: &Self| {
            world.told.iter().find_map(|(_, who, action)| match action {
                Action::LookupDone { id: done, report } if *who == addr && *done == LookupId(id) => {
                    Some(LookupReport::clone(report))
                }
                _ => None,
            })
        };
        assert!(self.run_until(Duration::from_secs(60), |world| report(world).is_some()), "lookup {id} has no end");
        report(self).unwrap()
    }

    /// All peers that a lookup of this node was told, in order.
    pub(super) fn peers(&self, addr: SocketAddr, id: u64) -> Vec<SocketAddr> {
        let of = |action: &Action| match action {
            Action::Peers { id: of, peers, .. } if *of == LookupId(id) => peers.clone(),
            _ => Vec::new(),
        };
        self.told.iter().filter(|(_, who, _)| *who == addr).flat_map(|(_, _, action)| of(action)).collect()
    }

    /// All items that a lookup of this node found, in order.
    pub(super) fn items(&self, addr: SocketAddr, id: u64) -> Vec<Item> {
        let of = |action: &Action| match action {
            Action::Item { id: of, item } if *of == LookupId(id) => Some(item.clone()),
            _ => None,
        };
        self.told.iter().filter(|(_, who, _)| *who == addr).filter_map(|(_, _, action)| of(action)).collect()
    }
}
