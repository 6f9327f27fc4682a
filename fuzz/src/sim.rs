use riverrun_sim::scenarios;

/// The first byte names a small world of swarms and bad peers, the others are its chance: whatever happens to whom and when, no rule of
/// the simulator is broken and everyone has everything in the end. The message of a failure has the command that shows it again.
pub fn sim(data: &[u8]) {
    let (scenario, seed) = scenarios::steered(data);
    if let Err(failure) = scenario.run(seed) {
        panic!("{failure}");
    }
}
