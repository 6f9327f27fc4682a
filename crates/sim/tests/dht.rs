//! The DHT in small, with the thresholds that hold in large too. `just sim-dht` is the large one.

use std::time::Duration;

use riverrun_proto::dht::Rules;
use riverrun_sim::dht::{Attack, Placement, Report, Trial};

fn small(seed: u64) -> Trial {
    let mut trial = Trial::new(120, seed);
    (trial.growing, trial.settling, trial.lookups) = (Duration::from_secs(24), Duration::from_secs(10), 40);
    trial
}

fn attacked(rules: Rules, attack: Attack) -> Report {
    let mut trial = small(1);
    (trial.nodes, trial.rules, trial.attack) = (80, rules, Some(attack));
    trial.run()
}

#[test]
fn peers_are_found_when_a_third_of_the_nodes_have_died() {
    let (mut found, mut begun) = (0, 0);
    for seed in 1..=3 {
        let report = small(seed).run();
        assert_eq!((report.announces.begun, report.announces.ended), (40, 40));
        assert!(report.placed >= 99.0 && report.placed_at >= 6.0, "{report:?}");
        for tally in [&report.early, &report.late] {
            assert_eq!((tally.begun, tally.ended), (20, 20), "every lookup ends");
            assert!(tally.first.at(50) < Duration::from_secs(1), "{:?}", tally.first.at(50));
            (found, begun) = (found + tally.found, begun + tally.begun);
        }
    }
    assert!(found * 100 >= begun * 99, "{found} of {begun}");
}

#[test]
fn the_same_trial_gives_the_same_digest_and_another_seed_another() {
    let run = |seed| {
        let mut trial = small(seed);
        (trial.nodes, trial.lookups) = (60, 10);
        trial.run()
    };
    let first = run(7);
    assert_eq!(first, run(7));
    assert_ne!(first.digest, run(8).digest);
}

/// With the rules a siege by nodes of many networks or of few hides nothing; without both it hides nearly everything.
#[test]
fn d2_a_siege_hides_a_torrent_only_when_the_rules_are_off() {
    let apart = Attack { addresses: 60, networks: 60, placement: Placement::Beside, false_peers: 50 };
    let crowded = Attack { addresses: 150, networks: 3, ..apart };
    let (on, off) = (Rules::default(), Rules { secure_ids: false, one_per_group: false });
    for (attack, rules) in [(apart, on), (crowded, on), (apart, Rules { one_per_group: false, ..on })] {
        let report = attacked(rules, attack);
        assert!(report.late.percent() >= 95.0 && report.placed >= 95.0, "{rules:?} {attack:?}: {report:?}");
    }
    for attack in [apart, crowded] {
        let report = attacked(off, attack);
        assert!(report.late.percent() <= 50.0, "{attack:?}: {report:?}");
    }
}
