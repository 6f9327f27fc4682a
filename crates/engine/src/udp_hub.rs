//! The UDP sockets of a session, one for each address family, and those who speak over them.
//!
//! UDP trackers and the DHT share them. Packets are told apart by their first byte: those of the DHT are bencoded dictionaries and begin
//! with `d`; the answer of a tracker begins with a zero, and counts only from an address that was asked, with the number of the
//! question. The sockets are opened when they are first needed, at the port where the session takes connections, so that whoever
//! knows the one port knows the other.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::time::Instant;

use riverrun_metainfo::WireHash;
use riverrun_proto::tracker::udp::{Action, Client, ExchangeId, Input, Outcome};
use riverrun_proto::tracker::{AnnounceError, AnnounceReply, AnnounceRequest, ScrapeEntry};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;
use tokio::time::sleep_until;

use crate::http::Family;
use crate::net::{self, Net};

/// No answer of a tracker is longer: what is cut off then is none.
const MAX_PACKET: usize = 64 * 1024;
/// Packets taken from a socket in a row before the other one has its turn.
const MAX_BATCH: usize = 64;
/// How a packet of the DHT begins.
const DHT: u8 = b'd';

/// Speaks to UDP trackers for all torrents of a session, and carries the packets of its DHT.
#[derive(Debug)]
pub(crate) struct UdpHub {
    net: Net,
    /// Where to bind, as far as it is free; a family that is not named has any address and port.
    wanted: Vec<SocketAddr>,
    desk: Arc<Desk>,
    /// With the number of the device that they are bound to.
    open: Mutex<Option<(Sockets, Running, Option<u32>)>>,
}

/// Somebody else who speaks over the sockets.
pub(crate) trait Guest: Send + Sync + std::fmt::Debug {
    /// A packet that begins with the guest's byte.
    fn packet(self: Arc<Self>, from: SocketAddr, bytes: &[u8]);
}

/// The machine and those who wait for it.
#[derive(Debug)]
struct Desk {
    state: Mutex<State>,
    /// The machine wants to be looked at earlier than before.
    earlier: Notify,
    dht: OnceLock<Weak<dyn Guest>>,
}

#[derive(Debug)]
struct State {
    client: Client,
    next: u64,
    /// Only looked up, never walked.
    waiting: HashMap<ExchangeId, oneshot::Sender<Result<Outcome, AnnounceError>>>,
    outgoing: Vec<(SocketAddr, Vec<u8>)>,
}

#[derive(Clone, Debug)]
struct Sockets {
    v4: Option<Arc<UdpSocket>>,
    v6: Option<Arc<UdpSocket>>,
}

/// Stops the task when dropped.
#[derive(Debug)]
struct Running(AbortHandle);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Takes an exchange back when nobody waits for it any more.
struct Waiting<'a> {
    desk: &'a Desk,
    id: ExchangeId,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.desk.lock();
        if state.waiting.remove(&self.id).is_some() {
            state.feed(Input::Cancel(self.id));
        }
    }
}

impl UdpHub {
    /// Nothing is opened yet. `seed` must come from the system's source of randomness: transaction ids are drawn from it. `wanted`:
    /// where to bind, as far as it is free.
    pub(crate) fn new(seed: u64, net: Net, wanted: Vec<SocketAddr>) -> Self {
        let state = State { client: Client::new(seed), next: 0, waiting: HashMap::new(), outgoing: Vec::new() };
        let desk = Arc::new(Desk { state: Mutex::new(state), earlier: Notify::new(), dht: OnceLock::new() });
        Self { net, wanted, desk, open: Mutex::new(None) }
    }

    /// Where the sockets are bound. Opens them if they are not, or if the device that they were bound to is another one now.
    ///
    /// # Errors
    /// The system gives none of either family.
    pub(crate) fn addrs(&self) -> io::Result<Vec<SocketAddr>> {
        let sockets = self.sockets()?;
        Ok([&sockets.v4, &sockets.v6].into_iter().flatten().filter_map(|socket| socket.local_addr().ok()).collect())
    }

    /// Who gets the packets of the DHT from now on.
    pub(crate) fn attach(&self, dht: Weak<dyn Guest>) {
        // There is one DHT in a session.
        let _ = self.desk.dht.set(dht);
    }

    /// Sends a packet if that is possible at once. What does not go is as if it was lost on the way: UDP promises no more.
    pub(crate) fn send_now(&self, to: SocketAddr, packet: &[u8]) {
        let socket = match &*self.open.lock().expect("no panic while the sockets are locked") {
            Some((sockets, ..)) => sockets.for_addr(to).cloned(),
            None => None,
        };
        let Some(socket) = socket else { return };
        if let Err(error) = SockRef::from(&*socket).send_to(packet, &to.into()) {
            tracing::debug!(%error, "udp packet not sent");
        }
    }

    /// Announces to a tracker at an address that was resolved and judged.
    pub(crate) async fn announce(
        &self,
        to: SocketAddr,
        request: AnnounceRequest,
        path_and_query: String,
        retries: u8,
    ) -> Result<AnnounceReply, AnnounceError> {
        match self.exchange(to, |id| Input::Announce { id, to, request, path_and_query, retries }).await? {
            Outcome::Announce(reply) => Ok(reply),
            Outcome::Scrape(_) => Err(AnnounceError::Malformed("scrape for an announce")),
        }
    }

    /// Scrapes torrents from a tracker at an address that was resolved and judged.
    pub(crate) async fn scrape(
        &self,
        to: SocketAddr,
        info_hashes: Vec<WireHash>,
        retries: u8,
    ) -> Result<Vec<(WireHash, ScrapeEntry)>, AnnounceError> {
        match self.exchange(to, |id| Input::Scrape { id, to, info_hashes, retries }).await? {
            Outcome::Scrape(entries) => Ok(entries),
            Outcome::Announce(_) => Err(AnnounceError::Malformed("announce for a scrape")),
        }
    }

    async fn exchange(
        &self,
        to: SocketAddr,
        input: impl FnOnce(ExchangeId) -> Input<'static>,
    ) -> Result<Outcome, AnnounceError> {
        let network = |error: io::Error| AnnounceError::Network(error.to_string());
        let sockets = self.sockets().map_err(network)?;
        if sockets.for_addr(to).is_none() {
            return Err(AnnounceError::Network("no socket for this address family".into()));
        }
        let (sender, answer) = oneshot::channel();
        let (waiting, packets) = {
            let mut state = self.desk.lock();
            let id = ExchangeId(state.next);
            state.next += 1;
            state.waiting.insert(id, sender);
            state.feed(input(id));
            (Waiting { desk: &self.desk, id }, state.take_outgoing())
        };
        self.desk.earlier.notify_one();
        sockets.send(packets).await;
        let answer = answer.await;
        drop(waiting);
        answer.unwrap_or(Err(AnnounceError::Timeout))
    }

    /// A socket at the wanted address of its family; at another port if that one is taken.
    fn open(&self, family: Family) -> io::Result<UdpSocket> {
        let v4 = family == Family::V4;
        match self.wanted.iter().find(|addr| addr.is_ipv4() == v4) {
            Some(wanted) => bind(&self.net, *wanted).or_else(|_| bind(&self.net, SocketAddr::new(wanted.ip(), 0))),
            None => bind(&self.net, net::any(v4)),
        }
    }

    fn sockets(&self) -> io::Result<Sockets> {
        let mut opened = self.open.lock().expect("no panic while the sockets are locked");
        let device = self.net.device_number();
        if let Some((sockets, _, bound)) = &*opened
            && *bound == device
        {
            return Ok(sockets.clone());
        }
        // A device that went and came back is another one to the system.
        *opened = None;
        let sockets = match (self.open(Family::V4), self.open(Family::V6)) {
            (Err(error), Err(_)) => return Err(error),
            (v4, v6) => Sockets { v4: v4.ok().map(Arc::new), v6: v6.ok().map(Arc::new) },
        };
        let task = tokio::spawn(run(self.desk.clone(), sockets.clone())).abort_handle();
        *opened = Some((sockets.clone(), Running(task), device));
        Ok(sockets)
    }
}

fn bind(net: &Net, local: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
    if local.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    net.bind(&socket, local)?;
    UdpSocket::from_std(socket.into())
}

impl Sockets {
    fn for_addr(&self, addr: SocketAddr) -> Option<&Arc<UdpSocket>> {
        match Family::of(addr.ip()) {
            Family::V4 => self.v4.as_ref(),
            Family::V6 => self.v6.as_ref(),
        }
    }

    async fn send(&self, packets: Vec<(SocketAddr, Vec<u8>)>) {
        for (to, packet) in packets {
            if let Some(socket) = self.for_addr(to)
                && let Err(error) = socket.send_to(&packet, to).await
            {
                // As if it was lost on the way: the machine sends it again.
                tracing::debug!(%error, "udp packet not sent");
            }
        }
    }
}

/// Carries packets in and the machine's time on.
async fn run(desk: Arc<Desk>, sockets: Sockets) {
    let (mut first, mut second) = (vec![0; MAX_PACKET], vec![0; MAX_PACKET]);
    loop {
        let due = desk.lock().client.next_timeout();
        let packets = tokio::select! {
            received = receive(sockets.v4.as_deref(), &mut first) => {
                desk.received(received, sockets.v4.as_deref(), &mut first)
            }
            received = receive(sockets.v6.as_deref(), &mut second) => {
                desk.received(received, sockets.v6.as_deref(), &mut second)
            }
            () = desk.earlier.notified() => Vec::new(),
            () = async { sleep_until(due.expect("the branch is off without").into()).await }, if due.is_some() => {
                let mut state = desk.lock();
                state.feed(Input::Timeout);
                state.take_outgoing()
            }
        };
        sockets.send(packets).await;
    }
}

async fn receive(socket: Option<&UdpSocket>, packet: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    match socket {
        Some(socket) => socket.recv_from(packet).await,
        None => std::future::pending().await,
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic while the machine is locked")
    }

    /// Takes a packet, and those that have come with it; what is to be sent.
    fn received(
        &self,
        received: io::Result<(usize, SocketAddr)>,
        socket: Option<&UdpSocket>,
        packet: &mut [u8],
    ) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut next = Some(received);
        let mut count = 0;
        while let Some(received) = next {
            // The system tells of an unreachable host as an error of receiving; whom it concerns finds out by the clock.
            if let Ok((length, from)) = received {
                self.deliver(from, &packet[..length]);
            }
            count += 1;
            let more = socket.filter(|_| count < MAX_BATCH).map(|socket| socket.try_recv_from(packet));
            next = more.filter(|more| !matches!(more, Err(error) if error.kind() == io::ErrorKind::WouldBlock));
        }
        self.lock().take_outgoing()
    }

    fn deliver(&self, from: SocketAddr, packet: &[u8]) {
        if packet.first() == Some(&DHT) {
            if let Some(dht) = self.dht.get().and_then(Weak::upgrade) {
                dht.packet(from, packet);
            }
            return;
        }
        let mut state = self.lock();
        if state.client.expects(from) {
            state.feed(Input::Received { from, packet });
        }
    }
}

impl State {
    fn feed(&mut self, input: Input<'_>) {
        self.client.handle(Instant::now(), input);
        while let Some(action) = self.client.poll() {
            match action {
                Action::Send { to, packet } => self.outgoing.push((to, packet)),
                Action::Done { id, outcome } => {
                    if let Some(waiting) = self.waiting.remove(&id) {
                        // Whoever waited may have gone.
                        let _ = waiting.send(outcome);
                    }
                }
            }
        }
    }

    fn take_outgoing(&mut self) -> Vec<(SocketAddr, Vec<u8>)> {
        std::mem::take(&mut self.outgoing)
    }
}
