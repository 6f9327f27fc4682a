//! Hashing pieces from where they rest: one piece of code for downloads, checks and new torrents.
//!
//! Bytes are read in slices by plain reads, never through a mapping: a file that is cut short meanwhile is an error, not the end
//! of the process (THREATS row L5).

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher as _};
use std::io::IoSliceMut;

use riverrun_metainfo::metainfo::{PieceHashes, Verdict};
use riverrun_metainfo::{BLOCK_LENGTH, Layout, PieceIndex, Span};

use crate::{Storage, StorageError};

/// How many pieces are hashed side by side.
pub(crate) const LANES: usize = 16;

/// How much of a piece is read at once.
const SLICE_BYTES: usize = 64 << 10;

/// One piece to be hashed.
pub(crate) struct Piece<'a> {
    storage: &'a dyn Storage,
    layout: &'a Layout,
    hashes: &'a PieceHashes,
    index: PieceIndex,
    /// What came of it; `None` before it was hashed.
    pub(crate) result: Option<Result<Verdict, StorageError>>,
}

/// Hashes pieces, with memory of its own for their slices.
#[derive(Default)]
pub(crate) struct Hasher {
    slice: Vec<u8>,
}

impl<'a> Piece<'a> {
    pub(crate) fn new(
        storage: &'a dyn Storage,
        layout: &'a Layout,
        hashes: &'a PieceHashes,
        index: PieceIndex,
    ) -> Self {
        Self { storage, layout, hashes, index, result: None }
    }
}

impl Hasher {
    /// Hashes pieces and judges them; calls `between` every now and then, so that other work need not wait for all of it.
    pub(crate) fn hash(&mut self, pieces: &mut [Piece<'_>], mut between: impl FnMut()) {
        for piece in pieces {
            piece.result = Some(self.hash_one(piece, &mut between));
        }
    }

    fn hash_one(&mut self, piece: &Piece<'_>, between: &mut impl FnMut()) -> Result<Verdict, StorageError> {
        let mut hasher = piece.hashes.hasher(piece.index);
        for span in slices_of(piece.layout, piece.index, SLICE_BYTES as u64) {
            hasher.update(self.read(piece.storage, span)?);
            between();
        }
        Ok(hasher.finish())
    }

    /// A keyed digest of each block of a piece.
    pub(crate) fn digests(
        &mut self,
        storage: &dyn Storage,
        layout: &Layout,
        piece: PieceIndex,
        key: &RandomState,
    ) -> Result<Vec<u64>, StorageError> {
        let mut digests = Vec::with_capacity(layout.block_count(piece) as usize);
        for span in slices_of(layout, piece, SLICE_BYTES as u64) {
            for block in self.read(storage, span)?.chunks(BLOCK_LENGTH as usize) {
                let mut digest = key.build_hasher();
                digest.write(block);
                digests.push(digest.finish());
            }
        }
        Ok(digests)
    }

    pub(crate) fn holds_memory(&self) -> bool {
        self.slice.capacity() > 0
    }

    pub(crate) fn give_memory_back(&mut self) {
        self.slice = Vec::new();
    }

    fn read(&mut self, storage: &dyn Storage, span: Span) -> Result<&[u8], StorageError> {
        self.slice.resize(SLICE_BYTES, 0);
        let slice = &mut self.slice[..usize::try_from(span.length).expect("a slice at most")];
        storage.read_at(span, &mut [IoSliceMut::new(slice)])?;
        Ok(slice)
    }
}

/// The spans of a piece, each at most `length` bytes long.
fn slices_of(layout: &Layout, piece: PieceIndex, length: u64) -> impl Iterator<Item = Span> + use<> {
    let span = layout.piece_span(piece).unwrap_or(Span { offset: 0, length: 0 });
    (0..span.length.div_ceil(length)).map(move |number| {
        let offset = span.offset + number * length;
        Span { offset, length: length.min(span.end() - offset) }
    })
}
