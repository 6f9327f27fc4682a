//! One connection after its handshake: bytes in, messages to the swarm, its answers out.
//!
//! It waits for readability with no buffer held, of a very fast peer until much has come together
//! ([`low_water`](super::low_water)), and then reads into a scratch that belongs to the worker thread, so that idle connections
//! cost next to nothing. Payload is copied once, into pool buffers. If the pool is empty the connection reads no further, and TCP
//! pushes back.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use riverrun_metainfo::{BLOCK_LENGTH, Block};
use riverrun_proto::mse::Cipher;
use riverrun_proto::swarm::{CloseReason, ConnectionId};
use riverrun_proto::wire::{Decoder, DecoderConfig, Frame, Message};
use riverrun_storage::Buffer;
use riverrun_storage::disk::read_cached;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::task::yield_now;

use super::Core;
use super::core::Batch;
use super::handshake::Veil;
use super::link::Outbox;
use super::low_water::{LowWater, RAISED_BYTES};
use super::seal::Seal;
use crate::rate::{Grant, Meter, Way};

/// The most that is read at once, in bytes.
const SCRATCH_BYTES: usize = 2 * RAISED_BYTES;
/// The most that is written at once, in bytes: a run and its heads fit.
const MAX_WRITE: usize = 512 * 1024;
/// A peer that leaves this much of our messages unread is not listened to until it reads, in bytes (THREATS P14).
const MAX_UNREAD_CONTROL: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What one connection holds.
pub(crate) struct Connection {
    core: Arc<Core>,
    id: ConnectionId,
    stream: TcpStream,
    wake: Arc<Notify>,
    inbound: Inbound,
    outbox: Outbox,
    /// What encrypts the way out, if anything does.
    seal: Option<Seal>,
    /// The rate limits that hold for it.
    meter: Meter,
    /// How much its socket lets come together.
    low_water: LowWater,
    _permit: OwnedSemaphorePermit,
}

/// What has been read and is not with the swarm yet.
struct Inbound {
    /// What makes received bytes plain, if they are not.
    cipher: Option<Cipher>,
    decoder: Decoder,
    batch: Batch,
    /// The block that is coming in.
    block: Option<(Block, Buffer)>,
    /// A block whose first byte waits for a buffer.
    waiting: Option<Block>,
    /// What was read and comes after that block's head.
    rest: Vec<u8>,
    /// The number of pieces was not known yet when the decoder was last told of it.
    unsized_bitfield: bool,
}

/// Why decoding stopped.
enum Stop {
    /// All of the input is used up.
    Empty,
    /// The pool is empty; this much of the input is left.
    NoBuffer(usize),
}

impl Connection {
    pub(crate) fn new(
        core: Arc<Core>,
        id: ConnectionId,
        (stream, peer): (TcpStream, SocketAddr),
        veil: Veil,
        wake: Arc<Notify>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let pieces = core.metainfo().map(|metainfo| metainfo.info().layout().piece_count());
        let inbound = Inbound {
            cipher: veil.inbound,
            decoder: Decoder::new(DecoderConfig::new(pieces)),
            batch: Batch::default(),
            block: None,
            waiting: None,
            rest: Vec::new(),
            unsized_bitfield: pieces.is_none(),
        };
        let (outbox, seal) = (Outbox::default(), veil.outbound.map(Seal::new));
        let meter = core.rates.meter(peer.ip(), wake.clone());
        Self { core, id, stream, wake, inbound, outbox, seal, meter, low_water: LowWater::default(), _permit: permit }
    }

    /// Exchanges messages until either side has enough.
    pub(crate) async fn run(mut self) {
        let reason = self.exchange().await;
        tracing::debug!(connection = self.id.0, ?reason, "connection closed");
        // The socket goes first, so that a peer which is dialled again does not meet the old connection.
        let Self { core, id, stream, .. } = self;
        drop(stream);
        core.closed(id, reason);
    }

    async fn exchange(&mut self) -> CloseReason {
        loop {
            if let Some(reason) = self.talk() {
                return reason;
            }
            if let Err(reason) = self.write() {
                return reason;
            }
            if !self.outbox.served.is_empty() || !self.outbox.missed.is_empty() {
                // A peer that takes whatever we send must not have this thread for itself.
                yield_now().await;
                continue;
            }
            if let Err(reason) = self.wait().await {
                return reason;
            }
        }
    }

    /// One hold of the lock: gives what was read and served, takes what there is to send.
    fn talk(&mut self) -> Option<CloseReason> {
        self.core.received(self.id, &mut self.inbound.batch, &mut self.outbox)
    }

    /// Waits for something to do, and reads if it is that.
    async fn wait(&mut self) -> Result<(), CloseReason> {
        let starved = self.inbound.waiting.is_some();
        if starved {
            self.meter.release(Way::Down);
        }
        let listens = !starved && !self.meter.waits(Way::Down) && self.control_bytes() < MAX_UNREAD_CONTROL;
        let has_room = self.core.engine.disk.has_room();
        let reads = listens && has_room;
        let writes = !self.meter.waits(Way::Up) && self.has_to_send();
        let interest = match (reads, writes) {
            (true, true) => Some(Interest::READABLE | Interest::WRITABLE),
            (true, false) => Some(Interest::READABLE),
            (false, true) => Some(Interest::WRITABLE),
            (false, false) => None,
        };
        let gathers = reads && self.low_water.wait(&self.stream, self.outbox.owed);
        if !reads {
            self.low_water.rest();
        }
        let engine = self.core.engine.clone();
        let pool = engine.pool();
        tokio::select! {
            () = self.wake.notified() => {
                self.meter.look_again();
                Ok(())
            }
            ready = async { self.stream.ready(interest.expect("the branch is off without")).await }, if interest.is_some() => {
                let ready = ready.map_err(broken)?;
                if ready.is_readable() || ready.is_read_closed() { self.read() } else { Ok(()) }
            }
            () = poll_fn(|cx| self.low_water.poll_time_is_up(cx)), if gathers => {
                // It may have become readable in this very moment.
                let read = self.read();
                self.low_water.time_is_up(&self.stream);
                read
            }
            buffer = poll_fn(|cx| pool.poll_take(cx)), if starved => self.go_on(buffer),
            () = poll_fn(|cx| engine.disk.poll_room(cx)), if listens && !has_room => Ok(()),
        }
    }

    /// Reads once and decodes.
    fn read(&mut self) -> Result<(), CloseReason> {
        // What there is no room for stays in the socket, so that little has to be kept aside when the pool is empty.
        let pool = self.core.engine.pool();
        let room = (pool.capacity().saturating_sub(pool.out()) + 1).saturating_mul(BLOCK_LENGTH as usize);
        let Grant::Bytes(granted) = self.meter.take(Way::Down, SCRATCH_BYTES.min(room)) else { return Ok(()) };
        if self.inbound.unsized_bitfield
            && let Some(metainfo) = self.core.metainfo()
        {
            self.inbound.unsized_bitfield = false;
            let pieces = metainfo.info().layout().piece_count();
            self.inbound.decoder.set_config(DecoderConfig::new(Some(pieces)));
        }
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.resize(SCRATCH_BYTES, 0);
            let result = self.receive(&mut scratch[..granted]);
            self.meter.settle(Way::Down, granted, result.as_ref().map_or(0, |count| *count));
            match result {
                Ok(0) => Err(CloseReason::Eof),
                Ok(count) => {
                    self.low_water.received(count, Instant::now());
                    let read = &mut scratch[..count];
                    self.inbound.cipher.iter_mut().for_each(|cipher| cipher.apply(read));
                    self.decode(read)
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
                Err(error) => Err(broken(error)),
            }
        })
    }

    /// Takes what the socket has. If that is less than there is room for the socket is empty, and need not be asked once more to say so.
    fn receive(&self, into: &mut [u8]) -> io::Result<usize> {
        let mut received = None;
        let result = self.stream.try_io(Interest::READABLE, || {
            let count = rustix::io::read(&self.stream, &mut *into)?;
            received = Some(count);
            if 0 < count && count < into.len() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(count) }
        });
        received.map_or(result, Ok)
    }

    /// Decodes bytes; what cannot be taken now is kept.
    fn decode(&mut self, mut input: &[u8]) -> Result<(), CloseReason> {
        loop {
            match self.inbound.decode(input, self.core.engine.pool())? {
                Stop::Empty => return Ok(()),
                Stop::NoBuffer(left) => {
                    input = &input[input.len() - left..];
                    // What this very batch holds may be what is lacking: blocks that nobody asked for give their buffers back.
                    let had = !self.inbound.batch.payloads.is_empty();
                    if had && let Some(reason) = self.talk() {
                        return Err(reason);
                    }
                    let buffer = self.core.engine.pool().try_take().filter(|_| had);
                    match buffer {
                        Some(buffer) => self.inbound.begin(buffer),
                        None => {
                            self.inbound.rest = input.to_vec();
                            return Ok(());
                        }
                    }
                }
            }
        }
    }

    /// The pool has a buffer again.
    fn go_on(&mut self, buffer: Buffer) -> Result<(), CloseReason> {
        self.inbound.begin(buffer);
        let rest = std::mem::take(&mut self.inbound.rest);
        self.decode(&rest)
    }

    /// Whether something waits to be written.
    fn has_to_send(&self) -> bool {
        !self.outbox.is_empty() || self.seal.as_ref().is_some_and(|seal| !seal.is_empty())
    }

    /// Bytes of messages that have not left.
    fn control_bytes(&self) -> usize {
        self.outbox.control_bytes() + self.seal.as_ref().map_or(0, Seal::control_bytes)
    }

    /// Reads what is to be sent next, if nothing else is and nobody has to wait for it.
    fn load(&mut self) {
        if self.outbox.is_loaded() {
            return;
        }
        let (store, pool) = (self.core.store(), self.core.engine.pool());
        self.outbox
            .load(|span, into| store.as_ref().is_ok_and(|store| read_cached(store.as_storage(), pool, span, into)));
    }

    /// Writes what the socket and the rate limit take.
    fn write(&mut self) -> Result<(), CloseReason> {
        while !self.meter.waits(Way::Up) {
            self.load();
            if !self.has_to_send() {
                break;
            }
            let Grant::Bytes(granted) = self.meter.take(Way::Up, MAX_WRITE) else { return Ok(()) };
            let write = |slices: &[IoSlice<'_>]| self.stream.try_write_vectored(slices);
            let result = match &mut self.seal {
                None => self.outbox.write_with(granted, write),
                Some(seal) => seal.write_with(&mut self.outbox, granted, write),
            };
            self.meter.settle(Way::Up, granted, result.as_ref().map_or(0, |count| *count));
            match result {
                Ok(0) => return Err(CloseReason::Io(io::ErrorKind::WriteZero)),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(broken(error)),
            }
        }
        if !self.has_to_send() {
            self.meter.release(Way::Up);
        }
        Ok(())
    }
}

impl Inbound {
    fn decode(&mut self, mut input: &[u8], pool: &riverrun_storage::Pool) -> Result<Stop, CloseReason> {
        while let Some(frame) = self.decoder.next(&mut input).map_err(CloseReason::Wire)? {
            match frame {
                Frame::Message(message) => self.batch.messages.push(message),
                Frame::BlockStart(block) => {
                    self.waiting = Some(block);
                    match pool.try_take() {
                        Some(buffer) => self.begin(buffer),
                        None => return Ok(Stop::NoBuffer(input.len())),
                    }
                }
                Frame::BlockData(data) => {
                    if let Some((_, buffer)) = &mut self.block {
                        let taken = buffer.append(data);
                        debug_assert_eq!(
                            taken,
                            data.len(),
                            "the decoder lets no block through that is longer than a buffer"
                        );
                    }
                }
                Frame::BlockEnd => {
                    if let Some((block, buffer)) = self.block.take() {
                        self.batch.payloads.push(self.batch.messages.len(), buffer);
                        self.batch.messages.push(Message::Piece(block));
                    }
                }
            }
        }
        Ok(Stop::Empty)
    }

    /// The block that waited has a buffer.
    fn begin(&mut self, buffer: Buffer) {
        self.block = self.waiting.take().map(|block| (block, buffer));
    }
}

fn broken(error: io::Error) -> CloseReason {
    CloseReason::Io(error.kind())
}
