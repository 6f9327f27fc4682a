//! What goes into a host, and what is done of what it wants.

use std::time::Duration;

use riverrun_metainfo::Block;
use riverrun_proto::swarm::{Action, CloseReason, Command, ConnectionId, Event as Told, Input};
use riverrun_proto::wire::Message;

use crate::checkers;
use crate::host::{Host, HostId, Tenant};
use crate::queue::{Due, Event, Letters};
use crate::stranger::Deed;
use crate::world::World;

impl World {
    /// The owner of a swarm wants something.
    pub fn command(&mut self, host: HostId, command: Command) {
        self.feed(host, Input::Command(command));
    }

    pub(crate) fn wake(&mut self, host: HostId) {
        let now = self.now;
        let Host { tenant, ends, .. } = &mut self.hosts[host.0];
        match tenant {
            Tenant::Swarm(resident) => {
                resident.wakes_at = None;
                if resident.swarm.next_timeout().is_some_and(|at| at <= now) {
                    let result = resident
                        .ledger
                        .woke(now)
                        .and_then(|()| checkers::all_within_limits(resident, ends.keys().copied()));
                    result.unwrap_or_else(|what| self.broken(host, what));
                    self.feed(host, Input::Timeout);
                } else {
                    self.set_wake(host);
                }
            }
            Tenant::Stranger(stranger) => {
                let deeds = stranger.wake(&mut self.chance);
                let period = stranger.manner().period();
                self.perform(host, deeds);
                period.into_iter().for_each(|period| self.set(period, host, Event::Wake));
            }
            Tenant::Server(_) => {}
        }
    }

    /// Feeds a swarm and does what it wants.
    pub(crate) fn feed(&mut self, host: HostId, input: Input<'_>) {
        self.feed_with(host, input, &Letters::default());
    }

    /// The same with messages that came.
    pub(crate) fn feed_with(&mut self, host: HostId, input: Input<'_>, came: &Letters) {
        let now = self.now;
        let Some(resident) = self.hosts[host.0].resident_mut() else { return };
        resident.swarm.handle(now, input);
        let mut sent = Sent::default();
        while let Some(action) = self.hosts[host.0].resident_mut().and_then(|own| own.swarm.poll()) {
            match action {
                Action::Send { connection, message } => {
                    self.note(host, connection, &message);
                    sent.to(connection).push(message);
                }
                other => self.act(host, other, came, &mut sent),
            }
        }
        for (connection, letters) in sent.0 {
            self.post(host, connection, letters, None);
        }
        self.set_wake(host);
    }

    fn act(&mut self, host: HostId, action: Action, came: &Letters, sent: &mut Sent) {
        let now = self.now;
        match action {
            Action::Dial { addr, .. } => {
                let own = self.hosts[host.0].resident_mut();
                let result = own.map_or(Ok(()), |own| own.ledger.dials(now, addr));
                result.unwrap_or_else(|what| self.broken(host, what));
                let delay = self.hosts[host.0].pipes.delay(&mut self.chance) * 4;
                self.set(delay, host, Event::Dial { addr });
            }
            Action::Store { nth, block, .. } => {
                let resident = self.hosts[host.0].resident_mut();
                resident.into_iter().for_each(|own| own.disk.store(now, block, came.content(nth)));
                self.look_for_room(host);
            }
            Action::Verify { piece, digests } => {
                let took = Duration::from_micros(u64::from(1000 + self.chance.below(4000)));
                let waits = self.hosts[host.0].resident().map_or(Duration::ZERO, |own| own.disk.waits(now));
                self.set(waits + took, host, Event::Judged { piece, digests });
            }
            Action::Serve { connection, block } => self.serve(host, connection, block),
            Action::Close { connection, reason } => {
                if let Some(letters) = sent.take(connection) {
                    self.post(host, connection, letters, None);
                }
                self.close(host, connection, reason);
            }
            // Every torrent of a world is known from the start.
            Action::JudgeMetadata { .. } => {}
            Action::Node(_) => {}
            Action::OpenWebSeed(seed) => self.wants_web_seed(host, seed),
            Action::NeedPeers => self.set(Duration::from_millis(200), host, Event::Tracker),
            Action::Event(event) => {
                if let Told::Banned(address) = event {
                    let result = checkers::ban_is_just(address, &self.liars);
                    result.unwrap_or_else(|what| self.broken(host, what));
                }
                if let Told::WebSeedBanned(seed) = event {
                    let result = self.web_ban_is_just(host, seed);
                    result.unwrap_or_else(|what| self.broken(host, what));
                }
                self.hosts[host.0].resident_mut().into_iter().for_each(|own| own.events.push(event.clone()));
            }
            Action::Send { .. } => {}
        }
    }

    fn note(&mut self, host: HostId, connection: ConnectionId, message: &Message) {
        let Some(resident) = self.hosts[host.0].resident_mut() else { return };
        let result = match message {
            Message::Request(block) => {
                resident.requests += 1;
                resident.ledger.asks(connection, *block)
            }
            Message::Extended { id, .. } => resident.ledger.extends(*id),
            _ => Ok(()),
        };
        result.unwrap_or_else(|what| self.broken(host, what));
    }

    fn serve(&mut self, host: HostId, connection: ConnectionId, block: Block) {
        let result = self.hosts[host.0].resident_mut().map_or(Ok(()), |own| own.ledger.serves(connection, block));
        result.unwrap_or_else(|what| self.broken(host, what));
        let Some(end) = self.hosts[host.0].ends.get_mut(&connection) else { return };
        if end.read {
            let letters = Letters::block(block, self.torrent.content(block));
            self.post(host, connection, letters, Some(block));
        } else {
            // Whoever does not read keeps the block from leaving.
            end.unread.push_back(block);
        }
    }

    /// A stranger takes one block off the socket: it leaves whoever sent it.
    fn read_one(&mut self, host: HostId, connection: ConnectionId) {
        let Some((far, theirs)) = self.hosts[host.0].ends.get(&connection).map(|end| (end.host, end.connection)) else {
            return;
        };
        let end = self.hosts[far.0].ends.get_mut(&theirs);
        if let Some(block) = end.and_then(|end| end.unread.pop_front()) {
            let letters = Letters::block(block, self.torrent.content(block));
            self.post(far, theirs, letters, Some(block));
        }
    }

    /// Does what a stranger wants.
    pub(crate) fn perform(&mut self, host: HostId, deeds: Vec<Deed>) {
        let mut sent = Sent::default();
        for deed in deeds {
            match deed {
                Deed::Say(connection, message) => sent.to(connection).push(message),
                Deed::Give(connection, block, right) => {
                    let content = if right { self.torrent.content(block) } else { self.chance.any() };
                    sent.to(connection).push_block(block, content);
                }
                Deed::Read(connection) => self.read_one(host, connection),
                Deed::Close(connection, reason) => {
                    if let Some(letters) = sent.take(connection) {
                        self.post(host, connection, letters, None);
                    }
                    self.end(host, connection, CloseReason::Eof, reason);
                }
            }
        }
        for (connection, letters) in sent.0 {
            self.post(host, connection, letters, None);
        }
    }

    /// Sets a wake-up for the swarm's next timer, unless an earlier one is set.
    fn set_wake(&mut self, host: HostId) {
        let life = self.hosts[host.0].life;
        let Some(resident) = self.hosts[host.0].resident_mut() else { return };
        let Some(next) = resident.swarm.next_timeout() else { return };
        if resident.wakes_at.is_none_or(|set| next < set) {
            resident.wakes_at = Some(next);
            self.queue.push(next.max(self.now), Due { host, life, event: Event::Wake });
        }
    }
}

/// What is said at once, by connection, in their order.
#[derive(Default)]
struct Sent(Vec<(ConnectionId, Letters)>);

impl Sent {
    /// What is said on this connection.
    fn to(&mut self, connection: ConnectionId) -> &mut Letters {
        let place = self.0.binary_search_by_key(&connection, |(to, _)| *to).unwrap_or_else(|place| {
            self.0.insert(place, (connection, Letters::default()));
            place
        });
        &mut self.0[place].1
    }

    fn take(&mut self, connection: ConnectionId) -> Option<Letters> {
        let place = self.0.binary_search_by_key(&connection, |(to, _)| *to).ok()?;
        Some(self.0.remove(place).1)
    }
}
