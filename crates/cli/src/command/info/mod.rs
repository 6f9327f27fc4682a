//! `riverrun info`: what is in a torrent or a magnet link.

mod document;
mod raw;

use std::ffi::OsString;

use riverrun::metainfo::PieceIndex;
use riverrun::metainfo::magnet::Magnet;

use self::document::Document;
use crate::args::{Encryption, General, Network, Route};
use crate::command::{fetch, net};
use crate::env::Env;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::render::tree::Tree;
use crate::render::{events, listing, shown, time};
use crate::torrent_source::{self, Link, Loaded, TorrentSource};
use crate::units::Span;

/// Options of `info`.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  riverrun info album.torrent
  riverrun info --files album.torrent          numbers, sizes and paths
  riverrun info --json album.torrent | jq .    everything, for programs
  riverrun info --fetch 'magnet:?xt=…'         what peers say is in it
  curl -s https://example.org/a.torrent | riverrun info -")]
pub(crate) struct Info {
    /// The torrent: a path, -, a URL or a magnet link
    #[arg(value_name = "TORRENT")]
    torrent: OsString,

    /// All piece hashes, on a terminal too
    #[arg(long, group = "view")]
    pieces: bool,

    /// Only the files: number, size and path
    #[arg(long, group = "view")]
    files: bool,

    /// Only the tree of the files
    #[arg(long, group = "view")]
    tree: bool,

    /// Only the trackers, one per line
    #[arg(long, group = "view")]
    trackers: bool,

    /// Everything in the file, key by key
    #[arg(long, group = "view")]
    raw: bool,

    /// Get the metadata of a magnet link or an info-hash from peers
    #[arg(long)]
    fetch: bool,

    /// With --fetch: give up after this time
    #[arg(long, value_name = "DUR", default_value = "2m", requires = "fetch")]
    wait: Span,

    /// With --fetch: connect to this peer (repeatable)
    #[arg(long, value_name = "HOST:PORT", requires = "fetch")]
    peer: Vec<String>,

    /// With --fetch: ask this tracker too (repeatable)
    #[arg(long, value_name = "URL", requires = "fetch")]
    tracker: Vec<String>,

    /// With --fetch: make connections look like noise: off, prefer or require [default: prefer]
    #[arg(long, value_name = "HOW", requires = "fetch", hide_short_help = true, hide_possible_values = true)]
    encryption: Option<Encryption>,

    /// Which way, and to whom
    #[command(flatten)]
    route: Route,
}

/// The files that are shown on a terminal when nothing else is asked for.
const TREE_LINES: usize = 200;

/// Prints it.
pub(crate) fn run(env: &mut Env, general: &General, options: &Info) -> Outcome {
    if options.route.is_given() {
        net::take(env, general, &options.route)?;
    }
    if options.fetch
        && let Some(link) = Link::parse(env, &options.torrent)?
    {
        let network = Network {
            peer: options.peer.clone(),
            tracker: options.tracker.clone(),
            encryption: options.encryption,
            ..Network::default()
        };
        let named = |failure: Failure| failure.input(options.torrent.to_string_lossy());
        let loaded = fetch::metadata(env, general, &link, &network, options.wait.0).map_err(named)?;
        return of_torrent(env, general, options, &loaded);
    }
    match TorrentSource::parse(&options.torrent) {
        TorrentSource::Magnet(link) => {
            let named = |failure: Failure| failure.input(link.clone());
            let magnet = torrent_source::parse_magnet(&link).map_err(named)?;
            torrent_source::warn_if_cut(env, &magnet);
            of_magnet(env, general, &magnet)
        }
        TorrentSource::InfoHash(text) => {
            let hashes = torrent_source::parse_info_hash(&text).map_err(|failure| failure.input(text.clone()))?;
            of_magnet(env, general, &Magnet::new(hashes))
        }
        _ => {
            let loaded = torrent_source::load(env, &options.torrent)?;
            of_torrent(env, general, options, &loaded)
        }
    }
}

fn of_magnet(env: &mut Env, general: &General, magnet: &Magnet) -> Outcome {
    if general.json {
        env.result(events::pretty(&Document::of_magnet(magnet)))?;
        return Ok(Exit::Ok);
    }
    let text = |text: &Option<String>| text.as_deref().map_or("(none)".to_owned(), |text| shown(text).into_owned());
    env.result(format_args!("Tracker URL: {}", text(&magnet.trackers.first().cloned())))?;
    env.result(format_args!("Length: {}", magnet.length.map_or("(unknown)".to_owned(), |length| length.to_string())))?;
    if let Some(v1) = magnet.info_hashes.v1() {
        env.result(format_args!("Info Hash: {v1}"))?;
    }
    if let Some(v2) = magnet.info_hashes.v2() {
        env.result(format_args!("Info Hash v2: {v2}"))?;
    }
    env.result(format_args!("Name: {}", text(&magnet.name)))?;
    for tracker in magnet.trackers.iter().skip(1) {
        env.result(format_args!("Further Tracker: {}", shown(tracker)))?;
    }
    for seed in &magnet.web_seeds {
        env.result(format_args!("Web Seed: {}", shown(seed)))?;
    }
    for peer in &magnet.peers {
        env.result(format_args!("Peer: {peer}"))?;
    }
    Ok(Exit::Ok)
}

fn of_torrent(env: &mut Env, general: &General, options: &Info, loaded: &Loaded) -> Outcome {
    if general.json && !options.files {
        env.result(events::pretty(&Document::of_torrent(loaded)))?;
    } else if options.raw {
        raw::print(env, &loaded.bytes)?;
    } else if options.files {
        listing::files(env, loaded, general, None)?;
    } else if options.tree {
        tree(loaded, general).lines("").iter().try_for_each(|line| env.result(line))?;
    } else if options.trackers {
        loaded.metainfo.trackers().iter().flatten().try_for_each(|url| env.result(shown(url)))?;
    } else {
        print(env, general, options, loaded)?;
        for warning in loaded.warnings() {
            env.say(format_args!("warning: {warning}"));
        }
    }
    Ok(Exit::Ok)
}

/// The labels of the tutorial first, then the others, the piece hashes last.
fn print(env: &mut Env, general: &General, options: &Info, loaded: &Loaded) -> Result<(), Failure> {
    let metainfo = &loaded.metainfo;
    let urls: Vec<_> = metainfo.trackers().iter().flatten().map(|url| shown(url)).collect();
    let hashes = metainfo.hashes();
    let real = loaded.files.iter().filter(|file| !file.pad).count();
    env.result(format_args!("Tracker URL: {}", urls.first().map_or("(none)", |url| url.as_ref())))?;
    env.result(format_args!("Length: {}", loaded.length))?;
    env.result(format_args!("Info Hash: {}", hashes.v1().map_or("(none)".to_owned(), |hash| hash.to_string())))?;
    if let Some(v2) = hashes.v2() {
        env.result(format_args!("Info Hash v2: {v2}"))?;
    }
    env.result(format_args!("Name: {}", shown(&loaded.name)))?;
    env.result(format_args!("Piece Length: {}", loaded.piece_length()))?;
    env.result(format_args!("Pieces: {}", loaded.piece_count()))?;
    env.result(format_args!("Files: {real}"))?;
    env.result(format_args!("Private: {}", if metainfo.info().is_private() { "yes" } else { "no" }))?;
    if let Some(date) = metainfo.creation_date() {
        env.result(format_args!("Created: {}", time::utc(date)))?;
    }
    let texts =
        [("Created By", metainfo.created_by()), ("Comment", metainfo.comment()), ("Source", metainfo.info().source())];
    for (label, text) in texts {
        if let Some(text) = text {
            env.result(format_args!("{label}: {}", shown(text)))?;
        }
    }
    if urls.len() > 1 {
        env.result("Trackers:")?;
        for (tier, number) in metainfo.trackers().iter().zip(1..) {
            for url in tier {
                env.result(format_args!("  tier {number}  {}", shown(url)))?;
            }
        }
    }
    if !metainfo.web_seeds().is_empty() {
        env.result("Web Seeds:")?;
        metainfo.web_seeds().iter().try_for_each(|url| env.result(format_args!("  {}", shown(url))))?;
    }
    if !loaded.single {
        print_tree(env, general, loaded)?;
    }
    print_hashes(env, options, loaded)
}

fn print_tree(env: &mut Env, general: &General, loaded: &Loaded) -> Result<(), Failure> {
    let lines = tree(loaded, general).lines("  ");
    let room = if env.out_screen.is_terminal() { TREE_LINES } else { usize::MAX };
    env.result(format_args!("{}/", shown(&loaded.name)))?;
    lines.iter().take(room).try_for_each(|line| env.result(line))?;
    if lines.len() > room {
        env.result(format_args!("  … and {} more lines (--tree shows all)", lines.len() - room))?;
    }
    Ok(())
}

fn tree(loaded: &Loaded, general: &General) -> Tree {
    let mut tree = Tree::default();
    for file in loaded.files.iter().filter(|file| !file.pad) {
        let path = shown(&file.path).into_owned();
        let parts: Vec<&str> = path.split('/').collect();
        tree.add(&parts, format!("  {}", general.scale().bytes(file.length)));
    }
    tree
}

fn print_hashes(env: &mut Env, options: &Info, loaded: &Loaded) -> Result<(), Failure> {
    let pieces = loaded.piece_count();
    let all = options.pieces || !env.out_screen.is_terminal();
    let most = if all { pieces } else { pieces.min(3) };
    let hashes = loaded.metainfo.piece_hashes();
    env.result("Piece Hashes:")?;
    for piece in (0..most).map(PieceIndex) {
        let expected = hashes.expected(piece);
        let hash = match (expected.v1, expected.v2) {
            (Some(v1), _) => hex(&v1),
            (None, Some(v2)) => hex(&v2.node),
            (None, None) => "(unknown)".to_owned(),
        };
        env.result(hash)?;
    }
    if most < pieces {
        env.result(format_args!("… and {} more (--pieces shows all)", pieces - most))?;
    }
    Ok(())
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
