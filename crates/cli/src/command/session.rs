//! What every command that meets peers does first: signals, a session, addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use riverrun::proto::address::Refusal;
use riverrun::{Net, Session, Settings, StartError};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::{General, Network};
use crate::command::port_owner;
use crate::env::{Env, Places};
use crate::exit::Exit;
use crate::failure::{Failure, reason};
use crate::render::shown;

/// The wish of the user, or of the system, that we go.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Listens from now on: the program does not end by itself any more.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let of = |kind| signal(kind).map_err(|error| Failure::internal(format!("cannot listen to signals: {error}")));
        Ok(Self { interrupt: of(SignalKind::interrupt())?, terminate: of(SignalKind::terminate())? })
    }

    /// The next one, as the way to end.
    pub(crate) async fn next(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
        }
    }
}

/// Runs `work` on a runtime of its own, to its end or to the moment it is dropped.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = runtime()?;
    let result = runtime.block_on(Box::pin(work));
    // Nothing that still runs is worth waiting for: sessions were shut down before.
    runtime.shutdown_background();
    result
}

/// A runtime on which something goes on while others work.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    raise_descriptors();
    reserve_descriptors();
    let made = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    made.map_err(|error| Failure::internal(format!("no threads from the system: {error}")))
}

/// Takes all the file descriptors that the system lets us have: the usual 1,024 are for programs that use select(2), and are too few
/// for thousands of connections.
fn raise_descriptors() {
    let mut limits = getrlimit(Resource::Nofile);
    if limits.current != limits.maximum {
        limits.current = limits.maximum;
        // Where the system says no, there are as many as there were.
        let _ = setrlimit(Resource::Nofile, limits);
    }
}

/// So many descriptors are room for the files that are held open (1,024 at most) and for as many sockets.
const USUAL_DESCRIPTORS: u64 = 2048;

/// Makes the system's table of our descriptors as long as it will usually be. It grows when a higher number is taken, by doubling, and in a
/// program with threads Linux waits for all cores each time (`synchronize_rcu`, 5 to 20 ms), and whoever opens a file waits with it: a
/// download of thousands of files stood still four times. Now, before there are threads, nobody waits.
fn reserve_descriptors() {
    let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let highest = USUAL_DESCRIPTORS.min(limit).saturating_sub(1);
    // Where it cannot be had the table grows later, as it would.
    let _ = i32::try_from(highest).map(|highest| rustix::io::fcntl_dupfd_cloexec(std::io::stderr(), highest));
}

/// The settings that the network options ask for.
pub(crate) fn settings(env: &Env, network: &Network, state: Option<PathBuf>) -> Result<Settings, Failure> {
    let mut settings = Settings { state_dir: state, net: env.net(), ..Settings::default() };
    if let Some(listen) = &network.listen {
        settings.listen = listen_addrs(listen)?;
    } else if settings.net.proxy.is_some() {
        // Who comes directly would see what the proxy hides.
        settings.listen = Vec::new();
    }
    if let Some(max) = network.max_peers {
        settings.max_connections_per_torrent = max as usize;
        settings.max_connections = settings.max_connections.max(max as usize);
    }
    settings.pex = !network.no_pex;
    settings.lsd = !network.no_lsd;
    settings.dht.on = !network.no_dht;
    if let Some(routers) = routers(&network.dht_router)? {
        settings.dht.routers = routers;
    }
    settings.encryption = network.encryption.map(Into::into).unwrap_or_default();
    settings.seed_choker = network.seed_choker.map(Into::into).unwrap_or_default();
    settings.down_limit = network.down_limit.and_then(|rate| rate.0);
    settings.up_limit = network.up_limit.and_then(|rate| rate.0);
    settings.lan_unlimited = network.lan_unlimited;
    Ok(settings)
}

/// The nodes of the DHT that the user names in place of the usual ones.
pub(crate) fn routers(named: &[String]) -> Result<Option<Vec<(String, u16)>>, Failure> {
    let router = |text: &String| {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.trim_matches(['[', ']']);
        Some((host.to_owned(), port.parse().ok().filter(|port| *port != 0)?)).filter(|_| !host.is_empty())
    };
    let wrong = |text: &String| Failure::usage(format!("--dht-router {:?} is not HOST:PORT", shown(text)));
    match named {
        [] => Ok(None),
        [none] if none == "none" => Ok(Some(Vec::new())),
        named => named.iter().map(|text| router(text).ok_or_else(|| wrong(text))).collect::<Result<_, _>>().map(Some),
    }
}

/// Starts a session.
pub(crate) async fn start(settings: Settings) -> Result<Session, Failure> {
    let help = "--listen with another port, or without --listen any free one is taken";
    Session::builder().settings(settings).start().await.map_err(|error| listen_failure(&error, help))
}

/// Why nothing listens; `help` says what to do about a port that is taken.
pub(crate) fn listen_failure(error: &StartError, help: &str) -> Failure {
    match error {
        StartError::Listen { addr, source } if source.kind() == std::io::ErrorKind::AddrInUse => {
            let owner = port_owner::of(addr.port()).map(|owner| format!(" by {owner}")).unwrap_or_default();
            Failure::usage(format!("cannot listen on port {}: in use{owner}", addr.port())).help(help)
        }
        StartError::Listen { addr, source } => Failure::usage(format!("cannot listen on {addr}: {}", reason(source))),
        StartError::StateDir { path, source } => Failure::new(
            Exit::Storage,
            format!("cannot use the state folder {}: {}", shown(&path.to_string_lossy()), reason(source)),
        )
        .help("--home DIR keeps all state in another folder"),
        StartError::Interface(error) => {
            Failure::usage(format!("--interface: {}", shown(&crate::command::watch::chain(error))))
        }
        other => Failure::internal(crate::command::watch::chain(other)),
    }
}

/// The folder of the program's state, if the system has a place for it.
pub(crate) fn state_dir(env: &Env, general: &General) -> Option<PathBuf> {
    Places::find(env, general.home.as_deref()).map(|places| places.state)
}

/// Where `[IP:]PORT` means to listen: without an address, on every address of both families.
pub(crate) fn listen_addrs(text: &str) -> Result<Vec<SocketAddr>, Failure> {
    let any = |port| {
        vec![
            SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port),
            SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port),
        ]
    };
    if let Ok(port) = text.parse::<u16>() {
        return Ok(any(port));
    }
    if let Ok(addr) = text.parse::<SocketAddr>() {
        return Ok(vec![addr]);
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, 0)]);
    }
    Err(Failure::usage(format!("--listen {:?} is not PORT or IP:PORT", shown(text))))
}

/// The addresses of peers that the user named.
pub(crate) async fn peer_addrs(net: &Net, peers: &[String]) -> Result<Vec<SocketAddr>, Failure> {
    let mut addrs = Vec::new();
    for peer in peers {
        let named = format!("--peer {:?}", shown(peer));
        if !peer
            .rsplit_once(':')
            .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port != 0))
        {
            return Err(Failure::usage(format!("{named} is not HOST:PORT")));
        }
        let host = peer.rsplit_once(':').map_or("", |(host, _)| host);
        let refused = |refusal: Refusal| Failure::usage(format!("{named}: {}", shown(&refusal.to_string())));
        if net.proxy.is_some() && host.trim_matches(['[', ']']).parse::<IpAddr>().is_err() {
            return Err(Failure::usage(format!(
                "{named}: through a proxy no name of a peer is looked up; give the address"
            )));
        }
        net.addresses.may_look_up(host.trim_matches(['[', ']'])).map_err(refused)?;
        let found = tokio::net::lookup_host(peer.as_str()).await;
        let found = found.map_err(|_| Failure::new(Exit::NotFound, format!("{named}: no such host")))?;
        for addr in found {
            net.addresses.may_ask(addr.ip()).map_err(refused)?;
            addrs.push(addr);
        }
    }
    Ok(addrs)
}

/// Refuses a tracker URL that nobody can ask.
pub(crate) fn check_tracker(url: &str) -> Result<(), Failure> {
    riverrun::metainfo::url::check_tracker(url)
        .map_err(|error| Failure::usage(format!("tracker {:?}: {error}", shown(url))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::ValueEnum;

    use super::*;
    use crate::args::SeedChoker;

    #[cfg(target_os = "linux")]
    #[test]
    fn the_systems_table_of_descriptors_need_not_grow_later() {
        reserve_descriptors();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let size = status.lines().find_map(|line| line.strip_prefix("FDSize:")).unwrap();
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        assert!(size.trim().parse::<u64>().unwrap() >= USUAL_DESCRIPTORS.min(limit), "{size}");
    }

    #[test]
    fn routers_are_read() {
        let routers = |texts: &[&str]| routers(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(routers(&[]).unwrap(), None);
        assert_eq!(routers(&["none"]).unwrap(), Some(Vec::new()));
        let two = routers(&["dht.example:6881", "[::1]:7"]).unwrap().unwrap();
        assert_eq!(two, [("dht.example".to_owned(), 6881), ("::1".to_owned(), 7)]);
        for wrong in ["dht.example", ":1", "a:0", "a:b"] {
            assert!(routers(&[wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn whom_a_seed_serves_first_reaches_the_session() {
        let env = Env::isolated::<&str>([]);
        let modes = |text: &str| {
            let network = Network { seed_choker: SeedChoker::from_str(text, false).ok(), ..Network::default() };
            settings(&env, &network, None).unwrap().seed_choker
        };
        assert_eq!(modes("round-robin"), riverrun::SeedChoker::RoundRobin);
        assert_eq!(modes("fastest"), riverrun::SeedChoker::Fastest);
        assert_eq!(modes("rarest-need"), riverrun::SeedChoker::RarestNeed);
        assert_eq!(modes("anti-leech"), riverrun::SeedChoker::AntiLeech);
        assert_eq!(modes("no such mode"), Settings::default().seed_choker);
    }

    #[test]
    fn places_to_listen_are_read() {
        assert_eq!(listen_addrs("7000").unwrap().len(), 2);
        assert_eq!(listen_addrs("0.0.0.0:7000").unwrap(), ["0.0.0.0:7000".parse().unwrap()]);
        assert_eq!(listen_addrs("[::1]:7000").unwrap(), ["[::1]:7000".parse().unwrap()]);
        assert_eq!(listen_addrs("127.0.0.1").unwrap(), ["127.0.0.1:0".parse().unwrap()]);
        for text in ["", "localhost:1", "70000", "1.2.3.4:x"] {
            assert!(listen_addrs(text).is_err(), "{text}");
        }
    }
}
