//! Where others reach this host.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

/// Where others reach these listeners: real addresses in place of "any", loopback only if there is nothing else.
pub(crate) fn of(listeners: &[SocketAddr]) -> Vec<SocketAddr> {
    let mut addrs: Vec<SocketAddr> = listeners.iter().flat_map(reachable).collect();
    addrs.sort();
    addrs.dedup();
    if addrs.iter().any(|addr| !addr.ip().is_loopback()) {
        addrs.retain(|addr| !addr.ip().is_loopback());
    }
    addrs
}

fn reachable(listener: &SocketAddr) -> Vec<SocketAddr> {
    let ips = match listener.ip() {
        ip if !ip.is_unspecified() => vec![ip],
        // Connecting a datagram socket sends nothing: it only asks the system which address leads out.
        IpAddr::V4(_) => match own_address("0.0.0.0:0", "192.0.2.1:9") {
            Some(ip) => vec![ip],
            None => local_addresses(),
        },
        IpAddr::V6(_) => own_address("[::]:0", "[2001:db8::1]:9").into_iter().collect(),
    };
    ips.into_iter().map(|ip| SocketAddr::new(ip, listener.port())).collect()
}

fn own_address(any: &str, outside: &str) -> Option<IpAddr> {
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(outside).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_unspecified())
}

/// All IPv4 addresses of this host, for a network without a way out. Linux lists them in its table of routes.
fn local_addresses() -> Vec<IpAddr> {
    let mut addresses = local_entries(&std::fs::read_to_string("/proc/net/fib_trie").unwrap_or_default());
    addresses.push(Ipv4Addr::LOCALHOST.into());
    addresses
}

/// The addresses in the kernel's table that are the host's own: each stands above a line `/32 host LOCAL`.
fn local_entries(table: &str) -> Vec<IpAddr> {
    let mut last = None;
    let mut addresses = Vec::new();
    for line in table.lines() {
        if let Some(address) = line.trim().strip_prefix("|-- ") {
            last = address.parse().ok().map(IpAddr::V4);
        } else if line.contains("/32 host LOCAL") {
            addresses.extend(last);
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_addresses_are_those_that_the_kernel_calls_local() {
        let table = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 10.1.0.0\n        /24 link UNICAST\nLocal:\n     |-- 10.1.0.7\n        /32 host LOCAL\n     |-- 10.1.0.255\n        /32 link BROADCAST\n";
        assert_eq!(local_entries(table), [IpAddr::from([10, 1, 0, 7])]);
    }

    #[test]
    fn loopback_is_named_only_if_there_is_nothing_else() {
        let addrs = |texts: &[&str]| texts.iter().map(|text| text.parse().expect("an address")).collect::<Vec<_>>();
        assert_eq!(of(&addrs(&["127.0.0.1:1", "[::1]:1"])), addrs(&["127.0.0.1:1", "[::1]:1"]));
        assert_eq!(of(&addrs(&["127.0.0.1:1", "10.0.0.1:1"])), addrs(&["10.0.0.1:1"]));
    }
}
