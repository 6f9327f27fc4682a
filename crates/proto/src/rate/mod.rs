//! Rate limits that lie over one another: a tree of token buckets for one direction.
//!
//! Nodes are limits (a session, a group of torrents, a torrent), leaves are connections. Whoever wants to read or write asks
//! [`Tree::take`] for its leaf. It either may at once, or waits its turn, and comes out of [`Tree::poll`] when it may.
//!
//! A turn goes upwards: at each limited node on the way to the root some bytes are reserved, and whoever finds too few waits
//! there. So nobody who waits for one limit holds up those who do not share it, and nobody waits for somebody who waits for
//! him. Each node serves those who wait by start-time fair queueing: who has had fewest bytes of it is next. That is max-min
//! fair over connections: each gets an equal share of a limit, and what one cannot use goes to the others.
//!
//! The contract of all machines holds: time comes in as an argument, nothing waits. No more gets through a node in any time
//! than its rate allows and a quarter of a second's worth (at least a byte).

mod bucket;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bucket::Bucket;

/// A session, a group, a torrent, a connection.
const DEPTH: usize = 4;

/// How often [`Tree::timeout`] is due at most, so that fast limits cost no more timers than slow ones.
const TICK: Duration = Duration::from_millis(2);

/// So many grants one who had fewer than others may make up for, so that who waits for another limit first, or wants little,
/// does not wait as long as everybody here, too.
const CREDIT: u64 = 8;

/// Names one node of one tree until it is removed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct NodeId(u32);

impl NodeId {
    /// A small number that no other node of the tree has meanwhile.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What one who asks is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Grant {
    /// So many bytes may go now, at least one.
    Bytes(u64),
    /// It waits its turn.
    Queued,
}

/// The limits of one direction.
#[derive(Debug)]
pub struct Tree {
    nodes: Vec<Node>,
    free: Vec<u32>,
    /// When which node can serve the first of those who wait there.
    due: BTreeSet<(Instant, u32)>,
    granted: VecDeque<NodeId>,
    /// Limits that are set, those of children to come among them.
    limits: usize,
    turns: u64,
    ticked: Option<Instant>,
}

#[derive(Debug, Default)]
struct Node {
    parent: Option<u32>,
    children: u32,
    /// It was removed, and goes with its last child.
    gone: bool,
    bucket: Option<Bucket>,
    /// The limit of each child.
    each: Option<u64>,
    /// Leaves that wait here, by what they have had.
    queue: BTreeSet<Place>,
    /// What whoever was served last had had.
    virtual_time: u64,
    due: Option<Instant>,
    turn: Turn,
    /// What this leaf has had of each node on its way up, itself first.
    had: [u64; DEPTH],
}

/// A place in a queue.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Place {
    /// What the leaf has had of this node, or what others have had, if that is more.
    start: u64,
    /// First come, first served among equals.
    number: u64,
    leaf: u32,
}

/// What a leaf does.
#[derive(Clone, Copy, Debug, Default)]
enum Turn {
    #[default]
    Idle,
    Waiting {
        want: u64,
        /// Reserved at every limited node before `level`; what it wants at most before there is one.
        chunk: u64,
        level: usize,
        place: Place,
    },
    /// It may, and does not know yet.
    Granted(u64),
}

/// The nodes from a leaf to the root.
#[derive(Clone, Copy)]
struct Way {
    nodes: [u32; DEPTH],
    length: usize,
}

impl Way {
    fn iter(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let way = *self;
        (0..way.length).map(move |level| (level, way.nodes[level] as usize))
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// The top of every tree.
    pub const ROOT: NodeId = NodeId(0);

    /// A root without a limit.
    #[must_use]
    pub fn new() -> Self {
        Self {
            nodes: vec![Node::default()],
            free: Vec::new(),
            due: BTreeSet::new(),
            granted: VecDeque::new(),
            limits: 0,
            turns: 0,
            ticked: None,
        }
    }

    /// A node under another one, at most four levels deep with the root. It has the limit that `parent` sets for each of its children.
    ///
    /// # Panics
    /// The tree would have more than 2^32 nodes.
    pub fn add(&mut self, now: Instant, parent: NodeId) -> NodeId {
        let each = self.nodes[parent.index()].each;
        let bucket = each.map(|rate| Bucket::new(now, rate));
        self.limits += usize::from(bucket.is_some());
        let node = Node { parent: Some(parent.0), bucket, ..Node::default() };
        self.nodes[parent.index()].children += 1;
        let number = if let Some(number) = self.free.pop() {
            self.nodes[number as usize] = node;
            number
        } else {
            self.nodes.push(node);
            u32::try_from(self.nodes.len() - 1).expect("2^32 nodes do not fit into memory")
        };
        debug_assert!(self.way(number).length <= DEPTH);
        NodeId(number)
    }

    /// Removes a node; what it had reserved comes back. One that has children goes with the last of them.
    pub fn remove(&mut self, node: NodeId) {
        self.cancel(node);
        self.nodes[node.index()].gone = true;
        self.sweep(node.0);
    }

    /// Sets the limit of a node in bytes a second, at once for those who wait; `None` is no limit, 0 counts as 1.
    pub fn set_limit(&mut self, now: Instant, node: NodeId, limit: Option<u64>) {
        self.with_nobody_waiting(now, |tree| tree.set_bucket(now, node.0, limit));
    }

    /// Sets the limit of each child of a node, of those to come, too.
    pub fn set_each(&mut self, now: Instant, node: NodeId, limit: Option<u64>) {
        self.with_nobody_waiting(now, |tree| {
            let before = std::mem::replace(&mut tree.nodes[node.index()].each, limit);
            tree.limits -= usize::from(before.is_some());
            tree.limits += usize::from(limit.is_some());
            for number in tree.children(node.0) {
                tree.set_bucket(now, number, limit);
            }
        });
    }

    /// Moves a node with all beneath it under another one.
    pub fn set_parent(&mut self, now: Instant, node: NodeId, parent: NodeId) {
        self.with_nobody_waiting(now, |tree| {
            let Some(before) = tree.nodes[node.index()].parent.replace(parent.0) else { return };
            tree.nodes[parent.index()].children += 1;
            tree.nodes[before as usize].children -= 1;
            tree.sweep(before);
            // What they had of the others is no debt here.
            for child in tree.children(node.0) {
                tree.nodes[child as usize].had[2..].fill(0);
            }
        });
    }

    /// The limit of a node, in bytes a second.
    #[must_use]
    pub fn limit(&self, node: NodeId) -> Option<u64> {
        self.nodes[node.index()].bucket.as_ref().map(Bucket::rate)
    }

    /// The limit of each child of a node, in bytes a second.
    #[must_use]
    pub fn each(&self, node: NodeId) -> Option<u64> {
        self.nodes[node.index()].each
    }

    /// The lowest limit from a node up to the root, in bytes a second.
    #[must_use]
    pub fn lowest(&self, node: NodeId) -> Option<u64> {
        self.way(node.0).iter().filter_map(|(_, at)| self.nodes[at].bucket.as_ref().map(Bucket::rate)).min()
    }

    /// What each leaf beneath a node gets at least while as many wait as now, in bytes a second; `None`: no limit holds for it.
    #[must_use]
    pub fn share(&self, node: NodeId) -> Option<u64> {
        let of = |at: usize| {
            let node = &self.nodes[at];
            Some(node.bucket.as_ref()?.rate() / (node.queue.len() as u64).max(1))
        };
        let above = self.way(node.0).iter().filter_map(|(_, at)| of(at)).min();
        above.into_iter().chain(self.nodes[node.index()].each).min()
    }

    /// Whether there is any limit at all, or will be with the next child of some node.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.limits > 0
    }

    /// Asks for up to `want` bytes for a leaf. One that waits already, waits on; one whose turn came, gets what it waited for.
    pub fn take(&mut self, now: Instant, leaf: NodeId, want: u64) -> Grant {
        match self.nodes[leaf.index()].turn {
            Turn::Waiting { .. } => return Grant::Queued,
            Turn::Granted(bytes) => {
                self.nodes[leaf.index()].turn = Turn::Idle;
                let bytes = bytes.max(1);
                if bytes > want.max(1) {
                    self.give_back(leaf, bytes - want.max(1));
                }
                return Grant::Bytes(bytes.min(want.max(1)));
            }
            Turn::Idle => {}
        }
        match self.climb(now, leaf.0, want.max(1), want.max(1), 0) {
            Some(bytes) => Grant::Bytes(bytes),
            None => Grant::Queued,
        }
    }

    /// A leaf wants nothing any more: it waits for nothing, and gives back what it did not fetch.
    pub fn cancel(&mut self, leaf: NodeId) {
        match std::mem::take(&mut self.nodes[leaf.index()].turn) {
            Turn::Idle => {}
            Turn::Granted(bytes) => self.give_back(leaf, bytes),
            Turn::Waiting { chunk, level, place, .. } => {
                let way = self.way(leaf.0);
                self.nodes[way.nodes[level] as usize].queue.remove(&place);
                self.plan(way.nodes[level]);
                self.shrink(leaf.0, level, chunk);
            }
        }
    }

    /// A leaf did not need so many of the bytes that it was granted.
    pub fn give_back(&mut self, leaf: NodeId, bytes: u64) {
        for (level, at) in self.way(leaf.0).iter() {
            if let Some(bucket) = &mut self.nodes[at].bucket {
                bucket.give_back(bytes);
                let had = &mut self.nodes[leaf.index()].had[level];
                *had = had.saturating_sub(bytes);
                self.plan(index(at));
            }
        }
    }

    /// Bytes of a leaf have gone that nobody asked for, as what the network puts around them. They are made up for.
    pub fn spend(&mut self, now: Instant, leaf: NodeId, bytes: u64) {
        for (level, at) in self.way(leaf.0).iter() {
            if let Some(bucket) = &mut self.nodes[at].bucket {
                bucket.spend(now, bytes);
                self.nodes[leaf.index()].had[level] += bytes;
                self.plan(index(at));
            }
        }
    }

    /// When [`timeout`](Self::timeout) is due; `None`: nobody waits.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        let (first, _) = self.due.first()?;
        Some(self.ticked.map_or(*first, |ticked| (ticked + TICK).max(*first)))
    }

    /// Serves those who wait.
    pub fn timeout(&mut self, now: Instant) {
        self.ticked = Some(now);
        while let Some((due, at)) = self.due.first().copied()
            && due <= now
        {
            self.serve(now, at);
        }
    }

    /// A leaf whose turn has come; [`take`](Self::take) gives it its bytes.
    pub fn poll(&mut self) -> Option<NodeId> {
        self.granted.pop_front()
    }

    fn way(&self, leaf: u32) -> Way {
        let mut way = Way { nodes: [leaf; DEPTH], length: 1 };
        while let Some(parent) = self.nodes[way.nodes[way.length - 1] as usize].parent
            && way.length < DEPTH
        {
            way.nodes[way.length] = parent;
            way.length += 1;
        }
        way
    }

    fn children(&self, of: u32) -> Vec<u32> {
        let its = |(_, node): &(u32, &Node)| node.parent == Some(of);
        (0..).zip(&self.nodes).filter(its).map(|(number, _)| number).collect()
    }

    /// Reserves upwards from a level, until it may go (how much of it) or has to wait.
    fn climb(&mut self, now: Instant, leaf: u32, want: u64, mut chunk: u64, from: usize) -> Option<u64> {
        let way = self.way(leaf);
        for (level, at) in way.iter().skip(from) {
            let had = self.nodes[leaf as usize].had[level];
            let node = &mut self.nodes[at];
            let Some(bucket) = &mut node.bucket else { continue };
            let credit = CREDIT * bucket.quantum(node.queue.len() + 1);
            let start = had.max(node.virtual_time.saturating_sub(credit));
            if node.queue.is_empty() && bucket.ready(now) >= chunk.min(bucket.quantum(1)) {
                chunk = self.reserve(now, leaf, level, start, chunk);
                continue;
            }
            self.turns += 1;
            let place = Place { start, number: self.turns, leaf };
            node.queue.insert(place);
            self.nodes[leaf as usize].turn = Turn::Waiting { want, chunk, level, place };
            self.plan(index(at));
            return None;
        }
        for (_, at) in way.iter() {
            if let Some(bucket) = &mut self.nodes[at].bucket {
                bucket.go(now, chunk);
                self.plan(index(at));
            }
        }
        Some(chunk)
    }

    /// Reserves at one node what it has of a chunk, and lets go of the rest at the nodes before. How much it is.
    fn reserve(&mut self, now: Instant, leaf: u32, level: usize, start: u64, chunk: u64) -> u64 {
        let at = self.way(leaf).nodes[level];
        let node = &mut self.nodes[at as usize];
        let waiting = node.queue.len() + 1;
        let Some(bucket) = &mut node.bucket else { return chunk };
        let bytes = chunk.min(bucket.quantum(waiting)).min(bucket.ready(now));
        bucket.reserve(bytes);
        node.virtual_time = node.virtual_time.max(start);
        self.nodes[leaf as usize].had[level] = start + bytes;
        self.shrink(leaf, level, chunk - bytes);
        bytes
    }

    /// So many bytes less are needed of what was reserved before a level.
    fn shrink(&mut self, leaf: u32, level: usize, bytes: u64) {
        for (before, at) in self.way(leaf).iter().take(level) {
            if let Some(bucket) = &mut self.nodes[at].bucket {
                bucket.unreserve(bytes);
                let had = &mut self.nodes[leaf as usize].had[before];
                *had = had.saturating_sub(bytes);
                self.plan(index(at));
            }
        }
    }

    /// Serves those who wait at one node, as far as its bytes go.
    fn serve(&mut self, now: Instant, at: u32) {
        while let Some(place) = self.nodes[at as usize].queue.first().copied() {
            let Turn::Waiting { want, chunk, level, .. } = self.nodes[place.leaf as usize].turn else { break };
            let node = &mut self.nodes[at as usize];
            let Some(bucket) = &mut node.bucket else { break };
            if bucket.ready(now) < chunk.min(bucket.quantum(node.queue.len())) {
                break;
            }
            node.queue.remove(&place);
            let chunk = self.reserve(now, place.leaf, level, place.start, chunk);
            self.nodes[place.leaf as usize].turn = Turn::Idle;
            if let Some(bytes) = self.climb(now, place.leaf, want, chunk, level + 1) {
                self.nodes[place.leaf as usize].turn = Turn::Granted(bytes);
                self.granted.push_back(NodeId(place.leaf));
            }
        }
        self.plan(at);
    }

    /// Notes when a node can serve the first of those who wait there.
    fn plan(&mut self, at: u32) {
        let node = &self.nodes[at as usize];
        let due = node.queue.first().and_then(|place| {
            let Turn::Waiting { chunk, .. } = self.nodes[place.leaf as usize].turn else { return None };
            let bucket = node.bucket.as_ref()?;
            bucket.ready_at(chunk.min(bucket.quantum(node.queue.len())))
        });
        if due != node.due {
            if let Some(before) = node.due {
                self.due.remove(&(before, at));
            }
            self.due.extend(due.map(|due| (due, at)));
            self.nodes[at as usize].due = due;
        }
    }

    fn set_bucket(&mut self, now: Instant, at: u32, limit: Option<u64>) {
        let bucket = &mut self.nodes[at as usize].bucket;
        self.limits -= usize::from(bucket.is_some());
        self.limits += usize::from(limit.is_some());
        match (bucket.as_mut(), limit) {
            (Some(bucket), Some(rate)) => bucket.set_rate(now, rate),
            (_, limit) => *bucket = limit.map(|rate| Bucket::new(now, rate)),
        }
    }

    /// Takes back every turn, changes something, and lets all ask again in the order they came.
    fn with_nobody_waiting(&mut self, now: Instant, change: impl FnOnce(&mut Self)) {
        let waiting = (0..).zip(&self.nodes).filter_map(|(number, node)| match node.turn {
            Turn::Waiting { want, place, .. } => Some((place.number, number, want)),
            Turn::Idle | Turn::Granted(_) => None,
        });
        let mut waiting: Vec<(u64, u32, u64)> = waiting.collect();
        waiting.sort_unstable();
        waiting.iter().for_each(|(_, leaf, _)| self.cancel(NodeId(*leaf)));
        change(self);
        for (_, leaf, want) in waiting {
            if let Some(bytes) = self.climb(now, leaf, want, want, 0) {
                self.nodes[leaf as usize].turn = Turn::Granted(bytes);
                self.granted.push_back(NodeId(leaf));
            }
        }
    }

    /// Frees what was removed and has no children left.
    fn sweep(&mut self, mut at: u32) {
        loop {
            let node = &self.nodes[at as usize];
            if !node.gone || node.children > 0 {
                return;
            }
            self.limits -= usize::from(node.bucket.is_some()) + usize::from(node.each.is_some());
            self.granted.retain(|granted| granted.0 != at);
            let Some(parent) = node.parent else { return };
            self.nodes[at as usize] = Node::default();
            self.free.push(at);
            self.nodes[parent as usize].children -= 1;
            at = parent;
        }
    }
}

fn index(at: usize) -> u32 {
    u32::try_from(at).expect("a number of a node")
}
