//! A block takes no memory of its own on its way from the socket to the disk. Alone in its process, whose allocator counts.
#![allow(clippy::unwrap_used, dead_code, reason = "the example prints more than is held here")]

#[path = "../examples/allocations/measure.rs"]
mod measure;

/// The allocations that all threads of both sides may make for each block: fewer than one for each piece, of which the torrent here has one
/// for 64 blocks. What there is, 0.001 to 0.01, is for lists that become longer than ever before, and for the resume record.
const ALLOWANCE: f64 = 0.015;
/// How often the downloader may hold its three locks for each block, together: once to take the block from the pool, and the rest for
/// each read and each write, which are of several blocks.
const HOLDS: f64 = 2.0;
/// On a busy machine lists become longer than ever in the middle too; that can only add to a count, so the best of some is held.
const DOWNLOADS: usize = 4;

#[test]
fn a_block_takes_no_memory_and_few_locks_in_the_steady_middle() {
    let mut least = (f64::MAX, f64::MAX);
    for _ in 0..DOWNLOADS {
        let figures = measure::measure(256, 1).unwrap();
        assert!(figures.blocks > 1000, "{} blocks are no steady middle", figures.blocks);
        let calls = figures.seeder.calls + figures.downloader.calls + figures.disks.calls;
        let holds = figures.holds;
        assert!(holds.swarm > 0 && holds.pool > 0 && holds.queues > 0, "{holds:?} are not counted");
        let holds = holds.swarm + holds.pool + holds.queues;
        let [calls, holds] = [calls, holds].map(|count| measure::by_block(count, figures.blocks));
        least = (least.0.min(calls), least.1.min(holds));
        if least.0 < ALLOWANCE && least.1 < HOLDS {
            return;
        }
    }
    panic!("{:.3} allocations and {:.3} holds of locks for each block", least.0, least.1);
}
