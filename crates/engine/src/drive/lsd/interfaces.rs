//! The network interfaces of the machine that multicast can go over, as the kernel lists them.

use std::io;
use std::net::IpAddr;

use riverrun_proto::lsd::Network;

/// The most interfaces that are used: the kernel lets one socket into 20 groups.
const MAX_INTERFACES: usize = 16;

/// An interface that is up, can do multicast and is not loopback.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Interface {
    pub(super) index: u32,
    /// Its addresses with the networks that they are in.
    pub(super) networks: Vec<Network>,
}

impl Interface {
    /// Its first address of a family.
    pub(super) fn addr(&self, v4: bool) -> Option<IpAddr> {
        self.networks.iter().map(|network| network.ip).find(|ip| ip.is_ipv4() == v4)
    }
}

/// Lists them.
///
/// # Errors
/// The system does not tell, or this program cannot ask it.
#[cfg(target_os = "linux")]
pub(super) fn list() -> io::Result<Vec<Interface>> {
    use self::netlink::{ADDR_DUMP, LINK_DUMP, ask};
    const UP: u32 = 0x1;
    const LOOPBACK: u32 = 0x8;
    const MULTICAST: u32 = 0x1000;
    let mut interfaces = Vec::new();
    ask(LINK_DUMP, |message| {
        if let (Some(index), Some(flags)) = (word(message, 4), word(message, 8))
            && flags & (UP | MULTICAST | LOOPBACK) == UP | MULTICAST
        {
            interfaces.push(Interface { index, networks: Vec::new() });
        }
    })?;
    ask(ADDR_DUMP, |message| {
        let (Some(&prefix), Some(index)) = (message.get(1), word(message, 4)) else { return };
        if let Some(interface) = interfaces.iter_mut().find(|interface| interface.index == index) {
            interface.networks.extend(local_address(message).map(|ip| Network { ip, prefix }));
        }
    })?;
    interfaces.retain(|interface| !interface.networks.is_empty());
    interfaces.truncate(MAX_INTERFACES);
    Ok(interfaces)
}

/// Other systems have other ways, and none of them is here yet.
#[cfg(not(target_os = "linux"))]
pub(super) fn list() -> io::Result<Vec<Interface>> {
    Err(io::ErrorKind::Unsupported.into())
}

/// A number of 32 bits at this place.
fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_ne_bytes)
}

/// The address of a message about one: the local end where there are two.
fn local_address(message: &[u8]) -> Option<IpAddr> {
    const ADDRESS: u16 = 1;
    const LOCAL: u16 = 2;
    let (mut address, mut local) = (None, None);
    let mut rest = message.get(8..)?;
    while let (Some(length), Some(kind)) = (half(rest, 0), half(rest, 2)) {
        let value = rest.get(4..length.into())?;
        match kind {
            ADDRESS => address = ip(value),
            LOCAL => local = ip(value),
            _ => {}
        }
        rest = rest.get(usize::from(length).next_multiple_of(4)..).unwrap_or_default();
    }
    local.or(address)
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// Questions to the kernel (rtnetlink). Unlike files under `/sys` its answers are those of our own network namespace.
#[cfg(target_os = "linux")]
mod netlink {
    use std::io;

    use rustix::io::{read, write};
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

    use super::{half, word};

    /// For all interfaces.
    pub(super) const LINK_DUMP: u16 = 18;
    /// For all addresses.
    pub(super) const ADDR_DUMP: u16 = 22;
    const HEAD: usize = 16;
    const DONE: u16 = 3;
    const ERROR: u16 = 2;
    const REQUEST_AND_DUMP: u16 = 0x1 | 0x300;
    /// The kernel's answers come in pieces of at most this many bytes.
    const PIECE: usize = 32 * 1024;

    /// Asks, and shows the body of each message of the answer to `each`.
    pub(super) fn ask(question: u16, mut each: impl FnMut(&[u8])) -> io::Result<()> {
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        let mut request = Vec::with_capacity(2 * HEAD);
        // The head, then what is asked about: 16 bytes of zeros are everything, for both questions.
        request.extend(32u32.to_ne_bytes());
        request.extend(question.to_ne_bytes());
        request.extend(REQUEST_AND_DUMP.to_ne_bytes());
        request.resize(2 * HEAD, 0);
        write(&socket, &request)?;
        let mut piece = vec![0; PIECE];
        loop {
            let count = read(&socket, &mut piece)?;
            let mut rest = &piece[..count];
            if rest.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            while let (Some(length), Some(kind)) = (word(rest, 0), half(rest, 4)) {
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let Some(body) = rest.get(HEAD..length) else { return Err(io::ErrorKind::InvalidData.into()) };
                match kind {
                    DONE => return Ok(()),
                    ERROR => return Err(io::ErrorKind::Other.into()),
                    _ => each(body),
                }
                rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_lists_interfaces_and_none_of_them_is_loopback() {
        for interface in list().unwrap() {
            assert!(interface.index > 0);
            assert!(interface.networks.iter().all(|network| !network.ip.is_loopback()), "{interface:?}");
        }
        let mut loopback = None;
        netlink::ask(netlink::ADDR_DUMP, |message| {
            loopback = loopback.or(local_address(message).filter(IpAddr::is_loopback));
        })
        .unwrap();
        assert!(loopback.is_some(), "an address of loopback is there on every machine");
    }

    #[test]
    fn of_a_point_to_point_address_our_end_is_taken() {
        let mut message = vec![2, 32, 0, 0, 7, 0, 0, 0];
        for (kind, last) in [(1u16, 9), (2, 5)] {
            message.extend(8u16.to_ne_bytes());
            message.extend(kind.to_ne_bytes());
            message.extend([10, 0, 0, last]);
        }
        assert_eq!(local_address(&message), Some("10.0.0.5".parse().unwrap()));
        assert_eq!(local_address(&message[..16]), Some("10.0.0.9".parse().unwrap()));
        assert_eq!(local_address(&message[..14]), None);
    }
}
