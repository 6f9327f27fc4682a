//! Hashing everything that is on disk: which pieces are right, and what is wrong with which file. Also hashing content that is to
//! become a torrent; both are the same walk.
//!
//! Holes of sparse files are not read, files that are missing or too short are not touched. Memory is a slice per thread.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use riverrun_metainfo::metainfo::{ExpectedV2, PieceHashes, Verdict};
use riverrun_metainfo::piece_hash::{Digester, Format, PieceDigest};
use riverrun_metainfo::{Bitfield, Extent, FileIndex, Layout, LayoutFile, PieceIndex};

use crate::hashing::{Hasher, LANES, Piece};
use crate::{FilePresence, Presence, Storage, StorageError};

#[cfg(test)]
mod tests;

/// How far a check is, and a way to end it; shared with whoever shows it.
#[derive(Debug, Default)]
pub struct Progress {
    done_bytes: AtomicU64,
    total_bytes: AtomicU64,
    cancelled: AtomicBool,
}

/// What a check found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checked {
    /// The pieces that are there and right, of those that were asked for.
    pub have: Bitfield,
    /// What is the matter with each file of the layout, as far as its pieces were looked at.
    pub files: Vec<FileState>,
    /// A piece that is right by one of its hashes and wrong by the other: no bytes can be right for this torrent (BEP 52).
    pub inconsistent: Option<PieceIndex>,
    /// Pieces whose hash is not known because their piece layer is missing (BEP 52): nobody can say whether they are right.
    pub unknown: Bitfield,
    /// Pieces that were not looked at, because [`Progress::cancel`] was called.
    pub left: Bitfield,
}

/// What is the matter with a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileState {
    /// Padding, which is never there.
    Pad,
    /// Everything is right.
    Ok,
    /// The length is right, but bytes are not.
    Damaged {
        /// How many of its pieces.
        pieces: u32,
    },
    /// The length is right, and nothing is known to be wrong, but the hashes of some pieces are not known (BEP 52).
    Unknown {
        /// How many of its pieces.
        pieces: u32,
    },
    /// It does not exist.
    Missing,
    /// It is shorter or longer than it should be.
    WrongSize {
        /// Its length in bytes.
        found: u64,
        /// How many of its pieces are not right.
        pieces: u32,
    },
    /// Something that is not a regular file stands there.
    NotAFile,
}

/// Why a check has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// [`Progress::cancel`] was called.
    #[error("the check was cancelled")]
    Cancelled,
    /// A file changed while it was read.
    #[error("file {} changed while it was hashed", file.0)]
    Changed {
        /// The file's number in the layout.
        file: FileIndex,
    },
    /// The place or a file cannot be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Progress {
    /// The bytes that are dealt with, skipped ones counted.
    #[must_use]
    pub fn done_bytes(&self) -> u64 {
        self.done_bytes.load(Ordering::Relaxed)
    }

    /// The bytes to deal with; 0 before it begins.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes.load(Ordering::Relaxed)
    }

    /// Ends the check soon, with what it has found until then; the hashing of new content with [`CheckError::Cancelled`].
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: u64) {
        self.done_bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// Hashes the pieces of `only`, or all, and says which are right. `threads`: `None` means one per core, at most four.
///
/// A piece whose bytes are not all there is just not had. Blocks the caller until it is done, or cancelled: then some pieces are left.
///
/// # Errors
/// A file cannot be read although it is there, or the place cannot be looked at.
pub fn check(
    storage: &dyn Storage,
    layout: &Layout,
    hashes: &PieceHashes,
    only: Option<&Bitfield>,
    threads: Option<NonZeroUsize>,
    progress: &Progress,
) -> Result<Checked, CheckError> {
    let reach = reach_of(&storage.presence()?);
    let task = Checking { storage, layout, hashes, reach, zeros: Mutex::default() };
    let verdicts = Walk { storage, layout, only, threads, progress }.run(&task)?;
    let mut have = Bitfield::empty(layout.piece_count());
    let (mut inconsistent, mut unknown) = (None, Bitfield::empty(layout.piece_count()));
    let mut left = only.cloned().unwrap_or_else(|| Bitfield::full(layout.piece_count()));
    let mut looked_at = Bitfield::empty(layout.piece_count());
    for (piece, verdict) in verdicts {
        looked_at.insert(piece);
        left.remove(piece);
        match verdict {
            Verdict::Good => _ = have.insert(piece),
            Verdict::Corrupt => {}
            Verdict::Inconsistent => inconsistent = inconsistent.max(Some(piece)),
            Verdict::Unknown => _ = unknown.insert(piece),
        }
    }
    // Looked at again: a file may have been cut or deleted meanwhile.
    let files = file_states(layout, &storage.presence()?, &have, &unknown, &looked_at);
    Ok(Checked { have, files, inconsistent, unknown, left })
}

/// Hashes every piece of content that is to become a torrent, for [`Plan::put`](riverrun_metainfo::create::Plan::put), in order.
///
/// # Errors
/// A file cannot be read, is missing, shorter than the layout says, or changed while it was read; or it was cancelled.
pub fn digest(
    storage: &dyn Storage,
    layout: &Layout,
    format: Format,
    threads: Option<NonZeroUsize>,
    progress: &Progress,
) -> Result<Vec<PieceDigest>, CheckError> {
    let before = storage.presence()?;
    let mut digests = Walk { storage, layout, only: None, threads, progress }.run(&Making { layout, format })?;
    if progress.is_cancelled() {
        return Err(CheckError::Cancelled);
    }
    let after = storage.presence()?;
    if let Some(number) = before.files.iter().zip(&after.files).position(|(before, after)| before != after) {
        let number = u32::try_from(number).expect("a layout has at most 2 million files");
        return Err(CheckError::Changed { file: FileIndex(number) });
    }
    digests.sort_unstable_by_key(|(piece, _)| *piece);
    Ok(digests.into_iter().map(|(_, digest)| digest).collect())
}

/// What is asked about each piece of a walk.
trait Task: Sync {
    type Answer: Send;

    fn begin(&self, piece: PieceIndex) -> Next<Self::Answer>;

    fn judge(&self, piece: PieceIndex, digest: &PieceDigest) -> Self::Answer;

    /// The bytes are not there, although nothing said so before.
    fn not_there(&self, error: StorageError) -> Result<Self::Answer, StorageError>;
}

#[expect(clippy::large_enum_variant, reason = "moved once per piece")]
enum Next<A> {
    Known(A),
    Hash(Digester),
}

/// Comparing with a torrent.
struct Checking<'a> {
    storage: &'a dyn Storage,
    layout: &'a Layout,
    hashes: &'a PieceHashes,
    /// How far each file goes, in bytes.
    reach: Vec<u64>,
    /// What whole pieces of zeros hash to.
    zeros: Mutex<Option<PieceDigest>>,
}

impl Task for Checking<'_> {
    type Answer = Verdict;

    fn begin(&self, piece: PieceIndex) -> Next<Verdict> {
        let expected = self.hashes.expected(piece);
        let tree = expected.v2.map(ExpectedV2::tree);
        let Some(span) = self.layout.piece_span(piece) else { return Next::Known(Verdict::Unknown) };
        if expected.v1.is_none() && tree.is_none() {
            return Next::Known(Verdict::Unknown);
        }
        let reached = |extent: Extent| {
            let within = extent.offset + extent.length <= self.reach[extent.file.0 as usize];
            extent.pad || within || self.storage.rests_apart(extent)
        };
        if !self.layout.extents(span).all(reached) {
            return Next::Known(Verdict::Corrupt);
        }
        let digester = Digester::new(expected.v1.is_some(), tree);
        // Short pieces have hashes of their own, and are few.
        let whole = self.layout.piece_length();
        let is_whole = span.length == u64::from(whole) && tree.is_none_or(|tree| tree.length == whole);
        if is_whole && self.storage.is_hole(span) {
            let digest = *lock(&self.zeros).get_or_insert_with(|| digest_of_zeros(digester, span.length));
            return Next::Known(expected.judge(&digest));
        }
        Next::Hash(digester)
    }

    fn judge(&self, piece: PieceIndex, digest: &PieceDigest) -> Verdict {
        self.hashes.expected(piece).judge(digest)
    }

    fn not_there(&self, _: StorageError) -> Result<Verdict, StorageError> {
        Ok(Verdict::Corrupt)
    }
}

/// Making a torrent.
struct Making<'a> {
    layout: &'a Layout,
    format: Format,
}

impl Task for Making<'_> {
    type Answer = PieceDigest;

    fn begin(&self, piece: PieceIndex) -> Next<PieceDigest> {
        Next::Hash(Digester::of(self.layout, piece, self.format))
    }

    fn judge(&self, _: PieceIndex, digest: &PieceDigest) -> PieceDigest {
        *digest
    }

    fn not_there(&self, error: StorageError) -> Result<PieceDigest, StorageError> {
        Err(error)
    }
}

/// One walk over pieces, shared out to threads.
#[derive(Clone, Copy)]
struct Walk<'a> {
    storage: &'a dyn Storage,
    layout: &'a Layout,
    only: Option<&'a Bitfield>,
    threads: Option<NonZeroUsize>,
    progress: &'a Progress,
}

/// A thread takes at least so many bytes at a time: long runs are what disks like best.
const SHARE_BYTES: u32 = 16 << 20;
/// And at most so many pieces, so that all threads end at about the same time.
const MAX_SHARE_PIECES: u32 = 1024;
/// And so many pieces that they go side by side, unless there are only few.
const MIN_SHARE_PIECES: u32 = 16;
const MANY_PIECES: u32 = 4 * MIN_SHARE_PIECES;

impl Walk<'_> {
    /// An answer for each piece, or for some if it is cancelled, in no order.
    fn run<T: Task>(self, task: &T) -> Result<Vec<(PieceIndex, T::Answer)>, CheckError> {
        let total =
            self.pieces(0..self.layout.piece_count()).map(|piece| u64::from(self.layout.length_of(piece))).sum();
        self.progress.total_bytes.store(total, Ordering::Relaxed);
        let threads =
            self.threads.map_or_else(|| thread::available_parallelism().map_or(2, usize::from).min(4), usize::from);
        let next = AtomicU32::new(0);
        let failed = Mutex::new(None);
        let work = || self.work(task, &next, &failed);
        let answers = thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let mut answers = work();
            for other in others {
                answers.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            answers
        });
        match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(StorageError::into(error)),
            None => Ok(answers),
        }
    }

    fn pieces(self, range: std::ops::Range<u32>) -> impl Iterator<Item = PieceIndex> {
        range.map(PieceIndex).filter(move |piece| self.only.is_none_or(|only| only.has(*piece)))
    }

    fn work<T: Task>(
        self,
        task: &T,
        next: &AtomicU32,
        failed: &Mutex<Option<StorageError>>,
    ) -> Vec<(PieceIndex, T::Answer)> {
        let at_least = if self.layout.piece_count() < MANY_PIECES { 1 } else { MIN_SHARE_PIECES };
        let share = (SHARE_BYTES / self.layout.piece_length()).clamp(at_least, MAX_SHARE_PIECES);
        let count = self.layout.piece_count();
        let (mut hasher, mut answers, mut waiting) = (Hasher::default(), Vec::new(), Vec::with_capacity(LANES));
        loop {
            // Cannot run over: there are at most 2^26 pieces, and each thread stops at its first share past the end.
            let start = next.fetch_add(share, Ordering::Relaxed);
            if start >= count {
                return answers;
            }
            for piece in self.pieces(start..count.min(start + share)) {
                if self.progress.is_cancelled() || lock(failed).is_some() {
                    return answers;
                }
                match task.begin(piece) {
                    Next::Known(answer) => {
                        self.progress.add(self.layout.length_of(piece).into());
                        answers.push((piece, answer));
                    }
                    Next::Hash(digester) => {
                        let hashed = Piece::new(self.storage, self.layout, piece, digester).reading_ahead();
                        waiting.push((piece, hashed));
                        if waiting.len() == LANES {
                            self.hash(task, &mut hasher, &mut waiting, &mut answers, failed);
                        }
                    }
                }
            }
            self.hash(task, &mut hasher, &mut waiting, &mut answers, failed);
        }
    }

    fn hash<T: Task>(
        self,
        task: &T,
        hasher: &mut Hasher,
        waiting: &mut Vec<(PieceIndex, Piece<'_>)>,
        answers: &mut Vec<(PieceIndex, T::Answer)>,
        failed: &Mutex<Option<StorageError>>,
    ) {
        let (indices, mut pieces): (Vec<_>, Vec<_>) = waiting.drain(..).unzip();
        let finished = hasher.hash(&mut pieces, |bytes| {
            self.progress.add(bytes);
            if self.progress.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        if !finished {
            return;
        }
        for (index, piece) in indices.into_iter().zip(pieces) {
            let answer = match piece.into_result() {
                Ok(digest) => Ok(task.judge(index, &digest)),
                Err(error) if error.is_not_there() => task.not_there(error),
                Err(error) => Err(error),
            };
            match answer {
                Ok(answer) => answers.push((index, answer)),
                Err(error) => _ = lock(failed).get_or_insert(error),
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn digest_of_zeros(mut digester: Digester, length: u64) -> PieceDigest {
    let zeros = [0; 4096];
    let mut left = length;
    while left > 0 {
        let count = zeros.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        digester.update(&zeros[..count]);
        left -= count as u64;
    }
    digester.finish()
}

/// How far each file goes, in bytes; 0 for what is no file.
fn reach_of(presence: &Presence) -> Vec<u64> {
    let reach = |found: &FilePresence| if let FilePresence::Present { length, .. } = found { *length } else { 0 };
    presence.files.iter().map(reach).collect()
}

fn file_states(
    layout: &Layout,
    presence: &Presence,
    have: &Bitfield,
    unknown: &Bitfield,
    looked_at: &Bitfield,
) -> Vec<FileState> {
    let state = |(number, (file, found)): (u32, (&LayoutFile, &FilePresence))| {
        let looked_at = |piece: &u32| looked_at.has(PieceIndex(*piece));
        let bad = layout.pieces_of(FileIndex(number)).filter(looked_at).filter(|piece| !have.has(PieceIndex(*piece)));
        let (unknown, bad): (Vec<u32>, Vec<u32>) = bad.partition(|piece| unknown.has(PieceIndex(*piece)));
        let count = |pieces: &[u32]| u32::try_from(pieces.len()).expect("a layout has at most 2^26 pieces");
        let (unknown, pieces) = (count(&unknown), count(&bad));
        match found {
            _ if file.pad => FileState::Pad,
            FilePresence::Pad | FilePresence::Missing => FileState::Missing,
            FilePresence::NotAFile => FileState::NotAFile,
            FilePresence::Present { length, .. } if *length != file.length => {
                FileState::WrongSize { found: *length, pieces }
            }
            FilePresence::Present { .. } if pieces > 0 => FileState::Damaged { pieces },
            FilePresence::Present { .. } if unknown > 0 => FileState::Unknown { pieces: unknown },
            FilePresence::Present { .. } => FileState::Ok,
        }
    };
    (0..).zip(layout.files().iter().zip(&presence.files)).map(state).collect()
}
