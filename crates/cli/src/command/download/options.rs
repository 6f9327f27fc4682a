//! Options of `download`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use riverrun::storage::PartSuffix;

use super::hook::Hook;
use super::run::Serving;
use crate::args::{Network, SeedEnd};
use crate::failure::Failure;
use crate::units::Span;

/// Options of `download`.
#[derive(Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Download {
    /// A .torrent file, its http(s) URL, a magnet link, an info-hash, or - for standard input
    #[arg(value_name = "TORRENT", required = true)]
    pub(crate) torrents: Vec<OsString>,

    /// Put it there, like the target of cp -r
    ///
    /// A path that ends in / or is a folder gets the content into it; any other path is the content itself: the file, or the
    /// folder in place of the torrent's own name. - is standard output, for one file: that of --files, if the torrent has several.
    #[arg(short, long, value_name = "OUTPUT", help_heading = "Place")]
    pub(crate) output: Option<PathBuf>,

    /// Put it into this folder [default: .]
    #[arg(short, long, value_name = "DIR", help_heading = "Place")]
    pub(crate) dir: Option<PathBuf>,

    /// Replace what is in its place and is something else
    #[arg(long, help_heading = "Place")]
    pub(crate) overwrite: bool,

    /// Believe the record of an earlier run in place of hashing what is there
    #[arg(long, help_heading = "Place", hide_short_help = true)]
    pub(crate) no_verify: bool,

    /// How much of the disk to take at the start: none, sparse or full [default: sparse]
    #[arg(long, value_name = "HOW", help_heading = "Place", hide_short_help = true, hide_possible_values = true)]
    pub(crate) preallocate: Option<Preallocate>,

    /// Put this behind the names of files that are not complete, such as .part
    #[arg(long, value_name = "SUFFIX", value_parser = part_suffix, help_heading = "Place", hide_short_help = true)]
    pub(crate) part_suffix: Option<PartSuffix>,

    /// Only these files: 1,3-5 or '*.flac'
    #[arg(long, value_name = "WHICH", value_delimiter = ',', help_heading = "Content")]
    pub(crate) files: Vec<String>,

    /// All but these files
    #[arg(long, value_name = "WHICH", value_delimiter = ',', help_heading = "Content", hide_short_help = true)]
    pub(crate) exclude: Vec<String>,

    /// List the files, mark those that --files and --exclude leave, and stop
    #[arg(short, long, help_heading = "Content")]
    pub(crate) list: bool,

    /// Ask for pieces in order
    #[arg(long, help_heading = "Content")]
    pub(crate) sequential: bool,

    /// Keep sharing when it is complete
    #[arg(long, help_heading = "End")]
    pub(crate) seed: bool,

    /// How long
    #[command(flatten)]
    pub(crate) seed_end: SeedEnd,

    /// Stop after this time (exit code 7)
    #[arg(long, value_name = "DUR", help_heading = "End")]
    pub(crate) max_time: Option<Span>,

    /// Give up when nothing comes this long (code 6)
    ///
    /// Without it, a run on a terminal never gives up, and any other does after 10m. 0 is never. Where there are web seeds
    /// alone, and none of them is of any use any more, the end comes at once.
    #[arg(long, value_name = "DUR", help_heading = "End")]
    pub(crate) stall_timeout: Option<Span>,

    /// Give up when no peer is met within this time at the start (exit code 6)
    #[arg(long, value_name = "DUR", help_heading = "End", hide_short_help = true)]
    pub(crate) wait_peers: Option<Span>,

    /// Run this when it is complete
    ///
    /// The command is cut into arguments as a shell does it, but no shell runs it. {path}, {name} and {hash} are filled in;
    /// RIVERRUN_TORRENT_PATH, _NAME, _HASH and _BYTES are in its environment.
    #[arg(long, value_name = "CMD", help_heading = "End")]
    pub(crate) exec: Option<Hook>,

    /// With several torrents: stop at the first that fails
    #[arg(long, help_heading = "End", hide_short_help = true)]
    pub(crate) fail_fast: bool,

    /// Get the files from this web server too (repeatable)
    ///
    /// Besides those that the torrent names. A URL that ends in / is the folder in which the torrent's own file or folder lies; any other is
    /// that of the one file, or again the folder. It may be on this machine, where a torrent may not send us by itself.
    #[arg(long, value_name = "URL", help_heading = "Network", value_parser = web_seed, hide_short_help = true)]
    pub(crate) web_seed: Vec<String>,

    /// How to reach peers
    #[command(flatten)]
    pub(crate) network: Network,

    /// Give the files to players meanwhile: what `stream` does.
    #[arg(skip)]
    pub(crate) serving: Option<Serving>,
}

const EXAMPLES: &str = "\
Examples:
  riverrun download album.torrent                 into the current folder
  riverrun download 'magnet:?xt=urn:btih:…'       from a magnet link; the quotes keep the shell off it
  riverrun download -o music/ album.torrent       into music/album
  riverrun download -o live album.torrent         as live, in place of the torrent's own name
  riverrun download --files '*.flac' a.torrent    only some files
  riverrun download -o - video.torrent | player   to standard output, in order
  riverrun download --seed-ratio 1.0 a.torrent    give back as much as was taken

The same command goes on where an earlier run stopped, and says \"already complete\" when nothing is left to do.";

/// How much of the disk is taken at the start.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Preallocate {
    /// Files grow.
    None,
    /// Files have their length, and holes; small ones come with their bytes.
    Sparse,
    /// All blocks are taken.
    Full,
}

impl From<Preallocate> for riverrun::Preallocate {
    fn from(how: Preallocate) -> Self {
        match how {
            Preallocate::None => Self::None,
            Preallocate::Sparse => Self::Sparse,
            Preallocate::Full => Self::Full,
        }
    }
}

impl Download {
    /// Refuses what does not go together.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if self.output.as_deref() == Some(std::path::Path::new("-")) && self.keeps_seeding() {
            return Err(Failure::usage("\"-o -\" and sharing afterwards do not go together"));
        }
        Ok(())
    }

    /// Whether sharing goes on after the end.
    pub(crate) fn keeps_seeding(&self) -> bool {
        self.seed || self.seed_end.limits().is_set()
    }

    /// How long nothing may come; `None` is for ever.
    pub(crate) fn stall_timeout(&self, terminal: bool) -> Option<Duration> {
        match self.stall_timeout {
            Some(Span(Duration::ZERO)) => None,
            Some(Span(time)) => Some(time),
            None if terminal => None,
            None => Some(Duration::from_secs(600)),
        }
    }
}

fn web_seed(text: &str) -> Result<String, String> {
    riverrun::metainfo::url::check_web(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

fn part_suffix(text: &str) -> Result<PartSuffix, String> {
    PartSuffix::new(text).map_err(|error| format!("{error}: write it like .part"))
}
