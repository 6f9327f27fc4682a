//! How far the torrent is: what is had, what is wanted, what is needed.

use std::sync::Arc;

use riverrun_metainfo::{BLOCK_LENGTH, Bitfield, Layout, PieceIndex};

use crate::swarm::Priorities;

/// The sets of pieces and their bytes. Invariant: needed = wanted without had, and every sum agrees with its set.
#[derive(Debug)]
pub(super) struct Progress {
    layout: Arc<Layout>,
    have: Bitfield,
    priorities: Priorities,
    needed: Bitfield,
    have_pieces: u32,
    needed_pieces: u32,
    have_bytes: u64,
    wanted_bytes: u64,
    left_bytes: u64,
}

impl Progress {
    /// All is wanted. A `have` over another number of pieces counts as empty.
    pub(super) fn new(layout: Arc<Layout>, have: Bitfield) -> Self {
        let pieces = layout.piece_count();
        let have = if have.pieces() == pieces { have } else { Bitfield::empty(pieces) };
        let have_bytes = have.iter().map(|piece| u64::from(layout.length_of(piece))).sum();
        let (priorities, needed) = (Priorities::all(pieces), Bitfield::empty(pieces));
        let have_pieces = have.count();
        let mut progress = Self {
            layout,
            have,
            priorities: priorities.clone(),
            needed,
            have_pieces,
            needed_pieces: 0,
            have_bytes,
            wanted_bytes: 0,
            left_bytes: 0,
        };
        progress.set_priorities(priorities);
        progress
    }

    /// Before the layout is known: there are no pieces, and yet something is needed.
    pub(super) fn unknown() -> Self {
        let layout = Layout::v1(u64::from(BLOCK_LENGTH), []).expect("nothing is within all limits");
        let mut progress = Self::new(Arc::new(layout), Bitfield::empty(0));
        (progress.needed_pieces, progress.left_bytes) = (1, u64::from(BLOCK_LENGTH));
        progress
    }

    /// Wants these pieces from now on. Priorities of another number of pieces change nothing.
    pub(super) fn set_priorities(&mut self, priorities: Priorities) {
        let wanted = priorities.wanted();
        if wanted.pieces() != self.layout.piece_count() {
            return;
        }
        self.needed = wanted.clone();
        for piece in self.have.iter() {
            self.needed.remove(piece);
        }
        let bytes = |set: &Bitfield| set.iter().map(|piece| u64::from(self.layout.length_of(piece))).sum();
        self.wanted_bytes = bytes(wanted);
        self.left_bytes = bytes(&self.needed);
        self.needed_pieces = self.needed.count();
        self.priorities = priorities;
    }

    /// A piece is verified and stored; true if it was not had.
    pub(super) fn verified(&mut self, piece: PieceIndex) -> bool {
        if !self.have.insert(piece) {
            return false;
        }
        let length = u64::from(self.layout.length_of(piece));
        self.have_pieces += 1;
        self.have_bytes += length;
        if self.needed.remove(piece) {
            self.needed_pieces -= 1;
            self.left_bytes -= length;
        }
        true
    }

    /// A piece is not had any more; true if it was.
    pub(super) fn forget(&mut self, piece: PieceIndex) -> bool {
        if !self.have.remove(piece) {
            return false;
        }
        let length = u64::from(self.layout.length_of(piece));
        self.have_pieces -= 1;
        self.have_bytes -= length;
        if self.priorities.wanted().has(piece) && self.needed.insert(piece) {
            self.needed_pieces += 1;
            self.left_bytes += length;
        }
        true
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The pieces verified and stored.
    pub(super) fn have(&self) -> &Bitfield {
        &self.have
    }

    /// How much each piece is wanted.
    pub(super) fn priorities(&self) -> &Priorities {
        &self.priorities
    }

    /// The pieces wanted and not had.
    pub(super) fn needed(&self) -> &Bitfield {
        &self.needed
    }

    pub(super) fn have_pieces(&self) -> u32 {
        self.have_pieces
    }

    /// Every wanted piece is had.
    pub(super) fn is_finished(&self) -> bool {
        self.needed_pieces == 0
    }

    /// Every piece is had.
    pub(super) fn is_complete(&self) -> bool {
        self.needed_pieces == 0 && self.have_pieces == self.layout.piece_count()
    }

    pub(super) fn have_bytes(&self) -> u64 {
        self.have_bytes
    }

    pub(super) fn wanted_bytes(&self) -> u64 {
        self.wanted_bytes
    }

    pub(super) fn left_bytes(&self) -> u64 {
        self.left_bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sums_agree_with_sets(steps in proptest::collection::vec((0u8..3, 0u32..20, any::<u32>()), 0..60)) {
            let layout = Arc::new(Layout::v1(32_768, [(20 * 32_768 - 5, false)]).expect("a small layout"));
            let mut progress = Progress::new(Arc::clone(&layout), Bitfield::empty(20));
            for (kind, piece, mask) in steps {
                match kind {
                    0 => { progress.verified(PieceIndex(piece)); }
                    1 => { progress.forget(PieceIndex(piece)); }
                    _ => {
                        let mut wanted = Bitfield::empty(20);
                        (0..20).filter(|bit| mask >> bit & 1 == 1).for_each(|bit| { wanted.insert(PieceIndex(bit)); });
                        progress.set_priorities(wanted.into());
                    }
                }
                let bytes = |set: &Bitfield| set.iter().map(|piece| u64::from(layout.length_of(piece))).sum::<u64>();
                prop_assert_eq!(progress.have_bytes(), bytes(&progress.have));
                prop_assert_eq!(progress.wanted_bytes(), bytes(progress.priorities.wanted()));
                prop_assert_eq!(progress.left_bytes(), bytes(&progress.needed));
                prop_assert_eq!(progress.have_pieces(), progress.have.count());
                prop_assert_eq!(progress.is_finished(), progress.needed.is_empty());
                for piece in (0..20).map(PieceIndex) {
                    let needed = progress.priorities.wanted().has(piece) && !progress.have.has(piece);
                    prop_assert_eq!(progress.needed.has(piece), needed);
                }
            }
        }
    }
}
