//! One trial, from the first node to the last lookup.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use fastrand::Rng;
use riverrun_metainfo::WireHash;
use riverrun_proto::dht::{Action, Announce, Command, Config, FamilyConfig, Id, LookupId, Rules};

use super::internet::{HostId, Internet};
use super::places::Places;
use super::sybils::{Attack, Sybils};
use super::tally::Tally;

/// Nodes that newcomers are told of.
const ROUTERS: u32 = 5;
/// Routers have more to answer than others, in bytes per second.
const ROUTER_REPLIES: u32 = 1_000_000;
/// Between the commands of one kind.
const PAUSE: Duration = Duration::from_millis(50);
/// From the last command of a kind to the end of everything that it began.
const REST: Duration = Duration::from_secs(30);
/// How long the attacker makes its nodes known.
const KNOCKING: Duration = Duration::from_secs(300);
/// Honest nodes, the closest to the info-hash, that each of the attacker's makes itself known to.
const KNOCKS_NEAR: usize = 100;
/// Others, drawn for each of the attacker's.
const KNOCKS_FAR: usize = 20;
/// Honest peers of a torrent that is attacked.
const VICTIMS: u32 = 20;
/// The port that peers announce.
const PEER_PORT: u16 = 51_413;

/// What is tried.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Honest nodes, all of which have ids that fit their addresses (BEP 42).
    pub nodes: u32,
    /// How many of a hundred die, silently, before anything is looked up.
    pub dead: u32,
    /// How many of a hundred are behind a NAT that lets in only whom they have just sent something.
    pub nat: u32,
    /// How many of a hundred packets are lost.
    pub loss: f64,
    /// Torrents; each is announced by one node and looked up by another. Of a torrent that is attacked, so many lookups.
    pub lookups: u32,
    /// The time over which nodes come.
    pub growing: Duration,
    /// The time that they have then before nodes die.
    pub settling: Duration,
    /// What honest nodes do against floods of ids.
    pub rules: Rules,
    /// An attack on the only torrent there is.
    pub attack: Option<Attack>,
    /// Where all chance comes from.
    pub seed: u64,
}

/// What a trial came to.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    /// Announces.
    pub announces: Tally,
    /// Announces of which at least one reached an honest node, in percent.
    pub placed: f64,
    /// Honest nodes that an announce reached, on average.
    pub placed_at: f64,
    /// Lookups of what was announced before nodes died.
    pub early: Tally,
    /// Lookups of what was announced afterwards.
    pub late: Tally,
    /// Packets that announces and lookups cost each, on average, with those of the nodes that answered.
    pub packets: f64,
    /// Their bytes, with headers of UDP and IP.
    pub bytes: f64,
    /// What a node sent per second while nodes were left alone, in bytes with headers.
    pub upkeep: f64,
    /// Nodes that a node knows as good before others die, on average.
    pub known: f64,
    /// The time that passed in the world.
    pub time: Duration,
    /// Packets that arrived and wakes.
    pub events: u64,
    /// The digest over all that happened: equal for equal trials.
    pub digest: u64,
}

impl Trial {
    /// A network that had half an hour to settle, 1 % of loss, and a fifth of the nodes behind NATs.
    #[must_use]
    pub fn new(nodes: u32, seed: u64) -> Self {
        Self {
            nodes,
            dead: 30,
            nat: 20,
            loss: 1.0,
            lookups: 1000,
            growing: Duration::from_secs(600),
            settling: Duration::from_secs(1800),
            rules: Rules::default(),
            attack: None,
            seed,
        }
    }

    /// Runs it.
    #[must_use]
    pub fn run(&self) -> Report {
        let mut stage = Stage::new(self);
        stage.grow();
        let before = stage.net.all;
        stage.net.run(self.settling);
        let sent = stage.net.all.since(before).bytes as f64;
        let upkeep = sent / f64::from(self.nodes.max(1)) / self.settling.as_secs_f64().max(1.0);
        let known = stage.known();
        stage.besiege();
        let (begun, early) = (stage.net.lookups, self.early());
        stage.announce(0..early);
        stage.bury();
        stage.announce(early..self.torrents());
        let (early, late) = stage.look_up(early);
        let cost = stage.net.lookups.since(begun);
        let count = f64::from((stage.announces.begun + early.begun + late.begun).max(1));
        let announced = f64::from(stage.announces.begun.max(1));
        let placed: u32 = stage.net.placed.values().sum();
        Report {
            placed: 100.0 * stage.net.placed.len() as f64 / announced,
            placed_at: f64::from(placed) / announced,
            announces: stage.announces,
            early,
            late,
            packets: cost.packets as f64 / count,
            bytes: cost.bytes as f64 / count,
            upkeep,
            known,
            time: stage.net.age(),
            events: stage.net.events(),
            digest: stage.net.digest(),
        }
    }

    /// How many announces there are.
    fn torrents(&self) -> u32 {
        if self.attack.is_some() { VICTIMS } else { self.lookups }
    }

    /// How many of them come before nodes die.
    fn early(&self) -> u32 {
        if self.attack.is_some() { 0 } else { self.lookups / 2 }
    }
}

/// The world of one trial.
#[derive(Debug)]
struct Stage<'a> {
    trial: &'a Trial,
    net: Internet,
    rng: Rng,
    places: Places,
    hosts: Vec<HostId>,
    /// The honest peers of each torrent, none of which dies.
    peers: BTreeMap<u32, BTreeSet<SocketAddr>>,
    announcers: Vec<HostId>,
    announces: Tally,
}

/// Which lookup of the trial is whose, until it ends.
#[derive(Debug, Default)]
struct Watch {
    /// By host and number: the torrent, the begin, and whether a peer was found.
    open: BTreeMap<(HostId, LookupId), (u32, Instant, bool)>,
}

impl<'a> Stage<'a> {
    fn new(trial: &'a Trial) -> Self {
        let mut rng = Rng::with_seed(trial.seed);
        let net = Internet::new(rng.u64(..), trial.loss / 100.0);
        let places = Places::new(&mut rng);
        Self {
            trial,
            net,
            places,
            rng,
            hosts: Vec::new(),
            peers: BTreeMap::new(),
            announcers: Vec::new(),
            announces: Tally::default(),
        }
    }

    /// Nodes come, one after the other, and are told of three routers each.
    fn grow(&mut self) {
        let gap = self.trial.growing / self.trial.nodes.max(1);
        for number in 0..self.trial.nodes {
            let host = self.come(number < ROUTERS);
            for _ in 0..3 {
                let known = self.hosts.len().min(ROUTERS as usize);
                if known > 0 {
                    let router = self.hosts[self.rng.usize(..known)];
                    self.net.command(host, Command::AddRouter { addr: self.net.addr(router) });
                }
            }
            self.hosts.push(host);
            self.net.run(gap);
        }
    }

    fn come(&mut self, router: bool) -> HostId {
        let drawn = std::iter::repeat_with(|| self.places.draw(&mut self.rng)).find(|addr| !self.net.is_taken(*addr));
        let addr = drawn.expect("there are more addresses than nodes");
        let mut seed = [0; 32];
        self.rng.fill(&mut seed);
        let mut config = Config::new(seed);
        if let IpAddr::V4(ip) = addr.ip() {
            config.v4 = Some(FamilyConfig { id: None, external: Some(ip) });
        }
        config.v6 = None;
        config.rules = self.trial.rules;
        if router {
            config.reply_bytes_per_second = ROUTER_REPLIES;
        }
        let nat = !router && self.rng.u32(..100) < self.trial.nat;
        self.net.add_node(addr, Places::delay(&mut self.rng), nat, &config)
    }

    /// How many good nodes a node knows.
    fn known(&self) -> f64 {
        let now = self.net.now();
        let nodes = self.hosts.iter().filter_map(|host| self.net.node(*host));
        let good = |node: &riverrun_proto::dht::Node| {
            node.status(now).families.iter().map(|family| family.good).sum::<usize>()
        };
        nodes.map(good).sum::<usize>() as f64 / self.hosts.len().max(1) as f64
    }

    /// The attacker comes and makes its nodes known, most of all to those who are close to its victim.
    fn besiege(&mut self) {
        let Some(attack) = self.trial.attack else { return };
        let target = Id::from(self.torrent(0));
        let sybils = Sybils::new(attack, target, &mut self.rng);
        for (number, contact) in sybils.contacts().iter().enumerate() {
            self.net.add_sybil(contact.addr, Duration::from_millis(3), number);
        }
        let now = self.net.now();
        let id = |host: &HostId| self.net.node(*host).map(|node| target.distance(node.status(now).families[0].id));
        let mut near: Vec<(_, HostId)> = self.hosts.iter().map(|host| (id(host), *host)).collect();
        near.sort_unstable();
        for (number, contact) in sybils.contacts().iter().enumerate() {
            let far = (0..KNOCKS_FAR).map(|_| self.hosts[self.rng.usize(..self.hosts.len())]);
            let far: Vec<HostId> = far.collect();
            for host in near.iter().take(KNOCKS_NEAR).map(|(_, host)| *host).chain(far) {
                let at = now + KNOCKING.mul_f64(self.rng.f64());
                self.net.post(at, contact.addr, host, sybils.knock(number));
            }
        }
        self.net.sybils = Some(sybils);
        self.net.run(KNOCKING + REST);
    }

    /// Nodes die, none of those that have announced.
    fn bury(&mut self) {
        let count = self.hosts.len() * self.trial.dead as usize / 100;
        let mut mortal: Vec<HostId> = self.hosts.clone();
        mortal.retain(|host| !self.announcers.contains(host));
        self.rng.shuffle(&mut mortal);
        mortal.truncate(count);
        mortal.iter().for_each(|host| self.net.kill(*host));
        self.hosts.retain(|host| self.net.node(*host).is_some());
    }

    /// The number of a torrent; when it is attacked, there is one alone.
    fn number(&self, number: u32) -> u32 {
        if self.trial.attack.is_some() { 0 } else { number }
    }

    fn torrent(&self, number: u32) -> WireHash {
        let mut hash = [0; 20];
        Rng::with_seed(self.trial.seed ^ u64::from(number + 1) << 32).fill(&mut hash);
        WireHash(hash)
    }

    fn announce(&mut self, torrents: std::ops::Range<u32>) {
        let mut watch = Watch::default();
        for number in torrents {
            let host = self.stranger(&self.announcers.clone());
            let announce = Announce { port: PEER_PORT, implied_port: false, seed: true };
            self.begin(&mut watch, host, number, Some(announce));
            self.announcers.push(host);
            self.peers
                .entry(self.number(number))
                .or_default()
                .insert(SocketAddr::new(self.net.addr(host).ip(), PEER_PORT));
            self.net.run(PAUSE);
        }
        self.net.run(REST);
        watch.collect(self.net.take_told(), &self.peers, |_| 0, std::slice::from_mut(&mut self.announces));
        self.announces.begun = u32::try_from(self.announcers.len()).unwrap_or(u32::MAX);
    }

    /// Everything is looked up once; what it came to for torrents of numbers below `early`, and for the others.
    fn look_up(&mut self, early: u32) -> (Tally, Tally) {
        let mut watch = Watch::default();
        let mut tallies = [Tally::default(), Tally::default()];
        for number in 0..self.trial.lookups {
            let host = self.stranger(&self.announcers.clone());
            self.begin(&mut watch, host, number, None);
            tallies[usize::from(number >= early)].begun += 1;
            self.net.run(PAUSE);
        }
        self.net.run(REST);
        watch.collect(self.net.take_told(), &self.peers, |number| usize::from(number >= early), &mut tallies);
        let [first, second] = tallies;
        (first, second)
    }

    fn begin(&mut self, watch: &mut Watch, host: HostId, number: u32, announce: Option<Announce>) {
        let id = LookupId(u64::from(number) * 2 + u64::from(announce.is_some()));
        let number = self.number(number);
        watch.open.insert((host, id), (number, self.net.now(), false));
        let info_hash = self.torrent(number);
        self.net.command(host, Command::GetPeers { id, info_hash, announce, scrape: false, no_seed: false });
    }

    /// A living honest node, none of these.
    fn stranger(&mut self, but: &[HostId]) -> HostId {
        loop {
            let host = self.hosts[self.rng.usize(..self.hosts.len())];
            if !but.contains(&host) || but.len() >= self.hosts.len() {
                return host;
            }
        }
    }
}

impl Watch {
    /// Puts what nodes told into the tallies: `of` says into which a torrent belongs.
    fn collect(
        &mut self,
        told: Vec<(Instant, HostId, Action)>,
        honest: &BTreeMap<u32, BTreeSet<SocketAddr>>,
        of: impl Fn(u32) -> usize,
        tallies: &mut [Tally],
    ) {
        for (at, host, action) in told {
            match action {
                Action::Peers { id, peers, .. } => {
                    let Some((number, begun, found)) = self.open.get_mut(&(host, id)) else { continue };
                    let known = honest.get(number);
                    if !*found && peers.iter().any(|peer| known.is_some_and(|known| known.contains(peer))) {
                        *found = true;
                        tallies[of(*number)].find(at - *begun);
                    }
                }
                Action::LookupDone { id, report } => {
                    if let Some((number, ..)) = self.open.remove(&(host, id)) {
                        tallies[of(number)].end(&report);
                    }
                }
                _ => {}
            }
        }
    }
}
