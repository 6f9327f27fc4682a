//! A DHT on loopback.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::drive::dht::Dht;
use crate::udp_hub::UdpHub;
use crate::{DhtSettings, Net};

/// How long all may take to hear of all others. One that missed the first packet of another hears of it by chance later, or never: half of
/// them will do then.
const ACQUAINTANCE: Duration = Duration::from_secs(5);
/// How long that may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Nodes that know each other and nobody else, on loopback addresses of their own where the system has them. They stop when it is
/// dropped.
#[derive(Debug)]
pub struct LocalDht {
    nodes: Vec<Arc<Dht>>,
    addrs: Vec<SocketAddr>,
}

impl LocalDht {
    /// Starts so many nodes, at least one, and waits until each knows others: all of them, or half if that takes long.
    ///
    /// # Errors
    /// Loopback cannot be used, or the nodes do not find each other.
    pub async fn start(count: usize) -> io::Result<Self> {
        let mut dht = Self { nodes: Vec::new(), addrs: Vec::new() };
        for number in 0..count.max(1) {
            let octet = |shift: usize| u8::try_from(number >> shift & 0x7f).expect("seven bits");
            let own = Ipv4Addr::new(127, 64 + octet(14), octet(7), 1 + octet(0));
            let node = dht.node(own).or_else(|_| dht.node(Ipv4Addr::LOCALHOST))?;
            dht.nodes.push(node.0);
            dht.addrs.push(node.1);
        }
        let (start, others) = (Instant::now(), count.saturating_sub(1).min(8));
        loop {
            let least = dht.nodes.iter().map(|node| node.nodes().unwrap_or_default()).min().unwrap_or_default();
            let enough = if start.elapsed() < ACQUAINTANCE { others } else { others.div_ceil(2) };
            if least >= enough {
                return Ok(dht);
            }
            if start.elapsed() >= PATIENCE {
                return Err(io::Error::new(io::ErrorKind::TimedOut, format!("a node knows only {least} others")));
            }
            sleep(Duration::from_millis(5)).await;
        }
    }

    fn node(&self, ip: Ipv4Addr) -> io::Result<(Arc<Dht>, SocketAddr)> {
        let wanted = vec![SocketAddr::from((ip, 0))];
        let routers = self.routers();
        let wish = DhtSettings { on: true, routers, ..DhtSettings::default() };
        let seed = || getrandom::u64().map_err(io::Error::other);
        let hub = Arc::new(UdpHub::new(seed()?, Net::default(), wanted.clone()));
        let addr = hub.addrs()?.into_iter().find(SocketAddr::is_ipv4).ok_or(io::ErrorKind::AddrNotAvailable)?;
        let node = Arc::new(Dht::new(wish, Net::default(), hub, wanted, None, seed()?));
        node.start();
        Ok((node, addr))
    }

    /// Where the nodes are.
    #[must_use]
    pub fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// A few of the nodes, for [`DhtSettings::routers`].
    #[must_use]
    pub fn routers(&self) -> Vec<(String, u16)> {
        self.addrs.iter().take(3).map(|addr| (addr.ip().to_string(), addr.port())).collect()
    }

    /// Settings of a session that takes part, for [`Settings::dht`](crate::Settings::dht).
    #[must_use]
    pub fn settings(&self) -> DhtSettings {
        DhtSettings { on: true, routers: self.routers(), ..DhtSettings::default() }
    }

    /// How many peers of others the nodes have stored, all together.
    #[must_use]
    pub fn stored_peers(&self) -> usize {
        self.nodes.iter().filter_map(|node| node.status()).map(|status| status.stored_peers).sum()
    }
}
