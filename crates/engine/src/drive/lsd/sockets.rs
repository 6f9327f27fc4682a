//! The sockets of one multicast group: one that hears it on all interfaces, one that speaks over each in turn.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};

use riverrun_proto::lsd::Group;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;

use super::interfaces::Interface;

/// Multicast of one family.
#[derive(Debug)]
pub(super) struct Sockets {
    group: Group,
    ears: UdpSocket,
    mouth: UdpSocket,
    /// The interfaces that are listened on, each with the address that packets go out with.
    over: BTreeMap<u32, IpAddr>,
}

impl Sockets {
    /// Sockets that neither hear nor speak over any interface yet.
    pub(super) fn open(group: Group) -> io::Result<Self> {
        let domain = Domain::for_address(group.addr());
        let ears = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        let mouth = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        if group == Group::V6 {
            ears.set_only_v6(true)?;
            mouth.set_multicast_loop_v6(true)?;
            mouth.set_multicast_hops_v6(1)?;
        } else {
            mouth.set_multicast_loop_v4(true)?;
            mouth.set_multicast_ttl_v4(1)?;
        }
        // Every program on this machine listens here.
        ears.set_reuse_address(true)?;
        rustix::net::sockopt::set_socket_reuseport(&ears, true)?;
        // Bound to the group it hears nothing that was sent to this machine alone.
        ears.bind(&group.addr().into())?;
        let tokio = |socket: Socket| -> io::Result<UdpSocket> {
            socket.set_nonblocking(true)?;
            UdpSocket::from_std(socket.into())
        };
        Ok(Self { group, ears: tokio(ears)?, mouth: tokio(mouth)?, over: BTreeMap::new() })
    }

    /// Uses these interfaces from now on, as far as they can be used.
    pub(super) fn set_interfaces(&mut self, interfaces: &[Interface]) {
        let v4 = self.group == Group::V4;
        let with_addr = interfaces.iter().filter_map(|interface| Some((interface.index, interface.addr(v4)?)));
        let wanted: BTreeMap<_, _> = with_addr.collect();
        let ears = SockRef::from(&self.ears);
        for index in self.over.keys().filter(|index| !wanted.contains_key(index)) {
            // It fails where the interface is gone: then there is nothing to leave.
            let _ = match self.group.addr() {
                SocketAddr::V4(group) => ears.leave_multicast_v4_n(group.ip(), &InterfaceIndexOrAddress::Index(*index)),
                SocketAddr::V6(group) => ears.leave_multicast_v6(group.ip(), *index),
            };
        }
        let known = std::mem::take(&mut self.over);
        for (index, addr) in wanted {
            let joined = match self.group.addr() {
                _ if known.contains_key(&index) => Ok(()),
                SocketAddr::V4(group) => ears.join_multicast_v4_n(group.ip(), &InterfaceIndexOrAddress::Index(index)),
                SocketAddr::V6(group) => ears.join_multicast_v6(group.ip(), index),
            };
            match joined {
                Ok(()) => _ = self.over.insert(index, addr),
                Err(error) => tracing::debug!(index, %error, "local discovery cannot listen on an interface"),
            }
        }
    }

    /// How many interfaces are listened on.
    pub(super) fn interfaces(&self) -> usize {
        self.over.len()
    }

    /// Sends a packet over each interface. What does not go is lost: the next comes in five minutes.
    pub(super) fn send(&self, payload: &[u8]) {
        let mouth = SockRef::from(&self.mouth);
        for (index, addr) in &self.over {
            let mut to = self.group.addr();
            let chosen = match (addr, &mut to) {
                (IpAddr::V4(addr), _) => mouth.set_multicast_if_v4(addr),
                (IpAddr::V6(_), SocketAddr::V6(to)) => {
                    to.set_scope_id(*index);
                    mouth.set_multicast_if_v6(*index)
                }
                (IpAddr::V6(_), SocketAddr::V4(_)) => continue,
            };
            if let Err(error) = chosen.and_then(|()| mouth.send_to(payload, &to.into())) {
                tracing::debug!(index, %error, "local discovery cannot speak over an interface");
            }
        }
    }

    /// The next packet, cut to the buffer, and who sent it.
    pub(super) async fn receive(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.ears.recv_from(buffer).await
    }
}
