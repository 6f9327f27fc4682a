//! The other side: what a tracker reads and writes.

use std::net::SocketAddr;

use bytes::Bytes;
use riverrun_metainfo::WireHash;
use riverrun_metainfo::bencode::{self, DictWriter};

use crate::compact::{put_addr, put_ip};
use crate::tracker::url::percent_decoded;
use crate::tracker::{AnnounceReply, AnnounceRequest, Event, Retry, ScrapeEntry};
use crate::wire::PeerId;

/// An announce as a tracker reads it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AnnounceQuery {
    /// What the client says.
    pub request: AnnounceRequest,
    /// Whether it takes compact peers (BEP 23); yes if it does not say.
    pub compact: bool,
}

/// What is wrong with a query.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// A parameter that must be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// A parameter's value cannot be read.
    #[error("{0} is not valid")]
    Invalid(&'static str),
}

/// Reads the query of an announce, without its `?`.
///
/// # Errors
/// `info_hash`, `peer_id`, `port` or `left` is missing, or a value cannot be read.
pub fn parse_announce_query(query: &str) -> Result<AnnounceQuery, QueryError> {
    let request = AnnounceRequest {
        info_hash: WireHash(twenty(query, "info_hash")?),
        peer_id: PeerId(twenty(query, "peer_id")?),
        port: number(query, "port")?.ok_or(QueryError::Missing("port"))?,
        uploaded: number(query, "uploaded")?.unwrap_or(0),
        downloaded: number(query, "downloaded")?.unwrap_or(0),
        left: number(query, "left")?.ok_or(QueryError::Missing("left"))?,
        event: match first(query, "event") {
            Some("started") => Some(Event::Started),
            Some("completed") => Some(Event::Completed),
            Some("stopped") => Some(Event::Stopped),
            Some("paused") => Some(Event::Paused),
            _ => None,
        },
        // A negative number is an old way to say: as you like.
        num_want: first(query, "numwant").and_then(|value| value.parse().ok()),
        key: first(query, "key").and_then(|key| u32::from_str_radix(key, 16).ok()).unwrap_or(0),
        ipv4: first(query, "ipv4").and_then(|ip| ip.parse().ok()),
        ipv6: bytes(query, "ipv6")?.and_then(|ip| String::from_utf8(ip).ok()?.parse().ok()),
        tracker_id: bytes(query, "trackerid")?.map(Bytes::from),
    };
    Ok(AnnounceQuery { request, compact: first(query, "compact") != Some("0") })
}

/// Reads the query of a scrape, without its `?`: the torrents asked for, none for all of them.
///
/// # Errors
/// A hash has not 20 bytes.
pub fn parse_scrape_query(query: &str) -> Result<Vec<WireHash>, QueryError> {
    let invalid = QueryError::Invalid("info_hash");
    values(query, "info_hash")
        .map(|value| percent_decoded(value).and_then(|hash| hash.try_into().ok()).map(WireHash).ok_or(invalid))
        .collect()
}

/// The body of a reply. Compact, it has the peers by address in `peers` and `peers6`; else each is a dictionary, those
/// known by name too.
#[must_use]
pub fn write_announce_reply(reply: &AnnounceReply, compact: bool) -> Vec<u8> {
    let seconds = |time: std::time::Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    bencode::dict(|dict| {
        dict.int("interval", seconds(reply.interval));
        let numbers = [
            ("min interval", reply.min_interval.map(seconds)),
            ("complete", reply.seeders),
            ("incomplete", reply.leechers),
            ("downloaded", reply.downloaded),
        ];
        for (key, number) in numbers {
            if let Some(number) = number {
                dict.int(key, number);
            }
        }
        if let Some(warning) = &reply.warning {
            dict.bytes("warning message", warning);
        }
        if let Some(ip) = reply.external_ip {
            let mut bytes = Vec::with_capacity(16);
            put_ip(&mut bytes, ip);
            dict.bytes("external ip", bytes);
        }
        if let Some(id) = &reply.tracker_id {
            dict.bytes("tracker id", id);
        }
        if compact { write_compact(dict, &reply.peers) } else { write_list(dict, reply) }
    })
}

fn write_compact(dict: &mut DictWriter<'_>, peers: &[SocketAddr]) {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for peer in peers {
        put_addr(if peer.is_ipv4() { &mut v4 } else { &mut v6 }, *peer);
    }
    dict.bytes("peers", v4);
    if !v6.is_empty() {
        dict.bytes("peers6", v6);
    }
}

fn write_list(dict: &mut DictWriter<'_>, reply: &AnnounceReply) {
    dict.list("peers", |list| {
        let by_address = reply.peers.iter().map(|peer| (peer.ip().to_string(), peer.port()));
        let by_name = reply.named_peers.iter().map(|peer| (peer.host.clone(), peer.port));
        for (host, port) in by_address.chain(by_name) {
            list.dict(|peer| {
                peer.bytes("ip", host).int("port", port);
            });
        }
    });
}

/// The body of a refusal (BEP 3, 31).
#[must_use]
pub fn write_failure(reason: &str, retry: Option<Retry>) -> Vec<u8> {
    bencode::dict(|dict| {
        dict.bytes("failure reason", reason);
        match retry {
            Some(Retry::Never) => _ = dict.bytes("retry in", "never"),
            Some(Retry::After(time)) => _ = dict.bytes("retry in", time.as_secs().div_ceil(60).to_string()),
            None => {}
        }
    })
}

/// The body of the reply to a scrape (BEP 48, 21).
#[must_use]
pub fn write_scrape_reply(entries: &[(WireHash, ScrapeEntry)]) -> Vec<u8> {
    bencode::dict(|dict| {
        dict.dict("files", |files| {
            for (info_hash, entry) in entries {
                files.dict(info_hash.0, |file| {
                    file.int("complete", entry.seeders);
                    file.int("incomplete", entry.leechers);
                    file.int("downloaded", entry.downloaded);
                    if let Some(downloaders) = entry.downloaders {
                        file.int("downloaders", downloaders);
                    }
                });
            }
        });
    })
}

/// The values of a parameter, still encoded.
fn values<'q>(query: &'q str, name: &str) -> impl Iterator<Item = &'q str> {
    query
        .split('&')
        .filter_map(move |part| part.split_once('=').filter(|(key, _)| *key == name).map(|(_, value)| value))
}

fn first<'q>(query: &'q str, name: &str) -> Option<&'q str> {
    values(query, name).next()
}

fn bytes(query: &str, name: &'static str) -> Result<Option<Vec<u8>>, QueryError> {
    first(query, name).map(|value| percent_decoded(value).ok_or(QueryError::Invalid(name))).transpose()
}

fn twenty(query: &str, name: &'static str) -> Result<[u8; 20], QueryError> {
    bytes(query, name)?.ok_or(QueryError::Missing(name))?.try_into().map_err(|_| QueryError::Invalid(name))
}

fn number<T: std::str::FromStr>(query: &str, name: &'static str) -> Result<Option<T>, QueryError> {
    first(query, name).map(|value| value.parse().map_err(|_| QueryError::Invalid(name))).transpose()
}
