//! Which threads write, and which read.

use std::collections::BTreeSet;
use std::thread;

use super::*;

/// A storage that remembers which threads wrote and read.
#[derive(Debug)]
struct Watched {
    inner: MemoryStorage,
    wrote: Mutex<BTreeSet<String>>,
    read: Mutex<BTreeSet<String>>,
}

fn note(names: &Mutex<BTreeSet<String>>) {
    names.lock().unwrap().insert(thread::current().name().unwrap().to_owned());
}

impl Storage for Watched {
    fn read_at(&self, span: Span, into: &mut [IoSliceMut<'_>]) -> Result<(), StorageError> {
        note(&self.read);
        self.inner.read_at(span, into)
    }
    fn write_at(&self, span: Span, from: &[IoSlice<'_>]) -> Result<(), StorageError> {
        note(&self.wrote);
        self.inner.write_at(span, from)
    }
    fn sync(&self) -> Result<(), StorageError> {
        self.inner.sync()
    }
    fn presence(&self) -> Result<Presence, StorageError> {
        self.inner.presence()
    }
}

#[test]
fn no_more_threads_write_and_hash_than_can_fill_their_lanes() {
    let by_cores = |lanes| [1, 2, 3, 4, 64].map(|cores| writers(cores, lanes));
    assert_eq!(by_cores(LANES), [1, 1, 2, 2, 2], "one core is left to who receives");
    for lanes in [1, 4, 8] {
        assert_eq!(by_cores(lanes), [2, 2, 3, 4, 4], "hashing takes most of the time");
    }
}

#[test]
fn few_threads_write_and_all_read() {
    // Four groups of pieces.
    let sample = Sample::new(Format::V1, 64 * BLOCK, &[("a", 16 << 20)]);
    let watched = Arc::new(Watched {
        inner: MemoryStorage::new(Arc::clone(&sample.layout)),
        wrote: Mutex::default(),
        read: Mutex::default(),
    });
    let rig = Rig::on(Disk::with(3, 1, 32 << 20), &sample, watched.clone());
    for piece in sample.pieces() {
        rig.write_piece(&sample, piece);
        rig.torrent.verify(piece, false);
    }
    for _ in sample.pieces() {
        let (piece, outcome) = rig.next_verified();
        assert!(matches!(outcome, VerifyOutcome::Good { .. }), "{piece:?}: {outcome:?}");
    }
    assert_eq!(Vec::from_iter(watched.wrote.lock().unwrap().clone()), ["disk 0"]);
    watched.read.lock().unwrap().clear();
    for piece in sample.pieces() {
        let span = sample.span_of(piece);
        rig.torrent.read(0, Span { offset: span.offset, length: u64::from(BLOCK) }, false);
        match rig.next() {
            Done::Read { result: Ok(buffers), .. } => {
                assert_eq!(buffers[0].filled(), &sample.bytes(span)[..BLOCK as usize]);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(Vec::from_iter(watched.read.lock().unwrap().clone()), ["disk 0", "disk 1", "disk 2"]);
}
