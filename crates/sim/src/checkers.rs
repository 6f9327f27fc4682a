//! The rules that hold in every scenario, looked at after every event.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use riverrun_metainfo::Block;
use riverrun_proto::swarm::{ConnectionId, Swarm};

use crate::disk::Disk;
use crate::host::HostId;

/// A rule was broken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("after {at:?}, {host:?}: {what}")]
pub struct Violation {
    /// When, since the world began.
    pub at: Duration,
    /// By whom or for whom.
    pub host: HostId,
    /// What.
    pub what: String,
}

/// What is counted for one host to judge it.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Requests to a connection that have no answer yet.
    open: BTreeMap<(ConnectionId, Block), u32>,
    /// Their number for each connection.
    outstanding: BTreeMap<ConnectionId, u32>,
    /// Timeouts in a row at one moment.
    wakes: (Option<Instant>, u32),
}

impl Ledger {
    /// The most requests that any scripted or real peer accepts (BEP 10).
    const REQQ: u32 = riverrun_proto::limits::ADVERTISED_REQQ;
    /// Timeouts at one moment that are taken for a loop.
    const MOST_WAKES: u32 = 100;

    /// The host asks for a block.
    ///
    /// # Errors
    /// Too many requests are outstanding.
    pub(crate) fn asks(&mut self, connection: ConnectionId, block: Block) -> Result<(), String> {
        *self.open.entry((connection, block)).or_default() += 1;
        let outstanding = self.outstanding.entry(connection).or_default();
        *outstanding += 1;
        if *outstanding > Self::REQQ { Err(format!("{outstanding} requests outstanding")) } else { Ok(()) }
    }

    /// A request is answered by a block or a reject.
    ///
    /// # Errors
    /// It was answered before, or never made.
    pub(crate) fn answered(&mut self, connection: ConnectionId, block: Block) -> Result<(), String> {
        let open = self.open.get_mut(&(connection, block)).filter(|open| **open > 0);
        let open = open.ok_or_else(|| format!("a second answer for {block:?} by an honest peer"))?;
        *open -= 1;
        if *open == 0 {
            self.open.remove(&(connection, block));
        }
        self.outstanding.entry(connection).and_modify(|outstanding| *outstanding -= 1);
        Ok(())
    }

    /// A connection is gone, and with it what was open.
    pub(crate) fn ended(&mut self, connection: ConnectionId) {
        self.open.retain(|(asked, _), _| *asked != connection);
        self.outstanding.remove(&connection);
    }

    /// The requests to a connection that have no answer.
    pub(crate) fn unanswered(&self, connection: ConnectionId) -> usize {
        self.open.keys().filter(|(asked, _)| *asked == connection).count()
    }

    /// A timer of the host fired.
    ///
    /// # Errors
    /// It fires again and again while no time passes.
    pub(crate) fn woke(&mut self, now: Instant) -> Result<(), String> {
        self.wakes = if self.wakes.0 == Some(now) { (Some(now), self.wakes.1 + 1) } else { (Some(now), 0) };
        if self.wakes.1 > Self::MOST_WAKES { Err("timers fire in a loop".to_owned()) } else { Ok(()) }
    }
}

/// A swarm says it has only what the disk found right.
///
/// # Errors
/// It does not.
pub(crate) fn has_only_verified(swarm: &Swarm, disk: &Disk) -> Result<(), String> {
    if swarm.have().any_missing_from(disk.verified()) { Err("has what was not verified".to_owned()) } else { Ok(()) }
}

/// Nobody is banned who does not lie.
///
/// # Errors
/// An innocent is.
pub(crate) fn ban_is_just(banned: IpAddr, liars: &[IpAddr]) -> Result<(), String> {
    if liars.contains(&banned) { Ok(()) } else { Err(format!("bans {banned}, who never lied")) }
}
