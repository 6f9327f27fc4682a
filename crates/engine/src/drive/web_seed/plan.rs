//! From the blocks that a web seed is asked for to ranges of files, and back.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use riverrun_metainfo::{Block, FileIndex, Layout};
use riverrun_proto::limits::MAX_WEB_SEED_SKIP;

/// A range of one file, or so much padding, which nobody has to be asked for (BEP 47).
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Part {
    /// `None`: padding.
    pub(super) file: Option<FileIndex>,
    pub(super) range: Range<u64>,
}

/// A block whose bytes are under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Expected {
    pub(super) block: Block,
    /// Still wanted; if not, its bytes are passed over.
    pub(super) wanted: bool,
}

/// The blocks that were asked for and have not come.
///
/// Invariant: the bytes of `parts`, and of those parts that were taken and not passed, are those of `order`.
#[derive(Debug)]
pub(super) struct Plan {
    layout: Arc<Layout>,
    /// Not in any part yet.
    waiting: VecDeque<Block>,
    /// The blocks of all parts, in the order in which their bytes come.
    order: VecDeque<Expected>,
    /// Parts that nobody has been asked for.
    parts: VecDeque<Part>,
}

impl Plan {
    pub(super) fn new(layout: Arc<Layout>) -> Self {
        Self { layout, waiting: VecDeque::new(), order: VecDeque::new(), parts: VecDeque::new() }
    }

    /// One more block is wanted.
    pub(super) fn ask(&mut self, block: Block) {
        self.waiting.push_back(block);
    }

    /// A block is not wanted any more; false if it is not awaited.
    pub(super) fn cancel(&mut self, block: Block) -> bool {
        if let Some(at) = self.waiting.iter().position(|waiting| *waiting == block) {
            return self.waiting.remove(at).is_some();
        }
        let under_way = self.order.iter_mut().find(|expected| expected.wanted && expected.block == block);
        under_way.map(|expected| expected.wanted = false).is_some()
    }

    /// The block whose bytes come next.
    pub(super) fn next(&self) -> Option<Expected> {
        self.order.front().copied()
    }

    /// All bytes of that block have come.
    pub(super) fn passed(&mut self) {
        self.order.pop_front();
    }

    /// The part to ask for next.
    pub(super) fn part(&mut self) -> Option<&Part> {
        if self.parts.is_empty() {
            self.plan_run();
        }
        self.parts.front()
    }

    /// That part is being asked for.
    pub(super) fn took_part(&mut self) -> Option<Part> {
        self.parts.pop_front()
    }

    /// Whether so little of what is under way is wanted that it is better to ask anew.
    pub(super) fn is_stale(&self) -> bool {
        let mut unwanted = 0;
        for expected in &self.order {
            if expected.wanted {
                return unwanted > MAX_WEB_SEED_SKIP;
            }
            unwanted += u64::from(expected.block.length);
        }
        unwanted > 0
    }

    /// Nothing is under way any more: what is wanted of it waits again.
    pub(super) fn start_over(&mut self) {
        self.parts.clear();
        for expected in self.order.drain(..).rev().filter(|expected| expected.wanted) {
            self.waiting.push_front(expected.block);
        }
    }

    /// Makes parts of the longest run of blocks at the front of those that wait.
    fn plan_run(&mut self) {
        let Some(mut run) = self.waiting.front().and_then(|first| self.layout.block_span(*first)) else { return };
        run.length = 0;
        while let Some(block) = self.waiting.front()
            && let Some(span) = self.layout.block_span(*block)
            && span.offset == run.end()
        {
            run.length += span.length;
            self.order.push_back(Expected { block: *block, wanted: true });
            self.waiting.pop_front();
        }
        self.parts.extend(self.layout.extents(run).map(|extent| Part {
            file: (!extent.pad).then_some(extent.file),
            range: extent.offset..extent.offset + extent.length,
        }));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use riverrun_metainfo::{BLOCK_LENGTH, PieceIndex};

    use super::*;

    const BLOCK: u64 = BLOCK_LENGTH as u64;

    fn plan(files: &[(u64, bool)]) -> Plan {
        Plan::new(Arc::new(Layout::v1(2 * BLOCK, files.iter().copied()).unwrap()))
    }

    fn ask(plan: &mut Plan, blocks: &[(u32, u32)]) {
        for (piece, number) in blocks {
            let block = plan.layout.block(PieceIndex(*piece), *number).unwrap();
            plan.ask(block);
        }
    }

    fn parts(plan: &mut Plan) -> Vec<(Option<u32>, Range<u64>)> {
        std::iter::from_fn(|| {
            plan.part()?;
            plan.took_part().map(|part| (part.file.map(|file| file.0), part.range))
        })
        .collect()
    }

    #[test]
    fn a_run_of_blocks_is_one_range_and_a_gap_ends_it() {
        let mut plan = plan(&[(10 * BLOCK - 7, false)]);
        ask(&mut plan, &[(0, 1), (1, 0), (1, 1), (2, 0), (4, 0), (4, 1), (3, 1)]);
        let expected = [BLOCK..5 * BLOCK, 8 * BLOCK..10 * BLOCK - 7, 7 * BLOCK..8 * BLOCK];
        assert_eq!(parts(&mut plan), expected.map(|range| (Some(0), range)));
    }

    #[test]
    fn a_run_over_files_is_a_range_of_each_and_padding_is_asked_of_nobody() {
        let mut plan = plan(&[(BLOCK, false), (0, false), (5, false), (BLOCK - 5, true), (2 * BLOCK, false)]);
        ask(&mut plan, &[(0, 0), (0, 1), (1, 0)]);
        assert_eq!(parts(&mut plan), [(Some(0), 0..BLOCK), (Some(2), 0..5), (None, 0..BLOCK - 5), (Some(4), 0..BLOCK)]);
    }

    #[test]
    fn v2_files_have_a_gap_between_them_that_ends_a_run() {
        let layout = Layout::v2(2 * BLOCK, [BLOCK + 3, BLOCK]).unwrap();
        let mut plan = Plan::new(Arc::new(layout));
        ask(&mut plan, &[(0, 0), (0, 1), (1, 0)]);
        assert_eq!(parts(&mut plan), [(Some(0), 0..BLOCK + 3), (Some(1), 0..BLOCK)]);
    }

    #[test]
    fn what_is_taken_back_is_passed_over_or_asked_for_anew_without() {
        let mut plan = plan(&[(200 * BLOCK, false)]);
        let blocks: Vec<_> = (0..200).map(|number| (number / 2, number % 2)).collect();
        ask(&mut plan, &blocks);
        assert_eq!(parts(&mut plan), [(Some(0), 0..200 * BLOCK)]);
        let block = |plan: &Plan, number: u32| plan.layout.block(PieceIndex(number / 2), number % 2).unwrap();
        for number in 0..64 {
            let block = block(&plan, number);
            assert!(plan.cancel(block) && !plan.cancel(block), "once");
        }
        assert!(!plan.is_stale(), "a megabyte is passed over");
        let next = block(&plan, 64);
        assert!(plan.cancel(next) && plan.is_stale());
        plan.start_over();
        assert_eq!((plan.next(), plan.is_stale()), (None, false));
        assert_eq!(parts(&mut plan), [(Some(0), 65 * BLOCK..200 * BLOCK)]);
        for number in 65..200 {
            let block = block(&plan, number);
            plan.cancel(block);
        }
        assert!(plan.is_stale(), "nothing is wanted");
    }
}
