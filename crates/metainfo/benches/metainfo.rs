//! Reading a torrent of 100,000 files, beside another crate that reads bencode.
//!
//! `cargo bench -p riverrun-metainfo --bench metainfo`. `decode` against `bt_bencode` compares reading bencode; `parse` is
//! everything up to a checked torrent: safe and distinct paths, the layout, the info-hash.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use riverrun_metainfo::bencode::{self, Limits};
use riverrun_metainfo::{Metainfo, hash};
use serde::Deserialize;

const FILES: u32 = 100_000;

/// As other crates see a torrent.
#[derive(Deserialize)]
struct Torrent<'a> {
    #[serde(borrow)]
    info: Info<'a>,
}

#[derive(Deserialize)]
struct Info<'a> {
    #[serde(borrow)]
    files: Vec<File<'a>>,
}

#[derive(Deserialize)]
struct File<'a> {
    length: u64,
    #[serde(borrow)]
    path: Vec<&'a [u8]>,
}

/// A torrent of many images in folders, the paths in order or not.
fn torrent(in_order: bool) -> Bytes {
    let place = |number: u32| if in_order { number } else { number * 7919 % FILES };
    let pieces = vec![0xa5; 20 * (FILES as usize * 50_000).div_ceil(1 << 20)];
    let torrent = bencode::dict(|root| {
        root.bytes("announce", "http://tracker.example/announce").dict("info", |info| {
            info.bytes("name", "dataset").int("piece length", 1 << 20).bytes("pieces", &pieces);
            info.list("files", |files| {
                for number in (0..FILES).map(place) {
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
    });
    torrent.into()
}

fn metainfo(criterion: &mut Criterion) {
    for (name, torrent) in [("files in order", torrent(true)), ("files in disorder", torrent(false))] {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(torrent.len() as u64)).sample_size(50);
        group.bench_function("decode", |bench| {
            bench.iter(|| black_box(bencode::decode(&torrent, Limits::METAINFO).map(|document| document.end())));
        });
        group.bench_function("bt_bencode", |bench| {
            bench.iter(|| {
                let read: Torrent<'_> = bt_bencode::from_slice(&torrent).expect("a torrent");
                black_box(read.info.files.iter().map(|file| file.length + file.path.len() as u64).sum::<u64>())
            });
        });
        group.bench_function("parse", |bench| {
            bench.iter(|| black_box(Metainfo::parse(torrent.clone()).map(|metainfo| metainfo.info().files().len())));
        });
        group.bench_function("sha1", |bench| bench.iter(|| black_box(hash::sha1(&torrent))));
        group.finish();
    }
}

criterion_group!(benches, metainfo);
criterion_main!(benches);
