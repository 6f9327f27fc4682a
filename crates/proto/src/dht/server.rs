//! Answering the queries of others.

use std::net::SocketAddr;
use std::time::Instant;

use super::contact::{Contact, Family};
use super::exchanges::Purpose;
use super::id::Id;
use super::item::{Item, ItemError, MutableItem};
use super::krpc::{Body, ErrorCode, Message, Put, Query, Response, Samples, Signed, Transaction, Want};
use super::limits::{K, MAX_ITEM_VALUE, MAX_REPLY, MAX_REPLY_V6, MAX_SALT};
use super::node::Node;
use super::side::Side;

/// What is told to an asker whose query is not answered.
type Reason = (ErrorCode, &'static str);

impl Node {
    /// A query came.
    pub(super) fn queried(
        &mut self,
        now: Instant,
        asker: Contact,
        read_only: bool,
        transaction: Transaction,
        query: Query,
        length: usize,
    ) {
        self.traffic.queries_down += 1;
        if !self.gate.admit(now, asker.addr.ip()) || self.read_only {
            self.traffic.ignored += 1;
            return;
        }
        let body = match self.answer(now, asker, query, length) {
            Ok(response) => Body::Response(Box::new(response)),
            Err((code, text)) => Body::Error { code: code.number(), text: text.to_owned() },
        };
        self.reply(now, asker.addr, transaction, body);
        if !read_only {
            self.meet(now, asker);
        }
    }

    /// A query came that is not as it must be.
    pub(super) fn refuse(
        &mut self,
        now: Instant,
        to: SocketAddr,
        transaction: Transaction,
        reason: &'static str,
        length: usize,
    ) {
        self.traffic.queries_down += 1;
        let code = ErrorCode::Protocol.number();
        // Never more than what came: whoever faked the sender gains nothing.
        let text = reason[..reason.len().min(length.saturating_sub(60))].to_owned();
        if self.gate.admit(now, to.ip()) && !self.read_only {
            self.reply(now, to, transaction, Body::Error { code, text });
        }
    }

    fn reply(&mut self, now: Instant, to: SocketAddr, transaction: Transaction, body: Body) {
        let bytes = Message { transaction, version: Some(self.version()), ip: Some(to), body }.encode();
        if self.gate.may_reply(now, bytes.len()) {
            self.send_bytes(to, bytes);
        } else {
            self.traffic.withheld += 1;
        }
    }

    /// The asker may be a node for our table: if there is room, it is asked whether it answers, too.
    fn meet(&mut self, now: Instant, asker: Contact) {
        let Some(side) = self.side_mut(Family::of(asker.addr.ip())) else { return };
        side.table.asked(now, asker);
        let worth = side.table.has_room(now, asker);
        if worth && !self.exchanges.is_asked(asker.addr) && self.gate.may_ping(now) {
            self.ask(now, asker.addr, Some(asker.id), Purpose::Ping, Query::Ping);
        }
    }

    fn answer(&mut self, now: Instant, asker: Contact, query: Query, length: usize) -> Result<Response, Reason> {
        let family = Family::of(asker.addr.ip());
        let own = self.side(family).map(Side::id).ok_or((ErrorCode::Server, "not of this family"))?;
        let ip = asker.addr.ip();
        let mut response = Response::new(own);
        match query {
            Query::Ping => {}
            Query::FindNode { target, want } | Query::Unknown { target: Some(target), want } => {
                self.add_nodes(now, &mut response, target, family, want);
                self.trim(now, asker.addr, length, &mut response);
            }
            Query::Unknown { target: None, .. } => return Err((ErrorCode::MethodUnknown, "no such method")),
            Query::GetPeers { info_hash, want, no_seed, scrape } => {
                self.add_nodes(now, &mut response, info_hash, family, want);
                response.token = Some(self.shelf.tokens.make(now, ip, info_hash));
                if scrape && let Some((seeds, downloaders)) = self.shelf.peers.filters(info_hash) {
                    (response.seeds, response.downloaders) = (Some(Box::new(seeds)), Some(Box::new(downloaders)));
                }
                let most = MAX_REPLY / value_length(family);
                response.values = self.shelf.peers.some(&mut self.rng, info_hash, family, no_seed, most);
                self.trim(now, asker.addr, length, &mut response);
            }
            Query::AnnouncePeer { info_hash, port, implied_port, seed, token } => {
                self.check_token(now, asker.addr, info_hash, &token)?;
                let port = if implied_port { asker.addr.port() } else { port };
                if !self.shelf.peers.insert(now, own, info_hash, SocketAddr::new(ip, port), seed) {
                    return Err((ErrorCode::Server, "no room"));
                }
            }
            Query::Get { target, seq, want } => {
                self.add_nodes(now, &mut response, target, family, want);
                response.token = Some(self.shelf.tokens.make(now, ip, target));
                if let Some(item) = self.shelf.items.get(target) {
                    add_item(&mut response, item, seq);
                }
                self.trim(now, asker.addr, length, &mut response);
            }
            Query::Put(put) => {
                let item = self.judge_put(now, asker.addr, &put)?;
                self.shelf.items.put(now, own, ip, item, put.cas)?;
            }
            Query::SampleInfohashes { target, want } => {
                self.add_nodes(now, &mut response, target, family, want);
                let total = u32::try_from(self.shelf.peers.hash_count()).unwrap_or(u32::MAX);
                let (sample, interval) = self.shelf.peers.sample(now, &mut self.rng);
                response.samples = Some(Samples { info_hashes: sample.to_vec(), interval, total });
                self.trim(now, asker.addr, length, &mut response);
            }
        }
        Ok(response)
    }

    /// The closest good nodes of the families that the asker wants (BEP 32), nearest first.
    fn add_nodes(&self, now: Instant, response: &mut Response, target: Id, family: Family, want: Want) {
        let (v4, v6) = match want {
            Want { v4: false, v6: false } => (family == Family::V4, family == Family::V6),
            Want { v4, v6 } => (v4, v6),
        };
        let closest =
            |family| self.side(family).map(|side| side.table.closest_good(now, target, K)).unwrap_or_default();
        response.nodes = v4.then(|| closest(Family::V4));
        response.nodes6 = v6.then(|| closest(Family::V6));
    }

    fn check_token(&mut self, now: Instant, from: SocketAddr, target: Id, token: &[u8]) -> Result<(), Reason> {
        if !self.shelf.tokens.is_valid(now, from.ip(), target, token) {
            return Err((ErrorCode::Protocol, "bad token"));
        }
        self.gate.prove(now, from);
        Ok(())
    }

    /// What is to be kept, if it is what it says (BEP 44; THREATS D5). What costs least is looked at first.
    fn judge_put(&mut self, now: Instant, from: SocketAddr, put: &Put) -> Result<Item, Reason> {
        if put.value.len() > MAX_ITEM_VALUE {
            return Err((ErrorCode::ValueTooLong, "a value has at most 1000 bytes"));
        }
        if put.signed.as_ref().is_some_and(|signed| signed.salt.len() > MAX_SALT) {
            return Err((ErrorCode::SaltTooLong, "a salt has at most 64 bytes"));
        }
        if !put.canonical {
            return Err((ErrorCode::Protocol, "the value is not canonical"));
        }
        self.check_token(now, from, put.target(), &put.token)?;
        let item = match &put.signed {
            None => Item::immutable(put.value.clone()),
            Some(Signed { key, salt, seq, signature }) => {
                MutableItem::verify(*key, salt, *seq, put.value.clone(), *signature).map(Item::Mutable)
            }
        };
        item.map_err(|error| match error {
            ItemError::BadSignature => (ErrorCode::BadSignature, "the signature is wrong"),
            ItemError::TooLong(_) => (ErrorCode::ValueTooLong, "a value has at most 1000 bytes"),
            ItemError::SaltTooLong(_) => (ErrorCode::SaltTooLong, "a salt has at most 64 bytes"),
            ItemError::NotCanonical | ItemError::NegativeSeq(_) => (ErrorCode::Protocol, "no item"),
        })
    }

    /// Cuts an answer to what this asker may have: first peers and samples, then nodes of the other family, then the item or
    /// the filters, then nodes.
    fn trim(&mut self, now: Instant, to: SocketAddr, asked: usize, response: &mut Response) {
        let family = Family::of(to.ip());
        let mut length = reply_length(to, response);
        // An item of the allowed length must fit over IPv6 too, and what a link of IPv6 carries for certain has room for it.
        let item_space = if response.value.is_some() && family == Family::V6 { V6_ITEM_SPACE } else { 0 };
        let space = self.gate.space(now, to, asked, length);
        let space = if space >= MAX_REPLY_V6 { space.max(item_space) } else { space };
        if length > space {
            let each = value_length(family);
            let spare = response.values.len().saturating_sub((length - space).div_ceil(each));
            response.values.truncate(spare);
            if let Some(samples) = &mut response.samples {
                let left = samples.info_hashes.len().saturating_sub((length - space).div_ceil(20));
                samples.info_hashes.truncate(left);
            }
            length = reply_length(to, response);
        }
        if length > space {
            match family {
                Family::V4 => response.nodes6 = None,
                Family::V6 => response.nodes = None,
            }
            length = reply_length(to, response);
        }
        if length > space && space < MAX_REPLY_V6 {
            (response.seeds, response.downloaders) = (None, None);
            (response.value, response.signed) = (None, None);
            length = reply_length(to, response);
        }
        let (nodes, each) = match family {
            Family::V4 => (&mut response.nodes, 26),
            Family::V6 => (&mut response.nodes6, 38),
        };
        if length > space
            && let Some(some) = nodes
        {
            some.truncate(some.len().saturating_sub((length - space).div_ceil(each)));
            // Beside an item that takes all the space not even the word for them.
            if some.is_empty() && response.value.is_some() {
                *nodes = None;
            }
        }
    }
}

/// What an answer with an item may have over IPv6: the smallest packet that every link carries, without headers. BEP 32 says
/// 1024, and BEP 44 that values have up to 1000.
const V6_ITEM_SPACE: usize = 1280 - 40 - 8;

/// The length of a peer in an answer, in bytes.
fn value_length(family: Family) -> usize {
    match family {
        Family::V4 => 2 + 6,
        Family::V6 => 3 + 18,
    }
}

/// The length of the packet with this answer, for a transaction id of the longest kind.
fn reply_length(to: SocketAddr, response: &Response) -> usize {
    let body = Body::Response(Box::new(response.clone()));
    let transaction = Transaction::from_elem(0, super::limits::MAX_TRANSACTION);
    Message { transaction, version: Some([0; 4]), ip: Some(to), body }.encode().len()
}

fn add_item(response: &mut Response, item: &Item, known: Option<i64>) {
    response.seq = item.seq();
    // Who has it already is told its number alone.
    if let (Some(known), Some(seq)) = (known, item.seq())
        && seq <= known
    {
        return;
    }
    response.value = Some(item.value().clone());
    if let Item::Mutable(item) = item {
        let (key, signature) = (*item.key(), *item.signature());
        response.signed = Some(Signed { key, salt: Vec::new(), seq: item.seq(), signature });
    }
}
