//! Seeders and a tracker in this process.

use std::io;
use std::path::Path;

use super::{Content, Tracker};
use crate::Session;

/// How to start a [`LocalSwarm`].
#[derive(Clone, Debug)]
pub struct LocalSwarmBuilder {
    content: Content,
    seeders: usize,
    parts: bool,
    up_limit: Option<u64>,
}

/// A tracker and seeders on loopback, each a session of its own with a folder of its own. All stop when it is dropped.
#[derive(Debug)]
pub struct LocalSwarm {}

impl LocalSwarm {
    /// A swarm that shares this content, one seeder to begin with.
    #[must_use]
    pub fn of(content: Content) -> LocalSwarmBuilder {
        LocalSwarmBuilder { content, seeders: 1, parts: false, up_limit: None }
    }

    /// The bytes of the .torrent file, which names the tracker.
    #[must_use]
    pub fn torrent(&self) -> Vec<u8> {
        todo!("skeleton")
    }

    /// The content.
    #[must_use]
    pub fn content(&self) -> &Content {
        todo!("skeleton")
    }

    /// The tracker.
    #[must_use]
    pub fn tracker(&self) -> &Tracker {
        todo!("skeleton")
    }

    /// The seeders' sessions.
    #[must_use]
    pub fn seeders(&self) -> &[Session] {
        todo!("skeleton")
    }

    /// An empty folder inside the swarm's own, for a downloader; removed with the swarm.
    #[must_use]
    pub fn dir(&self) -> &Path {
        todo!("skeleton")
    }
}

impl LocalSwarmBuilder {
    /// This many seeders.
    #[must_use]
    pub fn seeders(mut self, seeders: usize) -> Self {
        self.seeders = seeders;
        self
    }

    /// Each seeder has only a part of the pieces; all together have every piece.
    #[must_use]
    pub fn parts(mut self, parts: bool) -> Self {
        self.parts = parts;
        self
    }

    /// Each seeder sends at most this many bytes a second.
    #[must_use]
    pub fn up_limit(mut self, limit: Option<u64>) -> Self {
        self.up_limit = limit;
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// Loopback or the folder for temporary files cannot be used.
    pub async fn start(self) -> io::Result<LocalSwarm> {
        let _ = (self.content, self.seeders, self.parts, self.up_limit);
        todo!("skeleton")
    }
}
