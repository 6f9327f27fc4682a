//! Reads ahead, and on the spot.

use super::*;

/// A storage that remembers which spans it was told of.
#[derive(Debug)]
struct Told {
    inner: MemoryStorage,
    ahead: Mutex<Vec<Span>>,
}

impl Storage for Told {
    fn read_at(&self, span: Span, into: &mut [IoSliceMut<'_>]) -> Result<(), StorageError> {
        self.inner.read_at(span, into)
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
    fn will_read(&self, span: Span) {
        self.ahead.lock().unwrap().push(span);
    }
}

#[test]
fn who_reads_in_order_is_read_ahead_of_to_the_end_of_the_piece() {
    let sample = Sample::new(Format::V1, 8 * BLOCK, &[("a", 300_000)]);
    let storage = Arc::new(Told { inner: MemoryStorage::new(Arc::clone(&sample.layout)), ahead: Mutex::default() });
    let rig = Rig::new(&sample, storage.clone(), 256);
    // Reads overtake writes, but not what is verified.
    for piece in sample.pieces() {
        rig.write_piece(&sample, piece);
        rig.torrent.verify(piece, false);
        rig.next_verified();
    }
    let block = u64::from(BLOCK);
    let reads = [(0, 2, false), (2, 2, true), (4, 3, true), (7, 1, true), (16, 1, true)];
    for (at, count, in_order) in reads {
        rig.torrent.read(at, Span { offset: at * block, length: count * block }, in_order);
        let Done::Read { result, .. } = rig.next() else { panic!("a read ends") };
        assert_eq!(result.unwrap().len() as u64, count);
    }
    let ahead: Vec<_> = storage.ahead.lock().unwrap().iter().map(|span| (span.offset, span.end())).collect();
    // Not for the first, which was in no order, nor for the one at the end of its piece; and never past the end of all.
    assert_eq!(ahead, [(4 * block, 8 * block), (7 * block, 8 * block), (17 * block, 300_000)]);
}

#[test]
fn what_is_in_memory_is_read_on_the_spot_and_leaves_a_quarter_of_the_pool() {
    let sample = Sample::new(Format::V1, 8 * BLOCK, &[("a", 300_000)]);
    let storage = memory(&sample);
    let rig = Rig::new(&sample, storage.clone(), 8);
    for piece in sample.pieces() {
        rig.write_piece(&sample, piece);
        rig.torrent.verify(piece, false);
        rig.next_verified();
    }
    let (pool, mut buffers, block) = (rig.disk.pool(), Vec::new(), u64::from(BLOCK));
    let span = Span { offset: block, length: 2 * block + 5 };
    assert!(read_cached(&*storage, pool, span, &mut buffers));
    let read: Vec<u8> = buffers.iter().flat_map(|buffer| buffer.filled().to_vec()).collect();
    assert_eq!((buffers.len(), read), (3, sample.bytes(span).to_vec()));
    assert!(
        !read_cached(&*storage, pool, Span { offset: 0, length: 4 * block }, &mut buffers),
        "two of eight are left"
    );
    assert!(read_cached(&*storage, pool, Span { offset: 0, length: 3 * block }, &mut buffers));
    assert_eq!((buffers.len(), pool.out()), (6, 6));
    buffers.clear();
    storage.set_faults(Faults { read: Some(ErrorKind::Other), ..Faults::default() });
    assert!(!read_cached(&*storage, pool, span, &mut buffers), "a disk thread will tell why");
    assert!(!read_cached(&*storage, pool, Span { offset: 0, length: MAX_READ_BYTES + 1 }, &mut buffers));
    assert_eq!((buffers.len(), pool.out()), (0, 0), "no buffer is kept");
}
