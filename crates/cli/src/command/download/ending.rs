//! What the user is told when a download does not end well.

use std::time::Duration;

use riverrun::proto::swarm;
use riverrun::storage::StorageError;
use riverrun::{AddError, Phase, TorrentError, TorrentStatus, TrackerState, Waiting};

use super::place::as_written;
use super::run::Job;
use crate::command::watch::{self, host_of};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::shown;
use crate::units::{self, Scale};

/// Why a torrent was not added.
pub(crate) fn add_failure(error: &AddError, name: &str) -> Failure {
    match error {
        AddError::Duplicate(_) => Failure::usage(format!("{} is named twice", shown(name))),
        AddError::Storage(error) => storage_failure(error),
        other => Failure::internal(watch::chain(other)),
    }
}

/// Why the metadata of a torrent will never be here.
pub(crate) fn metadata_failure(error: &TorrentError) -> Failure {
    match error {
        TorrentError::Metadata(error) => Failure::new(
            Exit::Invalid,
            format!("the metadata is no torrent that can be used: {}", shown(&error.sentence("it"))),
        ),
        TorrentError::Duplicate => Failure::usage("the torrent is named twice"),
        other => Failure::internal(watch::chain(other)),
    }
}

/// Why a torrent ended before it was complete.
pub(crate) fn torrent_failure(error: &TorrentError, phase: Phase, job: &Job, scale: Scale) -> Failure {
    match error {
        TorrentError::Storage(error) => match phase {
            Phase::Failed { needed_bytes, .. } if error.is_full() => Failure::new(
                Exit::Storage,
                format!("the disk of {} is full: {} more are needed", as_written(&job.path), scale.bytes(needed_bytes)),
            )
            .help("make room and run the same command to go on"),
            _ => storage_failure(error),
        },
        TorrentError::Occupied { path, pieces } => Failure::new(
            Exit::Exists,
            format!("{} exists and is something else (0 of {pieces} pieces match)", as_written(path)),
        )
        .help("--overwrite replaces it"),
        TorrentError::Incomplete { bad, pieces } => Failure::new(
            Exit::Mismatch,
            format!("{bad} of {pieces} pieces of {} are damaged or missing", shown(&job.loaded.name)),
        ),
        other => Failure::internal(watch::chain(other)),
    }
}

/// What the disk said.
pub(crate) fn storage_failure(error: &StorageError) -> Failure {
    if let StorageError::NameTaken { path } = error {
        let message =
            format!("{} exists and is something else: the torrent's file cannot have its name", as_written(path));
        return Failure::new(Exit::Exists, message).help("move it away and run the same command again");
    }
    if let (true, Some(path)) = (error.is_not_there(), error.path()) {
        return Failure::new(
            Exit::Storage,
            format!("cannot write to {}: it is gone, or cannot be made", as_written(path)),
        );
    }
    Failure::new(Exit::Storage, shown(&watch::chain(error)))
}

/// Nothing came for too long.
pub(crate) fn stalled(status: &TorrentStatus, silent: Duration, elapsed: Duration) -> Failure {
    let refusal = status.trackers.iter().find_map(|tracker| match &tracker.state {
        TrackerState::Failed { error, refused: true, .. } => Some((tracker, error)),
        _ => None,
    });
    if let Some((tracker, error)) = refusal.filter(|_| status.connections == 0) {
        return Failure::new(Exit::Refused, format!("tracker {} said: \"{}\"", host_of(&tracker.url), shown(error)));
    }
    let web_seeds = watch::failed_web_seeds(status);
    if status.connections == 0 && !web_seeds.is_empty() {
        let peers = why_no_peers(status, elapsed);
        return Failure::new(Exit::NoProgress, format!("no web seed works, and no peers: {web_seeds}; {peers}"));
    }
    if status.connections == 0 && status.web_seeds.is_empty() {
        return Failure::new(Exit::NoProgress, format!("no peers: {}", why_no_peers(status, elapsed)))
            .help("--peer HOST:PORT names a peer");
    }
    let why = watch::view(status).waiting.map(|reason| format!(" ({})", reason.text));
    let silent = units::duration(silent);
    Failure::new(Exit::NoProgress, format!("stalled: nothing came for {silent}{}", why.unwrap_or_default()))
        .help("run the same command to go on")
}

fn why_no_peers(status: &TorrentStatus, elapsed: Duration) -> String {
    let failed = status.trackers.iter().find_map(|tracker| match &tracker.state {
        TrackerState::Failed { error, tries, .. } => Some(format!(
            "tracker {} {} (tried {} in {})",
            host_of(&tracker.url),
            shown(error),
            units::counted(u64::from(*tries), "time"),
            units::duration(elapsed)
        )),
        _ => None,
    });
    if let Some(Waiting::Swarm(swarm::Waiting::Refused { .. })) = status.waiting {
        return watch::view(status).waiting.map(|reason| reason.text).unwrap_or_default();
    }
    let named = status.candidates;
    failed.unwrap_or_else(|| match (status.trackers.is_empty(), named) {
        (true, 0) => "the torrent names no tracker".to_owned(),
        (false, 0) => "the trackers named none".to_owned(),
        (_, 1) => "the one that is known does not answer".to_owned(),
        (_, number) => format!("none of {number} that are known answers"),
    })
}
