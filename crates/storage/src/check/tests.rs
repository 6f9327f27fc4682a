//! Checks of storages in memory and in files.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use std::fs;
use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::path::PathBuf;
use std::sync::Arc;

use riverrun_metainfo::Span;
use riverrun_metainfo::create::{Options, Plan, SourceFile};

use super::*;
use crate::memory::Faults;
use crate::sample::Sample;
use crate::{Access, FileOptions, FileStorage, MemoryStorage, Place, Preallocation, SourceFiles};

const BLOCK: u32 = 16384;

fn checked(sample: &Sample, storage: &dyn Storage) -> Checked {
    check(storage, &sample.layout, &sample.hashes, None, None, &Progress::default()).unwrap()
}

fn memory(sample: &Sample) -> MemoryStorage {
    let storage = MemoryStorage::new(Arc::clone(&sample.layout));
    sample.store(&storage);
    storage
}

/// Files in a folder, not yet written.
fn files(sample: &Sample, preallocation: Preallocation) -> (tempfile::TempDir, FileStorage) {
    let root = tempfile::tempdir().unwrap();
    let place = Place::of_torrent(&sample.info, root.path().into(), None, false);
    let options = FileOptions { access: Access::ReadWrite, preallocation, ..FileOptions::default() };
    (root, FileStorage::open(place, Arc::clone(&sample.layout), options).unwrap())
}

fn indices(pieces: &Bitfield) -> Vec<u32> {
    pieces.iter().map(|piece| piece.0).collect()
}

#[test]
fn everything_right_in_every_format_and_with_any_number_of_threads() {
    for format in [Format::V1, Format::V2, Format::Hybrid] {
        let sample = Sample::new(format, 2 * BLOCK, &[("a", 1_000_003), ("b", 0), ("c/d", 40_000), ("c/e", 1)]);
        let storage = memory(&sample);
        for threads in [1, 2, 7] {
            let progress = Progress::default();
            let threads = NonZeroUsize::new(threads);
            let found = check(&storage, &sample.layout, &sample.hashes, None, threads, &progress).unwrap();
            assert!(found.have.is_full(), "{format:?} {threads:?}: {found:?}");
            assert!(found.files.iter().all(|state| matches!(state, FileState::Ok | FileState::Pad)), "{found:?}");
            assert_eq!((found.inconsistent, found.unknown.count()), (None, 0));
            let total: u64 = sample.pieces().map(|piece| u64::from(sample.layout.length_of(piece))).sum();
            assert_eq!((progress.done_bytes(), progress.total_bytes()), (total, total));
        }
    }
}

#[test]
fn what_is_wrong_is_told_by_piece_and_by_file() {
    let sample = Sample::new(Format::V1, BLOCK, &[("a", 40_000), ("b", 50_000), ("c", 5), ("d", 60_000), ("e", 9)]);
    let storage = memory(&sample);
    let change = |number, change: fn(&mut Vec<u8>)| {
        let mut bytes = storage.file(FileIndex(number)).unwrap();
        change(&mut bytes);
        storage.set_file(FileIndex(number), Some(bytes));
    };
    change(0, |bytes| bytes[20_000] ^= 1);
    change(1, |bytes| bytes.truncate(49_999));
    storage.set_file(FileIndex(2), None);
    change(3, |bytes| bytes.push(0));
    let found = checked(&sample, &storage);
    // Pieces of 16,384: the second has the flipped byte, the sixth has the end of b, all of c and the start of d.
    assert_eq!(indices(&found.have), [0, 2, 3, 4, 6, 7, 8, 9]);
    let expected = [
        FileState::Damaged { pieces: 1 },
        FileState::WrongSize { found: 49_999, pieces: 1 },
        FileState::Missing,
        FileState::WrongSize { found: 60_001, pieces: 1 },
        FileState::Ok,
    ];
    assert_eq!(found.files, expected);
}

#[test]
fn only_what_is_asked_for_is_read() {
    let sample = Sample::new(Format::V1, BLOCK, &[("a", 3 * u64::from(BLOCK)), ("b", 3 * u64::from(BLOCK))]);
    let storage = memory(&sample);
    storage.set_file(FileIndex(0), Some(vec![0; 3 * BLOCK as usize]));
    let mut only = Bitfield::empty(6);
    for piece in [4, 5] {
        only.insert(PieceIndex(piece));
    }
    let found = check(&storage, &sample.layout, &sample.hashes, Some(&only), None, &Progress::default()).unwrap();
    assert_eq!(indices(&found.have), [4, 5]);
    assert_eq!(found.files, [FileState::Ok, FileState::Ok], "nothing was asked about the first");
    assert_eq!(storage.counts().reads, 2);
}

#[test]
fn missing_files_are_not_touched_and_unreadable_ones_are_errors() {
    let sample = Sample::new(Format::V1, BLOCK, &[("a", 100_000)]);
    let storage = MemoryStorage::new(Arc::clone(&sample.layout));
    let found = checked(&sample, &storage);
    assert!(found.have.is_empty());
    assert_eq!((storage.counts().reads, &found.files[..]), (0, &[FileState::Missing][..]));
    sample.store(&storage);
    storage.set_faults(Faults { read: Some(ErrorKind::Other), ..Faults::default() });
    let result = check(&storage, &sample.layout, &sample.hashes, None, None, &Progress::default());
    assert!(matches!(result, Err(CheckError::Storage(StorageError::Io { action: "read", .. }))), "{result:?}");
}

#[test]
fn a_cancelled_check_ends() {
    let sample = Sample::new(Format::V1, BLOCK, &[("a", 100_000)]);
    let progress = Progress::default();
    progress.cancel();
    let found = check(&memory(&sample), &sample.layout, &sample.hashes, None, None, &progress).unwrap();
    assert!(found.have.is_empty() && found.left.is_full());
    assert_eq!(found.files, [FileState::Ok], "nothing is known to be wrong");
    let result = digest(&memory(&sample), &sample.layout, Format::V1, None, &progress);
    assert!(matches!(result, Err(CheckError::Cancelled)));
}

/// A storage that has the check cancelled when so many reads were made.
#[derive(Debug)]
struct CancelsAfter<'a> {
    memory: MemoryStorage,
    progress: &'a Progress,
    most: u64,
    reads: AtomicU64,
}

impl<'a> CancelsAfter<'a> {
    fn new(sample: &Sample, progress: &'a Progress, most: u64) -> Self {
        Self { memory: memory(sample), progress, most, reads: AtomicU64::new(0) }
    }
}

impl Storage for CancelsAfter<'_> {
    fn read_at(&self, span: Span, into: &mut [IoSliceMut<'_>]) -> Result<(), StorageError> {
        if self.reads.fetch_add(1, Ordering::Relaxed) == self.most {
            self.progress.cancel();
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

#[test]
fn a_check_ends_in_the_middle_of_long_pieces() {
    let sample = Sample::new(Format::V1, 256 * BLOCK, &[("a", 512 * u64::from(BLOCK))]);
    let progress = Progress::default();
    let storage = CancelsAfter::new(&sample, &progress, 2);
    let threads = NonZeroUsize::new(1);
    let found = check(&storage, &sample.layout, &sample.hashes, None, threads, &progress).unwrap();
    assert_eq!((found.have.count(), found.left.count()), (0, 2), "no piece came to its end");
    let reads = storage.reads.into_inner();
    assert!(reads <= 4, "{reads} of 32 reads");
    assert!(progress.done_bytes() < progress.total_bytes());
}

#[test]
fn what_a_check_found_before_it_was_cancelled_is_known_and_the_rest_is_left() {
    let sample = Sample::new(Format::V1, BLOCK, &[("a", 100 * u64::from(BLOCK))]);
    let progress = Progress::default();
    let storage = CancelsAfter::new(&sample, &progress, 40);
    let found = check(&storage, &sample.layout, &sample.hashes, None, NonZeroUsize::new(1), &progress).unwrap();
    let (have, left) = (found.have.count(), found.left.count());
    assert!(have > 0 && left > 0 && have + left == 100, "{have} and {left}");
    assert_eq!(found.files, [FileState::Ok], "nothing is known to be wrong");
    let rest = check(&storage, &sample.layout, &sample.hashes, Some(&found.left), None, &Progress::default()).unwrap();
    assert_eq!((rest.have, rest.left.count()), (found.left, 0));
}

#[test]
fn l6_right_pieces_of_a_file_that_was_there_before_are_kept() {
    let sample = Sample::new(Format::V1, BLOCK, &[("a", 4 * u64::from(BLOCK))]);
    let (root, storage) = files(&sample, Preallocation::Full);
    let mut bytes = [&sample.stream[..], b"and more behind the end"].concat();
    bytes[BLOCK as usize..2 * BLOCK as usize].fill(0xee);
    fs::write(root.path().join("a"), &bytes).unwrap();
    let found = checked(&sample, &storage);
    assert_eq!(indices(&found.have), [0, 2, 3]);
    assert_eq!(found.files, [FileState::WrongSize { found: bytes.len() as u64, pieces: 1 }]);
    assert_eq!(fs::read(root.path().join("a")).unwrap(), bytes, "a check changes nothing");
    // Pieces of this torrent are in it, so it is ours.
    storage.prepare(true, |_| true).unwrap();
    let found = checked(&sample, &storage);
    assert_eq!((indices(&found.have), &found.files[..]), (vec![0, 2, 3], &[FileState::Damaged { pieces: 1 }][..]));
}

#[test]
fn holes_are_judged_without_reading_and_zeros_that_belong_there_are_had() {
    for format in [Format::V1, Format::V2, Format::Hybrid] {
        let piece = u64::from(4 * BLOCK);
        // The first half is zeros by right; the last piece of each file is short.
        let byte = |at: u64| if at < 8 * piece { 0 } else { (at % 251) as u8 };
        let sample = Sample::filled(format, 4 * BLOCK, &[("a", 16 * piece + 100), ("b", piece + 7)], byte);
        let (_root, storage) = files(&sample, Preallocation::Sparse);
        storage.prepare(false, |_| true).unwrap();
        let counting = Counting { inner: &storage, reads: AtomicU64::new(0) };
        let found = checked(&sample, &counting);
        assert_eq!(indices(&found.have), (0..8).collect::<Vec<_>>(), "{format:?}");
        if storage.is_hole(Span { offset: 0, length: piece }) {
            let reads = counting.reads.into_inner();
            assert!(reads <= 4, "{format:?}: only short pieces are read, not {reads}");
        }
        sample.store(&storage);
        assert!(checked(&sample, &storage).have.is_full(), "{format:?}");
    }
}

#[derive(Debug)]
struct Counting<'a> {
    inner: &'a FileStorage,
    reads: AtomicU64,
}

impl Storage for Counting<'_> {
    fn read_at(&self, span: Span, into: &mut [IoSliceMut<'_>]) -> Result<(), StorageError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
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
    fn is_hole(&self, span: Span) -> bool {
        self.inner.is_hole(span)
    }
}

/// Cuts the file of the storage to nothing in the middle of a read.
#[derive(Debug)]
struct CutWhileRead<'a> {
    inner: &'a dyn Storage,
    path: PathBuf,
    after: u64,
    reads: AtomicU64,
}

impl Storage for CutWhileRead<'_> {
    fn read_at(&self, span: Span, into: &mut [IoSliceMut<'_>]) -> Result<(), StorageError> {
        if self.reads.fetch_add(1, Ordering::Relaxed) == self.after {
            fs::File::options().write(true).open(&self.path).unwrap().set_len(70_000).unwrap();
        }
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
}

#[test]
fn l5_a_file_cut_short_under_a_check_is_reported_not_a_crash() {
    let sample = Sample::new(Format::V1, 8 * BLOCK, &[("a", 40 * u64::from(BLOCK))]);
    let (root, storage) = files(&sample, Preallocation::None);
    sample.store(&storage);
    let path = root.path().join("a");
    // All five pieces are read side by side; the cut comes right before the second.
    let cut = CutWhileRead { inner: &storage, path, after: 1, reads: AtomicU64::new(0) };
    let threads = NonZeroUsize::new(1);
    let found = check(&cut, &sample.layout, &sample.hashes, None, threads, &Progress::default()).unwrap();
    assert_eq!(indices(&found.have), [0], "read before it was cut");
    assert_eq!(found.files, [FileState::WrongSize { found: 70_000, pieces: 4 }]);
}

/// A folder of source files and the plan to share them.
fn source(lengths: &[(&str, u64)]) -> (tempfile::TempDir, Plan, SourceFiles) {
    let root = tempfile::tempdir().unwrap();
    for (name, length) in lengths {
        let bytes: Vec<u8> = (0..*length).map(|at| (at % 249) as u8).collect();
        fs::write(root.path().join(name), bytes).unwrap();
    }
    let sources = lengths.iter().map(|(name, length)| SourceFile {
        path: vec![(*name).to_owned()],
        length: *length,
        ..SourceFile::default()
    });
    let options = Options { format: Format::Hybrid, piece_length: Some(2 * BLOCK), ..Options::new("source") };
    let plan = Plan::new(sources.collect(), options).unwrap();
    let layout = Arc::new(plan.layout().clone());
    let numbered = (0..u32::try_from(layout.files().len()).unwrap()).map(FileIndex);
    let paths = numbered.map(|file| Some(root.path().join(&plan.source(file)?.path[0]))).collect();
    let files = SourceFiles::new(layout, paths).unwrap();
    (root, plan, files)
}

#[test]
fn digests_of_source_files_make_the_torrent_that_verifies_them() {
    let lengths = [("b.bin", 700_001), ("a.bin", 100_000), ("c", 0)];
    let (_root, mut plan, files) = source(&lengths);
    let progress = Progress::default();
    let digests = digest(&files, plan.layout(), plan.format(), NonZeroUsize::new(3), &progress).unwrap();
    assert_eq!(progress.done_bytes(), progress.total_bytes());
    (0..).map(PieceIndex).zip(digests).for_each(|(piece, digest)| plan.put(piece, digest));
    let torrent = plan.finish().unwrap().draft().encode();
    let metainfo = riverrun_metainfo::metainfo::Metainfo::parse(torrent.into()).unwrap();
    let found =
        check(&files, metainfo.info().layout(), &metainfo.piece_hashes(), None, None, &Progress::default()).unwrap();
    assert!(found.have.is_full());
}

#[test]
fn l5_source_files_that_vanish_shrink_or_change_while_hashed_are_named() {
    let lengths = [("a", 400_000), ("b", 5)];
    let digest = |files: &dyn Storage, plan: &Plan| {
        digest(files, plan.layout(), plan.format(), NonZeroUsize::new(1), &Progress::default())
    };
    let (root, plan, files) = source(&lengths);
    let cut = CutWhileRead { inner: &files, path: root.path().join("a"), after: 2, reads: AtomicU64::new(0) };
    let result = digest(&cut, &plan);
    assert!(
        matches!(&result, Err(CheckError::Storage(StorageError::Short { path, .. })) if path.ends_with("a")),
        "{result:?}"
    );
    let (root, plan, files) = source(&lengths);
    fs::remove_file(root.path().join("a")).unwrap();
    let result = digest(&files, &plan);
    assert!(
        matches!(&result, Err(CheckError::Storage(StorageError::Missing { path })) if path.ends_with("a")),
        "{result:?}"
    );
    let (root, plan, files) = source(&lengths);
    // Cut behind the end of what the layout reads: seen only by looking again.
    fs::write(root.path().join("b"), vec![1; 80_000]).unwrap();
    let cut = CutWhileRead { inner: &files, path: root.path().join("b"), after: 2, reads: AtomicU64::new(0) };
    let result = digest(&cut, &plan);
    let Err(CheckError::Changed { file }) = result else { panic!("{result:?}") };
    assert!(plan.source(file).unwrap().path == ["b"]);
}
