//! Our own addresses, as peers see them.

use std::net::{IpAddr, SocketAddr};

use crate::dht::{Family, Votes};
use crate::swarm::on_demand::Rested;
use crate::swarm::priority::priority;

/// What is known of them. Nobody is told any of it.
#[derive(Debug, Default)]
pub(super) struct Outside {
    v4: Side,
    v6: Side,
}

#[derive(Debug, Default)]
struct Side {
    ip: Option<IpAddr>,
    /// The owner knows it; what peers say counts for nothing then.
    told: bool,
    votes: Votes,
}

impl Side {
    const UNKNOWN: Self = Self { ip: None, told: false, votes: Votes::new() };
}

impl Rested for Outside {
    const RESTED: &'static Self = &Self { v4: Side::UNKNOWN, v6: Side::UNKNOWN };
}

impl Outside {
    fn side(&mut self, ip: IpAddr) -> &mut Side {
        if Family::of(ip) == Family::V4 { &mut self.v4 } else { &mut self.v6 }
    }

    /// The owner knows our address of one family. True if that is new.
    pub(super) fn told(&mut self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        let side = self.side(ip);
        side.told = true;
        side.ip.replace(ip) != Some(ip)
    }

    /// A peer says where it sees us (BEP 10 `yourip`). One alone is not believed: peers in enough networks must agree. True if that
    /// makes a difference.
    pub(super) fn said(&mut self, by: IpAddr, ip: IpAddr) -> bool {
        let (by, ip) = (by.to_canonical(), ip.to_canonical());
        let side = self.side(ip);
        if side.told || side.ip == Some(ip) {
            return false;
        }
        let Some(agreed) = side.votes.add(by, ip) else { return false };
        side.ip.replace(agreed) != Some(agreed)
    }

    /// The canonical priority of a peer that listens there, if our own address is known (BEP 40). `port` is ours.
    pub(super) fn rank(&self, port: Option<u16>, peer: SocketAddr) -> Option<u32> {
        let ip = if peer.ip().to_canonical().is_ipv4() { self.v4.ip } else { self.v6.ip };
        // The port counts between two of one address alone.
        priority(SocketAddr::new(ip?, port.unwrap_or(0)), peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn p22_our_address_is_what_many_networks_agree_on() {
        let mut outside = Outside::default();
        let peer = SocketAddr::new(ip("98.76.54.32"), 6881);
        assert!((0..100).all(|last| !outside.said([8, 8, 8, last].into(), ip("6.6.6.6"))), "one network is one voice");
        assert_eq!(outside.rank(Some(6881), peer), None);
        let agreed = (1..9u8).filter(|network| outside.said([8, 9, *network, 1].into(), ip("123.213.32.10"))).count();
        assert_eq!(agreed, 1);
        assert_eq!(outside.rank(Some(6881), peer), Some(0xec2d_7224));
        assert_eq!(outside.rank(None, peer), Some(0xec2d_7224));
        assert_eq!(outside.rank(Some(6881), "[2001:db8::1]:1".parse().expect("an address")), None);
    }

    #[test]
    fn what_the_owner_knows_stands() {
        let mut outside = Outside::default();
        assert!(outside.told(ip("::ffff:123.213.32.10")));
        assert!(!outside.told(ip("123.213.32.10")));
        assert!((1..50u8).all(|network| !outside.said([8, 9, network, 1].into(), ip("6.6.6.6"))));
        assert_eq!(outside.rank(Some(1), SocketAddr::new(ip("98.76.54.32"), 2)), Some(0xec2d_7224));
    }
}
