//! What decoding and encoding cost per byte and per message: `cargo bench -p riverrun-proto`.
//!
//! Payload is not copied here, so the figures of blocks are what the decoder adds to the copy into a pool buffer.
#![allow(missing_docs, clippy::cast_possible_truncation)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use riverrun_metainfo::{BLOCK_LENGTH, Block, PieceIndex};
use riverrun_proto::wire::{Decoder, DecoderConfig, Frame, Message, piece_header};

const BLOCKS: u32 = 256;

fn block(number: u32) -> Block {
    Block { piece: PieceIndex(number / 16), begin: number % 16 * BLOCK_LENGTH, length: BLOCK_LENGTH }
}

/// A stream of blocks, with a `have` after each fourth, as a download brings it.
fn blocks() -> Vec<u8> {
    let mut bytes = Vec::new();
    for number in 0..BLOCKS {
        bytes.extend_from_slice(&piece_header(block(number)));
        bytes.resize(bytes.len() + BLOCK_LENGTH as usize, number as u8);
        if number % 4 == 3 {
            Message::Have(PieceIndex(number)).encode(&mut bytes);
        }
    }
    bytes
}

/// Requests, as an upload brings them.
fn requests() -> Vec<u8> {
    let mut bytes = Vec::new();
    (0..BLOCKS).for_each(|number| Message::Request(block(number)).encode(&mut bytes));
    bytes
}

/// Decodes a stream that comes in reads of so many bytes; how many payload bytes and messages it held.
fn decode(stream: &[u8], read: usize) -> (usize, usize) {
    let mut decoder = Decoder::new(DecoderConfig::new(Some(4096)));
    let (mut payload, mut messages) = (0, 0);
    for mut input in stream.chunks(read) {
        while let Some(frame) = decoder.next(&mut input).expect("the stream is well formed") {
            match black_box(frame) {
                Frame::BlockData(data) => payload += data.len(),
                Frame::BlockEnd | Frame::Message(_) => messages += 1,
                Frame::BlockStart(_) => {}
            }
        }
    }
    (payload, messages)
}

fn codec(criterion: &mut Criterion) {
    let (blocks, requests) = (blocks(), requests());
    assert_eq!(decode(&blocks, 1460), ((BLOCKS * BLOCK_LENGTH) as usize, (BLOCKS + BLOCKS / 4) as usize));

    let mut group = criterion.benchmark_group("decode blocks");
    group.throughput(Throughput::Bytes(blocks.len() as u64));
    for read in [1460, 16 * 1024, 256 * 1024] {
        group.bench_function(format!("in reads of {read} bytes"), |bencher| bencher.iter(|| decode(&blocks, read)));
    }
    group.finish();

    let mut group = criterion.benchmark_group("requests");
    group.throughput(Throughput::Elements(BLOCKS.into()));
    group.bench_function("decode", |bencher| bencher.iter(|| decode(&requests, 256 * 1024)));
    group.bench_function("decode in reads of 10 bytes", |bencher| bencher.iter(|| decode(&requests, 10)));
    let mut out = Vec::with_capacity(requests.len());
    group.bench_function("encode", |bencher| {
        bencher.iter(|| {
            out.clear();
            (0..BLOCKS).for_each(|number| Message::Request(black_box(block(number))).encode(&mut out));
            black_box(out.len())
        });
    });
    group.finish();
}

criterion_group!(benches, codec);
criterion_main!(benches);
