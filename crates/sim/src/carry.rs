//! Connections of the world: how they are made, what they carry, how they end.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use riverrun_metainfo::Block;
use riverrun_proto::mse::Cover;
use riverrun_proto::swarm::{CloseReason, Connected, ConnectionId, DialError, Input};
use riverrun_proto::wire::{Handshake, Message, Reserved};

use crate::host::{End, Host, HostId, Tenant};
use crate::manner::Manner;
use crate::queue::{Due, Event, Letters};
use crate::world::World;

/// How long a call waits for an answer.
const DIAL_TIMEOUT: Duration = Duration::from_secs(10);

impl World {
    /// A call has reached its address, where somebody listens or not.
    pub(crate) fn dialled(&mut self, from: HostId, addr: SocketAddr) {
        let to =
            Host::number_at(addr).filter(|to| self.hosts.get(*to).is_some_and(|host| host.up && host.addr == addr));
        let Some(to) = to.map(HostId) else {
            self.unanswered(from, addr, DialError::Refused);
            return;
        };
        if self.hosts[to.0].hidden || self.severed(from, to).is_some() {
            let error = DialError::Timeout;
            self.set(DIAL_TIMEOUT, from, Event::NoAnswer { addr, error });
            return;
        }
        if let Some(error) = self.fails(from, to) {
            self.unanswered(from, addr, error);
            return;
        }
        self.hosts[from.0].resident_mut().into_iter().for_each(|own| own.ledger.dialled(addr));
        let (near, far) = (ConnectionId(self.next_connection), ConnectionId(self.next_connection + 1));
        self.next_connection += 2;
        let reads = |host: &Host| !matches!(&host.tenant, Tenant::Stranger(stranger) if !stranger.manner().reads());
        let end = |world: &Self, host: HostId, connection| End {
            read: reads(&world.hosts[host.0]),
            ..End::new(host, connection, world.now)
        };
        let (to_end, from_end) = (end(self, to, far), end(self, from, near));
        self.hosts[from.0].ends.insert(near, to_end);
        self.hosts[to.0].ends.insert(far, from_end);
        let port = 40_000 + self.chance.below(20_000);
        let caller = SocketAddr::new(self.hosts[from.0].ip(), u16::try_from(port).expect("below 60,000"));
        let (ours, theirs) = (self.handshake(from, to), self.handshake(to, from));
        self.greet(from, Connected { connection: near, addr, incoming: false, handshake: theirs, cover: Cover::None });
        if self.hosts[to.0].ends.contains_key(&far) {
            self.greet(
                to,
                Connected { connection: far, addr: caller, incoming: true, handshake: ours, cover: Cover::None },
            );
        }
    }

    /// A call has ended without a connection.
    pub(crate) fn unanswered(&mut self, host: HostId, addr: SocketAddr, error: DialError) {
        self.hosts[host.0].resident_mut().into_iter().for_each(|own| own.ledger.dialled(addr));
        self.feed(host, Input::DialFailed { addr, error });
    }

    /// Why no connection comes about between the two, if so: one of them spoils the handshake.
    fn fails(&self, from: HostId, to: HostId) -> Option<DialError> {
        [to, from].into_iter().find_map(|host| match self.hosts[host.0].manner()? {
            Manner::Refuse(error) => Some(error),
            _ => None,
        })
    }

    /// What one host says to another when they meet.
    fn handshake(&self, from: HostId, to: HostId) -> Handshake {
        let (own, manner) = (&self.hosts[from.0], self.hosts[from.0].manner());
        let fast = own.fast && self.hosts[to.0].fast;
        let speaks = |host: HostId| self.hosts[host.0].manner().is_none_or(Manner::is_extended);
        let extended = speaks(from) && speaks(to);
        let mut peer_id = own.peer_id;
        match manner {
            Some(Manner::Mirror) => peer_id = self.hosts[to.0].peer_id,
            Some(Manner::Multitude(_)) => peer_id.0[..8].copy_from_slice(&self.next_connection.to_be_bytes()),
            _ => {}
        }
        let v2 = manner == Some(Manner::ClaimV2);
        Handshake {
            reserved: Reserved([
                0,
                0,
                0,
                0,
                0,
                if extended { 0x10 } else { 0 },
                0,
                if fast { 4 } else { 0 } | if v2 { 0x10 } else { 0 },
            ]),
            info_hash: self.torrent.hashes().wire(),
            peer_id,
        }
    }

    fn greet(&mut self, host: HostId, connected: Connected) {
        match &mut self.hosts[host.0].tenant {
            Tenant::Swarm(_) => self.feed(host, Input::Connected(connected)),
            Tenant::Stranger(stranger) => {
                let deeds = stranger.connected(connected.connection, connected.handshake.reserved.fast());
                self.perform(host, deeds);
            }
            // Nobody can call it.
            Tenant::Server(_) => {}
        }
    }

    /// Messages arrive.
    pub(crate) fn arrive(&mut self, host: HostId, connection: ConnectionId, letters: Letters, straight: bool) {
        let now = self.now;
        let Some(end) = self.hosts[host.0].ends.get_mut(&connection) else { return };
        end.heard = now;
        let from = end.host;
        if straight {
            if let Some(healed) = self.severed(host, from) {
                let life = self.hosts[host.0].life;
                self.queue.push(healed, Due { host, life, event: Event::Batch { connection, letters, straight } });
                return;
            }
            self.hosts[host.0].pipes.receive(self.now, weight(&letters));
        }
        let far = &self.hosts[from.0];
        let strict = far.resident().is_some() && far.fast && self.hosts[host.0].fast || far.is_web_server();
        match &mut self.hosts[host.0].tenant {
            Tenant::Swarm(resident) => {
                let mut result = Ok(());
                for message in &letters.messages {
                    match message {
                        Message::Piece(block) | Message::Reject(block) => {
                            let answered = resident.ledger.answered(connection, *block);
                            result = if strict { result.and(answered) } else { result };
                        }
                        Message::Choke if !strict => resident.ledger.choked(connection),
                        _ => {}
                    }
                }
                result.unwrap_or_else(|what| self.broken(host, what));
                self.feed_with(host, Input::Received { connection, messages: &letters.messages }, &letters);
            }
            Tenant::Stranger(stranger) => match stranger.heard(connection, letters.messages.into_iter(), strict) {
                Ok(deeds) => self.perform(host, deeds),
                Err(what) => self.broken(from, what),
            },
            Tenant::Server(_) => self.asked_server(host, connection, &letters),
        }
    }

    /// A connection has ended.
    pub(crate) fn ended(&mut self, host: HostId, connection: ConnectionId, reason: CloseReason) {
        let now = self.now;
        match &mut self.hosts[host.0].tenant {
            Tenant::Swarm(resident) => {
                resident.ledger.ended(connection);
                resident.ledger.web.ended(now, connection, &reason);
                self.feed(host, Input::Closed { connection, reason });
            }
            Tenant::Stranger(stranger) => stranger.ended(connection),
            Tenant::Server(server) => server.ended(connection),
        }
    }

    /// Messages have left their host: they travel, and who served a block may hand out more.
    pub(crate) fn left(&mut self, host: HostId, connection: ConnectionId, letters: Letters, served: Option<Block>) {
        let far = self.hosts[host.0].ends.get(&connection).map(|end| end.host);
        if let Some(healed) = far.and_then(|far| self.severed(host, far)) {
            // It is sent again and again until somebody hears it.
            let life = self.hosts[host.0].life;
            self.queue.push(healed, Due { host, life, event: Event::Left { connection, letters, served } });
            return;
        }
        self.hosts[host.0].ends.get_mut(&connection).into_iter().for_each(|end| end.leaving -= 1);
        self.travel(host, connection, letters);
        if let Some(block) = served {
            self.hosts[host.0].resident_mut().into_iter().for_each(|own| own.ledger.served(connection, block));
            self.feed(host, Input::Served { connection, blocks: &[block] });
            self.server_goes_on(host, connection, false);
        }
    }

    /// Ends a connection from this side; the other hears of it later.
    pub(crate) fn close(&mut self, host: HostId, connection: ConnectionId, reason: CloseReason) {
        self.end(host, connection, reason, CloseReason::Eof);
    }

    /// Ends a connection from this side, which sees `reason`; the other sees `theirs` later.
    pub(crate) fn end(&mut self, host: HostId, connection: ConnectionId, reason: CloseReason, theirs: CloseReason) {
        self.set(Duration::ZERO, host, Event::End { connection, reason });
        if let Some(end) = self.hosts[host.0].ends.remove(&connection) {
            let delay = self.hosts[host.0].pipes.delay(&mut self.chance) * 2;
            self.hosts[end.host.0].ends.remove(&end.connection);
            let gone = Event::End { connection: end.connection, reason: theirs };
            let heard = self.severed(host, end.host).unwrap_or(self.now) + delay;
            self.queue.push(heard, Due { host: end.host, life: self.hosts[end.host.0].life, event: gone });
        }
    }

    /// Hands messages to the host's own link. What serves no block, and has nothing before it on its connection that waits to leave,
    /// needs no event of its own to leave.
    pub(crate) fn post(&mut self, host: HostId, connection: ConnectionId, letters: Letters, served: Option<Block>) {
        let own = &mut self.hosts[host.0];
        let left = own.pipes.send(self.now, weight(&letters));
        let end = own.ends.get_mut(&connection);
        if served.is_none() && end.as_ref().is_none_or(|end| end.leaving == 0) {
            return self.fly(host, connection, letters, left);
        }
        end.into_iter().for_each(|end| end.leaving += 1);
        let event = Event::Left { connection, letters, served };
        self.queue.push(left, Due { host, life: own.life, event });
    }

    /// Carries what will have left a host at this moment to the other end. It is little: no queue at the far side keeps it, but it
    /// stays behind all that was sent before on its connection.
    fn fly(&mut self, host: HostId, connection: ConnectionId, letters: Letters, left: Instant) {
        let here = self.hosts[host.0].pipes.delay(&mut self.chance);
        let Some(end) = self.hosts[host.0].ends.get_mut(&connection) else { return };
        let (far, theirs) = (end.host, end.connection);
        let there = self.hosts[far.0].pipes.delay(&mut self.chance);
        let reached = left + here + there;
        let life = self.hosts[far.0].life;
        let Some(end) = self.hosts[host.0].ends.get_mut(&connection) else { return };
        end.last_arrival = end.last_arrival.max(reached);
        let event = Event::Batch { connection: theirs, letters, straight: true };
        self.queue.push(end.last_arrival, Due { host: far, life, event });
    }

    /// Carries what has just left a host to the other end.
    fn travel(&mut self, host: HostId, connection: ConnectionId, letters: Letters) {
        let here = self.hosts[host.0].pipes.delay(&mut self.chance);
        let Some(end) = self.hosts[host.0].ends.get(&connection) else { return };
        let (far, theirs, last) = (end.host, end.connection, end.last_arrival);
        if !self.hosts[far.0].ends.contains_key(&theirs) {
            return;
        }
        let there = self.hosts[far.0].pipes.delay(&mut self.chance);
        let reached = self.now + here + there;
        let arrival = self.hosts[far.0].pipes.receive(reached, weight(&letters)).max(last);
        self.hosts[host.0].ends.get_mut(&connection).into_iter().for_each(|end| end.last_arrival = arrival);
        let life = self.hosts[far.0].life;
        let event = Event::Batch { connection: theirs, letters, straight: false };
        self.queue.push(arrival, Due { host: far, life, event });
    }
}

/// Bytes of messages on the wire.
fn weight(letters: &Letters) -> u64 {
    letters.messages.iter().map(size).sum()
}

/// Bytes of a message on the wire.
pub(crate) fn size(message: &Message) -> u64 {
    match message {
        Message::Piece(block) => 13 + u64::from(block.length),
        Message::Bitfield(bits) => 5 + bits.len() as u64,
        Message::Extended { payload, .. } => 6 + payload.len() as u64,
        _ => 17,
    }
}
