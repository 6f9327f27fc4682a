//! How much the owner wants each file and each piece.

use std::sync::Arc;

use riverrun_metainfo::{Bitfield, FileIndex, Layout, PieceIndex};

/// How much a file, or a piece, is wanted. Within one priority the rarest piece comes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Priority {
    /// Not at all.
    Skip,
    /// When nothing else can be asked for.
    Low,
    /// As usual.
    #[default]
    Normal,
    /// Before all others.
    High,
}

/// The priority of every piece of a torrent. Cheap to clone where all wanted pieces are equal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Priorities {
    wanted: Bitfield,
    /// One per piece; `None`: those that are wanted are [`Priority::Normal`].
    ranks: Option<Arc<[Priority]>>,
}

impl Priorities {
    /// Every one of so many pieces, all alike.
    #[must_use]
    pub fn all(pieces: u32) -> Self {
        Bitfield::full(pieces).into()
    }

    /// One priority for each piece, in order.
    ///
    /// # Panics
    /// There are 2^32 pieces or more, which no layout has.
    #[must_use]
    pub fn of_pieces(ranks: Vec<Priority>) -> Self {
        let pieces = u32::try_from(ranks.len()).expect("no layout has so many pieces");
        let mut wanted = Bitfield::empty(pieces);
        let of_interest = ranks.iter().zip(0u32..).filter(|(rank, _)| **rank != Priority::Skip);
        let mut first = None;
        let mut mixed = false;
        for (rank, piece) in of_interest {
            wanted.insert(PieceIndex(piece));
            mixed |= *first.get_or_insert(*rank) != *rank;
        }
        Self { wanted, ranks: mixed.then(|| ranks.into()) }
    }

    /// One priority for each file of the layout, padding included: a piece has the highest of its files, padding not counted. As
    /// long as no file is skipped, every piece is wanted.
    #[must_use]
    pub fn of_files(layout: &Layout, files: &[Priority]) -> Self {
        let real = || layout.files().iter().zip(files).zip(0u32..).filter(|((file, _), _)| !file.pad);
        let least = real().map(|((_, rank), _)| *rank).min().unwrap_or_default();
        let mut ranks = vec![least; layout.piece_count() as usize];
        for ((_, rank), file) in real() {
            for piece in layout.pieces_of(FileIndex(file)) {
                let of_piece = &mut ranks[piece as usize];
                *of_piece = (*of_piece).max(*rank);
            }
        }
        Self::of_pieces(ranks)
    }

    /// The pieces that are wanted at all.
    #[must_use]
    pub fn wanted(&self) -> &Bitfield {
        &self.wanted
    }

    /// Where a piece comes among others: 0 before 1 before 2.
    pub(super) fn place(ranks: Option<&[Priority]>, piece: PieceIndex) -> usize {
        match ranks.map(|ranks| ranks[piece.as_usize()]) {
            None | Some(Priority::High) => 0,
            Some(Priority::Normal) => 1,
            Some(Priority::Low | Priority::Skip) => 2,
        }
    }

    /// One per piece where they differ.
    pub(super) fn ranks(&self) -> Option<&Arc<[Priority]>> {
        self.ranks.as_ref()
    }
}

impl From<Bitfield> for Priorities {
    /// These pieces, all alike.
    fn from(wanted: Bitfield) -> Self {
        Self { wanted, ranks: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_wanted_as_much_as_the_most_wanted_of_its_files() {
        use Priority::{High, Low, Normal, Skip};
        // Pieces of 10: a 0..5, b 5..12, padding 12..20, c 20..45.
        let layout = Layout::v1(10, [(5, false), (7, false), (8, true), (25, false)]).expect("a small layout");
        let ranks = |files: &[Priority]| {
            let priorities = Priorities::of_files(&layout, files);
            let place = |piece| Priorities::place(priorities.ranks().map(|ranks| &**ranks), PieceIndex(piece));
            (0..5).map(|piece| priorities.wanted().has(PieceIndex(piece)).then(|| place(piece))).collect::<Vec<_>>()
        };
        assert_eq!(ranks(&[Low, High, Normal, Skip]), [Some(0), Some(0), None, None, None]);
        assert_eq!(ranks(&[High, Low, Skip, Normal]), [Some(0), Some(2), Some(1), Some(1), Some(1)]);
        assert_eq!(ranks(&[Skip, Skip, High, Low]), [None, None, Some(0), Some(0), Some(0)], "all alike");
        assert_eq!(ranks(&[Normal; 4]), [Some(0); 5]);
        assert_eq!(ranks(&[Skip; 4]), [None; 5]);
    }

    #[test]
    fn padding_alone_is_wanted_when_nothing_is_skipped() {
        let layout = Layout::v1(10, [(10, false), (10, true), (10, false)]).expect("a small layout");
        let wanted = |files: [Priority; 3]| Priorities::of_files(&layout, &files).wanted().count();
        assert_eq!(wanted([Priority::High, Priority::Skip, Priority::Low]), 3);
        assert_eq!(wanted([Priority::High, Priority::Normal, Priority::Skip]), 1);
    }
}
