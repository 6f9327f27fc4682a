//! What can go wrong in a session.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use riverrun_metainfo::magnet::MagnetError;
use riverrun_metainfo::metainfo::MetainfoError;
use riverrun_metainfo::{InfoHashes, PieceIndex};
use riverrun_storage::StorageError;

use crate::InterfaceError;

/// Why a session did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The interface cannot be used.
    #[error(transparent)]
    Interface(#[from] InterfaceError),
    /// The system gives no random bytes.
    #[error("no random bytes from the system")]
    Random,
    /// The state folder cannot be used.
    #[error("cannot use the state folder {path}", path = path.display())]
    StateDir {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Why a torrent was not added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// It is no torrent, or none that can be used.
    #[error(transparent)]
    Metainfo(#[from] MetainfoError),
    /// It is no magnet link that can be used.
    #[error(transparent)]
    Magnet(#[from] MagnetError),
    /// The session has this torrent already. A magnet link has brought it its peers.
    #[error("the torrent is there already")]
    Duplicate(InfoHashes),
    /// A file that is wanted is not in the torrent.
    #[error("the torrent has no file {0}")]
    NoSuchFile(usize),
    /// Nobody knows its files yet: its metadata is not here, or its place is not decided.
    #[error("the files of the torrent are not known yet")]
    NoMetadata,
    /// The path for a torrent of one file does not end in a name that a file can have.
    #[error("{} is no path for a file", path.display())]
    BadPath {
        /// The path.
        path: PathBuf,
    },
    /// Its files cannot be opened.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The session is shutting down.
    #[error("the session is stopped")]
    Stopped,
}

/// Why a torrent ended before it was complete.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TorrentError {
    /// The disk failed.
    #[error(transparent)]
    Storage(Arc<StorageError>),
    /// Something stands in the place of a file that is wanted and was not before, and no piece of it is right. Nothing was written.
    #[error("{path} exists and is something else", path = path.display())]
    Occupied {
        /// The first file that is in the way.
        path: PathBuf,
        /// The pieces of that file, of which none is right.
        pieces: u32,
    },
    /// The torrent is read-only and its content is damaged or missing.
    #[error("{bad} of {pieces} pieces are damaged or missing")]
    Incomplete {
        /// Pieces that are damaged or missing.
        bad: u32,
        /// The pieces of the torrent.
        pieces: u32,
    },
    /// The metadata that the info-hash stands for is no torrent that can be used.
    #[error("the metadata is no torrent that can be used")]
    Metadata(#[source] Arc<MetainfoError>),
    /// The metadata came, and the torrent could not be added with it.
    #[error(transparent)]
    NotOpened(Arc<AddError>),
    /// The metadata shows that the session has this torrent already, under its other hash.
    #[error("the torrent is there already")]
    Duplicate,
    /// The torrent is read-only, and nobody here can say whether its content is right: its piece layers are missing (BEP 52).
    #[error("{unknown} of {pieces} pieces cannot be judged: the torrent lacks their hashes (\"piece layers\")")]
    NoHashes {
        /// Pieces whose hashes are not known.
        unknown: u32,
        /// The pieces of the torrent.
        pieces: u32,
    },
    /// A piece has the right v1 hash and the wrong v2 hash, or the other way round: no data can be right for this torrent (BEP 52).
    #[error("piece {0} cannot be right: the torrent has inconsistent hashes")]
    Inconsistent(PieceIndex),
    /// Its metadata is not here yet.
    #[error("the metadata is not here yet")]
    NoMetadata,
    /// A file that is asked for is not in it, or is padding.
    #[error("the torrent has no file {0}")]
    NoSuchFile(usize),
    /// It was stopped or removed, or its session was shut down.
    #[error("the torrent is stopped")]
    Stopped,
}
