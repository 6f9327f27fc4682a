//! The requests outstanding to one peer, and how many there should be.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use riverrun_metainfo::{BLOCK_LENGTH, PieceIndex};

#[cfg(test)]
mod tests;

/// Requests at the beginning, in blocks: enough to find out how fast a peer is, little for a slow one.
const INITIAL_WINDOW: u32 = 32;
/// Requests kept with the slowest peer, in blocks.
const LEAST_WINDOW: u32 = 2;
/// How much data should be outstanding once the peer's rate is known. Longer than any round trip, and than the ticks by which
/// some clients answer, so that a window never holds back the rate that it is computed from.
const HORIZON_MILLISECONDS: u64 = 1500;
/// The same of a web seed: what is outstanding in a row is one request to it, and there is a pause between two.
const RUN_HORIZON_MILLISECONDS: u64 = 6000;
/// How often the rate is measured for the window.
const EPOCH: Duration = Duration::from_millis(500);

/// One request that waits for its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Asked {
    pub(super) piece: PieceIndex,
    /// The block's number in the piece.
    pub(super) number: u32,
    pub(super) at: Instant,
    /// Still wanted. If not, it was taken back and only its answer is awaited (BEP 6).
    pub(super) live: bool,
}

/// Requests in the order they were sent.
#[derive(Debug, Default)]
pub(super) struct Pipeline {
    queue: VecDeque<Asked>,
    live: usize,
    /// The most there were since none was wanted.
    most: usize,
}

impl Pipeline {
    /// All that an answer may come for.
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    /// Requests go out to a peer that had none that are wanted.
    pub(super) fn begin(&mut self) {
        self.most = self.queue.len();
    }

    /// As many as can have been before any of them.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Those that are still wanted.
    pub(super) fn live(&self) -> usize {
        self.live
    }

    pub(super) fn push(&mut self, piece: PieceIndex, number: u32, now: Instant) {
        self.queue.push_back(Asked { piece, number, at: now, live: true });
        self.most = self.most.max(self.queue.len());
        self.live += 1;
    }

    /// The answer to a request has come. Mostly to the oldest, for answers mostly come in order.
    pub(super) fn take(&mut self, piece: PieceIndex, number: u32) -> Option<Asked> {
        let is = |asked: &Asked| asked.number == number && asked.piece == piece;
        let asked = match self.queue.pop_front_if(|first| is(first)) {
            Some(first) => first,
            None => self.queue.remove(self.place_of(is)?)?,
        };
        self.live -= usize::from(asked.live);
        Some(asked)
    }

    /// A block has come from a peer that does not answer what was taken back: it is the answer to the request that is wanted,
    /// if there is one.
    pub(super) fn take_wanted(&mut self, piece: PieceIndex, number: u32) -> Option<Asked> {
        let wanted = |asked: &Asked| asked.live && asked.number == number && asked.piece == piece;
        let Some(at) = self.place_of(wanted) else { return self.take(piece, number) };
        self.live -= 1;
        self.queue.remove(at)
    }

    /// Where the oldest request is that `is` names.
    fn place_of(&self, is: impl Fn(&Asked) -> bool) -> Option<usize> {
        let (older, newer) = self.queue.as_slices();
        position(older, &is).or_else(|| position(newer, &is).map(|at| older.len() + at))
    }

    /// Takes back the requests that `which` names, and tells `each` of them as they were: their answers are awaited, their
    /// blocks are not.
    pub(super) fn take_back_where(&mut self, which: impl Fn(&Asked) -> bool, mut each: impl FnMut(Asked)) {
        for asked in self.queue.iter_mut().filter(|asked| asked.live) {
            if which(asked) {
                each(*asked);
                asked.live = false;
                self.live -= 1;
            }
        }
    }

    /// Drops the requests that `which` names; `each` is told of them.
    pub(super) fn drop_where(&mut self, which: impl Fn(&Asked) -> bool, mut each: impl FnMut(Asked)) {
        self.queue.retain(|asked| {
            let goes = which(asked);
            if goes {
                self.live -= usize::from(asked.live);
                each(*asked);
            }
            !goes
        });
    }

    /// Whether an answer may come for this block.
    pub(super) fn has(&self, piece: PieceIndex, number: u32) -> bool {
        self.queue.iter().any(|asked| asked.number == number && asked.piece == piece)
    }

    /// Oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Asked> {
        self.queue.iter()
    }

    /// When the oldest request was sent for which an answer may come.
    pub(super) fn first(&self) -> Option<Instant> {
        self.queue.front().map(|asked| asked.at)
    }

    /// When the oldest request that is still wanted was sent.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.queue.iter().find(|asked| asked.live).map(|asked| asked.at)
    }
}

/// Where the first request is that `is` names. Where answers come in no order this is the most that a block costs, and four at a time take
/// fewer instructions than one by one.
fn position(requests: &[Asked], is: impl Fn(&Asked) -> bool) -> Option<usize> {
    let (fours, _) = requests.as_chunks::<4>();
    let before = 4 * fours.iter().take_while(|four| !four.iter().any(&is)).count();
    requests[before..].iter().position(is).map(|at| before + at)
}

/// How many blocks to keep outstanding: doubles with each round trip at first, then rate × 1.5 s (6 s for web seeds).
#[derive(Debug)]
pub(super) struct Window {
    blocks: u32,
    starting: bool,
    epoch: Instant,
    epoch_bytes: u64,
    /// Bytes per second in the last epoch that was not idle.
    rate: u64,
    /// The same of the very last epoch.
    latest: u64,
    horizon_milliseconds: u64,
}

impl Window {
    pub(super) fn new(now: Instant) -> Self {
        let horizon_milliseconds = HORIZON_MILLISECONDS;
        Self {
            blocks: INITIAL_WINDOW,
            starting: true,
            epoch: now,
            epoch_bytes: 0,
            rate: 0,
            latest: 0,
            horizon_milliseconds,
        }
    }

    /// For a peer that answers runs of requests as one.
    pub(super) fn of_runs(now: Instant) -> Self {
        Self { horizon_milliseconds: RUN_HORIZON_MILLISECONDS, ..Self::new(now) }
    }

    /// Blocks to keep outstanding.
    pub(super) fn blocks(&self) -> u32 {
        self.blocks
    }

    /// Bytes per second as the window sees it; 0 until known.
    pub(super) fn rate(&self) -> u64 {
        self.rate
    }

    /// The same without memory: of the last half second in which something came; 0 until known.
    pub(super) fn latest(&self) -> u64 {
        self.latest
    }

    /// Requests go out to a peer that had none; the last block came at `progress`. A silence that was not the peer's doing is
    /// not measured.
    pub(super) fn resume(&mut self, now: Instant, progress: Instant) {
        if now.saturating_duration_since(progress) >= EPOCH {
            (self.epoch, self.epoch_bytes) = (now, 0);
        }
    }

    /// The peer proved slow: from now on one block at a time.
    pub(super) fn collapse(&mut self, now: Instant) {
        *self = Self { blocks: 1, starting: false, epoch: now, epoch_bytes: 0, rate: 0, latest: 0, ..*self };
    }

    /// The peer says that it holds fewer requests than this.
    pub(super) fn limit(&mut self, blocks: u32) {
        self.blocks = self.blocks.min(blocks).max(1);
        self.starting = false;
    }

    /// Blocks have come; `most` is what the peer accepts at once.
    pub(super) fn received(&mut self, now: Instant, blocks: u32, bytes: u64, most: u32) {
        self.epoch_bytes += bytes;
        if self.starting {
            self.blocks = self.blocks.saturating_add(blocks).min(most);
        }
        let elapsed = now.saturating_duration_since(self.epoch);
        if elapsed < EPOCH {
            return;
        }
        let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let measured = self.epoch_bytes.saturating_mul(1000) / milliseconds;
        if self.starting && self.rate > 0 && measured < self.rate + self.rate / 4 {
            self.starting = false;
        }
        // One poor half second does not throw away what was learned.
        self.rate = measured.max(self.rate - self.rate / 4);
        self.latest = measured;
        (self.epoch, self.epoch_bytes) = (now, 0);
        if !self.starting {
            let horizon = self.rate.saturating_mul(self.horizon_milliseconds) / 1000 / u64::from(BLOCK_LENGTH);
            self.blocks = u32::try_from(horizon).unwrap_or(most).saturating_add(LEAST_WINDOW).min(most).max(1);
        }
    }
}
