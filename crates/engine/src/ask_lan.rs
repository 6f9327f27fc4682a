//! Asking the local network who has a torrent, without joining its swarm.
//!
//! Local discovery knows no answers (BEP 14): whoever hears that somebody takes part connects to him, and may speak up himself. So
//! we say that we take part, listen to both for a while, and hang up on those who come as soon as they have said where they listen.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use riverrun_metainfo::{InfoHashes, WireHash};
use riverrun_proto::wire::extended::ExtendedHandshake;
use riverrun_proto::wire::{
    Decoder, DecoderConfig, Frame, HANDSHAKE_LENGTH, Handshake, HandshakeDecoder, Message, PeerId, Reserved,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

use crate::Net;
use crate::drive::listen;
use crate::drive::lsd::{Driver, Packet};

/// How long somebody who connects may take to say where he listens.
const VISIT: Duration = Duration::from_secs(3);
/// Visitors at once; more are turned away.
const MAX_VISITORS: usize = 50;

/// Asks the local network for peers and listens for `patience`; who takes part in the torrent and may be met, each once.
///
/// A machine without a network finds nobody. Nothing may be asked about a private torrent: its peers come from its tracker alone
/// (BEP 27).
pub async fn lan_peers(info_hashes: InfoHashes, patience: Duration, net: &Net) -> Vec<SocketAddr> {
    let until = Instant::now() + patience;
    let any = [IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::UNSPECIFIED)].map(|ip| SocketAddr::new(ip, 0));
    let listeners = listen::bind(net, &any).unwrap_or_else(|error| {
        tracing::debug!(%error, "nobody can connect");
        Vec::new()
    });
    let listening: Vec<_> = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
    let mut driver = Driver::new(Instant::now(), net.clone(), &listening, getrandom::u64().unwrap_or_default());
    driver.set_torrents(Instant::now(), info_hashes.wire_all().collect());
    driver.rescan(Instant::now());
    let mut peers = BTreeSet::new();
    let mut visits = JoinSet::new();
    let mut packet = Packet::new();
    loop {
        let due = driver.next_timeout().map_or(until, |due| due.min(until));
        let mut heard = false;
        tokio::select! {
            () = driver.receive(&mut packet) => heard = true,
            (stream, from) = accept(&listeners) => {
                if visits.len() < MAX_VISITORS {
                    visits.spawn(timeout(VISIT, visit(stream, from, info_hashes)));
                }
            }
            Some(visited) = visits.join_next() => {
                peers.extend(visited.ok().and_then(Result::ok).flatten());
            }
            () = sleep_until(due.into()) => {}
        }
        let now = Instant::now();
        if heard {
            driver.received(now, &packet);
        } else if driver.next_timeout().is_some_and(|due| due <= now) {
            driver.timeout(now);
        }
        peers.extend(driver.carry_out().into_iter().map(|(_, addr)| addr));
        if now >= until {
            return peers.into_iter().filter(|peer| net.addresses.may_meet(peer.ip()).is_ok()).collect();
        }
    }
}

/// The next connection at any of the listeners.
async fn accept(listeners: &[TcpListener]) -> (TcpStream, SocketAddr) {
    std::future::poll_fn(|cx| {
        for listener in listeners {
            if let std::task::Poll::Ready(Ok(accepted)) = listener.poll_accept(cx) {
                return std::task::Poll::Ready(accepted);
            }
        }
        std::task::Poll::Pending
    })
    .await
}

/// Shakes hands with somebody who connected, until he says where he listens.
async fn visit(mut stream: TcpStream, mut from: SocketAddr, info_hashes: InfoHashes) -> Option<SocketAddr> {
    let mut decoder = HandshakeDecoder::new();
    let mut bytes = [0; HANDSHAKE_LENGTH];
    let mut answered = false;
    let theirs = loop {
        let count = stream.read(&mut bytes[..decoder.missing()]).await.ok().filter(|count| *count > 0)?;
        let whole = decoder.feed(&mut &bytes[..count]).ok()?;
        if let (false, Some(meant)) = (answered, decoder.info_hash()) {
            if info_hashes.wire_all().all(|hash: WireHash| hash != meant) {
                return None;
            }
            answered = true;
            let mut id = [0; 12];
            getrandom::fill(&mut id).ok()?;
            let ours = Handshake { reserved: Reserved::ours(), info_hash: meant, peer_id: PeerId::ours(id) };
            stream.write_all(&ours.encode()).await.ok()?;
            let hello = Message::Extended { id: 0, payload: ExtendedHandshake::default().to_bytes().into() };
            let mut out = Vec::new();
            hello.encode(&mut out);
            stream.write_all(&out).await.ok()?;
        }
        if let Some(handshake) = whole {
            break handshake;
        }
    };
    if !theirs.reserved.extended() {
        return None;
    }
    let mut decoder = Decoder::new(DecoderConfig::new(None));
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let count = stream.read(&mut bytes).await.ok().filter(|count| *count > 0)?;
        let mut input = &bytes[..count];
        while let Some(frame) = decoder.next(&mut input).ok()? {
            if let Frame::Message(Message::Extended { id: 0, payload }) = frame {
                from.set_port(ExtendedHandshake::parse(&payload).ok()?.listen_port?);
                return Some(from);
            }
        }
    }
}
