//! Simulates the DHT and prints what came of it: `just sim-dht --nodes 10000 --dead 30 --seed 1`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for developers")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use riverrun_sim::dht::{Attack, Placement, Report, Tally, Trial};

const USAGE: &str = "usage: dht [--nodes N] [--dead PERCENT] [--nat PERCENT] [--loss PERCENT] [--lookups N] [--growing SECONDS]
           [--settling SECONDS] [--seed N] [--sybils ADDRESSES] [--networks N] [--fitting] [--false-peers N]
           [--no-secure-ids] [--no-one-per-group]
--sybils attacks the only torrent of the trial with so many nodes, dealt to --networks networks of 24 bits; --fitting gives
them the closest ids that fit their addresses (BEP 42), otherwise they have ids closer than anybody's.";

fn main() -> ExitCode {
    let Some(trial) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let start = Instant::now();
    let report = trial.run();
    print(&trial, &report, start.elapsed());
    ExitCode::SUCCESS
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<Trial> {
    let mut trial = Trial::new(10_000, 1);
    let mut attack = Attack { addresses: 0, networks: 8, placement: Placement::Beside, false_peers: 50 };
    while let Some(name) = arguments.next() {
        match name.as_str() {
            "--fitting" => attack.placement = Placement::Fitting,
            "--no-secure-ids" => trial.rules.secure_ids = false,
            "--no-one-per-group" => trial.rules.one_per_group = false,
            _ => {
                let value = arguments.next()?;
                let number = value.parse::<u32>();
                match name.as_str() {
                    "--nodes" => trial.nodes = number.ok()?,
                    "--dead" => trial.dead = number.ok()?,
                    "--nat" => trial.nat = number.ok()?,
                    "--loss" => trial.loss = value.parse().ok()?,
                    "--lookups" => trial.lookups = number.ok()?,
                    "--growing" => trial.growing = Duration::from_secs(number.ok()?.into()),
                    "--settling" => trial.settling = Duration::from_secs(number.ok()?.into()),
                    "--seed" => trial.seed = value.parse().ok()?,
                    "--sybils" => attack.addresses = number.ok()?,
                    "--networks" => attack.networks = number.ok()?,
                    "--false-peers" => attack.false_peers = value.parse().ok()?,
                    _ => return None,
                }
            }
        }
    }
    trial.attack = (attack.addresses > 0).then_some(attack);
    Some(trial)
}

fn print(trial: &Trial, report: &Report, took: Duration) {
    println!(
        "{} nodes, {} % dead, {} % behind NATs, {} % loss, seed {}; {:?}; {:?}",
        trial.nodes, trial.dead, trial.nat, trial.loss, trial.seed, trial.rules, trial.attack
    );
    println!("before the deaths: a node knows {:.0} good nodes and sends {:.0} B/s", report.known, report.upkeep);
    let Tally { begun, ended, .. } = report.announces;
    println!(
        "announces: {begun}, ended {ended}, confirmed by {:.2} nodes; {:.1} % reached honest nodes, {:.2} of them",
        report.announces.stored(),
        report.placed,
        report.placed_at
    );
    tell("lookups of what was announced before the deaths", &report.early);
    tell("lookups of what was announced after the deaths", &report.late);
    println!("each announce or lookup: {:.0} packets, {:.0} bytes", report.packets, report.bytes);
    println!(
        "{} s of the world, {} events in {:.0} s; {} of memory at most; digest {:016x}",
        report.time.as_secs(),
        report.events,
        took.as_secs_f64(),
        memory(trial.nodes),
        report.digest
    );
}

fn tell(what: &str, tally: &Tally) {
    if tally.begun > 0 {
        let [median, most, end, last] = [tally.first.at(50), tally.first.at(99), tally.took.at(50), tally.took.at(99)];
        println!(
            "{what}: {} of {} = {:.2} %; first peer after {:.2} s (99 %: {:.2} s), end after {:.2} s (99 %: {:.2} s), asked {} (99 %: {})",
            tally.found,
            tally.begun,
            tally.percent(),
            median.as_secs_f64(),
            most.as_secs_f64(),
            end.as_secs_f64(),
            last.as_secs_f64(),
            tally.asked(50),
            tally.asked(99)
        );
    }
}

/// The most memory that the process had, in all and for each node.
fn memory(nodes: u32) -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = peak.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.map_or_else(
        || "an unknown amount".to_owned(),
        |peak| format!("{} MiB ({} KiB for each node)", peak / 1024, peak / u64::from(nodes.max(1))),
    )
}
