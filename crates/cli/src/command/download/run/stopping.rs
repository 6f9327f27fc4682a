//! The end before all is done: by the user, or by the clock.

use std::time::{Duration, Instant};

use riverrun::{Phase, TorrentStatus};

use super::{PATIENCE, Run};
use crate::command::watch;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::render::events;
use crate::render::progress::{Stage, View};
use crate::units;

impl Run<'_> {
    /// Ctrl-C or SIGTERM: saves what is there and goes. A second one goes at once.
    pub(super) async fn stopped(&mut self, exit: Exit) -> Outcome {
        let statuses = self.statuses();
        let gathering = !self.gathering.is_over();
        let left = gathering || statuses.iter().any(|status| status.have_bytes < status.total_bytes);
        self.show_stopping();
        self.leave(PATIENCE).await;
        self.progress.clear(self.env);
        let sum = |of: fn(&TorrentStatus) -> u64| statuses.iter().map(of).sum::<u64>();
        let percent = units::percent(sum(|status| status.have_bytes), sum(|status| status.total_bytes));
        if self.progress.for_machines() {
            let event = events::stopped(sum(|status| status.have_bytes), sum(|status| status.total_bytes), exit);
            self.progress.event(self.env, &event);
        }
        let checking = statuses.iter().any(|status| matches!(status.phase, Phase::Checking { .. }));
        let line = match (gathering, checking) {
            (true, _) => "stopped before the metadata was here; run the same command to go on".to_owned(),
            (false, true) => "stopped while checking; run the same command to go on".to_owned(),
            (false, false) => format!("stopped at {percent} %; run the same command to go on"),
        };
        self.progress.note(self.env, if left { &line } else { "stopped sharing" });
        Ok(exit)
    }

    pub(super) async fn out_of_time(&mut self) -> Outcome {
        let statuses = self.statuses();
        self.leave(PATIENCE).await;
        self.progress.clear(self.env);
        let sum = |of: fn(&TorrentStatus) -> u64| statuses.iter().map(of).sum::<u64>();
        let percent = units::percent(sum(|status| status.have_bytes), sum(|status| status.total_bytes));
        let max = units::duration(self.options.max_time.map(|span| span.0).unwrap_or_default());
        self.fail(
            Failure::new(Exit::Incomplete, format!("stopped at {percent} %: --max-time {max} is over"))
                .help("run the same command to go on"),
        );
        Ok(self.failed.unwrap_or(Exit::Incomplete))
    }

    pub(super) fn show_stopping(&mut self) {
        let views: Vec<View> = self
            .statuses()
            .iter()
            .map(|status| View { stage: Stage::Stopping, waiting: None, ..watch::view(status) })
            .collect();
        self.progress.show(self.env, &views, Instant::now());
    }

    /// Shuts the session down; another signal ends the wait.
    pub(super) async fn leave(&mut self, patience: Duration) {
        let session = self.session.clone();
        tokio::select! {
            _ = session.shutdown(patience) => {}
            _ = self.signals.next() => {}
        }
    }
}
