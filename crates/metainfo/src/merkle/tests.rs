#![allow(clippy::unwrap_used, clippy::cast_possible_truncation)]

use proptest::prelude::*;
use sha2::Digest;

use super::*;

const SIZES: [usize; 16] = [1, 2, 3, 4, 5, 7, 8, 9, 511, 512, 513, 514, 1023, 1024, 1025, 1026];

fn nodes(count: usize) -> Vec<Node> {
    (0..count).map(|n| sha2::Sha256::digest((n as u64).to_le_bytes()).into()).collect()
}

/// All layers of the full tree, every pad leaf written out: nothing shared with the code under test.
fn oracle(leaves: &[Node]) -> Vec<Vec<Node>> {
    let mut layer = leaves.to_vec();
    layer.resize(leaves.len().next_power_of_two(), [0; 32]);
    let mut layers = vec![layer];
    while layers[layers.len() - 1].len() > 1 {
        let below = &layers[layers.len() - 1];
        layers.push(below.chunks(2).map(|pair| sha2::Sha256::digest(pair.concat()).into()).collect());
    }
    layers
}

#[test]
fn missing_leaves_are_zero_bytes_not_hashes_of_zeros() {
    assert_eq!(pad_hash(0), [0; 32]);
    let one: Node = sha2::Sha256::digest([0; 64]).into();
    assert_eq!(pad_hash(1), one);
    assert_eq!(pad_hash(2), <Node>::from(sha2::Sha256::digest([one, one].concat())));
    assert_eq!(pad_hash(MAX_HEIGHT).len(), 32);
}

#[test]
fn roots_of_leaves_agree_with_the_oracle() {
    for size in SIZES {
        let leaves = nodes(size);
        let layers = oracle(&leaves);
        assert_eq!(root(&leaves, 0), layers[layers.len() - 1][0], "{size} leaves");
    }
    assert_eq!(root(&[], 3), pad_hash(3));
}

#[test]
fn piece_layers_agree_with_the_oracle() {
    for size in SIZES {
        let leaves = nodes(size);
        let layers = oracle(&leaves);
        for height in 0..layers.len() as u32 {
            let pieces = size.div_ceil(1 << height);
            let layer = piece_layer(&leaves, height);
            assert_eq!(layer, layers[height as usize][..pieces], "{size} leaves, height {height}");
            assert_eq!(root(&layer, height), root(&leaves, 0), "{size} leaves, height {height}");
        }
    }
}

#[test]
fn layers_of_these_numbers_of_pieces_lead_to_the_root_of_their_leaves() {
    for pieces in SIZES {
        for blocks_in_last in 1..=4 {
            let leaves = nodes((pieces - 1) * 4 + blocks_in_last);
            let layer = piece_layer(&leaves, 2);
            assert_eq!(layer.len(), pieces);
            let layers = oracle(&leaves);
            if pieces > 1 {
                assert_eq!(root(&layer, 2), layers[layers.len() - 1][0], "{pieces} pieces");
            } else {
                assert_eq!(root(&leaves, 0), layers[layers.len() - 1][0], "{blocks_in_last} blocks");
            }
        }
    }
}

#[test]
fn a_file_smaller_than_a_piece_is_padded_to_its_own_power_of_two() {
    let leaves = nodes(3);
    let own: Node = sha2::Sha256::digest(
        [
            <Node>::from(sha2::Sha256::digest([leaves[0], leaves[1]].concat())),
            <Node>::from(sha2::Sha256::digest([leaves[2], [0; 32]].concat())),
        ]
        .concat(),
    )
    .into();
    assert_eq!(root(&leaves, 0), own);
    assert_ne!(piece_hash(&leaves, 4), own);
    assert_eq!(root(&nodes(1), 0), nodes(1)[0]);
}

#[test]
fn piece_height_counts_layers_above_the_leaves() {
    assert_eq!(piece_height(16 << 10), 0);
    assert_eq!(piece_height(32 << 10), 1);
    assert_eq!(piece_height(16 << 20), 10);
    assert_eq!(piece_height(512 << 20), 15);
}

#[test]
fn every_range_of_every_tree_proves_its_hashes() {
    for size in SIZES.into_iter().filter(|size| *size > 1 && *size < 515) {
        let leaves = nodes(size);
        let layers = oracle(&leaves);
        let tree = Tree::new(0, leaves).unwrap();
        let height = tree.height();
        assert_eq!(height as usize + 1, layers.len());
        for base in 0..height {
            for power in 1..=height - base {
                let length = 1u32 << power;
                for index in (0..size.div_ceil(1 << base) as u32).step_by(length as usize) {
                    let range = HashRange { base, index, length, proof_layers: height - base - 1 };
                    let answer = tree.hashes(range).unwrap();
                    assert_eq!(answer.len() as u32, length + range.uncles());
                    let from = &layers[base as usize][index as usize..][..length as usize];
                    assert_eq!(&answer[..length as usize], from);
                    let lead = range.lead(&answer).unwrap();
                    assert_eq!(lead, Lead { node: tree.root(), height, index: 0 }, "{range:?} of {size}");
                }
            }
        }
    }
}

#[test]
fn the_last_block_of_512n_plus_1_pieces_is_asked_for_with_length_2() {
    for size in [513, 1025] {
        let layer = nodes(size);
        let tree = Tree::new(4, layer.clone()).unwrap();
        let range = HashRange { base: 4, index: size as u32 - 1, length: 2, proof_layers: tree.height() - 4 - 1 };
        let answer = tree.hashes(range).unwrap();
        assert_eq!(answer[..2], [layer[size - 1], pad_hash(4)]);
        assert_eq!(range.lead(&answer).unwrap().node, tree.root());
        // The same hash as a request of 512 hashes that starts there, padded by the one who answers.
        let wide = HashRange { base: 4, index: size as u32 - 1, length: 512, proof_layers: tree.height() - 4 - 1 };
        assert_eq!(wide.lead(&tree.hashes(wide).unwrap()).unwrap().node, tree.root());
        // And cut at the end of the layer, as the text of BEP 52 allows: one hash is too few for a request.
        assert_eq!(tree.hashes(HashRange { length: 1, ..range }), None);
    }
}

#[test]
fn a_range_may_be_cut_at_the_end_of_its_layer() {
    let layer = nodes(7);
    let tree = Tree::new(0, layer.clone()).unwrap();
    let cut = HashRange { base: 0, index: 4, length: 3, proof_layers: 2 };
    let answer = tree.hashes(cut).unwrap();
    assert_eq!(answer[..3], layer[4..]);
    assert_eq!(answer.len(), 4);
    assert_eq!(cut.lead(&answer).unwrap().node, tree.root());
    assert_eq!(tree.hashes(HashRange { index: 0, ..cut }), None, "3 hashes that do not end the layer");
}

#[test]
fn fewer_proof_layers_lead_to_a_node_below_the_root() {
    let leaves = nodes(100);
    let layers = oracle(&leaves);
    let tree = Tree::new(0, leaves).unwrap();
    for proof_layers in 0..=6 {
        let range = HashRange { base: 0, index: 40, length: 8, proof_layers };
        let answer = tree.hashes(range).unwrap();
        assert_eq!(answer.len(), 8 + (proof_layers as usize).saturating_sub(2));
        let lead = range.lead(&answer).unwrap();
        assert_eq!(lead.node, layers[lead.height as usize][lead.index as usize]);
    }
}

#[test]
fn more_proof_layers_than_the_tree_has_end_at_the_root() {
    let tree = Tree::new(0, nodes(8)).unwrap();
    let range = HashRange { base: 0, index: 2, length: 2, proof_layers: 40 };
    let answer = tree.hashes(range).unwrap();
    assert_eq!(answer.len(), 4);
    assert_eq!(range.lead(&answer).unwrap(), Lead { node: tree.root(), height: 3, index: 0 });
}

#[test]
fn proof_layers_past_the_greatest_height_do_not_spoil_an_answer() {
    let tree = Tree::new(MAX_HEIGHT - 2, nodes(4)).unwrap();
    let range = HashRange { base: MAX_HEIGHT - 2, index: 2, length: 2, proof_layers: 12 };
    let answer = tree.hashes(range).unwrap();
    assert_eq!(range.lead(&answer).unwrap().node, tree.root());
    assert_eq!(range.lead(&[answer, nodes(1)].concat()), None, "higher than any tree");
}

#[test]
fn unsound_ranges_have_no_answer() {
    let tree = Tree::new(2, nodes(20)).unwrap();
    let good = HashRange { base: 2, index: 4, length: 4, proof_layers: 3 };
    assert!(tree.hashes(good).is_some());
    for bad in [
        HashRange { length: 0, ..good },
        HashRange { length: 1, ..good },
        HashRange { length: 3, ..good },
        HashRange { length: 64, index: 0, ..good },
        HashRange { length: u32::MAX, index: 0, ..good },
        HashRange { index: 5, ..good },
        HashRange { index: 20, ..good },
        HashRange { index: u32::MAX - 3, ..good },
        HashRange { base: 1, ..good },
        HashRange { base: 8, ..good },
        HashRange { base: u32::MAX, ..good },
        HashRange { proof_layers: u32::MAX, ..good },
    ] {
        assert_eq!(tree.hashes(bad), None, "{bad:?}");
        assert_eq!(bad.lead(&nodes(70)), None, "{bad:?}");
    }
    assert_eq!(Tree::new(0, vec![]), None);
    assert_eq!(Tree::new(MAX_HEIGHT, nodes(2)), None);
    assert_eq!(good.lead(&nodes(3)), None, "fewer than asked for");
    assert_eq!(good.lead(&nodes(8)), None, "more than asked for");
}

proptest! {
    #[test]
    fn a_changed_hash_never_leads_to_the_root(size in 2usize..300, seed: u64, bit in 0usize..256) {
        let tree = Tree::new(0, nodes(size)).unwrap();
        let power = 1 + seed as u32 % tree.height();
        let index = ((seed >> 8) as usize % size) >> power << power;
        let range = HashRange { base: 0, index: index as u32, length: 1 << power, proof_layers: tree.height() - 1 };
        let mut answer = tree.hashes(range).unwrap();
        prop_assert_eq!(range.lead(&answer).unwrap().node, tree.root());
        let victim = (seed >> 32) as usize % answer.len();
        answer[victim][bit / 8] ^= 1 << (bit % 8);
        prop_assert_ne!(range.lead(&answer).unwrap().node, tree.root());
    }
}
