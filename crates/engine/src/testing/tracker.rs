//! A tracker on loopback that remembers what it was told.

use std::io;
use std::net::Ipv4Addr;
use std::ops::Deref;

use crate::StartError;

/// The most announces that are remembered.
const JOURNAL: usize = 100_000;

/// A [`Tracker`](crate::Tracker) of any torrent on a free port of 127.0.0.1, with a journal. It stops when dropped.
#[derive(Debug)]
pub struct Tracker(crate::Tracker);

impl Tracker {
    /// Starts it on the tokio runtime that this is called from.
    ///
    /// # Errors
    /// Loopback cannot be listened on.
    pub async fn start() -> io::Result<Self> {
        let builder = crate::Tracker::builder().listen([(Ipv4Addr::LOCALHOST, 0).into()]).journal(JOURNAL);
        let started = builder.start().await.map_err(|error| match error {
            StartError::Listen { source, .. } => source,
            other => io::Error::other(other),
        });
        started.map(Self)
    }

    /// Its announce URL over HTTP.
    #[must_use]
    pub fn http_url(&self) -> String {
        format!("http://{}/announce", self.0.http_addrs()[0])
    }

    /// Its announce URL over UDP.
    #[must_use]
    pub fn udp_url(&self) -> String {
        format!("udp://{}/announce", self.0.udp_addrs()[0])
    }
}

impl Deref for Tracker {
    type Target = crate::Tracker;

    fn deref(&self) -> &crate::Tracker {
        &self.0
    }
}
