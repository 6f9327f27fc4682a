//! Counts the allocations of a download in steady state, by whose threads make them.
//!
//! `cargo run --release -p riverrun --example allocations [-- MIB]`
//!
//! A seeder and a downloader, each a session on threads of its own, over loopback; what is allocated between 25 % and 75 % of the
//! download is counted, by block of 16 KiB. Disk threads of both sides are counted together; where reading does not wait, as in
//! tmpfs, they are the downloader's.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use riverrun::testing::{Content, Format, loopback};
use riverrun::{AddTorrent, Session, Settings, Torrent};
use tokio::runtime::{Builder, Runtime};

const BLOCK_BYTES: u64 = 16 << 10;
const PIECE_BYTES: u32 = 1 << 20;
/// The least that has a steady state.
const LEAST_MIB: usize = 64;
const USUAL_MIB: usize = 512;
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

#[expect(clippy::print_stdout, reason = "its results are for whoever started it")]
fn main() -> Result<(), Box<dyn Error>> {
    WHOSE.set(MEASURE);
    let mib = std::env::args().nth(1).map_or(Ok(USUAL_MIB), |mib| mib.parse())?;
    if mib < LEAST_MIB {
        return Err(format!("a steady state needs {LEAST_MIB} MiB").into());
    }
    let content = Content::file("content", 1, mib << 20);
    let bytes = content.torrent(Format::V1, Some(PIECE_BYTES), &[]);
    let folder = tempfile::tempdir()?;
    let [seeders, downloaders] = ["seeder", "downloader"].map(|name| folder.path().join(name));
    for dir in [&seeders, &downloaders] {
        std::fs::create_dir(dir)?;
    }
    content.write_into(&seeders)?;
    drop(content);

    let (seeding, downloading) = (runtime(SEEDER)?, runtime(DOWNLOADER)?);
    let seeder = seeding.block_on(Session::builder().settings(quiet()).start())?;
    let add = AddTorrent::new(bytes.clone()).into_dir(&seeders).read_only(true);
    let seeded = seeding.block_on(seeder.add(add))?;
    seeding.block_on(seeded.completed())?;
    let downloader = downloading.block_on(Session::builder().settings(quiet()).start())?;
    let add = AddTorrent::new(bytes).into_dir(&downloaders).peers(seeder.listen_addrs());
    let torrent = downloading.block_on(downloader.add(add))?;
    let (from, to) = downloading.block_on(async { tokio::time::timeout(PATIENCE, steady_state(&torrent)).await })?;
    downloading.block_on(async { tokio::time::timeout(PATIENCE, torrent.completed()).await })??;

    let blocks = (to.received - from.received) / BLOCK_BYTES;
    println!("{blocks} blocks of {} in steady state", (mib as u64) << 20 >> 14);
    for (whose, name) in [(SEEDER, "seeder"), (DOWNLOADER, "downloader"), (DISKS, "disk threads")] {
        let (calls, bytes) = (to.counts[whose].0 - from.counts[whose].0, to.counts[whose].1 - from.counts[whose].1);
        println!(
            "{name:<13} {calls:>7} allocations, {:.3} per block; {} bytes per block",
            by(calls, blocks),
            bytes / blocks
        );
    }
    downloading.block_on(downloader.shutdown(Duration::from_secs(5)));
    seeding.block_on(seeder.shutdown(Duration::from_secs(5)));
    Ok(())
}

/// What was counted at a moment.
struct Moment {
    received: u64,
    /// Allocations and bytes, by whose threads they were of.
    counts: [(u64, u64); COUNTS.len()],
}

impl Moment {
    fn new(received: u64) -> Self {
        let read = |count: &Count| (count.calls.load(Ordering::Relaxed), count.bytes.load(Ordering::Relaxed));
        Self { received, counts: COUNTS.each_ref().map(read) }
    }
}

/// When a quarter of the torrent is verified, and when three quarters are.
async fn steady_state(torrent: &Torrent) -> (Moment, Moment) {
    let mut from = None;
    loop {
        let status = torrent.status();
        match &from {
            None if status.have_bytes * 4 >= status.total_bytes => from = Some(Moment::new(status.down_bytes)),
            Some(_) if status.have_bytes * 4 >= status.total_bytes * 3 => {
                return (from.take().expect("it is there"), Moment::new(status.down_bytes));
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

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn by(calls: u64, blocks: u64) -> f64 {
    calls as f64 / blocks.max(1) as f64
}
