//! What waits to be sent on one connection.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

use riverrun_metainfo::{Block, Span};
use riverrun_proto::swarm::CloseReason;
use riverrun_proto::wire::{Message, PIECE_HEADER_LENGTH, piece_header};
use riverrun_storage::Buffer;
use smallvec::SmallVec;
use tokio::sync::Notify;

use super::read_runs::ReadRun;

/// A connection whose peer lets this much of messages pile up is closed, in bytes. Blocks are not in it: the swarm has credit
/// for few of them. A `have` for each of 400,000 pieces fits.
const MAX_CONTROL_BYTES: usize = 4 << 20;
/// How many slices one vectored write names; the system's limit is 1024.
const MAX_SLICES: usize = 64;

/// The torrent's side of one connection, beside the swarm under the same lock.
#[derive(Debug)]
pub(crate) struct Link {
    wake: Arc<Notify>,
    /// The connection was woken and has not looked yet.
    woken: bool,
    control: Vec<u8>,
    /// Blocks that the connection is to read and send.
    runs: VecDeque<ReadRun>,
    /// Where the last of those ended in the byte stream.
    asked_until: u64,
    /// Blocks that a disk thread has read.
    blocks: VecDeque<Outgoing>,
    /// Of a web seed: what it is asked, in place of messages.
    asks: Option<Vec<Ask>>,
    close: Option<CloseReason>,
}

/// What a web seed is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ask {
    For(Block),
    /// It is not wanted any more; to be rejected, if it has not come (BEP 6).
    NoMore(Block),
}

/// A block that has been read from disk and is on its way out.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) block: Block,
    header: [u8; PIECE_HEADER_LENGTH],
    payload: SmallVec<[Buffer; 1]>,
}

impl Outgoing {
    pub(crate) fn new(block: Block, payload: SmallVec<[Buffer; 1]>) -> Self {
        Self { block, header: piece_header(block), payload }
    }

    fn length(&self) -> usize {
        PIECE_HEADER_LENGTH + self.block.length as usize
    }
}

impl Link {
    pub(crate) fn new(wake: Arc<Notify>) -> Self {
        let (runs, blocks) = (VecDeque::new(), VecDeque::new());
        Self { wake, woken: false, control: Vec::new(), runs, asked_until: u64::MAX, blocks, asks: None, close: None }
    }

    /// For a web seed, to which requests and cancels alone mean anything.
    pub(crate) fn of_web_seed(wake: Arc<Notify>) -> Self {
        Self { asks: Some(Vec::new()), ..Self::new(wake) }
    }

    /// Queues a message.
    pub(crate) fn send(&mut self, message: &Message) {
        if let Some(asks) = &mut self.asks {
            match message {
                Message::Request(block) => asks.push(Ask::For(*block)),
                Message::Cancel(block) => asks.push(Ask::NoMore(*block)),
                _ => {}
            }
            return;
        }
        message.encode(&mut self.control);
        if self.control.len() > MAX_CONTROL_BYTES {
            self.control.clear();
            self.close.get_or_insert(CloseReason::Breach("reads nothing of what is sent"));
        }
    }

    /// Queues blocks that are still to be read.
    pub(crate) fn send_run(&mut self, mut run: ReadRun) {
        run.in_order = run.span.offset == self.asked_until;
        self.asked_until = run.span.end();
        self.runs.push_back(run);
    }

    /// Queues a block that has been read.
    pub(crate) fn send_block(&mut self, block: Outgoing) {
        self.blocks.push_back(block);
    }

    /// Has the connection closed.
    pub(crate) fn close(&mut self, reason: CloseReason) {
        self.close.get_or_insert(reason);
    }

    /// The connection is about to look: nobody need wake it.
    pub(crate) fn attend(&mut self) {
        self.woken = true;
    }

    /// Whoever must be woken for it, once until the connection looks.
    pub(crate) fn due_wake(&mut self) -> Option<Arc<Notify>> {
        (!std::mem::replace(&mut self.woken, true)).then(|| self.wake.clone())
    }

    pub(crate) fn wake(&self) -> Arc<Notify> {
        self.wake.clone()
    }

    /// Hands over all that waits.
    pub(crate) fn take(&mut self, outbox: &mut Outbox) -> Option<CloseReason> {
        self.woken = false;
        if outbox.control_sent == outbox.control.len() {
            outbox.control.clear();
            outbox.control_sent = 0;
            std::mem::swap(&mut outbox.control, &mut self.control);
        } else {
            outbox.control.append(&mut self.control);
        }
        outbox.blocks.append(&mut self.blocks);
        outbox.runs.append(&mut self.runs);
        self.asks.iter_mut().for_each(|asks| outbox.asks.append(asks));
        self.close.clone()
    }
}

/// The connection's side: what it has taken to send and has not sent yet.
///
/// Messages go before blocks, but never into the middle of one.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    control: Vec<u8>,
    control_sent: usize,
    blocks: VecDeque<Outgoing>,
    /// Blocks that are to be read and sent behind those.
    runs: VecDeque<ReadRun>,
    /// How much of the first block has left.
    block_sent: usize,
    /// Blocks that have left since the swarm was last told.
    pub(crate) served: Vec<Block>,
    /// Runs that a disk thread has to read, until somebody asks for that.
    pub(crate) missed: Vec<ReadRun>,
    /// Bytes that the peer owes us, as far as is known.
    pub(crate) owed: usize,
    /// Kept for its memory.
    buffers: Vec<Buffer>,
    /// What a web seed is asked.
    pub(crate) asks: Vec<Ask>,
}

impl Outbox {
    /// Whether nothing waits, neither to be sent nor to be read.
    pub(crate) fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.runs.is_empty() && self.control_sent == self.control.len()
    }

    /// Whether there is nothing to be read yet.
    pub(crate) fn is_loaded(&self) -> bool {
        !self.blocks.is_empty() || self.runs.is_empty()
    }

    /// Reads the next blocks to be sent, with `read`, once all before them are gone: what is not read takes no memory, and what was
    /// read just now is still near the processor when it is sent. A run that cannot be read at once is missed.
    pub(crate) fn load(&mut self, mut read: impl FnMut(Span, &mut Vec<Buffer>) -> bool) {
        while self.blocks.is_empty()
            && let Some(run) = self.runs.pop_front()
        {
            if read(run.span, &mut self.buffers) {
                self.blocks.extend(run.outgoing(self.buffers.drain(..)));
            } else {
                self.missed.push(run);
            }
        }
    }

    /// Bytes of messages that have not left.
    pub(crate) fn control_bytes(&self) -> usize {
        self.control.len() - self.control_sent
    }

    /// The slices to write next, at most `most` bytes of them, handed to `write`; what it says was written is taken off.
    pub(crate) fn write_with<E>(
        &mut self,
        most: usize,
        write: impl FnOnce(&[IoSlice<'_>]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let written = {
            let mut slices = Slices { list: SmallVec::new(), left: most };
            let mid_block = self.block_sent > 0;
            let mut blocks = self.blocks.iter();
            if let Some(first) = mid_block.then(|| blocks.next()).flatten() {
                slices.push_block(first, self.block_sent);
            }
            slices.push(&self.control[self.control_sent..]);
            for block in blocks {
                slices.push_block(block, 0);
            }
            write(&slices.list)?
        };
        self.advance(written);
        Ok(written)
    }

    /// Moves what is to be sent next, messages and then whole blocks up to about `most` bytes, behind what `next` has; `apply` sees
    /// every byte once, in the order in which they will leave. Nothing of this outbox may have been sent in part.
    pub(crate) fn hand_over(&mut self, next: &mut Self, most: usize, mut apply: impl FnMut(&mut [u8])) {
        debug_assert!(self.block_sent == 0 && self.control_sent == 0 && next.is_empty());
        std::mem::swap(&mut self.control, &mut next.control);
        apply(&mut next.control);
        let mut bytes = next.control.len();
        while bytes < most
            && let Some(mut block) = self.blocks.pop_front()
        {
            bytes += block.length();
            apply(&mut block.header);
            block.payload.iter_mut().for_each(|buffer| apply(buffer.filled_mut()));
            next.blocks.push_back(block);
        }
    }

    fn advance(&mut self, mut written: usize) {
        if self.block_sent > 0 {
            written -= self.advance_block(written);
        }
        if self.block_sent == 0 {
            let control = written.min(self.control_bytes());
            self.control_sent += control;
            written -= control;
            if self.control_sent == self.control.len() {
                self.control.clear();
                self.control_sent = 0;
            }
        }
        while written > 0 {
            written -= self.advance_block(written);
        }
    }

    /// Takes up to `written` bytes off the first block; how many.
    fn advance_block(&mut self, written: usize) -> usize {
        let Some(first) = self.blocks.front() else { return written };
        let used = written.min(first.length() - self.block_sent);
        self.block_sent += used;
        if self.block_sent == first.length() {
            self.served.push(first.block);
            self.blocks.pop_front();
            self.block_sent = 0;
        }
        used
    }
}

struct Slices<'a> {
    list: SmallVec<[IoSlice<'a>; MAX_SLICES]>,
    left: usize,
}

impl<'a> Slices<'a> {
    fn push(&mut self, bytes: &'a [u8]) {
        let bytes = &bytes[..bytes.len().min(self.left)];
        if !bytes.is_empty() && self.list.len() < MAX_SLICES {
            self.left -= bytes.len();
            self.list.push(IoSlice::new(bytes));
        } else if !bytes.is_empty() {
            self.left = 0;
        }
    }

    fn push_block(&mut self, block: &'a Outgoing, mut skip: usize) {
        let parts = std::iter::once(block.header.as_slice()).chain(block.payload.iter().map(Buffer::filled));
        for part in parts {
            let skipped = skip.min(part.len());
            skip -= skipped;
            self.push(&part[skipped..]);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use riverrun_metainfo::PieceIndex;
    use riverrun_storage::Pool;

    use super::*;

    /// A block of bytes of its own, in as many buffers as it takes.
    fn outgoing(pool: &Pool, number: u32, length: u32) -> Outgoing {
        let bytes: Vec<u8> = (0..length).map(|at| u8::try_from((at * 7 + number) % 251).unwrap()).collect();
        let buffers = bytes.chunks(16 * 1024).map(|chunk| {
            let mut buffer = pool.try_take().unwrap();
            assert_eq!(buffer.append(chunk), chunk.len());
            buffer
        });
        Outgoing::new(Block { piece: PieceIndex(number), begin: 0, length }, buffers.collect())
    }

    fn wire(outgoing: &Outgoing) -> Vec<u8> {
        outgoing.payload.iter().fold(outgoing.header.to_vec(), |mut bytes, buffer| {
            bytes.extend_from_slice(buffer.filled());
            bytes
        })
    }

    #[test]
    fn whatever_the_socket_takes_the_stream_is_whole_messages_and_blocks_in_order() {
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..200 {
            let pool = Pool::new(4 << 20);
            let mut link = Link::new(Arc::default());
            let (mut outbox, mut blocks, mut sent) = (Outbox::default(), Vec::new(), Vec::new());
            for number in 0..12 {
                if random.bool() {
                    link.send(&Message::Have(PieceIndex(number)));
                }
                if random.bool() {
                    let block = outgoing(&pool, number, random.u32(1..40_000));
                    blocks.push((block.block, wire(&block)));
                    link.send_block(block);
                }
                assert_eq!(link.take(&mut outbox), None);
                let most = random.usize(1..50_000);
                let taken = random.usize(1..=most);
                let write = |slices: &[IoSlice<'_>]| {
                    let mut bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
                    assert!(bytes.len() <= most);
                    bytes.truncate(taken);
                    sent.extend_from_slice(&bytes);
                    Ok::<_, ()>(bytes.len())
                };
                if !outbox.is_empty() {
                    outbox.write_with(most, write).unwrap();
                }
            }
            while !outbox.is_empty() {
                let write = |slices: &[IoSlice<'_>]| {
                    slices.iter().for_each(|slice| sent.extend_from_slice(slice));
                    Ok::<_, ()>(slices.iter().map(|slice| slice.len()).sum())
                };
                outbox.write_with(usize::MAX, write).unwrap();
            }
            // Taken apart again: every message is whole, and the blocks are all there in order.
            let (mut rest, mut expected) = (&sent[..], blocks.iter());
            while let Some((prefix, _)) = rest.split_first_chunk::<4>() {
                let (message, after) = rest.split_at(4 + u32::from_be_bytes(*prefix) as usize);
                if message[4] == 7 {
                    assert_eq!(message, expected.next().unwrap().1);
                }
                rest = after;
            }
            assert!(rest.is_empty() && expected.next().is_none());
            assert_eq!(outbox.served, blocks.iter().map(|(block, _)| *block).collect::<Vec<_>>());
            assert_eq!(pool.out(), 0, "every buffer came back");
        }
    }

    #[test]
    fn blocks_are_read_when_those_before_them_have_left_and_what_cannot_be_is_missed() {
        let pool = Pool::new(4 << 20);
        let mut link = Link::new(Arc::default());
        let run = |number: u32| {
            let block = Block { piece: PieceIndex(number), begin: 0, length: 1000 };
            ReadRun::new(block, Span { offset: u64::from(number) * 1000, length: 1000 })
        };
        [0, 1, 5, 6].into_iter().for_each(|number| link.send_run(run(number)));
        let mut outbox = Outbox::default();
        link.take(&mut outbox);
        let in_order: Vec<_> = outbox.runs.iter().map(|run| run.in_order).collect();
        assert_eq!(in_order, [false, true, false, true]);
        let mut read = |span: Span, into: &mut Vec<Buffer>| {
            if span.offset == 1000 {
                return false;
            }
            let mut buffer = pool.try_take().unwrap();
            buffer.append(&[9; 1000]);
            into.push(buffer);
            true
        };
        let mut sent = Vec::new();
        while !outbox.is_empty() {
            assert!(!outbox.is_loaded());
            outbox.load(&mut read);
            // Nothing is read behind a block that has not left.
            outbox.load(&mut read);
            assert_eq!(pool.out(), 1);
            let write = |slices: &[IoSlice<'_>]| Ok::<_, ()>(slices.iter().map(|slice| slice.len()).sum());
            outbox.write_with(usize::MAX, write).unwrap();
            sent.append(&mut outbox.served);
        }
        assert_eq!(sent.iter().map(|block| block.piece.0).collect::<Vec<_>>(), [0, 5, 6]);
        assert_eq!(outbox.missed.iter().map(|run| run.span.offset).collect::<Vec<_>>(), [1000]);
        assert_eq!(pool.out(), 0);
    }

    #[test]
    fn p14_messages_that_nobody_reads_end_the_connection() {
        let mut link = Link::new(Arc::default());
        for number in 0..1_000_000 {
            link.send(&Message::Have(PieceIndex(number)));
        }
        assert!(matches!(link.take(&mut Outbox::default()), Some(CloseReason::Breach(_))));
    }

    #[test]
    fn a_connection_is_woken_once_until_it_looks() {
        let mut link = Link::new(Arc::default());
        assert!(link.due_wake().is_some() && link.due_wake().is_none());
        link.take(&mut Outbox::default());
        assert!(link.due_wake().is_some());
        link.take(&mut Outbox::default());
        link.attend();
        assert!(link.due_wake().is_none(), "it looks just now");
    }
}
