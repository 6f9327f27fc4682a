//! Adjacent blocks for one peer, read as one run.

use std::collections::HashMap;

use riverrun_metainfo::{BLOCK_LENGTH, Block, Layout, Span};
use riverrun_proto::swarm::ConnectionId;
use riverrun_storage::{Buffer, DiskTorrent};

use super::link::Outgoing;

/// The longest run, in bytes.
const MAX_RUN_BYTES: u64 = 256 * 1024;

/// Blocks that are being read for peers.
#[derive(Debug, Default)]
pub(crate) struct ReadRuns {
    next_token: u64,
    /// Only looked up, never walked.
    reading: HashMap<u64, ReadRun>,
    run: Option<(ReadRun, Span)>,
}

/// Blocks that lie side by side and go to the same peer.
#[derive(Debug)]
pub(crate) struct ReadRun {
    pub(crate) connection: ConnectionId,
    pub(crate) blocks: Vec<Block>,
}

impl ReadRuns {
    /// Adds a block; a run that it does not go on with is asked for first.
    pub(crate) fn add(&mut self, disk: &DiskTorrent, layout: &Layout, connection: ConnectionId, block: Block) {
        let Some(span) = layout.served_span(block) else {
            debug_assert!(false, "the swarm serves only blocks that lie in the torrent");
            return;
        };
        if let Some((run, whole)) = &mut self.run {
            let last = run.blocks[run.blocks.len() - 1];
            let adjacent = run.connection == connection
                && last.piece == block.piece
                && last.begin + last.length == block.begin
                // The buffers of a run are cut every BLOCK_LENGTH from its start, so only its last block may be of another length.
                && last.length == BLOCK_LENGTH
                && whole.length + span.length <= MAX_RUN_BYTES;
            if adjacent {
                run.blocks.push(block);
                whole.length += span.length;
                return;
            }
        }
        self.flush(disk);
        self.run = Some((ReadRun { connection, blocks: vec![block] }, span));
    }

    /// Asks the disk for the run.
    pub(crate) fn flush(&mut self, disk: &DiskTorrent) {
        if let Some((run, span)) = self.run.take() {
            let token = self.next_token;
            self.next_token += 1;
            self.reading.insert(token, run);
            disk.read(token, span);
        }
    }

    /// The run with this token, which has been read.
    pub(crate) fn done(&mut self, token: u64) -> Option<ReadRun> {
        self.reading.remove(&token)
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

impl ReadRun {
    /// Deals the buffers of the run out to its blocks.
    pub(crate) fn outgoing(self, buffers: Vec<Buffer>) -> impl Iterator<Item = Outgoing> {
        let mut buffers = buffers.into_iter();
        self.blocks.into_iter().map(move |block| {
            let count = block.length.div_ceil(BLOCK_LENGTH) as usize;
            let mut payload: Vec<Buffer> = buffers.by_ref().take(count).collect();
            pad(&mut payload, block.length);
            Outgoing::new(block, payload)
        })
    }
}
