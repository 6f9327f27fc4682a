//! Resume data: what was known of a torrent's files when they were last synced, so that it need not be hashed again.
//!
//! Invariants: a record is written whole or not at all; it never claims a piece whose bytes were not synced before (its maker's
//! duty: take the pieces before the sync, the [`Presence`] after it); a record that is damaged, forged, of another torrent or of an
//! unknown version is an error that means "check everything" (THREATS rows L7, L8, M26).
//!
//! The form: 16 bytes of name, a version of 4 bytes (big-endian), the SHA-256 of the rest, the rest as bencode.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use riverrun_metainfo::bencode::{self, Dict, DictWriter, Limits};
use riverrun_metainfo::hash::sha256;
use riverrun_metainfo::{Bitfield, FileIndex, InfoHashV1, InfoHashV2, InfoHashes, Layout, PieceIndex};

use crate::{FilePresence, Presence};

#[cfg(test)]
mod tests;

const NAME: &[u8; 16] = b"riverrun resume\n";
const VERSION: u32 = 1;
const HEAD_LENGTH: usize = NAME.len() + 4 + 32;

/// The longest record that is read, in bytes: 2 million files and 2^26 pieces fit.
const MAX_LENGTH: u64 = 128 << 20;

/// What is remembered of a torrent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// Which torrent.
    pub info_hashes: InfoHashes,
    /// Where its content is: the folder that its files are beneath, as the user named it.
    pub root: PathBuf,
    /// What was there right after the sync.
    pub presence: Presence,
    /// The pieces that were verified before the sync.
    pub have: Bitfield,
    /// Pieces that nobody has looked at yet, because the check that would have was cut off.
    pub unchecked: Bitfield,
    /// What the owner wanted of each file, a byte each as the owner means it; empty if there was nothing to say.
    pub choice: Vec<u8>,
    /// Payload received in all sessions, in bytes.
    pub downloaded_bytes: u64,
    /// Payload sent in all sessions, in bytes.
    pub uploaded_bytes: u64,
    /// How long it was shared while complete, in all sessions, in seconds; 0 in records of earlier versions.
    pub shared_seconds: u64,
    /// When it was made, in seconds since 1970.
    pub saved_at: u64,
}

/// What a record is worth, given what is there now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judged {
    /// Pieces that need not be hashed: they were verified, and no file of theirs has changed since.
    pub trusted: Bitfield,
    /// Pieces of files that have changed since, and those that were never looked at: anything may be in them.
    pub doubtful: Bitfield,
}

/// Why there is no record to go by. Whatever it is, everything has to be checked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// There is none.
    #[error("there is no resume record at {}", path.display())]
    None {
        /// Where it should be.
        path: PathBuf,
    },
    /// The system said no.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The verb: read, write, ...
        action: &'static str,
        /// The record or its folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It was written by a newer program, or is no record at all.
    #[error("the resume record is of an unknown version or kind")]
    Unknown,
    /// Its checksum is wrong, or it was cut short.
    #[error("the resume record is damaged")]
    Damaged,
    /// The checksum is right, but the content makes no sense.
    #[error("the resume record has no sound {field:?}")]
    Malformed {
        /// The entry that is missing or wrong.
        field: &'static str,
    },
    /// It is about another torrent, or about another number of files or pieces.
    #[error("the resume record is about another torrent")]
    Foreign,
}

impl Record {
    /// Reads a record.
    ///
    /// # Errors
    /// There is none, or none that can be believed.
    pub fn read(path: &Path) -> Result<Self, ResumeError> {
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => ResumeError::None { path: path.into() },
            _ => ResumeError::Io { action: "read", path: path.into(), source },
        };
        let mut bytes = Vec::new();
        File::open(path).and_then(|file| file.take(MAX_LENGTH + 1).read_to_end(&mut bytes)).map_err(failed)?;
        Self::decode(&bytes)
    }

    /// Writes the record so that after a loss of power there is this one or the one before, whole. Folders that are missing are made;
    /// only the user may read it.
    ///
    /// # Errors
    /// The system could not; the record before is still there.
    pub fn write(&self, path: &Path) -> Result<(), ResumeError> {
        let failed = |action, path: &Path| {
            let path = path.to_owned();
            move |source| ResumeError::Io { action, path, source }
        };
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        fs::create_dir_all(folder).map_err(failed("create", folder))?;
        replace(path, &self.encode()).map_err(failed("write", path))?;
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync", folder))
    }

    /// Removes a record; it is no error if there is none.
    ///
    /// # Errors
    /// The system could not.
    pub fn remove(path: &Path) -> Result<(), ResumeError> {
        match fs::remove_file(path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(ResumeError::Io { action: "remove", path: path.into(), source })
            }
            _ => Ok(()),
        }
    }

    /// Which pieces need not be hashed, given what is there now.
    ///
    /// A file counts as unchanged if its length, its time of change, its inode and its disk are the same; or if every disk of the
    /// record has just got another number, as happens when a machine starts again.
    ///
    /// # Errors
    /// [`ResumeError::Foreign`]: the record is about another torrent.
    pub fn judge(&self, info_hashes: InfoHashes, layout: &Layout, now: &Presence) -> Result<Judged, ResumeError> {
        let count = layout.piece_count();
        let files = layout.files().len();
        let fits = self.have.pieces() == count
            && self.unchecked.pieces() == count
            && self.presence.files.len() == files
            && now.files.len() == files;
        if self.info_hashes != info_hashes || !fits {
            return Err(ResumeError::Foreign);
        }
        let mut judged = Judged { trusted: self.have.clone(), doubtful: self.unchecked.clone() };
        self.unchecked.iter().for_each(|piece| _ = judged.trusted.remove(piece));
        let disks = renumbered_disks(&self.presence, now);
        for (number, (before, now)) in (0..).zip(self.presence.files.iter().zip(&now.files)) {
            if is_unchanged(before, now, disks.as_ref()) {
                continue;
            }
            for piece in layout.pieces_of(FileIndex(number)).map(PieceIndex) {
                judged.trusted.remove(piece);
                judged.doubtful.insert(piece);
            }
        }
        if !is_unchanged(&self.presence.part_file, &now.part_file, disks.as_ref()) {
            // Whatever lies in more than one file may be in it, or have been.
            for piece in (0..count).map(PieceIndex).filter(|piece| is_shared(layout, *piece)) {
                judged.trusted.remove(piece);
                judged.doubtful.insert(piece);
            }
        }
        Ok(judged)
    }

    fn encode(&self) -> Vec<u8> {
        let body = bencode::dict(|dict| {
            put_hashes(dict, self.info_hashes);
            dict.bytes("root", self.root.as_os_str().as_bytes());
            dict.bytes("files", pack(&self.presence.files));
            dict.bytes("part file", pack(&[self.presence.part_file]));
            dict.int("pieces", self.have.pieces());
            dict.bytes("have", self.have.to_wire());
            if !self.unchecked.is_empty() {
                dict.bytes("unchecked", self.unchecked.to_wire());
            }
            dict.bytes("choice", &self.choice);
            dict.int("downloaded", signed(self.downloaded_bytes));
            dict.int("uploaded", signed(self.uploaded_bytes));
            dict.int("saved", signed(self.saved_at));
            dict.int("shared", signed(self.shared_seconds));
        });
        [&NAME[..], &VERSION.to_be_bytes(), &sha256(&body), &body].concat()
    }

    fn decode(bytes: &[u8]) -> Result<Self, ResumeError> {
        let Some((head, body)) = bytes.split_at_checked(HEAD_LENGTH) else {
            let known = bytes.starts_with(NAME) || NAME.starts_with(bytes);
            return Err(if known { ResumeError::Damaged } else { ResumeError::Unknown });
        };
        let (name, rest) = head.split_at(NAME.len());
        let (version, checksum) = rest.split_at(4);
        if name != NAME || version != VERSION.to_be_bytes() {
            return Err(ResumeError::Unknown);
        }
        if body.len() as u64 > MAX_LENGTH || checksum != sha256(body) {
            return Err(ResumeError::Damaged);
        }
        let document =
            bencode::decode(body, Limits::MESSAGE).map_err(|_| ResumeError::Malformed { field: "bencode" })?;
        let dict = document.root().as_dict().ok_or(ResumeError::Malformed { field: "bencode" })?;
        let text = |field| {
            let bytes = dict.get(field).and_then(bencode::Value::as_bytes);
            bytes.ok_or(ResumeError::Malformed { field })
        };
        let number = |field| {
            let number = dict.get(field).and_then(bencode::Value::as_uint::<u64>);
            number.ok_or(ResumeError::Malformed { field })
        };
        let pieces = u32::try_from(number("pieces")?).map_err(|_| ResumeError::Malformed { field: "pieces" })?;
        let have = Bitfield::from_wire(text("have")?, pieces).map_err(|_| ResumeError::Malformed { field: "have" })?;
        let unchecked = match dict.get("unchecked").and_then(bencode::Value::as_bytes) {
            // Most records have none: most checks come to their end.
            None => Bitfield::empty(pieces),
            Some(bits) => {
                Bitfield::from_wire(bits, pieces).map_err(|_| ResumeError::Malformed { field: "unchecked" })?
            }
        };
        Ok(Self {
            info_hashes: read_hashes(dict).ok_or(ResumeError::Malformed { field: "hashes" })?,
            root: OsStr::from_bytes(text("root")?).into(),
            presence: Presence {
                files: unpack(text("files")?).ok_or(ResumeError::Malformed { field: "files" })?,
                part_file: match dict.get("part file").and_then(bencode::Value::as_bytes).map(unpack) {
                    // Records of earlier versions have none.
                    None => FilePresence::Missing,
                    Some(Some(files)) if files.len() == 1 => files[0],
                    Some(_) => return Err(ResumeError::Malformed { field: "part file" }),
                },
            },
            have,
            unchecked,
            // Records of earlier versions have none.
            choice: dict.get("choice").and_then(bencode::Value::as_bytes).unwrap_or_default().to_vec(),
            downloaded_bytes: number("downloaded")?,
            uploaded_bytes: number("uploaded")?,
            shared_seconds: dict.get("shared").and_then(bencode::Value::as_uint::<u64>).unwrap_or(0),
            saved_at: number("saved")?,
        })
    }
}

/// Writes a small file so that after a loss of power there is this one or the one before, whole. Folders that are missing are made;
/// only the user may read it.
///
/// # Errors
/// The system could not; the file before is still there.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    replace(path, bytes)?;
    File::open(folder)?.sync_all()
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = draft_path(path);
    let written = write_synced(&draft, bytes).and_then(|()| fs::rename(&draft, path));
    if written.is_err() {
        // What is left of the draft helps nobody; the error to tell is the first one.
        let _ = fs::remove_file(&draft);
    }
    written
}

/// A name that no other writer uses, in the folder of the record, so that renaming works.
fn draft_path(path: &Path) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}-{}.new", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    path.with_file_name(name)
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn put_hashes(dict: &mut DictWriter<'_>, hashes: InfoHashes) {
    if let Some(v1) = hashes.v1() {
        dict.bytes("v1", v1.0);
    }
    if let Some(v2) = hashes.v2() {
        dict.bytes("v2", v2.0);
    }
}

fn read_hashes(dict: Dict<'_>) -> Option<InfoHashes> {
    let v1 = dict.get("v1").map(|value| value.as_array().map(InfoHashV1));
    let v2 = dict.get("v2").map(|value| value.as_array().map(InfoHashV2));
    Some(match (v1, v2) {
        (Some(v1), Some(v2)) => InfoHashes::Hybrid(v1?, v2?),
        (Some(v1), None) => InfoHashes::V1(v1?),
        (None, Some(v2)) => InfoHashes::V2(v2?),
        (None, None) => return None,
    })
}

/// Numbers beyond what bencode readers take are never reached; if one is, the largest stands for it.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// One file: what it is, its length, its time of change in nanoseconds, its disk and its inode.
const PACKED_LENGTH: usize = 1 + 8 + 16 + 8 + 8;

fn pack(files: &[FilePresence]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(files.len() * PACKED_LENGTH);
    for file in files {
        let (kind, (length, modified_ns, (disk, inode))) = match *file {
            FilePresence::Pad => (0, Default::default()),
            FilePresence::Missing => (1, Default::default()),
            FilePresence::Present { length, modified_ns, identity, .. } => (2, (length, modified_ns, identity)),
            FilePresence::NotAFile => (3, Default::default()),
        };
        let (length, modified_ns): (u64, i128) = (length, modified_ns);
        let (disk, inode): (u64, u64) = (disk, inode);
        packed.push(kind);
        packed.extend_from_slice(&length.to_be_bytes());
        packed.extend_from_slice(&modified_ns.to_be_bytes());
        packed.extend_from_slice(&disk.to_be_bytes());
        packed.extend_from_slice(&inode.to_be_bytes());
    }
    packed
}

fn unpack(packed: &[u8]) -> Option<Vec<FilePresence>> {
    let (files, rest) = packed.as_chunks::<PACKED_LENGTH>();
    if !rest.is_empty() {
        return None;
    }
    let file = |bytes: &[u8; PACKED_LENGTH]| {
        let number = |at: usize| bytes[at..].first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        match bytes[0] {
            0 => Some(FilePresence::Pad),
            1 => Some(FilePresence::Missing),
            2 => Some(FilePresence::Present {
                length: number(1)?,
                modified_ns: i128::from_be_bytes(*bytes[9..].first_chunk()?),
                identity: (number(25)?, number(33)?),
                same_as_open: true,
            }),
            3 => Some(FilePresence::NotAFile),
            _ => None,
        }
    };
    files.iter().map(file).collect()
}

/// Whether a piece lies in more than one file, padding not counted.
fn is_shared(layout: &Layout, piece: PieceIndex) -> bool {
    let extents = layout.piece_span(piece).into_iter().flat_map(|span| layout.extents(span));
    extents.filter(|extent| !extent.pad).nth(1).is_some()
}

/// The new number of each disk of the record, if all files tell the same story.
fn renumbered_disks(before: &Presence, now: &Presence) -> Option<HashMap<u64, u64>> {
    let mut disks = HashMap::new();
    for pair in before.files.iter().zip(&now.files) {
        let (FilePresence::Present { identity: before, .. }, FilePresence::Present { identity: now, .. }) = pair else {
            continue;
        };
        if *disks.entry(before.0).or_insert(now.0) != now.0 {
            return None;
        }
    }
    Some(disks)
}

fn is_unchanged(before: &FilePresence, now: &FilePresence, disks: Option<&HashMap<u64, u64>>) -> bool {
    match (before, now) {
        (
            FilePresence::Present { length, modified_ns, identity, .. },
            FilePresence::Present { length: length_now, modified_ns: modified_now, identity: now, same_as_open },
        ) => {
            let disk = disks.and_then(|disks| disks.get(&identity.0)).unwrap_or(&identity.0);
            let same = length == length_now && modified_ns == modified_now;
            same && (*disk, identity.1) == *now && *same_as_open
        }
        (FilePresence::Pad, FilePresence::Pad) | (FilePresence::Missing, FilePresence::Missing) => true,
        // Whatever stands there is no file, so nothing is known of it.
        _ => false,
    }
}
