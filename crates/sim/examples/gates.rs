//! The work whose instructions are gated: `cargo run -p xtask -- gates` counts them under callgrind.
//!
//! Without an argument it lists the gates; with the name of one it does that work once and prints over how many units the count
//! is spread. Only what runs inside [`measured`] counts; what it needs is made before. SHA-1 is not part of any gate: its kernel
//! is chosen by the processor.
#![allow(clippy::print_stdout, clippy::cast_possible_truncation, reason = "a measuring program")]

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use riverrun_metainfo::bencode::{self, Document, Limits, Value};
use riverrun_metainfo::metainfo::Metainfo;
use riverrun_metainfo::{BLOCK_LENGTH, Block, Layout, PieceIndex};
use riverrun_proto::wire::{Decoder, DecoderConfig, Frame, Message, piece_header};
use riverrun_sim::load;

/// Files of the torrent that is read.
const FILES: u32 = 100_000;
/// Blocks of the streams that are decoded and encoded: 64 MiB of payload.
const BLOCKS: u32 = 4096;
/// What one read of a socket brings.
const READ: usize = 256 << 10;

/// Some work: gives how many units it did.
struct Gate {
    name: &'static str,
    unit: &'static str,
    work: fn() -> u64,
}

const GATES: &[Gate] = &[
    Gate { name: "bencode-decode", unit: "file", work: bencode_decode },
    Gate { name: "bencode-files", unit: "file", work: bencode_files },
    Gate { name: "metainfo-parse", unit: "file", work: metainfo_parse },
    Gate { name: "wire-decode-blocks", unit: "block", work: wire_decode_blocks },
    Gate { name: "wire-serve", unit: "block", work: wire_serve },
    Gate { name: "swarm-download", unit: "block", work: swarm_download },
    Gate { name: "swarm-download-out-of-order", unit: "block", work: swarm_download_out_of_order },
    Gate { name: "swarm-upload", unit: "block", work: swarm_upload },
];

fn main() -> ExitCode {
    let Some(name) = std::env::args().nth(1) else {
        GATES.iter().for_each(|gate| println!("{} {}", gate.name, gate.unit));
        return ExitCode::SUCCESS;
    };
    let Some(gate) = GATES.iter().find(|gate| gate.name == name) else { return ExitCode::FAILURE };
    println!("{}", (gate.work)());
    ExitCode::SUCCESS
}

/// What callgrind counts, found by its name: never part of its caller, and once in a run.
#[inline(never)]
fn measured<T>(work: impl FnOnce() -> T) -> T {
    black_box(work())
}

/// Reads the bytes into what can be asked for any key.
fn bencode_decode() -> u64 {
    let torrent = torrent();
    let end = measured(|| bencode::decode(&torrent, Limits::METAINFO).map(|document| document.end()));
    assert_eq!(end, Ok(torrent.len()));
    FILES.into()
}

/// Walks a document to every length and name of its list of files.
fn bencode_files() -> u64 {
    let torrent = torrent();
    let document = bencode::decode(&torrent, Limits::METAINFO).expect("it is bencode");
    let sum = measured(|| sum(&document));
    assert_eq!(sum, Some(u64::from(FILES) * (50_000 + 3)));
    FILES.into()
}

fn sum(document: &Document<'_>) -> Option<u64> {
    let mut sum = 0;
    for entry in document.root().as_dict()?.get("info")?.as_dict()?.get("files")?.as_list()? {
        for (key, value) in entry.as_dict()? {
            match key {
                b"length" => sum += value.as_uint::<u64>()?,
                b"path" => sum += value.as_list()?.map(Value::as_bytes).filter(Option::is_some).count() as u64,
                _ => {}
            }
        }
    }
    Some(sum)
}

/// Everything up to a checked torrent, but for the SHA-1: safe and distinct paths, the layout, the pieces.
fn metainfo_parse() -> u64 {
    let torrent = torrent().into();
    let files = measured(|| Metainfo::parse(torrent).map(|metainfo| metainfo.info().files().len()));
    assert_eq!(files.ok(), Some(FILES as usize));
    FILES.into()
}

/// A download's stream of blocks, with a `have` after each fourth.
fn wire_decode_blocks() -> u64 {
    let mut stream = Vec::new();
    for number in 0..BLOCKS {
        stream.extend_from_slice(&piece_header(block(number)));
        stream.resize(stream.len() + BLOCK_LENGTH as usize, number as u8);
        if number % 4 == 3 {
            Message::Have(PieceIndex(number / 64)).encode(&mut stream);
        }
    }
    let (payload, messages) = measured(|| decode(&stream));
    assert_eq!((payload, messages), (u64::from(BLOCKS * BLOCK_LENGTH), BLOCKS + BLOCKS / 4));
    BLOCKS.into()
}

/// What the codec does for a block that is served: its request is written, read again, and the head of the block is written. The
/// payload goes from the disk's buffer to the socket.
///
/// All in one gate: each alone is so small that the compiler's choice of what to inline moves it by more than the tolerance.
fn wire_serve() -> u64 {
    let mut stream = Vec::with_capacity(17 * BLOCKS as usize);
    let mut heads = Vec::with_capacity(13 * BLOCKS as usize);
    let read = measured(|| {
        (0..BLOCKS).for_each(|number| Message::Request(black_box(block(number))).encode(&mut stream));
        (0..BLOCKS).for_each(|number| heads.extend_from_slice(&piece_header(black_box(block(number)))));
        decode(&stream)
    });
    assert_eq!((read, heads.len()), ((0, BLOCKS), 13 * BLOCKS as usize));
    BLOCKS.into()
}

/// Picks, asks for, takes and verifies all blocks of 1 GiB from eight seeds.
fn swarm_download() -> u64 {
    let (now, layout) = (Instant::now(), layout());
    measured(|| load::download(now, &layout, 8, false))
}

fn swarm_download_out_of_order() -> u64 {
    let (now, layout) = (Instant::now(), layout());
    measured(|| load::download(now, &layout, 8, true))
}

/// Serves 1 GiB to each of four peers.
fn swarm_upload() -> u64 {
    let (now, layout) = (Instant::now(), layout());
    measured(|| load::upload(now, &layout, 4))
}

/// The payload bytes and the messages of a stream.
fn decode(stream: &[u8]) -> (u64, u32) {
    let mut decoder = Decoder::new(DecoderConfig::new(Some(4096)));
    let (mut payload, mut messages) = (0, 0);
    for mut input in stream.chunks(READ) {
        while let Some(frame) = decoder.next(&mut input).expect("the stream is well formed") {
            match black_box(frame) {
                Frame::BlockData(data) => payload += data.len() as u64,
                Frame::BlockEnd | Frame::Message(_) => messages += 1,
                Frame::BlockStart(_) => {}
            }
        }
    }
    (payload, messages)
}

fn block(number: u32) -> Block {
    Block { piece: PieceIndex(number / 64), begin: number % 64 * BLOCK_LENGTH, length: BLOCK_LENGTH }
}

fn layout() -> Arc<Layout> {
    Arc::new(Layout::v1(1 << 20, [(1 << 30, false)]).expect("a layout within the limits"))
}

/// A torrent of many images in folders.
fn torrent() -> Vec<u8> {
    let pieces = vec![0xa5; 20 * (FILES as usize * 50_000).div_ceil(1 << 20)];
    bencode::dict(|root| {
        root.bytes("announce", "http://tracker.example/announce").dict("info", |info| {
            info.bytes("name", "dataset").int("piece length", 1 << 20).bytes("pieces", &pieces);
            info.list("files", |files| {
                for number in 0..FILES {
                    files.dict(|file| {
                        file.int("length", 50_000).list("path", |path| {
                            path.bytes(format!("part {:03}", number / 1000))
                                .bytes(format!("shard {:02}", number / 100 % 10));
                            path.bytes(format!("sample_{number:07}.jpeg"));
                        });
                    });
                }
            });
        });
    })
}
