//! The first and the last moment of a connection: whether a peer is let in, what is said first, what its end leaves behind.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::limits;
use crate::mse::Cover;
use crate::swarm::extensions::Hello;
use crate::swarm::peer::Peer;
use crate::swarm::twins::Twins;
use crate::swarm::{Blame, CloseReason, Connected, ConnectionId, Source, Swarm, allowed_fast};
use crate::wire::Message;

/// Two connections between the same peers begun within this time are taken for both having dialled at once.
const AT_ONCE: Duration = Duration::from_secs(10);
/// A connection that was silent for so long is not held against a new one from the same peer.
const STALE: Duration = Duration::from_secs(60);

impl Swarm {
    /// A connection is ready: it is refused, or greeted with what we have.
    pub(super) fn connected(&mut self, now: Instant, connected: &Connected) {
        let came = self.twin(connected).map(|twin| twin.who.came);
        if let Some(reason) = self.refusal(now, connected) {
            self.turn_away(now, connected, reason);
            return;
        }
        let mut source = Source::Incoming;
        if !connected.incoming {
            source = self.candidates.connected(connected.addr, connected.connection, Source::Tracker);
            self.places.need().taken();
            self.candidates.set_takes_plaintext_alone(connected.addr, connected.cover == Cover::None);
        }
        let fast = connected.handshake.reserved.fast();
        let v2 = self.hashes.speaks_v2(connected);
        let mut peer = Peer::new(now, connected, source, fast, v2, self.progress.layout().piece_count());
        peer.who.came = came.unwrap_or(now);
        peer.up.shown = self.superseed_met(now);
        self.greet(&peer);
        self.name_node(&peer, connected.handshake.reserved.dht());
        self.twins.need().begins(&peer.who);
        self.places.need().parties.begins(&peer.who);
        self.peers.insert(connected.connection, peer);
        self.pex_list(connected.connection);
        self.requests.awake(&self.progress, &self.hashes, self.peers.values().map(|peer| &peer.pieces), &mut self.rng);
        self.timers.tick_by(now + Self::TICK);
        self.plan_turnover(now);
        self.timers.dial_changed = true;
    }

    /// Why this connection may not stay, if so. A connection that has to give way to it is closed.
    fn refusal(&mut self, now: Instant, new: &Connected) -> Option<CloseReason> {
        if self.paused {
            return Some(CloseReason::Stopped);
        }
        if new.handshake.peer_id == self.identity.peer_id {
            return Some(CloseReason::Myself);
        }
        if self.blame.is_banned(new.addr.ip()) {
            return Some(CloseReason::Banned);
        }
        match self.twin(new).map(|peer| (peer.who.connection, self.keeps(now, peer, new))) {
            Some((_, true)) => return Some(CloseReason::Duplicate),
            Some((old, false)) => self.close(now, old, CloseReason::Duplicate),
            None => {}
        }
        if self.has_place(new) {
            return None;
        }
        if self.make_place(now, new) { None } else { Some(CloseReason::TooMany) }
    }

    /// The connection that there is to the same peer already.
    fn twin(&self, new: &Connected) -> Option<&Peer> {
        self.peers.get(&self.twins.of(new.handshake.peer_id, new.addr)?)
    }

    /// Which of two connections to one peer stays. Both sides decide alike: of two dialled at once that one which the peer
    /// with the higher id dialled, else the older.
    fn keeps(&self, now: Instant, old: &Peer, new: &Connected) -> bool {
        let since = |moment| now.saturating_duration_since(moment);
        if old.who.incoming != new.incoming && since(old.who.since) < AT_ONCE {
            let ours_stays = self.identity.peer_id > new.handshake.peer_id;
            return old.who.incoming != ours_stays;
        }
        since(old.heard) < STALE
    }

    fn turn_away(&mut self, now: Instant, connected: &Connected, reason: CloseReason) {
        let Connected { connection, addr, incoming, .. } = *connected;
        if !incoming {
            self.candidates.connected(addr, connection, Source::Tracker);
            match reason {
                CloseReason::Myself => self.candidates.is_ourselves(addr),
                CloseReason::Banned => self.candidates.remove(addr),
                CloseReason::Duplicate => {
                    let twin = self.twins.with_id(connected.handshake.peer_id);
                    if let Some(twin) = twin.and_then(|twin| self.peers.get_mut(&twin)) {
                        twin.who.listens = Some(addr);
                        let twin = twin.who.connection;
                        self.candidates.connected(addr, twin, Source::Tracker);
                        self.pex_list(twin);
                    } else {
                        self.candidates.closed(now, addr, connection, false, false);
                    }
                }
                _ => self.candidates.closed(now, addr, connection, false, false),
            }
            self.timers.dial_changed = true;
        }
        self.out.close(connection, reason);
    }

    /// The first messages: what we have (BEP 6: exactly one of three; BEP 3: a bitfield unless it is empty), then the
    /// extended handshake (BEP 10).
    fn greet(&mut self, peer: &Peer) {
        let connection = peer.who.connection;
        let have = self.progress.have();
        let told = if peer.up.shown.is_some() { 0 } else { self.progress.have_pieces() };
        let first = match (peer.who.fast, told) {
            (true, 0) => Some(Message::HaveNone),
            (false, 0) => None,
            (true, _) if self.progress.is_complete() => Some(Message::HaveAll),
            _ => Some(Message::Bitfield(Bytes::from(have.to_wire()))),
        };
        first.into_iter().for_each(|message| self.out.send(connection, message));
        if peer.extensions.spoken {
            self.out.send(connection, self.hello().to_message(peer.who.addr.ip()));
        }
    }

    /// What we say of ourselves now.
    pub(super) fn hello(&self) -> Hello {
        Hello {
            port: self.identity.listen_port,
            // Who is shown one piece is not to believe that nothing more will come.
            upload_only: self.progress.is_finished() && !self.superseed.is_active(),
            metadata_size: self.serving.size(),
            pex: self.contacts.is_on(),
            prefers_encryption: self.identity.encryption.is_wished(),
            named: self.identity.peer_id.names_us(),
        }
    }

    /// A peer that is far behind gets pieces that it may ask for while choked (BEP 6), of those that we have.
    pub(super) fn allow_fast(&mut self, connection: ConnectionId) {
        // The sets of two peers have pieces in common, and the first copy is to have each piece once.
        if self.progress.is_complete() && self.requests.strategy.first_copy && !self.first_copy.is_over() {
            return;
        }
        let Some(peer) = self.peers.get_mut(&connection) else { return };
        let behind = (peer.pieces.count() as usize) < limits::MAX_ALLOWED_FAST;
        let Some(ip) =
            allowed_fast::ipv4(peer.who.addr.ip()).filter(|_| peer.who.fast && behind && peer.up.shown.is_none())
        else {
            return;
        };
        let pieces = self.progress.layout().piece_count();
        let set = allowed_fast::allowed_fast(ip, self.identity.info_hash, pieces, limits::MAX_ALLOWED_FAST);
        let had = set.into_iter().filter(|piece| self.progress.have().has(*piece) && !peer.pieces.has(*piece));
        peer.up.allowed_fast = had.collect();
        for piece in &peer.up.allowed_fast {
            self.out.send(connection, Message::AllowedFast(*piece));
        }
    }

    /// Ends a connection.
    pub(super) fn close(&mut self, now: Instant, connection: ConnectionId, reason: CloseReason) {
        if self.peers.contains_key(&connection) {
            self.out.close(connection, reason.clone());
            self.closed(now, connection, &reason);
        }
    }

    /// A connection has ended, or will at once: all that hung on it is given back.
    pub(super) fn closed(&mut self, now: Instant, connection: ConnectionId, reason: &CloseReason) {
        let Some(mut peer) = self.peers.remove(&connection) else { return };
        self.twins.need().ends(&peer.who);
        self.twins.rest_if(Twins::is_empty);
        self.places.need().parties.ends(&peer.who);
        self.places.rest_if(|places| places.parties.is_empty());
        self.line.leave(&peer);
        tracing::debug!(connection = connection.0, ?reason, "connection ends");
        self.pex_unlist(now, &peer);
        self.web_seed_closed(now, &peer, reason);
        self.superseed_closed(&peer);
        self.hashes.closed(&peer);
        self.first_copy.unserved(connection);
        self.requests.closed(&mut peer, &self.progress, &mut self.blame, now);
        if let Some(beginning) = &mut self.beginning {
            beginning.closed(connection);
        }
        if let Some(picker) = &mut self.requests.picker {
            picker.availability().remove_peer(&peer.pieces);
        }
        if let Some(addr) = peer.who.listens {
            let good = peer.down.rate.total() + peer.up.rate.total() > 0;
            let failed = match reason.blame() {
                Blame::Them => true,
                Blame::Network => !good,
                Blame::Us => false,
            };
            self.candidates.set_seed(addr, peer.pieces.is_all() || peer.extensions.upload_only);
            self.candidates.closed(now, addr, connection, good && reason.blame() != Blame::Them, failed);
        }
        if self.peers.is_empty() {
            self.requests.sleep();
        }
        self.timers.dial_changed = true;
        self.grant_slots(now);
    }
}
