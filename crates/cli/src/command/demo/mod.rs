//! `riverrun demo`: a whole swarm on this machine, over real sockets of 127.0.0.1, in a few seconds.

mod liar;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use riverrun::testing::{Content, LocalSwarm, loopback};
use riverrun::{AddTorrent, EventKind, Session, Torrent};
use serde::Serialize;

use self::liar::Loss;
use crate::args::General;
use crate::command::session::{self, Signals};
use crate::command::watch;
use crate::env::Env;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome, reason};
use crate::render::events;
use crate::render::progress::Progress;
use crate::units::{self, Scale, Size};

/// Options of `demo`.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  riverrun demo
  riverrun demo --fast --size 1Gi
  riverrun demo --keep /tmp/demo")]
pub(crate) struct Demo {
    /// How much content to share
    #[arg(long, value_name = "SIZE", default_value = "64Mi")]
    size: Size,

    /// How many seeders, each with a part of the pieces
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=32))]
    seeders: u8,

    /// How many download, the one that is shown counted
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=32))]
    leechers: u8,

    /// As fast as it goes, in place of a speed at which the bar is seen
    #[arg(long)]
    fast: bool,

    /// Leave the torrent and the content in this folder
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,

    /// One more seeder, of which this share of the blocks is bad
    #[arg(long, value_name = "PCT")]
    loss: Option<Loss>,

    /// Show it on a web page (not there yet)
    #[arg(long, hide = true)]
    web: bool,

    /// Show it on a full screen (not there yet)
    #[arg(long, hide = true)]
    tui: bool,
}

/// How long a demo lasts that is not `--fast`.
const LENGTH: Duration = Duration::from_secs(4);
/// How long it may take before it is called broken.
const LIMIT: Duration = Duration::from_secs(60);
/// The content is the same in every run.
const SEED: u64 = 20_010_702;

/// What just happened.
#[derive(Serialize, Debug)]
struct Document {
    v: u8,
    ok: bool,
    info_hash: String,
    bytes: u64,
    pieces: u32,
    seeders: u8,
    leechers: u8,
    peers: usize,
    protocol: &'static str,
    tracker: String,
    elapsed_s: f64,
    bytes_per_second: u64,
    wasted_bytes: u64,
    hash_failures: u64,
    banned_peers: u64,
    path: Option<String>,
}

/// Runs the demo.
pub(crate) fn run(env: &mut Env, general: &General, options: &Demo) -> Outcome {
    let later = [(options.web, "the web page (--web)"), (options.tui, "the full screen (--tui)")];
    if let Some((_, what)) = later.iter().find(|(asked, _)| *asked) {
        return Err(Failure::not_yet(what));
    }
    if !(1..=4 << 30).contains(&options.size.0) {
        return Err(Failure::usage("--size of the demo is from 1 byte to 4 GiB"));
    }
    session::block_on(async {
        let mut signals = Signals::listen()?;
        let stopped = tokio::select! {
            exit = signals.next() => exit,
            outcome = show(env, general, options) => return outcome,
        };
        // The bar may still be there.
        env.say("\nstopped");
        Ok(stopped)
    })
}

async fn show(env: &mut Env, general: &General, options: &Demo) -> Outcome {
    let scale = general.scale();
    let mut progress = Progress::of_one_document(env, general);
    let talk = !general.json && !general.quiet;
    let swarm = start(options).await?;
    if talk {
        introduce(env, options, &swarm, scale);
    }
    let place = place(options, &swarm)?;
    let liar = match options.loss {
        Some(loss) => Some(liar::start(&swarm, loss, up_limit(options)).await?),
        None => None,
    };
    let began = Instant::now();
    let (shown, mut sessions, torrents) = download(options, &swarm, &place, liar.as_ref()).await?;
    let faults = watch_to_end(env, &mut progress, &shown, &torrents).await?;
    let elapsed = began.elapsed();
    let same = swarm.content().compare(&place);
    let document = document(options, &swarm, &shown, &faults, elapsed, same.is_ok());
    sessions.extend(liar);
    for session in sessions {
        session.shutdown(Duration::from_secs(2)).await;
    }
    if general.json {
        env.result(events::pretty(&document))?;
    } else {
        table(env, &document, scale, &same)?;
        if talk && same.is_ok() {
            next_commands(env, options);
        }
    }
    Ok(if same.is_ok() { Exit::Ok } else { Exit::Mismatch })
}

/// What each seeder sends per second, so that the bar is seen.
fn up_limit(options: &Demo) -> Option<u64> {
    let all = u64::try_from(u128::from(options.size.0) * 1000 / LENGTH.as_millis()).unwrap_or(u64::MAX);
    (!options.fast).then_some((all / u64::from(options.seeders)).max(16 * 1024))
}

/// Starts the tracker and the seeders.
async fn start(options: &Demo) -> Result<LocalSwarm, Failure> {
    let length = usize::try_from(options.size.0).map_err(|_| Failure::usage("--size is more than this machine has"))?;
    let seeders = usize::from(options.seeders);
    LocalSwarm::of(Content::file("demo.bin", SEED, length))
        .seeders(seeders)
        .parts(seeders > 1)
        .up_limit(up_limit(options))
        .start()
        .await
        .map_err(|error| Failure::new(Exit::Storage, format!("cannot start the demo: {}", reason(&error))))
}

fn introduce(env: &mut Env, options: &Demo, swarm: &LocalSwarm, scale: Scale) {
    let content = swarm.content();
    let part = if options.seeders > 1 { ", each with a part of the pieces" } else { "" };
    env.say(format_args!("create    {}: {} of made-up bytes", content.name, scale.bytes(content.length())));
    env.say(format_args!("tracker   {}", swarm.tracker().http_url()));
    env.say(format_args!("seeders   {}{part}", options.seeders));
    if let Some(loss) = options.loss {
        env.say(format_args!("liar      one more seeder, and {loss} % of what it sends is bad"));
    }
    env.say(format_args!("download  {} to get it", units::counted(options.leechers.into(), "peer")));
}

/// The folder of the download: the swarm's own, or the one to keep.
fn place(options: &Demo, swarm: &LocalSwarm) -> Result<PathBuf, Failure> {
    let Some(keep) = &options.keep else { return Ok(swarm.dir().to_owned()) };
    let torrent = keep.join("demo.torrent");
    let cannot = |error: std::io::Error| {
        Failure::new(
            Exit::Storage,
            format!("cannot write to {}: {}", crate::render::shown(&keep.to_string_lossy()), reason(&error)),
        )
    };
    if torrent.exists() || keep.join(&swarm.content().name).exists() {
        let keep = crate::render::shown(&keep.to_string_lossy()).into_owned();
        return Err(
            Failure::new(Exit::Exists, format!("{keep} has a demo in it already")).help("--keep another folder")
        );
    }
    std::fs::create_dir_all(keep).map_err(cannot)?;
    std::fs::write(torrent, swarm.torrent()).map_err(cannot)?;
    Ok(keep.clone())
}

/// Starts those who download; the first is the one that is shown.
async fn download(
    options: &Demo,
    swarm: &LocalSwarm,
    place: &Path,
    liar: Option<&Session>,
) -> Result<(Torrent, Vec<Session>, Vec<Torrent>), Failure> {
    let mut sessions = Vec::new();
    let mut torrents = Vec::new();
    for number in 0..options.leechers {
        let dir = if number == 0 { place.to_owned() } else { swarm.dir().join(format!("leecher-{number}")) };
        let session = session::start(loopback()).await?;
        let add = AddTorrent::new(swarm.torrent()).into_dir(dir).fail_on_storage_error(true);
        let add = add.peers(liar.into_iter().flat_map(Session::listen_addrs));
        let torrent = session.add(add).await.map_err(|error| Failure::new(Exit::Storage, watch::chain(&error)))?;
        sessions.push(session);
        torrents.push(torrent);
    }
    let shown = torrents.first().cloned().ok_or_else(|| Failure::internal("nobody downloads"))?;
    Ok((shown, sessions, torrents))
}

/// What went wrong on the way, and was put right.
#[derive(Debug, Default)]
struct Faults {
    /// Pieces that failed their hash.
    corrupt: u64,
    /// Peers that were banned for it.
    banned: u64,
}

/// Shows the first until all have everything.
async fn watch_to_end(
    env: &mut Env,
    progress: &mut Progress,
    shown: &Torrent,
    torrents: &[Torrent],
) -> Result<Faults, Failure> {
    let mut events = shown.events_but_pieces();
    let mut faults = Faults::default();
    let all = async {
        for torrent in torrents {
            torrent.completed().await?;
        }
        Ok::<(), riverrun::TorrentError>(())
    };
    let limit = tokio::time::sleep(LIMIT);
    let mut tick = tokio::time::interval(Progress::TICK);
    tokio::pin!(all, limit);
    loop {
        tokio::select! {
            done = &mut all => {
                progress.clear(env);
                return match done {
                    Ok(()) => Ok(faults),
                    Err(error) => Err(Failure::new(Exit::Storage, watch::chain(&error))),
                };
            }
            () = &mut limit => {
                progress.clear(env);
                return Err(Failure::new(Exit::Mismatch, "the demo did not end within a minute"));
            }
            Ok(event) = events.next() => match event.kind {
                EventKind::PieceCorrupt(_) => faults.corrupt += 1,
                EventKind::Banned(_) => faults.banned += 1,
                _ => {}
            },
            _ = tick.tick() => {
                let view = watch::view(&shown.status());
                progress.show(env, &[view], Instant::now());
            }
        }
    }
}

fn document(
    options: &Demo,
    swarm: &LocalSwarm,
    shown: &Torrent,
    faults: &Faults,
    elapsed: Duration,
    ok: bool,
) -> Document {
    let status = shown.status();
    let millis = elapsed.as_millis().max(1);
    Document {
        v: 1,
        ok,
        info_hash: watch::hash_text(status.info_hashes),
        bytes: status.total_bytes,
        pieces: status.pieces,
        seeders: options.seeders,
        leechers: options.leechers,
        peers: shown.peers().len(),
        protocol: "tcp",
        tracker: swarm.tracker().http_url(),
        elapsed_s: events::seconds(elapsed),
        bytes_per_second: u64::try_from(u128::from(status.total_bytes) * 1000 / millis).unwrap_or(u64::MAX),
        wasted_bytes: status.wasted_bytes,
        hash_failures: faults.corrupt,
        banned_peers: faults.banned,
        path: options.keep.as_ref().map(|keep| keep.join(&swarm.content().name).to_string_lossy().into_owned()),
    }
}

fn table(env: &mut Env, facts: &Document, scale: Scale, same: &Result<(), String>) -> std::io::Result<()> {
    let verdict = match same {
        Ok(()) => "every byte is the same".to_owned(),
        Err(path) => format!("{} differs", crate::render::shown(path)),
    };
    let hash_failures = match facts.banned_peers {
        0 => facts.hash_failures.to_string(),
        banned => format!("{}; {} for it", facts.hash_failures, units::counted(banned, "peer") + " banned"),
    };
    let rows = [
        ("content", format!("{} in {}", scale.bytes(facts.bytes), units::counted(facts.pieces.into(), "piece"))),
        ("info-hash", facts.info_hash.clone()),
        ("peers", format!("{} seeders, {} to download, one tracker", facts.seeders, facts.leechers)),
        ("protocol", "TCP on 127.0.0.1".to_owned()),
        ("time", format!("{:.2} s", facts.elapsed_s)),
        ("speed", scale.rate(facts.bytes_per_second)),
        ("hash failures", hash_failures),
        ("compared", verdict),
    ];
    for (name, value) in rows {
        env.result(format_args!("{name:<14} {value}"))?;
    }
    Ok(())
}

fn next_commands(env: &mut Env, options: &Demo) {
    env.say("");
    env.say("next:");
    match &options.keep {
        Some(keep) => {
            let keep = crate::render::shown(&keep.to_string_lossy()).into_owned();
            env.say(format_args!("  riverrun info {keep}/demo.torrent"));
            env.say(format_args!("  riverrun verify {keep}/demo.torrent {keep}"));
            env.say(format_args!("  riverrun magnet {keep}/demo.torrent"));
        }
        None => {
            env.say("  riverrun create FOLDER           make a torrent of something of yours");
            env.say("  riverrun seed FOLDER             share it");
            env.say("  riverrun download FILE.torrent   get what someone else shares");
        }
    }
}
