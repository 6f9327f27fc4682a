//! The names of nodes and of what they store, and the distance between them.

use std::fmt;

use riverrun_metainfo::WireHash;

/// A point of the DHT's space of 160 bits: the id of a node, an info-hash, or the target of an item (BEP 5, 44).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub [u8; 20]);

/// How far two points are from one another: their XOR as a number. Smaller is closer (BEP 5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Distance([u8; 20]);

impl Id {
    /// The number of bits.
    pub const BITS: usize = 160;

    /// How far the other point is.
    #[must_use]
    pub fn distance(self, other: Self) -> Distance {
        let mut xor = self.0;
        xor.iter_mut().zip(other.0).for_each(|(byte, other)| *byte ^= other);
        Distance(xor)
    }

    /// How many leading bits both have in common, 0 to 160.
    #[must_use]
    pub fn shared_bits(self, other: Self) -> usize {
        let Distance(xor) = self.distance(other);
        match xor.iter().position(|&byte| byte != 0) {
            Some(at) => at * 8 + xor[at].leading_zeros() as usize,
            None => Self::BITS,
        }
    }

    /// The same point with its first `bits` bits taken from `prefix`, and the next bit the opposite of what it is there: a
    /// point of the bucket that shares exactly so many bits with `prefix`.
    #[must_use]
    pub(super) fn beside(self, prefix: Self, bits: usize) -> Self {
        let mut id = self;
        for bit in 0..=bits.min(Self::BITS - 1) {
            let mask = 0x80 >> (bit % 8);
            let wanted = (prefix.0[bit / 8] & mask != 0) ^ (bit == bits);
            id.0[bit / 8] = if wanted { id.0[bit / 8] | mask } else { id.0[bit / 8] & !mask };
        }
        id
    }
}

impl From<WireHash> for Id {
    fn from(hash: WireHash) -> Self {
        Self(hash.0)
    }
}

impl From<Id> for WireHash {
    fn from(id: Id) -> Self {
        Self(id.0)
    }
}

/// 40 hex digits.
impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({self})")
    }
}

impl fmt::Debug for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Distance({})", Id(self.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_bits_in_common_say_which_is_closer(a: [u8; 20], b: [u8; 20], c: [u8; 20]) {
            let (a, b, c) = (Id(a), Id(b), Id(c));
            prop_assert_eq!(a.distance(b), b.distance(a));
            if a.shared_bits(b) > a.shared_bits(c) {
                prop_assert!(a.distance(b) < a.distance(c));
            }
        }

        #[test]
        fn a_point_beside_shares_exactly_so_many_bits(id: [u8; 20], prefix: [u8; 20], bits in 0usize..160) {
            prop_assert_eq!(Id(id).beside(Id(prefix), bits).shared_bits(Id(prefix)), bits);
        }
    }

    #[test]
    fn a_point_shares_all_bits_with_itself() {
        let id = Id([7; 20]);
        assert_eq!(id.shared_bits(id), 160);
        assert_eq!(id.to_string(), "07".repeat(20));
    }
}
