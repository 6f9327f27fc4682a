//! Checks that are cut off.

use std::io::{IoSlice, IoSliceMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use riverrun::metainfo::Span;
use riverrun::metainfo::metainfo::Metainfo;
use riverrun::storage::{MemoryStorage, Presence, Storage, StorageError};
use riverrun::testing::{Content, Format, LocalSwarm, loopback};
use riverrun::{AddTorrent, Phase, Session, Settings};

use super::{PATIENCE, complete, until};

const PIECES: usize = 1200;
const BEFORE: usize = 600;
/// What two to four threads may have begun and not told.
const IN_HAND: usize = 4 * 16;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Manner {
    /// Hangs after so many reads.
    Hangs,
    Slow,
    Quick,
}

/// Content in memory, on a disk that hangs at first.
#[derive(Debug)]
struct Hangs {
    memory: MemoryStorage,
    reads: AtomicUsize,
    manner: Mutex<Manner>,
    changed: Condvar,
}

impl Hangs {
    fn become_a(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
        self.changed.notify_all();
    }

    fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }
}

impl Storage for Hangs {
    #[expect(clippy::disallowed_methods, reason = "storages are read on threads that may wait")]
    fn read_at(&self, span: Span, into: &mut [IoSliceMut<'_>]) -> Result<(), StorageError> {
        if self.reads.fetch_add(1, Ordering::SeqCst) >= BEFORE {
            let hangs = |manner: &mut Manner| *manner == Manner::Hangs;
            let manner = *self.changed.wait_while(self.manner.lock().unwrap(), hangs).unwrap();
            if manner == Manner::Slow {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        self.memory.read_at(span, into)
    }

    fn write_at(&self, span: Span, from: &[IoSlice<'_>]) -> Result<(), StorageError> {
        self.memory.write_at(span, from)
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.memory.sync()
    }

    fn presence(&self) -> Result<Presence, StorageError> {
        self.memory.presence()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_is_stopped_goes_on_where_it_was() {
    let content = Content::file("long.bin", 3, PIECES * 16384);
    let swarm = LocalSwarm::of(content).format(Format::V1).piece_length(16384).start().await.unwrap();
    let metainfo = Metainfo::parse(swarm.torrent().into()).unwrap();
    let layout = metainfo.info().layout().clone();
    let memory = MemoryStorage::new(layout.clone());
    let bytes = std::fs::read(swarm.seeder_dir(0).join("long.bin")).unwrap();
    memory.write_at(Span { offset: 0, length: layout.stream_length() }, &[IoSlice::new(&bytes)]).unwrap();
    let (reads, manner, changed) = (AtomicUsize::new(0), Mutex::new(Manner::Hangs), Condvar::new());
    let disk = Arc::new(Hangs { memory, reads, manner, changed });
    let session = async || {
        let settings = Settings { state_dir: Some(swarm.dir().join("state")), ..loopback() };
        Session::builder().settings(settings).start().await.unwrap()
    };
    let wish = AddTorrent::new(metainfo).storage(disk.clone()).read_only(true).trackers(Vec::new());

    let first = session().await;
    let torrent = first.add(wish.clone()).await.unwrap();
    until("half of it", || disk.reads() > BEFORE).await;
    assert!(matches!(torrent.status().phase, Phase::Checking { .. }));
    // The rest takes most of a second at the least, which is enough to hear of the stop.
    disk.become_a(Manner::Slow);
    first.shutdown(PATIENCE).await;
    disk.become_a(Manner::Quick);
    let before = disk.reads();
    assert!(before < PIECES, "{before} reads: it was not cut off");

    let second = session().await;
    let torrent = second.add(wish).await.unwrap();
    complete(&torrent).await;
    let again = disk.reads() - before;
    let most = PIECES - BEFORE + IN_HAND;
    assert!(again <= most, "{again} of {PIECES} pieces were hashed again, not {most}");
    assert!(before + again >= PIECES, "each was hashed");
}
