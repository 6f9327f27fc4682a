//! What a block costs the picker and the rest of a swarm that downloads or serves: `cargo bench -p riverrun-sim`.
//!
//! Each iteration is a whole torrent with a swarm of its own, so the first requests and the endgame are in it.
#![allow(missing_docs, reason = "what criterion's macros make")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use riverrun_metainfo::{BLOCK_LENGTH, Layout};
use riverrun_sim::load;

/// The content: 4096 blocks.
const LENGTH: u64 = 64 << 20;

fn picker(criterion: &mut Criterion) {
    for (name, piece_length) in
        [("pieces of 16 KiB", 16 << 10), ("pieces of 1 MiB", 1 << 20), ("pieces of 16 MiB", 16 << 20)]
    {
        let layout = Arc::new(Layout::v1(piece_length, [(LENGTH, false)]).expect("a layout within the limits"));
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(LENGTH / u64::from(BLOCK_LENGTH))).sample_size(20);
        for seeds in [1, 8, 64] {
            group.bench_function(format!("download from {seeds}"), |bencher| {
                bencher.iter(|| black_box(load::download(Instant::now(), &layout, seeds, false)));
            });
        }
        group.bench_function("download from 8 out of order", |bencher| {
            bencher.iter(|| black_box(load::download(Instant::now(), &layout, 8, true)));
        });
        group.bench_function("serve one", |bencher| {
            bencher.iter(|| black_box(load::upload(Instant::now(), &layout, 1)));
        });
        group.finish();
    }
}

criterion_group!(benches, picker);
criterion_main!(benches);
