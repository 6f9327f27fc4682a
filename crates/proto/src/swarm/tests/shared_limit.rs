//! Many swarms behind one limit: what each reads is little, and no peer is to blame for it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::birth;
use super::lab::{Lab, Manner};
use super::net::layout;
use crate::rate::{Grant, NodeId, Tree};
use crate::swarm::{Action, Command, ConnectionId, Input};
use crate::wire::Message;

const STEP: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);
const LIMIT: u64 = 100_000;
const BLOCK_BYTES: u64 = 16_384;

/// A swarm under the limit, whose peers have sent all that they were asked for.
struct Member {
    lab: Lab,
    node: NodeId,
    /// What is still to be read of the first block of each peer, in bytes.
    left: BTreeMap<ConnectionId, (NodeId, u64)>,
}

impl Member {
    fn new(tree: &mut Tree, limit: Option<u64>, peers: u8) -> Self {
        let mut lab = Lab::leech(&layout(4000, 2));
        let node = tree.add(birth(), Tree::ROOT);
        lab.feed(Input::Command(Command::SetDownLimit(limit)));
        let peers: Vec<_> = (1..=peers).map(|number| lab.connect_seed(number, true, Manner::Silent)).collect();
        let left = peers.into_iter().map(|peer| (peer, (tree.add(birth(), node), BLOCK_BYTES))).collect();
        Self { lab, node, left }
    }

    /// Reads as much as the limit allows now.
    fn read(&mut self, tree: &mut Tree) {
        for (peer, (leaf, left)) in &mut self.left {
            while let Some(block) = self.lab.asked(*peer).first().copied()
                && let Grant::Bytes(bytes) = tree.take(self.lab.now, *leaf, *left)
            {
                *left -= bytes;
                if *left == 0 {
                    *left = BLOCK_BYTES;
                    self.lab.answered(*peer);
                    self.lab.says(*peer, &[Message::Piece(block)]);
                }
            }
        }
    }

    fn cancels(&self) -> usize {
        let is = |action: &&Action| matches!(action, Action::Send { message: Message::Cancel(_), .. });
        self.lab.done.iter().filter(is).count()
    }
}

/// How many requests are taken back in ten minutes in as many swarms as `peers` names, each with so many peers; and how many blocks come.
fn taken_back(told: bool, limit: Option<u64>, each: Option<u64>, peers: &[u8]) -> (usize, u64) {
    let mut tree = Tree::new();
    tree.set_limit(birth(), Tree::ROOT, limit);
    let mut members: Vec<_> = peers.iter().map(|peers| Member::new(&mut tree, limit, *peers)).collect();
    for member in &members {
        tree.set_each(birth(), member.node, each);
    }
    for _ in 0..6000 {
        for member in &mut members {
            if told && let Some(share) = tree.share(member.node) {
                member.lab.feed(Input::Command(Command::SetDownShare(share)));
            }
            member.lab.wait(STEP);
            member.read(&mut tree);
        }
        if tree.next_timeout().is_some_and(|due| due <= members[0].lab.now) {
            tree.timeout(members[0].lab.now);
        }
        while tree.poll().is_some() {}
    }
    let blocks = members.iter().map(|member| member.lab.swarm.status(member.lab.now).down_bytes / BLOCK_BYTES).sum();
    (members.iter().map(Member::cancels).sum(), blocks)
}

#[test]
fn behind_a_limit_that_many_share_nobody_is_snubbed_for_what_we_do_not_read() {
    // Each of two hundred connections brings a block in 33 s.
    let peers = [5; 40];
    let (without, _) = taken_back(false, Some(LIMIT), None, &peers);
    assert!(without > 100, "{without}: it is not slow enough to show anything");
    let (with, blocks) = taken_back(true, Some(LIMIT), None, &peers);
    assert_eq!(with, 0);
    assert!(blocks > 600 * LIMIT / BLOCK_BYTES * 9 / 10, "{blocks}: the limit is used");
}

#[test]
fn behind_a_limit_that_one_with_many_peers_shares_nobody_is_snubbed_for_what_we_do_not_read() {
    // Each of 51 connections brings a block in 8 s; two of them may have been asked for all that the limit brings in two.
    let peers = [2, 49];
    assert_eq!(taken_back(true, Some(LIMIT), None, &peers).0, 0);
}

#[test]
fn behind_a_limit_of_each_connection_nobody_is_snubbed_for_what_we_do_not_read() {
    let (without, _) = taken_back(false, None, Some(500), &[5]);
    assert!(without > 10, "{without}: it is not slow enough to show anything");
    assert_eq!(taken_back(true, None, Some(500), &[5]).0, 0);
}

#[test]
fn behind_a_limit_that_many_share_who_is_silent_is_found_out_all_the_same() {
    let mut tree = Tree::new();
    tree.set_limit(birth(), Tree::ROOT, Some(LIMIT));
    let mut members: Vec<_> = (0..10).map(|_| Member::new(&mut tree, Some(LIMIT), 3)).collect();
    let silent = ConnectionId(1);
    // Nothing comes of it, so nothing of it is read.
    members[0].left.remove(&silent);
    for _ in 0..1200 {
        for member in &mut members {
            member.lab.feed(Input::Command(Command::SetDownShare(tree.share(member.node).expect("there is a limit"))));
            member.lab.wait(STEP);
            member.read(&mut tree);
        }
        tree.timeout(members[0].lab.now);
        while tree.poll().is_some() {}
    }
    let to_it = |action: &&Action| matches!(action, Action::Send { connection, message: Message::Cancel(_) } if *connection == silent);
    assert!(members[0].lab.done.iter().any(|action| to_it(&action)));
    assert_eq!(members[1..].iter().map(Member::cancels).sum::<usize>(), 0);
    assert!(members[0].lab.now - birth() <= 121 * SECOND);
}
