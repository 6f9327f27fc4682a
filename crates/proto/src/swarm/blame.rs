//! Who sent bad data: proved before anyone is banned.
//!
//! A corrupt piece of one sender convicts him. A corrupt piece of several convicts nobody: the senders of its blocks and the
//! digests of these blocks are kept, and the piece is fetched again from one peer alone. When it is right at last, the blocks
//! of the earlier tries are compared with it: who sent a block that differs is guilty, all others are innocent.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use riverrun_metainfo::PieceIndex;

use crate::limits;
use crate::swarm::on_demand::OnDemand;
use crate::swarm::partial::{Contributor, Partial};
use crate::swarm::{ConnectionId, Strategy, WebSeedId};

/// Who can have sent a block, as far as anyone can be held to account.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Sender {
    /// Whoever is at this address.
    Peer(IpAddr),
    WebSeed(WebSeedId),
}

impl Sender {
    /// What counts as one and the same.
    fn key(self) -> Self {
        match self {
            Self::Peer(address) => Self::Peer(ban_key(address)),
            seed @ Self::WebSeed(_) => seed,
        }
    }
}

/// The corrupt tries and the bans of a session.
#[derive(Debug)]
pub(super) struct Blame {
    cases: OnDemand<BTreeMap<PieceIndex, Case>>,
    banned: OnDemand<BTreeSet<IpAddr>>,
    /// The rules of this name are on.
    parole: bool,
    smart_ban: bool,
}

/// All that is known of one piece that failed.
#[derive(Debug, Default)]
struct Case {
    tries: Vec<Try>,
    /// Tries by one peer alone that ended before the piece did.
    broken_off: u32,
    /// Whose tries those were.
    gave_up: BTreeSet<ConnectionId>,
}

/// One corrupt copy of a piece.
#[derive(Debug)]
struct Try {
    digests: Vec<u64>,
    from: Vec<u16>,
    contributors: Vec<Contributor>,
}

impl Blame {
    /// Nobody is under suspicion yet.
    pub(super) fn new(strategy: Strategy) -> Self {
        let Strategy { parole, smart_ban, .. } = strategy;
        Self { cases: OnDemand::default(), banned: OnDemand::default(), parole, smart_ban }
    }

    /// Whether nothing may be had from or given to this address.
    pub(super) fn is_banned(&self, address: IpAddr) -> bool {
        self.banned.contains(&ban_key(address))
    }

    /// Bans an address; true if it was not.
    pub(super) fn ban(&mut self, address: IpAddr) -> bool {
        self.banned.need().insert(ban_key(address))
    }

    /// Whether a try of this piece failed, so that the next right copy needs digests.
    pub(super) fn is_open(&self, piece: PieceIndex) -> bool {
        self.cases.contains_key(&piece)
    }

    /// Whether the piece should be fetched from one peer alone.
    pub(super) fn needs_parole(&self, piece: PieceIndex) -> bool {
        let case = self.cases.get(&piece).filter(|_| self.parole);
        case.is_some_and(|case| case.broken_off < limits::MAX_BROKEN_PAROLES)
    }

    /// The one peer went, or was silent, before the piece was whole.
    pub(super) fn parole_broken(&mut self, piece: PieceIndex, by: ConnectionId) {
        if let Some(case) = self.cases.made().and_then(|cases| cases.get_mut(&piece)) {
            case.broken_off += 1;
            case.gave_up.insert(by);
        }
    }

    /// The connections, some ended since, that sent blocks of a corrupt try of the piece, or did not fetch it alone.
    pub(super) fn suspects(&self, piece: PieceIndex) -> BTreeSet<ConnectionId> {
        let case = || self.cases.get(&piece).into_iter();
        let senders = case().flat_map(|case| &case.tries).flat_map(|failed| &failed.contributors);
        senders.map(|sender| sender.connection).chain(case().flat_map(|case| case.gave_up.iter().copied())).collect()
    }

    /// A piece failed its hash. Gives the sender that is certainly guilty, if one is.
    pub(super) fn corrupt(&mut self, partial: &Partial, digests: Vec<u64>) -> Option<Sender> {
        let (from, contributors) = partial.senders();
        let mut senders = contributors.iter().map(|contributor| contributor.sender.key());
        let first = senders.next()?;
        if senders.all(|sender| sender == first) {
            return Some(contributors[0].sender);
        }
        let kept: usize = self.cases.values().map(|case| case.tries.len()).sum();
        if kept < limits::MAX_CORRUPT_TRIES {
            let case = self.cases.need().entry(partial.piece()).or_default();
            case.broken_off = 0;
            case.gave_up.clear();
            case.tries.push(Try { digests, from: from.to_vec(), contributors: contributors.to_vec() });
        }
        None
    }

    /// A piece is right: gives those who sent other blocks in its corrupt tries.
    pub(super) fn verified(&mut self, piece: PieceIndex, digests: Option<&[u64]>) -> Vec<Sender> {
        let Some(case) = self.cases.made().and_then(|cases| cases.remove(&piece)) else { return Vec::new() };
        let Some(right) = digests.filter(|_| self.smart_ban) else { return Vec::new() };
        let mut guilty = BTreeMap::new();
        for failed in case.tries.iter().filter(|failed| failed.digests.len() == right.len()) {
            for ((digest, right), from) in failed.digests.iter().zip(right).zip(&failed.from) {
                let sender = failed.contributors.get(usize::from(*from));
                if let (true, Some(sender)) = (digest != right, sender) {
                    guilty.insert(sender.sender.key(), sender.sender);
                }
            }
        }
        guilty.into_values().collect()
    }
}

/// What a ban is kept under: the address, or its /64 in IPv6, where one customer has a whole network.
fn ban_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use riverrun_metainfo::{BLOCK_LENGTH, Layout};

    use super::*;
    use crate::swarm::partial::{Claim, Partials};
    use crate::swarm::tests::birth;

    fn address(number: u8) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, number))
    }

    fn peer(number: u8) -> Sender {
        Sender::Peer(address(number))
    }

    /// A piece of which each block came from the sender of that number.
    fn piece_from(senders: &[u8]) -> Partials {
        let length = u64::from(BLOCK_LENGTH) * senders.len() as u64;
        let layout = Layout::v1(length, [(length, false)]).expect("a small layout");
        let mut partials = Partials::default();
        let partial = partials.begin(&layout, PieceIndex(0), Claim::Shared, birth());
        for (number, sender) in (0..).zip(senders) {
            partial.receive(number, Contributor { connection: ConnectionId((*sender).into()), sender: peer(*sender) });
        }
        partials
    }

    fn corrupt(blame: &mut Blame, senders: &[u8], digests: &[u64]) -> Option<Sender> {
        let partials = piece_from(senders);
        blame.corrupt(partials.get(PieceIndex(0)).expect("begun"), digests.to_vec())
    }

    #[test]
    fn p5_a_piece_wholly_his_own_convicts_its_sender() {
        let mut blame = Blame::new(Strategy::default());
        assert_eq!(corrupt(&mut blame, &[4, 4, 4], &[1, 2, 3]), Some(peer(4)));
        assert!(!blame.is_open(PieceIndex(0)));
    }

    #[test]
    fn p6_only_the_sender_of_a_block_that_differs_is_guilty() {
        let mut blame = Blame::new(Strategy::default());
        assert_eq!(corrupt(&mut blame, &[1, 2, 3, 1], &[10, 99, 30, 40]), None);
        assert!(blame.needs_parole(PieceIndex(0)));
        assert_eq!(blame.suspects(PieceIndex(0)), [1, 2, 3].map(ConnectionId).into());
        assert_eq!(blame.verified(PieceIndex(0), Some(&[10, 20, 30, 40])), [peer(2)]);
        assert!(!blame.is_open(PieceIndex(0)));
    }

    #[test]
    fn p6_every_corrupt_try_is_compared_and_no_digests_convict_nobody() {
        let mut blame = Blame::new(Strategy::default());
        assert_eq!(corrupt(&mut blame, &[1, 2, 3], &[10, 99, 30]), None);
        assert_eq!(corrupt(&mut blame, &[2, 1, 3], &[10, 20, 77]), None);
        assert_eq!(blame.verified(PieceIndex(0), Some(&[10, 20, 30])), [peer(2), peer(3)]);
        assert_eq!(corrupt(&mut blame, &[1, 2, 3], &[10, 99, 30]), None);
        assert_eq!(blame.verified(PieceIndex(0), None), Vec::<Sender>::new());
    }

    #[test]
    fn a_ban_holds_for_the_whole_64_of_an_ipv6_address_and_for_mapped_ipv4() {
        let mut blame = Blame::new(Strategy::default());
        assert!(blame.ban("2001:db8:1:2:3:4:5:6".parse().expect("an address")));
        assert!(blame.is_banned("2001:db8:1:2:ffff::1".parse().expect("an address")));
        assert!(!blame.is_banned("2001:db8:1:3:3:4:5:6".parse().expect("an address")));
        assert!(blame.ban(address(9)));
        assert!(blame.is_banned("::ffff:10.0.0.9".parse().expect("an address")));
        assert!(!blame.is_banned(address(8)));
    }

    #[test]
    fn parole_is_given_up_when_it_is_broken_off_too_often() {
        let mut blame = Blame::new(Strategy::default());
        corrupt(&mut blame, &[1, 2], &[1, 2]);
        for _ in 0..limits::MAX_BROKEN_PAROLES {
            assert!(blame.needs_parole(PieceIndex(0)));
            blame.parole_broken(PieceIndex(0), ConnectionId(7));
        }
        assert!(!blame.needs_parole(PieceIndex(0)) && blame.is_open(PieceIndex(0)));
    }
    #[test]
    fn p6_neither_rule_convicts_or_sets_apart_when_it_is_off() {
        let mut blame = Blame::new(Strategy { smart_ban: false, parole: false, ..Strategy::default() });
        assert_eq!(corrupt(&mut blame, &[1, 2], &[10, 99]), None);
        assert!(!blame.needs_parole(PieceIndex(0)));
        assert_eq!(blame.verified(PieceIndex(0), Some(&[10, 20])), Vec::<Sender>::new());
        assert_eq!(corrupt(&mut blame, &[4, 4], &[1, 2]), Some(peer(4)), "a piece wholly his own needs no rule");
    }
}
