//! Adjacent blocks of one batch, written as one run.

use riverrun_metainfo::{Block, Layout, PieceIndex};
use riverrun_storage::{Buffer, DiskTorrent};

/// The payloads of a batch of messages, by the place of their message.
#[derive(Debug, Default)]
pub(crate) struct Payloads {
    list: Vec<(usize, Option<Buffer>)>,
    /// Where the next question is likely to be answered: they come in order.
    next: usize,
}

impl Payloads {
    pub(crate) fn push(&mut self, nth: usize, payload: Buffer) {
        self.list.push((nth, Some(payload)));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Forgets all; what the swarm did not want goes back to the pool.
    pub(crate) fn clear(&mut self) {
        self.list.clear();
        self.next = 0;
    }

    fn take(&mut self, nth: usize) -> Option<Buffer> {
        let at = match self.list.get(self.next) {
            Some((number, _)) if *number == nth => self.next,
            _ => self.list.binary_search_by_key(&nth, |(number, _)| *number).ok()?,
        };
        self.next = at + 1;
        self.list[at].1.take()
    }
}

/// A run in the making.
#[derive(Debug, Default)]
pub(crate) struct WriteRuns {
    run: Option<Run>,
    /// The blocks of the run.
    buffers: Vec<Buffer>,
}

#[derive(Debug)]
struct Run {
    piece: PieceIndex,
    /// Where the run starts in the byte stream.
    offset: u64,
    /// Where the next block would start in the piece.
    end: u32,
}

impl WriteRuns {
    /// Adds a block; a run that it does not go on with is written first.
    pub(crate) fn add(
        &mut self,
        disk: &DiskTorrent,
        layout: &Layout,
        payloads: &mut Payloads,
        nth: usize,
        block: Block,
    ) {
        let (Some(buffer), Some(span)) = (payloads.take(nth), layout.block_span(block)) else {
            debug_assert!(false, "the swarm stores only blocks of the batch that lie in the torrent");
            return;
        };
        let end = block.begin + block.length;
        match &mut self.run {
            Some(run) if run.piece == block.piece && run.end == block.begin => {
                run.end = end;
            }
            _ => {
                self.flush(disk);
                self.run = Some(Run { piece: block.piece, offset: span.offset, end });
            }
        }
        self.buffers.push(buffer);
    }

    /// Hands the run to the disk.
    pub(crate) fn flush(&mut self, disk: &DiskTorrent) {
        if let Some(run) = self.run.take() {
            disk.write(run.piece, run.offset, &mut self.buffers);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use riverrun_storage::Pool;

    use super::*;

    #[test]
    fn payloads_are_found_by_their_message_in_any_order_and_once() {
        let pool = Pool::new(1 << 20);
        let mut payloads = Payloads::default();
        for nth in [0, 3, 4, 9] {
            let mut buffer = pool.try_take().unwrap();
            buffer.append(&[u8::try_from(nth).unwrap()]);
            payloads.push(nth, buffer);
        }
        for nth in [4usize, 9, 0] {
            assert_eq!(payloads.take(nth).unwrap().filled(), [u8::try_from(nth).unwrap()]);
        }
        assert!(payloads.take(4).is_none() && payloads.take(5).is_none());
        payloads.clear();
        assert_eq!(pool.out(), 0, "what nobody wanted went back");
    }
}
