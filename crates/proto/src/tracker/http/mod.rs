//! Trackers over HTTP: what stands in the request's URL and in the reply's body (BEP 3, 7, 23, 24, 31, 48).
//!
//! The exchange itself, TLS and decompression are the driver's. It collects the body in a [`Body`], follows redirects by
//! [`redirect`](super::redirect) and connects where [`may_connect`](super::may_connect) allows.

mod query;
mod reply;
mod serve;
#[cfg(test)]
mod tests;

pub use query::{announce_url, scrape_url};
pub use reply::{Body, parse_announce_reply, parse_scrape_reply};
pub use serve::{AnnounceQuery, QueryError, parse_announce_query, parse_scrape_query};
pub use serve::{write_announce_reply, write_failure, write_scrape_reply};
