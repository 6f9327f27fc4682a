//! Whom a seed serves first: nobody gives it anything, so something else must tell its guests apart.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use riverrun_metainfo::{Bitfield, PieceIndex};

use crate::swarm::ConnectionId;
use crate::swarm::choker::View;

/// How long a seed serves one peer while others wait.
const TURN: Duration = Duration::from_secs(60);
/// What a peer may take in its turn even if it takes longer than a turn: nobody is choked before his pieces are whole.
const TURN_BYTES: u64 = 4 << 20;
/// Scores are told apart in so many steps: a peer that has just got a piece does not lose its slot by it.
const STEPS: u64 = 16;
/// Pieces that are looked at for how rare they are, a stretch of the torrent that begins anywhere.
const SAMPLE: u32 = 4096;
/// The rarest of so many are rare, and all that are had by as few.
const RARE_OF: usize = 4;

/// Whom a seed serves first when more peers want something than it has slots. One slot goes by chance in each of them, so that
/// nobody waits for good, and who takes nothing for long comes last.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SeedChoker {
    /// Each for a turn: a minute, or 4 MiB if that takes longer; then who waits longest.
    #[default]
    RoundRobin,
    /// Whoever takes fastest, for as long as nobody is faster.
    Fastest,
    /// Whoever lacks most of the rarest quarter of the pieces; where all are as rare, whoever has least.
    RarestNeed,
    /// Whoever has just begun or is nearly done, before those in the middle, who can trade (Chow, Golubchik and Misra, "Improving
    /// BitTorrent: a simple approach"). Who says that it has nothing and takes on counts what it took.
    AntiLeech,
}

/// What of the torrent the order depends on.
#[derive(Debug)]
pub(super) struct Market {
    /// Bytes of the whole.
    size: u64,
    /// Rare pieces in what was looked at.
    rare: Vec<PieceIndex>,
}

impl Market {
    /// Where nobody asks for what is rare or who has how much.
    pub(super) const NONE: Self = Self::of_size(0);

    /// Where nobody asks for what is rare.
    pub(super) const fn of_size(size: u64) -> Self {
        Self { size, rare: Vec::new() }
    }

    /// Which pieces are rare, from `first` on, if these downloaders have these pieces.
    pub(super) fn new<'a>(size: u64, pieces: u32, first: u32, holders: impl Iterator<Item = &'a Bitfield>) -> Self {
        let first = first % pieces.max(1);
        let looked = |nth: u32| PieceIndex(if nth < pieces - first { first + nth } else { nth - (pieces - first) });
        let mut held: Vec<(u32, PieceIndex)> = (0..pieces.min(SAMPLE)).map(|nth| (0, looked(nth))).collect();
        for bits in holders {
            held.iter_mut().for_each(|(count, piece)| *count += u32::from(bits.has(*piece)));
        }
        let mut counts: Vec<u32> = held.iter().map(|(count, _)| *count).collect();
        counts.sort_unstable();
        let most = counts.get(counts.len() / RARE_OF).copied().unwrap_or_default();
        let rare = held.into_iter().filter(|(count, _)| *count <= most).map(|(_, piece)| piece).collect();
        Self { size, rare }
    }

    /// How many of the rare pieces a peer lacks, in steps.
    pub(super) fn lacks(&self, has: impl Fn(PieceIndex) -> bool) -> u64 {
        let lacks = self.rare.iter().filter(|piece| !has(**piece)).count() as u64;
        lacks * STEPS / (self.rare.len() as u64).max(1)
    }

    /// How far from the middle a peer is, in steps. What it took counts up to the middle alone, as it may have lost some.
    fn off_middle(&self, view: &View) -> u64 {
        let middle = self.size / 2;
        view.holds.max(view.took_in_all.min(middle)).abs_diff(middle) * STEPS / middle.max(1)
    }
}

impl SeedChoker {
    /// Puts peers in the order in which they are to be served. Who has its slot by luck, has no turn.
    pub(super) fn sort(self, now: Instant, peers: &mut [View], lucky: Option<ConnectionId>, market: &Market) {
        peers.sort_by_cached_key(|peer| {
            let score = match self {
                Self::RoundRobin => 0,
                Self::Fastest if peer.unchoked => peer.took,
                Self::Fastest => 0,
                Self::RarestNeed => peer.lacks_rare,
                Self::AntiLeech => market.off_middle(peer),
            };
            // Who has not had his turn out goes on, fastest first; then who waits longest.
            let over = turn_is_over(now, peer);
            let goes_on = peer.unchoked && !over && lucky != Some(peer.connection);
            let waiting = if peer.unchoked { Duration::ZERO } else { now.saturating_duration_since(peer.turned) };
            (peer.idle, Reverse(score), !goes_on, over, Reverse(waiting), Reverse(peer.took), peer.connection)
        });
    }
}

fn turn_is_over(now: Instant, peer: &View) -> bool {
    peer.unchoked && now.saturating_duration_since(peer.turned) >= TURN && peer.took_in_turn >= TURN_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::choker::tests::{later, view};

    const ALL: [SeedChoker; 4] =
        [SeedChoker::RoundRobin, SeedChoker::Fastest, SeedChoker::RarestNeed, SeedChoker::AntiLeech];

    fn order(choker: SeedChoker, mut peers: Vec<View>) -> Vec<u64> {
        choker.sort(later(1000), &mut peers, None, &Market::of_size(1600));
        peers.iter().map(|peer| peer.connection.0).collect()
    }

    /// In each of the four ways another of these is first.
    fn company() -> Vec<View> {
        let served = View { unchoked: true, turned: later(990), holds: 800, ..view(0) };
        vec![
            View { turned: later(10), lacks_rare: 3, ..view(0) },
            View { took: 9_000_000, took_in_turn: 9_000_000, turned: later(900), ..served.clone() },
            View { took: 1000, lacks_rare: 9, ..served.clone() },
            View { took: 2000, ..served },
        ]
        .into_iter()
        .zip(0..)
        .map(|(peer, number)| View { connection: ConnectionId(number), ..peer })
        .collect()
    }

    #[test]
    fn each_choker_serves_another_first() {
        let first = ALL.map(|choker| order(choker, company())[0]);
        assert_eq!(first, [3, 1, 2, 0]);
        assert_eq!(
            ALL.map(|choker| order(choker, company())[3]),
            [1, 0, 1, 1],
            "whose turn is over, or who takes least"
        );
    }

    #[test]
    fn p29_who_takes_nothing_for_long_is_last_in_each() {
        let mut peers = company();
        (peers[3].idle, peers[1].idle, peers[2].idle) = (true, true, true);
        assert!(ALL.iter().all(|choker| order(*choker, peers.clone())[0] == 0));
    }

    #[test]
    fn anti_leech_serves_beginners_and_the_nearly_done_and_believes_nobody_who_took_much() {
        let of = |number, holds, took_in_all| View { holds, took_in_all, ..view(number) };
        let peers = vec![of(0, 800, 0), of(1, 100, 0), of(2, 1600, 0), of(3, 0, 5000), of(4, 1200, 0)];
        assert_eq!(order(SeedChoker::AntiLeech, peers), [2, 1, 4, 0, 3]);
    }

    fn bits(pieces: &[u32]) -> Bitfield {
        let mut bits = Bitfield::empty(8);
        pieces.iter().for_each(|piece| _ = bits.insert(PieceIndex(*piece)));
        bits
    }

    #[test]
    fn what_fewest_have_is_rare_and_where_all_is_as_rare_need_is_what_one_lacks() {
        let holders = [bits(&[0, 1, 2, 3, 4, 5]), bits(&[0, 1, 2, 3, 4]), bits(&[0, 1, 2, 3, 6])];
        let market = Market::new(8, 8, 3, holders.iter());
        // 7 is had by none, 5 and 6 by one.
        assert_eq!(holders.each_ref().map(|bits| market.lacks(|piece| bits.has(piece))), [10, 16, 10]);
        let none = Market::new(8, 8, 5, std::iter::empty());
        assert_eq!(none.lacks(|piece| piece.0 < 6), STEPS / 4);
    }

    #[test]
    fn no_torrent_is_too_large_or_too_small_to_be_looked_at() {
        assert_eq!(Market::new(0, 0, 7, std::iter::empty()).lacks(|_| false), 0);
        let market = Market::new(0, u32::MAX, u32::MAX - 1, std::iter::empty());
        assert_eq!((market.rare.len(), market.lacks(|_| false)), (SAMPLE as usize, STEPS));
    }
}
