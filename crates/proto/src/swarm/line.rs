//! Who has an upload slot, and who stands in line for one: kept up to date with each change, so that nobody is looked for among
//! thousands.

use std::collections::BTreeSet;
use std::time::Instant;

use crate::swarm::ConnectionId;
use crate::swarm::on_demand::OnDemand;
use crate::swarm::peer::Peer;

/// The holders of slots and those who wait for one.
#[derive(Debug, Default)]
pub(super) struct Line {
    holders: OnDemand<BTreeSet<ConnectionId>>,
    /// By the moment since when they have none.
    waiting: OnDemand<BTreeSet<(Instant, ConnectionId)>>,
}

impl Line {
    /// Those who are not choked.
    pub(super) fn holders(&self) -> impl Iterator<Item = ConnectionId> {
        self.holders.iter().copied()
    }

    /// Who waits longest.
    pub(super) fn first(&self) -> Option<ConnectionId> {
        self.waiting.first().map(|(_, connection)| *connection)
    }

    /// To be called when a peer has begun or ceased to want something, or has been choked or unchoked: its place follows.
    pub(super) fn place(&mut self, peer: &Peer) {
        let connection = peer.who.connection;
        if !peer.up.choking {
            self.holders.need().insert(connection);
        } else if stands_in_line(peer) {
            self.waiting.need().insert((peer.up.turned, connection));
        } else {
            self.leave_the_line(peer);
        }
    }

    /// To be called when a peer leaves, and before it is choked or unchoked.
    pub(super) fn leave(&mut self, peer: &Peer) {
        if let Some(holders) = self.holders.made() {
            holders.remove(&peer.who.connection);
            self.holders.rest_if(BTreeSet::is_empty);
        }
        self.leave_the_line(peer);
    }

    fn leave_the_line(&mut self, peer: &Peer) {
        if let Some(waiting) = self.waiting.made() {
            waiting.remove(&(peer.up.turned, peer.who.connection));
            self.waiting.rest_if(BTreeSet::is_empty);
        }
    }

    /// Whether these are all peers, each in its place.
    #[cfg(test)]
    pub(super) fn is_of<'a>(&self, peers: impl Iterator<Item = &'a Peer>) -> bool {
        let mut truth = Self::default();
        peers.for_each(|peer| truth.place(peer));
        *truth.holders == *self.holders && *truth.waiting == *self.waiting
    }
}

/// Whether a peer wants something of ours. Who has everything can take nothing, whatever it says: it would hold a slot for nothing.
pub(super) fn wants(peer: &Peer) -> bool {
    peer.up.interested && !peer.pieces.is_all()
}

/// Who held a slot and took nothing gets none between two rounds (P29).
fn stands_in_line(peer: &Peer) -> bool {
    wants(peer) && !peer.up.thief
}
