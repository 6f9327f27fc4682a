//! What the two sides tell each other in the extended handshake (BEP 10).

use std::net::IpAddr;

use riverrun_metainfo::PieceIndex;

use crate::limits;
use crate::wire::Message;
use crate::wire::extended::{ExtendedHandshake, ExtendedMessage, Extension, ExtensionIds};

/// The extensions that we take messages of; those whose messages nobody here would answer are not named to peers. Peer exchange
/// is named besides where peers are exchanged.
const SPOKEN: [Extension; 3] = [Extension::Metadata, Extension::DontHave, Extension::UploadOnly];

/// What a peer said of itself. The values before it said anything are the protocol's defaults.
#[derive(Clone, Debug)]
pub(super) struct Extensions {
    /// It speaks the extension protocol.
    pub(super) spoken: bool,
    /// The requests it accepts at once.
    pub(super) reqq: u32,
    /// It will download nothing more (BEP 21).
    pub(super) upload_only: bool,
    /// What it calls itself.
    pub(super) client: Option<String>,
    /// It prefers encrypted connections (BEP 11).
    pub(super) prefers_encryption: bool,
    /// The length of its metadata in bytes, as it says (BEP 9).
    metadata_size: Option<u32>,
    ids: ExtensionIds,
}

impl Extensions {
    pub(super) fn new(spoken: bool) -> Self {
        let ids = ExtensionIds::default();
        let (metadata_size, prefers_encryption) = (None, false);
        Self {
            spoken,
            reqq: limits::DEFAULT_REQQ,
            upload_only: false,
            client: None,
            prefers_encryption,
            metadata_size,
            ids,
        }
    }

    /// Takes in a peer's extended handshake; a later one changes only what it names.
    pub(super) fn update(&mut self, handshake: &ExtendedHandshake) {
        self.ids.update(handshake);
        self.reqq = handshake.reqq.unwrap_or(self.reqq);
        self.upload_only = handshake.upload_only.unwrap_or(self.upload_only);
        self.prefers_encryption = handshake.prefers_encryption.unwrap_or(self.prefers_encryption);
        self.metadata_size = handshake.metadata_size.or(self.metadata_size);
        if handshake.client.is_some() {
            self.client.clone_from(&handshake.client);
        }
    }

    /// Whether the peer takes messages of this extension now.
    pub(super) fn speaks(&self, extension: Extension) -> bool {
        self.ids.get(extension).is_some()
    }

    /// The length of the metadata that it can be asked for, in bytes.
    pub(super) fn metadata_size(&self) -> Option<u32> {
        self.metadata_size.filter(|_| self.speaks(Extension::Metadata))
    }

    /// A message by the peer's number for it, if it has one.
    pub(super) fn message(&self, message: &ExtendedMessage) -> Option<Message> {
        message.to_message(&self.ids)
    }

    /// The message that we lost a piece, if the peer can read it (BEP 54).
    pub(super) fn dont_have(&self, piece: PieceIndex) -> Option<Message> {
        ExtendedMessage::DontHave(piece).to_message(&self.ids)
    }
}

/// What our extended handshake says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hello {
    /// Where we listen.
    pub(super) port: Option<u16>,
    /// We want nothing more (BEP 21).
    pub(super) upload_only: bool,
    /// The length of the metadata that we can give, in bytes (BEP 9).
    pub(super) metadata_size: Option<u32>,
    /// Peers are exchanged (BEP 11).
    pub(super) pex: bool,
    /// We like to be dialled by MSE (BEP 11).
    pub(super) prefers_encryption: bool,
    /// We say which program we are, and what others need not know; not if our id does not say it either.
    pub(super) named: bool,
}

impl Hello {
    /// The message, for a peer at this address.
    pub(super) fn to_message(self, peer: IpAddr) -> Message {
        let spoken = SPOKEN.into_iter().chain(self.pex.then_some(Extension::Pex));
        let handshake = ExtendedHandshake {
            extensions: spoken.map(|extension| (extension, extension.number())).collect(),
            listen_port: self.port,
            client: self.named.then(|| concat!("riverrun ", env!("CARGO_PKG_VERSION")).to_owned()),
            your_ip: self.named.then(|| peer.to_canonical()),
            reqq: Some(limits::ADVERTISED_REQQ),
            metadata_size: self.metadata_size,
            upload_only: Some(self.upload_only),
            prefers_encryption: self.prefers_encryption.then_some(true),
            ..ExtendedHandshake::default()
        };
        Message::Extended { id: 0, payload: handshake.to_bytes().into() }
    }
}
