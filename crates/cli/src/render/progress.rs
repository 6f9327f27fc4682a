//! What there is to show of a torrent on its way, and who shows it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::args::{General, ProgressChoice};
use crate::env::Env;
use crate::render::bar::{self, Look};
use crate::render::events;
use crate::render::painter::{Line, Painter};
use crate::render::plain;
use crate::units::{self, Scale};

/// A torrent as it is shown. Its texts are fit for display.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct View {
    /// Its name.
    pub(crate) name: String,
    /// Its info-hash, in hexadecimal digits.
    pub(crate) info_hash: String,
    /// Bytes wanted.
    pub(crate) total: u64,
    /// Bytes here.
    pub(crate) done: u64,
    /// Bytes that were here before it began, once that is known.
    pub(crate) found: Option<u64>,
    /// Bytes per second.
    pub(crate) down: u64,
    /// Bytes per second.
    pub(crate) up: u64,
    /// Connections.
    pub(crate) peers: usize,
    /// Peers known, connected or not.
    pub(crate) known: usize,
    /// Web seeds in use.
    pub(crate) web_seeds: usize,
    /// Time left.
    pub(crate) eta: Option<Duration>,
    /// What it does.
    pub(crate) stage: Stage,
    /// Why nothing has come for a while.
    pub(crate) waiting: Option<Reason>,
}

/// What a torrent does.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) enum Stage {
    /// Files are being opened.
    #[default]
    Opening,
    /// The metadata comes from peers.
    Metadata {
        /// Blocks here.
        have: u32,
        /// Blocks there are; 0 while nobody has said.
        blocks: u32,
        /// Peers that have it.
        peers: usize,
        /// What each tracker came to.
        sources: String,
    },
    /// What is on disk is being hashed.
    Checking {
        /// Bytes hashed.
        done: u64,
        /// Bytes to hash.
        total: u64,
    },
    /// Content is being hashed for a new torrent.
    Hashing {
        /// Bytes hashed.
        done: u64,
        /// Bytes to hash.
        total: u64,
    },
    /// Nobody is there yet.
    Looking {
        /// What each tracker came to.
        sources: String,
    },
    /// Bytes come, or should.
    Downloading,
    /// The last bytes are made to last.
    Finishing,
    /// Everything is here and shared.
    Sharing {
        /// Bytes sent for each byte of content.
        ratio: f64,
        /// When it ends.
        until: Option<String>,
    },
    /// The disk failed; it is tried again.
    Failed {
        /// Why.
        why: String,
    },
    /// On the way out.
    Stopping,
}

impl Stage {
    /// One word for it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::Metadata { .. } => "metadata",
            Self::Checking { .. } => "checking",
            Self::Hashing { .. } => "hashing",
            Self::Looking { .. } => "looking",
            Self::Downloading => "downloading",
            Self::Finishing => "finishing",
            Self::Sharing { .. } => "sharing",
            Self::Failed { .. } => "failed",
            Self::Stopping => "stopping",
        }
    }
}

/// How far the metadata is, in words.
pub(crate) fn metadata(have: u32, blocks: u32, peers: usize, sources: &str) -> String {
    let from = units::counted(peers as u64, "peer");
    match (blocks, sources) {
        (0, "") => "fetching metadata · looking for peers".to_owned(),
        (0, sources) => format!("fetching metadata · looking for peers · {sources}"),
        _ => format!("fetching metadata {have} of {} from {from}", units::counted(u64::from(blocks), "block")),
    }
}

/// Why nothing comes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Reason {
    /// One word, for machines.
    pub(crate) code: &'static str,
    /// A sentence, for people.
    pub(crate) text: String,
}

/// Shows progress in the way that was asked for.
#[derive(Debug)]
pub(crate) struct Progress {
    how: How,
    scale: Scale,
    /// Events for machines go to standard output.
    events: bool,
    quiet: bool,
    /// The least time between two lines or events about progress.
    interval: Duration,
    /// By info-hash.
    seen: BTreeMap<String, Seen>,
    /// For the speed of a check.
    check_began: Option<(Instant, u64)>,
}

#[derive(Debug)]
enum How {
    Bar { painter: Painter, look: Look },
    Lines,
    Nothing,
}

/// What was last said of a torrent.
#[derive(Clone, Debug, Default)]
struct Seen {
    word: &'static str,
    reason: Option<&'static str>,
    said: Option<Instant>,
    found: bool,
}

impl Progress {
    /// How often [`show`](Self::show) wants to be called.
    pub(crate) const TICK: Duration = Duration::from_millis(100);

    /// What suits the options and the streams.
    pub(crate) fn of(env: &Env, general: &General) -> Self {
        Self { events: general.json || general.progress == ProgressChoice::Json, ..Self::of_one_document(env, general) }
    }

    /// As [`of`](Self::of), for a command that prints one document at its end: no events.
    pub(crate) fn of_one_document(env: &Env, general: &General) -> Self {
        let terminal = env.err_screen.is_terminal() && env.var("TERM").is_none_or(|term| term != "dumb");
        let bar = || How::Bar { painter: Painter::default(), look: Look::of(env) };
        let how = match general.progress {
            _ if general.quiet => How::Nothing,
            // The log is written where the bar would be.
            ProgressChoice::Auto if general.verbose > 0 && general.log.is_none() => How::Lines,
            ProgressChoice::None | ProgressChoice::Json => How::Nothing,
            ProgressChoice::Plain => How::Lines,
            // A bar is drawn with control sequences, which belong on terminals alone.
            ProgressChoice::Bar | ProgressChoice::Auto if terminal => bar(),
            ProgressChoice::Auto if general.json => How::Nothing,
            ProgressChoice::Bar | ProgressChoice::Auto => How::Lines,
        };
        let interval = general.progress_interval.0.max(Duration::from_millis(10));
        Self {
            how,
            scale: general.scale(),
            events: false,
            quiet: general.quiet,
            interval,
            seen: BTreeMap::new(),
            check_began: None,
        }
    }

    /// Whether events for machines are written in place of sentences.
    pub(crate) fn for_machines(&self) -> bool {
        self.events
    }

    /// Whether people are told as well, in sentences on standard error.
    pub(crate) fn for_people(&self) -> bool {
        !self.events || !matches!(self.how, How::Nothing)
    }

    /// Shows how things are.
    pub(crate) fn show(&mut self, env: &mut Env, views: &[View], now: Instant) {
        self.tell_events(env, views, now);
        let speed = self.check_speed(views, now);
        match &mut self.how {
            How::Bar { painter, look } => {
                let columns = env.columns();
                let lines = bar::block(views, columns, env.rows(), look, self.scale, speed);
                let lines: Vec<Line> = if look.colour { lines } else { lines.iter().map(Line::uncoloured).collect() };
                let _ = painter.draw(&mut *env.err, &lines, columns);
            }
            How::Lines => {
                let several = views.len() > 1;
                for view in views {
                    let seen = self.seen.entry(view.info_hash.clone()).or_default();
                    let due = seen.said.is_none_or(|said| now.duration_since(said) >= self.interval);
                    let stage_changed = seen.word != view.stage.word();
                    let reason = view.waiting.as_ref().map(|reason| reason.code);
                    let reason_changed = reason.is_some() && seen.reason != reason;
                    if let Some(found) =
                        view.found.filter(|_| !std::mem::replace(&mut seen.found, view.found.is_some()))
                    {
                        let _ = writeln!(env.err, "{}", plain::found(view, found, self.scale));
                    }
                    if stage_changed && let Some(line) = plain::stage(view, several) {
                        let _ = writeln!(env.err, "{line}");
                    }
                    if due
                        && seen.said.is_some()
                        && let Some(line) = plain::progress(view, self.scale, several)
                    {
                        let _ = writeln!(env.err, "{line}");
                    }
                    if (reason_changed || due)
                        && let Some(reason) = &view.waiting
                    {
                        let _ = writeln!(env.err, "waiting   {}", reason.text);
                    }
                    if due || stage_changed {
                        seen.said = Some(now);
                    }
                    seen.word = view.stage.word();
                    seen.reason = reason;
                }
                let _ = env.err.flush();
            }
            How::Nothing => {
                for view in views {
                    let seen = self.seen.entry(view.info_hash.clone()).or_default();
                    seen.word = view.stage.word();
                    seen.reason = view.waiting.as_ref().map(|reason| reason.code);
                }
            }
        }
    }

    fn tell_events(&mut self, env: &mut Env, views: &[View], now: Instant) {
        if !self.events {
            return;
        }
        for view in views {
            let seen = self.seen.entry(view.info_hash.clone()).or_default();
            let due =
                seen.said.is_none_or(|said| now.duration_since(said) >= self.interval.min(Duration::from_secs(1)));
            if due || seen.word != view.stage.word() {
                seen.said = Some(now);
                let _ = env.result(events::progress(view));
            }
            if let Some(reason) = view.waiting.as_ref().filter(|reason| seen.reason != Some(reason.code)) {
                let _ = env.result(events::waiting(view, reason));
            }
        }
        let _ = env.out.flush();
    }

    /// Bytes hashed per second, while something is being checked.
    fn check_speed(&mut self, views: &[View], now: Instant) -> Option<u64> {
        let done: Vec<u64> = views
            .iter()
            .filter_map(|view| match view.stage {
                Stage::Checking { done, .. } | Stage::Hashing { done, .. } => Some(done),
                _ => None,
            })
            .collect();
        if done.is_empty() {
            self.check_began = None;
            return None;
        }
        let sum = done.iter().sum::<u64>();
        let (began, first) = *self.check_began.get_or_insert((now, sum));
        let millis = u64::try_from(now.duration_since(began).as_millis()).ok().filter(|millis| *millis >= 200)?;
        Some(sum.saturating_sub(first).saturating_mul(1000) / millis)
    }

    /// Writes a line above what is being redrawn.
    pub(crate) fn note(&mut self, env: &mut Env, line: &str) {
        if !self.quiet && self.for_people() {
            self.clear(env);
            env.say(line);
        }
    }

    /// Writes an event for machines, if they listen.
    pub(crate) fn event(&mut self, env: &mut Env, event: &str) {
        if self.events {
            let _ = env.result(event);
            let _ = env.out.flush();
        }
    }

    /// Takes the bar off the screen.
    pub(crate) fn clear(&mut self, env: &mut Env) {
        if let How::Bar { painter, .. } = &mut self.how {
            let columns = env.columns();
            let _ = painter.clear(&mut *env.err, columns);
        }
    }

    /// Whether lines about the end of a torrent are wanted on standard error.
    pub(crate) fn says_done(&self) -> bool {
        matches!(self.how, How::Lines)
    }
}
