//! One swarm alone, fed with all it asks for and asked for all it has: what a block costs it, without sockets and disk.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use riverrun_metainfo::{Bitfield, Block, InfoHashV1, InfoHashes, Layout, PieceIndex};
use riverrun_proto::mse::{Cover, Encryption};
use riverrun_proto::swarm::{Action, Connected, ConnectionId, DiskDone, Input, Strategy, Swarm, SwarmConfig};
use riverrun_proto::wire::{Handshake, Message, PeerId, Reserved};

const HASHES: InfoHashes = InfoHashes::V1(InfoHashV1([1; 20]));
/// Messages in one read of a socket of 256 KiB.
const BATCH: usize = 16;

/// Downloads the whole torrent, from `now` on, from so many seeds that answer in order or not. How many blocks came, those that came
/// twice counted twice.
#[must_use]
pub fn download(mut now: Instant, layout: &Arc<Layout>, seeds: u8, out_of_order: bool) -> u64 {
    let mut swarm = new_swarm(layout, Bitfield::empty(layout.piece_count()), now);
    let mut asked: Vec<VecDeque<Block>> = vec![VecDeque::new(); usize::from(seeds)];
    for number in 0..seeds {
        let connection = connect(&mut swarm, now, number);
        let reqq = Message::Extended { id: 0, payload: (&b"d4:reqqi500ee"[..]).into() };
        swarm.handle(now, Input::Received { connection, messages: &[Message::HaveAll, reqq, Message::Unchoke] });
    }
    let mut messages = Vec::with_capacity(BATCH);
    let mut verified = Vec::new();
    let (mut blocks, mut turn) = (0u64, 0);
    while !swarm.have().is_full() {
        now += Duration::from_micros(150);
        let queue = &mut asked[turn % usize::from(seeds)];
        messages.clear();
        for nth in 0..BATCH.min(queue.len()) {
            let at = if out_of_order { (nth * 7 + 3) % queue.len().min(64) } else { 0 };
            messages.extend(queue.remove(at).map(Message::Piece));
        }
        let connection = ConnectionId((turn % usize::from(seeds)) as u64);
        swarm.handle(now, Input::Received { connection, messages: &messages });
        blocks += messages.len() as u64;
        loop {
            while let Some(action) = swarm.poll() {
                match action {
                    Action::Send { connection, message: Message::Request(block) } => {
                        asked[usize::try_from(connection.0).expect("small")].push_back(block);
                    }
                    Action::Send { connection, message: Message::Cancel(block) } => {
                        asked[usize::try_from(connection.0).expect("small")].retain(|asked| *asked != block);
                    }
                    Action::Verify { piece, .. } => verified.push(piece),
                    _ => {}
                }
            }
            let Some(piece) = verified.pop() else { break };
            swarm.handle(now, Input::Disk(DiskDone::Verified { piece, digests: None }));
        }
        if swarm.next_timeout().is_some_and(|at| at <= now) {
            swarm.handle(now, Input::Timeout);
        }
        turn += 1;
    }
    blocks
}

/// Serves the whole torrent, from `now` on, to so many peers that ask for it in order. How many blocks were served.
#[must_use]
pub fn upload(mut now: Instant, layout: &Arc<Layout>, leechers: u8) -> u64 {
    let mut swarm = new_swarm(layout, Bitfield::full(layout.piece_count()), now);
    for number in 0..leechers {
        let connection = connect(&mut swarm, now, number);
        swarm.handle(now, Input::Received { connection, messages: &[Message::HaveNone, Message::Interested] });
    }
    let mut batch = Vec::with_capacity(BATCH);
    let mut served: Vec<(ConnectionId, Block)> = Vec::new();
    let mut blocks = 0u64;
    for piece in 0..layout.piece_count() {
        for first in (0..layout.block_count(PieceIndex(piece))).step_by(BATCH) {
            for leecher in 0..leechers {
                now += Duration::from_micros(150);
                batch.clear();
                let numbers = first..(first + 16).min(layout.block_count(PieceIndex(piece)));
                batch
                    .extend(numbers.filter_map(|number| layout.block(PieceIndex(piece), number)).map(Message::Request));
                let connection = ConnectionId(leecher.into());
                swarm.handle(now, Input::Received { connection, messages: &batch });
                while let Some(action) = swarm.poll() {
                    if let Action::Serve { connection, block } = action {
                        served.push((connection, block));
                    }
                }
                blocks += served.len() as u64;
                let done: Vec<Block> = served.drain(..).map(|(_, block)| block).collect();
                swarm.handle(now, Input::Served { connection, blocks: &done });
            }
        }
    }
    blocks
}

fn new_swarm(layout: &Arc<Layout>, have: Bitfield, now: Instant) -> Swarm {
    Swarm::new(
        now,
        SwarmConfig {
            info_hashes: HASHES,
            layout: Arc::clone(layout),
            hashes: None,
            metadata: Default::default(),
            have,
            private: false,
            encryption: Encryption::Off,
            pex: false,
            addresses: riverrun_proto::address::AddressRules::default(),
            peer_id: PeerId([9; 20]),
            listen_port: None,
            max_connections: 500,
            upload_slots: Some(500),
            seed_choker: Default::default(),
            strategy: Strategy::default(),
            seed: 1,
        },
    )
}

fn connect(swarm: &mut Swarm, now: Instant, number: u8) -> ConnectionId {
    let connection = ConnectionId(number.into());
    let handshake = Handshake {
        reserved: Reserved([0, 0, 0, 0, 0, 0, 0, 4]),
        info_hash: HASHES.wire(),
        peer_id: PeerId([number; 20]),
    };
    let addr = SocketAddr::from(([10, 0, 0, number], 1000));
    swarm.handle(now, Input::Connected(Connected { connection, addr, incoming: true, handshake, cover: Cover::None }));
    connection
}
