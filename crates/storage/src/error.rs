//! What can go wrong with bytes at rest.

use std::io;
use std::path::PathBuf;

/// Why bytes could not be stored or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The system said no.
    #[error("cannot {action} {path}", path = path.display())]
    Io {
        /// The verb: open, read, write, sync, ...
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}
