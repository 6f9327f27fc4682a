//! Piece layers between swarms, and against peers that follow a script (BEP 52).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use riverrun_metainfo::metainfo::{Draft, Metainfo, PieceHashes};
use riverrun_metainfo::{BLOCK_LENGTH, Bitfield, InfoHashes, Layout, PieceIndex, WireHash, bencode, hash, merkle};

use super::birth;
use super::lab::{Lab, Manner, handshake, peer_addr, sent};
use super::net::config;
use crate::limits;
use crate::mse::Cover;
use crate::swarm::{
    Action, CloseReason, Command, Connected, ConnectionId, DiskDone, Input, Swarm, SwarmConfig, Waiting,
};
use crate::wire::{HashRange, Hashes, Message, Reserved};

const SECOND: Duration = Duration::from_secs(1);
/// Two blocks.
const PIECE: u64 = 2 * BLOCK_LENGTH as u64;

/// A v2 torrent whose files have so many pieces each; the content is never made, only the layers.
struct Torrent {
    whole: Metainfo,
    bare: Metainfo,
}

impl Torrent {
    fn new(files: &[u32]) -> Self {
        let layers: Vec<Vec<merkle::Node>> = files
            .iter()
            .zip(0u32..)
            .map(|(pieces, file)| {
                (0..*pieces).map(|piece| hash::sha256(format!("{file}.{piece}").as_bytes())).collect()
            })
            .collect();
        let roots: Vec<_> = layers.iter().map(|layer| merkle::root(layer, 1)).collect();
        let info = bencode::dict(|info| {
            info.dict("file tree", |tree| {
                for ((pieces, root), file) in files.iter().zip(&roots).zip(0..) {
                    tree.dict(format!("{file:03}"), |node| {
                        let length = u64::from(*pieces) * PIECE - 5;
                        node.dict("", |entry| {
                            entry.int("length", i64::try_from(length).expect("small"));
                            entry.bytes("pieces root", root);
                        });
                    });
                }
            });
            info.int("meta version", 2).bytes("name", "made up");
            info.int("piece length", i64::try_from(PIECE).expect("small"));
        });
        let long = files.iter().zip(&roots).zip(&layers).filter(|((pieces, _), _)| **pieces > 1);
        let layers = long.map(|((_, root), layer)| (*root, Bytes::from(layer.as_flattened().to_vec()))).collect();
        let bare = Draft::new(info.into());
        let whole = Draft { piece_layers: Some(layers), ..bare.clone() };
        let parse = |draft: &Draft| Metainfo::parse(draft.encode().into()).expect("a good torrent");
        Self { whole: parse(&whole), bare: parse(&bare) }
    }

    fn layout(&self) -> &Arc<Layout> {
        self.whole.info().layout()
    }

    fn hash(&self) -> WireHash {
        self.whole.hashes().wire()
    }

    fn config(&self, from: &Metainfo, full: bool, number: u8) -> (SwarmConfig, Arc<PieceHashes>) {
        let pieces = self.layout().piece_count();
        let have = if full { Bitfield::full(pieces) } else { Bitfield::empty(pieces) };
        let hashes = from.piece_hashes();
        let config = SwarmConfig {
            info_hashes: from.hashes(),
            hashes: Some(Arc::clone(&hashes)),
            ..config(self.layout(), have, number)
        };
        (config, hashes)
    }

    /// A downloader without layers among scripted peers, and what it knows.
    fn leech(&self) -> (Lab, Arc<PieceHashes>) {
        let (config, hashes) = self.config(&self.bare, false, 200);
        (Lab::with(config), hashes)
    }

    fn seed(&self) -> Lab {
        Lab::with(self.config(&self.whole, true, 200).0)
    }

    /// The right answer to a request.
    fn answer(&self, range: &HashRange) -> Message {
        let hashes = self.whole.piece_hashes();
        let asked = merkle::HashRange {
            base: range.base_layer,
            index: range.index,
            length: range.length,
            proof_layers: range.proof_layers,
        };
        let nodes = hashes.layers_of(&range.pieces_root)[0].answer(asked).expect("a request that can be answered");
        Message::Hashes(Box::new(Hashes { range: *range, hashes: nodes.into_flattened().into() }))
    }
}

fn requests(actions: &[Action], to: ConnectionId) -> Vec<HashRange> {
    let asked = sent(actions, to).into_iter().filter_map(|message| match message {
        Message::HashRequest(range) => Some(*range),
        _ => None,
    });
    asked.collect()
}

/// Connects a peer that speaks v2, has everything and unchokes us; what the swarm did.
fn join(lab: &mut Lab, torrent: &Torrent, number: u8) -> (ConnectionId, Vec<Action>) {
    let connection = lab.connect_as(number, connected(torrent.hash(), number), Manner::Silent);
    (connection, lab.says(connection, &[Message::HaveAll, Message::Unchoke]))
}

fn connected(info_hash: WireHash, number: u8) -> Connected {
    let handshake = crate::wire::Handshake { info_hash, ..handshake(number, true) };
    Connected {
        connection: ConnectionId(number.into()),
        addr: peer_addr(number),
        incoming: true,
        handshake,
        cover: Cover::None,
    }
}

/// Two swarms that hear each other at once, with disks that find every piece right.
struct Pair {
    swarms: [Swarm; 2],
    now: std::time::Instant,
}

impl Pair {
    fn new(torrent: &Torrent, seed: SwarmConfig, leech: SwarmConfig) -> Self {
        let mut pair = Self { swarms: [Swarm::new(birth(), seed), Swarm::new(birth(), leech)], now: birth() };
        for side in [0, 1] {
            let connected = Connected { incoming: side == 0, ..connected(torrent.hash(), 101 + u8::from(side == 1)) };
            let peer = Connected { connection: ConnectionId(1), ..connected };
            pair.swarms[side].handle(pair.now, Input::Connected(peer));
        }
        pair
    }

    /// Until nobody has anything to say.
    fn talk(&mut self) {
        let mut idle = 0;
        let mut side = 0;
        while idle < 2 {
            let mut messages = Vec::new();
            let mut own = VecDeque::new();
            while let Some(action) = self.swarms[side].poll() {
                match action {
                    Action::Send { message, .. } => messages.push(message),
                    Action::Serve { block, .. } => {
                        messages.push(Message::Piece(block));
                        own.push_back(Err(block));
                    }
                    Action::Verify { piece, .. } => own.push_back(Ok(piece)),
                    Action::Close { reason, .. } => assert_eq!(reason, CloseReason::NothingToExchange),
                    _ => {}
                }
            }
            idle = if messages.is_empty() && own.is_empty() { idle + 1 } else { 0 };
            for done in own {
                let connection = ConnectionId(1);
                match done {
                    Ok(piece) => {
                        self.swarms[side].handle(self.now, Input::Disk(DiskDone::Verified { piece, digests: None }));
                    }
                    Err(block) => self.swarms[side].handle(self.now, Input::Served { connection, blocks: &[block] }),
                }
            }
            side = 1 - side;
            if !messages.is_empty() {
                let received = Input::Received { connection: ConnectionId(1), messages: &messages };
                self.swarms[side].handle(self.now, received);
            }
        }
    }

    fn run(&mut self, most: Duration, is_so: impl Fn(&Self) -> bool) {
        let end = self.now + most;
        self.talk();
        while !is_so(self) {
            self.now = self.swarms.iter().filter_map(Swarm::next_timeout).min().expect("something to wait for");
            assert!(self.now <= end, "{:?}", self.swarms[1].status(self.now));
            for side in [0, 1] {
                if self.swarms[side].next_timeout().is_some_and(|due| due <= self.now) {
                    self.swarms[side].handle(self.now, Input::Timeout);
                }
            }
            self.talk();
        }
    }
}

#[test]
fn m20_a_torrent_without_layers_is_downloaded_whatever_the_number_of_pieces() {
    for files in
        [&[2][..], &[3], &[511, 1], &[512], &[513], &[514, 2, 3], &[1023], &[1024, 4], &[1025], &[1026, 1, 600]]
    {
        let torrent = Torrent::new(files);
        let (leech, hashes) = torrent.config(&torrent.bare, false, 101);
        let mut pair = Pair::new(&torrent, torrent.config(&torrent.whole, true, 102).0, leech);
        assert!(hashes.lacks_layers());
        pair.run(60 * SECOND, |pair| pair.swarms[1].have().is_full());
        assert!(!hashes.lacks_layers(), "{files:?}");
        let all = (0..torrent.layout().piece_count()).map(PieceIndex);
        let right = torrent.whole.piece_hashes();
        all.for_each(|piece| assert_eq!(hashes.expected(piece), right.expected(piece)));
    }
}

#[test]
fn m20_layers_that_came_from_a_peer_are_passed_on() {
    let torrent = Torrent::new(&[1300, 5]);
    let (leech, hashes) = torrent.config(&torrent.bare, false, 101);
    let mut pair = Pair::new(&torrent, torrent.config(&torrent.whole, true, 102).0, leech);
    pair.run(60 * SECOND, |pair| pair.swarms[1].have().is_full());
    let passing_on = SwarmConfig { hashes: Some(hashes), ..torrent.config(&torrent.bare, true, 102).0 };
    let (last, hashes) = torrent.config(&torrent.bare, false, 101);
    let mut pair = Pair::new(&torrent, passing_on, last);
    pair.run(60 * SECOND, |pair| pair.swarms[1].have().is_full());
    assert!(!hashes.lacks_layers());
}

#[test]
fn a_piece_is_not_asked_for_before_its_hash_is_known() {
    let torrent = Torrent::new(&[600, 1]);
    let (mut lab, hashes) = torrent.leech();
    let (peer, actions) = join(&mut lab, &torrent, 1);
    let asked = requests(&actions, peer);
    assert_eq!(
        asked.iter().map(|range| (range.base_layer, range.index, range.length)).collect::<Vec<_>>(),
        [(1, 0, 512), (1, 512, 128)]
    );
    // The last file has one piece, whose hash is its root.
    assert!(lab.asked(peer).iter().all(|block| block.piece == PieceIndex(600)));
    lab.wait(6 * SECOND);
    lab.says(peer, &[torrent.answer(&asked[1])]);
    assert!(lab.asked(peer).iter().all(|block| block.piece.0 >= 512) && lab.asked(peer).len() > 2);
    assert!(hashes.is_known(PieceIndex(599)) && !hashes.is_known(PieceIndex(0)));
    lab.says(peer, &[torrent.answer(&asked[0])]);
    assert!(!hashes.lacks_layers() && lab.is_open(peer));
}

#[test]
fn hashes_of_wanted_pieces_are_asked_for_first_and_of_unwanted_ones_not_at_all() {
    let torrent = Torrent::new(&[2000, 3000]);
    let (mut lab, hashes) = torrent.leech();
    let mut wanted = Bitfield::empty(5000);
    (4100..4200).for_each(|piece| _ = wanted.insert(PieceIndex(piece)));
    lab.feed(Input::Command(Command::SetPriorities(wanted.into())));
    let (peer, actions) = join(&mut lab, &torrent, 1);
    let asked = requests(&actions, peer);
    assert_eq!(asked.iter().map(|range| range.index).collect::<Vec<_>>(), [2048]);
    lab.says(peer, &[torrent.answer(&asked[0])]);
    assert!(hashes.is_known(PieceIndex(4100)) && !lab.asked(peer).is_empty());
    lab.wait(2 * SECOND);
    assert_eq!(requests(&lab.done, peer).len(), 1);
    lab.feed(Input::Command(Command::SetPriorities(Bitfield::full(5000).into())));
    lab.wait(2 * SECOND);
    assert_eq!(requests(&lab.done, peer).len(), 4 + 6);
}

#[test]
fn only_peers_that_speak_v2_and_have_a_piece_are_asked() {
    let torrent = Torrent::new(&[10]);
    let (mut lab, _) = torrent.leech();
    let v1 = lab.connect(1, true, Manner::Silent);
    assert_eq!(requests(&lab.says(v1, &[Message::HaveAll, Message::Unchoke]), v1), []);
    let empty = lab.connect_as(2, connected(torrent.hash(), 2), Manner::Silent);
    assert_eq!(requests(&lab.says(empty, &[Message::HaveNone]), empty), []);
    lab.wait(2 * SECOND);
    assert_eq!(requests(&lab.done, empty), []);
    lab.says(empty, &[Message::Have(PieceIndex(3))]);
    lab.wait(2 * SECOND);
    assert_eq!(requests(&lab.done, empty).len(), 1);
}

#[test]
fn a_connection_that_is_gone_on_with_in_v2_speaks_it() {
    let torrent = Torrent::new(&[10]);
    let InfoHashes::V2(v2) = torrent.whole.hashes() else { panic!("v2 only") };
    let hybrid = InfoHashes::Hybrid(riverrun_metainfo::InfoHashV1([7; 20]), v2);
    let exchange = crate::swarm::hashes::HashExchange::new(hybrid, None);
    let (v1, upgrade) = (WireHash([7; 20]), Reserved([0, 0, 0, 0, 0, 0, 0, 0x14]));
    let with = |hash, incoming, reserved: Option<Reserved>| {
        let mut connected = Connected { incoming, ..connected(hash, 1) };
        connected.handshake.reserved = reserved.unwrap_or(connected.handshake.reserved);
        exchange.speaks_v2(&connected)
    };
    assert!(with(v2.truncated(), true, None) && with(v2.truncated(), false, None));
    assert!(with(v1, true, Some(upgrade)), "we answered with the v2 hash");
    assert!(!with(v1, true, None) && !with(v1, false, Some(upgrade)), "it stayed with v1");
    // THREATS P25.
    let old = crate::swarm::hashes::HashExchange::new(InfoHashes::V1(riverrun_metainfo::InfoHashV1([7; 20])), None);
    assert!(!old.speaks_v2(&Connected {
        handshake: crate::wire::Handshake { reserved: upgrade, ..connected(v1, 1).handshake },
        ..connected(v1, 1)
    }));
}

#[test]
fn p24_wrong_hashes_drop_and_others_are_asked() {
    let torrent = Torrent::new(&[700]);
    for place in [0, 40, 511 * 32, 512 * 32] {
        let (mut lab, hashes) = torrent.leech();
        let (liar, actions) = join(&mut lab, &torrent, 1);
        let asked = requests(&actions, liar);
        let Message::Hashes(mut answer) = torrent.answer(&asked[0]) else { panic!("hashes") };
        let mut changed = answer.hashes.to_vec();
        changed[place] ^= 1;
        answer.hashes = changed.into();
        lab.says(liar, &[Message::Hashes(answer)]);
        assert!(lab.is_breach(liar), "{place}");
        assert!(!hashes.is_known(PieceIndex(0)));
        let (honest, actions) = join(&mut lab, &torrent, 2);
        for range in requests(&actions, honest) {
            lab.says(honest, &[torrent.answer(&range)]);
        }
        assert!(!hashes.lacks_layers() && lab.is_open(honest));
    }
}

#[test]
fn p24_hashes_of_another_number_drop() {
    let torrent = Torrent::new(&[700]);
    for cut in [0, 32, 512 * 32] {
        let (mut lab, _) = torrent.leech();
        let (peer, actions) = join(&mut lab, &torrent, 1);
        let Message::Hashes(mut answer) = torrent.answer(&requests(&actions, peer)[0]) else { panic!("hashes") };
        answer.hashes = answer.hashes.slice(..cut);
        lab.says(peer, &[Message::Hashes(answer)]);
        assert!(lab.is_breach(peer), "{cut}");
    }
}

#[test]
fn p24_hashes_that_were_not_asked_for_drop() {
    let torrent = Torrent::new(&[700, 20]);
    let (mut lab, _) = torrent.leech();
    let (peer, actions) = join(&mut lab, &torrent, 1);
    let asked = requests(&actions, peer);
    let good = torrent.answer(&asked[0]);
    lab.says(peer, std::slice::from_ref(&good));
    assert!(lab.is_open(peer));
    lab.says(peer, &[good]);
    assert!(lab.is_breach(peer), "twice");
    let other = HashRange { length: 2, ..asked[0] };
    let (second, _) = join(&mut lab, &torrent, 2);
    lab.says(second, &[torrent.answer(&other)]);
    assert!(lab.is_breach(second), "another range");
    let mut old = Lab::leech(&super::net::layout(4, 4));
    let third = old.connect_seed(3, true, Manner::Silent);
    old.says(third, &[torrent.answer(&other)]);
    assert!(old.is_breach(third), "of a v1 torrent");
}

#[test]
fn p24_who_rejects_rests_and_another_is_asked() {
    let torrent = Torrent::new(&[20]);
    let (mut lab, hashes) = torrent.leech();
    let (first, actions) = join(&mut lab, &torrent, 1);
    let asked = requests(&actions, first);
    lab.says(first, &[Message::HashReject(Box::new(asked[0]))]);
    assert!(lab.is_open(first));
    lab.wait(4 * SECOND);
    assert_eq!(requests(&lab.done, first).len(), 1);
    lab.wait(2 * SECOND);
    assert_eq!(requests(&lab.done, first).len(), 2);
    lab.says(first, &[Message::HashReject(Box::new(asked[0]))]);
    let (second, actions) = join(&mut lab, &torrent, 2);
    lab.says(second, &[torrent.answer(&requests(&actions, second)[0])]);
    assert!(!hashes.lacks_layers());
    // A reject of what was not asked for changes nothing.
    lab.says(second, &[Message::HashReject(Box::new(asked[0]))]);
    assert!(lab.is_open(second));
}

#[test]
fn who_does_not_answer_is_passed_over_and_may_still_answer_late() {
    let torrent = Torrent::new(&[20]);
    let (mut lab, hashes) = torrent.leech();
    let (slow, actions) = join(&mut lab, &torrent, 1);
    let asked = requests(&actions, slow);
    let (other, _) = join(&mut lab, &torrent, 2);
    lab.wait(limits::HASH_TIMEOUT - SECOND);
    assert_eq!(requests(&lab.done, other), []);
    let waiting = lab.swarm.status(lab.now).waiting;
    assert_eq!(waiting, Some(Waiting::Hashes { peers: 2 }));
    lab.wait(3 * SECOND);
    assert_eq!(requests(&lab.done, other), asked);
    lab.says(slow, &[torrent.answer(&asked[0])]);
    assert!(!hashes.lacks_layers() && lab.is_open(slow));
    lab.says(other, &[torrent.answer(&asked[0])]);
    assert!(lab.is_open(other), "the second copy was asked for");
}

#[test]
fn who_closes_leaves_its_requests_to_others() {
    let torrent = Torrent::new(&[2000]);
    let (mut lab, _) = torrent.leech();
    let (first, actions) = join(&mut lab, &torrent, 1);
    let mut asked = requests(&actions, first);
    assert_eq!(asked.len(), 4);
    lab.feed(Input::Closed { connection: first, reason: CloseReason::Eof });
    let (second, actions) = join(&mut lab, &torrent, 2);
    let mut again = requests(&actions, second);
    asked.sort_by_key(|range| range.index);
    again.sort_by_key(|range| range.index);
    assert_eq!(asked, again);
}

#[test]
fn no_peer_has_more_than_sixteen_requests() {
    let torrent = Torrent::new(&[40_000]);
    let (mut lab, hashes) = torrent.leech();
    let (peer, mut actions) = join(&mut lab, &torrent, 1);
    let mut rounds = 0;
    while hashes.lacks_layers() {
        let asked = requests(&actions, peer);
        assert!(!asked.is_empty() && asked.len() <= limits::MAX_HASH_REQUESTS);
        actions = lab.says(peer, &asked.iter().map(|range| torrent.answer(range)).collect::<Vec<_>>());
        rounds += 1;
    }
    assert_eq!(rounds, 79usize.div_ceil(limits::MAX_HASH_REQUESTS));
}

fn range_of(torrent: &Torrent, index: u32, length: u32) -> HashRange {
    let hashes = torrent.whole.piece_hashes();
    HashRange { pieces_root: hashes.layers()[0].root(), base_layer: 1, index, length, proof_layers: 9 }
}

#[test]
fn hashes_are_served_to_choked_peers_and_from_any_part_of_the_layer() {
    let torrent = Torrent::new(&[1000]);
    let mut lab = torrent.seed();
    let peer = lab.connect_as(1, connected(torrent.hash(), 1), Manner::Silent);
    lab.says(peer, &[Message::HaveNone]);
    for (index, length) in [(0, 512), (512, 512), (998, 2), (0, 1024), (992, 8)] {
        let range = range_of(&torrent, index, length);
        let actions = lab.says(peer, &[Message::HashRequest(Box::new(range))]);
        assert_eq!(sent(&actions, peer), [torrent.answer(&range)]);
    }
}

#[test]
fn p24_requests_of_what_no_tree_or_not_this_file_has_drop() {
    let torrent = Torrent::new(&[1000]);
    let good = range_of(&torrent, 0, 512);
    for bad in [
        HashRange { index: 1, ..good },
        HashRange { index: 256, ..good },
        HashRange { length: 0, ..good },
        HashRange { length: 1, ..good },
        HashRange { length: 3, ..good },
        HashRange { length: 16_384, ..good },
        HashRange { length: u32::MAX, ..good },
        HashRange { base_layer: u32::MAX, ..good },
        HashRange { proof_layers: u32::MAX, ..good },
        HashRange { index: 1024, ..good },
        HashRange { index: 1 << 31, ..good },
        HashRange { length: 2048, ..good },
    ] {
        let mut lab = torrent.seed();
        let peer = lab.connect_as(1, connected(torrent.hash(), 1), Manner::Silent);
        lab.says(peer, &[Message::HashRequest(Box::new(bad))]);
        assert!(lab.is_breach(peer), "{bad:?}");
    }
}

#[test]
fn p24_what_we_have_not_is_rejected_up_to_a_bound() {
    let torrent = Torrent::new(&[1000]);
    let good = range_of(&torrent, 0, 512);
    let unknown = [
        HashRange { pieces_root: [1; 32], ..good },
        HashRange { base_layer: 0, ..good },
        HashRange { base_layer: 2, length: 2, ..good },
    ];
    let mut lab = torrent.seed();
    let peer = lab.connect_as(1, connected(torrent.hash(), 1), Manner::Silent);
    for range in unknown {
        let actions = lab.says(peer, &[Message::HashRequest(Box::new(range))]);
        assert_eq!(sent(&actions, peer), [Message::HashReject(Box::new(range))]);
    }
    lab.says(peer, &[Message::HashRequest(Box::new(good))]);
    let flood = vec![Message::HashRequest(Box::new(unknown[0])); limits::MAX_REFUSED_REQUESTS as usize];
    lab.says(peer, &flood);
    assert!(lab.is_open(peer));
    lab.says(peer, &flood[..1]);
    assert!(lab.is_breach(peer));
    // On a v1 torrent nothing is known of any root.
    let mut old = Lab::seed(&super::net::layout(4, 4));
    let peer = old.connect(1, true, Manner::Silent);
    let actions = old.says(peer, &[Message::HashRequest(Box::new(good))]);
    assert_eq!(sent(&actions, peer), [Message::HashReject(Box::new(good))]);
    // Nor by a downloader that has not learned them.
    let (mut bare, _) = torrent.leech();
    let peer = bare.connect_as(1, connected(torrent.hash(), 1), Manner::Silent);
    let actions = bare.says(peer, &[Message::HashRequest(Box::new(good))]);
    assert!(sent(&actions, peer).contains(&Message::HashReject(Box::new(good))));
}

#[test]
fn p24_a_flood_of_requests_is_served_at_a_bounded_rate() {
    let torrent = Torrent::new(&[1000]);
    let mut lab = torrent.seed();
    let peer = lab.connect_as(1, connected(torrent.hash(), 1), Manner::Silent);
    let good = Message::HashRequest(Box::new(range_of(&torrent, 0, 512)));
    let served = |actions: &[Action]| {
        let bytes = sent(actions, peer).into_iter().map(|message| match message {
            Message::Hashes(hashes) => hashes.hashes.len(),
            _ => 0,
        });
        bytes.sum::<usize>()
    };
    let first = served(&lab.says(peer, &vec![good.clone(); 200]));
    assert!(first > 900_000 && first <= limits::HASH_BURST as usize * 32, "{first}");
    lab.wait(SECOND);
    let second = served(&lab.says(peer, &vec![good; 100]));
    let most = (limits::HASH_BURST + limits::HASHES_PER_SECOND) as usize * 32;
    assert!(second > 400_000 && first + second <= most, "{second}");
    assert!(lab.is_open(peer));
}

#[test]
fn a_hybrid_is_downloaded_without_layers_and_learns_them_on_the_way() {
    let torrent = Torrent::new(&[30]);
    let InfoHashes::V2(v2) = torrent.whole.hashes() else { panic!("v2 only") };
    // Its pieces can be judged by their v1 hashes, so nothing waits.
    let (config, _) = torrent.config(&torrent.bare, false, 200);
    let config = SwarmConfig {
        info_hashes: InfoHashes::Hybrid(riverrun_metainfo::InfoHashV1([7; 20]), v2),
        hashes: Some(hybrid(&torrent)),
        ..config
    };
    let hashes = config.hashes.clone().expect("set above");
    let mut lab = Lab::with(config);
    let (peer, actions) = join(&mut lab, &torrent, 1);
    assert!(!lab.asked(peer).is_empty());
    let asked = requests(&actions, peer);
    assert_eq!(asked.len(), 1);
    assert!(hashes.lacks_layers());
    lab.says(peer, &[torrent.answer(&asked[0])]);
    assert!(!hashes.lacks_layers());
}

/// The hashes of a hybrid of one file with the v2 half of a torrent, and any v1 half.
fn hybrid(torrent: &Torrent) -> Arc<PieceHashes> {
    let (root, pieces) = (torrent.whole.piece_hashes().layers()[0].root(), torrent.layout().piece_count());
    let length = i64::from(pieces) * i64::try_from(PIECE).expect("small") - 5;
    let info = bencode::dict(|info| {
        info.dict("file tree", |tree| {
            tree.dict("made up", |node| {
                node.dict("", |entry| _ = entry.int("length", length).bytes("pieces root", root));
            });
        });
        info.int("length", length).int("meta version", 2).bytes("name", "made up");
        info.int("piece length", i64::try_from(PIECE).expect("small")).bytes("pieces", vec![3; 20 * pieces as usize]);
    });
    Metainfo::parse(Draft::new(info.into()).encode().into()).expect("a good torrent").piece_hashes()
}
