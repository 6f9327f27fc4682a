//! What a calibration decides holds for the whole process, so it has one of its own.

use std::time::Duration;

use riverrun_metainfo::hash::{Sha1, Sha256, calibrate, sha1, sha256, sha256_many};

#[test]
fn a_clock_that_calls_wide_kernels_slow_leaves_one_input_at_a_time_and_right_digests() {
    let mut runs = 0u64;
    // Each run takes 32 times as long as the one before, so nothing pays beside the kernel for one input, which goes first.
    let found = calibrate(|work| {
        work();
        runs += 1;
        if runs <= 12 { Duration::from_nanos(1 << (5 * runs)) } else { Duration::MAX }
    });
    assert!(runs > 0);
    for (candidates, used) in
        [(&found.sha1, Sha1::ways().collect::<Vec<_>>()), (&found.sha256, Sha256::ways().collect())]
    {
        assert_eq!(candidates[0].worth_from, Some(1));
        assert!(candidates[1..].iter().all(|candidate| candidate.worth_from.is_none()), "{candidates:?}");
        assert_eq!(used.iter().map(|way| way.lanes).collect::<Vec<_>>(), [1]);
    }
    let inputs: Vec<Vec<u8>> = (0..40u8).map(|n| vec![n; 1000 + usize::from(n)]).collect();
    let mut states = vec![Sha1::new(); inputs.len()];
    Sha1::update_many(
        &mut states.iter_mut().zip(&inputs).map(|(state, bytes)| (state, &bytes[..])).collect::<Vec<_>>(),
    );
    assert!(Sha1::finish_many(states).eq(inputs.iter().map(|bytes| sha1(bytes))));
    assert_eq!(
        sha256_many(inputs.iter().map(|bytes| &bytes[..])),
        inputs.iter().map(|bytes| sha256(bytes)).collect::<Vec<_>>()
    );
    let again = calibrate(|_| unreachable!("measured once"));
    assert_eq!(again, found);
}
