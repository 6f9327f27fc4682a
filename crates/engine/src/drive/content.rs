//! What a torrent is, once its info dictionary is here and its place is decided.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use riverrun_metainfo::info::Info;
use riverrun_metainfo::metainfo::PieceHashes;
use riverrun_metainfo::{Bitfield, FileIndex, Layout, PieceIndex};

use crate::status::Padding;

/// The pieces of a torrent, and how its owner wants them. Never changes.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) info: Arc<Info>,
    pub(crate) hashes: Arc<PieceHashes>,
    pub(crate) options: Options,
    /// The pieces of the wanted files; `None`: all.
    pub(crate) wanted: Option<Bitfield>,
    pub(crate) padding: Padding,
}

impl Content {
    pub(crate) fn new(info: Arc<Info>, hashes: Arc<PieceHashes>, options: Options) -> Self {
        let wanted = options.wanted_pieces(info.layout());
        let padding = Padding::of(info.layout());
        Self { info, hashes, options, wanted, padding }
    }
}

/// How the owner wants it, as far as it does not change.
#[derive(Debug)]
pub(crate) struct Options {
    /// The file or folder that is the content.
    pub(crate) path: PathBuf,
    pub(crate) read_only: bool,
    pub(crate) overwrite: bool,
    pub(crate) trust_resume: bool,
    pub(crate) forget_resume_when_complete: bool,
    pub(crate) sequential: bool,
    pub(crate) max_connections: usize,
    pub(crate) wanted_files: Option<Vec<usize>>,
    pub(crate) wanted_pieces: Option<Bitfield>,
    /// Where the resume record is, if one is kept.
    pub(crate) record: Option<PathBuf>,
}

impl Options {
    /// The files that are wanted; `None`: all.
    pub(crate) fn wanted_files(&self) -> Option<BTreeSet<FileIndex>> {
        let wanted = self.wanted_files.as_ref()?;
        Some(wanted.iter().filter_map(|file| u32::try_from(*file).ok()).map(FileIndex).collect())
    }

    fn wanted_pieces(&self, layout: &Layout) -> Option<Bitfield> {
        if self.wanted_pieces.is_some() {
            return self.wanted_pieces.clone();
        }
        let mut wanted = Bitfield::empty(layout.piece_count());
        for file in self.wanted_files()? {
            layout.pieces_of(file).for_each(|piece| _ = wanted.insert(PieceIndex(piece)));
        }
        Some(wanted)
    }
}
