//! How a torrent's trackers are: snapshots for people.

use std::time::Instant;

/// How it stands with a tracker.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum TrackerState {
    /// Not asked since the start: another one answers, or its turn has not come.
    Idle,
    /// It is being asked.
    Announcing {
        /// Since when.
        since: Instant,
    },
    /// It answered.
    Working,
    /// It did not answer, or refused.
    Failing {
        /// How often in a row.
        failures: u32,
    },
    /// It cannot be asked: its URL is of no use, or it said that we shall never ask again.
    GivenUp,
}

/// A snapshot of one tracker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrackerStatus {
    /// Its URL as the torrent has it, with any pass key in it: for the owner's eyes only.
    pub url: String,
    /// Its tier, from 0.
    pub tier: usize,
    /// How it stands.
    pub state: TrackerState,
    /// What went wrong last, printable and at most [`MAX_TRACKER_TEXT`](crate::limits::MAX_TRACKER_TEXT) bytes; gone once it
    /// answers.
    pub last_error: Option<String>,
    /// What it wants to be shown.
    pub warning: Option<String>,
    /// When it is asked next, if that is known.
    pub next_try: Option<Instant>,
    /// The peers in its last reply.
    pub peers: usize,
    /// The seeds that it knows of.
    pub seeders: Option<u32>,
    /// The others that it knows of.
    pub leechers: Option<u32>,
    /// How often the torrent was downloaded.
    pub downloaded: Option<u32>,
}
