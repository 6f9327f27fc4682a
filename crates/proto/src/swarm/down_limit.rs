//! What limits on what we read mean for what is asked for, and for how long it may take.

use std::time::Duration;

use riverrun_metainfo::BLOCK_LENGTH;

/// What may be outstanding under a limit on the rate, in seconds of it. Longer than the horizon of one peer's window, so that peers of
/// which each brings its share are not held back.
const LIMIT_HORIZON: u64 = 2;
/// What is allowed for what is outstanding to come, in times what it takes at best: what is sent is not all payload.
const SLOWNESS_SLACK: u64 = 2;
/// The most of it, in seconds: under a limit of a byte a second nobody needs to know.
const MOST_SLOWNESS: u64 = 24 * 3600;
const BLOCK_BYTES: u64 = BLOCK_LENGTH as u64;

/// How much we read, as the owner limits it.
#[derive(Debug, Default)]
pub(super) struct DownLimit {
    /// From all peers together, in bytes a second, if nothing else is read.
    most: Option<u64>,
    /// From each peer that has something for us, as was said last.
    told: Option<u64>,
    /// The same, as it is counted with.
    share: Option<u64>,
}

impl DownLimit {
    /// Another limit: shares of the one before are nothing to it.
    pub(super) fn set(&mut self, most: Option<u64>) {
        *self = Self { most, told: None, share: None };
    }

    /// What each peer gets at least. Less counts at once.
    pub(super) fn tell_share(&mut self, share: u64) {
        self.told = Some(share);
        self.share = Some(self.share.map_or(share, |before| before.min(share)));
    }

    /// A second has gone: more counts little by little, as what was asked for while it was less takes a while to come.
    pub(super) fn tick(&mut self) {
        if let (Some(share), Some(told)) = (&mut self.share, self.told) {
            *share = (*share + *share / 4 + 1).min(told);
        }
    }

    /// Blocks that may be outstanding to all peers together: more than comes within [`LIMIT_HORIZON`] is not asked for, or it would wait at
    /// the peers, and blocks that turn out urgent behind it. `None`: any number.
    pub(super) fn budget(&self) -> Option<usize> {
        let blocks = self.most?.saturating_mul(LIMIT_HORIZON) / BLOCK_BYTES;
        Some(usize::try_from(blocks).unwrap_or(usize::MAX))
    }

    /// What a peer may take longer than it else might, because we ourselves read no faster: the time that all which was asked for (`all`,
    /// in blocks) takes to come, as a block may come behind all others; or that which it was asked for itself (`its`), if its share
    /// is that small.
    pub(super) fn slowness(&self, all: usize, its: usize) -> Duration {
        let seconds = |blocks: usize, rate: Option<u64>| {
            let bytes = (blocks as u64).saturating_mul(BLOCK_BYTES);
            rate.map_or(0, |rate| bytes.saturating_mul(SLOWNESS_SLACK) / rate.max(1))
        };
        Duration::from_secs(seconds(all, self.most).max(seconds(its, self.share)).min(MOST_SLOWNESS))
    }
}
