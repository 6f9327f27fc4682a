//! The parts that both sides write and read: pads, lengths, numbers.

use riverrun_metainfo::WireHash;

use super::dh::{KeyPair, SECRET_LENGTH};
use super::{Cipher, Cover, Covered, MseError, RANDOM_LENGTH};
use crate::limits::MAX_MSE_PAD;

/// The verification constant.
pub(super) const VC: [u8; 8] = [0; 8];
/// VC, the methods and the length of a pad.
pub(super) const HEAD: usize = VC.len() + 4 + 2;

/// What both know once the method is chosen.
pub(super) struct Agreed {
    pub(super) cover: Cover,
    pub(super) inbound: Cipher,
    pub(super) outbound: Cipher,
    pub(super) info_hash: WireHash,
}

impl Agreed {
    /// The end of the handshake: without ciphers where the streams go on in plain.
    pub(super) fn covered(self, first: Vec<u8>) -> Covered {
        let Self { cover, inbound, outbound, info_hash } = self;
        let (inbound, outbound) = if cover == Cover::Stream { (Some(inbound), Some(outbound)) } else { (None, None) };
        Covered { cover, inbound, outbound, info_hash, first }
    }
}

/// The key and the generator of pads.
pub(super) fn drawn(random: [u8; RANDOM_LENGTH]) -> (KeyPair, fastrand::Rng) {
    let (secret, seed) = random.split_at(SECRET_LENGTH);
    let secret = secret.try_into().expect("the front of it");
    let seed = u64::from_le_bytes(seed.try_into().expect("8 bytes are left"));
    (KeyPair::new(secret), fastrand::Rng::with_seed(seed))
}

/// Appends a pad.
pub(super) fn pad(out: &mut Vec<u8>, rng: &mut fastrand::Rng) {
    let at = out.len();
    out.resize(at + rng.usize(..=MAX_MSE_PAD), 0);
    rng.fill(&mut out[at..]);
}

/// Appends the length of a pad and the pad.
pub(super) fn counted_pad(out: &mut Vec<u8>, rng: &mut fastrand::Rng) {
    let mut bytes = Vec::new();
    pad(&mut bytes, rng);
    out.extend_from_slice(&length_bytes(bytes.len()));
    out.append(&mut bytes);
}

/// A length as it goes over the wire.
pub(super) fn length_bytes(length: usize) -> [u8; 2] {
    u16::try_from(length).expect("a pad, or the first bytes of a stream").to_be_bytes()
}

/// The methods and the length of the pad at the end of a head.
pub(super) fn numbers(head: &[u8]) -> (u32, usize) {
    let (rest, length) = head.split_last_chunk::<2>().expect("a head has a length");
    let methods = rest.last_chunk::<4>().expect("a head has methods");
    (u32::from_be_bytes(*methods), usize::from(u16::from_be_bytes(*length)))
}

/// A pad of this length is waited for.
pub(super) fn length_of_pad(length: usize) -> Result<usize, MseError> {
    if length > MAX_MSE_PAD { Err(MseError::Pad(length)) } else { Ok(length) }
}
