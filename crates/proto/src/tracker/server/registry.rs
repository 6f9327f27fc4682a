//! Who is in which swarm: bounded in swarms, in peers and in the share of one host.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use fastrand::Rng;
use riverrun_metainfo::WireHash;

use super::pool::{Address, HostFull, Pool, Share, Was};
use super::swarms::Swarms;
use super::{Bounds, Refusal};
use crate::limits::{MAX_EXPIRED_AT_ONCE, MAX_PORTS_PER_ADDRESS};
use crate::tracker::{AnnounceRequest, Event, ScrapeEntry, dialable};

#[derive(Debug)]
pub(super) struct Registry {
    swarms: Swarms,
    v4: Pool<[u8; 4]>,
    v6: Pool<[u8; 16]>,
    /// The only torrents that are served; `None`: all.
    allowed: Option<BTreeSet<WireHash>>,
    bounds: Bounds,
    /// A peer that was silent for so many seconds has gone.
    silence: u32,
    rng: Rng,
    expired: u64,
    pushed_out: u64,
}

/// An address and port of one family.
#[derive(Clone, Copy)]
enum Place {
    V4(([u8; 4], u16)),
    V6(([u8; 16], u16)),
}

impl From<SocketAddr> for Place {
    fn from(peer: SocketAddr) -> Self {
        match peer.ip() {
            IpAddr::V4(ip) => Self::V4((ip.octets(), peer.port())),
            IpAddr::V6(ip) => Self::V6((ip.octets(), peer.port())),
        }
    }
}

/// Which peers a reply may name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    /// The most of them.
    pub(super) count: usize,
    /// The family that comes first.
    pub(super) family: IpAddr,
    /// The other family too.
    pub(super) both: bool,
}

impl Registry {
    pub(super) fn new(allowed: Option<BTreeSet<WireHash>>, bounds: Bounds, silence: u32, seed: u64) -> Self {
        Self {
            swarms: Swarms::default(),
            v4: Pool::new(),
            v6: Pool::new(),
            allowed,
            bounds,
            silence,
            rng: Rng::with_seed(seed),
            expired: 0,
            pushed_out: 0,
        }
    }

    pub(super) fn allow_only(&mut self, torrents: BTreeSet<WireHash>) {
        self.allowed = Some(torrents);
    }

    pub(super) fn swarms(&self) -> usize {
        self.swarms.len()
    }

    /// Peers of each family.
    pub(super) fn peers(&self) -> (usize, usize) {
        (self.v4.len(), self.v6.len())
    }

    pub(super) fn seeds(&self) -> u32 {
        self.v4.seeds() + self.v6.seeds()
    }

    /// Peers that fell silent, and peers that others pushed out.
    pub(super) fn gone(&self) -> (u64, u64) {
        (self.expired, self.pushed_out)
    }

    /// Takes a peer's word, which came from `from`, and gives `take` others of its swarm; how the swarm stands then.
    ///
    /// The peer is where the request came from: the addresses that it names could be anybody's (BEP 7, THREATS P23).
    pub(super) fn announce(
        &mut self,
        now: u32,
        request: &AnnounceRequest,
        from: IpAddr,
        wish: Wish,
        take: impl FnMut(SocketAddr),
    ) -> Result<ScrapeEntry, Refusal> {
        self.expire(now, MAX_EXPIRED_AT_ONCE);
        if self.allowed.as_ref().is_some_and(|allowed| !allowed.contains(&request.info_hash)) {
            return Err(Refusal::NotServed);
        }
        let peer = SocketAddr::new(from, request.port);
        let place = Place::from(peer);
        if request.event == Some(Event::Stopped) {
            let Some(swarm) = self.swarms.number(request.info_hash) else { return Ok(ScrapeEntry::default()) };
            match place {
                Place::V4((address, port)) => self.v4.leave(&mut self.swarms, swarm, address, port),
                Place::V6((address, port)) => self.v6.leave(&mut self.swarms, swarm, address, port),
            }
            return Ok(self.scrape(request.info_hash).unwrap_or_default());
        }
        // Nobody can connect to port 0; who says so may still ask.
        if dialable(peer) {
            self.enter(now, request.info_hash, peer, request.left == 0, request.event)?;
        }
        let Some(number) = self.swarms.number(request.info_hash) else { return Ok(ScrapeEntry::default()) };
        let wants_seeds = request.left > 0 && request.event != Some(Event::Paused);
        self.pick(number, place, wish, wants_seeds, take);
        Ok(self.swarms.get(number).counts())
    }

    /// Enters a peer, or brings what is known of it up to date.
    pub(super) fn enter(
        &mut self,
        now: u32,
        info_hash: WireHash,
        peer: SocketAddr,
        seed: bool,
        event: Option<Event>,
    ) -> Result<(), Refusal> {
        let place = Place::from(peer);
        let known = self.swarms.number(info_hash);
        if !known.is_some_and(|swarm| self.has(swarm, place)) {
            self.room(known, place).map_err(|HostFull| Refusal::HostFull)?;
            if known.is_none() && self.swarms.len() >= self.bounds.swarms {
                return Err(Refusal::Full);
            }
            self.make_room();
        }
        // The one that was pushed out may have been the last of this very swarm.
        let swarm = self.swarms.number(info_hash).unwrap_or_else(|| self.swarms.add(info_hash));
        let was = match place {
            Place::V4(peer) => self.v4.enter(&mut self.swarms, swarm, peer, seed, now),
            Place::V6(peer) => self.v6.enter(&mut self.swarms, swarm, peer, seed, now),
        };
        if event == Some(Event::Completed) && seed && was == Was::Leecher {
            let completed = &mut self.swarms.get_mut(swarm).completed;
            *completed = completed.saturating_add(1);
        }
        Ok(())
    }

    fn has(&self, swarm: u32, place: Place) -> bool {
        match place {
            Place::V4((address, port)) => self.v4.has(swarm, address, port),
            Place::V6((address, port)) => self.v6.has(swarm, address, port),
        }
    }

    fn room(&self, swarm: Option<u32>, place: Place) -> Result<(), HostFull> {
        let peers = u32::try_from(self.bounds.peers_per_host).unwrap_or(u32::MAX);
        let share = Share { peers, ports: MAX_PORTS_PER_ADDRESS };
        match place {
            Place::V4((address, _)) => self.v4.room(swarm, address, share),
            Place::V6((address, _)) => self.v6.room(swarm, address, share),
        }
    }

    /// Over the cap, the peer that has been silent for longest goes.
    fn make_room(&mut self) {
        while self.v4.len() + self.v6.len() >= self.bounds.peers {
            self.remove_oldest();
            self.pushed_out += 1;
        }
    }

    fn remove_oldest(&mut self) {
        match (self.v4.oldest(), self.v6.oldest()) {
            (Some(v4), Some(v6)) if v6 < v4 => self.v6.remove_oldest(&mut self.swarms),
            (None, _) => self.v6.remove_oldest(&mut self.swarms),
            (Some(_), _) => self.v4.remove_oldest(&mut self.swarms),
        }
    }

    /// Takes out peers that have been silent for too long, at most so many.
    pub(super) fn expire(&mut self, now: u32, at_most: usize) {
        for _ in 0..at_most {
            if self.next_expiry().is_none_or(|due| due > now) {
                return;
            }
            self.remove_oldest();
            self.expired += 1;
        }
    }

    /// When the next peer has been silent for too long.
    pub(super) fn next_expiry(&self) -> Option<u32> {
        self.v4.oldest().into_iter().chain(self.v6.oldest()).min().map(|heard| heard.saturating_add(self.silence))
    }

    fn pick(&mut self, number: u32, own: Place, wish: Wish, with_seeds: bool, mut take: impl FnMut(SocketAddr)) {
        let swarm = (number, self.swarms.get(number));
        let (own_v4, own_v6) = match own {
            Place::V4(own) => (Some(own), None),
            Place::V6(own) => (None, Some(own)),
        };
        let mut left = wish.count;
        for v4 in [wish.family.is_ipv4(), wish.family.is_ipv6()].into_iter().take(1 + usize::from(wish.both)) {
            let wanted = (left, with_seeds);
            left -= if v4 {
                let take = |address: [u8; 4], port| take(SocketAddr::new(address.ip(), port));
                self.v4.pick(&mut self.rng, swarm, own_v4, wanted, take)
            } else {
                let take = |address: [u8; 16], port| take(SocketAddr::new(address.ip(), port));
                self.v6.pick(&mut self.rng, swarm, own_v6, wanted, take)
            };
        }
    }

    /// How a swarm stands; `None` if nobody is in it, or it is not served.
    pub(super) fn scrape(&self, info_hash: WireHash) -> Option<ScrapeEntry> {
        self.swarms.number(info_hash).map(|swarm| self.swarms.get(swarm).counts())
    }

    /// How all swarms stand, by info-hash.
    pub(super) fn scrape_all(&self) -> impl Iterator<Item = (WireHash, ScrapeEntry)> {
        self.swarms.iter().map(|(info_hash, swarm)| (info_hash, swarm.counts()))
    }
}
