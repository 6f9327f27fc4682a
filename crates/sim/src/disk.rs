//! A disk in memory. It verifies by looking up what is right; what was not synced is gone after a crash.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use riverrun_metainfo::{Bitfield, Block, PieceIndex};
use riverrun_proto::swarm::{DiskDone, Pressure};

use crate::chance::Chance;
use crate::torrent::Torrent;

/// How long a verified piece stays in memory alone.
const SYNC_INTERVAL: Duration = Duration::from_secs(5);

/// Memory for what was not written yet, in bytes; how full it is tells how much more may be asked for.
const BUFFER: u64 = 8 << 20;

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
    /// Bytes a second that it writes; `None`: it is never waited for.
    pub(crate) rate: Option<u64>,
    /// From when on until when nothing can be written.
    pub(crate) full: Option<(Instant, Instant)>,
    /// When all that was stored is written.
    idle_at: Instant,
    /// What the swarm was told last.
    pub(crate) pressure: Pressure,
    /// It will be looked at again how much room there is.
    pub(crate) watched: bool,
    /// The most that ever waited to be written, in bytes.
    pub(crate) most_waiting: u64,
}

impl Disk {
    /// A disk that holds these pieces.
    pub(crate) fn new(now: Instant, have: Bitfield) -> Self {
        Self {
            contents: BTreeMap::new(),
            verified: have.clone(),
            synced: have,
            fresh: Vec::new(),
            loses: 0,
            rate: None,
            full: None,
            idle_at: now,
            pressure: Pressure::None,
            watched: false,
            most_waiting: 0,
        }
    }

    /// Nothing can be written now; until when.
    pub(crate) fn full_until(&self, now: Instant) -> Option<Instant> {
        self.full.filter(|(from, until)| (*from..*until).contains(&now)).map(|(_, until)| until)
    }

    /// How long what is stored now waits until it is written.
    pub(crate) fn waits(&self, now: Instant) -> Duration {
        self.idle_at.saturating_duration_since(now)
    }

    /// How much room there is, by the levels of the engine without their memory; full as long as nothing can be written.
    pub(crate) fn room(&self, now: Instant) -> Pressure {
        let waiting = self.rate.map_or(0.0, |rate| self.waits(now).as_secs_f64() * rate as f64);
        match waiting / BUFFER as f64 {
            _ if self.full_until(now).is_some() => Pressure::Full,
            used if used >= 0.85 => Pressure::Full,
            used if used >= 0.5 => Pressure::Some,
            _ => Pressure::None,
        }
    }

    /// The pieces that were found right.
    pub(crate) fn verified(&self) -> &Bitfield {
        &self.verified
    }

    pub(crate) fn store(&mut self, now: Instant, block: Block, content: u64) {
        if let Some(rate) = self.rate {
            let bytes = u64::from(block.length);
            self.idle_at = self.idle_at.max(now) + Duration::from_nanos(bytes * 1_000_000_000 / rate);
            let waiting = self.waits(now).as_millis() * u128::from(rate) / 1000;
            self.most_waiting = self.most_waiting.max(u64::try_from(waiting).unwrap_or(u64::MAX));
        }
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
        if self.full_until(now).is_some() {
            return DiskDone::Lost { piece };
        }
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
        (self.idle_at, self.pressure, self.watched) = (now, Pressure::None, false);
        self.verified = self.synced.clone();
        self.synced.clone()
    }
}
