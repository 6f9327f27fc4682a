//! A download whose allocations and locks are counted, for the example that prints them and the test that holds them.
//!
//! Seeders and a downloader, each kind on threads of its own, over loopback; what happens between the half and nineteen twentieths of the
//! download is counted: by then lists are as long as they get. Disk threads of both sides are counted together; where reading does not wait, as in tmpfs, they are the downloader's.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use riverrun::testing::{Content, Format, LockHolds, loopback};
use riverrun::{AddTorrent, Session, Settings, Torrent};
use tokio::runtime::{Builder, Runtime};

const BLOCK_BYTES: u64 = 16 << 10;
const PIECE_BYTES: u32 = 1 << 20;
/// How often the downloader is asked how far it is.
const LOOK: Duration = Duration::from_millis(1);
/// A download that takes longer is stuck.
const PATIENCE: Duration = Duration::from_secs(120);

/// Whose a thread is: a place in [`COUNTS`].
const DISKS: usize = 0;
const SEEDER: usize = 1;
const DOWNLOADER: usize = 2;
/// The thread that measures.
const MEASURE: usize = 3;

static COUNTS: [Count; 4] = [const { Count { calls: AtomicU64::new(0), bytes: AtomicU64::new(0) } }; 4];

thread_local! {
    static WHOSE: Cell<usize> = const { Cell::new(DISKS) };
}

struct Count {
    calls: AtomicU64,
    bytes: AtomicU64,
}

/// The system's allocator, counted.
struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

fn count(bytes: usize) {
    // A thread that ends has none any more, and no steady state.
    let _ = WHOSE.try_with(|whose| {
        let count = &COUNTS[whose.get()];
        count.calls.fetch_add(1, Ordering::Relaxed);
        count.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    });
}

// SAFETY: every call goes on to the system's allocator as it came; counting allocates nothing.
#[allow(unsafe_code, reason = "an allocator can be nothing else")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as the caller promised.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as the caller promised.
        unsafe { System.realloc(place, layout, size) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(place, layout) }
    }
}

/// What one side of a download did in its steady middle.
pub(crate) struct Side {
    /// Allocations.
    pub(crate) calls: u64,
    /// What they came to, in bytes.
    pub(crate) bytes: u64,
}

/// What a download did in its steady middle.
pub(crate) struct Figures {
    /// Blocks of 16 KiB that came.
    pub(crate) blocks: u64,
    pub(crate) seeder: Side,
    pub(crate) downloader: Side,
    /// Of both sides.
    pub(crate) disks: Side,
    /// How often the downloader took its locks.
    pub(crate) holds: LockHolds,
}

/// Downloads a torrent of so many MiB from so many seeders.
pub(crate) fn measure(mib: usize, count: usize) -> Result<Figures, Box<dyn Error>> {
    WHOSE.set(MEASURE);
    let content = Content::file("content", 1, mib << 20);
    let bytes = content.torrent(Format::V1, Some(PIECE_BYTES), &[]);
    let folder = tempfile::tempdir()?;
    let [seeded, downloaded] = ["seeded", "downloaded"].map(|name| folder.path().join(name));
    for dir in [&seeded, &downloaded] {
        std::fs::create_dir(dir)?;
    }
    content.write_into(&seeded)?;
    drop(content);

    let (seeding, downloading) = (runtime(SEEDER)?, runtime(DOWNLOADER)?);
    let mut seeders = Vec::new();
    for _ in 0..count {
        let seeder = seeding.block_on(Session::builder().settings(quiet()).start())?;
        let add = AddTorrent::new(bytes.clone()).into_dir(&seeded).read_only(true);
        seeding.block_on(seeding.block_on(seeder.add(add))?.completed())?;
        seeders.push(seeder);
    }
    let downloader = downloading.block_on(Session::builder().settings(quiet()).start())?;
    let peers = seeders.iter().flat_map(Session::listen_addrs);
    let add = AddTorrent::new(bytes).into_dir(&downloaded).peers(peers);
    let torrent = downloading.block_on(downloader.add(add))?;
    let (from, to) = downloading.block_on(async { tokio::time::timeout(PATIENCE, steady_state(&torrent)).await })?;
    downloading.block_on(async { tokio::time::timeout(PATIENCE, torrent.completed()).await })??;
    downloading.block_on(downloader.shutdown(Duration::from_secs(5)));
    for seeder in &seeders {
        seeding.block_on(seeder.shutdown(Duration::from_secs(5)));
    }

    let side = |whose: usize| Side {
        calls: to.counts[whose].0 - from.counts[whose].0,
        bytes: to.counts[whose].1 - from.counts[whose].1,
    };
    Ok(Figures {
        blocks: (to.received - from.received) / BLOCK_BYTES,
        seeder: side(SEEDER),
        downloader: side(DOWNLOADER),
        disks: side(DISKS),
        holds: LockHolds {
            swarm: to.holds.swarm - from.holds.swarm,
            pool: to.holds.pool - from.holds.pool,
            queues: to.holds.queues - from.holds.queues,
        },
    })
}

/// How many for each block.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub(crate) fn by_block(count: u64, blocks: u64) -> f64 {
    count as f64 / blocks.max(1) as f64
}

/// What was counted at a moment.
struct Moment {
    received: u64,
    /// Allocations and bytes, by whose threads they were of.
    counts: [(u64, u64); COUNTS.len()],
    holds: LockHolds,
}

impl Moment {
    fn new(torrent: &Torrent, received: u64) -> Self {
        let read = |count: &Count| (count.calls.load(Ordering::Relaxed), count.bytes.load(Ordering::Relaxed));
        Self { received, counts: COUNTS.each_ref().map(read), holds: LockHolds::of(torrent) }
    }
}

/// When half of the torrent is verified, and when nineteen twentieths are.
async fn steady_state(torrent: &Torrent) -> (Moment, Moment) {
    let mut from = None;
    loop {
        let status = torrent.status();
        match &from {
            None if status.have_bytes * 2 >= status.total_bytes => from = Some(Moment::new(torrent, status.down_bytes)),
            Some(_) if status.have_bytes * 20 >= status.total_bytes * 19 => {
                return (from.take().expect("it is there"), Moment::new(torrent, status.down_bytes));
            }
            _ => {}
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn runtime(whose: usize) -> std::io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(1).enable_all().on_thread_start(move || WHOSE.set(whose)).build()
}

/// A session that knows of nobody but whom it is told of.
fn quiet() -> Settings {
    Settings { lsd: false, pex: false, ..loopback() }
}
