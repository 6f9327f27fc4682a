//! What will happen, in order of time; what is due at once happens in the order in which it was set.

use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::Instant;

use riverrun_metainfo::{Block, PieceIndex};
use riverrun_proto::swarm::{CloseReason, ConnectionId, DialError};
use riverrun_proto::wire::Message;

use crate::host::HostId;

/// One message on its way, with the content of its block if it brings one.
#[derive(Clone, Debug)]
pub(crate) struct Letter {
    pub(crate) message: Message,
    pub(crate) content: u64,
}

/// An event and whom it is meant for.
#[derive(Debug)]
pub(crate) struct Due {
    pub(crate) host: HostId,
    /// The life of the host that it is meant for.
    pub(crate) life: u32,
    pub(crate) event: Event,
}

/// Something that happens to a host.
#[derive(Debug)]
pub(crate) enum Event {
    /// Its call reaches the address.
    Dial { addr: SocketAddr },
    /// Messages arrive.
    Batch { connection: ConnectionId, letters: Vec<Letter> },
    /// A connection ends.
    End { connection: ConnectionId, reason: CloseReason },
    /// Messages have left for the network; `served` is the block that was served by them.
    Left { connection: ConnectionId, letters: Vec<Letter>, served: Option<Block> },
    /// A call has ended without a connection.
    NoAnswer { addr: SocketAddr, error: DialError },
    /// All its connections break.
    Reset,
    /// It goes and does not come back.
    Leave,
    /// The disk may have room again.
    Room,
    /// The disk has judged a piece.
    Judged { piece: PieceIndex, digests: bool },
    /// The tracker answers.
    Tracker,
    /// It wakes: a timer of its own is due.
    Wake,
    /// It crashes; `silently`: its peers are told nothing.
    Crash { silently: bool },
    /// It starts again.
    Restart,
}

/// What will happen; the default queue is empty.
///
/// The heap holds names of what will happen alone: it moves its entries about, and events are long.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    heap: BinaryHeap<Entry>,
    next: u64,
    /// What will happen, each in its slot.
    slots: Vec<Option<T>>,
    vacant: Vec<u32>,
}

#[derive(Debug)]
struct Entry {
    at: Instant,
    number: u64,
    slot: u32,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), next: 0, slots: Vec::new(), vacant: Vec::new() }
    }
}

impl<T> Queue<T> {
    pub(crate) fn push(&mut self, at: Instant, what: T) {
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).expect("events fit the memory of a machine")
        });
        self.slots[slot as usize] = Some(what);
        self.heap.push(Entry { at, number: self.next, slot });
        self.next += 1;
    }

    /// When the next is due.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        self.heap.peek().map(|entry| entry.at)
    }

    pub(crate) fn pop(&mut self) -> Option<(Instant, T)> {
        let Entry { at, slot, .. } = self.heap.pop()?;
        self.vacant.push(slot);
        self.slots[slot as usize].take().map(|what| (at, what))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl Eq for Entry {}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Entry {
    /// The earliest is the greatest, for the heap gives the greatest first.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}
