//! How far an address reaches: nobody is told of one that is of no use, or no business, where he is.

use std::net::{IpAddr, Ipv6Addr};

/// From where an address can be dialled, the narrowest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Reach {
    /// From the same machine.
    Host,
    /// From the same private network (RFC 1918, 4193, 6598) or link.
    Local,
    /// From anywhere.
    World,
}

impl Reach {
    pub(super) fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            ip if ip.is_loopback() => Self::Host,
            IpAddr::V4(ip) => {
                let shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
                if ip.is_private() || ip.is_link_local() || shared { Self::Local } else { Self::World }
            }
            IpAddr::V6(ip) => {
                if ip.is_unique_local() || ip.is_unicast_link_local() {
                    Self::Local
                } else {
                    Self::World
                }
            }
        }
    }
}

/// What counts as one party: an address of IPv4, or the half of an address of IPv6 that its provider gave (/64).
pub(super) fn party(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_reach_as_far_as_their_registries_say() {
        let of = |text: &str| Reach::of(text.parse().expect("an address"));
        for host in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(of(host), Reach::Host, "{host}");
        }
        for local in ["10.1.1.1", "172.16.0.1", "192.168.1.1", "169.254.1.1", "100.64.0.1", "fe80::1", "fd00::1"] {
            assert_eq!(of(local), Reach::Local, "{local}");
        }
        for world in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2001:db8::1", "::ffff:9.9.9.9"] {
            assert_eq!(of(world), Reach::World, "{world}");
        }
    }

    #[test]
    fn one_provider_prefix_is_one_party() {
        let of = |text: &str| party(text.parse().expect("an address"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8::1"));
        assert_eq!(of("::ffff:1.2.3.4"), of("1.2.3.4"));
        assert_ne!(of("1.2.3.5"), of("1.2.3.4"));
    }
}
