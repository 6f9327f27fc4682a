//! How a peer behaves: counters of what is tolerated for a while, and the limits where it ends.

use std::time::{Duration, Instant};

use crate::limits;

/// What a peer may do wrong a few times. Each method counts one more and gives the breach once there are too many.
#[derive(Debug)]
pub(super) struct Conduct {
    /// Whether something was said already that a bitfield may not follow.
    pub(super) spoken: bool,
    /// Whether it has named its node of the DHT: once is enough (THREATS D9).
    pub(super) named_node: bool,
    /// Answers that may still come for requests which we gave up.
    pub(super) grace: usize,
    idle_messages: Burst,
    chokes: Burst,
    redundant_haves: u64,
    rejects_in_a_row: u32,
    requests_refused: u32,
    requests_over: u32,
    hashes_refused: u32,
    unasked_blocks: usize,
    fast_hints: u32,
}

/// Things counted within one span of time.
#[derive(Debug)]
struct Burst {
    start: Instant,
    count: u32,
}

impl Burst {
    fn count(&mut self, now: Instant, span: Duration) -> u32 {
        if now.saturating_duration_since(self.start) >= span {
            (self.start, self.count) = (now, 0);
        }
        self.count += 1;
        self.count
    }
}

/// What a peer did, in words for people.
pub(super) type Breach = &'static str;

fn over<T: PartialOrd>(count: T, most: T, breach: Breach) -> Result<(), Breach> {
    if count > most { Err(breach) } else { Ok(()) }
}

impl Conduct {
    pub(super) fn new(now: Instant) -> Self {
        let none = || Burst { start: now, count: 0 };
        Self {
            spoken: false,
            named_node: false,
            grace: 0,
            idle_messages: none(),
            chokes: none(),
            redundant_haves: 0,
            rejects_in_a_row: 0,
            requests_refused: 0,
            requests_over: 0,
            hashes_refused: 0,
            unasked_blocks: 0,
            fast_hints: 0,
        }
    }

    /// A message that brought nothing (P16).
    pub(super) fn idle_message(&mut self, now: Instant) -> Result<(), Breach> {
        let count = self.idle_messages.count(now, Duration::from_secs(1));
        over(count, limits::MAX_IDLE_MESSAGES_PER_SECOND, "flood of messages that bring nothing")
    }

    /// A `have` or `have all` of what it was known to have (P8).
    pub(super) fn redundant_have(&mut self, pieces: u32) -> Result<(), Breach> {
        self.redundant_haves += 1;
        let most = u64::from(pieces.max(10)) * limits::MAX_REDUNDANT_HAVES_PER_PIECE;
        over(self.redundant_haves, most, "flood of redundant haves")
    }

    /// A reject of a request that was allowed (P12).
    pub(super) fn reject(&mut self) -> Result<(), Breach> {
        self.rejects_in_a_row += 1;
        over(self.rejects_in_a_row, limits::MAX_REJECTS_IN_A_ROW, "rejects every request")
    }

    /// A useful block came.
    pub(super) fn block(&mut self) {
        self.rejects_in_a_row = 0;
    }

    /// It choked us (P11).
    pub(super) fn choke(&mut self, now: Instant) -> Result<(), Breach> {
        over(self.chokes.count(now, limits::CHOKE_FLAP_SPAN), limits::MAX_CHOKES, "chokes without end")
    }

    /// Whether it flapped within the last minute (P11).
    pub(super) fn flaps(&self, now: Instant) -> bool {
        self.chokes.count >= limits::MAX_CHOKE_FLAPS
            && now.saturating_duration_since(self.chokes.start) < 2 * limits::CHOKE_FLAP_SPAN
    }

    /// A request that cannot be served: choked, of a piece we have not, or outside every piece (P15).
    pub(super) fn refused_request(&mut self) -> Result<(), Breach> {
        self.requests_refused += 1;
        over(self.requests_refused, limits::MAX_REFUSED_REQUESTS, "requests that cannot be served")
    }

    /// A request was served: what was refused before is forgiven.
    pub(super) fn served_request(&mut self) {
        (self.requests_refused, self.requests_over) = (0, 0);
    }

    /// A hash request that is not answered with hashes (P24).
    pub(super) fn refused_hashes(&mut self) -> Result<(), Breach> {
        self.hashes_refused += 1;
        over(self.hashes_refused, limits::MAX_REFUSED_REQUESTS, "hash requests that cannot be served")
    }

    /// A hash request was answered with hashes: what was refused before is forgiven.
    pub(super) fn served_hashes(&mut self) {
        self.hashes_refused = 0;
    }

    /// A request over the bound of the queue (P14).
    pub(super) fn request_over_queue(&mut self) -> Result<(), Breach> {
        self.requests_over += 1;
        over(self.requests_over, limits::MAX_REQUESTS_OVER_QUEUE, "request flood")
    }

    /// A block that nobody asked for (P4). `tolerated` is how many more than the grace there may be.
    pub(super) fn unasked_block(&mut self, tolerated: usize) -> Result<(), Breach> {
        if self.grace > 0 {
            self.grace -= 1;
            return Ok(());
        }
        self.unasked_blocks += 1;
        over(self.unasked_blocks, tolerated, "blocks that were not asked for")
    }

    /// A reject of what was not asked for (P12, BEP 6).
    pub(super) fn unasked_reject(&mut self) -> Result<(), Breach> {
        if self.grace > 0 {
            self.grace -= 1;
            return Ok(());
        }
        Err("reject of what was not asked for")
    }

    /// An allowed-fast or suggest message (P13).
    pub(super) fn fast_hint(&mut self) -> Result<(), Breach> {
        self.fast_hints += 1;
        over(self.fast_hints, limits::MAX_FAST_HINTS, "flood of allowed-fast or suggest")
    }
}
