//! `riverrun tracker`: a small tracker, over HTTP and UDP.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use riverrun::metainfo::WireHash;
use riverrun::{TrackerBuilder, TrackerStats};
use serde::Serialize;

use crate::args::{General, ProgressChoice};
use crate::command::own_addresses;
use crate::command::session::{self, Signals};
use crate::env::Env;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome, reason};
use crate::render::painter::{Line, Painter, Style};
use crate::render::{events, shown};
use crate::torrent_source;
use crate::units::{Span, counted};

/// Options of `tracker`.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  riverrun tracker                                  any torrent, port 6969, HTTP and UDP
  riverrun tracker --allow album.torrent            this torrent alone
  riverrun tracker --listen 127.0.0.1:0 --udp       a free port, UDP alone

A peer is where its announce came from: behind a proxy for HTTP, all peers would seem to be the proxy.")]
pub(crate) struct Tracker {
    /// Where to listen, HTTP and UDP on one port (repeatable) [default: 6969]
    #[arg(long, value_name = "[IP:]PORT")]
    listen: Vec<String>,

    /// HTTP alone
    #[arg(long, conflicts_with = "udp")]
    http: bool,

    /// UDP alone
    #[arg(long)]
    udp: bool,

    /// How often peers come again
    ///
    /// Who has not come for twice as long has gone.
    #[arg(long, value_name = "DUR", default_value = "30m")]
    interval: Span,

    /// Serve this torrent; with it, no other (repeatable)
    #[arg(long, value_name = "TORRENT")]
    allow: Vec<OsString>,

    /// Serve the info-hashes in this file, one a line
    #[arg(long, value_name = "FILE")]
    allow_list: Option<PathBuf>,

    /// Tell all torrents to who asks for all
    #[arg(long, hide_short_help = true)]
    full_scrape: bool,

    /// The most peers to keep [default: 250000]
    ///
    /// For one more, the one that has been silent for longest goes.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    max_peers: Option<u32>,
}

/// The port that trackers are known for.
const PORT: u16 = 6969;
/// The shortest `--interval`: clients announce themselves once a minute at most.
const MIN_INTERVAL: Duration = Duration::from_secs(60);
/// The longest.
const MAX_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest list of info-hashes that is read, in bytes.
const MAX_LIST: u64 = 64 << 20;

/// Serves until it is stopped.
pub(crate) fn run(env: &mut Env, general: &General, options: &Tracker) -> Outcome {
    let allowed = allowed(env, options)?;
    let builder = builder(options, allowed.clone())?;
    let what = match &allowed {
        None => "any torrent".to_owned(),
        Some(torrents) if torrents.len() == 1 => "1 info-hash".to_owned(),
        Some(torrents) => format!("{} info-hashes", torrents.len()),
    };
    session::block_on(async {
        let mut signals = Signals::listen()?;
        let tracker = builder.start().await.map_err(|error| {
            session::listen_failure(&error, "--listen with another port, or with port 0 for any that is free")
        })?;
        let mut show = Show::of(env, general);
        introduce(env, general, &tracker, &what)?;
        show.stats(env, &tracker.stats())?;
        let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + show.every(), show.every());
        let exit = loop {
            tokio::select! {
                _ = tick.tick() => show.stats(env, &tracker.stats())?,
                exit = signals.next() => break exit,
            }
        };
        let stats = tracker.stats();
        tracker.stop().await;
        show.end(env, general, &stats)?;
        Ok(exit)
    })
}

fn builder(options: &Tracker, allowed: Option<BTreeSet<WireHash>>) -> Result<TrackerBuilder, Failure> {
    if !(MIN_INTERVAL..=MAX_INTERVAL).contains(&options.interval.0) {
        return Err(Failure::usage("--interval of a tracker is from 1m to 24h"));
    }
    let mut listen = Vec::new();
    for text in &options.listen {
        listen.extend(session::listen_addrs(text)?);
    }
    if listen.is_empty() {
        listen = [IpAddr::from(Ipv6Addr::UNSPECIFIED), Ipv4Addr::UNSPECIFIED.into()]
            .map(|ip| SocketAddr::new(ip, PORT))
            .to_vec();
    }
    let mut builder = riverrun::Tracker::builder()
        .listen(listen)
        .protocols(!options.udp, !options.http)
        .interval(options.interval.0)
        .full_scrape(options.full_scrape);
    if let Some(peers) = options.max_peers {
        builder = builder.max_peers(peers as usize);
    }
    Ok(match allowed {
        Some(torrents) => builder.allow_only(torrents),
        None => builder,
    })
}

/// The torrents that are served; `None` for all.
fn allowed(env: &mut Env, options: &Tracker) -> Result<Option<BTreeSet<WireHash>>, Failure> {
    if options.allow.is_empty() && options.allow_list.is_none() {
        return Ok(None);
    }
    let mut torrents = BTreeSet::new();
    for argument in &options.allow {
        torrents.extend(torrent_source::look_up(env, argument)?.info_hashes.wire_all());
    }
    if let Some(path) = &options.allow_list {
        read_list(path, &mut torrents)?;
    }
    Ok(Some(torrents))
}

fn read_list(path: &Path, torrents: &mut BTreeSet<WireHash>) -> Result<(), Failure> {
    let name = shown(&path.to_string_lossy()).into_owned();
    let unreadable = |error: std::io::Error| Failure::new(Exit::NotFound, format!("{name}: {}", reason(&error)));
    if std::fs::metadata(path).map_err(unreadable)?.len() > MAX_LIST {
        return Err(Failure::new(Exit::Invalid, format!("{name} is longer than 64 MiB")));
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    for (number, line) in (1..).zip(text.lines()) {
        // What stands behind the hash is a note.
        let Some(word) = line.split_whitespace().next().filter(|word| !word.starts_with('#')) else { continue };
        let hashes = torrent_source::parse_info_hash(word)
            .map_err(|failure| Failure::new(Exit::Invalid, format!("{name} line {number}: {}", failure.message)))?;
        torrents.extend(hashes.wire_all());
    }
    Ok(())
}

fn introduce(env: &mut Env, general: &General, tracker: &riverrun::Tracker, what: &str) -> Result<(), Failure> {
    let http = urls("http", tracker.http_addrs());
    let udp = urls("udp", tracker.udp_addrs());
    if !general.quiet && !general.json {
        let port = tracker.http_addrs().iter().chain(tracker.udp_addrs()).next().map_or(0, SocketAddr::port);
        env.say(format_args!("tracker for {what} on port {port}"));
    }
    if general.json {
        env.result(events::document(&Listening { v: 1, event: "listening", http, udp }))?;
    } else {
        http.iter().chain(&udp).try_for_each(|url| env.result(url))?;
    }
    Ok(env.out.flush()?)
}

/// The announce URLs of these sockets, with real addresses in place of "any".
fn urls(scheme: &str, addrs: &[SocketAddr]) -> Vec<String> {
    let real = own_addresses::of(addrs).into_iter();
    real.map(|addr| format!("{scheme}://{addr}/announce")).collect()
}

#[derive(Serialize)]
struct Listening {
    v: u8,
    event: &'static str,
    http: Vec<String>,
    udp: Vec<String>,
}

/// The numbers, for machines.
#[derive(Serialize)]
struct Numbers {
    v: u8,
    event: &'static str,
    swarms: usize,
    peers: usize,
    seeds: u32,
    http_announces: u64,
    udp_announces: u64,
    scrapes: u64,
    refused: u64,
}

impl Numbers {
    fn of(event: &'static str, stats: &TrackerStats) -> Self {
        Self {
            v: 1,
            event,
            swarms: stats.swarms,
            peers: stats.peers_v4 + stats.peers_v6,
            seeds: stats.seeds,
            http_announces: stats.counts.http_announces,
            udp_announces: stats.counts.udp_announces,
            scrapes: stats.counts.scrapes,
            refused: stats.counts.refused,
        }
    }
}

/// How the numbers are shown while it runs.
#[derive(Debug)]
struct Show {
    how: How,
    interval: Duration,
    last: Option<(Instant, TrackerStats)>,
}

#[derive(Debug)]
enum How {
    /// A line that is drawn again and again.
    Drawn {
        painter: Painter,
        colour: bool,
    },
    /// A line when they have changed.
    Lines,
    /// A document when they have changed.
    Documents,
    Nothing,
}

impl Show {
    fn of(env: &Env, general: &General) -> Self {
        let terminal = env.err_screen.is_terminal() && env.var("TERM").is_none_or(|term| term != "dumb");
        let how = match general.progress {
            _ if general.json => How::Documents,
            _ if general.quiet => How::Nothing,
            ProgressChoice::None | ProgressChoice::Json => How::Nothing,
            ProgressChoice::Auto if general.verbose > 0 && general.log.is_none() => How::Lines,
            ProgressChoice::Auto | ProgressChoice::Bar if terminal => {
                How::Drawn { painter: Painter::default(), colour: crate::args::colour_of(env) }
            }
            _ => How::Lines,
        };
        Self { how, interval: general.progress_interval.0.max(Duration::from_millis(10)), last: None }
    }

    fn every(&self) -> Duration {
        match self.how {
            How::Drawn { .. } => Duration::from_secs(1),
            _ => self.interval,
        }
    }

    fn stats(&mut self, env: &mut Env, stats: &TrackerStats) -> Result<(), Failure> {
        let now = Instant::now();
        let before = self.last.replace((now, *stats));
        let changed = before.is_none_or(|(_, before)| before != *stats);
        match &mut self.how {
            How::Drawn { painter, colour } => {
                let line = drawn(stats, before.map(|(then, before)| (now - then, before)));
                let line = if *colour { line } else { line.uncoloured() };
                let columns = env.columns();
                painter.draw(&mut env.err, &[line], columns)?;
            }
            How::Lines if changed => env.say(sentence(stats)),
            How::Documents if changed => {
                env.result(events::document(&Numbers::of("stats", stats)))?;
                env.out.flush()?;
            }
            How::Lines | How::Documents | How::Nothing => {}
        }
        Ok(())
    }

    fn end(&mut self, env: &mut Env, general: &General, stats: &TrackerStats) -> Result<(), Failure> {
        if let How::Drawn { painter, .. } = &mut self.how {
            let columns = env.columns();
            painter.clear(&mut env.err, columns)?;
        }
        if general.json {
            env.result(events::document(&Numbers::of("stopped", stats)))?;
        } else if !general.quiet {
            env.say(format_args!("stopped; {}", sentence(stats)));
        }
        Ok(())
    }
}

/// As `2 swarms, 10 peers (3 seeds); 40 announces, 1 scrape, 0 refused`.
fn sentence(stats: &TrackerStats) -> String {
    let counts = &stats.counts;
    format!(
        "{}, {} ({}); {}, {}, {} refused",
        counted(stats.swarms as u64, "swarm"),
        counted((stats.peers_v4 + stats.peers_v6) as u64, "peer"),
        counted(stats.seeds.into(), "seed"),
        counted(counts.http_announces + counts.udp_announces, "announce"),
        counted(counts.scrapes, "scrape"),
        counts.refused
    )
}

/// The line on a terminal: with announces per second since the last one.
fn drawn(stats: &TrackerStats, before: Option<(Duration, TrackerStats)>) -> Line {
    let announces = |stats: &TrackerStats| stats.counts.http_announces + stats.counts.udp_announces;
    let rate = before.map_or(0, |(time, before)| {
        let more = announces(stats) - announces(&before);
        u64::try_from(u128::from(more) * 1000 / time.as_millis().max(1)).unwrap_or(u64::MAX)
    });
    let peers = counted((stats.peers_v4 + stats.peers_v6) as u64, "peer");
    Line::default()
        .with(Style::Strong, counted(stats.swarms as u64, "swarm"))
        .text(format!("  {peers}, {}", counted(stats.seeds.into(), "seed")))
        .with(Style::Good, format!("  {rate} announces/s"))
        .with(Style::Faint, format!("  {} refused", stats.counts.refused))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_on_a_terminal_has_the_rate_since_the_last() {
        let mut before = TrackerStats::default();
        before.counts.udp_announces = 100;
        let mut stats = TrackerStats { swarms: 1, peers_v4: 2, peers_v6: 1, seeds: 1, ..before };
        stats.counts.udp_announces = 150;
        stats.counts.http_announces = 10;
        let line = drawn(&stats, Some((Duration::from_millis(500), before))).uncoloured().cut(100);
        assert_eq!(line, "1 swarm  3 peers, 1 seed  120 announces/s  0 refused");
        assert_eq!(sentence(&stats), "1 swarm, 3 peers (1 seed); 160 announces, 0 scrapes, 0 refused");
    }
}
