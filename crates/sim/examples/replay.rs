//! Runs one scenario, or all, with one seed or with several: `just sim-replay SCENARIO|all SEED [HOW_MANY] [--trace]`.
//! A seed is a number, or bytes of a fuzzer in base 16 behind `0x`.
//!
//! One scenario tells what came of each seed; `--trace` prints each event as it happens. All scenarios run on all processors and
//! tell of each how long it took.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for developers")]

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
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
    let bytes = arguments.get(1).and_then(|text| bytes(text));
    let chosen: Vec<&Scenario> = scenarios::all().filter(|scenario| [scenario.name, "all"].contains(&named)).collect();
    if let ([one], true, Some(bytes)) = (chosen.as_slice(), known, &bytes) {
        return if replay(one, Seed::steered(bytes), trace) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let (false, true, Some(first)) = (chosen.is_empty(), known, number(1)) else {
        let names: Vec<_> = scenarios::all().map(|scenario| scenario.name).collect();
        eprintln!("usage: replay SCENARIO|all SEED [HOW_MANY] [--trace]; scenarios: {}", names.join(", "));
        return ExitCode::from(2);
    };
    let seeds = first..first.saturating_add(number(2).unwrap_or(1));
    let good = match chosen.as_slice() {
        [one] => seeds.into_iter().all(|seed| replay(one, seed.into(), trace)),
        all => try_all(all, &seeds),
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Bytes in base 16.
fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x")?.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok().filter(|_| pair.len() == 2);
    digits.chunks(2).map(byte).collect()
}

fn replay(scenario: &Scenario, seed: Seed<'_>, trace: bool) -> bool {
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

/// Scenarios of which each would take longer than all others together; they are tried with one seed of so many.
const LONG: [(&str, u64); 2] = [("throng", 20), ("trouble", 10)];

/// Runs every scenario with every seed, but the longest with fewer of them, on all processors; false if a rule was broken.
fn try_all(all: &[&'static Scenario], seeds: &std::ops::Range<u64>) -> bool {
    let count = seeds.end - seeds.start;
    let tallies: Vec<Tally> = all.iter().map(|_| Tally::default()).collect();
    let next = AtomicU64::new(0);
    let worker = || {
        // One seed after the other, each with every scenario: no processor is left alone with a long scenario.
        while let Some((scenario, tally, seed)) = {
            let turn = next.fetch_add(1, Ordering::Relaxed);
            let (seed, nth) = (turn / all.len() as u64, usize::try_from(turn % all.len() as u64).expect("an index"));
            (seed < count).then(|| (all[nth], &tallies[nth], seeds.start + seed))
        } {
            if LONG.iter().any(|(name, one_of)| scenario.name == *name && !seed.is_multiple_of(*one_of)) {
                continue;
            }
            let begin = Instant::now();
            tally.tried.fetch_add(1, Ordering::Relaxed);
            if let Err(failure) = scenario.run(seed) {
                eprintln!("{failure}");
                tally.failed.fetch_add(1, Ordering::Relaxed);
            }
            let took = u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
            tally.microseconds.fetch_add(took, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| {
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        (0..workers).for_each(|_| drop(scope.spawn(worker)));
    });
    for (scenario, tally) in all.iter().zip(&tallies) {
        let [tried, failed, time] =
            [&tally.tried, &tally.failed, &tally.microseconds].map(|count| count.load(Ordering::Relaxed));
        println!("{}: {tried} seeds, {failed} failed, {:.1} s", scenario.name, time as f64 / 1e6);
    }
    tallies.iter().all(|tally| tally.failed.load(Ordering::Relaxed) == 0)
}

/// What came of one scenario.
#[derive(Default)]
struct Tally {
    tried: AtomicU64,
    failed: AtomicU64,
    microseconds: AtomicU64,
}
