//! Trackers that are asked one after the other.

use std::time::{Duration, Instant};

use super::AnnounceId;
use crate::limits::{MAX_ANNOUNCE_INTERVAL, MAX_MIN_INTERVAL, MIN_ANNOUNCE_INTERVAL};
use crate::tracker::{AnnounceReply, Event};

/// One or more tiers, of which one tracker is told.
#[derive(Debug)]
pub(super) struct Line {
    /// The trackers by tier, in the order they are asked.
    pub(super) tiers: Vec<Vec<usize>>,
    pub(super) state: LineState,
    /// Where the search goes on, counted over all tiers.
    pub(super) position: usize,
    /// The tracker that answered last.
    pub(super) current: Option<usize>,
    /// The download is complete, and no tracker of the line has heard so.
    pub(super) owes_completed: bool,
    /// Before this the current tracker wants no announce without an event.
    earliest: Option<Instant>,
    /// The next announce comes before its interval is over.
    hastened: bool,
    /// Such announces in a row: each makes the next one wait longer.
    early: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LineState {
    /// Not started.
    Off,
    /// The next announce is at that time, from the front of the line.
    Resting(Instant),
    /// A tracker has failed: the next one is asked at that time.
    Asking(Instant),
    /// One announce is under way.
    Announcing(AnnounceId),
    /// No tracker is left that could be asked.
    Dead,
}

impl Line {
    pub(super) fn new(tier: Vec<usize>) -> Self {
        Self {
            tiers: vec![tier],
            state: LineState::Off,
            position: 0,
            current: None,
            owes_completed: false,
            earliest: None,
            hastened: false,
            early: 0,
        }
    }

    /// The trackers in the order they are asked.
    pub(super) fn order(&self) -> impl Iterator<Item = usize> {
        self.tiers.iter().flatten().copied()
    }

    /// When the next announce is to leave, if none is under way.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.state {
            LineState::Resting(due) | LineState::Asking(due) => Some(due),
            LineState::Off | LineState::Announcing(_) | LineState::Dead => None,
        }
    }

    /// When this tracker is asked next because it is the one that answers.
    pub(super) fn next_announce(&self, member: usize) -> Option<Instant> {
        self.due().filter(|_| self.current == Some(member))
    }

    pub(super) fn begin(&mut self, now: Instant) {
        self.state = LineState::Resting(now);
        self.owes_completed = false;
        self.earliest = None;
        self.hastened = false;
        self.early = 0;
    }

    /// An event does not wait for the interval.
    pub(super) fn owe_completed(&mut self, now: Instant) {
        self.owes_completed = true;
        if let LineState::Resting(due) = &mut self.state {
            *due = now.min(*due);
        }
    }

    /// Peers are needed: the interval is cut as far as the tracker allows.
    pub(super) fn hasten(&mut self, now: Instant) {
        if let LineState::Resting(due) = &mut self.state
            && let Some(earliest) = self.earliest
            && earliest.max(now) <= *due
        {
            *due = earliest.max(now);
            self.hastened = true;
        }
    }

    /// Where in the order the search goes on: from the front but after a failure (BEP 12).
    pub(super) fn next_in_round(&self) -> usize {
        if matches!(self.state, LineState::Asking(_)) { self.position } else { 0 }
    }

    /// One more tier at the end.
    pub(super) fn append(&mut self, now: Instant, tier: Vec<usize>) {
        let before = self.order().count();
        self.tiers.push(tier);
        if self.current.is_none() && matches!(self.state, LineState::Dead | LineState::Resting(_)) {
            (self.state, self.position) = (LineState::Asking(now), before);
        }
    }

    /// No tracker may be asked now.
    pub(super) fn rest_until(&mut self, due: Option<Instant>) {
        self.state = due.map_or(LineState::Dead, LineState::Resting);
    }

    /// A tracker has answered: it moves to the front of its tier (BEP 12), and the line rests.
    pub(super) fn answered(&mut self, now: Instant, member: usize, event: Option<Event>, reply: &AnnounceReply) {
        for tier in &mut self.tiers {
            if let Some(place) = tier.iter().position(|other| *other == member) {
                tier[..=place].rotate_right(1);
            }
        }
        self.owes_completed &= event != Some(Event::Completed);
        self.early = if self.hastened { self.early.saturating_add(1) } else { 0 };
        self.hastened = false;
        let min_interval = reply.min_interval.map(|least| least.min(MAX_MIN_INTERVAL));
        let interval = reply.interval.clamp(MIN_ANNOUNCE_INTERVAL, MAX_ANNOUNCE_INTERVAL);
        let interval = interval.max(min_interval.unwrap_or(Duration::ZERO));
        // Where the tracker sets no least interval, each early announce doubles ours.
        let patience = MIN_ANNOUNCE_INTERVAL.saturating_mul(1 << self.early.min(16));
        self.earliest =
            Some(now + min_interval.map_or(patience, |least| least.max(MIN_ANNOUNCE_INTERVAL)).min(interval));
        self.state = LineState::Resting(if self.owes_completed { now } else { now + interval });
    }
}
