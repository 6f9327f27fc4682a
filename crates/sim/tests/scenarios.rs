//! Every scenario with some seeds. A failure says how to see it again.

use riverrun_sim::scenarios::Scenario;

fn try_seeds(name: &str, seeds: std::ops::Range<u64>) {
    let scenario = Scenario::named(name).expect("a scenario of this name");
    for seed in seeds {
        if let Err(violation) = scenario.run(seed) {
            panic!("{violation}\nagain: just sim-replay {name} {seed}");
        }
    }
}

#[test]
fn a_flash_crowd_feeds_itself() {
    try_seeds("flash-crowd", 0..4);
}

#[test]
fn a_crowd_that_knows_only_the_seed_finds_itself_by_peer_exchange() {
    try_seeds("hearsay", 0..4);
}

#[test]
fn unequal_links_all_finish() {
    try_seeds("unequal-links", 0..4);
}

#[test]
fn p9_to_p18_bad_peers_do_not_stall_a_download() {
    try_seeds("hostile", 0..4);
}

#[test]
fn p4_to_p6_liars_alone_are_banned() {
    try_seeds("liars", 0..4);
}

#[test]
fn crashes_lose_only_what_was_not_synced() {
    try_seeds("crashes", 0..6);
}

#[test]
fn a_patchwork_becomes_whole() {
    try_seeds("patchwork", 0..4);
}

#[test]
fn streaming_at_eight_tenths_of_the_link_starts_soon_and_never_stalls() {
    try_seeds("streaming", 0..4);
}

#[test]
fn streaming_bears_peers_that_go_and_come() {
    try_seeds("streaming-churn", 0..4);
}

#[test]
fn p9_streaming_bears_black_holes() {
    try_seeds("streaming-black-holes", 0..4);
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
    let scenario = Scenario::named("crashes").expect("a scenario of this name");
    let first = scenario.run(77).expect("no rule is broken");
    assert_eq!(first, scenario.run(77).expect("no rule is broken"));
    assert_ne!(first.digest, scenario.run(78).expect("no rule is broken").digest);
}
