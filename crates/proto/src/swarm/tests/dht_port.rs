//! Who is told of our node of the DHT, and whose word we take.

use std::net::SocketAddr;

use riverrun_metainfo::Bitfield;

use super::lab::{Lab, handshake, peer_addr, sent};
use super::net::{config, layout};
use crate::mse::Cover;
use crate::swarm::{Action, Command, Connected, ConnectionId, Input, SwarmConfig};
use crate::wire::{Handshake, Message};

/// A swarm with a node at port 6882, and what it did when a peer came.
fn met(private: bool, theirs: bool) -> (Lab, Vec<Action>) {
    let mut lab = Lab::with(SwarmConfig { private, ..config(&layout(10, 4), Bitfield::full(10), 200) });
    lab.feed(Input::Command(Command::SetDhtPort(Some(6882))));
    let handshake = handshake(1, true);
    let handshake = Handshake { reserved: handshake.reserved.with_dht(theirs), ..handshake };
    let (connection, cover) = (ConnectionId(1), Cover::None);
    let connected = Connected { connection, addr: peer_addr(1), incoming: true, handshake, cover };
    let actions = lab.feed(Input::Connected(connected));
    (lab, actions)
}

fn named(lab: &mut Lab, ports: &[u16]) -> Vec<SocketAddr> {
    let messages: Vec<Message> = ports.iter().map(|port| Message::Port(*port)).collect();
    let actions = lab.feed(Input::Received { connection: ConnectionId(1), messages: &messages });
    actions.into_iter().filter_map(|action| if let Action::Node(addr) = action { Some(addr) } else { None }).collect()
}

#[test]
fn peers_with_a_node_are_told_of_ours_behind_what_we_have() {
    assert_eq!(sent(&met(false, true).1, ConnectionId(1)), [Message::HaveAll, Message::Port(6882)]);
    assert_eq!(sent(&met(false, false).1, ConnectionId(1)), [Message::HaveAll]);
}

#[test]
fn d9_a_peer_names_one_node_however_often_it_speaks() {
    let (mut lab, _) = met(false, true);
    let node = SocketAddr::new(peer_addr(1).ip(), 7000);
    assert_eq!(named(&mut lab, &[0, 7000, 7001, 22]), [node]);
    assert_eq!(named(&mut lab, &[7002]), []);
}

#[test]
fn bep_27_a_private_swarm_neither_tells_nor_hears_of_nodes() {
    let (mut lab, actions) = met(true, true);
    assert_eq!(sent(&actions, ConnectionId(1)), [Message::HaveAll]);
    assert_eq!(named(&mut lab, &[7000]), []);
    // Nor does one whose session has no node.
    let (mut lab, _) = met(false, true);
    lab.feed(Input::Command(Command::SetDhtPort(None)));
    assert_eq!(named(&mut lab, &[7000]), []);
}
