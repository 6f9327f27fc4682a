//! The session: all torrents of a program, and what they share.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use riverrun_metainfo::InfoHashes;

use crate::{AddError, AddTorrent, Events, Settings, StartError, Torrent};

/// All torrents of a program with the listeners, disk threads and budgets that they share. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Session {}

/// Starts a session.
#[derive(Clone, Debug, Default)]
pub struct SessionBuilder {
    settings: Settings,
}

/// A snapshot of a session.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SessionStatus {
    /// Torrents.
    pub torrents: usize,
    /// Connections whose handshakes are done.
    pub connections: usize,
    /// Incoming connections whose handshakes are not done.
    pub handshakes: usize,
    /// Connections being opened.
    pub dials: usize,
    /// Incoming connections that were dropped in favour of others.
    pub handshakes_dropped: u64,
    /// Bytes received from peers, protocol included.
    pub down_bytes: u64,
    /// Bytes sent to peers, protocol included.
    pub up_bytes: u64,
    /// The share of the block memory in use, 0 to 1.
    pub memory_used: f32,
}

impl SessionBuilder {
    /// Uses these settings in place of all that was set so far.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Listens here and nowhere else; port 0 takes a free one.
    #[must_use]
    pub fn listen(mut self, addrs: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.settings.listen = addrs.into_iter().collect();
        self
    }

    /// Keeps resume records in this folder, which is made if it is missing.
    #[must_use]
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.settings.state_dir = Some(dir.into());
        self
    }

    /// The most bytes a second from peers; `None` is no limit.
    #[must_use]
    pub fn down_limit(mut self, limit: Option<u64>) -> Self {
        self.settings.down_limit = limit;
        self
    }

    /// The most bytes a second to peers; `None` is no limit.
    #[must_use]
    pub fn up_limit(mut self, limit: Option<u64>) -> Self {
        self.settings.up_limit = limit;
        self
    }

    /// The most connections at once over all torrents.
    #[must_use]
    pub fn max_connections(mut self, max: usize) -> Self {
        self.settings.max_connections = max;
        self
    }

    /// Starts the session on the tokio runtime that this is called from.
    ///
    /// # Errors
    /// An address cannot be listened on, or the state folder cannot be used.
    pub async fn start(self) -> Result<Session, StartError> {
        todo!("skeleton")
    }
}

impl Session {
    /// A session with the default settings, to be changed before it starts.
    #[must_use]
    pub fn builder() -> SessionBuilder {
        SessionBuilder::default()
    }

    /// Adds a torrent and begins: checks what is there, then exchanges.
    ///
    /// # Errors
    /// The source is no torrent or is here already, or its files cannot be opened.
    pub async fn add(&self, torrent: AddTorrent) -> Result<Torrent, AddError> {
        let _ = torrent;
        todo!("skeleton")
    }

    /// The torrents, in the order they were added.
    #[must_use]
    pub fn torrents(&self) -> Vec<Torrent> {
        todo!("skeleton")
    }

    /// The torrent with these hashes.
    #[must_use]
    pub fn find(&self, hashes: InfoHashes) -> Option<Torrent> {
        let _ = hashes;
        todo!("skeleton")
    }

    /// Where it listens, with real ports; the first is the one trackers are told.
    #[must_use]
    pub fn listen_addrs(&self) -> Vec<SocketAddr> {
        todo!("skeleton")
    }

    /// What happens in all torrents from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        todo!("skeleton")
    }

    /// How things are now.
    #[must_use]
    pub fn status(&self) -> SessionStatus {
        todo!("skeleton")
    }

    /// Changes the rate limits, in bytes a second; `None` is no limit.
    pub fn set_limits(&self, down: Option<u64>, up: Option<u64>) {
        let _ = (down, up);
    }

    /// Stops: accepts nobody, closes connections, flushes, writes resume records and tells trackers, all within `patience`.
    /// True if all of it was done in time. Later calls do nothing.
    pub async fn shutdown(&self, patience: Duration) -> bool {
        let _ = patience;
        todo!("skeleton")
    }
}
