//! The download itself: adds torrents to a session, watches them, and ends when all are done or a limit is reached.

mod serving;
mod standard_output;
mod stopping;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use riverrun::metainfo::{Extent, FileIndex, Layout, PieceIndex};
use riverrun::{AddTorrent, EventKind, Events, Session, StreamServer, Torrent, TorrentError, TorrentStatus};
use tokio::task::JoinSet;

pub(crate) use self::serving::Serving;
use self::standard_output::broken;
use super::gathering::{Found, Gathering};
use super::hook::Completed;
use super::options::Download;
use super::patience::{Limits, Patience};
use super::place::as_written;
use super::stream_out::StreamOut;
use super::{Preparation, Task, ending};
use crate::command::session::Signals;
use crate::command::watch;
use crate::env::Env;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::render::progress::{Progress, View};
use crate::render::{events, shown};
use crate::torrent_source::{Link, Loaded};
use crate::units::{self, Scale};

/// How long the end may take when the user wants to go.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long trackers may take to hear that a download is complete.
const GOODBYE: Duration = Duration::from_secs(5);

/// One torrent that is to be got.
#[derive(Debug)]
pub(crate) struct Job {
    /// The argument that named it.
    pub(crate) input: String,
    /// What it is.
    pub(crate) loaded: Loaded,
    /// Its content: the file or the folder.
    pub(crate) path: PathBuf,
    /// The files that are wanted; `None` is all.
    pub(crate) wanted: Option<Vec<usize>>,
}

impl Job {
    /// The files that are wanted and have bytes of their own, by their places in the torrent.
    pub(crate) fn chosen(&self) -> impl Iterator<Item = usize> {
        chosen(&self.loaded, self.wanted.as_deref())
    }
}

/// The files among those wanted that have bytes of their own.
pub(crate) fn chosen(loaded: &Loaded, wanted: Option<&[usize]>) -> impl Iterator<Item = usize> {
    let files = loaded.files.iter().enumerate().filter(|(_, file)| !file.pad && !file.link);
    files.map(|(at, _)| at).filter(move |at| wanted.is_none_or(|wanted| wanted.binary_search(at).is_ok()))
}

/// A job in the session.
#[derive(Debug)]
struct Running {
    job: Job,
    torrent: Torrent,
    added: Instant,
    completed: Option<Instant>,
    patience: Patience,
    ended: bool,
}

/// Everything the loop holds.
pub(crate) struct Run<'a> {
    env: &'a mut Env,
    preparation: Preparation<'a>,
    options: &'a Download,
    scale: Scale,
    progress: Progress,
    session: Session,
    signals: Signals,
    /// Peers that the user named.
    peers: Vec<SocketAddr>,
    /// How the first that failed failed.
    failed: Option<Exit>,
    /// The way to standard output, with `-o -`.
    stream: Option<StreamOut>,
    /// What players read from, with `stream`.
    server: Option<StreamServer>,
    gathering: Gathering,
    running: Vec<Running>,
    ends: JoinSet<(usize, Result<(), TorrentError>)>,
}

impl<'a> Run<'a> {
    /// A run with nothing to do yet.
    pub(crate) fn new(
        env: &'a mut Env,
        preparation: Preparation<'a>,
        progress: Progress,
        session: Session,
        signals: Signals,
        peers: Vec<SocketAddr>,
    ) -> Self {
        Self {
            env,
            options: preparation.options,
            scale: preparation.general.scale(),
            failed: preparation.failed,
            preparation,
            progress,
            session,
            signals,
            peers,
            stream: None,
            server: None,
            gathering: Gathering::default(),
            running: Vec::new(),
            ends: JoinSet::new(),
        }
    }

    /// Adds the torrents and sees them through.
    pub(crate) async fn all(mut self, tasks: Vec<Task>) -> Outcome {
        let mut events = self.session.events_but_pieces();
        for task in tasks {
            match task {
                Task::Job(job) => self.add(*job).await?,
                Task::Link { input, link } => self.gather(input, *link).await,
            }
        }
        let exit = self.watch(&mut events).await;
        self.progress.clear(self.env);
        exit
    }

    /// Begins to get the metadata of a torrent.
    async fn gather(&mut self, input: String, link: Link) {
        if self.failed.is_some() && self.options.fail_fast {
            return;
        }
        match self.session.add(link.wish(&self.options.network, &self.peers)).await {
            Ok(torrent) => self.gathering.push(input, link, torrent),
            Err(error) => {
                let name = link.0.name.as_deref().unwrap_or(&input);
                let failure = ending::add_failure(&error, name);
                self.fail(failure.input(input));
            }
        }
    }

    /// The metadata of a torrent is here, or will never be.
    async fn metadata_of(&mut self, (index, result): Found) -> Result<(), Failure> {
        let Some(waiting) = self.gathering.end(index) else { return Ok(()) };
        let (input, link, torrent) = (waiting.input.clone(), waiting.link.clone(), waiting.torrent.clone());
        self.progress.clear(self.env);
        let job = match result {
            Ok(metainfo) => {
                let loaded = Loaded::of_metadata(&metainfo);
                self.preparation.job(self.env, input, loaded, Some(&link))
            }
            Err(error) => Err(ending::metadata_failure(&error).input(input)),
        };
        match job {
            Ok(Some(job)) => return self.add(job).await,
            Ok(None) => {}
            Err(failure) => self.fail(failure),
        }
        let _ = tokio::time::timeout(PATIENCE, torrent.remove()).await;
        Ok(())
    }

    async fn add(&mut self, job: Job) -> Result<(), Failure> {
        if self.failed.is_some() && self.options.fail_fast {
            return Ok(());
        }
        let options = self.options;
        let mut add = AddTorrent::new(job.loaded.bytes.clone())
            .at(&job.path)
            .add_trackers(options.network.tracker.iter().map(|url| vec![url.clone()]).collect())
            .peers(self.peers.iter().copied())
            .web_seeds(options.web_seed.iter().cloned())
            .overwrite(options.overwrite)
            .trust_resume(options.no_verify)
            .sequential(options.sequential)
            .forget_resume_when_complete(true)
            .seed_limits(options.seed_end.limits())
            .fail_on_storage_error(true);
        if options.network.no_trackers {
            add = add.trackers(Vec::new());
        }
        if let Some(how) = options.preallocate {
            add = add.preallocate(how.into());
        }
        if let Some(suffix) = options.part_suffix.clone() {
            add = add.part_suffix(suffix);
        }
        // Without a choice all are meant, whatever an earlier run chose.
        add = match &job.wanted {
            Some(wanted) => add.wanted_files(wanted.iter().copied()),
            None => add.wanted_files(0..job.loaded.files.len()),
        };
        let torrent = match self.session.add(add).await {
            Ok(torrent) => torrent,
            Err(error) => {
                let failure = ending::add_failure(&error, &job.loaded.name).input(job.input.clone());
                self.fail(failure);
                return Ok(());
            }
        };
        let index = self.running.len();
        let waits = torrent.clone();
        self.ends.spawn(async move { (index, waits.completed().await) });
        let now = Instant::now();
        let view = watch::view(&torrent.status());
        let event = events::added(&view, job.loaded.piece_count(), &as_written(&job.path));
        self.progress.event(self.env, &event);
        self.write_out(&torrent, &job)?;
        self.serve(&torrent, &job).await?;
        self.running.push(Running {
            job,
            torrent,
            added: now,
            completed: None,
            patience: Patience::new(now),
            ended: false,
        });
        Ok(())
    }

    async fn watch(&mut self, events: &mut Events) -> Outcome {
        let began = Instant::now();
        let max_time = self.options.max_time.map(|span| span.0);
        let mut tick = tokio::time::interval(Progress::TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut listening = true;
        while self.running.iter().any(|running| !running.ended) || !self.gathering.is_over() {
            tokio::select! {
                biased;
                exit = self.signals.next() => return self.stopped(exit).await,
                failure = broken(&mut self.stream) => return self.stream_broke(failure).await,
                Some(end) = self.ends.join_next() => {
                    let (index, result) = end.map_err(|error| Failure::internal(error.to_string()))?;
                    self.end_of(index, result).await?;
                }
                found = self.gathering.next(), if !self.gathering.is_over() => self.metadata_of(found?).await?,
                event = events.next(), if listening => match event {
                    Ok(event) => self.tell(&event.kind),
                    Err(riverrun::EventError::Lagged(_)) => {}
                    Err(riverrun::EventError::Closed) => listening = false,
                },
                _ = tick.tick() => {
                    let now = Instant::now();
                    self.draw(now);
                    if max_time.is_some_and(|max| now.duration_since(began) >= max) {
                        return self.out_of_time().await;
                    }
                    self.give_up_on_the_stalled(now).await;
                    self.end_sharing();
                }
            }
            if self.failed.is_some() && self.options.fail_fast {
                break;
            }
        }
        self.progress.clear(self.env);
        let _ = self.env.out.flush();
        self.leave(GOODBYE).await;
        Ok(self.failed.unwrap_or(Exit::Ok))
    }

    fn statuses(&self) -> Vec<TorrentStatus> {
        let running = self.running.iter().filter(|running| !running.ended).map(|running| running.torrent.status());
        running.chain(self.gathering.statuses()).collect()
    }

    fn draw(&mut self, now: Instant) {
        let views: Vec<View> = self.statuses().iter().map(watch::view).collect();
        self.progress.show(self.env, &views, now);
    }

    /// A torrent is complete, or never will be.
    async fn end_of(&mut self, index: usize, result: Result<(), TorrentError>) -> Result<(), Failure> {
        let Some(running) = self.running.get_mut(index).filter(|running| !running.ended) else { return Ok(()) };
        match result {
            Ok(()) => {
                running.completed = Some(Instant::now());
                self.completed(index).await?;
                if !self.options.keeps_seeding() {
                    self.running[index].ended = true;
                    // The session tells the tracker; nobody waits for it while other torrents go on.
                    if self.running.iter().any(|running| !running.ended) {
                        let torrent = self.running[index].torrent.clone();
                        tokio::spawn(async move { torrent.remove().await });
                    }
                }
            }
            Err(error) => {
                running.ended = true;
                let failure = ending::torrent_failure(&error, running.torrent.status().phase, &running.job, self.scale);
                let failure = failure.input(running.job.input.clone());
                let torrent = running.torrent.clone();
                self.fail(failure);
                torrent.remove().await;
            }
        }
        Ok(())
    }

    /// The result in a sentence; where the URL for players is the result, a note.
    fn say_end(&mut self, text: std::fmt::Arguments<'_>) -> Result<(), Failure> {
        match self.server {
            Some(_) => self.env.say(text),
            None => self.env.result(text)?,
        }
        Ok(())
    }

    async fn completed(&mut self, index: usize) -> Result<(), Failure> {
        // The last look: a download may be over before the first tick.
        self.draw(Instant::now());
        let running = &self.running[index];
        let status = running.torrent.status();
        let elapsed = running.added.elapsed();
        let name = shown(&running.job.loaded.name).into_owned();
        let path = as_written(&running.job.path);
        let nothing_came = status.found_bytes == Some(status.total_bytes);
        let hash = watch::hash_text(status.info_hashes);
        self.progress.clear(self.env);
        if self.stream.is_some() {
            let file = running.job.chosen().next().map(|at| shown(&running.job.loaded.files[at].path).into_owned());
            return self.finish_stream(&file.unwrap_or(name)).await;
        }
        if self.progress.for_machines() {
            let event = events::completed(&hash, &path, elapsed, nothing_came, &status);
            self.progress.event(self.env, &event);
        } else if nothing_came {
            self.say_end(format_args!("{name} is already complete at {path}."))?;
        } else {
            if self.progress.says_done() {
                let came = status.total_bytes.saturating_sub(status.found_bytes.unwrap_or(0));
                let rate = self.scale.rate(rate(came, elapsed));
                let size = self.scale.bytes(status.total_bytes);
                let elapsed = units::elapsed(elapsed);
                self.env.say(format_args!("done      {name}: {size} in {elapsed} ({rate}) -> {path}"));
                if let Some(waste) = waste(&status, self.scale) {
                    self.env.say(waste);
                }
            }
            self.say_end(format_args!("Downloaded {name} to {path}."))?;
        }
        self.env.out.flush()?;
        if self.options.keeps_seeding() {
            self.progress.note(self.env, &format!("sharing   {name}"));
        }
        self.run_hook(index, &hash, status.total_bytes).await;
        Ok(())
    }

    async fn run_hook(&mut self, index: usize, hash: &str, bytes: u64) {
        let Some(hook) = self.options.exec.clone() else { return };
        let job = &self.running[index].job;
        let path = std::path::absolute(&job.path).unwrap_or_else(|_| job.path.clone());
        let (name, hash) = (job.loaded.name.clone(), hash.to_owned());
        let ran =
            tokio::task::spawn_blocking(move || hook.run(Completed { path: &path, name: &name, hash: &hash, bytes }))
                .await;
        let trouble = match ran {
            Ok(Ok(status)) if status.success() => return,
            Ok(Ok(status)) => format!("it ended with {status}"),
            Ok(Err(error)) => crate::failure::reason(&error),
            Err(error) => error.to_string(),
        };
        self.progress.note(self.env, &format!("warning: the command of --exec: {trouble}"));
    }

    fn tell(&mut self, event: &EventKind) {
        let line = match event {
            EventKind::Banned(addr) => format!("note: {addr} sent bad data and is banned"),
            EventKind::WebSeedBanned { url } => {
                format!("note: web seed {} sent bad data and is left alone", watch::host_of(url))
            }
            EventKind::PieceCorrupt(piece) => format!("note: piece {piece} failed its hash and is fetched again"),
            EventKind::PiecesLost(pieces) => {
                let pieces = units::counted(u64::from(*pieces), "piece");
                format!("note: files changed under us; {pieces} are fetched again")
            }
            EventKind::StorageFailed(error) => format!("warning: {}", shown(&watch::chain(error))),
            _ => return,
        };
        self.progress.note(self.env, &line);
    }

    /// Ends torrents for which nothing came for too long, or whose trackers all said no.
    async fn give_up_on_the_stalled(&mut self, now: Instant) {
        let limits = Limits {
            stall: self.options.stall_timeout(self.env.err_screen.is_terminal()),
            wait_peers: self.options.wait_peers.map(|span| span.0),
        };
        let mut ends = Vec::new();
        for (index, waiting) in self.gathering.waiting() {
            if let Some(failure) = waiting.patience.look(now, &waiting.torrent.status(), &limits) {
                ends.push((index, failure.input(waiting.input.clone())));
            }
        }
        for (index, failure) in ends.drain(..) {
            let torrent = self.gathering.end(index).map(|waiting| waiting.torrent.clone());
            self.fail(failure);
            if let Some(torrent) = torrent {
                let _ = tokio::time::timeout(PATIENCE, torrent.remove()).await;
            }
        }
        for (index, running) in self.running.iter_mut().enumerate() {
            if running.ended || running.completed.is_some() {
                continue;
            }
            if let Some(failure) = running.patience.look(now, &running.torrent.status(), &limits) {
                running.ended = true;
                ends.push((index, failure.input(running.job.input.clone())));
            }
        }
        for (index, failure) in ends {
            self.fail(failure);
            let torrent = self.running[index].torrent.clone();
            let _ = tokio::time::timeout(PATIENCE, torrent.remove()).await;
        }
    }

    /// Ends torrents that have given enough.
    fn end_sharing(&mut self) {
        for running in &mut self.running {
            let complete = running.completed.is_some() && !running.ended;
            if complete && running.torrent.status().sharing_ended.is_some() {
                running.ended = true;
                let torrent = running.torrent.clone();
                tokio::spawn(async move { torrent.remove().await });
            }
        }
    }

    fn fail(&mut self, failure: Failure) {
        self.progress.clear(self.env);
        if self.progress.for_machines() {
            self.progress.event(self.env, &events::failed(&failure));
        } else {
            let colour = crate::args::colour_of(self.env);
            let _ = self.env.err.write_all(failure.text(colour).as_bytes());
        }
        self.failed.get_or_insert(failure.exit);
    }
}

/// What came and was of no use, and why; `None` if it is not worth a line.
fn waste(status: &TorrentStatus, scale: Scale) -> Option<String> {
    let (twice, corrupt) = (status.wasted_bytes, status.corrupt_bytes);
    // A block or two that were on their way twice at the end are how a download ends.
    if corrupt == 0 && twice.saturating_mul(100) <= status.down_bytes {
        return None;
    }
    let (twice, corrupt) = (scale.bytes(twice), scale.bytes(corrupt));
    Some(format!("wasted    {twice} came twice or unasked, {corrupt} failed their hash"))
}

fn rate(bytes: u64, time: Duration) -> u64 {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    u64::try_from(u128::from(bytes) * 1000 / u128::from(millis)).unwrap_or(u64::MAX)
}

/// The files of a torrent where they will stand, with their lengths. `wanted` is in order.
pub(crate) fn files_on_disk(loaded: &Loaded, path: &Path, wanted: Option<&[usize]>) -> Vec<(PathBuf, u64)> {
    let is_wanted = |index: &usize| wanted.is_none_or(|wanted| wanted.binary_search(index).is_ok());
    let named = loaded.files.iter().enumerate().filter(|(index, file)| !file.pad && is_wanted(index));
    let mut files: Vec<_> = named
        .map(|(_, file)| {
            let at = if loaded.single { path.to_owned() } else { path.join(&file.path) };
            (at, file.length)
        })
        .collect();
    let (Some(wanted), Some(name)) = (wanted, riverrun::part_file_name(loaded.metainfo.info())) else { return files };
    files.push((path.join(name), overhang(loaded.metainfo.info().layout(), wanted)));
    files
}

/// What other files have of the pieces of these, in bytes.
fn overhang(layout: &Layout, wanted: &[usize]) -> u64 {
    let pieces = wanted.iter().filter_map(|file| u32::try_from(*file).ok()).flat_map(|file| {
        let pieces = layout.pieces_of(FileIndex(file));
        // Those between the first and the last are the file's alone.
        [pieces.clone().next(), pieces.last()]
    });
    let pieces: BTreeSet<u32> = pieces.flatten().collect();
    let spans = pieces.into_iter().filter_map(|piece| layout.piece_span(PieceIndex(piece)));
    let other = |extent: &Extent| !extent.pad && wanted.binary_search(&(extent.file.0 as usize)).is_err();
    spans.flat_map(|span| layout.extents(span)).filter(other).map(|extent| extent.length).sum()
}
