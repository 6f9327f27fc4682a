//! Options of every command that meets peers.

use clap::Args;

use crate::args::Route;
use crate::failure::Failure;
use crate::units::Rate;

/// How to reach peers and how much to exchange with them.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Network")]
pub(crate) struct Network {
    /// Where to listen [default: any free port]
    #[arg(long, value_name = "[IP:]PORT")]
    pub(crate) listen: Option<String>,

    /// Ask this tracker too (repeatable)
    #[arg(long, value_name = "URL")]
    pub(crate) tracker: Vec<String>,

    /// Connect to this peer (repeatable)
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) peer: Vec<String>,

    /// The most connections [default: 200]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65535), hide_short_help = true)]
    pub(crate) max_peers: Option<u32>,

    /// Receive at most this per second: 500k, 2Mi, 8Mbit
    #[arg(short = 'D', long, value_name = "RATE")]
    pub(crate) down_limit: Option<Rate>,

    /// Send at most this per second
    #[arg(short = 'U', long, value_name = "RATE")]
    pub(crate) up_limit: Option<Rate>,

    /// Ask no tracker
    #[arg(long, hide_short_help = true)]
    pub(crate) no_trackers: bool,

    /// Do not use the DHT
    #[arg(long, hide_short_help = true)]
    pub(crate) no_dht: bool,

    /// Do not learn peers from peers
    #[arg(long, hide_short_help = true)]
    pub(crate) no_pex: bool,

    /// Do not look for peers on the local network
    #[arg(long, hide_short_help = true)]
    pub(crate) no_lsd: bool,

    /// Do not use uTP
    #[arg(long, hide_short_help = true)]
    pub(crate) no_utp: bool,

    /// Do not ask the router for an open port
    #[arg(long, hide_short_help = true)]
    pub(crate) no_port_map: bool,

    /// Encrypted connections: only off is there yet
    #[arg(long, value_name = "HOW", hide_short_help = true)]
    pub(crate) encryption: Option<String>,

    /// Which way, and to whom
    #[command(flatten)]
    pub(crate) route: Route,
}

impl Network {
    /// Refuses what only a later version can do.
    pub(crate) fn refuse_what_is_not_there(&self) -> Result<(), Failure> {
        match self.encryption.as_deref() {
            None | Some("off") => Ok(()),
            Some("prefer" | "require") => Err(Failure::not_yet("encryption (--encryption)")),
            Some(other) => Err(Failure::usage(format!("--encryption {other:?} is none of off, prefer, require"))),
        }
    }
}
