//! How a session reaches others, and whom. Every socket towards others is made here.

mod address_list;
mod interface;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use riverrun_proto::address::AddressRules;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpSocket, TcpStream};

pub use address_list::{AddressListError, read_address_list};
pub use interface::{Interface, InterfaceError};

/// How others are reached, and who may be. The default is everybody, directly.
#[derive(Clone, Debug, Default)]
pub struct Net {
    /// Who may be talked to: peers in both directions, trackers and web servers.
    pub addresses: AddressRules,
    /// The device or local address that all sockets are bound to; `None` leaves it to the system. Names are still looked up by the
    /// system, over whatever way that takes.
    pub interface: Option<Interface>,
}

impl Net {
    /// Connects to a peer by TCP.
    ///
    /// # Errors
    /// As [`TcpStream::connect`]; and when the interface is gone.
    pub(crate) async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        if self.interface.is_none() {
            return TcpStream::connect(to).await;
        }
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        self.bind(&socket, any(to.is_ipv4()))?;
        TcpSocket::from_std_stream(socket.into()).connect(to).await
    }

    /// Binds a socket to a local address by the right interface.
    pub(crate) fn bind(&self, socket: &Socket, local: SocketAddr) -> io::Result<()> {
        match &self.interface {
            Some(interface) => interface.bind(socket, local),
            None => socket.bind(&local.into()),
        }
    }

    /// The number of the device that sockets are bound to, see [`Interface::number`].
    pub(crate) fn device_number(&self) -> Option<u32> {
        self.interface.as_ref()?.number()
    }

    /// What is wrong with the way itself, so that nobody can be reached: a sentence for people.
    pub(crate) fn trouble(&self) -> Option<String> {
        let error = self.interface.as_ref()?.check().err()?;
        Some(error.to_string())
    }

    /// The local address for requests of HTTP, and the device.
    pub(crate) fn http(&self, builder: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
        match &self.interface {
            Some(Interface::Address(address)) => builder.local_address(*address),
            #[cfg(any(target_os = "linux", target_os = "android"))]
            Some(Interface::Device(name)) => builder.interface(name),
            _ => builder,
        }
    }
}

/// Any address of a family, any port.
pub(crate) fn any(v4: bool) -> SocketAddr {
    let ip = if v4 { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    SocketAddr::new(ip, 0)
}
