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
        if self.is_honest(host) {
            let addrs = self.some_addrs();
            self.feed(host, Input::Candidates { source: Source::Tracker, addrs: &addrs }, &[]);
            return;
        }
        let addrs: Vec<SocketAddr> = match self.named {
            Some(named) => vec![self.hosts[named.0].addr],
            None => self.hosts.iter().map(|host| host.addr).collect(),
        };
        let own = self.hosts[host.0].addr;
        for addr in addrs.into_iter().filter(|addr| *addr != own) {
            let delay = self.hosts[host.0].pipes.delay(&mut self.chance) * 2;
            self.set(delay, host, Event::Dial { addr });
        }
        self.set(STRANGERS_RETURN, host, Event::Tracker);
    }

    /// All addresses, or of many some, drawn one by one: what an answer costs does not grow with the swarm.
    fn some_addrs(&mut self) -> Vec<SocketAddr> {
        if let Some(named) = self.named {
            return vec![self.hosts[named.0].addr];
        }
        if self.hosts.len() <= TRACKER_ANSWER {
            let mut addrs: Vec<SocketAddr> = self.hosts.iter().map(|host| host.addr).collect();
            self.chance.shuffle(&mut addrs);
            return addrs;
        }
        let mut drawn = || self.chance.below(self.hosts.len() as u64);
        let numbers: Vec<u64> = (0..TRACKER_ANSWER).map(|_| drawn()).collect();
        numbers.into_iter().filter_map(|number| Some(self.hosts.get(usize::try_from(number).ok()?)?.addr)).collect()
    }
}
