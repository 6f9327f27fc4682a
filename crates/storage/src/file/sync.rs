//! Making written bytes survive a loss of power (THREATS row L8).

use std::collections::{BTreeMap, BTreeSet};

use riverrun_metainfo::FileIndex;
use riverrun_metainfo::path::SafePath;
use rustix::io::Errno;

use super::{FileStorage, Need, beneath};
use crate::StorageError;

/// With more files than this on one disk, the whole disk is synced at once instead of each file.
#[cfg(any(target_os = "linux", target_os = "android"))]
const MANY_FILES: usize = 64;

impl FileStorage {
    pub(super) fn sync_files(&self) -> Result<(), StorageError> {
        let (files, created, made_root) = {
            let mut state = self.state();
            if state.sync_failed {
                return Err(StorageError::SyncFailed { path: self.place.root.clone() });
            }
            (
                std::mem::take(&mut state.unsynced),
                std::mem::take(&mut state.created),
                std::mem::take(&mut state.made_root),
            )
        };
        let result = self.flush(&files).and_then(|()| self.flush_folders(&created, made_root));
        if result.is_err() {
            // Nothing of it is forgotten, so that a cause that passes (no descriptor left) does not make the next sync lie.
            let mut state = self.state();
            state.unsynced.extend(files);
            state.created.extend(created);
            state.made_root |= made_root;
        }
        result
    }

    fn flush(&self, files: &BTreeSet<u32>) -> Result<(), StorageError> {
        let mut by_disk = BTreeMap::<u64, Vec<u32>>::new();
        {
            let state = self.state();
            for file in files {
                // What was written was open, and what was open was seen.
                let disk = state.seen.get(FileIndex(*file)).map_or(0, |(disk, _)| disk);
                by_disk.entry(disk).or_default().push(*file);
            }
        }
        by_disk.into_values().try_for_each(|files| self.flush_disk(&files))
    }

    fn flush_disk(&self, files: &[u32]) -> Result<(), StorageError> {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let [first, _, ..] = files
            && files.len() > MANY_FILES
        {
            let open = self.file(FileIndex(*first), Need::Read)?;
            return rustix::fs::syncfs(&open.fd).map_err(|errno| self.sync_error(*first, errno));
        }
        for &file in files {
            let open = self.file(FileIndex(file), Need::Read)?;
            sync_data(&open.fd).map_err(|errno| self.sync_error(file, errno))?;
        }
        Ok(())
    }

    /// The names of new files are in their folders, which have to be synced too.
    pub(super) fn flush_folders(&self, created: &BTreeSet<u32>, made_root: bool) -> Result<(), StorageError> {
        if made_root && let Some(above) = self.place.root.parent() {
            let above = beneath::or_here(above);
            std::fs::File::open(above)
                .and_then(|folder| folder.sync_all())
                .map_err(|source| StorageError::io("sync", above, source))?;
        }
        let mut folders = BTreeSet::<Option<&str>>::new();
        for &file in created {
            let mut folder = self.own_path(FileIndex(file)).and_then(SafePath::parent);
            while folders.insert(folder)
                && let Some(path) = folder
            {
                folder = path.rsplit_once('/').map(|(above, _)| above);
            }
        }
        if folders.is_empty() {
            return Ok(());
        }
        let beneath = self.beneath()?;
        for folder in folders {
            let fd = beneath::open_to_sync(&beneath, folder)?;
            match rustix::fs::fsync(&fd) {
                // Some file systems have nothing to sync in a folder.
                Ok(()) | Err(Errno::INVAL | Errno::OPNOTSUPP | Errno::BADF) => {}
                Err(errno) => return Err(StorageError::io("sync", beneath.path(folder.unwrap_or("")), errno)),
            }
        }
        Ok(())
    }

    /// After a failed sync the system may hold the bytes for clean, so that a second try succeeds without having written them:
    /// from now on no sync of this storage succeeds.
    pub(super) fn sync_error(&self, file: u32, errno: Errno) -> StorageError {
        self.state().sync_failed = true;
        StorageError::io("sync", self.path_of(FileIndex(file)).unwrap_or_default(), errno)
    }
}

pub(super) fn sync_data(fd: &rustix::fd::OwnedFd) -> Result<(), Errno> {
    loop {
        #[cfg(not(target_vendor = "apple"))]
        let result = rustix::fs::fdatasync(fd);
        #[cfg(target_vendor = "apple")]
        let result = rustix::fs::fsync(fd);
        match result {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}
