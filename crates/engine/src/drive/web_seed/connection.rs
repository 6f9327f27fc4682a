//! One web seed while it is asked: requests of the swarm become ranges of files, and what comes becomes blocks.
//!
//! Bodies are read one after the other, in the order of the blocks; the next is asked for shortly before the last one ends, so that
//! no round trip is waited for. Payload is copied once, into pool buffers. No buffer free, or much that waits to be written: nothing
//! is read, and TCP pushes back.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use riverrun_metainfo::{Block, PieceIndex};
use riverrun_proto::limits::WEB_SEED_TIMEOUT;
use riverrun_proto::swarm::{CloseReason, ConnectionId};
use riverrun_proto::web_seed::{Fault, WebSeedError};
use riverrun_proto::wire::Message;
use riverrun_storage::Buffer;
use tokio::sync::Notify;
use tokio::time::timeout_at;

use super::WebSeed;
use super::answer::{Answer, Asked};
use super::plan::{Part, Plan};
use crate::drive::Core;
use crate::drive::core::Batch;
use crate::drive::link::{Ask, Outbox};
use crate::rate::{Grant, Meter, Way};

/// Parts that are asked for at once.
const MAX_PARTS: usize = 3;
/// With more than this to come yet, no further part is asked for, in bytes.
const ENOUGH_AHEAD: u64 = 1 << 20;
/// Stands for the server's address, which a proxy may hide, when limits are asked for: no web seed is exempt.
const ON_THE_INTERNET: IpAddr = IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1));
/// Padding, some of it.
const ZEROS: [u8; 4096] = [0; 4096];

/// What one web seed that is in use holds.
pub(super) struct Connection {
    core: Arc<Core>,
    id: ConnectionId,
    source: WebSeed,
    wake: Arc<Notify>,
    plan: Plan,
    /// What was asked for, in order; the body of the first is being read.
    coming: VecDeque<Coming>,
    /// What was read of it and is not used yet.
    rest: Bytes,
    /// The block that is coming in, if it is wanted, and how many of its bytes have come.
    buffer: Option<Buffer>,
    filled: u32,
    /// The next block waits for a buffer.
    starved: bool,
    /// The rate limits that hold for it.
    meter: Meter,
    /// Until when the server must have sent something.
    patience: Instant,
    batch: Batch,
    outbox: Outbox,
}

/// A part on its way.
enum Coming {
    /// So much padding, in bytes.
    Padding(u64),
    /// The server has not answered yet.
    Asked(Asked),
    Answer(Box<Answer>),
}

/// What was waited for.
enum Woken {
    /// The swarm wants something, or the rate limit lets us go on.
    Look,
    Buffer(Buffer),
    Read(Result<(), WebSeedError>),
}

impl Connection {
    pub(super) fn new(core: Arc<Core>, id: ConnectionId, source: WebSeed, wake: Arc<Notify>) -> Self {
        let plan = Plan::new(core.layout().clone());
        let meter = core.rates.meter(ON_THE_INTERNET, wake.clone());
        Self {
            core,
            id,
            source,
            wake,
            plan,
            coming: VecDeque::new(),
            rest: Bytes::new(),
            buffer: None,
            filled: 0,
            starved: false,
            meter,
            patience: Instant::now() + WEB_SEED_TIMEOUT,
            batch: Batch::default(),
            outbox: Outbox::default(),
        }
    }

    /// Does what the swarm asks until either side has enough.
    pub(super) async fn exchange(mut self) -> CloseReason {
        loop {
            let used = self.use_up();
            if let Some(reason) = self.talk() {
                return reason;
            }
            if let Err(error) = used.and_then(|()| self.ask_ahead())
                && let Some(reason) = self.fault(error)
            {
                return reason;
            }
            match self.wait().await {
                Woken::Look | Woken::Read(Ok(())) => {}
                Woken::Buffer(buffer) => (self.buffer, self.starved) = (Some(buffer), false),
                Woken::Read(Err(error)) => {
                    if let Some(reason) = self.fault(error) {
                        return reason;
                    }
                }
            }
        }
    }

    /// One hold of the lock: gives blocks, takes what is asked.
    fn talk(&mut self) -> Option<CloseReason> {
        let reason = self.core.received(self.id, &mut self.batch, &mut self.outbox);
        let asks = std::mem::take(&mut self.outbox.asks);
        for ask in &asks {
            match ask {
                Ask::For(block) => self.plan.ask(*block),
                Ask::NoMore(block) => self.cancel(*block),
            }
        }
        self.outbox.asks = asks;
        self.outbox.asks.clear();
        if self.plan.is_stale() {
            self.start_over();
        }
        reason
    }

    /// A block is taken back: the reject leaves with the next blocks (BEP 6).
    fn cancel(&mut self, block: Block) {
        let coming_in = self.plan.next().is_some_and(|next| next.wanted && next.block == block);
        if self.plan.cancel(block) {
            self.batch.messages.push(Message::Reject(block));
            if coming_in {
                (self.buffer, self.starved) = (None, false);
            }
            self.wake.notify_one();
        }
    }

    /// Lets go of all that is under way; what is wanted of it is asked for anew.
    fn start_over(&mut self) {
        self.coming.clear();
        self.rest.clear();
        (self.buffer, self.filled, self.starved) = (None, 0, false);
        self.meter.release(Way::Down);
        self.plan.start_over();
    }

    /// What an error means: the end, or one file less.
    fn fault(&mut self, error: WebSeedError) -> Option<CloseReason> {
        let file = match self.coming.front() {
            Some(Coming::Asked(asked)) => Some(asked.file),
            Some(Coming::Answer(answer)) => Some(answer.file),
            Some(Coming::Padding(_)) | None => None,
        };
        let Some(file) = file.filter(|_| error.fault() == Fault::File) else {
            return Some(CloseReason::WebSeed(error));
        };
        tracing::debug!(connection = self.id.0, file = file.0, %error, "a file that a web seed has not");
        self.start_over();
        let pieces: Vec<_> = self.core.layout().pieces_of(file).map(PieceIndex).collect();
        self.core.web_seed_lacks(self.id, &pieces, error);
        None
    }

    /// Asks for the next parts, unless enough is to come yet.
    fn ask_ahead(&mut self) -> Result<(), WebSeedError> {
        while self.has_room_ahead() {
            let Some(part) = self.plan.part() else { break };
            if let [Coming::Answer(answer)] = self.coming.make_contiguous()
                && answer.is_open_end()
            {
                if answer.goes_on(part) {
                    self.plan.took_part();
                } else {
                    self.coming.clear();
                    self.rest.clear();
                }
                continue;
            }
            let Some(Part { file, range }) = self.plan.took_part() else { break };
            if self.coming.is_empty() {
                self.patience = Instant::now() + WEB_SEED_TIMEOUT;
            }
            self.coming.push_back(match file {
                None => Coming::Padding(range.end - range.start),
                Some(file) => Coming::Asked(Asked::new(&self.core, &self.source, file, range)?),
            });
        }
        Ok(())
    }

    fn has_room_ahead(&self) -> bool {
        match self.coming.front() {
            None | Some(Coming::Padding(_)) => {}
            // Whether it serves ranges at all, its first answer tells.
            Some(Coming::Asked(_)) => return false,
            Some(Coming::Answer(answer)) if answer.whole => return answer.is_open_end(),
            Some(Coming::Answer(_)) => {}
        }
        let ahead = |coming: &Coming| match coming {
            Coming::Padding(left) => *left,
            Coming::Asked(asked) => asked.length(),
            Coming::Answer(answer) => answer.left,
        };
        self.coming.len() < MAX_PARTS && self.coming.iter().map(ahead).sum::<u64>() < ENOUGH_AHEAD
    }

    /// Makes blocks of what was read, as far as there are buffers and the rate limit allows.
    fn use_up(&mut self) -> Result<(), WebSeedError> {
        while !self.starved && !self.meter.waits(Way::Down) {
            match self.coming.front_mut() {
                Some(Coming::Padding(0)) => _ = self.coming.pop_front(),
                Some(Coming::Padding(left)) => {
                    let left = *left;
                    let some = ZEROS.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    let used = self.take(&ZEROS[..some]);
                    if let Some(Coming::Padding(left)) = self.coming.front_mut() {
                        *left -= used as u64;
                    }
                }
                Some(Coming::Answer(answer)) if answer.is_over(!self.rest.is_empty())? => {
                    self.coming.pop_front();
                    self.rest.clear();
                    self.patience = Instant::now() + WEB_SEED_TIMEOUT;
                }
                Some(Coming::Answer(answer)) if !self.rest.is_empty() && !answer.is_open_end() => {
                    let skipped = answer.skip(self.rest.len());
                    if skipped > 0 {
                        drop(self.rest.split_to(skipped));
                        continue;
                    }
                    let most = self.rest.len().min(usize::try_from(answer.left).unwrap_or(usize::MAX));
                    self.use_some(most);
                }
                _ => break,
            }
        }
        Ok(())
    }

    /// Makes blocks of at most so much of what was read.
    fn use_some(&mut self, most: usize) {
        let Grant::Bytes(granted) = self.meter.take(Way::Down, most) else { return };
        let some = self.rest.slice(..granted);
        let used = self.take(&some);
        self.meter.settle(Way::Down, granted, used);
        drop(self.rest.split_to(used));
        if let Some(Coming::Answer(answer)) = self.coming.front_mut() {
            answer.passed(used as u64);
        }
    }

    /// Puts the next bytes of the plan into their blocks; how many found room.
    fn take(&mut self, mut bytes: &[u8]) -> usize {
        let before = bytes.len();
        while let Some(next) = self.plan.next().filter(|_| !bytes.is_empty()) {
            if next.wanted && self.buffer.is_none() {
                self.buffer = self.core.engine.pool().try_take();
                self.starved = self.buffer.is_none();
                if self.starved {
                    break;
                }
            }
            let room = (next.block.length - self.filled) as usize;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            if let Some(buffer) = self.buffer.as_mut().filter(|_| next.wanted) {
                let taken = buffer.append(now);
                debug_assert_eq!(taken, now.len(), "a block fits a buffer");
            }
            bytes = later;
            self.filled += u32::try_from(now.len()).expect("no more than a block");
            if self.filled == next.block.length {
                self.filled = 0;
                if let Some(buffer) = self.buffer.take() {
                    self.batch.payloads.push(self.batch.messages.len(), buffer);
                    self.batch.messages.push(Message::Piece(next.block));
                }
                self.plan.passed();
            }
        }
        before - bytes.len()
    }

    /// Waits for something to do, and reads if it is that.
    async fn wait(&mut self) -> Woken {
        let (wake, engine, starved) = (self.wake.clone(), self.core.engine.clone(), self.starved);
        if starved {
            self.meter.release(Way::Down);
        }
        let free = !starved && !self.meter.waits(Way::Down);
        if free && self.has_more_to_use() {
            return Woken::Look;
        }
        let listens = free && self.awaits();
        let has_room = self.core.engine.disk.has_room();
        let reads = listens && has_room;
        if !reads {
            // Nobody can send what is not read.
            self.patience = Instant::now() + WEB_SEED_TIMEOUT;
        }
        tokio::select! {
            () = wake.notified() => {
                self.meter.look_again();
                Woken::Look
            }
            buffer = poll_fn(|cx| engine.pool().poll_take(cx)), if starved => Woken::Buffer(buffer),
            () = poll_fn(|cx| engine.disk.poll_room(cx)), if listens && !has_room => {
                self.patience = Instant::now() + WEB_SEED_TIMEOUT;
                Woken::Look
            }
            read = self.read(), if reads => Woken::Read(read),
        }
    }

    /// Whether there are bytes for the next block.
    fn has_more_to_use(&self) -> bool {
        match self.coming.front() {
            Some(Coming::Padding(_)) => true,
            Some(Coming::Answer(answer)) => !self.rest.is_empty() && !answer.is_open_end(),
            Some(Coming::Asked(_)) | None => false,
        }
    }

    /// Whether the server is to send something.
    fn awaits(&self) -> bool {
        match self.coming.front() {
            Some(Coming::Asked(_)) => true,
            Some(Coming::Answer(answer)) => !answer.is_open_end(),
            Some(Coming::Padding(_)) | None => false,
        }
    }

    /// Reads what the server sends next: the head of an answer or some of a body. Loses nothing if it is broken off.
    async fn read(&mut self) -> Result<(), WebSeedError> {
        let patience = self.patience.into();
        let Some(front) = self.coming.front_mut() else { return Ok(()) };
        match front {
            Coming::Asked(asked) => {
                // It has a timeout of its own, which begins with its turn at the server.
                let answer = asked.answer().await?;
                *front = Coming::Answer(Box::new(answer));
            }
            Coming::Answer(answer) => {
                self.rest = timeout_at(patience, answer.chunk()).await.unwrap_or(Err(WebSeedError::Timeout))?;
            }
            Coming::Padding(_) => {}
        }
        self.patience = Instant::now() + WEB_SEED_TIMEOUT;
        Ok(())
    }
}
