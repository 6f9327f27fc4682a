//! What goes into a node and what comes out.

use std::net::{IpAddr, SocketAddr};

use riverrun_metainfo::WireHash;

use super::contact::Family;
use super::id::Id;
use super::item::{Item, ItemName};
use super::lookup::{Announce, LookupId, LookupReport};

/// What can happen to a node.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// A packet came that looks like one of the DHT: it begins with `d`. Anything else is ignored.
    Packet {
        /// Where from.
        from: SocketAddr,
        /// All of it.
        bytes: &'a [u8],
    },
    /// Our side wants something.
    Command(Command),
    /// The time of [`Node::next_timeout`](super::Node::next_timeout) has come.
    Timeout,
}

/// What our side can want.
#[derive(Clone, Debug)]
pub enum Command {
    /// Look for peers of a torrent: [`Action::Peers`] as they are found, [`Action::LookupDone`] at the end. Never for a private
    /// torrent (BEP 27).
    GetPeers {
        /// Its name from now on, not in use.
        id: LookupId,
        /// The torrent.
        info_hash: WireHash,
        /// Tell the closest nodes at the end that we share it.
        announce: Option<Announce>,
        /// Ask for the size of the swarm too (BEP 33).
        scrape: bool,
        /// Prefer peers that are no seeds: we are one (BEP 33).
        no_seed: bool,
    },
    /// Look for the nodes closest to a point: [`LookupReport::closest`].
    FindNodes {
        /// Its name from now on, not in use.
        id: LookupId,
        /// The point.
        target: Id,
    },
    /// Look for an item: [`Action::Item`], and again for each newer one that is found (BEP 44).
    GetItem {
        /// Its name from now on, not in use.
        id: LookupId,
        /// The item.
        name: ItemName,
    },
    /// Have an item kept by the closest nodes, for two hours (BEP 44).
    PutItem {
        /// Its name from now on, not in use.
        id: LookupId,
        /// The item.
        item: Item,
        /// Only in place of this sequence number.
        cas: Option<i64>,
    },
    /// End a lookup. Nothing more is heard of it, no end either, and it announces nothing.
    Stop {
        /// Which.
        id: LookupId,
    },
    /// End all lookups of a torrent, which turned out to be private. As [`Command::Stop`].
    Withdraw {
        /// The torrent.
        info_hash: WireHash,
    },
    /// Somebody named a node: saved state, the `nodes` of a torrent, the PORT message of a connected peer. It is sent one ping.
    AddNode {
        /// Where it is.
        addr: SocketAddr,
        /// Its id, if it was named too.
        id: Option<Id>,
    },
    /// A node that knows many others: it is asked while few are known, and not put into the table before it is met as any other.
    AddRouter {
        /// Where it is.
        addr: SocketAddr,
    },
    /// Our address on the internet became known by other ways: a tracker, a peer, a port mapping.
    SetExternal {
        /// The address.
        ip: IpAddr,
    },
}

/// What a node wants done, or has found.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// Send a packet.
    Send {
        /// Where to: IPv4 addresses are never written as IPv6.
        to: SocketAddr,
        /// All of it.
        bytes: Vec<u8>,
    },
    /// Peers were found. Each address comes once in a lookup; all of them could be dialled.
    Peers {
        /// By which lookup.
        id: LookupId,
        /// Of which torrent.
        info_hash: WireHash,
        /// Where they are.
        peers: Vec<SocketAddr>,
    },
    /// An item was found and proven; for a mutable one, newer than those before it.
    Item {
        /// By which lookup.
        id: LookupId,
        /// The item.
        item: Item,
    },
    /// A lookup is at its end. Its name is free again.
    LookupDone {
        /// Which.
        id: LookupId,
        /// What it came to.
        report: Box<LookupReport>,
    },
    /// Our address, as most others see it, is another one, and with it our id if it must be (BEP 42). To be saved.
    IdChanged {
        /// In which DHT.
        family: Family,
        /// The id from now on.
        id: Id,
        /// The address.
        external: IpAddr,
    },
}
