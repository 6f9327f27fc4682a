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

    pub(super) fn update(&mut self, bytes: &[u8], compress: impl Fn(&mut [u32; WORDS], &[[u8; BLOCK]])) {
        let (words, blocks) = self.take(bytes, &compress);
        compress(words, blocks);
    }

    /// Takes the next bytes, but leaves the whole blocks of them to be compressed by the caller.
    pub(super) fn take<'b>(
        &mut self,
        mut bytes: &'b [u8],
        compress: impl Fn(&mut [u32; WORDS], &[[u8; BLOCK]]),
    ) -> (&mut [u32; WORDS], &'b [[u8; BLOCK]]) {
        let held = self.held();
        self.length += bytes.len() as u64;
        if held > 0 {
            let (head, rest) = bytes.split_at(bytes.len().min(BLOCK - held));
            self.pending[held..held + head.len()].copy_from_slice(head);
            if held + head.len() < BLOCK {
                return (&mut self.words, &[]);
            }
            compress(&mut self.words, &[self.pending]);
            bytes = rest;
        }
        let (blocks, tail) = bytes.as_chunks();
        self.pending[..tail.len()].copy_from_slice(tail);
        (&mut self.words, blocks)
    }

    pub(super) fn finish<const BYTES: usize>(
        mut self,
        compress: impl Fn(&mut [u32; WORDS], &[[u8; BLOCK]]),
    ) -> [u8; BYTES] {
        let padding = self.padding();
        compress(&mut self.words, padding.blocks());
        digest(&self.words)
    }

    pub(super) fn words(&self) -> [u32; WORDS] {
        self.words
    }

    /// What is still to be compressed at the end (FIPS 180-4 section 5.1.1).
    pub(super) fn padding(&self) -> Padding {
        let held = self.held();
        let count = if held < LENGTH_AT { 1 } else { 2 };
        let mut blocks = [[0; BLOCK]; 2];
        blocks[0][..held].copy_from_slice(&self.pending[..held]);
        blocks[0][held] = 0x80;
        blocks[count - 1][LENGTH_AT..].copy_from_slice(&self.length.wrapping_mul(8).to_be_bytes());
        Padding { blocks, count }
    }

    #[expect(clippy::cast_possible_truncation, reason = "a remainder below 64")]
    fn held(&self) -> usize {
        (self.length % BLOCK as u64) as usize
    }
}

/// The last block of a message, or the last two.
pub(super) struct Padding {
    blocks: [[u8; BLOCK]; 2],
    count: usize,
}

impl Padding {
    pub(super) fn blocks(&self) -> &[[u8; BLOCK]] {
        &self.blocks[..self.count]
    }
}

/// The words, high byte first.
pub(super) fn digest<const WORDS: usize, const BYTES: usize>(words: &[u32; WORDS]) -> [u8; BYTES] {
    let mut digest = [0; BYTES];
    for (bytes, word) in digest.as_chunks_mut().0.iter_mut().zip(words) {
        *bytes = word.to_be_bytes();
    }
    digest
}
