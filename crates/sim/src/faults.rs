//! What befalls hosts: crashes and new starts.

use std::time::Duration;

use riverrun_proto::swarm::CloseReason;

use crate::host::{HostId, Resident, config};
use crate::queue::Event;
use crate::world::World;

impl World {
    pub(crate) fn crashed(&mut self, host: HostId, silently: bool) {
        let now = self.now;
        let own = &mut self.hosts[host.0];
        own.up = false;
        own.life += 1;
        own.peer_id.0[17] = own.peer_id.0[17].wrapping_add(1);
        for (_, end) in std::mem::take(&mut own.ends) {
            self.hosts[end.host.0].ends.get_mut(&end.connection).into_iter().for_each(|far| far.read = false);
            if !silently {
                let reason = CloseReason::Io(std::io::ErrorKind::ConnectionReset);
                self.hosts[end.host.0].ends.remove(&end.connection);
                self.set(Duration::from_millis(50), end.host, Event::End { connection: end.connection, reason });
            }
        }
        self.hosts[host.0].resident_mut().into_iter().for_each(|own| {
            own.disk.crash(now);
        });
    }

    pub(crate) fn restarted(&mut self, host: HostId) {
        let seed = self.chance.any();
        let (now, peer_id) = (self.now, self.hosts[host.0].peer_id);
        self.hosts[host.0].up = true;
        let torrent = &self.torrent;
        if let Some(own) = self.hosts[host.0].resident_mut() {
            let have = own.disk.verified().clone();
            let mut new = Resident::new(now, config(torrent, have, peer_id, seed));
            (new.requests, new.disk.loses) = (own.requests, own.disk.loses);
            new.events = std::mem::take(&mut own.events);
            new.complete = own.complete;
            *own = new;
        }
        self.set(Duration::from_millis(100), host, Event::Tracker);
    }
}
