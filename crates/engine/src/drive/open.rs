//! From the files on disk to a running swarm, and back when files change under us.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use riverrun_metainfo::{Bitfield, FileIndex, PieceIndex};
use riverrun_proto::swarm::{Command, Input, Swarm, SwarmConfig};
use riverrun_storage::{FilePresence, Presence, StorageError};
use tokio::sync::oneshot;

use super::brain::Exchange;
use super::core::{Core, Sink};
use super::records;
use super::saver::Saver;
use super::stage::{Completion, Progress, Stage};
use super::write_runs::Payloads;
use crate::{EventKind, TorrentError};

/// Opens a torrent: believes or hashes what is there, prepares the files, starts the swarm.
pub(crate) async fn open(core: Arc<Core>) {
    let opened = tokio::select! {
        opened = find_out(&core) => opened,
        () = core.stopping() => return,
    };
    match opened {
        Ok(have) => start(&core, have),
        Err(error) => core.act(|brain, now, effects| {
            brain.life.fail(error);
            effects.events.push(EventKind::Phase(brain.phase(now)));
        }),
    }
}

/// The pieces that are there and right.
async fn find_out(core: &Arc<Core>) -> Result<Bitfield, TorrentError> {
    let presence = presence(core).await?;
    let pieces = core.layout().piece_count();
    let judged = records::judge(core, &presence).await;
    let known = judged.is_some();
    let (trusted, doubtful) = judged.unwrap_or_else(|| (Bitfield::empty(pieces), Bitfield::full(pieces)));
    let believed = core.options.read_only && core.options.trust_resume && all_there(core, &presence);
    let have = if believed {
        Bitfield::full(pieces)
    } else {
        let good = check(core, &doubtful, true).await?;
        let mut have = trusted;
        good.iter().for_each(|piece| _ = have.insert(piece));
        have
    };
    if core.options.read_only {
        let bad = pieces - have.count();
        return if bad == 0 { Ok(have) } else { Err(TorrentError::Incomplete { bad, pieces }) };
    }
    if have.is_empty() && !known && !core.options.overwrite {
        if let Some(path) = in_the_way(core, &presence).await? {
            return Err(TorrentError::Occupied { path, pieces });
        }
    }
    // Files that are longer than they should be are ours to cut only if something in them is this torrent's (THREATS L6).
    let ours = known || core.options.overwrite || !have.is_empty();
    if let Some(files) = core.store.files().cloned() {
        let wanted = core.options.wanted_files();
        blocking(core, move || files.prepare(ours, |file| wanted.as_ref().is_none_or(|wanted| wanted.contains(&file))))
            .await?;
    }
    // From now on the files are known as ours, so that a run that is cut off before its first piece can go on.
    let presence = self::presence(core).await?;
    save_resume(core.clone(), have.clone(), presence, None).await;
    Ok(have)
}

/// Whether every file is there with its length.
fn all_there(core: &Core, presence: &Presence) -> bool {
    presence.files.iter().zip(core.layout().files()).all(|(found, file)| match found {
        FilePresence::Pad => true,
        FilePresence::Present { length, .. } => *length == file.length,
        FilePresence::Missing | FilePresence::NotAFile => false,
    })
}

/// The first file that has bytes, none of which is a right piece of this torrent.
async fn in_the_way(core: &Arc<Core>, presence: &Presence) -> Result<Option<PathBuf>, TorrentError> {
    let written = presence
        .files
        .iter()
        .zip(0u32..)
        .filter(|(found, _)| matches!(found, FilePresence::Present { length, .. } if *length > 0));
    let written: Vec<FileIndex> = written.map(|(_, number)| FileIndex(number)).collect();
    let (store, layout) = (core.store.clone(), core.layout().clone());
    blocking(core, move || {
        let storage = store.storage();
        Ok(written
            .into_iter()
            .find(|file| !records::all_holes(&*storage, &layout, *file))
            .map(|file| store.path_of(file)))
    })
    .await
}

/// Starts the swarm with what is there.
fn start(core: &Arc<Core>, have: Bitfield) {
    let engine = &core.engine;
    let now = Instant::now();
    let info = &core.info;
    let mut swarm = Swarm::new(
        now,
        SwarmConfig {
            info_hashes: info.hashes(),
            layout: core.layout().clone(),
            have,
            private: info.is_private(),
            peer_id: engine.peer_id,
            listen_port: engine.listen_port(),
            max_connections: core.options.max_connections,
            upload_slots: engine.settings.upload_slots,
            seed: engine.seed(),
        },
    );
    if let Some(wanted) = core.wanted.clone() {
        swarm.handle(now, Input::Command(Command::SetWanted(wanted)));
    }
    if core.options.sequential {
        swarm.handle(now, Input::Command(Command::SetSequential(true)));
    }
    let sink = Arc::new(Sink(Arc::downgrade(core)));
    let disk = engine.disk.torrent(core.store.storage(), core.layout().clone(), core.hashes.clone(), sink);
    let saver = Saver::new(engine.settings.resume_interval);
    core.act(|brain, now, effects| {
        if matches!(brain.life.stage, Stage::Stopped) {
            return;
        }
        brain.life.stage = Stage::Running;
        let complete = swarm.status(now).left_bytes == 0;
        let mut exchange = Exchange::new(swarm, disk, core.layout().clone(), saver);
        if complete {
            brain.life.completion = Completion::Looking;
            exchange.saver.finish(&exchange.swarm, &exchange.disk);
        }
        brain.exchange = Some(exchange);
        if brain.life.paused {
            brain.command(now, Command::Pause, effects);
        }
        for (source, addr) in std::mem::take(&mut brain.early) {
            brain.feed(now, Input::Candidates { source, addrs: &[addr] }, &mut Payloads::default(), effects);
        }
        if !brain.life.paused {
            brain.start_announcing(now);
            brain.announce(now, effects);
        }
        effects.events.push(EventKind::Phase(brain.phase(now)));
    });
}

/// Everything wanted is here and synced: sees that the files are there, too, and were not exchanged (THREATS L4).
pub(crate) async fn last_look(core: Arc<Core>, have: Bitfield, presence: Presence) {
    let changed = changed_pieces(&core, &presence);
    let lost = if changed.is_empty() { Ok(0) } else { recheck(&core, changed).await };
    match lost {
        Ok(0) => {
            if core.options.forget_resume_when_complete {
                records::remove(&core).await;
            } else {
                save_resume(core.clone(), have, presence, None).await;
            }
            core.act(|brain, now, effects| {
                if brain.life.completion != Completion::Looking || !brain.is_finished(now) {
                    return;
                }
                brain.life.complete();
                let all = brain.exchange.as_ref().is_some_and(|exchange| exchange.swarm.have().is_full());
                brain.announcer.completed(now, all);
                brain.announce(now, effects);
                effects.events.push(EventKind::Completed);
                effects.events.push(EventKind::Phase(brain.phase(now)));
            });
        }
        // What is lost is fetched again, and then this comes again.
        Ok(_) => {}
        Err(error) => core.act(|brain, now, effects| {
            brain.life.fail(error);
            effects.events.push(EventKind::Phase(brain.phase(now)));
        }),
    }
}

/// A piece could not be written, hashed or served: sees what became of the files.
pub(crate) async fn look_again(core: Arc<Core>) {
    let Ok(presence) = presence(&core).await else { return };
    let changed = changed_pieces(&core, &presence);
    if !changed.is_empty() {
        // What cannot be read now is told by the next try.
        let _ = recheck(&core, changed).await;
    }
}

/// The pieces of files that are not there, not as long as they should be, or not the file that we hold open.
fn changed_pieces(core: &Core, presence: &Presence) -> Bitfield {
    let layout = core.layout();
    let mut pieces = Bitfield::empty(layout.piece_count());
    for ((found, file), number) in presence.files.iter().zip(layout.files()).zip(0u32..) {
        let sound = match found {
            FilePresence::Pad => true,
            FilePresence::Present { length, same_as_open, .. } => *length >= file.length && *same_as_open,
            FilePresence::Missing | FilePresence::NotAFile => false,
        };
        if !sound {
            layout.pieces_of(FileIndex(number)).for_each(|piece| _ = pieces.insert(PieceIndex(piece)));
        }
    }
    pieces
}

/// Hashes those of these pieces that are had; the bad ones are not had any more. How many there were.
async fn recheck(core: &Arc<Core>, mut pieces: Bitfield) -> Result<u32, TorrentError> {
    let had = core.look(|brain| brain.exchange.as_ref().map(|exchange| exchange.swarm.have().clone()));
    let had = had.ok_or(TorrentError::Stopped)?;
    for piece in pieces.clone().iter().filter(|piece| !had.has(*piece)) {
        pieces.remove(piece);
    }
    let good = check(core, &pieces, false).await?;
    let bad: Vec<PieceIndex> = pieces.iter().filter(|piece| !good.has(*piece)).collect();
    let count = u32::try_from(bad.len()).expect("no more than there are pieces");
    if count > 0 {
        if core.options.read_only {
            return Err(TorrentError::Incomplete { bad: count, pieces: core.layout().piece_count() });
        }
        core.act(|brain, now, effects| {
            brain.life.reopen();
            effects.events.push(EventKind::PiecesLost(count));
            brain.command(now, Command::Forget(bad), effects);
            effects.events.push(EventKind::Phase(brain.phase(now)));
        });
    }
    Ok(count)
}

/// Hashes everything that is had.
pub(crate) async fn check_again(core: &Arc<Core>) -> Result<u32, TorrentError> {
    recheck(core, Bitfield::full(core.layout().piece_count())).await
}

/// Hashes pieces on disk; those that are right. `phase`: the torrent does nothing else meanwhile, and says how far it is.
async fn check(core: &Arc<Core>, pieces: &Bitfield, phase: bool) -> Result<Bitfield, TorrentError> {
    let progress = Arc::<Progress>::default();
    let total = pieces.iter().map(|piece| u64::from(core.layout().length_of(piece))).sum();
    progress.total.store(total, Ordering::Relaxed);
    if phase {
        core.act(|brain, now, effects| {
            brain.life.stage = Stage::Checking(progress.clone());
            effects.events.push(EventKind::Phase(brain.phase(now)));
        });
    }
    let good = records::check(core, pieces.clone(), progress).await;
    good.map_err(|error| TorrentError::Storage(Arc::new(error)))
}

async fn presence(core: &Arc<Core>) -> Result<Presence, TorrentError> {
    let storage = core.store.storage();
    blocking(core, move || storage.presence()).await
}

/// Does what blocks where blocking is allowed.
async fn blocking<R: Send + 'static>(
    core: &Core,
    work: impl FnOnce() -> Result<R, StorageError> + Send + 'static,
) -> Result<R, TorrentError> {
    match core.engine.spawn_blocking(work).await {
        Ok(result) => result.map_err(|error| TorrentError::Storage(Arc::new(error))),
        // The runtime is going.
        Err(_) => Err(TorrentError::Stopped),
    }
}

/// Writes the resume record, if one is kept.
pub(crate) async fn save_resume(
    core: Arc<Core>,
    have: Bitfield,
    presence: Presence,
    told: Option<oneshot::Sender<()>>,
) {
    if !core.options.read_only {
        records::write(&core, have, presence).await;
    }
    if let Some(told) = told {
        // Whoever waited may have gone.
        let _ = told.send(());
    }
}
