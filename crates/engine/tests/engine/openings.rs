//! Many torrents added at once: they wait in a line, and all get their turn.

use std::io::{IoSlice, IoSliceMut};
use std::sync::{Arc, Condvar, Mutex};

use riverrun::metainfo::Span;
use riverrun::metainfo::metainfo::Metainfo;
use riverrun::storage::{MemoryStorage, Presence, Storage, StorageError};
use riverrun::testing::{Content, Format};
use riverrun::{AddTorrent, Phase, Torrent};

use super::{session, until};

/// A door that all storages of a test have in common.
#[derive(Debug, Default)]
struct Door {
    open: Mutex<bool>,
    opened: Condvar,
}

impl Door {
    fn open(&self) {
        *self.open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

/// A torrent in memory that cannot be looked at before the door is open.
#[derive(Debug)]
struct Shut {
    memory: MemoryStorage,
    door: Arc<Door>,
}

impl Storage for Shut {
    fn read_at(&self, span: Span, into: &mut [IoSliceMut<'_>]) -> Result<(), StorageError> {
        self.memory.read_at(span, into)
    }

    fn write_at(&self, span: Span, from: &[IoSlice<'_>]) -> Result<(), StorageError> {
        self.memory.write_at(span, from)
    }

    fn sync(&self) -> Result<(), StorageError> {
        self.memory.sync()
    }

    fn presence(&self) -> Result<Presence, StorageError> {
        drop(self.door.opened.wait_while(self.door.open.lock().unwrap(), |open| !*open).unwrap());
        self.memory.presence()
    }
}

fn is_opening(torrent: &Torrent) -> bool {
    matches!(torrent.status().phase, Phase::Opening)
}

#[tokio::test(flavor = "multi_thread")]
async fn torrents_that_wait_to_be_opened_have_no_tasks_and_all_get_their_turn() {
    let session = session().await;
    let door = Arc::new(Door::default());
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let mut torrents = Vec::new();
    for number in 0..200 {
        let content = Content::file(&format!("{number}.bin"), number, 20_000);
        let metainfo = Metainfo::parse(content.torrent(Format::V1, Some(16_384), &[]).into()).unwrap();
        let memory = MemoryStorage::new(metainfo.info().layout().clone());
        let wish = AddTorrent::new(metainfo).storage(Arc::new(Shut { memory, door: door.clone() }));
        torrents.push(session.add(wish).await.unwrap());
    }
    assert!(torrents.iter().all(is_opening));
    let more = tasks() - before;
    assert!(more <= 20, "{more} tasks for torrents that wait");
    // One of them leaves while it waits, and holds up nobody.
    torrents.remove(100).remove().await;
    door.open();
    until("all are open", || !torrents.iter().any(is_opening)).await;
    let status = torrents.iter().map(Torrent::status).find(|status| !matches!(status.phase, Phase::Downloading));
    assert!(status.is_none(), "{status:?}");
}
