//! What is looked at before the first byte: may we write there, and is there room.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};
use rustix::io::Errno;

use crate::command::download::place::{as_written, with_suffix};
use crate::exit::Exit;
use crate::failure::{Failure, reason};
use crate::units::Scale;

/// What the torrents of one run need on each file system.
#[derive(Debug, Default)]
pub(crate) struct Preflight {
    /// By device: what torrents need there already.
    needed: HashMap<u64, u64>,
}

impl Preflight {
    /// Looks at the place of one torrent. `files` are its paths (absolute or from here) and lengths; what is not complete may have
    /// `suffix` behind its name.
    pub(crate) fn check(
        &mut self,
        root: &Path,
        files: &[(PathBuf, u64)],
        suffix: Option<&str>,
        scale: Scale,
    ) -> Result<(), Failure> {
        let folder = nearest_folder(root);
        may_write(&folder)?;
        let mut missing = 0u64;
        for of_folder in files.chunk_by(|(one, _), (next, _)| one.parent() == next.parent()) {
            // Where no folder is, thousands of files need not be looked for.
            let there = of_folder[0].0.parent().is_none_or(|parent| or_here(parent).exists());
            for (path, length) in of_folder {
                let taken = if there { taken_at(&standing_at(path, suffix), *length)? } else { 0 };
                missing = missing.saturating_add(length.saturating_sub(taken));
            }
        }
        self.room(&folder, missing, scale)
    }

    fn room(&mut self, folder: &Path, missing: u64, scale: Scale) -> Result<(), Failure> {
        let (Ok(found), Ok(system)) = (folder.metadata(), statvfs(folder)) else { return Ok(()) };
        // A file system that tells no size (some network ones) is not judged.
        if system.f_blocks == 0 {
            return Ok(());
        }
        let free = system.f_bavail.saturating_mul(system.f_frsize);
        let needed = self.needed.entry(found.dev()).or_default();
        *needed = needed.saturating_add(missing);
        if *needed <= free {
            return Ok(());
        }
        let message = format!(
            "not enough space in {}: need {}, {} free",
            folder_name(folder),
            scale.bytes(*needed),
            scale.bytes(free)
        );
        *needed -= missing;
        Err(Failure::new(Exit::Storage, message).help("-d puts it into another folder; --files takes a part"))
    }
}

/// The path that a file has now.
fn standing_at(path: &Path, suffix: Option<&str>) -> PathBuf {
    let part = suffix.filter(|_| path.symlink_metadata().is_err()).map(|suffix| with_suffix(path, suffix));
    part.filter(|part| part.is_file()).unwrap_or_else(|| path.to_owned())
}

/// The bytes of a file that are on disk already; it may be written if it is there.
fn taken_at(path: &Path, length: u64) -> Result<u64, Failure> {
    let Ok(found) = path.symlink_metadata() else { return Ok(0) };
    if found.is_file() || path.is_file() {
        may_write(path)?;
    }
    Ok(found.blocks().saturating_mul(512).min(found.len()).min(length))
}

/// The path of the current folder for an empty one.
fn or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

/// The path itself if it is a folder, else the nearest folder above it that exists.
fn nearest_folder(path: &Path) -> PathBuf {
    let mut at = path;
    loop {
        if at.is_dir() {
            return at.to_owned();
        }
        match at.parent() {
            Some(parent) if parent.as_os_str().is_empty() => return PathBuf::from("."),
            Some(parent) => at = parent,
            None => return PathBuf::from("/"),
        }
    }
}

fn may_write(path: &Path) -> Result<(), Failure> {
    let wanted = if path.is_dir() { Access::WRITE_OK | Access::EXEC_OK } else { Access::WRITE_OK };
    let Err(errno) = access(path, wanted) else { return Ok(()) };
    let facts = match path.metadata() {
        Ok(found) if errno == Errno::ACCESS => {
            format!(" (owner {}, mode {:o})", owner(found.uid()), found.mode() & 0o7777)
        }
        _ => String::new(),
    };
    let why = reason(&errno.into());
    Err(Failure::new(Exit::Storage, format!("cannot write to {}: {why}{facts}", as_written(path))))
}

/// The name of a user; the number where it has none.
fn owner(uid: u32) -> String {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| uid.to_string())
}

/// A folder with its `/`.
fn folder_name(folder: &Path) -> String {
    let name = as_written(folder);
    if name.ends_with('/') { name } else { format!("{name}/") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn more_than_the_disk_has_is_refused_before_the_first_byte() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a/b/huge.bin");
        let failure = Preflight::default().check(&path, &[(path.clone(), 1 << 55)], None, Scale::Binary).unwrap_err();
        assert_eq!(failure.exit, Exit::Storage);
        let start = format!("not enough space in {}/: need 32.0 PiB, ", root.path().display());
        assert!(failure.message.starts_with(&start), "{}", failure.message);
        assert!(!root.path().join("a").exists());
    }

    #[test]
    fn torrents_of_one_run_share_the_room() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("one");
        let system = statvfs(root.path()).unwrap();
        let most = system.f_bavail * system.f_frsize / 3 * 2;
        let mut preflight = Preflight::default();
        preflight.check(&path, &[(path.clone(), most)], None, Scale::Binary).unwrap();
        preflight.check(&path, &[(path.clone(), most)], None, Scale::Binary).unwrap_err();
    }

    #[test]
    fn what_is_there_needs_no_room() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("there");
        std::fs::write(&path, vec![1; 1 << 16]).unwrap();
        assert_eq!(taken_at(&path, 1 << 20).unwrap(), 1 << 16);
        assert_eq!(taken_at(&root.path().join("not-there"), 1 << 20).unwrap(), 0);
        assert_eq!(nearest_folder(&root.path().join("x/y")), root.path());
        assert_eq!(nearest_folder(Path::new("no-such-folder/y")), Path::new("."));
    }
}
