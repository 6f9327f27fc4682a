//! Queries that are under way, and whose replies they are (THREATS D6).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::contact::Family;
use super::id::Id;
use super::limits::{DEFAULT_LATE, MAX_LATE, MAX_QUERIES, MIN_LATE, QUERY_TIMEOUT};
use super::lookup::Key;
use super::secrets::Secrets;

/// What a query is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Purpose {
    /// To see whether the node is there.
    Ping,
    /// A step of a lookup.
    Step(Key),
    /// To leave something there at the end of a lookup.
    Store(Key),
}

/// A query that is under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exchange {
    pub(super) to: SocketAddr,
    /// The id that the node is known by; a reply under another is a failure of the known one.
    pub(super) id: Option<Id>,
    pub(super) purpose: Purpose,
    sent: Instant,
    /// Its entry among the due times.
    due: Instant,
}

/// What time has brought.
#[derive(Clone, Copy, Debug)]
pub(super) enum Overdue {
    /// The answer is later than usual; it may still come.
    Late(Exchange),
    /// The answer is not waited for any longer.
    Lost(Exchange),
}

/// The queries under way, by their transaction ids: 32 bits that nobody can guess, and a reply must come from where the
/// query went.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    open: BTreeMap<u32, Exchange>,
    due: BTreeSet<(Instant, u32)>,
    trips: [Option<Trip>; 2],
}

/// How long answers take (RFC 6298).
#[derive(Clone, Copy, Debug)]
struct Trip {
    mean: Duration,
    variance: Duration,
}

impl Exchanges {
    /// Begins a query; `None` if too many are under way.
    pub(super) fn begin(
        &mut self,
        now: Instant,
        secrets: &mut Secrets,
        to: SocketAddr,
        id: Option<Id>,
        purpose: Purpose,
    ) -> Option<u32> {
        if self.open.len() >= MAX_QUERIES {
            return None;
        }
        let transaction = std::iter::repeat_with(|| u32::from_be_bytes(secrets.bytes()))
            .find(|transaction| !self.open.contains_key(transaction))?;
        let due = now + self.late_after(Family::of(to.ip()));
        self.due.insert((due, transaction));
        self.open.insert(transaction, Exchange { to, id, purpose, sent: now, due });
        Some(transaction)
    }

    /// Ends the query that a reply belongs to. `None`: nobody asked there.
    pub(super) fn end(&mut self, now: Instant, from: SocketAddr, transaction: &[u8]) -> Option<Exchange> {
        let transaction = u32::from_be_bytes(transaction.try_into().ok()?);
        let exchange = *self.open.get(&transaction).filter(|exchange| exchange.to == from)?;
        self.open.remove(&transaction);
        self.due.remove(&(exchange.due, transaction));
        self.learn(Family::of(from.ip()), now.saturating_duration_since(exchange.sent));
        Some(exchange)
    }

    /// The next query whose time has come, if one has.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<Overdue> {
        let (at, transaction) = *self.due.first().filter(|(at, _)| *at <= now)?;
        self.due.remove(&(at, transaction));
        let exchange = self.open.get_mut(&transaction)?;
        let end = exchange.sent + QUERY_TIMEOUT;
        if at < end {
            exchange.due = end;
            self.due.insert((end, transaction));
            return Some(Overdue::Late(*exchange));
        }
        self.open.remove(&transaction).map(Overdue::Lost)
    }

    /// When the next query's time comes.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Whether a query to this address is under way.
    pub(super) fn is_asked(&self, addr: SocketAddr) -> bool {
        self.open.values().any(|exchange| exchange.to == addr)
    }

    /// How many queries are under way.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// How long most answers take, with room for the usual deviation.
    fn late_after(&self, family: Family) -> Duration {
        match self.trips[family as usize] {
            Some(trip) => (trip.mean + 4 * trip.variance).clamp(MIN_LATE, MAX_LATE),
            None => DEFAULT_LATE,
        }
    }

    fn learn(&mut self, family: Family, took: Duration) {
        let trip = &mut self.trips[family as usize];
        *trip = Some(match *trip {
            None => Trip { mean: took, variance: took / 2 },
            Some(Trip { mean, variance }) => {
                Trip { mean: (7 * mean + took) / 8, variance: (3 * variance + mean.abs_diff(took)) / 4 }
            }
        });
    }
}

#[cfg(test)]
mod tests;
