//! `riverrun seed`: shares a file, a folder or the content of a torrent.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use riverrun::metainfo::magnet::PeerAddress;
use riverrun::{AddTorrent, EventKind, Session, Torrent, TorrentError};

use crate::args::{General, Network, SeedEnd};
use crate::command::create::output::Target;
use crate::command::create::{self, Create};
use crate::command::session::{self, Signals};
use crate::command::watch;
use crate::command::{content_place, magnet, net, own_addresses};
use crate::env::Env;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::file_choice::Choice;
use crate::render::progress::{Progress, Stage};
use crate::render::{events, shown};
use crate::torrent_source::{self, Loaded, TorrentSource};

/// Options of `seed`.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  riverrun seed album/ --tracker http://tracker.example/announce --torrent-out album.torrent
  riverrun seed album.torrent --data music/
  riverrun seed film.mkv                            prints a magnet link that works in the local network
  riverrun seed film.mkv --embed-tracker            with a tracker, so that many find each other")]
pub(crate) struct Seed {
    /// A file or folder to share, or a .torrent file
    #[arg(value_name = "PATH|TORRENT")]
    what: OsString,

    /// Where the content of the torrent is
    ///
    /// The content itself, or the folder that it is in. Without it: here, or beside the torrent file.
    #[arg(long, value_name = "DIR", help_heading = "Content")]
    data: Option<PathBuf>,

    /// Write the torrent file that is made of PATH
    #[arg(long, value_name = "FILE", help_heading = "Content")]
    torrent_out: Option<PathBuf>,

    /// The name of the content in the torrent that is made [default: its own]
    #[arg(long, value_name = "N", help_heading = "Content", hide_short_help = true)]
    name: Option<String>,

    /// Share only these files: 1,3-5 or '*.flac'; the others may be missing
    #[arg(long, value_name = "WHICH", value_delimiter = ',', help_heading = "Content", hide_short_help = true)]
    files: Vec<String>,

    /// Believe that the content is complete and right
    #[arg(long, help_heading = "Content", hide_short_help = true)]
    no_verify: bool,

    /// Show each peer one piece at a time, until the others together have everything
    ///
    /// For the only seed of something new (superseeding, BEP 16): little more than one copy leaves before the others hold one.
    #[arg(long, help_heading = "Content", hide_short_help = true, conflicts_with = "files")]
    super_seed: bool,

    /// Draw the magnet link as a QR code
    #[arg(long, help_heading = "Content")]
    qr: bool,

    /// Run a tracker for it too, and name that in the torrent
    #[arg(long, help_heading = "Network", conflicts_with = "no_trackers")]
    embed_tracker: bool,

    /// How long
    #[command(flatten)]
    end: SeedEnd,

    /// How to reach peers
    #[command(flatten)]
    network: Network,
}

/// How often peers come to the tracker that runs beside: it is small, and has little to do.
const EMBEDDED_INTERVAL: Duration = Duration::from_secs(120);
/// How long the end may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Shares until it is stopped.
pub(crate) fn run(env: &mut Env, general: &General, options: &Seed) -> Outcome {
    let mut progress = Progress::of(env, general);
    match prepare_and_run(env, general, options, &mut progress) {
        Err(failure) if progress.for_machines() && !failure.silent => {
            progress.event(env, &events::failed(&failure));
            Err(Failure::silent(failure.exit))
        }
        other => other,
    }
}

fn prepare_and_run(env: &mut Env, general: &General, options: &Seed, progress: &mut Progress) -> Outcome {
    net::take(env, general, &options.network.route)?;
    options.network.tracker.iter().try_for_each(|url| session::check_tracker(url))?;
    let embedded =
        options.embed_tracker.then(|| Embedded::start(env, options.network.listen.as_deref())).transpose()?;
    let trackers = [embedded.as_ref().map(|tracker| tracker.url.clone()).as_slice(), &options.network.tracker].concat();
    let Shared { loaded, content, hashed } = what_to_share(env, general, options, &trackers)?;
    if let Some(embedded) = &embedded {
        embedded.tracker.allow_only(loaded.metainfo.hashes().wire_all());
    }
    for warning in loaded.warnings() {
        env.say(format_args!("warning: {warning}"));
    }
    let wanted = Choice::parse(&options.files, &[])?.of(&loaded)?;
    let settings = session::settings(env, &options.network, session::state_dir(env, general))?;
    session::block_on(async {
        let signals = Signals::listen()?;
        let peers = session::peer_addrs(&env.net(), &options.network.peer).await?;
        let session = session::start(settings).await?;
        let mut add = AddTorrent::new(loaded.bytes.clone())
            .at(&content)
            .read_only(true)
            .trust_resume(options.no_verify || hashed)
            .seed_limits(options.end.limits())
            .super_seeding(options.super_seed)
            .peers(peers)
            .fail_on_storage_error(true);
        if let Some(wanted) = &wanted {
            add = add.wanted_files(wanted.iter().copied());
        }
        add = if options.network.no_trackers {
            add.trackers(Vec::new())
        } else {
            // A torrent that was made here names them itself.
            let own: Vec<&String> = loaded.metainfo.trackers().iter().flatten().collect();
            let more = trackers.iter().filter(|url| !own.contains(url));
            add.add_trackers(more.map(|url| vec![url.clone()]).collect())
        };
        let torrent = session.add(add).await.map_err(|error| match error {
            riverrun::AddError::Storage(error) => Failure::new(Exit::Storage, shown(&watch::chain(&error))),
            other => Failure::internal(watch::chain(&other)),
        })?;
        let (loaded, content, trackers) = (&loaded, content.as_path(), trackers.as_slice());
        Sharing { env, options, general, loaded, content, trackers, session, torrent, signals }.run(progress).await
    })
}

/// A tracker for what is shared, and for nothing else.
struct Embedded {
    tracker: riverrun::Tracker,
    /// How others reach it.
    url: String,
    /// What it runs on: it begins before there is a torrent.
    _runtime: tokio::runtime::Runtime,
}

impl Embedded {
    /// Starts one on a free port of the addresses that the session will listen on.
    fn start(env: &Env, listen: Option<&str>) -> Result<Self, Failure> {
        let mut builder = riverrun::Tracker::builder().interval(EMBEDDED_INTERVAL).net(env.net());
        if let Some(listen) = listen {
            let addrs = session::listen_addrs(listen)?;
            builder = builder.listen(addrs.iter().map(|addr| SocketAddr::new(addr.ip(), 0)));
        }
        let runtime = session::runtime()?;
        let tracker = runtime.block_on(builder.start());
        let tracker = tracker.map_err(|error| session::listen_failure(&error, "--listen with another address"))?;
        let reachable = || own_addresses::of(tracker.http_addrs()).into_iter();
        // One address is enough; most networks have IPv4.
        let addr = reachable().find(SocketAddr::is_ipv4).or_else(|| reachable().next());
        let addr = addr.ok_or_else(|| Failure::internal("the tracker listens nowhere"))?;
        Ok(Self { tracker, url: format!("http://{addr}/announce"), _runtime: runtime })
    }
}

/// What is shared.
struct Shared {
    loaded: Loaded,
    /// The file or folder.
    content: PathBuf,
    /// Its torrent was made of it just now.
    hashed: bool,
}

/// The torrent and its content: made of a path, or read.
fn what_to_share(env: &mut Env, general: &General, options: &Seed, trackers: &[String]) -> Result<Shared, Failure> {
    let path = match TorrentSource::parse(&options.what) {
        TorrentSource::Path(path) => path,
        _ => PathBuf::from("-"),
    };
    let is_content = path.is_dir() || path.is_file() && path.extension().is_none_or(|extension| extension != "torrent");
    if !is_content {
        for (given, name) in [(options.torrent_out.is_some(), "--torrent-out"), (options.name.is_some(), "--name")] {
            if given {
                return Err(Failure::usage(format!("{name} goes with content, not with a torrent")));
            }
        }
        let loaded = torrent_source::load(env, &options.what)?;
        let content = content_place::find(&loaded, options.data.as_deref(), &path)?;
        return Ok(Shared { loaded, content, hashed: false });
    }
    if options.data.is_some() {
        return Err(Failure::usage("--data goes with a torrent, not with content"));
    }
    let target = options.torrent_out.clone().map(Target::File);
    target.as_ref().map_or(Ok(()), |target| target.check(false))?;
    let create =
        Create { path: path.clone(), tracker: trackers.to_vec(), name: options.name.clone(), ..Create::default() };
    let bytes = create::make(env, general, &create)?;
    if let Some(target) = target {
        target.write(env, &bytes, false)?;
    }
    let loaded = Loaded::parse(bytes.into(), "the new torrent")?;
    Ok(Shared { loaded, content: path, hashed: true })
}

/// One run.
struct Sharing<'a> {
    env: &'a mut Env,
    options: &'a Seed,
    general: &'a General,
    loaded: &'a Loaded,
    content: &'a Path,
    /// Those that were named and the one that runs here.
    trackers: &'a [String],
    session: Session,
    torrent: Torrent,
    signals: Signals,
}

impl Sharing<'_> {
    async fn run(mut self, progress: &mut Progress) -> Outcome {
        let mut events = self.torrent.events_but_pieces();
        let mut tick = tokio::time::interval(Progress::TICK);
        let torrent = self.torrent.clone();
        let complete = torrent.completed();
        tokio::pin!(complete);
        let mut serving = false;
        let mut listening = true;
        loop {
            tokio::select! {
                biased;
                exit = self.signals.next() => return self.stopped(progress, exit).await,
                done = &mut complete, if !serving => {
                    progress.clear(self.env);
                    match done {
                        Ok(()) => self.announce(progress)?,
                        Err(error) => return self.failed(&error).await,
                    }
                    serving = true;
                }
                event = events.next(), if listening => match event {
                    Ok(event) => self.tell(progress, &event.kind),
                    Err(riverrun::EventError::Lagged(_)) => {}
                    Err(riverrun::EventError::Closed) => listening = false,
                },
                _ = tick.tick() => {
                    let status = self.torrent.status();
                    if let riverrun::Phase::Failed { error, retry_in: None, .. } = &status.phase {
                        let error = error.clone();
                        progress.clear(self.env);
                        return self.failed(&error).await;
                    }
                    if status.sharing_ended.is_some() {
                        return self.stopped(progress, Exit::Ok).await;
                    }
                    let mut view = watch::view(&status);
                    // A seeder waits for nothing.
                    view.waiting = None;
                    if serving || matches!(view.stage, Stage::Checking { .. } | Stage::Opening) {
                        progress.show(self.env, &[view], Instant::now());
                    }
                }
            }
        }
    }

    /// Says that it can be had now, and how.
    fn announce(&mut self, progress: &mut Progress) -> Result<(), Failure> {
        let addrs = self.session.listen_addrs();
        let mut link = self.loaded.magnet();
        for url in self.trackers {
            if !link.trackers.contains(url) {
                link.trackers.push(url.clone());
            }
        }
        if !self.env.net().anonymous {
            link.peers = own_addresses::of(&addrs).into_iter().map(PeerAddress::from).collect();
        }
        let name = shown(&self.loaded.name).into_owned();
        let link = link.to_string();
        if progress.for_machines() {
            let listen = addrs.iter().map(ToString::to_string).collect();
            let hash = watch::hash_text(self.loaded.metainfo.hashes());
            progress.event(self.env, &events::sharing(&hash, &name, &link, listen));
        }
        if !progress.for_people() {
            return Ok(());
        }
        let size = self.general.scale().bytes(self.loaded.length);
        let port = addrs.first().map_or(0, SocketAddr::port);
        if let Some(url) = self.trackers.first().filter(|_| self.options.embed_tracker) {
            self.env.say(format_args!("tracker {url}"));
        }
        self.env.say(format_args!("sharing {name}: {size} on port {port}"));
        if progress.for_machines() {
            return Ok(());
        }
        if self.options.qr {
            magnet::print_qr(self.env, &link)?;
        }
        self.env.result(link)?;
        self.env.out.flush()?;
        Ok(())
    }

    fn tell(&mut self, progress: &mut Progress, event: &EventKind) {
        match event {
            EventKind::Downloader(addr) => {
                progress.event(self.env, &events::downloader(&addr.to_string()));
                progress.note(self.env, &format!("downloader {addr}"));
            }
            EventKind::TrackerFailed { url, error, .. } => {
                let line = format!("warning: tracker {} {}", watch::host_of(url), shown(error));
                progress.note(self.env, &line);
            }
            _ => {}
        }
    }

    async fn failed(self, error: &TorrentError) -> Outcome {
        self.session.shutdown(PATIENCE).await;
        let name = shown(&self.loaded.name).into_owned();
        Err(match error {
            TorrentError::Incomplete { bad, pieces } => {
                let torrent = shown(&self.options.what.to_string_lossy()).into_owned();
                let content = shown(&self.content.to_string_lossy()).into_owned();
                Failure::new(Exit::Mismatch, format!("cannot seed: {bad} of {pieces} pieces of {name} are damaged"))
                    .help(format!("riverrun verify {torrent} {content} says where; riverrun download -o {content} {torrent} repairs it"))
            }
            TorrentError::NoHashes { unknown, pieces } => {
                let missing = "cannot be judged: the torrent file lacks their hashes (\"piece layers\")";
                Failure::new(Exit::Mismatch, format!("cannot seed: {unknown} of {pieces} pieces of {name} {missing}"))
                    .help("seed with the whole torrent file; only peers have what this one lacks")
            }
            TorrentError::Storage(error) => Failure::new(Exit::Storage, shown(&watch::chain(&**error))),
            other => Failure::internal(watch::chain(other)),
        })
    }

    async fn stopped(mut self, progress: &mut Progress, exit: Exit) -> Outcome {
        let status = self.torrent.status();
        let session = self.session.clone();
        tokio::select! {
            _ = session.shutdown(PATIENCE) => {}
            _ = self.signals.next() => {}
        }
        progress.clear(self.env);
        if progress.for_machines() {
            progress.event(self.env, &events::stopped(status.have_bytes, status.total_bytes, exit));
        }
        if progress.for_people() && !self.general.quiet {
            match status.phase {
                riverrun::Phase::Checking { .. } => {
                    self.env.say("stopped while checking; run the same command to go on")
                }
                _ => {
                    let sent = self.general.scale().bytes(status.up_bytes);
                    let ratio = status.ratio;
                    self.env.say(format_args!("stopped sharing: sent {sent}, ratio {ratio:.2}"));
                }
            }
        }
        Ok(exit)
    }
}
