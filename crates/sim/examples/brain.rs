//! What one block costs the swarm, without sockets and disk: `cargo run --release -p riverrun-sim --example brain`.
#![allow(clippy::print_stdout, reason = "a measuring program")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use riverrun_metainfo::{Bitfield, Block, InfoHashV1, InfoHashes, Layout, PieceIndex};
use riverrun_proto::mse::{Cover, Encryption};
use riverrun_proto::swarm::{Action, Connected, ConnectionId, DiskDone, Input, Swarm, SwarmConfig};
use riverrun_proto::wire::{Handshake, Message, PeerId, Reserved};

const HASHES: InfoHashes = InfoHashes::V1(InfoHashV1([1; 20]));
/// Messages in one read of a socket of 256 KiB.
const BATCH: usize = 16;

fn swarm(layout: &Arc<Layout>, have: Bitfield, now: Instant) -> Swarm {
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

/// Downloads the whole torrent from so many seeds; gives nanoseconds per block.
fn download(layout: &Arc<Layout>, seeds: u8, out_of_order: bool) -> f64 {
    let mut now = Instant::now();
    let mut swarm = swarm(layout, Bitfield::empty(layout.piece_count()), now);
    let mut asked: Vec<VecDeque<Block>> = vec![VecDeque::new(); usize::from(seeds)];
    for number in 0..seeds {
        let connection = connect(&mut swarm, now, number);
        let reqq = Message::Extended { id: 0, payload: (&b"d4:reqqi500ee"[..]).into() };
        swarm.handle(now, Input::Received { connection, messages: &[Message::HaveAll, reqq, Message::Unchoke] });
    }
    let mut messages = Vec::with_capacity(BATCH);
    let mut verified = Vec::new();
    let (mut blocks, mut turn) = (0u64, 0);
    let start = Instant::now();
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
    let total = (0..layout.piece_count()).map(|piece| u64::from(layout.block_count(PieceIndex(piece)))).sum::<u64>();
    print!("({} extra) ", blocks.saturating_sub(total));
    start.elapsed().as_nanos() as f64 / blocks as f64
}

/// Serves the whole torrent to so many leechers; gives nanoseconds per block.
fn upload(layout: &Arc<Layout>, leechers: u8) -> f64 {
    let mut now = Instant::now();
    let mut swarm = swarm(layout, Bitfield::full(layout.piece_count()), now);
    for number in 0..leechers {
        let connection = connect(&mut swarm, now, number);
        swarm.handle(now, Input::Received { connection, messages: &[Message::HaveNone, Message::Interested] });
    }
    let mut batch = Vec::with_capacity(BATCH);
    let mut served: Vec<(ConnectionId, Block)> = Vec::new();
    let mut blocks = 0u64;
    let start = Instant::now();
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
    start.elapsed().as_nanos() as f64 / blocks as f64
}

fn main() {
    let layout = |pieces: u64, length: u64| {
        Arc::new(Layout::v1(length, [(pieces * length, false)]).expect("a layout within the limits"))
    };
    for (name, layout) in [
        ("8 GiB in 1 MiB pieces", layout(8192, 1 << 20)),
        ("8 GiB in 16 MiB pieces", layout(512, 16 << 20)),
        ("1 GiB in 16 KiB pieces", layout(65_536, 16 << 10)),
    ] {
        for seeds in [1, 8, 64] {
            println!("{name}, {seeds} seeds: {:.0} ns per block", download(&layout, seeds, false));
        }
        println!("{name}, 8 seeds out of order: {:.0} ns per block", download(&layout, 8, true));
        println!("{name}, served to 8: {:.0} ns per block", upload(&layout, 8));
    }
}
