//! The handle of one torrent.

use std::net::SocketAddr;
use std::path::PathBuf;

use riverrun_metainfo::{Bitfield, InfoHashes};
use riverrun_proto::swarm::PeerStatus;

use crate::{Events, TorrentError, TorrentStatus};

/// Names one torrent of a session; never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TorrentId(pub u64);

/// One torrent of a session. Cheap to clone; dropping it changes nothing.
#[derive(Clone, Debug)]
pub struct Torrent {}

impl Torrent {
    /// Its number in the session.
    #[must_use]
    pub fn id(&self) -> TorrentId {
        todo!("skeleton")
    }

    /// Its hashes.
    #[must_use]
    pub fn info_hashes(&self) -> InfoHashes {
        todo!("skeleton")
    }

    /// Where its content stands: the file, or the folder.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        todo!("skeleton")
    }

    /// How it is now.
    #[must_use]
    pub fn status(&self) -> TorrentStatus {
        todo!("skeleton")
    }

    /// Its connections.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerStatus> {
        todo!("skeleton")
    }

    /// The pieces that are verified and stored.
    #[must_use]
    pub fn have(&self) -> Bitfield {
        todo!("skeleton")
    }

    /// What happens in it from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        todo!("skeleton")
    }

    /// Waits until everything wanted is here, verified, synced and looked at once more.
    ///
    /// # Errors
    /// It ended before that; a full disk only does so with
    /// [`AddTorrent::fail_on_storage_error`](crate::AddTorrent::fail_on_storage_error).
    pub async fn completed(&self) -> Result<(), TorrentError> {
        todo!("skeleton")
    }

    /// Closes its connections and exchanges nothing until [`resume`](Self::resume).
    pub fn pause(&self) {}

    /// Exchanges again.
    pub fn resume(&self) {}

    /// Names peers to try.
    pub fn add_peers(&self, addrs: &[SocketAddr]) {
        let _ = addrs;
    }

    /// Asks its trackers now, as far as they allow.
    pub fn announce(&self) {}

    /// Hashes everything on disk again; the exchange rests meanwhile.
    pub fn check(&self) {}

    /// Asks for pieces in order, or not.
    pub fn set_sequential(&self, sequential: bool) {
        let _ = sequential;
    }

    /// Stops it, flushes, writes its resume record, tells its trackers, and takes it out of the session. Its files stay.
    pub async fn remove(&self) {}
}
