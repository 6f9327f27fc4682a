//! The threads against storages in memory.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::sync::Condvar;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::Duration;

use riverrun_metainfo::BLOCK_LENGTH;
use riverrun_metainfo::piece_hash::Format;

use super::batch::Write;
use super::prefixes::Prefixes;
use super::*;
use crate::memory::Faults;
use crate::sample::Sample;
use crate::{FilePresence, MemoryStorage};

mod prefixes;
mod reading;
mod room;
mod writers;

const BLOCK: u32 = BLOCK_LENGTH;
/// Far longer than anything takes; only a failing test waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

struct Channel(Mutex<SyncSender<Done>>);
impl DoneSink for Channel {
    fn done(&self, done: &mut Vec<Done>) {
        let sender = self.0.lock().unwrap();
        done.drain(..).for_each(|done| _ = sender.send(done));
    }
}

/// A torrent on a disk, with what came back.
struct Rig {
    disk: Disk,
    torrent: DiskTorrent,
    done: Receiver<Done>,
}

impl Rig {
    fn new(sample: &Sample, storage: Arc<dyn Storage>, pool_blocks: usize) -> Self {
        Self::on(Disk::start(DiskConfig { threads: 2, pool_bytes: pool_blocks * BLOCK as usize }), sample, storage)
    }

    fn on(disk: Disk, sample: &Sample, storage: Arc<dyn Storage>) -> Self {
        let (sender, done) = mpsc::sync_channel(10_000);
        let sink = Arc::new(Channel(Mutex::new(sender)));
        let torrent = disk.torrent(storage, Arc::clone(&sample.layout), Arc::clone(&sample.hashes), sink);
        Self { disk, torrent, done }
    }

    fn write(&self, piece: PieceIndex, offset: u64, bytes: &[u8]) {
        let run = bytes.chunks(BLOCK as usize).map(|block| {
            let mut buffer = self.disk.pool().try_take().expect("the pool is large enough");
            buffer.append(block);
            buffer
        });
        self.torrent.write(piece, offset, &mut run.collect());
    }

    /// Writes a piece in runs of two blocks.
    fn write_piece(&self, sample: &Sample, piece: PieceIndex) {
        let span = sample.span_of(piece);
        for (number, run) in (0..).zip(sample.bytes(span).chunks(2 * BLOCK as usize)) {
            self.write(piece, span.offset + number * 2 * u64::from(BLOCK), run);
        }
    }

    fn next(&self) -> Done {
        self.done.recv_timeout(PATIENCE).expect("something comes back")
    }

    fn next_verified(&self) -> (PieceIndex, VerifyOutcome) {
        match self.next() {
            Done::Verified { piece, outcome } => (piece, outcome),
            other => panic!("{other:?}"),
        }
    }

    /// Waits for a sync, so that everything before it has been through the queues.
    fn settle(&self) -> Vec<Done> {
        self.torrent.sync(u64::MAX);
        let mut others = Vec::new();
        loop {
            match self.next() {
                Done::Synced { token: u64::MAX, .. } => return others,
                other => others.push(other),
            }
        }
    }
}

/// A storage whose writes wait until the gate is open.
#[derive(Debug)]
struct Gated {
    inner: MemoryStorage,
    open: Mutex<bool>,
    changed: Condvar,
    /// Writes that have arrived.
    arrived: AtomicUsize,
}

impl Gated {
    fn new(sample: &Sample) -> Arc<Self> {
        let inner = MemoryStorage::new(Arc::clone(&sample.layout));
        Arc::new(Self { inner, open: Mutex::new(false), changed: Condvar::new(), arrived: AtomicUsize::new(0) })
    }

    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.changed.notify_all();
    }

    fn wait_for_a_write(&self) {
        let open = self.open.lock().unwrap();
        let arrived = |_: &mut bool| self.arrived.load(Ordering::SeqCst) == 0;
        assert!(!self.changed.wait_timeout_while(open, PATIENCE, arrived).unwrap().1.timed_out());
    }
}

impl Storage for Gated {
    fn read_at(&self, span: Span, into: &mut [IoSliceMut<'_>]) -> Result<(), StorageError> {
        self.inner.read_at(span, into)
    }
    fn write_at(&self, span: Span, from: &[IoSlice<'_>]) -> Result<(), StorageError> {
        let mut open = self.open.lock().unwrap();
        self.arrived.fetch_add(1, Ordering::SeqCst);
        self.changed.notify_all();
        while !*open {
            open = self.changed.wait(open).unwrap();
        }
        drop(open);
        self.inner.write_at(span, from)
    }
    fn sync(&self) -> Result<(), StorageError> {
        self.inner.sync()
    }
    fn presence(&self) -> Result<Presence, StorageError> {
        self.inner.presence()
    }
}

fn memory(sample: &Sample) -> Arc<MemoryStorage> {
    Arc::new(MemoryStorage::new(Arc::clone(&sample.layout)))
}

#[test]
fn pieces_are_written_verified_and_read_back() {
    for format in [Format::V1, Format::V2, Format::Hybrid] {
        let sample = Sample::new(format, 4 * BLOCK, &[("a", 700_001), ("b", 5), ("c/d", 90_000), ("e", 0)]);
        let storage = memory(&sample);
        let rig = Rig::new(&sample, storage.clone(), 256);
        for piece in sample.pieces() {
            rig.write_piece(&sample, piece);
            rig.torrent.verify(piece, false);
        }
        let mut seen: Vec<_> = sample
            .pieces()
            .map(|_| {
                let (piece, outcome) = rig.next_verified();
                assert!(matches!(outcome, VerifyOutcome::Good { digests: None }), "{format:?} {piece}: {outcome:?}");
                piece
            })
            .collect();
        seen.sort();
        assert_eq!(seen, sample.pieces().collect::<Vec<_>>());
        assert_eq!((rig.disk.pool().out(), rig.torrent.queued_bytes()), (0, 0));
        for piece in sample.pieces() {
            let span = sample.span_of(piece);
            rig.torrent.read(piece.0.into(), span, false);
            let Done::Read { token, result } = rig.next() else { panic!("a read ends") };
            assert_eq!(token, u64::from(piece.0));
            let read: Vec<u8> = result.unwrap().iter().flat_map(|buffer| buffer.filled().to_vec()).collect();
            assert_eq!(read, sample.bytes(span), "{format:?} {piece}");
        }
    }
}

#[test]
fn a_corrupt_piece_comes_with_digests_that_show_the_bad_block() {
    let sample = Sample::new(Format::V1, 4 * BLOCK, &[("a", 250_000)]);
    let rig = Rig::new(&sample, memory(&sample), 64);
    let piece = PieceIndex(1);
    let mut bytes = sample.bytes(sample.span_of(piece)).to_vec();
    bytes[2 * BLOCK as usize + 7] ^= 1;
    rig.write(piece, sample.span_of(piece).offset, &bytes);
    rig.torrent.verify(piece, false);
    let (_, VerifyOutcome::Corrupt { digests: bad }) = rig.next_verified() else { panic!("it is corrupt") };
    rig.write_piece(&sample, piece);
    rig.torrent.verify(piece, true);
    let (_, VerifyOutcome::Good { digests: Some(good) }) = rig.next_verified() else { panic!("it is good") };
    let differ: Vec<_> = (0..4).filter(|&block| good[block] != bad[block]).collect();
    assert_eq!((good.len(), differ), (4, vec![2]));
}

#[test]
fn jobs_of_a_piece_keep_their_order_and_waiting_neighbours_are_written_together() {
    let sample = Sample::new(Format::V1, 4 * BLOCK, &[("a", 16 * u64::from(BLOCK))]);
    let storage = Gated::new(&sample);
    let rig = Rig::new(&sample, storage.clone(), 64);
    rig.write_piece(&sample, PieceIndex(3));
    storage.wait_for_a_write();
    // All of these wait in one queue, in no good order, each verify behind the writes of its piece.
    for piece in [2, 0, 1].map(PieceIndex) {
        rig.write_piece(&sample, piece);
        rig.torrent.verify(piece, false);
    }
    // Bytes that come after a verify are not what it is about.
    rig.write(PieceIndex(0), 0, &[0; 100]);
    rig.torrent.verify(PieceIndex(0), false);
    assert!(rig.done.try_recv().is_err());
    assert!(rig.torrent.queued_bytes() > 12 * BLOCK as usize);
    storage.open();
    let mut outcomes: Vec<_> = (0..4).map(|_| rig.next_verified()).collect();
    assert!(matches!(outcomes.pop(), Some((PieceIndex(0), VerifyOutcome::Corrupt { .. }))));
    assert!(outcomes.iter().all(|(_, outcome)| matches!(outcome, VerifyOutcome::Good { .. })), "{outcomes:?}");
    let writes = storage.inner.counts().writes;
    assert!(writes <= 4, "{writes} writes: one or two for piece 3, one for pieces 0 to 2, one more");
}

#[test]
fn l2_a_full_disk_parks_its_torrent_once_and_others_go_on() {
    let sample = Sample::new(Format::V1, 4 * BLOCK, &[("a", 40 * u64::from(BLOCK))]);
    let storage = memory(&sample);
    storage.set_faults(Faults { room_bytes: Some(0), ..Faults::default() });
    let rig = Rig::new(&sample, storage.clone(), 256);
    for piece in sample.pieces() {
        rig.write_piece(&sample, piece);
        rig.torrent.verify(piece, false);
    }
    let Done::Parked(error) = rig.next() else { panic!("parked") };
    assert!(error.is_full(), "{error}");
    assert!(rig.settle().is_empty(), "said once, and nothing is verified");
    assert!(rig.torrent.is_parked());
    let writes = storage.counts().writes;
    assert!(writes <= 4, "{writes}: no more tries than threads that met it at the same time");

    let other = Rig::on(rig.disk.clone(), &sample, memory(&sample));
    for piece in sample.pieces() {
        other.write_piece(&sample, piece);
        other.torrent.verify(piece, false);
    }
    assert!(sample.pieces().all(|_| matches!(other.next_verified().1, VerifyOutcome::Good { .. })));

    // Still full: said again, and still nothing lost.
    rig.torrent.unpark();
    assert!(matches!(rig.next(), Done::Parked(_)));
    assert!(rig.settle().is_empty());
    storage.set_faults(Faults::default());
    let writes = storage.counts().writes;
    assert!(rig.settle().is_empty());
    assert_eq!(storage.counts().writes, writes, "l3: nothing is tried again by itself");
    rig.torrent.unpark();
    for _ in sample.pieces() {
        let (piece, outcome) = rig.next_verified();
        assert!(matches!(outcome, VerifyOutcome::Good { .. }), "{piece}: {outcome:?}");
    }
    assert_eq!((rig.torrent.queued_bytes(), rig.disk.pool().out()), (0, 0));
    assert_eq!(storage.file(riverrun_metainfo::FileIndex(0)).unwrap(), sample.stream);
}

#[test]
fn l2_what_is_dropped_while_parked_is_told_as_failed_and_can_come_again() {
    let sample = Sample::new(Format::V1, 4 * BLOCK, &[("a", 40 * u64::from(BLOCK))]);
    let storage = memory(&sample);
    storage.set_faults(Faults { write: Some(ErrorKind::PermissionDenied), ..Faults::default() });
    let rig = Rig::new(&sample, storage.clone(), 256);
    for piece in sample.pieces() {
        rig.write_piece(&sample, piece);
    }
    assert!(matches!(rig.next(), Done::Parked(_)));
    rig.torrent.verify(PieceIndex(0), false);
    assert!(rig.settle().is_empty(), "it waits behind its writes");
    rig.torrent.drop_parked();
    let (piece, outcome) = rig.next_verified();
    assert!(matches!((piece, outcome), (PieceIndex(0), VerifyOutcome::Failed(_))));
    assert!(rig.settle().is_empty());
    assert_eq!((rig.torrent.queued_bytes(), rig.disk.pool().out()), (0, 0));
    storage.set_faults(Faults::default());
    rig.torrent.unpark();
    for piece in sample.pieces().skip(1) {
        rig.torrent.verify(piece, false);
        assert!(matches!(rig.next_verified().1, VerifyOutcome::Failed(_)), "{piece}");
    }
    for piece in sample.pieces() {
        rig.write_piece(&sample, piece);
        rig.torrent.verify(piece, false);
        assert!(matches!(rig.next_verified().1, VerifyOutcome::Good { .. }), "{piece}");
    }
}

#[test]
fn l2_parked_writes_take_no_more_than_a_quarter_of_the_pool() {
    let sample = Sample::new(Format::V1, 4 * BLOCK, &[("a", 40 * u64::from(BLOCK))]);
    let storage = memory(&sample);
    storage.set_faults(Faults { write: Some(ErrorKind::StorageFull), ..Faults::default() });
    let rig = Rig::new(&sample, storage.clone(), 64);
    for piece in sample.pieces() {
        rig.write_piece(&sample, piece);
    }
    assert!(matches!(rig.next(), Done::Parked(_)));
    assert!(rig.settle().is_empty());
    assert_eq!((rig.disk.pool().out(), rig.torrent.queued_bytes()), (16, 16 * BLOCK as usize));
    storage.set_faults(Faults::default());
    rig.torrent.unpark();
    sample.pieces().for_each(|piece| rig.torrent.verify(piece, false));
    let outcomes: Vec<_> = sample.pieces().map(|_| rig.next_verified().1).collect();
    let good = outcomes.iter().filter(|outcome| matches!(outcome, VerifyOutcome::Good { .. })).count();
    let failed = outcomes.iter().filter(|outcome| matches!(outcome, VerifyOutcome::Failed(_))).count();
    assert_eq!((good, failed), (4, 6), "{outcomes:?}");
    assert_eq!(rig.disk.pool().out(), 0);
}

#[test]
fn a_sync_is_behind_every_write_before_it() {
    let sample = Sample::new(Format::V1, BLOCK, &[("a", 600 * u64::from(BLOCK)), ("b", 10)]);
    let storage = Gated::new(&sample);
    let rig = Rig::new(&sample, storage.clone(), 1024);
    sample.pieces().for_each(|piece| rig.write_piece(&sample, piece));
    rig.torrent.sync(7);
    storage.wait_for_a_write();
    assert_eq!(storage.inner.counts().syncs, 0);
    storage.open();
    let Done::Synced { token: 7, result } = rig.next() else { panic!("synced") };
    let files = result.unwrap().files;
    assert!(matches!(files[..], [FilePresence::Present { .. }, FilePresence::Present { length: 10, .. }]), "{files:?}");
    assert_eq!((storage.inner.counts().syncs, rig.torrent.queued_bytes()), (1, 0));
    storage.inner.set_faults(Faults { sync: Some(ErrorKind::Other), ..Faults::default() });
    rig.torrent.sync(8);
    assert!(matches!(rig.next(), Done::Synced { token: 8, result: Err(_) }));
}

#[test]
fn reads_wait_for_buffers_and_leave_a_share_for_what_comes_in() {
    let sample = Sample::new(Format::V1, 4 * BLOCK, &[("a", 16 * u64::from(BLOCK))]);
    let storage = memory(&sample);
    sample.store(&*storage);
    let rig = Rig::new(&sample, storage, 8);
    for piece in sample.pieces() {
        rig.torrent.read(piece.0.into(), sample.span_of(piece), false);
    }
    let Done::Read { token: 0, result: Ok(first) } = rig.next() else { panic!("the first is read") };
    assert!(rig.settle().is_empty(), "the second would take the last buffers");
    assert_eq!(rig.disk.pool().out(), 4);
    assert_eq!(first.len(), 4);
    drop(first);
    for token in 1..4 {
        let Done::Read { token: found, result: Ok(buffers) } = rig.next() else { panic!("read in order") };
        assert_eq!((found, buffers.len()), (token, 4));
    }
    let all = Span { offset: 0, length: 16 * u64::from(BLOCK) };
    rig.torrent.read(9, all, false);
    assert!(matches!(rig.next(), Done::Read { token: 9, result: Err(_) }), "more than the pool has");
}

#[test]
fn reads_of_what_is_not_there_or_not_readable_end_with_the_error() {
    let sample = Sample::new(Format::V1, 4 * BLOCK, &[("a", 100_000)]);
    let storage = memory(&sample);
    let rig = Rig::new(&sample, storage.clone(), 64);
    rig.torrent.read(1, sample.span_of(PieceIndex(1)), false);
    let Done::Read { token: 1, result: Err(error) } = rig.next() else { panic!("nothing is there") };
    assert!(error.is_not_there());
    rig.torrent.verify(PieceIndex(1), false);
    let (_, VerifyOutcome::Failed(error)) = rig.next_verified() else { panic!("nothing is there") };
    assert!(error.is_not_there());
    sample.store(&*storage);
    storage.set_faults(Faults { read: Some(ErrorKind::Other), ..Faults::default() });
    rig.torrent.verify(PieceIndex(1), false);
    let (_, VerifyOutcome::Failed(error)) = rig.next_verified() else { panic!("it cannot be read") };
    assert!(!error.is_not_there());
    assert!(!rig.torrent.is_parked(), "reading parks nothing");
}

#[test]
fn dropping_a_torrent_cancels_what_is_queued_and_gives_its_buffers_back() {
    let sample = Sample::new(Format::V1, 4 * BLOCK, &[("a", 16 * u64::from(BLOCK))]);
    let storage = Gated::new(&sample);
    let Rig { disk, torrent, done } = Rig::new(&sample, storage.clone(), 64);
    let rig = Rig { disk: disk.clone(), torrent, done };
    rig.write_piece(&sample, PieceIndex(0));
    storage.wait_for_a_write();
    for piece in sample.pieces().skip(1) {
        rig.write_piece(&sample, piece);
        rig.torrent.verify(piece, false);
    }
    let Rig { torrent, done, .. } = rig;
    drop(torrent);
    storage.open();
    assert!(matches!(done.recv_timeout(PATIENCE), Err(mpsc::RecvTimeoutError::Disconnected)), "nothing more is said");
    assert!(storage.inner.counts().writes <= 2);
    assert_eq!(disk.pool().out(), 0);
}

#[test]
fn l15_dropping_the_last_disk_ends_the_threads_even_from_one_of_them() {
    struct Keeper(Mutex<Option<Disk>>, Mutex<SyncSender<()>>);
    impl DoneSink for Keeper {
        fn done(&self, _: &mut Vec<Done>) {
            drop(self.0.lock().unwrap().take());
            self.1.lock().unwrap().send(()).unwrap();
        }
    }
    let sample = Sample::new(Format::V1, BLOCK, &[("a", 10)]);
    let disk = Disk::start(DiskConfig { threads: 3, pool_bytes: 1 << 20 });
    let (sender, dropped) = mpsc::sync_channel(10_000);
    let keeper = Arc::new(Keeper(Mutex::new(Some(disk.clone())), Mutex::new(sender)));
    let torrent = disk.torrent(memory(&sample), Arc::clone(&sample.layout), Arc::clone(&sample.hashes), keeper);
    drop(disk);
    torrent.sync(1);
    dropped.recv_timeout(PATIENCE).unwrap();
    // The threads are gone: jobs go nowhere, and nothing waits for ever.
    torrent.verify(PieceIndex(0), false);
    let pool_bytes = 1 << 20;
    let disk = Disk::start(DiskConfig { threads: 0, pool_bytes });
    assert!(format!("{disk:?}").contains("workers"));
}

/// The storage fails and recovers, parked writes are dropped now and then, threads race: whatever happens, every piece that was
/// written is told once, never as corrupt, and in the end all bytes are there.
#[test]
fn l2_however_the_storage_fails_every_piece_ends_well() {
    let sample = Sample::new(Format::V1, 3 * BLOCK, &[("a", 300 * u64::from(BLOCK) + 77)]);
    let disk = Disk::start(DiskConfig { threads: 3, pool_bytes: 256 * BLOCK as usize });
    for seed in 1..=20_u64 {
        let mut random = seed;
        let mut draw = move |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let storage = memory(&sample);
        let rig = Rig::on(disk.clone(), &sample, storage.clone());
        let mut todo: Vec<_> = sample.pieces().collect();
        let (mut asked, mut good) = (0, 0);
        while good < sample.pieces().count() {
            if !todo.is_empty() && disk.pool().capacity() - disk.pool().out() > 8 {
                let piece = todo.swap_remove(draw(todo.len() as u64) as usize);
                rig.write_piece(&sample, piece);
                rig.torrent.verify(piece, false);
                asked += 1;
            }
            match draw(40) {
                0 => storage.set_faults(Faults { room_bytes: Some(draw(20) * 10_000), ..Faults::default() }),
                1 => storage.set_faults(Faults { write: Some(ErrorKind::Other), ..Faults::default() }),
                2 => rig.torrent.drop_parked(),
                3..6 => storage.set_faults(Faults::default()),
                6..9 => rig.torrent.unpark(),
                _ => {}
            }
            // Nothing more can come by itself: the last resort of an owner.
            let stuck = (todo.is_empty() && asked > 0) || disk.pool().capacity() - disk.pool().out() <= 8;
            let next =
                if stuck { rig.done.recv_timeout(Duration::from_millis(20)).ok() } else { rig.done.try_recv().ok() };
            match next {
                Some(Done::Verified { outcome: VerifyOutcome::Good { .. }, .. }) => {
                    (asked, good) = (asked - 1, good + 1)
                }
                Some(Done::Verified { piece, outcome: VerifyOutcome::Failed(_) }) => {
                    asked -= 1;
                    todo.push(piece);
                }
                Some(Done::Parked(_)) => {}
                Some(other) => panic!("{seed}: {other:?}"),
                None if stuck => {
                    storage.set_faults(Faults::default());
                    rig.torrent.unpark();
                }
                None => {}
            }
        }
        assert_eq!(asked, 0, "{seed}");
        assert_eq!(storage.file(riverrun_metainfo::FileIndex(0)).unwrap(), sample.stream, "{seed}");
        let left = rig.settle();
        assert!(left.iter().all(|done| matches!(done, Done::Parked(_))), "{seed}: {left:?}");
        assert_eq!(rig.torrent.queued_bytes(), 0, "{seed}");
    }
    assert_eq!(disk.pool().out(), 0);
}

/// The limit on the size of files stands in for a full disk: it is the same for every file system and needs no right to mount one.
#[test]
fn l2_l3_real_files_that_cannot_grow_park_the_torrent_until_they_can() {
    const IN_CHILD: &str = "RIVERRUN_TEST_FILE_SIZE_LIMIT";
    if std::env::var_os(IN_CHILD).is_none() {
        let test = "disk::tests::l2_l3_real_files_that_cannot_grow_park_the_torrent_until_they_can";
        // 512 blocks of 512 bytes; the signal that comes with the error must not end the process.
        let script = format!("trap '' XFSZ; ulimit -S -f 512; exec \"$0\" --exact {test}");
        let child = std::process::Command::new("sh")
            .args(["-c", &script])
            .arg(std::env::current_exe().unwrap())
            .env(IN_CHILD, "1")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&child.stdout);
        assert!(
            child.status.success() && told.contains("1 passed"),
            "{told}{}",
            String::from_utf8_lossy(&child.stderr)
        );
        return;
    }
    let sample = Sample::new(Format::V1, 4 * BLOCK, &[("a", 40 * u64::from(BLOCK)), ("b", 5)]);
    let root = tempfile::tempdir().unwrap();
    let place = crate::Place::of_torrent(&sample.info, root.path().into(), None, false);
    let options = crate::FileOptions {
        access: crate::Access::ReadWrite,
        preallocation: crate::Preallocation::None,
        ..crate::FileOptions::default()
    };
    let storage = Arc::new(crate::FileStorage::open(place, Arc::clone(&sample.layout), options).unwrap());
    let rig = Rig::new(&sample, storage.clone(), 256);
    for piece in sample.pieces() {
        rig.write_piece(&sample, piece);
        rig.torrent.verify(piece, false);
    }
    let mut before = rig.settle();
    let parked = before.iter().position(|done| matches!(done, Done::Parked(_))).expect("it is parked");
    let Done::Parked(error) = before.remove(parked) else { unreachable!("just found") };
    assert_eq!(error.path(), Some(root.path().join("a").as_path()), "{error:?}");
    assert!(rig.torrent.is_parked());
    let good = |done: &Done| matches!(done, Done::Verified { outcome: VerifyOutcome::Good { .. }, .. });
    assert!(before.iter().all(good), "{before:?}");
    let mut limit = rustix::process::getrlimit(rustix::process::Resource::Fsize);
    limit.current = limit.maximum;
    rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).unwrap();
    rig.torrent.unpark();
    for _ in before.len()..sample.pieces().count() {
        let (piece, outcome) = rig.next_verified();
        assert!(matches!(outcome, VerifyOutcome::Good { .. }), "{piece}: {outcome:?}");
    }
    assert_eq!(std::fs::read(root.path().join("a")).unwrap(), sample.stream[..40 * BLOCK as usize]);
}
