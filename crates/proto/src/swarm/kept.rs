//! How much a swarm keeps of what grows with the will of strangers, in numbers that can be held against their limits at any time.

use crate::swarm::{ConnectionId, Swarm};

/// What is kept of all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Kept {
    /// Connections, web seeds aside: at most what the owner allows.
    pub connections: usize,
    /// Candidates: at most [`MAX_CANDIDATES`](crate::limits::MAX_CANDIDATES), and those that the user named.
    pub candidates: usize,
    /// Pieces that are begun and not had: never one that is had, so at most those that are missing.
    pub partial_pieces: usize,
    /// Requests outstanding to all peers that are still wanted.
    pub outstanding: usize,
}

/// What is kept of one peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct KeptOfPeer {
    /// Its requests that wait to be served: at most [`MAX_QUEUED_REQUESTS`](crate::limits::MAX_QUEUED_REQUESTS).
    pub queued: usize,
    /// Our requests that it has not answered, those that were taken back among them (BEP 6): at most
    /// [`MAX_REQQ`](crate::limits::MAX_REQQ).
    pub asked: usize,
}

impl Swarm {
    /// What is kept now. It costs nothing that grows with the swarm.
    #[must_use]
    pub fn kept(&self) -> Kept {
        Kept {
            connections: self.connections(),
            candidates: self.candidates.len(),
            partial_pieces: self.requests.partials.len(),
            outstanding: self.requests.outstanding,
        }
    }

    /// What is kept of one peer now; `None` if there is no such connection.
    #[must_use]
    pub fn kept_of(&self, connection: ConnectionId) -> Option<KeptOfPeer> {
        let peer = self.peers.get(&connection)?;
        Some(KeptOfPeer { queued: peer.up.queue.waiting(), asked: peer.down.pipeline.len() })
    }

    /// Our requests that this peer is to answer and that are still wanted: so many blocks are to come from it, if it does as it should.
    #[must_use]
    pub fn wanted_of(&self, connection: ConnectionId) -> usize {
        self.peers.get(&connection).map_or(0, |peer| peer.down.pipeline.live())
    }
}
