//! How many requests each web server has from us at once, over all torrents.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, Weak};

use riverrun_proto::limits::MAX_WEB_SEED_REQUESTS_PER_HOST;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The web servers that are being asked.
#[derive(Debug, Default)]
pub(crate) struct WebServers {
    by_authority: Mutex<BTreeMap<String, Weak<Semaphore>>>,
}

impl WebServers {
    /// Waits until this server may be asked once more; the permit is to be held until its answer has come.
    pub(super) async fn turn(&self, authority: String) -> Option<OwnedSemaphorePermit> {
        // Never closed. The permit keeps the semaphore, so a server that is not asked any more is forgotten.
        self.of(authority).acquire_owned().await.ok()
    }

    fn of(&self, authority: String) -> Arc<Semaphore> {
        let mut servers = self.by_authority.lock().expect("no panic while the servers are locked");
        if let Some(known) = servers.get(&authority).and_then(Weak::upgrade) {
            return known;
        }
        servers.retain(|_, known| known.strong_count() > 0);
        let new = Arc::new(Semaphore::new(MAX_WEB_SEED_REQUESTS_PER_HOST));
        servers.insert(authority, Arc::downgrade(&new));
        new
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn a_server_has_so_many_requests_at_once_and_is_forgotten_after_them() {
        let servers = WebServers::default();
        let mut held = Vec::new();
        for _ in 0..MAX_WEB_SEED_REQUESTS_PER_HOST {
            held.push(servers.turn("h:80".into()).await.unwrap());
        }
        assert_eq!(servers.of("h:80".into()).available_permits(), 0);
        assert_eq!(servers.of("g:80".into()).available_permits(), MAX_WEB_SEED_REQUESTS_PER_HOST);
        held.clear();
        drop(servers.turn("i:80".into()).await);
        assert_eq!(servers.by_authority.lock().unwrap().len(), 1, "only what was asked last");
    }
}
