//! The handshakes of both directions: MSE's where it is wished for, then BitTorrent's.
//!
//! Neither reads a byte more than it needs, so that the first messages stay in the socket.

use std::sync::Arc;

use riverrun_proto::limits::HANDSHAKE_TIMEOUT;
use riverrun_proto::mse::{Cipher, Cover, Covered, Initiator, Methods, Opening, RANDOM_LENGTH, Responder, Way};
use riverrun_proto::swarm::DialError;
use riverrun_proto::wire::{HANDSHAKE_LENGTH, Handshake, HandshakeDecoder};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::{Core, dht};
use crate::engine::Engine;

/// What came of the handshakes.
#[derive(Debug)]
pub(crate) struct Shaken {
    /// What the peer said.
    pub(crate) handshake: Handshake,
    /// How the connection goes on.
    pub(crate) veil: Veil,
}

/// What lies over a connection: a cipher each way, or nothing.
#[derive(Debug, Default)]
pub(crate) struct Veil {
    pub(crate) cover: Cover,
    /// What received bytes are put through.
    pub(crate) inbound: Option<Cipher>,
    /// What bytes are put through before they are sent.
    pub(crate) outbound: Option<Cipher>,
}

impl Veil {
    fn of(covered: Covered) -> (Self, Vec<u8>) {
        let Covered { cover, inbound, outbound, first, .. } = covered;
        (Self { cover, inbound, outbound }, first)
    }

    /// Makes received bytes plain.
    pub(crate) fn lift(&mut self, bytes: &mut [u8]) {
        if let Some(cipher) = &mut self.inbound {
            cipher.apply(bytes);
        }
    }

    /// Makes bytes ready to be sent.
    pub(crate) fn lay(&mut self, bytes: &mut [u8]) {
        if let Some(cipher) = &mut self.outbound {
            cipher.apply(bytes);
        }
    }
}

/// Opens a connection, the first way that the peer takes; `connect` is called for each. Each has the time of a handshake, so
/// that a peer which says nothing to one can be tried the next.
///
/// # Errors
/// No way led to a handshake of BitTorrent's. [`DialError::Unencrypted`] if plaintext was not among them.
pub(crate) async fn open<E: From<DialError>, F: Future<Output = Result<TcpStream, E>>>(
    ways: &[Way],
    connect: impl Fn() -> F,
    ours: &Handshake,
) -> Result<(TcpStream, Shaken), E> {
    let mut last = DialError::Handshake;
    for way in ways {
        let deadline = Instant::now() + HANDSHAKE_TIMEOUT;
        let mut stream = timeout_at(deadline, connect()).await.map_err(|_| DialError::Timeout)??;
        let shaken = timeout_at(deadline, shake(&mut stream, *way, ours)).await;
        last = match shaken.unwrap_or(Err(DialError::Timeout)) {
            Ok(shaken) => return Ok((stream, shaken)),
            // The peer took this way; what it did not like is something else.
            Err(DialError::Handshake) if *way != Way::Plain => return Err(DialError::Handshake.into()),
            Err(error) => error,
        };
        tracing::debug!(?way, error = ?last, "the peer does not take this way");
    }
    let plaintext_too = ways.contains(&Way::Plain) && last == DialError::Unencrypted;
    Err(if plaintext_too { DialError::Handshake } else { last }.into())
}

/// Both handshakes on a connection that we opened. [`DialError::Unencrypted`]: the peer did not take MSE's.
async fn shake(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    way: Way,
    ours: &Handshake,
) -> Result<Shaken, DialError> {
    let mut veil = match way {
        Way::Plain => {
            stream.write_all(&ours.encode()).await.map_err(|_| DialError::Handshake)?;
            Veil::default()
        }
        Way::Covered(methods) => initiate(stream, methods, ours).await.ok_or(DialError::Unencrypted)?,
    };
    let mut decoder = HandshakeDecoder::new();
    let mut bytes = [0; HANDSHAKE_LENGTH];
    loop {
        let read = read_some(stream, &mut bytes[..decoder.missing()]).await.ok_or(DialError::Handshake)?;
        veil.lift(read);
        if let Some(handshake) = decoder.feed(&mut &*read).map_err(|_| DialError::Handshake)? {
            return Ok(Shaken { handshake, veil });
        }
    }
}

/// The MSE handshake of the side that dialled, with our handshake inside; `None` if the peer does not go along.
async fn initiate(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    methods: Methods,
    ours: &Handshake,
) -> Option<Veil> {
    let mut machine = Initiator::new(random()?, ours.info_hash, methods, &ours.encode());
    let mut bytes = [0; LONGEST_STEP];
    loop {
        stream.write_all(&machine.take()).await.ok()?;
        let most = machine.missing().min(bytes.len());
        let read = read_some(stream, &mut bytes[..most]).await?;
        match machine.feed(&mut &*read) {
            Ok(None) => {}
            Ok(Some(covered)) => return Some(Veil::of(covered).0),
            Err(error) => {
                tracing::debug!(%error, "no MSE handshake");
                return None;
            }
        }
    }
}

/// More than any step of an MSE handshake waits for.
const LONGEST_STEP: usize = 1024;

/// An incoming handshake: who is meant, and who speaks. Nothing but what everybody gets is sent to somebody who asks for a torrent that
/// is not here (THREATS P30).
pub(crate) async fn answer(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    engine: &Engine,
) -> Option<(Arc<Core>, Shaken)> {
    let encryption = engine.settings.encryption;
    // No more than either handshake is sure to have.
    let (mut bytes, mut length) = ([0; HANDSHAKE_LENGTH], 0);
    let opening = loop {
        length += read_some(stream, &mut bytes[length..]).await?.len();
        match Opening::of(&bytes[..length]) {
            Opening::Undecided => {}
            opening => break opening,
        }
    };
    match (opening, encryption.methods()) {
        (Opening::Plain, _) if encryption.takes_plaintext() => {
            identify(stream, engine, Veil::default(), &bytes[..length], None).await
        }
        (Opening::Noise, Some(methods)) => {
            let covered = respond(stream, engine, methods, &bytes[..length]).await?;
            let info_hash = covered.info_hash;
            let meant = engine.find_open(info_hash)?;
            let (veil, first) = Veil::of(covered);
            identify(stream, engine, veil, &first, Some(meant)).await
        }
        _ => None,
    }
}

/// The MSE handshake of the side that was dialled; `first` has been read already.
async fn respond(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    engine: &Engine,
    methods: Methods,
    first: &[u8],
) -> Option<Covered> {
    let mut machine = Responder::new(random()?, methods);
    let mut bytes = [0; LONGEST_STEP];
    let mut input = first;
    loop {
        let end = machine.feed(&mut input, |mark| engine.find_marked(mark));
        let end = end.inspect_err(|error| tracing::debug!(%error, "no MSE handshake")).ok()?;
        let answer = machine.take();
        if !answer.is_empty() {
            stream.write_all(&answer).await.ok()?;
        }
        if end.is_some() {
            return end;
        }
        let most = machine.missing().min(bytes.len());
        input = read_some(stream, &mut bytes[..most]).await?;
    }
}

/// BitTorrent's handshake on a connection that was opened to us. `meant`: the torrent that was named before; it must be that one.
async fn identify(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    engine: &Engine,
    mut veil: Veil,
    first: &[u8],
    meant: Option<Arc<Core>>,
) -> Option<(Arc<Core>, Shaken)> {
    let mut decoder = HandshakeDecoder::new();
    let mut known: Option<Arc<Core>> = None;
    let mut bytes = [0; HANDSHAKE_LENGTH];
    let mut whole = decoder.feed(&mut &*first).ok()?;
    loop {
        if let (None, Some(info_hash)) = (&known, decoder.info_hash()) {
            let core = engine.find_open(info_hash)?;
            if meant.as_ref().is_some_and(|meant| !Arc::ptr_eq(meant, &core)) {
                return None;
            }
            // The id of the other side may come only after ours: some clients wait for it.
            let theirs = decoder.reserved().unwrap_or_default();
            let mut ours = Handshake::answer(core.info_hashes(), info_hash, theirs, engine.peer_id);
            ours.reserved = ours.reserved.with_dht(dht::speaks(&core));
            let mut ours = ours.encode();
            veil.lay(&mut ours);
            stream.write_all(&ours).await.ok()?;
            known = Some(core);
        }
        if let (Some(handshake), Some(core)) = (whole, &known) {
            return Some((core.clone(), Shaken { handshake, veil }));
        }
        let read = read_some(stream, &mut bytes[..decoder.missing()]).await?;
        veil.lift(read);
        whole = decoder.feed(&mut &*read).ok()?;
    }
}

/// Reads what has come, at least a byte; `None` at the end.
async fn read_some<'b>(stream: &mut (impl AsyncRead + Unpin), into: &'b mut [u8]) -> Option<&'b mut [u8]> {
    let count = stream.read(into).await.ok().filter(|count| *count > 0)?;
    Some(&mut into[..count])
}

/// The bytes of chance that a handshake takes.
fn random() -> Option<[u8; RANDOM_LENGTH]> {
    let mut bytes = [0; RANDOM_LENGTH];
    getrandom::fill(&mut bytes).ok()?;
    Some(bytes)
}
