//! What happened, as a stream.

use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;

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

/// Where a session's events go. A channel that nobody reads is never made.
#[derive(Debug)]
pub(crate) struct Announcements {
    backlog: usize,
    all: OnceLock<broadcast::Sender<Event>>,
    /// Without [`EventKind::PieceDone`]: who reads here is not woken for each piece.
    but_pieces: OnceLock<broadcast::Sender<Event>>,
}

impl Announcements {
    /// A reader may lag by so many events, at least one.
    pub(crate) fn new(backlog: usize) -> Self {
        Self { backlog: backlog.max(1), all: OnceLock::new(), but_pieces: OnceLock::new() }
    }

    pub(crate) fn send(&self, event: Event) {
        let is_piece = matches!(event.kind, EventKind::PieceDone(_));
        // Nobody listening is fine.
        if let Some(sender) = self.but_pieces.get().filter(|_| !is_piece) {
            let _ = sender.send(event.clone());
        }
        if let Some(sender) = self.all.get() {
            let _ = sender.send(event);
        }
    }

    /// What happens from now on, in one torrent or in all.
    pub(crate) fn all(&self, only: Option<TorrentId>) -> Events {
        self.read(&self.all, only)
    }

    /// The same without the pieces that are done.
    pub(crate) fn but_pieces(&self, only: Option<TorrentId>) -> Events {
        self.read(&self.but_pieces, only)
    }

    fn read(&self, channel: &OnceLock<broadcast::Sender<Event>>, only: Option<TorrentId>) -> Events {
        let sender = channel.get_or_init(|| broadcast::Sender::new(self.backlog));
        Events { receiver: sender.subscribe(), only }
    }
}

/// A stream of events. A slow reader loses the oldest and is told how many.
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<Event>,
    only: Option<TorrentId>,
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
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Context, Poll, Wake};

    use super::*;

    #[tokio::test]
    async fn a_slow_reader_is_told_how_much_it_missed() {
        let announcements = Announcements::new(4);
        let mut events = announcements.all(Some(TorrentId(1)));
        for number in 0..10u32 {
            let kind = EventKind::PieceDone(PieceIndex(number));
            announcements.send(Event { torrent: TorrentId(u64::from(number % 2)), kind });
        }
        assert!(matches!(events.next().await, Err(EventError::Lagged(6))));
        for expected in [7, 9] {
            let next = events.next().await.map(|event| event.kind);
            assert!(matches!(next, Ok(EventKind::PieceDone(PieceIndex(piece))) if piece == expected));
        }
        drop(announcements);
        assert!(matches!(events.next().await, Err(EventError::Closed)));
    }

    #[derive(Default)]
    struct Alarm(AtomicBool);
    impl Wake for Alarm {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[test]
    fn who_does_not_ask_for_pieces_is_not_woken_by_them() {
        let announcements = Announcements::new(4);
        announcements.send(Event { torrent: TorrentId(1), kind: EventKind::Added });
        assert!(announcements.all.get().is_none() && announcements.but_pieces.get().is_none(), "nobody reads");
        let mut events = announcements.but_pieces(None);
        let alarm = Arc::new(Alarm::default());
        let waker = alarm.clone().into();
        let cx = &mut Context::from_waker(&waker);
        let mut next = pin!(events.next());
        assert!(next.as_mut().poll(cx).is_pending());
        for number in 0..10 {
            let kind = EventKind::PieceDone(PieceIndex(number));
            announcements.send(Event { torrent: TorrentId(1), kind });
        }
        assert!(!alarm.0.load(Ordering::SeqCst));
        announcements.send(Event { torrent: TorrentId(1), kind: EventKind::Completed });
        assert!(alarm.0.load(Ordering::SeqCst));
        assert!(matches!(next.poll(cx), Poll::Ready(Ok(Event { kind: EventKind::Completed, .. }))));
    }
}
