//! The attacker: many nodes of one owner around one info-hash, who answer fast, name each other alone and lie about peers.

use std::net::{Ipv4Addr, SocketAddr};

use fastrand::Rng;
use riverrun_proto::dht::krpc::{Body, Message, Query, Response, Want};
use riverrun_proto::dht::{Contact, Id, secure_id};

use super::places::Places;

/// How the attacker gives ids to its nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Placement {
    /// Closer to the info-hash than anybody else, whatever their addresses are.
    Beside,
    /// The closest that fits each address (BEP 42).
    Fitting,
}

/// What the attacker has and does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attack {
    /// Its addresses, one node at each.
    pub addresses: u32,
    /// The networks of 24 bits that they are in.
    pub networks: u32,
    /// The ids of its nodes.
    pub placement: Placement,
    /// Peers that do not exist, in every answer.
    pub false_peers: u16,
}

/// The nodes of the attacker, the closest to the info-hash first.
#[derive(Debug)]
pub(super) struct Sybils {
    target: Id,
    false_peers: u16,
    contacts: Vec<Contact>,
}

/// From how many of its closest nodes the attacker chooses whom to name.
const NAMED: usize = 128;

impl Sybils {
    pub(super) fn new(attack: Attack, target: Id, rng: &mut Rng) -> Self {
        let mut contact = |number| {
            let addr = Places::of_attacker(number, attack.networks.max(1));
            Contact { id: place(attack.placement, target, addr, rng), addr }
        };
        let mut contacts: Vec<Contact> = (0..attack.addresses).map(&mut contact).collect();
        contacts.sort_by_key(|contact| (target.distance(contact.id), contact.addr));
        contacts.dedup_by_key(|contact| contact.addr);
        Self { target, false_peers: attack.false_peers, contacts }
    }

    pub(super) fn contacts(&self) -> &[Contact] {
        &self.contacts
    }

    /// What one of them sends to make itself known.
    pub(super) fn knock(&self, number: usize) -> Vec<u8> {
        let query = Query::FindNode { target: self.target, want: Want::default() };
        let body = Body::Query { id: self.contacts[number].id, read_only: false, query };
        Message { transaction: b"sy".as_slice().into(), version: None, ip: None, body }.encode()
    }

    /// What one of them answers. Replies get nothing.
    pub(super) fn answer(&self, number: usize, bytes: &[u8], rng: &mut Rng) -> Option<Vec<u8>> {
        let Message { transaction, body: Body::Query { query, .. }, .. } = Message::decode(bytes).ok()? else {
            return None;
        };
        let mut response = Response::new(self.contacts[number].id);
        if !matches!(query, Query::Ping | Query::AnnouncePeer { .. }) {
            let known = self.contacts.len().min(NAMED);
            response.nodes = Some((0..8).map(|_| self.contacts[rng.usize(..known)]).collect());
        }
        if matches!(query, Query::GetPeers { .. }) {
            response.token = Some(b"sybil".to_vec());
            response.values = (0..self.false_peers).map(|_| nobody(rng)).collect();
        }
        Some(Message { transaction, version: None, ip: None, body: Body::Response(Box::new(response)) }.encode())
    }
}

/// An address of a network where no node of a trial is.
fn nobody(rng: &mut Rng) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::new(60, rng.u8(..), rng.u8(..), rng.u8(1..255)).into(), 6881)
}

fn place(placement: Placement, target: Id, addr: SocketAddr, rng: &mut Rng) -> Id {
    match placement {
        Placement::Beside => {
            let mut id = target;
            id.0[12..].iter_mut().for_each(|byte| *byte = rng.u8(..));
            id
        }
        Placement::Fitting => {
            let fitting = (0..8).map(|last| {
                let mut id = target;
                id.0[12..].iter_mut().for_each(|byte| *byte = rng.u8(..));
                id.0[19] = id.0[19] & 0xf8 | last;
                secure_id(addr.ip(), id.0)
            });
            fitting.min_by_key(|id| target.distance(*id)).unwrap_or(target)
        }
    }
}
