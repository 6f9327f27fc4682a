//! Peers that others announced here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use fastrand::Rng;

use super::Shares;
use crate::dht::bloom::BloomFilter;
use crate::dht::contact::{Family, is_local};
use crate::dht::id::Id;
use crate::dht::limits::{MAX_STORED_HASHES, MAX_STORED_PEERS, PEER_AGE, SAMPLE_PERIOD};

/// Info-hashes kept ready for samples: more than a reply has room for.
const SAMPLE: usize = 60;

/// One peer.
#[derive(Clone, Copy, Debug)]
struct Peer {
    seed: bool,
    since: Instant,
}

/// The peers by torrent, bounded in number and age (THREATS D4).
///
/// There is one peer of each address (BEP 33): the latest, as it may have got another port. Of local addresses there is one for each port, as
/// several programs of one machine are several peers.
#[derive(Debug, Default)]
pub(in crate::dht) struct PeerStore {
    swarms: BTreeMap<Id, BTreeMap<SocketAddr, Peer>>,
    shares: Shares,
    count: usize,
    sample: Vec<Id>,
    sample_until: Option<Instant>,
}

impl PeerStore {
    /// Keeps a peer. `own` is our id: what is closest to it is kept when there is no room for all. False: there is none.
    pub(in crate::dht) fn insert(
        &mut self,
        now: Instant,
        own: Id,
        info_hash: Id,
        addr: SocketAddr,
        seed: bool,
    ) -> bool {
        let peer = Peer { seed, since: now };
        if let Some(swarm) = self.swarms.get_mut(&info_hash)
            && let Some(known) = same_peer(swarm, addr)
        {
            swarm.remove(&known);
            swarm.insert(addr, peer);
            return true;
        }
        if !self.shares.has_room(addr.ip()) || !self.make_room(own, info_hash) {
            return false;
        }
        let swarm = self.swarms.entry(info_hash).or_default();
        if swarm.len() >= MAX_STORED_PEERS {
            let oldest = swarm.iter().min_by_key(|(_, peer)| peer.since).map(|(addr, _)| *addr);
            if let Some(oldest) = oldest {
                swarm.remove(&oldest);
                self.shares.remove(oldest.ip());
                self.count -= 1;
            }
        }
        swarm.insert(addr, peer);
        self.shares.add(addr.ip());
        self.count += 1;
        true
    }

    /// Some peers of one family, at most `most`, chosen by chance; with `no_seed`, seeds only when there are too few others.
    pub(in crate::dht) fn some(
        &self,
        rng: &mut Rng,
        info_hash: Id,
        family: Family,
        no_seed: bool,
        most: usize,
    ) -> Vec<SocketAddr> {
        let Some(swarm) = self.swarms.get(&info_hash) else { return Vec::new() };
        let ours = swarm.iter().filter(|(addr, _)| Family::of(addr.ip()) == family);
        let mut peers: Vec<(bool, SocketAddr)> = ours.map(|(addr, peer)| (peer.seed && no_seed, *addr)).collect();
        rng.shuffle(&mut peers);
        peers.sort_by_key(|(last, _)| *last);
        peers.truncate(most);
        peers.into_iter().map(|(_, addr)| addr).collect()
    }

    /// The filters of BEP 33, seeds first; `None` if nothing is kept of this torrent.
    pub(in crate::dht) fn filters(&self, info_hash: Id) -> Option<(BloomFilter, BloomFilter)> {
        let swarm = self.swarms.get(&info_hash)?;
        let (mut seeds, mut downloaders) = (BloomFilter::new(), BloomFilter::new());
        for (addr, peer) in swarm {
            if peer.seed { seeds.insert(addr.ip()) } else { downloaders.insert(addr.ip()) }
        }
        Some((seeds, downloaders))
    }

    /// Some of the info-hashes, the same ones for five minutes, and in how many seconds there will be others (BEP 51).
    pub(in crate::dht) fn sample(&mut self, now: Instant, rng: &mut Rng) -> (&[Id], u32) {
        let until = match self.sample_until {
            Some(until) if now < until => until,
            _ => {
                self.sample = self.swarms.keys().copied().collect();
                rng.shuffle(&mut self.sample);
                self.sample.truncate(SAMPLE);
                now + SAMPLE_PERIOD
            }
        };
        self.sample_until = Some(until);
        (&self.sample, u32::try_from(until.saturating_duration_since(now).as_secs()).unwrap_or(0))
    }

    /// Forgets what is too old.
    pub(in crate::dht) fn expire(&mut self, now: Instant) {
        let (shares, count) = (&mut self.shares, &mut self.count);
        self.swarms.retain(|_, swarm| {
            swarm.retain(|addr, peer| {
                let stays = now.saturating_duration_since(peer.since) < PEER_AGE;
                if !stays {
                    shares.remove(addr.ip());
                    *count -= 1;
                }
                stays
            });
            !swarm.is_empty()
        });
    }

    /// How many torrents there are peers of.
    pub(in crate::dht) fn hash_count(&self) -> usize {
        self.swarms.len()
    }

    /// How many peers there are.
    pub(in crate::dht) fn peer_count(&self) -> usize {
        self.count
    }

    /// Makes room for a torrent, if it is not the farthest from our id.
    fn make_room(&mut self, own: Id, info_hash: Id) -> bool {
        if self.swarms.len() < MAX_STORED_HASHES || self.swarms.contains_key(&info_hash) {
            return true;
        }
        let far = self.swarms.keys().copied().max_by_key(|other| own.distance(*other));
        let Some(far) = far.filter(|far| own.distance(*far) > own.distance(info_hash)) else { return false };
        for addr in self.swarms.remove(&far).unwrap_or_default().into_keys() {
            self.shares.remove(addr.ip());
            self.count -= 1;
        }
        true
    }
}

/// The entry that a peer replaces.
fn same_peer(swarm: &BTreeMap<SocketAddr, Peer>, addr: SocketAddr) -> Option<SocketAddr> {
    if is_local(addr.ip()) {
        return swarm.contains_key(&addr).then_some(addr);
    }
    let ports = SocketAddr::new(addr.ip(), 0)..=SocketAddr::new(addr.ip(), u16::MAX);
    swarm.range(ports).next().map(|(known, _)| *known)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;
    use crate::dht::limits::MAX_STORED_PER_GROUP;

    fn peer(number: u32) -> SocketAddr {
        SocketAddr::new(Ipv4Addr::from_bits(0x2000_0000 + number).into(), 6881)
    }

    fn hash(number: u32) -> Id {
        let mut id = [0; 20];
        id[..4].copy_from_slice(&number.to_be_bytes());
        Id(id)
    }

    const OWN: Id = Id([0; 20]);

    #[test]
    #[expect(clippy::disallowed_methods, reason = "one moment to start from")]
    fn d4_a_flood_of_info_hashes_leaves_the_closest() {
        let (mut store, now) = (PeerStore::default(), Instant::now());
        for number in (0..4_000).rev() {
            store.insert(now, OWN, hash(number), peer(number * 256), false);
        }
        assert_eq!((store.hash_count(), store.peer_count()), (MAX_STORED_HASHES, MAX_STORED_HASHES));
        assert!(store.swarms.contains_key(&hash(0)) && !store.swarms.contains_key(&hash(2000)));
        assert!(!store.insert(now, OWN, hash(3999), peer(7), false), "farther than all that is there");
        store.expire(now + PEER_AGE);
        assert_eq!((store.hash_count(), store.peer_count(), store.shares.0.len()), (0, 0, 0));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "one moment to start from")]
    fn d4_a_flood_of_peers_leaves_the_latest() {
        let (mut store, now) = (PeerStore::default(), Instant::now());
        for number in 0..1000 {
            assert!(store.insert(now + Duration::from_secs(number.into()), OWN, hash(1), peer(number * 256), false));
        }
        assert_eq!(store.peer_count(), MAX_STORED_PEERS);
        let kept = store.some(&mut Rng::with_seed(1), hash(1), Family::V4, false, 1000);
        assert!(kept.len() == MAX_STORED_PEERS && kept.contains(&peer(999 * 256)) && !kept.contains(&peer(0)));
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "one moment to start from")]
    fn d4_one_network_cannot_fill_the_store() {
        let (mut store, now) = (PeerStore::default(), Instant::now());
        let kept = (0..1000).filter(|number| store.insert(now, OWN, hash(*number), peer(*number % 200), false)).count();
        assert_eq!(kept, MAX_STORED_PER_GROUP as usize);
        assert!(store.insert(now, OWN, hash(1), peer(256), false), "others still can");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "one moment to start from")]
    fn one_entry_an_address_and_seeds_last_when_they_are_not_wanted() {
        let (mut store, now) = (PeerStore::default(), Instant::now());
        store.insert(now, OWN, hash(1), peer(1), false);
        store.insert(now, OWN, hash(1), SocketAddr::new(peer(1).ip(), 99), true);
        store.insert(now, OWN, hash(1), peer(2), false);
        store.insert(now, OWN, hash(1), "[2001:db8::1]:5".parse().unwrap(), true);
        assert_eq!(store.peer_count(), 3);
        let mut rng = Rng::with_seed(1);
        assert_eq!(store.some(&mut rng, hash(1), Family::V4, true, 1), [peer(2)]);
        let mut both = store.some(&mut rng, hash(1), Family::V4, true, 9);
        both.sort_unstable();
        assert_eq!(both, [SocketAddr::new(peer(1).ip(), 99), peer(2)]);
        let (seeds, downloaders) = store.filters(hash(1)).unwrap();
        assert!((seeds.estimate() - 2.0).abs() < 0.1 && (downloaders.estimate() - 1.0).abs() < 0.1);
        assert_eq!(store.filters(hash(2)), None);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "one moment to start from")]
    fn programs_of_one_local_address_are_as_many_peers() {
        let (mut store, now) = (PeerStore::default(), Instant::now());
        let local = |port| SocketAddr::from((Ipv4Addr::new(192, 168, 1, 2), port));
        for port in [1, 2, 2] {
            assert!(store.insert(now, OWN, hash(1), local(port), false));
        }
        let mut peers = store.some(&mut Rng::with_seed(1), hash(1), Family::V4, false, 9);
        peers.sort_unstable();
        assert_eq!(peers, [local(1), local(2)]);
        let (_, downloaders) = store.filters(hash(1)).unwrap();
        assert!((downloaders.estimate() - 1.0).abs() < 0.1, "the filters count addresses (BEP 33)");
        for port in 0..1000 {
            store.insert(now, OWN, hash(1), local(port), false);
        }
        assert_eq!(store.peer_count(), MAX_STORED_PEERS);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "one moment to start from")]
    fn a_sample_stays_the_same_for_a_while() {
        let (mut store, now) = (PeerStore::default(), Instant::now());
        assert!((0..500).all(|number| store.insert(now, OWN, hash(number), peer(number * 256), false)));
        let mut rng = Rng::with_seed(1);
        let (first, interval) = store.sample(now, &mut rng);
        assert_eq!((first.len(), interval), (SAMPLE, 300));
        let first = first.to_vec();
        let (again, interval) = store.sample(now + Duration::from_secs(299), &mut rng);
        assert_eq!((again, interval), (&first[..], 1));
        assert_ne!(store.sample(now + Duration::from_secs(300), &mut rng).0, first);
    }
}
