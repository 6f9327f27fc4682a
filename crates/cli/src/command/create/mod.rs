//! `riverrun create`: makes a torrent of a file or a folder.

mod lints;
pub(crate) mod output;
pub(crate) mod scan;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use riverrun::metainfo::create::{CreateError, Created, Options, Plan, Planned};
use riverrun::metainfo::metainfo::Draft;
use riverrun::metainfo::piece_hash::Format;
use riverrun::metainfo::{FileIndex, PieceIndex};
use riverrun::storage::{SourceFiles, check};
use serde::Serialize;

use self::output::Target;
use self::scan::{Content, Filter};
use crate::args::General;
use crate::command::download::place::as_written;
use crate::command::hashing::{self, What};
use crate::command::session;
use crate::env::Env;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::render::{events, shown, time};
use crate::torrent_source::Loaded;
use crate::units::{self, Scale, Size};

/// Options of `create`.
#[derive(clap::Args, Clone, Default, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Create {
    /// The file or folder to share
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,

    /// What to write, - for standard output [default: NAME.torrent]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Trackers, tier by tier (repeatable)
    #[arg(short, long, value_name = "URL[,URL]")]
    pub(crate) tracker: Vec<String>,

    /// A web seed (repeatable)
    #[arg(short, long, value_name = "URL")]
    pub(crate) web_seed: Vec<String>,

    /// Replace the torrent file if it exists
    #[arg(long)]
    pub(crate) force: bool,

    /// Say what would be made, and stop
    #[arg(long, hide_short_help = true)]
    pub(crate) dry_run: bool,

    /// Print the magnet link too
    #[arg(long)]
    pub(crate) magnet: bool,

    /// Threads that hash [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256), hide_short_help = true)]
    pub(crate) threads: Option<u16>,

    /// Make a torrent that every client knows
    #[arg(long, help_heading = "Format", group = "format")]
    pub(crate) v1: bool,

    /// Make a torrent with hash trees only
    #[arg(long, help_heading = "Format", group = "format")]
    pub(crate) v2: bool,

    /// Make a torrent that is both [the default]
    #[arg(long, help_heading = "Format", group = "format")]
    pub(crate) hybrid: bool,

    /// The length of a piece, or auto [default: auto]
    #[arg(long, value_name = "SIZE", value_parser = piece_length, help_heading = "Format")]
    pub(crate) piece_length: Option<PieceLength>,

    /// Let every file start a piece (v1)
    #[arg(long, help_heading = "Format", conflicts_with = "no_pad", hide_short_help = true)]
    pub(crate) pad: bool,

    /// No padding between files (v1)
    #[arg(long, help_heading = "Format", hide_short_help = true)]
    pub(crate) no_pad: bool,

    /// Peers come from the trackers only
    #[arg(short, long, help_heading = "Description")]
    pub(crate) private: bool,

    /// A tag that gives the same content another info-hash
    #[arg(long, value_name = "TAG", help_heading = "Description", hide_short_help = true)]
    pub(crate) source: Option<String>,

    /// A remark for people
    #[arg(short, long, value_name = "TEXT", help_heading = "Description")]
    pub(crate) comment: Option<String>,

    /// The name of the file or folder in the torrent [default: its own]
    #[arg(long, value_name = "N", help_heading = "Description", hide_short_help = true)]
    pub(crate) name: Option<String>,

    /// When it is made: none, 2026-11-22, ... [default: now]
    ///
    /// Seconds since 1970, a date, a date with time like 2026-11-22T14:25:05Z, now, or none. Without it SOURCE_DATE_EPOCH counts.
    #[arg(long, value_name = "TIME", help_heading = "Description")]
    pub(crate) date: Option<String>,

    /// Who makes it, or none [default: riverrun and its version]
    #[arg(long, value_name = "TEXT", help_heading = "Description", hide_short_help = true)]
    pub(crate) created_by: Option<String>,

    /// Only files that fit this pattern (repeatable)
    #[arg(long, value_name = "GLOB", help_heading = "Content")]
    pub(crate) include: Vec<String>,

    /// No files that fit this pattern (repeatable)
    #[arg(long, value_name = "GLOB", help_heading = "Content")]
    pub(crate) exclude: Vec<String>,

    /// Hidden files too
    #[arg(long, help_heading = "Content", hide_short_help = true)]
    pub(crate) hidden: bool,

    /// Take warnings for errors
    #[arg(long, help_heading = "Content", hide_short_help = true)]
    pub(crate) strict: bool,
}

const EXAMPLES: &str = "\
Examples:
  riverrun create album/ -t http://tracker.example/announce
  riverrun create album/ -t http://a/announce,http://b/announce -t udp://c:6969   two tiers
  riverrun create film.mkv --v1 --piece-length 1Mi -o /tmp/film.torrent
  riverrun create album/ --date none -o -                                         the same bytes every time";

/// A piece length, or the wish that one is chosen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PieceLength {
    /// Chosen by the length of the content.
    Auto,
    /// This many bytes.
    Bytes(u32),
}

fn piece_length(text: &str) -> Result<PieceLength, String> {
    if text == "auto" {
        return Ok(PieceLength::Auto);
    }
    let Size(bytes) = text.parse()?;
    match u32::try_from(bytes).ok().filter(|bytes| (1..=512 << 20).contains(bytes)) {
        Some(bytes) => Ok(PieceLength::Bytes(bytes)),
        None => Err(format!("a piece of {text} is outside 1 byte to 512 MiB")),
    }
}

/// What was made, for machines.
#[derive(Serialize)]
struct Document {
    v: u8,
    path: Option<String>,
    name: String,
    info_hash: Option<String>,
    info_hash_v2: Option<String>,
    length: u64,
    piece_length: u32,
    pieces: u32,
    files: usize,
    private: bool,
    magnet: Option<String>,
    elapsed_s: f64,
    dry_run: bool,
    warnings: Vec<String>,
}

/// Makes it.
pub(crate) fn run(env: &mut Env, general: &General, options: &Create) -> Outcome {
    let began = Instant::now();
    let target = Target::find(options.output.as_deref(), || default_name(options))?;
    if !options.dry_run {
        target.check(options.force)?;
    }
    let (plan, content, warnings) = plan(env, options, &target)?;
    if options.dry_run {
        return dry_run(env, general, options, &plan, warnings, began);
    }
    let bytes = hash_and_encode(env, general, options, plan, &content)?;
    target.write(env, &bytes, options.force)?;
    let loaded = Loaded::parse(bytes.into(), "the new torrent").map_err(|failure| {
        Failure::internal(format!("the torrent that was made cannot be read: {}", failure.message))
    })?;
    report(env, general, options, &target, &loaded, warnings, began)
}

/// Makes the bytes of a torrent of some content, without writing them anywhere.
pub(crate) fn make(env: &mut Env, general: &General, options: &Create) -> Result<Vec<u8>, Failure> {
    let (plan, content, _) = plan(env, options, &Target::Stdout)?;
    hash_and_encode(env, general, options, plan, &content)
}

/// Looks at the content and decides on pieces.
fn plan(env: &mut Env, options: &Create, target: &Target) -> Result<(Plan, Content, Vec<String>), Failure> {
    options.tracker.iter().flat_map(|tier| tier.split(',')).try_for_each(session::check_tracker)?;
    for url in &options.web_seed {
        riverrun::metainfo::url::check_web(url)
            .map_err(|error| Failure::usage(format!("web seed {:?}: {error}", shown(url))))?;
    }
    let filter = Filter::new(&options.include, &options.exclude, options.hidden, target.path())?;
    let mut content = Content::scan(&options.path, &filter)?;
    let name = name_of(options)?;
    let made = Options {
        name: name.clone(),
        format: format_of(options),
        piece_length: match options.piece_length {
            Some(PieceLength::Bytes(bytes)) => Some(bytes),
            Some(PieceLength::Auto) | None => None,
        },
        pads: if options.pad { Some(true) } else { options.no_pad.then_some(false) },
        private: options.private,
        source: options.source.clone(),
    };
    let plan = Plan::new(content.sources.clone(), made).map_err(|error| plan_failure(&error, options))?;
    let mut warnings = std::mem::take(&mut content.warnings);
    warnings.extend(lints::of(options, &name, &plan));
    if options.strict
        && let Some(first) = warnings.first()
    {
        return Err(Failure::usage(first.clone()).help("without --strict this is a warning"));
    }
    for warning in &warnings {
        env.say(format_args!("warning: {warning}"));
    }
    Ok((plan, content, warnings))
}

fn plan_failure(error: &CreateError, options: &Create) -> Failure {
    let path = shown(&options.path.to_string_lossy()).into_owned();
    match error {
        CreateError::Empty => {
            Failure::new(Exit::Invalid, format!("{path} has no content: there is not one byte in it"))
        }
        CreateError::PieceLength(_) => {
            Failure::usage(error.to_string()).help("--piece-length takes a power of two from 16Ki; --v1 takes any")
        }
        CreateError::NeedsPads => {
            Failure::usage("a hybrid of several files needs padding").help("--v1 makes one without, --v2 needs none")
        }
        other => Failure::new(Exit::Invalid, format!("cannot make a torrent of {path}: {}", shown(&other.to_string()))),
    }
}

fn format_of(options: &Create) -> Format {
    match (options.v1, options.v2) {
        (true, _) => Format::V1,
        (_, true) => Format::V2,
        _ => Format::Hybrid,
    }
}

fn name_of(options: &Create) -> Result<String, Failure> {
    if let Some(name) = &options.name {
        return Ok(name.clone());
    }
    let path = &options.path;
    let whole = path.canonicalize().map_err(|error| scan::cannot_read(path, &error))?;
    // A link is shared under its own name, not under that of its target.
    let own = path.file_name().or(whole.file_name());
    let name = own.ok_or_else(|| Failure::usage("the content has no name").help("--name gives it one"))?;
    name.to_str().map(str::to_owned).ok_or_else(|| {
        let name = shown(&name.to_string_lossy()).into_owned();
        Failure::new(Exit::Invalid, format!("the name {name:?} is not UTF-8")).help("--name gives it another")
    })
}

fn default_name(options: &Create) -> Result<String, Failure> {
    name_of(options).map(|name| format!("{name}.torrent"))
}

fn hash_and_encode(
    env: &mut Env,
    general: &General,
    options: &Create,
    mut plan: Plan,
    content: &Content,
) -> Result<Vec<u8>, Failure> {
    let layout = Arc::new(plan.layout().clone());
    let path_of = |file: &Planned| match file {
        Planned::Source(number) => content.paths.get(*number).cloned(),
        Planned::Pad => None,
    };
    let paths: Vec<_> = plan.files().iter().map(path_of).collect();
    let storage = SourceFiles::new(layout.clone(), paths).map_err(|error| Failure::internal(error.to_string()))?;
    let (format, threads) = (plan.format(), hashing::threads(options.threads));
    let digests =
        hashing::watched(env, general, &What::New, |work| check::digest(&storage, &layout, format, threads, work));
    let digests = digests.map_err(|error| {
        hashing::failure(&error, |file| storage.path_of(FileIndex(u32::try_from(file).ok()?)).cloned())
    })?;
    (0..).zip(digests).for_each(|(piece, digest)| plan.put(PieceIndex(piece), digest));
    let created = plan.finish().map_err(|error| Failure::internal(error.to_string()))?;
    Ok(draft(env, options, &created)?.encode())
}

fn draft(env: &Env, options: &Create, created: &Created) -> Result<Draft, Failure> {
    let mut draft = created.draft();
    draft.trackers = options.tracker.iter().map(|tier| tier.split(',').map(str::to_owned).collect()).collect();
    draft.web_seeds = options.web_seed.clone();
    draft.comment = options.comment.clone();
    draft.creation_date = date(env, options)?;
    draft.created_by = match options.created_by.as_deref() {
        None => Some(concat!("riverrun/", env!("CARGO_PKG_VERSION")).to_owned()),
        Some("none" | "") => None,
        Some(text) => Some(text.to_owned()),
    };
    Ok(draft)
}

fn date(env: &Env, options: &Create) -> Result<Option<i64>, Failure> {
    let bad = |name: &str, error: String| Failure::usage(format!("{name}: {error}"));
    match options.date.as_deref() {
        Some("none") => Ok(None),
        Some("now") => Ok(Some(time::now())),
        Some(text) => time::parse(text).map(Some).map_err(|error| bad("--date", error)),
        None => match env.var("SOURCE_DATE_EPOCH") {
            Some(text) => {
                time::parse(&text.to_string_lossy()).map(Some).map_err(|error| bad("SOURCE_DATE_EPOCH", error))
            }
            None => Ok(Some(time::now())),
        },
    }
}

fn dry_run(
    env: &mut Env,
    general: &General,
    options: &Create,
    plan: &Plan,
    warnings: Vec<String>,
    began: Instant,
) -> Outcome {
    let layout = plan.layout();
    let name = shown(&name_of(options)?).into_owned();
    let files = layout.files().iter().filter(|file| !file.pad).count();
    if general.json {
        let document = Document {
            v: 1,
            path: None,
            name,
            info_hash: None,
            info_hash_v2: None,
            length: layout.content_length(),
            piece_length: layout.piece_length(),
            pieces: layout.piece_count(),
            files,
            private: options.private,
            magnet: None,
            elapsed_s: events::seconds(began.elapsed()),
            dry_run: true,
            warnings,
        };
        env.result(events::pretty(&document))?;
    } else {
        let summary =
            summary(general.scale(), layout.content_length(), files, layout.piece_count(), layout.piece_length());
        env.result(format_args!("Would create a torrent of {name}: {summary}."))?;
    }
    Ok(Exit::Ok)
}

fn summary(scale: Scale, length: u64, files: usize, pieces: u32, piece_length: u32) -> String {
    let files = units::counted(files as u64, "file");
    let pieces = units::counted(pieces.into(), "piece");
    format!("{} in {files}, {pieces} of {}", scale.bytes(length), scale.exact(piece_length.into()))
}

fn report(
    env: &mut Env,
    general: &General,
    options: &Create,
    target: &Target,
    loaded: &Loaded,
    warnings: Vec<String>,
    began: Instant,
) -> Outcome {
    let hashes = loaded.metainfo.hashes();
    let files = loaded.files.iter().filter(|file| !file.pad).count();
    let magnet = loaded.magnet().to_string();
    let path = target.path().map(as_written);
    let document = Document {
        v: 1,
        path: path.clone(),
        name: shown(&loaded.name).into_owned(),
        info_hash: hashes.v1().map(|hash| hash.to_string()),
        info_hash_v2: hashes.v2().map(|hash| hash.to_string()),
        length: loaded.length,
        piece_length: loaded.piece_length(),
        pieces: loaded.piece_count(),
        files,
        private: options.private,
        magnet: Some(magnet.clone()),
        elapsed_s: events::seconds(began.elapsed()),
        dry_run: false,
        warnings,
    };
    let summary = summary(general.scale(), loaded.length, files, loaded.piece_count(), loaded.piece_length());
    let mut lines = Vec::new();
    match (general.json, &path) {
        (true, _) => lines.push(events::pretty(&document)),
        (false, path) => {
            let to = path.as_deref().unwrap_or("on standard output");
            lines.push(format!("Created {to}: {summary}."));
            lines.extend(hashes.v1().map(|hash| format!("Info Hash: {hash}")));
            lines.extend(hashes.v2().map(|hash| format!("Info Hash v2: {hash}")));
            if options.magnet {
                lines.push(magnet);
            }
        }
    }
    // Standard output has the torrent itself with `-o -`.
    for line in lines {
        if path.is_some() {
            env.result(line)?
        } else if !general.quiet {
            env.say(line)
        }
    }
    Ok(Exit::Ok)
}
