//! Pieces that are complete and wait to be hashed together.

use std::sync::Arc;
use std::time::{Duration, Instant};

use riverrun_metainfo::PieceIndex;
use riverrun_metainfo::metainfo::{ExpectedHash, Verdict};

use super::prefixes::{Prefix, Prefixes};
use super::queue::{Job, Work};
use super::{Torrent, VerifyOutcome};
use crate::StorageError;
use crate::hashing::{Hasher, Piece, lanes_of_machine};

/// How long complete pieces wait for more, so that they are hashed side by side, for each MiB of a piece; only while pieces come in
/// quick succession.
const LINGER_PER_MIB: Duration = Duration::from_millis(10);
const MIN_LINGER: Duration = Duration::from_millis(5);
const MAX_LINGER: Duration = Duration::from_millis(50);
/// Pieces come in quick succession if the last ones were hashed within so many times that.
const BUSY_LINGERS: u32 = 8;

/// Pieces that wait to be hashed together.
#[derive(Default)]
pub(super) struct Verifies {
    waiting: Vec<Verify>,
    /// An empty list, kept for its memory.
    spare: Vec<Verify>,
    /// How many inputs they are to be hashed side by side.
    lanes: usize,
    /// How long they wait for company.
    linger: Duration,
    /// When the first of them came.
    since: Option<Instant>,
    /// When pieces were hashed last.
    last: Option<Instant>,
}

pub(super) struct Verify {
    pub(super) torrent: Arc<Torrent>,
    pub(super) piece: PieceIndex,
    digests: bool,
    /// What has been hashed of it from memory.
    pub(super) prefix: Option<Prefix>,
}

impl Verifies {
    pub(super) fn push(&mut self, verify: Verify) {
        if self.waiting.is_empty() {
            self.since = Some(Instant::now());
            self.lanes = 0;
            self.linger = verify.linger();
        }
        self.lanes += verify.lanes();
        self.waiting.push(verify);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.since.filter(|_| !self.waiting.is_empty()).map(|since| since + self.linger)
    }

    pub(super) fn have(&self, torrent: &Torrent, piece: PieceIndex) -> bool {
        self.waiting.iter().any(|verify| verify.piece == piece && verify.torrent.number == torrent.number)
    }

    /// Whether waiting longer for more makes no sense.
    fn are_due(&self) -> bool {
        let Some(deadline) = self.deadline() else { return false };
        if self.lanes >= lanes_of_machine() {
            return true;
        }
        let now = Instant::now();
        let busy = self.last.is_some_and(|last| now - last < self.linger * BUSY_LINGERS);
        !busy || now >= deadline
    }

    /// Takes those out that need not wait for others: all, or those of which nothing is to be read back.
    pub(super) fn take_due(&mut self, prefixes: &Prefixes) -> Vec<Verify> {
        if self.are_due() {
            return self.take_all();
        }
        self.take_if(|verify| prefixes.is_whole(&verify.torrent, verify.piece))
    }

    pub(super) fn take_all(&mut self) -> Vec<Verify> {
        self.last = Some(Instant::now());
        std::mem::replace(&mut self.waiting, std::mem::take(&mut self.spare))
    }

    /// Takes back a list whose pieces are hashed.
    pub(super) fn keep(&mut self, list: Vec<Verify>) {
        debug_assert!(list.is_empty());
        self.spare = list;
    }

    pub(super) fn take_if(&mut self, is_meant: impl Fn(&Verify) -> bool) -> Vec<Verify> {
        let mut taken = std::mem::take(&mut self.spare);
        taken.extend(self.waiting.extract_if(.., |verify| is_meant(verify)));
        self.lanes -= taken.iter().map(Verify::lanes).sum::<usize>();
        taken
    }
}

impl Verify {
    pub(super) fn new(torrent: Arc<Torrent>, piece: PieceIndex, digests: bool) -> Self {
        Self { torrent, piece, digests, prefix: None }
    }

    pub(super) fn into_job(self) -> Job {
        Job { torrent: self.torrent, work: Work::Verify { piece: self.piece, digests: self.digests } }
    }

    /// The piece, to be read from where it has been hashed to.
    pub(super) fn to_piece(&self) -> Piece<'_> {
        let piece = |digester| Piece::new(&*self.torrent.storage, &self.torrent.layout, self.piece, digester);
        match &self.prefix {
            Some(prefix) => piece(prefix.digester.clone()).from(prefix.until),
            None => piece(self.torrent.digester(self.piece)),
        }
    }

    /// The leaves of a v2 piece go side by side, the bytes of a v1 piece only one after the other.
    fn lanes(&self) -> usize {
        if self.expected().v1.is_some() { 1 } else { self.torrent.layout.block_count(self.piece) as usize }
    }

    fn linger(&self) -> Duration {
        let mib = self.torrent.layout.piece_length() >> 20;
        (LINGER_PER_MIB * mib).clamp(MIN_LINGER, MAX_LINGER)
    }

    pub(super) fn expected(&self) -> ExpectedHash {
        self.torrent.hashes.expected(self.piece)
    }

    pub(super) fn outcome(&self, verdict: Result<Verdict, StorageError>, hasher: &mut Hasher) -> VerifyOutcome {
        let mut digests =
            || hasher.digests(&*self.torrent.storage, &self.torrent.layout, self.piece, &self.torrent.key);
        let outcome = match verdict {
            Ok(Verdict::Good) if !self.digests => Ok(VerifyOutcome::Good { digests: None }),
            Ok(Verdict::Good) => digests().map(|digests| VerifyOutcome::Good { digests: Some(digests) }),
            Ok(Verdict::Corrupt) => digests().map(|digests| VerifyOutcome::Corrupt { digests }),
            Ok(Verdict::Inconsistent) => Ok(VerifyOutcome::Inconsistent),
            Ok(Verdict::Unknown) => Err(StorageError::NoHash { piece: self.piece }),
            Err(error) => Err(error),
        };
        outcome.unwrap_or_else(|error| VerifyOutcome::Failed(Arc::new(error)))
    }
}
