//! Records that come back, and records that must not be believed.
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use std::sync::Arc;

use proptest::prelude::*;
use riverrun_metainfo::piece_hash::Format;

use super::*;
use crate::sample::Sample;
use crate::{Access, FileOptions, FileStorage, Place, Storage};

const BLOCK: u32 = 16384;

fn record(info_hashes: InfoHashes, files: Vec<FilePresence>, have: Bitfield) -> Record {
    Record {
        info_hashes,
        root: "/some/where".into(),
        presence: Presence { files, part_file: FilePresence::Missing },
        unchecked: Bitfield::empty(have.pieces()),
        have,
        choice: vec![2, 0, 3],
        downloaded_bytes: 5,
        uploaded_bytes: u64::from(u32::MAX) * 9,
        shared_seconds: 12_345,
        saved_at: 1_700_000_000,
    }
}

fn small() -> Record {
    let present = FilePresence::Present { length: 20_000, modified_ns: -5, identity: (1, 2), same_as_open: true };
    let mut have = Bitfield::empty(2);
    have.insert(PieceIndex(1));
    let hashes = InfoHashes::Hybrid(InfoHashV1([1; 20]), InfoHashV2([2; 32]));
    record(hashes, vec![present, FilePresence::Pad, FilePresence::Missing, FilePresence::NotAFile], have)
}

#[test]
fn a_record_comes_back_and_replaces_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new/folder/x.resume");
    assert!(matches!(Record::read(&path), Err(ResumeError::None { .. })));
    for downloaded_bytes in 0..3 {
        let record = Record { downloaded_bytes, ..small() };
        record.write(&path).unwrap();
        assert_eq!(Record::read(&path).unwrap(), record);
    }
    let names: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["x.resume"], "no draft is left");
    Record::remove(&path).unwrap();
    Record::remove(&path).unwrap();
    assert!(!path.exists());
}

#[test]
fn l8_a_record_that_cannot_be_written_leaves_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.resume");
    small().write(&path).unwrap();
    // A folder in the place of the record cannot be replaced by a file.
    let taken = folder.path().join("taken");
    fs::create_dir_all(taken.join("by a folder")).unwrap();
    assert!(matches!(small().write(&taken), Err(ResumeError::Io { action: "write", .. })));
    assert!(matches!(small().write(&path.join("below a file")), Err(ResumeError::Io { action: "create", .. })));
    assert_eq!(Record::read(&path).unwrap(), small());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "no draft is left");
}

#[test]
fn m26_a_record_that_was_cut_or_changed_anywhere_is_not_believed() {
    let bytes = small().encode();
    assert_eq!(Record::decode(&bytes).unwrap(), small());
    for end in 0..bytes.len() {
        assert!(Record::decode(&bytes[..end]).is_err(), "cut at {end}");
    }
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 4;
        assert!(Record::decode(&changed).is_err(), "changed at {at}");
    }
    assert!(matches!(
        Record::decode(b"something else altogether, long enough to be a head or more"),
        Err(ResumeError::Unknown)
    ));
    let mut newer = bytes;
    newer[NAME.len() + 3] = 2;
    assert!(matches!(Record::decode(&newer), Err(ResumeError::Unknown)));
}

#[test]
fn m26_a_forged_record_with_a_right_checksum_is_an_error() {
    let forge = |body: &[u8]| {
        let bytes = [&NAME[..], &VERSION.to_be_bytes(), &sha256(body), body].concat();
        Record::decode(&bytes).unwrap_err()
    };
    let right = small().encode();
    let body = String::from_utf8_lossy(&right[HEAD_LENGTH..]).into_owned();
    assert!(body.contains("6:piecesi2e"));
    assert!(matches!(forge(b"i1e"), ResumeError::Malformed { field: "bencode" }));
    assert!(matches!(forge(b"d"), ResumeError::Malformed { field: "bencode" }));
    assert!(matches!(forge(b"de"), ResumeError::Malformed { .. }));
    for (from, to, field) in [
        (&b"6:piecesi2e"[..], &b"6:piecesi9e"[..], "have"),
        (b"6:piecesi2e", b"6:piecesi-2e", "pieces"),
        (b"4:have1:\x40", b"4:have1:\x7f", "have"),
        (b"8:uploadedi", b"8:uploadedi-", "uploaded"),
        (b"2:v120:", b"2:x120:", ""),
    ] {
        let body = &right[HEAD_LENGTH..];
        let at = body.windows(from.len()).position(|window| window == from).unwrap();
        let changed = [&body[..at], to, &body[at + from.len()..]].concat();
        let bytes = [&NAME[..], &VERSION.to_be_bytes(), &sha256(&changed), &changed].concat();
        match Record::decode(&bytes) {
            Err(ResumeError::Malformed { field: found }) => assert_eq!(found, field),
            Ok(record) => assert_eq!(record.info_hashes, InfoHashes::V2(InfoHashV2([2; 32]))),
            Err(other) => panic!("{other}"),
        }
    }
}

/// A torrent on disk with a record made after a sync.
fn synced() -> (tempfile::TempDir, Sample, FileStorage, Record) {
    let lengths = [("a", 40_000), ("b", 3 * u64::from(BLOCK)), ("c", 5), ("d/e", 100_000)];
    let sample = Sample::new(Format::V1, BLOCK, &lengths);
    let root = tempfile::tempdir().unwrap();
    let place = Place::of_torrent(&sample.info, root.path().into(), None, false);
    let options = FileOptions { access: Access::ReadWrite, ..FileOptions::default() };
    let storage = FileStorage::open(place, Arc::clone(&sample.layout), options).unwrap();
    storage.prepare(false, |_| true).unwrap();
    sample.store(&storage);
    storage.sync().unwrap();
    let mut have = Bitfield::full(sample.layout.piece_count());
    have.remove(PieceIndex(6));
    let record = record(sample.info.hashes(), storage.presence().unwrap().files, have);
    (root, sample, storage, record)
}

#[test]
fn l7_an_untouched_place_is_trusted_and_a_changed_file_is_doubted() {
    let (root, sample, storage, record) = synced();
    let count = sample.layout.piece_count();
    let judge = |presence: &Presence| record.judge(sample.info.hashes(), &sample.layout, presence).unwrap();
    let judged = judge(&storage.presence().unwrap());
    assert_eq!(judged, Judged { trusted: record.have.clone(), doubtful: Bitfield::empty(count) });
    // The same length: only the time of change tells.
    fs::write(root.path().join("b"), vec![7; 3 * BLOCK as usize]).unwrap();
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(3);
    File::options().write(true).open(root.path().join("b")).unwrap().set_modified(later).unwrap();
    fs::remove_file(root.path().join("c")).unwrap();
    let judged = judge(&storage.presence().unwrap());
    let doubtful: Vec<u32> = judged.doubtful.iter().map(|piece| piece.0).collect();
    let touched: Vec<u32> = (0..count)
        .filter(|piece| [1, 2].iter().any(|file| sample.layout.pieces_of(FileIndex(*file)).contains(piece)))
        .collect();
    assert_eq!(doubtful, touched);
    assert!((0..count).map(PieceIndex).all(|piece| !(judged.trusted.has(piece) && judged.doubtful.has(piece))));
    assert!(judged.trusted.has(PieceIndex(0)) && judged.trusted.has(PieceIndex(count - 1)));
    assert!(!judged.trusted.has(PieceIndex(6)), "never had");
}

#[test]
fn m26_a_record_of_another_torrent_is_refused() {
    let (_root, sample, storage, record) = synced();
    let presence = storage.presence().unwrap();
    let judge = |record: &Record| record.judge(sample.info.hashes(), &sample.layout, &presence);
    assert!(judge(&record).is_ok());
    let other = Record { info_hashes: InfoHashes::V1(InfoHashV1([0; 20])), ..record.clone() };
    assert!(matches!(judge(&other), Err(ResumeError::Foreign)));
    let other = Record { have: Bitfield::full(3), ..record.clone() };
    assert!(matches!(judge(&other), Err(ResumeError::Foreign)));
    let other = Record { presence: Presence::default(), ..record };
    assert!(matches!(judge(&other), Err(ResumeError::Foreign)));
}

#[test]
fn a_disk_with_a_new_number_is_the_same_disk_but_a_copied_file_is_another() {
    let (_root, sample, storage, record) = synced();
    let presence = storage.presence().unwrap();
    let changed = |change: fn(usize, &mut (u64, u64))| {
        let mut now = presence.clone();
        for (number, file) in now.files.iter_mut().enumerate() {
            if let FilePresence::Present { identity, .. } = file {
                change(number, identity);
            }
        }
        record.judge(sample.info.hashes(), &sample.layout, &now).unwrap().doubtful.count()
    };
    assert_eq!(changed(|_, identity| identity.0 += 77), 0);
    assert!(changed(|number, identity| identity.0 += u64::from(number == 1)) > 0);
    assert!(changed(|number, identity| identity.1 += u64::from(number == 1)) > 0);
}

proptest! {
    #[test]
    fn any_record_comes_back(
        lengths in proptest::collection::vec(proptest::option::of((any::<u64>(), any::<i64>(), any::<(u64, u64)>())), 0..20),
        bits in proptest::collection::vec(any::<bool>(), 0..200),
        root in "[^\0]{0,50}",
        numbers in any::<(u32, u32, u32)>(),
    ) {
        let files = lengths.into_iter().map(|file| match file {
            None => FilePresence::Missing,
            Some((length, modified, identity)) => {
                FilePresence::Present { length, modified_ns: modified.into(), identity, same_as_open: true }
            }
        });
        let mut have = Bitfield::empty(bits.len() as u32);
        for (piece, _) in (0..).zip(&bits).filter(|(_, bit)| **bit) {
            have.insert(PieceIndex(piece));
        }
        let mut record = record(InfoHashes::V1(InfoHashV1([3; 20])), files.collect(), have);
        record.root = root.into();
        record.downloaded_bytes = numbers.0.into();
        record.uploaded_bytes = numbers.1.into();
        record.saved_at = numbers.2.into();
        prop_assert_eq!(Record::decode(&record.encode()).unwrap(), record);
    }
}

#[test]
fn what_no_check_came_to_is_doubtful_although_its_file_is_unchanged() {
    let (mut have, mut unchecked) = (Bitfield::empty(4), Bitfield::empty(4));
    have.insert(PieceIndex(0));
    [1, 3].into_iter().for_each(|piece| _ = unchecked.insert(PieceIndex(piece)));
    let sample = Sample::new(Format::V1, BLOCK, &[("a", 4 * u64::from(BLOCK))]);
    let present = FilePresence::Present { length: 65_536, modified_ns: 7, identity: (1, 2), same_as_open: true };
    let hashes = sample.info.hashes();
    let record = Record { unchecked: unchecked.clone(), ..record(hashes, vec![present], have.clone()) };
    let record = Record::decode(&record.encode()).unwrap();
    assert_eq!(record.unchecked, unchecked);
    let judged = record.judge(hashes, &sample.layout, &record.presence).unwrap();
    assert_eq!(judged, Judged { trusted: have, doubtful: unchecked });
    let foreign = Record { unchecked: Bitfield::empty(5), ..record.clone() };
    assert!(matches!(foreign.judge(hashes, &sample.layout, &record.presence), Err(ResumeError::Foreign)));
}
