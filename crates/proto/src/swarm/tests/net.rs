//! Swarms tied together: a clock moved by hand, connections with a delay and a rate, disks that know which blocks are right.

use std::collections::{BTreeMap, BinaryHeap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use riverrun_metainfo::{BLOCK_LENGTH, Bitfield, Block, InfoHashV1, InfoHashes, Layout, PieceIndex};

use super::birth;
use crate::mse::{Cover, Encryption};
use crate::swarm::{
    Action, CloseReason, Command, Connected, ConnectionId, Content, DialError, DiskDone, Event, Input, Judgement,
    Source, Strategy, Swarm, SwarmConfig,
};
use crate::wire::{Handshake, Message, PeerId, Reserved};

/// The info-hash of every torrent here.
pub(in crate::swarm) const HASHES: InfoHashes = InfoHashes::V1(InfoHashV1([0xaa; 20]));

/// A torrent of one file.
pub(in crate::swarm) fn layout(pieces: u32, blocks_per_piece: u32) -> Arc<Layout> {
    let piece = u64::from(blocks_per_piece) * u64::from(BLOCK_LENGTH);
    Arc::new(Layout::v1(piece, [(u64::from(pieces) * piece - 100, false)]).expect("a small layout"))
}

/// The configuration of a swarm that begins with `have`.
pub(in crate::swarm) fn config(layout: &Arc<Layout>, have: Bitfield, number: u8) -> SwarmConfig {
    SwarmConfig {
        info_hashes: HASHES,
        layout: Arc::clone(layout),
        hashes: None,
        metadata: Bytes::new(),
        have,
        private: false,
        encryption: Encryption::Off,
        pex: false,
        addresses: crate::address::AddressRules::default(),
        peer_id: PeerId([number; 20]),
        listen_port: Some(6881),
        max_connections: 50,
        upload_slots: None,
        seed_choker: Default::default(),
        strategy: Strategy::default(),
        seed: number.into(),
    }
}

/// What travels instead of payload: whether it is right.
type Payload = bool;

enum Happening {
    Dialled { from: usize, addr: SocketAddr },
    Arrives { node: usize, connection: ConnectionId, batch: Vec<(Message, Payload)> },
    Ends { node: usize, connection: ConnectionId, reason: CloseReason },
    Served { node: usize, connection: ConnectionId, block: Block },
    Judged { node: usize, piece: PieceIndex, digests: bool },
    JudgedMetadata { node: usize, right: bool },
}

struct Due(Instant, u64, Happening);

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.0, other.1).cmp(&(self.0, self.1))
    }
}

/// One swarm with its disk and its end of the connections.
pub(in crate::swarm) struct Node {
    pub(in crate::swarm) swarm: Swarm,
    pub(in crate::swarm) addr: SocketAddr,
    peer_id: PeerId,
    /// Sends wrong bytes in blocks of this number.
    pub(in crate::swarm) lies: Option<u32>,
    /// Accepts connections.
    pub(in crate::swarm) up: bool,
    /// Payload per second that it sends.
    pub(in crate::swarm) rate: u64,
    pub(in crate::swarm) fast: bool,
    busy_until: Instant,
    links: BTreeMap<ConnectionId, (usize, ConnectionId)>,
    disk: BTreeMap<(PieceIndex, u32), Payload>,
    pub(in crate::swarm) events: Vec<Event>,
    pub(in crate::swarm) closes: Vec<CloseReason>,
    /// Requests of this node that wait for a piece or a reject, by connection.
    pub(in crate::swarm) unanswered: BTreeMap<(ConnectionId, Block), u32>,
    pub(in crate::swarm) requests: u64,
}

/// A world of swarms.
pub(in crate::swarm) struct Net {
    pub(in crate::swarm) now: Instant,
    pub(in crate::swarm) nodes: Vec<Node>,
    pub(in crate::swarm) delay: Duration,
    /// The right metadata.
    pub(in crate::swarm) metadata: Bytes,
    /// What the metadata says.
    pub(in crate::swarm) private: bool,
    layout: Arc<Layout>,
    happenings: BinaryHeap<Due>,
    sequence: u64,
    connections: u64,
}

impl Net {
    pub(in crate::swarm) fn new(layout: &Arc<Layout>) -> Self {
        Self {
            now: birth(),
            nodes: Vec::new(),
            delay: Duration::from_millis(5),
            metadata: Bytes::new(),
            private: false,
            layout: Arc::clone(layout),
            happenings: BinaryHeap::new(),
            sequence: 0,
            connections: 0,
        }
    }

    /// Adds a swarm; node `n` lives at 10.0.0.n+1.
    pub(in crate::swarm) fn add(&mut self, have: Bitfield) -> usize {
        let number = u8::try_from(self.nodes.len() + 1).expect("a small world");
        let metadata = self.metadata.clone();
        self.add_with(SwarmConfig { metadata, ..config(&self.layout, have, number) })
    }

    pub(in crate::swarm) fn add_with(&mut self, config: SwarmConfig) -> usize {
        self.add_swarm(config.peer_id, Swarm::new(self.now, config))
    }

    /// Adds a swarm that knows nothing but the hash.
    pub(in crate::swarm) fn add_magnet(&mut self) -> usize {
        let number = u8::try_from(self.nodes.len() + 1).expect("a small world");
        let peer_id = PeerId([number; 20]);
        let nothing = SwarmConfig::without_content(HASHES, peer_id, number.into());
        let config = SwarmConfig { listen_port: Some(6881), max_connections: 50, ..nothing };
        self.add_swarm(peer_id, Swarm::gathering(self.now, config))
    }

    fn add_swarm(&mut self, peer_id: PeerId, swarm: Swarm) -> usize {
        let number = u8::try_from(self.nodes.len() + 1).expect("a small world");
        self.nodes.push(Node {
            peer_id,
            swarm,
            addr: SocketAddr::from(([10, 0, 0, number], 6881)),
            lies: None,
            up: true,
            rate: 100_000_000,
            fast: true,
            busy_until: self.now,
            links: BTreeMap::new(),
            disk: BTreeMap::new(),
            events: Vec::new(),
            closes: Vec::new(),
            unanswered: BTreeMap::new(),
            requests: 0,
        });
        self.nodes.len() - 1
    }

    pub(in crate::swarm) fn seed(&mut self) -> usize {
        self.add(Bitfield::full(self.layout.piece_count()))
    }

    pub(in crate::swarm) fn leech(&mut self) -> usize {
        self.add(Bitfield::empty(self.layout.piece_count()))
    }

    /// Tells one node the addresses of others.
    pub(in crate::swarm) fn introduce(&mut self, node: usize, to: &[usize]) {
        let addrs: Vec<_> = to.iter().map(|other| self.nodes[*other].addr).collect();
        self.feed(node, Input::Candidates { source: Source::Tracker, addrs: &addrs });
    }

    /// Tells every node about every other.
    pub(in crate::swarm) fn introduce_all(&mut self) {
        let all: Vec<_> = (0..self.nodes.len()).collect();
        all.iter().for_each(|node| self.introduce(*node, &all));
    }

    pub(in crate::swarm) fn command(&mut self, node: usize, command: Command) {
        self.feed(node, Input::Command(command));
    }

    /// The node goes without a word; its peers see their connections end.
    pub(in crate::swarm) fn kill(&mut self, node: usize) {
        self.nodes[node].up = false;
        for (_, (other, connection)) in std::mem::take(&mut self.nodes[node].links) {
            self.nodes[other].links.remove(&connection);
            let reason = CloseReason::Io(std::io::ErrorKind::ConnectionReset);
            self.after(self.delay, Happening::Ends { node: other, connection, reason });
        }
    }

    /// The node starts again from what it had.
    pub(in crate::swarm) fn restart(&mut self, node: usize) {
        let number = u8::try_from(node + 1).expect("a small world");
        let have = self.nodes[node].swarm.have().clone();
        self.nodes[node].swarm = Swarm::new(self.now, config(&self.layout, have, number));
        self.nodes[node].up = true;
    }

    fn after(&mut self, delay: Duration, happening: Happening) {
        self.sequence += 1;
        self.happenings.push(Due(self.now + delay, self.sequence, happening));
    }

    /// Feeds one input and does what comes out.
    pub(in crate::swarm) fn feed(&mut self, node: usize, input: Input<'_>) {
        self.feed_batch(node, input, &[]);
    }

    fn feed_batch(&mut self, node: usize, input: Input<'_>, payloads: &[Payload]) {
        self.nodes[node].swarm.handle(self.now, input);
        let mut sent: BTreeMap<ConnectionId, Vec<(Message, Payload)>> = BTreeMap::new();
        let mut ended = Vec::new();
        while let Some(action) = self.nodes[node].swarm.poll() {
            match action {
                Action::Dial { addr, .. } => self.after(self.delay * 2, Happening::Dialled { from: node, addr }),
                Action::Send { connection, message } => {
                    self.note(node, connection, &message, true);
                    sent.entry(connection).or_default().push((message, true));
                }
                Action::Store { nth, block, .. } => {
                    let place = (block.piece, block.number());
                    self.nodes[node].disk.insert(place, payloads[nth]);
                }
                Action::Verify { piece, digests } => {
                    self.after(Duration::from_millis(1), Happening::Judged { node, piece, digests });
                }
                Action::Serve { connection, block } => {
                    let from = &mut self.nodes[node];
                    let took = Duration::from_nanos(u64::from(block.length) * 1_000_000_000 / from.rate);
                    from.busy_until = from.busy_until.max(self.now) + took;
                    let wait = from.busy_until - self.now;
                    self.after(wait, Happening::Served { node, connection, block });
                }
                Action::Close { connection, reason } => ended.push((connection, reason)),
                Action::JudgeMetadata { parts } => {
                    let right = parts.concat() == self.metadata;
                    self.after(Duration::from_millis(1), Happening::JudgedMetadata { node, right });
                }
                Action::NeedPeers | Action::Node(_) | Action::OpenWebSeed(_) => {}
                Action::Event(event) => self.nodes[node].events.push(event),
            }
        }
        for (connection, batch) in sent {
            self.send(node, connection, batch);
        }
        for (connection, reason) in ended {
            self.nodes[node].closes.push(reason.clone());
            self.after(Duration::ZERO, Happening::Ends { node, connection, reason });
            if let Some((other, theirs)) = self.nodes[node].links.remove(&connection) {
                self.nodes[other].links.remove(&theirs);
                self.after(self.delay, Happening::Ends { node: other, connection: theirs, reason: CloseReason::Eof });
            }
        }
    }

    fn send(&mut self, node: usize, connection: ConnectionId, batch: Vec<(Message, Payload)>) {
        if let Some((other, theirs)) = self.nodes[node].links.get(&connection) {
            let arrives = Happening::Arrives { node: *other, connection: *theirs, batch };
            self.after(self.delay, arrives);
        }
    }

    /// Counts requests and their answers: none is answered twice.
    fn note(&mut self, node: usize, connection: ConnectionId, message: &Message, out: bool) {
        let here = &mut self.nodes[node];
        match message {
            Message::Request(block) if out => {
                here.requests += 1;
                *here.unanswered.entry((connection, *block)).or_default() += 1;
            }
            Message::Piece(block) | Message::Reject(block) if !out && here.fast => {
                let left = here.unanswered.get_mut(&(connection, *block)).expect("an answer to a request");
                *left = left.checked_sub(1).expect("one answer to each request");
            }
            _ => {}
        }
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Dialled { from, addr } => self.dialled(from, addr),
            Happening::Arrives { node, connection, batch } => {
                if self.nodes[node].links.contains_key(&connection) {
                    batch.iter().for_each(|(message, _)| self.note(node, connection, message, false));
                    let (messages, payloads): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
                    self.feed_batch(node, Input::Received { connection, messages: &messages }, &payloads);
                }
            }
            Happening::Ends { node, connection, reason } => {
                self.nodes[node].unanswered.retain(|(asked, _), _| *asked != connection);
                self.feed(node, Input::Closed { connection, reason });
            }
            Happening::Served { node, connection, block } => {
                let lie = self.nodes[node].lies == Some(block.number());
                self.send(node, connection, vec![(Message::Piece(block), !lie)]);
                self.feed(node, Input::Served { connection, blocks: &[block] });
            }
            Happening::Judged { node, piece, digests } => {
                let count = self.layout.block_count(piece);
                let right =
                    |number| self.nodes[node].disk.get(&(piece, number)).copied().expect("every block is stored");
                let found: Vec<u64> = (0..count).map(|number| u64::from(right(number))).collect();
                let done = if found.iter().all(|right| *right == 1) {
                    DiskDone::Verified { piece, digests: digests.then_some(found) }
                } else {
                    DiskDone::Corrupt { piece, digests: found }
                };
                self.feed(node, Input::Disk(done));
            }
            Happening::JudgedMetadata { node, right } => {
                if !right {
                    return self.feed(node, Input::Metadata(Judgement::Wrong));
                }
                let (metadata, private) = (self.metadata.clone(), self.private);
                self.feed(node, Input::Metadata(Judgement::Right { metadata, private }));
                let layout = Arc::clone(&self.layout);
                let have = Bitfield::empty(layout.piece_count());
                let (info_hashes, hashes, priorities) = (HASHES, None, None);
                self.feed(node, Input::Begin(Content { info_hashes, layout, hashes, have, priorities }));
            }
        }
    }

    fn dialled(&mut self, from: usize, addr: SocketAddr) {
        let to = self.nodes.iter().position(|node| node.addr == addr && node.up);
        let Some(to) = to else {
            self.feed(from, Input::DialFailed { addr, error: DialError::Refused });
            return;
        };
        let (ours, theirs) = (ConnectionId(self.connections), ConnectionId(self.connections + 1));
        self.connections += 2;
        self.nodes[from].links.insert(ours, (to, theirs));
        self.nodes[to].links.insert(theirs, (from, ours));
        let mut far = self.nodes[from].addr;
        far.set_port(50_000);
        let both = self.nodes[from].fast && self.nodes[to].fast;
        let hello = |node: &Node| Handshake {
            reserved: Reserved([0, 0, 0, 0, 0, 0x10, 0, if both { 4 } else { 0 }]),
            info_hash: HASHES.wire(),
            peer_id: node.peer_id,
        };
        let (near, other) = (hello(&self.nodes[to]), hello(&self.nodes[from]));
        self.feed(
            from,
            Input::Connected(Connected {
                connection: ours,
                addr,
                incoming: false,
                handshake: near,
                cover: Cover::None,
            }),
        );
        if self.nodes[to].links.contains_key(&theirs) {
            self.feed(
                to,
                Input::Connected(Connected {
                    connection: theirs,
                    addr: far,
                    incoming: true,
                    handshake: other,
                    cover: Cover::None,
                }),
            );
        }
    }

    /// Lets the next thing happen; false if nothing more will, or not before `until`.
    fn step(&mut self, until: Instant) -> bool {
        let timer = (0..self.nodes.len()).filter(|node| self.nodes[*node].up);
        let timer = timer.filter_map(|node| self.nodes[node].swarm.next_timeout().map(|at| (at, node))).min();
        let happening = self.happenings.peek().map(|due| due.0);
        let next = timer.map(|(at, _)| at).into_iter().chain(happening).min();
        let Some(at) = next.filter(|at| *at <= until) else {
            self.now = until;
            return false;
        };
        self.now = self.now.max(at);
        match timer {
            Some((at, node)) if happening.is_none_or(|other| at < other) => {
                self.feed(node, Input::Timeout);
                let next = self.nodes[node].swarm.next_timeout();
                assert!(next.is_none_or(|next| next > at), "a timer that is not set anew");
            }
            _ => {
                if let Some(Due(_, _, happening)) = self.happenings.pop() {
                    self.happen(happening);
                }
            }
        }
        true
    }

    /// Runs for a while.
    pub(in crate::swarm) fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while self.step(until) {}
    }

    /// Runs until it is so; gives how long that took.
    pub(in crate::swarm) fn run_until(&mut self, most: Duration, is_so: impl Fn(&Self) -> bool) -> Duration {
        let start = self.now;
        while !is_so(self) {
            assert!(self.step(start + most), "not so after {most:?}: {:?}", self.summary());
        }
        self.now - start
    }

    pub(in crate::swarm) fn is_complete(&self, node: usize) -> bool {
        let have = self.nodes[node].swarm.have();
        have.pieces() > 0 && have.is_full()
    }

    pub(in crate::swarm) fn all_complete(&self) -> bool {
        (0..self.nodes.len()).all(|node| self.is_complete(node))
    }

    fn summary(&self) -> Vec<(u32, usize, Option<crate::swarm::Waiting>)> {
        let status = self.nodes.iter().map(|node| node.swarm.status(self.now));
        status.map(|status| (status.have_pieces, status.connections, status.waiting)).collect()
    }
}
