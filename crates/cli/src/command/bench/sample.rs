//! The torrent that is moved: one file of equal pieces, so that making it costs next to nothing.

use std::fs::File;
use std::io;
use std::path::Path;

use riverrun::metainfo::PieceIndex;
use riverrun::metainfo::create::{Options, Plan, SourceFile};
use riverrun::metainfo::piece_hash::Format;

use super::rounds::Stop;
use crate::failure::Failure;

/// The length of a piece, and of a write to a file, in bytes.
pub(super) const PIECE: u32 = 1 << 20;

/// A torrent and the bytes of its pieces.
#[derive(Debug)]
pub(super) struct Sample {
    /// The .torrent file.
    pub(super) torrent: Vec<u8>,
    /// What every piece has in it.
    pub(super) piece: Vec<u8>,
    /// The length of the content, whole pieces.
    pub(super) length: u64,
}

impl Sample {
    /// The name of the file.
    pub(super) const NAME: &str = "sample.bin";

    /// A v1 torrent of this many bytes, rounded down to whole pieces; one at least.
    pub(super) fn new(length: u64) -> Result<Self, Failure> {
        let length = (length - length % u64::from(PIECE)).max(PIECE.into());
        let piece: Vec<u8> = (0..=250u8).cycle().take(PIECE as usize).collect();
        let bug = |error: &dyn std::fmt::Display| Failure::internal(format!("no torrent for the measure: {error}"));
        let source = SourceFile { length, ..SourceFile::default() };
        let options = Options { format: Format::V1, piece_length: Some(PIECE), ..Options::new(Self::NAME) };
        let mut plan = Plan::new(vec![source], options).map_err(|error| bug(&error))?;
        let mut digester = plan.digester(PieceIndex(0));
        digester.update(&piece);
        let digest = digester.finish();
        (0..plan.layout().piece_count()).for_each(|index| plan.put(PieceIndex(index), digest));
        let torrent = plan.finish().map_err(|error| bug(&error))?.draft().encode();
        Ok(Self { torrent, piece, length })
    }

    /// The pieces there are.
    pub(super) fn pieces(&self) -> u64 {
        self.length / u64::from(PIECE)
    }

    /// Writes the content, piece by piece: the raw way.
    pub(super) fn write(&self, path: &Path, stop: &Stop) -> Result<io::Result<File>, Failure> {
        use std::os::unix::fs::FileExt;
        let file = match File::options().read(true).write(true).create_new(true).open(path) {
            Ok(file) => file,
            Err(error) => return Ok(Err(error)),
        };
        for number in 0..self.pieces() {
            stop.check()?;
            if let Err(error) = file.write_all_at(&self.piece, number * u64::from(PIECE)) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(file))
    }
}
