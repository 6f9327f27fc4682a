//! What the disk answers.

use std::sync::Arc;
use std::time::Instant;

use riverrun_metainfo::PieceIndex;
use riverrun_proto::swarm::{DiskDone, Input, Pressure};
use riverrun_storage::{Done, Presence, StorageError, VerifyOutcome};

use super::{Brain, Effects, Errand, Exchange, with_link};
use crate::drive::write_runs::Payloads;
use crate::{EventKind, TorrentError};

impl Brain {
    /// Takes the ends of disk jobs.
    pub(crate) fn disk_done(&mut self, now: Instant, done: &mut Vec<Done>, effects: &mut Effects) {
        for done in done.drain(..) {
            match done {
                Done::Verified { piece, outcome } => self.verified(now, piece, outcome, effects),
                Done::Read { token, result } => self.read_done(now, token, result, effects),
                Done::Synced { token, result } => self.synced(now, token, result, effects),
                Done::Parked(error) => self.parked(now, error, effects),
            }
        }
    }

    fn verified(&mut self, now: Instant, piece: PieceIndex, outcome: VerifyOutcome, effects: &mut Effects) {
        let done = match outcome {
            VerifyOutcome::Good { digests } => DiskDone::Verified { piece, digests },
            VerifyOutcome::Corrupt { digests } => DiskDone::Corrupt { piece, digests },
            VerifyOutcome::Inconsistent => {
                return self.fail(now, TorrentError::Inconsistent(piece), effects);
            }
            VerifyOutcome::Failed(error) => {
                tracing::debug!(%piece, %error, "piece lost");
                self.look_again(&error, effects);
                DiskDone::Lost { piece }
            }
        };
        self.feed(now, Input::Disk(done), &mut Payloads::default(), effects);
    }

    fn read_done(
        &mut self,
        now: Instant,
        token: u64,
        result: Result<Vec<riverrun_storage::Buffer>, Arc<StorageError>>,
        effects: &mut Effects,
    ) {
        let Some(Exchange { links, files: Some(files), .. }) = self.exchange.as_deref_mut() else { return };
        let Some(reads) = &mut files.reads else { return };
        if let Some(reader) = reads.done_for_reader(token) {
            if let Err(error) = &result {
                let error = error.clone();
                self.look_again(&error, effects);
            }
            // A reader that seeks away waits for it no more.
            let _ = reader.send(result);
            return;
        }
        let Some((connection, run)) = reads.done(token) else { return };
        match result {
            Ok(buffers) => {
                with_link(links, connection, effects, |link| {
                    run.outgoing(buffers).for_each(|block| link.send_block(block));
                });
            }
            Err(error) => {
                tracing::debug!(%error, "block cannot be read");
                self.look_again(&error, effects);
                for block in run.blocks {
                    let input = Input::ServeFailed { connection, block };
                    self.feed(now, input, &mut Payloads::default(), effects);
                }
            }
        }
    }

    fn synced(&mut self, now: Instant, token: u64, result: Result<Presence, Arc<StorageError>>, effects: &mut Effects) {
        let Some((purpose, have)) = self.files_mut().and_then(|files| files.saver.synced(token)) else { return };
        match result {
            Ok(presence) if purpose.last_look => effects.errands.push(Errand::LastLook { have, presence }),
            Ok(presence) => effects.errands.push(Errand::SaveResume { have, presence, told: purpose.told }),
            Err(error) => {
                self.look_again(&error, effects);
                self.parked(now, error, effects);
            }
        }
    }

    /// Has somebody look what became of the files, if the error says that something did.
    fn look_again(&mut self, error: &StorageError, effects: &mut Effects) {
        use StorageError::{InTheWay, Missing, Replaced, Short, Symlink};
        let changed =
            matches!(error, Missing { .. } | Short { .. } | Replaced { .. } | InTheWay { .. } | Symlink { .. });
        if changed && !std::mem::replace(&mut self.looking, true) {
            effects.errands.push(Errand::LookAgain);
        }
    }

    /// Somebody has looked.
    pub(crate) fn looked(&mut self) {
        self.looking = false;
    }

    /// The disk failed: nothing new is asked for, and after a while it is tried again (THREATS L2, L3).
    fn parked(&mut self, now: Instant, error: Arc<StorageError>, effects: &mut Effects) {
        tracing::info!(%error, "the disk fails");
        self.life.park(now, error.clone());
        effects.events.push(EventKind::StorageFailed(TorrentError::Storage(error)));
        self.set_pressure(now, Pressure::Full, effects);
    }
}
