//! Opening files beneath a root without following a symbolic link (THREATS rule 4, row L11).
//!
//! The root is the user's own path and may lead through links; everything under it comes from a torrent. On Linux one
//! `openat2` does it; elsewhere, on old kernels and for paths longer than the system takes at once, the path is walked one
//! element at a time, each opened relative to the one before.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::StorageError;

/// Handles of folders that only serve to reach what is under them.
#[cfg(any(target_os = "linux", target_os = "android"))]
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

/// What folders that we make may be: the user's umask takes from it.
const FOLDER_MODE: Mode = Mode::from_bits_truncate(0o777);

/// A root that is open.
#[derive(Debug)]
pub(super) struct Beneath<'a> {
    root: &'a Path,
    fd: OwnedFd,
    walk: bool,
}

/// Set once the system has said that it does not know `openat2`.
static NO_OPENAT2: AtomicBool = AtomicBool::new(false);

impl<'a> Beneath<'a> {
    /// Opens the root, through links if the user's path has some.
    pub(super) fn open(root: &'a Path) -> Result<Self, StorageError> {
        let fd = rustix::fs::open(root, FOLDER, Mode::empty()).map_err(|errno| match errno {
            Errno::NOTDIR => StorageError::InTheWay { path: root.into(), found: "a file", expected: "a folder" },
            errno => StorageError::of_errno("open", root.into(), errno),
        })?;
        Ok(Self { root, fd, walk: NO_OPENAT2.load(Ordering::Relaxed) })
    }

    /// The same, but never by `openat2`.
    #[cfg(test)]
    pub(super) fn open_to_walk(root: &'a Path) -> Result<Self, StorageError> {
        Ok(Self { walk: true, ..Self::open(root)? })
    }

    /// The whole path, for messages.
    pub(super) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Opens what the path names. `mode` counts only if `flags` create.
    pub(super) fn open_at(&self, relative: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd, StorageError> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = if flags.contains(OFlags::CREATE) { mode } else { Mode::empty() };
        match self.open_at_once(relative, flags, mode) {
            Some(Ok(fd)) => Ok(fd),
            Some(Err(errno)) => Err(self.explain("open", relative, errno)),
            None => {
                let (parent, name) = self.open_parent_walking(relative)?;
                let parent = parent.as_ref().map_or(self.fd.as_fd(), AsFd::as_fd);
                rustix::fs::openat(parent, name, flags, mode).map_err(|errno| self.explain("open", relative, errno))
            }
        }
    }

    /// One system call for the whole path; `None` if that is not possible here.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn open_at_once(&self, relative: &str, flags: OFlags, mode: Mode) -> Option<Result<OwnedFd, Errno>> {
        use rustix::fs::ResolveFlags;
        const RESOLVE: ResolveFlags =
            ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);
        if self.walk {
            return None;
        }
        // A rename somewhere while the path is resolved makes it say "again".
        for _ in 0..8 {
            match rustix::fs::openat2(&self.fd, relative, flags, mode, RESOLVE) {
                Err(Errno::AGAIN) => {}
                Err(Errno::NOSYS) => {
                    NO_OPENAT2.store(true, Ordering::Relaxed);
                    return None;
                }
                // Old system call filters answer like this; and a path may be too long as a whole only.
                Err(Errno::PERM | Errno::NAMETOOLONG) => return None,
                result => return Some(result),
            }
        }
        None
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn open_at_once(&self, _: &str, _: OFlags, _: Mode) -> Option<Result<OwnedFd, Errno>> {
        None
    }

    /// Opens the folder that the path's last element is in (`None`: the root) and gives that element.
    pub(super) fn open_parent<'p>(&self, relative: &'p str) -> Result<(Option<OwnedFd>, &'p str), StorageError> {
        let Some((folders, name)) = relative.rsplit_once('/') else { return Ok((None, relative)) };
        match self.open_at_once(folders, FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
            Some(Ok(fd)) => Ok((Some(fd), name)),
            Some(Err(errno)) => Err(self.explain("open", folders, errno)),
            None => self.open_parent_walking(relative),
        }
    }

    fn open_parent_walking<'p>(&self, relative: &'p str) -> Result<(Option<OwnedFd>, &'p str), StorageError> {
        self.walk_to_parent(relative, |_, _| Ok(()))
    }

    /// Makes the folders that the path's last element is in, and opens the last one. True if any was made.
    pub(super) fn make_parent<'p>(&self, relative: &'p str) -> Result<(Option<OwnedFd>, &'p str, bool), StorageError> {
        let mut made = false;
        let (parent, name) = self.walk_to_parent(relative, |at, element| {
            match rustix::fs::mkdirat(at, element, FOLDER_MODE) {
                Ok(()) => made = true,
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            Ok(())
        })?;
        Ok((parent, name, made))
    }

    fn walk_to_parent<'p>(
        &self,
        relative: &'p str,
        mut enter: impl FnMut(BorrowedFd<'_>, &str) -> Result<(), Errno>,
    ) -> Result<(Option<OwnedFd>, &'p str), StorageError> {
        let Some((folders, name)) = relative.rsplit_once('/') else { return Ok((None, relative)) };
        let mut at: Option<OwnedFd> = None;
        let mut done = 0;
        for element in folders.split('/') {
            let here = at.as_ref().map_or(self.fd.as_fd(), AsFd::as_fd);
            let upto = &relative[..done + element.len()];
            enter(here, element).map_err(|errno| StorageError::io("create", self.path(upto), errno))?;
            let next = rustix::fs::openat(here, element, FOLDER | OFlags::NOFOLLOW, Mode::empty());
            at = Some(next.map_err(|errno| self.explain("open", upto, errno))?);
            done += element.len() + 1;
        }
        Ok((at, name))
    }

    /// What stands at the path, itself not followed; `None` if nothing.
    pub(super) fn stat(&self, parent: Option<BorrowedFd<'_>>, name: &str) -> Result<Option<Stat>, Errno> {
        let parent = parent.unwrap_or(self.fd.as_fd());
        match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// The root itself.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Says which element of the path is in the way, as well as that can be found out afterwards.
    fn explain(&self, action: &'static str, relative: &str, errno: Errno) -> StorageError {
        if matches!(errno, Errno::LOOP | Errno::MLINK | Errno::NOTDIR | Errno::XDEV) {
            let ends = relative.match_indices('/').map(|(at, _)| at).chain([relative.len()]);
            for end in ends {
                let path = self.path(&relative[..end]);
                let Ok(stat) = rustix::fs::statat(CWD, &path, AtFlags::SYMLINK_NOFOLLOW) else { break };
                match kind(&stat) {
                    FileType::Symlink => return StorageError::Symlink { path },
                    FileType::Directory => {}
                    other if end < relative.len() || errno == Errno::NOTDIR => {
                        return StorageError::InTheWay { path, found: name_of(other), expected: "a folder" };
                    }
                    _ => {}
                }
            }
        }
        StorageError::of_errno(action, self.path(relative), errno)
    }
}

/// The kind of thing that a stat is about.
pub(super) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// What to call it in a message, with its article.
pub(super) fn name_of(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a file",
        FileType::Directory => "a folder",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a named pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Unknown => "something unknown",
    }
}

/// The path of the current folder for an empty one.
pub(super) fn or_here(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}

/// Opens a folder beneath the root (the root itself for `None`) so that it can be synced.
pub(super) fn open_to_sync(beneath: &Beneath<'_>, folder: Option<&str>) -> Result<OwnedFd, StorageError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    match folder {
        Some(folder) => beneath.open_at(folder, flags, Mode::empty()),
        None => rustix::fs::open(beneath.root, flags | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| StorageError::of_errno("open", beneath.root.into(), errno)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK);

    /// Runs a case by one system call and by walking.
    fn both(root: &Path, case: impl Fn(&Beneath<'_>)) {
        case(&Beneath::open(root).unwrap());
        case(&Beneath::open_to_walk(root).unwrap());
    }

    #[test]
    fn opens_files_in_folders_and_tells_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b")).unwrap();
        fs::write(folder.path().join("a/b/c"), "x").unwrap();
        both(folder.path(), |beneath| {
            assert!(beneath.open_at("a/b/c", READ, Mode::empty()).is_ok());
            let (parent, name) = beneath.open_parent("a/b/c").unwrap();
            assert!(beneath.stat(parent.as_ref().map(AsFd::as_fd), name).unwrap().is_some());
            for missing in ["a/b/d", "a/x/c", "y"] {
                let error = beneath.open_at(missing, READ, Mode::empty()).unwrap_err();
                assert!(matches!(error, StorageError::Missing { .. }), "{missing}: {error}");
            }
            let error = beneath.open_at("a/b/c/d", READ, Mode::empty()).unwrap_err();
            assert!(matches!(&error, StorageError::InTheWay { path, .. } if path.ends_with("a/b/c")), "{error:?}");
        });
    }

    #[test]
    fn l11_planted_links_are_refused_as_file_and_as_folder() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("f"), "secret").unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("d")).unwrap();
        fs::write(folder.path().join("d/f"), "").unwrap();
        symlink(outside.path().join("f"), folder.path().join("file")).unwrap();
        symlink(outside.path(), folder.path().join("folder")).unwrap();
        symlink("d", folder.path().join("inside")).unwrap();
        symlink("nowhere", folder.path().join("dangling")).unwrap();
        both(folder.path(), |beneath| {
            for (path, link) in
                [("file", "file"), ("folder/f", "folder"), ("inside/f", "inside"), ("dangling", "dangling")]
            {
                for flags in [READ, OFlags::RDWR | OFlags::CREATE] {
                    let error = beneath.open_at(path, flags, Mode::RUSR | Mode::WUSR).unwrap_err();
                    let StorageError::Symlink { path } = error else { panic!("{path}: {error:?}") };
                    assert!(path.ends_with(link));
                }
            }
            let error = beneath.make_parent("folder/new/f").unwrap_err();
            assert!(matches!(error, StorageError::Symlink { .. }), "{error:?}");
            assert!(beneath.open_parent("folder/f").is_err());
        });
        assert!(!outside.path().join("new").exists());
        assert!(!folder.path().join("nowhere").exists());
    }

    #[test]
    fn m8_a_path_longer_than_the_system_takes_is_walked() {
        let folder = tempfile::tempdir().unwrap();
        let beneath = Beneath::open(folder.path()).unwrap();
        let long = format!("{}f", format!("{}/", "d".repeat(250)).repeat(30));
        assert!(long.len() > 4096);
        let (_, _, made) = beneath.make_parent(&long).unwrap();
        assert!(made);
        assert!(!beneath.make_parent(&long).unwrap().2);
        beneath.open_at(&long, OFlags::RDWR | OFlags::CREATE, Mode::RUSR | Mode::WUSR).unwrap();
        assert!(beneath.open_at(&long, READ, Mode::empty()).is_ok());
        // The standard library cannot remove such a path by name either, but it can from within.
        drop(beneath);
        folder.close().unwrap();
    }
}
