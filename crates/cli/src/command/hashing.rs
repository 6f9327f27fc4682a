//! Hashing on the threads of the storage, with its progress shown.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Instant;

use riverrun::storage::check::{CheckError, Progress as Work};

use crate::args::General;
use crate::command::watch;
use crate::env::Env;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::progress::{Progress, Stage, View};
use crate::render::shown;

/// What is shown while it goes on.
pub(crate) enum What {
    /// A new torrent is made.
    New,
    /// The content of a torrent with this name is checked.
    Check(String),
}

/// Does `work` on a thread of its own and shows how far it is.
pub(crate) fn watched<T: Send>(
    env: &mut Env,
    general: &General,
    what: &What,
    work: impl FnOnce(&Work) -> T + Send,
) -> T {
    let mut progress = Progress::of_one_document(env, general);
    let state = &Work::default();
    let (tell, told) = sync_channel(1);
    std::thread::scope(|scope| {
        let worker = scope.spawn(move || tell.send(work(state)));
        loop {
            // The result itself ends the wait: a thread is not over yet when it has told it.
            match told.recv_timeout(Progress::TICK) {
                Ok(result) => {
                    progress.clear(env);
                    return result;
                }
                Err(RecvTimeoutError::Timeout) => {
                    let (done, total) = (state.done_bytes(), state.total_bytes());
                    if total > 0 {
                        progress.show(env, &[view(what, done, total)], Instant::now());
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        progress.clear(env);
        let panic = worker.join().expect_err("who goes without a word has panicked");
        std::panic::resume_unwind(panic)
    })
}

fn view(what: &What, done: u64, total: u64) -> View {
    match what {
        What::New => View { total, done, stage: Stage::Hashing { done, total }, ..View::default() },
        What::Check(name) => {
            View { name: name.clone(), total, done, stage: Stage::Checking { done, total }, ..View::default() }
        }
    }
}

/// A number of threads as the storage takes it.
pub(crate) fn threads(number: Option<u16>) -> Option<NonZeroUsize> {
    number.and_then(|number| NonZeroUsize::new(number.into()))
}

/// Why hashing had no result. `path_of` names a file of the layout.
pub(crate) fn failure(error: &CheckError, path_of: impl Fn(usize) -> Option<std::path::PathBuf>) -> Failure {
    let name = |path: &Path| shown(&path.to_string_lossy()).into_owned();
    match error {
        CheckError::Changed { file } => {
            let path = path_of(file.0 as usize).map_or_else(|| "a file".to_owned(), |path| name(&path));
            Failure::new(Exit::Mismatch, format!("{path} changed while it was read")).help("run it again")
        }
        CheckError::Storage(error) if error.is_not_there() => {
            Failure::new(Exit::Mismatch, format!("{} while it was read", shown(&error.to_string())))
        }
        CheckError::Storage(error) => Failure::new(Exit::NotFound, shown(&watch::chain(error))),
        other => Failure::internal(watch::chain(other)),
    }
}
