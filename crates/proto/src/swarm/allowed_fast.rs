//! The pieces that a new peer may ask for while it is choked (BEP 6, "Allowed Fast Set Generation").

use std::net::{IpAddr, Ipv4Addr};

use riverrun_metainfo::hash::sha1;
use riverrun_metainfo::{PieceIndex, WireHash};
use smallvec::SmallVec;

use crate::limits;

/// The canonical set for the peer at this address, of at most `most` pieces out of `pieces`. All peers compute the same one,
/// so asking many of them gains nothing.
pub(super) fn allowed_fast(
    ip: Ipv4Addr,
    info_hash: WireHash,
    pieces: u32,
    most: usize,
) -> SmallVec<[PieceIndex; limits::MAX_ALLOWED_FAST]> {
    let mut set = SmallVec::new();
    // With fewer pieces than asked for, the canonical loop would never end.
    let most = most.min(pieces as usize);
    let [a, b, c, _] = ip.octets();
    let mut seed = [a, b, c, 0].to_vec();
    seed.extend_from_slice(&info_hash.0);
    let mut digest = sha1(&seed);
    while set.len() < most {
        for word in digest.chunks_exact(4) {
            let number = u32::from_be_bytes(word.try_into().expect("four bytes"));
            let piece = PieceIndex(number % pieces);
            if set.len() < most && !set.contains(&piece) {
                set.push(piece);
            }
        }
        digest = sha1(&digest);
    }
    set
}

/// The IPv4 address of a peer, also where it comes mapped into IPv6. The set is defined for IPv4 only.
pub(super) fn ipv4(address: IpAddr) -> Option<Ipv4Addr> {
    match address.to_canonical() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IP: Ipv4Addr = Ipv4Addr::new(80, 4, 4, 200);
    const HASH: WireHash = WireHash([0xaa; 20]);

    fn numbers(pieces: u32, most: usize) -> Vec<u32> {
        allowed_fast(IP, HASH, pieces, most).iter().map(|piece| piece.0).collect()
    }

    #[test]
    fn the_sets_of_the_specification() {
        assert_eq!(numbers(1313, 7), [1059, 431, 808, 1217, 287, 376, 1188]);
        assert_eq!(numbers(1313, 9), [1059, 431, 808, 1217, 287, 376, 1188, 353, 508]);
    }

    #[test]
    fn a_torrent_of_fewer_pieces_than_the_set_gives_every_piece_and_ends() {
        for pieces in 0..12 {
            let mut set = numbers(pieces, 10);
            set.sort_unstable();
            assert_eq!(set.len(), pieces.min(10) as usize);
            assert!(set.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }

    #[test]
    fn neighbours_in_a_network_share_a_set() {
        let other = allowed_fast(Ipv4Addr::new(80, 4, 4, 7), HASH, 1313, 9);
        assert_eq!(other, allowed_fast(IP, HASH, 1313, 9));
        assert_ne!(other, allowed_fast(Ipv4Addr::new(80, 4, 5, 7), HASH, 1313, 9));
    }
}
