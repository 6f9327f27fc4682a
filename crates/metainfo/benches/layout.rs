//! Where blocks lie in files: `cargo bench -p riverrun-metainfo --bench layout`.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use riverrun_metainfo::{Block, Layout, PieceIndex};

const PIECE_LENGTH: u64 = 1 << 20;
/// Blocks that are looked up in each iteration, spread over the whole torrent.
const LOOKED_UP: u32 = 1024;

/// 4 GiB in this many files.
fn lengths(files: u64) -> impl Iterator<Item = u64> {
    (0..files).map(move |_| (4 << 30) / files)
}

fn blocks(layout: &Layout) -> Vec<Block> {
    let pieces = layout.piece_count();
    let piece = |number: u32| PieceIndex(number * 7919 % pieces);
    (0..LOOKED_UP)
        .filter_map(|number| layout.block(piece(number), number % layout.block_count(piece(number))))
        .collect()
}

fn layout(criterion: &mut Criterion) {
    for files in [1, 5_000, 100_000] {
        let layout = Layout::v1(PIECE_LENGTH, lengths(files).map(|length| (length, false))).expect("within the limits");
        let blocks = blocks(&layout);
        assert_eq!(blocks.len(), LOOKED_UP as usize);
        let mut group = criterion.benchmark_group(format!("{files} files"));
        group.throughput(Throughput::Elements(files));
        group.bench_function("v1", |bencher| {
            bencher.iter(|| black_box(Layout::v1(PIECE_LENGTH, lengths(files).map(|length| (length, false)))));
        });
        group.bench_function("v2", |bencher| {
            bencher.iter(|| black_box(Layout::v2(PIECE_LENGTH, lengths(files))));
        });
        group.throughput(Throughput::Elements(LOOKED_UP.into()));
        group.bench_function("extents of blocks", |bencher| {
            bencher.iter(|| {
                let spans = blocks.iter().filter_map(|block| layout.block_span(black_box(*block)));
                black_box(spans.map(|span| layout.extents(span).count()).sum::<usize>())
            });
        });
        group.bench_function("pieces at offsets", |bencher| {
            bencher.iter(|| {
                let spans = blocks.iter().filter_map(|block| layout.block_span(black_box(*block)));
                black_box(
                    spans.filter_map(|span| layout.piece_at(span.offset)).map(PieceIndex::as_usize).sum::<usize>(),
                )
            });
        });
        group.finish();
    }
}

criterion_group!(benches, layout);
criterion_main!(benches);
