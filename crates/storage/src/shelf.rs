//! Where long texts lie that are seldom read: in files without a name, mapped into memory.
//!
//! The description of a torrent is mostly hashes, tens or hundreds of KB of them, and whoever shares a complete torrent hardly ever looks at
//! them again. Mapped, they take memory only while somebody reads them; the system drops them when it needs the room, and reads them
//! again when they are asked for.
//!
//! A mapping ends the process if its file is cut short under it. That cannot happen to these: the file has no name any more and is not open,
//! so that nobody can get at it, and the mapping is for reading only.
#![allow(unsafe_code, reason = "a mapping is made, given back and read as bytes here, and nowhere else")]

use std::fs::{File, remove_file};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Shorter texts stay where they are: a mapping takes pages of memory in the system.
const LEAST_BYTES: usize = 16 << 10;
/// The most texts: systems allow a process 65,530 mappings, and others need some.
const MOST_TEXTS: usize = 32_000;

/// A place for long texts, in one folder. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Shelf {
    /// Without one nothing is taken.
    folder: Option<Arc<Path>>,
    count: Arc<AtomicUsize>,
}

/// The bytes of a file that nobody else can reach, for reading.
struct Mapping {
    start: NonNull<u8>,
    length: usize,
    /// Counts as long as it lives.
    _counted: Counted,
}

/// One of the texts of a shelf.
#[derive(Clone)]
struct Text(Arc<Mapping>);

struct Counted(Arc<AtomicUsize>);

impl Shelf {
    /// A shelf whose files are in this folder, for the moment in which they have names; without a folder it takes nothing.
    #[must_use]
    pub fn new(folder: Option<&Path>) -> Self {
        Self { folder: folder.map(Into::into), count: Arc::default() }
    }

    /// Whether it takes a text of so many bytes, if there is room.
    #[must_use]
    pub fn takes(&self, length: usize) -> bool {
        self.folder.is_some() && length >= LEAST_BYTES
    }

    /// Has `read` read a text, and keep what it wants of it: from the shelf if the text is long, and if not, or if there is no place, as it is.
    /// Blocks.
    pub fn read<R>(&self, text: Bytes, read: impl FnOnce(Bytes) -> R) -> R {
        let Some(folder) = self.folder.as_deref().filter(|_| self.takes(text.len())) else { return read(text) };
        match self.put(folder, &text) {
            Ok(shelved) => {
                drop(text);
                let result = read(Bytes::from_owner(shelved.clone()));
                shelved.0.rest();
                result
            }
            Err(error) => {
                tracing::debug!(%error, folder = %folder.display(), "a long text stays in memory");
                read(text)
            }
        }
    }

    fn put(&self, folder: &Path, text: &[u8]) -> io::Result<Text> {
        let before = self.count.fetch_add(1, Ordering::Relaxed);
        let counted = Counted(self.count.clone());
        if before >= MOST_TEXTS {
            return Err(io::Error::other("there are too many"));
        }
        let mut file = nameless(folder)?;
        file.write_all(text)?;
        Ok(Text(Arc::new(Mapping::new(&file, text.len(), counted)?)))
    }
}

/// A new file that has lost its name already.
fn nameless(folder: &Path) -> io::Result<File> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!(".shelf-{}-{number}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    remove_file(path)?;
    Ok(file)
}

impl Mapping {
    /// Maps a whole file, which is not empty and which nobody else has.
    fn new(file: &File, length: usize, counted: Counted) -> io::Result<Self> {
        // SAFETY: a new place of the system's choice, so nothing that is in use is mapped over.
        let start = unsafe { mmap(std::ptr::null_mut(), length, ProtFlags::READ, MapFlags::SHARED, file, 0) }?;
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mapped at 0"))?;
        Ok(Self { start, length, _counted: counted })
    }

    /// Gives back the memory that reading took; reading takes it again.
    fn rest(&self) {
        #[cfg(target_os = "linux")]
        // SAFETY: the range is this mapping, and pages of a shared mapping of a file come back as they were.
        if let Err(error) =
            unsafe { rustix::mm::madvise(self.start.as_ptr().cast(), self.length, rustix::mm::Advice::LinuxDontNeed) }
        {
            tracing::debug!(%error, "memory is not given back");
        }
    }
}

// SAFETY: memory for reading that nobody changes.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is this mapping, and whoever borrowed its bytes borrowed `self`.
        let result = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
        debug_assert!(result.is_ok(), "a whole mapping can be given back");
    }
}

impl AsRef<[u8]> for Text {
    fn as_ref(&self) -> &[u8] {
        let Mapping { start, length, .. } = *self.0;
        // SAFETY: the range is mapped for reading as long as `self` lives; its file has that many bytes, and nobody can reach it to change
        // them: it has no name, and was closed.
        unsafe { std::slice::from_raw_parts(start.as_ptr(), length) }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long() -> Bytes {
        (0..8192u32).flat_map(u32::to_le_bytes).collect()
    }

    /// The memory of this process that is a mapping of a file without a name, in KB: how much there is, how much is in memory.
    fn shelved(folder: &Path) -> Vec<(u64, u64)> {
        let maps = std::fs::read_to_string("/proc/self/smaps").expect("Linux");
        let mut lines = maps.lines();
        let mut found = Vec::new();
        while let Some(line) = lines.next() {
            if !line.contains(&format!("{}/.shelf-", folder.display())) || !line.ends_with("(deleted)") {
                continue;
            }
            let mut figure = |name| {
                let line = lines.by_ref().find(|line| line.starts_with(name)).expect("a figure of the mapping");
                line.split_whitespace().nth(1).and_then(|word| word.parse::<u64>().ok()).expect("a number")
            };
            found.push((figure("Size:"), figure("Rss:")));
        }
        found
    }

    #[test]
    fn a_long_text_lies_in_a_file_without_a_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let shelf = Shelf::new(Some(folder.path()));
        let (text, length) = (long(), long().len());
        let kept = shelf.read(text.clone(), |text| text.slice(100..));
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0, "nobody can cut it short");
        assert_eq!(shelved(folder.path()), [(length as u64 >> 10, 0)], "read once, it takes no memory");
        assert_eq!(kept, text[100..]);
        assert!(shelved(folder.path())[0].1 > 0);
        assert_eq!(shelf.count.load(Ordering::Relaxed), 1);
        drop(kept);
        assert_eq!(shelved(folder.path()), []);
        assert_eq!(shelf.count.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_short_text_stays_where_it_is() {
        let shelf = Shelf::new(Some(Path::new("/nonexistent")));
        let text = long().slice(..LEAST_BYTES - 1);
        assert_eq!(shelf.read(text.clone(), |read| read.as_ptr()), text.as_ptr());
    }

    #[test]
    fn without_a_place_a_text_stays_where_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = long();
        let missing = Shelf::new(Some(&folder.path().join("missing")));
        assert_eq!(missing.read(text.clone(), |read| read.as_ptr()), text.as_ptr());
        let full = Shelf::new(Some(folder.path()));
        full.count.store(MOST_TEXTS, Ordering::Relaxed);
        assert_eq!(full.read(text.clone(), |read| read.as_ptr()), text.as_ptr());
        assert_eq!(full.count.load(Ordering::Relaxed), MOST_TEXTS);
        full.count.fetch_sub(1, Ordering::Relaxed);
        assert_ne!(full.read(text.clone(), |read| read.as_ptr()), text.as_ptr());
    }
}
