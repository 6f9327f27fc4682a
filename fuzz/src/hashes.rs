use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use riverrun_metainfo::merkle::{self, Node, Tree};
use riverrun_metainfo::metainfo::{Draft, Metainfo, PieceHashes};
use riverrun_metainfo::{BLOCK_LENGTH, Bitfield, PieceIndex, bencode};
use riverrun_proto::address::AddressRules;
use riverrun_proto::limits;
use riverrun_proto::mse::{Cover, Encryption};
use riverrun_proto::swarm::{Action, Connected, ConnectionId, Input, Swarm, SwarmConfig};
use riverrun_proto::wire::{Handshake, HashRange, Hashes, Message, PeerId, Reserved};

use crate::bits::Bits;

/// A torrent with layers of every awkward length, without and with them, and the tree of each file.
struct Torrent {
    whole: Metainfo,
    bare: Metainfo,
    trees: Vec<Tree>,
}

static TORRENT: LazyLock<Torrent> = LazyLock::new(|| {
    let nodes =
        |pieces: u64| (0..pieces).map(move |piece| merkle::leaf(&[piece.to_le_bytes(), pieces.to_le_bytes()].concat()));
    let trees: Vec<Tree> =
        [2, 3, 513, 1025].map(|pieces| Tree::new(0, nodes(pieces).collect()).expect("a small tree")).into();
    let info = bencode::dict(|info| {
        info.dict("file tree", |files| {
            for (tree, file) in trees.iter().zip(b'a'..) {
                files.dict([file], |node| {
                    let length = pieces(tree) * i64::from(BLOCK_LENGTH);
                    node.dict("", |entry| _ = entry.int("length", length).bytes("pieces root", tree.root()));
                });
            }
        });
        info.int("meta version", 2).bytes("name", "fuzz").int("piece length", i64::from(BLOCK_LENGTH));
    });
    let layer = |tree: &Tree| Bytes::from(tree.layer(0).expect("the base").as_flattened().to_vec());
    let layers = trees.iter().map(|tree| (tree.root(), layer(tree))).collect();
    let bare = Draft::new(info.into());
    let whole = Draft { piece_layers: Some(layers), ..bare.clone() };
    let parse = |draft: &Draft| Metainfo::parse(draft.encode().into()).expect("a good torrent");
    Torrent { whole: parse(&whole), bare: parse(&bare), trees }
});

fn pieces(tree: &Tree) -> i64 {
    tree.layer(0).map_or(0, |layer| i64::try_from(layer.len()).expect("a small tree"))
}

impl Torrent {
    fn tree(&self, root: &Node) -> Option<&Tree> {
        self.trees.iter().find(|tree| tree.root() == *root)
    }
}

/// The exchange of piece layers with one peer that says anything: what is served proves itself, what is learned is right, a piece
/// is asked for only when its hash is known, and every request gets one answer.
pub fn hashes(data: &[u8]) {
    let mut bits = Bits::new(data);
    let seed = bits.byte() & 1 != 0;
    let (hashes, mut swarm) = swarm(seed);
    let mut now = Instant::now();
    let mut asked = Vec::new();
    let mut open = join(&mut swarm, now, &hashes, &mut asked);
    while !bits.is_empty() && open {
        let messages: Vec<Message> = (0..=bits.byte() % 3).map(|_| message(&mut bits, &mut asked)).collect();
        let requests = messages.iter().filter(|message| matches!(message, Message::HashRequest(_))).count();
        now += Duration::from_millis(u64::from(bits.byte()) * 100);
        swarm.handle(now, Input::Received { connection: ConnectionId(1), messages: &messages });
        let (answers, still_open) = drain(&mut swarm, &hashes, &mut asked);
        assert!(answers == requests || (!still_open && answers < requests), "{answers} answers to {requests} requests");
        open = still_open;
        while open && swarm.next_timeout().is_some_and(|at| at <= now) {
            swarm.handle(now, Input::Timeout);
            open &= drain(&mut swarm, &hashes, &mut asked).1;
        }
        assert!(asked.len() <= 2 * limits::MAX_HASH_REQUESTS, "{} requests", asked.len());
    }
    let right = TORRENT.whole.piece_hashes();
    for piece in (0..right.piece_count()).map(PieceIndex).filter(|piece| hashes.is_known(*piece)) {
        assert_eq!(hashes.expected(piece), right.expected(piece));
    }
}

fn swarm(seed: bool) -> (Arc<PieceHashes>, Swarm) {
    let torrent = if seed { &TORRENT.whole } else { &TORRENT.bare };
    let (hashes, layout) = (torrent.piece_hashes(), torrent.info().layout().clone());
    let all = layout.piece_count();
    let config = SwarmConfig {
        info_hashes: torrent.hashes(),
        layout,
        hashes: Some(hashes.clone()),
        metadata: Bytes::new(),
        have: if seed { Bitfield::full(all) } else { Bitfield::empty(all) },
        private: false,
        pex: false,
        encryption: Encryption::Off,
        addresses: AddressRules::default(),
        peer_id: PeerId(*b"-RV0100-0123456789ab"),
        listen_port: None,
        max_connections: 50,
        upload_slots: None,
        seed_choker: Default::default(),
        strategy: Default::default(),
        seed: 1,
    };
    (hashes, Swarm::new(Instant::now(), config))
}

fn join(swarm: &mut Swarm, now: Instant, hashes: &PieceHashes, asked: &mut Vec<HashRange>) -> bool {
    let info_hash = TORRENT.whole.hashes().wire();
    let handshake = Handshake { reserved: Reserved::ours(), info_hash, peer_id: PeerId(*b"-XX0000-abcdefghijkl") };
    let addr = ([10, 0, 0, 1], 50_000).into();
    let connected = Connected { connection: ConnectionId(1), addr, incoming: true, handshake, cover: Cover::None };
    swarm.handle(now, Input::Connected(connected));
    drain(swarm, hashes, asked).1
}

/// Something that a peer may say.
fn message(bits: &mut Bits<'_>, asked: &mut Vec<HashRange>) -> Message {
    let kind = bits.byte();
    let at = usize::from(bits.byte()) % asked.len().max(1);
    match kind % 8 {
        0 => Message::HashRequest(Box::new(range(bits))),
        1 | 2 if !asked.is_empty() => answer(asked.swap_remove(at), None),
        3 if !asked.is_empty() => answer(asked[at], Some(bits.number())),
        4 if !asked.is_empty() => Message::HashReject(Box::new(asked.swap_remove(at))),
        5 => Message::Have(PieceIndex(bits.number() as u32 % 1543)),
        6 => Message::Unchoke,
        7 if kind > 200 => {
            let count = usize::from(bits.byte());
            Message::Hashes(Box::new(Hashes { range: range(bits), hashes: vec![kind; 32 * count].into() }))
        }
        7 => Message::HashReject(Box::new(range(bits))),
        _ => Message::KeepAlive,
    }
}

/// Numbers that are often nearly right.
fn range(bits: &mut Bits<'_>) -> HashRange {
    let tree = &TORRENT.trees[usize::from(bits.byte()) % 4];
    let small = bits.byte();
    let length = if small & 1 == 0 { 1 << (small >> 4) } else { bits.u32() };
    let index = if small & 2 == 0 { (bits.number() as u32 % 2048).wrapping_mul(length) } else { bits.u32() };
    HashRange {
        pieces_root: if small & 4 == 0 { tree.root() } else { [small; 32] },
        base_layer: if small & 8 == 0 { 0 } else { u32::from(bits.byte()) },
        index,
        length,
        proof_layers: bits.number() as u32 % 80,
    }
}

/// The right answer to one of our requests, or one with a byte changed.
fn answer(range: HashRange, change: Option<u64>) -> Message {
    let tree = TORRENT.tree(&range.pieces_root).expect("we ask for files of the torrent");
    let nodes = tree.hashes(numbers(&range)).expect("we ask for what is there");
    let mut hashes = nodes.into_flattened();
    if let Some(change) = change {
        let at = change as usize % hashes.len();
        hashes[at] ^= 1;
    }
    Message::Hashes(Box::new(Hashes { range, hashes: hashes.into() }))
}

fn numbers(range: &HashRange) -> merkle::HashRange {
    let HashRange { base_layer: base, index, length, proof_layers, .. } = *range;
    merkle::HashRange { base, index, length, proof_layers }
}

/// Takes the actions and looks at them: how many hash requests were answered, and whether the connection is open.
fn drain(swarm: &mut Swarm, hashes: &PieceHashes, asked: &mut Vec<HashRange>) -> (usize, bool) {
    let (mut answers, mut open) = (0, true);
    while let Some(action) = swarm.poll() {
        match action {
            Action::Close { .. } => open = false,
            Action::Send { message: Message::HashRequest(range), .. } => {
                assert!(numbers(&range).is_sound() && range.length <= 512);
                asked.push(*range);
            }
            Action::Send { message: Message::HashReject(_), .. } => answers += 1,
            Action::Send { message: Message::Hashes(served), .. } => {
                answers += 1;
                let tree = TORRENT.tree(&served.range.pieces_root).expect("only files of the torrent are served");
                let expected = tree.hashes(numbers(&served.range)).expect("only what is there is served");
                assert_eq!(served.hashes, expected.as_flattened());
            }
            Action::Send { message: Message::Request(block), .. } => assert!(hashes.is_known(block.piece)),
            _ => {}
        }
    }
    (answers, open)
}
