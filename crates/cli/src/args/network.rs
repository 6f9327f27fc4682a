//! Options of every command that meets peers.

use clap::{Args, ValueEnum};

use crate::args::Route;
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

    /// Peers on this machine and on private networks are free of both limits
    #[arg(long, hide_short_help = true)]
    pub(crate) lan_unlimited: bool,

    /// Ask no tracker
    #[arg(long, hide_short_help = true)]
    pub(crate) no_trackers: bool,

    /// Do not use the DHT
    #[arg(long, hide_short_help = true)]
    pub(crate) no_dht: bool,

    /// Ask this node of the DHT when no other is known, in place of the usual ones (repeatable; none for nobody)
    #[arg(long, value_name = "HOST:PORT", hide_short_help = true)]
    pub(crate) dht_router: Vec<String>,

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

    /// Make connections look like noise: off, prefer or require [default: prefer]
    ///
    /// prefer hides the handshake from peers that can, encrypts the rest where the peer insists, and takes plaintext from whoever has
    /// nothing else. require talks to nobody but in encrypted form. It is no secrecy: who knows the torrent can listen in.
    #[arg(long, value_name = "HOW", hide_short_help = true, hide_possible_values = true)]
    pub(crate) encryption: Option<Encryption>,

    /// Whom to serve first once all is here: round-robin, fastest, rarest-need or anti-leech [default: round-robin]
    ///
    /// round-robin serves each for a turn, who waits longest next. fastest serves whoever takes fastest. rarest-need serves whoever lacks
    /// most of what fewest have. anti-leech serves who has just begun or is nearly done, before those who can trade.
    #[arg(long, value_name = "MODE", hide_short_help = true, hide_possible_values = true)]
    pub(crate) seed_choker: Option<SeedChoker>,

    /// Which way, and to whom
    #[command(flatten)]
    pub(crate) route: Route,
}

/// How much connections are to look like noise.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Encryption {
    /// Not at all.
    Off,
    /// Where the peer can.
    Prefer,
    /// Or there is no connection.
    Require,
}

impl From<Encryption> for riverrun::Encryption {
    fn from(how: Encryption) -> Self {
        match how {
            Encryption::Off => Self::Off,
            Encryption::Prefer => Self::Prefer,
            Encryption::Require => Self::Require,
        }
    }
}

/// Whom a seed serves first.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum SeedChoker {
    /// Each for a turn.
    RoundRobin,
    /// Whoever takes fastest.
    Fastest,
    /// Whoever lacks most of what is rare.
    RarestNeed,
    /// Whoever has just begun or is nearly done.
    AntiLeech,
}

impl From<SeedChoker> for riverrun::SeedChoker {
    fn from(mode: SeedChoker) -> Self {
        match mode {
            SeedChoker::RoundRobin => Self::RoundRobin,
            SeedChoker::Fastest => Self::Fastest,
            SeedChoker::RarestNeed => Self::RarestNeed,
            SeedChoker::AntiLeech => Self::AntiLeech,
        }
    }
}
