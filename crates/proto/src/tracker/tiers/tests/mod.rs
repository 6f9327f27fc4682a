//! Tests of the machine with a hand-moved clock and trackers that answer as a test says.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::cast_possible_truncation)]

mod events;
mod order;
mod promises;
mod timing;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::limits::*;
use crate::tracker::Retry;

const MINUTE: Duration = Duration::from_secs(60);
const HALF_HOUR: Duration = Duration::from_secs(1800);

/// The machine, its clock, and what it has asked for.
struct Rig {
    tiers: Tiers,
    now: Instant,
    /// Announces under way, by host name.
    open: BTreeMap<AnnounceId, Announce>,
    /// Everything else since it was last taken.
    other: Vec<Action>,
}

impl Rig {
    fn new(tiers: &[&[&str]]) -> Self {
        Self::with(tiers, |_| ())
    }

    fn with(tiers: &[&[&str]], change: impl FnOnce(&mut TiersConfig)) -> Self {
        let url = |host: &&str| format!("http://{host}/announce");
        let tiers = tiers.iter().map(|tier| tier.iter().map(url).collect()).collect();
        let mut config = TiersConfig { tiers, private: false, announce_to_all: false, listen_port: 6881, seed: 7 };
        change(&mut config);
        Self { tiers: Tiers::new(config), now: Instant::now(), open: BTreeMap::new(), other: Vec::new() }
    }

    fn started(tiers: &[&[&str]]) -> Self {
        let mut rig = Self::new(tiers);
        rig.input(Input::Start { complete: false });
        rig
    }

    fn input(&mut self, input: Input) {
        self.tiers.handle(self.now, input);
        while let Some(action) = self.tiers.poll() {
            match action {
                Action::Announce(announce) => {
                    assert!(self.open.insert(announce.id, announce).is_none());
                }
                Action::Cancel(id) => {
                    self.open.remove(&id).expect("only what is under way is taken back");
                }
                other => self.other.push(other),
            }
        }
    }

    /// The announces under way: whom, and why.
    fn asked(&self) -> Vec<(String, Option<Event>)> {
        self.open.values().map(|announce| (announce.tracker.host().to_owned(), announce.event)).collect()
    }

    /// Asserts that exactly this is under way.
    fn expect(&self, host: &str, event: Option<Event>) {
        assert_eq!(self.asked(), [(host.to_owned(), event)]);
    }

    /// Ends the announce to `host`.
    fn end(&mut self, host: &str, result: Result<AnnounceReply, AnnounceError>) {
        let id = *self.open.iter().find(|(_, announce)| announce.tracker.host() == host).expect(host).0;
        self.open.remove(&id);
        self.input(Input::Reply { id, result });
    }

    fn answer(&mut self, host: &str) {
        self.end(host, Ok(reply()));
    }

    fn fail(&mut self, host: &str) {
        self.end(host, Err(AnnounceError::Timeout));
    }

    /// Moves the clock to the next due moment; how long that was.
    fn sleep(&mut self) -> Duration {
        let due = self.tiers.next_timeout().expect("something is due");
        let slept = due.saturating_duration_since(self.now);
        self.now = self.now.max(due);
        self.input(Input::Timeout);
        slept
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.input(Input::Timeout);
    }

    fn status(&self, host: &str) -> TrackerStatus {
        self.tiers.status().into_iter().find(|status| status.url.contains(&format!("//{host}/"))).unwrap()
    }
}

fn reply() -> AnnounceReply {
    AnnounceReply { interval: HALF_HOUR, ..AnnounceReply::default() }
}
