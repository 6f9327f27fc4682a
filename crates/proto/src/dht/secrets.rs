//! What strangers must not guess: transaction ids, ids, keys.

use riverrun_metainfo::hash::Sha256;

/// A stream of bytes that only the holder of the seed can tell: SHA-256 over the seed and a count.
///
/// The small generator that machines use for picks would not do here: who sees some of its numbers can work out the rest.
pub(super) struct Secrets {
    seed: [u8; 32],
    drawn: u64,
    left: Vec<u8>,
}

impl Secrets {
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: 0, left: Vec::new() }
    }

    /// A key for one purpose; the same each time.
    pub(super) fn key(&self, purpose: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(&self.seed);
        hash.update(b"key");
        hash.update(purpose.as_bytes());
        hash.finish()
    }

    /// The next bytes.
    pub(super) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for byte in &mut bytes {
            if self.left.is_empty() {
                let mut hash = Sha256::new();
                hash.update(&self.seed);
                hash.update(b"draw");
                hash.update(&self.drawn.to_be_bytes());
                self.drawn += 1;
                self.left.extend_from_slice(&hash.finish());
            }
            *byte = self.left.pop().expect("it was filled");
        }
        bytes
    }
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secrets").field("drawn", &self.drawn).finish_non_exhaustive()
    }
}
