//! Hashing pieces from where they rest: one piece of code for downloads, checks and new torrents.
//!
//! Bytes are read in slices by plain reads, never through a mapping: a file that is cut short meanwhile is an error, not the end
//! of the process (THREATS row L5).

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher as _};
use std::io::IoSliceMut;

use riverrun_metainfo::piece_hash::{Digester, PieceDigest};
use riverrun_metainfo::{BLOCK_LENGTH, Layout, PieceIndex, Span};

use crate::{Storage, StorageError};

/// How many pieces are hashed side by side.
pub(crate) const LANES: usize = 16;

/// How much of a piece is read at once.
const SLICE_BYTES: usize = 64 << 10;

/// One piece to be hashed.
pub(crate) struct Piece<'a> {
    storage: &'a dyn Storage,
    span: Span,
    /// `None` once the result is there.
    digester: Option<Digester>,
    result: Option<Result<PieceDigest, StorageError>>,
}

/// Hashes pieces, with memory of its own for their slices.
#[derive(Default)]
pub(crate) struct Hasher {
    slice: Vec<u8>,
}

impl<'a> Piece<'a> {
    pub(crate) fn new(storage: &'a dyn Storage, layout: &Layout, piece: PieceIndex, digester: Digester) -> Self {
        Self { storage, span: span_of(layout, piece), digester: Some(digester), result: None }
    }

    /// What came of it; to be asked after [`Hasher::hash`].
    pub(crate) fn into_result(self) -> Result<PieceDigest, StorageError> {
        self.result.expect("every piece that was given to the hasher has a result")
    }
}

impl Hasher {
    /// Hashes pieces; calls `between` every now and then with the bytes hashed since, so that other work need not wait for
    /// all of it.
    pub(crate) fn hash(&mut self, pieces: &mut [Piece<'_>], mut between: impl FnMut(u64)) {
        for piece in pieces {
            let Some(digester) = piece.digester.take() else { continue };
            piece.result = Some(self.hash_one(piece.storage, piece.span, digester, &mut between));
        }
    }

    fn hash_one(
        &mut self,
        storage: &dyn Storage,
        span: Span,
        mut digester: Digester,
        between: &mut impl FnMut(u64),
    ) -> Result<PieceDigest, StorageError> {
        for slice in slices_of(span) {
            digester.update(self.read(storage, slice)?);
            between(slice.length);
        }
        Ok(digester.finish())
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
        for slice in slices_of(span_of(layout, piece)) {
            for block in self.read(storage, slice)?.chunks(BLOCK_LENGTH as usize) {
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

/// A piece past the end has no bytes.
fn span_of(layout: &Layout, piece: PieceIndex) -> Span {
    layout.piece_span(piece).unwrap_or(Span { offset: 0, length: 0 })
}

/// Cuts a span into slices.
fn slices_of(span: Span) -> impl Iterator<Item = Span> {
    let length = SLICE_BYTES as u64;
    (0..span.length.div_ceil(length)).map(move |number| {
        let offset = span.offset + number * length;
        Span { offset, length: length.min(span.end() - offset) }
    })
}
