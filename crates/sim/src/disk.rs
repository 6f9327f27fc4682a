//! A disk in memory. It verifies by looking up what is right; what was not synced is gone after a crash.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use riverrun_metainfo::{Bitfield, Block, PieceIndex};
use riverrun_proto::swarm::DiskDone;

use crate::chance::Chance;
use crate::torrent::Torrent;

/// How long a verified piece stays in memory alone.
const SYNC_INTERVAL: Duration = Duration::from_secs(5);

/// The bytes of one host.
#[derive(Debug)]
pub(crate) struct Disk {
    contents: BTreeMap<(PieceIndex, u32), u64>,
    verified: Bitfield,
    /// What survives a crash.
    synced: Bitfield,
    /// Verified pieces that are not synced, and since when.
    fresh: Vec<(Instant, PieceIndex)>,
    /// Of a thousand pieces so many are lost by a failing device.
    pub(crate) loses: u32,
}

impl Disk {
    /// A disk that holds these pieces.
    pub(crate) fn new(have: Bitfield) -> Self {
        Self { contents: BTreeMap::new(), verified: have.clone(), synced: have, fresh: Vec::new(), loses: 0 }
    }

    /// The pieces that were found right.
    pub(crate) fn verified(&self) -> &Bitfield {
        &self.verified
    }

    pub(crate) fn store(&mut self, block: Block, content: u64) {
        self.contents.insert((block.piece, block.begin), content);
    }

    /// Compares a piece with what is right.
    pub(crate) fn judge(
        &mut self,
        now: Instant,
        torrent: &Torrent,
        piece: PieceIndex,
        digests: bool,
        chance: &mut Chance,
    ) -> DiskDone {
        let found: Vec<u64> = torrent
            .blocks(piece)
            .map(|block| self.contents.remove(&(block.piece, block.begin)).unwrap_or_default())
            .collect();
        if self.loses > 0 && chance.below(1000) < self.loses {
            return DiskDone::Lost { piece };
        }
        if torrent.blocks(piece).zip(&found).any(|(block, found)| torrent.content(block) != *found) {
            return DiskDone::Corrupt { piece, digests: found };
        }
        self.verified.insert(piece);
        self.fresh.push((now, piece));
        DiskDone::Verified { piece, digests: digests.then_some(found) }
    }

    /// A crash: gives what is there at the next start.
    pub(crate) fn crash(&mut self, now: Instant) -> Bitfield {
        for (since, piece) in std::mem::take(&mut self.fresh) {
            if now.saturating_duration_since(since) >= SYNC_INTERVAL {
                self.synced.insert(piece);
            }
        }
        self.contents.clear();
        self.verified = self.synced.clone();
        self.synced.clone()
    }
}
