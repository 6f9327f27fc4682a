//! The first copy: a seed of a young swarm shows each peer that it serves other pieces (BEP 6, `suggest`).
//!
//! Where nobody has anything yet, everyone chooses by what his own neighbours have, and many ask the seed for the same piece.
//! But what a swarm can exchange grows no faster than different pieces leave its seed, and the seed alone knows which have. So it
//! suggests to each peer pieces that nobody is known to have and that nobody else was shown. Unlike superseeding (BEP 16) it
//! hides nothing and waits for nobody: who does not read suggestions is served as ever. Once each piece has been shown, asked
//! for or seen at another peer, it is over for good.

use std::collections::BTreeMap;

use riverrun_metainfo::{BLOCK_LENGTH, Bitfield, PieceIndex};

use crate::limits;
use crate::swarm::outbox::Outbox;
use crate::swarm::peer::Peer;
use crate::swarm::{ConnectionId, Swarm};
use crate::wire::Message;

/// Downloaders that are served at once before it matters who gets which piece.
const CROWD: usize = 2;
/// What a peer asks for at first, in blocks.
const AT_FIRST: usize = 32;
/// What is shown ahead of the requests of a peer that is under way, in blocks.
const AHEAD: usize = 16;

/// How far the first copy is.
#[derive(Debug, Default)]
pub(super) enum FirstCopy {
    /// No crowd has come yet.
    #[default]
    Unknown,
    /// Some pieces have not been shown to anyone.
    Under(Box<Showing>),
    /// Each piece was shown or is had by others.
    Over,
}

/// What was shown to whom.
#[derive(Debug)]
pub(super) struct Showing {
    /// Pieces that somebody has.
    spread: Bitfield,
    /// Pieces that somebody was shown or asks for.
    taken: Bitfield,
    /// Pieces that nobody has, was shown or asked for, in random order; and some that were since.
    scarce: Vec<PieceIndex>,
    /// What stands there: each once, however often peers ask and go.
    listed: Bitfield,
    /// What each peer is about to have.
    heirs: BTreeMap<ConnectionId, Heir>,
}

/// What one peer is about to have.
#[derive(Debug, Default)]
struct Heir {
    /// Pieces that it was shown and does not ask for yet.
    shown: Vec<PieceIndex>,
    /// Pieces that it asks for, and how many of their bytes have left. A peer does not tell a seed what it has got.
    asked: Vec<(PieceIndex, u32)>,
}

impl FirstCopy {
    /// Downloaders have these pieces.
    pub(super) fn spread(&mut self, pieces: impl Iterator<Item = PieceIndex>) {
        if let Self::Under(showing) = self {
            pieces.for_each(|piece| _ = showing.spread.insert(piece));
            if showing.spread.is_full() {
                *self = Self::Over;
            }
        }
    }

    /// A peer asks for a piece, shown or not: nobody else need be shown it.
    pub(super) fn asked(&mut self, connection: ConnectionId, piece: PieceIndex) {
        let Self::Under(showing) = self else { return };
        if showing.spread.has(piece) {
            return;
        }
        let heir = showing.heirs.entry(connection).or_default();
        if heir.asked.iter().all(|(asked, _)| *asked != piece) {
            heir.shown.retain(|shown| *shown != piece);
            showing.taken.insert(piece);
            heir.asked.push((piece, 0));
        }
    }

    /// So many bytes of a piece of this length have left for a peer.
    pub(super) fn left(&mut self, connection: ConnectionId, piece: PieceIndex, bytes: u32, length: u32) {
        let Self::Under(showing) = self else { return };
        let Some(heir) = showing.heirs.get_mut(&connection) else { return };
        let Some(at) = heir.asked.iter().position(|(asked, _)| *asked == piece) else { return };
        heir.asked[at].1 += bytes;
        if heir.asked[at].1 >= length {
            heir.asked.swap_remove(at);
            self.spread(std::iter::once(piece));
        }
    }

    /// Whether it counts who asks for what.
    pub(super) fn is_under(&self) -> bool {
        matches!(self, Self::Under(_))
    }

    /// Whether each piece is had by others.
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    /// A peer is not served any more: what it has not got may be shown to others.
    pub(super) fn unserved(&mut self, connection: ConnectionId) {
        if let Self::Under(showing) = self {
            let Heir { shown, asked } = showing.heirs.remove(&connection).unwrap_or_default();
            let unused = shown.into_iter().chain(asked.into_iter().map(|(piece, _)| piece));
            for piece in unused.filter(|piece| !showing.spread.has(*piece)) {
                showing.taken.remove(piece);
                if showing.listed.insert(piece) {
                    showing.scarce.push(piece);
                }
            }
        }
    }
}

impl Showing {
    /// All is scarce but what these peers have.
    fn new<'a>(total: u32, peers: impl Iterator<Item = &'a Peer>, rng: &mut fastrand::Rng) -> Self {
        let mut spread = Bitfield::empty(total);
        // Seeds count for nothing: they are where we are.
        for bits in peers.filter_map(|peer| peer.pieces.bits()) {
            bits.iter().for_each(|piece| _ = spread.insert(piece));
        }
        let mut scarce: Vec<PieceIndex> = spread.iter_missing().collect();
        rng.shuffle(&mut scarce);
        let mut listed = Bitfield::empty(total);
        scarce.iter().for_each(|piece| _ = listed.insert(*piece));
        Self { spread, taken: Bitfield::empty(total), scarce, listed, heirs: BTreeMap::new() }
    }

    /// Shows a peer pieces until there are so many that it does not ask for yet.
    fn show(&mut self, peer: &Peer, most: usize, out: &mut Outbox) {
        let heir = self.heirs.entry(peer.who.connection).or_default();
        heir.shown.retain(|piece| !self.spread.has(*piece));
        while heir.shown.len() < most {
            let Some(piece) = self.scarce.pop() else { return };
            self.listed.remove(piece);
            if !self.spread.has(piece) && self.taken.insert(piece) {
                heir.shown.push(piece);
                out.send(peer.who.connection, Message::Suggest(piece));
            }
        }
    }
}

impl Swarm {
    /// Slots were given: whoever has one is shown what it should ask for.
    pub(super) fn show_first_copy(&mut self) {
        let over = matches!(self.first_copy, FirstCopy::Over);
        // Who superseeds hides what others are to have.
        if over || !self.requests.strategy.first_copy || self.superseed.is_active() {
            return;
        }
        if !self.progress.is_complete() {
            // What a downloader gives came from others: there it is to be had too.
            self.first_copy = FirstCopy::Over;
            return;
        }
        if matches!(self.first_copy, FirstCopy::Unknown) {
            let holders = self.line.holders().filter_map(|connection| self.peers.get(&connection));
            if holders.filter(|peer| is_served(peer)).count() < CROWD {
                return;
            }
            let total = self.progress.layout().piece_count();
            let showing = Showing::new(total, self.peers.values(), &mut self.rng);
            self.first_copy = FirstCopy::Under(Box::new(showing));
        }
        let holders: Vec<ConnectionId> = self.line.holders().collect();
        holders.into_iter().for_each(|connection| self.show_first_copy_to(connection));
    }

    /// A peer said something: maybe it got what it was shown.
    pub(super) fn show_first_copy_to(&mut self, connection: ConnectionId) {
        let FirstCopy::Under(showing) = &mut self.first_copy else { return };
        let Some(peer) = self.peers.get(&connection).filter(|peer| peer.who.fast && peer.up.shown.is_none()) else {
            return;
        };
        if is_served(peer) {
            showing.show(peer, depth(peer, self.progress.layout().piece_length()), &mut self.out);
        } else if peer.up.choking {
            self.first_copy.unserved(connection);
        }
    }
}

fn is_served(peer: &Peer) -> bool {
    peer.up.interested && !peer.up.choking
}

/// How many pieces a peer should know of that it does not ask for yet.
fn depth(peer: &Peer, piece_length: u32) -> usize {
    let blocks = if peer.up.rate.total() == 0 { AT_FIRST } else { AHEAD };
    let per_piece = piece_length.div_ceil(BLOCK_LENGTH) as usize;
    (blocks.div_ceil(per_piece) + 1).min(limits::MAX_SUGGESTED)
}
