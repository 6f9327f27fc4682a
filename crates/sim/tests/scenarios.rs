//! Every scenario with some seeds, the first of them twice. A failure says how to see it again; `just sim-all` tries more seeds.

use riverrun_proto::swarm::Strategy;
use riverrun_sim::scenarios::switches::{flapped, poisoned};
use riverrun_sim::scenarios::{self, Scenario};
use riverrun_sim::{Manner, Seed};

fn try_seeds(name: &str, seeds: std::ops::Range<u64>) {
    let scenario = Scenario::named(name).expect("a scenario of this name");
    let run = |seed| scenario.run(seed).unwrap_or_else(|failure| panic!("{failure}"));
    let first = run(seeds.start);
    assert_eq!(first, run(seeds.start), "{name}: the same seed gave something else");
    let others: Vec<u64> = seeds.skip(1).map(|seed| run(seed).digest).collect();
    assert!(others.iter().all(|digest| *digest != first.digest), "{name}: another seed gave the same");
}

#[test]
fn a_flash_crowd_feeds_itself() {
    try_seeds("flash-crowd", 0..4);
}

#[test]
fn a_throng_is_done_within_its_bound() {
    try_seeds("throng", 0..1);
}

#[test]
fn p9_p10_p5_some_bad_peers_cost_a_crowd_little() {
    try_seeds("trouble", 0..1);
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
fn p14_who_asks_for_more_than_may_wait_has_no_more_waiting() {
    try_seeds("gulp", 0..2);
}

#[test]
fn p4_to_p6_liars_alone_are_banned() {
    try_seeds("liars", 0..4);
}

#[test]
fn each_way_of_a_seed_to_choose_serves_the_kind_that_it_is_for() {
    try_seeds("seeding", 0..3);
}

#[test]
fn an_uplink_is_filled_and_shared_among_as_many_as_it_bears() {
    try_seeds("uplink", 0..1);
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
fn p1_to_p10_nine_bad_peers_of_a_kind_cost_less_than_a_fifth_of_the_rate() {
    (1..=10).for_each(|row| try_seeds(&format!("p{row}"), 0..2));
}

#[test]
fn p11_to_p20_nine_bad_peers_of_a_kind_cost_less_than_a_fifth_of_the_rate() {
    (11..=20).for_each(|row| try_seeds(&format!("p{row}"), 0..2));
}

#[test]
fn p21_to_p30_nine_bad_peers_of_a_kind_cost_less_than_a_fifth_of_the_rate() {
    (21..=30).for_each(|row| try_seeds(&format!("p{row}"), 0..2));
}

#[test]
fn p1_to_p30_nine_bad_peers_of_any_kind_cost_less_than_a_fifth_of_the_rate() {
    try_seeds("mixed", 0..6);
}

#[test]
fn each_row_of_bad_peers_is_a_scenario_and_each_manner_has_a_row() {
    let rows: Vec<String> = (1..=30).map(|row| format!("p{row}")).collect();
    assert!(Manner::ROWS.iter().map(|(row, _)| *row).eq(rows.iter().map(String::as_str)));
    assert!(rows.iter().all(|row| scenarios::all().any(|scenario| scenario.name == row)));
    assert!(Manner::ROWS.iter().all(|(_, manners)| !manners.is_empty()));
}

#[test]
fn bytes_steer_a_scenario_and_the_same_bytes_give_the_same() {
    let scenario = Scenario::named("crashes").expect("a scenario of this name");
    let run = |bytes: &[u8]| scenario.run(Seed::steered(bytes)).expect("no rule is broken");
    let bytes: Vec<u8> = (0..200).collect();
    assert_eq!(run(&bytes), run(&bytes));
    assert_ne!(run(&bytes).digest, run(&bytes[1..]).digest);
}

#[test]
fn small_worlds_are_chosen_by_the_first_byte_and_a_failure_would_name_the_bytes() {
    let (crowd, seed) = scenarios::steered(&[5, 1, 2, 3]);
    let (owner, _) = scenarios::steered(&[3, 1, 2, 3]);
    assert_eq!((crowd.name, owner.name), ("small-crowd", "small-owner"));
    assert_eq!(crowd.run(seed).expect("no rule is broken"), crowd.run(Seed::steered(&[1, 2, 3])).expect("the same"));
    for name in ["small-crowd", "small-strangers", "small-patchwork", "small-owner", "small-faults"] {
        try_seeds(name, 0..20);
    }
}

#[test]
fn a_superseed_sends_little_more_than_one_copy_until_the_swarm_holds_one() {
    try_seeds("superseed", 0..1);
}

#[test]
fn who_only_takes_is_not_done_before_who_shares() {
    try_seeds("fairness", 0..1);
}

#[test]
fn a_leecher_among_black_holes_finds_the_seed_by_turnover_alone() {
    try_seeds("saturated", 0..2);
}

#[test]
fn the_slot_that_goes_by_luck_finds_fast_guests_and_without_it_nothing_does() {
    try_seeds("luck", 0..2);
}

#[test]
fn what_vanished_peers_were_asked_for_is_asked_of_others_and_not_without_snubbing() {
    try_seeds("vanished", 0..2);
}

#[test]
fn one_fast_seed_and_twenty_slow_ones_take_as_long_as_their_rates_allow() {
    try_seeds("one-fast", 0..2);
}

#[test]
fn a_web_seed_and_peers_bring_what_their_rates_allow() {
    try_seeds("web-seed", 0..4);
}

#[test]
fn t9_web_seeds_that_stall_break_or_are_busy_cost_peers_nothing() {
    try_seeds("web-stalls", 0..8);
}

#[test]
fn a_web_seed_in_trouble_is_asked_again_until_all_is_here() {
    try_seeds("web-retries", 0..8);
}

#[test]
fn t9_a_web_seed_that_lies_is_banned_and_nobody_else() {
    try_seeds("web-lies", 0..8);
}

#[test]
fn a_network_that_parts_comes_together_again() {
    try_seeds("partition", 0..4);
}

#[test]
fn connections_that_break_are_made_anew() {
    try_seeds("resets", 0..4);
}

#[test]
fn a_swarm_whose_majority_cannot_be_dialled_feeds_itself() {
    try_seeds("nat", 0..4);
}

#[test]
fn who_stays_is_done_while_others_come_and_go() {
    try_seeds("churn", 0..4);
}

#[test]
fn a_slow_disk_gets_as_much_as_it_can_write() {
    try_seeds("slow-disk", 0..4);
}

#[test]
fn l2_a_full_disk_costs_the_time_that_it_is_full() {
    try_seeds("full-disk", 0..4);
}

#[test]
fn p22_a_private_torrent_uses_its_tracker_alone() {
    try_seeds("private", 0..4);
}

#[test]
fn p6_who_poisons_one_block_of_each_piece_is_banned_by_parole_and_smart_ban_and_not_without_them() {
    let on = Strategy::default();
    for seed in 0..4 {
        let found = poisoned(seed, on).expect("no rule is broken");
        // With parole alone he is caught as the only sender of a piece.
        let alone = poisoned(seed, Strategy { smart_ban: false, ..on }).expect("no rule is broken");
        let unfound = poisoned(seed, Strategy { smart_ban: false, parole: false, ..on }).expect("no rule is broken");
        assert!(found.banned == 1 && found.corrupt <= 4, "seed {seed}: {found:?}");
        assert!(alone.banned == 1, "seed {seed}: {alone:?}");
        assert!(unfound.banned == 0 && unfound.corrupt > 0, "seed {seed}: {unfound:?}");
    }
}

#[test]
fn p11_flappers_are_asked_for_little_by_the_rule_and_for_much_without_it() {
    let on = Strategy::default();
    for seed in 0..3 {
        let with = flapped(seed, on).expect("no rule is broken");
        let without = flapped(seed, Strategy { choke_flaps: false, ..on }).expect("no rule is broken");
        assert!(with.repeated < 10_000, "seed {seed}: {with:?}");
        assert!(without.repeated > 20_000, "seed {seed}: {without:?}");
    }
}
