//! Connecting to a candidate.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use riverrun_proto::mse::Way;
use riverrun_proto::swarm::{CloseReason, Connected, DialError};
use riverrun_proto::wire::Handshake;
use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::connection::Connection;
use super::handshake::{self, Shaken};
use super::{Core, dht};

/// Connects to a candidate in one of these ways, shakes hands, and becomes its connection.
pub(crate) async fn dial(core: Arc<Core>, addr: SocketAddr, ways: &'static [Way]) {
    let outcome = tokio::select! {
        outcome = connect(&core, addr, ways) => outcome,
        () = core.stopping() => return,
    };
    match outcome {
        Ok((stream, shaken, permit)) => start(core, stream, addr, false, shaken, permit).await,
        Err(error) => {
            tracing::debug!(?error, "a candidate brought no connection");
            core.dial_failed(addr, error);
        }
    }
}

async fn connect(
    core: &Core,
    addr: SocketAddr,
    ways: &[Way],
) -> Result<(TcpStream, Shaken, OwnedSemaphorePermit), DialError> {
    let engine = &core.engine;
    // No candidate is refused by the rules; this is the last door all the same.
    engine.settings.net.addresses.may_meet(addr.ip()).map_err(|_| DialError::Unreachable)?;
    // Both semaphores live as long as the session and are never closed.
    let permit = engine.connections.clone().acquire_owned().await.map_err(|_| DialError::Unreachable)?;
    let _dial = engine.dials.acquire().await.map_err(|_| DialError::Unreachable)?;
    let hashes = core.info_hashes();
    let ours = Handshake { reserved: dht::reserved(core), info_hash: hashes.wire(), peer_id: engine.peer_id };
    let connect = || async {
        let stream = engine.settings.net.connect(addr).await.map_err(|error| dial_error(&error))?;
        prepare(&stream);
        Ok::<_, DialError>(stream)
    };
    let (stream, shaken) = handshake::open(ways, connect, &ours).await?;
    if hashes.wire_all().all(|hash| hash != shaken.handshake.info_hash) {
        return Err(DialError::WrongTorrent);
    }
    Ok((stream, shaken, permit))
}

/// Both handshakes have passed: from now on it is a connection of the torrent.
pub(crate) async fn start(
    core: Arc<Core>,
    stream: TcpStream,
    addr: SocketAddr,
    incoming: bool,
    shaken: Shaken,
    permit: OwnedSemaphorePermit,
) {
    let wake = Arc::new(Notify::new());
    let id = core.engine.next_connection();
    let Shaken { handshake, veil } = shaken;
    let cover = veil.cover;
    let connection = Connection::new(core.clone(), id, (stream, addr), veil, wake.clone(), permit);
    if core.connected(Connected { connection: id, addr, incoming, handshake, cover }, wake) {
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
