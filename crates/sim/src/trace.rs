//! A digest over all that happened, so that two runs can be compared.

use std::time::Duration;

use riverrun_metainfo::Block;
use riverrun_proto::wire::Message;

use crate::carry::size;
use crate::queue::{Event, Letters};

/// A running FNV-1a digest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trace {
    digest: u64,
    events: u64,
}

impl Trace {
    pub(crate) fn new() -> Self {
        Self { digest: 0xcbf2_9ce4_8422_2325, events: 0 }
    }

    /// Adds one event: when, to whom, and what in words of numbers.
    pub(crate) fn add(&mut self, age: Duration, host: u64, what: impl IntoIterator<Item = u64>) {
        self.events += 1;
        let nanoseconds = u64::try_from(age.as_nanos()).unwrap_or(u64::MAX);
        for word in [nanoseconds, host].into_iter().chain(what) {
            for byte in word.to_le_bytes() {
                self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }

    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    pub(crate) fn events(&self) -> u64 {
        self.events
    }
}

/// An event in numbers, for the trace.
pub(crate) fn words(event: &Event) -> [u64; 3] {
    let block = |block: &Block| (u64::from(block.piece.0) << 32) | u64::from(block.begin);
    match event {
        Event::Dial { addr } => [1, addr.port().into(), 0],
        Event::Batch { connection, letters: Letters { messages, .. }, .. } => {
            let first = messages.first().map(|message| match message {
                Message::Piece(named) | Message::Request(named) => block(named),
                other => size(other),
            });
            [2 + (messages.len() as u64) * 256, connection.0, first.unwrap_or_default()]
        }
        Event::End { connection, reason } => [3, connection.0, reason.blame() as u64],
        Event::Left { connection, served, .. } => [4, connection.0, served.as_ref().map(block).unwrap_or_default()],
        Event::Judged { piece, digests } => [5, piece.0.into(), u64::from(*digests)],
        Event::Tracker => [6, 0, 0],
        Event::Wake => [7, 0, 0],
        Event::Crash { silently } => [8, u64::from(*silently), 0],
        Event::Restart => [9, 0, 0],
        Event::NoAnswer { addr, error } => [10, addr.port().into(), *error as u64],
        Event::Reset => [11, 0, 0],
        Event::Leave => [12, 0, 0],
        Event::Room => [13, 0, 0],
        Event::WebSeed { seed } => [14, seed.0.into(), 0],
        Event::Patience { connection } => [15, connection.0, 0],
        Event::Turn { connection } => [16, connection.0, 0],
        Event::Lacks { connection } => [17, connection.0, 0],
    }
}
