#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use std::time::Duration;

use proptest::prelude::*;

use super::calibration::Choice;
use super::kernel::Kernel;
use super::stream::BLOCK;
use super::*;

/// The reference: the crates' own buffering and padding.
fn reference(bytes: &[u8]) -> ([u8; SHA1_LENGTH], [u8; SHA256_LENGTH]) {
    use sha2::Digest;
    (sha1::Sha1::digest(bytes).into(), sha2::Sha256::digest(bytes).into())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn digests_of_the_standard_examples() {
    assert_eq!(hex(&sha1(b"")), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    assert_eq!(hex(&sha1(b"abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_eq!(hex(&sha256(b"")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(hex(&sha256(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    let million = vec![b'a'; 1_000_000];
    assert_eq!(hex(&sha1(&million)), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    assert_eq!(hex(&sha256(&million)), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

#[test]
fn every_length_up_to_four_blocks_agrees_with_the_reference() {
    let bytes: Vec<u8> = (0..256u32).map(|n| (n * 7 + 3) as u8).collect();
    for length in 0..=bytes.len() {
        let part = &bytes[..length];
        assert_eq!((sha1(part), sha256(part)), reference(part), "{length} bytes");
    }
}

/// Bytes that no two inputs share.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Runs a kernel on inputs of these many blocks until all are used up, and compares with the kernel for one input.
fn check_kernel<const WORDS: usize>(kernel: &Kernel<WORDS>, one: &Kernel<WORDS>, lengths: &[usize], seed: u64) {
    let bytes: Vec<Vec<u8>> = lengths.iter().zip(seed..).map(|(length, seed)| noise(length * BLOCK, seed)).collect();
    let start: Vec<[u32; WORDS]> = (0..lengths.len() as u64)
        .map(|lane| std::array::from_fn(|word| noise(4, seed ^ lane << 8 ^ word as u64).as_chunks().0[0]))
        .map(|words| words.map(u32::from_le_bytes))
        .collect();
    let (mut found, mut expected) = (start.clone(), start);
    let blocks = |lane: usize| bytes[lane].as_chunks::<BLOCK>().0;
    let mut going: Vec<_> = found.iter_mut().enumerate().map(|(lane, state)| (state, blocks(lane))).collect();
    while !going.is_empty() {
        kernel.run(&mut going);
        going.retain(|(_, rest)| !rest.is_empty());
    }
    expected.iter_mut().enumerate().for_each(|(lane, state)| one.run_one(state, blocks(lane)));
    assert_eq!(found, expected, "{} with {lengths:?} blocks", kernel.name);
}

fn check_kernels<const WORDS: usize>(all: &[Kernel<WORDS>]) {
    for kernel in all {
        for inputs in 1..=kernel.lanes {
            check_kernel(kernel, &all[0], &vec![3; inputs], inputs as u64);
            let uneven: Vec<usize> = (0..inputs).map(|lane| 1 + lane * 5 % 7).collect();
            check_kernel(kernel, &all[0], &uneven, 1000 + inputs as u64);
        }
    }
}

#[test]
fn every_kernel_of_this_machine_agrees_with_the_crate_for_every_number_of_inputs() {
    let (sha1, sha256) = (kernel::all_sha1(), kernel::all_sha256());
    check_kernels(&sha1);
    check_kernels(&sha256);
}

#[test]
fn the_ways_in_use_start_with_one_input_and_grow() {
    for ways in [Sha1::ways().collect::<Vec<_>>(), Sha256::ways().collect()] {
        assert_eq!((ways[0].lanes, ways[0].worth_from), (1, 1));
        assert!(ways.windows(2).all(|pair| pair[0].lanes < pair[1].lanes && pair[0].worth_from < pair[1].worth_from));
        assert!(ways.iter().all(|way| way.worth_from <= way.lanes && !way.name.is_empty()));
    }
}

#[test]
fn many_inputs_of_every_small_length_agree_with_the_reference() {
    let inputs: Vec<Vec<u8>> = (0..200).map(|length| noise(length, length as u64)).collect();
    let (mut one, mut two) = (vec![Sha1::new(); 200], vec![Sha256::new(); 200]);
    Sha1::update_many(&mut one.iter_mut().zip(&inputs).map(|(state, bytes)| (state, &bytes[..])).collect::<Vec<_>>());
    Sha256::update_many(&mut two.iter_mut().zip(&inputs).map(|(state, bytes)| (state, &bytes[..])).collect::<Vec<_>>());
    let found: Vec<_> = Sha1::finish_many(one).zip(Sha256::finish_many(two)).collect();
    assert_eq!(found, inputs.iter().map(|bytes| reference(bytes)).collect::<Vec<_>>());
    let digests = sha256_many(inputs.iter().map(|bytes| &bytes[..]));
    assert_eq!(digests, inputs.iter().map(|bytes| sha256(bytes)).collect::<Vec<_>>());
    assert_eq!(Sha1::finish_many([]).len(), 0);
    Sha256::update_many(&mut []);
}

/// What is in use if these are the costs of all kernels, in microseconds: lanes, and from how many inputs on.
fn chosen(all: &[(usize, u64)]) -> Vec<(usize, usize)> {
    let one = kernel::all_sha1()[0];
    let mut kernels = vec![one; all.len()];
    kernels.iter_mut().zip(all).for_each(|(kernel, (lanes, _))| kernel.lanes = *lanes);
    let costs: Vec<_> = all.iter().map(|(_, cost)| Duration::from_micros(*cost)).collect();
    Choice::new(&kernels, &costs).in_use.iter().map(|kernel| (kernel.lanes, kernel.worth_from)).collect()
}

#[test]
fn a_kernel_is_used_from_where_it_costs_less_than_narrower_ones() {
    assert_eq!(chosen(&[(1, 4), (8, 12), (16, 17)]), [(1, 1), (8, 4), (16, 10)]);
    // As fast is not faster.
    assert_eq!(chosen(&[(1, 4), (8, 8), (16, 16)]), [(1, 1), (8, 3)]);
    // The cheaper of two with as many lanes, whichever it is.
    assert_eq!(chosen(&[(1, 4), (8, 20), (8, 12)]), [(1, 1), (8, 4)]);
    assert_eq!(chosen(&[(1, 4), (8, 12), (8, 20)]), [(1, 1), (8, 4)]);
    assert_eq!(chosen(&[(1, 4), (8, 3)]), [(1, 1), (8, 1)], "even alone");
    // One that is worth it only where a wider one is too.
    assert_eq!(chosen(&[(1, 4), (8, 30), (16, 29)]), [(1, 1), (16, 8)]);
}

#[test]
fn a_kernel_that_the_clock_says_is_slow_is_not_used() {
    assert_eq!(chosen(&[(1, 4), (8, 33), (16, 65)]), [(1, 1)]);
    assert_eq!(chosen(&[(1, 4), (8, 12), (16, 1000)]), [(1, 1), (8, 4)]);
    assert_eq!(chosen(&[(1, 4), (8, 1000), (8, 1000), (16, 17)]), [(1, 1), (16, 5)]);
    assert_eq!(chosen(&[(1, 0), (8, 0), (16, 0)]), [(1, 1)], "a clock that stands still");
}

/// Hashes with the kernels that these costs choose.
fn hash_as_chosen(costs: &[u64], inputs: &[Vec<u8>]) -> Vec<([u8; SHA1_LENGTH], [u8; SHA256_LENGTH])> {
    let costs: Vec<_> = costs.iter().map(|cost| Duration::from_nanos(*cost)).collect();
    let (sha1, sha256) = (Choice::new(&kernel::all_sha1(), &costs), Choice::new(&kernel::all_sha256(), &costs));
    let (mut one, mut two) = (vec![Sha1::new().0; inputs.len()], vec![Sha256::new().0; inputs.len()]);
    lanes::update_many(&sha1.in_use, one.iter_mut().zip(inputs).map(|(state, bytes)| (state, &bytes[..])));
    lanes::update_many(&sha256.in_use, two.iter_mut().zip(inputs).map(|(state, bytes)| (state, &bytes[..])));
    let one = lanes::finish_many(&sha1.in_use, one.into_iter());
    one.zip(lanes::finish_many(&sha256.in_use, two.into_iter())).collect()
}

proptest! {
    #[test]
    fn whatever_a_calibration_finds_the_digests_are_right(
        costs in proptest::collection::vec(prop_oneof![0u64..40, any::<u64>()], 4),
        lengths in proptest::collection::vec(0usize..3000, 1..40),
        seed: u64,
    ) {
        let inputs: Vec<Vec<u8>> =
            lengths.iter().zip(0..).map(|(length, lane)| noise(*length, seed ^ (lane << 40))).collect();
        prop_assert_eq!(hash_as_chosen(&costs, &inputs), inputs.iter().map(|bytes| reference(bytes)).collect::<Vec<_>>());
    }

    #[test]
    fn whatever_a_calibration_finds_kernels_grow_and_start_with_one_input(costs in proptest::collection::vec(any::<u64>(), 4)) {
        let costs: Vec<_> = costs.into_iter().map(Duration::from_nanos).collect();
        let in_use = Choice::new(&kernel::all_sha1(), &costs).in_use;
        prop_assert_eq!((in_use[0].lanes, in_use[0].worth_from), (1, 1));
        prop_assert!(in_use.windows(2).all(|pair| pair[0].lanes < pair[1].lanes));
        prop_assert!(in_use[1..].windows(2).all(|pair| pair[0].worth_from < pair[1].worth_from));
        prop_assert!(in_use.iter().all(|kernel| kernel.worth_from <= kernel.lanes));
    }

    #[test]
    fn many_inputs_in_any_parts_agree_with_the_reference(
        lengths in proptest::collection::vec(prop_oneof![0usize..300, 0usize..6000], 1..40),
        cuts in proptest::collection::vec(prop_oneof![Just(64usize), 0usize..200, 0usize..4000], 1..9),
        seed: u64,
    ) {
        let inputs: Vec<Vec<u8>> =
            lengths.iter().zip(0..).map(|(length, lane)| noise(*length, seed ^ (lane << 40))).collect();
        let (mut one, mut two) = (vec![Sha1::new(); inputs.len()], vec![Sha256::new(); inputs.len()]);
        let mut rests: Vec<&[u8]> = inputs.iter().map(|bytes| &bytes[..]).collect();
        // Each round gives some of the inputs a part, each another length.
        for round in 0.. {
            if rests.iter().all(|rest| rest.is_empty()) {
                break;
            }
            let mut parts = Vec::new();
            for (lane, rest) in rests.iter_mut().enumerate() {
                let cut = if round > 40 { rest.len() } else { cuts[(lane + round) % cuts.len()].min(rest.len()) };
                parts.push(rest.split_off(..cut).unwrap());
            }
            let skip = |lane: &usize| !parts[*lane].is_empty();
            Sha1::update_many(
                &mut one.iter_mut().enumerate().filter(|(lane, _)| skip(lane)).map(|(n, state)| (state, parts[n])).collect::<Vec<_>>(),
            );
            Sha256::update_many(&mut two.iter_mut().zip(&parts).map(|(state, part)| (state, *part)).collect::<Vec<_>>());
        }
        let found: Vec<_> = Sha1::finish_many(one).zip(Sha256::finish_many(two)).collect();
        prop_assert_eq!(found, inputs.iter().map(|bytes| reference(bytes)).collect::<Vec<_>>());
    }

    #[test]
    fn parts_hash_like_the_whole(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..12)) {
        let (mut one, mut two) = (Sha1::new(), Sha256::new());
        for part in &parts {
            one.update(part);
            two.update(part);
        }
        let whole = parts.concat();
        prop_assert_eq!(one.length(), whole.len() as u64);
        prop_assert_eq!((one.finish(), two.finish()), reference(&whole));
    }
}
