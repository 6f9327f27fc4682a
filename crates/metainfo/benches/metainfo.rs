//! Reading a torrent of 100,000 files, beside other crates that read bencode.
//!
//! `cargo bench -p riverrun-metainfo --bench metainfo`. Two comparisons: `decode` and `… document` read the bytes into what can
//! be asked for any key; `reader`, `lists`, `librqbit-bencode` and `bt_bencode` make the same lists of lengths and names. `parse` is
//! everything up to a checked torrent: safe and distinct paths, the layout, the info-hash.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use librqbit_bencode::ByteBuf;
use riverrun_metainfo::bencode::{self, Document, Limits, ReadError, Reader, Value};
use riverrun_metainfo::{Metainfo, hash};
use serde::Deserialize;

const FILES: u32 = 100_000;

/// A torrent as crates with serde see it; `Name` is what they borrow a string as.
#[derive(Deserialize)]
struct Torrent<Name> {
    info: Info<Name>,
}

#[derive(Deserialize)]
struct Info<Name> {
    files: Vec<File<Name>>,
}

#[derive(Deserialize)]
struct File<Name> {
    length: u64,
    path: Vec<Name>,
}

impl<Name> Torrent<Name> {
    fn sum(&self) -> u64 {
        self.info.files.iter().map(|file| file.length + file.path.len() as u64).sum()
    }
}

/// The same from a document.
fn lists<'d>(document: &'d Document<'d>) -> Option<Torrent<&'d [u8]>> {
    let entries = document.root().as_dict()?.get("info")?.as_dict()?.get("files")?.as_list()?;
    let mut files = Vec::new();
    for entry in entries {
        let (mut length, mut path) = (None, None);
        for (key, value) in entry.as_dict()? {
            match key {
                b"length" => length = value.as_uint(),
                b"path" => path = value.as_list()?.map(Value::as_bytes).collect(),
                _ => {}
            }
        }
        files.push(File { length: length?, path: path? });
    }
    Some(Torrent { info: Info { files } })
}

/// The same in one pass, without a document.
fn read(torrent: &[u8]) -> Result<Torrent<&[u8]>, ReadError> {
    let mut files = Vec::new();
    let mut reader = Reader::new(torrent, Limits::METAINFO);
    reader.dict(|reader, key| match key {
        b"info" => reader.dict(|reader, key| match key {
            b"files" => reader.list(|reader| file(reader).map(|file| files.push(file))),
            _ => Ok(()),
        }),
        _ => Ok(()),
    })?;
    Ok(Torrent { info: Info { files } })
}

fn file<'a>(reader: &mut Reader<'a>) -> Result<File<&'a [u8]>, ReadError> {
    let (mut length, mut path) = (0, Vec::new());
    reader.dict(|reader, key| match key {
        b"length" => reader.int().map(|int| length = int.and_then(|int| int.try_into().ok()).expect("a length")),
        b"path" => reader.list(|reader| reader.bytes().map(|name| path.push(name))),
        _ => Ok(()),
    })?;
    Ok(File { length, path })
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
        group.bench_function("librqbit-bencode document", |bench| {
            bench.iter(|| black_box(librqbit_bencode::dyn_from_bytes::<ByteBuf<'_>>(&torrent).expect("bencode")));
        });
        group.bench_function("bt_bencode document", |bench| {
            bench.iter(|| black_box(bt_bencode::from_slice::<bt_bencode::Value>(&torrent).expect("bencode")));
        });
        group.bench_function("lists", |bench| {
            bench.iter(|| {
                let document = bencode::decode(&torrent, Limits::METAINFO).expect("bencode");
                black_box(lists(&document).expect("a torrent").sum())
            });
        });
        group.bench_function("reader", |bench| {
            bench.iter(|| black_box(read(&torrent).expect("a torrent").sum()));
        });
        group.bench_function("librqbit-bencode", |bench| {
            bench.iter(|| {
                let read: Torrent<ByteBuf<'_>> = librqbit_bencode::from_bytes(&torrent).expect("a torrent");
                black_box(read.sum())
            });
        });
        group.bench_function("bt_bencode", |bench| {
            bench.iter(|| {
                let read: Torrent<&[u8]> = bt_bencode::from_slice(&torrent).expect("a torrent");
                black_box(read.sum())
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
