//! What will happen, in order of time; what is due at once happens in the order in which it was set.

use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::time::Instant;

use riverrun_metainfo::{Block, PieceIndex};
use riverrun_proto::swarm::{CloseReason, ConnectionId, DialError, WebSeedId};
use riverrun_proto::wire::Message;

use crate::host::HostId;

/// Messages on their way together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Letters {
    pub(crate) messages: Vec<Message>,
    /// The content of each block, by the place of its message; empty if there is none.
    contents: Vec<u64>,
}

impl Letters {
    /// A block with its content.
    pub(crate) fn block(block: Block, content: u64) -> Self {
        Self { messages: vec![Message::Piece(block)], contents: vec![content] }
    }

    pub(crate) fn push(&mut self, message: Message) {
        self.messages.push(message);
    }

    pub(crate) fn push_block(&mut self, block: Block, content: u64) {
        self.contents.resize(self.messages.len(), 0);
        self.contents.push(content);
        self.messages.push(Message::Piece(block));
    }

    /// The content of the block in this place.
    pub(crate) fn content(&self, nth: usize) -> u64 {
        self.contents.get(nth).copied().unwrap_or_default()
    }
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
    /// Messages arrive; `straight` from whoever sent them, so that the link's queue has not seen them yet.
    Batch { connection: ConnectionId, letters: Letters, straight: bool },
    /// A connection ends.
    End { connection: ConnectionId, reason: CloseReason },
    /// Messages have left for the network; `served` is the block that was served by them.
    Left { connection: ConnectionId, letters: Letters, served: Option<Block> },
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
    /// It is ready to ask a web seed.
    WebSeed { seed: WebSeedId },
    /// It looks whether a web server is silent for too long.
    Patience { connection: ConnectionId },
    /// A web server goes on after a while.
    Turn { connection: ConnectionId },
    /// It learns that a web server lacks a file.
    Lacks { connection: ConnectionId },
}

impl Event {
    /// The connection on which it happens, if it is on one.
    pub(crate) fn connection(&self) -> Option<ConnectionId> {
        match self {
            Self::Batch { connection, .. } | Self::Left { connection, .. } => Some(*connection),
            _ => None,
        }
    }
}

/// What will happen; the default queue is empty.
///
/// Almost all is due within two seconds: it waits in a ring of moments and is put in order when its moment comes. A heap of all that
/// will happen in a world of thousands is far larger than any cache. The queue moves names of what will happen alone, for events
/// are long.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    /// What is due in this moment.
    near: BinaryHeap<Entry>,
    /// What is due in the moments after it, each in its place of the ring.
    ring: Vec<Vec<Entry>>,
    in_ring: usize,
    /// What is due later than that.
    far: BinaryHeap<Entry>,
    /// The moments are counted from here.
    origin: Option<Instant>,
    /// The number of this moment.
    moment: u64,
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

/// Moments in the ring, each of 1,024 microseconds.
const RING: u64 = 2048;

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            near: BinaryHeap::new(),
            ring: (0..RING).map(|_| Vec::new()).collect(),
            in_ring: 0,
            far: BinaryHeap::new(),
            origin: None,
            moment: 0,
            next: 0,
            slots: Vec::new(),
            vacant: Vec::new(),
        }
    }
}

impl<T> Queue<T> {
    pub(crate) fn push(&mut self, at: Instant, what: T) {
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).expect("events fit the memory of a machine")
        });
        self.slots[slot as usize] = Some(what);
        let entry = Entry { at, number: self.next, slot };
        self.next += 1;
        self.origin.get_or_insert(at);
        match self.moment_of(at) {
            moment if moment <= self.moment => self.near.push(entry),
            moment if moment - self.moment < RING => {
                self.ring[place(moment)].push(entry);
                self.in_ring += 1;
            }
            _ => self.far.push(entry),
        }
    }

    /// When the next is due.
    pub(crate) fn next_at(&mut self) -> Option<Instant> {
        self.advance();
        self.near.peek().map(|entry| entry.at)
    }

    pub(crate) fn pop(&mut self) -> Option<(Instant, T)> {
        self.advance();
        let Entry { at, slot, .. } = self.near.pop()?;
        self.vacant.push(slot);
        self.slots[slot as usize].take().map(|what| (at, what))
    }

    /// What is due before the origin belongs to the first moment.
    fn moment_of(&self, at: Instant) -> u64 {
        let age = self.origin.map(|origin| at.saturating_duration_since(origin)).unwrap_or_default();
        u64::try_from(age.as_micros()).unwrap_or(u64::MAX) / 1024
    }

    /// Goes on to the next moment in which something is due.
    fn advance(&mut self) {
        while self.near.is_empty() {
            let later = self.far.peek().map(|entry| self.moment_of(entry.at));
            match later {
                Some(later) if self.in_ring == 0 => self.moment = later,
                None if self.in_ring == 0 => return,
                _ => self.moment += 1,
            }
            let due = &mut self.ring[place(self.moment)];
            self.in_ring -= due.len();
            self.near.extend(due.drain(..));
            while let Some(entry) = self.far.peek()
                && self.moment_of(entry.at) <= self.moment
            {
                self.near.extend(self.far.pop());
            }
        }
    }
}

fn place(moment: u64) -> usize {
    usize::try_from(moment % RING).expect("a short ring")
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_due_first_happens_first_and_at_one_time_in_the_order_in_which_it_was_set() {
        let mut rng = fastrand::Rng::with_seed(3);
        let (mut queue, begin) = (Queue::default(), Instant::now() + Duration::from_secs(60));
        let mut waiting = std::collections::BTreeSet::new();
        let mut now = begin - Duration::from_secs(1);
        for number in 0..20_000_u32 {
            let within = [3, 3_000, 3_000_000, 30_000_000][rng.usize(..4)];
            let at = now + Duration::from_micros(rng.u64(..within));
            queue.push(at, number);
            waiting.insert((at, number));
            // Now and then all that waits happens, so that the queue also has nothing near.
            let happen = if rng.u32(..500) == 0 { waiting.len() } else { rng.usize(..2) };
            for _ in 0..happen {
                assert_eq!(queue.next_at(), waiting.first().map(|first| first.0));
                let next = queue.pop();
                assert_eq!(next, waiting.pop_first());
                now = next.map_or(now, |next| next.0);
            }
        }
        assert!(now > begin + Duration::from_secs(60), "the ring was passed many times");
        while let Some(next) = queue.pop() {
            assert_eq!(Some(next), waiting.pop_first());
        }
        assert!(waiting.is_empty() && queue.next_at().is_none());
    }
}
