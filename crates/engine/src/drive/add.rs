//! Adding a torrent: from its description to its core.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use riverrun_metainfo::info::Info;
use riverrun_metainfo::metainfo::Metainfo;
use riverrun_proto::swarm;
use riverrun_storage::{Access, FileOptions, FileStorage, Preallocation};

use super::brain::Brain;
use super::core::{Core, Options};
use super::stage::Life;
use super::store::{self, Store};
use super::tracker::Announcer;
use super::{open, records};
use crate::engine::Engine;
use crate::{AddError, AddTorrent, EventKind, Preallocate, Source};

/// Adds a torrent and begins.
pub(crate) async fn add(engine: &Arc<Engine>, wish: AddTorrent) -> Result<Arc<Core>, AddError> {
    if engine.stopped.load(Ordering::Acquire) {
        return Err(AddError::Stopped);
    }
    let metainfo = match &wish.source {
        Source::Bytes(bytes) => Arc::new(Metainfo::parse(bytes.clone())?),
        Source::Metainfo(metainfo) => metainfo.clone(),
        Source::Magnet(_) => return Err(AddError::Magnet),
    };
    let info = metainfo.info().clone();
    if let Some(missing) = wish.wanted_files.iter().flatten().find(|file| **file >= info.files().len()) {
        return Err(AddError::NoSuchFile(*missing));
    }
    let hashes = info.hashes();
    let id = engine.reserve(hashes).ok_or(AddError::Duplicate(hashes))?;
    let opened = open_store(engine, &info, &wish).await;
    let (path, store) = opened.inspect_err(|_| engine.forget(id, hashes))?;
    let trackers = trackers(&metainfo, &wish);
    let settings = &engine.settings;
    let options = Options {
        record: settings.state_dir.as_deref().map(|dir| records::path(dir, hashes, &path)),
        path,
        read_only: wish.read_only,
        overwrite: wish.overwrite,
        trust_resume: wish.trust_resume,
        forget_resume_when_complete: wish.forget_resume_when_complete,
        sequential: wish.sequential,
        max_connections: wish.max_connections.unwrap_or(settings.max_connections_per_torrent),
        wanted_files: wish.wanted_files,
        wanted_pieces: wish.wanted_pieces,
    };
    let life = Life::new(wish.paused, settings.storage_retry, wish.fail_on_storage_error);
    let announcer = Announcer::new(engine, &info, trackers);
    let early = wish.peers.into_iter().map(|addr| (swarm::Source::User, addr)).collect();
    let core = Core::new(
        id,
        engine.clone(),
        info,
        metainfo.piece_hashes(),
        store,
        options,
        Brain::new(life, announcer, early),
    );
    engine.enter(&core);
    core.emit(EventKind::Added);
    engine.spawn(open::open(core.clone()));
    Ok(core)
}

async fn open_store(engine: &Engine, info: &Arc<Info>, wish: &AddTorrent) -> Result<(PathBuf, Store), AddError> {
    let (path, place) = store::place(info, &wish.place)?;
    if let Some(storage) = &wish.storage {
        return Ok((path, Store::Own(storage.clone())));
    }
    let layout = info.layout().clone();
    let options = FileOptions {
        access: if wish.read_only { Access::ReadOnly } else { Access::ReadWrite },
        preallocation: match wish.preallocate {
            Preallocate::None => Preallocation::None,
            Preallocate::Sparse => Preallocation::Sparse,
            Preallocate::Full => Preallocation::Full,
        },
        part_suffix: wish.part_suffix.clone().filter(|_| !wish.read_only),
        ..FileOptions::default()
    };
    let opened = engine.blocking(move || FileStorage::open(place, layout, options)).await;
    let files = opened.map_err(|_| AddError::Stopped)??;
    Ok((path, Store::Files(Arc::new(files))))
}

/// The tiers of trackers that the torrent and its owner name (BEP 12).
fn trackers(metainfo: &Metainfo, wish: &AddTorrent) -> Vec<Vec<String>> {
    let mut tiers = wish.trackers.clone().unwrap_or_else(|| metainfo.trackers().to_vec());
    tiers.extend(wish.more_trackers.iter().cloned());
    tiers
}
