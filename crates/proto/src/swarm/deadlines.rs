//! Pieces that somebody waits for, and by when: what a player reads next.
//!
//! A piece with a deadline is taken out of the picker and begun at once, with [`Claim::Urgent`]: its blocks are dealt out by
//! `hurry` alone, to peers that can bring them in time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use riverrun_metainfo::PieceIndex;

use crate::limits;
use crate::swarm::on_demand::Rested;
use crate::swarm::partial::{Claim, Partial};
use crate::swarm::progress::Progress;
use crate::swarm::requests::Requests;

/// A piece that somebody waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Deadline {
    /// When it should be here. A moment that has passed is late, and counts the more the longer ago it is.
    pub due: Instant,
    /// Which.
    pub piece: PieceIndex,
}

/// What all readers wait for.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    readers: BTreeMap<u64, Vec<Deadline>>,
    /// Each piece once, the earliest first. Those that are had leave it.
    order: Vec<Deadline>,
    /// How long the fastest peer takes to bring one more block, when last looked at; `None` if nobody could be asked.
    pub(super) best: Option<Duration>,
}

impl Rested for Deadlines {
    const RESTED: &'static Self = &Self { readers: BTreeMap::new(), order: Vec::new(), best: None };
}

impl Deadlines {
    /// Nobody waits for anything.
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Somebody waits for something, or for what is had.
    pub(super) fn has_readers(&self) -> bool {
        !self.readers.is_empty()
    }

    /// The earliest first.
    pub(super) fn order(&self) -> &[Deadline] {
        &self.order
    }

    /// What one reader waits for from now on: the earliest, if it is more than is kept.
    fn set(&mut self, reader: u64, mut deadlines: Vec<Deadline>) {
        deadlines.sort_unstable();
        deadlines.truncate(limits::MAX_DEADLINES);
        if deadlines.is_empty() {
            self.readers.remove(&reader);
        } else if self.readers.contains_key(&reader) || self.readers.len() < limits::MAX_READERS {
            self.readers.insert(reader, deadlines);
        }
    }

    /// Works the order out anew, without what `had` names.
    fn arrange(&mut self, had: impl Fn(PieceIndex) -> bool) {
        let mut earliest: BTreeMap<PieceIndex, Instant> = BTreeMap::new();
        for deadline in self.readers.values().flatten().filter(|deadline| !had(deadline.piece)) {
            let due = earliest.entry(deadline.piece).or_insert(deadline.due);
            *due = deadline.due.min(*due);
        }
        self.order = earliest.into_iter().map(|(piece, due)| Deadline { due, piece }).collect();
        self.order.sort_unstable();
        self.order.truncate(limits::MAX_DEADLINES);
    }

    /// The piece is had.
    pub(super) fn done(&mut self, piece: PieceIndex) {
        self.order.retain(|deadline| deadline.piece != piece);
    }

    fn has(&self, piece: PieceIndex) -> bool {
        self.order.iter().any(|deadline| deadline.piece == piece)
    }
}

impl Requests {
    /// What one reader waits for from now on. Gives true if that is something new and soon: then what was asked for before
    /// stands in its way.
    pub(super) fn set_deadlines(
        &mut self,
        reader: u64,
        deadlines: Vec<Deadline>,
        progress: &Progress,
        now: Instant,
    ) -> bool {
        let before = std::mem::take(&mut self.deadlines.need().order);
        self.deadlines.need().set(reader, deadlines);
        self.deadlines.need().arrange(|piece| !progress.needed().has(piece));
        for Deadline { piece, .. } in &before {
            if !self.deadlines.has(*piece) {
                self.relax(*piece, progress);
            }
        }
        self.enlist(now, progress);
        self.freed = true;
        let known = |piece: PieceIndex| before.iter().any(|deadline| deadline.piece == piece);
        let soon = self.deadlines.order.iter().take_while(|deadline| deadline.due <= now + SOON);
        soon.filter(|deadline| !known(deadline.piece)).any(|deadline| self.has_free(deadline.piece))
    }

    /// What is needed, or known of it, changed: deadlines are looked at anew.
    pub(super) fn rearrange(&mut self, now: Instant, progress: &Progress) {
        if self.deadlines.has_readers() {
            self.deadlines.need().arrange(|piece| !progress.needed().has(piece));
            self.enlist(now, progress);
        }
    }

    fn has_free(&self, piece: PieceIndex) -> bool {
        self.partials.get(piece).is_some_and(|partial| partial.free() > 0)
    }

    /// Begins every piece with a deadline that may be begun, and takes it from those who have it for themselves. One on parole
    /// stays so: who is to blame matters more.
    fn enlist(&mut self, now: Instant, progress: &Progress) {
        for Deadline { due, piece } in self.deadlines.order.iter().copied() {
            match self.partials.get_mut(piece) {
                Some(partial) if partial.is_verifying() || matches!(partial.claim(), Claim::Parole(_)) => {}
                Some(partial) => partial.set_claim(Claim::Urgent(due)),
                None => {
                    if let Some(picker) = self.picker.as_mut().filter(|picker| picker.is_pickable(piece)) {
                        picker.remove(piece);
                        self.partials.begin(progress.layout(), piece, Claim::Urgent(due), now);
                    }
                }
            }
        }
    }

    /// Nobody waits for this piece any more.
    fn relax(&mut self, piece: PieceIndex, progress: &Progress) {
        let Some(partial) = self.partials.get_mut(piece) else { return };
        if !matches!(partial.claim(), Claim::Urgent(_)) {
            return;
        }
        partial.set_claim(Claim::Shared);
        if Partial::is_untouched(partial) && progress.needed().has(piece) {
            self.partials.end(piece);
            self.picker.iter_mut().for_each(|picker| picker.insert(piece));
        } else {
            self.partials.reopen(piece);
        }
    }
}

/// What is due within this time must not wait behind what is not urgent.
const SOON: Duration = Duration::from_secs(3);
