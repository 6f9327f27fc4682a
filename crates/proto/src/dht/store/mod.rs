//! What others keep here: peers of torrents and items.

mod items;
mod peers;

pub(super) use items::ItemStore;
pub(super) use peers::PeerStore;

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::contact::Group;
use super::limits::MAX_STORED_PER_GROUP;

/// How much each /24 or /64 has stored (THREATS D4).
#[derive(Debug, Default)]
struct Shares(BTreeMap<Group, u32>);

impl Shares {
    /// Whether one more may be stored for this address.
    fn has_room(&self, ip: IpAddr) -> bool {
        Group::of(ip).and_then(|group| self.0.get(&group)).is_none_or(|count| *count < MAX_STORED_PER_GROUP)
    }

    fn add(&mut self, ip: IpAddr) {
        if let Some(group) = Group::of(ip) {
            *self.0.entry(group).or_default() += 1;
        }
    }

    fn remove(&mut self, ip: IpAddr) {
        let Some(group) = Group::of(ip) else { return };
        let left = self.0.get_mut(&group).map_or(0, |count| {
            *count = count.saturating_sub(1);
            *count
        });
        if left == 0 {
            self.0.remove(&group);
        }
    }
}
