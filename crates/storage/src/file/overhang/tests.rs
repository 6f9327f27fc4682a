//! Part files against real folders and a plain vector of bytes.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;
use riverrun_metainfo::path::NameRules;
use riverrun_metainfo::{Layout, Span};
use tempfile::TempDir;

use super::*;
use crate::{Access, FileOptions, FilePlace, Place, Preallocation, Storage};

const PIECE: u64 = 64;
const PARTS: &str = "t/.parts";

struct Torrent {
    root: TempDir,
    files: Vec<(String, u64)>,
    layout: Arc<Layout>,
    bytes: Vec<u8>,
}

impl Torrent {
    fn new(lengths: &[u64]) -> Self {
        let files: Vec<_> = (0..).zip(lengths).map(|(number, length)| (format!("t/{number}"), *length)).collect();
        let layout = Layout::v1(PIECE, lengths.iter().map(|length| (*length, false))).unwrap();
        let bytes = (0..layout.stream_length()).map(|at| 1 + (at * 31 % 251) as u8).collect();
        Self { root: tempfile::tempdir().unwrap(), files, layout: Arc::new(layout), bytes }
    }

    fn try_open(&self, access: Access) -> Result<FileStorage, StorageError> {
        let at = |path: &str| SafePath::parse(path, NameRules::default()).unwrap();
        let file = |(path, _): &(String, u64)| FilePlace::File { path: at(path), executable: false };
        let place = Place { root: self.root.path().into(), files: self.files.iter().map(file).collect() };
        let part_file = Some(at(PARTS));
        let options = FileOptions { access, part_file, preallocation: Preallocation::None, ..FileOptions::default() };
        FileStorage::open(place, Arc::clone(&self.layout), options)
    }

    fn open(&self, wanted: &BTreeSet<u32>) -> FileStorage {
        let storage = self.try_open(Access::ReadWrite).unwrap();
        storage.prepare(false, |file| wanted.contains(&file.0)).unwrap();
        storage
    }

    fn span(&self, piece: u32) -> Span {
        self.layout.piece_span(PieceIndex(piece)).unwrap()
    }

    fn write(&self, storage: &FileStorage, span: Span) -> Result<(), StorageError> {
        storage.write_at(span, &[IoSlice::new(&self.bytes[span.offset as usize..span.end() as usize])])
    }

    fn is_right(&self, storage: &FileStorage, span: Span) -> bool {
        let mut found = vec![0; span.length as usize];
        let (front, back) = found.split_at_mut(span.length as usize / 3);
        storage.read_at(span, &mut [IoSliceMut::new(front), IoSliceMut::new(back)]).unwrap();
        found == self.bytes[span.offset as usize..span.end() as usize]
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn names(&self) -> BTreeSet<String> {
        let entries = fs::read_dir(self.path("t")).into_iter().flatten();
        entries.map(|entry| format!("t/{}", entry.unwrap().file_name().to_str().unwrap())).collect()
    }
}

fn set(files: impl IntoIterator<Item = u32>) -> BTreeSet<u32> {
    files.into_iter().collect()
}

#[derive(Clone, Debug)]
enum Step {
    /// A piece of a wanted file comes, in two blocks.
    Piece(u32),
    /// More is wanted.
    Want(u32),
    /// Another run, which wants these.
    Reopen(u32),
    /// It ends without a word, and so does the other.
    Crash(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<u32>().prop_map(Step::Piece),
        1 => any::<u32>().prop_map(Step::Want),
        1 => any::<u32>().prop_map(Step::Reopen),
        1 => any::<u32>().prop_map(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn what_was_stored_is_there_whatever_is_wanted_and_nothing_else_appears(
        lengths in proptest::collection::vec(1u64..200, 1..7),
        first: u32,
        steps in proptest::collection::vec(step(), 0..25),
    ) {
        let torrent = Torrent::new(&lengths);
        let of_mask = |mask: u32| set((0..lengths.len() as u32).filter(|file| mask >> file & 1 == 1));
        let pieces = torrent.layout.piece_count();
        let mut wanted = of_mask(first);
        // The files that some run has wanted, and the pieces that came.
        let (mut ever, mut had) = (wanted.clone(), BTreeSet::new());
        let mut storage = Some(torrent.open(&wanted));
        for step in steps {
            match step {
                Step::Piece(number) => {
                    let number = number % pieces;
                    let files = torrent.layout.extents(torrent.span(number)).map(|extent| extent.file.0);
                    if files.collect::<BTreeSet<_>>().is_disjoint(&wanted) {
                        continue;
                    }
                    let span = torrent.span(number);
                    let half = span.length / 2;
                    let storage = storage.as_ref().unwrap();
                    torrent.write(storage, Span { offset: span.offset + half, length: span.length - half }).unwrap();
                    if half > 0 {
                        torrent.write(storage, Span { offset: span.offset, length: half }).unwrap();
                    }
                    had.insert(number);
                }
                Step::Want(mask) => {
                    wanted.extend(of_mask(mask));
                    storage.as_ref().unwrap().prepare(false, |file| wanted.contains(&file.0)).unwrap();
                }
                Step::Reopen(mask) => {
                    storage.take().unwrap().sync().unwrap();
                    wanted = of_mask(mask);
                    storage = Some(torrent.open(&wanted));
                }
                Step::Crash(mask) => {
                    // What was not closed in order may leave an empty part file, but keeps every byte.
                    drop(storage.take());
                    if torrent.path("t").exists() && !torrent.path(PARTS).exists() {
                        fs::write(torrent.path(PARTS), b"").unwrap();
                    }
                    wanted = of_mask(mask);
                    storage = Some(torrent.open(&wanted));
                }
            }
            ever.extend(&wanted);
            let storage = storage.as_ref().unwrap();
            for piece in &had {
                prop_assert!(torrent.is_right(storage, torrent.span(*piece)), "piece {piece}, {wanted:?} wanted");
            }
            let allowed: BTreeSet<_> = ever.iter().map(|file| format!("t/{file}")).collect();
            let stray: Vec<_> = torrent.names().into_iter().filter(|name| name != PARTS && !allowed.contains(name)).collect();
            prop_assert!(stray.is_empty(), "{stray:?}, {ever:?} wanted so far");
            if wanted.len() == lengths.len() {
                prop_assert!(!torrent.path(PARTS).exists());
            }
        }
        drop(storage);
        let storage = torrent.open(&of_mask(u32::MAX));
        prop_assert!(had.iter().all(|piece| torrent.is_right(&storage, torrent.span(*piece))));
        prop_assert!(!torrent.path(PARTS).exists());
    }
}

#[test]
fn a_file_of_a_stranger_that_is_not_wanted_is_never_touched() {
    let torrent = Torrent::new(&[100, 100]);
    fs::create_dir(torrent.path("t")).unwrap();
    fs::write(torrent.path("t/1"), "of somebody else").unwrap();
    let storage = torrent.open(&set([0]));
    torrent.write(&storage, torrent.span(1)).unwrap();
    assert!(torrent.is_right(&storage, torrent.span(1)));
    assert_eq!(fs::read(torrent.path("t/1")).unwrap(), b"of somebody else");
}

#[test]
fn l6_something_else_in_the_place_of_the_part_file_is_not_touched() {
    let torrent = Torrent::new(&[100, 100]);
    fs::create_dir(torrent.path("t")).unwrap();
    fs::write(torrent.path(PARTS), "these are forty bytes of somebody else..").unwrap();
    let error = torrent.try_open(Access::ReadWrite).unwrap_err();
    assert!(matches!(error, StorageError::InTheWay { .. }), "{error}");
    assert_eq!(fs::read(torrent.path(PARTS)).unwrap().len(), 40);
}

#[test]
fn l10_a_writer_without_the_first_file_keeps_others_away() {
    let torrent = Torrent::new(&[100, 100]);
    let first = torrent.open(&set([1]));
    assert!(!torrent.path("t/0").exists());
    assert!(matches!(torrent.try_open(Access::ReadWrite), Err(StorageError::InUse { .. })));
    drop(first);
    assert_eq!(torrent.names(), set_of(&["t/1"]).into_iter().filter(|name| torrent.path(name).exists()).collect());
    torrent.try_open(Access::ReadWrite).unwrap();
}

fn set_of(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn l8_what_a_loss_of_power_cut_off_is_not_there_and_the_rest_is() {
    let torrent = Torrent::new(&[100, 100, 100, 100]);
    let storage = torrent.open(&set([1, 3]));
    for piece in 0..torrent.layout.piece_count() {
        torrent.write(&storage, torrent.span(piece)).unwrap();
    }
    drop(storage);
    let whole = fs::read(torrent.path(PARTS)).unwrap();
    for length in 0..whole.len() {
        fs::write(torrent.path(PARTS), &whole[..length]).unwrap();
        let storage = torrent.try_open(Access::ReadWrite).unwrap();
        for piece in 0..torrent.layout.piece_count() {
            let span = torrent.span(piece);
            let mut bytes = vec![0; span.length as usize];
            match storage.read_at(span, &mut [IoSliceMut::new(&mut bytes)]) {
                Ok(()) => assert_eq!(bytes, torrent.bytes[span.offset as usize..span.end() as usize]),
                Err(error) => assert!(error.is_not_there(), "{length}: {error}"),
            }
        }
        // It goes on from there.
        storage.prepare(false, |file| file.0 % 2 == 1).unwrap();
        torrent.write(&storage, torrent.span(1)).unwrap();
        assert!(torrent.is_right(&storage, torrent.span(1)), "{length}");
    }
}

#[test]
fn l2_bytes_that_cannot_move_stay_where_they_are() {
    let torrent = Torrent::new(&[100, 100]);
    let storage = torrent.open(&set([0]));
    torrent.write(&storage, torrent.span(1)).unwrap();
    // A folder in the place of the file: its bytes can go nowhere.
    fs::create_dir(torrent.path("t/1")).unwrap();
    storage.prepare(false, |_| true).unwrap_err();
    assert!(torrent.is_right(&storage, torrent.span(1)));
    fs::remove_dir(torrent.path("t/1")).unwrap();
    storage.prepare(false, |_| true).unwrap();
    assert!(torrent.is_right(&storage, torrent.span(1)));
    assert!(!torrent.path(PARTS).exists());
    let mut found = vec![0; 28];
    fs::File::open(torrent.path("t/1")).unwrap().read_exact_at(&mut found, 0).unwrap();
    assert_eq!(found, &torrent.bytes[100..128]);
}

#[test]
fn l4_a_part_file_that_went_is_seen() {
    let torrent = Torrent::new(&[100, 100]);
    let storage = torrent.open(&set([0]));
    torrent.write(&storage, torrent.span(1)).unwrap();
    let present = storage.presence().unwrap().part_file;
    assert!(matches!(present, FilePresence::Present { same_as_open: true, .. }), "{present:?}");
    fs::rename(torrent.path(PARTS), torrent.path("away")).unwrap();
    assert_eq!(storage.presence().unwrap().part_file, FilePresence::Missing);
    storage.reopen_part_file().unwrap();
    let extent = Extent { file: FileIndex(1), offset: 0, length: 28, pad: false };
    assert!(!storage.rests_apart(extent));
    torrent.write(&storage, torrent.span(1)).unwrap();
    assert!(storage.rests_apart(extent) && torrent.is_right(&storage, torrent.span(1)));
}
