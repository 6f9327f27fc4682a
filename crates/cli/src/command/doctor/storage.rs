//! Folders that are written to.

use std::io::Write as _;
use std::path::Path;

use super::{Check, path_text};
use crate::exit::Exit;
use crate::failure::reason;
use crate::units::Scale;

/// With less free than this a warning is given, in bytes.
const GOOD_SPACE: u64 = 1 << 30;
/// With less than this not even resume data can be written, in bytes.
const LEAST_SPACE: u64 = 1 << 20;

/// Whether a folder, or the one in which it would be made, can be written to, and how much is free there.
pub(super) fn folder(name: &'static str, path: &Path, scale: Scale) -> Check {
    let text = path_text(path);
    let Some(there) = path.ancestors().find_map(|folder| {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        folder.exists().then_some(folder)
    }) else {
        return Check::fail(name, Exit::Storage, format!("{text} is nowhere"), "name another folder");
    };
    if !there.is_dir() {
        let found = format!("{} is no folder", path_text(there));
        return Check::fail(name, Exit::Storage, found, "name another folder, or remove what is in the way");
    }
    let tried = tempfile::Builder::new().prefix(".riverrun-doctor-").tempfile_in(there);
    if let Err(error) = tried.and_then(|mut file| file.write_all(b"riverrun")) {
        let found = format!("{text} cannot be written to: {}", reason(&error));
        return Check::fail(name, Exit::Storage, found, "name another folder, or change its owner or mode");
    }
    match rustix::fs::statvfs(there) {
        Ok(disk) => judge_space(name, &text, disk.f_bavail.saturating_mul(disk.f_frsize), scale),
        Err(_) => Check::ok(name, format!("{text} can be written to")),
    }
}

fn judge_space(name: &'static str, folder: &str, free: u64, scale: Scale) -> Check {
    let found = format!("{folder} can be written to; {} free", scale.bytes(free));
    let fix = "make room, or name a folder on another disk";
    match free {
        GOOD_SPACE.. => Check::ok(name, found),
        LEAST_SPACE.. => Check::warn(name, found, fix),
        _ => Check::fail(name, Exit::Storage, format!("the disk of {folder} is full"), fix),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::Status;
    use super::*;

    #[test]
    fn folders_that_can_be_written_to_and_others() {
        let room = tempfile::tempdir().unwrap();
        let judged = |path: &Path| folder("state", path, Scale::Binary);
        // A nearly full disk is a warning.
        assert_ne!(judged(room.path()).status, Status::Fail);
        assert_ne!(judged(&room.path().join("not/there/yet")).status, Status::Fail);
        assert_eq!(std::fs::read_dir(room.path()).unwrap().count(), 0, "nothing stays behind");
        let file = room.path().join("file");
        std::fs::write(&file, "x").unwrap();
        let failed = judged(&file.join("below"));
        assert_eq!((failed.status, failed.exit), (Status::Fail, Exit::Storage));
        assert!(failed.found.ends_with("file is no folder"), "{failed:?}");
        // The kernel's tree takes no files, whoever asks.
        assert_eq!(judged(Path::new("/proc")).status, Status::Fail);
    }

    #[test]
    fn space_is_judged() {
        let judged = |free| judge_space("downloads", ".", free, Scale::Binary).status;
        assert_eq!(judged(1 << 40), Status::Ok);
        assert_eq!(judged(100 << 20), Status::Warn);
        assert_eq!(judged(1000), Status::Fail);
    }
}
