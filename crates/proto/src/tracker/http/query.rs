//! The URLs that are asked for.

use std::fmt::Write;

use riverrun_metainfo::WireHash;

use crate::tracker::url::push_encoded;
use crate::tracker::{AnnounceRequest, Event, TrackerUrl};

/// The URL of an announce: the tracker's own, with our parameters behind those that it has (pass keys stay).
#[must_use]
pub fn announce_url(tracker: &TrackerUrl, request: &AnnounceRequest) -> String {
    let AnnounceRequest { port, uploaded, downloaded, left, key, .. } = request;
    let mut ours = String::from("info_hash=");
    push_encoded(&mut ours, &request.info_hash.0);
    ours.push_str("&peer_id=");
    push_encoded(&mut ours, &request.peer_id.0);
    // The key has eight digits always: some trackers compare it as text.
    let numbers =
        format!("&port={port}&uploaded={uploaded}&downloaded={downloaded}&left={left}&key={key:08X}&compact=1");
    ours.push_str(&numbers);
    let mut number = |name: &str, value: &dyn std::fmt::Display| {
        write!(ours, "&{name}={value}").expect("a string takes what is written");
    };
    if let Some(num_want) = request.num_want {
        number("numwant", &num_want);
    }
    if let Some(event) = request.event {
        number("event", &event.as_str());
    }
    if let Some(ip) = request.ipv4 {
        number("ipv4", &ip);
    }
    if let Some(ip) = request.ipv6 {
        number("ipv6", &ip);
    }
    if let Some(id) = &request.tracker_id {
        ours.push_str("&trackerid=");
        push_encoded(&mut ours, id);
    }
    tracker.with_path(tracker.path(), tracker.query().into_iter().chain([ours.as_str()]))
}

/// The URL of a scrape (BEP 48): `scrape` for the `announce` after the last `/` of the path. `None`: a tracker with
/// another path has no scrape.
#[must_use]
pub fn scrape_url(tracker: &TrackerUrl, info_hashes: &[WireHash]) -> Option<String> {
    let (folder, page) = tracker.path().rsplit_once('/')?;
    let path = format!("{folder}/scrape{}", page.strip_prefix("announce")?);
    let ours: Vec<String> = info_hashes
        .iter()
        .map(|info_hash| {
            let mut part = String::from("info_hash=");
            push_encoded(&mut part, &info_hash.0);
            part
        })
        .collect();
    Some(tracker.with_path(&path, tracker.query().into_iter().chain(ours.iter().map(String::as_str))))
}

impl Event {
    /// The event as it stands in a query.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Completed => "completed",
            Self::Stopped => "stopped",
            Self::Paused => "paused",
        }
    }
}
