//! The actions that wait to be polled.

use std::collections::VecDeque;

use riverrun_metainfo::{Block, PieceIndex};

use crate::swarm::{Action, CloseReason, ConnectionId, Event};
use crate::wire::Message;

/// Actions in the order in which they are to be done.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    actions: VecDeque<Action>,
}

impl Outbox {
    pub(super) fn push(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    pub(super) fn pop(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    pub(super) fn send(&mut self, connection: ConnectionId, message: Message) {
        self.push(Action::Send { connection, message });
    }

    pub(super) fn store(&mut self, connection: ConnectionId, nth: usize, block: Block) {
        self.push(Action::Store { connection, nth, block });
    }

    pub(super) fn verify(&mut self, piece: PieceIndex, digests: bool) {
        self.push(Action::Verify { piece, digests });
    }

    pub(super) fn serve(&mut self, connection: ConnectionId, block: Block) {
        self.push(Action::Serve { connection, block });
    }

    pub(super) fn close(&mut self, connection: ConnectionId, reason: CloseReason) {
        self.push(Action::Close { connection, reason });
    }

    pub(super) fn event(&mut self, event: Event) {
        self.push(Action::Event(event));
    }
}
