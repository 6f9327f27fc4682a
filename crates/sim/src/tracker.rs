//! The tracker of a world.

use std::net::SocketAddr;
use std::time::Duration;

use riverrun_proto::swarm::{Input, Source};

use crate::host::{Host, HostId};
use crate::manner::Manner;
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
            self.hosts[host.0].resident_mut().into_iter().for_each(|own| own.ledger.names(&addrs));
            self.feed(host, Input::Candidates { source: Source::Tracker, addrs: &addrs });
            return;
        }
        // What strangers do to each other shows nothing: they call swarms alone.
        let called =
            self.hosts.iter().enumerate().filter(|(number, other)| {
                self.named.is_none_or(|named| named.0 == *number) && other.resident().is_some()
            });
        let addrs: Vec<SocketAddr> = called.map(|(_, other)| other.addr).collect();
        let calls = if let Some(Manner::Multitude(calls)) = self.hosts[host.0].manner() { calls } else { 1 };
        for addr in addrs {
            for _ in 0..calls {
                let delay = self.hosts[host.0].pipes.delay(&mut self.chance) * 2;
                self.set(delay, host, Event::Dial { addr });
            }
        }
        self.set(STRANGERS_RETURN, host, Event::Tracker);
    }

    /// All addresses, or of many some, drawn one by one: what an answer costs does not grow with the swarm.
    fn some_addrs(&mut self) -> Vec<SocketAddr> {
        if let Some(named) = self.named {
            return vec![self.hosts[named.0].addr];
        }
        if self.hosts.len() <= TRACKER_ANSWER {
            let mut addrs: Vec<SocketAddr> = self.callable().map(|host| host.addr).collect();
            self.chance.shuffle(&mut addrs);
            return addrs;
        }
        let drawn = (0..TRACKER_ANSWER).map(|_| &self.hosts[self.chance.index(self.hosts.len())]);
        drawn.filter(|host| !host.is_web_server()).map(|host| host.addr).collect()
    }

    /// Peers: all but web servers.
    fn callable(&self) -> impl Iterator<Item = &Host> {
        self.hosts.iter().filter(|host| !host.is_web_server())
    }
}
