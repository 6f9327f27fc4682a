//! What one connection draws from before it reads or writes.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use riverrun_proto::rate::{self, NodeId};
use tokio::sync::Notify;

use super::Direction;

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// From a peer.
    Down,
    /// To a peer.
    Up,
}

/// What a meter says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Grant {
    /// This many bytes may go now, at least one.
    Bytes(usize),
    /// None; the connection is woken when it may.
    Wait,
}

/// What the network puts around bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    /// Bytes of the heads of TCP and IP.
    head: u64,
    /// Bytes of payload, at the usual 1500 of Ethernet.
    payload: u64,
}

impl Packet {
    pub(super) fn to(peer: IpAddr) -> Self {
        let head = if peer.to_canonical().is_ipv4() { 40 } else { 60 };
        Self { head, payload: 1500 - head }
    }

    /// The heads around so many bytes; the acknowledgements the other way are about as much.
    fn overhead(self, bytes: u64) -> u64 {
        bytes.div_ceil(self.payload) * self.head
    }
}

/// The place of one connection under the limits of its torrent.
#[derive(Debug)]
pub(crate) struct Meter {
    pub(super) lanes: [Lane; 2],
    pub(super) wake: Arc<Notify>,
    /// No limit counts for it.
    unlimited: bool,
    packet: Option<Packet>,
}

#[derive(Debug)]
pub(super) struct Lane {
    direction: Arc<Direction>,
    torrent: NodeId,
    /// Its leaf, once it has met a limit.
    pub(super) leaf: Option<NodeId>,
    /// It asked, and has not got anything for it yet.
    queued: bool,
    /// The same, and it was not woken since.
    waits: bool,
}

impl Lane {
    pub(super) fn leaf(&mut self, wake: &Arc<Notify>) -> NodeId {
        let torrent = self.torrent;
        *self.leaf.get_or_insert_with(|| {
            self.direction.act(|queue, now| {
                let leaf = queue.tree.add(now, torrent);
                if queue.wakes.len() <= leaf.index() {
                    queue.wakes.resize(leaf.index() + 1, None);
                }
                queue.wakes[leaf.index()] = Some(wake.clone());
                leaf
            })
        })
    }

    fn is_limited(&self) -> bool {
        self.direction.limited.load(Ordering::Relaxed)
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if let Some(leaf) = self.leaf {
            self.direction.act(|queue, _| {
                queue.wakes[leaf.index()] = None;
                queue.tree.remove(leaf);
            });
        }
    }
}

impl Meter {
    pub(super) fn new(
        directions: [&Arc<Direction>; 2],
        torrent: [NodeId; 2],
        wake: Arc<Notify>,
        unlimited: bool,
        packet: Option<Packet>,
    ) -> Self {
        let lane = |way: usize| Lane {
            direction: directions[way].clone(),
            torrent: torrent[way],
            leaf: None,
            queued: false,
            waits: false,
        };
        Self { lanes: [lane(0), lane(1)], wake, unlimited, packet }
    }

    /// Takes allowance for up to `want` bytes.
    pub(crate) fn take(&mut self, way: Way, want: usize) -> Grant {
        let lane = &mut self.lanes[way as usize];
        if self.unlimited || !lane.is_limited() {
            return Grant::Bytes(want);
        }
        let leaf = lane.leaf(&self.wake);
        let grant = lane.direction.act(|queue, now| queue.tree.take(now, leaf, want as u64));
        lane.queued = grant == rate::Grant::Queued;
        lane.waits = lane.queued;
        match grant {
            rate::Grant::Bytes(bytes) => Grant::Bytes(usize::try_from(bytes).map_or(want, |bytes| bytes.min(want))),
            rate::Grant::Queued => Grant::Wait,
        }
    }

    /// Says how much of a grant was used.
    pub(crate) fn settle(&mut self, way: Way, granted: usize, used: usize) {
        let lane = &self.lanes[way as usize];
        lane.direction.total.fetch_add(used as u64, Ordering::Relaxed);
        if self.unlimited {
            return;
        }
        let unused = (granted - used) as u64;
        if let Some(leaf) = lane.leaf.filter(|_| unused > 0 && lane.is_limited()) {
            lane.direction.act(|queue, _| queue.tree.give_back(leaf, unused));
        }
        if let Some(packet) = self.packet.filter(|_| used > 0) {
            let overhead = packet.overhead(used as u64);
            for lane in self.lanes.iter_mut().filter(|lane| lane.is_limited()) {
                let leaf = lane.leaf(&self.wake);
                lane.direction.act(|queue, now| queue.tree.spend(now, leaf, overhead));
            }
        }
    }

    /// Whether it waits its turn.
    pub(crate) fn waits(&self, way: Way) -> bool {
        self.lanes[way as usize].waits
    }

    /// The connection was woken: it may be its turn, the next draw tells.
    pub(crate) fn look_again(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.waits = false);
    }

    /// Nothing is to go for now: what it asked for is free for others.
    pub(crate) fn release(&mut self, way: Way) {
        let lane = &mut self.lanes[way as usize];
        lane.waits = false;
        if std::mem::take(&mut lane.queued)
            && let Some(leaf) = lane.leaf
        {
            lane.direction.act(|queue, _| queue.tree.cancel(leaf));
        }
    }
}
