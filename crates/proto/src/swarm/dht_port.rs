//! The PORT message: who has a node of the DHT tells the peers that have one too (BEP 5, BitTorrent Protocol Extension).

use std::net::SocketAddr;
use std::time::Instant;

use crate::swarm::conduct::Breach;
use crate::swarm::peer::Peer;
use crate::swarm::{Action, ConnectionId, Swarm};
use crate::wire::Message;

impl Swarm {
    /// Whether the DHT is spoken of in this swarm: never in a private one (BEP 27).
    fn dht_port(&self) -> Option<u16> {
        self.identity.dht_port.filter(|_| !self.candidates.is_private())
    }

    /// Tells a new peer of our node, if it has one too.
    pub(super) fn name_node(&mut self, peer: &Peer, theirs: bool) {
        if let Some(port) = self.dht_port().filter(|_| theirs) {
            self.out.send(peer.who.connection, Message::Port(port));
        }
    }

    /// A peer tells of its node. The first word counts: who names port after port has us knock at them all (THREATS D9).
    pub(super) fn named_node(&mut self, now: Instant, connection: ConnectionId, port: u16) -> Result<(), Breach> {
        let wanted = self.dht_port().is_some() && port != 0;
        let Some(peer) = self.peers.get_mut(&connection) else { return Ok(()) };
        if wanted && !std::mem::replace(&mut peer.conduct.named_node, true) {
            self.out.push(Action::Node(SocketAddr::new(peer.who.addr.ip().to_canonical(), port)));
            return Ok(());
        }
        peer.conduct.idle_message(now)
    }
}
