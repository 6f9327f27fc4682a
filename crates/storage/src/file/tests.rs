//! The storage of files against real folders.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use proptest::prelude::*;
use riverrun_metainfo::path::NameRules;
use rustix::fs::Mode;
use tempfile::TempDir;

use super::*;
use crate::{FilePresence, MemoryStorage};

const BLOCK: u64 = 16384;

fn at(path: &str) -> SafePath {
    SafePath::parse(path, NameRules::default()).unwrap()
}

fn file(path: &str) -> FilePlace {
    FilePlace::File { path: at(path), executable: false }
}

struct Torrent {
    root: TempDir,
    files: Vec<FilePlace>,
    layout: Arc<Layout>,
}

impl Torrent {
    /// Files of these lengths with these paths; no path is padding.
    fn new(files: &[(Option<&str>, u64)]) -> Self {
        let layout = Layout::v1(BLOCK, files.iter().map(|(path, length)| (*length, path.is_none()))).unwrap();
        let files = files.iter().map(|(path, _)| path.map_or(FilePlace::Pad, file)).collect();
        Self { root: tempfile::tempdir().unwrap(), files, layout: Arc::new(layout) }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn place(&self) -> Place {
        Place { root: self.root.path().into(), files: self.files.clone() }
    }

    fn open(&self, access: Access) -> Result<FileStorage, StorageError> {
        self.open_with(FileOptions { access, preallocation: Preallocation::None, ..FileOptions::default() })
    }

    fn open_with(&self, options: FileOptions) -> Result<FileStorage, StorageError> {
        FileStorage::open(self.place(), Arc::clone(&self.layout), options)
    }

    fn writer(&self) -> FileStorage {
        self.open(Access::ReadWrite).unwrap()
    }
}

fn write(storage: &dyn Storage, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
    storage.write_at(Span { offset, length: bytes.len() as u64 }, &[IoSlice::new(bytes)])
}

fn read(storage: &dyn Storage, offset: u64, length: u64) -> Result<Vec<u8>, StorageError> {
    let mut bytes = vec![0xee; length as usize];
    storage.read_at(Span { offset, length }, &mut [IoSliceMut::new(&mut bytes)])?;
    Ok(bytes)
}

fn length_of(found: FilePresence) -> Option<u64> {
    if let FilePresence::Present { length, .. } = found { Some(length) } else { None }
}

#[test]
fn spans_over_files_and_padding_are_cut_right() {
    let torrent = Torrent::new(&[(Some("d/a"), 5), (None, 3), (Some("b"), 0), (Some("d/e/c"), 10)]);
    let storage = torrent.writer();
    let bytes: Vec<u8> = (1..=18).collect();
    let (front, back) = bytes.split_at(7);
    storage.write_at(Span { offset: 0, length: 18 }, &[IoSlice::new(front), IoSlice::new(back)]).unwrap();
    assert_eq!(fs::read(torrent.path("d/a")).unwrap(), &bytes[..5]);
    assert_eq!(fs::read(torrent.path("d/e/c")).unwrap(), &bytes[8..]);
    assert!(!torrent.path("b").exists(), "nobody asked for it yet");
    let mut expected = bytes.clone();
    expected[5..8].fill(0);
    assert_eq!(read(&storage, 0, 18).unwrap(), expected);
    assert_eq!(read(&storage, 4, 6).unwrap(), &expected[4..10]);
    let (mut one, mut other) = ([1; 2], [1; 9]);
    let span = Span { offset: 3, length: 11 };
    storage.read_at(span, &mut [IoSliceMut::new(&mut one), IoSliceMut::new(&mut other)]).unwrap();
    assert_eq!([&one[..], &other].concat(), &expected[3..14]);
}

#[test]
fn m13_padding_is_never_on_disk() {
    let torrent = Torrent::new(&[(Some("a"), 1), (None, BLOCK * 1000), (Some("b"), 1)]);
    let storage = torrent.writer();
    storage.prepare(false, |_| true).unwrap();
    write(&storage, 1, &[7; 100]).unwrap();
    assert_eq!(read(&storage, 1, 100).unwrap(), [0; 100]);
    assert_eq!(storage.presence().unwrap().files[1], FilePresence::Pad);
    write(&storage, BLOCK * 1000 + 1, b"x").unwrap();
    let names: Vec<_> = fs::read_dir(torrent.root.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert_eq!(fs::read(torrent.path("b")).unwrap(), b"x");
    assert!(storage.space().unwrap().needed < BLOCK);
}

#[test]
fn v2_gaps_read_as_zeros_and_swallow_writes() {
    let layout = Arc::new(Layout::v2(BLOCK, [3, 4]).unwrap());
    let root = tempfile::tempdir().unwrap();
    let place = Place { root: root.path().into(), files: vec![file("a"), file("b")] };
    let options = FileOptions { access: Access::ReadWrite, ..FileOptions::default() };
    let storage = FileStorage::open(place, layout, options).unwrap();
    write(&storage, 0, &vec![9; BLOCK as usize + 4]).unwrap();
    assert_eq!(fs::read(root.path().join("a")).unwrap(), [9; 3]);
    assert_eq!(fs::read(root.path().join("b")).unwrap(), [9; 4]);
    let back = read(&storage, 2, BLOCK).unwrap();
    assert_eq!((back[0], back[1], back[BLOCK as usize - 3], back[BLOCK as usize - 1]), (9, 0, 0, 9));
}

#[test]
fn bytes_that_are_not_there_are_no_fault() {
    let torrent = Torrent::new(&[(Some("a"), 10), (Some("b"), 10)]);
    let storage = torrent.writer();
    assert!(matches!(read(&storage, 0, 5), Err(StorageError::Missing { .. })));
    write(&storage, 0, b"abc").unwrap();
    assert_eq!(read(&storage, 0, 3).unwrap(), b"abc");
    let error = read(&storage, 0, 10).unwrap_err();
    assert!(error.is_not_there() && matches!(error, StorageError::Short { end: 10, .. }), "{error:?}");
    assert_eq!(error.path(), Some(torrent.path("a").as_path()));
    assert!(matches!(read(&storage, 15, 6), Err(StorageError::BadSpan { .. })), "past the end");
    assert!(matches!(write(&storage, 15, &[0; 6]), Err(StorageError::BadSpan { .. })), "past the end");
}

#[test]
fn read_only_creates_and_changes_nothing() {
    let torrent = Torrent::new(&[(Some("d/a"), 10), (Some("b"), 0)]);
    let storage = torrent.open(Access::ReadOnly).unwrap();
    assert!(matches!(read(&storage, 0, 1), Err(StorageError::Missing { .. })));
    assert!(matches!(write(&storage, 0, b"x"), Err(StorageError::ReadOnly { .. })));
    assert!(matches!(storage.prepare(true, |_| true), Err(StorageError::ReadOnly { .. })));
    storage.sync().unwrap();
    assert_eq!(storage.presence().unwrap().files, [FilePresence::Missing; 2]);
    assert_eq!(fs::read_dir(torrent.root.path()).unwrap().count(), 0);
    fs::remove_dir(torrent.root.path()).unwrap();
    assert!(matches!(torrent.open(Access::ReadOnly), Err(StorageError::Missing { .. })));
}

#[test]
fn prepare_makes_sizes_and_empty_files_and_is_idempotent() {
    for preallocation in [Preallocation::None, Preallocation::Sparse, Preallocation::Full] {
        let torrent = Torrent::new(&[(Some("d/a"), 100_000), (Some("e/f/b"), 0), (Some("c"), 70_000)]);
        let options = FileOptions { access: Access::ReadWrite, preallocation, ..FileOptions::default() };
        let storage = torrent.open_with(options).unwrap();
        assert_eq!(storage.presence().unwrap().files, [FilePresence::Missing; 3]);
        storage.prepare(false, |file| file.0 < 2).unwrap();
        write(&storage, 0, b"kept").unwrap();
        storage.prepare(false, |file| file.0 < 2).unwrap();
        let found = storage.presence().unwrap().files;
        let size = if preallocation == Preallocation::None { 4 } else { 100_000 };
        assert_eq!((length_of(found[0]), length_of(found[1])), (Some(size), Some(0)), "{preallocation:?}");
        assert_eq!(found[2], FilePresence::Missing, "not wanted");
        assert_eq!(read(&storage, 0, 4).unwrap(), b"kept");
        let allocated = fs::metadata(torrent.path("d/a")).unwrap().blocks() * 512;
        assert_eq!(allocated >= 100_000, preallocation == Preallocation::Full, "{preallocation:?}: {allocated}");
        storage.sync().unwrap();
    }
}

#[test]
fn a_torrent_of_empty_files_only_and_one_of_none() {
    let torrent = Torrent::new(&[(Some("d/a"), 0), (Some("b"), 0)]);
    let storage = torrent.writer();
    storage.prepare(false, |_| true).unwrap();
    assert!(torrent.path("d/a").is_file() && torrent.path("b").is_file());
    let nothing = Torrent::new(&[]);
    let storage = nothing.writer();
    storage.prepare(false, |_| true).unwrap();
    assert_eq!(storage.presence().unwrap(), Presence::default());
    storage.sync().unwrap();
}

#[test]
fn a_root_is_made_with_its_parents_when_the_first_byte_comes() {
    let outer = tempfile::tempdir().unwrap();
    let layout = Arc::new(Layout::v1(BLOCK, [(3, false)]).unwrap());
    let place = Place { root: outer.path().join("x/y"), files: vec![file("a")] };
    let options = FileOptions { access: Access::ReadWrite, ..FileOptions::default() };
    let storage = FileStorage::open(place, layout, options).unwrap();
    storage.check_writable().unwrap();
    assert_eq!(storage.presence().unwrap().files, [FilePresence::Missing]);
    assert!(storage.space().unwrap().available > 0);
    assert_eq!(fs::read_dir(outer.path()).unwrap().count(), 0);
    write(&storage, 0, b"abc").unwrap();
    storage.sync().unwrap();
    assert_eq!(fs::read(outer.path().join("x/y/a")).unwrap(), b"abc");
}

#[test]
fn l6_a_longer_file_keeps_its_bytes_until_it_is_known_to_be_ours() {
    for preallocation in [Preallocation::None, Preallocation::Sparse, Preallocation::Full] {
        let torrent = Torrent::new(&[(Some("a"), 10), (Some("b"), 3)]);
        fs::write(torrent.path("a"), b"right bytes and more").unwrap();
        let options = FileOptions { access: Access::ReadWrite, preallocation, ..FileOptions::default() };
        let storage = torrent.open_with(options).unwrap();
        storage.prepare(false, |_| true).unwrap();
        write(&storage, 0, b"R").unwrap();
        assert_eq!(fs::read(torrent.path("a")).unwrap(), b"Right bytes and more");
        assert_eq!(length_of(storage.presence().unwrap().files[0]), Some(20), "seen as too long");
        storage.prepare(true, |_| true).unwrap();
        assert_eq!(fs::read(torrent.path("a")).unwrap(), b"Right byte");
        assert_eq!(read(&storage, 0, 10).unwrap(), b"Right byte", "right pieces are kept");
    }
}

#[test]
fn l4_a_deleted_truncated_or_replaced_file_shows_in_presence() {
    let torrent = Torrent::new(&[(Some("a"), 3), (Some("b"), 3), (Some("c"), 3), (Some("d/e"), 3)]);
    let storage = torrent.writer();
    write(&storage, 0, &[1; 12]).unwrap();
    let before = storage.presence().unwrap().files;
    assert!(before.iter().all(|file| matches!(file, FilePresence::Present { length: 3, same_as_open: true, .. })));
    fs::remove_file(torrent.path("a")).unwrap();
    fs::write(torrent.path("new"), [1; 3]).unwrap();
    fs::rename(torrent.path("new"), torrent.path("b")).unwrap();
    fs::File::options().write(true).open(torrent.path("c")).unwrap().set_len(1).unwrap();
    fs::remove_dir_all(torrent.path("d")).unwrap();
    let after = storage.presence().unwrap().files;
    assert_eq!(after[0], FilePresence::Missing);
    assert!(matches!(after[1], FilePresence::Present { length: 3, same_as_open: false, .. }), "{after:?}");
    assert!(matches!(after[2], FilePresence::Present { length: 1, same_as_open: true, .. }), "{after:?}");
    assert_eq!(after[3], FilePresence::Missing);
    // Writes still go to the files that are held, and nothing comes back by itself.
    write(&storage, 0, &[2; 12]).unwrap();
    assert!(!torrent.path("a").exists() && !torrent.path("d").exists());
    assert_eq!(fs::read(torrent.path("b")).unwrap(), [1; 3]);
}

#[test]
fn l4_a_file_replaced_while_closed_is_not_taken_for_the_old_one() {
    let torrent = Torrent::new(&[(Some("a"), 3), (Some("b"), 3)]);
    let open_files = OpenFiles::new(8);
    let options = FileOptions { access: Access::ReadWrite, open_files: open_files.clone(), ..FileOptions::default() };
    let storage = torrent.open_with(options).unwrap();
    write(&storage, 0, &[1; 6]).unwrap();
    open_files.close_storage(storage.number);
    fs::write(torrent.path("new"), [1; 3]).unwrap();
    fs::rename(torrent.path("new"), torrent.path("b")).unwrap();
    assert!(matches!(read(&storage, 3, 3), Err(StorageError::Replaced { .. })));
    assert!(matches!(write(&storage, 3, &[2; 3]), Err(StorageError::Replaced { .. })));
    fs::remove_file(torrent.path("b")).unwrap();
    assert!(matches!(write(&storage, 3, &[2; 3]), Err(StorageError::Missing { .. })));
    assert!(!torrent.path("b").exists(), "not made again behind the owner's back");
    assert!(matches!(storage.sync(), Err(StorageError::Missing { .. })), "its bytes cannot be synced");
}

#[test]
fn l4_a_file_that_is_gone_is_made_again_once_the_owner_says_so() {
    let torrent = Torrent::new(&[(Some("a"), 3), (Some("b"), 3)]);
    let options = FileOptions { access: Access::ReadWrite, ..FileOptions::default() };
    let storage = torrent.open_with(options).unwrap();
    write(&storage, 0, &[1; 6]).unwrap();
    fs::remove_file(torrent.path("b")).unwrap();
    storage.reopen(FileIndex(1));
    assert!(matches!(read(&storage, 3, 3), Err(StorageError::Missing { .. })));
    storage.sync().unwrap();
    write(&storage, 3, &[2; 3]).unwrap();
    assert_eq!(fs::read(torrent.path("b")).unwrap(), [2; 3]);
    let present = storage.presence().unwrap().files[1];
    assert!(matches!(present, FilePresence::Present { length: 3, same_as_open: true, .. }));
}

#[test]
fn a_root_that_vanishes_or_changes_is_gone_not_empty() {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("disk");
    fs::create_dir(&root).unwrap();
    let layout = Arc::new(Layout::v1(BLOCK, [(3, false), (3, false)]).unwrap());
    let place = Place { root: root.clone(), files: vec![file("a"), file("b")] };
    let options = FileOptions { access: Access::ReadWrite, ..FileOptions::default() };
    let storage = FileStorage::open(place, layout, options).unwrap();
    fs::rename(&root, outer.path().join("away")).unwrap();
    assert!(matches!(storage.presence(), Err(StorageError::RootGone { .. })));
    assert!(matches!(write(&storage, 0, b"x"), Err(StorageError::RootGone { .. })));
    fs::create_dir(&root).unwrap();
    assert!(matches!(storage.presence(), Err(StorageError::RootGone { .. })), "a bare mount point");
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
    fs::remove_dir(&root).unwrap();
    fs::rename(outer.path().join("away"), &root).unwrap();
    write(&storage, 0, b"x").unwrap();
}

#[test]
fn l10_one_writer_or_many_readers() {
    let torrent = Torrent::new(&[(Some("a"), 3), (Some("b"), 3)]);
    let writer = torrent.writer();
    let other = torrent.writer();
    write(&writer, 3, b"x").unwrap();
    assert!(torrent.path("a").exists(), "the first file carries the lock");
    let error = write(&other, 3, b"y").unwrap_err();
    assert!(matches!(&error, StorageError::InUse { path } if *path == torrent.path("a")), "{error:?}");
    assert!(matches!(other.prepare(false, |_| true), Err(StorageError::InUse { .. })));
    for access in [Access::ReadOnly, Access::ReadWrite] {
        assert!(matches!(torrent.open(access), Err(StorageError::InUse { .. })));
    }
    drop(writer);
    assert_eq!(fs::read(torrent.path("b")).unwrap(), b"x");
    let readers = [torrent.open(Access::ReadOnly).unwrap(), torrent.open(Access::ReadOnly).unwrap()];
    assert!(matches!(torrent.open(Access::ReadWrite), Err(StorageError::InUse { .. })));
    drop(readers);
    torrent.open(Access::ReadWrite).unwrap();
}

#[test]
fn l11_links_planted_in_the_folder_are_refused_and_nothing_leaks_through() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("victim"), "precious").unwrap();
    let torrent = Torrent::new(&[(Some("first"), 3), (Some("f"), 3), (Some("d/g"), 3)]);
    symlink(outside.path().join("victim"), torrent.path("f")).unwrap();
    symlink(outside.path(), torrent.path("d")).unwrap();
    let storage = torrent.writer();
    for (offset, link) in [(3, "f"), (6, "d")] {
        let error = write(&storage, offset, b"bad").unwrap_err();
        assert!(matches!(&error, StorageError::Symlink { path } if *path == torrent.path(link)), "{error:?}");
        assert!(matches!(read(&storage, offset, 3), Err(StorageError::Symlink { .. })));
    }
    assert!(matches!(storage.prepare(true, |_| true), Err(StorageError::Symlink { .. })));
    assert_eq!(&storage.presence().unwrap().files[1..], [FilePresence::NotAFile; 2]);
    assert_eq!(fs::read_to_string(outside.path().join("victim")).unwrap(), "precious");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn l11_a_link_in_the_users_own_path_is_followed() {
    let torrent = Torrent::new(&[(Some("a"), 3)]);
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link");
    symlink(torrent.root.path(), &link).unwrap();
    let place = Place { root: link, files: torrent.files.clone() };
    let options = FileOptions { access: Access::ReadWrite, ..FileOptions::default() };
    let storage = FileStorage::open(place, Arc::clone(&torrent.layout), options).unwrap();
    write(&storage, 0, b"abc").unwrap();
    assert_eq!(fs::read(torrent.path("a")).unwrap(), b"abc");
}

#[test]
fn m12_links_are_made_only_within_the_torrent() {
    let mut torrent = Torrent::new(&[(Some("d/a"), 3), (Some("l/x"), 0), (Some("up"), 0)]);
    torrent.files[1] = FilePlace::Link { path: at("l/x"), target: at("d/a") };
    torrent.files[2] = FilePlace::Link { path: at("up"), target: at("nowhere") };
    let storage = torrent.writer();
    storage.prepare(false, |_| true).unwrap();
    write(&storage, 0, b"abc").unwrap();
    assert_eq!(fs::read_link(torrent.path("l/x")).unwrap(), PathBuf::from("../d/a"));
    assert_eq!(fs::read(torrent.path("l/x")).unwrap(), b"abc");
    assert!(fs::symlink_metadata(torrent.path("up")).unwrap().is_file(), "an empty file stands in");
    let found = storage.presence().unwrap().files;
    assert_eq!((length_of(found[1]), length_of(found[2])), (Some(0), Some(0)));
    storage.prepare(false, |_| true).unwrap();
    fs::remove_file(torrent.path("l/x")).unwrap();
    symlink("/etc/passwd", torrent.path("l/x")).unwrap();
    assert_eq!(storage.presence().unwrap().files[1], FilePresence::NotAFile);
    assert!(matches!(storage.prepare(false, |_| true), Err(StorageError::InTheWay { .. })));
}

#[test]
fn m14_the_attribute_x_gives_the_user_the_right_to_run_and_no_more() {
    let mut torrent = Torrent::new(&[(Some("plain"), 1), (Some("tool"), 1)]);
    torrent.files[1] = FilePlace::File { path: at("tool"), executable: true };
    let storage = torrent.writer();
    write(&storage, 0, b"ab").unwrap();
    let mode = |path| fs::metadata(torrent.path(path)).unwrap().permissions().mode() & 0o7111;
    assert_eq!((mode("plain"), mode("tool")), (0, 0o100));
}

#[test]
fn l3_special_files_in_the_way_are_errors_at_once() {
    let torrent = Torrent::new(&[(Some("ok"), 1), (Some("pipe"), 1), (Some("folder"), 1), (Some("socket"), 1)]);
    let mode = Mode::RUSR | Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, torrent.path("pipe"), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    fs::create_dir(torrent.path("folder")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(torrent.path("socket")).unwrap();
    for access in [Access::ReadOnly, Access::ReadWrite] {
        let storage = torrent.open(access).unwrap();
        for (offset, name) in [(1, "pipe"), (2, "folder"), (3, "socket")] {
            let error = read(&storage, offset, 1).unwrap_err();
            assert!(matches!(error, StorageError::InTheWay { .. }), "{name}: {error:?}");
        }
        assert_eq!(&storage.presence().unwrap().files[1..], [FilePresence::NotAFile; 3]);
    }
    let storage = torrent.writer();
    for offset in 1..4 {
        assert!(matches!(write(&storage, offset, b"x"), Err(StorageError::InTheWay { .. })));
    }
    let in_place_of_a_folder = Torrent::new(&[(Some("ok"), 1), (Some("ok2/below"), 1)]);
    fs::write(in_place_of_a_folder.path("ok2"), "").unwrap();
    let storage = in_place_of_a_folder.writer();
    let error = write(&storage, 1, b"x").unwrap_err();
    assert!(matches!(&error, StorageError::InTheWay { path, .. } if path.ends_with("ok2")), "{error:?}");
}

#[test]
fn l12_more_files_than_may_be_open() {
    let names: Vec<String> = (0..600).map(|number| format!("d{}/f{number}", number % 7)).collect();
    let files: Vec<_> = names.iter().map(|name| (Some(name.as_str()), 5)).collect();
    let torrent = Torrent::new(&files);
    let open_files = OpenFiles::new(16);
    let options = FileOptions { access: Access::ReadWrite, open_files: open_files.clone(), ..FileOptions::default() };
    let storage = torrent.open_with(options).unwrap();
    storage.prepare(false, |_| true).unwrap();
    let bytes: Vec<u8> = (0..3000u32).map(|at| (at % 251) as u8).collect();
    write(&storage, 0, &bytes).unwrap();
    assert!(open_files.count() <= 16);
    storage.sync().unwrap();
    assert_eq!(read(&storage, 0, 3000).unwrap(), bytes);
    assert!(open_files.count() <= 16);
    drop(storage);
    assert_eq!(open_files.count(), 0);
}

#[test]
fn holes_are_known_and_the_end_of_a_file_is_none() {
    let torrent = Torrent::new(&[(Some("a"), 4 << 20), (Some("b"), 1 << 20)]);
    let options = FileOptions { access: Access::ReadWrite, ..FileOptions::default() };
    let storage = torrent.open_with(options).unwrap();
    let hole = |offset, length| storage.is_hole(Span { offset, length });
    assert!(!hole(0, 100), "not there");
    storage.prepare(false, |file| file.0 == 0).unwrap();
    write(&storage, 1 << 20, &[1; 100]).unwrap();
    if !hole(0, 1 << 20) {
        // A file system that tells nothing about holes: then everything is data.
        assert!(!hole(2 << 20, 1 << 20));
        return;
    }
    assert!(!hole(1 << 20, 1 << 20));
    assert!(!hole(0, 4 << 20));
    assert!(hole(2 << 20, 2 << 20));
    let spans = [(1 << 20, 100), ((1 << 20) - 10, 100), (1 << 20, 1 << 20), ((4 << 20) - 1, 1), (4 << 20, 1)];
    let spans = spans.map(|(offset, length)| Span { offset, length });
    let expected = [true, false, false, false, false];
    assert_eq!(storage.have_no_holes(&spans), expected, "the last two: a hole at the end, and no file at all");
    assert!(!hole(3 << 20, 2 << 20), "the second file is not there");
    fs::write(torrent.path("b"), b"").unwrap();
    assert!(!hole(4 << 20, 1 << 20), "past its end a file has no hole");
}

#[test]
fn room_is_counted_without_what_is_allocated() {
    let torrent = Torrent::new(&[(Some("a"), 1 << 20), (Some("b"), 1 << 20)]);
    let options =
        FileOptions { access: Access::ReadWrite, preallocation: Preallocation::Sparse, ..FileOptions::default() };
    let storage = torrent.open_with(options).unwrap();
    assert_eq!(storage.space().unwrap().needed, 2 << 20);
    storage.prepare(false, |_| true).unwrap();
    write(&storage, 0, &vec![1; 1 << 20]).unwrap();
    storage.sync().unwrap();
    let space = storage.space().unwrap();
    assert_eq!(space.needed, 1 << 20);
    assert_eq!(space.lacking(), (1u64 << 20).saturating_sub(space.available));
}

#[test]
fn a_root_that_may_not_be_written_says_who_owns_it() {
    let torrent = Torrent::new(&[(Some("a"), 1)]);
    fs::write(torrent.path("file"), "").unwrap();
    let place = Place { root: torrent.path("file/below"), files: torrent.files.clone() };
    let options = FileOptions { access: Access::ReadWrite, ..FileOptions::default() };
    let opened = FileStorage::open(place, Arc::clone(&torrent.layout), options.clone());
    assert!(matches!(opened, Err(StorageError::InTheWay { .. })), "{opened:?}");
    fs::set_permissions(torrent.root.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let place = Place { root: torrent.path("below"), files: torrent.files.clone() };
    let storage = FileStorage::open(place, Arc::clone(&torrent.layout), options).unwrap();
    let result = storage.check_writable();
    if rustix::process::geteuid().is_root() {
        // Nothing is denied to root.
        result.unwrap();
    } else {
        assert!(matches!(result, Err(StorageError::NotWritable { mode: 0o555, .. })), "{result:?}");
        assert!(write(&storage, 0, b"x").is_err());
    }
    fs::set_permissions(torrent.root.path(), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn l8_after_a_failed_sync_no_later_one_claims_success() {
    let torrent = Torrent::new(&[(Some("a"), 3)]);
    let storage = torrent.writer();
    write(&storage, 0, b"abc").unwrap();
    let error = storage.sync_error(0, Errno::IO);
    assert!(matches!(error, StorageError::Io { action: "sync", .. }));
    assert!(matches!(storage.sync(), Err(StorageError::SyncFailed { .. })));
    drop(storage);
    torrent.writer().sync().unwrap();
}

#[derive(Clone, Debug)]
enum Step {
    Write { at: u64, length: u64, seed: u8 },
    Read { at: u64, length: u64 },
    Evict,
}

fn steps(total: u64) -> impl Strategy<Value = Vec<Step>> {
    let span = (0..total).prop_flat_map(move |at| (Just(at), 1..=total - at));
    let step = prop_oneof![
        4 => (span.clone(), any::<u8>()).prop_map(|((at, length), seed)| Step::Write { at, length, seed }),
        4 => span.prop_map(|(at, length)| Step::Read { at, length }),
        1 => Just(Step::Evict),
    ];
    proptest::collection::vec(step, 1..30)
}

fn torrents() -> impl Strategy<Value = (bool, Vec<(u64, bool)>, Vec<Step>)> {
    let file = (0u64..40_000, proptest::bool::weighted(0.2));
    (any::<bool>(), proptest::collection::vec(file, 1..8))
        .prop_filter("something in it", |(_, files)| files.iter().any(|(length, _)| *length > 0))
        .prop_flat_map(|(v2, files)| {
            let files: Vec<_> = files.into_iter().map(|(length, pad)| (length, pad && !v2)).collect();
            let layout = layout(v2, &files);
            (Just(v2), Just(files), steps(layout.stream_length()))
        })
}

fn layout(v2: bool, files: &[(u64, bool)]) -> Layout {
    if v2 {
        Layout::v2(BLOCK, files.iter().map(|file| file.0)).unwrap()
    } else {
        Layout::v1(BLOCK, files.iter().copied()).unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn files_and_memory_agree((v2, files, steps) in torrents()) {
        let layout = Arc::new(layout(v2, &files));
        let root = tempfile::tempdir().unwrap();
        let places = files.iter().enumerate().map(|(number, (_, pad))| {
            if *pad { FilePlace::Pad } else { file(&format!("d{}/{number}", number % 2)) }
        });
        let place = Place { root: root.path().into(), files: places.collect() };
        let open_files = OpenFiles::new(4);
        let options = FileOptions {
            access: Access::ReadWrite,
            preallocation: Preallocation::None,
            open_files: open_files.clone(),
            part_suffix: None,
            part_file: None,
        };
        let on_disk = FileStorage::open(place, Arc::clone(&layout), options).unwrap();
        let in_memory = MemoryStorage::new(layout);
        for step in steps {
            match step {
                Step::Write { at, length, seed } => {
                    let bytes: Vec<u8> = (0..length).map(|n| (n % 255) as u8 ^ seed).collect();
                    let (front, back) = bytes.split_at(bytes.len() / 3);
                    let slices = [IoSlice::new(front), IoSlice::new(back)];
                    on_disk.write_at(Span { offset: at, length }, &slices).unwrap();
                    in_memory.write_at(Span { offset: at, length }, &slices).unwrap();
                }
                Step::Read { at, length } => {
                    match (read(&on_disk, at, length), read(&in_memory, at, length)) {
                        (Ok(one), Ok(other)) => prop_assert_eq!(one, other),
                        (Err(one), Err(other)) => prop_assert!(one.is_not_there() && other.is_not_there()),
                        (one, other) => prop_assert!(false, "{one:?} is not {other:?}"),
                    }
                }
                Step::Evict => open_files.close_half(),
            }
        }
        let lengths = |found: Presence| found.files.into_iter().map(length_of).collect::<Vec<_>>();
        let (one, other) = (lengths(on_disk.presence().unwrap()), lengths(in_memory.presence().unwrap()));
        for (number, (length, _)) in files.iter().enumerate().filter(|(_, (length, _))| *length > 0) {
            // The first file is made for the lock before a byte of it is written.
            let same = one[number] == other[number] || (one[number] == Some(0) && other[number].is_none());
            prop_assert!(same, "file {number} of {length}: {one:?} {other:?}");
        }
    }
}

/// One file of a MiB, and small ones behind it.
fn some_small(count: usize) -> Torrent {
    let names: Vec<String> = (0..count).map(|number| format!("d{}/f{number}", number / 4)).collect();
    let small = names.iter().map(|name| (Some(name.as_str()), BLOCK));
    Torrent::new(&[(Some("large"), 1 << 20)].into_iter().chain(small).collect::<Vec<_>>())
}

const SMALL_ONES: u64 = 1 << 20;

fn sparse(torrent: &Torrent) -> FileStorage {
    torrent.open_with(FileOptions { access: Access::ReadWrite, ..FileOptions::default() }).unwrap()
}

#[test]
fn small_files_are_made_when_their_first_bytes_come() {
    let torrent = some_small(8);
    let storage = sparse(&torrent);
    let prepared = storage.prepare(false, |_| true).unwrap();
    assert_eq!(prepared, storage.presence().unwrap(), "what prepare says is what is there");
    assert_eq!(length_of(prepared.files[0]), Some(1 << 20));
    assert_eq!(prepared.files[1..], [FilePresence::Missing; 8]);
    assert!(!torrent.path("d0").exists());
    write(&storage, SMALL_ONES + BLOCK, &[7; 3 * BLOCK as usize]).unwrap();
    let found = storage.presence().unwrap().files;
    let lengths: Vec<_> = found.iter().map(|found| length_of(*found)).collect();
    let made = Some(BLOCK);
    assert_eq!(lengths, [Some(1 << 20), None, made, made, made, None, None, None, None]);
    assert!(matches!(read(&storage, SMALL_ONES, 1), Err(StorageError::Missing { .. })));
    storage.sync().unwrap();
    assert_eq!(storage.prepare(false, |_| true).unwrap().files, found);
    write(&storage, SMALL_ONES, &vec![8; 8 * BLOCK as usize]).unwrap();
    assert_eq!(read(&storage, SMALL_ONES, 8 * BLOCK).unwrap(), vec![8; 8 * BLOCK as usize]);
}

#[test]
fn one_wanted_file_is_there_from_the_start() {
    // So that the record of a run that is cut off knows the folder for ours, whichever files are wanted.
    for preallocation in [Preallocation::None, Preallocation::Sparse] {
        let torrent = some_small(4);
        let part_file = Some(at(".parts"));
        let options = FileOptions { access: Access::ReadWrite, preallocation, part_file, ..FileOptions::default() };
        let storage = torrent.open_with(options).unwrap();
        let found = storage.prepare(false, |file| file.0 > 1).unwrap();
        let there: Vec<_> = found.files.iter().map(|found| length_of(*found).is_some()).collect();
        assert_eq!(there, [false, false, true, false, false], "{preallocation:?}");
    }
}

#[test]
fn l6_what_comes_into_the_place_of_a_file_that_is_to_be_made_is_left_alone() {
    let torrent = some_small(2);
    let storage = sparse(&torrent);
    storage.prepare(false, |_| true).unwrap();
    fs::create_dir(torrent.path("d0")).unwrap();
    fs::write(torrent.path("d0/f1"), "of somebody else").unwrap();
    for _ in 0..2 {
        let error = write(&storage, SMALL_ONES, &[7; 2 * BLOCK as usize]).unwrap_err();
        assert!(matches!(&error, StorageError::NameTaken { path } if path.ends_with("d0/f1")), "{error:?}");
        assert!(matches!(read(&storage, SMALL_ONES + BLOCK, 1), Err(StorageError::Missing { .. })), "nor is it read");
    }
    assert!(matches!(storage.prepare(true, |_| true), Err(StorageError::NameTaken { .. })));
    assert_eq!(fs::read(torrent.path("d0/f1")).unwrap(), b"of somebody else");
    fs::remove_file(torrent.path("d0/f1")).unwrap();
    write(&storage, SMALL_ONES, &[7; 2 * BLOCK as usize]).unwrap();
    assert_eq!(fs::read(torrent.path("d0/f1")).unwrap(), [7; BLOCK as usize]);
}

#[test]
fn l11_a_link_that_comes_into_the_place_of_a_file_that_is_to_be_made_is_refused() {
    let outside = tempfile::tempdir().unwrap();
    let torrent = some_small(5);
    let storage = sparse(&torrent);
    storage.prepare(false, |_| true).unwrap();
    fs::create_dir(torrent.path("d0")).unwrap();
    symlink(outside.path().join("new"), torrent.path("d0/f1")).unwrap();
    symlink(outside.path(), torrent.path("d1")).unwrap();
    for (offset, link) in [(SMALL_ONES + BLOCK, "d0/f1"), (SMALL_ONES + 4 * BLOCK, "d1")] {
        let error = write(&storage, offset, b"x").unwrap_err();
        assert!(matches!(&error, StorageError::Symlink { path } if path.ends_with(link)), "{error:?}");
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn threads_that_make_one_file_at_once_both_write_it() {
    for _ in 0..20 {
        let torrent = some_small(16);
        let storage = sparse(&torrent);
        storage.prepare(false, |_| true).unwrap();
        let barrier = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            for half in 0..2 {
                let (storage, barrier) = (&storage, &barrier);
                scope.spawn(move || {
                    for number in 0..16 {
                        barrier.wait();
                        let offset = SMALL_ONES + number * BLOCK + half * BLOCK / 2;
                        write(storage, offset, &[7; BLOCK as usize / 2]).unwrap();
                    }
                });
            }
        });
        assert_eq!(read(&storage, SMALL_ONES, 16 * BLOCK).unwrap(), vec![7; 16 * BLOCK as usize]);
    }
}
