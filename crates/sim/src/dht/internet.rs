//! The hosts, the packets between them, and the time. A host to which nothing happens costs nothing: it is one entry of the queue.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use fastrand::Rng;
use riverrun_proto::dht::{Action, Command, Config, Input, Node};

use super::sybils::Sybils;
use crate::queue::Queue;
use crate::trace::Trace;

/// How long a NAT lets answers in after a packet went out.
const NAT_MEMORY: Duration = Duration::from_secs(60);
/// Addresses that a NAT remembers before it looks which of them are too old.
const NAT_SWEEP: usize = 64;
/// What UDP and IPv4 add to a packet, in bytes.
const HEADERS: u64 = 28;

/// One host, by the order in which it came.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct HostId(pub(super) u32);

/// Who is at a host.
#[derive(Debug)]
enum Who {
    Node(Box<Node>),
    /// One of the attacker's, by its number among them.
    Sybil(usize),
    Dead,
}

#[derive(Debug)]
struct Host {
    addr: SocketAddr,
    /// From here to the middle of the network.
    delay: Duration,
    who: Who,
    /// Whom the NAT lets in, and since when; `None`: there is no NAT.
    nat: Option<BTreeMap<SocketAddr, Instant>>,
    /// The earliest wake that is in the queue.
    wake: Option<Instant>,
}

#[derive(Debug)]
enum Event {
    Wake,
    Packet { from: SocketAddr, bytes: Vec<u8> },
}

/// What has passed over the network.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Passed {
    pub(super) packets: u64,
    /// With the headers of UDP and IP.
    pub(super) bytes: u64,
}

impl Passed {
    fn add(&mut self, bytes: &[u8]) {
        self.packets += 1;
        self.bytes += bytes.len() as u64 + HEADERS;
    }

    pub(super) fn since(self, before: Self) -> Self {
        Self { packets: self.packets - before.packets, bytes: self.bytes - before.bytes }
    }
}

/// The network.
#[derive(Debug)]
pub(super) struct Internet {
    born: Instant,
    now: Instant,
    hosts: Vec<Host>,
    at: HashMap<SocketAddr, HostId>,
    queue: Queue<(HostId, Event)>,
    rng: Rng,
    loss: f64,
    pub(super) sybils: Option<Sybils>,
    /// All packets that honest nodes sent.
    pub(super) all: Passed,
    /// Those of them that ask for peers, announce, or answer that.
    pub(super) lookups: Passed,
    /// Announces that reached honest nodes, by announcer.
    pub(super) placed: BTreeMap<HostId, u32>,
    /// What nodes told their owners, until somebody takes it.
    told: Vec<(Instant, HostId, Action)>,
    trace: Trace,
}

impl Internet {
    /// `loss`: the share of packets that is lost.
    pub(super) fn new(seed: u64, loss: f64) -> Self {
        // The clock's zero; only differences to it count.
        let born = Instant::now();
        Self {
            born,
            now: born,
            hosts: Vec::new(),
            at: HashMap::new(),
            queue: Queue::default(),
            rng: Rng::with_seed(seed),
            loss,
            sybils: None,
            all: Passed::default(),
            lookups: Passed::default(),
            placed: BTreeMap::new(),
            told: Vec::new(),
            trace: Trace::new(),
        }
    }

    pub(super) fn now(&self) -> Instant {
        self.now
    }

    /// Since the beginning.
    pub(super) fn age(&self) -> Duration {
        self.now - self.born
    }

    pub(super) fn digest(&self) -> u64 {
        self.trace.digest()
    }

    pub(super) fn events(&self) -> u64 {
        self.trace.events()
    }

    pub(super) fn is_taken(&self, addr: SocketAddr) -> bool {
        self.at.contains_key(&addr)
    }

    pub(super) fn addr(&self, host: HostId) -> SocketAddr {
        self.hosts[host.0 as usize].addr
    }

    /// The node at a host, if it is an honest one that lives.
    pub(super) fn node(&self, host: HostId) -> Option<&Node> {
        match &self.hosts[host.0 as usize].who {
            Who::Node(node) => Some(node),
            Who::Sybil(_) | Who::Dead => None,
        }
    }

    pub(super) fn add_node(&mut self, addr: SocketAddr, delay: Duration, nat: bool, config: &Config) -> HostId {
        let host = self.add(addr, delay, Who::Node(Box::new(Node::new(self.now, config))), nat);
        self.plan(host);
        host
    }

    pub(super) fn add_sybil(&mut self, addr: SocketAddr, delay: Duration, number: usize) -> HostId {
        self.add(addr, delay, Who::Sybil(number), false)
    }

    fn add(&mut self, addr: SocketAddr, delay: Duration, who: Who, nat: bool) -> HostId {
        let host = HostId(u32::try_from(self.hosts.len()).unwrap_or(u32::MAX));
        self.hosts.push(Host { addr, delay, who, nat: nat.then(BTreeMap::new), wake: None });
        self.at.insert(addr, host);
        host
    }

    /// The host says nothing any more, and nobody is told.
    pub(super) fn kill(&mut self, host: HostId) {
        self.trace.add(self.now - self.born, host.0.into(), [u64::MAX]);
        self.hosts[host.0 as usize].who = Who::Dead;
    }

    pub(super) fn command(&mut self, host: HostId, command: Command) {
        self.handle(host, Input::Command(command));
    }

    /// What nodes told their owners since the last call.
    pub(super) fn take_told(&mut self) -> Vec<(Instant, HostId, Action)> {
        std::mem::take(&mut self.told)
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.queue.next_at().is_some_and(|at| at <= end)
            && let Some((at, (host, event))) = self.queue.pop()
        {
            self.now = self.now.max(at);
            match event {
                Event::Wake => self.wake(host, at),
                Event::Packet { from, bytes } => self.deliver(host, from, &bytes),
            }
        }
        self.now = end;
    }

    /// Sends a packet of a sybil at a time to come.
    pub(super) fn post(&mut self, at: Instant, from: SocketAddr, to: HostId, bytes: Vec<u8>) {
        self.push(at, to, Event::Packet { from, bytes });
    }

    fn push(&mut self, at: Instant, host: HostId, event: Event) {
        self.queue.push(at, (host, event));
    }

    /// A wake may come before its time, for nodes put their times off; then it is set again.
    fn wake(&mut self, host: HostId, at: Instant) {
        let it = &mut self.hosts[host.0 as usize];
        if it.wake == Some(at) {
            it.wake = None;
        }
        let Who::Node(node) = &it.who else { return };
        if node.next_timeout().is_some_and(|due| due <= self.now) {
            self.trace.add(self.now - self.born, host.0.into(), [0]);
            self.handle(host, Input::Timeout);
        } else {
            self.plan(host);
        }
    }

    fn plan(&mut self, host: HostId) {
        let it = &mut self.hosts[host.0 as usize];
        let Who::Node(node) = &it.who else { return };
        let Some(due) = node.next_timeout() else { return };
        if it.wake.is_none_or(|wake| due < wake) {
            let due = due.max(self.now);
            it.wake = Some(due);
            self.push(due, host, Event::Wake);
        }
    }

    fn deliver(&mut self, host: HostId, from: SocketAddr, bytes: &[u8]) {
        let it = &self.hosts[host.0 as usize];
        let let_in =
            |nat: &BTreeMap<SocketAddr, Instant>| nat.get(&from).is_some_and(|at| self.now <= *at + NAT_MEMORY);
        if !it.nat.as_ref().is_none_or(let_in) {
            return;
        }
        let content = bytes.chunks(8).map(|part| part.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
        self.trace.add(self.now - self.born, host.0.into(), content);
        match it.who {
            Who::Dead => {}
            Who::Node(_) => {
                if contains(bytes, b"13:announce_peer")
                    && let Some(announcer) = self.at.get(&from)
                {
                    *self.placed.entry(*announcer).or_default() += 1;
                }
                self.handle(host, Input::Packet { from, bytes });
            }
            Who::Sybil(number) => {
                let addr = it.addr;
                let answer = self.sybils.as_ref().and_then(|sybils| sybils.answer(number, bytes, &mut self.rng));
                if let (Some(answer), Some(to)) = (answer, self.at.get(&from)) {
                    self.send(host, addr, *to, answer);
                }
            }
        }
    }

    fn handle(&mut self, host: HostId, input: Input<'_>) {
        let it = &mut self.hosts[host.0 as usize];
        let Who::Node(node) = &mut it.who else { return };
        node.handle(self.now, input);
        let mut out = Vec::new();
        while let Some(action) = node.poll() {
            match action {
                Action::Send { to, bytes } => out.push((to, bytes)),
                told => self.told.push((self.now, host, told)),
            }
        }
        let addr = it.addr;
        for (to, bytes) in out {
            self.all.add(&bytes);
            if contains(&bytes, b"9:get_peers") || contains(&bytes, b"13:announce_peer") || contains(&bytes, b"5:token")
            {
                self.lookups.add(&bytes);
            }
            if let Some(nat) = &mut self.hosts[host.0 as usize].nat {
                if nat.len() >= NAT_SWEEP {
                    nat.retain(|_, at| self.now <= *at + NAT_MEMORY);
                }
                nat.insert(to, self.now);
            }
            if let Some(to) = self.at.get(&to) {
                self.send(host, addr, *to, bytes);
            }
        }
        self.plan(host);
    }

    fn send(&mut self, host: HostId, from: SocketAddr, to: HostId, bytes: Vec<u8>) {
        let chance = self.rng.f64();
        let way = self.hosts[host.0 as usize].delay + self.hosts[to.0 as usize].delay;
        let jitter = way.mul_f64(self.rng.f64() * 0.25);
        if chance >= self.loss {
            self.push(self.now + way + jitter, to, Event::Packet { from, bytes });
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
