//! Giving the metadata to peers that ask for it (BEP 9).

use std::time::Instant;

use bytes::Bytes;
use riverrun_metainfo::BLOCK_LENGTH;

use crate::limits;
use crate::wire::extended::MetadataMessage;

/// The metadata that peers are given, and how much of it at once.
#[derive(Debug)]
pub(in crate::swarm) struct Serving {
    /// Empty: there is none.
    metadata: Bytes,
    allowance: Allowance,
}

/// A store of pieces that fills with time.
#[derive(Debug)]
pub(in crate::swarm) struct Allowance {
    pieces: u32,
    burst: u32,
    per_second: u32,
    counted: Instant,
}

impl Allowance {
    /// What one peer may have.
    pub(in crate::swarm) fn of_peer(now: Instant) -> Self {
        Self::new(now, limits::METADATA_BURST, limits::METADATA_PER_SECOND)
    }

    fn new(now: Instant, burst: u32, per_second: u32) -> Self {
        Self { pieces: burst, burst, per_second, counted: now }
    }

    fn has(&mut self, now: Instant) -> bool {
        let millis = now.saturating_duration_since(self.counted).as_millis();
        let more = u32::try_from(millis * u128::from(self.per_second) / 1000).unwrap_or(u32::MAX);
        if more > 0 {
            self.pieces = self.pieces.saturating_add(more).min(self.burst);
            self.counted = now;
        }
        self.pieces > 0
    }
}

impl Serving {
    pub(in crate::swarm) fn new(now: Instant, metadata: Bytes) -> Self {
        let allowance = Allowance::new(now, limits::METADATA_BURST_OF_ALL, limits::METADATA_PER_SECOND_OF_ALL);
        Self { metadata, allowance }
    }

    /// The length in bytes, as peers are told it; `None` if there is nothing to give.
    pub(in crate::swarm) fn size(&self) -> Option<u32> {
        u32::try_from(self.metadata.len()).ok().filter(|size| (1..=limits::MAX_METADATA_LENGTH).contains(size))
    }

    /// The answer to a request: the piece, or a reject if there is none such or the peer has had enough for now.
    pub(in crate::swarm) fn answer(&mut self, now: Instant, piece: u32, peer: &mut Allowance) -> MetadataMessage {
        let reject = MetadataMessage::Reject { piece };
        let Some(total_size) = self.size().filter(|size| piece < size.div_ceil(BLOCK_LENGTH)) else { return reject };
        if !self.allowance.has(now) || !peer.has(now) {
            return reject;
        }
        self.allowance.pieces -= 1;
        peer.pieces -= 1;
        let start = piece as usize * BLOCK_LENGTH as usize;
        let end = self.metadata.len().min(start + BLOCK_LENGTH as usize);
        MetadataMessage::Data { piece, total_size, data: self.metadata.slice(start..end) }
    }
}
