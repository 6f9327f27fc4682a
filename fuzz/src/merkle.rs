use riverrun_metainfo::merkle::{self, HashRange, Node, Tree};

use crate::bits::Bits;

/// Hash requests by any numbers to trees of any size: an answer proves itself, a changed one does not.
pub fn merkle(data: &[u8]) {
    let mut bits = Bits::new(data);
    let base = u32::from(bits.byte() % 70);
    let size = bits.number() as usize % 1100;
    let range = HashRange {
        base: base.wrapping_add(bits.byte() as u32 % 4).wrapping_sub(bits.byte() as u32 % 2),
        index: if bits.byte() & 1 == 0 { bits.u32() } else { bits.number() as u32 % 2048 },
        length: if bits.byte() & 1 == 0 { bits.u32() } else { 1 << (bits.byte() % 16) },
        proof_layers: if bits.byte() & 1 == 0 { bits.u32() } else { u32::from(bits.byte() % 20) },
    };
    let change = bits.number() as usize;
    let nodes: Vec<Node> = (0..size as u64).map(|number| merkle::leaf(&number.to_le_bytes())).collect();
    let _ = range.lead(&nodes);
    let Some(tree) = Tree::new(base, nodes.clone()) else { return };
    assert_eq!(tree.root(), merkle::root(&nodes, base));
    let Some(mut answer) = tree.hashes(range) else { return };
    let lead = range.lead(&answer).expect("an answer fits its request");
    let at = tree.layer(lead.height).expect("the answer leads to a layer of the tree");
    let known = at.get(lead.index as usize).copied().unwrap_or_else(|| merkle::pad_hash(lead.height));
    assert_eq!(lead.node, known);
    let count = answer.len();
    answer[change % count][change / count % 32] ^= 1;
    assert_ne!(range.lead(&answer).map(|lead| lead.node), Some(known));
}
