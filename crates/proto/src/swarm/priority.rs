//! Canonical peer priority (BEP 40): a rank of the connection between two addresses that both ends compute alike.
//!
//! Where everyone keeps the connections that rank highest, a newcomer gets into a swarm in which all places are taken, and
//! somebody who dials without end gets no more of the places than his share of the addresses.

use std::net::{IpAddr, SocketAddr};

use crate::crc32c::crc32c;

/// The priority of a connection between us, as the other side sees us, and a peer where it listens; the higher, the better.
/// `None` between an address of IPv4 and one of IPv6.
pub(super) fn priority(ours: SocketAddr, theirs: SocketAddr) -> Option<u32> {
    match (ours.ip().to_canonical(), theirs.ip().to_canonical()) {
        (a, b) if a == b => Some(of_bytes(ours.port().to_be_bytes(), theirs.port().to_be_bytes())),
        (IpAddr::V4(a), IpAddr::V4(b)) => Some(of_addresses(a.octets(), b.octets(), 2)),
        (IpAddr::V6(a), IpAddr::V6(b)) => Some(of_addresses(a.octets(), b.octets(), 6)),
        _ => None,
    }
}

/// Of two addresses the first `whole` bytes count whole, and as many more as they have in common, and one more then; of the bytes
/// behind those every other bit.
fn of_addresses<const N: usize>(a: [u8; N], b: [u8; N], whole: usize) -> u32 {
    let common = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
    let whole = if common < whole { whole } else { common + 1 };
    let masked = |address: [u8; N]| std::array::from_fn(|at| address[at] & if at < whole { 0xff } else { 0x55 });
    of_bytes::<N>(masked(a), masked(b))
}

fn of_bytes<const N: usize>(a: [u8; N], b: [u8; N]) -> u32 {
    crc32c([a.min(b), a.max(b)].as_flattened())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(ours: &str, theirs: &str) -> Option<u32> {
        priority(ours.parse().expect("an address"), theirs.parse().expect("an address"))
    }

    #[test]
    fn the_vectors_of_bep_40() {
        assert_eq!(of("123.213.32.10:1", "98.76.54.32:2"), Some(0xec2d_7224));
        assert_eq!(of("123.213.32.10:1", "123.213.32.234:2"), Some(0x9956_8189));
    }

    #[test]
    fn equal_addresses_are_told_apart_by_their_ports() {
        let expected = crc32c(&[0x1a, 0xe1, 0x30, 0x39]);
        assert_eq!(of("1.2.3.4:6881", "1.2.3.4:12345"), Some(expected));
        assert_eq!(of("1.2.3.4:12345", "1.2.3.4:6881"), Some(expected));
        assert_eq!(of("[2001:db8::1]:6881", "[2001:db8::1]:12345"), Some(expected));
    }

    #[test]
    fn masks_grow_with_what_the_addresses_have_in_common() {
        let of_v4 = |a: [u8; 4], b: [u8; 4]| Some(crc32c([a, b].as_flattened()));
        assert_eq!(of("1.2.255.255:1", "1.3.255.255:1"), of_v4([1, 2, 0x55, 0x55], [1, 3, 0x55, 0x55]));
        assert_eq!(of("1.2.3.255:1", "1.2.4.255:1"), of_v4([1, 2, 3, 0x55], [1, 2, 4, 0x55]));
        let expected = |head: [[u8; 8]; 2]| {
            let all = head.map(|head| [head, [0x55; 8]].concat());
            Some(crc32c(&all.concat()))
        };
        let v6 =
            |a: &str, b: &str| of(&format!("[{a}:ffff:ffff:ffff:ffff]:1"), &format!("[{b}:ffff:ffff:ffff:ffff]:1"));
        assert_eq!(
            v6("2001:db8:1:ffff", "2001:db8:2:ffff"),
            expected([[0x20, 1, 0x0d, 0xb8, 0, 1, 0x55, 0x55], [0x20, 1, 0x0d, 0xb8, 0, 2, 0x55, 0x55]])
        );
        assert_eq!(
            v6("2001:db8:1:11ff", "2001:db8:1:22ff"),
            expected([[0x20, 1, 0x0d, 0xb8, 0, 1, 0x11, 0x55], [0x20, 1, 0x0d, 0xb8, 0, 1, 0x22, 0x55]])
        );
        assert_eq!(
            v6("2001:db8:1:1101", "2001:db8:1:1102"),
            expected([[0x20, 1, 0x0d, 0xb8, 0, 1, 0x11, 1], [0x20, 1, 0x0d, 0xb8, 0, 1, 0x11, 2]])
        );
    }

    #[test]
    fn the_families_have_nothing_to_compare() {
        assert_eq!(of("1.2.3.4:1", "[2001:db8::1]:1"), None);
        assert_eq!(of("[::ffff:123.213.32.10]:1", "98.76.54.32:2"), Some(0xec2d_7224), "a mapped address is IPv4");
    }

    proptest! {
        #[test]
        fn both_ends_compute_the_same(a: [u8; 16], b: [u8; 16], ports: (u16, u16), v4: bool) {
            let of = |bytes: [u8; 16], port| {
                let short = [bytes[0], bytes[1], bytes[2], bytes[3]];
                SocketAddr::new(if v4 { short.into() } else { bytes.into() }, port)
            };
            let (a, b) = (of(a, ports.0), of(b, ports.1));
            prop_assert_eq!(priority(a, b), priority(b, a));
        }
    }
}
