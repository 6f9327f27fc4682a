//! The tracker's connections: GET by GET, bounded in number, size and time.
//!
//! Reading the head of a GET takes 100 lines (`proto::tracker::server::RequestHead`, which is fuzzed); a server of HTTP would bring
//! bodies, upgrades and their limits for a protocol that has none of them.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use riverrun_proto::limits::{
    MAX_REQUEST_CONNECTIONS, MAX_REQUEST_CONNECTIONS_PER_ADDRESS, MAX_REQUEST_HEADER, REQUEST_PATIENCE,
};
use riverrun_proto::tracker::server::{RequestError, RequestHead};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Desk;

/// How long accepting rests when the system has no more file descriptors or memory (THREATS L12).
const ACCEPT_REST: Duration = Duration::from_millis(200);

/// Who may come in.
#[derive(Debug)]
pub(super) struct Door {
    room: Arc<Semaphore>,
    /// Connections of each host; only looked up, never walked.
    hosts: Mutex<HashMap<[u8; 16], usize>>,
}

/// A connection's place, given back when dropped.
struct Place {
    door: Arc<Door>,
    host: [u8; 16],
    _permit: OwnedSemaphorePermit,
}

impl Door {
    pub(super) fn new() -> Self {
        Self { room: Arc::new(Semaphore::new(MAX_REQUEST_CONNECTIONS)), hosts: Mutex::new(HashMap::new()) }
    }

    fn enter(self: &Arc<Self>, from: IpAddr, permit: OwnedSemaphorePermit) -> Option<Place> {
        let host = host(from);
        let mut hosts = self.lock();
        let count = hosts.entry(host).or_default();
        if *count >= MAX_REQUEST_CONNECTIONS_PER_ADDRESS {
            return None;
        }
        *count += 1;
        drop(hosts);
        Some(Place { door: self.clone(), host, _permit: permit })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 16], usize>> {
        self.hosts.lock().expect("no panic while the counts are locked")
    }
}

/// An IPv4 address, or the /64 of an IPv6 address.
fn host(ip: IpAddr) -> [u8; 16] {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => (ip.to_bits() & !u128::from(u64::MAX)).to_be_bytes(),
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut hosts = self.door.lock();
        if let Some(count) = hosts.get_mut(&self.host) {
            *count -= 1;
            if *count == 0 {
                hosts.remove(&self.host);
            }
        }
    }
}

pub(super) async fn run(listener: TcpListener, desk: Arc<Desk>, door: Arc<Door>) {
    // They end with this task.
    let mut connections = JoinSet::new();
    loop {
        // The house is full: the next ones wait in the system's queue.
        let permit = door.room.clone().acquire_owned().await.expect("the door is never closed");
        let (stream, from) = accept(&listener, &mut connections).await;
        if let Some(place) = door.enter(from.ip(), permit) {
            connections.spawn(connection(stream, from.ip(), desk.clone(), place));
        }
    }
}

async fn accept(listener: &TcpListener, connections: &mut JoinSet<()>) -> (TcpStream, SocketAddr) {
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => return accepted,
                Err(_) => sleep(ACCEPT_REST).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, from: IpAddr, desk: Arc<Desk>, place: Place) {
    // A client that breaks off has itself to blame.
    let _ = serve(stream, from, &desk, REQUEST_PATIENCE).await;
    drop(place);
}

async fn serve(mut stream: TcpStream, from: IpAddr, desk: &Desk, patience: Duration) -> io::Result<()> {
    let mut received = Vec::new();
    loop {
        let head = match timeout(patience, read_head(&mut stream, &mut received)).await {
            Err(_) | Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(error),
            Ok(Ok(Some(head))) => head,
        };
        let (bytes, keep_alive) = match head {
            Ok(RequestHead { target, keep_alive, length }) => {
                received.drain(..length);
                (desk.lock().http(Instant::now(), from, &target).encode(keep_alive), keep_alive)
            }
            Err(error) => (error.answer().encode(false), false),
        };
        timeout(patience, stream.write_all(&bytes)).await??;
        if !keep_alive {
            return leave(stream).await;
        }
    }
}

/// Reads up to the end of a head; `None`: the client has gone.
async fn read_head(
    stream: &mut TcpStream,
    received: &mut Vec<u8>,
) -> io::Result<Option<Result<RequestHead, RequestError>>> {
    let mut seen = 0;
    loop {
        match RequestHead::read(received, seen) {
            Ok(None) => {}
            Ok(Some(head)) => return Ok(Some(Ok(head))),
            Err(error) => return Ok(Some(Err(error))),
        }
        seen = received.len();
        let most = (MAX_REQUEST_HEADER + 4).saturating_sub(seen).max(1) as u64;
        if stream.take(most).read_buf(received).await? == 0 {
            return Ok(None);
        }
    }
}

/// Closes so that the answer arrives: what the client still sends is read for a moment, for closing on unread bytes would reset the
/// connection and the answer with it.
async fn leave(mut stream: TcpStream) -> io::Result<()> {
    stream.shutdown().await?;
    let mut rest = [0; 1024];
    let drain = async { while stream.read(&mut rest).await.is_ok_and(|count| count > 0) {} };
    // It had its time.
    let _ = timeout(Duration::from_secs(1), drain).await;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::Ipv4Addr;

    use riverrun_proto::tracker::server::{Config, Server};

    use super::*;

    /// What a client gets that sends these bytes and then waits.
    async fn answer_to(bytes: &[u8]) -> Vec<u8> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, from) = listener.accept().await.unwrap();
        let desk = Desk(Mutex::new(Server::new(Config::default(), Instant::now(), [1; 32])));
        client.write_all(bytes).await.unwrap();
        serve(stream, from.ip(), &desk, Duration::from_millis(100)).await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a9_a_head_that_does_not_end_and_a_connection_that_rests_end_in_time() {
        assert_eq!(answer_to(b"GET /announce HTTP/1.1\r\nHost:").await, b"");
        assert_eq!(answer_to(b"").await, b"");
        let answer = answer_to(b"GET / HTTP/1.1\r\n\r\n").await;
        assert!(answer.starts_with(b"HTTP/1.1 404 "), "{answer:?}");
    }

    #[test]
    fn hosts_by_address_and_by_prefix() {
        let of = |text: &str| host(text.parse().unwrap());
        assert_eq!(of("10.0.0.1"), of("::ffff:10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:0:0:2"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    }
}
