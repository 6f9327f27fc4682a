//! What is answered over HTTP.

use std::net::IpAddr;
use std::time::Instant;

use riverrun_metainfo::WireHash;

use super::{Refusal, Server, Wish, given};
use crate::limits::{MAX_FULL_SCRAPE, MAX_SCRAPE_HASHES};
use crate::tracker::AnnounceReply;
use crate::tracker::http::{
    parse_announce_query, parse_scrape_query, write_announce_reply, write_failure, write_scrape_reply,
};

/// The answer to a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HttpAnswer {
    /// 200, refusals too, or 404.
    pub status: u16,
    /// Bencode, or nothing.
    pub body: Vec<u8>,
}

impl Server {
    /// Answers a GET for `target`, the path and query of the request line: `/announce?...` and `/scrape?...`.
    ///
    /// A client that takes the old form of peers gets no peer ids, as if it had asked for `no_peer_id`. `trackerid` and `key` are
    /// read and not needed: a peer is its address and port.
    #[must_use]
    pub fn http(&mut self, now: Instant, from: IpAddr, target: &str) -> HttpAnswer {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let body = match path {
            "/announce" => self.http_announce(now, from.to_canonical(), query),
            "/scrape" => self.http_scrape(query),
            _ => return HttpAnswer { status: 404, body: Vec::new() },
        };
        HttpAnswer { status: 200, body }
    }

    fn http_announce(&mut self, now: Instant, from: IpAddr, query: &str) -> Vec<u8> {
        let asked = match parse_announce_query(query) {
            Ok(asked) => asked,
            Err(error) => return self.http_refusal(&error.to_string()),
        };
        self.counts.http_announces += 1;
        let mut peers = Vec::new();
        let wish = Wish { count: given(&asked.request), family: from, both: true };
        match self.announce(now, &asked.request, from, wish, |peer| peers.push(peer)) {
            Ok(counts) => {
                let reply = AnnounceReply {
                    interval: self.config.interval,
                    min_interval: Some(self.config.min_interval.min(self.config.interval)),
                    peers,
                    seeders: Some(counts.seeders),
                    leechers: Some(counts.leechers),
                    downloaded: Some(counts.downloaded),
                    external_ip: Some(from),
                    ..AnnounceReply::default()
                };
                write_announce_reply(&reply, asked.compact)
            }
            Err(refusal) => self.refused(&refusal),
        }
    }

    fn http_scrape(&mut self, query: &str) -> Vec<u8> {
        let hashes = match parse_scrape_query(query) {
            Ok(hashes) => hashes,
            Err(error) => return self.http_refusal(&error.to_string()),
        };
        if let Some(reason) = self.closed.clone() {
            return self.refused(&Refusal::Closed(reason));
        }
        if hashes.is_empty() && !self.config.full_scrape {
            return self.http_refusal("a scrape must name its torrents");
        }
        self.counts.scrapes += 1;
        let entries: Vec<(WireHash, _)> = if hashes.is_empty() {
            self.registry.scrape_all().take(MAX_FULL_SCRAPE).collect()
        } else {
            let hashes = hashes.into_iter().take(MAX_SCRAPE_HASHES);
            hashes.filter_map(|hash| Some((hash, self.registry.scrape(hash)?))).collect()
        };
        write_scrape_reply(&entries)
    }

    fn http_refusal(&mut self, reason: &str) -> Vec<u8> {
        self.counts.refused += 1;
        write_failure(reason, None)
    }

    fn refused(&mut self, refusal: &Refusal) -> Vec<u8> {
        self.counts.refused += 1;
        write_failure(&refusal.to_string(), self.retry(refusal))
    }
}
