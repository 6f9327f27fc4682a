//! From a packet to a message. Packets come from anybody (THREATS D7).

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use riverrun_metainfo::bencode::{self, Dict, Limits, Value};
use smallvec::SmallVec;

use super::{Body, Message, Put, Query, Response, Samples, Signed, Transaction, Want};
use crate::compact;
use crate::dht::bloom::BloomFilter;
use crate::dht::contact::Contact;
use crate::dht::id::Id;
use crate::dht::limits::{MAX_NODES_PER_REPLY, MAX_PACKET, MAX_TOKEN, MAX_TRANSACTION};

/// The longest text of an error that is kept, in bytes.
const MAX_TEXT: usize = 200;

/// Why a packet is no message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// Nothing that could be answered or be an answer: silence.
    Junk,
    /// A query that is not as it must be: the asker is told (203).
    Query {
        /// The query's name.
        transaction: Transaction,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A reply that is not as it must be: whoever sent it failed.
    Reply {
        /// The query that it answers.
        transaction: Transaction,
    },
}

impl Message {
    /// Reads one packet.
    ///
    /// # Errors
    /// It is too long, no bencode, or lacks what it must have.
    pub fn decode(packet: &[u8]) -> Result<Self, Refusal> {
        if packet.len() > MAX_PACKET {
            return Err(Refusal::Junk);
        }
        let document = bencode::decode(packet, Limits::MESSAGE).map_err(|_| Refusal::Junk)?;
        let top = Top::read(document.root().as_dict().ok_or(Refusal::Junk)?);
        let transaction = top.transaction.filter(|bytes| (1..=MAX_TRANSACTION).contains(&bytes.len()));
        let transaction: Transaction = SmallVec::from_slice(transaction.ok_or(Refusal::Junk)?);
        let body = match top.kind {
            Some(b"q") => match query(&top) {
                Ok(body) => body,
                Err(reason) => return Err(Refusal::Query { transaction, reason }),
            },
            Some(b"r") => match top.response.and_then(Value::as_dict).and_then(response) {
                Some(response) => Body::Response(Box::new(response)),
                None => return Err(Refusal::Reply { transaction }),
            },
            Some(b"e") => error(top.error),
            _ => return Err(Refusal::Junk),
        };
        Ok(Self { transaction, version: top.version, ip: top.ip, body })
    }
}

/// The entries of the outermost dictionary.
#[derive(Default)]
struct Top<'d> {
    transaction: Option<&'d [u8]>,
    kind: Option<&'d [u8]>,
    method: Option<&'d [u8]>,
    arguments: Option<Value<'d>>,
    response: Option<Value<'d>>,
    error: Option<Value<'d>>,
    ip: Option<SocketAddr>,
    version: Option<[u8; 4]>,
    read_only: bool,
}

impl<'d> Top<'d> {
    fn read(dict: Dict<'d>) -> Self {
        let mut top = Self::default();
        for (key, value) in dict {
            match key {
                b"t" => top.transaction = value.as_bytes(),
                b"y" => top.kind = value.as_bytes(),
                b"q" => top.method = value.as_bytes(),
                b"a" => top.arguments = Some(value),
                b"r" => top.response = Some(value),
                b"e" => top.error = Some(value),
                b"ip" => top.ip = value.as_bytes().and_then(one_addr),
                b"v" => top.version = value.as_array(),
                b"ro" => top.read_only = value.as_int() == Some(1),
                _ => {}
            }
        }
        top
    }
}

fn query(top: &Top<'_>) -> Result<Body, &'static str> {
    let method = top.method.ok_or("no method")?;
    let arguments = top.arguments.and_then(Value::as_dict).ok_or("no arguments")?;
    let id = point(arguments, "id").ok_or("an id has 20 bytes")?;
    let target = || point(arguments, "target").ok_or("a target has 20 bytes");
    let info_hash = || point(arguments, "info_hash").ok_or("an info_hash has 20 bytes");
    let want = want(arguments);
    let query = match method {
        b"ping" => Query::Ping,
        b"find_node" => Query::FindNode { target: target()?, want },
        b"get_peers" => Query::GetPeers {
            info_hash: info_hash()?,
            want,
            no_seed: flag(arguments, "noseed"),
            scrape: flag(arguments, "scrape"),
        },
        b"announce_peer" => announce(arguments, info_hash()?)?,
        b"get" => Query::Get { target: target()?, seq: int(arguments, "seq"), want },
        b"put" => Query::Put(Box::new(put(arguments)?)),
        b"sample_infohashes" => Query::SampleInfohashes { target: target()?, want },
        _ => Query::Unknown { target: target().or_else(|_| info_hash()).ok(), want },
    };
    Ok(Body::Query { id, read_only: top.read_only, query })
}

fn announce(arguments: Dict<'_>, info_hash: Id) -> Result<Query, &'static str> {
    let implied_port = int(arguments, "implied_port").is_some_and(|implied| implied != 0);
    let port = arguments.get("port").and_then(Value::as_uint::<u16>).unwrap_or(0);
    if port == 0 && !implied_port {
        return Err("a port is 1 to 65535");
    }
    let seed = flag(arguments, "seed");
    Ok(Query::AnnouncePeer { info_hash, port, implied_port, seed, token: token(arguments).ok_or("no token")? })
}

fn put(arguments: Dict<'_>) -> Result<Put, &'static str> {
    let value = arguments.get("v").ok_or("no value")?;
    let signed = match arguments.get("k") {
        None => None,
        Some(key) => Some(Signed {
            key: key.as_array().ok_or("a key has 32 bytes")?,
            salt: match arguments.get("salt") {
                None => Vec::new(),
                Some(salt) => salt.as_bytes().ok_or("a salt is a string")?.to_vec(),
            },
            seq: int(arguments, "seq").ok_or("no sequence number")?,
            signature: arguments.get("sig").and_then(Value::as_array).ok_or("a signature has 64 bytes")?,
        }),
    };
    Ok(Put {
        token: token(arguments).ok_or("no token")?,
        value: Bytes::copy_from_slice(value.raw()),
        canonical: value.is_canonical(),
        signed,
        cas: int(arguments, "cas"),
    })
}

fn response(dict: Dict<'_>) -> Option<Response> {
    let mut response = Response::new(point(dict, "id")?);
    let (mut key, mut signature) = (None, None);
    let (mut interval, mut total) = (None, None);
    for (name, value) in dict {
        match name {
            b"nodes" => response.nodes = Some(contacts::<26>(value)),
            b"nodes6" => response.nodes6 = Some(contacts::<38>(value)),
            b"values" => response.values = addrs(value),
            b"token" => response.token = short(value, MAX_TOKEN),
            b"BFsd" => response.seeds = filter(value),
            b"BFpe" => response.downloaders = filter(value),
            b"v" => response.value = Some(Bytes::copy_from_slice(value.raw())),
            b"k" => key = value.as_array(),
            b"sig" => signature = value.as_array(),
            b"seq" => response.seq = value.as_int(),
            b"samples" => {
                let hashes = value.as_bytes().unwrap_or_default().as_chunks::<20>().0;
                let info_hashes = hashes.iter().map(|hash| Id(*hash)).collect();
                response.samples = Some(Samples { info_hashes, interval: 0, total: 0 });
            }
            b"interval" => interval = value.as_uint::<u32>(),
            b"num" => total = value.as_uint::<u32>(),
            _ => {}
        }
    }
    if let Some(samples) = &mut response.samples {
        samples.interval = interval.unwrap_or(0).min(21_600);
        samples.total = total.unwrap_or(0);
    }
    if let (Some(key), Some(signature), Some(seq)) = (key, signature, response.seq) {
        response.signed = Some(Signed { key, salt: Vec::new(), seq, signature });
    }
    Some(response)
}

fn error(value: Option<Value<'_>>) -> Body {
    let mut list = value.and_then(Value::as_list);
    let mut next = || list.as_mut().and_then(Iterator::next);
    let code = next().and_then(Value::as_int).unwrap_or(201);
    let text = next().and_then(Value::as_bytes).unwrap_or_default();
    let text = String::from_utf8_lossy(&text[..text.len().min(MAX_TEXT)]);
    Body::Error { code, text: text.chars().filter(|char| !char.is_control()).collect() }
}

fn point(dict: Dict<'_>, key: &str) -> Option<Id> {
    dict.get(key)?.as_array().map(Id)
}

fn int(dict: Dict<'_>, key: &str) -> Option<i64> {
    dict.get(key)?.as_int()
}

fn flag(dict: Dict<'_>, key: &str) -> bool {
    int(dict, key) == Some(1)
}

fn token(dict: Dict<'_>) -> Option<Vec<u8>> {
    short(dict.get("token")?, MAX_TOKEN)
}

fn short(value: Value<'_>, most: usize) -> Option<Vec<u8>> {
    value.as_bytes().filter(|bytes| bytes.len() <= most).map(<[u8]>::to_vec)
}

fn want(dict: Dict<'_>) -> Want {
    let mut want = Want::default();
    for word in dict.get("want").and_then(Value::as_list).into_iter().flatten() {
        match word.as_bytes() {
            Some(b"n4") => want.v4 = true,
            Some(b"n6") => want.v6 = true,
            _ => {}
        }
    }
    want
}

fn filter(value: Value<'_>) -> Option<Box<BloomFilter>> {
    BloomFilter::from_bytes(value.as_bytes()?).map(Box::new)
}

/// Nodes of `N` bytes each: id, address, port. A rest of less is ignored.
fn contacts<const N: usize>(value: Value<'_>) -> Vec<Contact> {
    let contact = |bytes: &[u8; N]| {
        let (id, addr) = bytes.split_first_chunk::<20>()?;
        Some(Contact { id: Id(*id), addr: one_addr(addr)? })
    };
    let list = value.as_bytes().unwrap_or_default().as_chunks::<N>().0;
    list.iter().take(MAX_NODES_PER_REPLY).filter_map(contact).collect()
}

/// Peers: strings of 6 or 18 bytes in any mixture (BEP 32). Others are ignored.
fn addrs(value: Value<'_>) -> Vec<SocketAddr> {
    value.as_list().into_iter().flatten().filter_map(|value| one_addr(value.as_bytes()?)).collect()
}

/// An address and a port in 6 or 18 bytes.
fn one_addr(bytes: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = bytes.split_last_chunk::<2>()?;
    let ip: IpAddr = compact::ip(ip)?;
    Some(SocketAddr::new(ip.to_canonical(), u16::from_be_bytes(*port)))
}
