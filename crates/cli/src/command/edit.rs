//! `riverrun edit`: changes a torrent file around its info dictionary, and says plainly what becomes of the info-hash.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use riverrun::metainfo::InfoHashes;
use serde::Serialize;

use crate::args::General;
use crate::command::create::output::Target;
use crate::command::download::place::as_written;
use crate::command::session;
use crate::env::Env;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::render::{events, shown};
use crate::torrent_source::{self, Loaded, TorrentSource};

/// Options of `edit`.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  riverrun edit album.torrent --add-tracker http://tracker.example/announce
  riverrun edit album.torrent --set-trackers http://a/announce,http://b/announce -o new.torrent
  riverrun edit album.torrent --private yes --allow-new-hash -o private.torrent")]
pub(crate) struct Edit {
    /// The torrent file
    #[arg(value_name = "TORRENT")]
    torrent: OsString,

    /// What to write, - for standard output [default: TORRENT]
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,

    /// Replace OUT if it exists
    #[arg(long)]
    force: bool,

    /// Add a tracker in a tier of its own
    #[arg(long, value_name = "URL", help_heading = "Changes")]
    add_tracker: Vec<String>,

    /// Take a tracker out
    #[arg(long, value_name = "URL", help_heading = "Changes")]
    rm_tracker: Vec<String>,

    /// These in place of all trackers
    ///
    /// Commas divide the trackers of a tier; repeated it names the next tier; none is no tracker at all.
    #[arg(long, value_name = "URLS", help_heading = "Changes")]
    set_trackers: Vec<String>,

    /// Add a web seed
    #[arg(long, value_name = "URL", help_heading = "Changes")]
    add_webseed: Vec<String>,

    /// Take a web seed out
    #[arg(long, value_name = "URL", help_heading = "Changes")]
    rm_webseed: Vec<String>,

    /// The remark; empty takes it out
    #[arg(long, value_name = "TEXT", help_heading = "Changes")]
    comment: Option<String>,

    /// Who made it; empty takes it out
    #[arg(long, value_name = "TEXT", help_heading = "Changes")]
    created_by: Option<String>,

    /// Peers from trackers only (new info-hash)
    #[arg(long, value_name = "yes|no", value_parser = yes_or_no, help_heading = "Changes")]
    private: Option<bool>,

    /// A tag of a site (new info-hash)
    #[arg(long, value_name = "TAG", help_heading = "Changes")]
    source: Option<String>,

    /// Consent to a new info-hash
    #[arg(long, help_heading = "Changes")]
    allow_new_hash: bool,
}

#[derive(Serialize)]
struct Document {
    v: u8,
    path: Option<String>,
    info_hash_changed: bool,
    info_hash: Option<String>,
    info_hash_v2: Option<String>,
    old_info_hash: Option<String>,
    old_info_hash_v2: Option<String>,
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(format!("{text:?} is neither yes nor no")),
    }
}

/// Edits.
pub(crate) fn run(env: &mut Env, general: &General, options: &Edit) -> Outcome {
    let urls = options.add_tracker.iter().map(String::as_str);
    let tiers = options.set_trackers.iter().flat_map(|tier| tier.split(',')).filter(|url| *url != "none");
    urls.chain(tiers).try_for_each(session::check_tracker)?;
    for url in &options.add_webseed {
        riverrun::metainfo::url::check_web(url)
            .map_err(|error| Failure::usage(format!("web seed {:?}: {error}", shown(url))))?;
    }
    let target = target(options)?;
    let loaded = torrent_source::load(env, &options.torrent)?;
    let in_place = options.output.is_none();
    if !in_place {
        target.check(options.force)?;
    }
    let bytes = edited(&loaded, options)?;
    let new = Loaded::parse(bytes.clone(), "the changed torrent")?;
    let (before, after) = (loaded.metainfo.hashes(), new.metainfo.hashes());
    if before != after && !options.allow_new_hash {
        return Err(Failure::usage("these changes give the torrent another info-hash: it would be another torrent")
            .help("--allow-new-hash, and share the new torrent file"));
    }
    target.write(env, &bytes, options.force || in_place)?;
    report(env, general, &target, before, after)
}

fn target(options: &Edit) -> Result<Target, Failure> {
    if options.output.is_some() {
        let own = || Ok(Path::new(&options.torrent).file_name().unwrap_or_default().to_string_lossy().into_owned());
        return Target::find(options.output.as_deref(), own);
    }
    match TorrentSource::parse(&options.torrent) {
        TorrentSource::Path(path) => Ok(Target::File(path)),
        _ => Err(Failure::usage("where to write is not clear").help("-o OUT names the file to write")),
    }
}

fn edited(loaded: &Loaded, options: &Edit) -> Result<Bytes, Failure> {
    let metainfo = &loaded.metainfo;
    let mut draft = metainfo.draft();
    if !options.set_trackers.is_empty() {
        let tiers = options.set_trackers.iter().filter(|tier| *tier != "none");
        draft.trackers = tiers.map(|tier| tier.split(',').map(str::to_owned).collect()).collect();
    }
    for url in &options.rm_tracker {
        let known = draft.trackers.iter().any(|tier| tier.contains(url));
        if !known {
            return Err(Failure::usage(format!("the torrent has no tracker {:?}", shown(url)))
                .help("riverrun info --trackers lists them"));
        }
        draft.trackers.iter_mut().for_each(|tier| tier.retain(|known| known != url));
        draft.trackers.retain(|tier| !tier.is_empty());
    }
    for url in &options.add_tracker {
        if !draft.trackers.iter().any(|tier| tier.contains(url)) {
            draft.trackers.push(vec![url.clone()]);
        }
    }
    draft.web_seeds.retain(|url| !options.rm_webseed.contains(url));
    for url in &options.add_webseed {
        if !draft.web_seeds.contains(url) {
            draft.web_seeds.push(url.clone());
        }
    }
    let text = |change: &Option<String>, own: Option<String>| match change.as_deref() {
        None => own,
        Some("") => None,
        Some(text) => Some(text.to_owned()),
    };
    draft.comment = text(&options.comment, draft.comment.take());
    draft.created_by = text(&options.created_by, draft.created_by.take());
    if options.private.is_some() || options.source.is_some() {
        let info = metainfo.info();
        let private = options.private.filter(|private| *private != info.is_private());
        let source = options.source.as_deref().filter(|source| Some(*source) != info.source());
        if private.is_some() || source.is_some() {
            draft.info = info.edited(private, source).into();
        }
    }
    Ok(draft.encode().into())
}

fn report(env: &mut Env, general: &General, target: &Target, before: InfoHashes, after: InfoHashes) -> Outcome {
    let path = target.path().map(as_written);
    let text =
        |hashes: InfoHashes| (hashes.v1().map(|hash| hash.to_string()), hashes.v2().map(|hash| hash.to_string()));
    let ((v1, v2), (old_v1, old_v2)) = (text(after), text(before));
    let main = |v1: &Option<String>, v2: &Option<String>| v1.clone().or(v2.clone()).unwrap_or_default();
    let verdict = if before == after {
        format!("The info-hash stays {}.", main(&v1, &v2))
    } else {
        format!("The info-hash changes from {} to {}: this is another torrent.", main(&old_v1, &old_v2), main(&v1, &v2))
    };
    if general.json && path.is_some() {
        let document = Document {
            v: 1,
            path,
            info_hash_changed: before != after,
            info_hash: v1,
            info_hash_v2: v2,
            old_info_hash: old_v1,
            old_info_hash_v2: old_v2,
        };
        env.result(events::pretty(&document))?;
    } else if let Some(path) = path {
        env.result(format_args!("Wrote {path}. {verdict}"))?;
    } else if !general.quiet {
        env.say(verdict);
    }
    Ok(Exit::Ok)
}
