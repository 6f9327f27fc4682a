//! Is there room, and may we write: asked before the first byte comes.

use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD, Stat};
use rustix::io::Errno;

use super::presence::Found;
use super::{FileStorage, beneath};
use crate::StorageError;

/// Room on a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    /// What the files still need, in bytes: their lengths without what is allocated already.
    pub needed: u64,
    /// What this user can get on that disk now, in bytes.
    pub available: u64,
}

impl Space {
    /// How many bytes are missing; 0 if there is room.
    #[must_use]
    pub fn lacking(self) -> u64 {
        self.needed.saturating_sub(self.available)
    }
}

impl FileStorage {
    /// What the files still need, and what the disk has for them.
    ///
    /// # Errors
    /// The files or the disk cannot be looked at.
    pub fn space(&self) -> Result<Space, StorageError> {
        let mut needed = 0u64;
        self.look_at_each(|file, found| {
            let length = self.layout.files()[file.0 as usize].length;
            let allocated = match found {
                Found::Something(stat) => u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512),
                _ => 0,
            };
            needed = needed.saturating_add(length.saturating_sub(allocated));
        })?;
        let root = nearest_folder(&self.place.root);
        let disk = rustix::fs::statvfs(root).map_err(|errno| StorageError::io("look at the disk of", root, errno))?;
        Ok(Space { needed, available: disk.f_bavail.saturating_mul(disk.f_frsize) })
    }

    /// Whether this user may create files in the root, or create the root.
    ///
    /// # Errors
    /// [`StorageError::NotWritable`] with the owner and mode of the folder that denies it; or the disk is read-only; or the root, or
    /// what should hold it, is no folder.
    pub fn check_writable(&self) -> Result<(), StorageError> {
        let folder = nearest_folder(&self.place.root);
        let stat = rustix::fs::stat(folder).map_err(|errno| StorageError::io("look at", folder, errno))?;
        let kind = beneath::kind(&stat);
        if !kind.is_dir() {
            return Err(StorageError::InTheWay {
                path: folder.into(),
                found: beneath::name_of(kind),
                expected: "a folder",
            });
        }
        match rustix::fs::accessat(CWD, folder, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS) {
            Ok(()) => Ok(()),
            Err(Errno::ACCESS) => {
                Err(StorageError::NotWritable { path: folder.into(), owner: stat.st_uid, mode: permission_bits(&stat) })
            }
            Err(errno) => Err(StorageError::io("write to", folder, errno)),
        }
    }
}

#[allow(clippy::useless_conversion, reason = "the field's type depends on the system")]
fn permission_bits(stat: &Stat) -> u32 {
    u32::from(stat.st_mode) & 0o7777
}

/// The folder itself, or the nearest one above it that exists.
fn nearest_folder(folder: &Path) -> &Path {
    let there = |path: &&Path| rustix::fs::stat(*path).is_ok_and(|_| true);
    folder.ancestors().map(beneath::or_here).find(there).unwrap_or(Path::new("/"))
}
