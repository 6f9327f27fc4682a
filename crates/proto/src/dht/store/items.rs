//! Items that others put here (BEP 44).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Instant;

use super::Shares;
use crate::dht::id::Id;
use crate::dht::item::Item;
use crate::dht::krpc::ErrorCode;
use crate::dht::limits::{ITEM_AGE, MAX_STORED_ITEMS};

/// Why an item is not kept.
type PutError = (ErrorCode, &'static str);

#[derive(Clone, Debug)]
struct Stored {
    item: Item,
    since: Instant,
    from: IpAddr,
}

/// The items by target, bounded in number and age (THREATS D4, D5).
#[derive(Debug, Default)]
pub(in crate::dht) struct ItemStore {
    items: BTreeMap<Id, Stored>,
    shares: Shares,
}

impl ItemStore {
    /// Keeps an item that was proven. `own` is our id: what is closest to it is kept when there is no room for all.
    pub(in crate::dht) fn put(
        &mut self,
        now: Instant,
        own: Id,
        from: IpAddr,
        item: Item,
        cas: Option<i64>,
    ) -> Result<(), PutError> {
        let target = item.name().target();
        if let Some(stored) = self.items.get_mut(&target) {
            check(&stored.item, &item, cas)?;
            (stored.item, stored.since) = (item, now);
            return Ok(());
        }
        if !self.shares.has_room(from) || !self.make_room(own, target) {
            return Err((ErrorCode::Server, "no room"));
        }
        self.shares.add(from);
        self.items.insert(target, Stored { item, since: now, from });
        Ok(())
    }

    /// The item at this point.
    pub(in crate::dht) fn get(&self, target: Id) -> Option<&Item> {
        self.items.get(&target).map(|stored| &stored.item)
    }

    /// Forgets what is too old.
    pub(in crate::dht) fn expire(&mut self, now: Instant) {
        let shares = &mut self.shares;
        self.items.retain(|_, stored| {
            let stays = now.saturating_duration_since(stored.since) < ITEM_AGE;
            if !stays {
                shares.remove(stored.from);
            }
            stays
        });
    }

    /// How many items there are.
    pub(in crate::dht) fn len(&self) -> usize {
        self.items.len()
    }

    fn make_room(&mut self, own: Id, target: Id) -> bool {
        if self.items.len() < MAX_STORED_ITEMS {
            return true;
        }
        let far = self.items.keys().copied().max_by_key(|other| own.distance(*other));
        let Some(far) = far.filter(|far| own.distance(*far) > own.distance(target)) else { return false };
        if let Some(stored) = self.items.remove(&far) {
            self.shares.remove(stored.from);
        }
        true
    }
}

/// Whether the new item may take the place of the stored one (BEP 44).
fn check(stored: &Item, new: &Item, cas: Option<i64>) -> Result<(), PutError> {
    let (Some(old_seq), Some(seq)) = (stored.seq(), new.seq()) else { return Ok(()) };
    if cas.is_some_and(|cas| cas != old_seq) {
        return Err((ErrorCode::CasMismatch, "another sequence number is stored"));
    }
    if seq < old_seq {
        return Err((ErrorCode::OldSeq, "the sequence number is lower than the stored one"));
    }
    if seq == old_seq && stored.value() != new.value() {
        return Err((ErrorCode::OldSeq, "another value with this sequence number is stored"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::Ipv4Addr;

    use bytes::Bytes;

    use super::*;
    use crate::dht::item::MutableItem;

    const OWN: Id = Id([0; 20]);

    fn from(number: u32) -> IpAddr {
        Ipv4Addr::from_bits(0x2000_0000 + number * 256).into()
    }

    fn mutable(seq: i64, value: &'static [u8]) -> Item {
        Item::Mutable(MutableItem::sign(&[1; 32], b"", seq, Bytes::from_static(value)).unwrap())
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "one moment to start from")]
    fn d5_numbers_only_grow_and_a_swap_compares() {
        let (mut store, now) = (ItemStore::default(), Instant::now());
        let mut put =
            |seq, value, cas| store.put(now, OWN, from(1), mutable(seq, value), cas).map_err(|(code, _)| code.number());
        assert_eq!(put(5, b"1:a", Some(77)), Ok(()), "nothing is there to compare with");
        assert_eq!(put(4, b"1:b", None), Err(302));
        assert_eq!(put(5, b"1:b", None), Err(302));
        assert_eq!(put(5, b"1:a", None), Ok(()), "the same again keeps it alive");
        assert_eq!(put(6, b"1:b", Some(4)), Err(301));
        assert_eq!(put(6, b"1:b", Some(5)), Ok(()));
        let target = mutable(1, b"1:a").name().target();
        assert_eq!(store.get(target).unwrap().seq(), Some(6));
        store.expire(now + ITEM_AGE);
        assert!(store.len() == 0 && store.shares.0.is_empty());
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "one moment to start from")]
    fn d4_a_flood_of_items_leaves_the_closest() {
        let (mut store, now) = (ItemStore::default(), Instant::now());
        let item = |number: u32| Item::immutable(format!("i{number}e").into()).unwrap();
        for number in 0..2000 {
            let _ = store.put(now, OWN, from(number), item(number), None);
        }
        assert_eq!(store.len(), MAX_STORED_ITEMS);
        let mut targets: Vec<Id> = (0..2000).map(|number| item(number).name().target()).collect();
        targets.sort_unstable();
        assert!(targets[..MAX_STORED_ITEMS].iter().all(|target| store.get(*target).is_some()));
        let mut crowd = ItemStore::default();
        let kept = (0..300).filter(|number| crowd.put(now, OWN, from(1), item(*number), None).is_ok()).count();
        assert_eq!(kept, 100);
    }
}
