//! `riverrun scrape`: asks trackers how many share a torrent.

use std::ffi::OsString;

use riverrun::{ScrapeAnswer, TrackerQuery};
use serde::Serialize;

use crate::args::{General, Route};
use crate::command::peers::{error_text, no_answer};
use crate::command::watch::hash_text;
use crate::command::{net, session};
use crate::env::Env;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::render::{events, shown};
use crate::torrent_source::{self, Asked};
use crate::units::Span;

/// Options of `scrape`.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Example:
  riverrun scrape album.torrent film.torrent")]
pub(crate) struct Scrape {
    /// Torrents: paths, -, URLs, magnet links or info-hashes
    #[arg(value_name = "TORRENT", required = true)]
    torrents: Vec<OsString>,

    /// Ask this tracker too (repeatable)
    #[arg(long, value_name = "URL")]
    tracker: Vec<String>,

    /// How long to wait for each answer
    #[arg(long, value_name = "DUR", default_value = "15s")]
    timeout: Span,

    /// Which way, and to whom
    #[command(flatten)]
    route: Route,
}

#[derive(Serialize)]
struct Document {
    v: u8,
    torrents: Vec<TorrentLine>,
}

#[derive(Serialize)]
struct TorrentLine {
    input: String,
    name: Option<String>,
    info_hash: String,
    trackers: Vec<TrackerLine>,
}

/// What a tracker came to.
#[derive(Serialize)]
struct TrackerLine {
    url: String,
    seeders: Option<u32>,
    leechers: Option<u32>,
    completed: Option<u32>,
    error: Option<String>,
}

/// Asks and prints.
pub(crate) fn run(env: &mut Env, general: &General, options: &Scrape) -> Outcome {
    options.tracker.iter().try_for_each(|url| session::check_tracker(url))?;
    net::take(env, general, &options.route)?;
    let mut lines = Vec::new();
    let mut failed = None;
    for argument in &options.torrents {
        match one(env, argument, options) {
            Ok(line) if general.json => lines.push(line),
            Ok(line) => print(env, &line)?,
            Err(failure) if options.torrents.len() == 1 => return Err(failure),
            Err(failure) => {
                failed.get_or_insert(failure.exit);
                let colour = crate::args::colour_of(env);
                let _ = env.err.write_all(failure.text(colour).as_bytes());
            }
        }
    }
    if general.json {
        env.result(events::pretty(&Document { v: 1, torrents: lines }))?;
    }
    Ok(failed.unwrap_or(Exit::Ok))
}

fn one(env: &mut Env, argument: &std::ffi::OsStr, options: &Scrape) -> Result<TorrentLine, Failure> {
    let asked = torrent_source::ask_about(env, argument, &options.tracker)?.needs_trackers(argument)?;
    let Asked { info_hashes, trackers, name, .. } = asked;
    let mut query = TrackerQuery::new(info_hashes, trackers);
    query.timeout = options.timeout.0;
    query.net = env.net();
    let answers = session::block_on(async { Ok(riverrun::scrape(&query).await) })?;
    if let Some((url, error)) = nobody_answered(&answers) {
        return Err(no_answer(url, error).input(argument.to_string_lossy()));
    }
    let trackers = answers.into_iter().map(tracker_line).collect();
    Ok(TorrentLine {
        input: shown(&argument.to_string_lossy()).into_owned(),
        name,
        info_hash: hash_text(info_hashes),
        trackers,
    })
}

/// The first error, if there are only errors.
fn nobody_answered(answers: &[ScrapeAnswer]) -> Option<(&str, &riverrun::TrackerError)> {
    let mut first = None;
    for answer in answers {
        match &answer.result {
            Ok(_) => return None,
            Err(error) => first = first.or(Some((answer.url.as_str(), error))),
        }
    }
    first
}

fn tracker_line(answer: ScrapeAnswer) -> TrackerLine {
    let url = shown(&answer.url).into_owned();
    match answer.result {
        Ok(counts) => TrackerLine {
            url,
            seeders: counts.seeders,
            leechers: counts.leechers,
            completed: counts.completed,
            error: None,
        },
        Err(error) => {
            TrackerLine { url, seeders: None, leechers: None, completed: None, error: Some(error_text(&error)) }
        }
    }
}

fn print(env: &mut Env, line: &TorrentLine) -> std::io::Result<()> {
    let name = line.name.as_deref().unwrap_or(&line.input);
    env.result(format_args!("{name}  {}", line.info_hash))?;
    for tracker in &line.trackers {
        let number = |number: Option<u32>| number.map_or("?".to_owned(), |number| number.to_string());
        match &tracker.error {
            Some(error) => env.result(format_args!("  {}  {error}", tracker.url))?,
            None => env.result(format_args!(
                "  {}  seeders {}  leechers {}  completed {}",
                tracker.url,
                number(tracker.seeders),
                number(tracker.leechers),
                number(tracker.completed)
            ))?,
        }
    }
    Ok(())
}
