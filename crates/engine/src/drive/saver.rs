//! When to sync and to write the resume record.

use std::time::{Duration, Instant};

use riverrun_metainfo::Bitfield;
use riverrun_proto::swarm::Swarm;
use riverrun_storage::DiskTorrent;
use tokio::sync::oneshot;

/// So much that is not in the record yet is synced before its time, in bytes.
const MAX_UNSAVED_BYTES: u64 = 256 << 20;

/// Why a sync was asked for.
#[derive(Debug, Default)]
pub(crate) struct Purpose {
    /// To look at the files before the download is called complete.
    pub(crate) last_look: bool,
    /// Somebody waits for the record.
    pub(crate) told: Option<oneshot::Sender<()>>,
}

/// Decides when the record is written. It never claims a piece that was not verified before its sync was asked for.
#[derive(Debug)]
pub(crate) struct Saver {
    interval: Duration,
    unsaved_bytes: u64,
    /// When the first piece came that the record does not have.
    since: Option<Instant>,
    next_token: u64,
    /// The syncs under way by their tokens; nothing is allocated for a torrent that rests.
    syncing: Vec<(u64, Purpose, Bitfield)>,
}

impl Saver {
    pub(crate) fn new(interval: Duration) -> Self {
        Self { interval, unsaved_bytes: 0, since: None, next_token: 0, syncing: Vec::new() }
    }

    /// A piece came that the record does not have.
    pub(crate) fn piece_done(&mut self, now: Instant, length: u32) {
        self.unsaved_bytes += u64::from(length);
        self.since.get_or_insert(now);
    }

    /// When [`timeout`](Self::timeout) is due.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let since = self.since.filter(|_| self.syncing.is_empty())?;
        Some(if self.unsaved_bytes >= MAX_UNSAVED_BYTES { since } else { since + self.interval })
    }

    pub(crate) fn timeout(&mut self, now: Instant, swarm: &Swarm, disk: &DiskTorrent) {
        if self.next_timeout().is_some_and(|due| due <= now) {
            self.sync(swarm, disk, Purpose::default());
        }
    }

    /// Everything wanted is here.
    pub(crate) fn finish(&mut self, swarm: &Swarm, disk: &DiskTorrent) {
        self.sync(swarm, disk, Purpose { last_look: true, told: None });
    }

    /// Saves now and says so; the receiver fails if the sync does.
    pub(crate) fn flush(&mut self, swarm: &Swarm, disk: &DiskTorrent) -> oneshot::Receiver<()> {
        let (told, saved) = oneshot::channel();
        self.sync(swarm, disk, Purpose { last_look: false, told: Some(told) });
        saved
    }

    fn sync(&mut self, swarm: &Swarm, disk: &DiskTorrent, purpose: Purpose) {
        let token = self.next_token;
        self.next_token += 1;
        self.unsaved_bytes = 0;
        self.since = None;
        self.syncing.push((token, purpose, swarm.have().clone()));
        disk.sync(token);
    }

    /// A sync ended: why it was asked for, and the pieces that were verified then.
    pub(crate) fn synced(&mut self, token: u64) -> Option<(Purpose, Bitfield)> {
        let at = self.syncing.iter().position(|(number, ..)| *number == token)?;
        let (_, purpose, have) = self.syncing.swap_remove(at);
        if self.syncing.is_empty() {
            self.syncing = Vec::new();
        }
        Some((purpose, have))
    }
}
