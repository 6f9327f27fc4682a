#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use proptest::prelude::*;

use super::*;
use crate::hash::sha256;

const SIZES: [u32; 16] = [2, 3, 4, 5, 511, 512, 513, 514, 515, 1023, 1024, 1025, 1026, 1500, 2049, 9000];

fn nodes(count: u32) -> Vec<Node> {
    (0..count).map(|number| sha256(&number.to_le_bytes())).collect()
}

/// All layers from the piece layer up, every pad written out.
fn oracle(layer: &[Node], height: u32) -> Vec<Vec<Node>> {
    let mut pad = [0; 32];
    (0..height).for_each(|_| pad = sha256(&[pad, pad].concat()));
    let mut bottom = layer.to_vec();
    bottom.resize(layer.len().next_power_of_two(), pad);
    let mut layers = vec![bottom];
    while layers.last().unwrap().len() > 1 {
        let above = layers.last().unwrap().chunks(2).map(|pair| sha256(&pair.concat())).collect();
        layers.push(above);
    }
    layers
}

/// The hashes, then a sibling for each layer that does not follow from them: as BEP 52 says it, with nothing clever.
fn answer_of(layers: &[Vec<Node>], range: HashRange) -> Vec<Node> {
    let mut answer: Vec<Node> = layers[0][range.index as usize..][..range.length as usize].to_vec();
    let mut at = range.index as usize;
    for (layer, nodes) in layers[..layers.len() - 1].iter().enumerate().take(range.proof_layers as usize + 1) {
        if 1 << layer >= range.length {
            answer.push(nodes[at ^ 1]);
        }
        at /= 2;
    }
    answer
}

fn bytes(nodes: &[Node]) -> Vec<u8> {
    nodes.as_flattened().to_vec()
}

fn whole(layer: &[Node], height: u32) -> PieceLayer {
    let root = oracle(layer, height).pop().unwrap()[0];
    let known = PieceLayer::unknown(root, height, layer.len() as u32);
    assert!(known.learn_all(&bytes(layer).into()));
    known
}

#[test]
fn every_run_of_awkward_layers_is_asked_for_answered_and_learned() {
    for pieces in SIZES {
        for height in [0, 1, 7] {
            let layer = nodes(pieces);
            let layers = oracle(&layer, height);
            let seed = whole(&layer, height);
            let leech = PieceLayer::unknown(seed.root(), height, pieces);
            for run in 0..leech.runs() {
                let range = leech.range(run);
                assert!(range.is_sound() && range.length <= RUN_LENGTH && leech.covers(range));
                let answer = seed.answer(range).unwrap();
                assert_eq!(answer, answer_of(&layers, range), "run {run} of {pieces}");
                assert_eq!(answer.len() as u32, range.length + range.uncles());
                assert_eq!(range.lead(&answer).unwrap().node, seed.root());
                assert!(!leech.knows(run) && !leech.is_whole() && leech.hashes().is_none());
                leech.learn(run, &bytes(&answer)).unwrap();
                assert!(leech.knows(run));
                let (first, end) = (run * RUN_LENGTH, pieces.min((run + 1) * RUN_LENGTH));
                assert!((first..end).all(|piece| leech.hash(piece) == Some(layer[piece as usize])));
                assert_eq!(leech.hash(end), None);
                // What was learned can be told at once, although the rest is not known.
                assert_eq!(leech.answer(range), Some(answer));
            }
            assert!(leech.is_whole());
            assert_eq!(leech.hashes().unwrap(), bytes(&layer));
        }
    }
}

#[test]
fn no_more_is_asked_for_than_is_left() {
    let range = |pieces, run| {
        let range = PieceLayer::unknown([1; 32], 4, pieces).range(run);
        (range.index, range.length, range.proof_layers, range.uncles())
    };
    assert_eq!(range(2, 0), (0, 2, 0, 0));
    assert_eq!(range(3, 0), (0, 4, 1, 0));
    assert_eq!(range(511, 0), (0, 512, 8, 0));
    assert_eq!(range(512, 0), (0, 512, 8, 0));
    assert_eq!((range(513, 0), range(513, 1)), ((0, 512, 9, 1), (512, 2, 9, 9)));
    assert_eq!((range(514, 1), range(515, 1)), ((512, 2, 9, 9), (512, 4, 9, 8)));
    assert_eq!((range(1024, 1), range(1025, 2)), ((512, 512, 9, 1), (1024, 2, 10, 10)));
}

#[test]
fn a_layer_is_taken_whole_or_not_at_all() {
    let layer = nodes(1025);
    let root = whole(&layer, 3).root();
    let unknown = || PieceLayer::unknown(root, 3, 1025);
    let mut wrong = layer.clone();
    wrong[1024][0] ^= 1;
    for bad in [bytes(&wrong), bytes(&layer[..1024]), bytes(&layer)[1..].to_vec(), vec![], bytes(&nodes(1026))] {
        let known = unknown();
        assert!(!known.learn_all(&bad.into()));
        assert!((0..3).all(|run| !known.knows(run)));
    }
    let half = unknown();
    half.learn(1, &bytes(&whole(&layer, 3).answer(half.range(1)).unwrap())).unwrap();
    assert!(half.learn_all(&bytes(&layer).into()) && half.is_whole());
}

#[test]
fn p24_ranges_that_are_none_of_the_layer_have_no_answer() {
    let known = whole(&nodes(600), 2);
    let good = HashRange { base: 2, index: 512, length: 128, proof_layers: 9 };
    assert!(known.answer(good).is_some());
    for bad in [
        HashRange { base: 0, ..good },
        HashRange { base: 3, ..good },
        HashRange { index: 640, ..good },
        HashRange { index: 1024, ..good },
        HashRange { index: u32::MAX - 127, ..good },
        HashRange { index: 513, ..good },
        HashRange { length: 0, ..good },
        HashRange { length: 1, ..good },
        HashRange { length: 3, index: 0, ..good },
        HashRange { length: 2048, index: 0, ..good },
        HashRange { length: u32::MAX, index: 0, ..good },
        HashRange { proof_layers: u32::MAX, ..good },
    ] {
        assert_eq!(known.answer(bad), None, "{bad:?}");
    }
    // Cut at the end of the layer, and with more proof than there is: both are understood.
    assert_eq!(known.answer(HashRange { length: 88, ..good }).unwrap()[..88], nodes(600)[512..]);
    assert_eq!(known.answer(HashRange { proof_layers: 60, ..good }), known.answer(good));
    let unknown = PieceLayer::unknown(known.root(), 2, 600);
    assert_eq!(unknown.answer(good), None);
    assert_eq!(unknown.hash(0), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn answers_agree_with_a_naive_oracle(pieces in 2u32..3000, height in 0u32..6, power in 1u32..13, at: u32, proof_layers in 0u32..20) {
        let layer = nodes(pieces);
        let layers = oracle(&layer, height);
        let length = (1 << power).min(layers[0].len() as u32);
        let range = HashRange { base: height, index: at % pieces / length * length, length, proof_layers };
        let expected = answer_of(&layers, range);
        prop_assert_eq!(whole(&layer, height).answer(range), Some(expected.clone()));
        prop_assert_eq!(Tree::new(height, layer).unwrap().hashes(range), Some(expected));
    }

    #[test]
    fn a_changed_answer_is_never_taken(pieces in 2u32..2000, run: u32, bit in 0usize..256, place: usize) {
        let seed = whole(&nodes(pieces), 2);
        let leech = PieceLayer::unknown(seed.root(), 2, pieces);
        let run = run % leech.runs();
        let answer = seed.answer(leech.range(run)).unwrap();
        let mut changed = answer.clone();
        let place = place % changed.len();
        changed[place][bit / 8] ^= 1 << (bit % 8);
        let real = (pieces - run * RUN_LENGTH).min(RUN_LENGTH) as usize;
        let taken = leech.learn(run, &bytes(&changed)).is_ok();
        // What stands for missing pieces was known before, and is not looked at.
        let is_pad = answer[place] == merkle::pad_hash(2) || (place >= real && seed.runs() > 1);
        prop_assert!(!taken || is_pad);
        if taken {
            prop_assert_eq!(leech.hash(run * RUN_LENGTH), seed.hash(run * RUN_LENGTH));
            prop_assert_eq!(leech.answer(leech.range(run)), Some(answer));
        } else {
            prop_assert!(!leech.knows(run));
        }
    }

    #[test]
    fn answers_of_another_length_are_not_taken(pieces in 2u32..2000, length in 0usize..40_000) {
        let leech = PieceLayer::unknown([1; 32], 2, pieces);
        prop_assert!(leech.learn(0, &vec![7; length]).is_err());
        prop_assert!(leech.learn(u32::MAX, &vec![7; length]).is_err());
    }
}
