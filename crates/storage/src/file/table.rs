//! The form of a part file: which bytes of files that are not wanted rest where in it.
//!
//! A head of 40 bytes (name, piece length, length of the stream, number of files), then one fragment behind the other, each with a
//! head of 16 bytes (file, piece, length, mark). All numbers are big-endian. A fragment is what a file has of one piece; it is added
//! at the end and never moves, so what was synced stays as it is whatever happens later. The first head that makes no sense is the
//! end: a loss of power may have taken what was written last.

use std::collections::BTreeMap;
use std::os::fd::AsFd;

use riverrun_metainfo::{Extent, FileIndex, Layout, PieceIndex};
use rustix::io::Errno;

const NAME: &[u8; 16] = b"riverrun parts 1";
const HEAD_LENGTH: usize = 40;
const FRAGMENT_HEAD_LENGTH: usize = 16;
const LIVE: [u8; 4] = *b"LIVE";
const DEAD: [u8; 4] = *b"DEAD";

/// What a file that should be a part file is.
#[derive(Debug)]
pub(crate) enum Reading {
    /// Nothing is in it.
    Fresh,
    /// It is of this torrent.
    Ours(Table),
    /// It is something else.
    Foreign,
}

/// Where the fragments are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Table {
    /// By file and piece: where its bytes begin.
    fragments: BTreeMap<(u32, u32), u64>,
    /// Where the next head goes; 0: the file has no head yet.
    end: u64,
}

impl Table {
    /// Reads a part file.
    ///
    /// # Errors
    /// The system could not.
    pub(crate) fn read(fd: impl AsFd, layout: &Layout) -> Result<Reading, Errno> {
        let mut head = [0; HEAD_LENGTH];
        let length = read_at(&fd, &mut head, 0)?;
        // It was cut off while it was made.
        if head.iter().all(|byte| *byte == 0) || (length < head.len() && head_of(layout).starts_with(&head[..length])) {
            return Ok(Reading::Fresh);
        }
        if head != head_of(layout) {
            return Ok(Reading::Foreign);
        }
        let mut table = Self { fragments: BTreeMap::new(), end: HEAD_LENGTH as u64 };
        let mut head = [0; FRAGMENT_HEAD_LENGTH];
        while read_at(&fd, &mut head, table.end)? == head.len() {
            let number = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
            let (file, piece, length, mark) = (number(0), number(4), u64::from(number(8)), &head[12..]);
            let known = mark == LIVE || mark == DEAD;
            if !known || fragment(layout, FileIndex(file), PieceIndex(piece)).is_none_or(|whole| whole.length != length)
            {
                break;
            }
            let data = table.end + FRAGMENT_HEAD_LENGTH as u64;
            if mark == LIVE {
                table.fragments.insert((file, piece), data);
            }
            table.end = data + length;
        }
        Ok(Reading::Ours(table))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.fragments.is_empty()
    }

    /// Where an extent that lies within one piece rests, if it rests here.
    pub(crate) fn place(&self, layout: &Layout, piece: PieceIndex, extent: Extent) -> Option<u64> {
        let data = self.fragments.get(&(extent.file.0, piece.0))?;
        Some(data + (extent.offset - fragment(layout, extent.file, piece)?.offset))
    }

    /// Whether anything of a file rests here.
    pub(crate) fn has_of(&self, file: FileIndex) -> bool {
        self.fragments_of(file).next().is_some()
    }

    /// The pieces of which this file has a fragment here.
    pub(crate) fn fragments_of(&self, file: FileIndex) -> impl Iterator<Item = PieceIndex> {
        self.fragments.range((file.0, 0)..=(file.0, u32::MAX)).map(|((_, piece), _)| PieceIndex(*piece))
    }

    /// Adds a fragment of zeros.
    ///
    /// # Errors
    /// The system could not; nothing is added then.
    pub(crate) fn add(
        &mut self,
        fd: impl AsFd,
        layout: &Layout,
        file: FileIndex,
        piece: PieceIndex,
    ) -> Result<(), Errno> {
        let Some(whole) = fragment(layout, file, piece) else { return Err(Errno::INVAL) };
        if self.end == 0 {
            write_at(&fd, &head_of(layout), 0)?;
            self.end = HEAD_LENGTH as u64;
        }
        let length = u32::try_from(whole.length).expect("no longer than a piece");
        write_at(&fd, &fragment_head(file, piece, length, LIVE), self.end)?;
        let data = self.end + FRAGMENT_HEAD_LENGTH as u64;
        self.fragments.insert((file.0, piece.0), data);
        self.end = data + whole.length;
        Ok(())
    }

    /// What is left of a fragment counts no more.
    ///
    /// # Errors
    /// The system could not; it still counts.
    pub(crate) fn remove(&mut self, fd: impl AsFd, file: FileIndex, piece: PieceIndex) -> Result<(), Errno> {
        if let Some(data) = self.fragments.get(&(file.0, piece.0)) {
            write_at(fd, &DEAD, data - 4)?;
            self.fragments.remove(&(file.0, piece.0));
        }
        Ok(())
    }
}

/// What a file has of a piece.
pub(crate) fn fragment(layout: &Layout, file: FileIndex, piece: PieceIndex) -> Option<Extent> {
    let lies = layout.files().get(file.0 as usize).filter(|lies| !lies.pad)?;
    let span = layout.piece_span(piece)?;
    let (start, end) = (span.offset.max(lies.offset), span.end().min(lies.offset + lies.length));
    (start < end).then(|| Extent { file, offset: start - lies.offset, length: end - start, pad: false })
}

/// An extent cut at the borders of pieces.
pub(crate) fn by_piece(layout: &Layout, extent: Extent) -> impl Iterator<Item = (PieceIndex, Extent)> {
    let start = layout.files()[extent.file.0 as usize].offset;
    let (mut at, end) = (extent.offset, extent.offset + extent.length);
    std::iter::from_fn(move || {
        if at >= end {
            return None;
        }
        let piece = layout.piece_at(start + at)?;
        let until = (layout.piece_span(piece)?.end() - start).min(end);
        let part = Extent { offset: at, length: until - at, ..extent };
        at = until;
        Some((piece, part))
    })
}

fn head_of(layout: &Layout) -> [u8; HEAD_LENGTH] {
    let mut head = [0; HEAD_LENGTH];
    head[..16].copy_from_slice(NAME);
    head[16..24].copy_from_slice(&u64::from(layout.piece_length()).to_be_bytes());
    head[24..32].copy_from_slice(&layout.stream_length().to_be_bytes());
    head[32..].copy_from_slice(&(layout.files().len() as u64).to_be_bytes());
    head
}

fn fragment_head(file: FileIndex, piece: PieceIndex, length: u32, mark: [u8; 4]) -> [u8; 16] {
    let mut head = [0; FRAGMENT_HEAD_LENGTH];
    head[..4].copy_from_slice(&file.0.to_be_bytes());
    head[4..8].copy_from_slice(&piece.0.to_be_bytes());
    head[8..12].copy_from_slice(&length.to_be_bytes());
    head[12..].copy_from_slice(&mark);
    head
}

/// Reads as much as there is.
fn read_at(fd: &impl AsFd, into: &mut [u8], offset: u64) -> Result<usize, Errno> {
    let mut done = 0;
    while done < into.len() {
        match rustix::io::pread(fd, &mut into[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(done)
}

fn write_at(fd: impl AsFd, bytes: &[u8], offset: u64) -> Result<(), Errno> {
    let mut done = 0;
    while done < bytes.len() {
        match rustix::io::pwrite(&fd, &bytes[done..], offset + done as u64) {
            Ok(0) => return Err(Errno::NOSPC),
            Ok(count) => done += count,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
