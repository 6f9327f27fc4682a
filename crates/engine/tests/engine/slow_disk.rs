//! Disks that take nothing for a while: little is fetched that they would have to take.

use std::io::{IoSlice, IoSliceMut};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use riverrun::metainfo::Span;
use riverrun::metainfo::metainfo::Metainfo;
use riverrun::storage::{MemoryStorage, Presence, Storage, StorageError};
use riverrun::testing::{Content, Format, loopback};
use riverrun::{AddTorrent, Session, Settings};

use super::web_server::{Manner, WebServer};
use super::{complete, until};

/// A torrent in memory whose writes wait until it is opened.
#[derive(Debug)]
struct Gate {
    memory: MemoryStorage,
    open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

impl Storage for Gate {
    fn read_at(&self, span: Span, into: &mut [IoSliceMut<'_>]) -> Result<(), StorageError> {
        self.memory.read_at(span, into)
    }

    fn write_at(&self, span: Span, from: &[IoSlice<'_>]) -> Result<(), StorageError> {
        drop(self.opened.wait_while(self.open.lock().unwrap(), |open| !*open).unwrap());
        self.memory.write_at(span, from)
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.memory.sync()
    }

    fn presence(&self) -> Result<Presence, StorageError> {
        self.memory.presence()
    }
}

/// Opens the gate at the end of a test that failed: the disk threads are waited for.
struct Opens(Arc<Gate>);

impl Drop for Opens {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// So much may wait to be written, in bytes: the backlog of the disk (8 MiB), and what one connection reads at once.
const MOST: f32 = (10 << 20) as f32;
const MEMORY: usize = 64 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn l16_a_web_seed_is_not_read_while_much_waits_for_the_disk() {
    let content = Content::file("waits.bin", 3, 40_000_000);
    let server = WebServer::start(&content, Manner::Honest).await;
    let metainfo = Metainfo::parse(content.torrent(Format::V1, Some(262_144), &[]).into()).unwrap();
    let memory = MemoryStorage::new(metainfo.info().layout().clone());
    let gate = Arc::new(Gate { memory, open: Mutex::new(false), opened: Condvar::new() });
    let session = Session::builder().settings(Settings { memory_bytes: MEMORY, ..loopback() }).start().await.unwrap();
    let wish = AddTorrent::new(metainfo).storage(gate.clone()).web_seeds([server.url()]);
    let torrent = session.add(wish).await.unwrap();
    let opens = Opens(gate.clone());
    let held = || session.status().memory_used * MEMORY as f32;
    until("much waits", || held() >= (8 << 20) as f32).await;
    // Until nothing more comes: a server on this machine brings all of it in less.
    let (mut before, mut since) = (held(), Instant::now());
    until("nothing comes any more", || {
        if held() > before {
            (before, since) = (held(), Instant::now());
        }
        assert!(before <= MOST, "{before} bytes wait to be written");
        since.elapsed() >= Duration::from_millis(500)
    })
    .await;
    drop(opens);
    complete(&torrent).await;
    assert_eq!(gate.memory.file(riverrun::metainfo::FileIndex(0)).unwrap(), content.files[0].1);
    assert_eq!(torrent.status().web_seeds[0].error, None);
}
