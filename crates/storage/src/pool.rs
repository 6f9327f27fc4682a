//! A bounded pool of block buffers, last in first out so that they are still warm.

use std::task::{Context, Poll};

/// A buffer of one block, given back to its pool on drop.
#[derive(Debug)]
pub struct Buffer {}

impl Buffer {
    /// The bytes in use.
    #[must_use]
    pub fn filled(&self) -> &[u8] {
        todo!("skeleton")
    }
    /// Appends bytes, at most up to `BLOCK_LENGTH` in all; how many fitted.
    pub fn append(&mut self, bytes: &[u8]) -> usize {
        let _ = bytes;
        todo!("skeleton")
    }
}

/// Hands out at most a fixed number of buffers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Pool {}

impl Pool {
    /// A pool of at most `max_bytes`; memory is taken when first needed.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        let _ = max_bytes;
        Self {}
    }
    /// A buffer, if one is free.
    #[must_use]
    pub fn try_take(&self) -> Option<Buffer> {
        todo!("skeleton")
    }
    /// A buffer, or a promise to wake when one is free.
    pub fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Buffer> {
        let _ = cx;
        todo!("skeleton")
    }
    /// The share of buffers that are out, 0 to 1.
    #[must_use]
    pub fn used(&self) -> f32 {
        todo!("skeleton")
    }
}
