//! The registry beside a simple one that walks everything.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Announce { hash: u8, host: u8, v6: bool, port: u16, left: u64, event: Option<Event> },
    Pass(u64),
    Expire,
}

fn step() -> impl Strategy<Value = Step> {
    let event = prop::sample::select(vec![
        None,
        None,
        Some(Event::Started),
        Some(Event::Completed),
        Some(Event::Stopped),
        Some(Event::Paused),
    ]);
    prop_oneof![
        12 => (0..5u8, 0..12u8, any::<bool>(), 0..4u16, 0..2u64, event)
            .prop_map(|(hash, host, v6, port, left, event)| Step::Announce { hash, host, v6, port, left, event }),
        1 => (0..2000u64).prop_map(Step::Pass),
        1 => Just(Step::Expire),
    ]
}

/// When each peer of each torrent was heard of, in steps, and what it lacks.
#[derive(Default)]
struct Model {
    peers: BTreeMap<(WireHash, SocketAddr), (Instant, u64, u64)>,
}

impl Model {
    fn swarm(&self, hash: WireHash) -> impl Iterator<Item = (SocketAddr, u64)> {
        self.peers.iter().filter(move |((other, _), _)| *other == hash).map(|((_, peer), (_, _, left))| (*peer, *left))
    }

    fn forget(&mut self, now: Instant) {
        self.peers.retain(|_, (heard, _, _)| now.duration_since(*heard) < Duration::from_secs(3600));
    }
}

proptest! {
    #[test]
    fn it_keeps_what_a_simple_one_keeps(steps in prop::collection::vec(step(), 1..200)) {
        let mut desk = Desk::new(Config { bounds: Bounds { swarms: 100, peers: 30, peers_per_host: 1000 }, ..Config::default() });
        let mut model = Model::default();
        for (number, step) in (0u64..).zip(steps) {
            match step {
                Step::Pass(seconds) => desk.pass(seconds),
                Step::Expire => {
                    desk.server.expire(desk.now, usize::MAX);
                    model.forget(desk.now);
                }
                Step::Announce { hash, host, v6, port, left, event } => {
                    let hash = WireHash([hash; 20]);
                    let ip = if v6 { IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(host)]) } else { [10, 0, 0, host].into() };
                    let peer = SocketAddr::new(ip, port);
                    // Ages are told in seconds.
                    desk.pass(1);
                    // The real one forgets a few with each announce; with so few peers that is all of them.
                    desk.server.expire(desk.now, usize::MAX);
                    model.forget(desk.now);
                    let given = desk.http(peer, &wants(hash, port, left, event)).unwrap().peers;
                    if event == Some(Event::Stopped) {
                        model.peers.remove(&(hash, peer));
                        prop_assert_eq!(given, vec![]);
                    } else {
                        if port != 0 {
                            if !model.peers.contains_key(&(hash, peer)) && model.peers.len() == 30 {
                                let oldest = model.peers.iter().min_by_key(|(_, (_, step, _))| *step).map(|(key, _)| *key);
                                model.peers.remove(&oldest.unwrap());
                            }
                            model.peers.insert((hash, peer), (desk.now, number, left));
                        }
                        let no_seeds = left == 0 || event == Some(Event::Paused);
                        let wanted: BTreeSet<_> = model
                            .swarm(hash)
                            .filter(|(other, left)| *other != peer && !(no_seeds && *left == 0))
                            .map(|(other, _)| other)
                            .collect();
                        prop_assert_eq!(given.len(), wanted.len());
                        prop_assert_eq!(given.into_iter().collect::<BTreeSet<_>>(), wanted);
                    }
                }
            }
            for hash in (0..5).map(|hash| WireHash([hash; 20])) {
                let seeds = model.swarm(hash).filter(|(_, left)| *left == 0).count();
                let all = model.swarm(hash).count();
                let counts = desk.counts(hash).map(|(seeds, leechers, _)| (seeds as usize, leechers as usize));
                prop_assert_eq!(counts, (all > 0).then_some((seeds, all - seeds)));
            }
            let stats = desk.server.stats();
            prop_assert_eq!(stats.peers_v4 + stats.peers_v6, model.peers.len());
            prop_assert_eq!(stats.seeds as usize, model.peers.values().filter(|(_, _, left)| *left == 0).count());
        }
    }
}
