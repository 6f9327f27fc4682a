//! When to give a torrent up for which nothing comes.

use std::time::{Duration, Instant};

use riverrun::{DhtUse, Phase, TorrentStatus, TrackerState, WebSeedState};

use super::ending;
use crate::failure::Failure;

/// How long nothing has come for a torrent.
#[derive(Debug)]
pub(crate) struct Patience {
    began: Instant,
    /// When something came last, and how much had come then.
    last: (Instant, u64),
    ever_connected: bool,
}

impl Patience {
    pub(crate) fn new(now: Instant) -> Self {
        Self { began: now, last: (now, 0), ever_connected: false }
    }

    /// Looks at the torrent; why it is to be given up, if it is.
    pub(crate) fn look(&mut self, now: Instant, status: &TorrentStatus, limits: &Limits) -> Option<Failure> {
        let came = match status.phase {
            Phase::FetchingMetadata { have_blocks, .. } => Some(u64::from(have_blocks)),
            Phase::Downloading => Some(status.down_bytes),
            _ => None,
        };
        if came != Some(self.last.1) {
            self.last = (now, came.unwrap_or(0));
        }
        self.ever_connected |= status.connections > 0 || status.web_seeds.iter().any(|seed| seed.down_bytes > 0);
        let silent = now.duration_since(self.last.0);
        let refused =
            status.connections == 0 && status.candidates == 0 && all_refused(status) && all_web_seeds_failed(status);
        let hopeless = matches!(status.phase, Phase::Downloading) && is_hopeless(status);
        let lonely = !self.ever_connected && limits.wait_peers.is_some_and(|wait| silent >= wait);
        let over = refused || hopeless || lonely || limits.stall.is_some_and(|stall| silent >= stall);
        over.then(|| ending::stalled(status, silent, now.duration_since(self.began)))
    }
}

/// How long nothing may come; `None` is for ever.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) stall: Option<Duration>,
    /// At the start, while no peer was met.
    pub(crate) wait_peers: Option<Duration>,
}

/// Whether every web seed rests for what it did; also where there is none.
fn all_web_seeds_failed(status: &TorrentStatus) -> bool {
    status.web_seeds.iter().all(|seed| matches!(seed.state, WebSeedState::Rests(_)))
}

/// Whether there were web seeds alone, and none of them is of any use for long.
fn is_hopeless(status: &TorrentStatus) -> bool {
    let nobody = status.connections == 0 && status.candidates == 0;
    let nobody_to_ask = status.trackers.is_empty() && !status.lsd && !matches!(status.dht, DhtUse::On { .. });
    nobody && nobody_to_ask && !status.web_seeds.is_empty() && status.web_seeds.iter().all(|seed| seed.given_up)
}

/// Whether every tracker was asked and said no itself.
fn all_refused(status: &TorrentStatus) -> bool {
    let refused = |state: &TrackerState| matches!(state, TrackerState::Failed { refused: true, .. });
    !status.trackers.is_empty() && status.trackers.iter().all(|tracker| refused(&tracker.state))
}
