//! What a torrent at rest costs: thousands of them are kept, and few have company.

use std::time::Duration;

use super::lab::{Lab, Manner};
use super::net::layout;
use crate::swarm::{CloseReason, Command, Input, Source, Swarm};

/// So many bytes a swarm may take before anybody has come, what hangs on it aside. What only company needs is made when it comes
/// (`OnDemand`).
const MOST: usize = 1344;

#[test]
fn a_resting_swarm_is_small() {
    assert!(size_of::<Swarm>() <= MOST, "{} bytes", size_of::<Swarm>());
}

/// How much of what is made on demand there is, and is not.
fn made(swarm: &Swarm) -> (usize, usize) {
    let all = format!("{swarm:?}");
    (all.matches("OnDemand(Some").count(), all.matches("OnDemand(None").count())
}

#[test]
fn a_swarm_with_nobody_makes_nothing_that_only_company_needs() {
    let mut lab = Lab::seed(&layout(40, 2));
    let (some, none) = made(&lab.swarm);
    assert!(some == 0 && none >= 10, "{some} and {none}");
    for input in [
        Input::Candidates { source: Source::Tracker, addrs: &[] },
        Input::Timeout,
        Input::Command(Command::Pause),
        Input::Command(Command::Resume),
    ] {
        lab.feed(input);
        lab.wait(Duration::from_secs(120));
    }
    assert_eq!(made(&lab.swarm).0, 0, "{:?}", lab.swarm);
    let connection = lab.connect(2, true, Manner::Silent);
    assert!(made(&lab.swarm).0 > 0);
    lab.feed(Input::Closed { connection, reason: CloseReason::Stopped });
    assert_eq!(made(&lab.swarm).0, 0, "{:?}", lab.swarm);
}
