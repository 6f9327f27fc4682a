//! Writing torrent files.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::bencode::{self, ListWriter};
use crate::merkle::Node;

/// A torrent file to be written: for a new one, or to change an old one around its info dictionary, whose bytes stay as they are.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Draft {
    /// The trackers, tier by tier (BEP 12).
    pub trackers: Vec<Vec<String>>,
    /// The web seeds (BEP 19).
    pub web_seeds: Vec<String>,
    /// DHT nodes as host and port (BEP 5).
    pub nodes: Vec<(String, u16)>,
    /// A remark for people.
    pub comment: Option<String>,
    /// The program that makes it.
    pub created_by: Option<String>,
    /// When it is made, in seconds since 1970.
    pub creation_date: Option<i64>,
    /// The bytes of the info dictionary.
    pub info: Bytes,
    /// The piece layers by root (BEP 52): there for v2, even if no file has one; not for v1.
    pub piece_layers: Option<BTreeMap<Node, Bytes>>,
    /// Further entries, as key and bencoded value.
    pub others: Vec<(Bytes, Bytes)>,
}

impl Draft {
    /// A torrent file with nothing but this info dictionary.
    #[must_use]
    pub fn new(info: Bytes) -> Self {
        Self { info, ..Self::default() }
    }

    /// The bytes of the torrent file, in canonical form around the info dictionary.
    ///
    /// `announce` is the first tracker; `announce-list` is there only if there are more.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        bencode::dict(|dict| {
            for (key, value) in &self.others {
                dict.raw(key, value);
            }
            let mut all = self.trackers.iter().flatten();
            if let Some(first) = all.next() {
                dict.bytes("announce", first);
            }
            if all.next().is_some() {
                dict.list("announce-list", |tiers| {
                    for tier in self.trackers.iter().filter(|tier| !tier.is_empty()) {
                        tiers.list(|list| put_all(list, tier));
                    }
                });
            }
            if let Some(comment) = &self.comment {
                dict.bytes("comment", comment);
            }
            if let Some(created_by) = &self.created_by {
                dict.bytes("created by", created_by);
            }
            if let Some(date) = self.creation_date {
                dict.int("creation date", date);
            }
            dict.raw("info", &self.info);
            if !self.nodes.is_empty() {
                dict.list("nodes", |nodes| {
                    for (host, port) in &self.nodes {
                        nodes.list(|node| {
                            node.bytes(host).int(*port);
                        });
                    }
                });
            }
            if let Some(piece_layers) = &self.piece_layers {
                dict.dict("piece layers", |layers| {
                    for (root, layer) in piece_layers {
                        layers.bytes(root, layer);
                    }
                });
            }
            match self.web_seeds.as_slice() {
                [] => dict,
                [only] => dict.bytes("url-list", only),
                many => dict.list("url-list", |list| put_all(list, many)),
            };
        })
    }
}

fn put_all(list: &mut ListWriter<'_>, texts: &[String]) {
    for text in texts {
        list.bytes(text);
    }
}
