//! `riverrun stream`: plays one file while it comes, over HTTP on the loopback or on standard output.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, FromArgMatches as _};

use crate::args::{General, Network};
use crate::command::download::{self, Download, Serving};
use crate::env::Env;
use crate::failure::{Failure, Outcome};

/// Options of `stream`.
#[derive(Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Stream {
    /// A .torrent file, its http(s) URL, a magnet link, an info-hash, or - for standard input
    #[arg(value_name = "TORRENT")]
    pub(crate) torrent: OsString,

    /// Get and play only this file: its number, or a pattern such as '*.mkv'
    ///
    /// Without it all files are got, and the URL is that of the largest that can be played.
    #[arg(long, value_name = "WHICH", help_heading = "Play")]
    pub(crate) file: Option<String>,

    /// Serve on this port of 127.0.0.1 [default: any free port]
    #[arg(long, value_name = "PORT", help_heading = "Play")]
    pub(crate) port: Option<u16>,

    /// Open the URL with the program that the system has for it
    #[arg(long, help_heading = "Play")]
    pub(crate) open: bool,

    /// Put it there, like the target of cp -r; - is standard output, for one file
    #[arg(short, long, value_name = "OUTPUT", help_heading = "Place")]
    pub(crate) output: Option<PathBuf>,

    /// Put it into this folder [default: .]
    #[arg(short, long, value_name = "DIR", help_heading = "Place")]
    pub(crate) dir: Option<PathBuf>,

    /// Replace what is in its place and is something else
    #[arg(long, help_heading = "Place")]
    pub(crate) overwrite: bool,

    /// How to reach peers
    #[command(flatten)]
    pub(crate) network: Network,
}

const EXAMPLES: &str = "\
Examples:
  riverrun stream film.torrent                    prints a URL for any player
  riverrun stream --open film.torrent             opens it as well
  riverrun stream --file '*.mkv' season.torrent   one file of several
  riverrun stream -o - song.torrent | player      to standard output, in order

What the player reads next is asked for before all else. The download goes on to its end and is shared until Ctrl-C; the same
command goes on where an earlier run stopped. Only programs on this machine can connect.";

/// Downloads, and serves meanwhile.
pub(crate) fn run(env: &mut Env, general: &General, options: &Stream) -> Outcome {
    let usual = Download::augment_args(clap::Command::new("stream").no_binary_name(true));
    let usual = usual.try_get_matches_from(["x"]).and_then(|matches| Download::from_arg_matches(&matches));
    let mut download = usual.map_err(|error| Failure::internal(error.to_string()))?;
    let to_output = options.output.as_deref() == Some(Path::new("-"));
    if to_output && (options.port.is_some() || options.open) {
        return Err(Failure::usage("\"-o -\" needs no URL: it does not go with --port and --open"));
    }
    download.torrents = vec![options.torrent.clone()];
    download.output = options.output.clone();
    download.dir = options.dir.clone();
    download.overwrite = options.overwrite;
    download.files = options.file.iter().cloned().collect();
    download.network = options.network.clone();
    if to_output {
        download.sequential = true;
    } else {
        download.seed = true;
        download.serving = Some(Serving { port: options.port.unwrap_or(0), open: options.open });
    }
    download::run(env, general, &download)
}
