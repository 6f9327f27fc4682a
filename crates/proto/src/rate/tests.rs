#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn birth() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a test needs one moment to start from")]
    Instant::now()
}

/// What a session looks like: the limit of the root, and for each torrent its group, its limit, that of each of its connections,
/// and how many bytes a second each of those can use.
#[derive(Clone, Debug)]
struct Shape {
    root: Option<u64>,
    groups: Vec<Option<u64>>,
    torrents: Vec<Torrent>,
}

type Torrent = (usize, Option<u64>, Option<u64>, Vec<Option<u64>>);

/// A tree with leaves that want what they can use, moved by hand.
struct World {
    tree: Tree,
    start: Instant,
    now: Instant,
    leaves: Vec<Leaf>,
    /// Every limit, and how far below it the node was at its lowest, times 10^9.
    nodes: BTreeMap<u32, (u64, i128, u64)>,
    wakes: usize,
    random: fastrand::Rng,
}

struct Leaf {
    id: NodeId,
    /// Bytes a second that it can use.
    demand: Option<u64>,
    got: u64,
    waits: bool,
    above: Vec<u32>,
}

const NANOS: i128 = 1_000_000_000;

impl World {
    fn new(shape: &Shape) -> Self {
        let now = birth();
        let mut tree = Tree::new();
        tree.set_limit(now, Tree::ROOT, shape.root);
        let group = |limit: &Option<u64>, tree: &mut Tree| {
            let group = tree.add(now, Tree::ROOT);
            tree.set_limit(now, group, *limit);
            group
        };
        let groups: Vec<NodeId> = shape.groups.iter().map(|limit| group(limit, &mut tree)).collect();
        let mut leaves = Vec::new();
        for (group, limit, each, demands) in &shape.torrents {
            let torrent = tree.add(now, groups[*group]);
            tree.set_limit(now, torrent, *limit);
            tree.set_each(now, torrent, *each);
            for demand in demands {
                let id = tree.add(now, torrent);
                let above = vec![id.0, torrent.0, groups[*group].0, 0];
                leaves.push(Leaf { id, demand: *demand, got: 0, waits: false, above });
            }
        }
        let mut nodes = BTreeMap::new();
        for number in 0..u32::try_from(tree.nodes.len()).unwrap() {
            if let Some(rate) = tree.limit(NodeId(number)) {
                nodes.insert(number, (rate, 0, 0));
            }
        }
        Self { tree, start: now, now, leaves, nodes, wakes: 0, random: fastrand::Rng::with_seed(1) }
    }

    /// What of its demand a leaf has not had; one without a demand always wants much.
    fn wants(&self, leaf: &Leaf) -> u64 {
        let elapsed = self.now.duration_since(self.start).as_nanos();
        let all = |demand: u64| u64::try_from(u128::from(demand) * elapsed / 1_000_000_000).unwrap();
        leaf.demand.map_or(1 << 18, |demand| all(demand).saturating_sub(leaf.got).min(1 << 18))
    }

    /// Everybody takes what there is now.
    fn round(&mut self) -> Result<(), TestCaseError> {
        if self.tree.next_timeout().is_some_and(|due| due <= self.now) {
            self.tree.timeout(self.now);
            self.wakes += 1;
        }
        while let Some(granted) = self.tree.poll() {
            self.leaves.iter_mut().filter(|leaf| leaf.id == granted).for_each(|leaf| leaf.waits = false);
        }
        // In any order, as sockets become ready: who always comes first has what a late timer let pile up.
        let mut order: Vec<usize> = (0..self.leaves.len()).collect();
        self.random.shuffle(&mut order);
        for number in order {
            while !self.leaves[number].waits && self.wants(&self.leaves[number]) > 0 {
                let (id, want) = (self.leaves[number].id, self.wants(&self.leaves[number]));
                match self.tree.take(self.now, id, want) {
                    Grant::Queued => self.leaves[number].waits = true,
                    Grant::Bytes(bytes) => {
                        prop_assert!(bytes > 0 && bytes <= want.max(1));
                        self.leaves[number].got += bytes;
                        self.count(number, bytes)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// No node lets more through in any time than its rate and one burst.
    fn count(&mut self, leaf: usize, bytes: u64) -> Result<(), TestCaseError> {
        let elapsed = i128::try_from(self.now.duration_since(self.start).as_nanos()).unwrap();
        for at in &self.leaves[leaf].above {
            let Some((rate, least, sum)) = self.nodes.get_mut(at) else { continue };
            let over = i128::from(*sum) * NANOS - i128::from(*rate) * elapsed;
            *least = (*least).min(over);
            *sum += bytes;
            let over = i128::from(*sum) * NANOS - i128::from(*rate) * elapsed - *least;
            let burst = (i128::from(*rate) * NANOS / 4).max(NANOS);
            prop_assert!(over <= burst, "{} bytes over a limit of {rate}", over / NANOS);
        }
        Ok(())
    }

    fn run(&mut self, time: Duration, step: Duration) -> Result<(), TestCaseError> {
        let end = self.now + time;
        while self.now < end {
            self.now += step;
            self.round()?;
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.start = self.now;
        self.leaves.iter_mut().for_each(|leaf| leaf.got = 0);
        self.nodes.values_mut().for_each(|(_, least, sum)| (*least, *sum) = (0, 0));
    }

    fn got(&self) -> Vec<u64> {
        self.leaves.iter().map(|leaf| leaf.got).collect()
    }
}

/// The max-min fair rates of all connections, by filling all alike until something is full.
#[expect(clippy::cast_precision_loss, reason = "rates")]
fn fair(world: &World) -> Vec<f64> {
    let mut rates = vec![0.0; world.leaves.len()];
    let mut open: Vec<usize> = (0..rates.len()).collect();
    let mut left: BTreeMap<u32, f64> = world.nodes.iter().map(|(at, (rate, ..))| (*at, *rate as f64)).collect();
    while !open.is_empty() {
        let share = |at: &u32| {
            let under = open.iter().filter(|leaf| world.leaves[**leaf].above.contains(at)).count();
            if under == 0 { f64::INFINITY } else { left[at] / under as f64 }
        };
        let step = left.keys().map(share).fold(f64::INFINITY, f64::min);
        let demand = |leaf: &usize| world.leaves[*leaf].demand.map_or(1e18, |demand| demand as f64) - rates[*leaf];
        let step = open.iter().map(demand).fold(step, f64::min);
        for leaf in &open {
            rates[*leaf] += step;
            world.leaves[*leaf].above.iter().for_each(|at| _ = left.entry(*at).and_modify(|left| *left -= step));
        }
        open.retain(|leaf| {
            let full = world.leaves[*leaf].above.iter().any(|at| left.get(at).is_some_and(|left| *left < 1e-6));
            let sated = world.leaves[*leaf].demand.is_some_and(|demand| rates[*leaf] >= demand as f64 - 1e-6);
            !full && !sated
        });
    }
    rates
}

/// 1 if all are equal, 1/n if one has everything (Jain).
#[expect(clippy::cast_precision_loss, reason = "a share")]
fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    sum * sum / (shares.len() as f64 * squares)
}

fn limit(low: u64, high: u64) -> impl Strategy<Value = Option<u64>> {
    prop_oneof![2 => Just(None), 3 => (low..high).prop_map(Some)]
}

fn shapes() -> impl Strategy<Value = Shape> {
    let demands = prop::collection::vec(limit(5_000, 500_000), 1..8);
    let torrent = (0usize..3, limit(30_000, 2_000_000), limit(20_000, 500_000), demands);
    let groups = prop::collection::vec(limit(50_000, 3_000_000), 3);
    let torrents = prop::collection::vec(torrent, 1..6);
    // Something has to be limited everywhere, or a connection without a demand takes all there is in the world.
    (100_000u64..5_000_000, groups, torrents).prop_map(|(root, groups, torrents)| Shape {
        root: Some(root),
        groups,
        torrents,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn each_connection_gets_its_max_min_fair_share_and_no_limit_is_passed(shape in shapes(), step in 1u64..20) {
        let mut world = World::new(&shape);
        let step = Duration::from_millis(step);
        world.run(Duration::from_secs(4), step)?;
        world.clear();
        let seconds = 60;
        world.run(Duration::from_secs(seconds), step)?;
        let fair = fair(&world);
        #[expect(clippy::cast_precision_loss, reason = "rates")]
        for (leaf, fair) in world.leaves.iter().zip(&fair) {
            let rate = leaf.got as f64 / seconds as f64;
            prop_assert!(rate > fair * 0.94 - 600.0 && rate < fair * 1.06 + 600.0, "{rate} where {fair} is fair");
        }
        #[expect(clippy::cast_precision_loss, reason = "rates")]
        let (sum, all) = (world.got().iter().sum::<u64>() as f64 / seconds as f64, fair.iter().sum::<f64>());
        prop_assert!(sum > all * 0.98 && sum < all * 1.02, "{sum} of {all}");
    }

    #[test]
    fn whatever_is_asked_set_and_removed_the_books_agree_and_nobody_starves(
        shape in shapes(),
        steps in prop::collection::vec((0u8..9, any::<u16>(), limit(1, 100_000)), 1..120),
    ) {
        let mut world = World::new(&shape);
        let mut torrents: Vec<NodeId> = world.leaves.iter().map(|leaf| NodeId(leaf.above[1])).collect();
        torrents.dedup();
        let groups: Vec<NodeId> = (1..4).map(NodeId).collect();
        for (kind, which, limit) in steps {
            world.now += Duration::from_millis(u64::from(which % 300));
            let (now, tree) = (world.now, &mut world.tree);
            let pick = |length: usize| usize::from(which) % length;
            let leaf = (!world.leaves.is_empty()).then(|| world.leaves[pick(world.leaves.len())].id);
            match (kind, leaf) {
                (0, _) => tree.set_limit(now, Tree::ROOT, limit),
                (1, _) => tree.set_limit(now, torrents[pick(torrents.len())], limit),
                (2, _) => tree.set_each(now, torrents[pick(torrents.len())], limit),
                (3, _) => tree.set_parent(now, torrents[pick(torrents.len())], groups[pick(3)]),
                (4, Some(leaf)) => tree.cancel(leaf),
                (5, Some(leaf)) => {
                    tree.remove(leaf);
                    world.leaves.retain(|one| one.id != leaf);
                }
                (6, Some(leaf)) => tree.spend(now, leaf, u64::from(which % 2000)),
                (_, Some(leaf)) => {
                    if let Grant::Bytes(bytes) = tree.take(now, leaf, u64::from(which)) {
                        tree.give_back(leaf, bytes / 2);
                    }
                }
                (_, None) => {}
            }
            world.tree.timeout(now);
            while world.tree.poll().is_some() {}
            books(&world.tree);
        }
        // All wait at once; each gets something in the end.
        let mut hungry: Vec<NodeId> = world.leaves.iter().map(|leaf| leaf.id).collect();
        for _ in 0..200_000 {
            let now = world.now;
            hungry.retain(|leaf| world.tree.take(now, *leaf, 20_000) == Grant::Queued);
            let Some(next) = world.tree.next_timeout() else { break };
            world.now = world.now.max(next);
            world.tree.timeout(world.now);
            while world.tree.poll().is_some() {}
        }
        prop_assert!(hungry.is_empty(), "{hungry:?} never got a byte");
        for leaf in world.leaves.drain(..) {
            world.tree.remove(leaf.id);
        }
        torrents.into_iter().for_each(|torrent| world.tree.remove(torrent));
        groups.into_iter().for_each(|group| world.tree.remove(group));
        world.tree.set_limit(world.now, Tree::ROOT, None);
        prop_assert!(!world.tree.is_limited() && world.tree.due.is_empty());
        prop_assert_eq!(world.tree.nodes.len(), world.tree.free.len() + 1);
    }
}

/// What is reserved is what those who wait have reserved, and the queues know who is due.
fn books(tree: &Tree) {
    let mut reserved: BTreeMap<usize, u64> = BTreeMap::new();
    for (number, node) in (0u32..).zip(&tree.nodes) {
        if let Turn::Waiting { chunk, level, place, .. } = node.turn {
            let way = tree.way(number);
            assert!(tree.nodes[way.nodes[level] as usize].queue.contains(&place));
            for (_, at) in way.iter().take(level).filter(|(_, at)| tree.nodes[*at].bucket.is_some()) {
                *reserved.entry(at).or_default() += chunk;
            }
        }
        assert!(node.due.is_none_or(|due| tree.due.contains(&(due, number))));
    }
    for (at, node) in tree.nodes.iter().enumerate() {
        let expected = reserved.get(&at).copied().unwrap_or(0);
        assert_eq!(node.bucket.as_ref().map_or(0, Bucket::reserved), expected, "at {at}");
    }
    let limits = tree.nodes.iter().map(|node| usize::from(node.bucket.is_some()) + usize::from(node.each.is_some()));
    assert_eq!(tree.limits, limits.sum());
}

/// So many connections of one torrent under one limit of the session.
fn flat(rate: u64, connections: usize) -> World {
    World::new(&Shape {
        root: Some(rate),
        groups: vec![None],
        torrents: vec![(0, None, None, vec![None; connections])],
    })
}

#[test]
fn a_limit_of_one_byte_a_second_goes_round() {
    let mut world = flat(1, 5);
    world.run(Duration::from_secs(100), Duration::from_millis(100)).unwrap();
    assert!(world.got().iter().all(|got| (19..=21).contains(got)), "{:?}", world.got());
}

#[test]
fn the_rate_is_right_and_shares_are_equal_from_one_connection_to_a_thousand() {
    for (rate, connections) in [(100_000, 1), (100_000, 1000), (1 << 20, 200), (100 << 20, 200), (1_250_000_000, 10)] {
        let mut world = flat(rate, connections);
        world.run(Duration::from_secs(2), Duration::from_millis(2)).unwrap();
        world.clear();
        world.wakes = 0;
        world.run(Duration::from_secs(20), Duration::from_millis(2)).unwrap();
        let sum: u64 = world.got().iter().sum();
        assert!((rate * 196 / 10..=rate * 204 / 10).contains(&sum), "{sum} in 20 s at {rate}");
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let shares: Vec<f64> = world.got().iter().map(|got| *got as f64).collect();
        assert!(jain(&shares) > 0.98, "{} for {connections} at {rate}", jain(&shares));
        assert!(world.wakes <= 10_000, "{} timers in 20 s", world.wakes);
    }
}

#[test]
fn a_limited_torrent_does_not_hold_others() {
    let shape = Shape {
        root: None,
        groups: vec![None],
        torrents: vec![(0, Some(1000), None, vec![None; 50]), (0, Some(1_000_000), None, vec![None])],
    };
    let mut world = World::new(&shape);
    world.run(Duration::from_secs(10), Duration::from_millis(5)).unwrap();
    let got = world.got();
    assert!(got[50] > 9_800_000, "{}", got[50]);
    assert!(got[..50].iter().sum::<u64>() > 9_500, "{got:?}");
}

#[test]
fn a_change_holds_at_once() {
    let mut world = flat(1000, 3);
    world.run(Duration::from_secs(1), Duration::from_millis(10)).unwrap();
    assert!(world.leaves.iter().all(|leaf| leaf.waits));
    let now = world.now;
    world.tree.set_limit(now, Tree::ROOT, Some(1_000_000));
    assert!(world.tree.next_timeout().unwrap() < now + Duration::from_millis(20));
    world.tree.set_limit(now, Tree::ROOT, None);
    assert!((0..3).all(|_| world.tree.poll().is_some()), "without a limit nobody waits");
    assert!(!world.tree.is_limited());
    world.tree.set_limit(now, Tree::ROOT, Some(10));
    let leaf = world.leaves[0].id;
    assert!(matches!(world.tree.take(now, leaf, 1 << 30), Grant::Bytes(bytes) if bytes >= 1 << 18));
    assert_eq!(world.tree.take(now, leaf, 1 << 30), Grant::Queued);
}

#[test]
fn what_was_not_asked_for_is_made_up_for() {
    let mut world = flat(100_000, 1);
    world.run(Duration::from_secs(1), Duration::from_millis(5)).unwrap();
    let leaf = world.leaves[0].id;
    world.tree.spend(world.now, leaf, 50_000);
    world.clear();
    world.run(Duration::from_secs(2), Duration::from_millis(5)).unwrap();
    assert!((130_000..=152_000).contains(&world.got()[0]), "{}", world.got()[0]);
}
