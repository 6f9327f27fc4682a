//! Whether nodes of the DHT answer.

use std::net::ToSocketAddrs as _;
use std::time::Duration;

use super::{Check, Doctor};
use crate::args::General;
use crate::command::session;
use crate::env::Env;
use crate::failure::Failure;
use crate::units;

const DHT: &str = "dht";

/// How long nodes have to answer: those of the last run first, and the routers five seconds later.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether the DHT is reached, by the nodes of earlier runs or by the routers; without it peers are found in other ways. `None`: it is not to
/// be asked.
pub(super) fn reach(env: &Env, general: &General, options: &Doctor) -> Result<Option<Check>, Failure> {
    if options.no_dht {
        return Ok(None);
    }
    let named = session::routers(&options.dht_router)?;
    let routers = named.unwrap_or_else(|| riverrun::DhtSettings::default().routers);
    let (state, net) = (session::state_dir(env, general), env.net());
    let nodes = session::block_on(async { Ok(riverrun::dht_nodes(&routers, state.as_deref(), PATIENCE, &net).await) })?;
    // Only when nobody answers is it of interest why.
    let resolved = |(host, port): &(String, u16)| (host.as_str(), *port).to_socket_addrs().is_ok();
    Ok(Some(judge(nodes, routers.len(), || routers.iter().filter(|router| resolved(router)).count())))
}

fn judge(nodes: usize, routers: usize, resolved: impl FnOnce() -> usize) -> Check {
    if nodes > 0 {
        return Check::ok(DHT, format!("{} of the DHT answered", units::counted(nodes as u64, "node")));
    }
    if routers == 0 {
        let found = "no node of the DHT answers, and nobody is named who knows others";
        return Check::warn(DHT, found, "--dht-router HOST:PORT names one");
    }
    if resolved() == 0 {
        let found = "no name of a router of the DHT can be looked up";
        return Check::warn(
            DHT,
            found,
            "look at the name server in /etc/resolv.conf, or name an address: --dht-router IP:PORT",
        );
    }
    let found = "no node of the DHT answers: a firewall may let no UDP through";
    Check::warn(DHT, found, "allow UDP, out and back in; --no-dht does without the DHT")
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn what_is_wrong_when_nobody_answers() {
        let judged = |nodes, routers, resolved| judge(nodes, routers, || resolved);
        assert_eq!(judged(1, 4, 0), Check::ok(DHT, "1 node of the DHT answered"));
        let (alone, nameless, blocked) = (judged(0, 0, 0), judged(0, 4, 0), judged(0, 4, 2));
        assert!([&alone, &nameless, &blocked].iter().all(|check| check.status == Status::Warn && check.fix.is_some()));
        assert!(
            alone.found.contains("nobody is named") && nameless.found.contains("name") && blocked.found.contains("UDP")
        );
    }
}
