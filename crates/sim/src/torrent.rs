//! What is shared in a world: a layout, and which content of a block is the right one.

use std::sync::Arc;

use riverrun_metainfo::{BLOCK_LENGTH, Bitfield, Block, InfoHashV1, InfoHashes, Layout, PieceIndex};

/// One torrent. Payload is never made: a block's content is a number, and this says which number is right.
#[derive(Clone, Debug)]
pub struct Torrent {
    layout: Arc<Layout>,
    salt: u64,
    private: bool,
}

impl Torrent {
    /// A torrent of one file whose last block is short.
    ///
    /// # Panics
    /// The layout is over the limits of layouts.
    #[must_use]
    pub fn new(pieces: u32, blocks_per_piece: u32, salt: impl Into<u64>) -> Self {
        let piece = u64::from(blocks_per_piece) * u64::from(BLOCK_LENGTH);
        let length = u64::from(pieces) * piece - 1000;
        let layout = Layout::v1(piece, [(length, false)]).expect("a scenario's torrent is small");
        Self { layout: Arc::new(layout), salt: salt.into(), private: false }
    }

    /// Peers come from the tracker and the user alone (BEP 27).
    #[must_use]
    pub fn private(self) -> Self {
        Self { private: true, ..self }
    }

    pub(crate) fn is_private(&self) -> bool {
        self.private
    }

    pub(crate) fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    pub(crate) fn pieces(&self) -> u32 {
        self.layout.piece_count()
    }

    pub(crate) fn hashes(&self) -> InfoHashes {
        let mut hash = [0; 20];
        hash[..8].copy_from_slice(&self.salt.to_be_bytes());
        InfoHashes::V1(InfoHashV1(hash))
    }

    pub(crate) fn all(&self) -> Bitfield {
        Bitfield::full(self.pieces())
    }

    pub(crate) fn none(&self) -> Bitfield {
        Bitfield::empty(self.pieces())
    }

    /// The right content of a block.
    pub(crate) fn content(&self, block: Block) -> u64 {
        let place = (u64::from(block.piece.0) << 32) | u64::from(block.begin);
        (place ^ self.salt).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29) ^ u64::from(block.length)
    }

    /// The blocks of a piece.
    pub(crate) fn blocks(&self, piece: PieceIndex) -> impl Iterator<Item = Block> + '_ {
        (0..self.layout.block_count(piece)).filter_map(move |number| self.layout.block(piece, number))
    }
}
