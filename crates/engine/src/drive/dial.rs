//! Connecting to a candidate, and the handshake of both directions.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use riverrun_metainfo::WireHash;
use riverrun_proto::limits::HANDSHAKE_TIMEOUT;
use riverrun_proto::mse::Cover;
use riverrun_proto::swarm::{CloseReason, Connected, DialError};
use riverrun_proto::wire::{Handshake, HandshakeDecoder, PeerId, Reserved};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::timeout;

use super::Core;
use super::connection::Connection;

/// Connects to a candidate, shakes hands, and becomes its connection.
pub(crate) async fn dial(core: Arc<Core>, addr: SocketAddr) {
    let outcome = tokio::select! {
        outcome = connect(&core, addr) => outcome,
        () = core.stopping() => return,
    };
    match outcome {
        Ok((stream, handshake, permit)) => start(core, stream, addr, false, handshake, permit).await,
        Err(error) => {
            tracing::debug!(?error, "a candidate brought no connection");
            core.dial_failed(addr, error);
        }
    }
}

async fn connect(core: &Core, addr: SocketAddr) -> Result<(TcpStream, Handshake, OwnedSemaphorePermit), DialError> {
    let engine = &core.engine;
    // No candidate is refused by the rules; this is the last door all the same.
    engine.settings.net.addresses.may_meet(addr.ip()).map_err(|_| DialError::Unreachable)?;
    // Both semaphores live as long as the session and are never closed.
    let permit = engine.connections.clone().acquire_owned().await.map_err(|_| DialError::Unreachable)?;
    let _dial = engine.dials.acquire().await.map_err(|_| DialError::Unreachable)?;
    let hashes = core.info_hashes();
    let ours = Handshake { reserved: Reserved::ours().of(hashes), info_hash: hashes.wire(), peer_id: engine.peer_id };
    let shaken = timeout(HANDSHAKE_TIMEOUT, async {
        let mut stream = engine.settings.net.connect(addr).await.map_err(|error| dial_error(&error))?;
        prepare(&stream);
        let theirs = shake(&mut stream, &ours).await?;
        if hashes.wire_all().all(|hash| hash != theirs.info_hash) {
            return Err(DialError::WrongTorrent);
        }
        Ok((stream, theirs))
    });
    let (stream, theirs) = shaken.await.map_err(|_| DialError::Timeout)??;
    Ok((stream, theirs, permit))
}

/// Sends our handshake and reads the other, on a connection that we opened.
pub(crate) async fn shake(stream: &mut TcpStream, ours: &Handshake) -> Result<Handshake, DialError> {
    stream.write_all(&ours.encode()).await.map_err(|_| DialError::Handshake)?;
    let mut decoder = HandshakeDecoder::new();
    read_handshake(stream, &mut decoder, |_| true).await?.ok_or(DialError::Handshake)
}

/// Reads until the handshake is whole, or until `go_on` says no to an info-hash.
async fn read_handshake(
    stream: &mut TcpStream,
    decoder: &mut HandshakeDecoder,
    mut go_on: impl FnMut(WireHash) -> bool,
) -> Result<Option<Handshake>, DialError> {
    let mut bytes = [0; riverrun_proto::wire::HANDSHAKE_LENGTH];
    loop {
        let known = decoder.info_hash();
        // Not a byte more than the handshake, so that the first messages stay in the socket.
        let count = stream.read(&mut bytes[..decoder.missing()]).await.map_err(|_| DialError::Handshake)?;
        if count == 0 {
            return Err(DialError::Handshake);
        }
        let whole = decoder.feed(&mut &bytes[..count]).map_err(|_| DialError::Handshake)?;
        if let (None, Some(hash)) = (known, decoder.info_hash())
            && !go_on(hash)
        {
            return Ok(None);
        }
        if whole.is_some() {
            return Ok(whole);
        }
    }
}

/// An incoming handshake: who is meant, and who speaks. Nothing is sent to somebody who asks for a torrent that is not here
/// (THREATS P30).
pub(crate) async fn answer(
    stream: &mut TcpStream,
    peer_id: PeerId,
    find: impl Fn(WireHash) -> Option<Arc<Core>>,
) -> Option<(Arc<Core>, Handshake)> {
    let mut decoder = HandshakeDecoder::new();
    let mut bytes = [0; riverrun_proto::wire::HANDSHAKE_LENGTH];
    let mut meant: Option<Arc<Core>> = None;
    loop {
        let count = stream.read(&mut bytes[..decoder.missing()]).await.ok().filter(|count| *count > 0)?;
        let whole = decoder.feed(&mut &bytes[..count]).ok()?;
        if let (None, Some(info_hash)) = (&meant, decoder.info_hash()) {
            let core = find(info_hash)?;
            // The id of the other side may come only after ours: some clients wait for it.
            let theirs = decoder.reserved().unwrap_or_default();
            let ours = Handshake::answer(core.info_hashes(), info_hash, theirs, peer_id);
            meant = Some(core);
            stream.write_all(&ours.encode()).await.ok()?;
        }
        if let (Some(handshake), Some(core)) = (whole, &meant) {
            return Some((core.clone(), handshake));
        }
    }
}

/// Both handshakes have passed: from now on it is a connection of the torrent.
pub(crate) async fn start(
    core: Arc<Core>,
    stream: TcpStream,
    addr: SocketAddr,
    incoming: bool,
    handshake: Handshake,
    permit: OwnedSemaphorePermit,
) {
    let wake = Arc::new(Notify::new());
    let id = core.engine.next_connection();
    let connection = Connection::new(core.clone(), id, stream, wake.clone(), permit);
    if core.connected(Connected { connection: id, addr, incoming, handshake, cover: Cover::None }, wake) {
        connection.run().await;
    } else if !incoming {
        core.closed(id, CloseReason::Stopped);
    }
}

/// Small messages leave at once; the outbox puts together what belongs together.
pub(crate) fn prepare(stream: &TcpStream) {
    // A socket that cannot do this works all the same.
    let _ = stream.set_nodelay(true);
}

pub(crate) fn dial_error(error: &io::Error) -> DialError {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => DialError::Refused,
        io::ErrorKind::TimedOut => DialError::Timeout,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => DialError::Handshake,
        _ => DialError::Unreachable,
    }
}
