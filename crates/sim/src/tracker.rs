//! The tracker of a world.

use std::net::SocketAddr;
use std::time::Duration;

use riverrun_proto::swarm::{Input, Source};

use crate::host::HostId;
use crate::queue::Event;
use crate::world::World;

/// Addresses in one answer of the tracker.
const TRACKER_ANSWER: usize = 30;
/// How long a stranger waits until it dials everyone again.
const STRANGERS_RETURN: Duration = Duration::from_secs(30);

impl World {
    /// The tracker's answer: some of all addresses for a swarm; a stranger dials everyone.
    pub(crate) fn tracker(&mut self, host: HostId) {
        let mut addrs: Vec<SocketAddr> = self.hosts.iter().map(|host| host.addr).collect();
        if let Some(named) = self.named {
            addrs = vec![self.hosts[named.0].addr];
        }
        if self.is_honest(host) {
            self.chance.shuffle(&mut addrs);
            addrs.truncate(TRACKER_ANSWER);
            self.feed(host, Input::Candidates { source: Source::Tracker, addrs: &addrs }, &[]);
            return;
        }
        let own = self.hosts[host.0].addr;
        for addr in addrs.into_iter().filter(|addr| *addr != own) {
            let delay = self.hosts[host.0].pipes.delay(&mut self.chance) * 2;
            self.set(delay, host, Event::Dial { addr });
        }
        self.set(STRANGERS_RETURN, host, Event::Tracker);
    }
}
