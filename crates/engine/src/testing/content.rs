//! Content that is the same on every machine.

use std::io;
use std::path::Path;

/// Fills a buffer with bytes that depend on the seed alone and do not compress.
pub fn fill(seed: u64, into: &mut [u8]) {
    fastrand::Rng::with_seed(seed).fill(into);
}

/// A folder or file of made-up bytes, and the torrent of it.
#[derive(Clone, Debug)]
pub struct Content {
    /// The name of the file, or of the folder.
    pub name: String,
    /// Path under the folder and bytes of each file; one entry with an empty path is a torrent of one file.
    pub files: Vec<(String, Vec<u8>)>,
}

impl Content {
    /// One file.
    #[must_use]
    pub fn file(name: &str, seed: u64, length: usize) -> Self {
        let mut bytes = vec![0; length];
        fill(seed, &mut bytes);
        Self { name: name.into(), files: vec![(String::new(), bytes)] }
    }

    /// A folder of files with these paths (parts divided by `/`) and lengths.
    #[must_use]
    pub fn folder<'a>(name: &str, seed: u64, files: impl IntoIterator<Item = (&'a str, usize)>) -> Self {
        let files = files.into_iter().zip(seed..).map(|((path, length), seed)| {
            let mut bytes = vec![0; length];
            fill(seed, &mut bytes);
            (path.to_owned(), bytes)
        });
        Self { name: name.into(), files: files.collect() }
    }

    /// The length of all files together, in bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.files.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }

    /// Writes the content into a folder, under its name.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write_into(&self, dir: &Path) -> io::Result<()> {
        let root = dir.join(&self.name);
        for (path, bytes) in &self.files {
            let path = if path.is_empty() { root.clone() } else { root.join(path) };
            std::fs::create_dir_all(path.parent().unwrap_or(dir))?;
            std::fs::write(path, bytes)?;
        }
        Ok(())
    }

    /// Whether a folder holds exactly these bytes under the content's name; if not, the first path that differs.
    ///
    /// # Errors
    /// The path of the first file that is missing or differs.
    pub fn compare(&self, dir: &Path) -> Result<(), String> {
        let root = dir.join(&self.name);
        for (path, bytes) in &self.files {
            let path = if path.is_empty() { root.clone() } else { root.join(path) };
            if std::fs::read(&path).ok().as_deref() != Some(bytes.as_slice()) {
                return Err(path.display().to_string());
            }
        }
        Ok(())
    }
}
