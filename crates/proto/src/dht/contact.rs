//! Where nodes are, and which addresses are believed (THREATS D2, D8).

use std::net::{IpAddr, SocketAddr};

use super::id::Id;
use crate::tracker::{Reach, dialable};

/// One of the two DHTs: nodes of one family know only nodes of the same (BEP 32).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// The family of an address; an IPv4 address inside an IPv6 one is IPv4.
    #[must_use]
    pub fn of(ip: IpAddr) -> Self {
        if ip.to_canonical().is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// A node: its id and its address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Contact {
    /// What it calls itself.
    pub id: Id,
    /// Where it answers.
    pub addr: SocketAddr,
}

/// The addresses that are taken for one owner's: a /24 of IPv4, a /64 of IPv6 (THREATS D2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Group([u8; 8]);

impl Group {
    /// `None`: a local address, which is nobody's group. See [`is_local`].
    pub(super) fn of(ip: IpAddr) -> Option<Self> {
        if is_local(ip) {
            return None;
        }
        let mut group = [0; 8];
        match ip.to_canonical() {
            IpAddr::V4(ip) => group[..3].copy_from_slice(&ip.octets()[..3]),
            IpAddr::V6(ip) => group.copy_from_slice(&ip.octets()[..8]),
        }
        Some(Self(group))
    }
}

/// The one rule of exemption: on this machine and on private networks many nodes share few addresses, and whoever is there is
/// trusted more than a stranger. Such addresses need no secure id (BEP 42), are no group, and have no rate of their own.
pub(super) fn is_local(ip: IpAddr) -> bool {
    Reach::of(ip) < Reach::Public
}

/// Whether an address that `teller` named is worth a packet: somebody can be there, and it lies no further inside than the
/// teller does. A node on the internet that names private or loopback addresses poisons (THREATS D8).
pub(super) fn is_plausible(addr: SocketAddr, teller: IpAddr) -> bool {
    dialable(addr) && Reach::of(addr.ip()) >= Reach::of(teller)
}

/// The address as it is compared and sent to: IPv4 inside IPv6 is IPv4, without scope and flow.
pub(super) fn plain(addr: SocketAddr) -> SocketAddr {
    SocketAddr::new(addr.ip().to_canonical(), addr.port())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn d2_groups_are_24_bits_of_v4_and_64_of_v6() {
        assert_eq!(Group::of(ip("1.2.3.4")), Group::of(ip("1.2.3.200")));
        assert_ne!(Group::of(ip("1.2.3.4")), Group::of(ip("1.2.4.4")));
        assert_eq!(Group::of(ip("2001:db8::1")), Group::of(ip("2001:db8::ffff:1")));
        assert_ne!(Group::of(ip("2001:db8::1")), Group::of(ip("2001:db8:0:1::1")));
        assert_eq!(Group::of(ip("127.0.0.1")), None);
        assert_eq!(Group::of(ip("10.1.1.1")), None);
        assert_eq!(Group::of(ip("::1")), None);
    }

    #[test]
    fn d8_nodes_name_nothing_further_inside_than_they_are() {
        let named = |addr: &str, teller: &str| is_plausible(addr.parse().unwrap(), ip(teller));
        for poison in
            ["127.0.0.1:80", "10.0.0.1:80", "1.1.1.1:0", "224.0.0.1:80", "0.0.0.0:80", "[::1]:80", "[ff02::1]:80"]
        {
            assert!(!named(poison, "8.8.8.8"), "{poison}");
        }
        assert!(named("1.1.1.1:80", "8.8.8.8"));
        assert!(named("127.0.0.1:80", "127.0.0.2"));
        assert!(named("10.0.0.1:80", "127.0.0.1"));
        assert!(!named("127.0.0.1:80", "10.0.0.1"));
    }
}
