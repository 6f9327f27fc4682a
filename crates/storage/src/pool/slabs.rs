//! The memory of a pool: blocks cut from slabs.

use std::collections::HashMap;

use bytes::BytesMut;

use super::BUFFER_BYTES;

/// How many blocks a slab has, unless the pool has room for fewer.
const SLAB_BLOCKS: usize = 16;

/// The bytes of one buffer. The slab that it is of leaves the process when all its blocks are dropped.
pub(super) struct Block {
    pub(super) bytes: BytesMut,
    slab: u32,
    /// How many blocks that slab has.
    siblings: usize,
}

/// Blocks at rest.
#[derive(Default)]
pub(super) struct Slabs {
    /// The warmest last.
    free: Vec<Block>,
    /// The number of the next slab.
    next: u32,
}

impl Slabs {
    /// How many blocks are at rest.
    pub(super) fn free(&self) -> usize {
        self.free.len()
    }

    pub(super) fn put(&mut self, block: Block) {
        self.free.push(block);
    }

    /// The warmest block, or the first of a new slab of at most so many. Memory that is not written to costs nothing yet.
    pub(super) fn take(&mut self, most: usize) -> Block {
        if let Some(block) = self.free.pop() {
            return block;
        }
        let siblings = most.clamp(1, SLAB_BLOCKS);
        let mut rest = BytesMut::zeroed(siblings * BUFFER_BYTES);
        let slab = self.next;
        self.next = self.next.wrapping_add(1);
        // From the end, so that the lowest addresses go first.
        let others = (1..siblings).rev();
        self.free.extend(others.map(|nth| Block { bytes: rest.split_off(nth * BUFFER_BYTES), slab, siblings }));
        Block { bytes: rest, slab, siblings }
    }

    /// Takes out slabs of which all blocks are at rest, at most `most` blocks in all, the coldest first: a part of a slab would not leave
    /// the process, and no longer be counted.
    pub(super) fn take_whole(&mut self, most: usize) -> Vec<Block> {
        let mut resting: HashMap<u32, (usize, bool)> = HashMap::new();
        for block in &self.free {
            resting.entry(block.slab).or_default().0 += 1;
        }
        let mut left = most;
        for block in &self.free {
            let (count, goes) = resting.get_mut(&block.slab).expect("it was counted");
            if !*goes && *count == block.siblings && *count <= left {
                *goes = true;
                left -= *count;
            }
        }
        let whole = self.free.extract_if(.., |block| resting[&block.slab].1).collect();
        self.free.shrink_to(SLAB_BLOCKS);
        whole
    }
}
