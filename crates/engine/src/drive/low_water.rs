//! How much must come together on a socket before its reader is woken.
//!
//! Who is woken for every packet of a very fast peer reads little at a time, and each read is a system call, a round of the
//! reactor and a hold of the swarm's lock. So while such a peer owes us much, its socket wakes nobody before it has a good part of
//! a long read. No byte may wait for bytes that do not come: where little is owed the socket tells of every byte, and so it does
//! after a moment in which less came than was waited for.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep_until};

use crate::net::wake_at;

/// So much comes together, in bytes.
pub(crate) const RAISED_BYTES: usize = 256 * 1024;
/// Where less than this is owed every byte is told of, in bytes: at the end of a queue, by a peer that choked us.
const LEAST_OWED: usize = 4 * RAISED_BYTES;
/// A peer is very fast if it brings so many bytes in so little time.
const SPURT_BYTES: usize = 4 << 20;
const SPURT: Duration = Duration::from_millis(16);
/// The longest that bytes lie in the socket: a very fast peer brings [`RAISED_BYTES`] eight times in this time.
const PATIENCE: Duration = Duration::from_millis(8);

/// Whether a socket's mark is raised, and what speaks for it.
#[derive(Debug, Default)]
pub(crate) struct LowWater {
    raised: bool,
    /// Since when the socket is waited for.
    waits: Option<Instant>,
    /// Rings when a wait has lasted long enough.
    alarm: Option<Pin<Box<Sleep>>>,
    /// What has come since the spurt began, in bytes.
    bytes: usize,
    began: Option<Instant>,
}

impl LowWater {
    /// A read brought so many bytes.
    pub(crate) fn received(&mut self, bytes: usize, now: Instant) {
        self.waits = None;
        if self.raised || self.bytes >= SPURT_BYTES {
            return;
        }
        if self.began.is_none_or(|began| now.duration_since(began) > SPURT) {
            (self.bytes, self.began) = (0, Some(now));
        }
        self.bytes += bytes;
    }

    /// The socket is about to be waited for, while the peer owes so many bytes. True if much is to come together: then
    /// [`poll_time_is_up`](Self::poll_time_is_up) says for how long.
    pub(crate) fn wait(&mut self, stream: &TcpStream, owed: usize) -> bool {
        self.set(stream, owed >= LEAST_OWED && (self.raised || self.bytes >= SPURT_BYTES));
        if self.raised {
            self.waits.get_or_insert_with(Instant::now);
        }
        self.raised
    }

    /// The socket is not to be read for now.
    pub(crate) fn rest(&mut self) {
        self.waits = None;
    }

    /// Ready once the socket has been waited for as long as bytes may lie in it.
    pub(crate) fn poll_time_is_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(until) = self.waits.map(|since| since + PATIENCE) else { return Poll::Pending };
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep_until(until.into())));
        // It rings for a wait that is over, now and then. To set it anew for each wait would be a system call and more each time.
        while alarm.as_mut().poll(cx).is_ready() {
            if alarm.deadline().into_std() >= until {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(until.into());
        }
        Poll::Pending
    }

    /// The time is up. If the socket has not been read since, it tells of every byte from now on, until the peer is very fast again.
    pub(crate) fn time_is_up(&mut self, stream: &TcpStream) {
        if self.waits.is_some() {
            self.set(stream, false);
        }
    }

    fn set(&mut self, stream: &TcpStream, raised: bool) {
        if raised != self.raised {
            let done = wake_at(stream, if raised { RAISED_BYTES } else { 1 });
            *self = Self { raised: raised && done.is_ok(), ..Self::default() };
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::future::poll_fn;

    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    /// As long as must be waited to see that nothing happens, and as what happens may take.
    const QUIET: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(10);

    /// Our end, and the peer's.
    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (ours, theirs) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (ours.unwrap(), theirs.unwrap().0)
    }

    /// A socket whose mark is raised after a spurt.
    async fn raised() -> (LowWater, TcpStream, TcpStream) {
        let (ours, theirs) = pair().await;
        let mut mark = LowWater::default();
        mark.received(SPURT_BYTES, Instant::now());
        assert!(mark.wait(&ours, LEAST_OWED));
        (mark, ours, theirs)
    }

    async fn is_woken(stream: &TcpStream, within: Duration) -> bool {
        timeout(within, stream.readable()).await.is_ok()
    }

    #[tokio::test]
    async fn only_a_very_fast_peer_that_owes_much_is_waited_for() {
        let (ours, _theirs) = pair().await;
        let start = Instant::now();
        let mut slow = LowWater::default();
        for nth in 0..100 {
            // 64 MiB a second.
            slow.received(1 << 20, start + nth * SPURT);
            assert!(!slow.wait(&ours, usize::MAX));
        }
        let mut fast = LowWater::default();
        (0..16).for_each(|_| fast.received(RAISED_BYTES, start));
        assert!(!fast.wait(&ours, LEAST_OWED - 1));
        assert!(fast.wait(&ours, LEAST_OWED));
        assert!(!fast.wait(&ours, LEAST_OWED - 1), "the end of the queue");
        assert!(!fast.wait(&ours, LEAST_OWED), "what it was counts no more");
    }

    #[tokio::test]
    async fn little_wakes_nobody_and_much_does() {
        let (_mark, ours, mut theirs) = raised().await;
        theirs.write_all(&[7; 5000]).await.unwrap();
        assert!(!is_woken(&ours, QUIET).await);
        let writes = tokio::spawn(async move {
            theirs.write_all(&vec![7; 2 * RAISED_BYTES]).await.unwrap();
            theirs
        });
        assert!(is_woken(&ours, LONG).await);
        let mut bytes = vec![0; 4 * RAISED_BYTES];
        assert!(ours.try_read(&mut bytes).unwrap() >= RAISED_BYTES);
        drop(writes);
    }

    #[tokio::test]
    async fn what_lies_in_the_socket_is_told_of_when_the_time_is_up() {
        let (mut mark, ours, mut theirs) = raised().await;
        theirs.write_all(&[0, 0, 0, 1, 0]).await.unwrap();
        assert!(!is_woken(&ours, QUIET).await, "a choke is shorter than what is waited for");
        mark.time_is_up(&ours);
        assert!(is_woken(&ours, LONG).await);
        let mut bytes = [0; 16];
        assert_eq!(ours.try_read(&mut bytes).unwrap(), 5);
        mark.received(5, Instant::now());
        assert!(!mark.wait(&ours, usize::MAX), "not before it is very fast again");
        theirs.write_all(&[0; 4]).await.unwrap();
        assert!(is_woken(&ours, LONG).await);
    }

    #[tokio::test]
    async fn what_lies_in_the_socket_is_told_of_once_little_is_owed() {
        let (mut mark, ours, mut theirs) = raised().await;
        theirs.write_all(&[7; 16 * 1024]).await.unwrap();
        assert!(!is_woken(&ours, QUIET).await);
        assert!(!mark.wait(&ours, LEAST_OWED - 1));
        assert!(is_woken(&ours, LONG).await);
    }

    #[tokio::test]
    async fn the_end_is_told_of_at_once() {
        let (_mark, ours, mut theirs) = raised().await;
        theirs.write_all(&[7; 10]).await.unwrap();
        drop(theirs);
        assert!(is_woken(&ours, LONG).await);
    }

    /// Waits until the time is up; how long after `since` that is.
    async fn rings(mark: &mut LowWater, since: tokio::time::Instant) -> Duration {
        poll_fn(|cx| mark.poll_time_is_up(cx)).await;
        since.elapsed()
    }

    #[tokio::test]
    async fn the_time_runs_from_the_last_read_whoever_else_wakes_the_reader() {
        let (mut mark, ours, _theirs) = raised().await;
        let first = mark.waits.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert!(mark.wait(&ours, LEAST_OWED));
        assert_eq!(mark.waits, Some(first));
        // The alarm is set for the first wait, and rings for the next.
        assert!(timeout(Duration::ZERO, poll_fn(|cx| mark.poll_time_is_up(cx))).await.is_err());
        mark.received(RAISED_BYTES, Instant::now());
        mark.time_is_up(&ours);
        assert!(mark.wait(&ours, LEAST_OWED), "it was read, so it stays");
        let next = mark.waits.unwrap();
        assert!(next > first && rings(&mut mark, next.into()).await >= PATIENCE);
        mark.time_is_up(&ours);
        assert!(!mark.wait(&ours, LEAST_OWED), "nothing came");
    }

    #[tokio::test]
    async fn no_time_runs_while_the_socket_is_not_to_be_read() {
        let (mut mark, ours, _theirs) = raised().await;
        let first = mark.waits.unwrap();
        mark.rest();
        assert!(timeout(2 * PATIENCE, poll_fn(|cx| mark.poll_time_is_up(cx))).await.is_err());
        assert!(mark.wait(&ours, LEAST_OWED) && mark.waits.unwrap() > first + PATIENCE);
    }
}
