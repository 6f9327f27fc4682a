//! Hashing pieces from where they rest: one piece of code for downloads, checks and new torrents.
//!
//! Several pieces go side by side, slice by slice, which on most machines costs a fraction of one after the other. Bytes are read
//! by plain reads, never through a mapping: a file that is cut short meanwhile is an error, not the end of the process (THREATS
//! row L5).

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher as _};
use std::io::IoSliceMut;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use riverrun_metainfo::hash::{Sha1, Sha256, calibrate};
use riverrun_metainfo::piece_hash::{Digester, PieceDigest};
use riverrun_metainfo::{BLOCK_LENGTH, Layout, PieceIndex, Span};
use smallvec::SmallVec;

use crate::{Storage, StorageError};

/// The most pieces that are hashed side by side.
pub(crate) const LANES: usize = 16;

/// The memory for slices: so much is read, then hashed while it is warm. Half of it costs as much and takes twice the reads.
const SCRATCH_BYTES: usize = 2 << 20;
/// The longest slice of one piece.
const MAX_SLICE_BYTES: usize = 256 << 10;
/// How far ahead of the hashing a disk is asked to read, for each piece.
const AHEAD_BYTES: u64 = 2 << 20;

/// So much is hashed in a process before its ways to hash are measured: a small torrent is done without.
const CALIBRATE_AFTER_BYTES: u64 = 64 << 20;

/// One piece to be hashed.
pub(crate) struct Piece<'a> {
    storage: &'a dyn Storage,
    /// What was not read yet.
    rest: Span,
    /// Up to where the storage was told that reads will come.
    announced: u64,
    state: State,
}

enum State {
    Open(Digester),
    Done(PieceDigest),
    Failed(StorageError),
    /// While the digester is elsewhere.
    Away,
}

/// Hashes pieces, with memory of its own for their slices.
#[derive(Default)]
pub(crate) struct Hasher {
    scratch: Vec<u8>,
}

/// How many independent inputs this machine hashes side by side: how many pieces are worth waiting for.
pub(crate) fn lanes_of_machine() -> usize {
    Sha1::ways().chain(Sha256::ways()).map(|way| way.lanes).max().unwrap_or(1).min(LANES)
}

impl<'a> Piece<'a> {
    /// A piece past the end has no bytes.
    pub(crate) fn new(storage: &'a dyn Storage, layout: &Layout, piece: PieceIndex, digester: Digester) -> Self {
        let rest = span_of(layout, piece);
        Self { storage, rest, announced: rest.end(), state: State::Open(digester) }
    }

    /// The same, of which the digester has the bytes before `from`, a place in the byte stream.
    pub(crate) fn from(mut self, from: u64) -> Self {
        self.rest = Span { offset: from, length: self.rest.end().saturating_sub(from) };
        self
    }

    /// The same, telling the storage ahead what will be read: for bytes that are not in memory yet.
    pub(crate) fn reading_ahead(mut self) -> Self {
        self.announced = self.rest.offset;
        self
    }

    /// What came of it; to be asked after [`Hasher::hash`] was true.
    pub(crate) fn into_result(self) -> Result<PieceDigest, StorageError> {
        match self.state {
            State::Done(digest) => Ok(digest),
            State::Failed(error) => Err(error),
            State::Open(_) | State::Away => unreachable!("every piece that was given to the hasher has a result"),
        }
    }

    fn is_going(&self) -> bool {
        matches!(self.state, State::Open(_)) && self.rest.length > 0
    }

    /// Reads the next bytes to the front of `into`, and gives them with the digester that takes them.
    fn read<'s>(&'s mut self, into: &'s mut [u8]) -> Option<(&'s mut Digester, &'s [u8])> {
        let end = self.rest.end();
        if self.announced < end && self.announced <= self.rest.offset + AHEAD_BYTES / 2 {
            let ahead = (self.rest.offset + AHEAD_BYTES).min(end);
            self.storage.will_read(Span { offset: self.announced, length: ahead - self.announced });
            self.announced = ahead;
        }
        let length = usize::try_from(self.rest.length).unwrap_or(usize::MAX).min(into.len());
        let (into, _) = into.split_at_mut(length);
        let span = Span { offset: self.rest.offset, length: length as u64 };
        match self.storage.read_at(span, &mut [IoSliceMut::new(into)]) {
            Ok(()) => self.rest = Span { offset: span.end(), length: self.rest.length - span.length },
            Err(error) => self.state = State::Failed(error),
        }
        match &mut self.state {
            State::Open(digester) => Some((digester, into)),
            _ => None,
        }
    }
}

impl Hasher {
    /// Hashes pieces side by side; calls `between` about every two MiB with the bytes hashed since, so that other work need not wait
    /// for all of it. If that says to break, the pieces have no results and this is false.
    #[must_use]
    pub(crate) fn hash(&mut self, pieces: &mut [Piece<'_>], mut between: impl FnMut(u64) -> ControlFlow<()>) -> bool {
        loop {
            let going = pieces.iter().filter(|piece| piece.is_going()).count();
            if going == 0 {
                break;
            }
            let slice = (SCRATCH_BYTES / going).clamp(1, MAX_SLICE_BYTES).next_multiple_of(BLOCK_LENGTH as usize);
            self.scratch.resize(SCRATCH_BYTES.max(slice * going), 0);
            let slices = self.scratch.chunks_exact_mut(slice);
            let going = pieces.iter_mut().filter(|piece| piece.is_going());
            let mut read: SmallVec<[_; LANES]> =
                going.zip(slices).filter_map(|(piece, slice)| piece.read(slice)).collect();
            let length = read.iter().map(|(_, bytes)| bytes.len() as u64).sum();
            calibrate_once_worth_it(length);
            Digester::update_many(&mut read);
            if between(length).is_break() {
                return false;
            }
        }
        finish(pieces);
        true
    }

    /// A keyed digest of each block of a piece.
    pub(crate) fn digests(
        &mut self,
        storage: &dyn Storage,
        layout: &Layout,
        piece: PieceIndex,
        key: &RandomState,
    ) -> Result<Vec<u64>, StorageError> {
        let span = span_of(layout, piece);
        let mut digests = Vec::with_capacity(layout.block_count(piece) as usize);
        self.scratch.resize(SCRATCH_BYTES, 0);
        for offset in (span.offset..span.end()).step_by(MAX_SLICE_BYTES) {
            let length = (span.end() - offset).min(MAX_SLICE_BYTES as u64);
            let slice = &mut self.scratch[..usize::try_from(length).expect("a slice at most")];
            storage.read_at(Span { offset, length }, &mut [IoSliceMut::new(slice)])?;
            for block in slice.chunks(BLOCK_LENGTH as usize) {
                let mut digest = key.build_hasher();
                digest.write(block);
                digests.push(digest.finish());
            }
        }
        Ok(digests)
    }

    pub(crate) fn holds_memory(&self) -> bool {
        self.scratch.capacity() > 0
    }

    pub(crate) fn give_memory_back(&mut self) {
        self.scratch = Vec::new();
    }
}

/// Measures the ways to hash, on the one thread whose bytes make it worth the time; others go on with what was in use before.
fn calibrate_once_worth_it(bytes: u64) {
    static HASHED: AtomicU64 = AtomicU64::new(0);
    if crosses(HASHED.fetch_add(bytes, Ordering::Relaxed), bytes) {
        calibrate(|work| {
            let began = Instant::now();
            work();
            began.elapsed()
        });
    }
}

/// Whether these bytes after those before are the ones that make measuring worth it.
fn crosses(before: u64, bytes: u64) -> bool {
    before < CALIBRATE_AFTER_BYTES && before.saturating_add(bytes) >= CALIBRATE_AFTER_BYTES
}

fn finish(pieces: &mut [Piece<'_>]) {
    let mut open: SmallVec<[_; LANES]> = SmallVec::new();
    let mut digesters: SmallVec<[_; LANES]> = SmallVec::new();
    for piece in pieces {
        match std::mem::replace(&mut piece.state, State::Away) {
            State::Open(digester) => {
                digesters.push(digester);
                open.push(piece);
            }
            state => piece.state = state,
        }
    }
    for (piece, digest) in open.into_iter().zip(Digester::finish_many(digesters)) {
        piece.state = State::Done(digest);
    }
}

/// A piece past the end has no bytes.
fn span_of(layout: &Layout, piece: PieceIndex) -> Span {
    layout.piece_span(piece).unwrap_or(Span { offset: 0, length: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_hash_are_measured_once_and_not_for_a_small_torrent() {
        let calibrations = |slices: &[u64]| {
            let before = |at: usize| slices[..at].iter().sum();
            (0..slices.len()).filter(|at| crosses(before(*at), slices[*at])).count()
        };
        assert_eq!(calibrations(&[CALIBRATE_AFTER_BYTES - 1]), 0);
        assert_eq!(calibrations(&[2 << 20; 31]), 0);
        assert_eq!(calibrations(&[2 << 20; 32]), 1);
        assert_eq!(calibrations(&[3 << 20; 1000]), 1);
        assert_eq!(calibrations(&[0, CALIBRATE_AFTER_BYTES, 0, CALIBRATE_AFTER_BYTES]), 1);
    }
}
