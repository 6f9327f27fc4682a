//! From a message to a packet.

use std::net::SocketAddr;

use riverrun_metainfo::bencode::{self, DictWriter};

use super::{Body, Message, Put, Query, Response, Want};
use crate::compact;
use crate::dht::contact::Contact;
use crate::dht::id::Id;

impl Message {
    /// The packet.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        bencode::dict(|top| {
            match &self.body {
                Body::Query { id, read_only, query } => {
                    top.dict("a", |arguments| write_query(arguments, *id, query)).bytes("q", query.method());
                    if *read_only {
                        top.int("ro", 1);
                    }
                    top.bytes("y", "q");
                }
                Body::Response(response) => {
                    top.dict("r", |dict| write_response(dict, response)).bytes("y", "r");
                }
                Body::Error { code, text } => {
                    top.list("e", |list| {
                        list.int(*code).bytes(text);
                    });
                    top.bytes("y", "e");
                }
            }
            top.bytes("t", &self.transaction);
            if let Some(ip) = self.ip {
                top.bytes("ip", addr(ip));
            }
            if let Some(version) = self.version {
                top.bytes("v", version);
            }
        })
    }
}

impl Query {
    /// The word on the wire; of a question of a later time, one that nobody knows.
    #[must_use]
    pub fn method(&self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::FindNode { .. } => "find_node",
            Self::GetPeers { .. } => "get_peers",
            Self::AnnouncePeer { .. } => "announce_peer",
            Self::Get { .. } => "get",
            Self::Put(_) => "put",
            Self::SampleInfohashes { .. } => "sample_infohashes",
            Self::Unknown { .. } => "unknown",
        }
    }
}

fn write_query(arguments: &mut DictWriter<'_>, id: Id, query: &Query) {
    arguments.bytes("id", id.0);
    match query {
        Query::Ping => {}
        Query::FindNode { target, want } | Query::SampleInfohashes { target, want } => {
            arguments.bytes("target", target.0);
            write_want(arguments, *want);
        }
        Query::GetPeers { info_hash, want, no_seed, scrape } => {
            arguments.bytes("info_hash", info_hash.0);
            if *no_seed {
                arguments.int("noseed", 1);
            }
            if *scrape {
                arguments.int("scrape", 1);
            }
            write_want(arguments, *want);
        }
        Query::AnnouncePeer { info_hash, port, implied_port, seed, token } => {
            // A reader that does not know `implied_port` wants the port all the same.
            arguments.int("implied_port", *implied_port).bytes("info_hash", info_hash.0).int("port", *port);
            if *seed {
                arguments.int("seed", 1);
            }
            arguments.bytes("token", token);
        }
        Query::Get { target, seq, want } => {
            if let Some(seq) = seq {
                arguments.int("seq", *seq);
            }
            arguments.bytes("target", target.0);
            write_want(arguments, *want);
        }
        Query::Put(put) => write_put(arguments, put),
        Query::Unknown { target, want } => {
            if let Some(target) = target {
                arguments.bytes("target", target.0);
            }
            write_want(arguments, *want);
        }
    }
}

fn write_put(arguments: &mut DictWriter<'_>, put: &Put) {
    if let Some(signed) = &put.signed {
        if let Some(cas) = put.cas {
            arguments.int("cas", cas);
        }
        arguments.bytes("k", signed.key).int("seq", signed.seq).bytes("sig", signed.signature);
        if !signed.salt.is_empty() {
            arguments.bytes("salt", &signed.salt);
        }
    }
    // BEP 44 asks for no target, as the value tells it; nodes of the crate mainline read no put without one.
    arguments.bytes("target", put.target().0).bytes("token", &put.token).raw("v", &put.value);
}

fn write_want(arguments: &mut DictWriter<'_>, want: Want) {
    if want != Want::default() {
        arguments.list("want", |list| {
            if want.v4 {
                list.bytes("n4");
            }
            if want.v6 {
                list.bytes("n6");
            }
        });
    }
}

fn write_response(dict: &mut DictWriter<'_>, response: &Response) {
    dict.bytes("id", response.id.0);
    if let Some(filter) = &response.downloaders {
        dict.bytes("BFpe", filter.as_bytes());
    }
    if let Some(filter) = &response.seeds {
        dict.bytes("BFsd", filter.as_bytes());
    }
    if let Some(samples) = &response.samples {
        dict.int("interval", samples.interval).int("num", samples.total);
        dict.bytes("samples", samples.info_hashes.iter().flat_map(|hash| hash.0).collect::<Vec<u8>>());
    }
    if let Some(signed) = &response.signed {
        dict.bytes("k", signed.key).bytes("sig", signed.signature);
    }
    if let Some(nodes) = &response.nodes {
        dict.bytes("nodes", contacts(nodes));
    }
    if let Some(nodes) = &response.nodes6 {
        dict.bytes("nodes6", contacts(nodes));
    }
    if let Some(seq) = response.seq {
        dict.int("seq", seq);
    }
    if let Some(token) = &response.token {
        dict.bytes("token", token);
    }
    if let Some(value) = &response.value {
        dict.raw("v", value);
    }
    if !response.values.is_empty() {
        dict.list("values", |list| {
            for value in &response.values {
                list.bytes(addr(*value));
            }
        });
    }
}

fn contacts(contacts: &[Contact]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(contacts.len() * 38);
    for contact in contacts {
        bytes.extend_from_slice(&contact.id.0);
        compact::put_addr(&mut bytes, contact.addr);
    }
    bytes
}

fn addr(addr: SocketAddr) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(18);
    compact::put_addr(&mut bytes, addr);
    bytes
}
