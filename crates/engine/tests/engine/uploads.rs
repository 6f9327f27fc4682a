//! Who reads what a peer asked for: the connection what is in memory, disk threads the rest.

use std::io::{IoSlice, IoSliceMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use riverrun::metainfo::{FileIndex, Metainfo, Span};
use riverrun::storage::{MemoryStorage, Presence, Storage, StorageError};
use riverrun::testing::{Content, LocalSwarm, loopback};
use riverrun::{AddTorrent, Encryption, Session, Settings};

use super::{PATIENCE, complete, join, same};

/// A storage that has in memory what the test says, and counts what is read which way.
#[derive(Debug)]
struct Counting {
    inner: MemoryStorage,
    /// Every other block is not in memory.
    half: AtomicBool,
    waited: AtomicU64,
    at_once: AtomicU64,
}

impl Storage for Counting {
    fn read_at(&self, span: Span, into: &mut [IoSliceMut<'_>]) -> Result<(), StorageError> {
        self.waited.fetch_add(span.length, Ordering::SeqCst);
        self.inner.read_at(span, into)
    }
    fn read_cached(&self, span: Span, into: &mut [IoSliceMut<'_>]) -> bool {
        if self.half.load(Ordering::SeqCst) && (span.offset / 65_536).is_multiple_of(2) {
            return false;
        }
        self.at_once.fetch_add(span.length, Ordering::SeqCst);
        self.inner.read_cached(span, into)
    }
    fn write_at(&self, span: Span, from: &[IoSlice<'_>]) -> Result<(), StorageError> {
        self.inner.write_at(span, from)
    }
    fn sync(&self) -> Result<(), StorageError> {
        self.inner.sync()
    }
    fn presence(&self) -> Result<Presence, StorageError> {
        self.inner.presence()
    }
}

const LENGTH: u64 = 5_000_003;

/// Bytes that the seeder read waiting, and at once, for one download.
async fn served(half: bool, encryption: Encryption) -> (u64, u64) {
    let content = Content::file("up.bin", 5, LENGTH as usize);
    let swarm = LocalSwarm::of(content).piece_length(65_536).seeders(0).start().await.unwrap();
    let metainfo = Metainfo::parse(swarm.torrent().into()).unwrap();
    let inner = MemoryStorage::new(metainfo.info().layout().clone());
    inner.set_file(FileIndex(0), Some(swarm.content().files[0].1.clone()));
    let [waited, at_once] = [0, 0].map(AtomicU64::new);
    let storage = Arc::new(Counting { inner, half: AtomicBool::new(half), waited, at_once });
    let settings = Settings { encryption, ..loopback() };
    let session = Session::builder().settings(settings).start().await.unwrap();
    let seeder = session.add(AddTorrent::new(metainfo).storage(storage.clone())).await.unwrap();
    complete(&seeder).await;
    tokio::time::timeout(PATIENCE, seeder.announced()).await.unwrap();
    storage.waited.store(0, Ordering::SeqCst);
    let (_session, torrent) = join(&swarm).await;
    complete(&torrent).await;
    same(&swarm, &swarm.dir());
    (storage.waited.load(Ordering::SeqCst), storage.at_once.load(Ordering::SeqCst))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_memory_never_meets_a_disk_thread() {
    for encryption in [Encryption::default(), Encryption::Require] {
        assert_eq!(served(false, encryption).await, (0, LENGTH));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_in_memory_is_read_by_disk_threads() {
    let (waited, at_once) = served(true, Encryption::default()).await;
    assert_eq!(waited + at_once, LENGTH, "every block was read once");
    let halves = LENGTH / 2 - 65_536..LENGTH / 2 + 65_536;
    assert!(halves.contains(&waited), "{waited} of {LENGTH}");
}
