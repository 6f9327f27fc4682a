//! Goes through the seeds that a command line names: `[SEED [HOW_MANY]]`.

use std::process::ExitCode;

use riverrun_sim::Violation;

/// Prints what each seed comes to, until a rule is broken.
pub(crate) fn each(print: impl Fn(u64) -> Result<(), Violation>) -> ExitCode {
    let number = |at: usize| std::env::args().nth(at).and_then(|text| text.parse::<u64>().ok());
    let first = number(1).unwrap_or(1);
    for seed in first..first.saturating_add(number(2).unwrap_or(1)) {
        if let Err(violation) = print(seed) {
            eprintln!("seed {seed}: {violation}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
