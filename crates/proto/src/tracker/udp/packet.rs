//! The packets of the UDP tracker protocol, both sides (BEP 15, 41).

use std::net::SocketAddr;
use std::time::Duration;

use riverrun_metainfo::WireHash;

use crate::compact::{put_addr, v4_addrs, v6_addrs};
use crate::limits::{MAX_PEERS_PER_REPLY, MAX_SCRAPE_HASHES, MAX_TRACKER_TEXT};
use crate::tracker::announce::peer;
use crate::tracker::{AnnounceReply, AnnounceRequest, Event, ScrapeEntry};
use crate::wire::{PeerId, remote_text};

/// What a connect request begins with.
const MAGIC: u64 = 0x0417_2710_1980;
/// The packet of an announce up to the options of BEP 41.
const ANNOUNCE_LENGTH: usize = 98;
/// The answer to an announce up to its peers.
pub(in crate::tracker) const ANNOUNCE_HEAD: usize = 20;

mod action {
    pub(super) const CONNECT: u32 = 0;
    pub(super) const ANNOUNCE: u32 = 1;
    pub(super) const SCRAPE: u32 = 2;
    pub(super) const ERROR: u32 = 3;
}

/// What a client sends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// Asks for a connection id.
    Connect {
        /// Comes back in the answer.
        transaction: u32,
    },
    /// An announce.
    Announce {
        /// As the tracker gave it.
        connection: u64,
        /// Comes back in the answer.
        transaction: u32,
        /// What is announced. Over UDP there is neither `paused` nor a tracker id nor an IPv6 address.
        request: AnnounceRequest,
        /// Path and query of the tracker's URL (BEP 41).
        path_and_query: String,
    },
    /// A scrape.
    Scrape {
        /// As the tracker gave it.
        connection: u64,
        /// Comes back in the answer.
        transaction: u32,
        /// The torrents, at most [`MAX_SCRAPE_HASHES`].
        info_hashes: Vec<WireHash>,
    },
}

/// What a tracker sends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Response {
    /// As in the request.
    pub transaction: u32,
    /// What it says.
    pub body: ResponseBody,
}

/// What a tracker says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ResponseBody {
    /// A connection id, good for a minute.
    Connect(u64),
    /// The answer to an announce: interval, counts and peers are all that there is.
    Announce(AnnounceReply),
    /// The answer to a scrape, in the order of the request.
    Scrape(Vec<ScrapeEntry>),
    /// A refusal, printable and at most [`MAX_TRACKER_TEXT`] bytes.
    Error(String),
}

impl Request {
    /// The packet.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Connect { transaction } => head(MAGIC, action::CONNECT, *transaction),
            Self::Announce { connection, transaction, request, path_and_query } => {
                let mut out = head(*connection, action::ANNOUNCE, *transaction);
                put_announce(&mut out, request);
                put_options(&mut out, path_and_query);
                out
            }
            Self::Scrape { connection, transaction, info_hashes } => {
                let mut out = head(*connection, action::SCRAPE, *transaction);
                info_hashes.iter().take(MAX_SCRAPE_HASHES).for_each(|info_hash| out.extend_from_slice(&info_hash.0));
                out
            }
        }
    }

    /// Reads a packet; `None` if it is no request. Bytes that later versions may add are ignored.
    #[must_use]
    pub fn decode(packet: &[u8]) -> Option<Self> {
        let mut reader = Reader(packet);
        let (connection, action, transaction) = (reader.u64()?, reader.u32()?, reader.u32()?);
        match action {
            action::CONNECT if connection == MAGIC => Some(Self::Connect { transaction }),
            action::ANNOUNCE => {
                let request = read_announce(&mut reader)?;
                let path_and_query = read_options(reader.0);
                Some(Self::Announce { connection, transaction, request, path_and_query })
            }
            action::SCRAPE => {
                let hashes = reader.0.as_chunks::<20>().0;
                let info_hashes = hashes.iter().take(MAX_SCRAPE_HASHES).map(|hash| WireHash(*hash)).collect();
                Some(Self::Scrape { connection, transaction, info_hashes })
            }
            _ => None,
        }
    }
}

impl Response {
    /// The packet, for a client of the family of `to`: only peers of the same family fit (BEP 15).
    #[must_use]
    pub fn encode(&self, to: SocketAddr) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        self.encode_into(to, &mut out);
        out
    }

    /// Appends the packet to `out`.
    pub(in crate::tracker) fn encode_into(&self, to: SocketAddr, out: &mut Vec<u8>) {
        let mut put = |number: u32| out.extend_from_slice(&number.to_be_bytes());
        match &self.body {
            ResponseBody::Connect(connection) => {
                [action::CONNECT, self.transaction].into_iter().for_each(put);
                out.extend_from_slice(&connection.to_be_bytes());
            }
            ResponseBody::Announce(reply) => {
                let counts = (reply.leechers.unwrap_or(0), reply.seeders.unwrap_or(0));
                out.extend_from_slice(&announce_head(self.transaction, reply.interval, counts));
                let fitting = reply.peers.iter().filter(|peer| peer.is_ipv4() == to.is_ipv4());
                fitting.for_each(|peer| put_addr(out, *peer));
            }
            ResponseBody::Scrape(entries) => {
                [action::SCRAPE, self.transaction].into_iter().for_each(&mut put);
                entries.iter().flat_map(|entry| [entry.seeders, entry.downloaded, entry.leechers]).for_each(put);
            }
            ResponseBody::Error(reason) => {
                [action::ERROR, self.transaction].into_iter().for_each(put);
                out.extend_from_slice(reason.as_bytes());
            }
        }
    }

    /// Reads a packet that came from `from`, whose family decides the form of peers; `None` if it is no response. Peers
    /// that could not be dialled are left out, so are those over the limit.
    #[must_use]
    pub fn decode(packet: &[u8], from: SocketAddr) -> Option<Self> {
        let mut reader = Reader(packet);
        let (action, transaction) = (reader.u32()?, reader.u32()?);
        let body = match action {
            action::CONNECT => ResponseBody::Connect(reader.u64()?),
            action::ANNOUNCE => {
                let (interval, leechers, seeders) = (reader.u32()?, reader.u32()?, reader.u32()?);
                let (v4, v6) = if from.is_ipv4() { (reader.0, &[][..]) } else { (&[][..], reader.0) };
                let peers = v4_addrs(v4).chain(v6_addrs(v6)).filter_map(peer);
                ResponseBody::Announce(AnnounceReply {
                    interval: Duration::from_secs(signed(interval).into()),
                    peers: peers.take(MAX_PEERS_PER_REPLY).collect(),
                    seeders: Some(signed(seeders)),
                    leechers: Some(signed(leechers)),
                    ..AnnounceReply::default()
                })
            }
            action::SCRAPE => {
                let entries = reader.0.as_chunks::<12>().0.iter().take(MAX_SCRAPE_HASHES);
                let entry = |bytes: &[u8; 12]| {
                    let mut reader = Reader(bytes);
                    let (seeders, downloaded, leechers) = (reader.u32()?, reader.u32()?, reader.u32()?);
                    let [seeders, downloaded, leechers] = [seeders, downloaded, leechers].map(signed);
                    Some(ScrapeEntry { seeders, leechers, downloaded, downloaders: None })
                };
                ResponseBody::Scrape(entries.filter_map(entry).collect())
            }
            action::ERROR => ResponseBody::Error(remote_text(reader.0, MAX_TRACKER_TEXT)),
            _ => return None,
        };
        Some(Self { transaction, body })
    }
}

/// What the answer to an announce has before its peers; the counts are leechers and seeders.
pub(in crate::tracker) fn announce_head(
    transaction: u32,
    interval: Duration,
    (leechers, seeders): (u32, u32),
) -> [u8; ANNOUNCE_HEAD] {
    let interval = u32::try_from(interval.as_secs()).unwrap_or(u32::MAX);
    let mut head = [0; ANNOUNCE_HEAD];
    let numbers = [action::ANNOUNCE, transaction, interval, leechers, seeders];
    for (place, number) in head.as_chunks_mut::<4>().0.iter_mut().zip(numbers) {
        *place = number.to_be_bytes();
    }
    head
}

/// BEP 15 does not say whether numbers have a sign; what would be negative is 0 (THREATS T5, T8).
fn signed(number: u32) -> u32 {
    if i32::try_from(number).is_ok() { number } else { 0 }
}

fn head(connection: u64, action: u32, transaction: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(ANNOUNCE_LENGTH + 32);
    out.extend_from_slice(&connection.to_be_bytes());
    out.extend_from_slice(&action.to_be_bytes());
    out.extend_from_slice(&transaction.to_be_bytes());
    out
}

fn put_announce(out: &mut Vec<u8>, request: &AnnounceRequest) {
    out.extend_from_slice(&request.info_hash.0);
    out.extend_from_slice(&request.peer_id.0);
    for number in [request.downloaded, request.left, request.uploaded] {
        out.extend_from_slice(&number.to_be_bytes());
    }
    let event: u32 = match request.event {
        None | Some(Event::Paused) => 0,
        Some(Event::Completed) => 1,
        Some(Event::Started) => 2,
        Some(Event::Stopped) => 3,
    };
    out.extend_from_slice(&event.to_be_bytes());
    out.extend_from_slice(&request.ipv4.map_or([0; 4], |ip| ip.octets()));
    out.extend_from_slice(&request.key.to_be_bytes());
    out.extend_from_slice(&request.num_want.unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(&request.port.to_be_bytes());
}

fn read_announce(reader: &mut Reader<'_>) -> Option<AnnounceRequest> {
    let (info_hash, peer_id) = (WireHash(reader.array()?), PeerId(reader.array()?));
    let (downloaded, left, uploaded) = (reader.u64()?, reader.u64()?, reader.u64()?);
    let event = match reader.u32()? {
        1 => Some(Event::Completed),
        2 => Some(Event::Started),
        3 => Some(Event::Stopped),
        _ => None,
    };
    let ipv4 = Some(reader.array::<4>()?).filter(|ip| *ip != [0; 4]).map(Into::into);
    let (key, num_want) = (reader.u32()?, Some(reader.u32()?).filter(|number| i32::try_from(*number).is_ok()));
    let port = u16::from_be_bytes(reader.array()?);
    Some(AnnounceRequest {
        info_hash,
        peer_id,
        port,
        uploaded,
        downloaded,
        left,
        event,
        num_want,
        key,
        ipv4,
        ipv6: None,
        tracker_id: None,
    })
}

/// The options of BEP 41: path and query in parts of at most 255 bytes. Nothing is sent for a URL without them, so that
/// the packet has the 98 bytes that every tracker knows.
fn put_options(out: &mut Vec<u8>, path_and_query: &str) {
    for part in path_and_query.as_bytes().chunks(255) {
        out.push(2);
        out.push(u8::try_from(part.len()).expect("a chunk of at most 255"));
        out.extend_from_slice(part);
    }
}

fn read_options(options: &[u8]) -> String {
    let mut reader = Reader(options);
    let mut path_and_query = Vec::new();
    while let Some([kind]) = reader.array::<1>() {
        match kind {
            0 => break,
            1 => {}
            kind => {
                let Some([length]) = reader.array::<1>() else { break };
                let Some(data) = reader.take(length.into()) else { break };
                if kind == 2 {
                    path_and_query.extend_from_slice(data);
                }
            }
        }
    }
    String::from_utf8_lossy(&path_and_query).into_owned()
}

/// The bytes of a packet that have not been read yet.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*front)
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (front, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(front)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }
}
