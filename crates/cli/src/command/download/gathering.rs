//! Torrents that are named by a magnet link or a hash, until their metadata is here.

use std::sync::Arc;
use std::time::Instant;

use riverrun::metainfo::Metainfo;
use riverrun::{Torrent, TorrentError, TorrentStatus};
use tokio::task::JoinSet;

use super::patience::Patience;
use crate::failure::Failure;
use crate::torrent_source::Link;

/// How the search for the metadata of one of several torrents ended.
pub(crate) type Found = (usize, Result<Arc<Metainfo>, TorrentError>);

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    torrents: Vec<Waiting>,
    ends: JoinSet<Found>,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// The argument that named it.
    pub(crate) input: String,
    pub(crate) link: Link,
    pub(crate) torrent: Torrent,
    pub(crate) patience: Patience,
    /// The metadata is here, or nobody waits for it any more.
    ended: bool,
}

impl Gathering {
    /// One more.
    pub(crate) fn push(&mut self, input: String, link: Link, torrent: Torrent) {
        let (index, waits) = (self.torrents.len(), torrent.clone());
        self.ends.spawn(async move { (index, waits.metadata().await) });
        self.torrents.push(Waiting { input, link, torrent, patience: Patience::new(Instant::now()), ended: false });
    }

    pub(crate) fn is_over(&self) -> bool {
        self.torrents.iter().all(|waiting| waiting.ended)
    }

    /// The next whose metadata is here or will never be; waits for ever if there is none.
    pub(crate) async fn next(&mut self) -> Result<Found, Failure> {
        match self.ends.join_next().await {
            Some(end) => end.map_err(|error| Failure::internal(error.to_string())),
            None => std::future::pending().await,
        }
    }

    /// Ends the wait for one; `None` if it had ended before.
    pub(crate) fn end(&mut self, index: usize) -> Option<&Waiting> {
        let waiting = self.torrents.get_mut(index).filter(|waiting| !waiting.ended)?;
        waiting.ended = true;
        Some(waiting)
    }

    /// Those that wait, with their places.
    pub(crate) fn waiting(&mut self) -> impl Iterator<Item = (usize, &mut Waiting)> {
        self.torrents.iter_mut().enumerate().filter(|(_, waiting)| !waiting.ended)
    }

    pub(crate) fn statuses(&self) -> impl Iterator<Item = TorrentStatus> + '_ {
        self.torrents.iter().filter(|waiting| !waiting.ended).map(|waiting| waiting.torrent.status())
    }
}
