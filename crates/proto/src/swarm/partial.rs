//! Pieces that are begun: which of their blocks came, from whom, and which are asked for.
//!
//! Invariant: a block is free (may be asked for), asked (by `asked` peers at once), or received; never two of them.

use std::ops::Range;
use std::time::Instant;

use riverrun_metainfo::{BLOCK_LENGTH, Block, Layout, PieceIndex};
use smallvec::SmallVec;

use crate::swarm::ConnectionId;
use crate::swarm::blame::Sender;
use crate::swarm::on_demand::{OnDemand, Rested};

const ABSENT: u32 = u32::MAX;

/// One who sent blocks of a piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Contributor {
    pub(super) connection: ConnectionId,
    pub(super) sender: Sender,
}

/// Who may ask for the blocks of a partial piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Claim {
    /// Anyone.
    Shared,
    /// This fast peer takes the whole piece; others only when there is nothing else left to ask for.
    Whole(ConnectionId),
    /// Somebody waits for it, until this moment: its blocks are dealt out by `hurry`.
    Urgent(Instant),
    /// An earlier try was corrupt: nobody yet, then one peer alone, so that blame is certain.
    Parole(Option<ConnectionId>),
}

/// What became of a block that came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Receipt {
    /// Some are missing yet.
    Stored,
    /// It was the last.
    Complete,
    /// It was there already, or was to come from another.
    Useless,
}

/// One piece that is begun.
#[derive(Clone, Debug)]
pub(super) struct Partial {
    piece: PieceIndex,
    length: u32,
    blocks: u32,
    claim: Claim,
    since: Instant,
    /// Where its slot stands among those in use.
    place: usize,
    /// Its slot is listed as open.
    listed: bool,
    /// All blocks have come, and the disk judges them.
    verifying: bool,
    free: Bits,
    received: Bits,
    /// Requests outstanding for each block.
    asked: Vec<u8>,
    /// Who sent each block, as a place in `contributors`.
    from: Vec<u16>,
    /// Most pieces come from one.
    contributors: SmallVec<[Contributor; 1]>,
}

impl Partial {
    fn begin(&mut self, piece: PieceIndex, length: u32, claim: Claim, now: Instant) {
        self.piece = piece;
        self.length = length;
        self.blocks = length.div_ceil(BLOCK_LENGTH);
        self.claim = claim;
        self.since = now;
        self.clear();
    }

    /// Forgets what was received and asked.
    fn clear(&mut self) {
        let blocks = self.blocks as usize;
        self.verifying = false;
        self.free.fill(self.blocks);
        self.received.clear(self.blocks);
        self.asked.clear();
        self.asked.resize(blocks, 0);
        self.from.clear();
        self.from.resize(blocks, 0);
        self.contributors.clear();
    }

    pub(super) fn piece(&self) -> PieceIndex {
        self.piece
    }

    /// Its length in bytes.
    pub(super) fn length(&self) -> u32 {
        self.length
    }

    pub(super) fn claim(&self) -> Claim {
        self.claim
    }

    /// When it was begun.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    pub(super) fn set_claim(&mut self, claim: Claim) {
        self.claim = claim;
    }

    pub(super) fn is_verifying(&self) -> bool {
        self.verifying
    }

    /// How many blocks may be asked for.
    pub(super) fn free(&self) -> u32 {
        self.free.count
    }

    /// No block came, and none is asked for.
    pub(super) fn is_untouched(&self) -> bool {
        self.free.count == self.blocks
    }

    /// Bytes received.
    pub(super) fn received_bytes(&self) -> u64 {
        let last = self.blocks - 1;
        let short = if self.received.has(last) { BLOCK_LENGTH - (self.length - last * BLOCK_LENGTH) } else { 0 };
        u64::from(self.received.count) * u64::from(BLOCK_LENGTH) - u64::from(short)
    }

    /// The block with this number, which the piece has.
    pub(super) fn block(&self, number: u32) -> Block {
        let begin = number * BLOCK_LENGTH;
        Block { piece: self.piece, begin, length: BLOCK_LENGTH.min(self.length - begin) }
    }

    /// The first block that may be asked for.
    pub(super) fn first_free(&mut self) -> Option<u32> {
        self.free.first()
    }

    /// Takes the first free block: it is asked for from now on.
    pub(super) fn ask_next(&mut self) -> Option<u32> {
        let number = self.free.first()?;
        self.free.remove(number);
        self.asked[number as usize] = 1;
        Some(number)
    }

    /// Takes free blocks in a row, from the first on: those before block `end`, and so many at the most. They are asked for from now
    /// on; none if there are none. More may come behind them.
    pub(super) fn ask_run(&mut self, end: u32, most: usize) -> Range<u32> {
        let before = self.free.first().map_or(0, |first| end.saturating_sub(first));
        let run = self.free.take_run(before.min(u32::try_from(most).unwrap_or(u32::MAX)));
        self.asked[run.start as usize..run.end as usize].fill(1);
        run
    }

    /// One more peer is asked for this block.
    pub(super) fn ask(&mut self, number: u32) {
        self.free.remove(number);
        self.asked[number as usize] = self.asked[number as usize].saturating_add(1);
    }

    /// How many peers are asked for this block.
    pub(super) fn asked(&self, number: u32) -> u8 {
        self.asked[number as usize]
    }

    pub(super) fn is_received(&self, number: u32) -> bool {
        self.received.has(number)
    }

    /// One request less is outstanding for this block; true if it is free now.
    pub(super) fn release(&mut self, number: u32) -> bool {
        let asked = &mut self.asked[number as usize];
        *asked = asked.saturating_sub(1);
        *asked == 0 && !self.received.has(number) && self.free.insert(number)
    }

    /// A block has come. Its request is to be released after it.
    pub(super) fn receive(&mut self, number: u32, from: Contributor) -> Receipt {
        let stranger = matches!(self.claim, Claim::Parole(owner) if owner != Some(from.connection));
        if stranger || self.verifying || !self.received.insert(number) {
            return Receipt::Useless;
        }
        self.free.remove(number);
        self.from[number as usize] = self.contributor(from);
        if self.received.count < self.blocks {
            return Receipt::Stored;
        }
        self.verifying = true;
        Receipt::Complete
    }

    /// Blocks of senders that `which` names are to come again; true if there are any. A piece that the disk judges stays.
    pub(super) fn forget_from(&mut self, which: impl Fn(Sender) -> bool) -> bool {
        if self.verifying || !self.contributors.iter().any(|from| which(from.sender)) {
            return false;
        }
        for number in 0..self.blocks {
            let sender = self.contributors[usize::from(self.from[number as usize])].sender;
            if self.received.has(number) && which(sender) {
                self.received.remove(number);
                if self.asked[number as usize] == 0 {
                    self.free.insert(number);
                }
            }
        }
        true
    }

    fn contributor(&mut self, from: Contributor) -> u16 {
        let known = self.contributors.iter().rposition(|known| *known == from);
        let place = known.unwrap_or_else(|| {
            self.contributors.push(from);
            self.contributors.len() - 1
        });
        // More than 65,536 connections to one piece: blame falls on the last, who is banned only on further proof.
        u16::try_from(place).unwrap_or(u16::MAX)
    }

    /// Who sent each block, and the senders.
    pub(super) fn senders(&self) -> (&[u16], &[Contributor]) {
        (&self.from, &self.contributors)
    }
}

/// All pieces that are begun; nothing until the first one is, for a seed needs none.
#[derive(Debug, Default)]
pub(super) struct Partials(OnDemand<Slots>);

/// The memory of pieces that are begun. It is used again, so that a piece costs no allocation.
#[derive(Debug, Default)]
struct Slots {
    slots: Vec<Partial>,
    /// Slots in use.
    begun: Vec<u32>,
    vacant: Vec<u32>,
    /// Slots that may have free blocks, longest listed first; all that have are here.
    open: Vec<u32>,
    /// The slot of each piece, or `ABSENT`.
    slot_of: Vec<u32>,
}

impl Rested for Slots {
    const RESTED: &'static Self =
        &Self { slots: Vec::new(), begun: Vec::new(), vacant: Vec::new(), open: Vec::new(), slot_of: Vec::new() };
}

impl Partials {
    /// Begins a piece that exists and is not begun.
    pub(super) fn begin(&mut self, layout: &Layout, piece: PieceIndex, claim: Claim, now: Instant) -> &mut Partial {
        self.0.need().begin(layout, piece, claim, now)
    }

    /// Blocks of a piece that had none may be free again.
    pub(super) fn reopen(&mut self, piece: PieceIndex) {
        self.0.made().into_iter().for_each(|slots| slots.reopen(piece));
    }

    /// Those that have free blocks, longest open first.
    pub(super) fn open(&mut self) -> impl Iterator<Item = &Partial> {
        self.0.made().into_iter().flat_map(Slots::open)
    }

    /// Ends a piece; true if it was begun.
    pub(super) fn end(&mut self, piece: PieceIndex) -> bool {
        self.0.made().is_some_and(|slots| slots.end(piece))
    }

    pub(super) fn get(&self, piece: PieceIndex) -> Option<&Partial> {
        self.0.slots.get(*self.0.slot_of.get(piece.as_usize())? as usize)
    }

    pub(super) fn get_mut(&mut self, piece: PieceIndex) -> Option<&mut Partial> {
        let Slots { slots, slot_of, .. } = self.0.made()?;
        slots.get_mut(*slot_of.get(piece.as_usize())? as usize)
    }

    /// All that are begun.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Partial> {
        self.0.begun.iter().map(|slot| &self.0.slots[*slot as usize])
    }

    /// All that are begun.
    pub(super) fn pieces(&self) -> Vec<PieceIndex> {
        self.iter().map(Partial::piece).collect()
    }

    /// How many are begun.
    pub(super) fn len(&self) -> usize {
        self.0.begun.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.begun.is_empty()
    }
}

impl Slots {
    fn begin(&mut self, layout: &Layout, piece: PieceIndex, claim: Claim, now: Instant) -> &mut Partial {
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.slots.push(Partial {
                piece,
                length: 0,
                blocks: 0,
                claim,
                since: now,
                place: 0,
                listed: false,
                verifying: false,
                free: Bits::default(),
                received: Bits::default(),
                asked: Vec::new(),
                from: Vec::new(),
                contributors: SmallVec::new(),
            });
            u32::try_from(self.slots.len() - 1).expect("no more partial pieces than pieces")
        });
        if self.slot_of.is_empty() {
            self.slot_of.resize(layout.piece_count() as usize, ABSENT);
        }
        self.slot_of[piece.as_usize()] = slot;
        let partial = &mut self.slots[slot as usize];
        partial.place = self.begun.len();
        self.begun.push(slot);
        partial.begin(piece, layout.length_of(piece), claim, now);
        if !std::mem::replace(&mut partial.listed, true) {
            self.open.push(slot);
        }
        &mut self.slots[slot as usize]
    }

    fn reopen(&mut self, piece: PieceIndex) {
        let Some(slot) = self.slot_of.get(piece.as_usize()).copied() else { return };
        let Some(partial) = self.slots.get_mut(slot as usize) else { return };
        if !std::mem::replace(&mut partial.listed, true) {
            self.open.push(slot);
        }
    }

    fn open(&mut self) -> impl Iterator<Item = &Partial> {
        let (slots, slot_of) = (&mut self.slots, &self.slot_of);
        self.open.retain(|slot| {
            let partial = &mut slots[*slot as usize];
            let begun = slot_of[partial.piece.as_usize()] == *slot;
            partial.listed = begun && partial.free() > 0;
            partial.listed
        });
        self.open.iter().map(|slot| &self.slots[*slot as usize])
    }

    fn end(&mut self, piece: PieceIndex) -> bool {
        let Some(place) = self.slot_of.get_mut(piece.as_usize()).filter(|slot| **slot != ABSENT) else { return false };
        let slot = std::mem::replace(place, ABSENT);
        let place = self.slots[slot as usize].place;
        self.begun.swap_remove(place);
        if let Some(moved) = self.begun.get(place) {
            self.slots[*moved as usize].place = place;
        }
        self.vacant.push(slot);
        true
    }
}

/// A set of block numbers with a hint where its first member may be.
#[derive(Clone, Debug, Default)]
struct Bits {
    words: Vec<u64>,
    count: u32,
    /// No member lies in a word before this one.
    first: usize,
}

impl Bits {
    fn clear(&mut self, blocks: u32) {
        self.words.clear();
        self.words.resize(blocks.div_ceil(64) as usize, 0);
        (self.count, self.first) = (0, self.words.len());
    }

    fn fill(&mut self, blocks: u32) {
        self.words.clear();
        self.words.resize(blocks.div_ceil(64) as usize, u64::MAX);
        if let (Some(last), rest @ 1..) = (self.words.last_mut(), blocks % 64) {
            *last = (1 << rest) - 1;
        }
        (self.count, self.first) = (blocks, 0);
    }

    fn has(&self, number: u32) -> bool {
        self.words[number as usize / 64] >> (number % 64) & 1 == 1
    }

    fn insert(&mut self, number: u32) -> bool {
        let new = !self.has(number);
        self.words[number as usize / 64] |= 1 << (number % 64);
        self.count += u32::from(new);
        self.first = self.first.min(number as usize / 64);
        new
    }

    fn remove(&mut self, number: u32) {
        self.count -= u32::from(self.has(number));
        self.words[number as usize / 64] &= !(1 << (number % 64));
    }

    /// Takes members in a row, from the first on: so many at the most, and those of one word.
    fn take_run(&mut self, most: u32) -> Range<u32> {
        let Some(first) = self.first().filter(|_| most > 0) else { return 0..0 };
        let word = &mut self.words[self.first];
        let length = (*word >> (first % 64)).trailing_ones().min(most);
        *word &= !(u64::MAX >> (64 - length) << (first % 64));
        self.count -= length;
        first..first + length
    }

    fn first(&mut self) -> Option<u32> {
        while *self.words.get(self.first)? == 0 {
            self.first += 1;
        }
        let word = u32::try_from(self.first).expect("no more words than blocks");
        Some(word * 64 + self.words[self.first].trailing_zeros())
    }
}

#[cfg(test)]
mod tests;
