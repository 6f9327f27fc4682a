//! What can be seen of a world: how far its hosts are, and what must hold once all is at rest.

use std::time::Duration;

use riverrun_metainfo::{Bitfield, PieceIndex};
use riverrun_proto::swarm::{Event as Told, SwarmStatus};

use crate::checkers::Violation;
use crate::host::{End, HostId};
use crate::world::World;

impl World {
    /// The pieces that a swarm has; `None` for a stranger.
    #[must_use]
    pub fn have(&self, host: HostId) -> Option<&Bitfield> {
        self.hosts[host.0].resident().map(|resident| resident.swarm.have())
    }

    /// Whether a swarm has everything.
    #[must_use]
    pub fn is_complete(&self, host: HostId) -> bool {
        self.hosts[host.0].resident().is_none_or(|resident| resident.swarm.have().is_full())
    }

    /// Whether every swarm has everything.
    #[must_use]
    pub fn all_complete(&self) -> bool {
        self.incomplete == 0
    }

    /// The age of the world when a swarm had everything; `None` as long as it does not.
    #[must_use]
    pub fn completed_at(&self, host: HostId) -> Option<Duration> {
        let complete = self.hosts[host.0].resident()?.complete?;
        Some(complete.saturating_duration_since(self.born))
    }

    /// Whether all swarms but this one hold each piece at least once.
    #[must_use]
    pub fn holds_a_copy(&self, but: HostId) -> bool {
        let mut missing = self.torrent.all();
        for (_, host) in self.hosts.iter().enumerate().filter(|(number, _)| *number != but.0) {
            let Some(resident) = host.resident() else { continue };
            resident.swarm.have().iter().for_each(|piece| _ = missing.remove(piece));
            if missing.is_empty() {
                return true;
            }
        }
        missing.is_empty()
    }

    /// Looks whether a host has become complete, or is not any more.
    pub(crate) fn note_completion(&mut self, host: HostId) {
        let now = self.now;
        let Some(resident) = self.hosts[host.0].resident_mut() else { return };
        match (resident.complete.is_some(), resident.swarm.have().is_full()) {
            (false, true) => {
                resident.complete = Some(now);
                self.incomplete -= 1;
            }
            (true, false) => {
                resident.complete = None;
                self.incomplete += 1;
            }
            _ => {}
        }
    }

    /// Whether all swarms but this one hold every piece together.
    #[must_use]
    pub fn others_hold_everything(&self, but: HostId) -> bool {
        let others = || self.hosts.iter().enumerate().filter(|(number, _)| *number != but.0);
        let had = |piece| others().filter_map(|(_, host)| host.resident()).any(|own| own.swarm.have().has(piece));
        (0..self.torrent.pieces()).map(PieceIndex).all(had)
    }

    /// Payload sent by a swarm in its present life, in bytes.
    #[must_use]
    pub fn up_bytes(&self, host: HostId) -> u64 {
        self.status(host).map_or(0, |status| status.up_bytes)
    }

    /// How many peers a swarm serves.
    #[must_use]
    pub fn serves(&self, host: HostId) -> usize {
        let peers = self.hosts[host.0].resident().map(|resident| resident.swarm.peers(self.now)).unwrap_or_default();
        peers.iter().filter(|peer| peer.interesting && !peer.choking).count()
    }

    /// All bytes that have left these hosts by now.
    #[must_use]
    pub fn bytes_left(&self, hosts: impl Iterator<Item = HostId>) -> u64 {
        hosts.map(|host| self.hosts[host.0].pipes.left(self.now)).sum()
    }

    /// Payload of no use that all swarms received, and all that they received, in bytes.
    #[must_use]
    pub fn waste(&self) -> (u64, u64) {
        let all = (0..self.hosts.len()).filter_map(|host| self.status(HostId(host)));
        all.fold((0, 0), |sum, status| (sum.0 + status.wasted_bytes, sum.1 + status.down_bytes))
    }

    /// The same of one swarm.
    #[must_use]
    pub fn waste_of(&self, host: HostId) -> (u64, u64) {
        self.status(host).map_or((0, 0), |status| (status.wasted_bytes, status.down_bytes))
    }

    /// The blocks that a swarm asked for in all its lives.
    #[must_use]
    pub fn requests(&self, host: HostId) -> u64 {
        self.hosts[host.0].resident().map_or(0, |resident| resident.requests)
    }

    /// The most requests of one peer that were ever seen to wait with a swarm.
    #[must_use]
    pub fn most_queued(&self, host: HostId) -> usize {
        self.hosts[host.0].resident().map_or(0, |resident| resident.most_queued)
    }

    /// What a swarm told.
    #[must_use]
    pub fn told(&self, host: HostId) -> &[Told] {
        self.hosts[host.0].resident().map_or(&[], |resident| &resident.events)
    }

    fn status(&self, host: HostId) -> Option<SwarmStatus> {
        self.hosts[host.0].resident().map(|resident| resident.swarm.status(self.now))
    }

    /// Looks at what must hold once everything has come to rest.
    ///
    /// # Errors
    /// A request among honest peers has no answer.
    pub fn at_rest(&self) -> Result<(), Violation> {
        for (number, host) in self.hosts.iter().enumerate() {
            let Some(resident) = host.resident().filter(|_| host.fast) else { continue };
            let strict = |end: &&End| {
                let far = &self.hosts[end.host.0];
                far.resident().is_some() && far.fast && far.ends.contains_key(&end.connection)
            };
            let open = host.ends.iter().filter(|(_, end)| strict(end));
            let unanswered: usize = open.map(|(connection, _)| resident.ledger.unanswered(*connection)).sum();
            if unanswered > 0 {
                let what = format!("{unanswered} requests were never answered");
                return Err(Violation { at: self.age(), host: HostId(number), what });
            }
        }
        Ok(())
    }

    pub(crate) fn stuck(&self, deadline: Duration) -> Violation {
        let waiting = (0..self.hosts.len()).map(HostId).find(|host| self.hosts[host.0].up && !self.is_complete(*host));
        let host = waiting.unwrap_or(HostId(0));
        let peers = self.hosts[host.0].resident().map(|own| own.swarm.peers(self.now)).unwrap_or_default();
        let what = format!("not done by the deadline: {:?} {peers:?}", self.status(host));
        Violation { at: deadline, host, what }
    }
}
