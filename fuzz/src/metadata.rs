//! Metadata from peers that say anything: a swarm that has nothing but a hash.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use riverrun_metainfo::{BLOCK_LENGTH, InfoHashV1, InfoHashes, PieceIndex, WireHash};
use riverrun_proto::limits;
use riverrun_proto::mse::Cover;
use riverrun_proto::swarm::{Action, CloseReason, Connected, ConnectionId, Input, Judgement, Swarm, SwarmConfig};
use riverrun_proto::wire::extended::{ExtendedMessage, Extension, ExtensionIds, MetadataMessage};
use riverrun_proto::wire::{Handshake, Message, PeerId, Reserved};

use crate::bits::Bits;

const HASH: [u8; 20] = [7; 20];
/// The length of the right metadata: three pieces.
const LENGTH: u32 = 2 * BLOCK_LENGTH + 1000;
const PEERS: u8 = 5;
/// Comes when the script is over, and answers everything.
const HONEST: u8 = 200;

/// Peers that say what the input has them say, and then an honest one: the swarm asks for no piece that cannot be, never for more
/// than its bounds, has one copy judged at a time, and gets the right one in the end.
pub fn metadata(data: &[u8]) {
    let mut bits = Bits::new(data);
    let start = Instant::now();
    let config = SwarmConfig::without_content(InfoHashes::V1(InfoHashV1(HASH)), PeerId([1; 20]), 1);
    let mut world = World {
        swarm: Swarm::gathering(start, config),
        right: (0..LENGTH).map(|at| u8::try_from(at % 251).expect("a byte")).collect(),
        now: start,
        next: 0,
        open: BTreeMap::new(),
        done: false,
    };
    while !bits.is_empty() && !world.done {
        world.now += Duration::from_millis(u64::from(bits.byte()) * 64);
        world.wake();
        let number = bits.byte() % PEERS;
        world.step(number, &mut bits);
    }
    world.connect(HONEST, LENGTH.into());
    for _ in 0..3600 {
        if world.done {
            return;
        }
        world.now += Duration::from_secs(1);
        world.wake();
        if !world.open.values().any(|peer| peer.number == HONEST) {
            world.connect(HONEST, LENGTH.into());
        }
        world.answer();
    }
    panic!("an honest peer was there for an hour");
}

struct World {
    swarm: Swarm,
    right: Bytes,
    now: Instant,
    next: u64,
    open: BTreeMap<ConnectionId, Peer>,
    done: bool,
}

struct Peer {
    number: u8,
    size: u32,
    asked: Vec<u32>,
}

impl World {
    fn connect(&mut self, number: u8, size: i64) {
        self.next += 1;
        let connection = ConnectionId(self.next);
        let handshake =
            Handshake { reserved: Reserved::ours(), info_hash: WireHash(HASH), peer_id: PeerId([number; 20]) };
        let addr = SocketAddr::from(([10, 0, number, 1], 50_000));
        let size_told = u32::try_from(size).unwrap_or(0);
        self.open.insert(connection, Peer { number, size: size_told, asked: Vec::new() });
        self.feed(Input::Connected(Connected { connection, addr, incoming: true, handshake, cover: Cover::None }));
        self.claim(connection, size);
    }

    fn claim(&mut self, connection: ConnectionId, size: i64) {
        if let Some(peer) = self.open.get_mut(&connection) {
            let valid = (1..=i64::from(limits::MAX_METADATA_LENGTH)).contains(&size);
            peer.size = if valid { u32::try_from(size).expect("in range") } else { peer.size };
            peer.asked.clear();
        }
        let payload = format!("d1:md11:ut_metadatai9ee13:metadata_sizei{size}ee");
        self.says(connection, Message::Extended { id: 0, payload: payload.into() });
    }

    fn says(&mut self, connection: ConnectionId, message: Message) {
        self.feed(Input::Received { connection, messages: &[message] });
    }

    fn step(&mut self, number: u8, bits: &mut Bits<'_>) {
        let known = self.open.iter().find(|(_, peer)| peer.number == number).map(|(connection, _)| *connection);
        let what = bits.byte();
        let Some(connection) = known else {
            let size = if what & 1 == 0 { i64::from(LENGTH) } else { bits.number().cast_signed() };
            return self.connect(number, size);
        };
        let asked = self.open[&connection].asked.first().copied().unwrap_or(0);
        match what % 9 {
            0 => self.give(connection, asked, self.right.clone()),
            1 => self.give(connection, asked, vec![bits.byte(); LENGTH as usize].into()),
            2 => {
                let (piece, length) = (bits.number(), usize::from(bits.byte()) * 70 + 1);
                let piece = u32::try_from(piece).unwrap_or(u32::MAX);
                let data = vec![0; length.min(BLOCK_LENGTH as usize)].into();
                self.send(connection, &MetadataMessage::Data { piece, total_size: bits.u32(), data });
            }
            3 => self.send(connection, &MetadataMessage::Reject { piece: asked }),
            4 => self.send(connection, &MetadataMessage::Request { piece: bits.u32() }),
            5 => self.claim(connection, bits.number().cast_signed()),
            6 => {
                self.open.remove(&connection);
                self.feed(Input::Closed { connection, reason: CloseReason::Eof });
            }
            7 => self.says(connection, Message::Have(PieceIndex(bits.u32()))),
            _ => {
                let length = usize::from(bits.byte());
                let payload: Vec<u8> = (0..length).map_while(|_| (!bits.is_empty()).then(|| bits.byte())).collect();
                if let Ok(Some(message)) = MetadataMessage::parse(&payload.clone().into()) {
                    let again = MetadataMessage::parse(&message.to_bytes().into());
                    assert_eq!(again, Ok(Some(message)), "what is written can be read");
                }
                self.says(connection, Message::Extended { id: Extension::Metadata.number(), payload: payload.into() });
            }
        }
    }

    fn give(&mut self, connection: ConnectionId, piece: u32, of: Bytes) {
        let Some(peer) = self.open.get_mut(&connection) else { return };
        peer.asked.retain(|asked| *asked != piece);
        let start = (piece as usize * BLOCK_LENGTH as usize).min(of.len());
        let end = of.len().min(start + BLOCK_LENGTH as usize);
        let data = if start < end { of.slice(start..end) } else { Bytes::from_static(b"x") };
        self.send(connection, &MetadataMessage::Data { piece, total_size: LENGTH, data });
    }

    fn send(&mut self, connection: ConnectionId, message: &MetadataMessage) {
        let ids = ExtensionIds::ours([Extension::Metadata]);
        let message = ExtendedMessage::Metadata(message.clone()).to_message(&ids).expect("it is spoken");
        self.says(connection, message);
    }

    /// The honest peer answers what it was asked.
    fn answer(&mut self) {
        while let Some((connection, piece)) = self.open.iter().find_map(|(connection, peer)| {
            let piece = peer.asked.first().filter(|_| peer.number == HONEST)?;
            Some((*connection, *piece))
        }) {
            self.give(connection, piece, self.right.clone());
        }
    }

    fn wake(&mut self) {
        while self.swarm.next_timeout().is_some_and(|at| at <= self.now) {
            self.feed(Input::Timeout);
        }
    }

    fn feed(&mut self, input: Input<'_>) {
        self.swarm.handle(self.now, input);
        let mut judge = None;
        while let Some(action) = self.swarm.poll() {
            match action {
                Action::Close { connection, .. } => _ = self.open.remove(&connection),
                Action::JudgeMetadata { parts } => {
                    assert!(judge.is_none(), "one copy at a time");
                    assert!(parts.iter().map(Bytes::len).sum::<usize>() <= limits::MAX_METADATA_LENGTH as usize);
                    judge = Some(parts.concat());
                }
                Action::Send { connection, message: Message::Extended { id: 9, payload } } => {
                    let Ok(Some(MetadataMessage::Request { piece })) = MetadataMessage::parse(&payload) else {
                        continue;
                    };
                    let Some(peer) = self.open.get_mut(&connection) else { continue };
                    assert!(piece < peer.size.div_ceil(BLOCK_LENGTH), "{piece} of {} bytes", peer.size);
                    peer.asked.push(piece);
                }
                _ => {}
            }
        }
        if let Some(copy) = judge {
            let right = copy == self.right;
            self.done |= right;
            let judgement = match right {
                true => Judgement::Right { metadata: self.right.clone(), private: false },
                false => Judgement::Wrong,
            };
            // Requests of a copy that was wrong are taken back.
            self.feed(Input::Metadata(judgement));
        }
    }
}
