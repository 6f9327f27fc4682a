//! A bounded pool of block buffers, last in first out so that they are still warm.
//!
//! Invariant: no more than the fixed number of buffers exists at any time, in use and at rest together; this is what bounds
//! the memory for payload. In steady state nothing is allocated: a buffer moves from hand to hand and back. Memory is taken and
//! given back in slabs of several buffers, because a call to the system for each would cost more than the buffer's bytes.

mod release;
mod slabs;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use release::release_free_pages;
use riverrun_metainfo::BLOCK_LENGTH;
use slabs::{Block, Slabs};

const BUFFER_BYTES: usize = BLOCK_LENGTH as usize;

/// From so many bytes on it is worth the time to give memory back to the system.
const WORTH_RELEASING: usize = 1 << 20;

/// Hands out at most a fixed number of buffers. Cheap to clone.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

struct Shared {
    capacity: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    slabs: Slabs,
    out: usize,
    /// The fewest at rest since the last trim: so many were not needed.
    spare: usize,
    waiting: VecDeque<Waker>,
    /// How often the lock was taken.
    holds: u64,
}

impl Pool {
    /// A pool of at most `max_bytes`, at least one buffer; memory is taken when first needed.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        let capacity = (max_bytes / BUFFER_BYTES).max(1);
        Self { shared: Arc::new(Shared { capacity, state: Mutex::default() }) }
    }

    /// A buffer, if one is free.
    #[must_use]
    pub fn try_take(&self) -> Option<Buffer> {
        let block = self.shared.lock().take(self.shared.capacity)?;
        Some(self.buffer(block))
    }

    /// A buffer, or a promise to wake the task when one may be free.
    ///
    /// Tasks are woken in the order they began to wait. A woken task must ask again: another may have been faster.
    pub fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Buffer> {
        let mut state = self.shared.lock();
        match state.take(self.shared.capacity) {
            Some(block) => Poll::Ready(self.buffer(block)),
            None => {
                state.wait(cx.waker());
                Poll::Pending
            }
        }
    }

    /// As many buffers as asked for, or none and a promise to wake when some came back; `leave` of the pool stay free for others.
    pub fn poll_take_many(&self, count: usize, leave: usize, cx: &mut Context<'_>) -> Poll<Vec<Buffer>> {
        let mut state = self.shared.lock();
        if state.out + count + leave > self.shared.capacity {
            state.wait(cx.waker());
            return Poll::Pending;
        }
        let capacity = self.shared.capacity;
        Poll::Ready((0..count).map_while(|_| state.take(capacity)).map(|block| self.buffer(block)).collect())
    }

    /// Moves as many buffers as asked for to the end of `into`, or none and false; `leave` of the pool stay free for others.
    pub fn try_take_many(&self, count: usize, leave: usize, into: &mut Vec<Buffer>) -> bool {
        let mut state = self.shared.lock();
        let (capacity, before) = (self.shared.capacity, into.len());
        if state.out.saturating_add(count).saturating_add(leave) > capacity {
            return false;
        }
        into.extend((0..count).map_while(|_| state.take(capacity)).map(|block| self.buffer(block)));
        debug_assert_eq!(into.len() - before, count, "as many as are not out are free, or not made yet");
        true
    }

    /// Takes back many buffers at once and leaves the list empty: the same as dropping each, but faster.
    pub fn give_back(&self, buffers: &mut Vec<Buffer>) {
        debug_assert!(buffers.iter().all(|buffer| Arc::ptr_eq(&buffer.home, &self.shared)));
        self.shared.give_back(buffers.drain(..).filter_map(|mut buffer| buffer.block.take()));
    }

    /// The most buffers that can be out.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.shared.capacity
    }

    /// How many buffers are out.
    #[must_use]
    pub fn out(&self) -> usize {
        self.shared.lock().out
    }

    /// The share of buffers that are out, 0 to 1.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more digits")]
    pub fn used(&self) -> f32 {
        self.out() as f32 / self.shared.capacity as f32
    }

    /// How often its lock was taken, this time counted: for measuring.
    #[must_use]
    pub fn lock_holds(&self) -> u64 {
        self.shared.lock().holds
    }

    /// The memory that the pool holds now, in use or at rest, in bytes.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let state = self.shared.lock();
        (state.out + state.slabs.free()) * BUFFER_BYTES
    }

    /// Gives back the memory that was not needed since the last call, as far as it is in whole slabs; how many bytes. To be called from
    /// time to time.
    pub fn trim(&self) -> usize {
        let cold = {
            let mut state = self.shared.lock();
            let spare = state.spare;
            let cold = state.slabs.take_whole(spare);
            state.spare = state.slabs.free();
            cold
        };
        let bytes = cold.len() * BUFFER_BYTES;
        drop(cold);
        if bytes >= WORTH_RELEASING {
            release_free_pages();
        }
        bytes
    }

    fn buffer(&self, block: Block) -> Buffer {
        Buffer { block: Some(block), filled: 0, home: Arc::clone(&self.shared) }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.lock();
        f.debug_struct("Pool").field("out", &state.out).field("capacity", &self.shared.capacity).finish()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock half way through a change.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.holds += 1;
        state
    }

    fn give_back(&self, blocks: impl Iterator<Item = Block>) {
        let woken: Vec<Waker> = {
            let mut state = self.lock();
            for block in blocks {
                state.slabs.put(block);
                state.out -= 1;
            }
            if state.waiting.is_empty() {
                return;
            }
            // One task for every buffer that is free, not one for this buffer: a woken task may have given up, and then the
            // next buffer that comes back makes good for it.
            let free = self.capacity - state.out;
            let count = free.min(state.waiting.len());
            state.waiting.drain(..count).collect()
        };
        woken.into_iter().for_each(Waker::wake);
    }
}

impl State {
    fn take(&mut self, capacity: usize) -> Option<Block> {
        if self.out == capacity {
            return None;
        }
        let block = self.slabs.take(capacity - self.out);
        self.out += 1;
        self.spare = self.spare.min(self.slabs.free());
        Some(block)
    }

    fn wait(&mut self, waker: &Waker) {
        if !self.waiting.iter().any(|waiting| waiting.will_wake(waker)) {
            self.waiting.push_back(waker.clone());
        }
    }
}

/// A buffer of one block, given back to its pool on drop.
pub struct Buffer {
    /// `None` only while it is dropped.
    block: Option<Block>,
    filled: usize,
    home: Arc<Shared>,
}

impl Buffer {
    /// The bytes in use.
    #[must_use]
    pub fn filled(&self) -> &[u8] {
        self.block.as_ref().map_or(&[], |block| &block.bytes[..self.filled])
    }

    /// The bytes in use, to be changed in place.
    pub fn filled_mut(&mut self) -> &mut [u8] {
        let filled = self.filled;
        self.block.as_mut().map_or(&mut [], |block| &mut block.bytes[..filled])
    }

    /// How many bytes are in use.
    #[must_use]
    pub fn len(&self) -> usize {
        self.filled
    }

    /// Whether no byte is in use.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Appends bytes, at most up to `BLOCK_LENGTH` in all; how many fitted.
    pub fn append(&mut self, bytes: &[u8]) -> usize {
        let unfilled = self.unfilled();
        let count = unfilled.len().min(bytes.len());
        unfilled[..count].copy_from_slice(&bytes[..count]);
        self.filled += count;
        count
    }

    /// The bytes not yet in use, with whatever an earlier use left in them; [`advance`](Self::advance) after writing there.
    pub fn unfilled(&mut self) -> &mut [u8] {
        let filled = self.filled;
        self.block.as_mut().map_or(&mut [], |block| &mut block.bytes[filled..])
    }

    /// Takes the next `count` bytes into use, at most all of them.
    pub fn advance(&mut self, count: usize) {
        self.filled = (self.filled + count).min(BUFFER_BYTES);
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer").field("filled", &self.filled).finish_non_exhaustive()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(block) = self.block.take() {
            self.home.give_back(std::iter::once(block));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Counter(AtomicUsize);
    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    fn counter() -> (Arc<Counter>, Waker) {
        let counter = Arc::new(Counter::default());
        (Arc::clone(&counter), counter.into())
    }

    #[test]
    fn is_bounded_and_gives_the_warm_buffer_first() {
        let pool = Pool::new(3 * BUFFER_BYTES);
        assert_eq!(pool.held_bytes(), 0);
        let mut first = pool.try_take().unwrap();
        let second = pool.try_take().unwrap();
        let third = pool.try_take().unwrap();
        assert!(pool.try_take().is_none());
        assert!((pool.used() - 1.0).abs() < f32::EPSILON);
        assert_eq!(first.append(b"abc"), 3);
        let address = first.filled().as_ptr();
        drop(second);
        drop(first);
        let mut again = pool.try_take().unwrap();
        assert!(again.is_empty());
        again.append(b"x");
        assert_eq!(again.filled().as_ptr(), address);
        drop((again, third));
        assert_eq!((pool.out(), pool.held_bytes()), (0, 3 * BUFFER_BYTES), "a slab is no larger than the pool");
    }

    #[test]
    fn a_buffer_takes_one_block_and_no_more() {
        let pool = Pool::new(0);
        let mut buffer = pool.try_take().unwrap();
        assert_eq!(buffer.append(&vec![7; BUFFER_BYTES - 1]), BUFFER_BYTES - 1);
        assert_eq!(buffer.append(b"ab"), 1);
        assert_eq!(buffer.append(b"c"), 0);
        assert_eq!(buffer.filled()[BUFFER_BYTES - 1], b'a');
        assert!(buffer.unfilled().is_empty());
        buffer.advance(9);
        assert_eq!(buffer.len(), BUFFER_BYTES);
    }

    #[test]
    fn wakes_in_order_and_makes_good_for_a_task_that_gave_up() {
        let pool = Pool::new(2 * BUFFER_BYTES);
        let held = [pool.try_take().unwrap(), pool.try_take().unwrap()];
        let wakers = [counter(), counter(), counter()];
        for (_, waker) in &wakers {
            let cx = &mut Context::from_waker(waker);
            assert!(pool.poll_take(cx).is_pending());
            assert!(pool.poll_take(cx).is_pending(), "asking twice waits once");
        }
        let woken = || wakers.each_ref().map(|(counter, _)| counter.0.load(Ordering::SeqCst));
        let [one, two] = held;
        drop(one);
        assert_eq!(woken(), [1, 0, 0]);
        // The first never asks again; two buffers are free now, so both others are woken.
        drop(two);
        assert_eq!(woken(), [1, 1, 1]);
        assert!(pool.poll_take(&mut Context::from_waker(&wakers[1].1)).is_ready());
    }

    #[test]
    fn many_are_taken_whole_or_not_at_all_and_leave_a_share() {
        let pool = Pool::new(8 * BUFFER_BYTES);
        let (count, waker) = counter();
        let cx = &mut Context::from_waker(&waker);
        let Poll::Ready(four) = pool.poll_take_many(4, 2, cx) else { panic!("there are eight") };
        assert_eq!(four.len(), 4);
        assert!(pool.poll_take_many(3, 2, cx).is_pending());
        assert_eq!(pool.out(), 4);
        drop(four);
        assert!(count.0.load(Ordering::SeqCst) > 0);
        assert!(pool.poll_take_many(6, 2, cx).is_ready());
    }

    #[test]
    fn trim_gives_back_what_was_not_needed() {
        let pool = Pool::new(64 * BUFFER_BYTES);
        let take = |count| (0..count).map(|_| pool.try_take().unwrap()).collect::<Vec<_>>();
        drop(take(64));
        assert_eq!(pool.trim(), 0, "all were needed since the start");
        drop(take(17));
        assert_eq!(pool.trim(), 32 * BUFFER_BYTES, "47 were not, but what is given back is whole slabs");
        assert_eq!(pool.held_bytes(), 32 * BUFFER_BYTES);
        let one = take(1);
        assert_eq!(pool.trim(), 16 * BUFFER_BYTES);
        assert_eq!(pool.trim(), 0, "one is out, so its slab stays");
        assert_eq!((pool.out(), pool.held_bytes()), (1, 16 * BUFFER_BYTES));
        drop(one);
        assert_eq!((pool.trim(), pool.trim()), (0, 16 * BUFFER_BYTES));
        assert_eq!(pool.held_bytes(), 0);
        assert!(pool.try_take().is_some());
    }
}
