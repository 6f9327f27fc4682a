//! Options of every command that meets peers.

use std::path::PathBuf;

use clap::Args;

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

    /// Meet nobody outside of this machine and its local network (not there yet)
    #[arg(long, hide = true)]
    pub(crate) offline: bool,

    /// Bind to a device or address (not there yet)
    #[arg(long, value_name = "DEV|IP", hide = true)]
    pub(crate) interface: Option<String>,

    /// Go through a proxy (not there yet)
    #[arg(long, value_name = "URL", hide = true)]
    pub(crate) proxy: Option<String>,

    /// Refuse addresses on a list (not there yet)
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) ip_filter: Option<PathBuf>,

    /// Tell as little as possible (not there yet)
    #[arg(long, hide = true)]
    pub(crate) anonymous: bool,
}

impl Network {
    /// Refuses what only a later version can do.
    pub(crate) fn refuse_what_is_not_there(&self) -> Result<(), Failure> {
        match self.encryption.as_deref() {
            None | Some("off") => {}
            Some("prefer" | "require") => return Err(Failure::not_yet("encryption (--encryption)")),
            Some(other) => {
                return Err(Failure::usage(format!("--encryption {other:?} is none of off, prefer, require")));
            }
        }
        let later = [
            (self.interface.is_some(), "binding to an interface (--interface)"),
            (self.proxy.is_some(), "going through a proxy (--proxy)"),
            (self.ip_filter.is_some(), "filtering addresses (--ip-filter)"),
            (self.offline, "staying on the local network (--offline)"),
            (self.anonymous, "anonymous mode (--anonymous)"),
        ];
        match later.iter().find(|(asked, _)| *asked) {
            Some((_, what)) => Err(Failure::not_yet(what)),
            None => Ok(()),
        }
    }
}
