//! Runs one scenario, or all, with one seed or with several: `just sim-replay SCENARIO|all SEED [HOW_MANY] [--trace]`.
//!
//! One scenario tells what came of each seed; `--trace` prints each event as it happens. All scenarios run on all processors and
//! tell of each how long it took.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for developers")]

use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use riverrun_sim::Seed;
use riverrun_sim::scenarios::{self, Scenario};

fn main() -> ExitCode {
    let (options, arguments): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse::<u64>().ok());
    let trace = options.iter().any(|option| option == "--trace");
    let known = options.iter().all(|option| option == "--trace");
    let named = arguments.first().map(String::as_str).unwrap_or_default();
    let chosen: Vec<&Scenario> = scenarios::all().filter(|scenario| [scenario.name, "all"].contains(&named)).collect();
    let (false, true, Some(first)) = (chosen.is_empty(), known, number(1)) else {
        let names: Vec<_> = scenarios::all().map(|scenario| scenario.name).collect();
        eprintln!("usage: replay SCENARIO|all SEED [HOW_MANY] [--trace]; scenarios: {}", names.join(", "));
        return ExitCode::from(2);
    };
    let seeds = first..first.saturating_add(number(2).unwrap_or(1));
    let good = match chosen.as_slice() {
        [one] => seeds.into_iter().all(|seed| replay(one, seed, trace)),
        all => try_all(all, &seeds),
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn replay(scenario: &Scenario, seed: u64, trace: bool) -> bool {
    let seed = Seed::from(seed);
    match scenario.run(if trace { seed.traced() } else { seed }) {
        Ok(report) => println!(
            "{} {}: {:.2} s, {} events, {} of {} bytes wasted, digest {:016x}",
            scenario.name,
            u64::from(seed),
            report.took.as_secs_f64(),
            report.events,
            report.waste.0,
            report.waste.1,
            report.digest
        ),
        Err(failure) => {
            eprintln!("{failure}");
            return false;
        }
    }
    true
}

/// Runs every scenario with every seed, on all processors; false if a rule was broken.
fn try_all(all: &[&'static Scenario], seeds: &std::ops::Range<u64>) -> bool {
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let worker = || {
        while let Some(scenario) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            let begin = Instant::now();
            let mut failures = 0;
            for seed in seeds.clone() {
                if let Err(failure) = scenario.run(seed) {
                    eprintln!("{failure}");
                    failures += 1;
                }
            }
            let count = seeds.end - seeds.start;
            println!("{}: {count} seeds, {failures} failed, {:.1} s", scenario.name, begin.elapsed().as_secs_f64());
            failed.fetch_add(failures, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        (0..workers).for_each(|_| drop(scope.spawn(worker)));
    });
    failed.into_inner() == 0
}
