//! The metadata of a magnet link: judged as it comes from peers, kept for the next time, and what follows from it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use riverrun_metainfo::hash::{sha1, sha256};
use riverrun_metainfo::metainfo::{Draft, Metainfo};
use riverrun_metainfo::{Info, InfoHashes, Magnet, MetainfoError};
use riverrun_proto::limits::MAX_METADATA_LENGTH;
use riverrun_proto::swarm::{Input, Judgement};
use riverrun_storage::{Shelf, write_atomically};

use super::write_runs::Payloads;
use super::{Core, add, open};
use crate::{EventKind, TorrentError};

/// The most torrents whose metadata is kept; over it the oldest go.
const MAX_KEPT: usize = 1000;

/// What bytes that should be an info dictionary are.
#[derive(Debug)]
enum Found {
    /// Not what the hash stands for.
    Wrong,
    /// What the hash stands for, and no torrent that can be used.
    Unusable(MetainfoError),
    Right(Box<Metainfo>),
}

/// Judges a copy that came from peers, away from the lock: it may be 30 MiB.
pub(crate) async fn judge(core: Arc<Core>, parts: Vec<Bytes>) {
    let Some(link) = core.link().cloned() else { return };
    let shelf = core.engine.shelf.clone();
    let judged = core.engine.blocking(move || found(&link, parts.concat().into(), &shelf)).await;
    match judged {
        Ok(Found::Right(metainfo)) => {
            let metainfo = Arc::new(*metainfo);
            keep(&core, metainfo.clone()).await;
            arrived(core, metainfo).await;
        }
        Ok(Found::Wrong) => core.act(|brain, now, effects| {
            brain.feed(now, Input::Metadata(Judgement::Wrong), &mut Payloads::default(), effects);
        }),
        Ok(Found::Unusable(error)) => open::fail(&core, TorrentError::Metadata(Arc::new(error))),
        // The runtime is going.
        Err(_) => {}
    }
}

/// Compares bytes with the hashes of a link: v1 or v2, whichever it has. A v2 claim of a link without one counts for nothing.
fn found(link: &Magnet, raw: Bytes, shelf: &Shelf) -> Found {
    let v1 = link.info_hashes.v1().is_some_and(|hash| hash.0 == sha1(&raw));
    if !v1 && link.info_hashes.v2().is_none_or(|hash| hash.0 != sha256(&raw)) {
        return Found::Wrong;
    }
    let draft = Draft {
        trackers: link.trackers.iter().map(|url| vec![url.clone()]).collect(),
        web_seeds: link.web_seeds.clone(),
        ..Draft::new(raw.clone())
    };
    // The info dictionary alone first: what is wrong with it is not to be told of the file around it.
    match Info::from_raw(raw).and_then(|_| shelf.read(draft.encode().into(), Metainfo::parse)) {
        Ok(metainfo) if shares(link.info_hashes, metainfo.hashes()) => Found::Right(Box::new(metainfo)),
        // Right by a hash of a kind that the torrent has not.
        Ok(_) => Found::Unusable(MetainfoError::NoInfo),
        Err(error) => Found::Unusable(error),
    }
}

fn shares(one: InfoHashes, other: InfoHashes) -> bool {
    one.v1().is_some_and(|v1| other.v1() == Some(v1)) || one.v2().is_some_and(|v2| other.v2() == Some(v2))
}

/// The metadata is here: the swarm is told, and the torrent goes on as its owner wished, or waits for a wish.
pub(crate) async fn arrived(core: Arc<Core>, metainfo: Arc<Metainfo>) {
    core.set_metainfo(metainfo.clone());
    if !core.engine.enter_all(&core) {
        return open::fail(&core, TorrentError::Duplicate);
    }
    let info = metainfo.info();
    core.act(|brain, now, effects| {
        if info.is_private() {
            brain.announcer.become_private(now);
        }
        let (metadata, private) = (info.raw().clone(), info.is_private());
        let right = Input::Metadata(Judgement::Right { metadata, private });
        brain.feed(now, right, &mut Payloads::default(), effects);
        effects.events.push(EventKind::Metadata);
    });
    core.quiet.notify_waiters();
    // A torrent that turned out private is not spoken of on the network any more.
    core.engine.lsd.changed.notify_one();
    if let Some(wish) = core.take_plan()
        && let Err(error) = add::choose(&core, wish).await
    {
        open::fail(&core, TorrentError::NotOpened(Arc::new(error)));
    }
}

/// Where the metadata of a torrent is kept.
fn path(state_dir: &Path, hashes: InfoHashes) -> PathBuf {
    let name = hashes.v1().map(|v1| v1.to_string()).or_else(|| hashes.v2().map(|v2| v2.to_string()));
    state_dir.join("metadata").join(format!("{}.torrent", name.unwrap_or_default()))
}

/// What an earlier run got, hashed again; `None` if there is nothing that can be believed.
pub(crate) async fn read(engine: &crate::engine::Engine, link: &Magnet) -> Option<Metainfo> {
    let paths = [link.info_hashes.v1().map(InfoHashes::V1), link.info_hashes.v2().map(InfoHashes::V2)];
    let state_dir = engine.settings.state_dir.as_deref()?;
    let paths: Vec<PathBuf> = paths.into_iter().flatten().map(|hash| path(state_dir, hash)).collect();
    let (link, shelf) = (link.clone(), engine.shelf.clone());
    let read = engine.blocking(move || {
        paths.iter().find_map(|path| {
            let known = path.metadata().ok().filter(|known| known.len() <= 2 * u64::from(MAX_METADATA_LENGTH))?;
            tracing::debug!(bytes = known.len(), "metadata of an earlier run");
            let kept = Metainfo::parse(std::fs::read(path).ok()?.into()).ok()?;
            match found(&link, kept.info().raw().clone(), &shelf) {
                Found::Right(metainfo) => Some(*metainfo),
                Found::Wrong | Found::Unusable(_) => None,
            }
        })
    });
    read.await.ok().flatten()
}

/// Keeps the metadata, so that the same link starts at once the next time. What goes wrong is logged: it is fetched again then.
async fn keep(core: &Core, metainfo: Arc<Metainfo>) {
    let Some(state_dir) = core.engine.settings.state_dir.clone() else { return };
    let kept = core.engine.blocking(move || {
        // Under both names, as the next link may have the other hash.
        let hashes = metainfo.hashes();
        let names = [hashes.v1().map(InfoHashes::V1), hashes.v2().map(InfoHashes::V2)];
        let bytes = Draft::new(metainfo.info().raw().clone()).encode();
        for name in names.into_iter().flatten() {
            write_atomically(&path(&state_dir, name), &bytes)?;
        }
        prune(&state_dir.join("metadata"))
    });
    if let Ok(Err(error)) = kept.await {
        tracing::warn!(%error, "metadata is not kept");
    }
}

/// Removes the oldest files of a folder with too many.
fn prune(folder: &Path) -> std::io::Result<()> {
    let mut files = Vec::new();
    for entry in folder.read_dir()? {
        let entry = entry?;
        files.push((entry.metadata()?.modified()?, entry.path()));
    }
    files.sort();
    let over = files.len().saturating_sub(MAX_KEPT);
    files.into_iter().take(over).try_for_each(|(_, path)| std::fs::remove_file(path))
}
