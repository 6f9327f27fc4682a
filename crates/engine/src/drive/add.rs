//! Adding a torrent: from its description to its core.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use riverrun_metainfo::Magnet;
use riverrun_metainfo::info::Info;
use riverrun_metainfo::metainfo::Metainfo;
use riverrun_proto::swarm::{self, Command, Priority, Swarm};
use riverrun_proto::tracker::NamedPeer;
use riverrun_storage::{Access, FileOptions, FileStorage, Preallocation};

use super::brain::{Brain, Exchange};
use super::choice::Choice;
use super::content::{Content, Options};
use super::core::{Core, Origin};
use super::stage::Life;
use super::store::{self, Store};
use super::tracker::{self, Announcer};
use super::{dht, metadata, open, openings, web_seed};
use crate::engine::Engine;
use crate::{AddError, AddTorrent, EventKind, Preallocate, Source};

/// Adds a torrent and begins.
pub(crate) async fn add(engine: &Arc<Engine>, wish: AddTorrent) -> Result<Arc<Core>, AddError> {
    if engine.stopped.load(Ordering::Acquire) {
        return Err(AddError::Stopped);
    }
    let metainfo = match &wish.source {
        Source::Bytes(bytes) => Arc::new(parse(engine, bytes.clone()).await?),
        Source::Metainfo(metainfo) => metainfo.clone(),
        Source::Magnet(link) => {
            let link = link.parse()?;
            return add_link(engine, link, wish).await;
        }
        Source::InfoHash(hashes) => return add_link(engine, Magnet::new(*hashes), wish).await,
    };
    let hashes = metainfo.hashes();
    let Some(id) = engine.reserve(hashes) else {
        let waits = hashes.wire_all().find_map(|hash| engine.find_wire(hash)).filter(|core| core.decided().is_none());
        let core = waits.filter(|core| core.metainfo().is_some()).ok_or(AddError::Duplicate(hashes))?;
        choose(&core, wish).await?;
        return Ok(core);
    };
    let (trackers, peers, paused) = (trackers(metainfo.trackers(), &wish), wish.peers.clone(), wish.paused);
    let (fail_on_storage_error, rates, seed_limits) =
        (wish.fail_on_storage_error, wish.rates.clone(), wish.seed_limits);
    let decided = decide(engine, &metainfo, wish).await;
    let (content, store, choice) = decided.inspect_err(|_| engine.forget(id, hashes))?;
    let life = Life::new(paused, engine.settings.storage_retry, fail_on_storage_error);
    let announcer = Announcer::new(engine, hashes, metainfo.info().is_private(), trackers);
    let early = peers.into_iter().map(|addr| (swarm::Source::User, addr)).collect();
    let core = Core::new(id, engine.clone(), Origin::File(metainfo), None, Brain::new(life, announcer, early));
    core.rates.begin(&rates);
    core.set_seed_limits(seed_limits);
    core.decide(content, store, choice);
    engine.enter(&core);
    core.emit(EventKind::Added);
    dht::name_nodes(&core);
    core.act(|brain, _, _| brain.life.open(fail_on_storage_error));
    openings::begin(&core);
    Ok(core)
}

/// Reads the description of a torrent.
async fn parse(engine: &Engine, bytes: Bytes) -> Result<Metainfo, AddError> {
    if !engine.shelf.takes(bytes.len()) {
        return Ok(Metainfo::parse(bytes)?);
    }
    let shelf = engine.shelf.clone();
    let parsed = engine.blocking(move || shelf.read(bytes, Metainfo::parse)).await;
    Ok(parsed.map_err(|_| AddError::Stopped)??)
}

/// Adds a torrent of which little more than a hash is known.
async fn add_link(engine: &Arc<Engine>, link: Magnet, wish: AddTorrent) -> Result<Arc<Core>, AddError> {
    let hashes = link.info_hashes;
    let Some(id) = engine.reserve(hashes) else {
        if let Some(core) = hashes.wire_all().find_map(|hash| engine.find_wire(hash)) {
            merge(&core, &link, &wish);
        }
        return Err(AddError::Duplicate(hashes));
    };
    let kept = metadata::read(engine, &link).await;
    let of_link: Vec<Vec<String>> = link.trackers.iter().map(|url| vec![url.clone()]).collect();
    let trackers = trackers(&of_link, &wish);
    let peers = peers(&link, &wish);
    let life = Life::new(wish.paused, engine.settings.storage_retry, wish.fail_on_storage_error);
    let announcer = Announcer::new(engine, hashes, false, trackers);
    let plan = (!wish.metadata_only).then(|| Box::new(AddTorrent { selected: link.selected.clone(), ..wish.clone() }));
    let early = if kept.is_some() { peers.clone() } else { Vec::new() };
    let names = link.peers.iter().filter(|peer| peer.socket_addr().is_none());
    let names: Vec<_> = names.map(|peer| NamedPeer { host: peer.host().to_owned(), port: peer.port() }).collect();
    let core = Core::new(id, engine.clone(), Origin::Link(Box::new(link)), plan, Brain::new(life, announcer, early));
    core.rates.begin(&wish.rates);
    core.set_seed_limits(wish.seed_limits);
    engine.enter(&core);
    core.emit(EventKind::Added);
    match kept {
        Some(metainfo) => metadata::arrived(core.clone(), Arc::new(metainfo)).await,
        None => gather(&core, &wish, peers),
    }
    if !names.is_empty() {
        engine.spawn(tracker::resolve(core.clone(), names));
    }
    Ok(core)
}

/// Starts a swarm that gets the metadata.
fn gather(core: &Arc<Core>, wish: &AddTorrent, peers: Vec<(swarm::Source, SocketAddr)>) {
    let engine = &core.engine;
    let max_connections = wish.max_connections.unwrap_or(engine.settings.max_connections_per_torrent);
    let config = open::swarm_config(engine, core.info_hashes(), max_connections);
    let (dht_port, outside) = (dht::port(core), core.engine.dht.outside());
    core.act(|brain, now, effects| {
        brain.exchange = Some(Box::new(Exchange::new(Swarm::gathering(now, config), None)));
        brain.command(now, Command::SetDhtPort(dht_port), effects);
        outside.into_iter().for_each(|ip| brain.command(now, Command::SetOutside(ip), effects));
        if brain.life.paused {
            brain.command(now, Command::Pause, effects);
        } else {
            brain.start_announcing(now);
            brain.announce(now, effects);
        }
        effects.events.push(EventKind::Phase(brain.phase(now)));
    });
    peers.into_iter().for_each(|(source, addr)| core.candidates(source, &[addr]));
    engine.lsd.changed.notify_one();
}

/// A link to a torrent that is here brings it peers, and trackers if its metadata says that it is not private (THREATS M25).
fn merge(core: &Arc<Core>, link: &Magnet, wish: &AddTorrent) {
    if core.metainfo().is_some() && !core.is_private() {
        core.act(|brain, now, effects| {
            brain.announcer.add(now, &link.trackers);
            brain.announce(now, effects);
        });
    }
    peers(link, wish).into_iter().for_each(|(source, addr)| core.candidates(source, &[addr]));
}

/// The peers that a link and its owner name.
fn peers(link: &Magnet, wish: &AddTorrent) -> Vec<(swarm::Source, SocketAddr)> {
    let of_link = link.peers.iter().filter_map(riverrun_metainfo::magnet::PeerAddress::socket_addr);
    of_link.chain(wish.peers.iter().copied()).map(|addr| (swarm::Source::User, addr)).collect()
}

/// The metadata is here, and so is the wish of what to do with it: opens its files.
pub(crate) async fn choose(core: &Arc<Core>, wish: AddTorrent) -> Result<(), AddError> {
    let metainfo = core.metainfo().cloned().ok_or(AddError::Stopped)?;
    let (peers, fail_on_storage_error) = (wish.peers.clone(), wish.fail_on_storage_error);
    let (rates, seed_limits) = (wish.rates.clone(), wish.seed_limits);
    let (content, store, choice) = decide(&core.engine, &metainfo, wish).await?;
    if !core.decide(content, store, choice) {
        return Err(AddError::Duplicate(metainfo.hashes()));
    }
    core.rates.begin(&rates);
    core.set_seed_limits(seed_limits);
    core.act(|brain, now, effects| {
        brain.life.open(fail_on_storage_error);
        effects.events.push(EventKind::Phase(brain.phase(now)));
    });
    core.candidates(swarm::Source::User, &peers);
    openings::begin(core);
    Ok(())
}

/// Where the content of a torrent belongs and how it is wanted, with its files opened.
async fn decide(
    engine: &Engine,
    metainfo: &Metainfo,
    wish: AddTorrent,
) -> Result<(Content, Store, Option<Choice>), AddError> {
    let info = metainfo.info().clone();
    let choice = choice(&info, &wish)?;
    let hashes = metainfo.piece_hashes();
    let (path, store) = open_store(engine, &info, &wish).await?;
    let settings = &engine.settings;
    let options = Options {
        path,
        read_only: wish.read_only,
        overwrite: wish.overwrite,
        trust_resume: wish.trust_resume,
        forget_resume_when_complete: wish.forget_resume_when_complete,
        sequential: wish.sequential,
        super_seeding: wish.super_seeding,
        max_connections: wish.max_connections.unwrap_or(settings.max_connections_per_torrent),
    };
    let web_seeds = web_seed::named(metainfo.web_seeds(), &wish.web_seeds);
    Ok((Content::new(info, hashes, options, web_seeds), store, choice))
}

/// What the wish says about files, if anything.
fn choice(info: &Info, wish: &AddTorrent) -> Result<Option<Choice>, AddError> {
    if let Some(pieces) = &wish.wanted_pieces {
        return Ok(Some(Choice::of_pieces(pieces.clone())));
    }
    let count = info.files().len();
    let named = wish.wanted_files.iter().flatten().chain(wish.priorities.iter().map(|(file, _)| file));
    if let Some(missing) = named.copied().find(|file| *file >= count) {
        return Err(AddError::NoSuchFile(missing));
    }
    let mut files = vec![Priority::Normal; count];
    if let Some(wanted) = &wish.wanted_files {
        files.fill(Priority::Skip);
        wanted.iter().for_each(|file| files[*file] = Priority::Normal);
    } else if !wish.selected.is_empty() {
        for (priority, file) in files.iter_mut().zip(0u32..) {
            if !wish.selected.iter().any(|range| range.contains(&file)) {
                *priority = Priority::Skip;
            }
        }
    } else if wish.priorities.is_empty() {
        return Ok(None);
    }
    wish.priorities.iter().for_each(|(file, priority)| files[*file] = *priority);
    Ok(Some(Choice::of_files(info.layout(), files)))
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
        part_file: store::part_file(info, &wish.place),
        part_suffix: wish.part_suffix.clone().filter(|_| !wish.read_only),
        ..FileOptions::default()
    };
    let opened = engine.blocking(move || FileStorage::open(place, layout, options)).await;
    let files = opened.map_err(|_| AddError::Stopped)??;
    Ok((path, Store::Files(Arc::new(files))))
}

/// The tiers of trackers that the torrent and its owner name (BEP 12).
fn trackers(own: &[Vec<String>], wish: &AddTorrent) -> Vec<Vec<String>> {
    let mut tiers = wish.trackers.clone().unwrap_or_else(|| own.to_vec());
    tiers.extend(wish.more_trackers.iter().cloned());
    tiers
}
