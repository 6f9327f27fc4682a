//! Trackers: announce and scrape over HTTP and UDP, tiers and their timing (BEP 3, 7, 12, 15, 21, 23, 24, 31, 41, 48).

mod announce;
pub mod http;
mod policy;
pub mod tiers;
pub mod udp;
mod url;

pub use announce::{AnnounceError, AnnounceReply, AnnounceRequest, Event, NamedPeer, Retry, ScrapeEntry, dialable};
pub use policy::{PolicyError, Reach, may_connect, redirect};
pub use tiers::{Tiers, TiersConfig};
pub use url::{MAX_URL_LENGTH, Scheme, TrackerUrl, UrlError};
