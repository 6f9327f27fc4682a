//! What befalls hosts: crashes and new starts, networks that part, connections that break, hosts that go for good, disks that are
//! slow or full.

use std::time::{Duration, Instant};

use riverrun_proto::swarm::{CloseReason, Input, Pressure};

use crate::host::{HostId, Resident, config};
use crate::queue::{Due, Event};
use crate::world::World;

/// How often a swarm whose disk is short of room is told how short.
const LOOKS: Duration = Duration::from_millis(20);

/// Hosts that nobody else hears, nor they them.
#[derive(Debug)]
pub(crate) struct Cut {
    from: Instant,
    until: Instant,
    off: Vec<HostId>,
}

impl World {
    /// These hosts are cut off from all others from this age of the world on, for so long: calls are not answered, and what is
    /// under way waits.
    pub fn cut_off(&mut self, hosts: &[HostId], at: Duration, lasts: Duration) {
        let from = self.born + at;
        self.cuts.push(Cut { from, until: from + lasts, off: hosts.to_vec() });
    }

    /// Nobody can dial the host.
    pub fn behind_nat(&mut self, host: HostId) {
        self.hosts[host.0].hidden = true;
    }

    /// All connections of the host break at this age of the world.
    pub fn reset(&mut self, host: HostId, at: Duration) {
        self.set(at.saturating_sub(self.age()), host, Event::Reset);
    }

    /// The host goes at this age of the world and does not come back; nobody waits for it to have everything.
    pub fn leave(&mut self, host: HostId, at: Duration) {
        self.set(at.saturating_sub(self.age()), host, Event::Leave);
    }

    /// The host's disk writes so many bytes a second, and no piece is judged before it is written.
    pub fn slow_disk(&mut self, host: HostId, rate: u64) {
        self.hosts[host.0].resident_mut().into_iter().for_each(|own| own.disk.rate = Some(rate.max(1)));
    }

    /// Nothing can be written to the host's disk from this age of the world on, for so long.
    pub fn full_disk(&mut self, host: HostId, at: Duration, lasts: Duration) {
        let from = self.born + at;
        self.hosts[host.0].resident_mut().into_iter().for_each(|own| own.disk.full = Some((from, from + lasts)));
    }

    /// The most that ever waited for the host's disk, in bytes.
    #[must_use]
    pub fn most_waiting(&self, host: HostId) -> u64 {
        self.hosts[host.0].resident().map_or(0, |own| own.disk.most_waiting)
    }

    /// When the two can hear each other again, if they cannot now.
    pub(crate) fn severed(&self, one: HostId, other: HostId) -> Option<Instant> {
        let parts = |cut: &&Cut| {
            (cut.from..cut.until).contains(&self.now) && cut.off.contains(&one) != cut.off.contains(&other)
        };
        self.cuts.iter().filter(parts).map(|cut| cut.until).max()
    }

    pub(crate) fn crashed(&mut self, host: HostId, silently: bool) {
        let reason = CloseReason::Io(std::io::ErrorKind::ConnectionReset);
        self.falls(host, (!silently).then_some(reason));
        let now = self.now;
        self.hosts[host.0].resident_mut().into_iter().for_each(|own| {
            own.disk.crash(now);
        });
    }

    /// The host is gone; whoever was connected sees this, or nothing at all.
    fn falls(&mut self, host: HostId, seen: Option<CloseReason>) {
        let own = &mut self.hosts[host.0];
        own.up = false;
        own.life += 1;
        own.peer_id.0[17] = own.peer_id.0[17].wrapping_add(1);
        for (_, end) in std::mem::take(&mut own.ends) {
            self.hosts[end.host.0].ends.get_mut(&end.connection).into_iter().for_each(|far| far.read = false);
            if let Some(reason) = seen.clone() {
                self.hosts[end.host.0].ends.remove(&end.connection);
                let heard = self.severed(host, end.host).unwrap_or(self.now) + Duration::from_millis(50);
                let life = self.hosts[end.host.0].life;
                let gone = Event::End { connection: end.connection, reason };
                self.queue.push(heard, Due { host: end.host, life, event: gone });
            }
        }
    }

    pub(crate) fn restarted(&mut self, host: HostId) {
        let seed = self.chance.any();
        let (now, peer_id) = (self.now, self.hosts[host.0].peer_id);
        self.hosts[host.0].up = true;
        let torrent = &self.torrent;
        if let Some(own) = self.hosts[host.0].resident_mut() {
            let have = own.disk.verified().clone();
            let mut new = Resident::new(now, config(torrent, have, peer_id, seed));
            new.requests = own.requests;
            (new.disk.loses, new.disk.rate, new.disk.full) = (own.disk.loses, own.disk.rate, own.disk.full);
            new.events = std::mem::take(&mut own.events);
            new.complete = own.complete;
            *own = new;
        }
        self.tell_web_seeds(host);
        self.set(Duration::from_millis(100), host, Event::Tracker);
    }

    /// All connections of the host break.
    pub(crate) fn broke(&mut self, host: HostId) {
        let reason = || CloseReason::Io(std::io::ErrorKind::ConnectionReset);
        let all: Vec<_> = self.hosts[host.0].ends.keys().copied().collect();
        all.into_iter().for_each(|connection| self.end(host, connection, reason(), reason()));
    }

    /// The host goes for good.
    pub(crate) fn went(&mut self, host: HostId) {
        self.falls(host, Some(CloseReason::Eof));
        let incomplete = self.hosts[host.0].resident().is_some_and(|own| own.complete.is_none());
        self.incomplete -= usize::from(incomplete);
    }

    /// Has the swarm hear of its disk's room as long as that is short.
    pub(crate) fn look_for_room(&mut self, host: HostId) {
        let now = self.now;
        let Some(own) = self.hosts[host.0].resident_mut() else { return };
        if own.disk.room(now) != Pressure::None && !std::mem::replace(&mut own.disk.watched, true) {
            self.set(Duration::ZERO, host, Event::Room);
        }
    }

    /// Tells a swarm how much room its disk has, if that has changed, and looks again until there is enough.
    pub(crate) fn tell_room(&mut self, host: HostId) {
        let now = self.now;
        let Some(own) = self.hosts[host.0].resident_mut() else { return };
        let room = own.disk.room(now);
        let told = std::mem::replace(&mut own.disk.pressure, room);
        own.disk.watched = room != Pressure::None;
        if own.disk.watched {
            self.set(LOOKS, host, Event::Room);
        }
        if room != told {
            self.feed(host, Input::Pressure(room));
        }
    }
}
