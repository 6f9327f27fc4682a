//! One question to a peer, without a session.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use riverrun_metainfo::{Bitfield, InfoHashes};
use riverrun_proto::mse::{Cover, Encryption};
use riverrun_proto::swarm::DialError;
use riverrun_proto::wire::extended::{ExtendedHandshake, ExtendedMessage, Extension};
use riverrun_proto::wire::{Decoder, DecoderConfig, Frame, Handshake, Message, PeerId, Reserved};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Net;
use crate::ask::Caller;
use crate::drive::handshake::{self, Shaken, Veil};

/// How long a peer is listened to after the handshake.
const LISTEN: Duration = Duration::from_secs(1);
/// How long it is waited for what it tells of others: clients gather for a second or two before they do.
const LISTEN_FOR_OTHERS: Duration = Duration::from_secs(5);

/// What to ask a peer about.
#[derive(Clone, Debug)]
pub struct PeerQuery {
    /// The torrent.
    pub info_hashes: InfoHashes,
    /// The number of its pieces, if it is known: without it a peer's share is not either, unless it has all or nothing.
    pub pieces: Option<u32>,
    /// Whom else it knows (BEP 11). Not for private torrents (BEP 27): it is for the caller to know. Default no.
    pub others: bool,
    /// How long the connection and the handshake may take. Default 15 s.
    pub timeout: Duration,
    /// How connections look. Default: like noise where the peer can.
    pub encryption: Encryption,
    /// How the peer is reached, and whether it may be.
    pub net: Net,
}

impl PeerQuery {
    /// A question about a torrent with so many pieces.
    #[must_use]
    pub fn new(info_hashes: InfoHashes, pieces: Option<u32>) -> Self {
        let (timeout, encryption) = (Duration::from_secs(15), Encryption::default());
        Self { info_hashes, pieces, others: false, timeout, encryption, net: Net::default() }
    }
}

/// What a peer said when we shook hands.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Its id.
    pub peer_id: PeerId,
    /// What it speaks.
    pub reserved: Reserved,
    /// What it calls itself (BEP 10 `v`, else from its id). Text of a stranger: escape before display.
    pub client: String,
    /// Its share of the pieces, 0 to 1; `None` if it did not say.
    pub progress: Option<f32>,
    /// How much of the connection looked like noise.
    pub cover: Cover,
    /// The peers that it told of, if it was asked to (BEP 11). A stranger's word: addresses as they came.
    pub told: Vec<SocketAddr>,
}

/// Why a peer did not shake hands.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// Nobody listens there.
    #[error("refused the connection")]
    Refused,
    /// No answer in time.
    #[error("no answer")]
    Timeout,
    /// It closed, or its answer is no handshake.
    #[error("no handshake")]
    NoHandshake,
    /// It speaks of another torrent.
    #[error("speaks of another torrent")]
    WrongTorrent,
    /// The network said no.
    #[error("{0}")]
    Network(io::ErrorKind),
    /// The rules for whom we talk to say no, and why.
    #[error("{0}")]
    NotAllowed(String),
}

impl From<DialError> for ProbeError {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Refused => Self::Refused,
            DialError::Timeout => Self::Timeout,
            DialError::WrongTorrent => Self::WrongTorrent,
            DialError::Unreachable => Self::Network(io::ErrorKind::HostUnreachable),
            DialError::Handshake | DialError::Unencrypted => Self::NoHandshake,
        }
    }
}

/// Connects to a peer, shakes hands, listens for up to a second for what it has, and for up to five for whom it knows if that is
/// asked, and goes.
///
/// # Errors
/// The peer cannot be reached, or does not shake hands.
pub async fn probe_peer(addr: SocketAddr, query: &PeerQuery) -> Result<Probe, ProbeError> {
    let (net, hashes) = (&query.net, query.info_hashes);
    net.addresses.may_meet(addr.ip()).map_err(|refusal| ProbeError::NotAllowed(refusal.to_string()))?;
    let ours = Handshake { reserved: Reserved::ours(), info_hash: hashes.wire(), peer_id: Caller::new(net).peer_id };
    let shaken = timeout(query.timeout, async {
        let connect = || async {
            net.connect(addr).await.map_err(|error| match error.kind() {
                io::ErrorKind::ConnectionRefused => ProbeError::Refused,
                kind => ProbeError::Network(kind),
            })
        };
        let (stream, shaken) = handshake::open(query.encryption.ways(false), connect, &ours).await?;
        if hashes.wire_all().all(|hash| hash != shaken.handshake.info_hash) {
            return Err(ProbeError::WrongTorrent);
        }
        Ok((stream, shaken))
    });
    let (stream, Shaken { handshake: theirs, veil }) = shaken.await.map_err(|_| ProbeError::Timeout)??;
    let mut probe = Probe {
        peer_id: theirs.peer_id,
        reserved: theirs.reserved,
        client: theirs.peer_id.client(),
        progress: None,
        cover: veil.cover,
        told: Vec::new(),
    };
    let others = query.others && theirs.reserved.extended();
    let patience = if others { LISTEN_FOR_OTHERS } else { LISTEN };
    let mut ear =
        Ear { pieces: query.pieces, missing: Missing { name: theirs.reserved.extended(), share: true, others } };
    // Whatever it has said by then is what there is to say.
    let _ = timeout(patience, ear.listen(stream, veil, &mut probe)).await;
    Ok(probe)
}

/// Takes in what a peer says of itself.
struct Ear {
    pieces: Option<u32>,
    missing: Missing,
}

/// What the peer has not said yet.
struct Missing {
    name: bool,
    share: bool,
    others: bool,
}

impl Ear {
    /// Listens until the peer has said all that is of interest.
    async fn listen(&mut self, mut stream: TcpStream, mut veil: Veil, probe: &mut Probe) -> io::Result<()> {
        if self.missing.others {
            let number = (Extension::Pex, Extension::Pex.number());
            let hello = ExtendedHandshake { extensions: vec![number], ..ExtendedHandshake::default() };
            let mut bytes = Vec::new();
            Message::Extended { id: 0, payload: hello.to_bytes().into() }.encode(&mut bytes);
            veil.lay(&mut bytes);
            stream.write_all(&bytes).await?;
        }
        let mut decoder = Decoder::new(DecoderConfig::new(self.pieces));
        let mut bytes = vec![0; 16 * 1024];
        while self.missing.name || self.missing.share || self.missing.others {
            let count = stream.read(&mut bytes).await?;
            if count == 0 {
                break;
            }
            veil.lift(&mut bytes[..count]);
            let mut input = &bytes[..count];
            while let Some(frame) = decoder.next(&mut input).map_err(io::Error::other)? {
                if let Frame::Message(message) = frame {
                    self.hear(message, probe)?;
                }
            }
        }
        Ok(())
    }

    fn hear(&mut self, message: Message, probe: &mut Probe) -> io::Result<()> {
        match message {
            Message::Bitfield(bits) => {
                self.missing.share = false;
                let Some(pieces) = self.pieces else { return Ok(()) };
                let had = Bitfield::from_wire(&bits, pieces).map_err(io::Error::other)?.count();
                #[expect(clippy::cast_possible_truncation, reason = "a share for display")]
                let share = (f64::from(had) / f64::from(pieces.max(1))) as f32;
                probe.progress = Some(share);
            }
            Message::HaveAll => (probe.progress, self.missing.share) = (Some(1.0), false),
            Message::HaveNone => (probe.progress, self.missing.share) = (Some(0.0), false),
            Message::Extended { id, payload } => {
                match ExtendedMessage::parse(id, &payload).map_err(io::Error::other)? {
                    Some(ExtendedMessage::Handshake(theirs)) => {
                        self.missing.name = false;
                        self.missing.others &=
                            theirs.extensions.iter().any(|(named, id)| *named == Extension::Pex && *id != 0);
                        if let Some(client) = theirs.client {
                            probe.client = client;
                        }
                    }
                    Some(ExtendedMessage::Pex(pex)) if self.missing.others => {
                        self.missing.others = false;
                        probe.told = pex.added.into_iter().map(|contact| contact.addr).collect();
                    }
                    _ => {}
                }
            }
            _ => {}
        }
        Ok(())
    }
}
