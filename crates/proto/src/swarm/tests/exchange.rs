//! Whole torrents exchanged between swarms.

use std::time::Duration;

use super::net::{Net, layout};
use crate::swarm::{Event, Swarm};

#[test]
fn a_swarm_can_move_between_threads() {
    fn is_send<T: Send>() {}
    is_send::<Swarm>();
}

#[test]
fn two_swarms_exchange_a_torrent() {
    let mut net = Net::new(&layout(40, 16));
    let (seed, leech) = (net.seed(), net.leech());
    net.introduce(leech, &[seed]);
    let took = net.run_until(Duration::from_secs(5), Net::all_complete);
    assert!(took < Duration::from_millis(700), "{took:?}: 10 MB at 100 MB/s");
    let status = net.nodes[leech].swarm.status(net.now);
    assert_eq!((status.have_pieces, status.left_bytes, status.wasted_bytes), (40, 0, 0));
    assert_eq!(status.down_bytes, status.wanted_bytes);
    assert_eq!(net.nodes[seed].swarm.status(net.now).up_bytes, status.wanted_bytes);
    assert_eq!(net.nodes[leech].events.iter().filter(|event| **event == Event::Finished).count(), 1);
    assert_eq!(net.nodes[leech].requests, 40 * 16, "no block is asked for twice");
    net.run(Duration::from_secs(1));
    assert_eq!(net.nodes[leech].swarm.status(net.now).connections, 0, "seeds part");
}
