//! Node ids that are bound to addresses (BEP 42), so that nobody places nodes around a target at will (THREATS D2).

use std::net::IpAddr;

use super::contact::is_local;
use super::id::Id;
use crate::crc32c::crc32c;

const V4_MASK: [u8; 4] = [0x03, 0x0f, 0x3f, 0xff];
const V6_MASK: [u8; 8] = [0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f, 0xff];

/// Whether a node at this address may have this id: its first 21 bits are a hash of the address and of the id's last byte.
/// Local addresses are exempt (BEP 42, Enforcement).
#[must_use]
pub fn is_secure(id: Id, ip: IpAddr) -> bool {
    if is_local(ip) {
        return true;
    }
    let [a, b, c, ..] = prefix(ip, id.0[19]);
    id.0[0] == a && id.0[1] == b && id.0[2] & 0xf8 == c & 0xf8
}

/// An id that a node at this address may have. `random` gives the bits that are free, the last byte among them.
#[must_use]
pub fn secure_id(ip: IpAddr, random: [u8; 20]) -> Id {
    let mut id = random;
    let [a, b, c, ..] = prefix(ip, random[19]);
    id[0] = a;
    id[1] = b;
    id[2] = c & 0xf8 | id[2] & 0x07;
    Id(id)
}

/// The hash whose first 21 bits the id must start with. The BEP's text speaks of a number of 64 bits, but its vectors and every
/// implementation hash 4 bytes for IPv4 and 8 for IPv6.
fn prefix(ip: IpAddr, last: u8) -> [u8; 4] {
    let place = (last & 0x07) << 5;
    let hash = match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let mut bytes = ip.octets();
            bytes.iter_mut().zip(V4_MASK).for_each(|(byte, mask)| *byte &= mask);
            bytes[0] |= place;
            crc32c(&bytes)
        }
        IpAddr::V6(ip) => {
            let mut bytes = [0; 8];
            bytes.iter_mut().zip(ip.octets()).zip(V6_MASK).for_each(|((byte, octet), mask)| *byte = octet & mask);
            bytes[0] |= place;
            crc32c(&bytes)
        }
    };
    hash.to_be_bytes()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// The vectors of BEP 42: address, random byte, the first three bytes of the id.
    const VECTORS: [(&str, u8, [u8; 3]); 5] = [
        ("124.31.75.21", 1, [0x5f, 0xbf, 0xbf]),
        ("21.75.31.124", 86, [0x5a, 0x3c, 0xe9]),
        ("65.23.51.170", 22, [0xa5, 0xd4, 0x32]),
        ("84.124.73.14", 65, [0x1b, 0x03, 0x21]),
        ("43.213.53.83", 90, [0xe5, 0x6f, 0x6c]),
    ];

    #[test]
    fn d2_the_vectors_of_bep_42() {
        for (ip, last, start) in VECTORS {
            let ip: IpAddr = ip.parse().unwrap();
            let mut random = [0; 20];
            random[2] = start[2] & 0x07;
            random[19] = last;
            let id = secure_id(ip, random);
            assert_eq!(id.0[..3], start, "{ip}");
            assert!(is_secure(id, ip));
            let mut other = id;
            other.0[2] ^= 0x08;
            assert!(!is_secure(other, ip));
            other.0[2] = id.0[2] ^ 0x07;
            assert!(is_secure(other, ip), "the last three bits of the third byte are free");
        }
    }

    #[test]
    fn d2_v6_ids_depend_on_the_first_half_of_the_address() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let id = secure_id(ip("2a01:1234:5678:9abc::1"), [3; 20]);
        assert!(is_secure(id, ip("2a01:1234:5678:9abc:ffff::2")));
        assert!(!is_secure(id, ip("2a01:1234:5678:9abd::1")));
        assert!(is_secure(id, ip("fe80::1")) && is_secure(id, ip("192.168.1.1")), "local addresses are exempt");
    }

    #[test]
    fn the_check_value_of_crc_32c() {}
}
