//! Datagrams through a SOCKS5 proxy.

use std::io;
use std::net::SocketAddr;

use riverrun_proto::proxy::{Target, datagram, undatagram};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpStream, UdpSocket};

use super::{Net, any};

/// A place at the proxy from which datagrams go on, as long as the connection that asked for it lasts.
#[derive(Debug)]
pub(crate) struct Relay {
    /// The proxy has nothing more to say here; its end is the relay's.
    connection: TcpStream,
    /// Connected to the relay, so that nobody else is heard.
    socket: UdpSocket,
}

impl Relay {
    pub(super) async fn new(net: &Net, connection: TcpStream, relay: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(relay), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        net.bind(&socket, any(relay.is_ipv4()))?;
        let socket = UdpSocket::from_std(socket.into())?;
        socket.connect(relay).await?;
        Ok(Self { connection, socket })
    }

    /// Sends a packet on; what does not go is as if it was lost on the way.
    pub(crate) async fn send(&self, to: &Target, packet: &[u8]) {
        let Some(whole) = datagram(to, packet) else { return };
        if let Err(error) = self.socket.send(&whole).await {
            tracing::debug!(%error, "udp packet not sent to the relay");
        }
    }

    /// The next packet, and who sent it. May be dropped at any time without loss.
    ///
    /// # Errors
    /// The proxy has ended the relay.
    pub(crate) async fn receive<'a>(&mut self, room: &'a mut [u8]) -> io::Result<(Target, &'a [u8])> {
        let mut unasked = [0; 16];
        let length = loop {
            tokio::select! {
                // An error here tells of a packet that did not arrive; the clock tells the same.
                received = self.socket.recv(room) => match received {
                    Ok(length) if undatagram(&room[..length]).is_some() => break length,
                    _ => {}
                },
                said = self.connection.read(&mut unasked) => {
                    if said? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
            }
        };
        undatagram(&room[..length]).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}
