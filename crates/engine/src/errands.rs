//! Short pieces of work that block, on threads of our own.
//!
//! The runtime's threads for blocking work grow in number whenever a piece of work comes before the one that ended is counted as idle,
//! and each thread that ever allocates costs memory for good. Here there are few, started when there is work, and one that works
//! takes the next piece without being woken.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The most threads.
const MAX_THREADS: usize = 2;

/// The work that waits, and the threads that do it until this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Errands(Arc<Shared>);

/// The work panicked, or nobody does it any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NotDone;

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    more: Condvar,
}

#[derive(Default)]
struct Queue {
    /// Each entry has somebody who waits for it: those who ask are as many as there are torrents.
    waiting: VecDeque<Box<dyn FnOnce() + Send>>,
    threads: usize,
    idle: usize,
    over: bool,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { waiting, threads, idle, over } = self;
        f.debug_struct("Queue")
            .field("waiting", &waiting.len())
            .field("threads", threads)
            .field("idle", idle)
            .field("over", over)
            .finish()
    }
}

impl Errands {
    /// Does a piece of work on another thread. First in, first out.
    ///
    /// # Errors
    /// It panicked, or no thread can be had, or the session ended first.
    pub(crate) async fn run<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> Result<R, NotDone> {
        let (answer, answered) = oneshot::channel();
        // Whoever asked may have gone; the work is done all the same, as what it does to files must be.
        self.0.add(Box::new(move || drop(answer.send(work()))));
        answered.await.map_err(|_| NotDone)
    }
}

impl Drop for Errands {
    fn drop(&mut self) {
        self.0.lock().over = true;
        self.0.more.notify_all();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Work runs outside the lock.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(self: &Arc<Self>, work: Box<dyn FnOnce() + Send>) {
        let mut queue = self.lock();
        queue.waiting.push_back(work);
        if queue.idle > 0 {
            drop(queue);
            self.more.notify_one();
        } else if queue.threads < MAX_THREADS {
            queue.threads += 1;
            let shared = self.clone();
            if let Err(error) = std::thread::Builder::new().name("errands".into()).spawn(move || shared.work()) {
                queue.threads -= 1;
                if queue.threads == 0 {
                    tracing::error!(%error, "no thread can be started");
                    queue.waiting.clear();
                }
            }
        }
    }

    /// What one thread does.
    fn work(&self) {
        let mut queue = self.lock();
        loop {
            if let Some(work) = queue.waiting.pop_front() {
                drop(queue);
                // Whoever waits learns of a panic by an answer that never comes; the thread goes on for the others.
                let _ = catch_unwind(AssertUnwindSafe(work));
                queue = self.lock();
            } else if queue.over {
                return;
            } else {
                queue.idle += 1;
                queue = self.more.wait(queue).unwrap_or_else(PoisonError::into_inner);
                queue.idle -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_by_few_threads_and_a_panic_ends_none() {
        let errands = Arc::new(Errands::default());
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..200 {
            let errands = errands.clone();
            tasks.spawn(async move {
                let work = move || {
                    assert!(number % 50 != 7, "as it should be in this test");
                    (number, std::thread::current().id())
                };
                errands.run(work).await
            });
        }
        let results = tasks.join_all().await;
        let mut done: Vec<i32> = results.iter().filter_map(|result| Some(result.ok()?.0)).collect();
        done.sort_unstable();
        assert_eq!(done, (0..200).filter(|number| number % 50 != 7).collect::<Vec<_>>());
        assert_eq!(results.iter().filter(|result| **result == Err(NotDone)).count(), 4);
        let mut threads: Vec<_> = results.iter().filter_map(|result| Some(result.ok()?.1)).collect();
        threads.sort_unstable_by_key(|id| format!("{id:?}"));
        threads.dedup();
        assert!((1..=MAX_THREADS).contains(&threads.len()), "{threads:?}");
    }

    #[tokio::test]
    async fn what_waits_when_the_session_ends_is_done() {
        let errands = Errands::default();
        let (sender, receiver) = std::sync::mpsc::sync_channel(10);
        for number in 0..10 {
            let sender = sender.clone();
            // A future that nobody waits for any more: its work stays.
            let mut asked = Box::pin(errands.run(move || sender.send(number)));
            tokio::select! {
                biased;
                _ = &mut asked => {}
                () = std::future::ready(()) => {}
            }
        }
        drop((errands, sender));
        let mut done: Vec<i32> = receiver.iter().collect();
        done.sort_unstable();
        assert_eq!(done, (0..10).collect::<Vec<_>>());
    }
}
