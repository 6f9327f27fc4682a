//! The way from a storage to its files: which are held open, how the others are opened, and how they are made.

use std::sync::{Arc, Mutex, PoisonError};

use riverrun_metainfo::FileIndex;
use rustix::fs::{Mode, OFlags};

use super::beneath::Beneath;
use super::open_files::{Key, OpenFile};
use super::part::Named;
use super::{FileStorage, Need, PART_FILE, denies_writing};
use crate::StorageError;

/// Held while a file is made, so that two disk threads that come to one file at once do not take each other for strangers. Few for the
/// whole process, since thousands of torrents at rest need none.
static MAKING: [Mutex<()>; 16] = [const { Mutex::new(()) }; 16];

/// The way to files for as long as one call lasts. The root is opened for the first file that is not held open, and serves all others.
pub(super) struct Way<'s> {
    storage: &'s FileStorage,
    beneath: Option<Beneath<'s>>,
}

impl FileStorage {
    pub(super) fn way(&self) -> Way<'_> {
        Way { storage: self, beneath: None }
    }

    /// A file, from those held open or opened now; created if it is needed for writing and never was there.
    pub(super) fn file(&self, file: FileIndex, need: Need) -> Result<Arc<OpenFile>, StorageError> {
        self.way().file(file, need)
    }
}

impl<'s> Way<'s> {
    /// The same as [`FileStorage::file`].
    pub(super) fn file(&mut self, file: FileIndex, need: Need) -> Result<Arc<OpenFile>, StorageError> {
        let storage = self.storage;
        let key = Key { storage: storage.number, file: file.0 };
        if let Some(open) = storage.open_files.get(key)
            && (open.writable || need == Need::Read)
        {
            return Ok(open);
        }
        let (own, executable) = storage.place_of(file)?;
        // A panic of another thread has left nothing half done.
        let _naming = storage.naming.read();
        let path = &*storage.path_now(file, own);
        if need == Need::Write && !storage.writes() {
            return Err(StorageError::ReadOnly { path: storage.place.root.join(path) });
        }
        let opened = match self.open(file, path, executable, need) {
            Err(error) if error.ran_out_of_descriptors() => {
                storage.open_files.close_half();
                self.open(file, path, executable, need)
            }
            result => result,
        }?;
        storage.recognise(file, path, &opened)?;
        if path.len() > own.as_str().len() && file != PART_FILE {
            storage.remember_name(file, Named::Part);
        }
        Ok(storage.open_files.keep(key, opened))
    }

    fn open(&mut self, file: FileIndex, path: &str, executable: bool, need: Need) -> Result<OpenFile, StorageError> {
        if self.storage.state().absent.contains(&file.0) {
            return match need {
                // Whatever stands there since is none of ours.
                Need::Read => Err(StorageError::Missing { path: self.storage.place.root.join(path) }),
                Need::Write => self.make(file, path, executable),
            };
        }
        match self.open_once(path, need) {
            Err(StorageError::Missing { .. }) if need == Need::Write => match self.create(file, path, executable)? {
                Some(made) => Ok(made),
                // Another thread was faster, or a link that leads nowhere stands there: opening tells.
                None => self.open_once(path, need),
            },
            result => result,
        }
    }

    /// Makes a file that was not there when the files were made ready. What has come in its place since is left alone.
    fn make(&mut self, file: FileIndex, path: &str, executable: bool) -> Result<OpenFile, StorageError> {
        let _making = MAKING[file.0 as usize % MAKING.len()].lock().unwrap_or_else(PoisonError::into_inner);
        if !self.storage.state().absent.contains(&file.0) {
            return self.open_once(path, Need::Write);
        }
        if let Some(made) = self.create(file, path, executable)? {
            let mut state = self.storage.state();
            state.seen.note(file, made.identity);
            state.absent.remove(&file.0);
            return Ok(made);
        }
        match self.open_once(path, Need::Read) {
            Err(error @ (StorageError::Symlink { .. } | StorageError::InTheWay { .. })) => Err(error),
            _ => Err(StorageError::NameTaken { path: self.storage.place.root.join(path) }),
        }
    }

    fn open_once(&mut self, path: &str, need: Need) -> Result<OpenFile, StorageError> {
        // A FIFO or a device must not make us wait.
        let flags = OFlags::NONBLOCK;
        let storage = self.storage;
        let beneath = self.beneath()?;
        let open = |flags| beneath.open_at(path, flags, Mode::empty());
        let (fd, writable) = match open(flags | if storage.writes() { OFlags::RDWR } else { OFlags::RDONLY }) {
            Err(StorageError::Io { source, .. }) if need == Need::Read && denies_writing(&source) => {
                (open(flags | OFlags::RDONLY)?, false)
            }
            result => (result?, storage.writes()),
        };
        OpenFile::regular(fd, writable, || beneath.path(path))
    }

    /// Makes a file, and its folders if need be; `None` if something has its name.
    fn create(&mut self, file: FileIndex, path: &str, executable: bool) -> Result<Option<OpenFile>, StorageError> {
        let storage = self.storage;
        if storage.state().seen.get(file).is_some() {
            return Err(StorageError::Missing { path: storage.place.root.join(path) });
        }
        let beneath = self.beneath_to_write()?;
        // BEP 47: the flag is for the user only. Never more, whatever the umask lets through.
        let mode = Mode::from_bits_truncate(if executable { 0o766 } else { 0o666 });
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CREATE | OFlags::EXCL;
        let made = match beneath.open_at(path, flags, mode) {
            // Most files have a folder that others of the torrent were in before.
            Err(StorageError::Missing { .. }) => {
                beneath.make_parent(path)?;
                beneath.open_at(path, flags, mode)
            }
            result => result,
        };
        match made {
            Ok(fd) => {
                storage.state().created.insert(file.0);
                OpenFile::regular(fd, true, || beneath.path(path)).map(Some)
            }
            Err(StorageError::Io { source, .. }) if source.kind() == std::io::ErrorKind::AlreadyExists => Ok(None),
            Err(StorageError::Io { source, .. }) => Err(StorageError::io("create", beneath.path(path), source)),
            Err(error) => Err(error),
        }
    }

    /// The root, if it is there and still the same.
    fn beneath(&mut self) -> Result<&Beneath<'s>, StorageError> {
        if self.beneath.is_none() {
            self.beneath = Some(self.storage.beneath()?);
        }
        Ok(self.beneath.as_ref().expect("set just now"))
    }

    /// The same, but makes the root if it never was there.
    fn beneath_to_write(&mut self) -> Result<&Beneath<'s>, StorageError> {
        if self.beneath.is_none() {
            self.beneath = Some(self.storage.beneath_to_write()?);
        }
        Ok(self.beneath.as_ref().expect("set just now"))
    }
}
