//! Where a torrent file is written: whole or not at all.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::command::download::place::as_written;
use crate::env::Env;
use crate::exit::Exit;
use crate::failure::{Failure, reason};

/// Where it goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Target {
    /// To standard output.
    Stdout,
    /// To a file.
    File(PathBuf),
}

impl Target {
    /// What `-o` means: `-`, a file, or a folder in which the file gets its own name.
    pub(crate) fn find(
        output: Option<&Path>,
        own_name: impl FnOnce() -> Result<String, Failure>,
    ) -> Result<Self, Failure> {
        match output {
            Some(path) if path == Path::new("-") => Ok(Self::Stdout),
            Some(path) if path.is_dir() => Ok(Self::File(path.join(own_name()?))),
            Some(path) => Ok(Self::File(path.to_owned())),
            None => Ok(Self::File(own_name()?.into())),
        }
    }

    /// The file, if it is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Stdout => None,
            Self::File(path) => Some(path),
        }
    }

    /// Refuses to replace a file that is not to be replaced, and a folder that is not there.
    pub(crate) fn check(&self, force: bool) -> Result<(), Failure> {
        let Self::File(path) = self else { return Ok(()) };
        if path.symlink_metadata().is_ok() && !force {
            return Err(Failure::new(Exit::Exists, format!("{} exists", as_written(path))).help("--force replaces it"));
        }
        let folder = folder_of(path);
        if !folder.is_dir() {
            return Err(Failure::new(Exit::NotFound, format!("{}: no such folder", as_written(folder))));
        }
        Ok(())
    }

    /// Writes the bytes, in one step that others see.
    pub(crate) fn write(&self, env: &mut Env, bytes: &[u8], force: bool) -> Result<(), Failure> {
        let Self::File(path) = self else {
            env.out.write_all(bytes)?;
            return Ok(env.out.flush()?);
        };
        let cannot = |error: &std::io::Error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Failure::new(Exit::Exists, format!("{} exists", as_written(path))).help("--force replaces it")
            }
            _ => Failure::new(Exit::Storage, format!("cannot write to {}: {}", as_written(path), reason(error))),
        };
        let mut file = tempfile::Builder::new()
            .prefix(".riverrun-")
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder_of(path))
            .map_err(|error| cannot(&error))?;
        file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(|error| cannot(&error))?;
        let kept = if force { file.persist(path) } else { file.persist_noclobber(path) };
        kept.map(|_| ()).map_err(|error| cannot(&error.error))
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn nothing_is_replaced_without_force_and_nothing_else_is_left() {
        let root = tempfile::tempdir().unwrap();
        let target = Target::File(root.path().join("x.torrent"));
        let mut env = Env::isolated::<&str>([]);
        target.check(false).unwrap();
        target.write(&mut env, b"one", false).unwrap();
        assert_eq!(target.check(false).unwrap_err().exit, Exit::Exists);
        assert_eq!(target.write(&mut env, b"two", false).unwrap_err().exit, Exit::Exists);
        target.write(&mut env, b"three", true).unwrap();
        assert_eq!(std::fs::read(target.path().unwrap()).unwrap(), b"three");
        assert_eq!(root.path().read_dir().unwrap().count(), 1);
    }
}
