//! Runs one scenario with one seed and tells what came of it: `just sim-replay SCENARIO SEED [HOW_MANY]`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for developers")]

use std::process::ExitCode;

use riverrun_sim::scenarios::{ALL, Scenario};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse::<u64>().ok());
    let scenario = arguments.first().and_then(|name| Scenario::named(name));
    let (Some(scenario), Some(seed)) = (scenario, number(1)) else {
        let names: Vec<_> = ALL.iter().map(|scenario| scenario.name).collect();
        eprintln!("usage: replay SCENARIO SEED [HOW_MANY]; scenarios: {}", names.join(", "));
        return ExitCode::from(2);
    };
    for seed in seed..seed.saturating_add(number(2).unwrap_or(1)) {
        match scenario.run(seed) {
            Ok(report) => println!(
                "{} {seed}: {:.2} s, {} events, {} of {} bytes wasted, digest {:016x}",
                scenario.name,
                report.took.as_secs_f64(),
                report.events,
                report.waste.0,
                report.waste.1,
                report.digest
            ),
            Err(violation) => {
                eprintln!("{} {seed}: {violation}", scenario.name);
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
