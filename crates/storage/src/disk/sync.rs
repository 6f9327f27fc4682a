//! The thread that syncs: one sync can take seconds, and nothing else should wait for it.

use std::sync::Arc;

use super::Done;
use super::queue::{Queue, Tray, Woken, Work};

pub(super) fn run(queue: &Queue) {
    let mut tray = Tray::default();
    while queue.take(&mut tray, 0, None) != Woken::Stopped {
        for job in tray.work.drain(..) {
            let Work::Sync { token } = job.work else { continue };
            if job.torrent.is_cancelled() {
                continue;
            }
            let storage = &job.torrent.storage;
            let result = storage.sync().and_then(|()| storage.presence()).map_err(Arc::new);
            job.torrent.sink.done(&mut vec![Done::Synced { token, result }]);
            if queue.is_stopped() {
                return;
            }
        }
    }
}
