//! The swarms that a tracker knows, by number and by info-hash.

use std::collections::BTreeMap;

use riverrun_metainfo::WireHash;

use super::pool::Members;
use crate::tracker::ScrapeEntry;

#[derive(Debug)]
pub(super) struct Swarm {
    info_hash: WireHash,
    /// Peers that said that they became complete, while they were known here.
    pub(super) completed: u32,
    pub(super) v4: Members<[u8; 4]>,
    pub(super) v6: Members<[u8; 16]>,
}

/// A number stays with its swarm until the last peer has gone; then another may get it.
#[derive(Debug, Default)]
pub(super) struct Swarms {
    numbers: BTreeMap<WireHash, u32>,
    all: Vec<Swarm>,
    free: Vec<u32>,
}

impl Swarm {
    fn new(info_hash: WireHash) -> Self {
        Self { info_hash, completed: 0, v4: Members::new(), v6: Members::new() }
    }

    /// How it stands.
    pub(super) fn counts(&self) -> ScrapeEntry {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        ScrapeEntry {
            seeders: number(self.v4.seeds() + self.v6.seeds()),
            leechers: number(self.v4.leechers() + self.v6.leechers()),
            downloaded: self.completed,
            downloaders: None,
        }
    }

    fn is_empty(&self) -> bool {
        self.v4.seeds() + self.v6.seeds() + self.v4.leechers() + self.v6.leechers() == 0
    }
}

impl Swarms {
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    pub(super) fn number(&self, info_hash: WireHash) -> Option<u32> {
        self.numbers.get(&info_hash).copied()
    }

    pub(super) fn get(&self, number: u32) -> &Swarm {
        &self.all[number as usize]
    }

    pub(super) fn get_mut(&mut self, number: u32) -> &mut Swarm {
        &mut self.all[number as usize]
    }

    /// The number of a swarm that is not there yet; it must get a peer at once.
    pub(super) fn add(&mut self, info_hash: WireHash) -> u32 {
        let number = if let Some(number) = self.free.pop() {
            self.all[number as usize] = Swarm::new(info_hash);
            number
        } else {
            self.all.push(Swarm::new(info_hash));
            u32::try_from(self.all.len() - 1).expect("the cap on swarms is 32 bits")
        };
        self.numbers.insert(info_hash, number);
        number
    }

    /// A swarm without peers is forgotten, and how often it was completed with it.
    pub(super) fn drop_if_empty(&mut self, number: u32) {
        let swarm = &mut self.all[number as usize];
        if swarm.is_empty() {
            self.numbers.remove(&swarm.info_hash);
            // Its lists go with it; the number waits for another.
            *swarm = Swarm::new(swarm.info_hash);
            self.free.push(number);
        }
    }

    /// All of them by info-hash.
    pub(super) fn iter(&self) -> impl Iterator<Item = (WireHash, &Swarm)> {
        self.numbers.iter().map(|(info_hash, number)| (*info_hash, self.get(*number)))
    }
}
