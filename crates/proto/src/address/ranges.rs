//! A set of addresses as ranges.
//!
//! Invariant: the ranges of each family are sorted, disjoint and not adjacent, so that one binary search answers. A range takes 8
//! bytes for IPv4 and 32 for IPv6.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::{AddressList, ListError};

/// Addresses of both families, as disjoint ranges.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AddressRanges {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl AddressRanges {
    /// Sorts and joins ranges whose ends are of one family and in order; others are left out.
    pub(super) fn new(v4: Vec<(u32, u32)>, v6: Vec<(u128, u128)>) -> Self {
        let v4 = joined(v4, |end| end.checked_add(1));
        let v6 = joined(v6, |end| end.checked_add(1));
        Self { v4, v6 }
    }

    /// Whether the address is in one of them. An IPv4 address inside an IPv6 one counts as the former.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => holds(&self.v4, address.to_bits()),
            IpAddr::V6(address) => holds(&self.v6, address.to_bits()),
        }
    }

    /// How many ranges there are, after those that touch each other were joined.
    #[must_use]
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Whether no address is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Ranges from `(first, last)` to `(first, last)`, both within.
impl FromIterator<RangeInclusive<IpAddr>> for AddressRanges {
    fn from_iter<T: IntoIterator<Item = RangeInclusive<IpAddr>>>(ranges: T) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for range in ranges {
            match (range.start().to_canonical(), range.end().to_canonical()) {
                (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => v4.push((first.to_bits(), last.to_bits())),
                (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => v6.push((first.to_bits(), last.to_bits())),
                _ => {}
            }
        }
        Self::new(v4, v6)
    }
}

impl FromStr for AddressRanges {
    type Err = ListError;

    /// Reads a whole list, see [`AddressList`].
    fn from_str(text: &str) -> Result<Self, ListError> {
        let mut list = AddressList::default();
        text.lines().try_for_each(|line| list.line(line.as_bytes()))?;
        Ok(list.finish())
    }
}

fn holds<T: Copy + Ord>(ranges: &[(T, T)], address: T) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= address);
    after.checked_sub(1).is_some_and(|at| address <= ranges[at].1)
}

fn joined<T: Copy + Ord>(mut ranges: Vec<(T, T)>, next: impl Fn(T) -> Option<T>) -> Vec<(T, T)> {
    ranges.sort_unstable();
    ranges.dedup_by(|(first, last), (_, before)| {
        let touches = next(*before).is_none_or(|next| *first <= next);
        if touches {
            *before = (*before).max(*last);
        }
        touches
    });
    ranges.shrink_to_fit();
    ranges
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ranges_that_touch_are_one() {
        let ranges = AddressRanges::new(vec![(5, 9), (1, 2), (10, 12), (3, 3), (u32::MAX, u32::MAX), (6, 7)], vec![]);
        assert_eq!(ranges.v4, [(1, 3), (5, 12), (u32::MAX, u32::MAX)]);
        let all = AddressRanges::new(vec![(0, u32::MAX), (7, 8)], vec![(0, u128::MAX), (u128::MAX, u128::MAX)]);
        assert_eq!(all.len(), 2);
        assert!(all.contains("255.255.255.255".parse().unwrap()) && all.contains("::".parse().unwrap()));
    }

    #[test]
    fn a_million_ranges_are_found_in_few_steps_and_take_little() {
        let ranges = AddressRanges::new((0..1_000_000).map(|n| (n * 4, n * 4 + 1)).collect(), vec![]);
        assert_eq!(ranges.len(), 1_000_000);
        assert_eq!(ranges.v4.capacity() * size_of::<(u32, u32)>(), 8_000_000);
        assert!(ranges.contains(IpAddr::from(399_997u32.to_be_bytes())));
        assert!(!ranges.contains(IpAddr::from(399_999u32.to_be_bytes())));
    }

    proptest! {
        #[test]
        fn the_set_is_the_union(ranges in proptest::collection::vec((0u32..60, 0u32..10), 0..20)) {
            let ranges: Vec<_> = ranges.into_iter().map(|(first, more)| (first, first + more)).collect();
            let set = AddressRanges::new(ranges.clone(), vec![]);
            prop_assert!(set.v4.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
            for address in 0..80u32 {
                let within = ranges.iter().any(|(first, last)| (*first..=*last).contains(&address));
                prop_assert_eq!(set.contains(IpAddr::from(address.to_be_bytes())), within);
            }
        }
    }
}
