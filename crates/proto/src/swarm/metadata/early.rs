//! What peers say of pieces before it is known which pieces there are.

use std::collections::BTreeMap;

use crate::limits;
use crate::swarm::ConnectionId;
use crate::wire::Message;

/// Messages that can be judged only once the metadata is here, in order.
#[derive(Debug, Default)]
pub(super) struct Early {
    kept: BTreeMap<ConnectionId, Vec<Message>>,
    bytes: usize,
}

impl Early {
    /// Keeps a message; false if there is no room for it.
    pub(super) fn keep(&mut self, connection: ConnectionId, message: &Message) -> bool {
        let bytes = weight(message);
        let kept = self.kept.entry(connection).or_default();
        if kept.len() >= limits::MAX_EARLY_MESSAGES || self.bytes + bytes > limits::MAX_EARLY_BYTES {
            return false;
        }
        self.bytes += bytes;
        kept.push(message.clone());
        true
    }

    /// Takes out what a peer said.
    pub(super) fn take(&mut self, connection: ConnectionId) -> Vec<Message> {
        let kept = self.kept.remove(&connection).unwrap_or_default();
        self.bytes -= kept.iter().map(weight).sum::<usize>();
        kept
    }
}

/// The memory that a message takes.
fn weight(message: &Message) -> usize {
    let payload = match message {
        Message::Bitfield(bytes) | Message::Extended { payload: bytes, .. } => bytes.len(),
        _ => 0,
    };
    size_of::<Message>() + payload
}
