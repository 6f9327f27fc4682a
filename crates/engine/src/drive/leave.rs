//! The end of a torrent in a session.

use std::sync::{Arc, Weak};
use std::time::Duration;

use riverrun_proto::swarm::Command;
use riverrun_storage::FileStorage;
use tokio::time::{sleep, timeout};

use super::Core;
use super::stage::{Completion, Stage};
use super::{dht, records, tracker};
use crate::EventKind;

/// How long trackers are given to hear that we go.
const STOPPED_TIMEOUT: Duration = Duration::from_secs(5);
/// How long connections are given to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Stops a torrent with all courtesies: connections are closed, the disk is flushed, the record is written, the trackers are
/// told. Then it is forgotten.
pub(crate) async fn leave(core: Arc<Core>) {
    let running = core.act(|brain, now, effects| {
        brain.command(now, Command::Pause, effects);
        brain.life.paused = true;
        matches!(brain.life.stage, Stage::Running)
    });
    core.set_stopping();
    dht::withdraw(&core);
    let farewell = timeout(STOPPED_TIMEOUT, tracker::say_stopped(core.clone()));
    let saving = async {
        if running {
            // A peer that does not let us go does not keep us from saving.
            let _ = timeout(CLOSE_TIMEOUT, quiet(&core)).await;
            save(&core).await;
        } else {
            // Whoever opens its files keeps what a check has found so far.
            let _ = timeout(CLOSE_TIMEOUT, core.preparing.lock()).await;
        }
    };
    // A tracker that does not answer is told nothing.
    let _ = tokio::join!(farewell, saving);
    if let Some(files) = abandon(&core) {
        let released = async {
            // The threads let go within microseconds, and nobody is there to tell of it.
            while files.strong_count() > 0 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        // A disk that hangs keeps them; then they are in use for whoever comes next, too.
        let _ = timeout(CLOSE_TIMEOUT, released).await;
    }
    core.emit(EventKind::Removed);
}

/// Waits until no connection is left.
async fn quiet(core: &Core) {
    loop {
        let changed = core.quiet.notified();
        tokio::pin!(changed);
        changed.as_mut().enable();
        if core.look(|brain| brain.exchange.as_ref().is_none_or(|exchange| exchange.connections() == 0)) {
            return;
        }
        changed.await;
    }
}

/// Syncs and writes the record, unless it was removed on purpose.
async fn save(core: &Arc<Core>) {
    if core.decided().is_some() && core.look(|brain| brain.life.completion == Completion::Yes) {
        if core.forgets_record() {
            return records::remove(core).await;
        }
        if core.options().read_only {
            return records::write_sums(core).await;
        }
    }
    let saved = core.act(|brain, _, _| {
        let exchange = brain.exchange.as_mut().filter(|_| !core.options().read_only)?;
        let files = exchange.files.as_mut()?;
        Some(files.saver.flush(&exchange.swarm, &files.disk))
    });
    if let Some(saved) = saved {
        // It fails if the disk does, which was said before.
        let _ = saved.await;
    }
}

/// Stops a torrent at once. What is given back is alive as long as some thread still has its files.
pub(crate) fn abandon(core: &Arc<Core>) -> Option<Weak<FileStorage>> {
    core.engine.forget(core.id, core.info_hashes());
    core.engine.lsd.changed.notify_one();
    core.set_stopping();
    dht::withdraw(core);
    let exchange = core.act(|brain, _, effects| {
        brain.life.stop();
        let exchange = brain.exchange.take();
        if let Some(exchange) = &exchange {
            effects.wakes.extend(exchange.wakes());
        }
        exchange
    });
    // What the disk has queued is cancelled by this, with the lock free again.
    drop(exchange);
    core.drop_store()
}
