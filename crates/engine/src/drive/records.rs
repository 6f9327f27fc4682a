//! The resume record of a torrent.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use riverrun_metainfo::hash::sha256;
use riverrun_metainfo::{Bitfield, InfoHashes};
use riverrun_storage::resume::{Judged, Record, ResumeError};
use riverrun_storage::{FilePresence, Presence};

use super::Core;
use super::choice::Choice;
use crate::errands::NotDone;
use crate::sharing::Volume;

/// What the record of an earlier run says.
pub(crate) struct Known {
    pub(crate) judged: Judged,
    /// What was wanted of the files.
    pub(crate) choice: Option<Choice>,
    /// The files are those of that run, or it had made none.
    pub(crate) ours: bool,
    /// How long it was shared in earlier runs.
    pub(crate) shared: Duration,
}

/// Where the record of a torrent is, if one is kept. Worked out each time: thousands of torrents that rest need not hold it.
fn place(core: &Core) -> Option<PathBuf> {
    let state_dir = core.engine.settings.state_dir.as_deref()?;
    Some(path(state_dir, core.info_hashes(), &core.options().path))
}

/// The place of the record. The content root is part of the name, so that two copies of one torrent do not fight.
pub(crate) fn path(state_dir: &Path, hashes: InfoHashes, content: &Path) -> PathBuf {
    let absolute = std::path::absolute(content).unwrap_or_else(|_| content.to_owned());
    let root = sha256(absolute.as_os_str().as_encoded_bytes());
    let root: String = root[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    let hash = match hashes.v1() {
        Some(v1) => v1.to_string(),
        None => hashes.wire().to_string(),
    };
    state_dir.join("resume").join(format!("{hash}-{root}.resume"))
}

/// Reads the record and judges it by what is there now; `None` if there is none to go by. Blocks.
pub(crate) fn read(core: &Core, presence: &Presence) -> Option<Known> {
    match judge(core, presence, &place(core)?) {
        Ok(known) => Some(known),
        Err(ResumeError::None { .. }) => None,
        Err(error) => {
            tracing::warn!(%error, "everything is checked");
            None
        }
    }
}

fn judge(core: &Core, now: &Presence, path: &Path) -> Result<Known, ResumeError> {
    let record = Record::read(path)?;
    let mut judged = record.judge(core.info_hashes(), core.layout(), now)?;
    if core.options().trust_resume {
        judged = Judged { trusted: record.have.clone(), doubtful: record.unchecked.clone() };
    }
    core.totals.down.store(record.downloaded_bytes, Ordering::Relaxed);
    core.totals.up.store(record.uploaded_bytes, Ordering::Relaxed);
    let choice = Choice::unpack(core.layout(), &record.choice);
    let shared = Duration::from_secs(record.shared_seconds);
    // A check that was cut off before it found anything says nothing of whose the files are.
    let told = record.unchecked.is_empty() || !record.have.is_empty();
    Ok(Known { judged, choice, shared, ours: told && same_files(&record.presence, now) })
}

/// Whether some file is the one of before, or none is there at all.
fn same_files(before: &Presence, now: &Presence) -> bool {
    let inode = |file: &FilePresence| match file {
        FilePresence::Present { identity, .. } => Some(identity.1),
        _ => None,
    };
    let some_same = before
        .files
        .iter()
        .zip(&now.files)
        .any(|(before, now)| inode(now).is_some_and(|now| Some(now) == inode(before)));
    some_same || now.files.iter().all(|file| inode(file).is_none())
}

/// Writes the record. What goes wrong is logged: the worst that comes of it is a check at the next start.
pub(crate) async fn write(core: &Arc<Core>, have: Bitfield, presence: Presence) {
    let nothing = Bitfield::empty(have.pieces());
    write_cut_off(core, have, nothing, presence).await;
}

/// The same when a check was cut off, which had not come to these pieces.
pub(crate) async fn write_cut_off(core: &Arc<Core>, have: Bitfield, unchecked: Bitfield, presence: Presence) {
    let Some(path) = place(core) else { return };
    let choice = core.look(|brain| brain.choice.pack());
    let sums = sums(core);
    let record = Record {
        info_hashes: core.info_hashes(),
        root: core.options().path.clone(),
        presence,
        have,
        unchecked,
        choice,
        downloaded_bytes: sums.volume.down,
        uploaded_bytes: sums.volume.up,
        shared_seconds: sums.shared.as_secs(),
        saved_at: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
    };
    log(core.engine.blocking(move || record.write(&path)).await);
}

/// What all runs came to.
pub(crate) struct Sums {
    pub(crate) volume: Volume,
    /// How long it was shared.
    pub(crate) shared: Duration,
}

pub(crate) fn sums(core: &Core) -> Sums {
    let now = Instant::now();
    core.look(|brain| Sums { volume: core.totals.volume(&brain.status(now)), shared: brain.sharing.time(now) })
}

/// Writes what all runs came to into the record that is there, and nothing else: nobody has looked at the files again.
pub(crate) async fn write_sums(core: &Arc<Core>) {
    let Some(path) = place(core) else { return };
    let sums = sums(core);
    let write = move || {
        let record = match Record::read(&path) {
            Err(ResumeError::None { .. }) => return Ok(()),
            read => read?,
        };
        let (downloaded_bytes, uploaded_bytes) = (sums.volume.down, sums.volume.up);
        Record { downloaded_bytes, uploaded_bytes, shared_seconds: sums.shared.as_secs(), ..record }.write(&path)
    };
    log(core.engine.blocking(write).await);
}

/// Removes the record.
pub(crate) async fn remove(core: &Arc<Core>) {
    let Some(path) = place(core) else { return };
    log(core.engine.blocking(move || Record::remove(&path)).await);
}

fn log(result: Result<Result<(), ResumeError>, NotDone>) {
    if let Ok(Err(error)) = result {
        tracing::warn!(%error, "resume record");
    }
}
