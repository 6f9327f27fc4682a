//! The crowds of each kind.

use std::time::Duration;

use riverrun_proto::swarm::{PieceOrder, SeedChoker, SlotRule, Strategy};
use riverrun_sim::crowd::{Crowd, libtorrent};
use riverrun_sim::{Link, Manner};

/// The crowds of a kind, each with its name; none if there is no such kind.
pub(crate) fn of_kind(kind: &str, base: &Crowd) -> Vec<(String, Crowd)> {
    let with = |strategy: Strategy| Crowd { strategy, ..base.clone() };
    let on = Strategy::default();
    let named: Vec<(&str, Crowd)> = match kind {
        "flash" => vec![("as shipped", base.clone())],
        "seeding" => vec![
            ("first copy", base.clone()),
            ("superseeding", Crowd { superseeding: true, ..base.clone() }),
            ("neither", with(Strategy { first_copy: false, ..on })),
        ],
        "orders" => vec![
            ("rarest first", base.clone()),
            ("random", with(Strategy { piece_order: PieceOrder::Random, ..on })),
            ("sequential", with(Strategy { piece_order: PieceOrder::Sequential, ..on })),
        ],
        "rules" => vec![
            ("as shipped", base.clone()),
            ("no short queues", with(Strategy { short_queues: false, ..on })),
            ("no first copy", with(Strategy { first_copy: false, ..on })),
            ("no whole pieces", with(Strategy { whole_pieces: false, ..on })),
            ("no few guests", with(Strategy { few_guests: false, ..on })),
            ("no steal", with(Strategy { steal: false, ..on })),
            ("libtorrent's rules", with(libtorrent())),
        ],
        "libtorrent" => beside_libtorrent(base),
        "slots" => vec![
            ("as the uplink bears", base.clone()),
            ("by the root", with(Strategy { slots: SlotRule::Root, ..on })),
            ("stairs", with(Strategy { slots: SlotRule::Stairs, ..on })),
            ("eight", with(Strategy { slots: SlotRule::Fixed(8), ..on })),
        ],
        "trouble" => vec![
            ("none", base.clone()),
            ("10 % black holes", among(base, BLACK_HOLES)),
            ("10 % drippers", among(base, DRIPPERS)),
            ("5 % liars", among(base, LIARS)),
        ],
        "chokers" => return chokers(base),
        _ => Vec::new(),
    };
    named.into_iter().map(|(name, crowd)| (name.to_owned(), crowd)).collect()
}

/// Each way of a seed to choose, at a slow and at a fast seed, with a tenth and with three tenths of free riders. The links are those of
/// the scenario `fairness`.
fn chokers(base: &Crowd) -> Vec<(String, Crowd)> {
    let ways = [
        ("round-robin", SeedChoker::RoundRobin),
        ("fastest", SeedChoker::Fastest),
        ("rarest-need", SeedChoker::RarestNeed),
        ("anti-leech", SeedChoker::AntiLeech),
    ];
    let link = Link { up: 250_000, down: 2_000_000, ..Link::DSL };
    let mut crowds = Vec::new();
    for (seed, seed_up) in [("slow seed", 500_000), ("fast seed", 1_500_000)] {
        for percent in [10, 30] {
            for (way, seed_choker) in ways {
                let riders = base.peers * percent / 100;
                let crowd = Crowd { riders, link, seed_up: Some(seed_up), seed_choker, ..base.clone() };
                crowds.push((format!("{seed} {percent} % {way}"), crowd));
            }
        }
    }
    crowds
}

/// A manner, and how many of it come to a hundred good peers.
type Bad = (Manner, u32);
const BLACK_HOLES: Bad = (Manner::BlackHole, 10);
const DRIPPERS: Bad = (Manner::Drip(Duration::from_secs(5)), 10);
const LIARS: Bad = (Manner::Lie(4), 5);

/// The crowd with bad peers on top.
fn among(base: &Crowd, (manner, percent): Bad) -> Crowd {
    Crowd { strangers: vec![(manner, (base.peers * percent).div_ceil(100))], ..base.clone() }
}

/// The same crowds by both sets of rules.
fn beside_libtorrent(base: &Crowd) -> Vec<(&'static str, Crowd)> {
    let theirs = Crowd { strategy: libtorrent(), ..base.clone() };
    vec![
        ("as shipped", base.clone()),
        ("libtorrent's rules", theirs.clone()),
        ("black holes: shipped", among(base, BLACK_HOLES)),
        ("black holes: libtorrent's", among(&theirs, BLACK_HOLES)),
        ("drippers: shipped", among(base, DRIPPERS)),
        ("drippers: libtorrent's", among(&theirs, DRIPPERS)),
        ("liars: shipped", among(base, LIARS)),
        ("liars: libtorrent's", among(&theirs, LIARS)),
    ]
}
