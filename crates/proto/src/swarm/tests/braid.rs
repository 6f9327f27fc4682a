//! Requests to very fast peers go round several pieces.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use riverrun_metainfo::{Bitfield, Block, PieceIndex};

use super::lab::{Lab, Manner};
use super::net::{config, layout};
use crate::swarm::braid::{STRANDS, STRANDS_AMONG_MANY, UNIT};
use crate::swarm::{Action, CloseReason, Command, ConnectionId, Deadline, Input, Pressure, SwarmConfig};
use crate::wire::Message;

const SECOND: Duration = Duration::from_secs(1);
/// Blocks of a piece of a megabyte.
const BLOCKS: u32 = 64;
/// 320 MiB/s.
const VERY_FAST: Manner = Manner::Honest(205);
/// 15 MiB/s.
const FAST: Manner = Manner::Honest(10);

fn leech(pieces: u32, blocks: u32, braids: bool) -> Lab {
    let layout = layout(pieces, blocks);
    let strategy = crate::swarm::Strategy { braids, ..Default::default() };
    Lab::with(SwarmConfig { strategy, ..config(&layout, Bitfield::empty(pieces), 200) })
}

/// All requests to a peer in order.
fn requests(lab: &Lab, peer: ConnectionId) -> Vec<Block> {
    let requests = lab.done.iter().filter_map(|action| match action {
        Action::Send { connection, message: Message::Request(block) } if *connection == peer => Some(*block),
        _ => None,
    });
    requests.collect()
}

/// Requests in a row for adjacent blocks of a piece: the piece, the first block and how many.
fn runs(requests: &[Block]) -> Vec<(u32, u32, u32)> {
    let run = requests.chunk_by(|one, next| one.piece == next.piece && one.number() + 1 == next.number());
    run.map(|run| (run[0].piece.0, run[0].number(), run[run.len() - 1].number() + 1 - run[0].number())).collect()
}

/// The most pieces of so many blocks that were asked for in part at once.
fn widest(requests: &[Block], blocks: u32) -> usize {
    let (mut open, mut widest) = (BTreeMap::new(), 0);
    for block in requests {
        *open.entry(block.piece).or_insert(0) += 1;
        open.retain(|_, asked| *asked < blocks);
        widest = widest.max(open.len());
    }
    widest
}

/// The most pieces that one seed with this manner is asked for in turn.
fn width_of(pieces: u32, blocks: u32, braids: bool, manner: Manner) -> usize {
    let mut lab = leech(pieces, blocks, braids);
    let peer = lab.connect_seed(1, true, manner);
    lab.until_complete(40 * SECOND);
    widest(&requests(&lab, peer), blocks)
}

#[test]
fn a_very_fast_peer_is_asked_for_a_unit_of_each_of_many_pieces_in_turn() {
    let mut lab = leech(300, BLOCKS, true);
    let peer = lab.connect_seed(1, true, VERY_FAST);
    lab.until_complete(4 * SECOND);
    let asked = requests(&lab, peer);
    let distinct: BTreeSet<_> = asked.iter().map(|block| (block.piece, block.begin)).collect();
    assert_eq!((asked.len(), distinct.len()), (300 * 64, 300 * 64), "every block is asked for once");
    let mut next = BTreeMap::new();
    for block in &asked {
        assert_eq!(block.number(), *next.entry(block.piece).or_insert(0), "the blocks of a piece come in order");
        next.insert(block.piece, block.number() + 1);
    }
    assert_eq!(widest(&asked, BLOCKS), STRANDS);
    // From the first set on until the last begin, every turn is a whole unit, and a piece's next turn comes when all others had theirs.
    let runs = runs(&asked);
    let end = runs.iter().rposition(|(_, first, _)| *first == 0).expect("pieces begin");
    let begin = runs.iter().take_while(|(_, _, length)| *length != UNIT).count() + STRANDS;
    assert!(begin < runs.len() / 10, "{begin} of {}", runs.len());
    let braided = &runs[begin..end];
    assert!(braided.iter().all(|(_, first, length)| *length == UNIT && first % UNIT == 0), "only whole units");
    for (at, (piece, first, _)) in braided.iter().enumerate().filter(|(_, (_, first, _))| first + UNIT < BLOCKS) {
        let others = braided[at + 1..].iter().take_while(|(other, ..)| other != piece);
        let others: Vec<u32> = others.map(|(other, ..)| *other).collect();
        let once: BTreeSet<u32> = others.iter().copied().collect();
        assert_eq!(once.len(), others.len(), "a turn each between two of piece {piece}, at {first}: {others:?}");
        assert!(others.len() < STRANDS);
    }
}

#[test]
fn without_the_rule_or_the_rate_pieces_come_one_after_the_other() {
    assert_eq!(width_of(200, BLOCKS, true, VERY_FAST), STRANDS);
    assert_eq!(width_of(200, BLOCKS, false, VERY_FAST), 1);
    assert_eq!(width_of(200, BLOCKS, true, FAST), 1);
}

#[test]
fn no_more_pieces_than_come_within_a_quarter_of_a_second() {
    // 80 MiB come in that time: twenty pieces of 4 MiB, five of 16 MiB, two of 32 MiB.
    assert_eq!(width_of(100, 256, true, VERY_FAST), 20);
    assert_eq!(width_of(40, 1024, true, VERY_FAST), 5);
    assert_eq!(width_of(20, 2048, true, VERY_FAST), 1, "two are not worth it");
    // Pieces of one unit come in turn by themselves.
    assert_eq!(width_of(2000, UNIT, true, VERY_FAST), 1);
}

#[test]
fn when_the_rate_falls_the_open_pieces_come_to_their_end_one_after_the_other() {
    let mut lab = leech(600, BLOCKS, true);
    let peer = lab.connect_seed(1, true, VERY_FAST);
    lab.wait(SECOND);
    lab.behaves(peer, Manner::Honest(2));
    lab.wait(SECOND + SECOND / 2);
    let before = requests(&lab, peer).len();
    lab.wait(20 * SECOND);
    let asked = requests(&lab, peer);
    let open = asked[..before].iter().map(|block| block.piece).collect::<BTreeSet<_>>();
    let mut begun = 0;
    let after: Vec<_> = asked[before..].chunk_by(|one, next| one.piece == next.piece).collect();
    for (run, next) in after.iter().zip(&after[1..]) {
        assert_eq!(run[run.len() - 1].number() + 1, BLOCKS, "brought to its end before {:?}", next[0].piece);
        begun += usize::from(!open.contains(&next[0].piece));
        assert!(begun == 0 || !open.contains(&next[0].piece), "those that were open come first");
    }
    assert!(begun > 10, "{begun}");
}

#[test]
fn a_braid_is_as_wide_as_what_its_peer_brings_and_not_too_narrow_to_be_hashed() {
    let widths = |manners: &[Manner]| {
        let mut lab = leech(3000, BLOCKS, true);
        let manners = manners.iter().zip(1..);
        let peers: Vec<_> = manners.map(|(manner, number)| lab.connect_seed(number, true, *manner)).collect();
        // Until everyone's rate is known, and long enough after it that what was begun before is done.
        lab.wait(2 * SECOND);
        let before: Vec<_> = peers.iter().map(|peer| requests(&lab, *peer).len()).collect();
        lab.wait(SECOND);
        let asked = peers.iter().zip(before).map(|(peer, before)| requests(&lab, *peer).split_off(before));
        asked.map(|asked| around(&asked)).collect::<Vec<_>>()
    };
    // A hundred and fifty megabytes in a second.
    let each = Manner::Honest(96);
    assert_eq!(widths(&[each]), [STRANDS]);
    assert_eq!(widths(&[each; 2]), [STRANDS / 2; 2]);
    assert_eq!(widths(&[each; 8]), [STRANDS_AMONG_MANY; 8]);
    let beside_slow = widths(&[VERY_FAST, Manner::Honest(1), Manner::Honest(1), Manner::Honest(1)]);
    assert_eq!(beside_slow[0], STRANDS);
}

/// How many pieces are asked for between a unit and the next one of the same piece, that one counted, in most cases.
fn around(asked: &[Block]) -> usize {
    let pieces: Vec<_> = asked.chunk_by(|one, next| one.piece == next.piece).map(|run| run[0].piece).collect();
    let mut counts = BTreeMap::new();
    for (at, piece) in pieces.iter().enumerate() {
        let again = pieces[at + 1..].iter().position(|other| other == piece);
        *counts.entry(again.unwrap_or_default() + 1).or_insert(0) += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map_or(0, |(distance, _)| distance)
}

#[test]
fn what_is_wanted_in_order_is_asked_for_in_order() {
    let asked_with = |commands: &[Command]| {
        let mut lab = leech(300, BLOCKS, true);
        commands.iter().for_each(|command| _ = lab.feed(Input::Command(command.clone())));
        let peer = lab.connect_seed(1, true, VERY_FAST);
        lab.until_complete(20 * SECOND);
        requests(&lab, peer)
    };
    assert_eq!(widest(&asked_with(&[]), BLOCKS), STRANDS);
    let sequential = asked_with(&[Command::SetSequential(true)]);
    assert!(sequential.is_sorted_by_key(|block| (block.piece, block.begin)));
    // While somebody waits for pieces the others come one after the other as well.
    let deadlines = vec![Deadline { due: super::birth() + 1000 * SECOND, piece: PieceIndex(7) }];
    let mut lab = leech(300, BLOCKS, true);
    lab.feed(Input::Command(Command::SetDeadlines { reader: 1, deadlines }));
    let silent = lab.connect_seed(2, true, Manner::Silent);
    assert!(lab.asked(silent).iter().any(|block| block.piece == PieceIndex(7)));
    let peer = lab.connect_seed(1, true, VERY_FAST);
    lab.wait(SECOND / 2);
    let mut others = requests(&lab, peer);
    others.retain(|block| block.piece != PieceIndex(7));
    assert!(others.len() > 1000);
    assert_eq!(widest(&others, BLOCKS), 1);
}

#[test]
fn a_web_seed_is_asked_for_runs_of_pieces_however_fast_it_is() {
    let mut lab = leech(300, BLOCKS, true);
    lab.feed(Input::Command(Command::AddWebSeeds(1)));
    let seed = lab.open_web_seed(1, VERY_FAST);
    lab.until_complete(20 * SECOND);
    assert!(requests(&lab, seed).is_sorted_by_key(|block| (block.piece, block.begin)));
}

/// What happens to a swarm with very fast peers; they are counted modulo those who are there.
#[derive(Clone, Copy, Debug)]
enum Step {
    Waits(u8),
    Behaves { peer: usize, blocks: usize },
    Chokes { peer: usize },
    Unchokes { peer: usize },
    Rejects { peer: usize, blocks: usize },
    Leaves { peer: usize },
    Comes,
    Sequential(bool),
    Awaited(u8),
    Pressed(Pressure),
}

fn step() -> impl Strategy<Value = Step> {
    let peer = || 0usize..4;
    let pressures = [Pressure::None, Pressure::None, Pressure::Some, Pressure::Full];
    prop_oneof![
        8 => (1u8..20).prop_map(Step::Waits),
        3 => (peer(), prop_oneof![0usize..4, 20usize..250]).prop_map(|(peer, blocks)| Step::Behaves { peer, blocks }),
        1 => peer().prop_map(|peer| Step::Chokes { peer }),
        2 => peer().prop_map(|peer| Step::Unchokes { peer }),
        1 => (peer(), 1usize..40).prop_map(|(peer, blocks)| Step::Rejects { peer, blocks }),
        1 => peer().prop_map(|peer| Step::Leaves { peer }),
        2 => Just(Step::Comes),
        1 => any::<bool>().prop_map(Step::Sequential),
        1 => (0u8..3).prop_map(Step::Awaited),
        1 => prop::sample::select(pressures.to_vec()).prop_map(Step::Pressed),
    ]
}

/// A swarm and the peers that are there.
struct World {
    lab: Lab,
    peers: Vec<ConnectionId>,
    next: u8,
}

impl World {
    fn comes(&mut self) {
        self.next += 1;
        self.peers.push(self.lab.connect_seed(self.next, true, VERY_FAST));
    }

    fn peer(&self, nth: usize) -> Option<ConnectionId> {
        (!self.peers.is_empty()).then(|| self.peers[nth % self.peers.len()])
    }

    /// Rejects so many of the oldest requests, behind other messages.
    fn rejects(&mut self, peer: ConnectionId, blocks: usize, mut messages: Vec<Message>) {
        let asked = self.lab.asked(peer);
        self.lab.forget_asked(peer);
        let blocks = blocks.min(asked.len());
        messages.extend(asked[..blocks].iter().copied().map(Message::Reject));
        // Those that it goes on with it has answered before the rejects come.
        messages.splice(0..0, asked[blocks..].iter().copied().map(Message::Piece));
        self.lab.says(peer, &messages);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Waits(ticks) => self.lab.wait(Duration::from_millis(10) * u32::from(ticks)),
            Step::Comes if self.next < 30 => self.comes(),
            Step::Comes => {}
            Step::Sequential(yes) => _ = self.lab.feed(Input::Command(Command::SetSequential(yes))),
            Step::Awaited(pieces) => {
                let due = self.lab.now + SECOND;
                let deadlines = (0..pieces).map(|nth| Deadline { due, piece: PieceIndex(u32::from(nth) * 70) });
                let deadlines = deadlines.collect();
                self.lab.feed(Input::Command(Command::SetDeadlines { reader: 1, deadlines }));
            }
            Step::Pressed(pressure) => _ = self.lab.feed(Input::Pressure(pressure)),
            Step::Behaves { peer, blocks } => {
                self.peer(peer).into_iter().for_each(|peer| self.lab.behaves(peer, Manner::Honest(blocks)));
            }
            Step::Chokes { peer } => {
                self.peer(peer).into_iter().for_each(|peer| self.rejects(peer, 250, vec![Message::Choke]));
            }
            Step::Unchokes { peer } => {
                self.peer(peer).into_iter().for_each(|peer| _ = self.lab.says(peer, &[Message::Unchoke]));
            }
            Step::Rejects { peer, blocks } => {
                self.peer(peer).into_iter().for_each(|peer| self.rejects(peer, blocks, Vec::new()));
            }
            Step::Leaves { peer } => {
                if let Some(connection) = self.peer(peer) {
                    self.peers.retain(|peer| *peer != connection);
                    self.lab.behaves(connection, Manner::Silent);
                    self.lab.feed(Input::Closed { connection, reason: CloseReason::Eof });
                }
            }
        }
        self.peers.retain(|peer| self.lab.is_open(*peer));
    }

    fn check(&self) {
        for peer in self.lab.swarm.peers.values() {
            let strands = (0..PIECES).filter(|piece| peer.down.braid.has(PieceIndex(*piece))).count();
            assert!(strands <= STRANDS);
            let asked = self.lab.asked(peer.who.connection);
            let distinct: BTreeSet<_> = asked.iter().map(|block| (block.piece, block.begin)).collect();
            assert!(asked.len() <= 250 && distinct.len() == asked.len(), "more than accepted, or twice");
        }
    }
}

const PIECES: u32 = 200;

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_each_block_is_stored_once_and_the_end_comes(steps in proptest::collection::vec(step(), 1..60)) {
        let mut world = World { lab: leech(PIECES, 24, true), peers: Vec::new(), next: 0 };
        (0..2).for_each(|_| world.comes());
        for step in steps {
            world.step(step);
            world.check();
        }
        [Step::Awaited(0), Step::Pressed(Pressure::None)].into_iter().for_each(|step| world.step(step));
        world.comes();
        world.lab.until_complete(60 * SECOND);
        let mut stored = BTreeSet::new();
        for action in &world.lab.done {
            if let Action::Store { block, .. } = action {
                prop_assert!(stored.insert((block.piece, block.begin)), "{:?} is stored twice", block);
            }
        }
        prop_assert_eq!(stored.len(), 200 * 24);
    }
}
