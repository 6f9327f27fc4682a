//! What others say our address is (BEP 42, Bootstrapping).

use std::collections::VecDeque;
use std::net::IpAddr;

use super::contact::{Family, Group};
use super::limits::{MAX_VOTES, MIN_VOTES};

/// The latest votes on our address in one family. A vote counts from nodes on the internet that we asked, once for each /24 or
/// /64, and only for an address on the internet: local nodes see local addresses, which need no secure id.
#[derive(Debug, Default)]
pub(crate) struct Votes {
    votes: VecDeque<(Group, IpAddr)>,
}

impl Votes {
    /// Nobody has said anything.
    pub(crate) const fn new() -> Self {
        Self { votes: VecDeque::new() }
    }

    /// Counts what `voter` says. Returns the address that enough voters and more than half of them name.
    pub(crate) fn add(&mut self, voter: IpAddr, says: IpAddr) -> Option<IpAddr> {
        let group = Group::of(voter)?;
        Group::of(says)?;
        if Family::of(voter) != Family::of(says) || !crate::tracker::dialable((says, 1).into()) {
            return None;
        }
        self.votes.retain(|(other, _)| *other != group);
        if self.votes.len() >= MAX_VOTES {
            self.votes.pop_front();
        }
        self.votes.push_back((group, says));
        let count = self.votes.iter().filter(|(_, other)| *other == says).count();
        (count >= MIN_VOTES && count * 2 > self.votes.len()).then_some(says)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn voter(number: u8) -> IpAddr {
        [8, 8, number, 1].into()
    }

    #[test]
    fn an_address_is_believed_when_enough_networks_agree() {
        let (ours, lie): (IpAddr, IpAddr) = ("1.2.3.4".parse().unwrap(), "6.6.6.6".parse().unwrap());
        let mut votes = Votes::default();
        assert!((0..50).all(|_| votes.add(voter(1), lie).is_none()), "one network has one vote");
        assert!((2..6).all(|number| votes.add(voter(number), ours).is_none()), "four are too few");
        assert_eq!(votes.add(voter(6), ours), Some(ours));
        assert!((10..15).all(|number| votes.add(voter(number), lie).is_none_or(|ip| ip == lie)));
        assert_eq!(votes.add(voter(15), lie), Some(lie), "the majority has changed");
    }

    #[test]
    fn local_voters_and_local_addresses_do_not_count() {
        let mut votes = Votes::default();
        let ours: IpAddr = "1.2.3.4".parse().unwrap();
        assert!((1..100).all(|number| votes.add([10, 0, number, 1].into(), ours).is_none()));
        assert!((1..100).all(|number| votes.add(voter(number), [192, 168, 1, 1].into()).is_none()));
        assert!((1..100).all(|number| votes.add(voter(number), "2001:db8::1".parse().unwrap()).is_none()));
        assert!((1..100).all(|number| votes.add(voter(number), [224, 0, 0, 1].into()).is_none()));
    }
}
