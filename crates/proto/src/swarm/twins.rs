//! Who is connected already, by id and by address: each new connection asks, and thousands may come at once.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::swarm::ConnectionId;
use crate::swarm::on_demand::Rested;
use crate::swarm::peer::Who;
use crate::wire::PeerId;

/// The connections of all peers but web seeds, which have neither id nor address of their own.
#[derive(Debug, Default)]
pub(super) struct Twins {
    ids: BTreeSet<(PeerId, ConnectionId)>,
    addrs: BTreeSet<(SocketAddr, ConnectionId)>,
}

impl Rested for Twins {
    const RESTED: &'static Self = &Self { ids: BTreeSet::new(), addrs: BTreeSet::new() };
}

impl Twins {
    pub(super) fn is_empty(&self) -> bool {
        self.addrs.is_empty()
    }

    /// A connection has begun.
    pub(super) fn begins(&mut self, who: &Who) {
        if who.web_seed.is_none() {
            self.ids.insert((who.peer_id, who.connection));
            self.addrs.insert((who.addr, who.connection));
        }
    }

    /// A connection has ended.
    pub(super) fn ends(&mut self, who: &Who) {
        self.ids.remove(&(who.peer_id, who.connection));
        self.addrs.remove(&(who.addr, who.connection));
    }

    /// The oldest connection to whoever has this id.
    pub(super) fn with_id(&self, id: PeerId) -> Option<ConnectionId> {
        first(&self.ids, id)
    }

    /// The oldest connection to whoever has this id or is at this address.
    pub(super) fn of(&self, id: PeerId, addr: SocketAddr) -> Option<ConnectionId> {
        self.with_id(id).into_iter().chain(first(&self.addrs, addr)).min()
    }
}

fn first<K: Ord + Copy>(set: &BTreeSet<(K, ConnectionId)>, key: K) -> Option<ConnectionId> {
    let (found, connection) = set.range((key, ConnectionId(0))..).next()?;
    (*found == key).then_some(*connection)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;
    use crate::swarm::WebSeedId;
    use crate::swarm::peer::Peer;
    use crate::swarm::pieces::PeerPieces;
    use crate::swarm::tests::birth;

    fn web_seed(connection: u64) -> Who {
        Peer::web_seed(birth(), ConnectionId(connection), WebSeedId(0), PeerPieces::all(1)).who
    }

    fn who(connection: u64, id: u8, addr: SocketAddr) -> Who {
        Who { web_seed: None, peer_id: PeerId([id; 20]), addr, ..web_seed(connection) }
    }

    #[test]
    fn who_is_found_is_who_a_walk_through_all_would_find() {
        let mut rng = fastrand::Rng::with_seed(7);
        let (mut twins, mut all) = (Twins::default(), Vec::<Who>::new());
        let addr = |rng: &mut fastrand::Rng| match rng.bool() {
            true => SocketAddr::from((Ipv4Addr::LOCALHOST, rng.u16(0..6))),
            false => SocketAddr::from((Ipv6Addr::LOCALHOST, rng.u16(0..6))),
        };
        let (mut found, mut missed) = (0, 0);
        for connection in 0..5000 {
            let (id, at) = (rng.u8(0..12), addr(&mut rng));
            let walk = all.iter().find(|who| who.peer_id == PeerId([id; 20]) || who.addr == at);
            assert_eq!(twins.of(PeerId([id; 20]), at), walk.map(|who| who.connection));
            let walk = all.iter().find(|who| who.peer_id == PeerId([id; 20]));
            assert_eq!(twins.with_id(PeerId([id; 20])), walk.map(|who| who.connection));
            if walk.is_some() {
                found += 1
            } else {
                missed += 1
            }
            if rng.bool() {
                all.push(who(connection, id, at));
                twins.begins(&all[all.len() - 1]);
            } else if !all.is_empty() {
                twins.ends(&all.remove(rng.usize(0..all.len())));
            }
        }
        assert!(found > 100 && missed > 100, "{found} {missed}");
        all.iter().for_each(|who| twins.ends(who));
        assert!(twins.ids.is_empty() && twins.addrs.is_empty());
    }

    #[test]
    fn nobody_is_taken_for_a_web_seed() {
        let mut twins = Twins::default();
        let seed = web_seed(1);
        twins.begins(&seed);
        assert_eq!(twins.of(seed.peer_id, seed.addr), None);
    }
}
