//! One tracker of a torrent.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::status::{TrackerState, TrackerStatus};
use crate::limits::{MAX_ANNOUNCE_INTERVAL, MAX_TRACKER_RETRY, MAX_TRACKER_TEXT, TRACKER_RETRY};
use crate::tracker::{AnnounceError, AnnounceReply, Event, Retry, TrackerUrl};
use crate::wire::remote_text;

/// What is known of one tracker.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) tier: usize,
    /// The line it stands in.
    pub(super) line: usize,
    /// It has answered since the start, and has not been told that we go.
    pub(super) knows_us: bool,
    text: String,
    url: Option<Arc<TrackerUrl>>,
    /// It said that it will never serve us (BEP 31).
    never: bool,
    not_before: Option<Instant>,
    failures: u32,
    tracker_id: Option<Bytes>,
    announcing_since: Option<Instant>,
    last_error: Option<String>,
    last_reply: Option<Counts>,
}

/// What is kept of a reply.
#[derive(Clone, Debug)]
struct Counts {
    peers: usize,
    seeders: Option<u32>,
    leechers: Option<u32>,
    downloaded: Option<u32>,
    warning: Option<String>,
}

impl Member {
    pub(super) fn new(tier: usize, text: String) -> Self {
        let (url, last_error) = match TrackerUrl::parse(&text) {
            Ok(url) => (Some(Arc::new(url)), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Self {
            tier,
            line: 0,
            knows_us: false,
            text,
            url,
            never: false,
            not_before: None,
            failures: 0,
            tracker_id: None,
            announcing_since: None,
            last_error,
            last_reply: None,
        }
    }
    /// Its URL as it was named.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it can be asked now.
    pub(super) fn usable(&self, now: Instant) -> bool {
        self.url.is_some() && !self.never && self.not_before.is_none_or(|due| due <= now)
    }

    /// When it can be asked; `None`: never.
    pub(super) fn not_before(&self, now: Instant) -> Option<Instant> {
        (self.url.is_some() && !self.never).then(|| self.not_before.unwrap_or(now))
    }

    /// An announce to it leaves.
    pub(super) fn depart(&mut self, now: Instant) -> (Arc<TrackerUrl>, Option<Bytes>) {
        self.announcing_since = Some(now);
        let url = self.url.clone().expect("a tracker without a url is never usable");
        (url, self.tracker_id.clone())
    }

    /// The announce is over, one way or another.
    pub(super) fn landed(&mut self) {
        self.announcing_since = None;
    }

    pub(super) fn answered(&mut self, event: Option<Event>, reply: &AnnounceReply) {
        self.knows_us = event != Some(Event::Stopped);
        self.failures = 0;
        self.not_before = None;
        self.last_error = None;
        if reply.tracker_id.is_some() {
            self.tracker_id.clone_from(&reply.tracker_id);
        }
        self.last_reply = Some(Counts {
            peers: reply.peers.len() + reply.named_peers.len(),
            seeders: reply.seeders,
            leechers: reply.leechers,
            downloaded: reply.downloaded,
            warning: reply.warning.clone(),
        });
    }

    /// It is left alone for a time that doubles with each failure, with some chance in it so that the clients of a tracker
    /// that comes back do not come at once; or for as long as it said (BEP 31).
    pub(super) fn failed(&mut self, now: Instant, error: &AnnounceError, random: &mut fastrand::Rng) {
        self.last_error = Some(remote_text(error.to_string().as_bytes(), MAX_TRACKER_TEXT));
        let wait = TRACKER_RETRY.saturating_mul(1 << self.failures.min(10)).min(MAX_TRACKER_RETRY);
        self.failures = self.failures.saturating_add(1);
        let mut wait = wait + wait.mul_f64(random.f64() / 4.0);
        if let AnnounceError::Refused { retry: Some(retry), .. } = error {
            match retry {
                Retry::Never => self.never = true,
                Retry::After(said) => wait = wait.max((*said).min(MAX_ANNOUNCE_INTERVAL)),
            }
        }
        self.not_before = Some(now + wait);
    }

    /// `next`: when it is told regularly, if it is the one that is told.
    pub(super) fn status(&self, next: Option<Instant>) -> TrackerStatus {
        let state = match self.announcing_since {
            _ if self.url.is_none() || self.never => TrackerState::GivenUp,
            Some(since) => TrackerState::Announcing { since },
            None if self.failures > 0 => TrackerState::Failing { failures: self.failures },
            None if self.knows_us => TrackerState::Working,
            None => TrackerState::Idle,
        };
        let counts = self.last_reply.as_ref();
        TrackerStatus {
            url: self.text.clone(),
            tier: self.tier,
            state,
            last_error: self.last_error.clone(),
            warning: counts.and_then(|counts| counts.warning.clone()),
            next_try: if state == TrackerState::GivenUp { None } else { self.not_before.max(next) },
            peers: counts.map_or(0, |counts| counts.peers),
            seeders: counts.and_then(|counts| counts.seeders),
            leechers: counts.and_then(|counts| counts.leechers),
            downloaded: counts.and_then(|counts| counts.downloaded),
        }
    }
}
