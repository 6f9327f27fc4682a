//! The client's side of the UDP tracker protocol as a machine (BEP 15).
//!
//! One client serves all torrents of a session over the session's UDP sockets, so that announces to one tracker share its
//! connection id. Invariants: every packet sent has a transaction id of its own, drawn at random; a packet received counts
//! only if its source address, its transaction id and its action are those of the last packet sent for an exchange
//! (THREATS T7), else it is as if it had not come.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Instant;

use riverrun_metainfo::WireHash;

use super::packet::{Request, Response, ResponseBody};
use crate::limits::{MAX_SCRAPE_HASHES, UDP_CONNECTION_AGE, UDP_RETRIES, UDP_TIMEOUT};
use crate::tracker::{AnnounceError, AnnounceReply, AnnounceRequest, ScrapeEntry};

/// Names one exchange for as long as it lasts; chosen by the driver.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ExchangeId(pub u64);

/// One input of the client.
#[derive(Debug)]
pub enum Input<'a> {
    /// Announce a torrent.
    Announce {
        /// Its name from now on.
        id: ExchangeId,
        /// The tracker's address, resolved and judged by [`may_connect`](crate::tracker::may_connect).
        to: SocketAddr,
        /// What to say.
        request: AnnounceRequest,
        /// Path and query of the tracker's URL (BEP 41).
        path_and_query: String,
        /// How often a packet is sent again before giving up, at most [`UDP_RETRIES`]: after 15 s, 30 s, 60 s, ...
        retries: u8,
    },
    /// Scrape torrents.
    Scrape {
        /// Its name from now on.
        id: ExchangeId,
        /// As for an announce.
        to: SocketAddr,
        /// At most [`MAX_SCRAPE_HASHES`]; the rest is left out.
        info_hashes: Vec<WireHash>,
        /// As for an announce.
        retries: u8,
    },
    /// Give up an exchange; it ends without [`Action::Done`].
    Cancel(ExchangeId),
    /// A datagram that may be a tracker's.
    Received {
        /// Its source.
        from: SocketAddr,
        /// Its content.
        packet: &'a [u8],
    },
    /// The moment of [`next_timeout`](Client::next_timeout) has come.
    Timeout,
}

/// One thing to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Send a datagram.
    Send {
        /// Where.
        to: SocketAddr,
        /// What.
        packet: Vec<u8>,
    },
    /// An exchange has ended.
    Done {
        /// Which.
        id: ExchangeId,
        /// How.
        outcome: Result<Outcome, AnnounceError>,
    },
}

/// What an exchange brought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The answer to an announce.
    Announce(AnnounceReply),
    /// The answer to a scrape, for the torrents that the tracker spoke of.
    Scrape(Vec<(WireHash, ScrapeEntry)>),
}

/// The client of UDP trackers.
#[derive(Debug)]
pub struct Client {
    random: fastrand::Rng,
    exchanges: BTreeMap<ExchangeId, Exchange>,
    /// The connection ids of trackers, and when they came.
    connections: BTreeMap<SocketAddr, (u64, Instant)>,
    actions: VecDeque<Action>,
}

#[derive(Debug)]
struct Exchange {
    to: SocketAddr,
    ask: Ask,
    /// The packet that is waited for.
    awaits: Awaits,
    transaction: u32,
    /// Packets sent, or waits taken in their place, since the first connection id came or while none has.
    tries: u8,
    retries: u8,
    /// A connection id has come in answer to us.
    connected: bool,
    due: Instant,
}

#[derive(Debug)]
enum Ask {
    Announce { request: Box<AnnounceRequest>, path_and_query: String },
    Scrape { info_hashes: Vec<WireHash> },
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Awaits {
    /// A connection id that we asked for.
    Connection,
    /// A connection id that another exchange with this tracker asked for.
    OthersConnection,
    Answer,
}

impl Client {
    /// A client with nothing to do. Transaction ids are drawn from `seed`, which must come from the system's source of
    /// randomness: whoever can guess them can answer for the tracker.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self { random, exchanges: BTreeMap::new(), connections: BTreeMap::new(), actions: VecDeque::new() }
    }

    /// Feed one input. Never blocks.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Announce { id, to, request, path_and_query, retries } => {
                self.start(now, id, to, Ask::Announce { request: Box::new(request), path_and_query }, retries);
            }
            Input::Scrape { id, to, mut info_hashes, retries } => {
                info_hashes.truncate(MAX_SCRAPE_HASHES);
                self.start(now, id, to, Ask::Scrape { info_hashes }, retries);
            }
            Input::Cancel(id) => self.remove(now, id),
            Input::Received { from, packet } => self.receive(now, from, packet),
            Input::Timeout => self.time_out(now),
        }
    }

    /// The next thing to do; drain until `None` before the next [`handle`](Self::handle).
    pub fn poll(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Input::Timeout`] is due; `None`: nothing pending.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        self.exchanges.values().map(|exchange| exchange.due).min()
    }

    /// Whether something is expected from this address: a socket that is shared sorts its datagrams by that.
    #[must_use]
    pub fn expects(&self, from: SocketAddr) -> bool {
        self.exchanges.values().any(|exchange| exchange.to == from)
    }

    fn start(&mut self, now: Instant, id: ExchangeId, to: SocketAddr, ask: Ask, retries: u8) {
        let awaits = Awaits::Connection;
        let retries = retries.min(UDP_RETRIES);
        let exchange = Exchange { to, ask, awaits, transaction: 0, tries: 0, retries, connected: false, due: now };
        self.exchanges.insert(id, exchange);
        self.send(now, id);
    }

    /// Sends what the exchange needs next, or waits for a connection id that is on its way.
    fn send(&mut self, now: Instant, id: ExchangeId) {
        self.connections.retain(|_, (_, since)| now.saturating_duration_since(*since) < UDP_CONNECTION_AGE);
        let transaction = self.random.u32(..);
        let Some(to) = self.exchanges.get(&id).map(|exchange| exchange.to) else { return };
        let connection = self.connections.get(&to).map(|(connection, _)| *connection);
        let asked = self.waiting_at(to, Awaits::Connection).any(|other| other != id);
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        exchange.due = now + UDP_TIMEOUT * (1 << exchange.tries);
        exchange.tries += 1;
        exchange.transaction = transaction;
        let request = match connection {
            Some(connection) => {
                exchange.awaits = Awaits::Answer;
                exchange.ask.request(connection, transaction)
            }
            None if asked => {
                exchange.awaits = Awaits::OthersConnection;
                return;
            }
            None => {
                exchange.awaits = Awaits::Connection;
                Request::Connect { transaction }
            }
        };
        self.actions.push_back(Action::Send { to, packet: request.encode() });
    }

    fn receive(&mut self, now: Instant, from: SocketAddr, packet: &[u8]) {
        let Some(Response { transaction, body }) = Response::decode(packet, from) else { return };
        let asked = |exchange: &Exchange| {
            let ours = exchange.to == from && exchange.transaction == transaction;
            ours && exchange.awaits != Awaits::OthersConnection
        };
        let Some((&id, exchange)) = self.exchanges.iter().find(|(_, exchange)| asked(exchange)) else { return };
        let outcome = match (body, exchange.awaits, &exchange.ask) {
            (ResponseBody::Connect(connection), Awaits::Connection, _) => {
                self.connections.insert(from, (connection, now));
                return self.go_on(now, from);
            }
            (ResponseBody::Announce(reply), Awaits::Answer, Ask::Announce { .. }) => Ok(Outcome::Announce(reply)),
            (ResponseBody::Scrape(entries), Awaits::Answer, Ask::Scrape { info_hashes }) => {
                Ok(Outcome::Scrape(info_hashes.iter().copied().zip(entries).collect()))
            }
            (ResponseBody::Error(reason), ..) => {
                // It may be that the tracker has forgotten the connection: the next exchange asks anew.
                self.connections.remove(&from);
                let reason = if reason.is_empty() { "the tracker gives no reason".to_owned() } else { reason };
                Err(AnnounceError::Refused { reason, retry: None })
            }
            _ => return,
        };
        self.remove(now, id);
        self.actions.push_back(Action::Done { id, outcome });
    }

    /// A connection id has come: whoever waited for one asks now, and waits for its first answer as long as for a first.
    fn go_on(&mut self, now: Instant, tracker: SocketAddr) {
        let waiting = |exchange: &Exchange| exchange.to == tracker && exchange.awaits != Awaits::Answer;
        let ids = self.exchanges.iter().filter(|(_, exchange)| waiting(exchange)).map(|(id, _)| *id);
        for id in ids.collect::<Vec<_>>() {
            if let Some(exchange) = self.exchanges.get_mut(&id) {
                // Only once, so that a tracker which answers nothing but connects is given up in the end.
                exchange.tries = if exchange.connected { exchange.tries.saturating_sub(1) } else { 0 };
                exchange.connected = true;
            }
            self.send(now, id);
        }
    }

    fn time_out(&mut self, now: Instant) {
        let due = self.exchanges.iter().filter(|(_, exchange)| exchange.due <= now);
        for id in due.map(|(id, _)| *id).collect::<Vec<_>>() {
            if self.exchanges.get(&id).is_some_and(|exchange| exchange.tries <= exchange.retries) {
                self.send(now, id);
            } else {
                // Others that wait for the same connection id have their own time, and give up when it is over.
                self.exchanges.remove(&id);
                self.actions.push_back(Action::Done { id, outcome: Err(AnnounceError::Timeout) });
            }
        }
    }

    /// Takes an exchange out. If others wait for the connection id that it asked for, one of them asks in its place.
    fn remove(&mut self, now: Instant, id: ExchangeId) {
        let Some(gone) = self.exchanges.remove(&id) else { return };
        if gone.awaits != Awaits::Connection {
            return;
        }
        let heir = self.waiting_at(gone.to, Awaits::OthersConnection).next();
        if let Some(heir) = heir {
            if let Some(exchange) = self.exchanges.get_mut(&heir) {
                exchange.tries = exchange.tries.saturating_sub(1);
            }
            self.send(now, heir);
        }
    }

    fn waiting_at(&self, tracker: SocketAddr, awaits: Awaits) -> impl Iterator<Item = ExchangeId> {
        let waiting =
            move |exchange: &Exchange| exchange.to == tracker && exchange.awaits == awaits && exchange.tries > 0;
        self.exchanges.iter().filter(move |(_, exchange)| waiting(exchange)).map(|(id, _)| *id)
    }
}

impl Ask {
    fn request(&self, connection: u64, transaction: u32) -> Request {
        match self {
            Self::Announce { request, path_and_query } => Request::Announce {
                connection,
                transaction,
                request: (**request).clone(),
                path_and_query: path_and_query.clone(),
            },
            Self::Scrape { info_hashes } => {
                Request::Scrape { connection, transaction, info_hashes: info_hashes.clone() }
            }
        }
    }
}
