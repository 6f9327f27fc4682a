//! What happened, as a stream.

use std::net::{IpAddr, SocketAddr};

use riverrun_metainfo::PieceIndex;
use tokio::sync::broadcast;

use crate::{Phase, SharingEnd, TorrentError, TorrentId};

/// Something happened to a torrent.
#[derive(Clone, Debug)]
pub struct Event {
    /// Which.
    pub torrent: TorrentId,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EventKind {
    /// It was added.
    Added,
    /// It does something else from now on. (Progress of a check is no event.)
    Phase(Phase),
    /// Its metadata is here.
    Metadata,
    /// Metadata came from peers and failed its hash.
    MetadataCorrupt,
    /// A piece is verified and stored.
    PieceDone(PieceIndex),
    /// A piece failed its hash.
    PieceCorrupt(PieceIndex),
    /// A peer was proved to send bad data and is banned for the session.
    Banned(IpAddr),
    /// A web seed was proved to send bad data and is left alone for long.
    WebSeedBanned {
        /// Its URL, without user name and password.
        url: String,
    },
    /// A peer wants something of ours for the first time.
    Downloader(SocketAddr),
    /// A tracker answered.
    TrackerAnswered {
        /// Its URL, without user name and password.
        url: String,
        /// Peers in its answer.
        peers: usize,
    },
    /// A tracker did not help.
    TrackerFailed {
        /// Its URL, without user name and password.
        url: String,
        /// What it, or the network, said. Text of a stranger: escape before display.
        error: String,
        /// It said so itself (`failure reason`).
        refused: bool,
    },
    /// The disk failed; the torrent tries again by itself.
    StorageFailed(TorrentError),
    /// Everything wanted is here, synced and looked at once more.
    Completed,
    /// It has been shared for as long as its [`SeedLimits`](crate::SeedLimits) say, and is paused.
    /// [`Torrent::resume`](crate::Torrent::resume) shares it on, without an end.
    SharingEnded {
        /// Which of them was reached.
        reason: SharingEnd,
    },
    /// Files changed under us: these pieces are fetched again.
    PiecesLost(u32),
    /// It is gone from the session.
    Removed,
}

/// Why there is no next event.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EventError {
    /// The reader was slow and this many events were dropped; take a snapshot and read on.
    #[error("{0} events were dropped")]
    Lagged(u64),
    /// The session is gone.
    #[error("the session is stopped")]
    Closed,
}

/// A stream of events. A slow reader loses the oldest and is told how many.
#[derive(Debug)]
pub struct Events {
    pub(crate) receiver: broadcast::Receiver<Event>,
    pub(crate) only: Option<TorrentId>,
}

impl Events {
    /// The next event.
    ///
    /// # Errors
    /// Events were dropped, or the session is gone.
    pub async fn next(&mut self) -> Result<Event, EventError> {
        loop {
            match self.receiver.recv().await {
                Ok(event) if self.only.is_none_or(|only| only == event.torrent) => return Ok(event),
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(count)) => return Err(EventError::Lagged(count)),
                Err(broadcast::error::RecvError::Closed) => return Err(EventError::Closed),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_reader_is_told_how_much_it_missed() {
        let sender = broadcast::Sender::new(4);
        let mut events = Events { receiver: sender.subscribe(), only: Some(TorrentId(1)) };
        for number in 0..10u32 {
            let kind = EventKind::PieceDone(PieceIndex(number));
            assert!(sender.send(Event { torrent: TorrentId(u64::from(number % 2)), kind }).is_ok());
        }
        assert!(matches!(events.next().await, Err(EventError::Lagged(6))));
        for expected in [7, 9] {
            let next = events.next().await.map(|event| event.kind);
            assert!(matches!(next, Ok(EventKind::PieceDone(PieceIndex(piece))) if piece == expected));
        }
        drop(sender);
        assert!(matches!(events.next().await, Err(EventError::Closed)));
    }
}
