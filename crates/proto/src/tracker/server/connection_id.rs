//! Connection ids of the UDP protocol (BEP 15) without a table: each is a keyed hash of the address that it is for.
//!
//! Whoever shows one has received a packet at that address within the last two minutes. The time is in the id, so that it ends
//! to the second; 48 bits are left for the hash, which nobody can guess in the two minutes that a guess would be good for.

use std::net::IpAddr;

use riverrun_metainfo::hash::sha256;

use crate::limits::UDP_CONNECTION_ACCEPTED;

/// The bits of an id that say when it was given.
const TIME: u64 = 0xffff;

#[derive(Clone)]
pub(super) struct ConnectionIds {
    secret: [u8; 32],
}

impl ConnectionIds {
    pub(super) fn new(secret: [u8; 32]) -> Self {
        Self { secret }
    }

    /// The id for this address at this second.
    pub(super) fn give(&self, now: u64, ip: IpAddr) -> u64 {
        // Of a fixed length, and one block of the hash: then a secret in front is a sound key.
        let mut input = [0; 54];
        input[..32].copy_from_slice(&self.secret);
        let ip = match ip {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        input[32..48].copy_from_slice(&ip.octets());
        input[48..].copy_from_slice(&now.to_be_bytes()[2..]);
        let hash = sha256(&input);
        let (front, _) = hash.split_first_chunk().expect("a hash has 32 bytes");
        u64::from_be_bytes(*front) & !TIME | now & TIME
    }

    /// Whether this address was given the id, and not too long ago.
    pub(super) fn is_good(&self, now: u64, ip: IpAddr, id: u64) -> bool {
        let age = now.wrapping_sub(id) & TIME;
        age <= UDP_CONNECTION_ACCEPTED.as_secs() && age <= now && self.give(now - age, ip) == id
    }
}

impl std::fmt::Debug for ConnectionIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConnectionIds")
    }
}
