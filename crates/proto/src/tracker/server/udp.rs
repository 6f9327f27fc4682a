//! What is answered over UDP (BEP 15).

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use riverrun_metainfo::WireHash;

use super::{Server, Wish, given};
use crate::compact::put_addr;
use crate::limits::MAX_UDP_REPLY;
use crate::tracker::AnnounceRequest;
use crate::tracker::udp::{ANNOUNCE_HEAD, Request, Response, ResponseBody, announce_head};

/// Said to a client whose connection id is not good; it asks for a new one.
const BAD_ID: &str = "connection id is not valid";

impl Server {
    /// Answers a packet that came from `from` by writing to `out`; `false`: it deserves no answer.
    ///
    /// The options of BEP 41 are read and any path is served: the torrent alone decides.
    pub fn udp(&mut self, now: Instant, from: SocketAddr, packet: &[u8], out: &mut Vec<u8>) -> bool {
        out.clear();
        let ip = from.ip().to_canonical();
        // The clock of connection ids; the registry's own has the same start.
        let second = now.saturating_duration_since(self.start).as_secs();
        match Request::decode(packet) {
            Some(Request::Connect { transaction }) => {
                self.counts.udp_connects += 1;
                let body = ResponseBody::Connect(self.ids.give(second, ip));
                Response { transaction, body }.encode_into(from, out);
            }
            Some(Request::Announce { connection, transaction, request, .. }) => {
                if self.ids.is_good(second, ip, connection) {
                    self.udp_announce(now, transaction, &request, ip, out);
                } else {
                    self.udp_refusal(transaction, BAD_ID, out);
                }
            }
            Some(Request::Scrape { connection, transaction, info_hashes }) => {
                if self.ids.is_good(second, ip, connection) {
                    self.udp_scrape(transaction, &info_hashes, out);
                } else {
                    self.udp_refusal(transaction, BAD_ID, out);
                    // Whoever asks in another's name must not make us send more than it does.
                    out.truncate(packet.len());
                }
            }
            None => {
                self.counts.ignored += 1;
                return false;
            }
        }
        true
    }

    fn udp_announce(
        &mut self,
        now: Instant,
        transaction: u32,
        request: &AnnounceRequest,
        from: IpAddr,
        out: &mut Vec<u8>,
    ) {
        self.counts.udp_announces += 1;
        out.resize(ANNOUNCE_HEAD, 0);
        let fitting = (MAX_UDP_REPLY - out.len()) / if from.is_ipv4() { 6 } else { 18 };
        let wish = Wish { count: given(request).min(fitting), family: from, both: false };
        match self.announce(now, request, from, wish, |peer| put_addr(out, peer)) {
            Ok(counts) => {
                let head = announce_head(transaction, self.config.interval, (counts.leechers, counts.seeders));
                out[..ANNOUNCE_HEAD].copy_from_slice(&head);
            }
            Err(refusal) => self.udp_refusal(transaction, &refusal.to_string(), out),
        }
    }

    fn udp_scrape(&mut self, transaction: u32, info_hashes: &[WireHash], out: &mut Vec<u8>) {
        if let Some(reason) = self.closed.clone() {
            return self.udp_refusal(transaction, &reason, out);
        }
        self.counts.scrapes += 1;
        let entries = info_hashes.iter().map(|hash| self.registry.scrape(*hash).unwrap_or_default());
        let body = ResponseBody::Scrape(entries.collect());
        Response { transaction, body }.encode_into(SocketAddr::from(([0; 4], 0)), out);
    }

    fn udp_refusal(&mut self, transaction: u32, reason: &str, out: &mut Vec<u8>) {
        self.counts.refused += 1;
        out.clear();
        let body = ResponseBody::Error(reason.to_owned());
        Response { transaction, body }.encode_into(SocketAddr::from(([0; 4], 0)), out);
        out.truncate(MAX_UDP_REPLY);
    }
}
