//! How many dials may be begun in a time, and how many were.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::limits;
use crate::swarm::on_demand::Rested;

/// A small store of dials that fills with time.
#[derive(Debug)]
pub(super) struct Allowance {
    pub(super) dials: u32,
    pub(super) counted: Instant,
}

impl Allowance {
    pub(super) const PERIOD: Duration = Duration::from_millis(1000 / limits::DIALS_PER_SECOND as u64);

    pub(super) fn refill(&mut self, now: Instant) {
        let periods = now.saturating_duration_since(self.counted).as_millis() / Self::PERIOD.as_millis();
        if periods > 0 {
            self.dials = self.dials.saturating_add(u32::try_from(periods).unwrap_or(u32::MAX));
            self.dials = self.dials.min(2 * limits::DIALS_PER_SECOND);
            self.counted = now;
        }
    }
}

/// The dials of the last minute: in any minute, not in one and then in the next.
#[derive(Debug, Default)]
pub(super) struct Recent {
    dials: VecDeque<(Instant, IpAddr)>,
    by_address: BTreeMap<IpAddr, u32>,
}

impl Rested for Recent {
    const RESTED: &'static Self = &Self { dials: VecDeque::new(), by_address: BTreeMap::new() };
}

impl Recent {
    pub(super) fn dialled(&mut self, now: Instant, ip: IpAddr) {
        self.dials.push_back((now, ip));
        *self.by_address.entry(ip).or_default() += 1;
    }

    /// How many there were to this address.
    pub(super) fn to(&self, ip: IpAddr) -> u32 {
        self.by_address.get(&ip).copied().unwrap_or(0)
    }

    /// Forgets those that are older; true if none is left.
    pub(super) fn forget(&mut self, now: Instant) -> bool {
        let old = |(at, _): &(Instant, IpAddr)| now.saturating_duration_since(*at) >= Duration::from_secs(60);
        while let Some((_, ip)) = self.dials.pop_front_if(|dial| old(dial)) {
            let left = self.to(ip) - 1;
            if left > 0 {
                self.by_address.insert(ip, left)
            } else {
                self.by_address.remove(&ip)
            };
        }
        self.dials.is_empty()
    }
}
