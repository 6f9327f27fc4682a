//! Which rules of the brain are on. All are, in everything that is shipped: that a rule is worth its place is shown by what
//! happens without it, so simulations and tests turn it off.

/// In which order the pieces of a torrent are begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum PieceOrder {
    /// Some at random, so that there soon is something to trade, then those that fewest peers have.
    #[default]
    Rarest,
    /// Any.
    Random,
    /// As they lie in the torrent.
    Sequential,
}

/// How many peers are served at once where the owner does not say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SlotRule {
    /// Eight, fewer on a narrow uplink, and more where that fills it: what they bring is tried out.
    #[default]
    Uplink,
    /// By the root of the rate alone, and at least eight.
    Root,
    /// As libtorrent's rate-based choker: as many as take, fastest first, 2 KiB/s more each than the one before had to.
    Stairs,
    /// So many.
    Fixed(usize),
}

/// The rules that decide who is asked for what, who is trusted and who stays. The default is what is shipped; nothing else is offered to
/// users. Each rule is looked up in one place, away from the path of blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Strategy {
    /// In which order pieces are begun, unless the owner wants them in sequence ([`Command::SetSequential`]).
    ///
    /// [`Command::SetSequential`]: crate::swarm::Command::SetSequential
    pub piece_order: PieceOrder,
    /// A fast peer has whole pieces for itself, so that fewer stay half done and blame is certain.
    pub whole_pieces: bool,
    /// A very fast peer is asked for several pieces in turn, a run of blocks of each, so that they are hashed side by side.
    pub braids: bool,
    /// Pieces that a peer suggests are begun with it before others (BEP 6).
    pub suggestions: bool,
    /// The seed of a young crowd suggests other pieces to each peer, so that no piece leaves it twice before each left once.
    pub first_copy: bool,
    /// While a peer has few of the pieces that we need little is asked of it, and at first few are served at once.
    pub short_queues: bool,
    /// Blocks that a slow peer holds up are asked of a faster one that has nothing else to do: the endgame, and what comes
    /// late before it.
    pub steal: bool,
    /// What was asked of a peer that brings nothing from the first is soon asked of others.
    pub trial: bool,
    /// What was asked of a peer that has fallen silent is asked of others, and one request at a time of it.
    pub snubs: bool,
    /// Pieces that a reader waits for come before all others, from peers that bring them in time.
    pub deadlines: bool,
    /// When a piece that failed is right at last, whoever sent another block before is banned.
    pub smart_ban: bool,
    /// A piece that failed is fetched again from one peer alone.
    pub parole: bool,
    /// A peer that chokes again and again is asked for one block at a time (THREATS P11).
    pub choke_flaps: bool,
    /// How many peers are served at once.
    pub slots: SlotRule,
    /// One slot goes by luck, so that newcomers get something to give and better partners are found (BEP 3).
    pub optimistic: bool,
    /// While downloading, slots are for those who give, and for few others while the uplink is busy: who gives nothing gets little.
    pub few_guests: bool,
    /// When all places are taken, a few peers that bring nothing are exchanged for candidates now and then.
    pub turnover: bool,
    /// Candidates are dialled, and newcomers let in, in the order of canonical priorities (BEP 40).
    pub canonical_priority: bool,
}

impl Default for Strategy {
    fn default() -> Self {
        Self {
            piece_order: PieceOrder::default(),
            whole_pieces: true,
            braids: true,
            suggestions: true,
            first_copy: true,
            short_queues: true,
            steal: true,
            trial: true,
            snubs: true,
            deadlines: true,
            smart_ban: true,
            parole: true,
            choke_flaps: true,
            slots: SlotRule::default(),
            optimistic: true,
            few_guests: true,
            turnover: true,
            canonical_priority: true,
        }
    }
}
