//! How a session reaches others, and whom. Every socket towards others is made here.

mod address_list;
mod interface;
mod low_water;
mod proxy;
mod relay;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use riverrun_proto::address::AddressRules;
use riverrun_proto::tracker::TrackerUrl;
use riverrun_proto::wire::PeerId;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpSocket, TcpStream};

pub use address_list::{AddressListError, read_address_list};
pub use interface::{Interface, InterfaceError};
pub(crate) use low_water::wake_at;
pub use proxy::{BadProxy, Proxy, WebProxies};
pub(crate) use relay::Relay;

/// How others are reached, and who may be. The default is everybody, directly.
#[derive(Clone, Debug, Default)]
pub struct Net {
    /// Who may be talked to: peers in both directions, trackers and web servers.
    pub addresses: AddressRules,
    /// The device or local address that all sockets are bound to; `None` leaves it to the system. Names are still looked up by the
    /// system, over whatever way that takes.
    pub interface: Option<Interface>,
    /// The proxy that everything goes through: connections to peers, trackers and web servers, and the names of the latter two. UDP
    /// trackers are asked through SOCKS5 alone, nobody is looked for on the local network, and no name of a peer is looked up. Who wants nobody to come
    /// directly leaves [`Settings::listen`](crate::Settings::listen) empty.
    pub proxy: Option<Proxy>,
    /// Says nothing of the program: the peer id is random, the extended handshake has no client's name, requests of HTTP have no user
    /// agent, and nobody is told of us on the local network. The address is not hidden (that takes a proxy), nor the way we speak.
    pub anonymous: bool,
    /// The proxies for trackers and web servers alone, where there is no `proxy`. Not used on the local network alone.
    pub web_proxies: WebProxies,
}

impl Net {
    /// Connects to a peer by TCP.
    ///
    /// # Errors
    /// As [`TcpStream::connect`]; and when the interface is gone.
    pub(crate) async fn connect(&self, to: SocketAddr) -> io::Result<TcpStream> {
        match &self.proxy {
            Some(proxy) => proxy.connect(self, to).await,
            None => self.connect_directly(to).await,
        }
    }

    /// A place at the proxy to send datagrams to.
    ///
    /// # Errors
    /// The proxy is not reached, or gives none.
    pub(crate) async fn relay(&self) -> io::Result<Relay> {
        match &self.proxy {
            Some(proxy) => proxy.relay(self).await,
            None => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Whether packets may go to others as they are: else UDP, multicast and everything that has no way through the proxy stay quiet.
    pub(crate) fn is_direct(&self) -> bool {
        self.proxy.is_none()
    }

    /// Whether the local network may hear of us.
    pub(crate) fn speaks_locally(&self) -> bool {
        self.is_direct() && !self.anonymous
    }

    /// Our id towards peers and trackers, made of `random`: with the name of the program only where that may be known.
    pub(crate) fn peer_id(&self, random: [u8; 20]) -> PeerId {
        let [short @ .., _, _, _, _, _, _, _, _] = random;
        if self.anonymous { PeerId::nameless(random) } else { PeerId::ours(short) }
    }

    /// The proxy for a request of HTTP, if there is one.
    pub(crate) fn proxy_for(&self, url: &TrackerUrl) -> Option<&Proxy> {
        let web = || self.web_proxies.of(url).filter(|_| !self.addresses.is_local_only());
        self.proxy.as_ref().or_else(web)
    }

    async fn connect_directly(&self, to: SocketAddr) -> io::Result<TcpStream> {
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
        let gone = self.interface.as_ref().and_then(|interface| interface.check().err());
        gone.map(|error| error.to_string()).or_else(|| self.proxy.as_ref()?.trouble())
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
