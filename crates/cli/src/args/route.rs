//! How others are reached, and whom: for every command that meets peers or asks trackers.

use std::path::PathBuf;

use clap::Args;
use riverrun::{BadProxy, Interface, Proxy};

/// A proxy, or none at all.
#[derive(Clone, Debug)]
pub(crate) enum ProxyChoice {
    /// Nor that of the environment.
    None,
    /// This one.
    Through(Proxy),
}

fn proxy(text: &str) -> Result<ProxyChoice, BadProxy> {
    match text {
        "" | "none" => Ok(ProxyChoice::None),
        text => text.parse().map(ProxyChoice::Through),
    }
}

/// Which way, and to whom.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Network")]
pub(crate) struct Route {
    /// Meet nobody outside of this machine and its local networks
    ///
    /// Peers, trackers and web servers with other addresses are neither asked nor answered, and no name is looked up that is not one of
    /// the local network (without a dot, or under .local, .lan, .internal, .home.arpa).
    #[arg(long, hide_short_help = true)]
    pub(crate) offline: bool,

    /// Refuse the peers on this list
    ///
    /// ipfilter.dat of eMule, text of PeerGuardian (P2P), or networks like 192.0.2.0/24, one a line; IPv4 and IPv6; plain or gzip.
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) ip_filter: Option<PathBuf>,

    /// Use this device or local address alone
    ///
    /// Everything is bound to it: connections, listening, UDP, HTTP. When it goes away, downloads wait; nothing takes another way. Only
    /// names are looked up by the system as ever.
    #[arg(long, value_name = "DEV|IP", hide_short_help = true)]
    pub(crate) interface: Option<Interface>,

    /// Go through this proxy: socks5://[USER:PASSWORD@]HOST[:PORT] or http://...
    ///
    /// Peers, trackers and torrents from the web are reached through it alone, and it looks their names up. UDP trackers take SOCKS5; the DHT
    /// and local discovery are off; nobody can connect to us unless --listen says so. RIVERRUN_PROXY keeps a password out of the list of
    /// processes. Without it, http_proxy, https_proxy, all_proxy and no_proxy are followed for trackers and torrents from the web, as
    /// curl does; none (or an empty text) switches that off.
    #[arg(long, value_name = "URL", value_parser = proxy, hide_short_help = true)]
    pub(crate) proxy: Option<ProxyChoice>,

    /// Say nothing of the program
    ///
    /// A random peer id, no client's name in handshakes, no user agent, no local discovery, no DHT, no address in the magnet link of seed. The
    /// address is not hidden: that takes --proxy. How the program speaks (its extensions, its timing) is not hidden either.
    #[arg(long, hide_short_help = true)]
    pub(crate) anonymous: bool,
}

impl Route {
    /// Whether anything is asked for: a command that needs no network most of the time looks at the environment only then.
    pub(crate) fn is_given(&self) -> bool {
        self.offline || self.ip_filter.is_some() || self.interface.is_some() || self.proxy.is_some() || self.anonymous
    }
}
