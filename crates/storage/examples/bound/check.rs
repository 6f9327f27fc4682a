//! A hash check: every thread reads and hashes sixteen pieces side by side.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use riverrun_metainfo::metainfo::{Metainfo, Verdict};
use riverrun_metainfo::piece_hash::{Digester, Format};
use riverrun_metainfo::{Layout, PieceIndex, Span};

use crate::{Content, Failure};

const LANES: u32 = 16;
/// So much of each piece is read at once.
const SLICE: usize = 128 << 10;

/// Reads files in turn, with the last one open.
struct Reader<'a> {
    paths: &'a [PathBuf],
    open: Option<(u32, File)>,
}

pub(crate) fn run(content: &Content) -> Result<(), Failure> {
    let (next, threads) = (AtomicU32::new(0), thread::available_parallelism()?.get());
    let paths = content.paths();
    thread::scope(|scope| {
        let walks: Vec<_> = (0..threads).map(|_| scope.spawn(|| walk(&content.metainfo, &paths, &next))).collect();
        walks.into_iter().try_for_each(|walk| walk.join().expect("a walk does not panic"))
    })
}

fn walk(metainfo: &Metainfo, paths: &[PathBuf], next: &AtomicU32) -> Result<(), Failure> {
    let (layout, hashes) = (metainfo.info().layout(), metainfo.piece_hashes());
    let mut scratch = vec![0; LANES as usize * SLICE];
    let mut reader = Reader { paths, open: None };
    loop {
        let first = next.fetch_add(LANES, Ordering::Relaxed);
        let pieces: Vec<_> = (first..layout.piece_count().min(first.saturating_add(LANES))).map(PieceIndex).collect();
        let Some(longest) = pieces.iter().map(|piece| layout.length_of(*piece)).max() else { return Ok(()) };
        let mut digesters: Vec<_> = pieces.iter().map(|piece| Digester::of(layout, *piece, Format::V1)).collect();
        for offset in (0..longest as usize).step_by(SLICE) {
            let mut inputs = Vec::with_capacity(pieces.len());
            for ((piece, digester), slice) in pieces.iter().zip(&mut digesters).zip(scratch.chunks_mut(SLICE)) {
                let length = SLICE.min((layout.length_of(*piece) as usize).saturating_sub(offset));
                let (slice, _) = slice.split_at_mut(length);
                let start = layout.piece_span(*piece).ok_or("no such piece")?.offset + offset as u64;
                reader.read(layout, start, slice)?;
                inputs.push((digester, &*slice));
            }
            Digester::update_many(&mut inputs);
        }
        for (piece, digest) in pieces.iter().zip(Digester::finish_many(digesters)) {
            if hashes.expected(*piece).judge(&digest) != Verdict::Good {
                return Err(format!("piece {} is wrong", piece.0).into());
            }
        }
    }
}

impl Reader<'_> {
    /// Fills `into` from a place in the byte stream on.
    fn read(&mut self, layout: &Layout, offset: u64, mut into: &mut [u8]) -> Result<(), Failure> {
        for extent in layout.extents(Span { offset, length: into.len() as u64 }) {
            let number = extent.file.0;
            let file = match self.open.take() {
                Some((of, file)) if of == number => file,
                _ => File::open(&self.paths[number as usize])?,
            };
            let (part, rest) = into.split_at_mut(usize::try_from(extent.length)?);
            file.read_exact_at(part, extent.offset)?;
            self.open = Some((number, file));
            into = rest;
        }
        Ok(())
    }
}
