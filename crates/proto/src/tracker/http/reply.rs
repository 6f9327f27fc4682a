//! What trackers answer over HTTP.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use riverrun_metainfo::WireHash;
use riverrun_metainfo::bencode::{self, Dict, Document, Limits, Value};

use crate::compact::{self, v4_addrs, v6_addrs};
use crate::limits::{
    DEFAULT_ANNOUNCE_INTERVAL, MAX_NAMED_PEERS, MAX_PEERS_PER_REPLY, MAX_TRACKER_ID, MAX_TRACKER_REPLY,
    MAX_TRACKER_TEXT, MAX_TRACKER_TOKENS,
};
use crate::tracker::announce::peer;
use crate::tracker::{AnnounceError, AnnounceReply, NamedPeer, Retry, ScrapeEntry};
use crate::wire::remote_text;

/// Collects the body of a reply, after decompression, up to the limit (THREATS T3).
#[derive(Clone, Debug, Default)]
pub struct Body(Vec<u8>);

impl Body {
    /// Nothing received yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what has come.
    ///
    /// # Errors
    /// The body is longer than [`MAX_TRACKER_REPLY`]: the exchange is to be broken off.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), AnnounceError> {
        if chunk.len() > MAX_TRACKER_REPLY - self.0.len() {
            return Err(AnnounceError::TooLong(MAX_TRACKER_REPLY));
        }
        self.0.extend_from_slice(chunk);
        Ok(())
    }

    /// All that has come.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Reads the reply to an announce: compact peers (BEP 23), `peers6` (BEP 7) and the old list of dictionaries.
///
/// Peers that could not be dialled are left out, so are those over the limit. Values of the wrong type are as if they were
/// not there.
///
/// # Errors
/// The tracker refuses, in its words; the HTTP status is no success; the body is too long or is no reply.
pub fn parse_announce_reply(status: u16, body: &[u8]) -> Result<AnnounceReply, AnnounceError> {
    let document = open(status, body)?;
    let dict = success(status, &document)?;
    if !["interval", "peers", "peers6"].iter().any(|key| dict.get(key).is_some()) {
        return Err(AnnounceError::Malformed("neither interval nor peers"));
    }
    let mut reply = AnnounceReply {
        interval: dict.get("interval").and_then(seconds).unwrap_or(DEFAULT_ANNOUNCE_INTERVAL),
        min_interval: dict.get("min interval").and_then(seconds),
        seeders: dict.get("complete").and_then(count),
        leechers: dict.get("incomplete").and_then(count),
        downloaded: dict.get("downloaded").and_then(count),
        warning: dict.get("warning message").and_then(text),
        external_ip: dict.get("external ip").and_then(Value::as_bytes).and_then(compact::ip),
        tracker_id: dict.get("tracker id").and_then(tracker_id),
        ..AnnounceReply::default()
    };
    let compact = |key: &str| dict.get(key).and_then(Value::as_bytes).unwrap_or_default();
    let peers = v4_addrs(compact("peers")).chain(v6_addrs(compact("peers6")));
    reply.peers.extend(peers.filter_map(peer).take(MAX_PEERS_PER_REPLY));
    for entry in dict.get("peers").and_then(Value::as_list).into_iter().flatten() {
        take_peer(&mut reply, entry);
    }
    Ok(reply)
}

/// One peer of the old form.
fn take_peer(reply: &mut AnnounceReply, entry: Value<'_>) -> Option<()> {
    let dict = entry.as_dict()?;
    let host = dict.get("ip")?.as_str()?;
    let port = dict.get("port")?.as_uint().filter(|port| *port != 0)?;
    if let Ok(ip) = host.parse::<IpAddr>() {
        if reply.peers.len() < MAX_PEERS_PER_REPLY {
            reply.peers.extend(peer(SocketAddr::new(ip, port)));
        }
    } else if is_host_name(host) && reply.named_peers.len() < MAX_NAMED_PEERS {
        reply.named_peers.push(NamedPeer { host: host.to_owned(), port });
    }
    Some(())
}

/// Reads the reply to a scrape (BEP 48): the torrents that were asked for, in that order. Others are ignored, negative
/// counts are 0 (THREATS T8).
///
/// # Errors
/// As for [`parse_announce_reply`].
pub fn parse_scrape_reply(
    status: u16,
    body: &[u8],
    asked: &[WireHash],
) -> Result<Vec<(WireHash, ScrapeEntry)>, AnnounceError> {
    let document = open(status, body)?;
    let dict = success(status, &document)?;
    let files = dict.get("files").and_then(Value::as_dict).ok_or(AnnounceError::Malformed("no files"))?;
    let entry = |info_hash: &WireHash| {
        let entry = files.get(info_hash.0)?.as_dict()?;
        let count = |key: &str| entry.get(key).and_then(count);
        Some(ScrapeEntry {
            seeders: count("complete").unwrap_or(0),
            leechers: count("incomplete").unwrap_or(0),
            downloaded: count("downloaded").unwrap_or(0),
            downloaders: count("downloaders"),
        })
    };
    Ok(asked.iter().filter_map(|info_hash| Some((*info_hash, entry(info_hash)?))).collect())
}

fn open(status: u16, body: &[u8]) -> Result<Document<'_>, AnnounceError> {
    if body.len() > MAX_TRACKER_REPLY {
        return Err(AnnounceError::TooLong(MAX_TRACKER_REPLY));
    }
    let limits = Limits { tokens: MAX_TRACKER_TOKENS, ..Limits::MESSAGE };
    bencode::decode_prefix(body, limits).map_err(|_| otherwise(status, "not bencode"))
}

/// The reply's dictionary, unless it says no. A refusal counts whatever the status: some trackers send it with 4xx.
fn success<'d>(status: u16, document: &'d Document<'_>) -> Result<Dict<'d>, AnnounceError> {
    let dict = document.root().as_dict().ok_or_else(|| otherwise(status, "not a dictionary"))?;
    if let Some(reason) = dict.get("failure reason") {
        let reason = text(reason).filter(|text| !text.trim().is_empty());
        let reason = reason.unwrap_or_else(|| "the tracker gives no reason".to_owned());
        return Err(AnnounceError::Refused { reason, retry: dict.get("retry in").and_then(retry) });
    }
    if (200..300).contains(&status) { Ok(dict) } else { Err(AnnounceError::Status(status)) }
}

/// What is wrong with a body that cannot be read: the status, if that is the reason.
fn otherwise(status: u16, wrong: &'static str) -> AnnounceError {
    if (200..300).contains(&status) { AnnounceError::Malformed(wrong) } else { AnnounceError::Status(status) }
}

/// Seconds from 0 to 2^32 - 1.
fn seconds(value: Value<'_>) -> Option<Duration> {
    count(value).map(|seconds| Duration::from_secs(seconds.into()))
}

/// A number cut to 32 bits; negative numbers are 0.
fn count(value: Value<'_>) -> Option<u32> {
    let number = value.as_int()?;
    Some(u32::try_from(number.max(0)).unwrap_or(u32::MAX))
}

fn text(value: Value<'_>) -> Option<String> {
    value.as_bytes().map(|text| remote_text(text, MAX_TRACKER_TEXT))
}

fn tracker_id(value: Value<'_>) -> Option<Bytes> {
    value.as_bytes().filter(|id| id.len() <= MAX_TRACKER_ID).map(Bytes::copy_from_slice)
}

/// `never`, or minutes as a number or as digits (BEP 31 has both).
fn retry(value: Value<'_>) -> Option<Retry> {
    let minutes: u32 = match value.as_str() {
        Some("never") => return Some(Retry::Never),
        Some(digits) => digits.parse().ok()?,
        None => value.as_uint()?,
    };
    Some(Retry::After(Duration::from_secs(u64::from(minutes) * 60)))
}

/// What can be asked of a resolver.
fn is_host_name(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    !text.is_empty() && text.len() <= 253 && text.bytes().all(legal)
}
