//! Counting a swarm that no single node knows whole (BEP 33).

use std::fmt;
use std::net::IpAddr;

use riverrun_metainfo::hash::sha1;

/// The bits of a filter.
const BITS: u16 = 2048;

/// A set of addresses that can be united with others and counted roughly: a Bloom filter of 2048 bits with two hashes.
#[derive(Clone, PartialEq, Eq)]
pub struct BloomFilter([u8; Self::LENGTH]);

impl BloomFilter {
    /// The length in bytes.
    pub const LENGTH: usize = 256;

    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self([0; Self::LENGTH])
    }

    /// A filter as it stands in a reply; `None` if it has another length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// The filter as it stands in a reply.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// Adds an address; an IPv4 address counts as its 4 bytes.
    pub fn insert(&mut self, ip: IpAddr) {
        for bit in Self::bits(ip) {
            self.0[bit / 8] |= 1 << (bit % 8);
        }
    }

    /// Whether the address may have been added; false is certain.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        Self::bits(ip).iter().all(|bit| self.0[bit / 8] & (1 << (bit % 8)) != 0)
    }

    /// Adds all that is in the other.
    pub fn unite(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0).for_each(|(byte, other)| *byte |= other);
    }

    /// About how many addresses were added; useless above 6000 (BEP 33).
    #[must_use]
    pub fn estimate(&self) -> f64 {
        let bits = f64::from(BITS);
        let zeros = self.0.iter().map(|byte| byte.count_zeros()).sum::<u32>();
        let zeros = f64::from(zeros.clamp(1, u32::from(BITS) - 1));
        // An empty filter would count as half an address.
        if self.0 == [0; Self::LENGTH] { 0.0 } else { (zeros / bits).ln() / (2.0 * (1.0 - 1.0 / bits).ln()) }
    }

    fn bits(ip: IpAddr) -> [usize; 2] {
        let hash = match ip.to_canonical() {
            IpAddr::V4(ip) => sha1(&ip.octets()),
            IpAddr::V6(ip) => sha1(&ip.octets()),
        };
        [[hash[0], hash[1]], [hash[2], hash[3]]].map(|bytes| usize::from(u16::from_le_bytes(bytes) % BITS))
    }
}

impl Default for BloomFilter {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for BloomFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BloomFilter(about {:.0})", self.estimate())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    /// The vector of BEP 33: 192.0.2.0 to 192.0.2.255 and 2001:db8:: to 2001:db8::3e7.
    const VECTOR: &str = "F6C3F5EAA07FFD91BDE89F777F26FB2BFF37BDB8FB2BBAA2FD3DDDE7BACFFF75EE7CCBAE\
        FE5EEDB1FBFAFF67F6ABFF5E43DDBCA3FD9B9FFDF4FFD3E9DFF12D1BDF59DB53DBE9FA5B\
        7FF3B8FDFCDE1AFB8BEDD7BE2F3EE71EBBBFE93BCDEEFE148246C2BC5DBFF7E7EFDCF24F\
        D8DC7ADFFD8FFFDFDDFFF7A4BBEEDF5CB95CE81FC7FCFF1FF4FFFFDFE5F7FDCBB7FD79B3\
        FA1FC77BFE07FFF905B7B7FFC7FEFEFFE0B8370BB0CD3F5B7F2BD93FEB4386CFDD6F7FD5\
        BFAF2E9EBFFFFEECD67ADBF7C67F17EFD5D75EBA6FFEBA7FFF47A91EB1BFBB53E8ABFB57\
        62ABE8FF237279BFEFBFEEF5FFC5FEBFDFE5ADFFADFEE1FB737FFFFBFD9F6AEFFEEE76B6\
        FD8F72EF";

    #[test]
    fn the_vector_of_bep_33() {
        let v4 = (0..=255).map(|last| IpAddr::from(Ipv4Addr::new(192, 0, 2, last)));
        let v6 = (0..=0x3e7).map(|last| IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last)));
        let (mut whole, mut half, mut other) = (BloomFilter::new(), BloomFilter::new(), BloomFilter::new());
        v4.clone().for_each(|ip| half.insert(ip));
        v6.clone().for_each(|ip| other.insert(ip));
        v4.chain(v6).for_each(|ip| whole.insert(ip));
        let hex: String = whole.as_bytes().iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(hex, VECTOR);
        assert!((whole.estimate() - 1224.9308).abs() < 0.0001, "{}", whole.estimate());
        half.unite(&other);
        assert_eq!(half, whole);
        assert!(whole.contains("192.0.2.7".parse().unwrap()) && whole.contains("::ffff:192.0.2.7".parse().unwrap()));
    }

    #[test]
    fn nothing_counts_as_nothing_and_a_full_filter_has_an_end() {
        let mut filter = BloomFilter::new();
        assert!(filter.estimate().abs() < f64::EPSILON);
        filter.insert("1.2.3.4".parse().unwrap());
        assert!((filter.estimate() - 1.0).abs() < 0.01);
        assert!(BloomFilter::from_bytes(&[0xff; 256]).unwrap().estimate().is_finite());
        assert_eq!(BloomFilter::from_bytes(&[0; 255]), None);
    }
}
