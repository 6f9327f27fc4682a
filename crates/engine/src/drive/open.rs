//! From the files on disk to a running swarm, and back when files change under us.

use std::sync::Arc;
use std::time::Instant;

use riverrun_metainfo::{Bitfield, FileIndex, InfoHashes, PieceIndex};
use riverrun_proto::swarm::{self, Command, Input, Priority, Swarm, SwarmConfig};
use riverrun_storage::resume::Judged;
use riverrun_storage::{FilePresence, Presence, StorageError};
use tokio::sync::oneshot;

use super::brain::{Brain, Effects, Exchange, Files};
use super::choice::Choice;
use super::core::{Core, Sink};
use super::occupants::leave_alone;
use super::records::Known;
use super::saver::Saver;
use super::stage::{Completion, Stage};
use super::write_runs::Payloads;
use super::{checks, dht, holes, records};
use crate::engine::Engine;
use crate::{AddError, EventKind, TorrentError, status};

/// Opens a torrent: believes or hashes what is there, prepares the files, starts the swarm.
pub(crate) async fn open(core: Arc<Core>) {
    let preparing = core.preparing.lock().await;
    if core.is_stopping() {
        return;
    }
    match find_out(&core).await {
        // Nobody waits for it any more.
        _ if core.is_stopping() => {}
        Ok(found) => start(&core, found),
        Err(error) => fail(&core, error),
    }
    drop(preparing);
}

/// What a torrent begins with.
struct Found {
    /// The pieces that are there and right.
    have: Bitfield,
    /// The files were looked at a moment ago, and nothing was written or hashed since: nothing is to be synced, and a last look would
    /// see the same.
    settled: bool,
}

/// What is there, as one visit to the disk tells. Each visit is a way to another thread and back, which thousands of torrents feel.
struct Visit {
    presence: Presence,
    known: Option<Known>,
    /// Every file is there with its length, and the owner's word stands for what is in it.
    believed: bool,
    /// Some piece that is said to be there ends in a hole.
    holes: bool,
}

async fn visit(core: &Arc<Core>) -> Result<Visit, TorrentError> {
    let visitor = core.clone();
    let storage = core.store()?.storage();
    blocking(core, move || {
        let presence = storage.presence()?;
        let known = records::read(&visitor, &presence);
        let (layout, options) = (visitor.layout(), visitor.options());
        let believed = options.read_only && options.trust_resume && all_there(&visitor, &presence);
        let holes = options.read_only && {
            let known = known.as_ref().map(|known| known.judged.trusted.clone());
            let said = if believed { Some(Bitfield::full(layout.piece_count())) } else { known };
            said.is_some_and(|said| holes::are_at_ends(&*storage, layout, &said))
        };
        Ok(Visit { presence, known, believed, holes })
    })
    .await
}

async fn find_out(core: &Arc<Core>) -> Result<Found, TorrentError> {
    let Visit { presence, known, believed, holes } = visit(core).await?;
    let pieces = core.layout().piece_count();
    let ours = known.as_ref().is_some_and(|known| known.ours);
    if let Some(shared) = known.as_ref().map(|known| known.shared) {
        core.act(|brain, _, _| brain.sharing.go_on(shared));
    }
    let earlier = known.as_ref().and_then(|known| known.choice.clone());
    // Who shares without writing says himself what; the choice of an earlier download is no part of that.
    if let Some(earlier) = earlier.as_ref().filter(|_| !core.options().read_only) {
        core.act(|brain, _, _| {
            let choice = if brain.chosen { std::mem::take(&mut brain.choice).after(earlier) } else { earlier.clone() };
            brain.choice = choice;
        });
    }
    let wanted = core.look(|brain| brain.choice.wanted().cloned());
    let is_wanted = |piece| wanted.as_ref().is_none_or(|wanted| wanted.has(piece));
    let everything = || Judged { trusted: Bitfield::empty(pieces), doubtful: Bitfield::full(pieces) };
    let judged = known.map_or_else(everything, |known| known.judged);
    let nothing_hashed = believed || judged.doubtful.is_empty();
    let have = if believed {
        Bitfield::full(pieces)
    } else if nothing_hashed {
        judged.trusted
    } else {
        let mut have = judged.trusted;
        let checked = checks::first(core, judged.doubtful).await?;
        checked.have.iter().for_each(|piece| _ = have.insert(piece));
        if !checked.left.is_empty() {
            records::write_cut_off(core, have, checked.left, presence).await;
            return Err(TorrentError::Stopped);
        }
        let unknown = checked.unknown.iter().filter(|piece| is_wanted(*piece)).count();
        if core.options().read_only && unknown > 0 {
            let unknown = u32::try_from(unknown).expect("no more than there are pieces");
            return Err(TorrentError::NoHashes { unknown, pieces });
        }
        have
    };
    if core.options().read_only {
        let missing = have.iter_missing().filter(|piece| is_wanted(*piece)).count();
        let bad = u32::try_from(missing).expect("no more than there are pieces");
        let settled = nothing_hashed && !holes;
        return if bad == 0 { Ok(Found { have, settled }) } else { Err(TorrentError::Incomplete { bad, pieces }) };
    }
    // From here on files are made and changed.
    if core.is_stopping() {
        return Err(TorrentError::Stopped);
    }
    let choice = core.look(|brain| brain.choice.clone());
    match earlier.filter(|_| ours) {
        Some(earlier) => leave_alone(core, &presence, &have, |file| choice.wants(file) && !earlier.makes(file)).await?,
        None if have.is_empty() && !ours => leave_alone(core, &presence, &have, |file| choice.wants(file)).await?,
        None => {}
    }
    // Files that are longer than they should be are ours to cut only if something in them is this torrent's (THREATS L6).
    let ours = ours || core.options().overwrite || !have.is_empty();
    // From now on the files are known as ours, so that a run that is cut off before its first piece can go on.
    let presence = prepare(core, ours).await?;
    save_resume(core.clone(), have.clone(), presence, None).await;
    Ok(Found { have, settled: false })
}

/// Makes the files that are wanted ready for their bytes; what is there then.
async fn prepare(core: &Arc<Core>, cut_longer: bool) -> Result<Presence, TorrentError> {
    let choice = core.look(|brain| brain.choice.clone());
    prepare_for(core, cut_longer, choice).await
}

async fn prepare_for(core: &Arc<Core>, cut_longer: bool, choice: Choice) -> Result<Presence, TorrentError> {
    let Some(files) = core.store()?.files().cloned() else { return presence(core).await };
    blocking(core, move || files.prepare(cut_longer, |file| choice.wants(file))).await
}

/// Changes what is wanted of files: those that are wanted from now on are made ready first.
pub(crate) async fn choose(core: &Arc<Core>, changes: &[(usize, Priority)]) -> Result<(), TorrentError> {
    let Some(content) = core.decided() else { return Err(TorrentError::NotOpened(Arc::new(AddError::NoMetadata))) };
    let layout = content.info.layout();
    if let Some((missing, _)) = changes.iter().find(|(file, _)| *file >= layout.files().len()) {
        return Err(TorrentError::NotOpened(Arc::new(AddError::NoSuchFile(*missing))));
    }
    if content.options.read_only {
        let path = content.options.path.clone();
        return Err(TorrentError::Storage(Arc::new(StorageError::ReadOnly { path })));
    }
    let _preparing = core.preparing.lock().await;
    let (choice, running) =
        core.look(|brain| (brain.choice.changed(layout, changes), matches!(brain.life.stage, Stage::Running)));
    if running {
        let (before, have) = core.look(|brain| (brain.choice.clone(), had(brain)));
        let presence = presence(core).await?;
        let have = have.unwrap_or_else(|| Bitfield::empty(layout.piece_count()));
        leave_alone(core, &presence, &have, |file| choice.wants(file) && !before.makes(file)).await?;
        prepare_for(core, false, choice.clone()).await?;
    }
    core.act(|brain, now, effects| brain.choose(now, choice, effects));
    Ok(())
}

/// Whether every file is there with its length.
fn all_there(core: &Core, presence: &Presence) -> bool {
    presence.files.iter().zip(core.layout().files()).all(|(found, file)| match found {
        FilePresence::Pad => true,
        FilePresence::Present { length, .. } => *length == file.length,
        FilePresence::Missing | FilePresence::NotAFile => false,
    })
}

/// The pieces that are had, once there is a swarm.
pub(super) fn had(brain: &Brain) -> Option<Bitfield> {
    brain.exchange.as_ref().map(|exchange| exchange.swarm.have().clone())
}

/// Starts the swarm with what is there.
fn start(core: &Arc<Core>, found: Found) {
    let Found { have, settled } = found;
    let Ok(store) = core.store() else { return };
    let sink = Arc::new(Sink(Arc::downgrade(core)));
    let (layout, hashes) = (core.layout(), core.content().hashes.clone());
    let disk = core.engine.disk.torrent(store.storage(), layout.clone(), hashes, sink);
    let files = Files::new(disk, layout.clone(), Saver::new(core.engine.settings.resume_interval));
    let (dht_port, outside) = (dht::port(core), core.engine.dht.outside());
    core.act(|brain, now, effects| {
        if matches!(brain.life.stage, Stage::Stopped) {
            return;
        }
        brain.life.stage = Stage::Running;
        let gathered = begin(core, brain, now, have, files, effects);
        brain.command(now, Command::SetDhtPort(dht_port), effects);
        brain.command(now, Command::SetDownLimit(core.rates.lowest_down()), effects);
        outside.into_iter().for_each(|ip| brain.command(now, Command::SetOutside(ip), effects));
        let Some(exchange) = &mut brain.exchange else { return };
        let padded = status::padding_had(core.content(), &brain.choice, exchange.swarm.have());
        let status = exchange.swarm.status(now);
        core.found_bytes.get_or_init(|| status::content_had(&status, padded));
        if status.left_bytes == 0 {
            brain.life.completion = Completion::Looking;
            exchange.files.iter_mut().filter(|_| !settled).for_each(|files| files.finish(&exchange.swarm));
        }
        if brain.life.paused {
            brain.command(now, Command::Pause, effects);
        }
        let web_seeds: Vec<_> = core.content().web_seeds.iter().map(|seed| seed.url.clone()).collect();
        let more = Command::AddWebSeeds(web_seeds.len());
        brain.exchange.iter_mut().for_each(|exchange| exchange.web_seeds.clone_from(&web_seeds));
        brain.command(now, more, effects);
        for (source, addr) in std::mem::take(&mut brain.early) {
            brain.feed(now, Input::Candidates { source, addrs: &[addr] }, &mut Payloads::default(), effects);
        }
        if !brain.life.paused && (!gathered || status.left_bytes == 0) {
            brain.start_announcing(now);
            brain.announce(now, effects);
        }
        effects.events.push(EventKind::Phase(brain.phase(now)));
        if settled && status.left_bytes == 0 {
            brain.complete(now, effects);
            brain.look_at_sharing(now, &core.totals, effects);
        }
    });
    core.engine.lsd.changed.notify_one();
}

/// Lets the swarm that got the metadata begin its exchange, or makes one; true if there was one.
fn begin(core: &Core, brain: &mut Brain, now: Instant, have: Bitfield, files: Files, effects: &mut Effects) -> bool {
    let content = core.content();
    let (info, priorities, hashes) = (&content.info, brain.choice.pieces().cloned(), Some(content.hashes.clone()));
    let layout = info.layout().clone();
    let superseed = Command::SetSuperseeding(content.options.super_seeding);
    if let Some(exchange) = &mut brain.exchange {
        exchange.files = Some(files);
        if content.options.sequential {
            brain.command(now, Command::SetSequential(true), effects);
        }
        brain.command(now, superseed, effects);
        let content = swarm::Content { info_hashes: info.hashes(), layout, hashes, have, priorities };
        brain.feed(now, Input::Begin(content), &mut Payloads::default(), effects);
        return true;
    }
    let config = swarm_config(&core.engine, info.hashes(), content.options.max_connections);
    let (metadata, private) = (info.raw().clone(), info.is_private());
    let mut swarm = Swarm::new(now, SwarmConfig { layout, hashes, metadata, have, private, ..config });
    if let Some(priorities) = priorities {
        swarm.handle(now, Input::Command(Command::SetPriorities(priorities)));
    }
    if content.options.sequential {
        swarm.handle(now, Input::Command(Command::SetSequential(true)));
    }
    swarm.handle(now, Input::Command(superseed));
    brain.exchange = Some(Box::new(Exchange::new(swarm, Some(files))));
    false
}

/// What a session's swarms have in common.
pub(crate) fn swarm_config(engine: &Engine, info_hashes: InfoHashes, max_connections: usize) -> SwarmConfig {
    SwarmConfig {
        pex: engine.settings.pex,
        encryption: engine.settings.encryption,
        addresses: engine.settings.net.addresses.clone(),
        listen_port: engine.listen_port(),
        max_connections,
        upload_slots: engine.settings.upload_slots,
        seed_choker: engine.settings.seed_choker,
        ..SwarmConfig::without_content(info_hashes, engine.peer_id, engine.seed())
    }
}

/// Everything wanted is here and synced: sees that the files are there, too, and were not exchanged (THREATS L4).
pub(crate) async fn last_look(core: Arc<Core>, have: Bitfield, presence: Presence) {
    match look_at(&core, &presence).await {
        Ok(0) => {
            if let Err(error) = give_names(&core, have.clone()).await {
                return fail(&core, error);
            }
            if core.forgets_record() {
                records::remove(&core).await;
            } else {
                save_resume(core.clone(), have, presence, None).await;
            }
            core.act(|brain, now, effects| {
                if brain.life.completion == Completion::Looking && brain.is_finished() {
                    brain.complete(now, effects);
                    brain.look_at_sharing(now, &core.totals, effects);
                }
            });
        }
        // What is lost is fetched again, and then this comes again.
        Ok(_) => {}
        Err(error) => fail(&core, error),
    }
}

/// A piece could not be written, hashed, served or synced: sees what became of the files.
pub(crate) async fn look_again(core: Arc<Core>) {
    let looked = match presence(&core).await {
        Ok(presence) => look_at(&core, &presence).await,
        Err(error) => Err(error),
    };
    core.act(|brain, _, _| brain.looked());
    match looked {
        Ok(_) => {}
        Err(TorrentError::Incomplete { bad, pieces }) => fail(&core, TorrentError::Incomplete { bad, pieces }),
        // The next try of whoever met the trouble tells more.
        Err(error) => tracing::info!(%error, "the files cannot be looked at"),
    }
}

/// It cannot go on.
pub(crate) fn fail(core: &Arc<Core>, error: TorrentError) {
    core.act(|brain, now, effects| brain.fail(now, error, effects));
}

/// Looks for files that are not there, not as long as they should be, or not those that we hold open, and hashes what we
/// believed to have of them. How many pieces are lost.
async fn look_at(core: &Arc<Core>, presence: &Presence) -> Result<u32, TorrentError> {
    let layout = core.layout();
    let had = core.look(had);
    let had = had.ok_or(TorrentError::Stopped)?;
    let choice = core.look(|brain| brain.choice.clone());
    let mut pieces = Bitfield::empty(layout.piece_count());
    let mut changed = part_file_changed(core, presence, &mut pieces)?;
    let storage = core.store()?.storage();
    let apart = |file: FileIndex, piece: PieceIndex| {
        let extents = layout.piece_span(piece).into_iter().flat_map(|span| layout.extents(span));
        extents.filter(|extent| extent.file == file).all(|extent| storage.rests_apart(extent))
    };
    for ((found, file), number) in presence.files.iter().zip(layout.files()).zip((0u32..).map(FileIndex)) {
        let complete = layout.pieces_of(number).all(|piece| had.has(PieceIndex(piece)));
        let sound = match found {
            FilePresence::Pad => true,
            FilePresence::Present { length, same_as_open, .. } => {
                *same_as_open && (*length >= file.length || !complete)
            }
            // Nothing was ever stored of it, or nothing belongs there.
            FilePresence::Missing if file.length == 0 => !choice.wants(number),
            FilePresence::Missing => {
                !layout.pieces_of(number).map(PieceIndex).any(|piece| had.has(piece) && !apart(number, piece))
            }
            FilePresence::NotAFile => false,
        };
        if !sound {
            changed = true;
            if let Some(files) = core.store()?.files() {
                files.reopen(number);
            }
            layout.pieces_of(number).for_each(|piece| _ = pieces.insert(PieceIndex(piece)));
        }
    }
    for piece in holes::look(core, &had).await? {
        pieces.insert(piece);
    }
    let lost = if pieces.is_empty() { 0 } else { checks::those_had(core, &pieces).await? };
    if changed && !core.options().read_only {
        prepare(core, false).await?;
    }
    Ok(lost)
}

/// Whether the part file is not the one that was open; then all pieces that may be in it are added.
pub(super) fn part_file_changed(core: &Core, presence: &Presence, pieces: &mut Bitfield) -> Result<bool, TorrentError> {
    let store = core.store()?;
    let Some(files) = store.files() else { return Ok(false) };
    let sound = match presence.part_file {
        FilePresence::Present { same_as_open, .. } => same_as_open,
        FilePresence::Missing => !files.uses_part_file(),
        FilePresence::Pad | FilePresence::NotAFile => false,
    };
    if sound {
        return Ok(false);
    }
    files.reopen_part_file().map_err(|error| TorrentError::Storage(Arc::new(error)))?;
    let layout = core.layout();
    let shared = |piece: &PieceIndex| {
        let extents = layout.piece_span(*piece).into_iter().flat_map(|span| layout.extents(span));
        extents.filter(|extent| !extent.pad).nth(1).is_some()
    };
    (0..layout.piece_count()).map(PieceIndex).filter(shared).for_each(|piece| _ = pieces.insert(piece));
    Ok(true)
}

/// Gives files whose pieces are all synced their own names, in a torrent with a suffix for parts.
async fn give_names(core: &Arc<Core>, have: Bitfield) -> Result<(), TorrentError> {
    let Some(files) = core.store()?.files().filter(|files| files.has_part_suffix()).cloned() else { return Ok(()) };
    blocking(core, move || files.give_names(&have)).await
}

pub(super) async fn presence(core: &Arc<Core>) -> Result<Presence, TorrentError> {
    let storage = core.store()?.storage();
    blocking(core, move || storage.presence()).await
}

/// Does what blocks where blocking is allowed.
pub(super) async fn blocking<R: Send + 'static>(
    core: &Core,
    work: impl FnOnce() -> Result<R, StorageError> + Send + 'static,
) -> Result<R, TorrentError> {
    match core.engine.blocking(work).await {
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
    if !core.options().read_only {
        if let Err(error) = give_names(&core, have.clone()).await {
            // The last look comes to this again, if it has not passed by then.
            tracing::warn!(%error, "a complete file keeps its suffix");
        }
        records::write(&core, have, presence).await;
    }
    if let Some(told) = told {
        // Whoever waited may have gone.
        let _ = told.send(());
    }
}
