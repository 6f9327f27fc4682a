//! A file is played while it comes from thirty peers of mixed speed.

use std::time::Duration;

use riverrun_proto::swarm::{PieceOrder, Strategy};

use super::{Outcome, Scenario, rule};
use crate::checkers::Violation;
use crate::{HostId, Link, Manner, Playback, Player, Seed, Torrent, World};

/// At 0.8 of the link: it begins within two seconds and never stands still.
pub(super) const STREAMING: Scenario = Scenario { name: "streaming", play: |seed| plays_well(seed, Company::Steady) };
/// The same while peers go and come; as those that play first may go at once, it may begin a second later (2.62 s at most in 200
/// seeds), and it may stand still for two seconds in all: of 200 seeds 8 did, once each, for 0.74 s at most. In seven of the eight the block
/// that was waited for had been asked of a peer that vanished without a word after it was asked, and was asked of another only 0.6 to 1.7 s later.
pub(super) const STREAMING_CHURN: Scenario =
    Scenario { name: "streaming-churn", play: |seed| plays_well(seed, Company::Churn) };
/// The same where every tenth peer takes requests and answers none.
pub(super) const STREAMING_BLACK_HOLES: Scenario =
    Scenario { name: "streaming-black-holes", play: |seed| plays_well(seed, Company::BlackHoles) };

/// Bytes per second that the player's link receives.
pub const LINK: u64 = 4_000_000;
/// Playing time of the content.
pub const TIME: Duration = Duration::from_secs(40);
/// What must be here before playing begins, as playing time.
const BUFFER: Duration = Duration::from_secs(1);
/// How many peers of which upload rate, in bytes per second: 1.23 × the link in all.
const PEERS: [(usize, u64); 4] = [(6, 400_000), (8, 200_000), (10, 80_000), (6, 20_000)];
const BLOCKS_PER_PIECE: u32 = 16;

/// Who else is in the swarm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Company {
    /// Peers that stay.
    Steady,
    /// Each second a peer goes and comes back four seconds later.
    Churn,
    /// Three of thirty-three peers answer nothing (P9).
    BlackHoles,
}

/// How pieces are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// By deadlines.
    Deadlines,
    /// In order, without a word of when.
    Sequential,
    /// The rarest first: the rule of deadlines is off.
    RarestFirst,
}

/// Plays content of this many bytes per second; what the user saw.
///
/// # Errors
/// A rule was broken, or it took more than four times its length.
pub fn trial(seed: Seed<'_>, rate: u64, company: Company, order: Order) -> (World, Result<Playback, Violation>) {
    let piece = u64::from(BLOCKS_PER_PIECE) * 16_384;
    let pieces = u32::try_from(rate * TIME.as_secs() / piece + 1).expect("a scenario's torrent is small");
    let mut world = World::new(seed, Torrent::new(pieces, BLOCKS_PER_PIECE, seed));
    for (count, up) in PEERS {
        for _ in 0..count {
            let delay = Duration::from_millis(u64::from(5 + world.draw(50)));
            let peer = world.add_seed(Link { up, down: up * 4, delay, jitter: delay / 10 });
            if company == Company::Churn {
                let at = Duration::from_millis(u64::from(world.draw(30_000)));
                let silently = world.draw(2) == 0;
                world.crash(peer, at, silently);
                world.restart(peer, at + Duration::from_secs(4));
            }
        }
    }
    if company == Company::BlackHoles {
        (0..3).for_each(|_| _ = world.add_stranger(Link::FIBRE, Manner::BlackHole, Duration::ZERO));
    }
    let link = Link { up: LINK / 4, down: LINK, delay: Duration::from_millis(10), jitter: Duration::from_millis(2) };
    let strategy = match order {
        Order::Deadlines => Strategy::default(),
        Order::Sequential => Strategy { deadlines: false, piece_order: PieceOrder::Sequential, ..Strategy::default() },
        Order::RarestFirst => Strategy { deadlines: false, ..Strategy::default() },
    };
    let host = world.add_leech(link, Duration::ZERO);
    world.follows(host, strategy);
    // Every peer knows the player, also one that comes back: what is tried here is who is asked, not who is found.
    world.tracker_names_only(host);
    let player = Player { host, rate, buffer: BUFFER, deadline: TIME * 4 };
    let result = player.play(&mut world);
    (world, result)
}

fn plays_well(seed: Seed<'_>, company: Company) -> Outcome {
    judged(company, trial(seed, LINK * 8 / 10, company, Order::Deadlines))
}

/// It began soon, and never stood still; only where the fastest may go while it plays, it may stand still for two seconds in all.
fn judged(company: Company, (mut world, played): (World, Result<Playback, Violation>)) -> Outcome {
    let result = played.and_then(|playback| {
        let took = world.run_until(TIME * 5, World::all_complete)?;
        let (stalls, stalled, start) = if company == Company::Churn { (2, 2000, 3000) } else { (0, 0, 2000) };
        let steady = playback.stalls <= stalls && playback.stalled <= Duration::from_millis(stalled);
        let result = rule(&world, Ok(took), steady, &format!("it stood still: {playback:?}"));
        let soon = playback.start <= Duration::from_millis(start);
        rule(&world, result, soon, &format!("it began late: {playback:?}"))
    });
    (world, result)
}

/// The host that is played at is the last.
#[must_use]
pub fn player(world: &World) -> HostId {
    HostId(world.hosts.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_deadlines_no_order_of_pieces_plays_well() {
        for order in [Order::Sequential, Order::RarestFirst] {
            for company in [Company::Steady, Company::Churn, Company::BlackHoles] {
                let (_, result) = judged(company, trial(1.into(), LINK * 8 / 10, company, order));
                assert!(result.is_err(), "{order:?} {company:?}");
            }
        }
    }
}
