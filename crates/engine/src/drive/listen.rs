//! Incoming connections up to the end of their handshakes.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use riverrun_proto::limits::HANDSHAKE_TIMEOUT;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::{dial, handshake};
use crate::StartError;
use crate::engine::Engine;
use crate::net::Net;

/// How long accepting rests when the system has no more file descriptors or memory (THREATS L12).
const ACCEPT_REST: Duration = Duration::from_millis(500);
/// How often a listener that is bound to a device looks whether that is still the same one.
const DEVICE_LOOK: Duration = Duration::from_secs(5);
const BACKLOG: i32 = 1024;
/// How long a handshake may take before it makes room for others. Whoever is honest has sent his by then, and while there are too many
/// the rest wait in the backlog: a storm of accepts drops nobody.
const HANDSHAKE_GRACE: Duration = Duration::from_millis(250);

/// Incoming connections whose handshakes are not done: few, and the oldest goes first (THREATS P19).
#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    waiting: Mutex<Waiting>,
    /// Woken when one has left.
    left: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    by_age: BTreeMap<u64, Handshake>,
    dropped: u64,
}

#[derive(Debug)]
struct Handshake {
    from: IpAddr,
    since: Instant,
    /// How to end it.
    task: Option<AbortHandle>,
}

/// How many may be waiting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HandshakeLimits {
    pub(crate) all: usize,
    pub(crate) per_address: usize,
    pub(crate) loopback_exempt: bool,
}

impl Handshakes {
    /// Admits one more, at the cost of the oldest if there are too many.
    fn enter(&self, now: Instant, ip: IpAddr, limits: HandshakeLimits) -> u64 {
        let mut waiting = self.lock();
        let number = waiting.next;
        waiting.next += 1;
        if !(limits.loopback_exempt && ip.is_loopback()) {
            let same = waiting.by_age.iter().filter(|(_, other)| other.from == ip).map(|(number, _)| *number);
            let same: Vec<u64> = same.collect();
            if same.len() >= limits.per_address.max(1) {
                waiting.drop_one(same[0]);
            }
        }
        if waiting.by_age.len() >= limits.all.max(1)
            && let Some(oldest) = waiting.by_age.keys().next().copied()
        {
            waiting.drop_one(oldest);
        }
        waiting.by_age.insert(number, Handshake { from: ip, since: now, task: None });
        number
    }

    /// How long the next should wait for room: not at all once the oldest has had its time.
    fn full_for(&self, now: Instant, limits: HandshakeLimits) -> Option<Duration> {
        let waiting = self.lock();
        let oldest = waiting.by_age.values().next().filter(|_| waiting.by_age.len() >= limits.all.max(1))?;
        let left = (oldest.since + HANDSHAKE_GRACE).saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// Waits until there is room for one more, or the oldest has had its time.
    async fn room(&self, limits: HandshakeLimits) {
        loop {
            let left = self.left.notified();
            tokio::pin!(left);
            left.as_mut().enable();
            let Some(full_for) = self.full_for(Instant::now(), limits) else { return };
            tokio::select! {
                () = left => {}
                () = sleep(full_for) => {}
            }
        }
    }

    /// Says how to end one that was admitted; it may have been dropped already.
    fn can_be_dropped_by(&self, number: u64, handle: AbortHandle) {
        match self.lock().by_age.get_mut(&number) {
            Some(handshake) => handshake.task = Some(handle),
            None => handle.abort(),
        }
    }

    /// Its handshake is over, one way or the other; false if it was dropped.
    fn leave(&self, number: u64) -> bool {
        let there = self.lock().by_age.remove(&number).is_some();
        self.left.notify_waiters();
        there
    }

    /// How many there are, and how many were dropped for others.
    pub(crate) fn counts(&self) -> (usize, u64) {
        let waiting = self.lock();
        (waiting.by_age.len(), waiting.dropped)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().expect("no panic while the list is locked")
    }
}

impl Waiting {
    fn drop_one(&mut self, number: u64) {
        if let Some(handshake) = self.by_age.remove(&number) {
            self.dropped += 1;
            if let Some(handle) = handshake.task {
                handle.abort();
            }
        }
    }
}

/// Listens on these addresses; ports of 0 become real, the same one for both families where it is free.
pub(crate) fn bind(net: &Net, addrs: &[SocketAddr]) -> Result<Vec<TcpListener>, StartError> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    let mut passed_over = None;
    for &addr in addrs {
        let taken = listeners.first().and_then(|first| first.local_addr().ok()).map(|first| first.port());
        let same_port = taken.filter(|_| addr.port() == 0).map(|port| SocketAddr::new(addr.ip(), port));
        let bound =
            same_port.map_or_else(|| bind_one(net, addr), |same| bind_one(net, same).or_else(|_| bind_one(net, addr)));
        match bound {
            Ok(listener) => listeners.push(listener),
            Err(source) if addr.ip().is_unspecified() && no_such_family(&source) => passed_over = Some((addr, source)),
            Err(source) => return Err(StartError::Listen { addr, source }),
        }
    }
    match passed_over {
        Some((addr, source)) if listeners.is_empty() => Err(StartError::Listen { addr, source }),
        _ => Ok(listeners),
    }
}

fn bind_one(net: &Net, addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    net.bind(&socket, addr)?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

pub(crate) fn no_such_family(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

/// Accepts connections as long as the session lives.
pub(crate) async fn run(engine: Weak<Engine>, listener: TcpListener) {
    let mut listener = listener;
    let mut device = engine.upgrade().and_then(|engine| engine.settings.net.device_number());
    loop {
        let accepted_one = tokio::select! {
            accepted = listener.accept() => accepted,
            () = sleep(DEVICE_LOOK), if device.is_some() => {
                let Some(engine) = engine.upgrade() else { return };
                listener = follow(&engine.settings.net, listener, &mut device);
                continue;
            }
        };
        match accepted_one {
            Ok((stream, addr)) => {
                let Some(engine) = engine.upgrade() else { return };
                let (handshakes, limits) = (engine.handshakes.clone(), engine.handshake_limits());
                accepted(&engine, stream, addr);
                drop(engine);
                handshakes.room(limits).await;
            }
            Err(error) if is_about_one_connection(&error) => {}
            Err(error) => {
                // Out of file descriptors or memory: accepting at once again would spin.
                tracing::warn!(%error, "accepting rests");
                sleep(ACCEPT_REST).await;
            }
        }
    }
}

/// A device that went and came back is another one to the system: a listener that was bound to the old one hears nothing.
fn follow(net: &Net, listener: TcpListener, device: &mut Option<u32>) -> TcpListener {
    let now = net.device_number();
    let Ok(addr) = listener.local_addr() else { return listener };
    if now.is_none() || now == *device {
        return listener;
    }
    match bind_one(net, addr) {
        Ok(new) => {
            *device = now;
            new
        }
        Err(error) => {
            tracing::warn!(%error, "cannot listen on the device that came back");
            listener
        }
    }
}

fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

fn accepted(engine: &Arc<Engine>, mut stream: TcpStream, addr: SocketAddr) {
    // An IPv4 address inside an IPv6 one is the same peer as the plain one.
    let addr = SocketAddr::new(addr.ip().to_canonical(), addr.port());
    if let Err(refusal) = engine.settings.net.addresses.may_meet(addr.ip()) {
        tracing::debug!(%refusal, "an incoming connection is closed");
        return;
    }
    let number = engine.handshakes.enter(Instant::now(), addr.ip(), engine.handshake_limits());
    let task = {
        let engine = engine.clone();
        async move {
            dial::prepare(&stream);
            let answer = timeout(HANDSHAKE_TIMEOUT, handshake::answer(&mut stream, &engine)).await;
            if !engine.handshakes.leave(number) {
                return;
            }
            let Ok(Some((core, shaken))) = answer else {
                tracing::debug!("an incoming connection shook no hands");
                return;
            };
            let Ok(permit) = engine.connections.clone().try_acquire_owned() else { return };
            // A task of its own: the one that shook hands may still be dropped for a newer one.
            engine.clone().spawn(dial::start(core, stream, addr, true, shaken, permit));
        }
    };
    let handle = engine.spawn_abortable(task);
    engine.handshakes.can_be_dropped_by(number, handle);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const LIMITS: HandshakeLimits = HandshakeLimits { all: 50, per_address: 3, loopback_exempt: true };

    #[test]
    fn p19_the_oldest_of_too_many_is_dropped() {
        let (handshakes, now) = (Handshakes::default(), Instant::now());
        let numbers: Vec<u64> = (0..600u32)
            .map(|n| handshakes.enter(now, std::net::Ipv4Addr::from(0x0a00_0000 + n).into(), LIMITS))
            .collect();
        assert_eq!(handshakes.counts(), (50, 550));
        assert!(!handshakes.leave(numbers[549]), "the oldest went");
        assert!(handshakes.leave(numbers[550]), "the newest stayed");
    }

    #[test]
    fn p19_three_from_one_address() {
        let (handshakes, now) = (Handshakes::default(), Instant::now());
        let numbers: Vec<u64> = (0..5).map(|_| handshakes.enter(now, "10.0.0.1".parse().unwrap(), LIMITS)).collect();
        handshakes.enter(now, "10.0.0.2".parse().unwrap(), LIMITS);
        assert_eq!(handshakes.counts(), (4, 2));
        assert_eq!(numbers.map_left(&handshakes), [false, false, true, true, true]);
    }

    #[test]
    fn p19_loopback_is_exempt_only_where_the_settings_say_so() {
        let strict = HandshakeLimits { loopback_exempt: false, ..LIMITS };
        for (limits, left) in [(LIMITS, 10), (strict, 3)] {
            let (handshakes, now) = (Handshakes::default(), Instant::now());
            for _ in 0..10 {
                handshakes.enter(now, "127.0.0.1".parse().unwrap(), limits);
            }
            assert_eq!(handshakes.counts().0, left);
        }
    }

    #[test]
    fn p19_a_storm_waits_until_the_oldest_has_had_its_time() {
        let (handshakes, now) = (Handshakes::default(), Instant::now());
        let numbers: Vec<u64> = (0..50u32)
            .map(|n| handshakes.enter(now, std::net::Ipv4Addr::from(0x0a00_0000 + n).into(), LIMITS))
            .collect();
        assert_eq!(handshakes.full_for(now, LIMITS), Some(HANDSHAKE_GRACE));
        assert_eq!(handshakes.full_for(now + HANDSHAKE_GRACE, LIMITS), None, "who is silent makes room");
        assert!(handshakes.leave(numbers[7]));
        assert_eq!(handshakes.full_for(now, LIMITS), None, "one has ended");
    }

    trait MapLeft {
        fn map_left(&self, handshakes: &Handshakes) -> Vec<bool>;
    }
    impl MapLeft for Vec<u64> {
        fn map_left(&self, handshakes: &Handshakes) -> Vec<bool> {
            self.iter().map(|number| handshakes.leave(*number)).collect()
        }
    }
}
