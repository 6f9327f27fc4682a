//! What a scenario puts into its world before and while it runs.

use std::net::SocketAddr;
use std::time::Duration;

use riverrun_metainfo::Bitfield;
use riverrun_proto::swarm::{Input, Source, Strategy, SwarmConfig};

use crate::host::{Host, HostId, Resident, Tenant, config};
use crate::link::Link;
use crate::manner::Manner;
use crate::queue::{Due, Event};
use crate::stranger::Stranger;
use crate::world::World;

impl World {
    /// Adds a swarm that has these pieces and asks the tracker after `joins`.
    pub fn add(&mut self, link: Link, have: Bitfield, joins: Duration) -> HostId {
        self.add_with(link, have, joins, |_| {})
    }

    /// Adds a swarm that is set up in another way.
    pub fn add_with(
        &mut self,
        link: Link,
        have: Bitfield,
        joins: Duration,
        set_up: impl FnOnce(&mut SwarmConfig),
    ) -> HostId {
        let id = HostId(self.hosts.len());
        let seed = self.chance.any();
        let placeholder = Tenant::Stranger(Stranger::new(Manner::BlackHole, self.torrent.clone()));
        let mut host = Host::new(id.0, link, self.now, placeholder);
        let mut config = config(&self.torrent, have, host.peer_id, seed);
        set_up(&mut config);
        host.tenant = Tenant::Swarm(Box::new(Resident::new(self.now, config)));
        self.incomplete += usize::from(host.resident().is_some_and(|resident| resident.complete.is_none()));
        self.hosts.push(host);
        self.set(joins, id, Event::Tracker);
        id
    }

    /// Adds a swarm that has everything.
    pub fn add_seed(&mut self, link: Link) -> HostId {
        let all = self.torrent.all();
        self.add(link, all, Duration::ZERO)
    }

    /// Adds a swarm that has nothing.
    pub fn add_leech(&mut self, link: Link, joins: Duration) -> HostId {
        let none = self.torrent.none();
        self.add(link, none, joins)
    }

    /// Adds a bad peer, which dials everyone after `joins` and again and again.
    pub fn add_stranger(&mut self, link: Link, manner: Manner, joins: Duration) -> HostId {
        let id = HostId(self.hosts.len());
        let stranger = Stranger::new(manner, self.torrent.clone());
        let host = Host::new(id.0, link, self.now, Tenant::Stranger(stranger));
        if manner.lies() {
            self.liars.push(host.ip());
        }
        self.hosts.push(host);
        self.set(joins, id, Event::Tracker);
        if let Some(period) = manner.period() {
            self.set(joins + period, id, Event::Wake);
        }
        id
    }

    /// The swarm follows these rules, not the usual ones. To be said before anything happens; it lasts until the host crashes.
    pub fn follows(&mut self, host: HostId, strategy: Strategy) {
        self.set_up(host, |config| config.strategy = strategy);
    }

    /// The swarm is set up in another way. To be said before anything happens; it lasts until the host crashes.
    pub fn set_up(&mut self, host: HostId, set_up: impl FnOnce(&mut SwarmConfig)) {
        let (now, seed) = (self.now, self.chance.any());
        let Host { peer_id, tenant, .. } = &mut self.hosts[host.0];
        if let Tenant::Swarm(resident) = tenant {
            let mut config = config(&self.torrent, resident.swarm.have().clone(), *peer_id, seed);
            set_up(&mut config);
            **resident = Resident::new(now, config);
        }
    }

    /// The tracker names this host and no other from now on: all others are found through it, or not at all.
    pub fn tracker_names_only(&mut self, host: HostId) {
        self.named = Some(host);
    }

    /// Somebody but the tracker names peers to the host.
    pub fn hears_of(&mut self, host: HostId, source: Source, addrs: &[SocketAddr]) {
        self.feed(host, Input::Candidates { source, addrs });
    }

    /// The host does not speak the fast extension.
    pub fn without_fast(&mut self, host: HostId) {
        self.hosts[host.0].fast = false;
    }

    /// Of a thousand pieces the host's disk loses so many.
    pub fn failing_disk(&mut self, host: HostId, per_thousand: u32) {
        self.hosts[host.0].resident_mut().into_iter().for_each(|resident| resident.disk.loses = per_thousand);
    }

    /// The host crashes at this age of the world; `silently`: its peers are not told.
    pub fn crash(&mut self, host: HostId, at: Duration, silently: bool) {
        self.set(at.saturating_sub(self.age()), host, Event::Crash { silently });
    }

    /// The host starts again at this age of the world with what was synced.
    pub fn restart(&mut self, host: HostId, at: Duration) {
        // It belongs to the life that the crash before it begins.
        let life = self.hosts[host.0].life + 1;
        self.queue.push(self.born + at, Due { host, life, event: Event::Restart });
    }
}
