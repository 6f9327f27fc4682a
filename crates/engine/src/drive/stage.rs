//! How far a torrent has come.

use std::sync::Arc;
use std::time::{Duration, Instant};

use riverrun_storage::StorageError;
use riverrun_storage::check::Progress;
use tokio::sync::Notify;

use crate::{Phase, TorrentError};

/// How long a disk that failed must go on without failing again.
const TRIAL: Duration = Duration::from_secs(1);

/// The life of one torrent, as far as it is not the swarm's business.
#[derive(Debug)]
pub(crate) struct Life {
    pub(crate) stage: Stage,
    pub(crate) paused: bool,
    pub(crate) completion: Completion,
    parked: Option<Box<Parked>>,
    retry: Duration,
    fail_on_storage_error: bool,
    outcome: Outcome,
    /// Woken when the outcome changes. A watch channel would be ten times its size, in each of ten thousand torrents.
    changed: Arc<Notify>,
}

/// What is done with the torrent.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Its metadata is being fetched, or nobody has said yet where its content belongs.
    Gathering,
    /// Its files are being opened.
    Opening,
    /// What is on disk is being hashed.
    Checking(Arc<Progress>),
    /// It has a swarm.
    Running,
    /// It ended before its time.
    Failed(TorrentError),
    /// It is gone.
    Stopped,
}

/// Whether everything wanted is here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Completion {
    No,
    /// As the swarm knows; it is being synced and looked at.
    Looking,
    Yes,
}

#[derive(Debug)]
struct Parked {
    error: Arc<StorageError>,
    retry_at: Instant,
    /// Since when a try is under way: if the disk does not fail again the trouble is over.
    trying: Option<Instant>,
}

/// What waiters for the end are told.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    Open,
    Complete,
    Failed(TorrentError),
}

impl Life {
    pub(crate) fn new(paused: bool, retry: Duration, fail_on_storage_error: bool) -> Self {
        Self {
            stage: Stage::Gathering,
            paused,
            completion: Completion::No,
            parked: None,
            retry,
            fail_on_storage_error,
            outcome: Outcome::Open,
            changed: Arc::default(),
        }
    }

    /// Its place is decided: its files are opened.
    pub(crate) fn open(&mut self, fail_on_storage_error: bool) {
        if matches!(self.stage, Stage::Gathering) {
            self.stage = Stage::Opening;
            self.fail_on_storage_error = fail_on_storage_error;
        }
    }

    /// What waiters for the end are told now.
    pub(crate) fn outcome(&self) -> &Outcome {
        &self.outcome
    }

    /// Who is woken when that changes.
    pub(crate) fn changed(&self) -> Arc<Notify> {
        self.changed.clone()
    }

    fn set_outcome(&mut self, outcome: Outcome) {
        self.outcome = outcome;
        self.changed.notify_waiters();
    }

    /// As a user sees it.
    pub(crate) fn phase(&self, now: Instant, needed_bytes: u64) -> Phase {
        match &self.stage {
            Stage::Gathering if self.paused => Phase::Paused,
            Stage::Gathering | Stage::Opening => Phase::Opening,
            Stage::Checking(progress) => {
                Phase::Checking { done_bytes: progress.done_bytes(), total_bytes: progress.total_bytes() }
            }
            Stage::Failed(error) => Phase::Failed { error: error.clone(), retry_in: None, needed_bytes },
            Stage::Stopped => Phase::Stopped,
            Stage::Running => match (&self.parked, self.paused, self.completion) {
                (Some(parked), ..) => Phase::Failed {
                    error: TorrentError::Storage(parked.error.clone()),
                    retry_in: Some(parked.retry_at.saturating_duration_since(now)),
                    needed_bytes,
                },
                (None, true, _) => Phase::Paused,
                (None, false, Completion::No) => Phase::Downloading,
                (None, false, Completion::Looking) => Phase::Finishing,
                (None, false, Completion::Yes) => Phase::Seeding,
            },
        }
    }

    /// Whether connections are welcome, where there is a swarm.
    pub(crate) fn exchanges(&self) -> bool {
        !matches!(self.stage, Stage::Failed(_) | Stage::Stopped) && !self.paused
    }

    /// Everything wanted is here, verified, synced and looked at.
    pub(crate) fn complete(&mut self) {
        self.completion = Completion::Yes;
        self.set_outcome(Outcome::Complete);
    }

    /// Something that was here is not any more.
    pub(crate) fn reopen(&mut self) {
        self.completion = Completion::No;
        if matches!(self.outcome, Outcome::Complete) {
            self.set_outcome(Outcome::Open);
        }
    }

    /// It ends before its time.
    pub(crate) fn fail(&mut self, error: TorrentError) {
        if !matches!(self.stage, Stage::Stopped) {
            self.stage = Stage::Failed(error.clone());
            self.set_outcome(Outcome::Failed(error));
        }
    }

    /// It is gone.
    pub(crate) fn stop(&mut self) {
        self.stage = Stage::Stopped;
        if matches!(self.outcome, Outcome::Open) {
            self.set_outcome(Outcome::Failed(TorrentError::Stopped));
        }
    }

    /// The disk failed.
    pub(crate) fn park(&mut self, now: Instant, error: Arc<StorageError>) {
        if self.fail_on_storage_error {
            self.set_outcome(Outcome::Failed(TorrentError::Storage(error.clone())));
        }
        self.parked = Some(Box::new(Parked { error, retry_at: now + self.retry, trying: None }));
    }

    /// Whether the disk failed and has not been seen to work since.
    pub(crate) fn is_parked(&self) -> bool {
        self.parked.is_some()
    }

    /// Whether the disk is given rest: nothing new goes to it before what waits for it has been written.
    pub(crate) fn rests(&self, nothing_waits: bool) -> bool {
        self.parked.as_ref().is_some_and(|parked| parked.trying.is_none() || !nothing_waits)
    }

    /// Whether it is time to try the disk again.
    pub(crate) fn retry_due(&self, now: Instant) -> bool {
        self.parked.as_ref().is_some_and(|parked| parked.trying.is_none() && parked.retry_at <= now)
    }

    /// The disk is being tried.
    pub(crate) fn retry(&mut self, now: Instant) {
        if let Some(parked) = &mut self.parked {
            parked.trying = Some(now);
        }
    }

    /// Whether the disk has been tried for long enough to see that it works.
    pub(crate) fn tried(&self, now: Instant) -> bool {
        self.parked.as_ref().and_then(|parked| parked.trying).is_some_and(|since| since + TRIAL <= now)
    }

    /// The disk works; true if it did not before.
    pub(crate) fn unpark(&mut self) -> bool {
        self.parked.take().is_some()
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let parked = self.parked.as_ref()?;
        Some(parked.trying.map_or(parked.retry_at, |since| since + TRIAL))
    }
}
