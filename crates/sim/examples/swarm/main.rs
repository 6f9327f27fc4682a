//! Simulates crowds and prints what came of them as CSV, or draws it: `just sim-swarm`. docs/swarm.md has the figures.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for developers")]

mod crowds;
mod plot;

use std::process::ExitCode;
use std::time::Instant;

use riverrun_sim::crowd::Crowd;
use riverrun_sim::fairness;

const USAGE: &str = "usage: swarm KIND [PEERS [PIECES [BLOCKS [SEED]]]]   CSV of crowds, one line for each
       swarm plot TITLE < CSV > SVG                       draws the time of each line beside the optimum; draws what `streaming` prints, too
KIND: flash (as shipped), seeding (how the first copy leaves the seed), orders (rarest first, random, sequential),
rules (each rule that counts here turned off, and libtorrent's), libtorrent (its rules beside those shipped, with and without bad peers),
slots (as many as the uplink bears, by the root of the rate, as libtorrent's rate-based choker, eight),
trouble (a tenth of black holes, a tenth of drippers, a twentieth of liars on top of the crowd),
chokers (each --seed-choker at a slow and a fast seed, a tenth and three tenths of free riders; links of 250 kB/s up)";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let kind = arguments.first().map(String::as_str).unwrap_or_default();
    if kind == "plot" {
        return match plot::draw(arguments.get(1).map_or("", String::as_str), std::io::stdin().lines()) {
            Some(svg) => {
                print!("{svg}");
                ExitCode::SUCCESS
            }
            None => usage(),
        };
    }
    let number = |at: usize, usual: u32| arguments.get(at).map_or(Some(usual), |text| text.parse().ok());
    let (Some(peers), Some(pieces), Some(blocks), Some(seed)) =
        (number(1, 200), number(2, 512), number(3, 4), number(4, 1))
    else {
        return usage();
    };
    if [peers, pieces, blocks].contains(&0) {
        return usage();
    }
    let crowds = crowds::of_kind(kind, &Crowd::new(peers, pieces, blocks, seed.into()));
    if crowds.is_empty() {
        return usage();
    }
    println!(
        "kind,crowd,peers,pieces,blocks,seed,optimum_s,first_s,median_s,last_s,last_over_optimum,first_copy_s,first_copy_sent,waste,uplinks_15_s,events,wall_s,digest,mean_s,index,riders_over_sharers"
    );
    for (name, crowd) in crowds {
        if !tell(kind, &name, &crowd) {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

/// Runs one crowd and prints its line; false if a rule was broken or somebody was not served.
fn tell(kind: &str, name: &str, crowd: &Crowd) -> bool {
    let start = Instant::now();
    let report = match crowd.run() {
        Ok(report) => report,
        Err(violation) => {
            eprintln!("{kind}, {name}: {violation}");
            return false;
        }
    };
    let peers = crowd.peers as usize;
    if report.done.len() < peers {
        eprintln!("{kind}, {name}: only {} of {peers} have everything", report.done.len());
        return false;
    }
    let seconds = |at: usize| report.done[at].as_secs_f64();
    let optimum = crowd.optimum().as_secs_f64();
    let (copied_at, sent) =
        report.first_copy.map_or((0.0, 0.0), |(at, sent)| (at.as_secs_f64(), ratio(sent, crowd.bytes())));
    println!(
        "{kind},{name},{peers},{},{},{},{optimum:.2},{:.2},{:.2},{:.2},{:.3},{copied_at:.0},{sent:.3},{:.4},{:.3},{},{:.0},{:016x},{:.2},{:.3},{}",
        crowd.pieces,
        crowd.blocks_per_piece,
        crowd.seed,
        seconds(0),
        seconds(peers / 2),
        seconds(peers - 1),
        seconds(peers - 1) / optimum,
        ratio(report.waste.0, report.waste.1),
        mean(report.uplinks.get(..15).unwrap_or(&report.uplinks)),
        report.events,
        start.elapsed().as_secs_f64(),
        report.digest,
        fairness::mean(&report.done),
        report.kinds.index(),
        if crowd.riders > 0 { format!("{:.3}", report.kinds.factor()) } else { String::new() }
    );
    true
}

fn mean(of: &[f64]) -> f64 {
    of.iter().sum::<f64>() / of.len().max(1) as f64
}

fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}
