//! Hashing what is on disk: what no record vouches for, and what somebody wants to have looked at again.

use std::num::NonZeroUsize;
use std::sync::Arc;

use riverrun_metainfo::{Bitfield, PieceIndex};
use riverrun_storage::check;
use riverrun_storage::check::{CheckError, Checked, Progress};

use super::stage::Stage;
use super::{Core, open};
use crate::{EventKind, TorrentError};

/// So much is hashed on one thread, in bytes.
const ONE_THREAD_BYTES: u64 = 8 << 20;

/// Hashes pieces of a torrent that is being opened: it does nothing else meanwhile, and says how far it is. If it is stopped, some of them
/// are left.
pub(crate) async fn first(core: &Arc<Core>, pieces: Bitfield) -> Result<Checked, TorrentError> {
    let progress = Arc::<Progress>::default();
    core.act(|brain, now, effects| {
        brain.life.stage = Stage::Checking(progress.clone());
        effects.events.push(EventKind::Phase(brain.phase(now)));
    });
    hash(core, pieces, progress).await
}

/// Hashes those of these pieces that are had; the bad ones are not had any more. How many there were.
pub(crate) async fn those_had(core: &Arc<Core>, pieces: &Bitfield) -> Result<u32, TorrentError> {
    let had = core.look(open::had);
    let mut doubtful = had.ok_or(TorrentError::Stopped)?;
    for piece in doubtful.clone().iter().filter(|piece| !pieces.has(*piece)) {
        doubtful.remove(piece);
    }
    let checked = hash(core, doubtful.clone(), Arc::default()).await?;
    if !checked.left.is_empty() {
        return Err(TorrentError::Stopped);
    }
    let good = checked.have;
    let bad: Vec<PieceIndex> = doubtful.iter().filter(|piece| !good.has(*piece)).collect();
    let count = u32::try_from(bad.len()).expect("no more than there are pieces");
    if count > 0 {
        if core.options().read_only {
            return Err(TorrentError::Incomplete { bad: count, pieces: core.layout().piece_count() });
        }
        core.act(|brain, now, effects| brain.lose(now, bad, effects));
    }
    Ok(count)
}

/// Hashes everything that is had.
pub(crate) async fn again(core: &Arc<Core>) -> Result<u32, TorrentError> {
    let presence = open::presence(core).await?;
    let mut pieces = Bitfield::full(core.layout().piece_count());
    open::part_file_changed(core, &presence, &mut pieces)?;
    those_had(core, &pieces).await
}

/// Hashes pieces until done, or until the torrent is stopped.
async fn hash(core: &Arc<Core>, pieces: Bitfield, progress: Arc<Progress>) -> Result<Checked, TorrentError> {
    let (storage, layout, hashes) = (core.store()?.storage(), core.layout().clone(), core.content().hashes.clone());
    let watched = progress.clone();
    let bytes: u64 = pieces.iter().map(|piece| u64::from(layout.length_of(piece))).sum();
    // A thread costs more than it brings for so little.
    let threads = (bytes <= ONE_THREAD_BYTES).then_some(NonZeroUsize::MIN);
    let mut hashing =
        core.engine.spawn_blocking(move || check::check(&*storage, &layout, &hashes, Some(&pieces), threads, &watched));
    let result = tokio::select! {
        result = &mut hashing => result,
        () = core.stopping() => {
            progress.cancel();
            hashing.await
        }
    };
    match result {
        Ok(Ok(checked)) => match checked.inconsistent {
            Some(piece) => Err(TorrentError::Inconsistent(piece)),
            None => Ok(checked),
        },
        Ok(Err(CheckError::Storage(error))) => Err(TorrentError::Storage(Arc::new(error))),
        Ok(Err(_)) | Err(_) => Err(TorrentError::Stopped),
    }
}
