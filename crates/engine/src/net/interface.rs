//! Keeping to one device or one local address.
//!
//! Invariant: a socket that cannot be bound to it is not used at all, so nothing ever leaves by another way.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use socket2::{Domain, Protocol, Socket, Type};

/// The device (Linux, Android) or the local address that all sockets are bound to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Interface {
    /// A device such as `wg0`: packets leave and come by it alone.
    Device(String),
    /// A local address: packets have it as their source. Which device they take is the routing table's business; and only its own
    /// family is used.
    Address(IpAddr),
}

/// Why an interface cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InterfaceError {
    /// The device is not there.
    #[error("there is no device {0:?}")]
    NoDevice(String),
    /// No device has the address.
    #[error("no device has the address {0}")]
    NoAddress(IpAddr),
    /// The system does not let us.
    #[error("cannot bind to {name}")]
    Denied {
        /// The device or address.
        name: String,
        /// What the system said.
        source: io::Error,
    },
}

impl FromStr for Interface {
    type Err = std::convert::Infallible;

    /// An address, or else the name of a device.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.parse().map_or_else(|_| Self::Device(text.to_owned()), Self::Address))
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device(name) => f.write_str(name),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl Interface {
    /// Whether it is there and may be used now.
    ///
    /// # Errors
    /// It is not, or the system does not let us.
    pub fn check(&self) -> Result<(), InterfaceError> {
        let denied = |source| InterfaceError::Denied { name: self.to_string(), source };
        let local = match self {
            Self::Device(name) => {
                self.number().ok_or_else(|| InterfaceError::NoDevice(name.clone()))?;
                IpAddr::V4(Ipv4Addr::UNSPECIFIED)
            }
            Self::Address(address) => *address,
        };
        let socket = Socket::new(Domain::for_address((local, 0).into()), Type::DGRAM, Some(Protocol::UDP));
        let bound = socket.and_then(|socket| self.bind(&socket, (local, 0).into()));
        bound.map_err(|error| match self {
            Self::Address(address) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                InterfaceError::NoAddress(*address)
            }
            _ => denied(error),
        })
    }

    /// Binds a socket to it, and to `local`, in which an unspecified address stands for whichever is right.
    pub(super) fn bind(&self, socket: &Socket, local: SocketAddr) -> io::Result<()> {
        match self {
            Self::Device(name) => {
                bind_device(socket, name)?;
                socket.bind(&local.into())
            }
            Self::Address(address) if local.is_ipv4() != address.is_ipv4() => Err(other_family(*address)),
            Self::Address(address) if local.ip().is_unspecified() => {
                socket.bind(&SocketAddr::new(*address, local.port()).into())
            }
            Self::Address(_) => socket.bind(&local.into()),
        }
    }

    /// The number that the system gives the device now: another one when it was taken away and came back, for sockets that are bound
    /// to the old one are of no use any more. `None` if it is not there, and for an address.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(crate) fn number(&self) -> Option<u32> {
        let Self::Device(name) = self else { return None };
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP)).ok()?;
        rustix::net::netdevice::name_to_index(&socket, name).ok()
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(crate) fn number(&self) -> Option<u32> {
        // Where the system cannot bind to a device, none is found.
        None
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn bind_device(socket: &Socket, name: &str) -> io::Result<()> {
    socket.bind_device(Some(name.as_bytes()))
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn bind_device(_: &Socket, _: &str) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

fn other_family(address: IpAddr) -> io::Error {
    let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
    io::Error::new(io::ErrorKind::AddrNotAvailable, format!("the interface has {family} alone"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn interface(text: &str) -> Interface {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_and_names_are_told_apart() {
        assert_eq!(interface("10.0.0.1"), Interface::Address([10, 0, 0, 1].into()));
        assert_eq!(interface("fd00::1"), Interface::Address("fd00::1".parse().unwrap()));
        assert_eq!(interface("wg0"), Interface::Device("wg0".into()));
    }

    #[test]
    fn what_is_not_there_is_said_so() {
        assert!(interface("127.0.0.1").check().is_ok());
        assert_eq!(interface("192.0.2.7").check().unwrap_err().to_string(), "no device has the address 192.0.2.7");
        for name in ["no-such-dev0", "a name that is much longer than a device's", ""] {
            let error = interface(name).check().unwrap_err();
            assert!(matches!(error, InterfaceError::NoDevice(_)), "{name}: {error:?}");
        }
    }

    #[test]
    fn an_address_binds_sockets_of_its_own_family_alone() {
        let only = interface("127.0.0.1");
        let v6 = Socket::new(Domain::IPV6, Type::STREAM, None).unwrap();
        assert!(only.bind(&v6, "[::]:0".parse().unwrap()).is_err());
        let v4 = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        only.bind(&v4, "0.0.0.0:0".parse().unwrap()).unwrap();
        assert_eq!(v4.local_addr().unwrap().as_socket().unwrap().ip(), IpAddr::from([127, 0, 0, 1]));
    }
}
