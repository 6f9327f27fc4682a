//! Routers: nodes that know many others, for who knows nobody.

use std::net::SocketAddr;
use std::sync::Weak;
use std::time::Duration;

use riverrun_proto::dht::{Command, Input};
use tokio::net::lookup_host;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Dht;
use crate::Net;

/// The routers that are asked when nothing else is known, as host and port.
pub const DEFAULT_ROUTERS: [(&str, u16); 4] = [
    ("dht.libtorrent.org", 25401),
    ("router.bittorrent.com", 6881),
    ("dht.transmissionbt.com", 6881),
    ("router.utorrent.com", 6881),
];

/// How long nodes that are known by other ways have to answer before the names of routers are looked up.
const PATIENCE: Duration = Duration::from_secs(5);
/// The first pause before another try, if nobody was found; it doubles.
const RETRY: Duration = Duration::from_secs(15);
/// The longest pause, and how often it is seen whether somebody is left.
const MAX_RETRY: Duration = Duration::from_secs(5 * 60);
/// How long the look-up of a name may take.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(10);
/// Addresses taken of one name.
const MAX_ADDRS: usize = 8;

/// Names the routers to the node whenever it knows nobody. `hints`: it was given somebody to ask already.
pub(super) async fn keep(dht: Weak<Dht>, hints: bool) {
    let mut pause = if hints { PATIENCE } else { Duration::ZERO };
    let mut retry = RETRY;
    loop {
        sleep(pause).await;
        let Some(strong) = dht.upgrade() else { return };
        if strong.wish.routers.is_empty() {
            return;
        }
        let (routers, net) = (strong.wish.routers.clone(), strong.net.clone());
        let alone = strong.nodes().unwrap_or_default() == 0;
        drop(strong);
        if !alone {
            (pause, retry) = (MAX_RETRY, RETRY);
            continue;
        }
        resolve(&dht, net, routers).await;
        pause = retry;
        retry = (retry * 2).min(MAX_RETRY);
    }
}

/// Looks the names up side by side, and names each address as it comes.
async fn resolve(dht: &Weak<Dht>, net: Net, routers: Vec<(String, u16)>) {
    let mut lookups = JoinSet::new();
    for (host, port) in routers {
        if net.addresses.may_look_up(&host).is_ok() {
            lookups.spawn(async move {
                let found = timeout(LOOKUP_TIMEOUT, lookup_host((host.as_str(), port))).await;
                // A name that is not known is no router.
                found.ok().and_then(Result::ok).map(|addrs| addrs.take(MAX_ADDRS).collect::<Vec<SocketAddr>>())
            });
        }
    }
    while let Some(found) = lookups.join_next().await {
        let Some(strong) = dht.upgrade() else { return };
        for addr in found.ok().flatten().into_iter().flatten() {
            if net.addresses.may_meet(addr.ip()).is_ok() {
                strong.act(|state, now| {
                    if let Some(node) = &mut state.node {
                        node.handle(now, Input::Command(Command::AddRouter { addr }));
                    }
                });
            }
        }
    }
}
