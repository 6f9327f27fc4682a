use riverrun_metainfo::hash::{Sha1, Sha256, sha1, sha256};

use crate::bits::Bits;

/// Inputs of any lengths in any parts, side by side: the digests are those of one after the other.
pub fn hash(data: &[u8]) {
    let mut bits = Bits::new(data);
    let inputs: Vec<(usize, u8)> =
        (0..bits.byte() % 40).map(|_| (bits.number() as usize % 5000, bits.byte())).collect();
    let inputs: Vec<Vec<u8>> =
        inputs.iter().map(|(length, seed)| (0..*length).map(|at| (at * 7) as u8 ^ seed).collect()).collect();
    let (mut one, mut two) = (vec![Sha1::new(); inputs.len()], vec![Sha256::new(); inputs.len()]);
    let mut rests: Vec<&[u8]> = inputs.iter().map(|bytes| &bytes[..]).collect();
    while rests.iter().any(|rest| !rest.is_empty()) {
        let parts: Vec<&[u8]> = rests
            .iter_mut()
            .map(|rest| {
                let most = if bits.is_empty() { usize::MAX } else { bits.number() as usize };
                rest.split_off(..most.min(rest.len())).expect("a front of the rest")
            })
            .collect();
        Sha1::update_many(&mut one.iter_mut().zip(parts.iter().copied()).collect::<Vec<_>>());
        Sha256::update_many(&mut two.iter_mut().zip(parts.iter().copied()).collect::<Vec<_>>());
    }
    assert!(Sha1::finish_many(one).eq(inputs.iter().map(|bytes| sha1(bytes))));
    assert!(Sha256::finish_many(two).eq(inputs.iter().map(|bytes| sha256(bytes))));
}
