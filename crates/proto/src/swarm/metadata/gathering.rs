//! Fetching the metadata from several peers at once (BEP 9).
//!
//! What a peer claims is believed of that peer alone: each claimed size has a copy of its own, to which only those give who
//! claim it. A copy that fails its hash is fetched again from one peer at a time, so that the next failure convicts
//! somebody; when a copy is right at last, those who gave other bytes before are convicted, too (THREATS P21).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use bytes::Bytes;
use riverrun_metainfo::BLOCK_LENGTH;
use smallvec::SmallVec;

use super::copy::{Copy, Turn};
use crate::limits;
use crate::swarm::ConnectionId;
use crate::swarm::conduct::Breach;

/// Who is asked for which piece of the metadata, and what has come.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    givers: BTreeMap<ConnectionId, Giver>,
    /// By the size that is claimed.
    copies: BTreeMap<u32, Copy>,
    /// The size of the copy whose hash is being taken.
    judging: Option<u32>,
}

/// A peer that claims to have the metadata.
#[derive(Debug)]
struct Giver {
    address: IpAddr,
    size: u32,
    asked: SmallVec<[(u32, Instant); limits::MAX_METADATA_REQUESTS]>,
    /// Requests that were given up and may still be answered.
    late: Vec<u32>,
    rests_until: Option<Instant>,
    /// Rejects and silences in a row.
    failures: u32,
}

/// How far the metadata is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct MetadataStatus {
    /// Blocks of 16 KiB that are here.
    pub have_blocks: u32,
    /// Blocks there are, as peers say; 0 while nobody has said so.
    pub blocks: u32,
    /// Peers that say they have it.
    pub peers: usize,
}

impl Giver {
    fn rests(&self, now: Instant) -> bool {
        self.rests_until.is_some_and(|until| now < until)
    }

    fn failed(&mut self, now: Instant) {
        let rest = limits::METADATA_REST * 2u32.pow(self.failures.min(6));
        self.failures += 1;
        self.rests_until = Some(now + rest.min(limits::MAX_METADATA_REST));
    }

    /// Takes back what it was asked for; the answers may still come.
    fn give_up(&mut self, copy: Option<&mut Copy>, which: impl Fn(Instant) -> bool) {
        let mut pieces: SmallVec<[u32; limits::MAX_METADATA_REQUESTS]> = SmallVec::new();
        self.asked.retain(|(piece, at)| {
            let goes = which(*at);
            if goes {
                pieces.push(*piece);
            }
            !goes
        });
        if let Some(copy) = copy {
            pieces.iter().for_each(|piece| copy.give_up(*piece));
        }
        self.late.extend(pieces);
        let over = self.late.len().saturating_sub(limits::MAX_METADATA_LATE);
        self.late.drain(..over);
    }
}

impl Gathering {
    /// A peer said what it has: the size of its metadata, or nothing (any more).
    pub(super) fn claims(&mut self, connection: ConnectionId, address: IpAddr, size: Option<u32>) {
        if self.givers.get(&connection).map(|giver| giver.size) == size {
            return;
        }
        let mut late = Vec::new();
        if let Some(mut before) = self.remove(connection) {
            late = std::mem::take(&mut before.late);
        }
        let Some(size) = size else { return };
        let giver = Giver { address, size, asked: SmallVec::new(), late, rests_until: None, failures: 0 };
        self.givers.insert(connection, giver);
        self.copies.entry(size).or_insert_with(|| Copy::new(size));
    }

    /// A connection is gone.
    pub(super) fn gone(&mut self, connection: ConnectionId) {
        self.remove(connection);
    }

    fn remove(&mut self, connection: ConnectionId) -> Option<Giver> {
        let mut giver = self.givers.remove(&connection)?;
        giver.give_up(self.copies.get_mut(&giver.size), |_| true);
        let wanted = self.givers.values().any(|other| other.size == giver.size) || self.judging == Some(giver.size);
        // What is here stays as long as somebody may complete it, or nobody claims anything else.
        if wanted || self.copies.len() == 1 {
            self.copies.get_mut(&giver.size)?.left(connection);
        } else {
            self.copies.remove(&giver.size);
        }
        Some(giver)
    }

    /// A piece came.
    ///
    /// # Errors
    /// It was not asked for, or has not the length that follows from the size which the peer claims.
    pub(super) fn received(&mut self, connection: ConnectionId, piece: u32, data: &Bytes) -> Result<(), Breach> {
        const UNASKED: Breach = "metadata that was not asked for";
        let giver = self.givers.get_mut(&connection).ok_or(UNASKED)?;
        let mut copy = self.copies.get_mut(&giver.size);
        if let Some(at) = giver.asked.iter().position(|(asked, _)| *asked == piece) {
            giver.asked.remove(at);
            copy.iter_mut().for_each(|copy| copy.give_up(piece));
        } else {
            let at = giver.late.iter().position(|late| *late == piece).ok_or(UNASKED)?;
            giver.late.remove(at);
        }
        let rest = giver.size.saturating_sub(piece.saturating_mul(BLOCK_LENGTH));
        if data.len() != rest.min(BLOCK_LENGTH) as usize {
            return Err("metadata of another length than it says");
        }
        (giver.failures, giver.rests_until) = (0, None);
        if let Some(copy) = copy.filter(|_| self.judging != Some(giver.size)) {
            copy.store(connection, giver.address, piece, data.clone());
        }
        self.make_room();
        Ok(())
    }

    /// Drops the largest copies while too much is held.
    fn make_room(&mut self) {
        while self.copies.len() > 1
            && self.copies.values().map(Copy::held_bytes).sum::<usize>() > limits::MAX_METADATA_HELD
            && let Some(mut largest) = self.copies.last_entry()
            && largest.get().held_bytes() > 0
        {
            largest.get_mut().begin_again();
        }
    }

    /// A peer will not answer a request.
    pub(super) fn rejected(&mut self, now: Instant, connection: ConnectionId, piece: u32) -> Result<(), Breach> {
        let giver = self.givers.get_mut(&connection).ok_or("reject of metadata that was not asked for")?;
        giver.late.retain(|late| *late != piece);
        if let Some(at) = giver.asked.iter().position(|(asked, _)| *asked == piece) {
            giver.asked.remove(at);
            if let Some(copy) = self.copies.get_mut(&giver.size) {
                copy.give_up(piece);
            }
            giver.failed(now);
        }
        Ok(())
    }

    /// Takes back requests that were not answered in time, and ends turns that are over.
    pub(super) fn tick(&mut self, now: Instant) {
        let overdue = |at: Instant| at + limits::METADATA_TIMEOUT <= now;
        for giver in self.givers.values_mut() {
            if giver.asked.iter().any(|(_, at)| overdue(*at)) {
                giver.give_up(self.copies.get_mut(&giver.size), overdue);
                giver.failed(now);
            }
        }
        for (size, copy) in &mut self.copies {
            let Some(turn) = copy.turn().filter(|_| self.judging != Some(*size)) else { continue };
            let giver = self.givers.get_mut(&turn.connection);
            if turn.until <= now || giver.as_ref().is_none_or(|giver| giver.rests(now)) {
                if let Some(giver) = giver {
                    giver.give_up(Some(copy), |_| true);
                    giver.rests_until = Some(now + limits::MAX_METADATA_REST);
                }
                copy.end_turn();
            }
        }
    }

    /// What is to be asked of whom now.
    pub(super) fn requests(&mut self, now: Instant) -> Vec<(ConnectionId, u32)> {
        let mut requests = Vec::new();
        for (size, copy) in self.copies.iter_mut().filter(|(size, _)| self.judging != Some(**size)) {
            if copy.needs_turn() {
                let willing = self.givers.iter().filter(|(_, giver)| giver.size == *size && !giver.rests(now));
                let mut willing = willing.map(|(connection, _)| *connection);
                let last = copy.last_turn();
                let next = willing.clone().find(|connection| Some(*connection) > last).or_else(|| willing.next());
                if let Some(connection) = next {
                    let time = limits::METADATA_TIMEOUT + limits::METADATA_ALONE_PER_PIECE * copy.pieces();
                    copy.begin_turn(Turn { connection, until: now + time });
                }
            }
            for (connection, giver) in self.givers.iter_mut().filter(|(_, giver)| giver.size == *size) {
                while giver.asked.len() < limits::MAX_METADATA_REQUESTS
                    && !giver.rests(now)
                    && copy.takes_from(*connection)
                {
                    let Some(piece) = copy.next(now, |piece| giver.asked.iter().any(|(asked, _)| *asked == piece))
                    else {
                        break;
                    };
                    giver.asked.push((piece, now));
                    requests.push((*connection, piece));
                }
            }
        }
        requests
    }

    /// A copy that is whole and is to be judged; one at a time.
    pub(super) fn whole(&mut self) -> Option<Vec<Bytes>> {
        if self.judging.is_some() {
            return None;
        }
        let (size, copy) = self.copies.iter().find(|(_, copy)| copy.is_whole())?;
        self.judging = Some(*size);
        Some(copy.parts())
    }

    /// The copy that was judged is wrong. Who is proved to have lied.
    pub(super) fn wrong(&mut self) -> BTreeSet<IpAddr> {
        let Some(size) = self.judging.take() else { return BTreeSet::new() };
        for giver in self.givers.values_mut().filter(|giver| giver.size == size) {
            giver.give_up(None, |_| true);
        }
        let guilty = self.copies.get_mut(&size).and_then(Copy::wrong);
        guilty.into_iter().collect()
    }

    /// The copy that was judged is right. Who is proved to have lied before.
    pub(super) fn right(&mut self) -> BTreeSet<IpAddr> {
        let copy = self.judging.take().and_then(|size| self.copies.remove(&size));
        copy.map(|copy| copy.liars()).unwrap_or_default()
    }

    /// How far it is: the copy of which most is here.
    pub(super) fn status(&self) -> MetadataStatus {
        let best = self.copies.values().max_by_key(|copy| copy.have());
        MetadataStatus {
            have_blocks: best.map_or(0, Copy::have),
            blocks: best.map_or(0, Copy::pieces),
            peers: self.givers.len(),
        }
    }
}
