//! Trackers: announce and scrape over HTTP and UDP, tiers and their timing (BEP 3, 7, 12, 15, 21, 23, 24, 31, 41, 48).
//!
//! [`Tiers`] decides which tracker of a torrent is told what, and when. The driver resolves the name, asks [`may_connect`],
//! and makes the announce: over HTTP with the URLs and replies of [`http`], over UDP with the machine of [`udp`]. It announces
//! once for each family of addresses (BEP 7) and puts the answers together by [`AnnounceReply::merged`]. Both sides of both
//! protocols are here; [`server`] is a tracker of our own.

mod announce;
pub mod http;
mod policy;
pub mod server;
pub mod tiers;
pub mod udp;
mod url;

pub use announce::{AnnounceError, AnnounceReply, AnnounceRequest, Event, NamedPeer, Retry, ScrapeEntry, dialable};
pub use policy::{PolicyError, Reach, may_connect, redirect};
pub use tiers::{Tiers, TiersConfig};
pub use url::{MAX_URL_LENGTH, Scheme, TrackerUrl, UrlError};
