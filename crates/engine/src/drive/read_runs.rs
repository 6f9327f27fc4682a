//! Adjacent blocks for one peer, read as one run.
//!
//! A run goes to its connection, which reads it when it can send it, if that takes no waiting. If it would, the run comes back and a
//! disk thread reads it.

use std::collections::HashMap;
use std::sync::Arc;

use riverrun_metainfo::{BLOCK_LENGTH, Block, Layout, Span};
use riverrun_proto::swarm::ConnectionId;
use riverrun_storage::{Buffer, DiskTorrent, StorageError};
use smallvec::SmallVec;
use tokio::sync::oneshot;

use super::link::Outgoing;

/// The longest run, in bytes.
const MAX_RUN_BYTES: u64 = 256 * 1024;

/// Blocks that are put together to runs, and runs that disk threads read.
#[derive(Debug, Default)]
pub(crate) struct ReadRuns {
    next_token: u64,
    /// Only looked up, never walked.
    reading: HashMap<u64, (ConnectionId, ReadRun)>,
    run: Option<(ConnectionId, ReadRun)>,
    /// What is read for readers of files, by token.
    readers: HashMap<u64, oneshot::Sender<Answer>>,
}

/// What a disk thread has read, or why it could not.
pub(crate) type Answer = Result<Vec<Buffer>, Arc<StorageError>>;

/// Blocks that lie side by side and go to the same peer.
#[derive(Debug)]
pub(crate) struct ReadRun {
    pub(crate) blocks: SmallVec<[Block; 16]>,
    /// Where they are in the byte stream.
    pub(crate) span: Span,
    /// It goes on where the last one for this peer ended.
    pub(crate) in_order: bool,
}

impl ReadRuns {
    /// Whether nobody waits for anything.
    pub(crate) fn is_idle(&self) -> bool {
        self.reading.is_empty() && self.readers.is_empty() && self.run.is_none()
    }

    /// Adds a block. A run that it does not go on with is complete.
    pub(crate) fn add(
        &mut self,
        layout: &Layout,
        connection: ConnectionId,
        block: Block,
    ) -> Option<(ConnectionId, ReadRun)> {
        let Some(span) = layout.served_span(block) else {
            debug_assert!(false, "the swarm serves only blocks that lie in the torrent");
            return None;
        };
        if let Some((for_whom, run)) = &mut self.run
            && *for_whom == connection
            && run.goes_on_with(block, span)
        {
            run.blocks.push(block);
            run.span.length += span.length;
            return None;
        }
        self.run.replace((connection, ReadRun::new(block, span)))
    }

    /// The last run of a batch.
    pub(crate) fn take(&mut self) -> Option<(ConnectionId, ReadRun)> {
        self.run.take()
    }

    /// Has a disk thread read a run.
    pub(crate) fn read(&mut self, disk: &DiskTorrent, connection: ConnectionId, run: ReadRun) {
        let token = self.next_token;
        self.next_token += 1;
        disk.read(token, run.span, run.in_order);
        self.reading.insert(token, (connection, run));
    }

    /// Has a disk thread read for somebody who is no peer: no more than one piece.
    pub(crate) fn read_for_reader(&mut self, disk: &DiskTorrent, span: Span) -> oneshot::Receiver<Answer> {
        let (answer, receiver) = oneshot::channel();
        let token = self.next_token;
        self.next_token += 1;
        disk.read(token, span, true);
        self.readers.insert(token, answer);
        receiver
    }

    /// The reader for whom this was read.
    pub(crate) fn done_for_reader(&mut self, token: u64) -> Option<oneshot::Sender<Answer>> {
        self.readers.remove(&token)
    }

    /// The run with this token, which has been read.
    pub(crate) fn done(&mut self, token: u64) -> Option<(ConnectionId, ReadRun)> {
        self.reading.remove(&token)
    }
}

impl ReadRun {
    pub(crate) fn new(block: Block, span: Span) -> Self {
        Self { blocks: SmallVec::from_slice(&[block]), span, in_order: false }
    }

    fn goes_on_with(&self, block: Block, span: Span) -> bool {
        let last = self.blocks[self.blocks.len() - 1];
        last.piece == block.piece
            && last.begin + last.length == block.begin
            // The buffers of a run are cut every BLOCK_LENGTH from its start, so only its last block may be of another length.
            && last.length == BLOCK_LENGTH
            && self.span.length + span.length <= MAX_RUN_BYTES
    }

    /// Deals the buffers of the run out to its blocks.
    pub(crate) fn outgoing(self, buffers: impl IntoIterator<Item = Buffer>) -> impl Iterator<Item = Outgoing> {
        let mut buffers = buffers.into_iter();
        self.blocks.into_iter().map(move |block| {
            let count = block.length.div_ceil(BLOCK_LENGTH) as usize;
            let mut payload: SmallVec<[Buffer; 1]> = buffers.by_ref().take(count).collect();
            pad(&mut payload, block.length);
            Outgoing::new(block, payload)
        })
    }
}

/// Fills up what was read with zeros: the last block of a v2 file may be asked for in full length.
fn pad(payload: &mut [Buffer], length: u32) {
    const ZEROS: [u8; BLOCK_LENGTH as usize] = [0; BLOCK_LENGTH as usize];
    let read: usize = payload.iter().map(Buffer::len).sum();
    if let Some(last) = payload.last_mut() {
        let missing = (length as usize).saturating_sub(read).min(ZEROS.len());
        let added = last.append(&ZEROS[..missing]);
        debug_assert_eq!(added, missing, "what is missing is in the last block");
    }
}
