//! `riverrun bench`: our speed beside what this machine can do at best.

mod disk;
mod hash;
mod loopback;
mod rounds;
mod sample;

use std::path::{Path, PathBuf};

use rustix::fs::statvfs;
use serde::Serialize;
use tokio::sync::watch;

use self::rounds::{Rounds, Stop};
use crate::args::General;
use crate::command::session::{self, Signals};
use crate::env::Env;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome, reason};
use crate::render::{events, shown};
use crate::units::{Scale, Size};

/// Options of `bench`.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  riverrun bench
  riverrun bench hash --json
  riverrun bench disk --dir /srv/downloads --size 1Gi

hash: what a short calibration says of each way to hash that this machine has, and which it chooses; then each that is used, on one \
core, over 1 MiB of each input, beside a copy of memory. Any process that hashes more than 64 MiB calibrates itself like this, once.
disk: a file written by 1 MiB and read back, beside the same file written in blocks and verified as a download does it. Without \
`and sync` it may be in the system's cache alone.
loopback: TCP from one thread to another, beside a download from one session of this process to another, until its last piece is \
verified; the processor's time is that of both sides.

Each figure is the median of up to five rounds, which take turns, after one that does not count; no round of disk and loopback \
begins later than four seconds after the first. Everything else that runs on this machine is in the figures.")]
pub(crate) struct Bench {
    /// What to measure: hash, disk, loopback or all
    #[arg(value_enum, default_value_t = Choice::All, hide_default_value = true, hide_possible_values = true)]
    what: Choice,

    /// How much each round of disk and loopback moves, in whole MiB
    #[arg(long, value_name = "SIZE", default_value = "256Mi")]
    size: Size,

    /// The folder for files, which are gone afterwards [default: here]
    #[arg(short, long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// What to measure.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
enum Choice {
    Hash,
    Disk,
    Loopback,
    All,
}

/// What a figure is about.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
enum Part {
    Hash,
    Disk,
    Loopback,
}

/// One figure.
#[derive(Serialize, Clone, Debug)]
struct Measure {
    part: Part,
    name: String,
    /// Rounds behind the median.
    rounds: usize,
    bytes_per_second: u64,
    cpu_s_per_gib: f64,
    /// The name of the ceiling, for what is ours.
    beside: Option<String>,
    /// The speed in parts of the ceiling's.
    share: Option<f64>,
}

#[derive(Serialize)]
struct Document {
    v: u8,
    /// What a round of disk and loopback moves.
    size: u64,
    /// What was chosen to hash with, if that was asked for.
    kernels: Vec<hash::Kernel>,
    measures: Vec<Measure>,
}

/// What can be moved in a round.
const SIZES: std::ops::RangeInclusive<u64> = 1 << 20..=16 << 30;
/// Room that is left on a disk.
const MARGIN: u64 = 64 << 20;

impl Measure {
    /// What the machine can do at best.
    fn ceiling(part: Part, name: &str, rounds: &Rounds) -> Self {
        Self {
            part,
            name: name.to_owned(),
            rounds: rounds.len(),
            bytes_per_second: whole(rounds.bytes_per_second()),
            cpu_s_per_gib: (rounds.cpu_s_per_gib() * 1000.0).round() / 1000.0,
            beside: None,
            share: None,
        }
    }

    /// What we do, beside this ceiling.
    #[expect(clippy::cast_precision_loss, reason = "speeds are far below 2^52 bytes a second")]
    fn ours(&self, name: String, rounds: &Rounds) -> Self {
        let ours = Self::ceiling(self.part, &name, rounds);
        let share = ours.bytes_per_second as f64 / self.bytes_per_second.max(1) as f64;
        Self { beside: Some(self.name.clone()), share: Some((share * 1000.0).round() / 1000.0), ..ours }
    }
}

/// Measures and prints.
pub(crate) fn run(env: &mut Env, general: &General, options: &Bench) -> Outcome {
    if !SIZES.contains(&options.size.0) {
        return Err(Failure::usage("--size of a round is from 1 MiB to 16 GiB"));
    }
    session::block_on(async {
        let mut signals = Signals::listen()?;
        let (stopper, stopped) = watch::channel(false);
        let exit = {
            let work = measure(env, general, options, Stop::new(stopped));
            tokio::pin!(work);
            let exit = tokio::select! {
                exit = signals.next() => exit,
                outcome = &mut work => return outcome,
            };
            stopper.send_replace(true);
            // What goes on ends soon and removes its files; the second signal does not wait for a slow disk.
            tokio::select! {
                _ = signals.next() => {}
                _ = &mut work => {}
            }
            exit
        };
        env.say("stopped");
        Ok(exit)
    })
}

async fn measure(env: &mut Env, general: &General, options: &Bench, mut stop: Stop) -> Outcome {
    let length = options.size.0 - options.size.0 % u64::from(sample::PIECE);
    let dir = options.dir.clone().unwrap_or_else(|| PathBuf::from("."));
    let asked = |part| options.what == Choice::All || options.what == part;
    let files = match (asked(Choice::Disk), asked(Choice::Loopback)) {
        (false, false) => 0,
        (true, false) => 1,
        // The seeder's and the downloader's.
        (_, true) => 2,
    };
    let scale = general.scale();
    check_space(&dir, length * files, scale)?;
    let kernels = if asked(Choice::Hash) { off_the_runtime(|| Ok(hash::choose())).await? } else { Vec::new() };
    let mut all = Vec::new();
    for part in [Choice::Hash, Choice::Disk, Choice::Loopback].into_iter().filter(|part| asked(*part)) {
        if !general.json && !general.quiet {
            env.say(introduction(part, length, scale));
        }
        if !general.json && part == Choice::Hash {
            for kernel in &kernels {
                env.result(kernel.line())?;
            }
        }
        let measures = one(part, &dir, length, &mut stop).await?;
        if !general.json {
            for measure in &measures {
                env.result(line(measure, scale))?;
            }
            env.out.flush()?;
        }
        all.extend(measures);
    }
    if general.json {
        env.result(events::pretty(&Document { v: 1, size: length, kernels, measures: all }))?;
    }
    Ok(Exit::Ok)
}

/// Measures one part; its files are gone when this ends or is dropped.
async fn one(part: Choice, dir: &Path, length: u64, stop: &mut Stop) -> Result<Vec<Measure>, Failure> {
    let folder = || {
        let made = tempfile::Builder::new().prefix(".riverrun-bench-").tempdir_in(dir);
        made.map_err(|error| cannot("write", dir, &error))
    };
    let stopped = stop.clone();
    match part {
        Choice::Hash => off_the_runtime(move || hash::measure(&stopped)).await,
        Choice::Disk => {
            let folder = folder()?;
            let path = folder.path().to_owned();
            off_the_runtime(move || disk::measure(&path, length, &stopped)).await
        }
        Choice::Loopback | Choice::All => {
            let folder = folder()?;
            loopback::measure(folder.path(), length, stop).await
        }
    }
}

async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    tokio::task::spawn_blocking(work).await.map_err(|error| same_way(&error))?
}

/// Whether the files have room; a file system that tells no size (some network ones) is not judged.
fn check_space(dir: &Path, bytes: u64, scale: Scale) -> Result<(), Failure> {
    if bytes == 0 {
        return Ok(());
    }
    let system = statvfs(dir).map_err(|errno| cannot("look at", dir, &std::io::Error::from(errno)))?;
    let (free, needed) = (system.f_bavail.saturating_mul(system.f_frsize), bytes.saturating_add(MARGIN));
    if system.f_blocks == 0 || needed <= free {
        return Ok(());
    }
    let name = shown(&dir.to_string_lossy()).into_owned();
    let message = format!("not enough space in {name}: need {}, {} free", scale.bytes(needed), scale.bytes(free));
    Err(Failure::new(Exit::Storage, message).help("--dir names another folder, --size moves less"))
}

fn introduction(part: Choice, length: u64, scale: Scale) -> String {
    let bytes = scale.bytes(length);
    match part {
        Choice::Hash => "hash: one core, 1 MiB of each input, from memory".to_owned(),
        Choice::Disk => format!("disk: {bytes} a round, in the system's cache unless it says sync"),
        Choice::Loopback | Choice::All => format!("loopback: {bytes} a round, processor time of both sides"),
    }
}

fn line(measure: &Measure, scale: Scale) -> String {
    let beside = measure.beside.as_ref().zip(measure.share);
    let beside = beside.map(|(name, share)| format!("   {:.0} % of {name}", share * 100.0)).unwrap_or_default();
    let part = match measure.part {
        Part::Hash => "hash",
        Part::Disk => "disk",
        Part::Loopback => "loopback",
    };
    format!(
        "{part:<9} {:<36} {:>12}   {:>6.3} CPU s/GiB{beside}",
        measure.name,
        scale.rate(measure.bytes_per_second),
        measure.cpu_s_per_gib
    )
}

/// A speed in whole bytes per second.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and no speed is negative")]
fn whole(bytes_per_second: f64) -> u64 {
    bytes_per_second.round() as u64
}

/// The folder for files does not do.
fn cannot(what: &str, dir: &Path, error: &(dyn std::error::Error + 'static)) -> Failure {
    let why = error.downcast_ref().map_or_else(|| crate::command::watch::chain(error), reason);
    Failure::new(Exit::Storage, format!("cannot {what} {}: {why}", shown(&dir.to_string_lossy())))
        .help("--dir names another folder")
}

/// What cannot go wrong here, because the same was done before.
fn same_way(error: &dyn std::error::Error) -> Failure {
    Failure::internal(crate::command::watch::chain(error))
}
