//! What SHA-1 and SHA-256 share: bytes gathered into 64-byte blocks, and the padding at the end.

/// The bytes that one round of compression takes.
pub(super) const BLOCK: usize = 64;

/// Where the message length stands in the last block, in bytes.
const LENGTH_AT: usize = BLOCK - 8;

/// Chaining words, the bytes that do not fill a block yet, and the length of all.
///
/// Invariant: the first `length % 64` bytes of `pending` wait to be compressed.
#[derive(Clone, Debug)]
pub(super) struct Stream<const WORDS: usize> {
    words: [u32; WORDS],
    length: u64,
    pending: [u8; BLOCK],
}

impl<const WORDS: usize> Stream<WORDS> {
    pub(super) const fn new(words: [u32; WORDS]) -> Self {
        Self { words, length: 0, pending: [0; BLOCK] }
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn update(&mut self, mut bytes: &[u8], compress: impl Fn(&mut [u32; WORDS], &[[u8; BLOCK]])) {
        let held = self.held();
        self.length += bytes.len() as u64;
        if held > 0 {
            let (head, rest) = bytes.split_at(bytes.len().min(BLOCK - held));
            self.pending[held..held + head.len()].copy_from_slice(head);
            if held + head.len() < BLOCK {
                return;
            }
            compress(&mut self.words, &[self.pending]);
            bytes = rest;
        }
        let (blocks, tail) = bytes.as_chunks();
        compress(&mut self.words, blocks);
        self.pending[..tail.len()].copy_from_slice(tail);
    }

    /// Pads as FIPS 180-4 section 5.1.1 says and writes the words out, high byte first.
    pub(super) fn finish(mut self, compress: impl Fn(&mut [u32; WORDS], &[[u8; BLOCK]]), digest: &mut [u8]) {
        let held = self.held();
        self.pending[held] = 0x80;
        self.pending[held + 1..].fill(0);
        if held >= LENGTH_AT {
            compress(&mut self.words, &[self.pending]);
            self.pending.fill(0);
        }
        self.pending[LENGTH_AT..].copy_from_slice(&self.length.wrapping_mul(8).to_be_bytes());
        compress(&mut self.words, &[self.pending]);
        for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(self.words) {
            *bytes = word.to_be_bytes();
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "a remainder below 64")]
    fn held(&self) -> usize {
        (self.length % BLOCK as u64) as usize
    }
}
