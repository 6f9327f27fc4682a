//! A small tracker on loopback, HTTP and UDP.

use std::io;

/// A tracker of any torrent, over HTTP and UDP, on free ports of 127.0.0.1. It stops when dropped.
#[derive(Debug)]
pub struct Tracker {}

impl Tracker {
    /// Starts it on the tokio runtime that this is called from.
    ///
    /// # Errors
    /// Loopback cannot be listened on.
    pub async fn start() -> io::Result<Self> {
        todo!("skeleton")
    }

    /// Its announce URL over HTTP.
    #[must_use]
    pub fn http_url(&self) -> String {
        todo!("skeleton")
    }

    /// Its announce URL over UDP.
    #[must_use]
    pub fn udp_url(&self) -> String {
        todo!("skeleton")
    }
}
