//! The peers of one family of addresses, in all swarms: their order by age, where each stands, and how many a host has.
//!
//! Every step costs the same however many peers there are, but for looking up in a tree. A swarm keeps its peers in two lists
//! without order, so that some of them are picked without walking the others; an entry here knows its place in them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use fastrand::Rng;

use super::swarms::{Swarm, Swarms};

/// The end of the chain of ages.
const NONE: u32 = u32::MAX;

/// An address of one family. Only bytes: 12 per peer in a swarm's list for IPv4.
pub(super) trait Address: Copy + Ord {
    /// What counts as one host: an IPv4 address, or the /64 of an IPv6 address, which one host has whole.
    type Host: Copy + Ord;
    fn host(self) -> Self::Host;
    fn ip(self) -> IpAddr;
    fn members(swarm: &Swarm) -> &Members<Self>;
    fn members_mut(swarm: &mut Swarm) -> &mut Members<Self>;
}

impl Address for [u8; 4] {
    type Host = Self;

    fn host(self) -> Self {
        self
    }

    fn ip(self) -> IpAddr {
        self.into()
    }

    fn members(swarm: &Swarm) -> &Members<Self> {
        &swarm.v4
    }

    fn members_mut(swarm: &mut Swarm) -> &mut Members<Self> {
        &mut swarm.v4
    }
}

impl Address for [u8; 16] {
    type Host = [u8; 8];

    fn host(self) -> [u8; 8] {
        let [front @ .., _, _, _, _, _, _, _, _] = self;
        front
    }

    fn ip(self) -> IpAddr {
        self.into()
    }

    fn members(swarm: &Swarm) -> &Members<Self> {
        &swarm.v6
    }

    fn members_mut(swarm: &mut Swarm) -> &mut Members<Self> {
        &mut swarm.v6
    }
}

/// The peers of one swarm.
#[derive(Debug)]
pub(super) struct Members<A> {
    leechers: Vec<Seat<A>>,
    seeds: Vec<Seat<A>>,
}

/// A peer in the list of its swarm.
#[derive(Clone, Copy, Debug)]
struct Seat<A> {
    address: A,
    port: u16,
    entry: u32,
}

/// What the pool knows of a peer.
#[derive(Clone, Copy, Debug)]
struct Entry {
    swarm: u32,
    /// Where it sits in its list.
    place: u32,
    seed: bool,
    /// When it was last heard of, in seconds.
    heard: u32,
    older: u32,
    newer: u32,
}

/// What a peer was before it was entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Was {
    New,
    Leecher,
    Seed,
}

/// The host has its share already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct HostFull;

#[derive(Debug)]
pub(super) struct Pool<A: Address> {
    index: BTreeMap<(u32, A, u16), u32>,
    hosts: BTreeMap<A::Host, u32>,
    entries: Vec<Entry>,
    free: Vec<u32>,
    oldest: u32,
    newest: u32,
    seeds: u32,
}

/// How many peers one host may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    /// In all swarms.
    pub(super) peers: u32,
    /// Ports of one address in one swarm.
    pub(super) ports: usize,
}

impl<A: Address> Pool<A> {
    pub(super) fn new() -> Self {
        Self {
            index: BTreeMap::new(),
            hosts: BTreeMap::new(),
            entries: Vec::new(),
            free: Vec::new(),
            oldest: NONE,
            newest: NONE,
            seeds: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.index.len()
    }

    pub(super) fn seeds(&self) -> u32 {
        self.seeds
    }

    /// When the peer that has been silent for longest was heard of.
    pub(super) fn oldest(&self) -> Option<u32> {
        self.entries.get(self.oldest as usize).map(|entry| entry.heard)
    }

    pub(super) fn has(&self, swarm: u32, address: A, port: u16) -> bool {
        self.index.contains_key(&(swarm, address, port))
    }

    /// Whether the host may have another peer in this swarm; `None` for a swarm that is not there yet.
    pub(super) fn room(&self, swarm: Option<u32>, address: A, share: Share) -> Result<(), HostFull> {
        let all = self.hosts.get(&address.host()).copied().unwrap_or(0);
        let here = |swarm| self.index.range((swarm, address, 0)..=(swarm, address, u16::MAX)).take(share.ports).count();
        if all >= share.peers || swarm.map_or(0, here) >= share.ports { Err(HostFull) } else { Ok(()) }
    }

    /// Enters a peer, or brings what is known of it up to date; what it was.
    pub(super) fn enter(
        &mut self,
        swarms: &mut Swarms,
        swarm: u32,
        (address, port): (A, u16),
        seed: bool,
        now: u32,
    ) -> Was {
        if let Some(entry) = self.index.get(&(swarm, address, port)).copied() {
            let was_seed = self.entries[entry as usize].seed;
            self.unlink(entry);
            self.link(entry, now);
            if was_seed != seed {
                let members = A::members_mut(swarms.get_mut(swarm));
                self.stand_up(members, entry);
                self.sit_down(members, entry, (address, port), seed);
            }
            return if was_seed { Was::Seed } else { Was::Leecher };
        }
        let fresh = Entry { swarm, place: 0, seed, heard: now, older: NONE, newer: NONE };
        let entry = if let Some(entry) = self.free.pop() {
            self.entries[entry as usize] = fresh;
            entry
        } else {
            self.entries.push(fresh);
            u32::try_from(self.entries.len() - 1).expect("the cap on peers is 32 bits")
        };
        self.link(entry, now);
        self.index.insert((swarm, address, port), entry);
        *self.hosts.entry(address.host()).or_default() += 1;
        self.sit_down(A::members_mut(swarms.get_mut(swarm)), entry, (address, port), seed);
        Was::New
    }

    /// Takes a peer out, if it is there.
    pub(super) fn leave(&mut self, swarms: &mut Swarms, swarm: u32, address: A, port: u16) {
        if let Some(entry) = self.index.get(&(swarm, address, port)).copied() {
            self.remove(swarms, entry);
        }
    }

    /// Takes out the peer that has been silent for longest.
    pub(super) fn remove_oldest(&mut self, swarms: &mut Swarms) {
        if self.oldest != NONE {
            self.remove(swarms, self.oldest);
        }
    }

    fn remove(&mut self, swarms: &mut Swarms, entry: u32) {
        let swarm = self.entries[entry as usize].swarm;
        let left = self.stand_up(A::members_mut(swarms.get_mut(swarm)), entry);
        self.unlink(entry);
        self.free.push(entry);
        self.index.remove(&(swarm, left.address, left.port));
        let host = left.address.host();
        let count = self.hosts.get_mut(&host).expect("every peer is counted");
        *count -= 1;
        if *count == 0 {
            self.hosts.remove(&host);
        }
        swarms.drop_if_empty(swarm);
    }

    fn sit_down(&mut self, members: &mut Members<A>, entry: u32, (address, port): (A, u16), seed: bool) {
        self.seeds += u32::from(seed);
        let list = members.list_mut(seed);
        let known = &mut self.entries[entry as usize];
        known.seed = seed;
        known.place = u32::try_from(list.len()).expect("the cap on peers is 32 bits");
        list.push(Seat { address, port, entry });
    }

    /// The last of the list takes the seat that becomes free.
    fn stand_up(&mut self, members: &mut Members<A>, entry: u32) -> Seat<A> {
        let Entry { place, seed, .. } = self.entries[entry as usize];
        self.seeds -= u32::from(seed);
        let list = members.list_mut(seed);
        let left = list.swap_remove(place as usize);
        if let Some(moved) = list.get(place as usize) {
            self.entries[moved.entry as usize].place = place;
        }
        // A swarm that was large once does not keep the memory.
        if list.capacity() > 64 && list.len() < list.capacity() / 4 {
            list.shrink_to(list.len() * 2);
        }
        left
    }

    /// Makes it the newest.
    fn link(&mut self, entry: u32, now: u32) {
        let newest = self.newest;
        let known = &mut self.entries[entry as usize];
        (known.heard, known.older, known.newer) = (now, newest, NONE);
        match self.entries.get_mut(newest as usize) {
            Some(newest) => newest.newer = entry,
            None => self.oldest = entry,
        }
        self.newest = entry;
    }

    fn unlink(&mut self, entry: u32) {
        let Entry { older, newer, .. } = self.entries[entry as usize];
        match self.entries.get_mut(older as usize) {
            Some(older) => older.newer = newer,
            None => self.oldest = newer,
        }
        match self.entries.get_mut(newer as usize) {
            Some(newer) => newer.older = older,
            None => self.newest = older,
        }
    }

    /// Gives `take` up to `want` peers of a swarm, any with the same chance, but not `own`; how many it gave.
    pub(super) fn pick(
        &self,
        rng: &mut Rng,
        (id, swarm): (u32, &Swarm),
        own: Option<(A, u16)>,
        (want, with_seeds): (usize, bool),
        mut take: impl FnMut(A, u16),
    ) -> usize {
        let members = A::members(swarm);
        let own = own.and_then(|(address, port)| self.index.get(&(id, address, port)));
        let own = own.map(|entry| self.entries[*entry as usize]);
        let skip = |seed| own.filter(|own| own.seed == seed).map(|own| own.place as usize);
        let leechers = members.leechers.len() - usize::from(skip(false).is_some());
        let seeds = if with_seeds { members.seeds.len() - usize::from(skip(true).is_some()) } else { 0 };
        let count = want.min(leechers + seeds);
        if count == 0 {
            return 0;
        }
        // As many of each as there are, but somebody who has everything if there is one.
        let share =
            (count * seeds / (leechers + seeds)).max(usize::from(seeds > 0)).max(count.saturating_sub(leechers));
        let mut take = |seat: &Seat<A>| take(seat.address, seat.port);
        spread(rng, &members.seeds, skip(true), share, &mut take);
        spread(rng, &members.leechers, skip(false), count - share, &mut take);
        count
    }
}

/// One of each of `count` equal stretches of the list, without the one at `skip`.
fn spread<A>(rng: &mut Rng, list: &[Seat<A>], skip: Option<usize>, count: usize, take: &mut impl FnMut(&Seat<A>)) {
    let length = list.len() - usize::from(skip.is_some());
    for number in 0..count {
        let (from, to) = (number * length / count, (number + 1) * length / count);
        let at = rng.usize(from..to);
        take(&list[at + usize::from(skip.is_some_and(|skip| at >= skip))]);
    }
}

impl<A> Members<A> {
    pub(super) fn new() -> Self {
        Self { leechers: Vec::new(), seeds: Vec::new() }
    }

    pub(super) fn leechers(&self) -> usize {
        self.leechers.len()
    }

    pub(super) fn seeds(&self) -> usize {
        self.seeds.len()
    }

    fn list_mut(&mut self, seed: bool) -> &mut Vec<Seat<A>> {
        if seed { &mut self.seeds } else { &mut self.leechers }
    }
}
