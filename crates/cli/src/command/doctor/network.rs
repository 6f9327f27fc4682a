//! The port that others connect to, and whether they can.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};

use super::Check;
use crate::command::{own_addresses, port_owner, session};
use crate::exit::Exit;
use crate::failure::{Failure, reason};

const PORT: &str = "port";
const REACH: &str = "reach";

/// Whether the port can be listened on, over TCP and UDP.
pub(super) fn port(listen: Option<&str>) -> Result<Vec<Check>, Failure> {
    let addrs = session::listen_addrs(listen.unwrap_or("0"))?;
    let (mut families, mut checks) = (Vec::new(), Vec::new());
    for addr in addrs {
        let bound = TcpListener::bind(addr).and_then(|tcp| UdpSocket::bind(addr).map(|_| tcp));
        match bound {
            Ok(_) => families.push(if addr.is_ipv4() { "IPv4" } else { "IPv6" }),
            Err(error) => checks.extend(trouble(addr, &error)),
        }
    }
    if checks.is_empty() && families.is_empty() {
        let found = "neither IPv4 nor IPv6 can be listened on";
        return Ok(vec![Check::fail(PORT, Exit::NoProgress, found, "ip address show tells what the machine has")]);
    }
    if checks.is_empty() {
        let port = listen.map_or_else(|| "a free port".to_owned(), |listen| format!("port {listen}"));
        checks.push(Check::ok(PORT, format!("{port} can be listened on, {}", families.join(" and "))));
    }
    Ok(checks)
}

/// What is wrong; a family that the machine does not have is nothing wrong.
fn trouble(addr: SocketAddr, error: &std::io::Error) -> Option<Check> {
    let port = addr.port();
    match error.kind() {
        ErrorKind::AddrInUse => {
            let owner = port_owner::of(port).map(|owner| format!(" by {owner}")).unwrap_or_default();
            let found = format!("port {port} is in use{owner}");
            Some(Check::fail(PORT, Exit::Usage, found, "--listen with another port, or end the other program"))
        }
        _ if addr.ip().is_unspecified() && addr.is_ipv6() && error.kind() != ErrorKind::PermissionDenied => None,
        _ => {
            let found = format!("{addr} cannot be listened on: {}", reason(error));
            Some(Check::fail(PORT, Exit::Usage, found, "--listen with a port over 1023 of an address of this machine"))
        }
    }
}

/// Whether the machine has an address that others can connect to.
pub(super) fn reach() -> Check {
    let any = [IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()].map(|ip| SocketAddr::new(ip, 1));
    judge_reach(&own_addresses::of(&any).iter().map(SocketAddr::ip).collect::<Vec<_>>())
}

fn judge_reach(own: &[IpAddr]) -> Check {
    let public = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let shared = a == 100 && (64..128).contains(&b);
            !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_documentation() || shared)
        }
        IpAddr::V6(ip) => !(ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()),
    };
    let Some(first) = own.iter().find(|ip| !ip.is_loopback()) else {
        let fix = "connect it; ip route show tells where packets go";
        return Check::warn(REACH, "this machine has no way out: only peers on it can be met", fix);
    };
    match own.iter().find(|ip| public(ip)) {
        Some(ip) => Check::ok(REACH, format!("{ip} is a public address; a firewall may still be in the way")),
        None => {
            let found = format!("{first} is a private address: peers elsewhere cannot connect to it");
            Check::warn(REACH, found, "forward a port on the router, and name it with --listen")
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::Status;
    use super::*;

    #[test]
    fn ports_that_are_free_and_that_are_not() {
        let free = port(None).unwrap();
        assert!(free.len() == 1 && free[0].status == Status::Ok, "{free:?}");
        let taken = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let held = TcpListener::bind(taken).unwrap();
        let found = port(Some(&taken.to_string())).unwrap();
        assert_eq!((found[0].status, found[0].exit), (Status::Fail, Exit::Usage));
        assert!(found[0].found.starts_with(&format!("port {} is in use by ", taken.port())), "{found:?}");
        drop(held);
        assert_eq!(port(Some(&taken.to_string())).unwrap()[0].status, Status::Ok);
        assert_eq!(port(Some("192.0.2.1:0")).unwrap()[0].status, Status::Fail);
        assert!(port(Some("x")).is_err());
    }

    #[test]
    fn addresses_that_others_reach() {
        let judged = |texts: &[&str]| {
            let own: Vec<IpAddr> = texts.iter().map(|text| text.parse().unwrap()).collect();
            judge_reach(&own).status
        };
        assert_eq!(judged(&["198.41.0.4"]), Status::Ok);
        assert_eq!(judged(&["10.0.0.1"]), Status::Warn);
        assert_eq!(judged(&["100.64.0.1", "fe80::1"]), Status::Warn);
        assert_eq!(judged(&["192.168.0.1", "2001:db8::1"]), Status::Ok);
        assert_eq!(judged(&["127.0.0.1"]), Status::Warn);
        assert_eq!(judged(&[]), Status::Warn);
    }
}
