//! What strangers do of themselves, each time they wake.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};

use riverrun_metainfo::{BLOCK_LENGTH, Block, PieceIndex};
use riverrun_proto::swarm::ConnectionId;
use riverrun_proto::wire::extended::{
    ExtendedHandshake, ExtendedMessage, Extension, HolePunch, MetadataMessage, PexContact, PexFlags, PexMessage,
};
use riverrun_proto::wire::{HashRange, Hashes, Message};

use crate::chance::Chance;
use crate::manner::Manner;
use crate::stranger::Deed;
use crate::torrent::Torrent;

/// Whom [`Manner::Decoy`] sets everyone on.
const VICTIM: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// The extended handshake of a stranger.
pub(crate) fn hello(manner: Manner) -> Message {
    let handshake = ExtendedHandshake {
        extensions: Extension::ALL.into_iter().map(|extension| (extension, extension.number())).collect(),
        listen_port: None,
        client: Some("\u{1b}[2J".repeat(4)),
        your_ip: None,
        ipv4: None,
        ipv6: None,
        reqq: Some(if manner == Manner::Babble { 1 } else { u32::MAX }),
        metadata_size: Some(u32::MAX),
        upload_only: Some(manner == Manner::Deny),
        prefers_encryption: None,
        complete_ago: Some(i64::MIN),
    };
    Message::Extended { id: 0, payload: handshake.to_bytes().into() }
}

/// What it does on one connection when it wakes for the `wakes`th time.
pub(crate) fn act(
    manner: Manner,
    torrent: &Torrent,
    wakes: u32,
    connection: ConnectionId,
    asked: &mut VecDeque<Block>,
    chance: &mut Chance,
    deeds: &mut Vec<Deed>,
) {
    match manner {
        Manner::Drip(_) => deeds.extend(asked.pop_front().map(|block| Deed::Give(connection, block, true))),
        Manner::Sip(_) => {
            want_all(torrent, connection, chance, deeds);
            deeds.push(Deed::Read(connection));
        }
        Manner::Greed => want_all(torrent, connection, chance, deeds),
        Manner::Push => {
            let block = torrent.blocks(any(torrent, chance)).next();
            deeds.extend(block.map(|block| Deed::Give(connection, block, false)));
        }
        Manner::Flap(_) if wakes.is_multiple_of(2) => deeds.push(Deed::Say(connection, Message::Unchoke)),
        Manner::Flap(_) => {
            deeds.push(Deed::Say(connection, Message::Choke));
            deeds.extend(asked.drain(..).map(|block| Deed::Say(connection, Message::Reject(block))));
        }
        _ => deeds.extend(words(manner, torrent, wakes, chance).into_iter().map(|word| Deed::Say(connection, word))),
    }
}

fn any(torrent: &Torrent, chance: &mut Chance) -> PieceIndex {
    PieceIndex(chance.below(torrent.pieces()))
}

fn want_all(torrent: &Torrent, connection: ConnectionId, chance: &mut Chance, deeds: &mut Vec<Deed>) {
    let piece = any(torrent, chance);
    deeds.extend(torrent.blocks(piece).map(|block| Deed::Say(connection, Message::Request(block))));
}

/// What it says that is no answer to anything.
fn words(manner: Manner, torrent: &Torrent, wakes: u32, chance: &mut Chance) -> Vec<Message> {
    let piece = any(torrent, chance);
    let beyond = PieceIndex(torrent.pieces());
    let block = |piece| Block { piece, begin: 0, length: BLOCK_LENGTH };
    match manner {
        Manner::Noise => vec![Message::KeepAlive, Message::Have(piece), Message::Interested, Message::NotInterested],
        Manner::Flood => (0..1200).map(|_| Message::KeepAlive).collect(),
        Manner::Haves if wakes.is_multiple_of(300) => vec![Message::Have(beyond)],
        Manner::Haves if wakes.is_multiple_of(100) => vec![Message::HaveNone, Message::HaveAll],
        Manner::Haves => (0..50).map(|_| Message::Have(piece)).collect(),
        Manner::Unasked => vec![Message::Reject(block(piece))],
        Manner::Hints => (0..20).flat_map(|_| [Message::AllowedFast(piece), Message::Suggest(beyond)]).collect(),
        Manner::Grab => grab(piece, beyond, chance),
        Manner::Babble => vec![babble(wakes)],
        Manner::Metadata => metadata(chance),
        Manner::Gossip => vec![gossip(wakes, chance)],
        Manner::Decoy => vec![decoy(wakes)],
        Manner::Hashes => hashes(wakes),
        Manner::Punch => (0..5).map(|_| punch(chance)).collect(),
        Manner::Deny => deny(piece, beyond, wakes),
        _ => Vec::new(),
    }
}

/// A message of the extension protocol as whoever listens wants it numbered.
fn extended(message: &ExtendedMessage) -> Message {
    let ids = riverrun_proto::wire::extended::ExtensionIds::ours(Extension::ALL);
    message.to_message(&ids).expect("all are named")
}

/// Requests that nobody has to serve.
fn grab(piece: PieceIndex, beyond: PieceIndex, chance: &mut Chance) -> Vec<Message> {
    let wrong = [
        Block { piece, begin: 0, length: 0 },
        Block { piece, begin: u32::MAX, length: u32::MAX },
        Block { piece, begin: 1 << 29, length: BLOCK_LENGTH },
        Block { piece: beyond, begin: 0, length: BLOCK_LENGTH },
        Block { piece: PieceIndex(u32::MAX), begin: 1, length: 1 },
    ];
    // What is over 128 KiB ends it at once, so it mostly asks for the rest.
    let kinds = if chance.below(20) == 0 { &wrong[1..2] } else { &wrong[2..] };
    (0..10).map(|nth| Message::Request(kinds[nth % kinds.len()])).collect()
}

fn babble(wakes: u32) -> Message {
    let payload: Vec<u8> = match wakes % 6 {
        0 => [b"d1:m".as_slice(), &[b'l'; 1000]].concat(),
        1 => {
            let names = (0..3000).map(|number| format!("5:{number:05}i1e"));
            format!("d1:md{}ee", names.collect::<String>()).into_bytes()
        }
        2 => b"d1:mi5e1:pi-1e4:reqq3:abc1:vle6:yourip1:xe".to_vec(),
        3 => b"d4:reqqi0e13:metadata_sizei99999999999ee".to_vec(),
        4 => Vec::new(),
        _ => b"d1:m".to_vec(),
    };
    let id = if wakes.is_multiple_of(7) { 77 } else { (wakes / 6 % 6) as u8 };
    Message::Extended { id, payload: payload.into() }
}

fn metadata(chance: &mut Chance) -> Vec<Message> {
    let mut said: Vec<Message> = (0..100)
        .map(|_| MetadataMessage::Request { piece: chance.below(1 << 31) })
        .map(|request| extended(&ExtendedMessage::Metadata(request)))
        .collect();
    let data = MetadataMessage::Data { piece: 0, total_size: u32::MAX, data: vec![7; 1000].into() };
    said.extend([data, MetadataMessage::Reject { piece: 3 }].map(|one| extended(&ExtendedMessage::Metadata(one))));
    said
}

fn pex(added: impl Iterator<Item = SocketAddr>) -> Message {
    let added: Vec<_> = added.map(|addr| PexContact { addr, flags: PexFlags::SEED }).collect();
    let listed = added.len();
    extended(&ExtendedMessage::Pex(PexMessage { added, dropped: Vec::new(), listed }))
}

fn gossip(wakes: u32, chance: &mut Chance) -> Message {
    let count = if wakes == 1 { 200 } else { 50 };
    pex((0..count).map(|nth: u32| {
        let [.., high, low] = chance.below(60_000).to_be_bytes();
        match nth % 8 {
            0 => SocketAddr::from(([10, 0, 0, 1], 0)),
            1 => SocketAddr::from(([224, 0, high, low], 6881)),
            2 => SocketAddr::from(([255, 255, 255, 255], 6881)),
            3 => SocketAddr::from(([0, 0, high, low], 6881)),
            _ => SocketAddr::from(([10, 99, high, low], 6881)),
        }
    }))
}

fn decoy(wakes: u32) -> Message {
    // Once a minute, as the rules allow.
    if wakes % 60 != 1 {
        return Message::KeepAlive;
    }
    let first = 1024 + wakes % 600 * 50;
    pex((first..first + 50).map(|port| SocketAddr::from((VICTIM, u16::try_from(port).expect("below 65,536")))))
}

fn hashes(wakes: u32) -> Vec<Message> {
    let range = |index, length| HashRange { pieces_root: [3; 32], base_layer: wakes, index, length, proof_layers: 30 };
    let unasked = Hashes { range: range(0, 2), hashes: vec![1; 64].into() };
    if wakes.is_multiple_of(20) {
        return vec![Message::Hashes(Box::new(unasked)), Message::HashReject(Box::new(range(0, 4)))];
    }
    [range(1, 3), range(u32::MAX, 512), range(0, u32::MAX)].map(|range| Message::HashRequest(Box::new(range))).into()
}

fn punch(chance: &mut Chance) -> Message {
    let [.., high, low] = chance.below(65_536).to_be_bytes();
    let target = if high < 128 { [10, 0, high, low] } else { [127, 0, high, low] };
    let target = SocketAddr::from((target, 6881));
    let punch = if low < 128 { HolePunch::Rendezvous(target) } else { HolePunch::Connect(target) };
    extended(&ExtendedMessage::HolePunch(punch))
}

fn deny(piece: PieceIndex, beyond: PieceIndex, wakes: u32) -> Vec<Message> {
    let lacks = if wakes.is_multiple_of(30) { beyond } else { piece };
    let lies = [ExtendedMessage::UploadOnly(wakes.is_multiple_of(2)), ExtendedMessage::DontHave(lacks)];
    let mut said: Vec<Message> = lies.iter().map(extended).collect();
    said.push(Message::Have(piece));
    said
}
