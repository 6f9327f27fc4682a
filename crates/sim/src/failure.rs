//! How a broken rule is reported: in one line, with all that is needed to see it again.

use std::process::Command;

use crate::chance::Seed;
use crate::checkers::Violation;

/// A scenario in which a rule was broken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{scenario} with seed {seed} at commit {commit}: event {event}, {violation}; again: just sim-replay {scenario} {seed} 1 --trace"
)]
pub struct Failure {
    /// The scenario.
    pub scenario: &'static str,
    /// Its seed as `sim-replay` takes it: a number, or bytes in base 16 behind `0x`.
    pub seed: String,
    /// How many events had happened.
    pub event: u64,
    /// The commit of the working tree.
    pub commit: String,
    /// What was broken.
    pub violation: Violation,
}

impl Failure {
    pub(crate) fn new(scenario: &'static str, seed: Seed<'_>, event: u64, violation: Violation) -> Self {
        let asked = Command::new("git").args(["rev-parse", "--short=12", "HEAD"]).output();
        let commit = asked
            .ok()
            .filter(|output| output.status.success())
            .and_then(|output| String::from_utf8(output.stdout).ok());
        let commit = commit.map_or_else(|| "unknown".to_owned(), |commit| commit.trim().to_owned());
        Self { scenario, seed: seed.name(), event, commit, violation }
    }
}
